package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/redis"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/store/storetest"
	"github.com/gatewright/gatewright/runtime/user"
)

// A driver opens what a test gives it.
type driver struct {
	scheme string
	open   func() (store.Shared, error)
}

func (d driver) Schemes() []string { return []string{d.scheme} }

func (d driver) Open(context.Context, string) (store.Shared, error) { return d.open() }

// opened opens cfg and closes it when the test ends.
func opened(t *testing.T, cfg store.Config, drivers ...store.Driver) store.Stores {
	t.Helper()
	if len(drivers) == 0 {
		drivers = []store.Driver{sqlite.Driver, redis.Driver}
	}
	s, err := store.Open(t.Context(), cfg, drivers...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// someSession is a session of a user.
func someSession(owner user.Record) session.Record {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return session.Record{
		ID: session.ID(session.KeyOf(fmt.Sprint(now.UnixNano()), owner.ID, fmt.Sprint(made.Add(1)))), User: owner.ID,
		Created: now, Used: now, Idle: now.Add(time.Hour), Expires: now.Add(time.Hour),
	}
}

var made atomic.Int64

// someKey is a key of a client.
func someKey(id string) apikey.Record {
	return apikey.Record{ID: id, Environment: apikey.Test, Owner: apikey.Owner{Client: "robot"}, Label: "a key", Created: time.Now().UTC().Truncate(time.Millisecond)}
}

func someUser(t *testing.T, s store.Stores) user.Record {
	t.Helper()
	rec, err := s.Users().Ensure(t.Context(), user.Local, "ada", user.Profile{Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestSplitContract: what goes to the other store keeps the contract.
func TestSplitContract(t *testing.T) {
	server := testenv.Redis(t)
	storetest.RunShared(t, func(t *testing.T, place string) store.Shared {
		name := session.KeyOf(place)
		s, err := store.Open(t.Context(), store.Config{
			URL:      "sqlite:" + filepath.Join(place, "server.db"),
			Sessions: fmt.Sprintf("%s?prefix=%x:", server.URL(), name[:8]),
		}, sqlite.Driver, redis.Driver)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestSplit: keys and users are in one store, all else is in the other.
func TestSplit(t *testing.T) {
	server := testenv.Redis(t)
	file := "sqlite:" + filepath.Join(t.TempDir(), "server.db")
	both := opened(t, store.Config{URL: file, Sessions: server.URL()})
	main := opened(t, store.Config{URL: file})
	beside, err := redis.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()

	owner, key, until := someUser(t, both), session.KeyOf("k"), time.Now().Add(time.Hour)
	if err := both.Keys().Create(t.Context(), someKey("0123456789abc")); err != nil {
		t.Fatal(err)
	}
	rec := someSession(owner)
	if err := both.Sessions().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if err := both.Revocations().Revoke(t.Context(), key, time.Now(), until); err != nil {
		t.Fatal(err)
	}
	if first, err := both.Marks().Mark(t.Context(), key, until); err != nil || !first {
		t.Fatalf("Mark() = %v, %v", first, err)
	}
	if taken, err := both.Locks().Lock(t.Context(), key, "ann", until); err != nil || !taken {
		t.Fatalf("Lock() = %v, %v", taken, err)
	}
	b := limit.Bucket{Name: "b", Burst: 1, Every: time.Hour}
	if waits, err := both.Limits().Take(t.Context(), b); err != nil || waits[0] != 0 {
		t.Fatalf("Take() = %v, %v", waits, err)
	}

	if _, err := main.Keys().Load(t.Context(), "0123456789abc"); err != nil {
		t.Errorf("Load() of a key from the main store = %v", err)
	}
	if _, err := main.Users().Load(t.Context(), owner.ID); err != nil {
		t.Errorf("Load() of a user from the main store = %v", err)
	}
	for name, c := range map[string]struct {
		s     store.Shared
		there bool
	}{"main": {main, false}, "other": {beside, true}} {
		if _, err := c.s.Sessions().Load(t.Context(), rec.ID); (err == nil) != c.there || err != nil && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Load() of a session from the %s store = %v, want it there: %v", name, err, c.there)
		}
		if at, err := c.s.Revocations().Revoked(t.Context(), key); err != nil || at.IsZero() == c.there {
			t.Errorf("Revoked() of the %s store = %v, %v, want it there: %v", name, at, err, c.there)
		}
		if first, err := c.s.Marks().Mark(t.Context(), key, until); err != nil || first == c.there {
			t.Errorf("Mark() in the %s store = %v, %v, want it there: %v", name, first, err, c.there)
		}
		if taken, err := c.s.Locks().Lock(t.Context(), key, "bob", until); err != nil || taken == c.there {
			t.Errorf("Lock() in the %s store = %v, %v, want it there: %v", name, taken, err, c.there)
		}
	}
	if waits, err := beside.Limits().Take(t.Context(), b); err != nil || waits[0] == 0 {
		t.Errorf("Take() from the other store = %v, %v, want its bucket empty", waits, err)
	}
	if err := both.Check(t.Context()); err != nil {
		t.Errorf("Check() = %v", err)
	}
}

// TestSplitSweep: both are swept, also where the other does not answer, and
// that it does not is told.
func TestSplitSweep(t *testing.T) {
	server := testenv.Redis(t)
	both := opened(t, store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "server.db"), Sessions: server.URL()})
	dead := func(id string) {
		rec := someKey(id)
		rec.Revoked = time.Now().Add(-2 * apikey.KeptDead)
		if err := both.Keys().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(id string) {
		t.Helper()
		if _, err := both.Keys().Load(t.Context(), id); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("Load() of a key that died long ago = %v, want ErrNotFound", err)
		}
	}
	rec := someSession(someUser(t, both))
	rec.Idle = time.Now().Add(-time.Minute)
	if err := both.Sessions().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	dead("0123456789abc")
	if err := both.Sweep(t.Context(), time.Now()); err != nil {
		t.Errorf("Sweep() = %v", err)
	}
	gone("0123456789abc")
	if _, err := both.Sessions().Load(t.Context(), rec.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Load() of a session that has ended = %v, want ErrNotFound", err)
	}

	server.Stop()
	dead("0123456789abd")
	if err := both.Sweep(t.Context(), time.Now()); err == nil {
		t.Error("Sweep() without the other store = nil, want an error")
	}
	gone("0123456789abd")
	if err := both.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "redis") {
		t.Errorf("Check() without the other store = %v, want an error", err)
	}
	if _, err := both.Sessions().Load(t.Context(), rec.ID); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("Load() without the other store = %v, want an error of its own", err)
	}
	if err := both.Keys().Revoke(t.Context(), "0123456789abd", time.Now()); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Revoke() without the other store = %v, want ErrNotFound", err)
	}
}

// An odd store fails, or tells, as a test wants.
type odd struct {
	store.Stores
	err    error
	tells  chan store.Change
	closed atomic.Int32
}

func (o *odd) Check(context.Context) error            { return o.err }
func (o *odd) Sweep(context.Context, time.Time) error { return o.err }
func (o *odd) Close() error                           { o.closed.Add(1); return o.err }

// tell tells c to who watches o.
func (o *odd) tell(t *testing.T, c store.Change) {
	t.Helper()
	select {
	case o.tells <- c:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody watches")
	}
}

func (o *odd) Watch(ctx context.Context, changed func(store.Change)) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-o.tells:
			changed(c)
		}
	}
}

