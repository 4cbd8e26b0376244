package bearer_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

// TestRealDex: what Dex calls an access token is an ID token to the letter (typ
// absent, aud the client, at_hash of nothing), and it says of both that they are
// access tokens where it is asked. So neither is taken, whatever is configured.
// It has no grant for programs.
func TestRealDex(t *testing.T) {
	s := testenv.Dex(t, testenv.DexConfig{RedirectURIs: []string{callback}})
	p := endpoints(t, s)
	audience := []string{"web-app"}
	a := newAPI(t, provider.Config{
		Name: "main", Issuer: s.Issuer, CA: s.CA.File,
		ClientID: "web-app", ClientSecret: secret.New("web-app-secret"),
	}, map[string]provider.Binding{
		"jwt":     {Audience: audience},
		"untyped": {Audience: audience, UntypedTokens: true},
		"asked":   {Audience: audience, UntypedTokens: true, AnyAudience: true},
	}, map[string]bearer.Kind{"jwt": bearer.JWT, "untyped": bearer.JWT, "asked": bearer.Opaque})

	tokens := p.person(t, "alice", "openid profile offline_access", "")
	for _, name := range []string{"access_token", "id_token"} {
		token := tokens[name].(string)
		a.refuses(t, "untyped_tokens: true", a.call(t, "jwt", "Bearer", token))
		a.refuses(t, "at_hash", a.call(t, "untyped", "Bearer", token))
		a.refuses(t, "at_hash", a.call(t, "asked", "Bearer", token))
	}
	// It is asked about what is no JWT, and says what kind of token that is.
	a.refuses(t, "no access token (token_use)", a.call(t, "asked", "Bearer", tokens["refresh_token"].(string)))
	a.refuses(t, "not active", a.call(t, "asked", "Bearer", "nobody-issued-this"))
	s.Stop()
	a.pass(time.Minute)
	if got := a.call(t, "asked", "Bearer", "nobody-issued-this"); got.status != 503 {
		t.Errorf("a token while Dex is down is answered with %d, want 503", got.status)
	}
	s.Restart(t)

	res, err := s.Client().Get(s.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var meta struct {
		Grants []string `json:"grant_types_supported"`
	}
	if err := json.NewDecoder(res.Body).Decode(&meta); err != nil || len(meta.Grants) == 0 || slices.Contains(meta.Grants, "client_credentials") {
		t.Errorf("the grants of Dex are %q, %v, want none for programs", meta.Grants, err)
	}
}
