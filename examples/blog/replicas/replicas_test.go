package main

import (
	"context"
	"database/sql"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	_ "github.com/jackc/pgx/v5/stdlib"
	goredis "github.com/redis/go-redis/v9"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

// TestReplicas holds three processes of the blog, on real servers, to what
// docs/replicas.md says.
func TestReplicas(t *testing.T) {
	f := newFixture(t)
	writer := f.person(t, f.cluster)
	writer.signIn(t, "writer")
	_, key := writer.makeKey(t, 0)
	post := f.post(t, f.cluster, 1, key, `{"title": "Hello", "text": "World", "tags": ["first", "second"]}`)

	t.Run("posts", func(t *testing.T) { testPosts(t, f, key, post) })
	t.Run("keys", func(t *testing.T) { testKeys(t, f, writer, post) })
	t.Run("sessions", func(t *testing.T) { testSessions(t, f) })
	t.Run("no cache", func(t *testing.T) { testNoCache(t, f, post) })
	t.Run("limits", func(t *testing.T) { testLimits(t, f, post, key) })
	t.Run("PostgreSQL away", func(t *testing.T) { testPostgresAway(t, f, writer, post, key) })
	t.Run("Redis away", func(t *testing.T) { testRedisAway(t, f, writer, post, key) })
	t.Run("killed", func(t *testing.T) { testKilled(t, f, post, key) }) // last: a replica is gone
}

// testPosts: what one replica is told the others show.
func testPosts(t *testing.T, f *fixture, key, post string) {
	draft := f.post(t, f.cluster, 2, key, `{"title": "Draft", "text": "", "tags": ["first"], "draft": true}`)
	for i, r := range f.replicas {
		client := f.at(r, f.address(t))
		for _, c := range []struct {
			path string
			want int
		}{
			{"/posts", 1}, {"/posts?tag=first", 1}, {"/posts?tag=second&tag=first", 1}, {"/posts?tag=first&tag=third", 0}, {"/posts/" + post + "/comments", 0},
		} {
			res, err := client.Do(request(t, http.MethodGet, f.url+c.path, ""))
			if err != nil {
				t.Fatal(err)
			}
			var list []struct{ Title string }
			body := read(t, res)
			if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != c.want {
				t.Errorf("GET %s at replica %d = %s, want %d", c.path, i+1, body, c.want)
			}
		}
		if got, err := status(client, request(t, http.MethodGet, f.url+"/posts/"+draft, "")); err != nil || got != http.StatusNotFound {
			t.Errorf("the draft at replica %d: %d, %v, want 404", i+1, got, err)
		}
	}
}

// within is how soon a revocation is in force on all replicas.
const within = time.Second

// inForce has each replica asked without a pause while change is made, which
// is to end what good is the answer to. It returns how long after change was
// answered the first request was sent that the last of them refused. What is sent later than within
// must be refused, and so must everything after the first refusal.
func inForce(t *testing.T, askers []*asker, good int, change func()) time.Duration {
	t.Helper()
	var began, ended atomic.Int64 // of change, Unix nanoseconds
	refused := make([]time.Time, len(askers))
	ready := make(chan struct{}, len(askers))
	var all sync.WaitGroup
	for i, a := range askers {
		all.Go(func() {
			defer a.client.CloseIdleConnections()
			told := false
			for after := 0; after < 4; time.Sleep(2 * time.Millisecond) {
				sent := time.Now()
				got, err := a.ask()
				end := ended.Load()
				switch {
				case err != nil:
					t.Errorf("replica %d: %v", i+1, err)
				case got == good && after == 0 && (end == 0 || sent.Sub(time.Unix(0, end)) < within):
					if !told {
						told = true
						ready <- struct{}{}
					}
					continue
				case got == good:
					t.Errorf("replica %d answers %d to what was sent %v after the change, and %d refusals", i+1, got, sent.Sub(time.Unix(0, end)), after)
				case began.Load() == 0:
					t.Errorf("replica %d answers %d before the change", i+1, got)
				case got == http.StatusUnauthorized || got == http.StatusTooManyRequests:
					if after++; after == 1 {
						refused[i] = sent
					}
					continue
				default:
					t.Errorf("replica %d answers %d", i+1, got)
				}
				if !told {
					ready <- struct{}{}
				}
				return
			}
		})
	}
	for range askers {
		<-ready
	}
	time.Sleep(rand.N(20 * time.Millisecond))
	began.Store(time.Now().UnixNano())
	change()
	end := time.Now()
	ended.Store(end.UnixNano())
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return max(0, slices.MaxFunc(refused, time.Time.Compare).Sub(end))
}

// report logs the delays of a way to end something.
func report(t *testing.T, delays []time.Duration) {
	t.Helper()
	slices.Sort(delays)
	t.Logf("%d times: in force on all replicas after %v at most, median %v", len(delays), delays[len(delays)-1].Round(100*time.Microsecond), delays[len(delays)/2].Round(100*time.Microsecond))
}

// testKeys: a key that one replica revokes the others refuse, in time.
func testKeys(t *testing.T, f *fixture, writer *person, post string) {
	admin, err := sql.Open("pgx", f.pg.Admin())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	records, err := sql.Open("pgx", f.pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	try := func(t *testing.T, n int, revoke func(replica int, id string)) {
		var delays []time.Duration
		for i := range n {
			id, key := writer.makeKey(t, (i+1)%count)
			askers := f.keyAskers(t, f.cluster, post, key)
			delays = append(delays, inForce(t, askers, http.StatusOK, func() { revoke(i%count, id) }))
		}
		report(t, delays)
	}
	t.Run("told", func(t *testing.T) {
		try(t, rounds(20), func(r int, id string) { writer.revoke(t, r, id) })
	})
	t.Run("connections that listen are broken", func(t *testing.T) {
		// What those connections have said last is a while ago another thing.
		if _, err := admin.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		ctx, stop := context.WithCancel(t.Context())
		var broken atomic.Int64
		var running sync.WaitGroup
		running.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				var n int64
				err := admin.QueryRowContext(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ILIKE 'listen%' AND pid <> pg_backend_pid()`).Scan(&n)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				broken.Add(n)
			}
		})
		try(t, rounds(8), func(r int, id string) { writer.revoke(t, r, id) })
		stop()
		running.Wait()
		if broken.Load() == 0 {
			t.Error("there was no connection to break: the test shows nothing")
		}
	})
	t.Run("nothing is told", func(t *testing.T) {
		try(t, rounds(6), func(_ int, id string) {
			res, err := records.ExecContext(t.Context(), `UPDATE gatewright_keys SET revoked = $2 WHERE id = $1`, id, time.Now().UnixMilli())
			if err != nil {
				t.Fatal(err)
			}
			if n, err := res.RowsAffected(); err != nil || n != 1 {
				t.Fatalf("%d rows changed, %v", n, err)
			}
		})
	})
}

// testSessions: a session that ends at one replica has ended at the others, in
// time.
func testSessions(t *testing.T, f *fixture) {
	opts, err := goredis.ParseURL(f.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	db := goredis.NewClient(opts)
	defer db.Close()
	try := func(t *testing.T, n int, end func(replica int, p *person, id string)) {
		var delays []time.Duration
		for i := range n {
			p := f.person(t, f.cluster)
			p.signIn(t, "writer")
			_, body := p.visit(t, http.MethodGet, f.url+"/auth/session", nil)
			var s struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal([]byte(body), &s); err != nil || s.ID == "" {
				t.Fatalf("GET /auth/session = %s", body)
			}
			askers := f.sessionAskers(t, p)
			delays = append(delays, inForce(t, askers, http.StatusNotFound, func() { end(i%count, p, s.ID) }))
			p.close()
		}
		report(t, delays)
	}
	signOut := func(r int, p *person, _ string) { p.signOut(t, r) }
	t.Run("told", func(t *testing.T) { try(t, rounds(20), signOut) })
	t.Run("connections that listen are broken", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var broken atomic.Int64
		var running sync.WaitGroup
		running.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				n, err := db.ClientKillByFilter(ctx, "TYPE", "pubsub").Result()
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				broken.Add(n)
			}
		})
		try(t, rounds(8), signOut)
		stop()
		running.Wait()
		if broken.Load() == 0 {
			t.Error("there was no connection to break: the test shows nothing")
		}
	})
	t.Run("nothing is told", func(t *testing.T) {
		try(t, rounds(6), func(_ int, _ *person, id string) {
			if n, err := db.Del(t.Context(), "gatewright:{session}:id:"+id).Result(); err != nil || n != 1 {
				t.Fatalf("%d records removed, %v", n, err)
			}
		})
	})
}

// testNoCache: with cache: 0 the very next request is refused everywhere.
func testNoCache(t *testing.T, f *fixture, post string) {
	c := f.another(t, `cache: "0"`)
	writer := f.person(t, c)
	writer.signIn(t, "writer")
	wants := func(round int, askers []*asker, want int) {
		t.Helper()
		for i, a := range askers {
			if got, err := a.ask(); err != nil || got != want {
				t.Fatalf("round %d: replica %d answers %d, %v, want %d", round, i+1, got, err, want)
			}
		}
	}
	for i := range rounds(20) {
		id, key := writer.makeKey(t, i%count)
		askers := f.keyAskers(t, c, post, key)
		wants(i, askers, http.StatusOK)
		writer.revoke(t, i%count, id)
		wants(i, askers, http.StatusUnauthorized)
	}
	for i := range rounds(6) {
		p := f.person(t, c)
		p.signIn(t, "reader")
		req := request(t, http.MethodGet, c.url+"/auth/session", "")
		req.Header.Set("Cookie", p.frozen())
		askers := f.askers(t, c, req)
		wants(i, askers, http.StatusOK)
		p.signOut(t, i%count)
		wants(i, askers, http.StatusUnauthorized)
	}
}

// testLimits: an address has as many failures at all replicas together as it
// would have at one.
func testLimits(t *testing.T, f *fixture, post, key string) {
	const burst = 20
	from := f.address(t)
	ask := func(replica int, key string) *http.Response {
		t.Helper()
		req := request(t, http.MethodGet, f.url+"/posts/"+post, "")
		req.Header.Set("Authorization", "apikey "+key)
		client := f.at(f.replicas[replica], from)
		defer client.CloseIdleConnections()
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		read(t, res)
		return res
	}
	for i := range count {
		if got := ask(i, key); got.StatusCode != http.StatusOK {
			t.Fatalf("a good key at replica %d = %s", i+1, got.Status)
		}
	}
	strange := strangers(t, 3*burst)
	begun := time.Now()
	failures := 0
	for i, wrong := range strange {
		if got := ask(i%count, wrong); got.StatusCode == http.StatusTooManyRequests {
			break
		} else if got.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a wrong key = %s, want 401", got.Status)
		}
		failures++
	}
	// One more is taken each second that this has lasted.
	most := burst + int(time.Since(begun)/time.Second) + 1
	t.Logf("%d failures in %v until 429", failures, time.Since(begun).Round(time.Millisecond))
	if failures < burst || failures > most {
		t.Errorf("%d failures were answered as such, want %d to %d", failures, burst, most)
	}
	// A replica that has not heard of it does so at its own first failure, and
	// there is none left while no second has gone by. So at most one per replica
	// and second is still answered 401.
	limited := 0
	for i := range count {
		got := ask(i, strange[i])
		wait, err := strconv.Atoi(got.Header.Get("Retry-After"))
		if got.StatusCode == http.StatusTooManyRequests && err == nil && wait >= 1 {
			limited++
		} else if got.StatusCode != http.StatusUnauthorized {
			t.Errorf("a wrong key at replica %d = %s, Retry-After %q", i+1, got.Status, got.Header.Get("Retry-After"))
		}
	}
	if limited < count-1 {
		t.Errorf("%d replicas answer 429, want %d", limited, count)
	}
	for i := range count {
		if got := ask(i, key); got.StatusCode != http.StatusOK {
			t.Errorf("a key that was good from this address, at replica %d = %s", i+1, got.Status)
		}
	}
	for i, a := range f.keyAskers(t, f.cluster, post, key) {
		if got, err := a.ask(); err != nil || got != http.StatusOK {
			t.Errorf("a good key from elsewhere, at replica %d = %d, %v", i+1, got, err)
		}
	}
}

// strangers are well-formed keys of another server.
func strangers(t *testing.T, n int) []string {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "other.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	keys, err := apikey.New(apikey.Config{Store: db.Keys(), Users: db.Users(), Environment: apikey.Test, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for range n {
		key, _, err := keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{Client: "x", ClientName: "x"}, Label: "x"})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, key.Reveal())
	}
	return all
}

// A load is what is asked without a pause, and all the answers.
type load struct {
	name string
	may  []int // the answers that there may ever be; the first is that to what is good
	pace time.Duration

	mu      sync.Mutex
	answers [count][]answer
}

type answer struct {
	sent, got time.Time
	status    int
}

// run asks each replica until ctx is done.
func (l *load) run(ctx context.Context, t *testing.T, running *sync.WaitGroup, askers []*asker) {
	for i, a := range askers {
		running.Go(func() {
			defer a.client.CloseIdleConnections()
			for ; ctx.Err() == nil; time.Sleep(l.pace) {
				sent := time.Now()
				got, err := a.ask()
				if err != nil || !slices.Contains(l.may, got) {
					t.Errorf("%s at replica %d: %d, %v, want one of %v", l.name, i+1, got, err, l.may)
					return
				}
				l.mu.Lock()
				l.answers[i] = append(l.answers[i], answer{sent, time.Now(), got})
				l.mu.Unlock()
			}
		})
	}
}

// between fails the test unless each replica was asked from one time to
// another, and the answers were all want.
func (l *load) between(t *testing.T, from, to time.Time, want int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, list := range l.answers {
		n := 0
		for _, a := range list {
			if a.sent.Before(from) || a.got.After(to) {
				continue
			}
			n++
			if a.status != want {
				t.Errorf("%s at replica %d, %v after: %d, want %d", l.name, i+1, a.sent.Sub(from), a.status, want)
			}
		}
		if n == 0 {
			t.Errorf("%s at replica %d: no answer in %v", l.name, i+1, to.Sub(from))
		}
	}
}

// last is when the last answer came that was status, of all replicas.
func (l *load) last(status int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last time.Time
	for _, list := range l.answers {
		for _, a := range list {
			if a.status == status && a.got.After(last) {
				last = a.got
			}
		}
	}
	return last
}

const (
	awayFor  = 1200 * time.Millisecond
	settleIn = 2500 * time.Millisecond // after a server is back
)

// testPostgresAway: while PostgreSQL is away nothing is known, so nothing is
// refused for good and nothing let in; afterwards all is as before.
func testPostgresAway(t *testing.T, f *fixture, writer *person, post, key string) {
	// Each replica is asked with one of its own and seldom enough for the answer
	// to be 401.
	var dead []*asker
	for i := range count {
		id, revoked := writer.makeKey(t, 0)
		writer.revoke(t, 1, id)
		dead = append(dead, f.keyAskers(t, f.cluster, post, revoked)[i])
	}
	time.Sleep(within)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	good := &load{name: "a good key", may: []int{200, 503}, pace: 5 * time.Millisecond}
	good.run(ctx, t, &running, f.keyAskers(t, f.cluster, post, key))
	session := &load{name: "a session", may: []int{404, 503}, pace: 5 * time.Millisecond}
	session.run(ctx, t, &running, f.sessionAskers(t, writer))
	bad := &load{name: "a revoked key", may: []int{401, 503}, pace: awayFor / 3}
	bad.run(ctx, t, &running, dead)
	time.Sleep(200 * time.Millisecond)
	for _, c := range []struct {
		name string
		stop func()
	}{{"stopped", f.pg.Stop}, {"killed", f.pg.Kill}} {
		c.stop()
		gone := time.Now().Add(within) // what is remembered is known so long
		time.Sleep(within + awayFor)
		back := time.Now()
		good.between(t, gone, back, 503)
		session.between(t, gone, back, 503)
		bad.between(t, gone, back, 503)
		f.pg.Start(t)
		started := time.Now()
		time.Sleep(settleIn + awayFor)
		t.Logf("%s: the last 503 was %v after the server was back", c.name, max(0, good.last(503).Sub(started), session.last(503).Sub(started)).Round(time.Millisecond))
		good.between(t, started.Add(settleIn), time.Now(), 200)
		session.between(t, started.Add(settleIn), time.Now(), 404)
		bad.between(t, started.Add(settleIn), time.Now(), 401)
	}
}

// testRedisAway: while Redis is away sessions are 503 and keys go on.
func testRedisAway(t *testing.T, f *fixture, writer *person, post, key string) {
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	keys := &load{name: "a good key", may: []int{200}, pace: 5 * time.Millisecond}
	keys.run(ctx, t, &running, f.keyAskers(t, f.cluster, post, key))
	session := &load{name: "a session", may: []int{404, 503}, pace: 5 * time.Millisecond}
	session.run(ctx, t, &running, f.sessionAskers(t, writer))
	time.Sleep(200 * time.Millisecond)
	for _, c := range []struct {
		name  string
		away  func()
		start func()
		// A server that is silent is given up on after its calls' five seconds.
		takes time.Duration
	}{
		{"killed", f.redis.Kill, func() { f.redis.Start(t) }, 0},
		{"silent", func() { f.redis.Pause(t) }, func() { f.redis.Resume(t) }, 5 * time.Second},
	} {
		c.away()
		gone := time.Now().Add(within)
		time.Sleep(within + awayFor + c.takes)
		back := time.Now()
		session.between(t, gone, back, 503)
		c.start()
		started := time.Now()
		time.Sleep(settleIn + awayFor)
		t.Logf("%s: the last 503 was %v after the server was back", c.name, max(0, session.last(503).Sub(started)).Round(time.Millisecond))
		session.between(t, started.Add(settleIn), time.Now(), 404)
		keys.between(t, gone, time.Now(), 200)
	}
}

// testKilled: of a replica that is killed, the balancer's clients notice no
// more than the connections that it had.
func testKilled(t *testing.T, f *fixture, post, key string) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var killed atomic.Int64
	var before, after, broken atomic.Int64
	var running sync.WaitGroup
	through := &replica{}
	addr := "127.0.0.1" + strings.TrimPrefix(f.url, "https://localhost")
	through.addr.Store(&addr)
	for range 3 {
		client := f.at(through, nil)
		client.Transport.(*http.Transport).DisableKeepAlives = true
		req := request(t, http.MethodGet, f.url+"/posts/"+post, "")
		req.Header.Set("Authorization", "apikey "+key)
		a := &asker{client, req}
		running.Go(func() {
			for ctx.Err() == nil {
				late := killed.Load() != 0
				got, err := a.ask()
				switch {
				case err == nil && got == http.StatusOK:
					if late {
						after.Add(1)
					} else {
						before.Add(1)
					}
				case err == nil:
					t.Errorf("through the balancer: %d, want 200", got)
				case late:
					t.Errorf("through the balancer, after the kill: %v", err)
				default:
					broken.Add(1) // under way when the replica was killed
				}
			}
		})
	}
	time.Sleep(time.Second)
	f.replicas[1].kill()
	killed.Store(1)
	time.Sleep(2 * time.Second)
	stop()
	running.Wait()
	t.Logf("%d requests before the kill, %d after, %d were broken off by it", before.Load(), after.Load(), broken.Load())
	if before.Load() == 0 || after.Load() == 0 || broken.Load() > 3 {
		t.Errorf("%d requests before, %d after, %d broken off: want some, some, and at most one of each client", before.Load(), after.Load(), broken.Load())
	}
}
