package gate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatewright/gatewright/runtime/gate"
)

// An operation is open to who holds a session with a scope, to partners with
// a key and a certificate, and to nobody else.
func ExampleRequire() {
	op := gate.Operation{
		ID:      "listInvoices",
		Pattern: "GET /v1/invoices",
		Policy: gate.Require(gate.Need{Scheme: "staff", Scopes: []string{"invoices:read"}}).
			Or(gate.Require(gate.Need{Scheme: "partner"}, gate.Need{Scheme: "certificate"})),
	}
	for _, a := range op.Policy.Alternatives() {
		fmt.Println(a.Needs())
	}
	// Output:
	// [{staff [invoices:read]}]
	// [{partner []} {certificate []}]
}

func ExampleDecide() {
	policy := gate.Require(gate.Need{Scheme: "staff", Scopes: []string{"invoices:write"}})
	reader := gate.Identity{User: &gate.User{ID: "usr_1"}, Scopes: gate.Scopes{"invoices:read"}}
	for _, s := range []gate.State{
		{},
		{Outcome: gate.Invalid},
		{Outcome: gate.Valid, Identity: reader},
	} {
		d := gate.Decide(policy, map[string]gate.State{"staff": s})
		fmt.Println(s.Outcome, d.Status, d.Code)
	}
	// Output:
	// absent 401 credential_missing
	// invalid 401 credential_invalid
	// valid 403 insufficient_scope
}

func ExampleGate_Admit() {
	key := gate.Place{In: gate.InHeader, Name: "X-Api-Key"}
	op := &gate.Operation{ID: "ping", Pattern: "GET /ping", Policy: gate.Require(gate.Need{Scheme: "key"})}
	g, err := gate.New(gate.Config{
		Schemes:        []gate.Scheme{{Name: "key", Places: []gate.Place{key}}},
		Authenticators: map[string]gate.Authenticator{"key": gate.Refuse("no key store is configured")},
		Operations:     []*gate.Operation{op},
		PublicOrigin:   "https://api.example",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		who, ok := g.Admit(w, r, op)
		if !ok {
			return // answered
		}
		fmt.Fprintln(w, "pong to", who.Via())
	}
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest("GET", "/ping", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 503 application/problem+json
}

func ExamplePlace_Challenge() {
	bearer := gate.Authorization("Bearer")
	fmt.Println(gate.Place{In: gate.InHeader, Name: "X-Api-Key"}.Challenge(nil))
	fmt.Println(bearer.Challenge(gate.ErrInvalid))
	fmt.Println(bearer.Challenge(&gate.InsufficientScope{Scopes: []string{"posts:write"}}))
	// Output:
	// ApiKey in="header", name="X-Api-Key"
	// Bearer realm="api", error="invalid_token"
	// Bearer realm="api", error="insufficient_scope", scope="posts:write"
}

func ExampleFindIn() {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer abc")
	r.Header.Set("Cookie", "session=xyz")
	c, found, err := gate.FindIn(r, gate.Authorization("bearer"), gate.Place{In: gate.InCookie, Name: "session"})
	fmt.Println(c.Value, found, err)
	// Output: abc true <nil>
}
