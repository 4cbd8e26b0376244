package login_test

import (
	"bytes"
	"context"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/route"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// An app is a server with a login, on loopback over TLS: an API of three
// operations, real sessions, a real store.
//
//	GET  /me       needs a session, and answers the user's id
//	POST /posts    needs a session with the scope posts:write
//	GET  /token    answers the provider's access token
type app struct {
	url    string
	server *httptest.Server
	login  *login.Login
	stores store.Stores
	ring   *secret.Ring
	log    *lines
	offset atomic.Int64 // of the clock, in nanoseconds
	down   atomic.Bool  // the store does not answer
}

// now is the app's clock.
func (a *app) now() time.Time { return time.Now().Add(time.Duration(a.offset.Load())) }

// An option changes how an app is set up.
type option struct {
	kind    session.Kind
	config  func(*login.Config)
	session func(*session.Config)
	store   store.Stores // shared with another app
	ring    *secret.Ring
	noOpen  bool
	server  func(*httptest.Server) // before it starts
}

// newApp starts an app that people sign in to at providers.
func newApp(t *testing.T, o option, providers ...provider.Config) *app {
	t.Helper()
	a := &app{log: &lines{}}
	a.stores = o.store
	if a.stores == nil {
		s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "app.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		a.stores = s
	}
	ring := o.ring
	if ring == nil {
		var err error
		if ring, err = secret.NewRing(secret.Random(32)); err != nil {
			t.Fatal(err)
		}
	}
	a.ring = ring
	logger := slog.New(slog.NewTextHandler(a.log, nil))
	a.server = httptest.NewUnstartedServer(nil)
	a.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if o.server != nil {
		o.server(a.server)
	}
	a.url = "https://" + a.server.Listener.Addr().String()
	stores := mayFail{a.stores, &a.down}
	scfg := session.Config{
		Kind: o.kind, Store: stores.Sessions(), Revocations: stores.Revocations(), Users: stores.Users(), Ring: ring,
		Logger: logger, Now: a.now,
	}
	if o.session != nil {
		o.session(&scfg)
	}
	sessions, err := session.New(scfg)
	if err != nil {
		t.Fatal(err)
	}
	cookie := gate.Place{In: gate.InCookie, Name: session.DefaultCookie}
	cfg := login.Config{
		PublicURL: a.url, Providers: providers, Sessions: sessions, Users: stores.Users(), Marks: stores.Marks(),
		Locks: stores.Locks(), Ring: ring, Logger: logger, Now: a.now,
		Schemes: []login.Scheme{{Name: "session", Places: []gate.Place{cookie}, Scopes: []string{"posts:write"}}},
	}
	if o.config != nil {
		o.config(&cfg)
	}
	a.login, err = login.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !o.noOpen {
		if err := a.login.Open(t.Context()); err != nil {
			t.Fatalf("Open() = %v", err)
		}
	}
	a.server.Config.Handler = a.login.Handler(a.api(t, cookie))
	a.server.StartTLS()
	t.Cleanup(a.server.Close)
	return a
}

// api is what a generated server would be.
func (a *app) api(t *testing.T, cookie gate.Place) http.Handler {
	t.Helper()
	need := func(scopes ...string) gate.Policy { return gate.Require(gate.Need{Scheme: "session", Scopes: scopes}) }
	me := &gate.Operation{ID: "me", Pattern: "GET /me", Policy: need()}
	post := &gate.Operation{ID: "post", Pattern: "POST /posts", Policy: need("posts:write")}
	token := &gate.Operation{ID: "token", Pattern: "GET /token", Policy: need()}
	front := &gate.Operation{ID: "front", Pattern: "GET /", Policy: gate.Public()}
	g, err := gate.New(gate.Config{
		Schemes:        []gate.Scheme{{Name: "session", Places: []gate.Place{cookie}}},
		Authenticators: map[string]gate.Authenticator{"session": a.login.Scheme("session")},
		Operations:     []*gate.Operation{me, post, token, front},
		PublicOrigin:   a.url,
	})
	if err != nil {
		t.Fatal(err)
	}
	table, err := route.New(g, []route.Entry{
		{Operation: me, Handle: func(w http.ResponseWriter, _ *http.Request, _ route.Vars, who *gate.Principal) {
			u, _ := who.User()
			io.WriteString(w, u.ID)
		}},
		{Operation: post, Handle: func(w http.ResponseWriter, _ *http.Request, _ route.Vars, _ *gate.Principal) {
			w.WriteHeader(http.StatusCreated)
		}},
		{Operation: token, Handle: func(w http.ResponseWriter, r *http.Request, _ route.Vars, who *gate.Principal) {
			answerToken(w, r, *who)
		}},
		{Operation: front, Handle: func(w http.ResponseWriter, _ *http.Request, _ route.Vars, _ *gate.Principal) {
			io.WriteString(w, "front")
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// lines is a log that tests read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all lines so far.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// reset forgets the lines so far.
func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// wants fails the test unless a line has all of words.
func (l *lines) wants(t *testing.T, words ...string) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return
		}
	}
	t.Errorf("no line of the log has %q:\n%s", words, l)
}

// A browser keeps cookies, follows redirects one by one and moves on by meta
// refresh, as a person's does. Which cookies a SameSite attribute keeps back it
// works out as RFC 6265bis, section 5.2, has it: Strict ones do not go along
// with a navigation that another site began.
type browser struct {
	t      *testing.T
	client *http.Client
	app    *app
	seen   []string // the URLs of the navigation
	sent   int      // bytes of the largest Cookie header sent
}

func newBrowser(t *testing.T, a *app, providers ...*gatetest.Provider) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := a.server.Client().Transport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	b := &browser{t: t, app: a, client: &http.Client{
		Jar: jar, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	b.client.Transport = routed{transport, providers}
	return b
}

// routed sends what is for a provider through a client that trusts it.
type routed struct {
	app       http.RoundTripper
	providers []*gatetest.Provider
}

func (r routed) RoundTrip(req *http.Request) (*http.Response, error) {
	for _, p := range r.providers {
		if strings.HasPrefix(req.URL.String(), p.Issuer) {
			return p.Client().Transport.RoundTrip(req)
		}
	}
	return r.app.RoundTrip(req)
}

// A visit is where a navigation ended.
type visit struct {
	status int
	url    string
	header http.Header
	body   string
}

var refresh = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`)

// open goes to a URL or a path of the app, as from a bookmark, and follows
// wherever that leads.
func (b *browser) open(to string) visit {
	b.t.Helper()
	return b.follow(to, "none", 20)
}

// step goes to a URL and follows nothing.
func (b *browser) step(to, site string) visit {
	b.t.Helper()
	return b.do(http.MethodGet, to, site, "", "")
}

// follow goes on until nothing leads further.
func (b *browser) follow(to, site string, most int) visit {
	b.t.Helper()
	for range most {
		v := b.step(to, site)
		b.seen = append(b.seen, v.url)
		next := ""
		if v.status/100 == 3 {
			next = v.header.Get("Location")
			// A chain that has left the site stays cross-site to its end.
			if site == "none" || site == "same-origin" {
				if !b.same(v.url, next) {
					site = "cross-site"
				}
			}
		} else if m := refresh.FindStringSubmatch(v.body); m != nil {
			next = html.UnescapeString(m[1])
			site = "same-origin" // a new navigation, begun by the page
			if !b.same(v.url, next) {
				site = "cross-site"
			}
		}
		if next == "" {
			return v
		}
		base, err := url.Parse(v.url)
		if err != nil {
			b.t.Fatal(err)
		}
		u, err := base.Parse(next)
		if err != nil {
			b.t.Fatal(err)
		}
		to = u.String()
	}
	b.t.Fatalf("no end to it: %q", b.seen)
	return visit{}
}

func (b *browser) same(from, to string) bool {
	return strings.HasPrefix(to, "/") || strings.HasPrefix(from, b.app.url) == strings.HasPrefix(to, b.app.url)
}

// do sends one request.
func (b *browser) do(method, to, site, contentType, body string) visit {
	b.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.app.url + to
	}
	req, err := http.NewRequest(method, to, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", site)
	if method == http.MethodGet {
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		req.Header.Set("Sec-Fetch-Dest", "document")
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return b.send(req)
}

// call asks as a script of a page does: no navigation, nothing followed.
func (b *browser) call(path string) visit {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.app.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(req)
}

func (b *browser) send(req *http.Request) visit {
	b.t.Helper()
	v, err := b.try(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// try sends a request; Strict cookies stay behind where another site began it.
func (b *browser) try(req *http.Request) (visit, error) {
	client := *b.client
	if req.Header.Get("Sec-Fetch-Site") == "cross-site" {
		client.Jar = noStrict{b.client.Jar}
	}
	for _, c := range client.Jar.Cookies(req.URL) {
		b.sent = max(b.sent, len(c.Name)+len(c.Value))
	}
	res, err := client.Do(req)
	if err != nil {
		return visit{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return visit{}, err
	}
	return visit{res.StatusCode, req.URL.String(), res.Header, string(text)}, nil
}

// noStrict is a jar that keeps the session's cookie back.
type noStrict struct{ http.CookieJar }

func (j noStrict) Cookies(u *url.URL) []*http.Cookie {
	var lax []*http.Cookie
	for _, c := range j.CookieJar.Cookies(u) {
		if c.Name != session.DefaultCookie {
			lax = append(lax, c)
		}
	}
	return lax
}

// cookie returns the value of a cookie that the browser holds, or "".
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.app.url)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// setCookie puts a cookie into the browser; an empty value takes it out.
func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(b.app.url)
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true}
	if value == "" {
		c.MaxAge = -1
	}
	b.client.Jar.SetCookies(u, []*http.Cookie{c})
}

// signIn goes through a whole login and returns where it ended.
func (b *browser) signIn() visit {
	b.t.Helper()
	return b.open("/auth/login?return_to=/me")
}

// signedIn tells whether the browser holds a session that counts.
func (b *browser) signedIn() bool {
	b.t.Helper()
	return b.call("/auth/session").status == http.StatusOK
}

// post sends a form from a page of the app.
func (b *browser) post(path string, form url.Values) visit {
	b.t.Helper()
	return b.do(http.MethodPost, path, "same-origin", "application/x-www-form-urlencoded", form.Encode())
}

var errDown = errors.New("the store is down")

// mayFail are stores that answer nothing while they are down.
type mayFail struct {
	store.Stores
	down *atomic.Bool
}

func (m mayFail) Sessions() session.Store { return failSessions{m.Stores.Sessions(), m.down} }
func (m mayFail) Users() user.Store       { return failUsers{m.Stores.Users(), m.down} }
func (m mayFail) Revocations() session.Revocations {
	return failRevocations{m.Stores.Revocations(), m.down}
}
func (m mayFail) Marks() session.Marks { return failMarks{m.Stores.Marks(), m.down} }
func (m mayFail) Locks() session.Locks { return failLocks{m.Stores.Locks(), m.down} }

type failSessions struct {
	session.Store
	down *atomic.Bool
}

func (f failSessions) Create(ctx context.Context, rec session.Record) error {
	if f.down.Load() {
		return errDown
	}
	return f.Store.Create(ctx, rec)
}

func (f failSessions) Load(ctx context.Context, id session.ID) (session.Record, error) {
	if f.down.Load() {
		return session.Record{}, errDown
	}
	return f.Store.Load(ctx, id)
}

func (f failSessions) Delete(ctx context.Context, m session.Match) (int, error) {
	if f.down.Load() {
		return 0, errDown
	}
	return f.Store.Delete(ctx, m)
}

type failUsers struct {
	user.Store
	down *atomic.Bool
}

func (f failUsers) Ensure(ctx context.Context, issuer, subject string, p user.Profile) (user.Record, error) {
	if f.down.Load() {
		return user.Record{}, errDown
	}
	return f.Store.Ensure(ctx, issuer, subject, p)
}

type failRevocations struct {
	session.Revocations
	down *atomic.Bool
}

func (f failRevocations) Revoke(ctx context.Context, key session.Key, before, until time.Time) error {
	if f.down.Load() {
		return errDown
	}
	return f.Revocations.Revoke(ctx, key, before, until)
}

func (f failRevocations) Revoked(ctx context.Context, keys ...session.Key) (time.Time, error) {
	if f.down.Load() {
		return time.Time{}, errDown
	}
	return f.Revocations.Revoked(ctx, keys...)
}

type failMarks struct {
	session.Marks
	down *atomic.Bool
}

func (f failMarks) Mark(ctx context.Context, key session.Key, until time.Time) (bool, error) {
	if f.down.Load() {
		return false, errDown
	}
	return f.Marks.Mark(ctx, key, until)
}

type failLocks struct {
	session.Locks
	down *atomic.Bool
}

func (f failLocks) Lock(ctx context.Context, key session.Key, holder string, until time.Time) (bool, error) {
	if f.down.Load() {
		return false, errDown
	}
	return f.Locks.Lock(ctx, key, holder, until)
}

// answerToken is a handler that calls the provider on the user's behalf.
func answerToken(w http.ResponseWriter, r *http.Request, who gate.Principal) {
	token, err := login.TokenSource(r.Context(), who).Token()
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	io.WriteString(w, token.AccessToken)
}
