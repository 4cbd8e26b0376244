package postgres_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
)

// holdKey holds the row of a key until the function it returns is called.
func holdKey(t *testing.T, url, id string) (release func()) {
	t.Helper()
	conn := raw(t, url)
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT 1 FROM gatewright_keys WHERE id = $1 FOR UPDATE", id); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.Exec(context.Background(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
	}
}

// fails looks whether call returns an error of its own within limit.
func fails(t *testing.T, what string, limit time.Duration, call func() error) error {
	t.Helper()
	begun := time.Now()
	err := call()
	if took := time.Since(begun); took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
	if err == nil || isNotFound(err) {
		t.Errorf("%s = %v, want an error of its own", what, err)
	}
	return err
}

// backends are the processes of the server that serve the store at url, in order.
func backends(t *testing.T, url string) []int32 {
	t.Helper()
	pids := ask[[]int32](t, url, `SELECT coalesce(array_agg(pid ORDER BY pid), '{}') FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'gatewright' AND query NOT LIKE 'LISTEN%'`)
	return pids
}

// testHeldRow: a writer waits for a row that somebody holds, not for ever, and
// says that it was that; readers go on.
func testHeldRow(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	mustCreate(t, s, "revoke0000000", "rotate0000000", "touch00000000")
	var wait sync.WaitGroup
	var releases []func()
	for id, call := range map[string]func(id string) error{
		"revoke0000000": func(id string) error { return s.Keys().Revoke(t.Context(), id, now()) },
		"rotate0000000": func(id string) error { return s.Keys().Rotate(t.Context(), id, now(), key("0123456789abd")) },
		"touch00000000": func(id string) error { return s.Keys().Touch(t.Context(), id, now()) },
	} {
		releases = append(releases, holdKey(t, url, id))
		wait.Go(func() {
			if err := fails(t, id, 6*time.Second, func() error { return call(id) }); err != nil && !strings.Contains(err.Error(), "lock timeout") {
				t.Errorf("%s of a held row = %v, want the lock named", id, err)
			}
		})
		if _, err := s.Keys().Load(t.Context(), id); err != nil {
			t.Errorf("Load() of a held row = %v", err)
		}
	}
	wait.Wait()
	for _, release := range releases {
		release()
	}
	mustDo(t, s.Keys().Revoke(t.Context(), "revoke0000000", now()))
	if _, err := s.Keys().Load(t.Context(), "0123456789abd"); !isNotFound(err) {
		t.Errorf("Load() of a key whose Rotate failed = %v, want ErrNotFound", err)
	}
}

