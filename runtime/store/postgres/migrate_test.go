package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/user"
)

// testMigrationRace: of several programs that start at once on a new database
// one makes the tables, and all run.
func testMigrationRace(t *testing.T, server *testenv.PostgresServer) {
	for range 3 {
		url := database(t, server)
		var wait sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			wait.Go(func() {
				<-start
				s, err := postgres.Open(t.Context(), url)
				if err != nil {
					t.Errorf("Open() = %v", err)
					return
				}
				defer s.Close()
				if _, err := s.Users().Ensure(t.Context(), user.Local, "ada", user.Profile{}); err != nil {
					t.Errorf("Ensure() = %v", err)
				}
			})
		}
		close(start)
		wait.Wait()
		if n := ask[int](t, url, "SELECT count(*) FROM gatewright_users"); n != 1 {
			t.Errorf("there are %d users, want 1", n)
		}
	}
}

// testMigrationSteps: each migration is made whole or not at all, and once.
func testMigrationSteps(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	steps := []string{
		"CREATE TABLE a (n int); INSERT INTO a VALUES (1)",
		"CREATE TABLE b (n int); INSERT INTO a VALUES (2); SELECT 1/0",
		"CREATE TABLE c (n int)",
	}
	look := func(version, rows, tables int) {
		t.Helper()
		if got := ask[int](t, url, "SELECT version FROM gatewright_schema_version"); got != version {
			t.Errorf("version %d, want %d", got, version)
		}
		if got := ask[int](t, url, "SELECT count(*) FROM a"); got != rows {
			t.Errorf("a has %d rows, want %d", got, rows)
		}
		if got := ask[int](t, url, "SELECT count(*) FROM pg_tables WHERE tablename IN ('a', 'b', 'c')"); got != tables {
			t.Errorf("%d tables, want %d", got, tables)
		}
	}
	if err := postgres.Migrate(t.Context(), pool, steps); err == nil || !strings.Contains(err.Error(), "migration 2") {
		t.Errorf("Migrate() = %v, want it to name migration 2", err)
	}
	look(1, 1, 1)
	steps[1] = strings.TrimSuffix(steps[1], "; SELECT 1/0")
	for range 2 {
		if err := postgres.Migrate(t.Context(), pool, steps); err != nil {
			t.Errorf("Migrate() = %v", err)
		}
		look(3, 2, 3)
	}

	// A migration may take longer than a call, and so may the wait for one.
	steps = append(steps, "SELECT pg_sleep(5.5)")
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() { mustDo(t, postgres.Migrate(t.Context(), limitedPool(t, url), steps)) })
	}
	wait.Wait()
	look(4, 2, 3)
}

// limitedPool has the limits of a store's connections.
func limitedPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	cfg, err := postgres.Parse(t.Context(), url)
	if err != nil {
		t.Error(err)
		return nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(pool.Close)
	return pool
}

// testMigrationWait: who waits for another's migration waits no longer than
// it was told to.
func testMigrationWait(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	if _, err := raw(t, url).Exec(t.Context(), fmt.Sprintf("SELECT pg_advisory_lock(%d)", 0x6761746577726967)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	fails(t, "Open while another program migrates", 3*time.Second, func() error {
		s, err := postgres.Open(ctx, url)
		if err == nil {
			_ = s.Close()
		}
		return err
	})
}

func testNewerTables(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	mustDo(t, s.Check(t.Context()))
	for version, want := range map[int]string{len(postgres.Migrations) + 1: "newer", -1: "version -1"} {
		mustExec(t, url, fmt.Sprintf("UPDATE gatewright_schema_version SET version = %d", version))
		if other, err := postgres.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open() of tables with version %d = %v, want an error", version, err)
			if err == nil {
				_ = other.Close()
			}
		}
		// A program that a newer one has overtaken says so.
		if err := s.Check(t.Context()); err == nil {
			t.Errorf("Check() of tables with version %d = nil, want an error", version)
		}
	}
	mustExec(t, url, "DROP TABLE gatewright_schema_version")
	fails(t, "Check without tables", time.Second, func() error { return s.Check(t.Context()) })
}

