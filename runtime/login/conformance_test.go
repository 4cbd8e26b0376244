package login_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// The files named conformance_* drive whole logins at a provider that may lie.
// Tests whose names begin with oidcc-client-test are those of the OpenID
// Foundation's suite for relying parties; docs/conformance.md lists them. What a
// login must come to is what the suite, or the specification, says of it.

// An outcome is what a login must come to.
type outcome string

const (
	// accept: there is a session, and the browser is where it wanted to go.
	accept outcome = "accept"
	// reject: 403, since what the provider says does not hold.
	reject outcome = "reject"
	// unavailable: 503, since the provider is at fault and nothing is known
	// of the person.
	unavailable outcome = "unavailable"
	// startAgain: 200, and a page that offers to begin anew, since the
	// response belongs to no login of this browser.
	startAgain outcome = "start again"
)

// canary stands in what providers say in words. No page of ours may repeat it.
const canary = "c4n4ry"

// script is what a provider says that would have a page of ours run a script.
const script = `"><script>alert('` + canary + `')</script>`

// A trial is one login, and what it must come to.
type trial struct {
	name     string
	mischief gatetest.Mischief
	must     outcome
	cause    string // a word of it, in the log
	path     string // that begins the login; "" for the usual one
	unsent   bool   // the code must not reach the token endpoint
}

// A stage is an app and its provider, with whatever is secret noted.
type stage struct {
	*app
	idp   *gatetest.Provider
	count *counted

	mu      sync.Mutex
	secrets []string
}

// A play is how a stage differs from the usual one.
type play struct {
	option
	provider gatetest.ProviderConfig
	config   func(*provider.Config)
	before   func(*gatetest.Provider) // before the app starts
}

func newStage(t *testing.T, o play) *stage {
	t.Helper()
	o.provider.ClientSecret = cmp.Or(o.provider.ClientSecret, rand.Text()+rand.Text()+rand.Text()) // long enough for HS512
	s := &stage{idp: gatetest.NewProvider(t, o.provider)}
	if o.before != nil {
		o.before(s.idp)
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.count = &counted{Stores: db}
	o.store = s.count
	cfg := s.idp.Config("main")
	if o.config != nil {
		o.config(&cfg)
	}
	s.app = newApp(t, o.option, cfg)
	s.idp.RegisterServer(s.url, "main", s.server.Client())
	s.note(s.idp.ClientSecret)
	if !o.noOpen {
		s.misbehave(gatetest.Mischief{})
	}
	return s
}

// counted are stores that count what a login adds to them.
type counted struct {
	store.Stores
	sessions, people atomic.Int64
}

func (c *counted) Sessions() session.Store { return countedSessions{c.Stores.Sessions(), &c.sessions} }
func (c *counted) Users() user.Store       { return countedUsers{c.Stores.Users(), &c.people} }

type countedSessions struct {
	session.Store
	n *atomic.Int64
}

func (c countedSessions) Create(ctx context.Context, rec session.Record) error {
	c.n.Add(1)
	return c.Store.Create(ctx, rec)
}

type countedUsers struct {
	user.Store
	n *atomic.Int64
}

func (c countedUsers) Ensure(ctx context.Context, issuer, subject string, p user.Profile) (user.Record, error) {
	c.n.Add(1)
	return c.Store.Ensure(ctx, issuer, subject, p)
}

// note adds to what no log and no page may hold.
func (s *stage) note(values ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		// What is short is in other words by chance; what is no token was
		// made up by a test.
		if text, ok := v.(string); ok && len(text) >= 16 && !strings.ContainsAny(text, "<> ") {
			s.secrets = append(s.secrets, text)
		}
	}
}

// misbehave is Misbehave with what passes noted, as it was and as m made it.
func (s *stage) misbehave(m gatetest.Mischief) {
	token, callback := m.Token, m.Callback
	m.Token = func(members map[string]any) {
		s.note(members["access_token"], members["refresh_token"], members["id_token"])
		if token != nil {
			token(members)
			s.note(members["access_token"], members["refresh_token"], members["id_token"])
		}
	}
	m.Callback = func(params url.Values) {
		s.note(params.Get("code"), params.Get("state"))
		if callback != nil {
			callback(params)
			s.note(params.Get("code"))
		}
	}
	s.idp.Misbehave(m)
}

