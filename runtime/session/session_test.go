package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

func TestNewRefuses(t *testing.T) {
	m := newMemory()
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*session.Config)
		want   []string
	}{
		"nothing given":         {func(c *session.Config) { *c = session.Config{} }, []string{"session: store is missing", "user store is missing", "ring is missing"}},
		"unknown kind":          {func(c *session.Config) { c.Kind = "x" }, []string{`kind is "x"`}},
		"sealed, never revoked": {func(c *session.Config) { c.Kind, c.Revocations = session.Sealed, nil }, []string{"revocations are missing"}},
		"no cookie's name":      {func(c *session.Config) { c.Cookie = "a b" }, []string{`cookie name "a b"`}},
		"idle too short":        {func(c *session.Config) { c.Idle = time.Minute }, []string{"idle limit 1m0s is less than"}},
		"idle below zero":       {func(c *session.Config) { c.Idle = -time.Hour }, []string{"idle limit -1h0m0s is less than"}},
		"absolute below idle":   {func(c *session.Config) { c.Absolute = 20 * time.Minute }, []string{"absolute limit 20m0s is less than"}},
	} {
		cfg := session.Config{Store: m, Revocations: m, Users: people{m}, Ring: ring}
		c.change(&cfg)
		s, err := session.New(cfg)
		if s != nil || err == nil {
			t.Errorf("%s: New() = %v, %v, want an error", name, s, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: New() = %q, which lacks %q", name, err, want)
			}
		}
	}
	if s, err := session.New(session.Config{Store: m, Users: people{m}, Ring: ring}); err != nil || s.Kind() != session.Server {
		t.Errorf("New() = %v, %v, want sessions of the server kind", s, err)
	}
}

func TestVerify(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		n := login()
		n.AuthTime = f.now().Add(-time.Hour)
		value := f.signIn(t, n, "")
		f.audited(t, "Finish", "session begun", "user=usr_anna", "provider=main")
		w := httptest.NewRecorder()
		f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			held := map[string]gate.Scopes{"login": {"posts:read", "posts:write"}, "other": {"x"}}
			for _, scheme := range []string{"login", "other", "third", "login", "other"} {
				a := f.Scheme(scheme, []string{"another", "main"}, cookie)
				c, _, _ := a.Find(r)
				id, err := a.Verify(r.Context(), r, c)
				if err != nil || *id.User != anna.User() || !id.AuthTime.Equal(n.AuthTime) || !reflect.DeepEqual(id.Scopes, held[scheme]) || id.Client != nil {
					t.Errorf("%s: Verify() = %+v, %v", scheme, id, err)
				}
				sess, err := f.Current(r)
				if err != nil || sess.ID.String() != id.Session || sess.User.ID != anna.ID || sess.Provider != "main" || sess.Issuer != issuer ||
					sess.Subject != "1" || sess.ProviderSession != "ps1" || !sess.Created.Equal(f.now()) || !sess.Expires.Equal(f.now().Add(12*time.Hour)) || !sess.Idle.Equal(f.now().Add(30*time.Minute)) {
					t.Errorf("Current() = %+v, %v", sess, err)
				}
				// What a caller changes is its own.
				sess.Scopes["login"][0] = "admin"
				if len(id.Scopes) > 0 {
					id.Scopes[0] = "admin"
				}
			}
		})).ServeHTTP(w, browser("GET", value))
		if len(w.Header()) > 0 {
			t.Errorf("a fresh session sets %v", w.Header())
		}
		if strings.Contains(f.log.String(), value) {
			t.Error("the log holds the cookie")
		}
	})
}

