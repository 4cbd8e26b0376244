package devidp

import (
	"context"
	"crypto/tls"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

const (
	testRedirect = "https://localhost:1/auth/callback/dev"
	testLanding  = "https://localhost:1/auth/logout"
)

var testUsers = []User{
	{Name: "writer", Email: "writer@example.test", Scopes: []string{"posts:write", "posts:read"}},
	{Name: "Zoë: the <reader>", Email: "reader@example.test"},
}

// A bench is a provider that serves, and an application's view of it.
type bench struct {
	*Provider
	client *http.Client // follows redirects as far as the application
	oauth  oauth2.Config
	oidc   *oidc.Provider
	ctx    context.Context // carries client
}

func newBench(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	ca, err := tlsconf.OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.TLSConfig("localhost")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Listen: "127.0.0.1:0", TLS: leaf, Title: "Blog", Users: testUsers, ClientID: "app", ClientSecret: secret.Random(32),
		RedirectURIs: []string{testRedirect}, PostLogoutURIs: []string{testLanding},
	}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	jar, _ := cookiejar.New(nil)
	b := &bench{Provider: p, client: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}},
		Jar:       jar,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if !strings.HasPrefix(r.URL.String(), p.Issuer()+"/") {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}
	t.Cleanup(b.client.CloseIdleConnections)
	b.ctx = oidc.ClientContext(context.Background(), b.client)
	if b.oidc, err = oidc.NewProvider(b.ctx, p.Issuer()); err != nil {
		t.Fatal(err)
	}
	b.oauth = oauth2.Config{
		ClientID: "app", ClientSecret: cfg.ClientSecret.Reveal(), Endpoint: b.oidc.Endpoint(), RedirectURL: testRedirect,
		Scopes: []string{"openid", "profile", "email", "offline_access", "posts:write"},
	}
	return b
}

// get asks for a page and returns it.
func (b *bench) get(t *testing.T, at string) (*http.Response, string) {
	t.Helper()
	res, err := b.client.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	return res, body(t, res)
}

