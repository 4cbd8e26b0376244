package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gatewright/gatewright/runtime/secret"
)

const (
	firstWait = 10 * time.Millisecond  // before the lock is asked for again
	mostWait  = 250 * time.Millisecond // however often it was
	giveBack  = time.Second            // for giving it back
)

// WithLock runs f while it holds the lock of key, for lease at most, and gives
// it back. It waits for who else holds it until ctx is done. The context of f
// ends shortly before the lock does: what f still has under way then is over
// before the next holder begins. The error is that of f, or says that the lock
// could not be had, and wraps ctx's.
func WithLock(ctx context.Context, locks Locks, key Key, lease time.Duration, f func(ctx context.Context) error) error {
	if lease <= 0 {
		return errors.New("session: a lock is held for no time")
	}
	holder := secret.Random(16).Reveal() // each call is a holder of its own, on any replica
	until, err := take(ctx, locks, key, holder, lease)
	if err != nil {
		return err
	}
	defer func() {
		// A lock that cannot be given back ends by itself; f is done all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBack)
		defer cancel()
		_ = locks.Unlock(ctx, key, holder)
	}()
	ctx, cancel := context.WithDeadline(ctx, until.Add(-lease/10))
	defer cancel()
	return f(ctx)
}

// take asks for the lock until it gets it or ctx is done. It returns when the
// lock ends.
func take(ctx context.Context, locks Locks, key Key, holder string, lease time.Duration) (time.Time, error) {
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		until := time.Now().Add(lease)
		taken, err := locks.Lock(ctx, key, holder, until)
		switch {
		case err != nil:
			return time.Time{}, fmt.Errorf("session: taking a lock: %w", err)
		case taken:
			return until, nil
		}
		// Drawn anew each time, so that those who wait do not ask together.
		timer := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return time.Time{}, fmt.Errorf("session: waiting for a lock: %w", context.Cause(ctx))
		case <-timer.C:
		}
	}
}
