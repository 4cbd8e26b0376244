package login_test

import (
	"crypto/tls"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// The tests of this file sign people in at providers that others wrote, each a
// process of its own, over TLS. Both have alice, an admin, and bob, who is none.

// A place is an origin that an app will have: a provider is told of it when it
// starts, and the app starts after that.
type place struct {
	listener net.Listener
	url      string
}

func newPlace(t *testing.T) place {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return place{l, "https://" + l.Addr().String()}
}

// in is o with the app at the place, its certificate from ca, and admins as
// those who write posts.
func (p place) in(t *testing.T, ca *testenv.CA, o option) option {
	o.server = func(s *httptest.Server) {
		_ = s.Listener.Close()
		s.Listener = p.listener
		s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "127.0.0.1")}}
	}
	o.config = adminsWrite
	return o
}

func adminsWrite(c *login.Config) {
	c.Bindings = map[string]provider.Binding{"session": {ScopesClaim: "groups", ScopesMap: map[string][]string{"admin": {"posts:write"}}}}
}

// callbacks are the redirect URIs of apps at the places that call a provider
// by that name.
func callbacks(name string, places ...place) []string {
	var uris []string
	for _, p := range places {
		uris = append(uris, p.url+"/auth/callback/"+name)
	}
	return uris
}

func dexConfig(name string, s *testenv.Service) provider.Config {
	return provider.Config{
		Name: name, Preset: "dex", Issuer: s.Issuer, CA: s.CA.File,
		ClientID: "web-app", ClientSecret: secret.New("web-app-secret"),
	}
}

func oidcProviderConfig(name string, s *testenv.Service) provider.Config {
	return provider.Config{
		Name: name, Issuer: s.Issuer, CA: s.CA.File, Scopes: []string{"openid", "profile", "email", "groups"},
		ClientID: "web-app", ClientSecret: secret.New("web-app-secret"),
	}
}

// said is what a provider says of itself.
type said struct {
	UserInfo   string `json:"userinfo_endpoint"`
	EndSession string `json:"end_session_endpoint"`
	BackChan   bool   `json:"backchannel_logout_supported"`
}

func saidBy(t *testing.T, s *testenv.Service) said {
	t.Helper()
	var m said
	getJSON(t, s, s.Issuer+"/.well-known/openid-configuration", "", &m)
	return m
}

func getJSON(t *testing.T, s *testenv.Service, from, token string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, from, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("GET %s = %s, %v: %s", from, res.Status, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatal(err)
	}
}

// A visitor is a person with a browser of their own.
type visitor struct {
	*browser
	person *testenv.Person
}

func newVisitor(t *testing.T, a *app, s *testenv.Service) visitor {
	t.Helper()
	return visitor{newBrowser(t, a), s.Person(t)}
}

// toCallback begins a login at a path, goes through the provider's own forms
// as user, and returns where the provider sends the browser.
func (v visitor) toCallback(user, path string) string {
	v.t.Helper()
	begun := v.step(path, "none")
	to := begun.header.Get("Location")
	if begun.status != http.StatusSeeOther || !strings.HasPrefix(to, "https://localhost:") {
		v.t.Fatalf("GET %s = %d %s %s, want the way to the provider", path, begun.status, to, begun.body)
	}
	return v.person.SignIn(v.t, to, user).String()
}

// signInAs goes through a whole login and returns where it ended.
func (v visitor) signInAs(user string) visit {
	v.t.Helper()
	return v.follow(v.toCallback(user, "/auth/login?return_to=/me"), "cross-site", 20)
}

// mustSignIn is signInAs where nothing may go wrong. It returns the user's id.
func (v visitor) mustSignIn(user string) string {
	v.t.Helper()
	got := v.signInAs(user)
	if got.status != 200 || got.url != v.app.url+"/me" || !strings.HasPrefix(got.body, "usr_") {
		v.t.Fatalf("%s's login ends at %s with %d %s\n%s", user, got.url, got.status, got.body, v.app.log)
	}
	return got.body
}

// writes is the status of an attempt to write a post.
func (v visitor) writes() int {
	v.t.Helper()
	return v.do(http.MethodPost, "/posts", "same-origin", "", "").status
}

