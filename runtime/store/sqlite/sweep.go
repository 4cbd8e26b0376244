package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store/internal/sqlstore"
)

// sweeps remove at most ?2 rows that have ended at ?1.
var sweeps = []string{
	sweep("gatewright_sessions", "id", "min(idle, expires)"),
	sweep("gatewright_revocations", "key", "until"),
	sweep("gatewright_marks", "key", "until"),
	sweep("gatewright_locks", "key", "until"),
	sweepKeys("expires"),
	sweepKeys("revoked"),
}

func sweep(table, primary, end string) string {
	return sweepWhere(table, primary, end+" <= ?1")
}

// sweepKeys removes keys that died by that column long ago.
func sweepKeys(end string) string {
	return sweepWhere("gatewright_keys", "id", fmt.Sprintf("%[1]s > 0 AND %[1]s <= ?1 - %[2]d", end, apikey.KeptDead.Milliseconds()))
}

func sweepWhere(table, primary, condition string) string {
	return fmt.Sprintf("DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT ?2)", table, primary, condition)
}

// Sweep removes what has ended at now: of each kind at most 20000 rows, a
// thousand at a time, and no more than callTime allows. Each kind gets its turn
// before any gets a second one.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	return sqlstore.Sweep(ctx, sweeps, callTime, func(ctx context.Context, statement string) (int64, error) {
		return s.exec(ctx, statement, millis(now), sqlstore.SweepRows)
	})
}
