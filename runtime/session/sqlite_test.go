package session_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// TestSQLite asks for the essentials with the store that servers have.
func TestSQLite(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			stores, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "server.db")}, sqlite.Driver)
			if err != nil {
				t.Fatal(err)
			}
			defer stores.Close()
			who, err := stores.Users().Ensure(t.Context(), issuer, "1", user.Profile{Name: "Anna"})
			if err != nil {
				t.Fatal(err)
			}
			f := setup(t, kind, func(c *session.Config) {
				c.Store, c.Revocations, c.Users = stores.Sessions(), stores.Revocations(), stores.Users()
			})
			n := login()
			n.User = who
			lives := func(what, value string) {
				t.Helper()
				if o := f.ask(t, value); o.err != nil || *o.id.User != who.User() || len(o.id.Scopes) != 2 || o.cleared {
					t.Errorf("%s: Verify() = %+v, want the session to live", what, o)
				}
			}
			elsewhere, old := f.signIn(t, n, ""), f.signIn(t, n, "")
			value := f.signIn(t, n, old)
			if o := f.ask(t, old); !errors.Is(o.err, gate.ErrAbsent) || o.cleared {
				t.Errorf("just replaced: Verify() = %+v, want gate.ErrAbsent and the cookie left alone", o)
			}
			f.pass(2 * time.Minute)
			f.over(t, "before the login", old, "session ended")
			lives("the new one", value)
			f.pass(20 * time.Minute)
			if o := f.ask(t, value); o.err != nil {
				t.Errorf("used: Verify() = %v", o.err)
			} else if o.value != "" {
				value = o.value
			}
			f.pass(20 * time.Minute)
			lives("used within the idle limit", value)
			f.over(t, "not used", elsewhere, "session ended")

			ticket := f.begin(t, n)
			_, _ = f.finish(ticket, "")
			if _, err := f.finish(ticket, ""); kind == session.Server && !errors.Is(err, session.ErrNone) {
				t.Errorf("a ticket again: Finish() = %v, want ErrNone", err)
			}
			if kind == session.Server {
				n.Tokens = []byte("token")
				id, _ := session.ParseID(f.ask(t, f.signIn(t, n, "")).id.Session)
				if tokens, _, err := f.LoadTokens(t.Context(), id); err != nil || string(tokens) != "token" {
					t.Errorf("LoadTokens() = %q, %v", tokens, err)
				}
				if list, err := f.List(t.Context(), who.ID); err != nil || len(list) != 3 {
					t.Errorf("List() = %d sessions, %v, want 3", len(list), err)
				}
				if err := f.EndOne(t.Context(), who.ID, id); err != nil {
					t.Errorf("EndOne() = %v", err)
				}
				if _, _, err := f.LoadTokens(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("LoadTokens() of an ended session = %v, want ErrNotFound", err)
				}
				n.Tokens = nil
			}
			if _, err := f.End(httptest.NewRecorder(), browser("POST", value)); err != nil {
				t.Errorf("End() = %v", err)
			}
			f.over(t, "signed out", value, "session ended")

			for what, end := range map[string]func() error{
				"EndAll":                 func() error { return f.EndAll(t.Context(), who.ID) },
				"the provider's session": func() error { return f.EndByProvider(t.Context(), issuer, "", "ps1") },
				"the provider's subject": func() error { return f.EndByProvider(t.Context(), issuer, "1", "") },
			} {
				f.pass(time.Millisecond)
				value, pending := f.signIn(t, n, ""), f.begin(t, n)
				lives(what, value)
				if err := end(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				f.over(t, what, value, "session ended")
				if _, err := f.finish(pending, ""); !errors.Is(err, session.ErrNone) {
					t.Errorf("%s: Finish() of a login under way = %v, want ErrNone", what, err)
				}
			}
			f.pass(time.Millisecond)
			value = f.signIn(t, n, "")
			if err := stores.Users().SetDisabled(t.Context(), who.ID, true); err != nil {
				t.Fatal(err)
			}
			f.over(t, "disabled", value, "session ended")
			if err := stores.Users().SetDisabled(t.Context(), who.ID, false); err != nil {
				t.Fatal(err)
			}
			value = f.signIn(t, n, "")
			stores.Close()
			if o := f.ask(t, value); o.err == nil || errors.Is(o.err, gate.ErrAbsent) || o.cleared {
				t.Errorf("store closed: Verify() = %+v, want an error, and the cookie kept", o)
			}
		})
	}
}

func TestSQLiteLock(t *testing.T) {
	stores, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "server.db")}, sqlite.Driver)
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close()
	key := session.KeyOf("refresh", "x")
	err = session.WithLock(t.Context(), stores.Locks(), key, time.Minute, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		return session.WithLock(ctx, stores.Locks(), key, time.Minute, func(context.Context) error { return nil })
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("taken twice: WithLock() = %v, want DeadlineExceeded", err)
	}
	if err := session.WithLock(t.Context(), stores.Locks(), key, time.Minute, func(context.Context) error { return nil }); err != nil {
		t.Errorf("given back: WithLock() = %v", err)
	}
}