// testFewRights: a role that may not make tables can use those that are there.
func testFewRights(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	mustExec(t, server.Admin(), "CREATE ROLE few LOGIN PASSWORD 'correct-horse'")
	few := strings.Replace(url, "app:app@", "few:correct-horse@", 1)
	if _, err := postgres.Open(t.Context(), few); err == nil || !strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), "correct-horse") {
		t.Errorf("Open() by a role that may not make tables = %v, want an error without its password", err)
	}
	if _, err := postgres.Open(t.Context(), strings.Replace(few, "correct", "wrong", 1)); err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), "wrong-horse") {
		t.Errorf("Open() with a wrong password = %v, want an error without it", err)
	}
	_ = mustOpen(t, url)
	mustExec(t, url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO few; REVOKE INSERT, UPDATE, DELETE ON gatewright_schema_version FROM few")
	s := mustOpen(t, few)
	mustCreate(t, s, "0123456789abc")
	mustDo(t, s.Keys().Rotate(t.Context(), "0123456789abc", now(), key("0123456789abd")))
	mustDo(t, s.Sweep(t.Context(), now()))
}

// testSearchPath: tables are where the URL says, and there alone.
func testSearchPath(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	mustExec(t, url, "CREATE SCHEMA blog; CREATE SCHEMA shop")
	blog, shop := mustOpen(t, url+"&search_path=blog"), mustOpen(t, url+"&search_path=shop")
	mustCreate(t, blog, "0123456789abc")
	if _, err := shop.Keys().Load(t.Context(), "0123456789abc"); !isNotFound(err) {
		t.Errorf("Load() from the other schema = %v, want ErrNotFound", err)
	}
	if n := ask[int](t, url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("there are %d tables in the schema public", n)
	}
	if _, err := postgres.Open(t.Context(), url+"&search_path=nowhere"); err == nil || !strings.Contains(err.Error(), "search_path names no schema that exists") {
		t.Errorf("Open() with a schema that does not exist = %v", err)
	}
	// The application may keep its tables in the same place.
	if n := ask[int](t, url, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'blog' AND relname NOT LIKE 'gatewright\\_%' AND relkind IN ('r', 'i')"); n != 0 {
		t.Errorf("%d tables and indexes do not begin with gatewright_", n)
	}
}

func testEncoding(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server, "ENCODING 'SQL_ASCII' TEMPLATE template0")
	if _, err := postgres.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), "SQL_ASCII") {
		t.Errorf("Open() of a database that is not in UTF-8 = %v, want an error", err)
	}
}

// testCollation: ids are in the order of their bytes whatever the database's
// collation says.
func testCollation(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server, "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0")
	s := mustOpen(t, url)
	mustCreate(t, s, "b", "B", "a", "A", "1")
	recs, err := s.Keys().List(t.Context(), apikey.Query{Limit: 1000})
	var got string
	for _, rec := range recs {
		got += rec.ID
	}
	if got != "1ABab" || err != nil {
		t.Errorf("List() = %q, %v, want 1ABab", got, err)
	}
	if !ask[bool](t, url, "SELECT 'a' < 'B'") {
		t.Error("the database's own order is that of bytes too: the test shows nothing")
	}
	for _, table := range []string{"gatewright_users", "gatewright_keys"} {
		if n := ask[int](t, url, "SELECT count(*) FROM information_schema.columns WHERE table_name = $1 AND column_name = 'id' AND collation_name = 'C'", table); n != 1 {
			t.Errorf("the ids of %s are not in the order of bytes", table)
		}
	}
}

// testReadOnly: a server that takes no changes, as a standby, is refused: it
// answers with what was true before.
func testReadOnly(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	_ = mustOpen(t, url)
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	mustExec(t, url, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	if _, err := postgres.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), "read only") {
		t.Errorf("Open() of a database that takes no changes = %v, want an error", err)
	}
	mustDo(t, mustOpen(t, url+"&target_session_attrs=any").Check(t.Context()))
}

// testCommitOff: a setting that can lose a revocation is told.
func testCommitOff(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	log := logged(t)
	_ = mustOpen(t, url)
	if got := log.String(); got != "" {
		t.Errorf("Open() logged %q, want nothing", got)
	}
	_ = mustOpen(t, url+"&synchronous_commit=off")
	if got := log.String(); !strings.Contains(got, "synchronous_commit is off") {
		t.Errorf("Open() logged %q, want the setting named", got)
	}
}
