package account_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/account"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/route"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

const (
	origin   = "https://blog.example"
	accounts = "/auth/account"
	keysPath = "/auth/keys"
	issuer   = "https://id.example"
)

// A site is a server with accounts: an API of two operations that take keys in
// X-API-Key, real keys and sessions, a real store.
//
//	GET  /me     answers the user's id
//	POST /posts  needs the scope posts:write
type site struct {
	stores   store.Stores
	sessions *session.Sessions
	keys     *apikey.Keys
	account  *account.Account
	api      http.Handler
	handler  http.Handler
	log      *lines
	offset   atomic.Int64 // of the clock, in nanoseconds
	down     outage
}

// An outage is what of the store does not answer, and what is wrong with the
// answers of the rest.
type outage struct {
	keys, sessions, marks atomic.Bool
	create                atomic.Bool  // no key can be added
	swap                  atomic.Bool  // another key's record is given
	many                  atomic.Bool  // there are a thousand dead keys
	asked                 atomic.Int64 // how often a key was asked for
}

func (o *outage) Store(yes bool) {
	o.keys.Store(yes)
	o.sessions.Store(yes)
	o.marks.Store(yes)
}

// now is the site's clock.
func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.offset.Load())) }

func (s *site) pass(d time.Duration) { s.offset.Add(int64(d)) }

// An option changes how a site is set up.
type option struct {
	kind    session.Kind
	cache   time.Duration
	session func(*session.Config)
	keys    func(*apikey.Config)
	config  func(*account.Config)
}

func newSite(t *testing.T, o option) *site {
	t.Helper()
	s := &site{log: &lines{}}
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "site.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.stores = mayFail{db, &s.down}
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	scfg := session.Config{
		Kind: o.kind, Store: s.stores.Sessions(), Revocations: s.stores.Revocations(), Users: s.stores.Users(), Ring: ring,
		Cache: o.cache, Logger: logger, Now: s.now,
	}
	if o.session != nil {
		o.session(&scfg)
	}
	if s.sessions, err = session.New(scfg); err != nil {
		t.Fatal(err)
	}
	kcfg := apikey.Config{
		Store: s.stores.Keys(), Users: s.stores.Users(), Environment: apikey.Live, Schemes: []string{"apiKey"},
		Scopes: map[string][]string{"apiKey": {"posts:read", "posts:write", "posts:edit"}}, Logger: logger, Now: s.now,
	}
	if o.keys != nil {
		o.keys(&kcfg)
	}
	if s.keys, err = apikey.New(kcfg); err != nil {
		t.Fatal(err)
	}
	cfg := account.Config{
		PublicURL: origin, Sessions: s.sessions, Keys: s.keys, Marks: s.stores.Marks(), Logger: logger, Now: s.now,
		Example: account.Example{Place: gate.Place{In: gate.InHeader, Name: "X-Api-Key"}, Path: "/me"},
	}
	if o.config != nil {
		o.config(&cfg)
	}
	if s.account, err = account.New(cfg); err != nil {
		t.Fatal(err)
	}
	s.api = s.newAPI(t)
	s.handler = s.sessions.Handler(s.account.Handler(s.api))
	return s
}

