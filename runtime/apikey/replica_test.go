package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
)

// replica is another server on the store of f, with a clock and a log of f's.
func (f *fixture) replica(t *testing.T, change func(*apikey.Config)) *fixture {
	t.Helper()
	return setup(t, func(c *apikey.Config) {
		c.Store, c.Users, c.Now = f.stores.Keys(), f.stores.Users(), func() time.Time { return f.now }
		if change != nil {
			change(c)
		}
	})
}

// TestCache: a good key is not asked for again within the time, and what
// happens to it elsewhere is in force when that is over, or at once if the
// replica hears of it.
func TestCache(t *testing.T) {
	for _, keep := range []time.Duration{time.Second, 0} {
		t.Run(keep.String(), func(t *testing.T) {
			loads := 0
			f := setup(t, func(c *apikey.Config) { c.Store, c.Cache = counting{c.Store, &loads}, keep })
			other := f.replica(t, nil)
			owner := apikey.Owner{User: f.user(t).ID}
			good := func(key string) bool { _, err := f.verify(home, key); return err == nil }
			for what, end := range map[string]func(id string) error{
				"revoked":  func(id string) error { return other.keys.Revoke(t.Context(), id) },
				"rotated":  func(id string) error { _, _, err := other.keys.Rotate(t.Context(), id, 0); return err },
				"disabled": func(string) error { return f.stores.Users().SetDisabled(t.Context(), owner.User, true) },
			} {
				key, rec := f.create(t, apikey.CreateRequest{Owner: owner})
				loads = 0
				for range 10 {
					if !good(key) {
						t.Fatalf("%s: the key is no good before", what)
					}
				}
				if want := map[bool]int{true: 1, false: 10}[keep > 0]; loads != want {
					t.Errorf("%s: ten requests asked the store %d times, want %d", what, loads, want)
				}
				if err := end(rec.ID); err != nil {
					t.Fatal(err)
				}
				if keep > 0 {
					f.now = f.now.Add(keep - 1)
					if !good(key) {
						t.Errorf("%s elsewhere: not remembered for all of the time", what)
					}
					f.now = f.now.Add(1)
				}
				if good(key) {
					t.Errorf("%s elsewhere: still good when the time is over", what)
				}
				if err := f.stores.Users().SetDisabled(t.Context(), owner.User, false); err != nil {
					t.Fatal(err)
				}

				key, rec = f.create(t, apikey.CreateRequest{Owner: owner})
				good(key)
				if err := end(rec.ID); err != nil {
					t.Fatal(err)
				}
				if what == "disabled" {
					f.keys.ForgetAll()
				} else {
					f.keys.Forget(rec.ID)
				}
				if good(key) {
					t.Errorf("%s elsewhere, and heard of: still good", what)
				}
				if err := f.stores.Users().SetDisabled(t.Context(), owner.User, false); err != nil {
					t.Fatal(err)
				}
			}
			// Here it is in force at once.
			key, rec := f.create(t, apikey.CreateRequest{})
			good(key)
			if err := f.keys.Revoke(t.Context(), rec.ID); err != nil {
				t.Fatal(err)
			}
			if good(key) {
				t.Error("revoked here: still good")
			}
			key, rec = f.create(t, apikey.CreateRequest{})
			good(key)
			if _, _, err := f.keys.Rotate(t.Context(), rec.ID, 0); err != nil {
				t.Fatal(err)
			}
			if good(key) {
				t.Error("rotated here without overlap: still good")
			}
		})
	}
}

// TestCacheKeepsNoWrongSecret: who knows an id gets nothing out of the cache,
// nor does its time outlast the key's.
func TestCacheKeepsNoWrongSecret(t *testing.T) {
	loads := 0
	f := setup(t, func(c *apikey.Config) { c.Store, c.Cache = counting{c.Store, &loads}, time.Minute })
	key, _ := f.create(t, apikey.CreateRequest{Expires: f.now.Add(10 * time.Second)})
	if _, err := f.verify(home, key); err != nil {
		t.Fatal(err)
	}
	loads = 0
	for range 3 {
		if _, err := f.verify(home, wrongSecret(key)); !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("a wrong secret while the key is remembered = %v", err)
		}
	}
	if loads != 3 {
		t.Errorf("three wrong secrets asked the store %d times, want 3: as for an unknown id", loads)
	}
	f.now = f.now.Add(10 * time.Second)
	if _, err := f.verify(home, key); !errors.Is(err, gate.ErrInvalid) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired key while it is remembered = %v", err)
	}
}

