package analyze

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/name"
)

// defaultCookie is the session cookie where no scheme of the document is one.
const defaultCookie = "__Host-Http-session"

// schemes reads components.securitySchemes in the document's order.
func (a *analyzer) schemes() {
	all, ok := a.whole(a.doc.Root.Get("components"), "components")
	if ok {
		all, ok = a.whole(all.Get("securitySchemes"), "components.securitySchemes")
	}
	var names name.Set
	if ok {
		for _, m := range all.Members {
			a.subject = m.Key
			if s, ok := a.scheme(m.Key, m.Value); ok {
				s.Pos = m.KeyPos
				s.GoName = names.Unique(name.Exported(m.Key))
				a.api.Schemes = append(a.api.Schemes, s)
			}
		}
	}
	a.subject = ""
	for _, configured := range slices.Sorted(maps.Keys(a.cfg.Schemes)) {
		if a.api.Scheme(configured) == nil && all.Get(configured) == nil {
			a.setting(fmt.Sprintf("schemes: the document has no scheme %s%s", load.Quote(configured), a.orNear(configured)))
		}
	}
	a.sessionCookie()
}

// scheme reads one scheme. It is false where nothing can be made of it.
func (a *analyzer) scheme(key string, n *load.Node) (model.Scheme, bool) {
	n, ok := a.whole(n, "security scheme "+load.Quote(key))
	if !ok {
		return model.Scheme{}, false
	}
	s := model.Scheme{Name: key, Type: n.Str("type"), Description: n.Str("description"), Pos: n.Pos}
	switch s.Type {
	case "apiKey":
		ok = a.apiKey(&s, n)
	case "http":
		ok = a.httpScheme(&s, n)
	case "oauth2":
		ok = a.oauth2(&s, n)
	case "openIdConnect":
		ok = a.openIDConnect(&s, n)
	case "mutualTLS":
		s.Places = []model.Place{{In: "certificate"}}
		s.Verifier, s.AnyScope = model.VerifyCertificate, true
	default:
		a.unknownType(&s, n)
		return s, false
	}
	if !ok {
		return s, false
	}
	a.kind(&s, n)
	for _, scope := range a.cfg.Schemes[key].ExtraScopes {
		if !printableText(scope) {
			a.setting(fmt.Sprintf("schemes: extra_scopes of %s: %s is empty or does not print", load.Quote(key), load.Quote(scope)))
			continue
		}
		s.Scopes = append(s.Scopes, scope)
	}
	slices.Sort(s.Scopes)
	s.Scopes = slices.Compact(s.Scopes)
	return s, true
}

// undecided warns of bearer schemes that operations use and nothing explains.
func (a *analyzer) undecided() {
	used := map[string]bool{}
	for _, op := range a.api.Operations {
		for _, alt := range op.Policy.Alternatives {
			for _, need := range alt {
				used[need.Scheme] = true
			}
		}
	}
	for _, s := range a.api.Schemes {
		if s.Verifier == model.VerifyUndecided && used[s.Name] {
			a.add(model.Diagnostic{Rule: ruleUndecided, Severity: model.Warning, Pos: s.Pos, Subject: s.Name,
				Message: fmt.Sprintf("nothing says what the bearer token of scheme %s is; the server will not start", load.Quote(s.Name)),
				Help: "say `x-gatewright: {kind: jwt}` at the scheme, or `schemes: {" + load.Quote(s.Name) + ": {kind: jwt}}` in gatewright.yaml; " +
					"jwt, introspection, apikey or custom"})
		}
	}
}

func (a *analyzer) unknownType(s *model.Scheme, n *load.Node) {
	known := []string{"apiKey", "http", "oauth2", "openIdConnect", "mutualTLS"}
	at := n.Get("type")
	if at == nil {
		a.errorf(ruleScheme, n, "one of "+strings.Join(known, ", "), "security scheme %s has no type", load.Quote(s.Name))
		return
	}
	help := "one of " + strings.Join(known, ", ")
	if at.Text == "basic" {
		help = "write `type: http` with `scheme: basic`"
	}
	a.errorf(ruleSchemeType, at, help, "security scheme %s has the unknown type %s", load.Quote(s.Name), load.Quote(at.Text))
}

