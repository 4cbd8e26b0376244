package gatetest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

const redirectURI = "https://app.example/auth/callback/main"

// A party is an honest relying party that shares no code with ours.
type party struct {
	t     *testing.T
	idp   *gatetest.Provider
	ctx   context.Context
	op    *oidc.Provider
	oauth oauth2.Config
}

func newParty(t *testing.T, idp *gatetest.Provider) *party {
	t.Helper()
	ctx := oidc.ClientContext(t.Context(), idp.Client())
	op, err := oidc.NewProvider(ctx, idp.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := op.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	cfg := idp.Config("main")
	switch cfg.ClientAuth {
	case "client_secret_post", "none":
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &party{t, idp, ctx, op, oauth2.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(), Endpoint: endpoint,
		RedirectURL: redirectURI, Scopes: append(cfg.Scopes, "posts:write", "posts:delete"),
	}}
}

// authorize asks for a code and returns the parameters of the callback.
func (p *party) authorize(opts ...oauth2.AuthCodeOption) url.Values {
	p.t.Helper()
	return callback(p.t, p.idp, p.oauth.AuthCodeURL("the-state", opts...))
}

func callback(t *testing.T, idp *gatetest.Provider, to string) url.Values {
	t.Helper()
	resp := get(t, idp, to)
	at, err := resp.Location()
	if err != nil {
		t.Fatalf("GET %s = %s, want a redirect", to, resp.Status)
	}
	return at.Query()
}

// get does not follow redirects.
func get(t *testing.T, idp *gatetest.Provider, to string) *http.Response {
	t.Helper()
	client := *idp.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// signIn goes all the way and verifies the ID token.
func (p *party) signIn() (*oauth2.Token, *oidc.IDToken, error) {
	p.t.Helper()
	verifier := oauth2.GenerateVerifier()
	q := p.authorize(oauth2.S256ChallengeOption(verifier), oidc.Nonce("the-nonce"))
	if q.Get("state") != "the-state" || q.Get("iss") != p.idp.Issuer {
		return nil, nil, errors.New("callback: " + q.Encode())
	}
	token, err := p.oauth.Exchange(p.ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, nil, err
	}
	id, err := p.verify(token)
	if err == nil && id.Nonce != "the-nonce" {
		err = errors.New("nonce: " + id.Nonce)
	}
	return token, id, err
}

func (p *party) verify(token *oauth2.Token) (*oidc.IDToken, error) {
	raw, _ := token.Extra("id_token").(string)
	id, err := p.op.Verifier(&oidc.Config{ClientID: p.idp.ClientID}).Verify(p.ctx, raw)
	if err != nil {
		return nil, err
	}
	return id, id.VerifyAccessToken(token.AccessToken)
}

// mustSignIn is signIn where nothing may go wrong.
func (p *party) mustSignIn() (*oauth2.Token, *oidc.IDToken) {
	p.t.Helper()
	token, id, err := p.signIn()
	if err != nil {
		p.t.Fatal(err)
	}
	return token, id
}

func (p *party) refresh(token string) (*oauth2.Token, error) {
	return p.oauth.TokenSource(p.ctx, &oauth2.Token{RefreshToken: token}).Token()
}

// errorCode is the code of a token endpoint's refusal.
func errorCode(err error) string {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return refused.ErrorCode
	}
	return ""
}

func TestProviderSignsIn(t *testing.T) {
	for _, c := range []gatetest.ProviderConfig{
		{},
		{Algorithm: "PS256", ClientAuth: "client_secret_post", ClientSecret: "a secret: +%"},
		{Algorithm: "ES256", ClientID: "an app+", ClientSecret: "a secret: +%"},
		{Algorithm: "ES384", ClientAuth: "none"},
		{Algorithm: "EdDSA"},
	} {
		t.Run(c.Algorithm+c.ClientAuth, func(t *testing.T) {
			idp := gatetest.NewProvider(t, c)
			idp.AddUser(gatetest.User{Subject: "s-1", Name: "Ann", Email: "ann@example.com",
				Scopes: []string{"posts:write"}, Claims: map[string]any{"groups": []string{"authors"}}})
			p := newParty(t, idp)
			token, id := p.mustSignIn()
			var claims struct {
				Name, Email, Sid string
				Groups           []string
				AuthTime         int64 `json:"auth_time"`
			}
			if err := id.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			if id.Subject != "s-1" || claims.Name != "Ann" || claims.Email != "ann@example.com" || !slices.Equal(claims.Groups, []string{"authors"}) {
				t.Errorf("ID token speaks of %q, %+v", id.Subject, claims)
			}
			if at := time.Unix(claims.AuthTime, 0); time.Since(at).Abs() > time.Minute || time.Since(id.IssuedAt).Abs() > time.Minute {
				t.Errorf("auth_time = %v, iat = %v, want now", at, id.IssuedAt)
			}
			if sids := idp.Sessions("s-1"); !slices.Equal(sids, []string{claims.Sid}) {
				t.Errorf("Sessions() = %v, want %q", sids, claims.Sid)
			}
			if got, want := token.Extra("scope"), "openid profile email posts:write"; got != want {
				t.Errorf("scope = %v, want %v", got, want)
			}
			if left := time.Until(token.Expiry); left < 50*time.Minute || left > time.Hour || token.TokenType != "Bearer" || token.RefreshToken == "" {
				t.Errorf("token lives for %v, type %q, refresh token %q", left, token.TokenType, token.RefreshToken)
			}
			info, err := p.op.UserInfo(p.ctx, oauth2.StaticTokenSource(token))
			if err != nil || info.Subject != "s-1" || info.Email != "ann@example.com" || !info.EmailVerified {
				t.Errorf("UserInfo() = %+v, %v", info, err)
			}
			if n := idp.Requests("/token"); n != 1 || idp.Grants("authorization_code") != 1 || idp.CodeReuses() != 0 {
				t.Errorf("%d requests at the token endpoint, %d codes, %d again, want 1, 1, 0", n, idp.Grants("authorization_code"), idp.CodeReuses())
			}
			if asked := idp.Asked("/authorize"); len(asked) != 1 || asked[0].Query.Get("nonce") != "the-nonce" {
				t.Errorf("Asked(/authorize) = %v", asked)
			}
		})
	}
}

func TestProviderSignsInWhomItIsTold(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	who := func(opts ...oauth2.AuthCodeOption) string {
		t.Helper()
		verifier := oauth2.GenerateVerifier()
		q := p.authorize(append(opts, oauth2.S256ChallengeOption(verifier))...)
		if q.Has("error") {
			return q.Get("error")
		}
		token, err := p.oauth.Exchange(p.ctx, q.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		id, err := p.verify(token)
		if err != nil {
			t.Fatal(err)
		}
		return id.Subject
	}
	if got := who(); got != "ann" {
		t.Errorf("without users %q signs in, want ann", got)
	}
	idp.AddUser(gatetest.User{Subject: "s-1"})
	idp.AddUser(gatetest.User{Subject: "s-2"})
	idp.AddUser(gatetest.User{Subject: "s-1", Name: "again"})
	if got := who(); got != "s-1" {
		t.Errorf("%q signs in, want the first user", got)
	}
	idp.SignInAs("s-2")
	if got := who(); got != "s-2" {
		t.Errorf("%q signs in, want s-2", got)
	}
	if got := who(oauth2.SetAuthURLParam("login_hint", "s-1")); got != "s-1" {
		t.Errorf("%q signs in, want s-1 as hinted", got)
	}
	idp.SignInAs("s-3")
	if got := who(); got != "access_denied" {
		t.Errorf("%q signs in, want access_denied", got)
	}
}

func TestProviderRefusesAuthorization(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.Register(gatetest.Registration{RedirectURIs: []string{redirectURI}})
	for _, c := range []struct {
		name   string
		change func(q url.Values)
		status int
		error  string
	}{
		{"honest", func(url.Values) {}, http.StatusFound, ""},
		{"another client", func(q url.Values) { q.Set("client_id", "x") }, http.StatusBadRequest, ""},
		{"client twice", func(q url.Values) { q.Add("client_id", idp.ClientID) }, http.StatusBadRequest, ""},
		{"unregistered redirect", func(q url.Values) { q.Set("redirect_uri", redirectURI+"x") }, http.StatusBadRequest, ""},
		{"redirect twice", func(q url.Values) { q.Add("redirect_uri", redirectURI) }, http.StatusBadRequest, ""},
		{"state twice", func(q url.Values) { q.Add("state", "b") }, http.StatusFound, "invalid_request"},
		{"implicit", func(q url.Values) { q.Set("response_type", "id_token") }, http.StatusFound, "unsupported_response_type"},
		{"form post", func(q url.Values) { q.Set("response_mode", "form_post") }, http.StatusFound, "invalid_request"},
		{"no challenge", func(q url.Values) { q.Del("code_challenge") }, http.StatusFound, "invalid_request"},
		{"plain challenge", func(q url.Values) { q.Set("code_challenge_method", "plain") }, http.StatusFound, "invalid_request"},
		{"short challenge", func(q url.Values) { q.Set("code_challenge", "abc") }, http.StatusFound, "invalid_request"},
		{"request object", func(q url.Values) { q.Set("request", "x") }, http.StatusFound, "request_not_supported"},
		{"request uri", func(q url.Values) { q.Set("request_uri", "x") }, http.StatusFound, "request_uri_not_supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := url.Values{
				"client_id": {idp.ClientID}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "scope": {"openid"}, "state": {"a"},
				"code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"},
			}
			c.change(q)
			resp := get(t, idp, idp.Issuer+"/authorize?"+q.Encode())
			if resp.StatusCode != c.status {
				t.Fatalf("status = %d, want %d", resp.StatusCode, c.status)
			}
			if c.status == http.StatusFound {
				at, _ := resp.Location()
				back := at.Query()
				if back.Get("error") != c.error || back.Has("code") == back.Has("error") || back.Get("state") != "a" || back.Get("iss") != idp.Issuer {
					t.Errorf("callback = %v, want error %q", back, c.error)
				}
			}
		})
	}
}

