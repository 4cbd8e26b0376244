// Package name turns names of a document into Go identifiers. The same name
// gives the same identifier on any machine; nothing but letters, digits and
// underscores comes out, whatever goes in.
package name

import (
	"go/token"
	"go/types"
	"strconv"
	"strings"
	"unicode"
)

// maxRunes bounds an identifier, so that a hostile document cannot make lines
// that nobody can read. Longer names are cut; Set keeps them apart.
const maxRunes = 80

// fallback is the identifier of a name without a letter or digit.
const fallback = "Unnamed"

// initialisms are written in capitals wherever they are a word of a name.
var initialisms = map[string]string{
	"acl": "ACL", "api": "API", "apis": "APIs", "ascii": "ASCII", "cpu": "CPU", "css": "CSS", "csv": "CSV", "dns": "DNS",
	"guid": "GUID", "html": "HTML", "http": "HTTP", "https": "HTTPS", "iban": "IBAN", "id": "ID", "ids": "IDs", "ip": "IP",
	"json": "JSON", "jwt": "JWT", "mfa": "MFA", "oauth": "OAuth", "oidc": "OIDC", "pdf": "PDF", "qps": "QPS", "ram": "RAM", "rpc": "RPC",
	"saml": "SAML", "sdk": "SDK", "sku": "SKU", "sla": "SLA", "smtp": "SMTP", "sql": "SQL", "ssh": "SSH", "ssl": "SSL",
	"sso": "SSO", "tcp": "TCP", "tls": "TLS", "ttl": "TTL", "udp": "UDP", "ui": "UI", "uid": "UID", "uri": "URI", "uris": "URIs",
	"url": "URL", "urls": "URLs", "utc": "UTC", "utf8": "UTF8", "uuid": "UUID", "uuids": "UUIDs", "vat": "VAT", "vm": "VM",
	"xml": "XML", "xss": "XSS", "yaml": "YAML",
}

// Exported gives an exported identifier: list-posts and listPosts are
// ListPosts, user_id is UserID, 2fa is N2fa. It is never empty.
func Exported(s string) string {
	var b strings.Builder
	count := 0
	for _, w := range words(s) {
		t := title(w)
		if count += len([]rune(t)); count > maxRunes {
			break
		}
		b.WriteString(t)
	}
	id := b.String()
	if id == "" {
		if ws := words(s); len(ws) > 0 {
			id = string([]rune(title(ws[0]))[:maxRunes])
		} else {
			return fallback
		}
	}
	first := []rune(id)[0]
	switch {
	case unicode.IsDigit(first):
		return "N" + id
	case !unicode.IsUpper(first): // a letter of a script without capitals
		return "X" + id
	}
	return id
}

// Unexported gives an identifier that starts small and is no keyword and no
// predeclared name: ListPosts is listPosts, URL is url, type is type_.
func Unexported(s string) string {
	id := []rune(Exported(s))
	upper := 0
	for upper < len(id) && unicode.IsUpper(id[upper]) {
		upper++
	}
	// Of URLPath only URL is lowered, of Path only P.
	if upper > 1 && upper < len(id) && unicode.IsLower(id[upper]) && !plural(id, upper) {
		upper--
	}
	for i := range max(1, upper) {
		id[i] = unicode.ToLower(id[i])
	}
	if r := string(id); token.IsKeyword(r) || types.Universe.Lookup(r) != nil {
		return r + "_"
	}
	return string(id)
}

// plural tells whether the capitals of id are followed by the s of a plural
// alone, as in IDs.
func plural(id []rune, upper int) bool {
	return id[upper] == 's' && (upper+1 == len(id) || unicode.IsUpper(id[upper+1]))
}

// words splits at what is no letter or digit and where capitals begin a word.
func words(s string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, string(word))
		}
		word = nil
	}
	rs := []rune(s)
	for i, r := range rs {
		if !letter(r) {
			flush()
			continue
		}
		if len(word) > 0 && unicode.IsUpper(r) {
			before := word[len(word)-1]
			last := i+1 < len(rs) && unicode.IsLower(rs[i+1]) && !pluralAt(rs, i+1)
			if !unicode.IsUpper(before) || last {
				flush()
			}
		}
		word = append(word, r)
	}
	flush()
	return out
}

// pluralAt tells whether rs[i] is the s of a plural such as IDs.
func pluralAt(rs []rune, i int) bool {
	return rs[i] == 's' && (i+1 == len(rs) || !unicode.IsLower(rs[i+1]))
}

func letter(r rune) bool {
	return r != unicode.ReplacementChar && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// title writes one word of a name.
func title(w string) string {
	lower := strings.ToLower(w)
	if known, ok := initialisms[lower]; ok {
		return known
	}
	rs := []rune(w)
	if strings.ToUpper(w) == w {
		rs = []rune(lower)
	}
	if up := []rune(string(unicode.ToUpper(rs[0]))); letter(up[0]) {
		rs[0] = up[0]
	}
	return string(rs)
}

// A Set hands out names that differ from all it has handed out before. The
// zero Set is empty and ready. It is not safe for concurrent use.
type Set struct {
	used map[string]bool
	next map[string]int // the first number to try for a name that is taken
}

// Reserve keeps names from being handed out.
func (s *Set) Reserve(names ...string) {
	if s.used == nil {
		s.used = map[string]bool{}
	}
	for _, n := range names {
		s.used[n] = true
	}
}

// Unique returns want or, where that is taken, want with the first number from
// 2 that is free, and takes it.
func (s *Set) Unique(want string) string {
	if s.next == nil {
		s.next = map[string]int{}
	}
	id := want
	i := max(2, s.next[want])
	for ; s.used[id]; i++ {
		id = want + strconv.Itoa(i)
	}
	s.next[want] = i
	s.Reserve(id)
	return id
}
