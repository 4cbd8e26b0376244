package gatetest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// A channel is an application's back channel that go-oidc checks for it.
type channel struct {
	*httptest.Server
	mu    sync.Mutex
	ended []string // subject and sid of the logouts taken
}

func newChannel(t *testing.T, p *party) *channel {
	c := new(channel)
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := p.op.Verifier(&oidc.Config{ClientID: p.idp.ClientID}).VerifyLogout(p.ctx, r.PostFormValue("logout_token"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = append(c.ended, token.Subject+" "+token.SessionID)
	}))
	t.Cleanup(c.Close)
	return c
}

func TestProviderLogsOut(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	c := newChannel(t, p)
	const after = "https://app.example/auth/logout"
	idp.RegisterServer("https://app.example/", "main", c.Client())
	if _, err := idp.Logout(t.Context(), "ann", ""); err == nil {
		t.Error("Logout() to a host that is not there = nil, want an error")
	}
	idp.Register(gatetest.Registration{RedirectURIs: []string{redirectURI}, PostLogoutURIs: []string{after}, BackChannelURI: c.URL, Client: c.Client()})
	token, _ := p.mustSignIn()
	p.mustSignIn()
	sids := idp.Sessions("ann")
	if len(sids) != 2 {
		t.Fatalf("Sessions() = %v, want two", sids)
	}
	hint, _ := token.Extra("id_token").(string)
	foreign := func(claim string) string { // an ID token for another client or of another issuer, by the same key
		idp.Misbehave(gatetest.Mischief{IDToken: gatetest.Forgery{Claims: func(c map[string]any) { c[claim] = "x" }}})
		defer idp.Misbehave(gatetest.Mischief{})
		if _, _, err := p.signIn(); err == nil {
			t.Fatalf("an ID token with another %s is taken", claim)
		}
		return idp.LastIDToken()
	}
	for _, q := range []url.Values{
		{"id_token_hint": {hint}, "post_logout_redirect_uri": {after + "x"}},
		{"id_token_hint": {hint + "x"}, "post_logout_redirect_uri": {after}},
		{"id_token_hint": {hint, hint}},
		{"id_token_hint": {foreign("iss")}},
		{"id_token_hint": {foreign("aud")}},
		{"id_token_hint": {hint}, "client_id": {"x"}},
		{"post_logout_redirect_uri": {after}},
	} {
		if resp := get(t, idp, idp.Issuer+"/logout?"+q.Encode()); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("logout with %v = %s, want 400", q, resp.Status)
		}
	}
	if got := idp.Sessions("ann"); len(got) != 4 || !slices.Equal(got[:2], sids) {
		t.Errorf("Sessions() after refused logouts = %v, want %v", got, sids)
	}
	idp.DropKeys()
	idp.RotateKeys() // a hint may be older than the key
	resp := get(t, idp, idp.Issuer+"/logout?"+url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {after}, "state": {"a b"}}.Encode())
	if at := resp.Header.Get("Location"); at != after+"?state=a+b" {
		t.Errorf("logout leads to %q, want %q", at, after+"?state=a+b")
	}
	if got := idp.Sessions("ann"); len(got) != 3 || got[0] != sids[1] {
		t.Errorf("Sessions() = %v, want all but %s", got, sids[0])
	}
	if _, err := p.refresh(token.RefreshToken); errorCode(err) != "invalid_grant" {
		t.Errorf("refresh after logout = %v, want invalid_grant", err)
	}
	if status, err := idp.Logout(t.Context(), "ann", sids[1]); status != http.StatusOK || err != nil {
		t.Errorf("Logout(sid) = %d, %v, want 200", status, err)
	}
	if status, err := idp.Logout(t.Context(), "ann", ""); status != http.StatusOK || err != nil {
		t.Errorf("Logout() = %d, %v, want 200", status, err)
	}
	if status, err := idp.Logout(t.Context(), "", sids[1]); status != http.StatusOK || err != nil {
		t.Errorf("Logout(sid alone) = %d, %v, want 200", status, err)
	}
	if got := idp.LogoutNotices(); !slices.Equal(got, []int{http.StatusOK}) {
		t.Errorf("LogoutNotices() = %v, want one 200", got)
	}
	want := []string{"ann " + sids[0], "ann " + sids[1], "ann ", " " + sids[1]}
	if !slices.Equal(c.ended, want) {
		t.Errorf("the application was told of %q, want %q", c.ended, want)
	}
	if resp := get(t, idp, idp.Issuer+"/logout?client_id="+idp.ClientID); resp.StatusCode != http.StatusOK {
		t.Errorf("logout with the client alone = %s, want 200", resp.Status)
	}
}