// counters are buckets that replicas share, over a map.
type counters struct {
	mu     sync.Mutex
	taken  map[string]int
	silent bool
	short  bool // answers for one bucket too few
}

func (c *counters) Take(_ context.Context, buckets ...limit.Bucket) ([]time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silent {
		return nil, errors.New("silent")
	}
	var waits []time.Duration
	for _, b := range buckets {
		if c.taken[b.Name]++; c.taken[b.Name] > b.Burst {
			waits = append(waits, 5*time.Second)
		} else {
			waits = append(waits, 0)
		}
	}
	if c.short {
		waits = waits[1:]
	}
	return waits, nil
}

// TestSharedLimits: failures at all replicas count together, good keys cost no
// word, and where the shared counts are silent each replica has its own.
func TestSharedLimits(t *testing.T) {
	shared := &counters{taken: map[string]int{}}
	share := func(c *apikey.Config) { c.Shared = shared }
	one := setup(t, share)
	two := one.replica(t, share)
	key, _ := one.create(t, apikey.CreateRequest{})
	for range 5 {
		if _, err := one.verify(home, key); err != nil {
			t.Fatal(err)
		}
	}
	if len(shared.taken) != 0 {
		t.Errorf("good keys took from the shared buckets: %v", shared.taken)
	}
	var refused, limits int
	for i := range 60 {
		_, unknown := apikey.NewKey("gw", apikey.Live)
		_, err := []*fixture{one, two}[i%2].verify(home, unknown)
		switch {
		case limited(err) > 0:
			limits++
		case errors.Is(err, gate.ErrInvalid):
			refused++
		}
	}
	if refused != 20 || limits != 40 {
		t.Errorf("of 60 failures at two replicas %d were refused and %d limited, want 20 and 40", refused, limits)
	}
	if n := shared.taken["address:192.0.2.1"]; n != 22 {
		t.Errorf("the shared bucket was asked %d times, want 22: each replica hears of the limit once", n)
	}
	if _, err := two.verify(away, key); err != nil {
		t.Errorf("a good key from elsewhere = %v", err)
	}
	if _, err := one.verify(home, key); err != nil {
		t.Errorf("a key that was good at the limited address = %v", err)
	}
	if _, err := two.verify(home, key); limited(err) < 4*time.Second {
		t.Errorf("another key at the limited address = %v, want the wait that is shared", err)
	}

	for name, c := range map[string]*counters{"silent": {silent: true}, "short": {taken: map[string]int{}, short: true}} {
		f := setup(t, func(cfg *apikey.Config) { cfg.Shared = c })
		for i := range 25 {
			_, unknown := apikey.NewKey("gw", apikey.Live)
			_, err := f.verify(home, unknown)
			if got := limited(err) > 0; got != (i >= 20) {
				t.Errorf("%s: failure %d is limited: %v", name, i+1, got)
			}
		}
		if n := strings.Count(f.log.String(), "do not answer"); n != 1 {
			t.Errorf("%s: the log says so %d times, want once a minute", name, n)
		}
	}
}

// TestSharedKeyLimit: one id is guessed at from many addresses and replicas.
func TestSharedKeyLimit(t *testing.T) {
	shared := &counters{taken: map[string]int{}}
	share := func(c *apikey.Config) { c.Shared = shared }
	one := setup(t, share)
	two := one.replica(t, share)
	key, rec := one.create(t, apikey.CreateRequest{})
	refused := 0
	for i := range 60 {
		_, err := []*fixture{one, two}[i%2].verify(fmt.Sprintf("203.0.113.%d:1", i), wrongSecret(key))
		if errors.Is(err, gate.ErrInvalid) {
			refused++
		}
	}
	if refused != 20 {
		t.Errorf("%d of 60 guesses were answered as such, want 20", refused)
	}
	if shared.taken["key:"+rec.ID] == 0 {
		t.Error("the key's shared bucket was not asked")
	}
	for _, f := range []*fixture{one, two} {
		if _, err := f.verify(away, key); err != nil {
			t.Errorf("the good key = %v", err)
		}
	}
}