// testRealLogin: who signs in is known again, and has the scopes that the
// groups stand for.
func testRealLogin(t *testing.T, s *testenv.Service, a *app) {
	alice, bob := newVisitor(t, a, s), newVisitor(t, a, s)
	id, other := alice.mustSignIn("alice"), bob.mustSignIn("bob")
	rec, err := a.stores.Users().Load(t.Context(), id)
	if err != nil || rec.Issuer != s.Issuer || !strings.EqualFold(rec.Name, "alice") || rec.Email != "alice@example.test" {
		t.Errorf("alice is %+v, %v", rec, err)
	}
	if got := alice.writes(); got != 201 {
		t.Errorf("POST /posts by alice, an admin = %d, want 201", got)
	}
	if got := bob.writes(); got != 403 {
		t.Errorf("POST /posts by bob, no admin = %d, want 403", got)
	}
	if id == other {
		t.Error("alice and bob are one user")
	}
	first := alice.cookie(session.DefaultCookie)
	if again := alice.mustSignIn("alice"); again != id || alice.cookie(session.DefaultCookie) == first {
		t.Errorf("alice's second login is the user %s, want %s with another session", again, id)
	}
}

// fresh asks for a login anew, whatever session the provider has.
func (v visitor) fresh(user string) visit {
	v.t.Helper()
	return v.follow(v.toCallback(user, "/auth/login?fresh=1&return_to=/me"), "cross-site", 20)
}

// past is how far clocks go for an access token of a minute to count as over,
// and not its ID token.
const past = 45 * time.Second

// testRealRefresh: many who need a new access token at once, at two replicas,
// use the refresh token once, and so the session lives.
func testRealRefresh(t *testing.T, s *testenv.Service, one, two *app) {
	userInfo := saidBy(t, s).UserInfo
	v := newVisitor(t, one, s)
	v.mustSignIn("alice")
	last := v.call("/token")
	if last.status != 200 {
		t.Fatalf("GET /token = %d %s", last.status, last.body)
	}
	// The second round needs the refresh token that the first one brought.
	for round := 1; round <= 2; round++ {
		for _, a := range []*app{one, two} {
			a.offset.Add(int64(past))
			defer a.offset.Add(-int64(past))
		}
		answers := tokensAtOnce(t, v.cookie(session.DefaultCookie), one, two)
		now := v.call("/token")
		if len(answers) != 1 || answers["200 OK "+now.body] != 20 || now.body == last.body {
			t.Fatalf("round %d: 20 requests: %d answers: %v\n%s", round, len(answers), answers, one.log)
		}
		var info struct {
			Subject string `json:"sub"`
		}
		if getJSON(t, s, userInfo, now.body, &info); info.Subject == "" {
			t.Errorf("round %d: the token is nobody's", round)
		}
		last = now
	}
	if got := v.writes(); got != 201 {
		t.Errorf("POST /posts after the refresh = %d", got)
	}

	// A provider that is silent ends nothing; one that has forgotten does.
	for _, a := range []*app{one, two} {
		a.offset.Add(int64(past))
		defer a.offset.Add(-int64(past))
	}
	s.Stop()
	if got := v.call("/token"); got.status != 503 || !v.signedIn() {
		t.Errorf("GET /token while the provider is stopped = %d %s, signed in: %v", got.status, got.body, v.signedIn())
	}
	s.Restart(t)
	if got := v.call("/token"); got.status != 401 || !strings.Contains(got.body, "session_ended") || v.signedIn() {
		t.Errorf("GET /token where the provider has forgotten everything = %d %s, signed in: %v", got.status, got.body, v.signedIn())
	}
}