// Garbage is refused before any store is asked.
func TestNotOurs(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		good := f.signIn(t, login(), "")
		ticket := f.begin(t, login()).Reveal()
		other := setup(t, f.cfg.Kind, func(c *session.Config) { c.Ring, c.Cookie = f.cfg.Ring, "__Host-other" })
		w := httptest.NewRecorder()
		if err := other.Finish(w, browser("GET", ""), other.begin(t, login())); err != nil {
			t.Fatal(err)
		}
		otherName, _, _ := strings.Cut(strings.TrimPrefix(w.Header().Get("Set-Cookie"), "__Host-other="), ";")
		table := map[string]string{
			"short":             good[:len(good)-1],
			"truncated":         good[:8],
			"longer":            good + "A",
			"standard alphabet": "+/" + good[2:],
			"padded":            good + "=",
			"quoted":            `"` + good + `"`,
			"other bits unused": good[:len(good)-1] + string(good[len(good)-1]+1),
			"huge":              strings.Repeat("A", 5000),
			"huge and sealed":   f.cfg.Ring.Sealer("session").Seal(make([]byte, 4000), session.DefaultCookie),
			"a login cookie":    f.cfg.Ring.Sealer("login").Seal([]byte(`{"k":"x","u":"usr_anna"}`), session.DefaultCookie),
		}
		if f.cfg.Kind == session.Sealed {
			table["a ticket"] = ticket
			table["under another name"] = otherName
			table["of another server"] = setup(t, f.cfg.Kind, nil).signIn(t, login(), "")
			table["a secret"] = secret.Random(32).Reveal()
			flip := []byte(good)
			flip[60] ^= 1
			table["tampered"] = string(flip)
		}
		before := f.m.count("")
		for name, value := range table {
			f.over(t, name, value, "session cookie not ours")
		}
		if n := f.m.count("") - before; n != 0 {
			t.Errorf("the stores were asked %d times, want never", n)
		}
		f.lives(t, "the good one", good)
	})
	t.Run("an empty cookie", func(t *testing.T) {
		f := setup(t, session.Server, nil)
		r := browser("GET", "")
		r.Header.Set("Cookie", session.DefaultCookie+"=")
		w := httptest.NewRecorder()
		f.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := f.Current(r); !errors.Is(err, session.ErrNone) {
				t.Errorf("Current() = %v, want ErrNone", err)
			}
		})).ServeHTTP(w, r)
		if _, cleared := received(t, w); !cleared || f.m.count("") != 0 {
			t.Errorf("cleared is %v after %d calls, want true after none", cleared, f.m.count(""))
		}
	})
}

func TestUnknown(t *testing.T) {
	f := setup(t, session.Server, nil)
	f.over(t, "unknown secret", secret.Random(32).Reveal(), "session ended")
	f.over(t, "a ticket", f.begin(t, login()).Reveal(), "session ended")
	f.over(t, "the id as secret", func() string {
		f.signIn(t, login(), "")
		for id := range f.m.sessions {
			return id.String()
		}
		return ""
	}(), "session ended")
}

// What another version of the program sealed is an ended session, not a crash.
func TestUnreadablePayload(t *testing.T) {
	f := setup(t, session.Sealed, nil)
	for _, plain := range []string{"", "null x", `{"k":1}`, `[]`, `{"k":"a","k":"b"}`} {
		f.over(t, plain, f.cfg.Ring.Sealer("session").Seal([]byte(plain), session.DefaultCookie), "session ended")
	}
	f.over(t, "an empty object", f.cfg.Ring.Sealer("session").Seal([]byte("{}"), session.DefaultCookie), "session ended")
}

func TestLimits(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		idle := f.signIn(t, login(), "")
		f.pass(30*time.Minute - time.Millisecond)
		if o := f.ask(t, idle); o.err != nil {
			t.Errorf("just within the idle limit: Verify() = %v", o.err)
		}
		unused := f.signIn(t, login(), "")
		f.pass(30 * time.Minute)
		f.over(t, "not used for the idle limit", unused, "session ended")

		used, began := f.signIn(t, login(), ""), f.now()
		for f.now().Before(began.Add(12*time.Hour - 10*time.Minute)) {
			f.pass(10 * time.Minute)
			o := f.ask(t, used)
			if o.err != nil {
				t.Fatalf("used %v after its login: Verify() = %v", f.now().Sub(began), o.err)
			}
			if o.value != "" {
				used = o.value
			}
		}
		f.pass(10*time.Minute - time.Millisecond)
		f.lives(t, "just within the absolute limit", used)
		f.pass(time.Millisecond)
		f.over(t, "past the absolute limit", used, "session ended")
	})
}

// Whatever a record says of idleness, it ends at its end.
func TestEndBeforeIdle(t *testing.T) {
	f := setup(t, session.Server, nil)
	value := f.signIn(t, login(), "")
	for id, rec := range f.m.sessions {
		rec.Expires = f.now().Add(time.Minute)
		f.m.sessions[id] = rec
	}
	f.pass(time.Minute - time.Millisecond)
	f.lives(t, "before its end", value)
	f.pass(time.Millisecond)
	f.over(t, "at its end", value, "session ended")
}

