package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// sweepSessions is how many sessions one script removes: other calls
	// wait for it.
	sweepSessions = 500
	// sweepSteps is how many scripts a call of Sweep runs at most.
	sweepSteps = 40
)

// sweepScript removes sessions that have ended. ARGV: tag, now, limit.
var sweepScript = goredis.NewScript(removeSession + `
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do
	remove(ARGV[1], id)
end
return #ids`)

// Sweep removes sessions that have ended at now, at most 20000, 500 at a time,
// and no more than callTime allows. Everything else expires by itself.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	begun := time.Now()
	for range sweepSteps {
		n, err := s.number(ctx, sweepScript, []string{sessions{s}.ends()}, s.prefix+"{session}:", millis(now), sweepSessions)
		if err != nil {
			return err
		}
		if n < sweepSessions || time.Since(begun) > callTime {
			return nil // what is more is for the next call
		}
	}
	return nil
}
