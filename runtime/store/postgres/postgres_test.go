package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/store/storetest"
	"github.com/gatewright/gatewright/runtime/user"
)

// TestPostgres runs what leaves the server alone against one server.
func TestPostgres(t *testing.T) {
	server := testenv.Postgres(t, "max_connections=400")
	for name, test := range map[string]func(*testing.T, *testenv.PostgresServer){
		"modes":           testModes,
		"migration race":  testMigrationRace,
		"migration steps": testMigrationSteps,
		"migration wait":  testMigrationWait,
		"newer tables":    testNewerTables,
		"few rights":      testFewRights,
		"search path":     testSearchPath,
		"encoding":        testEncoding,
		"collation":       testCollation,
		"read only":       testReadOnly,
		"commit off":      testCommitOff,

		"held row":       testHeldRow,
		"slow statement": testSlowStatement,
		"server limits":  testServerLimits,
		"caller gone":    testCallerGone,
		"deadline":       testDeadline,
		"pool":           testPool,
		"dead network":   testDeadNetwork,
		"deletes":        testDeletes,

		"watch again":  testWatchAgain,
		"watch close":  testWatchClose,
		"told if kept": testToldIfKept,

		"other record": testOtherRecord,
		"damaged":      testDamaged,
		"text":         testText,
		"long text":    testLongText,
		"lock clock":   testLockClock,
		"sweep":        testSweep,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
	t.Run("contract", func(t *testing.T) {
		storetest.Run(t, opener(func(t *testing.T) string { return database(t, server) }))
	})
}

// opener opens what each place's own URL names.
func opener(url func(t *testing.T) string) storetest.Opener {
	var mu sync.Mutex
	at := map[string]string{}
	return func(t *testing.T, place string) store.Stores {
		mu.Lock()
		if at[place] == "" {
			at[place] = url(t)
		}
		here := at[place]
		mu.Unlock()
		s, err := store.Open(t.Context(), store.Config{URL: here}, postgres.Driver)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

var databases atomic.Int32

// database makes a database and returns its URL.
func database(t *testing.T, server *testenv.PostgresServer, how ...string) string {
	t.Helper()
	name := fmt.Sprintf("test%d", databases.Add(1))
	mustExec(t, server.URL(), "CREATE DATABASE "+name+" "+strings.Join(how, " "))
	return server.Database(name)
}

// raw connects past the store, until the test ends.
func raw(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func mustExec(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// ask scans one value.
func ask[T any](t *testing.T, url, query string, args ...any) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

// mustOpen opens a store until the test ends.
func mustOpen(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// mustDo reports err; it may be called from any goroutine.
func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func key(id string) apikey.Record {
	return apikey.Record{ID: id, Environment: apikey.Test, Owner: apikey.Owner{Client: "robot"}, Schemes: []string{"a"}, Created: now()}
}

func mustCreate(t *testing.T, s store.Stores, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := s.Keys().Create(t.Context(), key(id)); err != nil {
			t.Fatalf("Create(%q) = %v", id, err)
		}
	}
}

func isNotFound(err error) bool {
	return errors.Is(err, user.ErrNotFound) || errors.Is(err, apikey.ErrNotFound) || errors.Is(err, session.ErrNotFound)
}

// testModes: the contract holds in the modes that old poolers need, and in
// schemas of one database.
func testModes(t *testing.T, server *testenv.PostgresServer) {
	for _, mode := range []string{"exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			at := database(t, server)
			storetest.Run(t, opener(func(t *testing.T) string {
				schema := fmt.Sprintf("schema%d", databases.Add(1))
				mustExec(t, at, "CREATE SCHEMA "+schema)
				return at + "&search_path=" + schema + "&pool_max_conns=4&default_query_exec_mode=" + mode
			}))
		})
	}
}
