package gate

import (
	"fmt"
	"net/http"
	"strings"
)

// In is a part of a request that can hold a credential.
type In string

const (
	InHeader        In = "header"
	InQuery         In = "query"
	InCookie        In = "cookie"
	InAuthorization In = "authorization" // the Authorization header, under one scheme word
	InCertificate   In = "certificate"   // the TLS client certificate
)

// A Place is where a scheme's credential lies. Two schemes with the same Place
// claim the same credential.
type Place struct {
	In In
	// Name is the header's canonical name, the query parameter, the cookie,
	// or the scheme word in lower case. An empty word stands for what no
	// other scheme of the operation claims. A certificate has none.
	Name string
}

// Authorization is the Authorization header under the scheme word given, in
// any case (RFC 9110, section 11.1).
func Authorization(word string) Place { return Place{InAuthorization, strings.ToLower(word)} }

// A Scheme is one of the document's security schemes: its name there and
// where its credential lies.
type Scheme struct {
	Name   string
	Places []Place
}

// Check tells what is wrong with p: nil where a credential can lie there.
func (p Place) Check() error {
	switch {
	case p.In == InCertificate && p.Name == "":
		return nil
	case p.In == InQuery && p.Name != "", p.In == InCookie && isToken(p.Name):
		return nil
	case p.In == InAuthorization && p.Name == strings.ToLower(p.Name) && (p.Name == "" || isToken(p.Name)):
		return nil
	case p.In == InHeader && (p.Name == "Authorization" || p.Name == "Cookie"):
		return fmt.Errorf("%s as a plain header: use In %q or %q", p.Name, InAuthorization, InCookie)
	case p.In == InHeader && isToken(p.Name) && p.Name == http.CanonicalHeaderKey(p.Name):
		return nil
	}
	return fmt.Errorf("place {%q, %q} is none", p.In, p.Name)
}

// isToken tells whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return false
		}
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
