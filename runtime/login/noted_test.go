package login_test

import (
	"slices"
	"testing"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/provider"
)

// TestScopesAreNoted: what a person held at the last login is noted, for the
// keys they make; where it cannot be, nobody signs in.
func TestScopesAreNoted(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		idp.AddUser(gatetest.User{Subject: "ann", Claims: map[string]any{"groups": []any{"staff"}}})
		o.config = func(c *login.Config) {
			c.Bindings = map[string]provider.Binding{"session": {
				ScopesClaim: "groups", ScopesMap: map[string][]string{"staff": {"posts:write"}}, ScopesEveryone: []string{"comments:write"},
			}}
		}
		a := newApp(t, o, idp.Config("main"))
		b := newBrowser(t, a, idp)
		idp.SignInAs("ann")
		holds := func(want ...string) {
			t.Helper()
			v := b.signIn()
			rec, err := a.stores.Users().Load(t.Context(), v.body)
			if err != nil || !slices.Equal(rec.Scopes, want) {
				t.Errorf("after the login the user's scopes are %q, %v, want %q", rec.Scopes, err, want)
			}
		}
		holds("comments:write", "posts:write")
		idp.AddUser(gatetest.User{Subject: "ann", Claims: map[string]any{"groups": []any{"nobody"}}})
		holds("comments:write")
	})
}
