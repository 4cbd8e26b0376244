// Package redis keeps what replicas of a server share in one Redis server (or
// one that speaks its protocol, such as Valkey): sessions, revocations, marks,
// locks and limits. It keeps no keys and no users, which must not be lost. A
// Redis Cluster is not supported.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
)

// Driver opens URLs such as redis://127.0.0.1:6379/0 and, over TLS,
// rediss://USER:PASSWORD@redis.example:6380/0. Two options are taken:
// ?prefix=blog: has all keys begin so instead of with gatewright:, for servers
// that share one database, and ?ca=FILE trusts the authorities in that PEM file
// instead of the system's.
var Driver store.Driver = driver{}

type driver struct{}

func (driver) Schemes() []string { return []string{"redis", "rediss"} }

func (driver) Open(ctx context.Context, url string) (store.Shared, error) {
	s, err := Open(ctx, url)
	if err != nil {
		return nil, err
	}
	return s, nil
}

const (
	// callTime bounds every call, waiting for a connection included.
	callTime = 5 * time.Second
	// networkTime bounds each dialling, writing and reading.
	networkTime = 2 * time.Second
	// version is that of the records. It grows when a program of before
	// could not read them.
	version = 1
)

// A Store is a connection to a server. It is a store.Shared, and no
// store.Stores.
//
// No call is tried twice. Redis may have done what it did not answer, and the
// second time it would tell a Mark that it is not the first.
type Store struct {
	client *goredis.Client
	prefix string
}

// Open connects to what url names. It refuses records that a newer program has
// made, and a server that evicts records when its memory is full: it would
// forget revocations. Its errors do not quote url.
func Open(ctx context.Context, url string) (*Store, error) {
	options, prefix, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	quiet()
	s := &Store{client: goredis.NewClient(options), prefix: prefix}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("redis: %s: %w", options.Addr, err), s.client.Close())
	}
	if options.TLSConfig == nil && !loopback(options.Addr) {
		slog.WarnContext(ctx, "redis: sessions go to another host without TLS: use rediss://", "address", options.Addr)
	}
	return s, nil
}

// quiet has the library write its lines through slog, where they are seen at
// debug level alone: each is of an error that a call returns too, and an outage
// makes one for each connection.
var quiet = sync.OnceFunc(func() { goredis.SetLogger(libraryLog{}) })

type libraryLog struct{}

func (libraryLog) Printf(ctx context.Context, format string, args ...any) {
	slog.DebugContext(ctx, "redis: from the library", "message", fmt.Sprintf(format, args...))
}

func (s *Store) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*callTime)
	defer cancel()
	info, err := s.client.Info(ctx).Result()
	if goredis.HasErrorPrefix(err, "NOPERM") || goredis.HasErrorPrefix(err, "unknown command") {
		info, err = "", nil
	}
	if err != nil {
		return err
	}
	if strings.Contains(info, "aof_enabled:0") {
		slog.WarnContext(ctx, "redis: appendonly is off: when it starts again, sessions that had ended since its last snapshot may let people in", "address", s.client.Options().Addr)
	}
	seen, err := checkInfo(info)
	if err != nil {
		return err
	}
	if !seen {
		slog.WarnContext(ctx, "redis: whether it evicts records cannot be seen, since INFO is not permitted: maxmemory-policy must be noeviction", "address", s.client.Options().Addr)
	}
	_, err = s.checkVersion(ctx)
	return err
}

// checkInfo refuses servers that cannot keep what they are given, and tells
// whether info says what they do without memory.
func checkInfo(info string) (seen bool, err error) {
	has := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			has[name] = value
		}
	}
	if has["cluster_enabled"] == "1" {
		return false, errors.New("it is a node of a Redis Cluster, which is not supported: use one server, with a replica where you need one")
	}
	memory, policy := has["maxmemory"], has["maxmemory_policy"]
	if memory == "" || policy == "" {
		return false, nil
	}
	if memory != "0" && policy != "noeviction" {
		return true, fmt.Errorf("it evicts records when its memory is full (maxmemory-policy is %s), and so would forget who was signed out: set maxmemory-policy to noeviction", policy)
	}
	return true, nil
}

// versionScript notes the version of the records where there is none yet. It
// writes, so that a server that takes no writes now is found out.
var versionScript = goredis.NewScript(`
local first = redis.call('SET', KEYS[1], ARGV[1], 'NX') and 1 or 0
return {first, redis.call('GET', KEYS[1])}`)

// checkVersion tells whether the records are those of this program, and whether
// there were none at all.
func (s *Store) checkVersion(ctx context.Context) (empty bool, err error) {
	reply, err := s.run(ctx, versionScript, []string{s.prefix + "version"}, version).Slice()
	if err != nil {
		return false, err
	}
	if len(reply) != 2 {
		return false, errors.New("its answer has another form")
	}
	text, _ := reply[1].(string)
	found, err := strconv.Atoi(text)
	if err != nil || found < 1 {
		return false, fmt.Errorf("the key %sversion holds no version: it is another program's? Then set ?prefix= in the URL", s.prefix)
	}
	if found > version {
		return false, fmt.Errorf("its records have version %d and this program knows up to %d: use the program that made them, or a newer one", found, version)
	}
	return reply[0] == int64(1), nil
}

// Sessions returns the sessions. It cannot tell whether their users exist.
func (s *Store) Sessions() session.Store { return sessions{s} }

// Revocations returns what ends sessions that are not stored.
func (s *Store) Revocations() session.Revocations { return revocations{s} }

// Marks returns what has been used once.
func (s *Store) Marks() session.Marks { return marks{s} }

// Locks returns the locks that all replicas share.
func (s *Store) Locks() session.Locks { return locks{s} }

// Limits returns the failed attempts that all replicas have counted.
func (s *Store) Limits() limit.Shared { return limits{s} }

// Check tells whether the server takes and gives records now, and whether they
// are those of this program.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	lost, err := s.checkVersion(ctx)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	if lost {
		slog.ErrorContext(ctx, "redis: all records were lost since the server started: sessions have ended, and revocations of sealed sessions are forgotten", "address", s.client.Options().Addr)
	}
	return nil
}

// Close closes the connections.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// run runs a script, which nothing interrupts. Within it the time stands still.
func (s *Store) run(ctx context.Context, script *goredis.Script, keys []string, args ...any) *goredis.Cmd {
	return script.Run(ctx, s.client, keys, args...)
}

// number runs a script that answers with a number, within callTime.
func (s *Store) number(ctx context.Context, script *goredis.Script, keys []string, args ...any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	n, err := s.run(ctx, script, keys, args...).Int()
	if err != nil {
		return 0, fmt.Errorf("redis: %w", err)
	}
	return n, nil
}

// millis is t as it is stored; 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// left is how many milliseconds it is until t, a fraction rounded up: nothing
// is forgotten early. Redis is told this and not t itself, so that its clock
// need not agree with ours. Zero or less: t has passed.
func left(t time.Time) int64 {
	d := time.Until(t)
	ms := d.Milliseconds()
	if d > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return ms
}