func (b *bench) post(t *testing.T, at string, form url.Values) (*http.Response, string) {
	t.Helper()
	res, err := b.client.PostForm(at, form)
	if err != nil {
		t.Fatal(err)
	}
	return res, body(t, res)
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var idInPage = regexp.MustCompile(`name="id" value="([^"]+)"`)

// start begins a sign-in and returns its id in the page of users.
func (b *bench) start(t *testing.T, options ...oauth2.AuthCodeOption) (id, page string) {
	t.Helper()
	res, text := b.get(t, b.oauth.AuthCodeURL("state-1", options...))
	found := idInPage.FindStringSubmatch(text)
	if res.StatusCode != http.StatusOK || found == nil {
		t.Fatalf("the page of users is %d %s", res.StatusCode, text)
	}
	return html.UnescapeString(found[1]), text
}

// code signs name in and returns the code.
func (b *bench) code(t *testing.T, name, verifier string) string {
	t.Helper()
	id, _ := b.start(t, oauth2.S256ChallengeOption(verifier), oidc.Nonce("nonce-1"))
	res, text := b.post(t, b.Issuer()+"/login", url.Values{"id": {id}, "user": {name}})
	at, err := res.Location()
	if err != nil || !strings.HasPrefix(at.String(), testRedirect+"?") || at.Query().Get("state") != "state-1" {
		t.Fatalf("picking %s = %d to %v (%v) %s", name, res.StatusCode, at, err, text)
	}
	return at.Query().Get("code")
}

// login signs name in and returns what the application gets.
func (b *bench) login(t *testing.T, name string) (*oauth2.Token, *oidc.IDToken) {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	tok, err := b.oauth.Exchange(b.ctx, b.code(t, name, verifier), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return tok, b.verify(t, tok)
}

func (b *bench) verify(t *testing.T, tok *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := tok.Extra("id_token").(string)
	id, err := b.oidc.Verifier(&oidc.Config{ClientID: "app"}).Verify(b.ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(tok.AccessToken); err != nil {
		t.Error(err)
	}
	return id
}

type claims struct {
	Name, Email, SID string
	AuthTime         int64 `json:"auth_time"`
	Scopes           []string
}

func TestLogin(t *testing.T) {
	b := newBench(t, nil)
	for _, c := range []struct {
		user            User
		subject, scopes string
	}{
		{testUsers[0], "writer", "openid profile email offline_access posts:write"},
		{testUsers[1], "Zo%C3%AB%3A+the+%3Creader%3E", "openid profile email offline_access"},
	} {
		before := time.Now().Unix()
		tok, id := b.login(t, c.user.Name)
		var got claims
		if err := id.Claims(&got); err != nil {
			t.Fatal(err)
		}
		if id.Subject != c.subject || id.Nonce != "nonce-1" || got.Name != c.user.Name || got.Email != c.user.Email ||
			got.SID == "" || got.AuthTime < before || !slices.Equal(got.Scopes, c.user.Scopes) || got.Scopes == nil {
			t.Errorf("ID token of %s: %+v %+v", c.user.Name, id, got)
		}
		if scope, _ := tok.Extra("scope").(string); scope != c.scopes {
			t.Errorf("scope of %s = %q, want %q", c.user.Name, scope, c.scopes)
		}
		info, err := b.oidc.UserInfo(b.ctx, oauth2.StaticTokenSource(tok))
		if err != nil {
			t.Fatal(err)
		}
		var told claims
		if err := info.Claims(&told); err != nil {
			t.Fatal(err)
		}
		if info.Subject != c.subject || told.Name != c.user.Name || info.Email != c.user.Email || !slices.Equal(told.Scopes, c.user.Scopes) {
			t.Errorf("UserInfo of %s: %+v %+v", c.user.Name, info, told)
		}
	}
}

// TestRefresh wants a refresh token to be good once, and its second use to end
// the session for whoever holds the new one.
func TestRefresh(t *testing.T) {
	b := newBench(t, nil)
	first, id := b.login(t, "writer")
	refresh := func(tok *oauth2.Token) (*oauth2.Token, error) {
		return b.oauth.TokenSource(b.ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token()
	}
	second, err := refresh(first)
	if err != nil {
		t.Fatal(err)
	}
	again := b.verify(t, second)
	var was, is claims
	if err := id.Claims(&was); err != nil {
		t.Fatal(err)
	}
	if err := again.Claims(&is); err != nil {
		t.Fatal(err)
	}
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken || again.Subject != id.Subject ||
		is.SID != was.SID || is.AuthTime != was.AuthTime || again.Nonce != "" {
		t.Errorf("refreshed: %+v %+v, before %+v", again, is, was)
	}
	if _, err := refresh(first); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a refresh token's second use = %v, want invalid_grant", err)
	}
	if _, err := refresh(second); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a refresh token after that = %v, want invalid_grant", err)
	}
	if _, err := b.oidc.UserInfo(b.ctx, oauth2.StaticTokenSource(second)); err == nil {
		t.Error("UserInfo answers after the session has ended")
	}
}

// TestExchangeRefused lists what must not yield tokens.
func TestExchangeRefused(t *testing.T) {
	b := newBench(t, nil)
	verifier := oauth2.GenerateVerifier()
	fails := func(what, code string, change func(*oauth2.Config), options ...oauth2.AuthCodeOption) {
		t.Helper()
		oauth := b.oauth
		if change != nil {
			change(&oauth)
		}
		if tok, err := oauth.Exchange(b.ctx, code, options...); err == nil {
			t.Errorf("%s gets %v", what, tok)
		}
	}
	fails("a made-up code", "nonsense", nil, oauth2.VerifierOption(verifier))
	fails("no verifier", b.code(t, "writer", verifier), nil)
	tried := b.code(t, "writer", verifier)
	fails("another verifier", tried, nil, oauth2.VerifierOption(oauth2.GenerateVerifier()))
	fails("the code that was tried so", tried, nil, oauth2.VerifierOption(verifier))
	fails("a wrong secret", b.code(t, "writer", verifier), func(o *oauth2.Config) { o.ClientSecret += "x" }, oauth2.VerifierOption(verifier))
	fails("another redirect URI", b.code(t, "writer", verifier), func(o *oauth2.Config) { o.RedirectURL += "x" }, oauth2.VerifierOption(verifier))

	code := b.code(t, "writer", verifier)
	if _, err := b.oauth.Exchange(b.ctx, code, oauth2.VerifierOption(verifier)); err != nil {
		t.Fatal(err)
	}
	fails("a used code", code, nil, oauth2.VerifierOption(verifier))
}

// TestAuthorizeRefused lists the requests that show no page of users.
func TestAuthorizeRefused(t *testing.T) {
	b := newBench(t, nil)
	pkce := oauth2.S256ChallengeOption(oauth2.GenerateVerifier())
	for _, c := range []struct {
		name    string
		change  func(*oauth2.Config)
		options []oauth2.AuthCodeOption
		told    string // the error that the application is sent; "": the browser stays here
	}{
		{"no PKCE", nil, nil, "invalid_request"},
		{"plain PKCE", nil, []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("code_challenge", "x"), oauth2.SetAuthURLParam("code_challenge_method", "plain")}, "invalid_request"},
		{"an empty challenge", nil, []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("code_challenge_method", "S256")}, "invalid_request"},
		{"prompt none", nil, []oauth2.AuthCodeOption{pkce, oauth2.SetAuthURLParam("prompt", "none")}, "login_required"},
		{"implicit flow", nil, []oauth2.AuthCodeOption{pkce, oauth2.SetAuthURLParam("response_type", "id_token")}, "unauthorized_client"},
		{"another redirect URI", func(o *oauth2.Config) { o.RedirectURL = "https://evil.example/" }, []oauth2.AuthCodeOption{pkce}, ""},
		{"another client", func(o *oauth2.Config) { o.ClientID = "other" }, []oauth2.AuthCodeOption{pkce}, ""},
	} {
		oauth := b.oauth
		if c.change != nil {
			c.change(&oauth)
		}
		res, text := b.get(t, oauth.AuthCodeURL("state-1", c.options...))
		at, _ := res.Location()
		switch {
		case idInPage.MatchString(text):
			t.Errorf("%s: shows the users", c.name)
		case c.told == "" && (at != nil || res.StatusCode != http.StatusBadRequest):
			t.Errorf("%s = %d to %v, want 400", c.name, res.StatusCode, at)
		case c.told != "" && (at == nil || !strings.HasPrefix(at.String(), testRedirect) || !strings.Contains(at.String(), "error="+c.told)):
			t.Errorf("%s = %d to %v, want %s told to the application", c.name, res.StatusCode, at, c.told)
		}
	}
}