func TestProviderRefusesCode(t *testing.T) {
	late := time.Now()
	idp := gatetest.NewProvider(t, gatetest.ProviderConfig{Now: func() time.Time { return late }})
	verifier, other := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	for _, c := range []struct {
		name   string
		change func(*party)
		opts   []oauth2.AuthCodeOption
		want   string
	}{
		{"honest", nil, []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}, ""},
		{"no verifier", nil, nil, "invalid_grant"},
		{"wrong verifier", nil, []oauth2.AuthCodeOption{oauth2.VerifierOption(other)}, "invalid_grant"},
		{"challenge as verifier", nil, []oauth2.AuthCodeOption{oauth2.VerifierOption(oauth2.S256ChallengeFromVerifier(verifier))}, "invalid_grant"},
		{"another redirect", func(p *party) { p.oauth.RedirectURL += "x" }, []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}, "invalid_grant"},
		{"wrong secret", func(p *party) { p.oauth.ClientSecret += "x" }, []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}, "invalid_client"},
		{"another client", func(p *party) { p.oauth.ClientID += "x" }, []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}, "invalid_client"},
		{"secret in the body", func(p *party) { p.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams }, []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}, "invalid_client"},
		{"late", func(*party) { late = late.Add(2 * time.Minute) }, []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}, "invalid_grant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, idp)
			code := p.authorize(oauth2.S256ChallengeOption(verifier)).Get("code")
			if c.change != nil {
				c.change(p)
			}
			_, err := p.oauth.Exchange(p.ctx, code, c.opts...)
			if (err == nil) != (c.want == "") || errorCode(err) != c.want {
				t.Errorf("Exchange() = %v, want %q", err, c.want)
			}
		})
	}
}

