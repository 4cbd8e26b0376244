package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatewright/gatewright/runtime/session"
)

type revocations struct{ s *Store }

func (r revocations) Revoke(ctx context.Context, key session.Key, before, until time.Time) error {
	_, err := r.s.exec(ctx, `INSERT INTO gatewright_revocations (key, up_to, until) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET up_to = max(up_to, excluded.up_to), until = max(until, excluded.until)`,
		key[:], millis(before), millisUp(until))
	return err
}

// keysAtOnce is how many keys the prepared statement takes; a sealed session
// carries that many.
const keysAtOnce = 4

const selectRevoked = "SELECT max(up_to) FROM gatewright_revocations WHERE key IN (?, ?, ?, ?)"

func (r revocations) Revoked(ctx context.Context, keys ...session.Key) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var latest int64
	for some := range slices.Chunk(keys, keysAtOnce) {
		args := make([]any, keysAtOnce)
		for i := range args {
			args[i] = some[min(i, len(some)-1)][:] // the last one again where there are fewer
		}
		var upTo sql.NullInt64
		if err := r.s.loadRevoked.QueryRowContext(ctx, args...).Scan(&upTo); err != nil {
			return time.Time{}, fmt.Errorf("sqlite: %w", err)
		}
		latest = max(latest, upTo.Int64)
	}
	return fromMillis(latest), nil
}

type marks struct{ s *Store }

// Mark is one statement, so that of several at once one inserts. It returns no
// row where key is marked for long enough already: a replay writes nothing.
func (m marks) Mark(ctx context.Context, key session.Key, until time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var again bool
	err := m.s.write.QueryRowContext(ctx, `INSERT INTO gatewright_marks (key, until, again) VALUES (?, ?, 0)
ON CONFLICT (key) DO UPDATE SET until = excluded.until, again = 1 WHERE until < excluded.until
RETURNING again`, key[:], millisUp(until)).Scan(&again)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sqlite: %w", err)
	}
	return !again, nil
}

type locks struct{ s *Store }

// Lock is one statement, so that of several at once one changes the row. Times
// are those of this host's clock, which all programs with the file share.
func (l locks) Lock(ctx context.Context, key session.Key, holder string, until time.Time) (bool, error) {
	n, err := l.s.exec(ctx, `INSERT INTO gatewright_locks (key, holder, until) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = max(until, excluded.until)
WHERE holder = excluded.holder OR until <= ?`,
		key[:], holder, millisUp(until), time.Now().UnixMilli())
	return n > 0, err
}

func (l locks) Unlock(ctx context.Context, key session.Key, holder string) error {
	_, err := l.s.exec(ctx, "DELETE FROM gatewright_locks WHERE key = ? AND holder = ?", key[:], holder)
	return err
}

// millisUp is t as it is stored where a fraction of a millisecond is rounded
// up: nothing is forgotten early.
func millisUp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Add(time.Millisecond - time.Nanosecond).UnixMilli()
}
