// Package limit holds back callers that fail too often, by their address and by
// the name that they tried, in bounded memory. It never locks out who is good
// from elsewhere.
package limit

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
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

// Check tells what is wrong with l.
func (l Limits) Check() error {
	if l.AddressBurst < 0 || l.AddressEvery < 0 || l.KeyBurst < 0 || l.KeyEvery < 0 || l.Entries < 0 {
		return errors.New("limit: limits must not be negative")
	}
	return nil
}

// A Shared counts failed attempts for all replicas of a server, each kind of
// attempt in a token bucket of its own. Methods may be called concurrently.
type Shared interface {
	// Take takes a token from each of the buckets that has one, and returns
	// in their order how long it takes until there is one; zero: it was taken.
	// A bucket that nobody has taken from for long enough is full.
	Take(ctx context.Context, buckets ...Bucket) ([]time.Duration, error)
}

// A Bucket names a token bucket: it holds Burst tokens at most and gets one
// more every Every.
type Bucket struct {
	Name  string // printable ASCII, at most 100 bytes; no secret
	Burst int
	Every time.Duration
}

// A Limiter answers callers that fail too often. Its rules:
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
type Limiter struct {
	addresses *Buckets[netip.Addr]
	keys      *Buckets[string]
	good      *recent[visit]
	visits    *Buckets[visit] // of those that are good: see Attempt

	limits Limits
	shared Shared           // may be nil
	silent *Buckets[string] // holds back the word that shared is silent
	logger func() *slog.Logger
}

// A visit is a key id that was good from an address.
type visit struct {
	address netip.Addr
	key     string
}

// goodVisits is how many visits are remembered for certain.
const goodVisits = 8192

// New returns the limiter of l, whose zero members have their defaults. shared
// may be nil.
func New(l Limits, shared Shared, logger func() *slog.Logger, now func() time.Time) *Limiter {
	l.AddressBurst, l.AddressEvery = cmp.Or(l.AddressBurst, 20), cmp.Or(l.AddressEvery, time.Second)
	l.KeyBurst, l.KeyEvery = cmp.Or(l.KeyBurst, 20), cmp.Or(l.KeyEvery, time.Second)
	l.Entries = cmp.Or(l.Entries, 65536)
	return &Limiter{
		addresses: NewBuckets[netip.Addr](l.AddressBurst, l.AddressEvery, l.Entries, now),
		keys:      NewBuckets[string](l.KeyBurst, l.KeyEvery, l.Entries, now),
		good:      newRecent[visit](goodVisits),
		visits:    NewBuckets[visit](l.AddressBurst, l.AddressEvery, goodVisits, now),
		limits:    l,
		shared:    shared,
		silent:    NewBuckets[string](1, time.Minute, 1, now),
		logger:    logger,
	}
}

// Before tells, before any work is done, whether the caller has to wait. id is
// empty where what was presented has none. It is for secrets that nobody can
// guess; others are looked at within an Attempt.
func (l *Limiter) Before(from netip.Addr, id string) error {
	wait := l.addresses.Wait(from)
	if wait == 0 || id != "" && l.good.has(visit{from, id}) {
		return nil
	}
	return &gate.LimitError{RetryAfter: wait}
}

// Failed counts a failure and returns cause, or a *gate.LimitError where there
// have been too many.
func (l *Limiter) Failed(ctx context.Context, from netip.Addr, id string, cause error) error {
	return l.failed(ctx, from, id, l.addresses.Take(from), cause)
}

// failed counts a failure for all but the address, which has to wait so long.
func (l *Limiter) failed(ctx context.Context, from netip.Addr, id string, wait time.Duration, cause error) error {
	if id != "" {
		wait = max(wait, l.keys.Take(strings.Clone(id)))
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
func (l *Limiter) take(ctx context.Context, from netip.Addr, id string) time.Duration {
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
		if l.silent.Take("") == 0 {
			l.logger().WarnContext(ctx, "the shared limits do not answer, this server counts by itself", "error", err)
		}
		return 0
	}
	l.addresses.Drain(from, waits[0])
	if id != "" {
		l.keys.Drain(strings.Clone(id), waits[1])
	}
	return slices.Max(waits)
}

// Succeeded remembers that the key was good from this address.
func (l *Limiter) Succeeded(from netip.Addr, id string) {
	l.good.add(visit{from, strings.Clone(id)})
}

// Address returns what an attempt is counted under: the address that r came
// from, of IPv6 its /64, which one subscriber has to itself. What is no
// address, such as a Unix socket, is counted together.
func Address(r *http.Request) netip.Addr { return AddressOf(r.RemoteAddr) }

// AddressOf is [Address] of a text such as http.Request.RemoteAddr.
func AddressOf(remote string) netip.Addr {
	at, err := netip.ParseAddrPort(remote)
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