// testRealRestart: a provider that is gone, and comes back with other keys.
// late is an app that starts while it is gone.
func testRealRestart(t *testing.T, s *testenv.Service, a *app, late func() *app) {
	v := newVisitor(t, a, s)
	v.mustSignIn("alice") // the keys of before are known now
	v = newVisitor(t, a, s)
	back := v.toCallback("alice", "/auth/login?return_to=/me")
	s.Stop()
	if got := v.follow(back, "cross-site", 20); got.status != 503 || got.header.Get("Retry-After") == "" || v.signedIn() {
		t.Errorf("a login whose provider stopped half way = %d %s", got.status, got.body)
	}
	b := late()
	w := newVisitor(t, b, s)
	if got := w.step("/auth/login", "none"); got.status != 503 || got.header.Get("Retry-After") == "" || len(got.header["Set-Cookie"]) != 0 {
		t.Errorf("GET /auth/login while the provider is stopped = %d %s", got.status, got.body)
	}
	if err := b.login.Check(t.Context()); err == nil {
		t.Error("Check() = nil while the provider is stopped")
	}
	if got := w.open("/"); got.status != 200 {
		t.Errorf("GET /, which needs nobody = %d", got.status)
	}

	a.log.reset()
	s.Restart(t)
	v.mustSignIn("alice")
	a.log.wants(t, "keys of a provider fetched")
	for deadline := time.Now().Add(10 * time.Second); w.step("/auth/login", "none").status != 303; {
		if time.Now().After(deadline) {
			t.Fatal("GET /auth/login is not good again ten seconds after the provider is")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := b.login.Check(t.Context()); err != nil {
		t.Errorf("Check() = %v after the restart", err)
	}
	w.mustSignIn("alice")
}

func TestRealDex(t *testing.T) {
	home, other, sealed, late := newPlace(t), newPlace(t), newPlace(t), newPlace(t)
	s := testenv.Dex(t, testenv.DexConfig{RedirectURIs: callbacks("main", home, sealed, late), TTL: time.Minute})
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	cfg := dexConfig("main", s)
	withRefresh := cfg
	withRefresh.Scopes = []string{"openid", "profile", "email", "groups", "offline_access"}
	a := newApp(t, home.in(t, s.CA, option{ring: ring}), withRefresh)
	two := newApp(t, other.in(t, s.CA, option{ring: ring, store: a.stores}), withRefresh)
	b := newApp(t, sealed.in(t, s.CA, option{kind: session.Sealed}), cfg)

	t.Run("login", func(t *testing.T) { testRealLogin(t, s, a) })
	t.Run("login/sealed", func(t *testing.T) { testRealLogin(t, s, b) })
	t.Run("fresh", func(t *testing.T) {
		// Its ID tokens do not say when somebody signed in.
		v := newVisitor(t, a, s)
		if got := v.fresh("alice"); got.status != 403 || v.signedIn() {
			t.Errorf("a fresh login at Dex ends with %d at %s, want 403", got.status, got.url)
		}
		a.log.wants(t, "login failed", "auth_time")
	})
	t.Run("logout", func(t *testing.T) {
		if m := saidBy(t, s); m.EndSession != "" || m.BackChan {
			t.Errorf("Dex has a logout now: %+v", m)
		}
		for _, a := range []*app{a, b} {
			v := newVisitor(t, a, s)
			v.mustSignIn("alice")
			old := v.cookie(session.DefaultCookie)
			out := v.post("/auth/logout", nil)
			if out.status != 303 || out.header.Get("Location") != "/auth/logout" || v.signedIn() {
				t.Errorf("POST /auth/logout = %d %v", out.status, out.header)
			}
			if end := v.open("/auth/logout"); end.status != 200 || !strings.Contains(end.body, "You are signed out") {
				t.Errorf("GET /auth/logout = %d %s", end.status, end.body)
			}
			if v.setCookie(session.DefaultCookie, old); v.signedIn() {
				t.Error("the old cookie is good after the logout")
			}
		}
	})
	t.Run("strange authority", func(t *testing.T) {
		strange := cfg
		strange.CA = testenv.NewCA(t).File
		v := newVisitor(t, newApp(t, option{config: adminsWrite}, strange), s)
		if got := v.step("/auth/login", "none"); got.status != 503 {
			t.Errorf("GET /auth/login where the provider's certificate is from a strange authority = %d", got.status)
		}
		v.app.log.wants(t, "login not begun", "certificate signed by unknown authority")
	})
	t.Run("http issuer", func(t *testing.T) {
		var good login.Config
		newApp(t, option{config: func(c *login.Config) { good = *c }}, cfg)
		for _, change := range []func(*provider.Config){
			func(c *provider.Config) { c.Issuer = strings.Replace(c.Issuer, "https:", "http:", 1) },
			func(c *provider.Config) { c.MetadataURL = strings.Replace(c.Issuer, "https:", "http:", 1) },
		} {
			bad := cfg
			change(&bad)
			good.Providers = []provider.Config{bad}
			if _, err := login.New(good); err == nil || !strings.Contains(err.Error(), "https") {
				t.Errorf("New() with the issuer %s and metadata at %q = %v, want an error that names https", bad.Issuer, bad.MetadataURL, err)
			}
		}
	})
	t.Run("restart", func(t *testing.T) {
		testRealRestart(t, s, a, func() *app { return newApp(t, late.in(t, s.CA, option{}), cfg) })
	})
	t.Run("refresh", func(t *testing.T) { testRealRefresh(t, s, a, two) })
}

func TestRealOIDCProvider(t *testing.T) {
	home, other, late := newPlace(t), newPlace(t), newPlace(t)
	s := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{
		RedirectURIs: callbacks("main", home, late), PostLogoutURIs: []string{home.url + "/auth/logout"},
		BackchannelLogoutURI: home.url + "/auth/backchannel-logout/main", AccessTTL: time.Minute,
	})
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	cfg := oidcProviderConfig("main", s)
	// It gives a refresh token to those alone who are asked.
	cfg.Scopes = append(cfg.Scopes, "offline_access")
	cfg.Params = map[string]string{"prompt": "consent"}
	a := newApp(t, home.in(t, s.CA, option{ring: ring}), cfg)
	two := newApp(t, other.in(t, s.CA, option{ring: ring, store: a.stores}), cfg)

	t.Run("login", func(t *testing.T) { testRealLogin(t, s, a) })
	t.Run("fresh", func(t *testing.T) {
		v := newVisitor(t, a, s)
		v.mustSignIn("alice")
		if got := v.fresh("alice"); got.status != 200 || got.url != a.url+"/me" {
			t.Errorf("a fresh login ends with %d at %s: %s", got.status, got.url, got.body)
		}
	})
	t.Run("logout", func(t *testing.T) { testRealLogout(t, s, a) })
	t.Run("back-channel", func(t *testing.T) { testRealBackChannel(t, s, a, cfg.ClientID) })
	t.Run("restart", func(t *testing.T) {
		testRealRestart(t, s, a, func() *app { return newApp(t, late.in(t, s.CA, option{}), cfg) })
	})
	t.Run("refresh", func(t *testing.T) { testRealRefresh(t, s, a, two) })
}

// TestRealES256: sealed sessions, ID tokens and logout tokens signed with
// ES256, and a client that names itself in the form.
func TestRealES256(t *testing.T) {
	home, other, late := newPlace(t), newPlace(t), newPlace(t)
	s := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{
		RedirectURIs: callbacks("main", home, other, late), PostLogoutURIs: []string{home.url + "/auth/logout"},
		BackchannelLogoutURI: home.url + "/auth/backchannel-logout/main", Algorithm: "ES256",
	})
	cfg := oidcProviderConfig("main", s)
	cfg.ClientID, cfg.ClientSecret, cfg.ClientAuth = "web-post", secret.New("web-post-secret"), "client_secret_post"
	rsa := cfg
	cfg.Algorithms = []string{"ES256"}
	a := newApp(t, home.in(t, s.CA, option{kind: session.Sealed}), cfg)

	t.Run("login", func(t *testing.T) { testRealLogin(t, s, a) })
	t.Run("logout", func(t *testing.T) { testRealLogout(t, s, a) })
	t.Run("back-channel", func(t *testing.T) { testRealBackChannel(t, s, a, cfg.ClientID) })
	t.Run("not configured", func(t *testing.T) {
		a := newApp(t, other.in(t, s.CA, option{}), rsa)
		v := newVisitor(t, a, s)
		if got := v.signInAs("alice"); got.status != 403 || v.signedIn() {
			t.Errorf("a login with ES256, where RS256 alone is configured = %d %s", got.status, got.body)
		}
		a.log.wants(t, "login failed", "signed with ES256, allowed: RS256")
		a.log.wants(t, "level=WARN", "none of the configured algorithms", "offered=ES256")
	})
	t.Run("restart", func(t *testing.T) {
		testRealRestart(t, s, a, func() *app { return newApp(t, late.in(t, s.CA, option{kind: session.Sealed}), cfg) })
	})
}

