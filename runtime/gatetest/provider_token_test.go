package gatetest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// post asks the token endpoint, and returns its status and its answer.
func post(t *testing.T, idp *gatetest.Provider, form url.Values, authorization ...string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", idp.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header["Authorization"] = authorization
	resp, err := idp.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(read(t, resp)), &members); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, members
}

func TestProviderTokenEndpoint(t *testing.T) {
	idp := gatetest.NewProvider(t, gatetest.ProviderConfig{ClientAuth: "client_secret_post"})
	p := newParty(t, idp)
	refresh := func(change func(url.Values)) url.Values {
		token, _ := p.mustSignIn()
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken},
			"client_id": {idp.ClientID}, "client_secret": {idp.ClientSecret}}
		change(form)
		return form
	}
	for _, c := range []struct {
		name   string
		form   url.Values
		header []string
		status int
		error  any
	}{
		{"honest", refresh(func(url.Values) {}), nil, 200, nil},
		{"fewer scopes", refresh(func(f url.Values) { f.Set("scope", "openid email") }), nil, 200, nil},
		{"more scopes", refresh(func(f url.Values) { f.Set("scope", "openid admin") }), nil, 400, "invalid_scope"},
		{"named in both ways", refresh(func(url.Values) {}), []string{"Basic eDp4"}, 400, "invalid_request"},
		{"named in another way", refresh(func(f url.Values) { f.Del("client_secret") }), []string{"Basic eDp4"}, 401, "invalid_client"},
		{"another scheme", refresh(func(f url.Values) { f.Del("client_secret") }), []string{"Bearer x"}, 401, "invalid_client"},
		{"no secret", refresh(func(f url.Values) { f.Del("client_secret") }), nil, 401, "invalid_client"},
		{"parameter twice", refresh(func(f url.Values) { f.Add("client_id", idp.ClientID) }), nil, 400, "invalid_request"},
		{"unknown token", refresh(func(f url.Values) { f.Set("refresh_token", "x") }), nil, 400, "invalid_grant"},
		{"unknown code", refresh(func(f url.Values) { f.Set("grant_type", "authorization_code"); f.Set("code", "x") }), nil, 400, "invalid_grant"},
		{"password", refresh(func(f url.Values) { f.Set("grant_type", "password") }), nil, 400, "unsupported_grant_type"},
	} {
		status, members := post(t, idp, c.form, c.header...)
		if status != c.status || members["error"] != c.error {
			t.Errorf("%s: %d, %v, want %d, %v", c.name, status, members["error"], c.status, c.error)
		}
		if c.name == "fewer scopes" && members["scope"] != "openid email" {
			t.Errorf("%s: scope = %v", c.name, members["scope"])
		}
	}
	if resp := get(t, idp, idp.Issuer+"/token"); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET /token = %s, want 405", resp.Status)
	}
}
