package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/gatetest"
)

// TestLogin takes a document with logins and keys all the way: the new project
// builds, passes its tests, and refuses to start until it is said where people
// sign in. With what server.yaml proposes, filled in, it starts although the
// provider is silent, says so, and signs people in when it is back.
func TestLogin(t *testing.T) {
	p := initProject(t, filepath.Join(testenv.Root(), "testdata", "cases", "gen-login", "openapi.yaml"))
	p.run(t, "go", "vet", "./...")
	p.run(t, "go", "test", "./...")
	p.refuses(t, []string{
		`"login"`, "listPosts, createPost", `"session"`, "me, feed", `"code"`, "listRepositories",
		"no identity provider is configured", "set providers",
	})

	idp := gatetest.NewProvider(t)
	idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann", Scopes: []string{"posts:read", "posts:write", "repo", "user:email"}})
	p.signInAt(t, idp)
	silent := gatetest.Mischief{Faults: map[string]gatetest.Fault{"/.well-known/openid-configuration": {Drop: true}}}
	idp.Misbehave(silent)
	s := p.serve(t)
	b := newBrowser(t, s, idp)

	b.want("without a session", "GET", "/me", 401, "credential_missing")
	if got := b.last.Header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != "Cookie" {
		t.Errorf("GET /me: WWW-Authenticate is %q, want Cookie", got)
	}
	b.want("the provider is silent", "GET", "/auth/login?provider=main", 503, "Signing in is not possible")
	b.want("what needs no login goes on", "GET", "/public", 501, "not_implemented")

	idp.Misbehave(gatetest.Mischief{})
	b.want("two providers", "GET", "/auth/login", 200, "provider=code")
	b.signIn("main")
	b.want("with a session", "GET", "/me", 501, "not_implemented")
	b.want("with a session and its scope", "GET", "/posts", 501, "not_implemented")
	b.want("of another provider", "GET", "/repositories", 401, "credential_missing")
	b.want("half of an AND", "DELETE", "/posts/7", 401, "credential_missing")
	key := strings.TrimSpace(p.gatewright(t, "keys", "create", "-user", "bob", "-scope", "posts:delete"))
	b.header.Set("X-Api-Key", key)
	b.want("the key of another", "DELETE", "/posts/7", 403, "identities_differ")
	b.header.Del("X-Api-Key")
	b.header.Set("Sec-Fetch-Site", "cross-site")
	b.want("from another site", "POST", "/posts", 403, "origin_missing")
	b.header.Set("Sec-Fetch-Site", "same-origin")
	b.want("from our own", "POST", "/posts", 501, "not_implemented")

	b.signIn("code")
	b.want("at the other provider", "GET", "/repositories", 501, "not_implemented")
	b.want("both in one session", "PUT", "/account", 501, "not_implemented")
	b.want("no longer at the first", "GET", "/posts", 401, "credential_missing")
	b.header.Set("Authorization", "Bearer x")
	b.want("no token is taken", "GET", "/repositories", 401, "credential_invalid")
	b.header.Del("Authorization")
	b.want("signing out", "POST", "/auth/logout", 200, "")
	b.want("signed out", "GET", "/me", 401, "credential_missing")
}

// signInAt fills in what server.yaml proposes: idp is both providers.
func (p *project) signInAt(t *testing.T, idp *gatetest.Provider) {
	t.Helper()
	file := filepath.Join(p.dir, "server.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	yaml := regexp.MustCompile(`(?m)^# (providers:|schemes:|  )`).ReplaceAllString(string(text), "$1")
	more := "\n    ca: " + idp.CAFile + "\n"
	for _, c := range [][2]string{
		{"issuer: \"https://id.example\"\n", "issuer: " + idp.Issuer + more},
		{"user_url: \"https://git.example/user\"", "authorization_url: " + idp.Issuer + "/authorize\n    token_url: " + idp.Issuer + "/token" + more + "    user_url: " + idp.Issuer + "/user"},
	} {
		if !strings.Contains(yaml, c[0]) {
			t.Fatalf("server.yaml proposes no %s\n%s", c[0], yaml)
		}
		yaml = strings.Replace(yaml, c[0], c[1], 1)
	}
	for name, text := range map[string]string{"server.yaml": yaml, "main.secret": idp.ClientSecret, "code.secret": idp.ClientSecret} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A browser asks a server and its provider, and keeps their cookies.
type browser struct {
	t      *testing.T
	server *server
	client *http.Client
	header http.Header    // of each request to the server
	last   *http.Response // its answer, read
	body   string
}

func newBrowser(t *testing.T, s *server, idp *gatetest.Provider) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	own, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, server: s, header: make(http.Header)}
	b.client = &http.Client{Jar: jar, Timeout: s.client.Timeout, Transport: transport(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == own.Host {
			return s.client.Transport.RoundTrip(r)
		}
		return idp.Client().Transport.RoundTrip(r)
	})}
	return b
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// ask sends a request and follows redirects.
func (b *browser) ask(method, target string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header = b.header.Clone()
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.last, b.body = res, string(body)
}

func (b *browser) want(name, method, path string, status int, text string) {
	b.t.Helper()
	b.ask(method, b.server.url+path)
	if b.last.StatusCode != status || !strings.Contains(b.body, text) {
		b.t.Errorf("%s: %s %s = %d %s, want %d %s", name, method, path, b.last.StatusCode, b.body, status, text)
	}
}

var moveOn = regexp.MustCompile(`<a class="way main" href="([^"]+)">Continue`)

// signIn signs in at a provider. The page at the callback moves on by itself.
func (b *browser) signIn(provider string) {
	b.t.Helper()
	begin := func() { b.ask("GET", b.server.url+"/auth/login?return_to=/public&provider="+provider) }
	begin()
	for range 50 { // one that was silent is asked again after a second
		if b.last.StatusCode != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(100 * time.Millisecond)
		begin()
	}
	next := moveOn.FindStringSubmatch(b.body)
	if next == nil {
		b.t.Fatalf("signing in at %s ends at %s with %d %s", provider, b.last.Request.URL.Path, b.last.StatusCode, b.body)
	}
	b.ask("GET", b.server.url+html.UnescapeString(next[1]))
	if got := b.last.Request.URL.Path; got != "/public" {
		b.t.Fatalf("signing in at %s leads to %s with %d %s, want /public", provider, got, b.last.StatusCode, b.body)
	}
}
