package apikey

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
)

// Limits say how many failed attempts are answered as such. Zero members have
// the defaults named.
type Limits struct {
	// AddressBurst failures from one address (of IPv6: one /64) are taken
	// at once, and one more every AddressEvery. Defaults: 20, 1 s.
	AddressBurst int
	AddressEvery time.Duration
	// KeyBurst failures with one key id are taken at once, from all
	// addresses together, and one more every KeyEvery. Defaults: 20, 1 s.
	KeyBurst int
	KeyEvery time.Duration
	// Entries is how many addresses, and how many key ids, are remembered
	// for certain; those longest unheard of are forgotten first. An entry
	// takes about 100 bytes, and up to twice as many are kept. Default: 65536.
	Entries int
}

func (l Limits) check() error {
	if l.AddressBurst < 0 || l.AddressEvery < 0 || l.KeyBurst < 0 || l.KeyEvery < 0 || l.Entries < 0 {
		return errors.New("apikey: limits must not be negative")
	}
	return nil
}

// A limiter answers callers that fail too often. Its rules:
//
//   - Only failures count. Each takes a token of the caller's address and one
//     of the key id it named; the ids of keys that do not exist count alike, so
//     that the answer tells nothing about them.
//   - An address without tokens is refused before the store is asked,
//     whatever it presents. It alone has to wait: nobody elsewhere notices.
//     Excepted is a key id that was good from this very address before, so
//     that a neighbour behind the same address does not shut out its users.
//   - A key id without tokens changes only the answer to a further wrong
//     secret. The right secret is let in from anywhere, however many
//     others guess at it.
type limiter struct {
	addresses *buckets[netip.Addr]
	keys      *buckets[string]
	good      *recent[visit]
}

// A visit is a key id that was good from an address.
type visit struct {
	address netip.Addr
	key     string
}

// goodVisits is how many visits are remembered for certain.
const goodVisits = 8192

func newLimiter(l Limits, now func() time.Time) *limiter {
	entries := cmp.Or(l.Entries, 65536)
	return &limiter{
		addresses: newBuckets[netip.Addr](cmp.Or(l.AddressBurst, 20), cmp.Or(l.AddressEvery, time.Second), entries, now),
		keys:      newBuckets[string](cmp.Or(l.KeyBurst, 20), cmp.Or(l.KeyEvery, time.Second), entries, now),
		good:      newRecent[visit](goodVisits),
	}
}

// before tells, before any work is done, whether the caller has to wait. id is
// empty where what was presented is no key.
func (l *limiter) before(from netip.Addr, id string) error {
	wait := l.addresses.wait(from)
	if wait == 0 || id != "" && l.good.has(visit{from, id}) {
		return nil
	}
	return &gate.LimitError{RetryAfter: wait}
}

// failed counts a failure and returns cause, or a *gate.LimitError where there
// have been too many.
func (l *limiter) failed(from netip.Addr, id string, cause error) error {
	wait := l.addresses.take(from)
	if id != "" {
		wait = max(wait, l.keys.take(strings.Clone(id)))
	}
	if wait > 0 {
		return &gate.LimitError{RetryAfter: wait}
	}
	return cause
}

// succeeded remembers that the key was good from this address.
func (l *limiter) succeeded(from netip.Addr, id string) {
	l.good.add(visit{from, strings.Clone(id)})
}

// address returns what an attempt is counted under: the address that r came
// from, of IPv6 its /64, which one subscriber has to itself. What is no
// address, such as a Unix socket, is counted together.
func address(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a := at.Addr().Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	network, err := a.Prefix(64)
	if err != nil {
		return netip.Addr{}
	}
	return network.Addr()
}

// buckets hold one token bucket a key, each as the one instant at which it is
// full again (the generic cell rate algorithm). A bucket that is forgotten is full.
type buckets[K comparable] struct {
	every time.Duration
	depth time.Duration // how far ahead of now an empty bucket's instant is
	now   func() time.Time

	mu   sync.Mutex
	full generations[K, time.Duration] // since start
	from time.Time                     // start
}

func newBuckets[K comparable](burst int, every time.Duration, entries int, now func() time.Time) *buckets[K] {
	return &buckets[K]{every: every, depth: time.Duration(burst) * every, now: now, full: newGenerations[K, time.Duration](entries), from: now()}
}

// wait returns how long k has to wait for a token, zero if it has one.
func (b *buckets[K]) wait(k K) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	full, _ := b.full.get(k)
	return b.missing(full)
}

// take takes a token of k's, or returns how long k has to wait for one.
func (b *buckets[K]) take(k K) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	full, _ := b.full.get(k)
	if wait := b.missing(full); wait > 0 {
		return wait
	}
	b.full.put(k, max(full, b.now().Sub(b.from))+b.every)
	return 0
}

func (b *buckets[K]) missing(full time.Duration) time.Duration {
	now := b.now().Sub(b.from)
	return max(0, max(full, now)+b.every-now-b.depth)
}

// recent is a set that forgets what was added longest ago.
type recent[K comparable] struct {
	mu  sync.Mutex
	set generations[K, struct{}]
}

func newRecent[K comparable](entries int) *recent[K] {
	return &recent[K]{set: newGenerations[K, struct{}](entries)}
}

func (r *recent[K]) has(k K) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.set.get(k)
	return ok
}

func (r *recent[K]) add(k K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set.put(k, struct{}{})
}

// generations is a map of bounded size. It remembers for certain the last size
// keys that were put or found, and never more than twice as many: when the new
// generation is full it becomes the old one, and the old one is dropped whole.
type generations[K comparable, V any] struct {
	size     int
	new, old map[K]V
}

func newGenerations[K comparable, V any](size int) generations[K, V] {
	return generations[K, V]{size: size, new: map[K]V{}, old: map[K]V{}}
}

func (g *generations[K, V]) get(k K) (V, bool) {
	if v, ok := g.new[k]; ok {
		return v, true
	}
	v, ok := g.old[k]
	if ok {
		g.put(k, v)
	}
	return v, ok
}

func (g *generations[K, V]) put(k K, v V) {
	if _, ok := g.new[k]; !ok && len(g.new) >= g.size {
		g.old, g.new = g.new, make(map[K]V, g.size)
	}
	g.new[k] = v
}
