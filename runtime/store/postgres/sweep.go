package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store/internal/sqlstore"
)

// sweeps remove at most $2 rows that have ended at $1.
var sweeps = []string{
	sweep("gatewright_sessions", "id", "least(idle, expires) <= "+swept),
	sweep("gatewright_revocations", "key", "until <= "+swept),
	sweep("gatewright_marks", "key", "until <= "+swept),
	sweep("gatewright_locks", "key", "until <= "+swept),
	sweepKeys("expires"),
	sweepKeys("revoked"),
}

// swept is the time at which what is removed has ended: a replica whose clock
// is fast removes nothing that others go by.
const swept = "(SELECT least($1::bigint, floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint))"

// sweepKeys removes keys that died by that column long ago.
func sweepKeys(end string) string {
	return sweep("gatewright_keys", "id", fmt.Sprintf("%[1]s > 0 AND %[1]s <= %[2]s - %[3]d", end, swept, apikey.KeptDead.Milliseconds()))
}

// sweep passes over rows that somebody changes at the moment. What it picks it
// has locked, and looked at again then.
func sweep(table, primary, condition string) string {
	return fmt.Sprintf("DELETE FROM %[1]s WHERE %[2]s = ANY (ARRAY (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT $2 FOR UPDATE SKIP LOCKED))",
		table, primary, condition)
}

// Sweep removes what has ended at now: of each kind at most 20000 rows, a
// thousand at a time, and no more than callTime allows. Each kind gets its turn
// before any gets a second one.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	return sqlstore.Sweep(ctx, sweeps, callTime, func(ctx context.Context, statement string) (int64, error) {
		return s.exec(ctx, statement, millis(now), sqlstore.SweepRows)
	})
}