func TestProviderTakesCodeOnce(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	verifier := oauth2.GenerateVerifier()
	code := p.authorize(oauth2.S256ChallengeOption(verifier)).Get("code")
	token, err := p.oauth.Exchange(p.ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.oauth.Exchange(p.ctx, code, oauth2.VerifierOption(verifier)); errorCode(err) != "invalid_grant" || idp.CodeReuses() != 1 {
		t.Errorf("the second Exchange() = %v, CodeReuses() = %d, want invalid_grant, 1", err, idp.CodeReuses())
	}
	if _, err := p.op.UserInfo(p.ctx, oauth2.StaticTokenSource(token)); err == nil {
		t.Error("a token of a code that was used twice is still taken")
	}
	// A wrong guess uses the code up too.
	code = p.authorize(oauth2.S256ChallengeOption(verifier)).Get("code")
	_, wrong := p.oauth.Exchange(p.ctx, code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
	_, right := p.oauth.Exchange(p.ctx, code, oauth2.VerifierOption(verifier))
	if errorCode(wrong) != "invalid_grant" || errorCode(right) != "invalid_grant" || idp.CodeReuses() != 2 {
		t.Errorf("Exchange() after a wrong verifier = %v, %v, CodeReuses() = %d, want both refused and 2", wrong, right, idp.CodeReuses())
	}
}

func TestProviderCountsRefusedClients(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	p.oauth.Endpoint.AuthStyle = oauth2.AuthStyleAutoDetect // tries one way, then the other
	p.oauth.ClientSecret = "wrong"
	code := p.authorize(oauth2.S256ChallengeOption(oauth2.GenerateVerifier())).Get("code")
	if _, err := p.oauth.Exchange(p.ctx, code); err == nil || idp.CodeReuses() != 1 {
		t.Errorf("Exchange() = %v, CodeReuses() = %d, want refused and 1", err, idp.CodeReuses())
	}
}

func TestProviderRotatesRefreshTokens(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	first, id := p.mustSignIn()
	second, err := p.refresh(first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Error("a refresh gave the same tokens again")
	}
	again, err := p.verify(second)
	if err != nil || again.Subject != id.Subject || again.Nonce != "" {
		t.Errorf("the refreshed ID token: %+v, %v", again, err)
	}
	type session struct {
		AuthTime any `json:"auth_time"`
		Sid      any `json:"sid"`
	}
	var before, after session
	if err := errors.Join(id.Claims(&before), again.Claims(&after)); err != nil || before != after || before.AuthTime == nil || before.Sid == nil {
		t.Errorf("auth_time and sid = %v, %v, want %v", after, err, before)
	}
	if _, err := p.op.UserInfo(p.ctx, oauth2.StaticTokenSource(second)); err != nil {
		t.Error(err)
	}
	if _, err := p.refresh(first.RefreshToken); errorCode(err) != "invalid_grant" || idp.RefreshReuses() != 1 {
		t.Errorf("the first token again: %v, RefreshReuses() = %d, want invalid_grant, 1", err, idp.RefreshReuses())
	}
	if _, err := p.refresh(second.RefreshToken); errorCode(err) != "invalid_grant" {
		t.Errorf("its family is left: %v, want invalid_grant", err)
	}
	if _, err := p.op.UserInfo(p.ctx, oauth2.StaticTokenSource(second)); err == nil {
		t.Error("an access token of the family is left")
	}
	if n := idp.Grants("refresh_token"); n != 3 {
		t.Errorf("Grants(refresh_token) = %d, want 3", n)
	}
}

func TestProviderEndsTokens(t *testing.T) {
	now := time.Now()
	idp := gatetest.NewProvider(t, gatetest.ProviderConfig{ExpiresIn: time.Minute, Now: func() time.Time { return now }})
	p := newParty(t, idp)
	token, _ := p.mustSignIn()
	now = now.Add(time.Minute)
	if _, err := p.op.UserInfo(p.ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token.AccessToken})); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("UserInfo() with an expired token = %v, want 401", err)
	}
	token, err := p.refresh(token.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	idp.Revoke("ann")
	if _, err := p.refresh(token.RefreshToken); errorCode(err) != "invalid_grant" {
		t.Errorf("refresh after Revoke() = %v, want invalid_grant", err)
	}
	if _, err := p.op.UserInfo(p.ctx, oauth2.StaticTokenSource(token)); err == nil {
		t.Error("UserInfo() after Revoke() answers")
	}
}

