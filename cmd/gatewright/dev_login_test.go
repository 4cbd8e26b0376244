package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json"

	chromium "github.com/gatewright/gatewright/internal/testenv/browser"
)

const loginDoc = `openapi: 3.1.0
info: {title: Diary, version: "1"}
paths:
  /mine: {get: {operationId: mine, security: [{login: []}], responses: {'200': {description: ok}}}}
  /posts: {post: {operationId: write, security: [{login: [posts:write]}], responses: {'204': {description: ok}}}}
components:
  securitySchemes:
    login: {type: openIdConnect, openIdConnectUrl: /.well-known/openid-configuration}
`

// A person is a browser, as far as signing in goes: it has cookies, follows
// redirects and pages that move on by themselves, and picks a user.
type person struct {
	client *http.Client
	base   string
}

func (b *helloBench) person(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *b.client
	client.Jar = jar
	return &person{client: &client, base: b.base}
}

var (
	movesOn     = regexp.MustCompile(`http-equiv="refresh" content="0; ?url=([^"]+)"`)
	pickID      = regexp.MustCompile(`name="id" value="([^"]+)"`)
	userButtons = regexp.MustCompile(`name="user" value="([^"]+)"`)
)

// do sends a request as a page of the same origin does, and returns what the
// browser shows in the end.
func (p *person) do(t *testing.T, method, at string, form url.Values) (*http.Response, string) {
	t.Helper()
	for range 5 {
		req, err := http.NewRequest(method, at, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		res, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		found := movesOn.FindSubmatch(body)
		if found == nil {
			return res, string(body)
		}
		next, err := res.Request.URL.Parse(html.UnescapeString(string(found[1])))
		if err != nil {
			t.Fatal(err)
		}
		method, at, form = http.MethodGet, next.String(), nil
	}
	t.Fatal("the pages move on for ever")
	return nil, ""
}

// signIn picks name and returns the users that could be picked.
func (p *person) signIn(t *testing.T, name string) []string {
	t.Helper()
	res, text := p.do(t, http.MethodGet, p.base+"/auth/login?return_to=/mine", nil)
	id := pickID.FindStringSubmatch(text)
	if id == nil {
		t.Fatalf("no users to pick from at %s: %d %s", res.Request.URL, res.StatusCode, text)
	}
	var users []string
	for _, found := range userButtons.FindAllStringSubmatch(text, -1) {
		users = append(users, found[1])
	}
	at, _ := res.Request.URL.Parse("/login")
	res, text = p.do(t, http.MethodPost, at.String(), url.Values{"id": {id[1]}, "user": {name}})
	if res.Request.URL.String() != p.base+"/mine" || res.StatusCode != http.StatusNotImplemented {
		t.Fatalf("signing in as %s ends at %s with %d %s", name, res.Request.URL, res.StatusCode, text)
	}
	return users
}

// status asks for a path, or posts to it.
func (p *person) status(t *testing.T, method, path string) int {
	t.Helper()
	res, _ := p.do(t, method, p.base+path, nil)
	return res.StatusCode
}

// TestDevLogin signs in at the development identity provider, with the users
// that there are without settings and with those of the settings.
func TestDevLogin(t *testing.T) {
	home := t.TempDir()
	b := &helloBench{home: home, dir: filepath.Join(home, "diary")}
	b.write(t, "../api.yaml", loginDoc)
	b.init(t, "diary")
	b.serve(t)
	defer b.stop(t)
	if !strings.Contains(b.text(), "Sign in on "+b.base+"/auth/login") {
		t.Errorf("dev does not say where to sign in:\n%s", b.text())
	}

	writer, reader := b.person(t), b.person(t)
	if got := writer.status(t, http.MethodGet, "/mine"); got != http.StatusUnauthorized {
		t.Errorf("GET /mine before signing in = %d, want 401", got)
	}
	if users := writer.signIn(t, "writer"); !slices.Equal(users, []string{"writer", "reader"}) {
		t.Errorf("users to pick from are %v", users)
	}
	reader.signIn(t, "reader")
	for _, c := range []struct {
		name string
		who  *person
		want int
	}{{"writer", writer, http.StatusNotImplemented}, {"reader", reader, http.StatusForbidden}} {
		if got := c.who.status(t, http.MethodPost, "/posts"); got != c.want {
			t.Errorf("POST /posts by %s = %d, want %d", c.name, got, c.want)
		}
	}
	var who struct {
		User   struct{ Name, Email, Subject string }
		Scopes []string
	}
	_, text := writer.do(t, http.MethodGet, b.base+"/auth/session", nil)
	if err := json.Unmarshal([]byte(text), &who, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if who.User.Name != "writer" || who.User.Email != "writer@example.test" || who.User.Subject != "writer" || !slices.Equal(who.Scopes, []string{"posts:write"}) {
		t.Errorf("GET /auth/session = %s", text)
	}

	step(t, "logout", func(t *testing.T) {
		res, text := writer.do(t, http.MethodPost, b.base+"/auth/logout", nil)
		if res.Request.URL.Path != "/auth/logout" || !strings.Contains(text, "You are signed out") {
			t.Errorf("logout ends at %s with %d %s", res.Request.URL, res.StatusCode, text)
		}
		if got := writer.status(t, http.MethodGet, "/mine"); got != http.StatusUnauthorized {
			t.Errorf("GET /mine after logout = %d, want 401", got)
		}
		b.await(t, "back-channel logout") // which follows from the provider
	})
	step(t, "logout at the provider", func(t *testing.T) {
		if got := reader.status(t, http.MethodGet, "/mine"); got != http.StatusNotImplemented {
			t.Fatalf("GET /mine by reader = %d, want 501", got)
		}
		issuer := regexp.MustCompile(`Who is signed in: (https://\S+)`).FindStringSubmatch(b.text())
		if issuer == nil {
			t.Fatalf("dev does not name the provider:\n%s", b.text())
		}
		_, text := reader.do(t, http.MethodGet, issuer[1]+"/", nil)
		sid := regexp.MustCompile(`name="sid" value="([^"]+)"`).FindStringSubmatch(text)
		if sid == nil {
			t.Fatalf("the provider knows of nobody:\n%s", text)
		}
		reader.do(t, http.MethodPost, issuer[1]+"/end", url.Values{"sid": {sid[1]}})
		b.await(t, "back-channel logout")
		if got := reader.status(t, http.MethodGet, "/mine"); got != http.StatusUnauthorized {
			t.Errorf("GET /mine after that = %d, want 401", got)
		}
	})
	step(t, "users of the settings", func(t *testing.T) {
		reader.signIn(t, "reader")
		b.write(t, "gatewright.yaml", "document: ../api.yaml\ndev:\n  users:\n    - {name: reader}\n    - {name: alice, scopes: [posts:write]}\n")
		b.await(t, "gatewright.yaml changed: building")
		b.served(t)
		if got := reader.status(t, http.MethodGet, "/mine"); got != http.StatusNotImplemented {
			t.Errorf("GET /mine by reader on the next server = %d, want 501: the session is gone", got)
		}
		alice := b.person(t)
		if users := alice.signIn(t, "alice"); !slices.Equal(users, []string{"reader", "alice"}) {
			t.Errorf("users to pick from are %v", users)
		}
		if got := alice.status(t, http.MethodPost, "/posts"); got != http.StatusNotImplemented {
			t.Errorf("POST /posts by alice = %d, want 501", got)
		}
	})
}

// TestDevBrowser signs in and out with a real browser, which holds the pages
// to their policies and trusts the development authority alone.
func TestDevBrowser(t *testing.T) {
	home := t.TempDir()
	b := &helloBench{home: home, dir: filepath.Join(home, "diary")}
	b.write(t, "../api.yaml", loginDoc)
	port := freePort(t)
	b.session, b.base = startDev(t, home, "-port", port, "api.yaml"), "https://localhost:"+port
	defer b.stop(t)
	tab := chromium.Chromium(t, nil, filepath.Join(home, ".config", "gatewright", "ca", "ca.pem"))

	// shows waits until the page at an address of the application has a text.
	shows := func(path, text string) {
		t.Helper()
		var at, got string
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			// They fail while the page changes.
			at, _ = chromedp.Run(tab, chromedp.Location())
			got, _ = chromedp.Run(tab, chromedp.Evaluate[string]("document.body.textContent"))
			if strings.HasPrefix(at, b.base+path) && strings.Contains(got, text) {
				return
			}
		}
		t.Fatalf("the browser is at %s and shows %q, want %s and %q", at, got, path, text)
	}
	if err := chromedp.Do(tab,
		chromedp.Navigate(b.base+"/auth/login?return_to=/mine"),
		chromedp.WaitVisible(`button[value="writer"]`),
	); err != nil {
		t.Fatal(err)
	}
	// The page's style counts, so the policy names it rightly.
	if high, err := chromedp.Run(tab, chromedp.Evaluate[float64](`document.querySelector("button").offsetHeight`)); err != nil || high < 44 {
		t.Errorf("a user's button is %v px high (%v), want 44 for fingers", high, err)
	}
	if err := chromedp.Do(tab, chromedp.Click(`button[value="writer"]`)); err != nil {
		t.Fatal(err)
	}
	shows("/mine", "not_implemented")
	if err := chromedp.Do(tab, chromedp.Navigate(b.base+"/auth/logout"), chromedp.Click(`form button`)); err != nil {
		t.Fatal(err)
	}
	shows("/auth/logout?state=", "You are signed out")
}
