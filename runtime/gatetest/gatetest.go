// Package gatetest tests that a handler lets in whom its document lets in, and
// nobody else.
//
// [Run] is what generated tests call. They give it the document's facts as
// literals, and what has to follow from them is worked out here, by an
// evaluator that shares no code with package gate and never sees the generated
// policies. Keys are real ones, made and verified by package apikey on an
// SQLite store; every other kind of credential is verified by a [Fake].
//
// For tests of an application there are [Fake] and [Principal].
package gatetest

import (
	"net/http"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

// An API is what a document says, and how to build the handler that has to
// keep to it.
type API struct {
	Schemes    []Scheme
	Operations []Operation
	// New builds the real handler with one authenticator for each of
	// Schemes, by name. Whatever answers an operation must call called with
	// the operation's ID each time it runs.
	New func(auth map[string]gate.Authenticator, called func(operation string)) (http.Handler, error)
}

// A Scheme is one of the document's security schemes.
type Scheme struct {
	Name string
	// Verifier is apikey, session, token, jwt, introspection, certificate,
	// custom or undecided.
	Verifier string
	Places   []gate.Place // where the credential lies; never empty
}

// An Operation is one method on one path of the document.
type Operation struct {
	ID     string
	Method string
	Path   string // the template, base path included
	// Public is true where anybody may call, whatever is presented.
	Public bool
	// Alternatives are the document's security requirements: one must be
	// met, and in it all needs. One without needs is for who presents nothing.
	Alternatives [][]Need
	HasBody      bool
}

// A Need is one scheme and the scopes that its credential must hold.
type Need struct {
	Scheme string
	Scopes []string
}

// Run asks the handler for every operation with every kind of credential:
// none, malformed, unknown, expired, revoked and another scheme's, each
// alternative complete, in part and short of a scope, and more. Of every
// refusal it checks the status, the problem's code, the challenges, that
// nothing may be cached, that the operation did not run and that no byte of the
// body was read. It checks that the handler's routes are the document's.
//
// Each check is a subtest: TestSecurity/createPost/expired_key.
func Run(t *testing.T, api API) {
	t.Helper()
	ring, err := newKeyring(t.TempDir(), api.Schemes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ring.close)
	b, err := newBench(api, ring)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	t.Run("routes", func(t *testing.T) {
		for _, err := range b.checkRoutes() {
			t.Error(err)
		}
	})
	for _, op := range api.Operations {
		t.Run(op.ID, func(t *testing.T) {
			for _, p := range b.probes(op) {
				t.Run(p.name, func(t *testing.T) {
					for _, err := range b.try(p) {
						t.Error(err)
					}
				})
			}
		})
	}
}