// A limit that was lowered counts for the sessions there are: what revokes
// them is remembered no longer.
func TestLoweredAbsolute(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		value := f.signIn(t, login(), "")
		f.cfg.Idle, f.cfg.Absolute = 5*time.Minute, 20*time.Minute
		f.Sessions = remake(t, f.cfg)
		f.pass(20*time.Minute - time.Millisecond)
		f.lives(t, "within", value)
		f.pass(time.Millisecond)
		f.over(t, "past", value, "session ended")
	})
}

func TestTouch(t *testing.T) {
	f := setup(t, session.Server, nil)
	value := f.signIn(t, login(), "") // at second 9
	for _, c := range []struct {
		pass time.Duration
		want int
	}{{0, 0}, {50 * time.Second, 0}, {time.Second, 1}, {30 * time.Second, 1}, {30 * time.Second, 2}} {
		f.pass(c.pass)
		f.lives(t, "in use", value)
		if got := f.m.count("Touch"); got != c.want {
			t.Errorf("at %v: %d calls of Touch, want %d", f.now(), got, c.want)
		}
	}
	// A note that fails is none of the caller's business.
	f.pass(time.Minute)
	f.m.beSilent("Touch")
	f.lives(t, "while use is not noted", value)
	f.m.beSilent()
	f.pass(28 * time.Minute)
	f.lives(t, "noted again", value)
	for _, rec := range f.m.sessions {
		if want := f.now().Add(30 * time.Minute); !rec.Idle.Equal(want) || !rec.Used.Equal(f.now().Truncate(time.Minute)) {
			t.Errorf("used %v, idle %v at %v", rec.Used, rec.Idle, f.now())
		}
	}
	if sess, err := f.Current(browser("GET", value)); err != nil || !sess.Idle.Equal(f.now().Add(30*time.Minute)) {
		t.Errorf("Current() = %+v, %v, want what was noted", sess, err)
	}
	f.pass(time.Minute)
	if sess, err := f.Current(browser("GET", value)); err != nil || !sess.Idle.Equal(f.now().Add(30*time.Minute)) || !sess.Used.Equal(f.now().Truncate(time.Minute)) {
		t.Errorf("Current() = %+v, %v, want what was noted just now", sess, err)
	}
	// Use does not carry a session past its end.
	for range 29 {
		f.pass(24 * time.Minute)
		f.ask(t, value)
	}
	for _, rec := range f.m.sessions {
		if rec.Idle.After(rec.Expires) {
			t.Errorf("idle %v is after the end %v", rec.Idle, rec.Expires)
		}
	}
}

func TestRenewal(t *testing.T) {
	f := setup(t, session.Sealed, nil) // idle 30 minutes: renewed after three
	first := f.signIn(t, login(), "")
	f.pass(2 * time.Minute)
	if o := f.ask(t, first); o.err != nil || o.value != "" {
		t.Errorf("after two minutes: Verify() = %+v, want nothing set", o)
	}
	f.pass(time.Minute)
	o := f.ask(t, first)
	if o.err != nil || o.value == "" || o.value == first {
		t.Fatalf("after three minutes: Verify() = %+v, want a fresh cookie", o)
	}
	if again := f.ask(t, o.value); again.value != "" || again.id.Session != o.id.Session {
		t.Errorf("the fresh cookie: Verify() = %+v, want the same session and nothing set", again)
	}
	f.pass(27 * time.Minute)
	f.over(t, "the first cookie, which was not used", first, "session ended")
	f.lives(t, "the fresh one", o.value)
	// Without Handler it is verified all the same, and nothing is set.
	a := f.Scheme("login", nil, cookie)
	r := browser("GET", o.value)
	c, _, _ := a.Find(r)
	if id, err := a.Verify(t.Context(), r, c); err != nil || id.User.ID != anna.ID {
		t.Errorf("without Handler: Verify() = %v, %v", id, err)
	}
	short := setup(t, session.Sealed, func(c *session.Config) { c.Idle = 5 * time.Minute })
	value := short.signIn(t, login(), "")
	short.pass(40 * time.Second)
	if o := short.ask(t, value); o.value != "" {
		t.Error("a cookie younger than a minute is renewed")
	}
	short.pass(20 * time.Second)
	if o := short.ask(t, value); o.value == "" {
		t.Error("a cookie of a minute is not renewed")
	}
}

