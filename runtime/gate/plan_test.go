package gate_test

import (
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

// New names every mistake, with the scheme and the operations.
func TestNewErrors(t *testing.T) {
	a := &tester{places: []gate.Place{inKey}}
	places := []gate.Place{inKey}
	_, err := gate.New(gate.Config{
		Schemes: []gate.Scheme{
			{Name: "nil", Places: places},
			{Name: "pointer", Places: places},
			{Name: "missing", Places: places},
			{Name: "unused", Places: places},
			{Name: "twice", Places: places},
			{Name: "twice", Places: places},
			{Name: "nowhere"},
			{Name: "odd", Places: []gate.Place{{In: "body", Name: "k"}}},
			{Name: "greedy", Places: []gate.Place{anyWord, bearer}},
		},
		Authenticators: map[string]gate.Authenticator{"nil": nil, "pointer": (*tester)(nil), "twice": a, "nowhere": a, "odd": a, "greedy": a, "typo": a},
		Operations: []*gate.Operation{
			{ID: "one", Policy: gate.Require(need("nil"), need("missing"))},
			nil,
			{ID: "two", Policy: gate.Require(need("missing")).Or(gate.Require(need("unknown")))},
		},
		PublicOrigin: "https://blog.example/",
	})
	if err == nil {
		t.Fatal("New = nil, want an error")
	}
	for _, want := range []string{
		`scheme "nil" has no authenticator; needed by one`,
		`scheme "pointer" has no authenticator; no operation needs it`,
		`scheme "missing" has no authenticator; needed by one, two`,
		`scheme "unused" has no authenticator; no operation needs it`,
		`scheme "twice" is there twice`,
		`scheme "nowhere" has no place`,
		`scheme "odd": place {"body", "k"} is none`,
		`scheme "greedy" claims Authorization under any word and under "bearer"`,
		`authenticator for scheme "typo", which is unknown`,
		`operation 1 is nil`,
		`operation "two" needs scheme "unknown", which is unknown`,
		`public origin "https://blog.example/"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want also %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 12 {
		t.Errorf("New = %d mistakes, want 12: %v", n, err)
	}
}

func TestNewPlaces(t *testing.T) {
	for _, c := range []struct {
		place gate.Place
		ok    bool
	}{
		{inKey, true},
		{inQuery, true},
		{inCookie, true},
		{inCert, true},
		{bearer, true},
		{anyWord, true},
		{gate.Place{}, false},
		{gate.Place{In: gate.InHeader}, false},
		{gate.Place{In: gate.InHeader, Name: "x-api-key"}, false},
		{gate.Place{In: gate.InHeader, Name: "X Key"}, false},
		{gate.Place{In: gate.InHeader, Name: "Authorization"}, false},
		{gate.Place{In: gate.InHeader, Name: "Cookie"}, false},
		{gate.Place{In: gate.InQuery}, false},
		{gate.Place{In: gate.InCookie}, false},
		{gate.Place{In: gate.InCookie, Name: "a=b"}, false},
		{gate.Place{In: gate.InAuthorization, Name: "Bearer"}, false},
		{gate.Place{In: gate.InAuthorization, Name: "a b"}, false},
		{gate.Place{In: gate.InCertificate, Name: "x"}, false},
	} {
		_, err := gate.New(gate.Config{
			Schemes:        []gate.Scheme{{Name: "s", Places: []gate.Place{c.place}}},
			Authenticators: map[string]gate.Authenticator{"s": gate.Refuse("test")},
		})
		if (err == nil) != c.ok {
			t.Errorf("New with %v = %v, want ok %v", c.place, err, c.ok)
		}
	}
}

func TestNewOrigin(t *testing.T) {
	for _, c := range []struct {
		origin string
		ok     bool
	}{
		{"", true},
		{"https://blog.example", true},
		{"https://blog.example:8443", true},
		{"http://localhost:8080", true},
		{"https://[::1]:8443", true},
		{"https://blog.example/", false},
		{"https://Blog.example", false},
		{"HTTPS://blog.example", false},
		{"https://blog.example:443", false},
		{"http://blog.example:80", false},
		{"https://user@blog.example", false},
		{"https://", false},
		{"blog.example", false},
		{"null", false},
		{"file:///x", false},
		{"https://a b", false},
	} {
		if _, err := gate.New(gate.Config{PublicOrigin: c.origin}); (err == nil) != c.ok {
			t.Errorf("New with origin %q = %v, want ok %v", c.origin, err, c.ok)
		}
	}
}

func TestUnverified(t *testing.T) {
	ops := []*gate.Operation{{ID: "one", Policy: gate.Require(need("b"))}}
	err := gate.Unverified(map[string]gate.Authenticator{"b": gate.Refuse("no issuer"), "a": gate.Refuse("no CA"), "c": &tester{}}, ops)
	want := "gate: scheme \"a\" has no verifier; no operation needs it: no CA\ngate: scheme \"b\" has no verifier; needed by one: no issuer"
	if err == nil || err.Error() != want {
		t.Errorf("Unverified = %v, want %s", err, want)
	}
	if err := gate.Unverified(map[string]gate.Authenticator{"c": &tester{}}, ops); err != nil {
		t.Errorf("Unverified = %v, want nil", err)
	}
}
