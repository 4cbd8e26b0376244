package postgres_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/user"
)

// A watcher collects what it is told.
type watcher struct {
	mu   sync.Mutex
	told []store.Change
	done chan struct{} // closed when Watch has returned
}

// watch watches s until the test ends.
func watch(t *testing.T, s store.Shared) *watcher {
	t.Helper()
	w := &watcher{done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(w.done)
		s.Watch(ctx, func(c store.Change) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, c)
		})
	}()
	t.Cleanup(func() {
		cancel()
		w.ends(t)
	})
	return w
}

func (w *watcher) ends(t *testing.T) {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(5 * time.Second):
		t.Error("Watch() does not return")
	}
}

func (w *watcher) all() []store.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// waits until the watcher has been told of c so often.
func (w *watcher) waits(t *testing.T, c store.Change, often int) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		n := 0
		for _, told := range w.all() {
			if told == c {
				n++
			}
		}
		if n >= often {
			return
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("a watcher was told %v, want %v %d times", w.all(), c, often)
		}
	}
}

func someUser(t *testing.T, s store.Stores, subject string) user.Record {
	t.Helper()
	rec, err := s.Users().Ensure(t.Context(), user.Local, subject, user.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func someSession(t *testing.T, s store.Stores, owner string, change func(*session.Record)) session.Record {
	t.Helper()
	rec := session.Record{ID: session.ID(session.KeyOf(time.Now().String())), User: owner, Created: now(), Used: now(), Idle: now().Add(time.Hour), Expires: now().Add(time.Hour)}
	change(&rec)
	if err := s.Sessions().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

// testWatchAgain: a connection that is lost is made anew, and what may have
// been missed is told as a change of anything.
func testWatchAgain(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	mustCreate(t, s, "0123456789abc")
	w := watch(t, s)
	for i := range 3 {
		w.waits(t, store.Change{}, i+1)
		mustDo(t, s.Keys().Relabel(t.Context(), "0123456789abc", "again"))
		w.waits(t, store.Change{Kind: store.Key, ID: "0123456789abc"}, i+1)
		begun := time.Now()
		if n := ask[int](t, url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"); n != 1 {
			t.Fatalf("%d connections listen, want 1", n)
		}
		w.waits(t, store.Change{}, i+2)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("Watch listens again after %v", took)
		}
	}
	// It hears after a while of silence too: it asked in between.
	time.Sleep(5500 * time.Millisecond)
	mustDo(t, s.Keys().Relabel(t.Context(), "0123456789abc", "again"))
	w.waits(t, store.Change{Kind: store.Key, ID: "0123456789abc"}, 4)
	if got := w.all(); len(got) != 8 {
		t.Errorf("a watcher was told %v, want four times each", got)
	}
}

// testWatchClose: Watch ends with the store too, and while it cannot connect.
func testWatchClose(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, s)
	w.waits(t, store.Change{}, 1)
	mustDo(t, s.Close())
	w.ends(t)

	p, far := through(t, url)
	s = mustOpen(t, far)
	p.cut()
	w = watch(t, s) // ends with the test
	time.Sleep(200 * time.Millisecond)
	if got := w.all(); len(got) != 0 {
		t.Errorf("a watcher that hears nothing was told %v", got)
	}
}

// testToldIfKept: each change is told with its id, once it is made and not if
// it is not.
func testToldIfKept(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	owner := someUser(t, s, "ann")
	mustCreate(t, s, "0123456789abc", "0123456789abd", "0123456789abe", "lastkey000000")
	w := watch(t, s)
	w.waits(t, store.Change{}, 1)

	ctx, keys := t.Context(), s.Keys()
	if err := keys.Rotate(ctx, "0123456789abc", now(), key("0123456789abd")); !errors.Is(err, apikey.ErrExists) {
		t.Errorf("Rotate() = %v, want ErrExists", err)
	}
	if err := errors.Join(keys.Revoke(ctx, "unknown000000", now()), keys.Rotate(ctx, "unknown000000", now(), key("new0000000000")),
		s.Users().SetDisabled(ctx, user.NewID(), true)); !isNotFound(err) {
		t.Errorf("calls for what does not exist = %v", err)
	}
	mustDo(t, keys.Touch(ctx, "0123456789abc", now()))
	if n, err := s.Sessions().Delete(ctx, session.Match{User: owner.ID}); n != 0 || err != nil {
		t.Errorf("Delete() of nothing = %d, %v", n, err)
	}
	mustDo(t, keys.Relabel(ctx, "0123456789abd", "x"))
	mustDo(t, keys.Rotate(ctx, "0123456789abc", now(), key("new0000000000")))
	mustDo(t, keys.Revoke(ctx, "0123456789abe", now()))
	mustDo(t, s.Users().SetScopes(ctx, owner.ID, []string{"a"}))
	one, two := someSession(t, s, owner.ID, func(*session.Record) {}), someSession(t, s, owner.ID, func(*session.Record) {})
	mustDo(t, s.Sessions().SaveTokens(ctx, one.ID, []byte("x"), nil))
	for _, m := range []session.Match{{ID: two.ID, User: owner.ID}, {User: owner.ID}} {
		if n, err := s.Sessions().Delete(ctx, m); n != 1 || err != nil {
			t.Errorf("Delete() = %d, %v, want 1", n, err)
		}
	}
	mustDo(t, s.Revocations().Revoke(ctx, session.KeyOf("a"), now(), now()))
	mustDo(t, s.Users().SetDisabled(ctx, owner.ID, true))
	w.waits(t, store.Change{Kind: store.User, ID: owner.ID}, 2)
	want := []store.Change{
		{}, {Kind: store.Key, ID: "0123456789abd"}, {Kind: store.Key, ID: "0123456789abc"}, {Kind: store.Key, ID: "0123456789abe"}, {Kind: store.User, ID: owner.ID},
		{Kind: store.Session, ID: one.ID.String()}, {Kind: store.Session, ID: two.ID.String()}, {Kind: store.Session}, {Kind: store.Revocation}, {Kind: store.User, ID: owner.ID},
	}
	if got := w.all(); !slices.Equal(got, want) {
		t.Errorf("a watcher was told\n%v, want\n%v", got, want)
	}

	// What others say on the channel is taken for a change of anything.
	mustExec(t, server.URL(), "NOTIFY gatewright, 'key elsewhere'") // another database
	conn := raw(t, url)
	for _, payload := range []string{"", "nonsense", "KEY 0123456789abc"} {
		if _, err := conn.Exec(ctx, "SELECT pg_notify('gatewright', $1)", payload); err != nil {
			t.Fatal(err)
		}
	}
	w.waits(t, store.Change{}, 4)
	if got := w.all(); len(got) != len(want)+3 {
		t.Errorf("a watcher was told %v", got[len(want):])
	}
}