// A store that is silent lets nobody in, and takes nobody's session.
func TestSilence(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		value := f.signIn(t, login(), "")
		calls := []string{"Users.Load", "Load"}
		if f.cfg.Kind == session.Sealed {
			calls = []string{"Users.Load", "Revoked"}
		}
		for _, name := range append(calls, "") {
			f.m.beSilent(name)
			o := f.ask(t, value)
			if !errors.Is(o.err, errSilent) || errors.Is(o.err, gate.ErrAbsent) || errors.Is(o.err, gate.ErrInvalid) || o.id.User != nil {
				t.Errorf("%q silent: Verify() = %+v, want an error that is neither absent nor invalid", name, o)
			}
			if o.cleared || o.value != "" {
				t.Errorf("%q silent: the cookie is touched: %+v", name, o)
			}
			w := httptest.NewRecorder()
			if _, err := f.End(w, browser("POST", value)); !errors.Is(err, errSilent) || len(w.Header()) != 0 {
				t.Errorf("%q silent: End() = %v and sets %v, want an error and nothing", name, err, w.Header())
			}
			f.m.beSilent()
			f.lives(t, "after silence", value)
		}
		f.m.beSilent(map[session.Kind]string{session.Server: "Delete", session.Sealed: "Revoke"}[f.cfg.Kind])
		w := httptest.NewRecorder()
		if _, err := f.End(w, browser("POST", value)); !errors.Is(err, errSilent) || len(w.Header()) != 0 {
			t.Errorf("ending fails: End() = %v and sets %v, want an error and nothing", err, w.Header())
		}
		f.m.beSilent()
		f.lives(t, "after End failed", value)
	})
}

// swapped gives the record of another for each that is asked for.
type swapped struct{ *memory }

func (s swapped) Load(ctx context.Context, id session.ID) (session.Record, error) {
	rec, err := s.memory.Load(ctx, id)
	rec.ID[0] ^= 1
	return rec, err
}

func TestRecordOfAnother(t *testing.T) {
	f := setup(t, session.Server, nil)
	value, ticket := f.signIn(t, login(), ""), f.begin(t, login())
	f.cfg.Store = swapped{f.m}
	f.Sessions = remake(t, f.cfg)
	if o := f.ask(t, value); o.err == nil || errors.Is(o.err, gate.ErrAbsent) || o.cleared {
		t.Errorf("another session's record: Verify() = %+v, want an error", o)
	}
	if _, err := f.finish(ticket, ""); err == nil || errors.Is(err, session.ErrNone) {
		t.Errorf("another session's record: Finish() = %v, want an error", err)
	}
	each(t, nil, func(t *testing.T, f *fixture) {
		value := f.signIn(t, login(), "")
		f.m.users[anna.ID] = bert
		if o := f.ask(t, value); o.err == nil || errors.Is(o.err, gate.ErrAbsent) || o.cleared {
			t.Errorf("another user's record: Verify() = %+v, want an error", o)
		}
	})
}

func TestDisabled(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		value := f.signIn(t, login(), "")
		_ = people{f.m}.SetDisabled(t.Context(), anna.ID, true)
		if _, err := f.Begin(t.Context(), session.Login{User: f.m.users[anna.ID], Provider: "main", Issuer: issuer, Subject: "1"}); err == nil {
			t.Error("Begin() of a disabled user = nil, want an error")
		}
		f.over(t, "disabled", value, "session ended")
		f.audited(t, "disabled", "session ended", `reason="its user is disabled"`, "user=usr_anna")
		_ = people{f.m}.SetDisabled(t.Context(), anna.ID, false)
		f.over(t, "enabled again", value, "session ended")

		// Where it cannot be ended it is absent all the same.
		value = f.signIn(t, login(), "")
		_ = people{f.m}.SetDisabled(t.Context(), anna.ID, true)
		f.m.beSilent("Delete", "Revoke")
		f.over(t, "disabled, and not to be ended", value, "session ended")
		f.m.beSilent()
		_ = people{f.m}.SetDisabled(t.Context(), anna.ID, false)

		value = f.signIn(t, login(), "")
		delete(f.m.users, anna.ID)
		f.over(t, "unknown", value, "session ended")
	})
}

