package store

import (
	"context"
	"log/slog"
	"time"
)

// sweepEvery is how often what has ended is removed.
const sweepEvery = 15 * time.Second

// KeepSwept removes from stores what has ended, now and every 15 seconds, until
// the function it returns is called, which waits for it. A failure is logged
// and tried again the next time: what has ended counts for nothing anyway.
func KeepSwept(stores Stores) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			if err := stores.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "store not swept", "cause", err.Error())
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}