func TestPage(t *testing.T) {
	b := newBench(t, nil)
	id, text := b.start(t, oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	for _, want := range []string{
		`<html lang="en">`, `name="viewport"`, "For development.", "<h1>Sign in</h1>", "Blog asks who you are", "may: posts:write, posts:read",
		"has no scopes", "Zoë: the &lt;reader&gt;", "color-scheme: light dark",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "<button"); n != len(testUsers) {
		t.Errorf("the page has %d buttons, want one for each user", n)
	}
	for _, not := range []string{"<script", "style=", "onclick", "src=", "password\""} {
		if strings.Contains(text, not) {
			t.Errorf("the page has %q", not)
		}
	}
	res, _ := b.get(t, b.Issuer()+"/login?id="+id)
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'sha256-", "form-action 'self' https://localhost:1;", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "script") || strings.Contains(policy, "unsafe") || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("policy %q, cache %q", policy, res.Header.Get("Cache-Control"))
	}
}

// TestPick wants a user to be picked once, here and by who sees the page.
func TestPick(t *testing.T) {
	b := newBench(t, nil)
	at := b.Issuer() + "/login"
	if res, text := b.get(t, at+"?id=nonsense"); res.StatusCode != http.StatusBadRequest || !strings.Contains(text, "start it again") {
		t.Errorf("an unknown sign-in = %d %s", res.StatusCode, text)
	}
	id, _ := b.start(t, oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	if res, _ := b.post(t, at, url.Values{"id": {id}, "user": {"nobody"}}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown user = %d, want 400", res.StatusCode)
	}
	if res, _ := b.get(t, b.Issuer()+"/authorize/callback?id="+id); res.Header.Get("Location") != "" && strings.Contains(res.Header.Get("Location"), "code=") {
		t.Errorf("a code without a user: %s", res.Header.Get("Location"))
	}
	cross, err := http.NewRequest(http.MethodPost, at, strings.NewReader(url.Values{"id": {id}, "user": {"writer"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	cross.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := b.client.Do(cross)
	if err != nil {
		t.Fatal(err)
	}
	if body(t, res); res.StatusCode != http.StatusForbidden {
		t.Errorf("a page elsewhere picks = %d, want 403", res.StatusCode)
	}
	if res, _ := b.post(t, at, url.Values{"id": {id}, "user": {"writer"}, "more": {strings.Repeat("x", 100<<10)}}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a form of 100 KiB = %d, want 400", res.StatusCode)
	}
	if res, _ := b.post(t, at, url.Values{"id": {id}, "user": {"writer"}}); res.StatusCode != http.StatusFound {
		t.Errorf("picking = %d, want 302 to the application", res.StatusCode)
	}
	if res, _ := b.post(t, at, url.Values{"id": {id}, "user": {"writer"}}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("picking again = %d, want 400", res.StatusCode)
	}
	if res, text := b.get(t, b.Issuer()+"/authorize/callback?id="+id); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a second code = %d %s, want 400", res.StatusCode, text)
	}
}

// TestSetUsers wants changed users to hold for the next login and refresh.
func TestSetUsers(t *testing.T) {
	b := newBench(t, nil)
	tok, _ := b.login(t, "writer")
	reader, _ := b.login(t, testUsers[1].Name)
	if err := b.SetUsers([]User{{Name: "a"}, {Name: "a"}}); err == nil {
		t.Error("SetUsers takes two users of one name")
	}
	if err := b.SetUsers([]User{{Name: "writer", Scopes: []string{"other"}}}); err != nil {
		t.Fatal(err)
	}
	next, err := b.oauth.TokenSource(b.ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token()
	if err != nil {
		t.Fatal(err)
	}
	var got claims
	if err := b.verify(t, next).Claims(&got); err != nil || !slices.Equal(got.Scopes, []string{"other"}) {
		t.Errorf("scopes after SetUsers = %v (%v), want other", got.Scopes, err)
	}
	if scope, _ := next.Extra("scope").(string); strings.Contains(scope, "posts:write") {
		t.Errorf("the refreshed token still has %q", scope)
	}
	if _, err := b.oauth.TokenSource(b.ctx, &oauth2.Token{RefreshToken: reader.RefreshToken}).Token(); err == nil {
		t.Error("a user who is gone refreshes")
	}
	if all := b.store.sessions(); len(all) != 1 || all[0].name != "writer" {
		t.Errorf("sessions after a user is gone: %v", all)
	}
}

// TestOnce runs what two requests at once may do to the storage.
func TestOnce(t *testing.T) {
	b := newBench(t, nil)
	s, ctx := b.store, context.Background()
	id, _ := b.start(t, oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	if err := s.pick(id, "writer"); err != nil {
		t.Fatal(err)
	}
	if err := s.pick(id, testUsers[1].Name); err == nil {
		t.Error("a second user is picked for one sign-in")
	}

	tok, _ := b.login(t, "writer")
	one, err := s.TokenRequestByRefreshToken(ctx, tok.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.TokenRequestByRefreshToken(ctx, tok.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.CreateAccessAndRefreshTokens(ctx, one, tok.RefreshToken); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.CreateAccessAndRefreshTokens(ctx, two, tok.RefreshToken); err == nil {
		t.Error("one refresh token is traded twice")
	}
	s.setUsers(testUsers[1:])
	if _, _, err := s.CreateAccessToken(ctx, one); err == nil {
		t.Error("a user who is gone gets an access token")
	}
	s.setUsers(testUsers)
	if err := s.TerminateSession(ctx, "writer", "app"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CreateAccessToken(ctx, one); err == nil {
		t.Error("an ended session yields an access token")
	}
	if err := s.AuthorizeClientIDSecret(ctx, "other", b.oauth.ClientSecret); err == nil {
		t.Error("another client has the secret")
	}
}

// TestRevoke revokes an access token, and a refresh token with its session.
func TestRevoke(t *testing.T) {
	b := newBench(t, nil)
	tok, _ := b.login(t, "writer")
	revoke := func(text string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, b.Issuer()+"/revoke", strings.NewReader(url.Values{"token": {text}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("app", b.oauth.ClientSecret)
		res, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if text := body(t, res); res.StatusCode != http.StatusOK {
			t.Fatalf("revoking = %d %s", res.StatusCode, text)
		}
	}
	revoke(tok.AccessToken)
	if _, err := b.oidc.UserInfo(b.ctx, oauth2.StaticTokenSource(tok)); err == nil {
		t.Error("a revoked access token is good")
	}
	if n := len(b.store.sessions()); n != 1 {
		t.Errorf("%d sessions after an access token was revoked, want 1", n)
	}
	revoke(tok.RefreshToken)
	if n := len(b.store.sessions()); n != 0 {
		t.Errorf("%d sessions after the refresh token was revoked, want none", n)
	}
}

// TestOrigins wants answers to be for the application alone, not for pages.
func TestOrigins(t *testing.T) {
	b := newBench(t, nil)
	for _, path := range []string{"/", "/.well-known/openid-configuration", "/keys", "/userinfo"} {
		req, err := http.NewRequest(http.MethodGet, b.Issuer()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://evil.example")
		res, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body(t, res)
		if allowed := res.Header.Get("Access-Control-Allow-Origin"); allowed != "" {
			t.Errorf("%s may be read by pages of %q", path, allowed)
		}
	}
}

// An application takes logout tokens.
type application struct {
	*httptest.Server
	tokens chan string
}

func newApplication(t *testing.T) *application {
	a := &application{tokens: make(chan string, 10)}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.tokens <- r.PostFormValue("logout_token")
	}))
	t.Cleanup(a.Close)
	return a
}

// TestLogout ends sessions from both sides and wants the application to hear
// of each.
func TestLogout(t *testing.T) {
	app := newApplication(t)
	b := newBench(t, func(cfg *Config) {
		cfg.BackChannelURI, cfg.Client = app.URL+"/auth/backchannel-logout/dev", app.Client()
	})
	var meta struct {
		EndSession string `json:"end_session_endpoint"`
		Back       bool   `json:"backchannel_logout_supported"`
		BackSID    bool   `json:"backchannel_logout_session_supported"`
	}
	if err := b.oidc.Claims(&meta); err != nil || !meta.Back || !meta.BackSID {
		t.Fatalf("metadata %+v (%v)", meta, err)
	}
	heard := func(id *oidc.IDToken) {
		t.Helper()
		var raw string
		select {
		case raw = <-app.tokens:
		case <-time.After(10 * time.Second):
			t.Fatal("the application hears nothing")
		}
		set := oidc.NewRemoteKeySet(b.ctx, b.Issuer()+"/keys")
		payload, err := set.VerifySignature(b.ctx, raw)
		if err != nil {
			t.Fatal(err)
		}
		var was claims
		if err := id.Claims(&was); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Iss    string         `json:"iss"`
			Aud    string         `json:"aud"`
			Sub    string         `json:"sub"`
			SID    string         `json:"sid"`
			JTI    string         `json:"jti"`
			Iat    int64          `json:"iat"`
			Exp    int64          `json:"exp"`
			Events map[string]any `json:"events"`
		}
		if err := json.Unmarshal(payload, &got, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%v in %s", err, payload)
		}
		if got.Iss != b.Issuer() || got.Aud != "app" || got.Sub != id.Subject || got.SID != was.SID || got.JTI == "" || got.Exp <= got.Iat ||
			got.Events["http://schemas.openid.net/event/backchannel-logout"] == nil {
			t.Errorf("logout token %s", payload)
		}
		parsed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil || parsed.Signatures[0].Header.ExtraHeaders["typ"] != "logout+jwt" {
			t.Errorf("the logout token is of type %v (%v)", parsed.Signatures[0].Header.ExtraHeaders, err)
		}
	}

	tok, id := b.login(t, "writer")
	raw, _ := tok.Extra("id_token").(string)
	res, text := b.get(t, meta.EndSession+"?"+url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {testLanding}, "state": {"s"}}.Encode())
	if at := res.Header.Get("Location"); at != testLanding+"?state=s" {
		t.Errorf("logout = %d to %q %s", res.StatusCode, at, text)
	}
	heard(id)
	if _, err := b.oauth.TokenSource(b.ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token(); err == nil {
		t.Error("a refresh token outlives its session")
	}
	if res, _ := b.get(t, meta.EndSession+"?"+url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {"https://evil.example/"}}.Encode()); res.StatusCode != http.StatusBadRequest {
		t.Errorf("logout to elsewhere = %d, want 400", res.StatusCode)
	}
	if _, text := b.get(t, meta.EndSession); !strings.Contains(text, "Signed out") {
		t.Errorf("logout without a way back shows %s", text)
	}

	_, id = b.login(t, "writer")
	_, text = b.get(t, b.Issuer()+"/")
	found := regexp.MustCompile(`name="sid" value="([^"]+)"`).FindStringSubmatch(text)
	if found == nil || !strings.Contains(text, "Sign writer out") {
		t.Fatalf("the front page lacks the session:\n%s", text)
	}
	if _, text = b.post(t, b.Issuer()+"/end", url.Values{"sid": {found[1]}}); !strings.Contains(text, "Nobody is.") {
		t.Errorf("the front page after signing out:\n%s", text)
	}
	heard(id)
}

func TestSweep(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	b := newBench(t, func(cfg *Config) {
		cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	tok, _ := b.login(t, "writer")
	b.start(t, oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	later := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	later(tokenLife + time.Second)
	if _, err := b.oidc.UserInfo(b.ctx, oauth2.StaticTokenSource(tok)); err == nil {
		t.Error("an access token outlives its time")
	}
	later(25 * time.Hour)
	b.store.sessions()
	s := b.store
	if n := len(s.requests) + len(s.codes) + len(s.grants) + len(s.access) + len(s.refresh); n != 0 {
		t.Errorf("%d things are kept for ever", n)
	}
	for range maxRequests {
		s.requests[secret.ID(8)] = &request{made: now}
	}
	res, _ := b.get(t, b.oauth.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	if at := res.Header.Get("Location"); !strings.Contains(at, "error=server_error") {
		t.Errorf("one sign-in too many = %d to %q", res.StatusCode, at)
	}
}

// TestNewMistakes wants all mistakes at once.
func TestNewMistakes(t *testing.T) {
	_, err := New(Config{Listen: "0.0.0.0:0", Users: []User{{Name: "a"}, {Name: "a"}, {Name: "\x00"}}, PostLogoutURIs: []string{"http://localhost/"}})
	if err == nil {
		t.Fatal("New = nil")
	}
	for _, want := range []string{
		`"0.0.0.0" is not a loopback address`, "TLS has no certificate", "client id is missing", "client secret is missing", "redirect URIs are missing",
		`"http://localhost/" is not an https URI`, `two users "a"`, `"\x00" is no name`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

// TestMain keeps what the protocol's library logs out of the tests' output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}
