package login_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// headerOf reads the header of a token.
func headerOf(t *testing.T, token string) map[string]any {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	var h map[string]any
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// moved has every endpoint elsewhere than one would guess.
func moved(m map[string]any) {
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"} {
		m[name] = fmt.Sprint(m[name], "?from=metadata")
	}
}

// TestConformanceConfig has the tests of the plan
// oidcc-client-config-certification-test-plan.
func TestConformanceConfig(t *testing.T) {
	t.Run("oidcc-client-test-discovery-openid-config", func(t *testing.T) {
		s := newStage(t, play{before: func(idp *gatetest.Provider) { idp.Misbehave(gatetest.Mischief{Metadata: moved}) }})
		s.run(t, trial{must: accept})
		if n := s.idp.Requests("/.well-known/openid-configuration"); n != 1 {
			t.Errorf("the metadata were fetched %d times", n)
		}
		for _, path := range []string{"/authorize", "/token", "/userinfo"} {
			for _, r := range s.idp.Asked(path) {
				if r.Query.Get("from") != "metadata" {
					t.Errorf("%s was asked with the query %v, want what the metadata have", path, r.Query)
				}
			}
		}
	})
	t.Run("oidcc-client-test-discovery-jwks-uri-keys", func(t *testing.T) {
		s := newStage(t, play{before: func(idp *gatetest.Provider) { idp.Misbehave(gatetest.Mischief{Metadata: moved}) }})
		s.run(t, trial{must: accept})
		keys := s.idp.Asked("/jwks")
		if len(keys) != 1 || keys[0].Query.Get("from") != "metadata" {
			t.Errorf("the keys were fetched by %v", keys)
		}
		s.run(t, trial{must: reject, cause: "signature", mischief: forged(gatetest.Forgery{Foreign: true})})
	})
	t.Run("oidcc-client-test-discovery-issuer-mismatch", func(t *testing.T) {
		s := newStage(t, play{option: option{noOpen: true}, before: func(idp *gatetest.Provider) {
			idp.Misbehave(gatetest.Mischief{Metadata: func(m map[string]any) { m["issuer"] = fmt.Sprint(m["issuer"], "/"+canary) }})
		}})
		if err := s.login.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "they name the issuer") {
			t.Errorf("Open() = %v, want the issuer named", err)
		}
		b := newBrowser(t, s.app, s.idp)
		v := b.signIn()
		if v.status != 503 || b.signedIn() || s.idp.Requests("/authorize") != 0 {
			t.Errorf("a login = %d, signed in: %v", v.status, b.signedIn())
		}
		s.holdsNothing(t, b)
		s.checkPage(t, v)
		s.checkSecrets(t, v, b)
		s.log.wants(t, "login not begun", "they name the issuer")
	})
	t.Run("oidcc-client-test-idtoken-sig-none", func(t *testing.T) {
		// What the provider says of its algorithms is no leave to use them.
		s := newStage(t, play{before: func(idp *gatetest.Provider) {
			idp.Misbehave(gatetest.Mischief{Metadata: func(m map[string]any) {
				m["id_token_signing_alg_values_supported"] = []string{"none"}
			}})
		}})
		s.log.wants(t, "level=WARN", "signs ID tokens with none of the configured algorithms")
		s.run(t, trial{must: reject, cause: "part 3 of the token is empty", mischief: forged(gatetest.Forgery{Algorithm: "none"})})
	})
	t.Run("oidcc-client-test-signing-key-rotation-just-before-signing", func(t *testing.T) {
		s := newStage(t, play{})
		s.run(t, trial{must: accept})
		s.run(t, trial{must: accept, mischief: gatetest.Mischief{RotateFirst: true}})
		if n := s.idp.Requests("/jwks"); n != 2 {
			t.Errorf("the keys were fetched %d times, want once for each new key", n)
		}
		// Whoever rotates them all the time does not have us fetch all the time.
		s.run(t, trial{must: reject, cause: "key", mischief: gatetest.Mischief{RotateFirst: true}})
		if n := s.idp.Requests("/jwks"); n != 2 {
			t.Errorf("the keys were fetched %d times within seconds", n)
		}
		s.offset.Store(int64(11 * time.Second))
		s.run(t, trial{must: accept, mischief: gatetest.Mischief{RotateFirst: true}})
	})
	t.Run("oidcc-client-test-signing-key-rotation", func(t *testing.T) {
		s := newStage(t, play{})
		s.run(t, trial{must: accept})
		old := headerOf(t, s.idp.LastIDToken())["kid"]
		s.idp.RotateKeys()
		s.idp.DropKeys()
		s.run(t, trial{must: accept})
		if kid := headerOf(t, s.idp.LastIDToken())["kid"]; kid == old || s.idp.Requests("/jwks") != 2 {
			t.Errorf("the keys %v and %v signed, and were fetched %d times", old, kid, s.idp.Requests("/jwks"))
		}
	})
}
