// Package postgres keeps a server's records in a PostgreSQL database, which
// any number of replicas share.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

// Driver opens URLs such as postgres://blog:PASSWORD@db.example/blog, with the
// parameters that PostgreSQL's own programs take and those of pgxpool.
var Driver store.Driver = driver{}

type driver struct{}

func (driver) Schemes() []string { return []string{"postgres", "postgresql"} }

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
	// lockTime bounds the wait for a row that another call changes.
	lockTime = 4 * time.Second
	// openTime bounds Open, waiting for another program's migration included.
	openTime = time.Minute
)

// A Store is an open database. It is a store.Stores.
type Store struct {
	pool *pgxpool.Pool
	life context.Context // ends with Close
	end  context.CancelFunc
}

// Open connects to the database of a URL and brings its tables up to date. They
// begin with gatewright_, in the first schema of the role's search_path, which
// the URL may set. All changes are on the server's disk when a call returns, if
// its synchronous_commit is left on. A server on another host must prove who it
// is (sslmode=verify-full) unless the URL says otherwise.
func Open(ctx context.Context, url string) (*Store, error) {
	cfg, err := parse(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s := &Store{pool: pool}
	s.life, s.end = context.WithCancel(context.Background())
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("postgres: %w", errors.Join(explain(err), s.Close()))
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	var encoding, commit string
	if err := s.pool.QueryRow(ctx, "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')").Scan(&encoding, &commit); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database has the encoding %s: make one with ENCODING 'UTF8'", encoding)
	}
	if commit == "off" {
		slog.WarnContext(ctx, "postgres: synchronous_commit is off: a key may work again after the database server has crashed, though it was revoked")
	}
	return migrate(ctx, s.pool, migrations)
}

// Keys returns the keys in the database.
func (s *Store) Keys() apikey.Store { return keys{s} }

// Users returns the people in the database.
func (s *Store) Users() user.Store { return users{s} }

// Sessions returns the sessions in the database.
func (s *Store) Sessions() session.Store { return sessions{s} }

// Revocations returns what ends sessions that are not in the database.
func (s *Store) Revocations() session.Revocations { return revocations{s} }

// Marks returns what has been used once.
func (s *Store) Marks() session.Marks { return marks{s} }

// Locks returns the locks that all replicas share.
func (s *Store) Locks() session.Locks { return locks{s} }

// Limits returns nil: to write a row for each failed attempt would let anybody
// keep the database busy. Replicas count for themselves, or in Redis.
func (s *Store) Limits() limit.Shared { return nil }

// Check tells whether the database answers and has the tables of this program.
func (s *Store) Check(ctx context.Context) error {
	version, err := one(ctx, s, scanNumber, selectVersion)
	if err != nil {
		return err
	}
	if version != int64(len(migrations)) {
		return fmt.Errorf("postgres: tables have version %d and this program has %d", version, len(migrations))
	}
	return nil
}

// Close closes all connections, and ends Watch. Calls under way end first.
// Connections to a server that does not answer are left to end by themselves.
func (s *Store) Close() error {
	s.end()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(callTime):
	}
	return nil
}

// within is the context of one call, which ends after callTime. A caller that
// goes away does not end it: the statement is nearly done, and to break it off
// costs the connection, so that many such callers would leave none for others.
func within(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	end := time.Now().Add(callTime)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	return ctx, cancel, nil
}

// A row is one result, of pgx.Row or pgx.Rows.
type row interface{ Scan(into ...any) error }

// one runs a statement and scans its first row.
func one[T any](ctx context.Context, s *Store, scan func(row) (T, error), query string, args ...any) (none T, err error) {
	if err := checkArgs(args); err != nil {
		return none, err
	}
	ctx, cancel, err := within(ctx)
	if err != nil {
		return none, fmt.Errorf("postgres: %w", err)
	}
	defer cancel()
	return scan(s.pool.QueryRow(ctx, query, args...))
}

// many runs a statement and scans all rows.
func many[T any](ctx context.Context, s *Store, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	if err := checkArgs(args); err != nil {
		return nil, err
	}
	ctx, cancel, err := within(ctx)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	defer cancel()
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return all, nil
}

// exec runs a statement that changes something and returns how many rows it
// changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, cancel, err := within(ctx)
	if err != nil {
		return 0, fmt.Errorf("postgres: %w", err)
	}
	defer cancel()
	return exec(ctx, s.pool, query, args...)
}

// An execer is a pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func exec(ctx context.Context, in execer, query string, args ...any) (int64, error) {
	if err := checkArgs(args); err != nil {
		return 0, err
	}
	tag, err := in.Exec(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("postgres: %w", err)
	}
	return tag.RowsAffected(), nil
}

// checkArgs refuses text that PostgreSQL cannot hold, before it is sent: within
// a statement of simple_protocol a NUL byte would end the message.
func checkArgs(args []any) error {
	for _, a := range args {
		ok := true
		switch a := a.(type) {
		case string:
			ok = isText(a)
		case *string:
			ok = a == nil || isText(*a)
		case []string:
			ok = isText(a...)
		}
		if !ok {
			return errors.New("postgres: a value is not text in UTF-8, or has a NUL byte")
		}
	}
	return nil
}

// isText tells whether PostgreSQL can hold texts. No record has one that it
// cannot.
func isText(texts ...string) bool {
	for _, t := range texts {
		if !utf8.ValidString(t) || strings.ContainsRune(t, 0) {
			return false
		}
	}
	return true
}

// scanNumber scans a number; NULL is 0.
func scanNumber(r row) (int64, error) {
	var n *int64
	if err := r.Scan(&n); err != nil {
		return 0, fmt.Errorf("postgres: %w", err)
	}
	if n == nil {
		return 0, nil
	}
	return *n, nil
}

// notFound is what a lookup without a result is told as.
func notFound(err, as error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return as
	}
	return fmt.Errorf("postgres: %w", err)
}

// millis is t as it is stored; 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// millisUp is t as it is stored where a fraction of a millisecond is rounded
// up: nothing is forgotten early.
func millisUp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Add(time.Millisecond - time.Nanosecond).UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