func TestOtherProvider(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		value := f.signIn(t, login(), "")
		f.log.Reset()
		if o := f.ask(t, value, "another"); !errors.Is(o.err, gate.ErrAbsent) || o.cleared || o.value != "" || f.log.Len() > 0 {
			t.Errorf("of another provider: Verify() = %+v, log %q, want absent and nothing else", o, f.log)
		}
		if o := f.ask(t, value, "another", "main"); o.err != nil {
			t.Errorf("of one of two providers: Verify() = %v", o.err)
		}
	})
}

func TestPlaces(t *testing.T) {
	bearer := gate.Authorization("Bearer")
	each(t, nil, func(t *testing.T, f *fixture) {
		value := f.signIn(t, login(), "")
		a := f.Scheme("login", nil, bearer, cookie)
		r := browser("GET", value)
		c, found, err := a.Find(r)
		if !found || err != nil || c.Place != cookie {
			t.Errorf("Find() = %+v, %v, %v, want the cookie", c, found, err)
		}
		if id, err := a.Verify(t.Context(), r, c); err != nil || id.User.ID != anna.ID {
			t.Errorf("Verify(cookie) = %+v, %v", id, err)
		}
		r.Header.Set("Authorization", "Bearer "+value)
		c, found, err = a.Find(r)
		if !found || err != nil || c.Place != bearer {
			t.Errorf("Find() = %+v, %v, %v, want the token: a header counts over a cookie", c, found, err)
		}
		if id, err := a.Verify(t.Context(), r, c); !errors.Is(err, gate.ErrInvalid) || id.User != nil {
			t.Errorf("Verify(token) = %+v, %v, want ErrInvalid", id, err)
		}
		if got := f.Scheme("login", nil, cookie).Challenge(nil); got != "Cookie" {
			t.Errorf("Challenge() = %q, want Cookie", got)
		}
		for name, refused := range map[string]gate.Authenticator{
			"no place":       f.Scheme("login", nil),
			"no provider":    f.Scheme("login", []string{}, cookie),
			"another cookie": f.Scheme("login", nil, gate.Place{In: gate.InCookie, Name: "sid"}),
			"a header":       f.Scheme("login", nil, cookie, gate.Place{In: gate.InHeader, Name: "X-Session"}),
			"another word":   f.Scheme("login", nil, gate.Authorization("basic")),
		} {
			if why, ok := gate.Refused(refused); !ok || why == "" {
				t.Errorf("%s: Scheme() verifies, want it to refuse and say why", name)
			}
		}
	})
}

func TestTwoCookies(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		one, two := f.signIn(t, login(), ""), f.signIn(t, login(), "")
		r := browser("POST", one)
		r.Header.Add("Cookie", session.DefaultCookie+"="+two)
		if _, found, err := f.Scheme("login", nil, cookie).Find(r); !found || !errors.Is(err, gate.ErrDuplicate) {
			t.Errorf("Find() = %v, %v, want ErrDuplicate", found, err)
		}
		if _, err := f.Current(r); !errors.Is(err, session.ErrNone) {
			t.Errorf("Current() = %v, want ErrNone", err)
		}
		w := httptest.NewRecorder()
		if _, err := f.End(w, r); !errors.Is(err, session.ErrNone) {
			t.Errorf("End() = %v, want ErrNone", err)
		}
		if _, cleared := received(t, w); !cleared {
			t.Error("End does not clear the cookie")
		}
		f.over(t, "the first", one, "session ended")
		f.over(t, "the second", two, "session ended")
	})
}

// Who plants cookies does not have the store asked for each.
func TestManyCookies(t *testing.T) {
	f := setup(t, session.Server, nil)
	r := browser("POST", "")
	for range 100 {
		r.Header.Add("Cookie", session.DefaultCookie+"="+secret.Random(32).Reveal())
	}
	_, _ = f.End(httptest.NewRecorder(), r)
	if got := f.m.count(""); got > 8 {
		t.Errorf("End asks the store %d times for 100 cookies, want 8 at most", got)
	}
}