// text returns the required string member of a scheme, or reports it.
func (a *analyzer) text(s *model.Scheme, n *load.Node, member string) (string, bool) {
	v := n.Get(member)
	if v.Is(load.String) && v.Text != "" {
		return v.Text, true
	}
	if v == nil {
		v = n
	}
	a.errorf(ruleScheme, v, "", "security scheme %s needs a text %s", load.Quote(s.Name), member)
	return "", false
}

func (a *analyzer) apiKey(s *model.Scheme, n *load.Node) bool {
	in, okIn := a.text(s, n, "in")
	key, okName := a.text(s, n, "name")
	if !okIn || !okName {
		return false
	}
	s.Verifier, s.AnyScope = model.VerifyAPIKey, true
	s.Places = []model.Place{{In: in, Name: key}}
	switch in {
	case "header":
		if strings.EqualFold(key, "Authorization") {
			s.Places = []model.Place{{In: "authorization"}}
		}
		if slices.Contains(takenHeaders, http.CanonicalHeaderKey(key)) {
			a.errorf(ruleScheme, n.Get("name"), "choose a header of its own such as X-Api-Key; of a cookie say `in: cookie`",
				"header %s has a meaning of its own and cannot hold a key", load.Quote(key))
			return false
		}
	case "query":
		a.warnf(ruleQueryKey, n.Get("in"), "a header keeps it out of logs and histories",
			"scheme %s takes its key from the URL, and URLs are logged", load.Quote(s.Name))
	case "cookie":
		s.Verifier = model.VerifySession
	default:
		a.errorf(ruleScheme, n.Get("in"), "one of header, query, cookie", "security scheme %s lies in %s", load.Quote(s.Name), load.Quote(in))
		return false
	}
	if in != "query" && !token(key) {
		a.errorf(ruleScheme, n.Get("name"), "letters, digits and !#$%&'*+-.^_`|~ only (RFC 9110, section 5.6.2)",
			"%s is no name of a %s", load.Quote(key), in)
		return false
	}
	return true
}

// takenHeaders are those that HTTP itself, or a proxy, reads and changes.
var takenHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Keep-Alive", "Origin",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Set-Cookie", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func (a *analyzer) httpScheme(s *model.Scheme, n *load.Node) bool {
	word, ok := a.text(s, n, "scheme")
	if !ok {
		return false
	}
	if !token(word) {
		a.errorf(ruleScheme, n.Get("scheme"), "one word such as basic or bearer (RFC 9110, section 11.1)",
			"%s is no scheme word", load.Quote(word))
		return false
	}
	s.HTTPScheme = strings.ToLower(word)
	s.Format = n.Str("bearerFormat")
	s.AnyScope = true
	s.Places = []model.Place{{In: "authorization", Name: s.HTTPScheme}}
	switch s.HTTPScheme {
	case "basic", "apikey":
		s.Verifier = model.VerifyAPIKey
	case "bearer":
		s.Verifier = model.VerifyUndecided
		if strings.EqualFold(s.Format, "JWT") {
			s.Verifier = model.VerifyJWT
		}
	default:
		s.Verifier = model.VerifyCustom
	}
	return true
}

func (a *analyzer) openIDConnect(s *model.Scheme, n *load.Node) bool {
	u, ok := a.text(s, n, "openIdConnectUrl")
	s.OpenIDURL = u
	s.Verifier, s.AnyScope = model.VerifySession, true
	return ok
}