func TestProviderWithoutRefresh(t *testing.T) {
	p := newParty(t, gatetest.NewProvider(t, gatetest.ProviderConfig{NoRefresh: true}))
	if token, _ := p.mustSignIn(); token.RefreshToken != "" {
		t.Error("a refresh token was issued")
	}
}

func TestProviderKeys(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	p.mustSignIn()
	p.mustSignIn()
	if n := idp.Requests("/jwks"); n != 1 {
		t.Fatalf("%d requests for the keys, want 1", n)
	}
	old := idp.LastIDToken()
	kid := idp.RotateKeys()
	p.mustSignIn()
	if n := idp.Requests("/jwks"); n != 2 {
		t.Errorf("%d requests for the keys after a rotation, want 2", n)
	}
	fresh := newParty(t, idp)
	verify := func(raw string) error {
		_, err := fresh.op.Verifier(&oidc.Config{ClientID: idp.ClientID}).Verify(fresh.ctx, raw)
		return err
	}
	if err := verify(old); err != nil {
		t.Errorf("a token by the old key, still published: %v", err)
	}
	idp.DropKeys()
	fresh = newParty(t, idp)
	if err := verify(old); err == nil {
		t.Error("a token by a key that was dropped is taken")
	}
	if err := verify(idp.LastIDToken()); err != nil {
		t.Errorf("a token by the key %s: %v", kid, err)
	}
}

