package login_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

func writeProblem(w http.ResponseWriter, r *http.Request, err error) { problem.Write(w, r, err) }

// both runs a test with each kind of sessions.
func both(t *testing.T, f func(t *testing.T, o option)) {
	t.Helper()
	for _, kind := range []session.Kind{session.Server, session.Sealed} {
		t.Run(string(kind), func(t *testing.T) { f(t, option{kind: kind}) })
	}
}

func TestLogin(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann", Email: "ann@example.com"})
		a := newApp(t, o, idp.Config("main"))
		idp.RegisterServer(a.url, "main", a.server.Client())
		b := newBrowser(t, a, idp)

		// An API call is refused, never redirected.
		if v := b.call("/me"); v.status != 401 || v.header.Get("WWW-Authenticate") != "Cookie" {
			t.Fatalf("GET /me = %d %v, want 401 and Cookie", v.status, v.header)
		}
		// A page is what the login leads back to, with the session at hand.
		v := b.open("/me")
		if v.status != 200 || v.url != a.url+"/me" || !strings.HasPrefix(v.body, "usr_") {
			t.Fatalf("opening /me ends at %s with %d %q, by way of %q", v.url, v.status, v.body, b.seen)
		}
		rec, err := a.stores.Users().Load(t.Context(), v.body)
		if err != nil || rec.Issuer != idp.Issuer || rec.Subject != "ann" || rec.Name != "Ann" || rec.Email != "ann@example.com" {
			t.Errorf("the user is %+v, %v", rec, err)
		}
		asked := idp.Asked("/authorize")
		if len(asked) != 1 {
			t.Fatalf("the provider was asked %d times", len(asked))
		}
		q := asked[0].Query
		for name, want := range map[string]string{
			"response_type": "code", "code_challenge_method": "S256", "client_id": idp.ClientID,
			"redirect_uri": a.url + "/auth/callback/main", "scope": "openid profile email",
		} {
			if q.Get(name) != want {
				t.Errorf("authorization request has %s=%q, want %q", name, q.Get(name), want)
			}
		}
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if len(q.Get(name)) != 43 {
				t.Errorf("authorization request has %s=%q, want 256 bits", name, q.Get(name))
			}
		}
		if n := idp.Requests("/token"); n != 1 || idp.CodeReuses() != 0 {
			t.Errorf("the token endpoint was asked %d times, a code used again %d times", n, idp.CodeReuses())
		}
		for i := range 5 {
			for _, name := range []string{"__Host-login-", "__Host-handoff-"} {
				if c := b.cookie(name + string(rune('0'+i))); c != "" {
					t.Errorf("cookie %s%d is left", name, i)
				}
			}
		}
		a.log.wants(t, "audit=true", "msg=login ", "user="+rec.ID)
		if strings.Contains(a.log.String(), idp.LastIDToken()) || strings.Contains(a.log.String(), idp.ClientSecret) {
			t.Error("the log holds a secret")
		}

		// A second login has another session and the same user.
		first := b.cookie(session.DefaultCookie)
		v = b.signIn()
		if v.status != 200 || v.body != rec.ID {
			t.Errorf("the second login ends with %d %q, want the user %s", v.status, v.body, rec.ID)
		}
		second := b.cookie(session.DefaultCookie)
		if first == second {
			t.Error("the session's cookie is the same after another login")
		}
		b.setCookie(session.DefaultCookie, first)
		if b.signedIn() {
			t.Error("the session of the first login is good after the second")
		}
	})
}