// testRealLogout: the session ends here, then at the provider, which sends the
// browser back.
func testRealLogout(t *testing.T, s *testenv.Service, a *app) {
	v := newVisitor(t, a, s)
	v.mustSignIn("alice")
	a.log.reset()
	out := v.post("/auth/logout", nil)
	away := refresh.FindStringSubmatch(out.body)
	if out.status != 200 || away == nil || v.signedIn() {
		t.Fatalf("POST /auth/logout = %d %s", out.status, out.body)
	}
	to, err := url.Parse(html.UnescapeString(away[1]))
	if err != nil || !strings.HasPrefix(to.String(), saidBy(t, s).EndSession+"?") {
		t.Fatalf("it leads to %q, %v", away[1], err)
	}
	back := v.person.SignIn(t, to.String(), "").String()
	if want := a.url + "/auth/logout?state=" + to.Query().Get("state"); back != want || to.Query().Get("state") == "" {
		t.Errorf("the provider leads back to %s, want %s", back, want)
	}
	if end := v.follow(back, "cross-site", 5); end.status != 200 || !strings.Contains(end.body, "You are signed out") {
		t.Errorf("GET %s = %d %s", back, end.status, end.body)
	}
	// The provider tells us too, of a session that has ended already.
	a.log.wants(t, "audit=true", "back-channel logout", "provider=main")
	if strings.Contains(a.log.String(), "logout refused") {
		t.Errorf("the provider's logout token was refused:\n%s", a.log)
	}
	v.mustSignIn("alice")
}

