// Package gatetest tests that a handler lets in whom its document lets in, and
// nobody else.
//
// [Run] is what generated tests call. They give it the document's facts as
// literals, and what has to follow from them is worked out here, by an
// evaluator that shares no code with package gate and never sees the generated
// policies. Keys, sessions, access tokens and certificates are real ones, verified
// by packages apikey, session, bearer and clientcert on an SQLite store; what
// the application verifies itself is verified by a [Fake].
//
// For tests of an application there are [Fake] and [Principal], and, for those
// of its logins, [Provider]: an identity provider on loopback that can be told
// to lie.
package gatetest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

// An API is what a document says, and how to build the handler that has to
// keep to it.
type API struct {
	Schemes    []Scheme
	Operations []Operation
	// Declared are the schemes that the server is built with: those of
	// Schemes, with the same places in the same order.
	Declared []gate.Scheme
	// Checks is the JSON Schema document that the server validates by. Run
	// tells by it whether the body of a sample is valid. "" for none.
	Checks string
	// New builds the real handler with one authenticator for each of
	// Schemes, by name. Whatever answers an operation must call called each
	// time it runs, with the operation's ID and who it was told calls (nil for
	// nobody, or if it is not told), and must have 501 answered.
	New func(auth map[string]gate.Authenticator, called func(operation string, who *gate.Principal)) (http.Handler, error)
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
	// Sample is a request that the operation's schemas take, of required
	// parts alone; none where it is not known. It holds no credentials.
	Sample Request
	// Wrong is a request that they refuse, where Sample has nothing to leave
	// out; none where it is not known.
	Wrong Request
}

// A Need is one scheme and the scopes that its credential must hold.
type Need struct {
	Scheme string
	Scopes []string
}

// Run asks the handler for every operation with every kind of credential:
// none, malformed, unknown, expired, revoked and another scheme's, sessions
// ended, tampered with and of another provider, tokens for another audience, of a
// program, with and without the proof that they are bound to, each alternative
// complete, in part and short of a scope, and more. Of every
// refusal it checks the status, the problem's code, the challenges, that
// nothing may be cached, that the operation did not run and that no byte of the
// body was read. Whoever is let in with the operation's Sample must have that
// operation run, and no other, once, and it must be told who calls. With a part
// of the Sample missing it must not run. The handler's routes and schemes must
// be the document's.
//
// An operation without a Sample, or with one that it refuses as it may refuse a
// wrong example, is not seen to run: Run logs which these are.
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
	t.Run("schemes", func(t *testing.T) {
		for _, err := range b.checkDeclared() {
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
	var unsure []string
	for _, op := range api.Operations {
		if b.unsure[op.ID] {
			unsure = append(unsure, op.ID)
		}
	}
	if len(unsure) > 0 {
		t.Logf("%d of %d operations have no sample request that they take, so it was not seen that their own handler runs: %s",
			len(unsure), len(api.Operations), strings.Join(unsure, ", "))
	}
}
