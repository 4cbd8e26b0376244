package samples

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatewright/gatewright/generator/model"
)

// A credKind says how a credential is sent.
type credKind int

const (
	headerCred credKind = iota // a header: prefix and the value
	queryCred                  // a query parameter
	cookieCred                 // a cookie
	basicCred                  // Basic, with the user name apikey
	userCred                   // Basic, with a user name of one's own
	certCred                   // a client certificate
)

// A credential is one scheme's, as a program finds and sends it.
type credential struct {
	kind   credKind
	name   string // of header, query parameter or cookie
	prefix string // of a header's value: a scheme word and a blank, or nothing
	// plain tells that the value needs no escape anywhere: it is a key of the
	// server, or a token, whose letters are known.
	plain bool
	vars  []variable // the value; for userCred user and password, for certCred two files
}

// A variable is the name of one, and what it holds.
type variable struct{ name, about string }

// names are the variables of an API.
type names struct {
	base string              // BLOG
	of   map[string][]string // scheme -> its variables where it is alone of its kind in an alternative
	long map[string][]string // scheme -> its variables where it is not
}

// KeyVariable is the variable in which programs look for a key of the server
// whose document has that title, such as BLOG_API_KEY.
func KeyVariable(title string) string { return baseName(title) + "_API_KEY" }

// nameAll names the variables of each scheme. Two schemes share one only where
// the same credential serves both, as a key of this server does.
func nameAll(api *model.API) names {
	n := names{base: baseName(api.Title), of: map[string][]string{}, long: map[string][]string{}}
	taken := map[string]bool{n.base + "_URL": true, KeyVariable(api.Title): true}
	tokens, users := 0, 0
	for i := range api.Schemes {
		switch kindOf(&api.Schemes[i]) {
		case tokenKind:
			tokens++
		case userKind:
			users++
		}
	}
	for i := range api.Schemes {
		s := &api.Schemes[i]
		var ends []string
		short := false
		switch kindOf(s) {
		case keyKind:
			ends = []string{"_API_KEY"}
			n.of[s.Name] = []string{KeyVariable(api.Title)}
		case ownKeyKind:
			ends = []string{"_KEY"}
		case tokenKind:
			ends, short = []string{"_TOKEN"}, tokens == 1
		case userKind:
			ends, short = []string{"_USER", "_PASSWORD"}, users == 1
		case certKind:
			ends, short = []string{"_CLIENT_CERT", "_CLIENT_KEY"}, true
		default:
			continue
		}
		middle := slug(s.Name)
		if short {
			middle = ""
		}
		long := unused(taken, n.base, middle, ends)
		n.long[s.Name] = long
		if n.of[s.Name] == nil {
			n.of[s.Name] = long
		}
	}
	return n
}

// unused joins base, middle and ends, with a number where that is taken.
func unused(taken map[string]bool, base, middle string, ends []string) []string {
	for i := 1; ; i++ {
		stem := base
		if middle != "" {
			stem += "_" + middle
		}
		if i > 1 {
			stem += "_" + strconv.Itoa(i)
		}
		var all []string
		free := true
		for _, end := range ends {
			all = append(all, stem+end)
			free = free && !taken[stem+end]
		}
		if free {
			for _, name := range all {
				taken[name] = true
			}
			return all
		}
	}
}

// baseName makes the beginning of variables of a document's title.
func baseName(title string) string {
	name := slug(title)
	for _, end := range []string{"_API", "_REST"} {
		name = strings.TrimSuffix(name, end)
	}
	if name == "" || name == "API" {
		return "API"
	}
	if name[0] >= '0' && name[0] <= '9' {
		name = "API_" + name
	}
	return name
}

