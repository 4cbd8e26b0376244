package store_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
)

// A replica remembers for a minute what it has looked up.
type replica struct {
	stores   store.Stores
	keys     *apikey.Keys
	sessions *session.Sessions
}

func newReplica(t *testing.T, stores store.Stores, kind session.Kind, ring *secret.Ring) replica {
	t.Helper()
	keys, err := apikey.New(apikey.Config{
		Store: stores.Keys(), Users: stores.Users(), Environment: apikey.Live, Schemes: []string{"apiKey"}, Cache: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(session.Config{
		Kind: kind, Store: stores.Sessions(), Revocations: stores.Revocations(), Users: stores.Users(), Ring: ring, Cache: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return replica{stores, keys, sessions}
}

// follows has r follow its stores until the test ends.
func (r replica) follows(t *testing.T) {
	t.Helper()
	t.Cleanup(store.Follow(r.stores, r.keys, r.sessions))
}

// signIn signs ada in, and returns her cookie and the session's ID.
func (r replica) signIn(t *testing.T) (*http.Cookie, session.ID) {
	t.Helper()
	ticket, err := r.sessions.Begin(t.Context(), session.Login{
		User: someUser(t, r.stores), Provider: "main", Issuer: "https://id.example", Subject: "42", ProviderSession: "ps",
		Scopes: map[string][]string{"login": {"posts:write"}}, AuthTime: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := r.sessions.Finish(w, httptest.NewRequest("GET", "https://blog.example/", nil), ticket); err != nil {
		t.Fatal(err)
	}
	cookie := w.Result().Cookies()[0]
	sess, err := r.current(cookie)
	if err != nil {
		t.Fatal(err)
	}
	return cookie, sess.ID
}

// current is the session of a request with that cookie.
func (r replica) current(cookie *http.Cookie) (sess session.Session, err error) {
	req := httptest.NewRequest("GET", "https://blog.example/", nil)
	req.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	r.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		sess, err = r.sessions.Current(req)
	})).ServeHTTP(httptest.NewRecorder(), req)
	return sess, err
}

// verify verifies a key.
func (r replica) verify(key secret.Value) error {
	place := gate.Place{In: gate.InHeader, Name: "X-Api-Key"}
	req := httptest.NewRequest("GET", "/", nil)
	_, err := r.keys.Scheme("apiKey", place).Verify(req.Context(), req, gate.Credential{Place: place, Value: key.Reveal()})
	return err
}

// within waits at most a second until try is true.
func within(t *testing.T, what string, try func() bool) {
	t.Helper()
	for begun := time.Now(); !try(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Second {
			t.Errorf("%s: not so within a second", what)
			return
		}
	}
}

// TestFollow: what one replica ends has ended on another within a second,
// though that remembers for a minute; one that does not follow shows that it
// does remember.
func TestFollow(t *testing.T) {
	server := testenv.Redis(t)
	cfg := store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "server.db"), Sessions: server.URL()}
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []session.Kind{session.Server, session.Sealed} {
		t.Run(string(kind), func(t *testing.T) {
			one, two, deaf := newReplica(t, opened(t, cfg), kind, ring), newReplica(t, opened(t, cfg), kind, ring), newReplica(t, opened(t, cfg), kind, ring)
			two.follows(t)
			ends := map[string]func(session.Session) error{
				"everywhere": func(s session.Session) error { return one.sessions.EndAll(t.Context(), s.User.ID) },
				"by the provider": func(s session.Session) error {
					return one.sessions.EndByProvider(t.Context(), s.Issuer, s.Subject, "ps")
				},
			}
			if kind == session.Server {
				ends["alone"] = func(s session.Session) error { return one.sessions.EndOne(t.Context(), s.User.ID, s.ID) }
				ends["swept away"] = func(s session.Session) error {
					_, err := one.stores.Sessions().Delete(t.Context(), session.Match{Issuer: s.Issuer})
					return err
				}
			}
			for name, end := range ends {
				time.Sleep(2 * time.Millisecond) // later than what ended before
				cookie, _ := one.signIn(t)
				sess, err := two.current(cookie)
				if err != nil {
					t.Fatalf("%s: Current() = %v", name, err)
				}
				if _, err := deaf.current(cookie); err != nil {
					t.Fatalf("%s: Current() = %v", name, err)
				}
				if err := end(sess); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				within(t, "a session ended "+name, func() bool {
					_, err := two.current(cookie)
					return errors.Is(err, session.ErrNone)
				})
				if _, err := deaf.current(cookie); err != nil {
					t.Errorf("%s: Current() where nobody follows = %v, want it remembered", name, err)
				}
			}
		})
	}

	one, two := newReplica(t, opened(t, cfg), session.Server, ring), newReplica(t, opened(t, cfg), session.Server, ring)
	two.follows(t)
	cookie, id := one.signIn(t)
	if _, err := two.current(cookie); err != nil {
		t.Fatal(err)
	}
	if err := one.sessions.SaveTokens(t.Context(), id, []byte("t"), map[string][]string{"login": {"posts:read"}}); err != nil {
		t.Fatal(err)
	}
	within(t, "scopes that a refresh has changed", func() bool {
		sess, err := two.current(cookie)
		return err == nil && slices.Equal(sess.Scopes["login"], []string{"posts:read"})
	})
}

// TestFollowAfterSilence: what ended while no word came through is forgotten
// when there is word again.
func TestFollowAfterSilence(t *testing.T) {
	server := testenv.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	cfg := store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "server.db"), Sessions: server.URL()}
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	one, two := newReplica(t, opened(t, cfg), session.Server, ring), newReplica(t, opened(t, cfg), session.Server, ring)
	two.follows(t)
	cookie, _ := one.signIn(t)
	server.Kill()
	server.Start(t)
	// At once, before two can listen again.
	for begun := time.Now(); one.sessions.EndAll(t.Context(), someUser(t, one.stores).ID) != nil; {
		if time.Since(begun) > 20*time.Second {
			t.Fatal("sessions cannot be ended")
		}
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := two.current(cookie); errors.Is(err, session.ErrNone) {
			break
		} else if time.Since(begun) > 10*time.Second {
			t.Fatalf("Current() = %v ten seconds after the session was ended in silence", err)
		}
	}
}

