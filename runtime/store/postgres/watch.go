package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatewright/gatewright/runtime/store"
)

const (
	// channel carries the changes of all replicas. The database's other
	// programs may hear it, and tell lies on it: it carries ids, and has
	// caches forget what is then read again.
	channel = "gatewright"
	// quietTime is how long Watch hears nothing before it asks whether the
	// connection lives, and answerTime how long it waits for that.
	quietTime, answerTime = 5 * time.Second, 5 * time.Second
	// Watch tries again after retryTime, then twice that and so on.
	retryTime, maxRetryTime = 100 * time.Millisecond, 2 * time.Second
)

// telling is a statement that also tells $1 if it changes anything, at the
// moment it is committed and not if it is not. It yields a row for each that
// statement returns.
func telling(statement string) string {
	return "WITH done AS (" + statement + ") SELECT pg_notify('" + channel + "', $1) FROM done"
}

// payload is a change as it is told.
func payload(c store.Change) string { return string(c.Kind) + " " + c.ID }

// readChange reads what payload wrote; it takes what it does not know for a
// change of anything.
func readChange(text string) store.Change {
	kind, id, _ := strings.Cut(text, " ")
	switch k := store.Kind(kind); k {
	case store.Key, store.User, store.Session, store.Revocation:
		return store.Change{Kind: k, ID: id}
	}
	return store.Change{}
}

// Watch listens on a connection of its own. A connection that has died without
// a word is noticed within ten seconds.
func (s *Store) Watch(ctx context.Context, changed func(store.Change)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	wait, said := retryTime, false
	for {
		err := s.listen(ctx, func(c store.Change) {
			if wait, said = retryTime, false; ctx.Err() == nil {
				changed(c)
			}
		})
		if ctx.Err() != nil {
			return
		}
		if !said {
			slog.WarnContext(ctx, "postgres: changes by other replicas are not heard of for now", "error", err)
			said = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, maxRetryTime)
	}
}

// listen tells changed what it hears, until the connection fails.
func (s *Store) listen(ctx context.Context, changed func(store.Change)) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if err := limited(ctx, answerTime, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "LISTEN "+channel)
		return err
	}); err != nil {
		return err
	}
	changed(store.Change{}) // what was told before
	for {
		err := limited(ctx, quietTime, func(ctx context.Context) error {
			n, err := conn.WaitForNotification(ctx)
			if err == nil {
				changed(readChange(n.Payload))
			}
			return err
		})
		switch {
		case err == nil:
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return err
		default:
			if err := limited(ctx, answerTime, conn.Ping); err != nil {
				return fmt.Errorf("no answer: %w", err)
			}
		}
	}
}

// limited calls f with a context that ends after d.
func limited(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}
