package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
)

type revocations struct{ s *Store }

func (r revocations) Revoke(ctx context.Context, key session.Key, before, until time.Time) error {
	_, err := r.s.exec(ctx, telling(`INSERT INTO gatewright_revocations AS old (key, up_to, until) VALUES ($2, $3, $4)
ON CONFLICT (key) DO UPDATE SET up_to = greatest(old.up_to, excluded.up_to), until = greatest(old.until, excluded.until) RETURNING key`),
		payload(store.Change{Kind: store.Revocation}), key[:], millis(before), millisUp(until))
	return err
}

func (r revocations) Revoked(ctx context.Context, keys ...session.Key) (time.Time, error) {
	all := make([][]byte, len(keys))
	for i := range keys {
		all[i] = keys[i][:]
	}
	latest, err := one(ctx, r.s, scanNumber, "SELECT max(up_to) FROM gatewright_revocations WHERE key = ANY ($1::bytea[])", all)
	return fromMillis(latest), err
}

type marks struct{ s *Store }

// Mark is one statement, so that of several at once one inserts. It returns no
// row where key is marked for long enough already: a replay writes nothing.
func (m marks) Mark(ctx context.Context, key session.Key, until time.Time) (bool, error) {
	return one(ctx, m.s, func(r row) (bool, error) {
		var again bool
		err := r.Scan(&again)
		if errors.Is(err, pgx.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("postgres: %w", err)
		}
		return !again, nil
	}, `INSERT INTO gatewright_marks AS old (key, until, again) VALUES ($1, $2, false)
ON CONFLICT (key) DO UPDATE SET until = excluded.until, again = true WHERE old.until < excluded.until
RETURNING again`, key[:], millisUp(until))
}

type locks struct{ s *Store }

// Lock is one statement, so that of several at once one changes the row. Times
// are those of the database's clock, however far those of the replicas are from
// it and from each other: what it is told is how long.
func (l locks) Lock(ctx context.Context, key session.Key, holder string, until time.Time) (bool, error) {
	n, err := l.s.exec(ctx, `INSERT INTO gatewright_locks AS old (key, holder, until)
VALUES ($1, $2, ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3)
ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = greatest(old.until, excluded.until)
WHERE old.holder = excluded.holder OR old.until <= floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`,
		key[:], []byte(holder), (time.Until(until) + time.Millisecond - time.Nanosecond).Milliseconds())
	return n > 0, err
}

func (l locks) Unlock(ctx context.Context, key session.Key, holder string) error {
	_, err := l.s.exec(ctx, "DELETE FROM gatewright_locks WHERE key = $1 AND holder = $2", key[:], []byte(holder))
	return err
}
