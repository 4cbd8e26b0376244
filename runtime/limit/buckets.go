package limit

import (
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/cache"
)

// Buckets hold one token bucket a key, each as the one instant at which it is
// full again (the generic cell rate algorithm). A bucket that is forgotten is full.
type Buckets[K comparable] struct {
	every time.Duration
	depth time.Duration // how far ahead of now an empty bucket's instant is
	now   func() time.Time

	mu   sync.Mutex
	full cache.Generations[K, time.Duration] // since start
	from time.Time                           // start
}

// NewBuckets returns full buckets that hold burst tokens each and get one more
// every every. It remembers entries of them for certain.
func NewBuckets[K comparable](burst int, every time.Duration, entries int, now func() time.Time) *Buckets[K] {
	return &Buckets[K]{every: every, depth: time.Duration(burst) * every, now: now, full: cache.NewGenerations[K, time.Duration](entries), from: now()}
}

// Wait returns how long k has to wait for a token, zero if it has one.
func (b *Buckets[K]) Wait(k K) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	full, _ := b.full.Get(k)
	return b.missing(full)
}

// Take takes a token of k's, or returns how long k has to wait for one.
func (b *Buckets[K]) Take(k K) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	full, _ := b.full.Get(k)
	if wait := b.missing(full); wait > 0 {
		return wait
	}
	b.full.Put(k, max(full, b.now().Sub(b.from))+b.every)
	return 0
}

// Give puts back a token that was taken of k's.
func (b *Buckets[K]) Give(k K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if full, ok := b.full.Get(k); ok {
		b.full.Put(k, full-b.every)
	}
}

// Drain has k wait at least so long for its next token.
func (b *Buckets[K]) Drain(k K, wait time.Duration) {
	if wait <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full, _ := b.full.Get(k)
	b.full.Put(k, max(full, b.now().Sub(b.from)+wait+b.depth-b.every))
}

func (b *Buckets[K]) missing(full time.Duration) time.Duration {
	now := b.now().Sub(b.from)
	return max(0, max(full, now)+b.every-now-b.depth)
}

// recent is a set that forgets what was added longest ago.
type recent[K comparable] struct {
	mu  sync.Mutex
	set cache.Generations[K, struct{}]
}

func newRecent[K comparable](entries int) *recent[K] {
	return &recent[K]{set: cache.NewGenerations[K, struct{}](entries)}
}

func (r *recent[K]) has(k K) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.set.Get(k)
	return ok
}

func (r *recent[K]) add(k K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set.Put(k, struct{}{})
}
