// Package cache remembers what was looked up, for a short and certain time and
// in bounded memory.
package cache

import (
	"hash/maphash"
	"sync"
	"time"
)

// A Cache remembers values for a time that counts from before they were looked
// up: what has changed since is found out within that time, whatever happens.
// Its methods may be called concurrently.
type Cache[K comparable, V any] struct {
	keep time.Duration
	now  func() time.Time

	mu     sync.Mutex
	values Generations[K, kept[V]]
	// forgets counts calls of Forget: what was looked up before one is not
	// remembered after it. Keys share the counts, so that to forget one
	// drops few of the others that are under way.
	forgets [shards]uint64
	seed    maphash.Seed
}

const shards = 256

// shard is the count that k has a share in.
func (c *Cache[K, V]) shard(k K) *uint64 {
	return &c.forgets[maphash.Comparable(c.seed, k)%shards]
}

// A kept value counts until a time.
type kept[V any] struct {
	value V
	until time.Time
}

// New returns a cache that keeps values for keep, and remembers for certain the
// last entries of them. With a keep of zero or less it remembers nothing.
func New[K comparable, V any](keep time.Duration, entries int, now func() time.Time) *Cache[K, V] {
	return &Cache[K, V]{keep: keep, now: now, values: NewGenerations[K, kept[V]](entries), seed: maphash.MakeSeed()}
}

// A Look is the time at which somebody began to look something up.
type Look struct {
	at      time.Time
	forgets uint64
}

// Begin is called before the value of k is looked up that Put is to remember.
func (c *Cache[K, V]) Begin(k K) Look {
	if c.keep <= 0 {
		return Look{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return Look{at: c.now(), forgets: *c.shard(k)}
}

// Put remembers what was looked up of k since l, unless k was forgotten in
// between.
func (c *Cache[K, V]) Put(l Look, k K, v V) {
	if c.keep <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.forgets == *c.shard(k) {
		c.values.Put(k, kept[V]{v, l.at.Add(c.keep)})
	}
}

// Get returns what is remembered of k.
func (c *Cache[K, V]) Get(k K) (v V, ok bool) {
	if c.keep <= 0 {
		return v, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.values.Get(k)
	if !ok || !c.now().Before(found.until) {
		return v, false
	}
	return found.value, true
}

// Forget forgets k.
func (c *Cache[K, V]) Forget(k K) {
	if c.keep <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.shard(k)++
	c.values.Delete(k)
}

// ForgetAll forgets everything.
func (c *Cache[K, V]) ForgetAll() {
	if c.keep <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.forgets {
		c.forgets[i]++
	}
	c.values.Clear()
}

// Generations is a map of bounded size. It remembers for certain the last size
// keys that were put or found, and never more than twice as many: when the new
// generation is full it becomes the old one, and the old one is dropped whole.
type Generations[K comparable, V any] struct {
	size     int
	new, old map[K]V
}

// NewGenerations returns an empty map for size keys.
func NewGenerations[K comparable, V any](size int) Generations[K, V] {
	return Generations[K, V]{size: size, new: map[K]V{}, old: map[K]V{}}
}

// Get returns the value of k.
func (g *Generations[K, V]) Get(k K) (V, bool) {
	if v, ok := g.new[k]; ok {
		return v, true
	}
	v, ok := g.old[k]
	if ok {
		g.Put(k, v)
	}
	return v, ok
}

// Put sets the value of k.
func (g *Generations[K, V]) Put(k K, v V) {
	if _, ok := g.new[k]; !ok && len(g.new) >= g.size {
		g.old, g.new = g.new, make(map[K]V, g.size)
	}
	g.new[k] = v
}

// Delete removes k.
func (g *Generations[K, V]) Delete(k K) {
	delete(g.new, k)
	delete(g.old, k)
}

// Clear removes all keys.
func (g *Generations[K, V]) Clear() { g.new, g.old = map[K]V{}, map[K]V{} }
