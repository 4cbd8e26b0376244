package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/session"
)

// sessions keep each session as a hash, {session}:id:ID behind the prefix, and
// its ID in sorted sets: {session}:user:USER by the time at which it was made,
// {session}:subject:SUBJECT and {session}:provider:PROVIDERSESSION where it has
// them, and {session}:ends by the time at which it ends. They all change in one
// script.
type sessions struct{ s *Store }

// abandoned is how long after a session's end Redis itself removes it where no
// server sweeps any more.
const abandoned = 24 * time.Hour

func (x sessions) key(kind, name string) string {
	return x.s.prefix + "{session}:" + kind + ":" + name
}

func (x sessions) ends() string { return x.s.prefix + "{session}:ends" }

// createScript adds ID, made and ending at those times, to the sorted sets
// after KEYS[2]. ARGV: id, created, end, lifetime, and the hash's fields.
var createScript = goredis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 then
	return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
for i = 2, #KEYS do
	redis.call('ZADD', KEYS[i], i == 2 and ARGV[3] or ARGV[2], ARGV[1])
	if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then
		redis.call('PEXPIRE', KEYS[i], ARGV[4])
	end
end
return 1`)

func (x sessions) Create(ctx context.Context, rec session.Record) error {
	if rec.User == "" {
		return errors.New("redis: a session is of nobody")
	}
	scopes, err := object(rec.Scopes)
	if err != nil {
		return err
	}
	id := rec.ID.String()
	keys := []string{x.key("id", id), x.ends(), x.key("user", rec.User)}
	if rec.Subject != "" {
		keys = append(keys, x.key("subject", rec.Subject))
	}
	if rec.ProviderSession != "" {
		keys = append(keys, x.key("provider", rec.ProviderSession))
	}
	args := []any{
		id, millis(rec.Created), min(millis(rec.Idle), millis(rec.Expires)), max(left(rec.Expires), 0) + abandoned.Milliseconds(),
		"id", id, "user", rec.User, "provider", rec.Provider, "issuer", rec.Issuer, "subject", rec.Subject, "session", rec.ProviderSession,
		"scopes", scopes, "auth_time", millis(rec.AuthTime), "created", millis(rec.Created), "used", millis(rec.Used),
		"idle", millis(rec.Idle), "expires", millis(rec.Expires), "agent", rec.Agent,
	}
	if len(rec.Tokens) > 0 {
		args = append(args, "tokens", rec.Tokens)
	}
	made, err := x.s.number(ctx, createScript, keys, args...)
	if err != nil {
		return err
	}
	if made == 0 {
		return session.ErrExists
	}
	return nil
}

func (x sessions) Load(ctx context.Context, id session.ID) (session.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	fields, err := x.s.client.HGetAll(ctx, x.key("id", id.String())).Result()
	if err != nil {
		return session.Record{}, fmt.Errorf("redis: %w", err)
	}
	if len(fields) == 0 {
		return session.Record{}, session.ErrNotFound
	}
	rec, err := record(fields)
	if err != nil {
		return session.Record{}, err
	}
	if rec.ID != id {
		return session.Record{}, fmt.Errorf("redis: asked for session %s it gives %s", id, rec.ID)
	}
	return rec, nil
}

// touchScript moves the times forward. ARGV: id, used, idle.
var touchScript = goredis.NewScript(`
local was = redis.call('HMGET', KEYS[1], 'used', 'idle', 'expires')
if not was[1] then
	return 0
end
if tonumber(ARGV[2]) > tonumber(was[1]) then
	redis.call('HSET', KEYS[1], 'used', ARGV[2])
end
if tonumber(ARGV[3]) > tonumber(was[2]) then
	redis.call('HSET', KEYS[1], 'idle', ARGV[3])
	local last = tonumber(ARGV[3]) > tonumber(was[3])
	redis.call('ZADD', KEYS[2], last and was[3] or ARGV[3], ARGV[1])
