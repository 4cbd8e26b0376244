package gate_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A stray authenticator says that its credential lies elsewhere.
type stray struct {
	tester
	at    gate.Place
	found bool
	err   error
}

func (a *stray) Find(*http.Request) (gate.Credential, bool, error) {
	return gate.Credential{Place: a.at, Value: "good"}, a.found, a.err
}

func (a *stray) Challenge(error) string { panic("no challenge") }

func TestAdmitStrayAuthenticators(t *testing.T) {
	key := gate.Place{In: gate.InHeader, Name: "X-Key"}
	for _, c := range []struct {
		name   string
		scheme string
		auth   *stray
		status int
		code   string
	}{
		{"names no place", "key", &stray{found: true}, 200, ""},
		{"names no place where there are two", "session", &stray{found: true}, 503, "verifier_unavailable"},
		{"names a place of another scheme", "session", &stray{at: key, found: true}, 503, "verifier_unavailable"},
		{"an error alone", "key", &stray{err: gate.ErrDuplicate}, 400, "credential_duplicate"},
		{"an error that is neither", "key", &stray{err: errors.New("x"), found: true}, 400, "credential_duplicate"},
		{"finds nothing, and panics when asked for a challenge", "key", &stray{}, 401, "credential_missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := &gate.Operation{ID: "op", Policy: gate.Require(need(c.scheme))}
			g, _ := guard(t, op, map[string]gate.Authenticator{c.scheme: c.auth})
			w, code, _, ok := admit(t, g, op, request(t, ""))
			if w.Code != c.status || code != c.code || ok != (c.status == 200) {
				t.Errorf("Admit = %d %q, %v, want %d %q", w.Code, code, ok, c.status, c.code)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") != `ApiKey in="header", name="X-Key"` {
				t.Errorf("WWW-Authenticate = %q", w.Header()["Www-Authenticate"])
			}
		})
	}
	t.Run("a cookie without a place needs proof all the same", func(t *testing.T) {
		op := &gate.Operation{ID: "op", Policy: gate.Require(need("s"))}
		g, err := gate.New(gate.Config{
			Operations: []*gate.Operation{op}, Schemes: []gate.Scheme{{Name: "s", Places: []gate.Place{inCookie}}},
			Authenticators: map[string]gate.Authenticator{"s": &stray{found: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if w, code, _, _ := admit(t, g, op, request(t, "")); w.Code != 403 || code != "origin_missing" {
			t.Errorf("Admit = %d %q, want 403 origin_missing", w.Code, code)
		}
	})
}

func TestAdmitUnknownOperation(t *testing.T) {
	g, _ := guard(t, &gate.Operation{ID: "op", Policy: gate.Public()}, nil)
	for _, op := range []*gate.Operation{nil, {ID: "op", Policy: gate.Public()}} {
		if w, code, who, ok := admit(t, g, op, request(t, "")); ok || who != nil || w.Code != 500 || code != "internal" {
			t.Errorf("Admit(%v) = %d %q, %v, want 500", op, w.Code, code, ok)
		}
	}
}

// An operation is guarded by the policy it had when the gate was made.
func TestAdmitReadsPoliciesOnce(t *testing.T) {
	op := &gate.Operation{ID: "op", Policy: gate.Require(need("key"))}
	g, _ := guard(t, op, nil)
	op.Policy = gate.Public()
	if w, _, _, ok := admit(t, g, op, request(t, "")); ok {
		t.Errorf("Admit = %d, let in by a policy that came later", w.Code)
	}
}

func TestRefused(t *testing.T) {
	if why, ok := gate.Refused(gate.Refuse("why")); why != "why" || !ok {
		t.Errorf("Refused = %q, %v", why, ok)
	}
	if why, ok := gate.Refused(nil); why != "" || ok {
		t.Errorf("Refused(nil) = %q, %v", why, ok)
	}
	if _, err := gate.Refuse("why").Verify(t.Context(), nil, gate.Credential{}); err == nil || errors.Is(err, gate.ErrAbsent) || errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify = %v, want an error that is neither of the sentinels", err)
	}
}
