package discovery

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// retryTime is the least between two looks at an issuer that is silent.
	retryTime = time.Second
	// keepTime is how long what an issuer says of itself is believed.
	keepTime = 24 * time.Hour
	// staleTime is how long somebody waits for news where there is something
	// older to go on with.
	staleTime = time.Second
)

// A Looker finds out about an issuer when it is needed, and keeps what it found
// out. Its methods may be called concurrently.
type Looker[T any] struct {
	ask func(context.Context) (*T, error)
	now func() time.Time

	mu     sync.Mutex // never held while the issuer is asked
	held   *T
	asked  time.Time     // when it was looked up last
	silent error         // why there is nothing, or nothing newer
	look   chan struct{} // closed when the look that goes on is over; nil for none
}

// NewLooker returns a Looker that has not looked yet. ask asks the issuer; its
// context does not end with the call that began it, so it bounds its time
// itself. A panic of it is an error.
func NewLooker[T any](now func() time.Time, ask func(context.Context) (*T, error)) *Looker[T] {
	return &Looker[T]{ask: ask, now: now}
}

// Held returns what is known, or nil, and asks nobody.
func (l *Looker[T]) Held() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// Ready returns what is known of the issuer, which it looks up at the first
// call and again once a day. While the issuer is silent it is asked once a
// second at most, and what was known before holds on. Of all who wait for the
// issuer one look is begun, which does not end with the call that began it, and
// nobody waits for longer than that look or their own context. Who can go on
// with what was known before waits for a moment at most.
func (l *Looker[T]) Ready(ctx context.Context) (*T, error) {
	l.mu.Lock()
	old, silent := l.held, l.silent
	age := l.now().Sub(l.asked)
	fresh := age < retryTime && age >= 0
	if old != nil && (silent == nil && age < keepTime || fresh) || old == nil && silent != nil && fresh {
		l.mu.Unlock()
		return known(old, silent)
	}
	if l.look == nil {
		l.look = make(chan struct{})
		go l.renew(context.WithoutCancel(ctx), l.look)
	}
	look := l.look
	l.mu.Unlock()

	if old != nil {
		if silent != nil {
			return old, nil // there is little hope
		}
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, staleTime)
		defer end()
	}
	select {
	case <-look:
		l.mu.Lock()
		defer l.mu.Unlock()
		return known(l.held, l.silent)
	case <-ctx.Done():
		return known(old, fmt.Errorf("no answer yet: %w", ctx.Err()))
	}
}

// known is what is held, or why there is nothing.
func known[T any](held *T, silent error) (*T, error) {
	if held != nil {
		return held, nil
	}
	return nil, silent
}

// renew looks the issuer up and closes look. The time counts from when the
// issuer has answered: a slow one is left alone as long as one that is quick to
// fail.
func (l *Looker[T]) renew(ctx context.Context, look chan struct{}) {
	found, err := l.lookUp(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.silent = l.now(), err
	if err == nil {
		l.held = found
	}
	l.look = nil
	close(look)
}

// lookUp asks. A panic would end the program, as no server's handler stands
// above: what an issuer writes shall not.
func (l *Looker[T]) lookUp(ctx context.Context) (found *T, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			found, err = nil, fmt.Errorf("panic: %v", cause)
		}
	}()
	return l.ask(ctx)
}
