package session_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/session"
)

// questions is how often the store was asked about a session.
func (f *fixture) questions() int { return f.m.count("Load") + f.m.count("Revoked") }

// TestCache: a good session is not asked for again within the time; what ends
// it elsewhere is in force when that is over, or at once where it is heard of;
// what ends it here is in force at once.
func TestCache(t *testing.T) {
	const keep = time.Second
	each(t, func(c *session.Config) { c.Cache = keep }, func(t *testing.T, f *fixture) {
		other := f.cfg
		other.Cache = 0
		elsewhere := remake(t, other)
		ends := map[string]func(s *session.Sessions, value string) error{
			"signed out": func(s *session.Sessions, value string) error { return endWith(s, value) },
			"everywhere": func(s *session.Sessions, _ string) error { return s.EndAll(t.Context(), anna.ID) },
			"provider": func(s *session.Sessions, _ string) error {
				return s.EndByProvider(t.Context(), issuer, anna.Subject, "")
			},
			"disabled": func(*session.Sessions, string) error {
				return f.cfg.Users.SetDisabled(context.Background(), anna.ID, true)
			},
		}
		for what, end := range ends {
			again := func() { _ = f.cfg.Users.SetDisabled(context.Background(), anna.ID, false) }
			value := f.signIn(t, login(), "")
			f.lives(t, what, value)
			asked := f.questions()
			for range 5 {
				f.lives(t, what, value)
			}
			if n := f.questions() - asked; n != 0 {
				t.Errorf("%s: five more requests asked the store %d times", what, n)
			}
			if err := end(elsewhere, value); err != nil {
				t.Fatal(err)
			}
			f.pass(keep - time.Millisecond)
			f.lives(t, what+" elsewhere, just before the time is over", value)
			f.pass(time.Millisecond)
			if o := f.ask(t, value); o.err == nil {
				t.Errorf("%s elsewhere: still good when the time is over", what)
			}
			again()
			f.pass(time.Minute)

			value = f.signIn(t, login(), "")
			f.lives(t, what, value)
			if err := end(elsewhere, value); err != nil {
				t.Fatal(err)
			}
			f.ForgetAll()
			if o := f.ask(t, value); o.err == nil {
				t.Errorf("%s elsewhere, and heard of: still good", what)
			}
			again()
			f.pass(time.Minute)

			if what == "disabled" {
				continue // it is the store's to tell
			}
			value = f.signIn(t, login(), "")
			f.lives(t, what, value)
			if err := end(f.Sessions, value); err != nil {
				t.Fatal(err)
			}
			if o := f.ask(t, value); o.err == nil {
				t.Errorf("%s here: still good", what)
			}
			f.pass(time.Minute)
		}
	})
}

// TestCacheOfOne: to forget one session leaves the others.
func TestCacheOfOne(t *testing.T) {
	f := setup(t, session.Server, func(c *session.Config) { c.Cache = time.Minute })
	one, two := f.signIn(t, login(), ""), f.signIn(t, login(), "")
	f.lives(t, "one", one)
	f.lives(t, "two", two)
	list, err := f.List(t.Context(), anna.ID)
	if err != nil || len(list) != 2 {
		t.Fatalf("List() = %d, %v", len(list), err)
	}
	f.Forget(list[0].ID)
	asked := f.m.count("Load")
	f.lives(t, "one", one)
	f.lives(t, "two", two)
	if n := f.m.count("Load") - asked; n != 1 {
		t.Errorf("the store was asked %d times, want 1", n)
	}
	if err := f.EndOne(t.Context(), anna.ID, list[1].ID); err != nil {
		t.Fatal(err)
	}
	if a, b := f.ask(t, one).err == nil, f.ask(t, two).err == nil; a == b {
		t.Errorf("after one of two was ended they are good: %v, %v", a, b)
	}
}

// TestCacheAndIdle: a session that is used lives on, whatever is remembered of
// when it was used before.
func TestCacheAndIdle(t *testing.T) {
	each(t, func(c *session.Config) { c.Cache, c.Idle = time.Minute, 2*time.Minute }, func(t *testing.T, f *fixture) {
		value := f.signIn(t, login(), "")
		for range 20 {
			f.pass(30 * time.Second)
			o := f.ask(t, value)
			if o.err != nil {
				t.Fatalf("a session that is used is over: %v", o.err)
			}
			if o.value != "" {
				value = o.value
			}
		}
	})
}

// endWith signs out the browser that holds value.
func endWith(s *session.Sessions, value string) error {
	_, err := s.End(httptest.NewRecorder(), browser("POST", value))
	return err
}
