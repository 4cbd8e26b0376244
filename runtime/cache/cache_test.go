package cache_test

import (
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/cache"
)

// A clock that tests turn.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func setup(keep time.Duration, entries int) (*cache.Cache[string, int], *clock) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	return cache.New[string, int](keep, entries, c.now), c
}

func want(t *testing.T, c *cache.Cache[string, int], k string, v int, ok bool) {
	t.Helper()
	if got, found := c.Get(k); got != v || found != ok {
		t.Errorf("Get(%q) = %d, %v, want %d, %v", k, got, found, v, ok)
	}
}

// TestTime: the time counts from before the look, not from its end.
func TestTime(t *testing.T) {
	c, at := setup(time.Second, 10)
	l := c.Begin("k")
	at.at = at.at.Add(900 * time.Millisecond) // a slow store
	c.Put(l, "k", 1)
	want(t, c, "k", 1, true)
	at.at = at.at.Add(99 * time.Millisecond)
	want(t, c, "k", 1, true)
	at.at = at.at.Add(time.Millisecond)
	want(t, c, "k", 0, false)
	// Asking does not lengthen it.
	c.Put(c.Begin("k"), "k", 2)
	for range 4 {
		want(t, c, "k", 2, true)
		at.at = at.at.Add(250 * time.Millisecond)
	}
	want(t, c, "k", 0, false)
}

// TestForget: what is forgotten is gone, and so is what was looked up before.
func TestForget(t *testing.T) {
	for name, forget := range map[string]func(*cache.Cache[string, int]){
		"one": func(c *cache.Cache[string, int]) { c.Forget("k") },
		"all": func(c *cache.Cache[string, int]) { c.ForgetAll() },
	} {
		c, _ := setup(time.Minute, 10)
		c.Put(c.Begin("k"), "k", 1)
		c.Put(c.Begin("other"), "other", 2)
		forget(c)
		want(t, c, "k", 0, false)
		if _, ok := c.Get("other"); ok == (name == "all") {
			t.Errorf("%s: another is remembered: %v", name, ok)
		}
		l := c.Begin("k")
		forget(c) // the key is revoked while its old record is on its way
		c.Put(l, "k", 1)
		want(t, c, "k", 0, false)
		c.Put(c.Begin("k"), "k", 3)
		want(t, c, "k", 3, true)
	}
}

func TestNone(t *testing.T) {
	for _, keep := range []time.Duration{0, -1} {
		c, _ := setup(keep, 10)
		c.Put(c.Begin("k"), "k", 1)
		want(t, c, "k", 0, false)
		c.Forget("k")
		c.ForgetAll()
	}
}

// TestGenerations: the last keys that were put or found stay, and no more than
// twice as many.
func TestGenerations(t *testing.T) {
	g := cache.NewGenerations[int, int](100)
	kept := func() (n int) {
		c := g // asking moves keys; a copy of the maps' headers would move them too
		for i := range 1000 {
			if i == 0 {
				continue
			}
			if _, ok := c.Get(i); ok {
				n++
			}
		}
		return n
	}
	for i := range 1000 {
		g.Put(i, i)
		if v, ok := g.Get(0); !ok || v != 0 {
			t.Fatalf("a key that is asked for was forgotten after %d others", i)
		}
		if i > 0 {
			if _, ok := g.Get(max(1, i-30)); !ok {
				t.Fatalf("key %d was forgotten at %d", i-30, i)
			}
		}
	}
	if n := kept(); n > 200 {
		t.Errorf("%d keys are kept, want at most 200", n)
	}
	g.Delete(999)
	if _, ok := g.Get(999); ok {
		t.Error("Delete() kept the key")
	}
	g.Clear()
	if n := kept(); n != 0 {
		t.Errorf("%d keys are kept after Clear()", n)
	}
}