// testRealBackChannel: who signs out at the provider is signed out here, in
// that browser alone.
func testRealBackChannel(t *testing.T, s *testenv.Service, a *app, client string) {
	phone, desk, other := newVisitor(t, a, s), newVisitor(t, a, s), newVisitor(t, a, s)
	phone.mustSignIn("alice")
	desk.mustSignIn("alice")
	other.mustSignIn("bob")
	a.log.reset()
	phone.person.SignIn(t, saidBy(t, s).EndSession+"?"+url.Values{
		"client_id": {client}, "post_logout_redirect_uri": {a.url + "/auth/logout"},
	}.Encode(), "")
	a.log.wants(t, "audit=true", "back-channel logout", "subject=alice")
	if phone.signedIn() || !desk.signedIn() || !other.signedIn() {
		t.Errorf("signed in after alice's logout on the phone: phone %v, desk %v, bob %v", phone.signedIn(), desk.signedIn(), other.signedIn())
	}
}

func TestRealSeveral(t *testing.T) {
	home := newPlace(t)
	ca := testenv.NewCA(t)
	dex := testenv.Dex(t, testenv.DexConfig{CA: ca, RedirectURIs: callbacks("dex", home)})
	op := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{CA: ca, RedirectURIs: callbacks("op", home)})
	a := newApp(t, home.in(t, ca, option{}), dexConfig("dex", dex), oidcProviderConfig("op", op))
	v := newVisitor(t, a, op)
	page := v.open("/me")
	ids := make(map[string]bool)
	for name, s := range map[string]*testenv.Service{"dex": dex, "op": op} {
		link := "/auth/login?provider=" + name + "&return_to=%2Fme"
		if page.status != 200 || !strings.Contains(page.body, `href="`+html.EscapeString(link)+`"`) {
			t.Fatalf("the page to choose has no %s: %d %s", link, page.status, page.body)
		}
		v.person = s.Person(t)
		got := v.follow(v.toCallback("alice", link), "cross-site", 20)
		if got.status != 200 || got.url != a.url+"/me" || v.writes() != 201 {
			t.Errorf("alice's login at %s ends at %s with %d %s", name, got.url, got.status, got.body)
		}
		ids[got.body] = true
	}
	if len(ids) != 2 {
		t.Errorf("alice of one provider and alice of the other are one user: %v", ids)
	}
	// A code of one provider does not go to the other.
	v = newVisitor(t, a, dex)
	back := v.toCallback("alice", "/auth/login?provider=dex&return_to=/me")
	got := v.follow(strings.Replace(back, "/callback/dex", "/callback/op", 1), "cross-site", 20)
	if v.signedIn() || !strings.Contains(got.body, "Please sign in again") {
		t.Errorf("a response of Dex, brought to the callback of the other = %d %s", got.status, got.body)
	}
}
