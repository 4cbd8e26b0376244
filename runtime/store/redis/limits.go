package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gatewright/gatewright/runtime/limit"
)

// limits keep each bucket as the one instant at which it is full again (the
// generic cell rate algorithm), in microseconds of Redis' own clock: those of
// the replicas need not agree. When it is full Redis forgets it.
type limits struct{ s *Store }

// takeScript takes from each of KEYS. ARGV: for each, the microseconds for one
// token, and for all that it holds. A bucket that is further from full than
// empty, by a clock that was set back or a larger burst of before, is empty.
var takeScript = goredis.NewScript(`
local time = redis.call('TIME')
local now, waits = time[1] * 1000000 + time[2], {}
for i, key in ipairs(KEYS) do
	local every, depth = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
	local full = tonumber(redis.call('GET', key) or now)
	full = math.min(math.max(full, now), now + depth)
	waits[i] = math.max(0, full + every - now - depth)
	if waits[i] == 0 then
		full = full + every
		redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
	end
end
return waits`)

func (l limits) Take(ctx context.Context, buckets ...limit.Bucket) ([]time.Duration, error) {
	if len(buckets) == 0 {
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var keys []string
	var args []any
	for _, b := range buckets {
		if b.Burst < 1 || b.Every < 1 {
			return nil, errors.New("redis: a bucket that holds nothing, or is never empty")
		}
		every := int64((b.Every + time.Microsecond - 1) / time.Microsecond)
		keys = append(keys, l.s.prefix+"{limit}:"+b.Name)
		args = append(args, every, int64(b.Burst)*every)
	}
	found, err := l.s.run(ctx, takeScript, keys, args...).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if len(found) != len(buckets) {
		return nil, errors.New("redis: not an answer for each bucket")
	}
	waits := make([]time.Duration, len(found))
	for i, micros := range found {
		waits[i] = time.Duration(micros) * time.Microsecond
	}
	return waits, nil
}