func TestProviderForgesLogoutTokens(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	idp.AddUser(gatetest.User{Subject: "ann"})
	c := newChannel(t, p)
	idp.Register(gatetest.Registration{BackChannelURI: c.URL, Client: c.Client()})
	p.mustSignIn()
	id := idp.LastIDToken()
	claims := func(change func(map[string]any)) gatetest.Forgery { return gatetest.Forgery{Claims: change} }
	for _, f := range []gatetest.Forgery{
		{Algorithm: "none"}, {Algorithm: "HS256"}, {Algorithm: "PS256"}, {Foreign: true}, {Corrupt: true},
		{Whole: func(string) string { return id }},
		claims(func(c map[string]any) { delete(c, "events") }),
		claims(func(c map[string]any) { c["events"] = map[string]any{"http://example.com/event": map[string]any{}} }),
		claims(func(c map[string]any) { c["nonce"] = "n" }),
		claims(func(c map[string]any) { c["aud"] = "x" }),
		claims(func(c map[string]any) { c["iss"] = "https://x.example" }),
		claims(func(c map[string]any) { delete(c, "jti") }),
		claims(func(c map[string]any) { c["exp"] = 1 }),
		claims(func(c map[string]any) { delete(c, "sub"); delete(c, "sid") }),
	} {
		idp.Misbehave(gatetest.Mischief{LogoutToken: f})
		if status, err := idp.Logout(t.Context(), "ann", "s"); status != http.StatusBadRequest || err != nil {
			t.Errorf("Logout() with %+v = %d, %v, want 400", f, status, err)
		}
	}
	idp.Misbehave(gatetest.Mischief{})
	if status, err := idp.Logout(t.Context(), "ann", "s"); status != http.StatusOK || err != nil {
		t.Errorf("Logout() = %d, %v, want 200", status, err)
	}
}

func TestProviderLogoutCallback(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	p.mustSignIn()
	idp.Misbehave(gatetest.Mischief{LogoutCallback: func(q url.Values) { q.Set("state", "other") }})
	to := idp.Issuer + "/logout?" + url.Values{"id_token_hint": {idp.LastIDToken()}, "post_logout_redirect_uri": {"https://app.example/?a=b"}, "state": {"mine"}}.Encode()
	if got, want := get(t, idp, to).Header.Get("Location"), "https://app.example/?a=b&state=other"; got != want {
		t.Errorf("logout leads to %q, want %q", got, want)
	}
}

// Several people sign in, refresh and leave at once.
func TestProviderConcurrently(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	var wait sync.WaitGroup
	for i := range 8 {
		subject := fmt.Sprintf("s-%d", i)
		idp.AddUser(gatetest.User{Subject: subject})
		wait.Go(func() {
			verifier := oauth2.GenerateVerifier()
			q := p.authorize(oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("login_hint", subject))
			token, err := p.oauth.Exchange(p.ctx, q.Get("code"), oauth2.VerifierOption(verifier))
			if err != nil {
				t.Error(err)
				return
			}
			if id, err := p.verify(token); err != nil || id.Subject != subject {
				t.Errorf("ID token = %+v, %v, want one of %s", id, err, subject)
			}
			if _, err := p.refresh(token.RefreshToken); err != nil {
				t.Error(err)
			}
			idp.Misbehave(gatetest.Mischief{})
			idp.Revoke(subject)
		})
	}
	wait.Wait()
}
