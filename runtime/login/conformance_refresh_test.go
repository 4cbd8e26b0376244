package login_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/provider"
)

// newRefresh is a stage whose access tokens live for five minutes, with
// somebody signed in, and the time of both sides six minutes later.
func newRefresh(t *testing.T) (*stage, *browser, visit) {
	t.Helper()
	var passed atomic.Int64
	s := newStage(t, play{
		provider: gatetest.ProviderConfig{ExpiresIn: 5 * time.Minute, Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }},
		config:   func(c *provider.Config) { *c = offline(*c) },
	})
	b := s.run(t, trial{must: accept})
	first := b.call("/token")
	if first.status != 200 || s.idp.Grants("refresh_token") != 0 {
		t.Fatalf("GET /token = %d, after %d refreshes", first.status, s.idp.Grants("refresh_token"))
	}
	passed.Store(int64(6 * time.Minute))
	s.offset.Store(int64(6 * time.Minute))
	s.log.reset()
	return s, b, first
}

// userInfo asks UserInfo as a handler would, on the person's behalf.
func userInfo(t *testing.T, idp *gatetest.Provider, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, idp.Issuer+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := idp.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// refreshCase is a refresh, and what it must come to.
type refreshCase struct {
	name     string
	mischief gatetest.Mischief
	must     outcome
	cause    string
}

// runRefresh asks for the access token once it is over. A refresh that must be
// rejected ends the session; where nothing is known, it goes on.
func runRefresh(t *testing.T, c refreshCase) (*stage, *browser, visit) {
	t.Helper()
	s, b, first := newRefresh(t)
	s.misbehave(c.mischief)
	v := b.call("/token")
	s.misbehave(gatetest.Mischief{})
	want := map[outcome]int{accept: 200, reject: 401, unavailable: 503}[c.must]
	if v.status != want || b.signedIn() == (c.must == reject) {
		t.Errorf("GET /token = %d %s, signed in afterwards: %v, want %d", v.status, v.body, b.signedIn(), want)
	}
	if c.must == accept && (v.body == first.body || v.body == "") {
		t.Errorf("GET /token = %s, want a new token", v.body)
	}
	if c.must == reject {
		s.log.wants(t, "audit=true", "session ended", "refresh failed", c.cause)
	}
	if n := s.idp.Grants("refresh_token"); n != 1 || s.idp.RefreshReuses() != 0 {
		t.Errorf("%d refreshes, %d with a used token", n, s.idp.RefreshReuses())
	}
	if c.must != accept {
		if strings.Contains(v.body, canary) || !strings.HasPrefix(v.header.Get("Content-Type"), "application/problem+json") {
			t.Errorf("GET /token = %v %s", v.header, v.body)
		}
		s.checkSecrets(t, v, b)
	} else {
		s.checkSecrets(t, visit{}, b)
	}
	return s, b, v
}

// TestConformanceRefresh has the tests of oidcc-client-refreshtoken-test-plan.
func TestConformanceRefresh(t *testing.T) {
	t.Run("oidcc-client-test-refresh-token", func(t *testing.T) {
		s, b, v := runRefresh(t, refreshCase{must: accept})
		if status, body := userInfo(t, s.idp, v.body); status != 200 || !strings.Contains(body, `"sub":"ann"`) {
			t.Errorf("UserInfo with the new token = %d %s", status, body)
		}
		if again := b.call("/token"); again.body != v.body || s.idp.Grants("refresh_token") != 1 {
			t.Errorf("GET /token again = %d, after %d refreshes", again.status, s.idp.Grants("refresh_token"))
		}
	})
	t.Run("oidcc-client-test-refresh-token-invalid-issuer", func(t *testing.T) {
		runRefresh(t, refreshCase{must: reject, cause: "issued by", mischief: claims(func(c map[string]any) { c["iss"] = fmt.Sprint(c["iss"], "1") })})
	})
	t.Run("oidcc-client-test-refresh-token-invalid-sub", func(t *testing.T) {
		runRefresh(t, refreshCase{must: reject, cause: "subject", mischief: claims(func(c map[string]any) { c["sub"] = fmt.Sprint(c["sub"], "1") })})
	})
}

// TestAdversaryRefresh: a refreshed ID token is checked as the first was (Core,
// section 12.2).
func TestAdversaryRefresh(t *testing.T) {
	for _, c := range []refreshCase{
		{"aud is another", with("aud", "mallory"), reject, "aud is not"},
		{"azp is another", with("azp", "mallory"), reject, "azp"},
		{"sub is absent", with("sub", nil), reject, "sub is missing"},
		{"iat is absent", with("iat", nil), reject, "iat is missing"},
		{"a foreign key", forged(gatetest.Forgery{Foreign: true}), reject, "signature"},
		{"alg is none", forged(gatetest.Forgery{Algorithm: "none"}), reject, "part 3"},
		{"at_hash is of another token", with("at_hash", "MTIzNDU2Nzg5MDEyMzQ1Ng"), reject, "at_hash"},
		{"typ is that of an access token", header("typ", "at+jwt"), reject, "typ"},
		{"token_type is DPoP", tokens(map[string]any{"token_type": "DPoP"}), reject, "Bearer"},
		{"invalid_grant", spoilt("/token", says(400, "application/json", `{"error":"invalid_grant","error_description":"`+canary+`"}`)), reject, "invalid_grant"},
		{"id_token is there twice", spoilt("/token", amid(`"id_token":"x"`)), unavailable, ""},
		{"a page", spoilt("/token", says(200, "text/html", script)), unavailable, ""},
		{"500", spoilt("/token", gatetest.Fault{Status: 500}), unavailable, ""},
		{"huge", spoilt("/token", gatetest.Fault{Pad: large}), unavailable, ""},
		{"a redirect", spoilt("/token", gatetest.Fault{Location: "/elsewhere"}), unavailable, ""},
		{"no ID token", tokens(map[string]any{"id_token": nil}), accept, ""},
	} {
		t.Run(c.name, func(t *testing.T) { runRefresh(t, c) })
	}
}