// Several schemes and Current, one after the other and at once, cause one load.
func TestLoadedOnce(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		value := f.signIn(t, login(), "")
		f.pass(10 * time.Minute) // to be noted, or renewed
		before := f.m.count("Users.Load")
		f.m.before = func(string) { time.Sleep(5 * time.Millisecond) } // so that all are under way
		w := httptest.NewRecorder()
		f.Handler(f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var all sync.WaitGroup
			for _, scheme := range []string{"login", "other", "third", "login"} {
				a := f.Scheme(scheme, nil, cookie)
				all.Go(func() {
					c, _, _ := a.Find(r)
					if id, err := a.Verify(r.Context(), r, c); err != nil || id.User.ID != anna.ID {
						t.Errorf("Verify() = %+v, %v", id, err)
					}
					if _, err := f.Current(r); err != nil {
						t.Errorf("Current() = %v", err)
					}
				})
			}
			all.Wait()
		}))).ServeHTTP(w, browser("GET", value))
		if got := f.m.count("Users.Load") - before; got != 1 {
			t.Errorf("the session was found out %d times, want once", got)
		}
		if f.cfg.Kind == session.Server && f.m.count("Load") != 2 { // the other is Finish's
			t.Errorf("the store was asked %d times, want 2", f.m.count("Load"))
		}
		// An ended one is told of once.
		f.log.Reset()
		_ = f.EndAll(t.Context(), anna.ID)
		f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				if _, err := f.Current(r); !errors.Is(err, session.ErrNone) {
					t.Errorf("Current() = %v, want ErrNone", err)
				}
			}
		})).ServeHTTP(w, browser("GET", value))
		f.audited(t, "asked three times", "session ended")
	})
}

// What was found out for one cookie does not count for another.
func TestLoadedOnceEach(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		one, two := f.signIn(t, login(), ""), f.signIn(t, login(), "")
		a, ids := f.Scheme("login", nil, cookie), map[string]bool{}
		f.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for _, value := range []string{one, two} {
				id, err := a.Verify(r.Context(), r, gate.Credential{Place: cookie, Value: value})
				if err != nil {
					t.Errorf("Verify() = %v", err)
				}
				ids[id.Session] = true
			}
		})).ServeHTTP(httptest.NewRecorder(), browser("GET", one))
		if len(ids) != 2 {
			t.Errorf("two cookies are taken for %d sessions", len(ids))
		}
	})
}

// Over a connection: a renewed or cleared cookie is there although the handler
// writes at once, and who asks once the answer is out changes nothing.
func TestServed(t *testing.T) {
	f := setup(t, session.Sealed, nil)
	value := f.signIn(t, login(), "")
	f.pass(10 * time.Minute)
	op := &gate.Operation{ID: "op", Pattern: "GET /", Policy: gate.Require(gate.Need{Scheme: "login"}).Or(gate.Anonymous())}
	g, err := gate.New(gate.Config{
		Schemes:        []gate.Scheme{{Name: "login", Places: []gate.Place{cookie}}},
		Authenticators: map[string]gate.Authenticator{"login": f.Scheme("login", nil, cookie)},
		Operations:     []*gate.Operation{op},
		PublicOrigin:   "https://blog.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/public" {
			return
		}
		if who, ok := g.Admit(w, r, op); ok {
			if who == nil {
				_, _ = w.Write([]byte("nobody"))
			} else {
				_, _ = w.Write([]byte(who.Session()))
			}
		}
	})))
	defer srv.Close()
	get := func(path, value string) *http.Response {
		r, _ := http.NewRequest("GET", srv.URL+path, nil)
		r.Header.Set("Cookie", session.DefaultCookie+"="+value)
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	if res := get("/", value); res.StatusCode != 200 || len(res.Cookies()) != 1 || res.Cookies()[0].Value == "" {
		t.Errorf("a session to renew: %d, %v", res.StatusCode, res.Cookies())
	}
	if res := get("/", value[:99]); res.StatusCode != 200 || len(res.Cookies()) != 1 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("a truncated cookie: %d, %v, want nobody let in and the cookie cleared", res.StatusCode, res.Cookies())
	}
	if res := get("/public", value); len(res.Cookies()) != 0 {
		t.Errorf("nobody asked: %v", res.Cookies())
	}
}

// Once the request is over, who still asks does not reach its answer.
func TestLate(t *testing.T) {
	f := setup(t, session.Server, nil)
	var late *http.Request
	w := httptest.NewRecorder()
	f.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { late = r })).ServeHTTP(w, browser("GET", "x"))
	if _, err := f.Current(late); !errors.Is(err, session.ErrNone) || len(w.Header()) != 0 {
		t.Errorf("Current() = %v and sets %v, want ErrNone and nothing", err, w.Header())
	}
}
