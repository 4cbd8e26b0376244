package gatetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A Fake stands for a verifier in tests: it takes the tokens that it issued
// itself and no others. Never use one in a server. Its methods may be called
// concurrently.
type Fake struct {
	scheme Scheme
	mu     sync.Mutex
	issued map[string]answer
}

type answer struct {
	who gate.Identity
	err error
}

// NewFake returns a Fake for a scheme, which needs at least one place. It has
// issued nothing.
func NewFake(s Scheme) *Fake { return &Fake{scheme: s, issued: make(map[string]answer)} }

// Issue returns a new token that speaks of who. It may be sent in any of the
// scheme's places; in a certificate it is what stands in Raw.
func (f *Fake) Issue(who gate.Identity) string {
	token := rand.Text()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued[token] = answer{who: who}
	return token
}

// Spoil has Verify answer token with err from now on: gate.ErrInvalid for one
// that has expired, any error of another package for a verifier that is down.
func (f *Fake) Spoil(token string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued[token] = answer{err: err}
}

// Find implements gate.Authenticator: it looks in the scheme's places.
func (f *Fake) Find(r *http.Request) (gate.Credential, bool, error) {
	return gate.FindIn(r, f.scheme.Places...)
}

// Verify implements gate.Authenticator. A token that f did not issue is
// invalid. In the cookie of a session an invalid token counts as absent, as an
// ended session does.
func (f *Fake) Verify(_ context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	token := c.Value
	if c.Place.In == gate.InCertificate {
		token = string(r.TLS.PeerCertificates[0].Raw)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a, known := f.issued[token]
	if !known {
		a.err = gate.ErrInvalid
	}
	if errors.Is(a.err, gate.ErrInvalid) && f.scheme.Verifier == "session" && c.Place.In == gate.InCookie {
		return gate.Identity{}, gate.ErrAbsent
	}
	return a.who, a.err
}

// Challenge implements gate.Authenticator. Its realm is the scheme's name, so
// that no two schemes have the same challenge.
func (f *Fake) Challenge(error) string {
	return challengeWord(f.scheme) + fmt.Sprintf(" realm=%q", f.scheme.Name)
}
