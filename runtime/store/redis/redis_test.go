package redis_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/redis"
	"github.com/gatewright/gatewright/runtime/store/storetest"
)

// rights are those that docs/stores.md gives the user of a server.
const rights = "~gatewright:* &gatewright:* -@all +select +ping +info +subscribe +eval +evalsha +publish +time " +
	"+get +set +mget +exists +del +pttl +pexpire +hset +hmget +hgetall +hdel +zadd +zrem +zscan +zrevrange +zrangebyscore"

// TestContract runs as a user of Redis with no other rights.
func TestContract(t *testing.T) {
	server := testenv.Redis(t)
	args := []any{"ACL", "SETUSER", "gatewright", "on", ">hunter2/@:"}
	for r := range strings.FieldsSeq(rights) {
		args = append(args, r)
	}
	mustDo(t, raw(t, server), args...)
	storetest.RunShared(t, func(t *testing.T, place string) store.Shared {
		s, err := redis.Driver.Open(t.Context(), as(t, server, "gatewright", "hunter2/@:")+
			fmt.Sprintf("?prefix=gatewright:%.16x:", sha256.Sum256([]byte(place))))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// as is the URL of server for a user.
func as(t *testing.T, server *testenv.RedisServer, user, password string) string {
	t.Helper()
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

// open opens a store and closes it when the test ends.
func open(t *testing.T, url string) *redis.Store {
	t.Helper()
	s, err := redis.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// refused opens url and wants an error with all of those words in it.
func refused(t *testing.T, url string, want ...string) {
	t.Helper()
	s, err := redis.Open(t.Context(), url)
	if err == nil {
		s.Close()
		t.Errorf("Open() = nil, want an error with %q in it", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Open() = %v, want %q in it", err, w)
		}
	}
}

// raw is the server past the store.
func raw(t *testing.T, server *testenv.RedisServer) *goredis.Client {
	t.Helper()
	options, err := goredis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

// mustDo runs a command past the store.
func mustDo(t *testing.T, client *goredis.Client, command ...any) any {
	t.Helper()
	value, err := client.Do(t.Context(), command...).Result()
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	return value
}

// logged is what is logged until the test ends.
func logged(t *testing.T) func() string {
	t.Helper()
	var out safeBuffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return out.String
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// someSession is a record of somebody.
func someSession(owner string) session.Record {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return session.Record{
		ID: session.ID(session.KeyOf(fmt.Sprint(now.UnixNano(), owner, time.Now()))), User: owner,
		Provider: "main", Issuer: "https://id.example", Subject: "248289761001", ProviderSession: "08a5019c",
		Scopes:   map[string][]string{"login": {"posts:write", "posts:read"}},
		AuthTime: now, Created: now, Used: now, Idle: now.Add(30 * time.Minute), Expires: now.Add(12 * time.Hour),
		Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", Tokens: []byte("sealed"),
	}
}

// fill makes one record of each kind, and returns the session and the key.
func fill(t *testing.T, s store.Shared) (session.Record, session.Key) {
	t.Helper()
	rec, key, until := someSession("usr_a"), session.KeyOf("k"), time.Now().Add(time.Hour)
	if err := s.Sessions().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if err := s.Revocations().Revoke(t.Context(), key, time.Now(), until); err != nil {
		t.Fatal(err)
	}
	if first, err := s.Marks().Mark(t.Context(), key, until); err != nil || !first {
		t.Fatalf("Mark() = %v, %v", first, err)
	}
	if taken, err := s.Locks().Lock(t.Context(), key, "ann", until); err != nil || !taken {
		t.Fatalf("Lock() = %v, %v", taken, err)
	}
	if _, err := s.Limits().Take(t.Context(), limit.Bucket{Name: "b", Burst: 2, Every: time.Hour}); err != nil {
		t.Fatal(err)
	}
	return rec, key
}

func TestVersion(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	s := open(t, server.URL())
	if got := mustDo(t, client, "GET", "gatewright:version"); got != "1" {
		t.Errorf("the version is %v, want 1", got)
	}
	for range 2 {
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("Check() = %v", err)
		}
	}
	for version, want := range map[string]string{"2": "newer", "1000": "newer", "0": "no version", "-1": "no version", "": "no version", "1x": "no version", "blog": "no version"} {
		mustDo(t, client, "SET", "gatewright:version", version)
		refused(t, server.URL(), want)
		if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check() with version %q = %v, want %q in it", version, err, want)
		}
		if err := s.Sweep(t.Context(), time.Now()); err == nil {
			t.Errorf("Sweep() with version %q = nil, want an error", version)
		}
	}
	mustDo(t, client, "DEL", "gatewright:version")
	mustDo(t, client, "HSET", "gatewright:version", "a", "b")
	refused(t, server.URL())
}

// TestRecordsLost: a server that has lost its records is used further, and that
// it has is told.
func TestRecordsLost(t *testing.T) {
	log := logged(t)
	server := testenv.Redis(t)
	s := open(t, server.URL())
	rec, key := fill(t, s)
	if text := log(); strings.Contains(text, "lost") {
		t.Errorf("logged %q of a new server", text)
	}
	server.Restart(t)
	eventually(t, func() error { return s.Check(t.Context()) })
	if text := log(); strings.Count(text, "all records were lost") != 1 {
		t.Errorf("logged %q, want once that all records were lost", text)
	}
	if _, err := s.Sessions().Load(t.Context(), rec.ID); err != session.ErrNotFound {
		t.Errorf("Load() = %v, want ErrNotFound", err)
	}
	// As docs/stores.md says.
	if at, err := s.Revocations().Revoked(t.Context(), key); err != nil || !at.IsZero() {
		t.Errorf("Revoked() = %v, %v", at, err)
	}
	fill(t, s)
}

// TestRecordsKept: a server that appends each change to a file before it answers
// has everything again after it was killed.
func TestRecordsKept(t *testing.T) {
	log := logged(t)
	server := testenv.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, server.URL())
	rec, key := fill(t, s)
	server.Kill()
	server.Start(t)
	eventually(t, func() error { return s.Check(t.Context()) })
	if text := log(); strings.Contains(text, "lost") {
		t.Errorf("logged %q, and nothing was lost", text)
	}
	if got, err := s.Sessions().Load(t.Context(), rec.ID); err != nil || got.User != rec.User {
		t.Errorf("Load() = %+v, %v", got, err)
	}
	until := time.Now().Add(time.Hour)
	if at, err := s.Revocations().Revoked(t.Context(), key); err != nil || at.IsZero() {
		t.Errorf("Revoked() = %v, %v, want a time", at, err)
	}
	if first, err := s.Marks().Mark(t.Context(), key, until); err != nil || first {
		t.Errorf("Mark() = %v, %v, want false", first, err)
	}
	if taken, err := s.Locks().Lock(t.Context(), key, "bob", until); err != nil || taken {
		t.Errorf("Lock() = %v, %v, want false", taken, err)
	}
}

// TestSnapshotsAlone: that a server may begin again with the records of before
// is told, and that one appends to a file is not.
func TestSnapshotsAlone(t *testing.T) {
	log := logged(t)
	open(t, testenv.Redis(t, "--appendonly", "yes").URL())
	if text := log(); text != "" {
		t.Errorf("logged %q, want nothing", text)
	}
	server := testenv.Redis(t)
	s := open(t, server.URL())
	if text := log(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "appendonly is off") {
		t.Errorf("logged %q, want one line that appendonly is off", text)
	}
	// As docs/stores.md says.
	rec, _ := fill(t, s)
	mustDo(t, raw(t, server), "SAVE")
	if n, err := s.Sessions().Delete(t.Context(), session.Match{ID: rec.ID}); n != 1 || err != nil {
		t.Fatalf("Delete() = %d, %v", n, err)
	}
	server.Kill()
	server.Start(t)
	eventually(t, func() error { _, err := s.Sessions().Load(t.Context(), rec.ID); return err })
}

// eventually waits until there is no error.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	begun := time.Now()
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("after 20 seconds still: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestEviction: a server that may forget revocations is refused.
func TestEviction(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	for _, c := range []struct {
		memory, policy string
		good           bool
	}{
		{"0", "noeviction", true}, {"0", "allkeys-lru", true}, {"100mb", "noeviction", true},
		{"100mb", "allkeys-lru", false}, {"100mb", "volatile-lru", false}, {"100mb", "volatile-ttl", false}, {"100mb", "allkeys-random", false},
	} {
		mustDo(t, client, "CONFIG", "SET", "maxmemory", c.memory)
		mustDo(t, client, "CONFIG", "SET", "maxmemory-policy", c.policy)
		if c.good {
			open(t, server.URL())
		} else {
			refused(t, server.URL(), "maxmemory-policy is "+c.policy, "noeviction")
		}
	}
	mustDo(t, client, "ACL", "SETUSER", "blind", "on", ">hunter2", "~*", "&*", "+@all", "-info")
	log := logged(t)
	open(t, as(t, server, "blind", "hunter2"))
	if text := log(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "INFO is not permitted") {
		t.Errorf("logged %q, want one line that INFO is not permitted", text)
	}
}

// TestFullMemory: a server without memory refuses what is new, and says nothing
// untrue.
func TestFullMemory(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	s := open(t, server.URL())
	rec, key := fill(t, s)
	mustDo(t, client, "CONFIG", "SET", "maxmemory", "1")
	if first, err := s.Marks().Mark(t.Context(), session.KeyOf("new"), time.Now().Add(time.Hour)); err == nil || first {
		t.Errorf("Mark() without memory = %v, %v, want an error", first, err)
	}
	if err := s.Revocations().Revoke(t.Context(), session.KeyOf("new"), time.Now(), time.Now().Add(time.Hour)); err == nil {
		t.Error("Revoke() without memory = nil, want an error")
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check() without memory = nil, want an error")
	}
	if at, err := s.Revocations().Revoked(t.Context(), key); err != nil || at.IsZero() {
		t.Errorf("Revoked() without memory = %v, %v, want a time", at, err)
	}
	if _, err := s.Sessions().Load(t.Context(), rec.ID); err != nil {
		t.Errorf("Load() without memory = %v", err)
	}
}

func TestClusterIsRefused(t *testing.T) {
	refused(t, testenv.Redis(t, "--cluster-enabled", "yes").URL(), "Cluster", "not supported")
}

// TestReplica: a server that takes no writes is an error, at opening and later.
func TestReplica(t *testing.T) {
	server := testenv.Redis(t)
	s := open(t, server.URL())
	rec, key := fill(t, s)
	until := time.Now().Add(time.Hour)
	mustDo(t, raw(t, server), "REPLICAOF", "127.0.0.1", "1")
	refused(t, server.URL(), "READONLY")
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check() at a replica = nil, want an error")
	}
	if first, err := s.Marks().Mark(t.Context(), session.KeyOf("new"), until); err == nil || first {
		t.Errorf("Mark() at a replica = %v, %v, want an error", first, err)
	}
	if taken, err := s.Locks().Lock(t.Context(), session.KeyOf("new"), "ann", until); err == nil || taken {
		t.Errorf("Lock() at a replica = %v, %v, want an error", taken, err)
	}
	if n, err := s.Sessions().Delete(t.Context(), session.Match{ID: rec.ID}); err == nil {
		t.Errorf("Delete() at a replica = %d, nil, want an error", n)
	}
	if err := s.Revocations().Revoke(t.Context(), key, time.Now(), until); err == nil {
		t.Error("Revoke() at a replica = nil, want an error")
	}
	mustDo(t, raw(t, server), "REPLICAOF", "NO", "ONE")
	eventually(t, func() error { return s.Check(t.Context()) })
}

// TestPrefix: servers with prefixes of their own share a database, and no key
// is outside of them.
func TestPrefix(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	blog, shop := open(t, server.URL()+"?prefix=blog:"), open(t, server.URL()+"?prefix=blog:2:")
	heard := watched(t, shop)
	rec, key := fill(t, blog)
	if _, err := shop.Sessions().Load(t.Context(), rec.ID); err != session.ErrNotFound {
		t.Errorf("Load() of another's session = %v, want ErrNotFound", err)
	}
	if at, err := shop.Revocations().Revoked(t.Context(), key); err != nil || !at.IsZero() {
		t.Errorf("Revoked() of another's revocation = %v, %v, want none", at, err)
	}
	if n, err := shop.Sessions().Delete(t.Context(), session.Match{Issuer: rec.Issuer}); err != nil || n != 0 {
		t.Errorf("Delete() of another's sessions = %d, %v, want 0", n, err)
	}
	fill(t, shop) // the same mark, lock and bucket
	if _, err := blog.Sessions().Load(t.Context(), rec.ID); err != nil {
		t.Errorf("Load() = %v", err)
	}
	// The key of before is the first that shop revokes, and not blog's.
	if n := heard.count(store.Change{Kind: store.Revocation}); n > 1 {
		t.Errorf("heard of %d revocations, want its own alone", n)
	}
	for _, key := range keys(t, client, "*") {
		if !strings.HasPrefix(key, "blog:") {
			t.Errorf("the key %q does not begin with the prefix", key)
		}
	}
	other, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	other.Path = "/3"
	third := open(t, other.String()+"?prefix=blog:")
	if _, err := third.Sessions().Load(t.Context(), rec.ID); err != session.ErrNotFound {
		t.Errorf("Load() in another database = %v, want ErrNotFound", err)
	}
}

// keys are those that there are.
func keys(t *testing.T, client *goredis.Client, pattern string) []string {
	t.Helper()
	names, err := client.Keys(t.Context(), pattern).Result()
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestNothingStaysForEver: all keys but the version's expire, and none before
// its time.
func TestNothingStaysForEver(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	s := open(t, server.URL())
	fill(t, s)
	long := someSession("usr_a")
	long.Expires = time.Now().Add(400 * 24 * time.Hour)
	past := someSession("usr_a")
	past.Idle, past.Expires = time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)
	for _, rec := range []session.Record{long, past} { // the longest is not the last
		if err := s.Sessions().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range keys(t, client, "*") {
		ttl := client.PTTL(t.Context(), name).Val()
		least := time.Hour - time.Minute
		switch {
		case name == "gatewright:version":
			if ttl >= 0 {
				t.Errorf("%s expires in %v, want never", name, ttl)
			}
			continue
		case strings.HasSuffix(name, "}:id:"+past.ID.String()):
			least = 23 * time.Hour
		case strings.HasSuffix(name, "}:id:"+long.ID.String()), strings.Contains(name, "{session}") && !strings.Contains(name, "}:id:"):
			least = time.Until(long.Expires)
		case strings.Contains(name, "{session}"):
			least = 12*time.Hour - time.Minute
		}
		if ttl < least {
			t.Errorf("%s expires in %v, want %v or more", name, ttl, least)
		}
	}
	if names := keys(t, client, "gatewright:{session}:*"); len(names) != 3+4 {
		t.Errorf("keys of 3 sessions: %q", names)
	}

	// Of what is ended nothing is left, whoever ended it.
	if err := s.Sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sessions().Delete(t.Context(), session.Match{User: "usr_a"}); err != nil || n != 2 {
		t.Errorf("Delete() = %d, %v, want 2", n, err)
	}
	if names := keys(t, client, "gatewright:{session}:*"); len(names) != 0 {
		t.Errorf("without sessions there are the keys %q", names)
	}
}

// TestLostSessions: an ID whose session is gone disturbs nobody and is
// forgotten.
func TestLostSessions(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	s := open(t, server.URL())
	make := func(n int) (recs []session.Record) {
		for i := range n {
			rec := someSession("usr_a")
			rec.Created = rec.Created.Add(time.Duration(i) * time.Second)
			if err := s.Sessions().Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			recs = append(recs, rec)
		}
		return recs
	}
	lose := func(recs ...session.Record) {
		for _, rec := range recs {
			mustDo(t, client, "DEL", "gatewright:{session}:id:"+rec.ID.String())
		}
	}
	recs := make(7)
	lose(recs[1], recs[2], recs[6])
	got, err := s.Sessions().List(t.Context(), "usr_a", 3)
	if err != nil || len(got) != 3 || got[0].ID != recs[5].ID || got[1].ID != recs[4].ID || got[2].ID != recs[3].ID {
		t.Errorf("List() = %d sessions, %v, want the three last that there are", len(got), err)
	}
	if got, err = s.Sessions().List(t.Context(), "usr_a", 100); err != nil || len(got) != 4 {
		t.Errorf("List() = %d sessions, %v, want 4", len(got), err)
	}
	if n := client.ZCard(t.Context(), "gatewright:{session}:user:usr_a").Val(); n != 4 {
		t.Errorf("%d IDs are kept of a user, want 4", n)
	}
	lose(recs[3])
	if n, err := s.Sessions().Delete(t.Context(), session.Match{Subject: recs[0].Subject, Except: recs[0].ID}); err != nil || n != 2 {
		t.Errorf("Delete() = %d, %v, want 2", n, err)
	}
	if n := client.ZCard(t.Context(), "gatewright:{session}:subject:"+recs[0].Subject).Val(); n != 1 {
		t.Errorf("%d IDs are kept of a subject, want 1", n)
	}
	if err := s.Sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if names := keys(t, client, "gatewright:{session}:ends"); len(names) != 0 {
		t.Errorf("after all have ended there is %q", names)
	}
}

// TestDamagedRecords: what cannot be read, and what is another's, is an error
// and never missing.
func TestDamagedRecords(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	s := open(t, server.URL())
	rec, key := fill(t, s)
	hash := "gatewright:{session}:id:" + rec.ID.String()
	whole := client.HGetAll(t.Context(), hash).Val()
	other := someSession("usr_b")
	bad := func(what string) {
		t.Helper()
		if got, err := s.Sessions().Load(t.Context(), rec.ID); err == nil || err == session.ErrNotFound {
			t.Errorf("Load() of a session %s = %+v, %v, want an error", what, got, err)
		}
		mustDo(t, client, "DEL", hash)
		mustDo(t, client, append([]any{"HSET", hash}, flat(whole)...)...)
		if _, err := s.Sessions().Load(t.Context(), rec.ID); err != nil {
			t.Fatalf("Load() of the whole session = %v", err)
		}
	}
	for name := range whole {
		if name != "tokens" {
			mustDo(t, client, "HDEL", hash, name)
			bad("without " + name)
		}
	}
	for name, value := range map[string]string{
		"id": other.ID.String(), "expires": "never", "idle": "", "used": "1.5", "created": "1e3", "auth_time": "0x1", "scopes": `{"a":["b"],"a":["c"]}`,
	} {
		mustDo(t, client, "HSET", hash, name, value)
		bad("whose " + name + " is " + value)
	}
	for _, scopes := range []string{"", "[]", "{", `{"a":"b"}`, `{"a":[1]}`} {
		mustDo(t, client, "HSET", hash, "scopes", scopes)
		bad("with the scopes " + scopes)
	}
	mustDo(t, client, "HSET", hash, "id", "x")
	if got, err := s.Sessions().List(t.Context(), "usr_a", 10); err == nil {
		t.Errorf("List() with a session without an id = %+v, want an error", got)
	}
	mustDo(t, client, "DEL", hash)
	mustDo(t, client, "SET", hash, "text")
	bad("of another type")

	mustDo(t, client, "HSET", hash, "user", "usr_b")
	if got, err := s.Sessions().List(t.Context(), "usr_a", 10); err == nil {
		t.Errorf("List() with another's session = %+v, want an error", got)
	}
	for _, value := range []string{"", "1764054000123", session.ID(session.KeyOf("other")).String() + " 1764054000123", session.ID(key).String() + " ", session.ID(key).String()} {
		mustDo(t, client, "SET", "gatewright:{revoked}:"+session.ID(key).String(), value)
		if at, err := s.Revocations().Revoked(t.Context(), session.KeyOf("none"), key); err == nil {
			t.Errorf("Revoked() of a revocation that is %q = %v, nil, want an error", value, at)
		}
	}
	mustDo(t, client, "SET", "gatewright:{limit}:b", "full")
	if waits, err := s.Limits().Take(t.Context(), limit.Bucket{Name: "b", Burst: 2, Every: time.Hour}); err == nil {
		t.Errorf("Take() from a bucket that cannot be read = %v, nil, want an error", waits)
	}
}

func flat(fields map[string]string) (all []any) {
	for name, value := range fields {
		all = append(all, name, value)
	}
	return all
}

// TestBuckets: one expires when it is full, a clock that was set back empties
// it and no more, and what is no bucket is refused.
func TestBuckets(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	s := open(t, server.URL())
	b := limit.Bucket{Name: "b", Burst: 10, Every: time.Minute}
	for i := range 10 {
		if waits, err := s.Limits().Take(t.Context(), b); err != nil || waits[0] != 0 {
			t.Fatalf("Take() = %v, %v", waits, err)
		}
		full := time.Duration(i+1) * time.Minute
		if ttl := client.PTTL(t.Context(), "gatewright:{limit}:b").Val(); ttl > full || ttl < full-30*time.Second {
			t.Errorf("a bucket that is full in %v expires in %v", full, ttl)
		}
		// To the microsecond, and not as 1.764e+15.
		if text := client.Get(t.Context(), "gatewright:{limit}:b").Val(); len(text) != 16 || strings.Trim(text, "0123456789") != "" {
			t.Errorf("a bucket is kept as %q, want microseconds", text)
		}
	}
	mustDo(t, client, "SET", "gatewright:{limit}:b", "9000000000000000")
	if waits, err := s.Limits().Take(t.Context(), b); err != nil || waits[0] != time.Minute {
		t.Errorf("Take() with the clock set back for years = %v, %v, want a minute", waits, err)
	}
	mustDo(t, client, "SET", "gatewright:{limit}:b", "1")
	if waits, err := s.Limits().Take(t.Context(), b); err != nil || waits[0] != 0 {
		t.Errorf("Take() from a bucket that was full long ago = %v, %v, want 0", waits, err)
	}
	for _, b := range []limit.Bucket{{Name: "n", Every: time.Second}, {Name: "n", Burst: 1}, {Name: "n", Burst: -1, Every: time.Second}, {Name: "n", Burst: 1, Every: -1}} {
		if waits, err := s.Limits().Take(t.Context(), b); err == nil {
			t.Errorf("Take(%+v) = %v, nil, want an error", b, waits)
		}
	}
}

// TestDeleteMany: more sessions than one script looks at all end, and a match of
// nothing in particular ends none.
func TestDeleteMany(t *testing.T) {
	server := testenv.Redis(t)
	s := open(t, server.URL())
	const many = 1700
	for range many {
		if err := s.Sessions().Create(t.Context(), someSession("usr_a")); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []session.Match{{}, {Except: session.ID{1}}} {
		if n, err := s.Sessions().Delete(t.Context(), m); n != 0 || err == nil {
			t.Errorf("Delete(%+v) = %d, %v, want an error", m, n, err)
		}
	}
	for _, want := range []int{many, 0} {
		if n, err := s.Sessions().Delete(t.Context(), session.Match{User: "usr_a"}); n != want || err != nil {
			t.Errorf("Delete() = %d, %v, want %d", n, err, want)
		}
	}
	if names := keys(t, raw(t, server), "*session*"); len(names) != 0 {
		t.Errorf("without sessions there are %d keys", len(names))
	}
}

// TestSweepIsBounded: a call leaves what is more than it may take for the next.
func TestSweepIsBounded(t *testing.T) {
	server := testenv.Redis(t)
	client := raw(t, server)
	s := open(t, server.URL())
	mustDo(t, client, "EVAL", `for i = 1, 20007 do redis.call('ZADD', KEYS[1], i, 'id' .. i) end return 1`, 1, "gatewright:{session}:ends")
	for _, want := range []int64{7, 0, 0} {
		if err := s.Sweep(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if n := client.ZCard(t.Context(), "gatewright:{session}:ends").Val(); n != want {
			t.Errorf("Sweep() left %d, want %d", n, want)
		}
	}
}
