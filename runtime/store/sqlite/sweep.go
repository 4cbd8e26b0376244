package sqlite

import (
	"context"
	"fmt"
	"time"
)

const (
	// sweepRows is how many rows one statement removes: calls that write
	// get their turn in between.
	sweepRows = 1000
	// sweepSteps is how many statements a call of Sweep runs for a table.
	sweepSteps = 20
)

// sweeps remove at most ?2 rows that have ended at ?1.
var sweeps = []string{
	sweep("gatewright_sessions", "id", "min(idle, expires)"),
	sweep("gatewright_revocations", "key", "until"),
	sweep("gatewright_marks", "key", "until"),
	sweep("gatewright_locks", "key", "until"),
}

func sweep(table, primary, end string) string {
	return fmt.Sprintf("DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s <= ?1 LIMIT ?2)", table, primary, end)
}

// Sweep removes what has ended at now: at most 20000 rows of each kind, a
// thousand at a time.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	for _, statement := range sweeps {
		for range sweepSteps {
			n, err := s.exec(ctx, statement, millis(now), sweepRows)
			if err != nil {
				return err
			}
			if n < sweepRows {
				break
			}
		}
	}
	return nil
}
