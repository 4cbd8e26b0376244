package gatetest

import (
	"net/url"
	"time"
)

// A Mischief is what a [Provider] does wrong, for tests of clients that must
// not fall for it. Its zero value is an honest provider. Functions are given
// what the honest provider would say and change it; they may be called
// concurrently, and may call the provider's methods.
type Mischief struct {
	// Clock is how far the clock is off in the tokens that are signed.
	Clock time.Duration
	// Metadata changes the discovery document: an issuer that is another's,
	// endpoints over http, members left out.
	Metadata func(metadata map[string]any)
	// Callback changes the parameters with which /authorize sends the
	// browser back: iss, state and code, or error and error_description.
	Callback func(params url.Values)
	// Token changes the members of what the token endpoint answers, of a
	// success and of an error.
	Token func(members map[string]any)
	// IDToken forges ID tokens, at login and at refresh.
	IDToken Forgery
	// UserInfo changes the claims that UserInfo answers with.
	UserInfo func(claims map[string]any)
	// SignedUserInfo has UserInfo answer with a signed JWT, as
	// application/jwt.
	SignedUserInfo bool
	// KeySet changes the JSON Web Key Set: keys without kid, of another use.
	KeySet func(set map[string]any)
	// RotateFirst signs each ID token with a new key, and publishes that one
	// alone: whoever has fetched the keys before does not know it.
	RotateFirst bool
	// LogoutToken forges logout tokens.
	LogoutToken Forgery
	// LogoutCallback changes the parameters with which /logout sends the
	// browser back.
	LogoutCallback func(params url.Values)
	// Faults spoil the answers of endpoints, by path: /token, say.
	Faults map[string]Fault
}

// A Fault spoils an answer on its way out: the provider has done what it was
// asked, so that a code is used up although the client never hears of it. The
// zero Fault spoils nothing.
type Fault struct {
	// Delay passes before the first byte is sent.
	Delay time.Duration
	// Drop closes the connection without an answer.
	Drop   bool
	Status int
	Type   string // Content-Type
	// Location sends the client there, with status 307 unless Status says
	// otherwise.
	Location string
	// Body replaces what would be sent: a page instead of JSON, members
	// given twice.
	Body func(honest []byte) []byte
	// Pad is how many blanks follow the body: JSON means the same with them.
	Pad int
	// Trickle passes between two bytes of the body.
	Trickle time.Duration
	// Gzip compresses the answer, Pad included, whatever the client accepts.
	Gzip bool
}

// A Forgery is what is wrong with a signed token. Its members act in their
// order here; the zero Forgery is an honest token.
type Forgery struct {
	// Claims changes the claims, or takes some away.
	Claims func(claims map[string]any)
	// RawClaims changes them as JSON, to have a name twice or in the wrong
	// case. What it returns is signed as it is.
	RawClaims func(claims []byte) []byte
	// Header changes the header, which has alg, kid and typ. A changed alg is
	// written there, the signature is made by Algorithm all the same.
	Header func(header map[string]any)
	// Algorithm signs instead of the configured one. none makes no
	// signature. HS256, HS384 and HS512 sign with Secret.
	Algorithm string
	// Secret is the key of HS256 and its kind. Nil: the public key's PEM,
	// which everybody has.
	Secret []byte
	// Foreign signs with a key that was never published, under the kid of
	// one that is.
	Foreign bool
	// Corrupt flips a bit of the signature.
	Corrupt bool
	// Whole replaces the token.
	Whole func(token string) string
}

// Misbehave has the provider do wrong what m says, from the next request on,
// and nothing else: the zero Mischief makes it honest again.
func (p *Provider) Misbehave(m Mischief) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mischief = m
}
