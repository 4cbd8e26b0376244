package apikey

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/cache"
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
//   - Where replicas share their counts, a failure takes tokens from those
//     too; a replica hears that others have used them up at its own first
//     failure. What is good costs no word to anybody, and where the shared
//     counts do not answer each replica has its own.
type limiter struct {
	addresses *buckets[netip.Addr]
	keys      *buckets[string]
	good      *recent[visit]

	limits Limits
	shared Buckets          // may be nil
	silent *buckets[string] // holds back the word that shared is silent
	logger func() *slog.Logger
}

// A visit is a key id that was good from an address.
type visit struct {
	address netip.Addr
	key     string
}

// goodVisits is how many visits are remembered for certain.
const goodVisits = 8192

func newLimiter(l Limits, shared Buckets, logger func() *slog.Logger, now func() time.Time) *limiter {
	l.AddressBurst, l.AddressEvery = cmp.Or(l.AddressBurst, 20), cmp.Or(l.AddressEvery, time.Second)
	l.KeyBurst, l.KeyEvery = cmp.Or(l.KeyBurst, 20), cmp.Or(l.KeyEvery, time.Second)
	l.Entries = cmp.Or(l.Entries, 65536)
	return &limiter{
		addresses: newBuckets[netip.Addr](l.AddressBurst, l.AddressEvery, l.Entries, now),
		keys:      newBuckets[string](l.KeyBurst, l.KeyEvery, l.Entries, now),
		good:      newRecent[visit](goodVisits),
		limits:    l,
		shared:    shared,
		silent:    newBuckets[string](1, time.Minute, 1, now),
		logger:    logger,
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
func (l *limiter) failed(ctx context.Context, from netip.Addr, id string, cause error) error {
	wait := l.addresses.take(from)
	if id != "" {
		wait = max(wait, l.keys.take(strings.Clone(id)))
	}
	if wait == 0 && l.shared != nil {
		wait = l.take(ctx, from, id)
	}
	if wait > 0 {
		return &gate.LimitError{RetryAfter: wait}
	}
	return cause
}

// shareTime bounds the question for the shared counts.
const shareTime = 100 * time.Millisecond

// take takes from the shared buckets, and returns how long the caller has to
// wait by them. What the others have used up is used up here too.
func (l *limiter) take(ctx context.Context, from netip.Addr, id string) time.Duration {
	// A caller who hangs up is counted too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shareTime)
	defer cancel()
	asked := []Bucket{{Name: "address:" + from.String(), Burst: l.limits.AddressBurst, Every: l.limits.AddressEvery}}
	if id != "" {
		asked = append(asked, Bucket{Name: "key:" + id, Burst: l.limits.KeyBurst, Every: l.limits.KeyEvery})
	}
	waits, err := l.shared.Take(ctx, asked...)
	if err == nil && len(waits) != len(asked) {
		err = errors.New("not an answer for each bucket")
	}
	if err != nil {
		if l.silent.take("") == 0 {
			l.logger().WarnContext(ctx, "api key: the shared limits do not answer, this server counts by itself", "error", err)
		}
		return 0
	}
	l.addresses.drain(from, waits[0])
	if id != "" {
		l.keys.drain(strings.Clone(id), waits[1])
	}
	return slices.Max(waits)
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
	full cache.Generations[K, time.Duration] // since start
	from time.Time                           // start
}

func newBuckets[K comparable](burst int, every time.Duration, entries int, now func() time.Time) *buckets[K] {
	return &buckets[K]{every: every, depth: time.Duration(burst) * every, now: now, full: cache.NewGenerations[K, time.Duration](entries), from: now()}
}

// wait returns how long k has to wait for a token, zero if it has one.
func (b *buckets[K]) wait(k K) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	full, _ := b.full.Get(k)
	return b.missing(full)
}

// take takes a token of k's, or returns how long k has to wait for one.
func (b *buckets[K]) take(k K) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	full, _ := b.full.Get(k)
	if wait := b.missing(full); wait > 0 {
		return wait
	}
	b.full.Put(k, max(full, b.now().Sub(b.from))+b.every)
	return 0
}

// drain has k wait at least so long for its next token.
func (b *buckets[K]) drain(k K, wait time.Duration) {
	if wait <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full, _ := b.full.Get(k)
	b.full.Put(k, max(full, b.now().Sub(b.from)+wait+b.depth-b.every))
}

func (b *buckets[K]) missing(full time.Duration) time.Duration {
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
