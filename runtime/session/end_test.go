package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

func TestEnd(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		value, elsewhere := f.signIn(t, login(), ""), f.signIn(t, login(), "")
		f.log.Reset()
		w := httptest.NewRecorder()
		f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sess, err := f.End(w, r)
			if err != nil || sess.User.ID != anna.ID || sess.ProviderSession != "ps1" {
				t.Errorf("End() = %+v, %v", sess, err)
			}
			if _, err := f.Current(r); !errors.Is(err, session.ErrNone) {
				t.Errorf("Current() after End = %v, want ErrNone", err)
			}
		})).ServeHTTP(w, browser("POST", value))
		if _, cleared := received(t, w); !cleared {
			t.Error("End does not clear the cookie")
		}
		f.audited(t, "End", "session ended", `reason="signed out"`, "user=usr_anna")
		f.over(t, "replayed", value, "session ended")
		f.lives(t, "another browser's", elsewhere)

		for _, none := range []string{"", "garbage", secret.Random(32).Reveal(), value} {
			w := httptest.NewRecorder()
			if _, err := f.End(w, browser("POST", none)); !errors.Is(err, session.ErrNone) {
				t.Errorf("End() without a session = %v, want ErrNone", err)
			}
			if _, cleared := received(t, w); !cleared {
				t.Error("End without a session does not clear the cookie")
			}
		}
	})
}

// What is revoked stays so for as long as what it ended could have lived.
func TestRevocationsLast(t *testing.T) {
	for name, end := range map[string]func(f *fixture, value string) error{
		"End": func(f *fixture, value string) error {
			_, err := f.End(httptest.NewRecorder(), browser("POST", value))
			return err
		},
		"EndAll":          func(f *fixture, _ string) error { return f.EndAll(t.Context(), anna.ID) },
		"of the provider": func(f *fixture, _ string) error { return f.EndByProvider(t.Context(), issuer, "", "ps1") },
	} {
		f := setup(t, session.Sealed, func(c *session.Config) { c.Idle = 12 * time.Hour })
		value := f.signIn(t, login(), "")
		if err := end(f, value); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			f.pass(time.Hour - time.Millisecond)
			f.m.forget(f.now())
			f.over(t, name, value, "session ended")
		}
	}
}

// A cookie that was renewed, before or while the session ended, is ended with it.
func TestEndRenewed(t *testing.T) {
	f := setup(t, session.Sealed, nil)
	value := f.signIn(t, login(), "")
	f.pass(5 * time.Minute)
	renewed := f.ask(t, value).value
	if _, err := f.End(httptest.NewRecorder(), browser("POST", value)); err != nil {
		t.Fatal(err)
	}
	f.over(t, "renewed", renewed, "session ended")

	// The older cookie would be over first; the revocation is remembered for both.
	first := f.signIn(t, login(), "")
	f.pass(29 * time.Minute)
	renewed = f.ask(t, first).value
	if _, err := f.End(httptest.NewRecorder(), browser("POST", first)); err != nil {
		t.Fatal(err)
	}
	f.pass(20 * time.Minute)
	f.m.forget(f.now())
	f.over(t, "renewed, after the first is over", renewed, "session ended")

	// The clock of the replica that began it went ahead of this one's.
	ahead := f.signIn(t, login(), "")
	f.pass(-time.Second)
	if _, err := f.End(httptest.NewRecorder(), browser("POST", ahead)); err != nil {
		t.Fatal(err)
	}
	f.over(t, "begun in the future", ahead, "session ended")
}

func TestEndAll(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		one, two := f.signIn(t, login(), ""), f.signIn(t, login(), "")
		n := login()
		n.User, n.Subject, n.ProviderSession = bert, "2", "ps2"
		other := f.signIn(t, n, "")
		f.log.Reset()
		if err := f.EndAll(t.Context(), anna.ID); err != nil {
			t.Fatal(err)
		}
		f.audited(t, "EndAll", "sessions ended", "user=usr_anna")
		f.over(t, "the first", one, "session ended")
		f.over(t, "the second", two, "session ended")
		if o := f.ask(t, other); o.err != nil {
			t.Errorf("another user's: Verify() = %v", o.err)
		}
		f.pass(time.Millisecond)
		f.lives(t, "a later login", f.signIn(t, login(), ""))
		for _, silent := range []string{"Revoke", "Delete"} {
			f.m.beSilent(silent)
			if err := f.EndAll(t.Context(), anna.ID); (silent == "Revoke" || f.cfg.Kind == session.Server) != errors.Is(err, errSilent) {
				t.Errorf("%s silent: EndAll() = %v", silent, err)
			}
			f.m.beSilent()
		}
		before := f.m.count("")
		if err := f.EndAll(t.Context(), ""); err == nil || f.m.count("") != before {
			t.Errorf("EndAll of nobody = %v, want an error", err)
		}
	})
}

