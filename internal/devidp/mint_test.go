package devidp

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"fmt"
	"github.com/gatewright/gatewright/runtime/secret"
)

const testAudience = "https://localhost:1"

var testPrograms = []Program{{ID: "publisher", Scopes: []string{"posts:write", "posts:read"}}, {ID: "idle"}}

// newMint is a bench with programs, and their secret.
func newMint(t *testing.T, change func(*Config)) (*bench, string) {
	t.Helper()
	programSecret := secret.Random(32)
	b := newBench(t, func(cfg *Config) {
		cfg.Programs, cfg.ProgramSecret, cfg.Audience = testPrograms, programSecret, testAudience
		if change != nil {
			change(cfg)
		}
	})
	return b, programSecret.Reveal()
}

// ask posts a form as a client and returns the answer.
func (b *bench) ask(t *testing.T, path, id, password string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.Issuer()+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(password))
	}
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if text := body(t, res); text != "" {
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%s answers %d %q", path, res.StatusCode, text)
		}
	}
	if path == tokenPath && res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s may be stored: %v", path, res.Header)
	}
	return res.StatusCode, answer
}

// said returns the header's type and the claims of a JWT of the provider's key.
func (b *bench) said(t *testing.T, text string) (kind any, claims map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	_, page := b.get(t, b.Issuer()+"/keys")
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(page), &set); err != nil {
		t.Fatal(err)
	}
	protected := signed.Signatures[0].Protected
	keys := set.Key(protected.KeyID)
	if len(keys) != 1 {
		t.Fatalf("%d keys %q", len(keys), protected.KeyID)
	}
	payload, err := signed.Verify(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return protected.ExtraHeaders[jose.HeaderType], claims
}

// wantClaims compares a token's claims, but for the moments and the id.
func (b *bench) wantClaims(t *testing.T, text string, life time.Duration, want map[string]any) {
	t.Helper()
	kind, got := b.said(t, text)
	if kind != "at+jwt" {
		t.Errorf("typ = %v, want at+jwt", kind)
	}
	iat, _ := got["iat"].(float64)
	exp, _ := got["exp"].(float64)
	if age := time.Now().Unix() - int64(iat); age < 0 || age > 60 || exp-iat != life.Seconds() {
		t.Errorf("iat, exp = %v, %v, want now and %v later", got["iat"], got["exp"], life)
	}
	if jti, _ := got["jti"].(string); len(jti) < 22 {
		t.Errorf("jti = %v", got["jti"])
	}
	delete(got, "iat")
	delete(got, "exp")
	delete(got, "jti")
	want["iss"], want["aud"] = b.Issuer(), testAudience
	if !reflect.DeepEqual(got, want) {
		t.Errorf("claims %v\nwant   %v", got, want)
	}
}