// run is a login in a new browser. It checks all that holds for a login of
// that outcome.
func (s *stage) run(t *testing.T, c trial) *browser {
	t.Helper()
	s.log.reset()
	s.misbehave(c.mischief)
	defer s.misbehave(gatetest.Mischief{})
	sessions, people, exchanges := s.count.sessions.Load(), s.count.people.Load(), s.idp.Requests("/token")
	b := newBrowser(t, s.app, s.idp)
	v := b.open(cmp.Or(c.path, "/auth/login?return_to=/me"))
	signedIn := b.signedIn()
	sessions, people, exchanges = s.count.sessions.Load()-sessions, s.count.people.Load()-people, s.idp.Requests("/token")-exchanges

	if c.must == accept {
		if v.status != 200 || v.url != s.url+"/me" || !strings.HasPrefix(v.body, "usr_") || !signedIn || people != 1 {
			t.Errorf("the login ends at %s with %d %s, signed in: %v, want it accepted", v.url, v.status, words(v), signedIn)
		}
		s.log.wants(t, "audit=true", "msg=login ")
	} else {
		status := map[outcome]int{reject: 403, unavailable: 503, startAgain: 200}[c.must]
		if v.status != status || !strings.Contains(v.body, `href="/auth/login`) {
			t.Errorf("the login ends at %s with %d %s, want %d and the way to begin anew", v.url, v.status, words(v), status)
		}
		if (v.header.Get("Retry-After") != "") != (c.must == unavailable) {
			t.Errorf("Retry-After is %q with %d", v.header.Get("Retry-After"), v.status)
		}
		if signedIn || sessions != 0 || people != 0 {
			t.Errorf("signed in: %v, %d sessions and %d users made, want nothing of it", signedIn, sessions, people)
		}
		s.holdsNothing(t, b)
		s.checkPage(t, v)
		line := []string{"audit=true", c.cause}
		if c.must != startAgain {
			line = append(line, "login failed", "provider=main", "cause=")
		}
		s.log.wants(t, line...)
	}
	want := 1
	if c.unsent {
		want = 0
	}
	if exchanges != want {
		t.Errorf("the token endpoint was asked %d times, want %d", exchanges, want)
	}
	s.checkSecrets(t, v, b)
	return b
}

// words are those of a page, without its head.
func words(v visit) string {
	_, body, _ := strings.Cut(v.body, "<body>")
	return cmp.Or(body, v.body)
}

// holdsNothing fails the test if the browser holds a session, or what becomes one.
func (s *stage) holdsNothing(t *testing.T, b *browser) {
	t.Helper()
	names := []string{session.DefaultCookie}
	for _, slot := range "01234" {
		names = append(names, "__Host-handoff-"+string(slot))
	}
	for _, name := range names {
		if b.cookie(name) != "" {
			t.Errorf("the browser holds the cookie %s", name)
		}
	}
}

// checkPage fails the test unless a page is ours alone.
func (s *stage) checkPage(t *testing.T, v visit) {
	t.Helper()
	policy := v.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(v.header.Get("Content-Type"), "text/html") || !strings.Contains(policy, "default-src 'none'") ||
		strings.Contains(policy, "script-src") || strings.Contains(policy, "unsafe") || v.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page has the header %v", v.header)
	}
	text := strings.ToLower(v.body)
	for _, no := range []string{"<script", "javascript:", "onerror", "onload", canary, "localhost", "mallory", "evil"} {
		if strings.Contains(text, no) {
			t.Errorf("the page has %q in it:\n%s", no, words(v))
		}
	}
}

// checkSecrets fails the test if the log or the page holds a secret, if a line
// of the log was broken by what the provider said, or if a code was sent twice.
func (s *stage) checkSecrets(t *testing.T, v visit, b *browser) {
	t.Helper()
	for _, r := range s.idp.Asked("/token") {
		s.note(r.Form.Get("code"), r.Form.Get("code_verifier"), r.Form.Get("refresh_token"))
	}
	for _, r := range s.idp.Asked("/authorize") {
		s.note(r.Query.Get("state"), r.Query.Get("nonce"))
	}
	s.note(b.cookie(session.DefaultCookie), s.idp.LastIDToken())
	log := s.log.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		if strings.Contains(log, secret) || strings.Contains(v.body, secret) {
			t.Errorf("the log or the page holds the secret %s", secret)
		}
	}
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "time=") {
			t.Errorf("a line of the log is %s", line)
		}
	}
	if n := s.idp.CodeReuses(); n != 0 {
		t.Errorf("a code was sent again %d times", n)
	}
}

// runAll runs trials one by one on a stage that they share, with each kind of
// sessions.
func runAll(t *testing.T, trials []trial) {
	both(t, func(t *testing.T, o option) {
		s := newStage(t, play{option: o})
		for _, c := range trials {
			t.Run(c.name, func(t *testing.T) { s.run(t, c) })
		}
		t.Run("and then an honest login", func(t *testing.T) { s.run(t, trial{must: accept}) })
	})
}

// claims are ID tokens with other claims.
func claims(change func(c map[string]any)) gatetest.Mischief {
	return forged(gatetest.Forgery{Claims: change})
}

// with are ID tokens with one claim set; nil takes it away.
func with(name string, value any) gatetest.Mischief {
	return claims(func(c map[string]any) {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	})
}

// before are ID tokens with members put in front of the others.
func before(members string) gatetest.Mischief {
	return forged(gatetest.Forgery{RawClaims: func(b []byte) []byte { return append([]byte("{"+members+","), b[1:]...) }})
}

func forged(f gatetest.Forgery) gatetest.Mischief { return gatetest.Mischief{IDToken: f} }

// header are ID tokens with one member of the header set; nil takes it away.
func header(name string, value any) gatetest.Mischief {
	return forged(gatetest.Forgery{Header: func(h map[string]any) {
		h[name] = value
		if value == nil {
			delete(h, name)
		}
	}})
}

// spoilt has the answer of an endpoint spoilt.
func spoilt(path string, f gatetest.Fault) gatetest.Mischief {
	return gatetest.Mischief{Faults: map[string]gatetest.Fault{path: f}}
}

// says is an answer with that status, type and body.
func says(status int, kind, body string) gatetest.Fault {
	return gatetest.Fault{Status: status, Type: kind, Body: func([]byte) []byte { return []byte(body) }}
}