func TestEndByProvider(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fixture) {
		sign := func() (ps1, ps2, bare, other string) {
			f.pass(time.Millisecond)
			n := login()
			ps1 = f.signIn(t, n, "")
			n.ProviderSession = "ps2"
			ps2 = f.signIn(t, n, "")
			n.ProviderSession = ""
			bare = f.signIn(t, n, "")
			n.ProviderSession, n.Issuer = "ps1", "https://other.example"
			return ps1, ps2, bare, f.signIn(t, n, "")
		}
		for _, c := range []struct {
			name                     string
			issuer, subject, session string
			gone                     [4]bool
		}{
			{"by session", issuer, "", "ps1", [4]bool{true, false, false, false}},
			{"by session, whose subject is said too", issuer, "1", "ps1", [4]bool{true, false, false, false}},
			{"by subject", issuer, "1", "", [4]bool{true, true, true, false}},
			{"another subject", issuer, "2", "", [4]bool{}},
			{"another session", issuer, "1", "ps3", [4]bool{}},
			{"another issuer", "https://third.example", "1", "", [4]bool{}},
		} {
			ps1, ps2, bare, other := sign()
			if err := f.EndByProvider(t.Context(), c.issuer, c.subject, c.session); err != nil {
				t.Errorf("%s: EndByProvider() = %v", c.name, err)
			}
			for i, value := range []string{ps1, ps2, bare, other} {
				if o := f.ask(t, value); (o.err != nil) != c.gone[i] {
					t.Errorf("%s: session %d: Verify() = %v, want it gone: %v", c.name, i, o.err, c.gone[i])
				}
			}
		}
		before := f.m.count("")
		for _, c := range [][3]string{{"", "1", "ps1"}, {issuer, "", ""}, {}} {
			if err := f.EndByProvider(t.Context(), c[0], c[1], c[2]); err == nil {
				t.Errorf("EndByProvider(%q) = nil, want an error", c)
			}
		}
		if f.m.count("") != before {
			t.Error("what names no session reaches the store")
		}
	})
}

func TestEndOneAndList(t *testing.T) {
	f := setup(t, session.Server, nil)
	first := f.signIn(t, login(), "")
	f.pass(time.Minute)
	second := f.signIn(t, login(), "")
	f.begin(t, login()) // in no browser yet
	n := login()
	n.User, n.Subject = bert, "2"
	other := f.signIn(t, n, "")

	list, err := f.List(t.Context(), anna.ID)
	if err != nil || len(list) != 2 {
		t.Fatalf("List() = %d sessions, %v, want 2", len(list), err)
	}
	if list[0].ID.String() != f.ask(t, second).id.Session || list[0].User.ID != anna.ID || list[0].Agent != "Browser/1.0" || list[1].ID.String() != f.ask(t, first).id.Session {
		t.Errorf("List() = %+v, want the newest first", list)
	}
	if err := f.EndOne(t.Context(), bert.ID, list[0].ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("another user's: EndOne() = %v, want ErrNotFound", err)
	}
	f.lives(t, "after another tried to end it", second)
	f.log.Reset()
	if err := f.EndOne(t.Context(), anna.ID, list[0].ID); err != nil {
		t.Errorf("EndOne() = %v", err)
	}
	f.audited(t, "EndOne", "session ended", "user=usr_anna")
	f.over(t, "ended", second, "session ended")
	f.lives(t, "the other", first)
	before := f.m.count("Delete")
	for _, c := range []struct {
		user string
		id   session.ID
	}{{anna.ID, session.ID{}}, {"", list[1].ID}} {
		if err := f.EndOne(t.Context(), c.user, c.id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("EndOne(%q, %v) = %v, want ErrNotFound", c.user, c.id, err)
		}
	}
	if f.m.count("Delete") != before {
		t.Error("what names no session of a user reaches the store")
	}
	if err := f.EndOne(t.Context(), anna.ID, list[0].ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("again: EndOne() = %v, want ErrNotFound", err)
	}
	f.pass(30 * time.Minute)
	if list, err := f.List(t.Context(), anna.ID); err != nil || len(list) != 0 {
		t.Errorf("all have ended: List() = %v, %v", list, err)
	}
	_ = other
	f.m.beSilent("List")
	if _, err := f.List(t.Context(), anna.ID); !errors.Is(err, errSilent) {
		t.Errorf("store silent: List() = %v", err)
	}

	sealed := setup(t, session.Sealed, nil)
	if _, err := sealed.List(t.Context(), anna.ID); !errors.Is(err, session.ErrSealed) {
		t.Errorf("sealed: List() = %v, want ErrSealed", err)
	}
	if err := sealed.EndOne(t.Context(), anna.ID, list[0].ID); !errors.Is(err, session.ErrSealed) || sealed.m.count("") != 0 {
		t.Errorf("sealed: EndOne() = %v, want ErrSealed", err)
	}
}