// slowDown has each insert into a table take ten seconds.
func slowDown(t *testing.T, url, table string) {
	t.Helper()
	mustExec(t, url, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(10); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION slow()`)
}

func testSlowStatement(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	slowDown(t, url, "gatewright_keys")
	slowDownMarks := `CREATE TRIGGER slow BEFORE INSERT ON gatewright_marks FOR EACH ROW EXECUTE FUNCTION slow()`
	mustExec(t, url, slowDownMarks)
	var wait sync.WaitGroup
	for name, call := range map[string]func() error{
		"Create": func() error { return s.Keys().Create(t.Context(), key("0123456789abc")) },
		"Mark":   func() error { _, err := s.Marks().Mark(t.Context(), session.KeyOf("a"), now()); return err },
	} {
		wait.Go(func() { fails(t, name, 6*time.Second, call) })
	}
	// So do those that scan many rows.
	list := raw(t, url)
	if _, err := list.Exec(t.Context(), "BEGIN; LOCK TABLE gatewright_users IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	wait.Go(func() {
		fails(t, "List", 6*time.Second, func() error { _, err := s.Users().List(t.Context(), "", 1); return err })
	})
	wait.Wait()
}

// testServerLimits: the server ends what a program has left behind without a word.
func testServerLimits(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	p, far := through(t, url)
	s := mustOpen(t, far)
	for name, want := range map[string]string{
		"statement_timeout": "5s", "lock_timeout": "4s", "idle_in_transaction_session_timeout": "10s", "application_name": "gatewright", "synchronous_commit": "on",
	} {
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := show(t, s, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	slowDown(t, url, "gatewright_keys")
	time.AfterFunc(300*time.Millisecond, p.cut)
	begun := time.Now()
	fails(t, "Create", 6*time.Second, func() error { return s.Keys().Create(t.Context(), key("0123456789abc")) })
	for ask[int](t, url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatewright' AND state = 'active'") > 0 {
		if time.Since(begun) > 8*time.Second {
			t.Fatal("the server still runs the statement of a program that it cannot reach")
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.heal()

	other := mustOpen(t, url+"&statement_timeout=1234&application_name=blog")
	if got := show(t, other, "statement_timeout") + show(t, other, "application_name"); got != "1234msblog" {
		t.Errorf("settings of the URL = %q, want 1234ms and blog", got)
	}
}

// testCallerGone: a caller that goes away costs no connection, and does not
// undo what is nearly done.
func testCallerGone(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url+"&pool_max_conns=1")
	mustCreate(t, s, "0123456789abc")
	before := backends(t, url)
	release := holdKey(t, url, "0123456789abc")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	var wait sync.WaitGroup
	wait.Go(func() {
		time.Sleep(400 * time.Millisecond)
		release()
	})
	if err := s.Keys().Revoke(ctx, "0123456789abc", now()); err != nil {
		t.Errorf("Revoke() whose caller went away = %v", err)
	}
	wait.Wait()
	if after := backends(t, url); !slices.Equal(after, before) {
		t.Errorf("connections %v, want still %v", after, before)
	}
}

func testDeadline(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	mustCreate(t, s, "0123456789abc")
	release := holdKey(t, url, "0123456789abc")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	fails(t, "Touch with a deadline", 2*time.Second, func() error { return s.Keys().Touch(ctx, "0123456789abc", now()) })
	release()
	mustDo(t, s.Keys().Touch(t.Context(), "0123456789abc", now()))
}

// testPool: however many calls there are, connections are few, and a call waits
// for one no longer than for anything else.
func testPool(t *testing.T, server *testenv.PostgresServer) {
	for options, most := range map[string]int{"": 16, "&pool_max_conns=2": 2} {
		url := database(t, server)
		s := mustOpen(t, url+options)
		mustCreate(t, s, "0123456789abc")
		release := holdKey(t, url, "0123456789abc")
		var wait sync.WaitGroup
		for range 40 {
			wait.Go(func() {
				fails(t, "Touch", 6*time.Second, func() error { return s.Keys().Touch(t.Context(), "0123456789abc", now()) })
			})
		}
		time.Sleep(2 * time.Second)
		if n := len(backends(t, url)); n != most {
			t.Errorf("with %q there are %d connections, want %d", options, n, most)
		}
		wait.Wait()
		release()
		mustDo(t, s.Keys().Touch(t.Context(), "0123456789abc", now()))
	}
}

// testDeadNetwork: connections that died without a word keep nobody waiting
// for long once there are others, and Watch notices.
func testDeadNetwork(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	p, far := through(t, url)
	s := mustOpen(t, far)
	mustCreate(t, s, "0123456789abc")
	w := watch(t, s)
	w.waits(t, store.Change{}, 1)
	release := holdKey(t, url, "0123456789abc")
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() { mustDo(t, s.Keys().Touch(t.Context(), "0123456789abc", now())) })
	}
	for range 100 { // until all three wait
		if len(backends(t, url)) == 3 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	release()
	wait.Wait()

	p.cut()
	cut := time.Now()
	fails(t, "Load without a network", 6*time.Second, func() error { _, err := s.Keys().Load(t.Context(), "0123456789abc"); return err })
	p.heal()
	begun := time.Now()
	if _, err := s.Keys().Load(t.Context(), "0123456789abc"); err != nil {
		t.Errorf("Load() with a network again = %v", err)
	}
	t.Logf("a call answers %v after the network is back", time.Since(begun))
	w.waits(t, store.Change{}, 2)
	if took := time.Since(cut); took > 15*time.Second {
		t.Errorf("Watch listens again %v after the network was lost, want 15 s at most", took)
	}
	t.Logf("Watch listens again %v after the network was lost", time.Since(cut))
	mustDo(t, s.Keys().Revoke(t.Context(), "0123456789abc", now()))
	w.waits(t, store.Change{Kind: store.Key, ID: "0123456789abc"}, 1)

	p.cut()
	begun = time.Now()
	mustDo(t, s.Close())
	if took := time.Since(begun); took > 6*time.Second {
		t.Errorf("Close() without a network took %v", took)
	}
}

// testDeletes: calls that pick the same sessions do not wait for each other in
// a circle: each locks in the order of the ids, in whatever order it finds them.
func testDeletes(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	owner := someUser(t, s, "ann")
	add := func(id session.ID) {
		t.Helper()
		someSession(t, s, owner.ID, func(rec *session.Record) {
			rec.ID, rec.Issuer, rec.Subject = id, "https://id", "ann"
		})
	}
	first, last := session.ID{0: 1}, session.ID{0: 0xff}
	for _, m := range []session.Match{{User: owner.ID}, {Issuer: "https://id", Subject: "ann"}} {
		add(last) // found before the other
		add(first)
		conn := raw(t, url)
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		const lock = "SELECT 1 FROM gatewright_sessions WHERE id = $1 FOR UPDATE NOWAIT"
		if _, err := conn.Exec(t.Context(), lock, first[:]); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			if n, err := s.Sessions().Delete(t.Context(), m); n != 2 || err != nil {
				t.Errorf("Delete(%+v) = %d, %v, want 2", m, n, err)
			}
		})
		for begun := time.Now(); ask[int](t, url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0; {
			if time.Sleep(10 * time.Millisecond); time.Since(begun) > 5*time.Second {
				t.Fatal("Delete() does not wait for a session that somebody holds")
			}
		}
		if _, err := conn.Exec(t.Context(), lock, last[:]); err != nil {
			t.Errorf("Delete(%+v) holds the last session while it waits for the first: %v", m, err)
		}
		if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		wait.Wait()
	}
}
