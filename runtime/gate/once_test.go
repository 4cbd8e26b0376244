package gate_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A onceKey is what counts one time.
type onceKey struct{ value string }

// onlyOnce takes each credential one time.
type onlyOnce struct {
	tester
	used map[string]int // shared by schemes
	key  func(value string) any
	err  error
}

func (a *onlyOnce) Verify(ctx context.Context, _ *http.Request, c gate.Credential) (gate.Identity, error) {
	err := gate.Once(ctx, a.key(c.Value), func() error {
		if a.used[c.Value]++; a.used[c.Value] > 1 {
			return gate.ErrInvalid
		}
		return a.err
	})
	if err != nil {
		return gate.Identity{}, err
	}
	return gate.Identity{User: &gate.User{ID: "u1"}}, nil
}

func TestOnce(t *testing.T) {
	same := func(value string) any { return onceKey{value} }
	down := errors.New("down")
	for _, c := range []struct {
		name  string
		keys  [2]func(string) any
		err   error
		want  int // status of the first request; 0: let in
		again int // and of a second with the same credential
	}{
		{"one key", [2]func(string) any{same, same}, nil, 0, 401},
		{"two keys", [2]func(string) any{same, func(string) any { return "other" }}, nil, 401, 401},
		{"an error is the same for both", [2]func(string) any{same, same}, down, 503, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := &gate.Operation{ID: "op", Pattern: "GET /", Policy: gate.Require(gate.Need{Scheme: "a"}, gate.Need{Scheme: "b"})}
			place := gate.Authorization("bearer")
			used := make(map[string]int)
			auth := make(map[string]gate.Authenticator)
			for i, name := range []string{"a", "b"} {
				auth[name] = &onlyOnce{tester{places: []gate.Place{place}}, used, c.keys[i], c.err}
			}
			g, err := gate.New(gate.Config{
				Schemes:        []gate.Scheme{{Name: "a", Places: []gate.Place{place}}, {Name: "b", Places: []gate.Place{place}}},
				Authenticators: auth, Operations: []*gate.Operation{op}, PublicOrigin: "https://a.example",
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []int{c.want, c.again} {
				r := httptest.NewRequest("GET", "https://a.example/", nil)
				r.Header.Set("Authorization", "Bearer x")
				w := httptest.NewRecorder()
				if _, ok := g.Admit(w, r, op); ok != (want == 0) || !ok && w.Code != want {
					t.Errorf("request %d: Admit() = %v, %d, want %d", i+1, ok, w.Code, want)
				}
			}
		})
	}
	calls := 0
	for range 2 {
		if err := gate.Once(t.Context(), onceKey{}, func() error { calls++; return nil }); err != nil || calls == 0 {
			t.Errorf("Once() = %v, %d calls", err, calls)
		}
	}
	if calls != 2 {
		t.Errorf("without a request of several schemes f was called %d times, want 2", calls)
	}
}