// A forgetter remembers people until it is told to forget.
type forgetter struct{ forgot bool }

func (f *forgetter) ForgetAll() { f.forgot = true }

// TestFollowForgets: each kind of change has that forgotten which it may be of,
// and nothing else.
func TestFollowForgets(t *testing.T) {
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	const keyOne, keyTwo, sessionOne, sessionTwo, people = 1, 2, 4, 8, 16
	const keys, sessions = keyOne | keyTwo, sessionOne | sessionTwo
	for name, c := range map[string]struct {
		change    func(key string, id session.ID) store.Change
		forgotten int
	}{
		"anything":       {func(string, session.ID) store.Change { return store.Change{} }, keys | sessions | people},
		"a key":          {func(key string, _ session.ID) store.Change { return store.Change{Kind: store.Key, ID: key} }, keyOne},
		"keys":           {func(string, session.ID) store.Change { return store.Change{Kind: store.Key} }, keys},
		"a user":         {func(string, session.ID) store.Change { return store.Change{Kind: store.User, ID: "usr_x"} }, keys | sessions | people},
		"users":          {func(string, session.ID) store.Change { return store.Change{Kind: store.User} }, keys | sessions | people},
		"a session":      {func(_ string, id session.ID) store.Change { return store.Change{Kind: store.Session, ID: id.String()} }, sessionOne},
		"sessions":       {func(string, session.ID) store.Change { return store.Change{Kind: store.Session} }, sessions},
		"an odd session": {func(string, session.ID) store.Change { return store.Change{Kind: store.Session, ID: "x"} }, sessions},
		"a revocation":   {func(string, session.ID) store.Change { return store.Change{Kind: store.Revocation} }, sessions},
		"another session": {func(string, session.ID) store.Change {
			return store.Change{Kind: store.Session, ID: session.ID{1}.String()}
		}, 0},
		"another key": {func(string, session.ID) store.Change { return store.Change{Kind: store.Key, ID: "0123456789abc"} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tells := &odd{Stores: opened(t, store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "server.db")}), tells: make(chan store.Change)}
			r := newReplica(t, tells, session.Server, ring)
			var other, another forgetter
			stop := store.Follow(tells, r.keys, r.sessions, &other, &another)
			defer stop()
			var made []secret.Value
			var ids []string
			var cookies []*http.Cookie
			var signedIn []session.ID
			for range 2 {
				key, rec, err := r.keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{Client: "robot"}, Label: "a key"})
				if err != nil {
					t.Fatal(err)
				}
				if err := r.verify(key); err != nil {
					t.Fatal(err)
				}
				cookie, id := r.signIn(t)
				made, ids, cookies, signedIn = append(made, key), append(ids, rec.ID), append(cookies, cookie), append(signedIn, id)
			}
			for _, id := range ids {
				if err := tells.Stores.Keys().Revoke(t.Context(), id, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := tells.Stores.Sessions().Delete(t.Context(), session.Match{Issuer: "https://id.example"}); err != nil {
				t.Fatal(err)
			}
			tells.tell(t, c.change(ids[0], signedIn[0]))
			stop() // and waits until it was heeded
			forgotten := 0
			for i := range 2 {
				if r.verify(made[i]) != nil {
					forgotten |= keyOne << i
				}
				if _, err := r.current(cookies[i]); err != nil {
					forgotten |= sessionOne << i
				}
			}
			if other.forgot {
				forgotten |= people
			}
			if forgotten != c.forgotten || another.forgot != other.forgot {
				t.Errorf("forgotten are %05b, want %05b", forgotten, c.forgotten)
			}
		})
	}
	// Either may be missing.
	tells := &odd{tells: make(chan store.Change)}
	stop := store.Follow(tells, nil, nil)
	tells.tell(t, store.Change{})
	stop()
}
