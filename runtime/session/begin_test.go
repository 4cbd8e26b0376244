package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

func TestBeginRefuses(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		for name, change := range map[string]func(*session.Login){
			"no user":     func(n *session.Login) { n.User.ID = "" },
			"no provider": func(n *session.Login) { n.Provider = "" },
			"no issuer":   func(n *session.Login) { n.Issuer = "" },
			"no subject":  func(n *session.Login) { n.Subject = "" },
			"disabled":    func(n *session.Login) { n.User.Disabled = true },
		} {
			n := login()
			change(&n)
			if ticket, err := f.Begin(t.Context(), n); err == nil || !ticket.IsZero() {
				t.Errorf("%s: Begin() = %v, want an error", name, err)
			}
		}
		if f.m.count("Create") != 0 {
			t.Error("a refused login is stored")
		}
	})
	f := setup(t, session.Sealed, nil)
	n := login()
	n.Tokens = []byte("tokens")
	if _, err := f.Begin(t.Context(), n); !errors.Is(err, session.ErrSealed) {
		t.Errorf("sealed, with tokens: Begin() = %v, want ErrSealed", err)
	}
	s := setup(t, session.Server, nil)
	s.m.beSilent("Create")
	if ticket, err := s.Begin(t.Context(), login()); !errors.Is(err, errSilent) || !ticket.IsZero() {
		t.Errorf("store silent: Begin() = %v, %v, want an error", ticket, err)
	}
}

// What is stored of a login that is not finished ends by itself, and neither
// the ticket nor tokens are in it.
func TestBeginStores(t *testing.T) {
	f := setup(t, session.Server, nil)
	n := login()
	n.Agent = strings.Repeat("é", 150) + "\r\nx"
	n.Tokens = []byte("token-of-the-provider")
	ticket := f.begin(t, n)
	for id, rec := range f.m.sessions {
		if want := f.now().Add(time.Minute); !rec.Idle.Equal(want) || !rec.Expires.Equal(want) {
			t.Errorf("it lives until %v and %v, want %v", rec.Idle, rec.Expires, want)
		}
		if strings.Contains(string(rec.Tokens), "token") {
			t.Errorf("tokens lie in the store as %q", rec.Tokens)
		}
		if text := id.String(); text == ticket.Reveal() {
			t.Error("the ticket lies in the store")
		}
		if len(rec.Agent) != 200 || !utf8.ValidString(rec.Agent) {
			t.Errorf("agent is %q (%d bytes)", rec.Agent, len(rec.Agent))
		}
	}
	n.Agent = "a\x00\nb\xff"
	f.m.sessions = map[session.ID]session.Record{}
	f.begin(t, n)
	for _, rec := range f.m.sessions {
		if rec.Agent != "ab" {
			t.Errorf("agent is %q, want ab", rec.Agent)
		}
	}
}

// The largest cookie that browsers keep is made; one byte more is an error
// that says what to do, at Begin.
func TestTooLarge(t *testing.T) {
	f := setup(t, session.Sealed, nil)
	n := login()
	size := func(scope int) (int, error) {
		n.Scopes = map[string][]string{"login": {strings.Repeat("s", scope)}}
		ticket, err := f.Begin(t.Context(), n)
		if err != nil {
			return 0, err
		}
		w, err := f.finish(ticket, "")
		if err != nil {
			t.Fatalf("a session that began is not finished: %v", err)
		}
		value, _ := received(t, w)
		f.pass(10 * time.Minute)
		o := f.ask(t, value)
		if o.err != nil || len(o.value) != len(value) {
			t.Fatalf("renewed: %d bytes, %v, want %d", len(o.value), o.err, len(value))
		}
		return len(session.DefaultCookie) + 1 + len(value), nil
	}
	largest := 0
	for scope := 2500; ; scope++ {
		n, err := size(scope)
		if err == nil {
			largest = n
			continue
		}
		if !errors.Is(err, session.ErrTooLarge) || !strings.Contains(err.Error(), "scopes_map") || !strings.Contains(err.Error(), "kind server") {
			t.Errorf("Begin() = %v, want ErrTooLarge and what to do", err)
		}
		break
	}
	// base64url has no text of 4n+1 characters.
	if largest > 4096 || largest < 4094 {
		t.Errorf("the largest cookie has %d bytes, want 4096 or a little less", largest)
	}
}