end
return 1`)

func (x sessions) Touch(ctx context.Context, id session.ID, used, idle time.Time) error {
	_, err := x.s.number(ctx, touchScript, []string{x.key("id", id.String()), x.ends()}, id.String(), millis(used), millis(idle))
	return err
}

// saveScript replaces the tokens, and the scopes unless they are empty. ARGV:
// id, channel, tokens, scopes.
var saveScript = goredis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then
	return 0
end
if ARGV[3] == '' then
	redis.call('HDEL', KEYS[1], 'tokens')
else
	redis.call('HSET', KEYS[1], 'tokens', ARGV[3])
end
if ARGV[4] ~= '' then
	redis.call('HSET', KEYS[1], 'scopes', ARGV[4])
end
redis.call('PUBLISH', ARGV[2], 'session ' .. ARGV[1])
return 1`)

func (x sessions) SaveTokens(ctx context.Context, id session.ID, tokens []byte, scopes map[string][]string) error {
	text := "" // those that are there stay
	if scopes != nil {
		var err error
		if text, err = object(scopes); err != nil {
			return err
		}
	}
	found, err := x.s.number(ctx, saveScript, []string{x.key("id", id.String())}, id.String(), x.s.channel(), tokens, text)
	if err != nil {
		return err
	}
	if found == 0 {
		return session.ErrNotFound
	}
	return nil
}

// removeSession takes a session away, and its ID out of the sorted sets. tag is
// what all keys of sessions begin with.
const removeSession = `
local function remove(tag, id)
	local of = redis.call('HMGET', tag .. 'id:' .. id, 'user', 'subject', 'session')
	for i, kind in ipairs({'user:', 'subject:', 'provider:'}) do
		if of[i] and of[i] ~= '' then
			redis.call('ZREM', tag .. kind .. of[i], id)
		end
	end
	redis.call('ZREM', tag .. 'ends', id)
	return redis.call('DEL', tag .. 'id:' .. id)
end
`

// deleteScript removes, of the session id or else of those of KEYS[1] that are
// next, those that are equal in all that is not empty. An ID whose session is
// gone is taken out of the sorted set. ARGV: tag, channel, where to go on, id, all
// but this, user, issuer, subject, provider session.
var deleteScript = goredis.NewScript(removeSession + `
local tag, channel, cursor, ids = ARGV[1], ARGV[2], '0', {ARGV[4]}
if ARGV[4] == '' then
	local found = redis.call('ZSCAN', KEYS[1], ARGV[3], 'COUNT', 500)
	cursor, ids = found[1], {}
	for i = 1, #found[2], 2 do
		ids[#ids + 1] = found[2][i]
	end
end
local removed = {}
for _, id in ipairs(ids) do
	local has = redis.call('HMGET', tag .. 'id:' .. id, 'user', 'issuer', 'subject', 'session')
	local picked = id ~= ARGV[5]
	for i = 1, 4 do
		picked = picked and (ARGV[5 + i] == '' or ARGV[5 + i] == has[i])
	end
	if not has[1] then
		redis.call('ZREM', KEYS[1], id)
	elseif picked then
		remove(tag, id)
		removed[#removed + 1] = id
	end
end
if #removed > 10 then
	redis.call('PUBLISH', channel, 'session')
else
	for _, id in ipairs(removed) do
		redis.call('PUBLISH', channel, 'session ' .. id)
	end
end
return {cursor, #removed}`)

// Delete removes up to 128 sessions of a user (or whatever else the match
// names) at once, and more of them in several steps.
func (x sessions) Delete(ctx context.Context, m session.Match) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var index, id, except string
	switch {
	case m.ID != session.ID{}:
		index, id = x.ends(), m.ID.String()
	case m.User != "":
		index = x.key("user", m.User)
	case m.ProviderSession != "":
		index = x.key("provider", m.ProviderSession)
	case m.Subject != "":
		index = x.key("subject", m.Subject)
	case m.Issuer != "":
		index = x.ends() // all there are
	default:
		return 0, errors.New("redis: a match that picks no session in particular is refused: it would end all of them")
	}
	if m.Except != (session.ID{}) {
		except = m.Except.String()
	}
	total := 0
	for cursor := "0"; ; {
		reply, err := x.s.run(ctx, deleteScript, []string{index},
			x.s.prefix+"{session}:", x.s.channel(), cursor, id, except, m.User, m.Issuer, m.Subject, m.ProviderSession).Slice()
		if err != nil {
			return total, fmt.Errorf("redis: %w", err)
		}
		next, n, err := pair(reply)
		if err != nil {
			return total, err
		}
		total += n
		if cursor = next; cursor == "0" {
			return total, nil
		}
	}
}