// slug writes text with capital letters, digits and single underscores.
func slug(text string) string {
	var b strings.Builder
	gap := false
	for _, c := range []byte(strings.ToUpper(text)) {
		if !('A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			gap = b.Len() > 0
			continue
		}
		if b.Len() >= 40 {
			break
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteByte(c)
	}
	return b.String()
}

// A schemeKind is what a program has to hold for a scheme.
type schemeKind int

const (
	noKind     schemeKind = iota // nothing that is known here
	keyKind                      // a key of this server
	ownKeyKind                   // a key that the application verifies itself
	tokenKind                    // a bearer token
	userKind                     // a user name and a password
	certKind                     // a client certificate
	personKind                   // a person who signs in
)

func kindOf(s *model.Scheme) schemeKind {
	switch s.Verifier {
	case model.VerifyAPIKey:
		return keyKind
	case model.VerifySession:
		return personKind
	case model.VerifyCertificate:
		return certKind
	}
	switch {
	case s.Type == "apiKey":
		return ownKeyKind
	case s.HTTPScheme == "basic":
		return userKind
	case s.HTTPScheme == "bearer", s.Type == "oauth2", s.Type == "openIdConnect":
		return tokenKind
	}
	return noKind
}

// choose returns the needs of the alternative that a program meets with the
// least, or a sentence that says why it can meet none.
func (m *Maker) choose(p model.Policy) (model.Alternative, string) {
	if p.Public {
		return nil, ""
	}
	var best model.Alternative
	least, people := -1, false
	for _, a := range p.Alternatives {
		cost, ok := 0, m.api.Meetable(a)
		for _, n := range a {
			s := m.api.Scheme(n.Scheme)
			if s == nil {
				ok = false
				continue
			}
			people = people || kindOf(s) == personKind
			c := costOf(s)
			ok = ok && c > 0
			cost += c
		}
		if ok && (least < 0 || cost < least) {
			best, least = a, cost
		}
	}
	switch {
	case least >= 0:
		return best, ""
	case people && m.server != "":
		return nil, "This operation is for people who have signed in. Open " + m.server + "/docs in a browser, sign in there and try it."
	case people:
		return nil, "This operation is for people who have signed in. Open /docs of the server in a browser, sign in there and try it."
	case len(p.Alternatives) == 0:
		return nil, "Nobody may call this operation."
	}
	return nil, "There is no sample for this operation: its credentials are of a kind that the application defines itself."
}

// costOf ranks schemes: what is easy to get and safe to send comes first. It
// is 0 where a program cannot hold the credential.
func costOf(s *model.Scheme) int {
	place := 0
	switch s.Places[0].In {
	case "cookie":
		place = 2
	case "query": // URLs are logged
		place = 4
	}
	if s.Places[0].Name == "basic" {
		place = 1
	}
	switch kindOf(s) {
	case keyKind:
		return 10 + place
	case ownKeyKind:
		return 20 + place
	case tokenKind:
		return 30
	case userKind:
		return 40
	case certKind:
		return 100
	}
	return 0
}

// credentials are those of an alternative, in its order.
func (m *Maker) credentials(a model.Alternative) []credential {
	kinds := map[schemeKind]int{}
	for _, n := range a {
		kinds[kindOf(m.api.Scheme(n.Scheme))]++
	}
	var all []credential
	for _, n := range a {
		s := m.api.Scheme(n.Scheme)
		kind := kindOf(s)
		vars := m.names.of[s.Name]
		if kinds[kind] > 1 {
			vars = m.names.long[s.Name]
		}
		all = append(all, credentialOf(s, kind, vars, n.Scopes))
	}
	return all
}

func credentialOf(s *model.Scheme, kind schemeKind, vars, scopes []string) credential {
	c := credential{plain: kind == keyKind || kind == tokenKind}
	switch kind {
	case userKind:
		c.kind, c.vars = userCred, []variable{{vars[0], "your user name"}, {vars[1], "your password"}}
		return c
	case certKind:
		c.kind, c.vars = certCred, []variable{{vars[0], "the path of your certificate (PEM)"}, {vars[1], "the path of its private key (PEM)"}}
		return c
	case tokenKind:
		c.vars = []variable{{vars[0], "an access token"}}
	default:
		c.vars = []variable{{vars[0], "an API key"}}
	}
	if names := scopeNames(scopes); names != "" {
		c.vars[0].about += " with the " + names
	}
	place := s.Places[0]
	switch place.In {
	case "query":
		c.kind, c.name = queryCred, place.Name
	case "cookie":
		c.kind, c.name = cookieCred, place.Name
	case "header":
		c.name = place.Name
	default:
		c.name = "Authorization"
		switch place.Name {
		case "basic":
			c.kind = basicCred
		case "bearer":
			c.prefix = "Bearer "
		case "":
		default:
			c.prefix = place.Name + " "
		}
	}
	return c
}

// scopeNames names scopes where they are plain words, as most are; it is
// empty where there are none, or some are not.
func scopeNames(scopes []string) string {
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return !plainWord(s) }) {
		return ""
	}
	return cmp.Or(map[int]string{1: "scope "}[len(scopes)], "scopes ") + strings.Join(scopes, ", ")
}

func plainWord(s string) bool {
	return s != "" && len(s) <= 60 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-") == ""
}