// The old session of the browser dies at a login, whoever's it is; others live.
func TestRotation(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		elsewhere, old := f.signIn(t, login(), ""), f.signIn(t, login(), "")
		f.log.Reset()
		fresh := f.signIn(t, login(), old)
		f.audited(t, "Finish", "session ended", `reason="another login in the browser"`)
		if fresh == old {
			t.Error("the cookie is the same after a login")
		}
		// Another tab may still send the old one. An answer that cleared it
		// would clear the new one.
		f.log.Reset()
		if o := f.ask(t, old); !errors.Is(o.err, gate.ErrAbsent) || o.id.User != nil || o.cleared || o.value != "" {
			t.Errorf("the old one: Verify() = %+v, want gate.ErrAbsent and the cookie left alone", o)
		}
		f.audited(t, "the old one", "session ended")
		f.pass(61 * time.Second)
		f.over(t, "the old one a minute later", old, "session ended")
		f.lives(t, "the new one", fresh)
		f.lives(t, "another browser's", elsewhere)
		n := login()
		n.User, n.Subject = bert, "2"
		f.signIn(t, n, fresh)
		if o := f.ask(t, fresh); !errors.Is(o.err, gate.ErrAbsent) || o.id.User != nil {
			t.Errorf("that of another user: Verify() = %+v, want gate.ErrAbsent", o)
		}
		// What is no session is no obstacle.
		f.signIn(t, login(), "garbage")
		f.signIn(t, login(), secret.Random(32).Reveal())
	})
}

func TestFinishFullLife(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		ticket, began := f.begin(t, login()), f.now()
		f.pass(50 * time.Second)
		w, err := f.finish(ticket, "")
		if err != nil {
			t.Fatal(err)
		}
		value, _ := received(t, w)
		// It is as old as its login.
		if sess, err := f.Current(browser("GET", value)); err != nil || !sess.Created.Equal(began) || !sess.Expires.Equal(began.Add(12*time.Hour)) {
			t.Errorf("Current() = %+v, %v, want it to have begun at %v", sess, err, began)
		}
		f.pass(30*time.Minute - time.Millisecond)
		f.lives(t, "idle for almost half an hour", value)
	})
}

func TestFinishRefuses(t *testing.T) {
	type fix = *fixture
	each(t, nil, func(t *testing.T, f *fixture) {
		for name, c := range map[string]func(f fix) secret.Value{
			"a minute later": func(f fix) secret.Value {
				ticket := f.begin(t, login())
				f.pass(time.Minute)
				return ticket
			},
			"signed out everywhere": func(f fix) secret.Value {
				ticket := f.begin(t, login())
				_ = f.EndAll(t.Context(), anna.ID)
				return ticket
			},
			"the provider's session ended": func(f fix) secret.Value {
				ticket := f.begin(t, login())
				_ = f.EndByProvider(t.Context(), issuer, "", "ps1")
				return ticket
			},
			"the provider's user signed out": func(f fix) secret.Value {
				ticket := f.begin(t, login())
				_ = f.EndByProvider(t.Context(), issuer, "1", "")
				return ticket
			},
			"user disabled": func(f fix) secret.Value {
				ticket := f.begin(t, login())
				_ = people{f.m}.SetDisabled(t.Context(), anna.ID, true)
				return ticket
			},
			"ended and finished again": func(f fix) secret.Value {
				ticket := f.begin(t, login())
				w, err := f.finish(ticket, "")
				if err != nil {
					t.Fatal(err)
				}
				value, _ := received(t, w)
				if _, err := f.End(httptest.NewRecorder(), browser("POST", value)); err != nil {
					t.Fatal(err)
				}
				return ticket
			},
			"a session's cookie": func(f fix) secret.Value { return secret.New(f.signIn(t, login(), "")) },
			"nothing":            func(fix) secret.Value { return secret.Value{} },
			"another secret":     func(fix) secret.Value { return secret.Random(32) },
			"garbage":            func(fix) secret.Value { return secret.New("garbage") },
			"huge":               func(fix) secret.Value { return secret.New(strings.Repeat("A", 9999)) },
			"of another server": func(f fix) secret.Value {
				return setup(t, f.cfg.Kind, nil).begin(t, login())
			},
		} {
			f := setup(t, f.cfg.Kind, nil)
			n := login()
			n.User, n.Issuer, n.ProviderSession = bert, "https://other.example", "ps2"
			old := f.signIn(t, n, "")
			ticket := c(f)
			w, err := f.finish(ticket, old)
			if !errors.Is(err, session.ErrNone) {
				t.Errorf("%s: Finish() = %v, want ErrNone", name, err)
			}
			if len(w.Header()) != 0 {
				t.Errorf("%s: Finish sets %v, want nothing", name, w.Header())
			}
			if o := f.ask(t, old); o.err != nil {
				t.Errorf("%s: the browser's session is gone: %v", name, o.err)
			}
			if ticket.Reveal() != "" && err != nil && strings.Contains(err.Error(), ticket.Reveal()) {
				t.Errorf("%s: the error holds the ticket", name)
			}
		}
	})
}

// Garbage costs no call of a store.
func TestFinishAsksNobody(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		for _, ticket := range []string{"", "garbage", strings.Repeat("A", 9999), "+/" + strings.Repeat("A", 41)} {
			_, _ = f.finish(secret.New(ticket), "")
		}
		if n := f.m.count(""); n != 0 {
			t.Errorf("the stores were asked %d times, want never", n)
		}
	})
}