func (s *site) newAPI(t *testing.T) http.Handler {
	t.Helper()
	place := gate.Place{In: gate.InHeader, Name: "X-Api-Key"}
	need := func(scopes ...string) gate.Policy { return gate.Require(gate.Need{Scheme: "apiKey", Scopes: scopes}) }
	me := &gate.Operation{ID: "me", Pattern: "GET /me", Policy: need()}
	post := &gate.Operation{ID: "post", Pattern: "POST /posts", Policy: need("posts:write")}
	g, err := gate.New(gate.Config{
		Schemes:        []gate.Scheme{{Name: "apiKey", Places: []gate.Place{place}}},
		Authenticators: map[string]gate.Authenticator{"apiKey": s.keys.Scheme("apiKey", place)},
		Operations:     []*gate.Operation{me, post},
		PublicOrigin:   origin,
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
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// call is the status that the API answers a key with.
func (s *site) call(method, path, key string) int {
	r := httptest.NewRequest(method, origin+path, nil)
	r.Header.Set("X-Api-Key", key)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code
}

// A person is somebody with a session in a browser.
type person struct {
	t      *testing.T
	site   *site
	rec    user.Record
	cookie *http.Cookie
}

// person signs somebody in who holds scopes.
func (s *site) person(t *testing.T, subject string, scopes ...string) *person {
	t.Helper()
	return s.signIn(t, subject, scopes, scopes, s.now())
}

// signIn signs somebody in who holds scopes, with a session of those of held.
func (s *site) signIn(t *testing.T, subject string, scopes, held []string, at time.Time) *person {
	t.Helper()
	rec, err := s.stores.Users().Ensure(t.Context(), issuer, subject, user.Profile{Name: strings.ToUpper(subject[:1]) + subject[1:] + " Example", Email: subject + "@id.example"})
	if err != nil {
		t.Fatal(err)
	}
	scopes = slices.Sorted(slices.Values(scopes))
	if err := s.stores.Users().SetScopes(t.Context(), rec.ID, scopes); err != nil {
		t.Fatal(err)
	}
	rec.Scopes = scopes
	ticket, err := s.sessions.Begin(t.Context(), session.Login{
		User: rec, Provider: "main", Issuer: issuer, Subject: subject, Scopes: map[string][]string{"login": held}, AuthTime: at,
		Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := s.sessions.Finish(w, httptest.NewRequest("GET", origin+"/auth/finish", nil), ticket); err != nil {
		t.Fatal(err)
	}
	return &person{t: t, site: s, rec: rec, cookie: w.Result().Cookies()[0]}
}

// remember has the session be remembered as it is, as far as sessions are.
func (p *person) remember() {
	p.t.Helper()
	r := httptest.NewRequest("GET", origin, nil)
	r.AddCookie(p.cookie)
	if _, err := p.site.sessions.Current(r); err != nil {
		p.t.Fatal(err)
	}
}

// do sends a request as a page of the site does, with header lines in turn.
func (p *person) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), method, origin+path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.cookie != nil {
		r.AddCookie(p.cookie)
	}
	for line := range slices.Chunk(header, 2) {
		r.Header.Del(line[0])
		if line[1] != "" {
			r.Header.Set(line[0], line[1])
		}
	}
	w := httptest.NewRecorder()
	p.site.handler.ServeHTTP(w, r)
	return w
}

// form sends a form of the account page.
func (p *person) form(f url.Values, header ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	return p.do("POST", accounts, f.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

// page returns the account page.
func (p *person) page() string {
	p.t.Helper()
	w := p.do("GET", accounts, "")
	if w.Code != 200 {
		p.t.Fatalf("GET %s = %d %s", accounts, w.Code, w.Body)
	}
	return w.Body.String()
}

var onceField = regexp.MustCompile(`name="action" value="create">\s*<input type="hidden" name="once" value="([0-9A-Za-z]{22})">`)

// once returns what is random in the form for a new key.
func (p *person) once() string {
	p.t.Helper()
	m := onceField.FindStringSubmatch(p.page())
	if m == nil {
		p.t.Fatalf("the page has no form for a new key:\n%s", p.page())
	}
	return m[1]
}

// A key is one as the endpoints tell of it.
type key struct {
	Key    string
	Record shown
}

type shown struct {
	ID          string    `json:"id"`
	Label       string    `json:"label"`
	PrefixHint  string    `json:"prefix_hint"`
	Environment string    `json:"environment"`
	Scopes      []string  `json:"scopes"`
	State       string    `json:"state"`
	Created     time.Time `json:"created"`
	Expires     time.Time `json:"expires"`
	LastUsed    time.Time `json:"last_used"`
	Revoked     time.Time `json:"revoked"`
	ReplacedBy  string    `json:"replaced_by"`
}

// decode reads an answer's JSON, or fails the test.
func decode[T any](t *testing.T, w *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if w.Code != status {
		t.Fatalf("answer = %d %s, want %d", w.Code, w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("answer %s: %v", w.Body, err)
	}
	return v
}

// make makes a key with the endpoint.
func (p *person) make(label string, scopes ...string) key {
	p.t.Helper()
	body, err := json.Marshal(map[string]any{"label": label, "scopes": append([]string{}, scopes...)})
	if err != nil {
		p.t.Fatal(err)
	}
	return decode[key](p.t, p.do("POST", keysPath, string(body)), 201)
}

// list returns the person's keys.
func (p *person) list() []shown {
	p.t.Helper()
	return decode[struct{ Keys []shown }](p.t, p.do("GET", keysPath, ""), 200).Keys
}

// refused fails the test unless w is a problem with that status and code.
func refused(t *testing.T, what string, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var got struct{ Code string }
	_ = json.Unmarshal(w.Body.Bytes(), &got, json.MatchCaseInsensitiveNames(true))
	if w.Code != status || got.Code != code || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s = %d %v %s, want %d %s", what, w.Code, w.Header(), w.Body, status, code)
	}
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

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wants fails the test unless a line has all of words, each once.
func (l *lines) wants(t *testing.T, words ...string) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		found := true
		for _, w := range words {
			found = found && strings.Count(line, w) == 1
		}
		if found {
			return
		}
	}
	t.Errorf("no line of the log has %q:\n%s", words, l)
}

var errDown = errors.New("the store is down")

// mayFail are stores that answer nothing while they are down.
type mayFail struct {
	store.Stores
	down *outage
}

func (m mayFail) Keys() apikey.Store      { return failKeys{m.Stores.Keys(), m.down} }
func (m mayFail) Sessions() session.Store { return failSessions{m.Stores.Sessions(), m.down} }
func (m mayFail) Marks() session.Marks    { return failMarks{m.Stores.Marks(), m.down} }

type failKeys struct {
	apikey.Store
	down *outage
}

func (f failKeys) Create(ctx context.Context, rec apikey.Record) error {
	if f.down.keys.Load() || f.down.create.Load() {
		return errDown
	}
	return f.Store.Create(ctx, rec)
}

func (f failKeys) Load(ctx context.Context, id string) (apikey.Record, error) {
	if f.down.keys.Load() {
		return apikey.Record{}, errDown
	}
	f.down.asked.Add(1)
	rec, err := f.Store.Load(ctx, id)
	if f.down.swap.Load() {
		rec.ID = "0123456789abc"
	}
	return rec, err
}

func (f failKeys) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	if f.down.keys.Load() {
		return nil, errDown
	}
	recs, err := f.Store.List(ctx, q)
	for i := 0; f.down.many.Load() && q.After == "" && len(recs) < q.Limit; i++ {
		recs = append(recs, apikey.Record{ID: fmt.Sprintf("%013d", i), Owner: q.Owner, Created: time.Unix(1, 0), Expires: time.Unix(2, 0)})
	}
	return recs, err
}

type failSessions struct {
	session.Store
	down *outage
}

func (f failSessions) List(ctx context.Context, user string, limit int) ([]session.Record, error) {
	if f.down.sessions.Load() {
		return nil, errDown
	}
	return f.Store.List(ctx, user, limit)
}

func (f failSessions) Delete(ctx context.Context, m session.Match) (int, error) {
	if f.down.sessions.Load() {
		return 0, errDown
	}
	return f.Store.Delete(ctx, m)
}

type failMarks struct {
	session.Marks
	down *outage
}

func (f failMarks) Mark(ctx context.Context, key session.Key, until time.Time) (bool, error) {
	if f.down.marks.Load() {
		return false, errDown
	}
	return f.Marks.Mark(ctx, key, until)
}

// values copies a form with some fields changed; "" takes one out.
func values(f url.Values, changes ...string) url.Values {
	f = maps.Clone(f)
	for pair := range slices.Chunk(changes, 2) {
		if f.Del(pair[0]); pair[1] != "" {
			f.Set(pair[0], pair[1])
		}
	}
	return f
}
