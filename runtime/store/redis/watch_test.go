package redis_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
)

// A hearing is what a watcher was told.
type hearing struct {
	mu   sync.Mutex
	told []store.Change
}

func (h *hearing) count(c store.Change) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, told := range h.told {
		if told == c {
			n++
		}
	}
	return n
}

// waits until the watcher was told of c so often.
func (h *hearing) waits(t *testing.T, c store.Change, times int, within time.Duration) {
	t.Helper()
	for begun := time.Now(); h.count(c) < times; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > within {
			h.mu.Lock()
			defer h.mu.Unlock()
			t.Fatalf("within %v a watcher was not told of %v %d times, but %v", within, c, times, h.told)
		}
	}
}

// watched watches s until the test ends, and returns when it listens.
func watched(t *testing.T, s store.Shared) *hearing {
	t.Helper()
	h := &hearing{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, func(c store.Change) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, c)
		})
	}()
	t.Cleanup(func() {
		begun := time.Now()
		cancel()
		select {
		case <-done:
			if took := time.Since(begun); took > time.Second {
				t.Errorf("Watch() returned %v after its context had ended", took)
			}
		case <-time.After(30 * time.Second):
			t.Error("Watch() does not return when its context has ended")
		}
	})
	h.waits(t, store.Change{}, 1, 10*time.Second)
	return h
}

// TestWatch: each change is told once, as what it is, and what changed nothing
// is not told.
func TestWatch(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	one, two := open(t, server.URL()), open(t, server.URL())
	h := watched(t, two)
	create := func(n int) (recs []session.Record) {
		for range n {
			recs = append(recs, someSession("usr_a"))
			if err := one.Sessions().Create(t.Context(), recs[len(recs)-1]); err != nil {
				t.Fatal(err)
			}
		}
		return recs
	}
	remove := func(m session.Match) {
		if _, err := one.Sessions().Delete(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	rec := create(1)[0]
	if err := one.Sessions().Touch(t.Context(), rec.ID, rec.Used.Add(time.Hour), rec.Idle.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := one.Sessions().SaveTokens(t.Context(), rec.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
	remove(session.Match{ID: rec.ID})
	remove(session.Match{ID: rec.ID}) // a second time it is not there
	few := create(3)
	remove(session.Match{User: "usr_a", Except: few[0].ID})
	create(20)
	remove(session.Match{User: "usr_a"})
	if err := one.Revocations().Revoke(t.Context(), session.KeyOf("k"), time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	mustDo(t, client, "PUBLISH", "gatewright:changes", "planet mars") // by a newer program
	h.waits(t, store.Change{}, 2, 10*time.Second)

	told := func(rec session.Record) store.Change {
		return store.Change{Kind: store.Session, ID: rec.ID.String()}
	}
	want := []store.Change{{}, told(rec), told(rec), told(few[1]), told(few[2]), {Kind: store.Session}, {Kind: store.Revocation}, {}}
	h.mu.Lock()
	defer h.mu.Unlock()
	got := slices.Clone(h.told)
	if len(got) > 5 && got[3] == want[4] { // in either order
		got[3], got[4] = got[4], got[3]
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// TestWatchBeginsAnew: when the server was away the watcher is told that it may
// have missed something, and then hears again.
func TestWatchBeginsAnew(t *testing.T) {
	log := logged(t)
	server := testenv.Redis(t)
	s := open(t, server.URL())
	h := watched(t, s)
	for round := 1; round <= 3; round++ {
		if round == 3 { // only this connection
			mustDo(t, raw(t, server), "CLIENT", "KILL", "TYPE", "pubsub")
		} else {
			server.Kill()
			time.Sleep(600 * time.Millisecond) // it fails more than once
			server.Start(t)
		}
		h.waits(t, store.Change{}, round+1, 10*time.Second)
		eventually(t, func() error {
			return s.Revocations().Revoke(t.Context(), session.KeyOf("k"), time.Now(), time.Now().Add(time.Hour))
		})
		h.waits(t, store.Change{Kind: store.Revocation}, round, time.Second)
	}
	if n := strings.Count(log(), "not heard"); n != 3 {
		t.Errorf("it was logged %d times that changes are not heard, want once for each of 3 times", n)
	}
}

// TestSilentConnection: a connection of which nothing is heard any more, while
// nobody ends it, is given up; one at which nothing happens is not.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	way := through(t, server)
	quiet, cut := watched(t, open(t, server.URL())), watched(t, open(t, way.url))
	begun := time.Now()
	way.cut()
	cut.waits(t, store.Change{}, 2, 15*time.Second)
	took := time.Since(begun)
	t.Logf("a silent connection was given up after %v", took.Round(100*time.Millisecond))
	if took < 4*time.Second {
		t.Errorf("the connection was given up after %v, as soon as a server is slow", took)
	}
	time.Sleep(time.Until(begun.Add(12 * time.Second)))
	if n := quiet.count(store.Change{}); n != 1 {
		t.Errorf("a watcher to whom nothing was told began %d times, want once", n)
	}
}
