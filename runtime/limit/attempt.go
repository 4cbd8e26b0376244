package limit

import (
	"context"
	"net/netip"
	"strings"

	"github.com/gatewright/gatewright/runtime/gate"
)

// An Attempt is a look at a secret that is short enough to be guessed. It is
// counted as a failure from before the look, and taken back where it was none:
// of many guesses that come at once each finds what the others have used up. An
// attempt that never ends stays counted.
type Attempt struct {
	limiter *Limiter
	visit   visit
	known   bool // counted for the visit, since the address has nothing left
}

// Attempt begins an attempt with the secret of id, or returns a
// *gate.LimitError. An address without tokens may still try an id that was good
// from there before, but has as many tries at it as an address has, and not more:
// neighbours behind one address do not shut each other out, nor guess without end.
func (l *Limiter) Attempt(from netip.Addr, id string) (Attempt, error) {
	a := Attempt{l, visit{from, strings.Clone(id)}, false}
	wait := l.addresses.Take(from)
	if wait > 0 && id != "" && l.good.has(a.visit) {
		a.known = true
		wait = l.visits.Take(a.visit)
	}
	if wait > 0 {
		return Attempt{}, &gate.LimitError{RetryAfter: wait}
	}
	return a, nil
}

// Failed leaves the attempt counted, and returns cause, or a *gate.LimitError
// where there have been too many with the same id, from wherever.
func (a Attempt) Failed(ctx context.Context, cause error) error {
	return a.limiter.failed(ctx, a.visit.address, a.visit.key, 0, cause)
}

// Succeeded takes the attempt back and remembers that id was good from there.
func (a Attempt) Succeeded() {
	a.Undecided()
	a.limiter.good.add(a.visit)
}

// Undecided takes the attempt back: nobody could say whether the secret is right.
func (a Attempt) Undecided() {
	if a.known {
		a.limiter.visits.Give(a.visit)
	} else {
		a.limiter.addresses.Give(a.visit.address)
	}
}
