package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gatewright/gatewright/runtime/session"
)

// text is a key as it stands in Redis.
func text(key session.Key) string { return session.ID(key).String() }

// revocations keep each key's latest time behind the key itself, which is
// checked when it is read, until Redis lets it expire.
type revocations struct{ s *Store }

func (r revocations) key(key session.Key) string { return r.s.prefix + "{revoked}:" + text(key) }

// revokeScript keeps the later of both times. ARGV: channel, key and a space,
// before, lifetime.
var revokeScript = goredis.NewScript(`
local before, lifetime = ARGV[3], tonumber(ARGV[4])
local old = redis.call('GET', KEYS[1])
if old then
	local was = string.sub(old, #ARGV[2] + 1)
	if tonumber(was) > tonumber(before) then
		before = was
	end
	lifetime = math.max(lifetime, redis.call('PTTL', KEYS[1]))
end
if lifetime > 0 then
	redis.call('SET', KEYS[1], ARGV[2] .. before, 'PX', lifetime)
end
redis.call('PUBLISH', ARGV[1], 'revocation')
return 1`)

func (r revocations) Revoke(ctx context.Context, key session.Key, before, until time.Time) error {
	_, err := r.s.number(ctx, revokeScript, []string{r.key(key)}, r.s.channel(), text(key)+" ", millis(before), left(until))
	return err
}

func (r revocations) Revoked(ctx context.Context, keys ...session.Key) (time.Time, error) {
	if len(keys) == 0 {
		return time.Time{}, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = r.key(key)
	}
	found, err := r.s.client.MGet(ctx, names...).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("redis: %w", err)
	}
	if len(found) != len(keys) {
		return time.Time{}, errors.New("redis: not an answer for each revocation")
	}
	var latest int64
	for i, value := range found {
		if value == nil {
			continue
		}
		whole, _ := value.(string)
		key, before, _ := strings.Cut(whole, " ")
		ms, err := strconv.ParseInt(before, 10, 64)
		if err != nil || key != text(keys[i]) {
			return time.Time{}, errors.New("redis: a revocation cannot be read")
		}
		latest = max(latest, ms)
	}
	return fromMillis(latest), nil
}

// marks are keys that are there.
type marks struct{ s *Store }

var markScript = goredis.NewScript(`
local lifetime = tonumber(ARGV[1])
if lifetime <= 0 then
	return 1 - redis.call('EXISTS', KEYS[1])
end
if redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1]) then
	return 1
end
if redis.call('PTTL', KEYS[1]) < lifetime then
	redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 0`)

func (m marks) Mark(ctx context.Context, key session.Key, until time.Time) (bool, error) {
	n, err := m.s.number(ctx, markScript, []string{m.s.prefix + "{mark}:" + text(key)}, left(until))
	return n == 1, err
}

// locks are keys that hold their holder.
type locks struct{ s *Store }

func (l locks) key(key session.Key) string { return l.s.prefix + "{lock}:" + text(key) }

var lockScript = goredis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
	return 0
end
local lifetime = tonumber(ARGV[2])
if lifetime > 0 and redis.call('PTTL', KEYS[1]) < lifetime then
	redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1`)

func (l locks) Lock(ctx context.Context, key session.Key, holder string, until time.Time) (bool, error) {
	n, err := l.s.number(ctx, lockScript, []string{l.key(key)}, holder, left(until))
	return n == 1, err
}

var unlockScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
	return redis.call('DEL', KEYS[1])
end
return 0`)

func (l locks) Unlock(ctx context.Context, key session.Key, holder string) error {
	_, err := l.s.number(ctx, unlockScript, []string{l.key(key)}, holder)
	return err
}
