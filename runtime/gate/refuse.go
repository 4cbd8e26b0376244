package gate

import (
	"context"
	"fmt"
	"net/http"
)

// Refuse returns an Authenticator for a scheme that nothing verifies: a
// credential for it is never examined (503), and an operation that no other
// scheme opens answers 503. why is for the log and the operator.
func Refuse(why string) Authenticator { return refusal{why} }

// Refused tells whether a comes from [Refuse], and why.
func Refused(a Authenticator) (why string, ok bool) {
	r, ok := a.(refusal)
	return r.why, ok
}

type refusal struct{ why string }

// Find finds nothing: it is the gate that knows the scheme's places.
func (refusal) Find(*http.Request) (Credential, bool, error) { return Credential{}, false, nil }

func (r refusal) Verify(context.Context, *http.Request, Credential) (Identity, error) {
	return Identity{}, fmt.Errorf("gate: scheme has no verifier: %s", r.why)
}

// Challenge asks for nothing: no credential would do.
func (refusal) Challenge(error) string { return "" }