// pair reads an answer of two members.
func pair(reply []any) (text string, n int, err error) {
	if len(reply) == 2 {
		text, isText := reply[0].(string)
		n, isNumber := reply[1].(int64)
		if isText && isNumber {
			return text, int(n), nil
		}
	}
	return "", 0, errors.New("redis: its answer has another form")
}

// listScript gives the hashes of the last members of a sorted set, at most as
// many as asked, and takes out of it those that are gone. ARGV: tag, limit.
var listScript = goredis.NewScript(`
local limit, all = tonumber(ARGV[2]), {}
while #all < limit do
	local ids = redis.call('ZREVRANGE', KEYS[1], #all, math.min(#all + 99, limit - 1))
	if #ids == 0 then
		break
	end
	for _, id in ipairs(ids) do
		local fields = redis.call('HGETALL', ARGV[1] .. 'id:' .. id)
		if #fields == 0 then
			redis.call('ZREM', KEYS[1], id)
		else
			all[#all + 1] = fields
		end
	end
end
return all`)

func (x sessions) List(ctx context.Context, user string, limit int) ([]session.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	found, err := x.s.run(ctx, listScript, []string{x.key("user", user)}, x.s.prefix+"{session}:", max(limit, 0)).Slice()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	var all []session.Record
	for _, one := range found {
		flat, _ := one.([]any)
		fields := make(map[string]string)
		for i := 0; i+1 < len(flat); i += 2 {
			name, _ := flat[i].(string)
			fields[name], _ = flat[i+1].(string)
		}
		rec, err := record(fields)
		if err != nil {
			return nil, err
		}
		if rec.User != user {
			return nil, fmt.Errorf("redis: among the sessions of a user it gives %s, which is another's", rec.ID)
		}
		all = append(all, rec)
	}
	return all, nil
}

// record reads the fields of a hash, all of which must be there but for the
// tokens.
func record(fields map[string]string) (session.Record, error) {
	var bad error
	text := func(name string) string {
		value, ok := fields[name]
		if !ok {
			bad = fmt.Errorf("redis: a session has no field %s", name)
		}
		return value
	}
	at := func(name string) time.Time {
		ms, err := strconv.ParseInt(text(name), 10, 64)
		if err != nil {
			bad = fmt.Errorf("redis: the field %s of a session is no time", name)
		}
		return fromMillis(ms)
	}
	rec := session.Record{
		User: text("user"), Provider: text("provider"), Issuer: text("issuer"), Subject: text("subject"), ProviderSession: text("session"),
		AuthTime: at("auth_time"), Created: at("created"), Used: at("used"), Idle: at("idle"), Expires: at("expires"), Agent: text("agent"),
	}
	id, ok := session.ParseID(text("id"))
	if !ok {
		bad = errors.New("redis: the id of a session cannot be read")
	}
	rec.ID = id
	if err := json.Unmarshal([]byte(text("scopes")), &rec.Scopes); err != nil {
		bad = fmt.Errorf("redis: scopes of session %s: %w", id, err)
	}
	if tokens, ok := fields["tokens"]; ok {
		rec.Tokens = []byte(tokens)
	}
	if bad != nil {
		return session.Record{}, bad
	}
	return rec, nil
}

// object is scopes by scheme as a JSON object. It refuses what is not UTF-8,
// which JSON cannot hold.
func object(scopes map[string][]string) (string, error) {
	b, err := json.Marshal(scopes, json.Deterministic(true), jsontext.AllowInvalidUTF8(false))
	if err != nil {
		return "", fmt.Errorf("redis: %w", err)
	}
	return string(b), nil
}
