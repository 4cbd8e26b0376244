package session_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

const issuer = "https://id.example"

var (
	cookie = gate.Place{In: gate.InCookie, Name: session.DefaultCookie}
	anna   = user.Record{ID: "usr_anna", Issuer: issuer, Subject: "1", Name: "Anna", Email: "anna@id.example"}
	bert   = user.Record{ID: "usr_bert", Issuer: issuer, Subject: "2", Name: "Bert"}
	kinds  = []session.Kind{session.Server, session.Sealed}
)

// A fixture is the sessions of one server, with a clock and stores of its own.
type fixture struct {
	*session.Sessions
	m    *memory
	cfg  session.Config
	log  *bytes.Buffer
	mu   sync.Mutex
	time time.Time
}

func (f *fixture) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.time
}

func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.time = f.time.Add(d)
}

func setup(t testing.TB, kind session.Kind, change func(*session.Config)) *fixture {
	t.Helper()
	f := &fixture{m: newMemory(), log: &bytes.Buffer{}, time: time.Date(2031, 5, 6, 7, 8, 9, 123e6, time.UTC)}
	f.m.users[anna.ID], f.m.users[bert.ID] = anna, bert
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	f.cfg = session.Config{
		Kind: kind, Store: f.m, Revocations: f.m, Users: people{f.m}, Ring: ring, Now: f.now,
		Logger: slog.New(slog.NewTextHandler(&locked{w: f.log}, nil)),
	}
	if change != nil {
		change(&f.cfg)
	}
	f.Sessions = remake(t, f.cfg)
	return f
}

func remake(t testing.TB, cfg session.Config) *session.Sessions {
	t.Helper()
	s, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A locked is a writer for several at once.
type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func login() session.Login {
	return session.Login{
		User: anna, Provider: "main", Issuer: issuer, Subject: "1", ProviderSession: "ps1",
		Scopes: map[string][]string{"login": {"posts:read", "posts:write"}, "other": {"x"}},
		Agent:  "Browser/1.0",
	}
}

func (f *fixture) begin(t testing.TB, n session.Login) secret.Value {
	t.Helper()
	ticket, err := f.Begin(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// signIn gives the value of the session cookie of a whole login, in a browser
// that holds old; "" for nothing.
func (f *fixture) signIn(t testing.TB, n session.Login, old string) string {
	t.Helper()
	w, err := f.finish(f.begin(t, n), old)
	if err != nil {
		t.Fatal(err)
	}
	value, cleared := received(t, w)
	if value == "" || cleared {
		t.Fatalf("after Finish the browser has no cookie: %q", w.Header())
	}
	return value
}

func (f *fixture) finish(ticket secret.Value, old string) (*httptest.ResponseRecorder, error) {
	w := httptest.NewRecorder()
	return w, f.Finish(w, browser("GET", old), ticket)
}

// browser is a request of a browser that holds value in its session cookie.
func browser(method, value string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	if value != "" {
		r.Header.Set("Cookie", session.DefaultCookie+"="+value)
	}
	return r
}

// received is what w tells a browser of the session cookie: a new value, or
// that it is cleared. Every line has all the attributes.
func received(t testing.TB, w *httptest.ResponseRecorder) (value string, cleared bool) {
	t.Helper()
	for i, line := range w.Header()["Set-Cookie"] {
		name, rest, _ := strings.Cut(line, "=")
		text, attributes, _ := strings.Cut(rest, "; ")
		want := "Path=/; HttpOnly; Secure; SameSite=Strict"
		if text == "" {
			want = "Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"
			cleared = true
		}
		if name != session.DefaultCookie || attributes != want || i > 0 {
			t.Errorf("line %d of Set-Cookie is %q, want one line with %q", i, line, want)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control beside Set-Cookie is %q, want no-store", got)
		}
		value = text
	}
	return value, cleared
}

// An outcome is what comes of a request: who it is let in as, and what the
// browser is told.
type outcome struct {
	id      gate.Identity
	err     error
	value   string
	cleared bool
}

// ask has the scheme verify a browser's cookie, inside Handler.
func (f *fixture) ask(t testing.TB, value string, providers ...string) outcome {
	t.Helper()
	if providers == nil {
		return ask(t, f.Sessions, value, f.Scheme("login", nil, cookie))
	}
	return ask(t, f.Sessions, value, f.Scheme("login", providers, cookie))
}

func ask(t testing.TB, s *session.Sessions, value string, a gate.Authenticator) outcome {
	t.Helper()
	var o outcome
	w := httptest.NewRecorder()
	s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c, found, err := a.Find(r)
		if !found || err != nil {
			t.Fatalf("Find() = %v, %v", found, err)
		}
		o.id, o.err = a.Verify(r.Context(), r, c)
	})).ServeHTTP(w, browser("GET", value))
	o.value, o.cleared = received(t, w)
	return o
}

// lives checks that value is anna's session.
func (f *fixture) lives(t testing.TB, what, value string) {
	t.Helper()
	if o := f.ask(t, value); o.err != nil || o.id.User == nil || o.id.User.ID != anna.ID || o.cleared {
		t.Errorf("%s: Verify() = %+v, want the session to live", what, o)
	}
}

// over checks that value is absent, cleared and audited.
func (f *fixture) over(t testing.TB, what, value, event string) {
	t.Helper()
	f.log.Reset()
	if o := f.ask(t, value); !errors.Is(o.err, gate.ErrAbsent) || o.id.User != nil || !o.cleared {
		t.Errorf("%s: Verify() = %+v, want gate.ErrAbsent and the cookie cleared", what, o)
	}
	f.audited(t, what, event)
}

// audited checks that the log has that event, once, as an audit line.
func (f *fixture) audited(t testing.TB, what, event string, attrs ...string) {
	t.Helper()
	n := 0
	for line := range strings.Lines(f.log.String()) {
		if strings.Contains(line, "audit=true") && strings.Contains(line, `msg="`+event+`"`) {
			n++
			for _, a := range attrs {
				if !strings.Contains(line, a) {
					t.Errorf("%s: the line %q lacks %q", what, line, a)
				}
			}
		}
	}
	if n != 1 {
		t.Errorf("%s: %d audit lines %q in %q, want 1", what, n, event, f.log)
	}
}

func each(t *testing.T, change func(*session.Config), run func(t *testing.T, f *fixture)) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) { run(t, setup(t, kind, change)) })
	}
}