// An oddShared is an odd store without keys and users.
type oddShared struct{ store.Shared }

// TestSplitErrors: an error of either is one of both, and both are closed.
func TestSplitErrors(t *testing.T) {
	one, two := errors.New("one is silent"), errors.New("two is silent")
	for _, c := range [][2]error{{nil, nil}, {one, nil}, {nil, two}, {one, two}} {
		main, beside := &odd{err: c[0]}, &odd{err: c[1]}
		both, err := store.Open(t.Context(), store.Config{URL: "main:", Sessions: "beside:"},
			driver{"main", func() (store.Shared, error) { return main, nil }}, driver{"beside", func() (store.Shared, error) { return oddShared{beside}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{"Check": both.Check(t.Context()), "Sweep": both.Sweep(t.Context(), time.Now()), "Close": both.Close()} {
			for _, want := range c {
				if want != nil && !errors.Is(err, want) || (err == nil) != (c == [2]error{}) {
					t.Errorf("%s() = %v, want %v", name, err, c)
				}
			}
		}
		if main.closed.Load() != 1 || beside.closed.Load() != 1 {
			t.Errorf("Close() closed one %d and the other %d times", main.closed.Load(), beside.closed.Load())
		}
	}
}

// TestSplitWatch: changes of both are told, from one goroutine at a time.
func TestSplitWatch(t *testing.T) {
	main, beside := &odd{tells: make(chan store.Change)}, &odd{tells: make(chan store.Change)}
	both, err := store.Open(t.Context(), store.Config{URL: "main:", Sessions: "beside:"},
		driver{"main", func() (store.Shared, error) { return main, nil }}, driver{"beside", func() (store.Shared, error) { return oddShared{beside}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told, done := map[store.Change]int{}, make(chan struct{})
	var inside atomic.Int32
	go func() {
		defer close(done)
		both.Watch(ctx, func(c store.Change) {
			if inside.Add(1) != 1 {
				t.Error("two are told at once")
			}
			time.Sleep(time.Millisecond)
			told[c]++
			inside.Add(-1)
		})
	}()
	for range 20 {
		main.tell(t, store.Change{Kind: store.Key})
		beside.tell(t, store.Change{Kind: store.Session})
	}
	cancel()
	<-done
	if told[store.Change{Kind: store.Key}] != 20 || told[store.Change{Kind: store.Session}] != 20 {
		t.Errorf("told %v, want 20 of each", told)
	}
}

// TestOpenClosesAgain: what was opened in vain is closed.
func TestOpenClosesAgain(t *testing.T) {
	main, beside, full := &odd{}, &odd{}, &odd{}
	drivers := []store.Driver{
		driver{"full", func() (store.Shared, error) { return full, nil }},
		driver{"main", func() (store.Shared, error) { return main, nil }},
		driver{"beside", func() (store.Shared, error) { return oddShared{beside}, nil }},
		driver{"broken", func() (store.Shared, error) { return nil, errors.New("it is broken") }},
	}
	for name, c := range map[string]struct {
		cfg  store.Config
		want []string
	}{
		"no keys and users":   {store.Config{URL: "beside:hunter2"}, []string{"beside keeps no keys", "sqlite:FILE", "sessions_store"}},
		"broken":              {store.Config{URL: "main:", Sessions: "broken:hunter2"}, []string{"it is broken"}},
		"no scheme":           {store.Config{URL: "main:", Sessions: "hunter2"}, []string{"sessions_store", "no scheme"}},
		"two full stores":     {store.Config{URL: "main:", Sessions: "full:hunter2"}, []string{"sessions_store", "its own users", "redis://"}},
		"a driver is missing": {store.Config{URL: "main:", Sessions: "redis://:hunter2@h"}, []string{"runtime/store/redis", "redis.Driver"}},
	} {
		main.closed.Store(0)
		beside.closed.Store(0)
		s, err := store.Open(t.Context(), c.cfg, drivers...)
		if err == nil {
			t.Errorf("%s: Open() = %v, want an error", name, s)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: Open() = %v, want %q in it", name, err, w)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: Open() = %v, which shows the password", name, err)
		}
		if n := main.closed.Load() + beside.closed.Load(); n != 1 {
			t.Errorf("%s: Open() closed what it had opened %d times, want once", name, n)
		}
	}
	if full.closed.Load() != 1 {
		t.Errorf("the second full store was closed %d times, want once", full.closed.Load())
	}
}