func TestTokens(t *testing.T) {
	f := setup(t, session.Server, nil)
	n := login()
	n.Tokens = []byte("first-token")
	value := f.signIn(t, n, "")
	id, _ := session.ParseID(f.ask(t, value).id.Session)
	got, sess, err := f.LoadTokens(t.Context(), id)
	if err != nil || string(got) != "first-token" || sess.ID != id || sess.User.ID != anna.ID {
		t.Errorf("LoadTokens() = %q, %+v, %v", got, sess, err)
	}
	if err := f.SaveTokens(t.Context(), id, []byte("second-token"), nil); err != nil {
		t.Errorf("SaveTokens() = %v", err)
	}
	if got, sess, err := f.LoadTokens(t.Context(), id); err != nil || string(got) != "second-token" || len(sess.Scopes["login"]) != 2 {
		t.Errorf("LoadTokens() = %q, %v, %v", got, sess.Scopes, err)
	}
	if err := f.SaveTokens(t.Context(), id, []byte("third-token"), map[string][]string{"login": {"posts:read"}}); err != nil {
		t.Errorf("SaveTokens() = %v", err)
	}
	if o := f.ask(t, value); len(o.id.Scopes) != 1 {
		t.Errorf("after SaveTokens the scopes are %v", o.id.Scopes)
	}
	rec := f.m.sessions[id]
	if text := string(rec.Tokens); len(text) < 40 || text == "third-token" {
		t.Errorf("tokens lie in the store as %q", text)
	}
	// Those of one session do not open for another.
	other := f.signIn(t, login(), "")
	otherID, _ := session.ParseID(f.ask(t, other).id.Session)
	if got, _, err := f.LoadTokens(t.Context(), otherID); err != nil || got != nil {
		t.Errorf("no tokens: LoadTokens() = %q, %v, want nil", got, err)
	}
	moved := f.m.sessions[otherID]
	moved.Tokens = rec.Tokens
	f.m.sessions[otherID] = moved
	if got, _, err := f.LoadTokens(t.Context(), otherID); !errors.Is(err, secret.ErrSealed) || got != nil {
		t.Errorf("moved tokens: LoadTokens() = %q, %v, want secret.ErrSealed", got, err)
	}
	f.m.beSilent("Load", "SaveTokens")
	if _, _, err := f.LoadTokens(t.Context(), id); !errors.Is(err, errSilent) || errors.Is(err, session.ErrNotFound) {
		t.Errorf("store silent: LoadTokens() = %v", err)
	}
	if err := f.SaveTokens(t.Context(), id, nil, nil); !errors.Is(err, errSilent) {
		t.Errorf("store silent: SaveTokens() = %v", err)
	}
	f.m.beSilent()
	f.pass(30 * time.Minute)
	if got, _, err := f.LoadTokens(t.Context(), id); !errors.Is(err, session.ErrNotFound) || got != nil {
		t.Errorf("idle: LoadTokens() = %q, %v, want ErrNotFound", got, err)
	}
	disabled := f.signIn(t, n, "")
	id, _ = session.ParseID(f.ask(t, disabled).id.Session)
	_ = people{f.m}.SetDisabled(t.Context(), anna.ID, true)
	if got, _, err := f.LoadTokens(t.Context(), id); !errors.Is(err, session.ErrNotFound) || got != nil {
		t.Errorf("disabled: LoadTokens() = %q, %v, want ErrNotFound", got, err)
	}
	if err := f.SaveTokens(t.Context(), id, []byte("x"), nil); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("ended: SaveTokens() = %v, want ErrNotFound", err)
	}
	sealed := setup(t, session.Sealed, nil)
	if _, _, err := sealed.LoadTokens(t.Context(), id); !errors.Is(err, session.ErrSealed) {
		t.Errorf("sealed: LoadTokens() = %v, want ErrSealed", err)
	}
	if err := sealed.SaveTokens(t.Context(), id, nil, nil); !errors.Is(err, session.ErrSealed) {
		t.Errorf("sealed: SaveTokens() = %v, want ErrSealed", err)
	}
}

// A key that was replaced still opens what it sealed, until it goes.
func TestKeysRotate(t *testing.T) {
	older, newer := secret.Random(32), secret.Random(32)
	f := setup(t, session.Sealed, nil)
	use := func(roots ...secret.Value) {
		ring, err := secret.NewRing(roots...)
		if err != nil {
			t.Fatal(err)
		}
		f.cfg.Ring = ring
		f.Sessions = remake(t, f.cfg)
	}
	use(older)
	value := f.signIn(t, login(), "")
	use(newer, older)
	f.pass(5 * time.Minute)
	o := f.ask(t, value)
	if o.err != nil || o.value == "" {
		t.Fatalf("with both keys: Verify() = %+v, want it let in and renewed", o)
	}
	use(newer)
	f.lives(t, "renewed with the new key", o.value)
	f.over(t, "sealed with a key that is gone", value, "session cookie not ours")
}