func TestProgram(t *testing.T) {
	b, password := newMint(t, nil)
	cfg := clientcredentials.Config{ClientID: "publisher", ClientSecret: password, TokenURL: b.oidc.Endpoint().TokenURL, EndpointParams: url.Values{"resource": {testAudience}}}
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		cfg.AuthStyle = style
		tok, err := cfg.Token(b.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if tok.TokenType != "Bearer" || tok.Extra("scope") != "posts:write posts:read" || time.Until(tok.Expiry) < 59*time.Minute {
			t.Errorf("token of a program %+v", tok)
		}
		b.wantClaims(t, tok.AccessToken, time.Hour, map[string]any{"sub": "publisher", "client_id": "publisher", "scope": "posts:write posts:read", "scopes": []any{"posts:write", "posts:read"}})
	}
	cfg.Scopes = []string{"posts:read"}
	tok, err := cfg.Token(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.wantClaims(t, tok.AccessToken, time.Hour, map[string]any{"sub": "publisher", "client_id": "publisher", "scope": "posts:read", "scopes": []any{"posts:read"}})
	if n := len(b.store.sessions()); n != 0 {
		t.Errorf("%d people are signed in by a program", n)
	}
}

// TestMintRefused lists what must not yield tokens.
func TestMintRefused(t *testing.T) {
	b, password := newMint(t, nil)
	app := b.oauth.ClientSecret
	program := func(members ...string) url.Values { return formOf("client_credentials", members) }
	person := func(members ...string) url.Values { return formOf(GrantUser, members) }
	for _, c := range []struct {
		name, id, password string
		form               url.Values
		status             int
		code               string
	}{
		{"a wrong secret", "publisher", password + "x", program(), 401, "invalid_client"},
		{"no secret", "publisher", "", program(), 401, "invalid_client"},
		{"nobody", "", "", program(), 401, "invalid_client"},
		{"no such program", "stranger", password, program(), 401, "invalid_client"},
		{"the application", "app", app, program(), 401, "invalid_client"},
		{"the application with the programs' secret", "app", password, program(), 401, "invalid_client"},
		{"a program with the application's secret", "publisher", app, program(), 401, "invalid_client"},
		{"a scope that it has not", "publisher", password, program("scope", "posts:read admin"), 400, "invalid_scope"},
		{"a scope of one that has none", "idle", password, program("scope", "posts:read"), 400, "invalid_scope"},
		{"another resource", "publisher", password, program("resource", "https://other.example"), 400, "invalid_target"},
		{"a longer resource", "publisher", password, program("resource", testAudience+"/"), 400, "invalid_target"},
		{"two resources", "publisher", password, program("resource", testAudience, "resource", testAudience), 400, "invalid_target"},
		{"a user for a program", "publisher", password, person("user", "writer"), 401, "invalid_client"},
		{"a user for the application with another secret", "app", password, person("user", "writer"), 401, "invalid_client"},
		{"a user for anybody", "", "", person("user", "writer"), 401, "invalid_client"},
		{"nobody's token", "app", app, person(), 400, "invalid_grant"},
		{"a stranger's token", "app", app, person("user", "stranger"), 400, "invalid_grant"},
		{"a user's subject", "app", app, person("user", testUsers[1].subject()), 400, "invalid_grant"},
		{"a scope that a user has not", "app", app, person("user", testUsers[1].Name, "scope", "posts:write"), 400, "invalid_scope"},
	} {
		if status, answer := b.ask(t, tokenPath, c.id, c.password, c.form); status != c.status || answer["error"] != c.code || answer["access_token"] != nil {
			t.Errorf("%s = %d %v, want %d %s", c.name, status, answer, c.status, c.code)
		}
	}
	if _, answer := b.ask(t, tokenPath, "app", app, person("user", "stranger")); !strings.Contains(fmt.Sprint(answer["error_description"]), "but "+testUsers[0].Name+", ") {
		t.Errorf("a stranger's token = %v, want the names that there are", answer)
	}
	// Credentials in the URL, where they get into logs, are none.
	res, text := b.get(t, b.Issuer()+tokenPath+"?grant_type=client_credentials&client_id=publisher&client_secret="+url.QueryEscape(password))
	if res.StatusCode == 200 || strings.Contains(text, "access_token") {
		t.Errorf("GET %s = %d %s", tokenPath, res.StatusCode, text)
	}
	if status, answer := b.ask(t, tokenPath+"?grant_type=client_credentials&client_id=publisher&client_secret="+url.QueryEscape(password), "", "", nil); status == 200 || answer["access_token"] != nil {
		t.Errorf("credentials in the query = %d %v", status, answer)
	}
}

func formOf(grant string, members []string) url.Values {
	form := url.Values{"grant_type": {grant}}
	for pair := range slices.Chunk(members, 2) {
		form.Add(pair[0], pair[1])
	}
	return form
}

// TestNoAudience wants a provider without an audience to be as it was before
// there were programs.
func TestNoAudience(t *testing.T) {
	b := newBench(t, nil)
	if status, answer := b.ask(t, tokenPath, "app", b.oauth.ClientSecret, formOf(GrantUser, []string{"user", "writer"})); status != 400 || answer["error"] != "unauthorized_client" {
		t.Errorf("a token for nobody = %d %v", status, answer)
	}
	if tok, _ := b.login(t, "writer"); strings.Count(tok.AccessToken, ".") == 2 {
		t.Error("the access token of a login is a JWT for nobody")
	}
}

// TestLoginToken wants the access token of a login to be one that the application
// can show to the server, and to be good at the provider as before.
func TestLoginToken(t *testing.T) {
	b, _ := newMint(t, nil)
	tok, id := b.login(t, "writer")
	b.wantClaims(t, tok.AccessToken, tokenLife, map[string]any{"sub": "writer", "client_id": "app",
		"scope": "openid profile email offline_access posts:write", "scopes": []any{"posts:write", "posts:read"}})
	info, err := b.oidc.UserInfo(b.ctx, oauth2.StaticTokenSource(tok))
	if err != nil || info.Subject != id.Subject {
		t.Fatalf("UserInfo = %v, %v", info, err)
	}
	second, err := b.oauth.TokenSource(b.ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token()
	if err != nil {
		t.Fatal(err)
	}
	b.verify(t, second)
	b.wantClaims(t, second.AccessToken, tokenLife, map[string]any{"sub": "writer", "client_id": "app",
		"scope": "openid profile email offline_access posts:write", "scopes": []any{"posts:write", "posts:read"}})
	// What is no access token to the letter opens nothing here.
	raw, _ := tok.Extra("id_token").(string)
	dot := strings.LastIndexByte(tok.AccessToken, '.')
	for name, text := range map[string]string{"an ID token": raw, "another signature": tok.AccessToken[:dot] + raw[strings.LastIndexByte(raw, '.'):], "no signature": tok.AccessToken[:dot+1]} {
		if _, err := b.oidc.UserInfo(b.ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: text})); err == nil {
			t.Errorf("UserInfo takes %s", name)
		}
	}
}