func TestProviderPlainOAuth(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.AddUser(gatetest.User{Subject: "4711", Name: "Ann", Email: "ann@example.com", Claims: map[string]any{"login": "ann"}})
	p := newParty(t, idp)
	cfg := idp.OAuthConfig("hub")
	p.oauth.Scopes = []string{"read:user"}
	p.oauth.Endpoint = oauth2.Endpoint{AuthURL: cfg.AuthorizationURL, TokenURL: cfg.TokenURL, AuthStyle: oauth2.AuthStyleInHeader}
	verifier := oauth2.GenerateVerifier()
	q := p.authorize(oauth2.S256ChallengeOption(verifier))
	token, err := p.oauth.Exchange(p.ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if token.Extra("id_token") != nil || q.Has("iss") {
		t.Errorf("an ID token or iss without openid: %v, %v", token.Extra("id_token"), q)
	}
	for to, want := range map[string]string{
		cfg.UserURL:   `{"email":null,"id":4711,"login":"ann","name":"Ann"}`,
		cfg.EmailsURL: `[{"email":"unverified.ann@example.com","primary":false,"verified":false},{"email":"ann@example.com","primary":true,"verified":true}]`,
	} {
		resp, err := p.oauth.Client(p.ctx, token).Get(to)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, resp); got != want {
			t.Errorf("GET %s = %s, want %s", to, got, want)
		}
		if resp := get(t, idp, to); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("GET %s without a token = %s, want 401", to, resp.Status)
		}
	}
	if _, err := p.op.UserInfo(p.ctx, oauth2.StaticTokenSource(token)); err == nil {
		t.Error("UserInfo() answers without the scope openid")
	}
}

func TestProviderIsTrustedByItsFileAlone(t *testing.T) {
	idp, other := gatetest.NewProvider(t), gatetest.NewProvider(t)
	if _, err := other.Client().Get(idp.Issuer + "/jwks"); err == nil {
		t.Error("another provider's authority vouches for it")
	}
	cfg := idp.Config("main")
	if cfg.Issuer != idp.Issuer || !cfg.OpenID() || cfg.CA != idp.CAFile || cfg.ClientSecret.Reveal() != idp.ClientSecret || cfg.Name != "main" {
		t.Errorf("Config() = %+v", cfg)
	}
	if idp.OAuthConfig("x").OpenID() {
		t.Error("OAuthConfig() speaks OpenID Connect")
	}
}

// read returns the body.
func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	w := httptest.NewRecorder()
	if _, err := w.Body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return w.Body.String()
}
