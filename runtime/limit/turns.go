package limit

import (
	"context"
	"errors"
	"time"
)

// Turns bound how much of something costly is done at once, and how much waits.
type Turns struct {
	wait time.Duration
	// places and waiting hold a value for each who has a turn, and who waits.
	places, waiting chan struct{}
}

// NewTurns returns the turns of something that places may do at once, while
// waiting more wait, each for wait at most.
func NewTurns(places, waiting int, wait time.Duration) Turns {
	return Turns{wait, make(chan struct{}, places), make(chan struct{}, waiting)}
}

// ErrBusy means that too many wait for their turn, or that it did not come in time.
var ErrBusy = errors.New("limit: too many at once")

// Take waits for a turn, which ends with the call of end. The error is ErrBusy,
// or why ctx ended.
func (t Turns) Take(ctx context.Context) (end func(), err error) {
	select {
	case t.places <- struct{}{}: // without a place among those who wait
		return t.end, nil
	default:
	}
	select {
	case t.waiting <- struct{}{}:
		defer func() { <-t.waiting }()
	default:
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeoutCause(ctx, t.wait, ErrBusy)
	defer cancel()
	select {
	case t.places <- struct{}{}:
		return t.end, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (t Turns) end() { <-t.places }