// flowURLs lists the flows and what each needs.
var flowURLs = map[string][]string{
	"authorizationCode":   {"authorizationUrl", "tokenUrl"},
	"clientCredentials":   {"tokenUrl"},
	"deviceAuthorization": {"deviceAuthorizationUrl", "tokenUrl"},
	"implicit":            {"authorizationUrl"},
	"password":            {"tokenUrl"},
}

func (a *analyzer) oauth2(s *model.Scheme, n *load.Node) bool {
	if n.Get("flows") == nil {
		a.errorf(ruleScheme, n, "", "security scheme %s needs an object flows", load.Quote(s.Name))
		return false
	}
	flows, ok := a.object(n.Get("flows"), "flows")
	if !ok {
		return false
	}
	tried := false
	for _, m := range flows.Members {
		if !strings.HasPrefix(m.Key, "x-") {
			tried = true
			a.flow(s, m)
		}
	}
	slices.SortFunc(s.Flows, func(x, y model.Flow) int { return strings.Compare(x.Name, y.Name) })
	has := func(flow string) bool {
		return slices.ContainsFunc(s.Flows, func(f model.Flow) bool { return f.Name == flow })
	}
	switch {
	case len(s.Flows) == 0 && !tried:
		a.errorf(ruleScheme, flows, "one of "+strings.Join(slices.Sorted(maps.Keys(flowURLs)), ", "), "security scheme %s has no flow", load.Quote(s.Name))
		return false
	case len(s.Flows) == 0:
		return false
	case has("authorizationCode"):
		s.Verifier = model.VerifySession
	case has("clientCredentials"), has("deviceAuthorization"):
		s.Verifier = model.VerifyToken
	default:
		s.Verifier = model.VerifyToken
		a.warnf(ruleWithdrawn, flows, "declare authorizationCode", "scheme %s has only flows that RFC 9700 withdrew: its tokens are taken, no login is offered", load.Quote(s.Name))
	}
	return true
}

func (a *analyzer) flow(s *model.Scheme, m load.Member) {
	needs, known := flowURLs[m.Key]
	if !known {
		a.add(model.Diagnostic{
			Rule: ruleScheme, Pos: m.KeyPos,
			Message: fmt.Sprintf("security scheme %s has the unknown flow %s", load.Quote(s.Name), load.Quote(m.Key)),
			Help:    "one of " + strings.Join(slices.Sorted(maps.Keys(flowURLs)), ", "),
		})
		return
	}
	n, ok := a.object(m.Value, "flow "+m.Key)
	if !ok {
		return
	}
	for _, member := range needs {
		if n.Str(member) == "" {
			a.errorf(ruleScheme, n, "", "flow %s of security scheme %s needs a text %s", m.Key, load.Quote(s.Name), member)
		}
	}
	f := model.Flow{
		Name:             m.Key,
		AuthorizationURL: n.Str("authorizationUrl"),
		TokenURL:         n.Str("tokenUrl"),
		RefreshURL:       n.Str("refreshUrl"),
		DeviceURL:        n.Str("deviceAuthorizationUrl"),
	}
	if scopes := n.Get("scopes"); scopes != nil {
		if scopes, ok := a.object(scopes, "scopes"); ok {
			for _, sc := range scopes.Members {
				if !printableText(sc.Key) {
					a.add(model.Diagnostic{Rule: ruleScheme, Pos: sc.KeyPos, Help: "scopes are made of letters, digits and punctuation",
						Message: fmt.Sprintf("scope %s of security scheme %s is empty or does not print", load.Quote(sc.Key), load.Quote(s.Name))})
					continue
				}
				f.Scopes = append(f.Scopes, sc.Key)
			}
		}
	}
	slices.Sort(f.Scopes)
	s.Flows = append(s.Flows, f)
	s.Scopes = append(s.Scopes, f.Scopes...)
}

// token tells whether s is a token of RFC 9110, section 5.6.2.
func token(s string) bool {
	for _, r := range s {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)) {
			return false
		}
	}
	return s != ""
}