// Of the server kind a ticket is finished once, also where all try at once. A
// sealed one gives the same session, which ends as one.
func TestFinishOnce(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		ticket := f.begin(t, login())
		var good atomic.Int32
		f.m.before = func(string) { time.Sleep(2 * time.Millisecond) } // so that all are under way
		values := make(chan string, 20)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				w, err := f.finish(ticket, "")
				if err == nil {
					good.Add(1)
					value, _ := received(t, w)
					values <- value
				} else if !errors.Is(err, session.ErrNone) {
					t.Errorf("Finish() = %v, want ErrNone", err)
				}
			})
		}
		all.Wait()
		close(values)
		if f.cfg.Kind == session.Server {
			if good.Load() != 1 || len(f.m.sessions) != 1 {
				t.Errorf("%d of 20 finished, %d sessions, want one", good.Load(), len(f.m.sessions))
			}
			return
		}
		one := <-values
		id := f.ask(t, one).id.Session
		for value := range values {
			if got := f.ask(t, value).id.Session; got != id {
				t.Errorf("the same ticket gives the sessions %s and %s", id, got)
			}
		}
		// Again in the browser that has it: it goes on.
		w, err := f.finish(ticket, one)
		if err != nil {
			t.Fatal(err)
		}
		value, _ := received(t, w)
		f.lives(t, "finished again", value)
		_, _ = f.End(httptest.NewRecorder(), browser("POST", one))
		f.over(t, "the copy", value, "session ended")
	})
}

// Whatever ends all sessions while a login is being finished ends it too, at
// whichever call of a store it comes.
func TestFinishMeetsEndAll(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		calls := 0
		for at := 1; ; at++ {
			f := setup(t, f.cfg.Kind, nil)
			ticket := f.begin(t, login())
			n := 0
			f.m.before = func(string) {
				if n++; n == at {
					f.m.before = nil
					if err := f.EndAll(t.Context(), anna.ID); err != nil {
						t.Error(err)
					}
				}
			}
			w, err := f.finish(ticket, "")
			done := f.m.before != nil // no such call any more
			f.m.before = nil
			if done {
				calls = at - 1
				break
			}
			if err != nil && !errors.Is(err, session.ErrNone) {
				t.Errorf("at call %d: Finish() = %v", at, err)
			}
			if value, _ := received(t, w); err == nil {
				if o := f.ask(t, value); !errors.Is(o.err, gate.ErrAbsent) {
					t.Errorf("ended at call %d, and the session lives: %v", at, o.err)
				}
			}
			if len(f.m.sessions) != 0 {
				t.Errorf("ended at call %d, and %d sessions are stored", at, len(f.m.sessions))
			}
		}
		if calls < 2 {
			t.Errorf("Finish makes %d calls", calls)
		}
	})
}

// A store that fails while a login is finished leaves the browser what it had.
func TestFinishFails(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		names := []string{"Load", "Users.Load", "Delete", "Create", "Revoked"}
		if f.cfg.Kind == session.Sealed {
			names = []string{"Revoked", "Users.Load", "Revoke"}
		}
		old := f.signIn(t, login(), "")
		for _, name := range names {
			ticket := f.begin(t, login())
			f.m.beSilent(name)
			w, err := f.finish(ticket, old)
			f.m.beSilent()
			if !errors.Is(err, errSilent) || errors.Is(err, session.ErrNone) {
				t.Errorf("%s silent: Finish() = %v, want an error that is not ErrNone", name, err)
			}
			if len(w.Header()) != 0 {
				t.Errorf("%s silent: Finish sets %v", name, w.Header())
			}
			f.lives(t, name+" silent: the old session", old)
		}
	})
	// The second Delete is that of the old session.
	f := setup(t, session.Server, nil)
	old, ticket := f.signIn(t, login(), ""), f.begin(t, login())
	n := 0
	f.m.before = func(name string) {
		if name == "Delete" {
			if n++; n == 2 {
				f.m.beSilent("Delete")
			} else {
				f.m.beSilent()
			}
		}
	}
	w, err := f.finish(ticket, old)
	f.m.before = nil
	f.m.beSilent()
	if !errors.Is(err, errSilent) || len(w.Header()) != 0 {
		t.Errorf("the old session cannot be ended: Finish() = %v and sets %v, want an error and nothing", err, w.Header())
	}
	f.lives(t, "the old one", old)
	if len(f.m.sessions) != 1 {
		t.Errorf("%d sessions are stored, want the old one alone", len(f.m.sessions))
	}
}

// In the request that finishes a login the new session is the current one,
// also after the old one was asked for.
func TestFinishSettles(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		n := login()
		n.User, n.Subject = bert, "2"
		for _, old := range []string{"", "garbage", f.signIn(t, n, "")} {
			ticket := f.begin(t, login())
			w := httptest.NewRecorder()
			f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = f.Current(r)
				if err := f.Finish(w, r, ticket); err != nil {
					t.Fatal(err)
				}
				if sess, err := f.Current(r); err != nil || sess.User.ID != anna.ID {
					t.Errorf("Current() after Finish = %+v, %v", sess, err)
				}
			})).ServeHTTP(w, browser("GET", old))
			value, _ := received(t, w)
			f.lives(t, "finished", value)
		}
	})
}