// TestIntrospect asks about tokens with and without a login, while they are good
// and after.
func TestIntrospect(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	b, password := newMint(t, func(cfg *Config) {
		cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	app := b.oauth.ClientSecret
	get := func(id, password string, form url.Values) string {
		t.Helper()
		status, answer := b.ask(t, tokenPath, id, password, form)
		text, _ := answer["access_token"].(string)
		if text == "" {
			t.Fatalf("no token: %d %v", status, answer)
		}
		return text
	}
	program, person := formOf("client_credentials", nil), formOf(GrantUser, []string{"user", "writer"})
	about := func(text string) map[string]any {
		t.Helper()
		status, answer := b.ask(t, "/oauth/introspect", "app", app, url.Values{"token": {text}})
		if status != 200 {
			t.Fatalf("introspection = %d %v", status, answer)
		}
		return answer
	}
	login, _ := b.login(t, "writer")
	for _, c := range []struct{ name, token, subject, client, scope string }{
		{"a program", get("publisher", password, program), "publisher", "publisher", "posts:write posts:read"},
		{"a person", get("app", app, person), "writer", "app", "posts:write posts:read"},
		{"a login", login.AccessToken, "writer", "app", "openid profile email offline_access posts:write"},
	} {
		got := about(c.token)
		_, claims := b.said(t, c.token)
		want := map[string]any{"active": true, "token_type": "Bearer", "iss": b.Issuer(), "aud": []any{testAudience}, "sub": c.subject,
			"client_id": c.client, "scope": c.scope, "scopes": []any{"posts:write", "posts:read"}, "jti": claims["jti"], "iat": claims["iat"], "exp": claims["exp"]}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: introspection tells %v\nwant %v", c.name, got, want)
		}
		for name, secrets := range map[string][2]string{"nobody": {"", ""}, "a wrong secret": {"app", "x"}, "a program": {"publisher", password}} {
			req := url.Values{"token": {c.token}}
			r, _ := http.NewRequest(http.MethodPost, b.Issuer()+"/oauth/introspect", strings.NewReader(req.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if secrets[0] != "" {
				r.SetBasicAuth(secrets[0], secrets[1])
			}
			res, err := b.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if text := body(t, res); res.StatusCode != 401 || strings.Contains(text, "active") {
				t.Errorf("%s: %s is told %d %s", c.name, name, res.StatusCode, text)
			}
		}
	}
	bad := func(name, text string) {
		t.Helper()
		if got := about(text); !reflect.DeepEqual(got, map[string]any{"active": false}) {
			t.Errorf("%s: introspection tells %v", name, got)
		}
	}
	raw, _ := login.Extra("id_token").(string)
	bad("an ID token", raw)
	bad("a made-up token", "nonsense")
	first, last := get("publisher", password, program), get("app", app, person)
	bad("a changed token", first[:len(first)-8]+last[len(last)-8:])
	if status, answer := b.ask(t, "/revoke", "app", app, url.Values{"token": {first}}); status != 200 {
		t.Errorf("revoking = %d %v", status, answer)
	}
	bad("a revoked token", first)
	first = get("publisher", password, program)
	if _, err := b.oidc.UserInfo(b.ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: last})); err == nil {
		t.Error("UserInfo takes a token for which nobody signed in")
	}
	if err := b.SetKnown(testUsers[1:], testPrograms[1:]); err != nil {
		t.Fatal(err)
	}
	bad("a token of a program that is gone", first)
	bad("a token of a user who is gone", last)
	if err := b.SetKnown(testUsers, testPrograms); err != nil {
		t.Fatal(err)
	}
	if about(first)["active"] != true {
		t.Error("a program that is there again has no token")
	}
	mu.Lock()
	now = now.Add(mintedLife + time.Second)
	mu.Unlock()
	bad("a token that is over", first)
	if n := len(b.store.access); n != 0 {
		t.Errorf("%d tokens are kept after their time", n)
	}
	for range maxMinted + 10 {
		b.store.access[secret.ID(8)] = token{subject: "idle", client: "idle", expires: now.Add(time.Hour)}
	}
	login, _ = b.login(t, "writer")
	first = get("publisher", password, program)
	if n := len(b.store.access); n != maxMinted+1 || about(first)["active"] != true || about(login.AccessToken)["active"] != true {
		t.Errorf("%d tokens are kept, want %d and that of the login; the last is %v", n, maxMinted, about(first))
	}
}

// TestSetKnown changes which programs there are.
func TestSetKnown(t *testing.T) {
	b, password := newMint(t, nil)
	if err := b.SetKnown(testUsers, []Program{{ID: "other", Scopes: []string{"a"}}}); err != nil {
		t.Fatal(err)
	}
	if status, answer := b.ask(t, tokenPath, "publisher", password, formOf("client_credentials", nil)); status != 401 {
		t.Errorf("a program that is gone = %d %v", status, answer)
	}
	if status, answer := b.ask(t, tokenPath, "other", password, formOf("client_credentials", nil)); status != 200 || answer["scope"] != "a" {
		t.Errorf("a new program = %d %v", status, answer)
	}
	for _, bad := range [][]Program{{{ID: ""}}, {{ID: "a"}, {ID: "a"}}, {{ID: "app"}}} {
		if err := b.SetKnown(testUsers, bad); err == nil {
			t.Errorf("SetKnown(%v) = nil", bad)
		}
	}
	if status, _ := b.ask(t, tokenPath, "other", password, formOf("client_credentials", nil)); status != 200 {
		t.Error("a mistake changes which programs there are")
	}
	_, err := New(Config{Listen: "127.0.0.1:0", ClientID: "app", Programs: []Program{{ID: "app"}}})
	for _, want := range []string{"programs have no secret or no audience", `"app"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want %s", err, want)
		}
	}
}

// TestMetadata wants the metadata under both names (RFC 8414, section 3) to say
// that there are programs.
func TestMetadata(t *testing.T) {
	b, _ := newMint(t, nil)
	res, page := b.get(t, b.Issuer()+"/.well-known/openid-configuration")
	_, other := b.get(t, b.Issuer()+"/.well-known/oauth-authorization-server")
	if res.StatusCode != 200 || page != other {
		t.Errorf("metadata %d %s\n%s", res.StatusCode, page, other)
	}
	var told struct {
		Issuer string
		Grants []string `json:"grant_types_supported"`
		Token  string   `json:"token_endpoint"`
		About  string   `json:"introspection_endpoint"`
	}
	if err := json.Unmarshal([]byte(page), &told, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if told.Issuer != b.Issuer() || !slices.Contains(told.Grants, "client_credentials") || !slices.Contains(told.Grants, "authorization_code") || told.Token != b.Issuer()+tokenPath || told.About != b.Issuer()+"/oauth/introspect" {
		t.Errorf("metadata %+v", told)
	}
	plain := newBench(t, nil)
	if _, page = plain.get(t, plain.Issuer()+"/.well-known/openid-configuration"); !strings.Contains(page, plain.Issuer()) || strings.Contains(page, "client_credentials") {
		t.Errorf("metadata without an audience %s", page)
	}
}
