package gate

import "strings"

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
	// other scheme of the operation claims.
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
