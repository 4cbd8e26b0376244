package login

import (
	"reflect"
	"slices"
	"testing"

	"github.com/gatewright/gatewright/runtime/provider"
)

func TestHeld(t *testing.T) {
	schemes := []Scheme{{Name: "login"}, {Name: "roles"}, {Name: "groups"}}
	bindings := map[string]provider.Binding{
		"roles":  {ScopesClaim: "r"},
		"groups": {ScopesClaim: "g", ScopesMap: map[string][]string{"staff": {"posts:write", "posts:edit"}, "boss": {"posts:edit", "all"}}},
	}
	claims := map[string]any{"r": "a b", "g": []any{"staff", "stranger", "boss"}}
	got := held(schemes, bindings, claims, []string{"openid", "x"})
	want := map[string][]string{"login": {"openid", "x"}, "roles": {"a", "b"}, "groups": {"posts:write", "posts:edit", "all"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("held() = %q, want %q", got, want)
	}
	// A claim that is not there grants nothing, whatever the token response says.
	got = held(schemes, bindings, nil, []string{"all"})
	if len(got["roles"])+len(got["groups"]) != 0 {
		t.Errorf("held() without the claims = %q, want nothing for roles and groups", got)
	}
	// A map that is there and empty grants nothing.
	bindings["roles"] = provider.Binding{ScopesClaim: "r", ScopesMap: map[string][]string{}}
	if got := held(schemes, bindings, claims, nil); len(got["roles"]) != 0 {
		t.Errorf("held() with an empty map = %q, want nothing", got["roles"])
	}
}

func TestStableID(t *testing.T) {
	for raw, want := range map[string]string{
		`12345`:                           "12345",
		`"abc"`:                           "abc",
		`9007199254740993`:                "9007199254740993", // beyond what a float64 tells apart
		`0`:                               "",
		`-1`:                              "",
		`1.5`:                             "",
		`1e3`:                             "",
		`""`:                              "",
		`null`:                            "",
		`true`:                            "",
		`{}`:                              "",
		`1234567890123456789012345678901`: "",
	} {
		got, err := stableID([]byte(raw))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("stableID(%s) = %q, %v, want %q", raw, got, err, want)
		}
	}
	if got, err := stableID(nil); err == nil {
		t.Errorf("stableID of no member = %q, want an error", got)
	}
}

func TestOneValue(t *testing.T) {
	for body, want := range map[string]bool{
		`{"a":1}`: true, ` [1] `: true, `"x"`: true,
		``: false, `{"a":1,"a":2}`: false, `{"a":{"b":1,"b":1}}`: false, `{} {}`: false, `{}x`: false, `{`: false, "\xff": false,
	} {
		if err := oneValue([]byte(body)); (err == nil) != want {
			t.Errorf("oneValue(%q) = %v, want fine: %v", body, err, want)
		}
	}
}

func TestMerged(t *testing.T) {
	got := merged(
		map[string]any{"iss": "i", "sub": "s", "name": "old", "a": "1"},
		map[string]any{"iss": "other", "sub": "s", "sid": "forged", "name": "new", "b": "2"})
	want := map[string]any{"iss": "i", "sub": "s", "name": "new", "a": "1", "b": "2"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("merged() = %v, want %v", got, want)
	}
}

func TestProfile(t *testing.T) {
	for name, c := range map[string]struct {
		claims      map[string]any
		name, email string
	}{
		"all":                   {map[string]any{"name": " Ann ", "email": "a@x", "email_verified": true}, "Ann", "a@x"},
		"unverified":            {map[string]any{"name": "Ann", "email": "a@x", "email_verified": false}, "Ann", ""},
		"unverified, as a text": {map[string]any{"name": "Ann", "email": "a@x", "email_verified": "false"}, "Ann", ""},
		"verified, as a text":   {map[string]any{"name": "Ann", "email": "a@x", "email_verified": "true"}, "Ann", "a@x"},
		"verified: null":        {map[string]any{"name": "Ann", "email": "a@x", "email_verified": nil}, "Ann", ""},
		"verified: 1":           {map[string]any{"name": "Ann", "email": "a@x", "email_verified": 1.0}, "Ann", ""},
		"unsaid":                {map[string]any{"preferred_username": "ann", "email": "a@x"}, "ann", "a@x"},
		"no texts":              {map[string]any{"name": 7.0, "nickname": "n\x00", "email": []any{}}, "", ""},
	} {
		if got := profile(c.claims); got.Name != c.name || got.Email != c.email {
			t.Errorf("%s: profile() = %+v, want %q, %q", name, got, c.name, c.email)
		}
	}
}

// TestScopesEveryone: whoever signs in holds them, whatever else a claim or the
// provider says.
func TestScopesEveryone(t *testing.T) {
	schemes := []Scheme{{Name: "mapped"}, {Name: "granted"}, {Name: "other"}}
	bindings := map[string]provider.Binding{
		"mapped":  {ScopesClaim: "groups", ScopesMap: map[string][]string{"staff": {"posts:write"}}, ScopesEveryone: []string{"comments:write", "posts:write"}},
		"granted": {ScopesEveryone: []string{"comments:write"}},
	}
	for name, c := range map[string]struct {
		groups []any
		want   map[string][]string
	}{
		"staff":  {[]any{"staff"}, map[string][]string{"mapped": {"posts:write", "comments:write"}, "granted": {"openid", "comments:write"}, "other": {"openid"}}},
		"nobody": {nil, map[string][]string{"mapped": {"comments:write", "posts:write"}, "granted": {"openid", "comments:write"}, "other": {"openid"}}},
	} {
		got := held(schemes, bindings, map[string]any{"groups": c.groups}, []string{"openid"})
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: held() = %v, want %v", name, got, c.want)
		}
	}
	if got := flat(map[string][]string{"a": {"y", "x"}, "b": {"x", "z"}, "c": nil}); !slices.Equal(got, []string{"x", "y", "z"}) {
		t.Errorf("flat() = %q", got)
	}
}

// TestWithout: what a provider takes away at a refresh is held no longer, and
// what a later login took away does not come back.
func TestWithout(t *testing.T) {
	for name, c := range map[string]struct{ held, before, after, want []string }{
		"nothing":      {[]string{"a", "b"}, []string{"a", "b"}, []string{"a", "b"}, []string{"a", "b"}},
		"taken away":   {[]string{"a", "b"}, []string{"a", "b"}, []string{"b"}, []string{"b"}},
		"less already": {[]string{"b"}, []string{"a", "b"}, []string{"a", "b"}, []string{"b"}},
		"other logins": {[]string{"c"}, []string{"a"}, nil, []string{"c"}},
	} {
		if got := without(c.held, c.before, c.after); !slices.Equal(got, c.want) {
			t.Errorf("%s: without() = %q, want %q", name, got, c.want)
		}
	}
}