func TestSessionEndpoint(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann", Claims: map[string]any{"groups": []any{"writer"}}})
	a := newApp(t, option{config: func(c *login.Config) {
		c.Bindings = map[string]provider.Binding{"session": {ScopesClaim: "groups", ScopesMap: map[string][]string{"writer": {"posts:write"}}}}
	}}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	if v := b.call("/auth/session"); v.status != 401 || v.header.Get("WWW-Authenticate") != "Cookie" {
		t.Errorf("GET /auth/session without one = %d %v", v.status, v.header)
	}
	if v := b.do(http.MethodPost, "/posts", "same-origin", "", ""); v.status != 401 {
		t.Errorf("POST /posts without a session = %d", v.status)
	}
	b.signIn()
	v := b.call("/auth/session")
	var got struct {
		ID       string
		User     struct{ ID, Name, Issuer, Subject string }
		Provider string
		Scopes   []string
		Expires  time.Time
	}
	if err := json.Unmarshal([]byte(v.body), &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if v.status != 200 || got.User.Name != "Ann" || got.User.Subject != "ann" || got.Provider != "main" ||
		len(got.Scopes) != 1 || got.Scopes[0] != "posts:write" || time.Until(got.Expires) < 11*time.Hour {
		t.Errorf("GET /auth/session = %d %s", v.status, v.body)
	}
	if v.header.Get("Cache-Control") != "no-store" {
		t.Errorf("GET /auth/session may be cached: %v", v.header)
	}
	if strings.Contains(v.body, b.cookie(session.DefaultCookie)) {
		t.Error("GET /auth/session shows the cookie")
	}
	if v := b.do(http.MethodPost, "/posts", "same-origin", "", ""); v.status != 201 {
		t.Errorf("POST /posts with the scope = %d %s", v.status, v.body)
	}
	if v := b.do(http.MethodPost, "/posts", "cross-site", "", ""); v.status != 401 {
		t.Errorf("POST /posts from another site, whose browser sends no Strict cookie = %d", v.status)
	}
	if v := b.do(http.MethodPost, "/posts", "same-site", "", ""); v.status != 403 || !strings.Contains(v.body, "origin_missing") {
		t.Errorf("POST /posts from a neighbour = %d %s", v.status, v.body)
	}
}

// TestSecondUser: scopes are the person's own.
func TestSecondUser(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.AddUser(gatetest.User{Subject: "ann", Claims: map[string]any{"groups": "posts:write"}})
	idp.AddUser(gatetest.User{Subject: "bob", Claims: map[string]any{"groups": "other"}})
	a := newApp(t, option{config: func(c *login.Config) {
		c.Bindings = map[string]provider.Binding{"session": {ScopesClaim: "groups"}}
	}}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	idp.SignInAs("bob")
	b.signIn()
	if v := b.do(http.MethodPost, "/posts", "same-origin", "", ""); v.status != 403 || !strings.Contains(v.body, "insufficient_scope") {
		t.Errorf("POST /posts by bob = %d %s", v.status, v.body)
	}
}

func TestReturnTo(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	for to, want := range map[string]string{
		"":                             "/",
		"/":                            "/",
		"/me":                          "/me",
		"/me?x=1&y=%2F":                "/me?x=1&y=%2F",
		"/auth/login?return_to=%2Fme":  "/",
		"/auth/logout":                 "/",
		"https://evil.example/":        "refused",
		"//evil.example/":              "refused",
		"/\\evil.example":              "refused",
		"/\t/evil.example":             "refused",
		"javascript:alert(1)":          "refused",
		"me":                           "refused",
		"/" + strings.Repeat("a", 600): "refused",
	} {
		b := newBrowser(t, a, idp)
		v := b.open("/auth/login?return_to=" + url.QueryEscape(to))
		if want == "refused" {
			if v.status != 400 || strings.Contains(v.body, "evil") || idp.Requests("/authorize") > 100 {
				t.Errorf("return_to=%q: %d at %s", to, v.status, v.url)
			}
			continue
		}
		if v.url != a.url+want {
			t.Errorf("return_to=%q ends at %s, want %s", to, v.url, want)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	for _, path := range []string{
		"/auth/login?provider=main&provider=main", "/auth/login?return_to=/a&return_to=/b", "/auth/login?fresh=2",
		"/auth/login?return_to=%zz", "/auth/login?a;b",
	} {
		if v := b.step(path, "none"); v.status != 400 || len(v.header["Set-Cookie"]) != 0 {
			t.Errorf("GET %s = %d %v, want 400 and no cookie", path, v.status, v.header["Set-Cookie"])
		}
	}
	if v := b.step("/auth/login?provider=nobody", "none"); v.status != 404 {
		t.Errorf("an unknown provider = %d, want 404", v.status)
	}
	req, _ := http.NewRequest(http.MethodGet, a.url+"/auth/login", nil)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	if v := b.send(req); v.status != 400 || v.header.Get("Location") != "" {
		t.Errorf("a script that fetches the login = %d %v, want 400", v.status, v.header)
	}
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/auth/login", "GET"}, {"PUT", "/auth/logout", "GET, POST"}, {"GET", "/auth/sessions/x", "DELETE"}, {"GET", "/auth/backchannel-logout/main", "POST"},
	} {
		if v := b.do(c.method, c.path, "same-origin", "", ""); v.status != 405 || v.header.Get("Allow") != c.allow {
			t.Errorf("%s %s = %d, Allow %q, want 405 and %q", c.method, c.path, v.status, v.header.Get("Allow"), c.allow)
		}
	}
	for _, path := range []string{"/auth/", "/auth/nothing", "/auth/callback/", "/auth/callback/a/b", "/auth/callback/nobody", "/auth/login/x"} {
		if v := b.step(path, "none"); v.status != 404 {
			t.Errorf("GET %s = %d, want 404", path, v.status)
		}
	}
}

func TestChooser(t *testing.T) {
	one, two := gatetest.NewProvider(t), gatetest.NewProvider(t)
	a := newApp(t, option{}, one.Config("main"), two.Config("other"))
	b := newBrowser(t, a, one, two)
	v := b.open("/me")
	for _, want := range []string{`href="/auth/login?provider=main&amp;return_to=%2Fme"`, `href="/auth/login?provider=other&amp;return_to=%2Fme"`} {
		if v.status != 200 || !strings.Contains(v.body, want) {
			t.Errorf("the page to choose is %d without %s:\n%s", v.status, want, v.body)
		}
	}
	first := b.open("/auth/login?provider=main&return_to=/me").body
	second := b.open("/auth/login?provider=other&return_to=/me").body
	if !strings.HasPrefix(first, "usr_") || !strings.HasPrefix(second, "usr_") || first == second {
		t.Errorf("the same subject at two providers is %q and %q, want two users", first, second)
	}
	if one.Requests("/token") != 1 || two.Requests("/token") != 1 {
		t.Error("a provider's code went to another")
	}
}

// TestOtherProvider: a session of another provider is absent for a scheme that
// names one.
func TestOtherProvider(t *testing.T) {
	one, two := gatetest.NewProvider(t), gatetest.NewProvider(t)
	a := newApp(t, option{config: func(c *login.Config) {
		c.Bindings = map[string]provider.Binding{"session": {Providers: []string{"main"}}}
	}}, one.Config("main"), two.Config("other"))
	b := newBrowser(t, a, one, two)
	b.open("/auth/login?provider=other")
	if !b.signedIn() {
		t.Fatal("not signed in")
	}
	if v := b.call("/me"); v.status != 401 || len(v.header["Set-Cookie"]) != 0 {
		t.Errorf("GET /me with a session of another provider = %d %v, want 401 and the cookie left alone", v.status, v.header["Set-Cookie"])
	}
	b.open("/auth/login?provider=main")
	if v := b.call("/me"); v.status != 200 {
		t.Errorf("GET /me with a session of the named provider = %d", v.status)
	}
}

func TestHook(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann", Claims: map[string]any{"department": "news"}})
	var answer error
	a := newApp(t, option{config: func(c *login.Config) {
		c.SignIn = func(_ context.Context, s *user.SignIn) error {
			if s.Claims["department"] != "news" || s.Provider != "main" || s.Issuer != idp.Issuer || s.Subject != "ann" {
				t.Errorf("the hook sees %+v", s)
			}
			s.Profile.Name = "Ann of News"
			s.Scopes["session"] = append(s.Scopes["session"], "posts:write")
			s.Issuer, s.Subject = "https://evil.example", "root"
			return answer
		}
	}}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	v := b.signIn()
	rec, err := a.stores.Users().Load(t.Context(), v.body)
	if err != nil || rec.Name != "Ann of News" || rec.Subject != "ann" || rec.Issuer != idp.Issuer {
		t.Errorf("the user is %+v, %v", rec, err)
	}
	if v := b.do(http.MethodPost, "/posts", "same-origin", "", ""); v.status != 201 {
		t.Errorf("POST /posts with the scope that the hook gave = %d", v.status)
	}
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{errors.New("the backend says <no>"), 403, "You may not sign in"},
		{&problem.Error{Status: 402, Title: "Please pay first <b>", Detail: "Your plan has ended."}, 402, "Please pay first &lt;b&gt;"},
	} {
		answer = c.err
		b := newBrowser(t, a, idp)
		v := b.signIn()
		if v.status != c.status || !strings.Contains(v.body, c.text) || strings.Contains(v.body, "the backend") || b.signedIn() {
			t.Errorf("the hook says %v: %d %s", c.err, v.status, v.body)
		}
	}
	a.log.wants(t, "login failed", "the backend says <no>")
}

func TestDisabledUser(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		b := newBrowser(t, a, idp)
		id := b.signIn().body
		if err := a.stores.Users().SetDisabled(t.Context(), id, true); err != nil {
			t.Fatal(err)
		}
		if b.signedIn() {
			t.Error("a disabled user's session is good")
		}
		if v := b.signIn(); v.status != 403 || b.signedIn() {
			t.Errorf("a disabled user's login = %d", v.status)
		}
	})
}

// TestPlainOAuth: a provider without OpenID Connect, with endpoints that the
// document has.
func TestPlainOAuth(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.AddUser(gatetest.User{Subject: "12345", Name: "Octo Cat", Email: "cat@example.com"})
	cfg := idp.OAuthConfig("hub")
	auth, token := cfg.AuthorizationURL, cfg.TokenURL
	cfg.AuthorizationURL, cfg.TokenURL = "", ""
	cfg.Scopes = []string{"read:user"}
	a := newApp(t, option{config: func(c *login.Config) {
		c.Schemes[0].AuthorizationURL, c.Schemes[0].TokenURL = auth, token
	}}, cfg)
	b := newBrowser(t, a, idp)
	v := b.signIn()
	rec, err := a.stores.Users().Load(t.Context(), v.body)
	if err != nil || rec.Subject != "12345" || rec.Issuer != idp.Issuer || rec.Name != "Octo Cat" || rec.Email != "cat@example.com" {
		t.Fatalf("the user is %+v, %v (at %s: %d)", rec, err, v.url, v.status)
	}
	q := idp.Asked("/authorize")[0].Query
	if q.Get("code_challenge_method") != "S256" || q.Has("nonce") || q.Get("scope") != "read:user posts:write" {
		t.Errorf("authorization request = %v", q)
	}
	if v := b.do(http.MethodPost, "/posts", "same-origin", "", ""); v.status != 201 {
		t.Errorf("POST /posts with the granted scope = %d %s", v.status, v.body)
	}
	if v := b.open("/auth/login?fresh=1"); v.status != 400 {
		t.Errorf("a fresh login, which plain OAuth cannot show = %d", v.status)
	}
}

// TestOtherPaths: what lies beside the endpoints is the API's to answer.
func TestOtherPaths(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	h := a.login.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for path, ours := range map[string]bool{
		"/auth/login": true, "/auth/session": true, "/auth/sessions/x": true, "/auth/callback/main": true, "/auth/backchannel-logout/main": true,
		"/auth": false, "/auth/": false, "/auth/token": false, "/auth/callback": false, "/auth/callback/": false, "/auth/callback/a/b": false,
		"/auth%2Flogin": false, "/authlogin": false, "/": false, "/auth/login/x": false,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		answers := h.(interface{ Answers(path string) bool }).Answers(path)
		if (w.Code != http.StatusTeapot) != ours || answers != ours {
			t.Errorf("GET %s is answered by the API: %v, Answers() = %v, want ours: %v", path, w.Code == http.StatusTeapot, answers, ours)
		}
	}
}

// TestHostIsNotBelieved: where the provider sends people is configured, and no
// matter of what a request says.
func TestHostIsNotBelieved(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	b.signIn()
	ask := func(method, path string) visit {
		req, err := http.NewRequest(method, a.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.Header.Set("X-Forwarded-Host", "evil.example")
		req.Header.Set("Forwarded", "host=evil.example")
		req.AddCookie(&http.Cookie{Name: session.DefaultCookie, Value: b.cookie(session.DefaultCookie)})
		return b.send(req)
	}
	for path, v := range map[string]visit{"/auth/login": ask(http.MethodGet, "/auth/login"), "/auth/logout": ask(http.MethodPost, "/auth/logout")} {
		text := v.header.Get("Location") + v.body
		if !strings.Contains(text, idp.Issuer) || !strings.Contains(text, url.QueryEscape(a.url)) || strings.Contains(text, "evil") {
			t.Errorf("%s for another host = %d %s", path, v.status, text)
		}
	}
}
