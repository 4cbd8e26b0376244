// Package sqlite keeps a server's records in one SQLite file. It needs nothing
// installed and serves one host; several processes there may share the file.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver of database/sql

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

// Driver opens URLs such as sqlite:server.db (relative to the working
// directory) and sqlite:/var/lib/blog/server.db. What follows the colon is the
// path as it stands: there are no options and no escapes.
var Driver store.Driver = driver{}

type driver struct{}

func (driver) Schemes() []string { return []string{"sqlite"} }

func (driver) Open(ctx context.Context, url string) (store.Shared, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok {
		return nil, errors.New("sqlite: the URL does not begin with the scheme sqlite")
	}
	s, err := Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return s, nil
}

const (
	// callTime bounds every call, waiting for a lock included.
	callTime = 5 * time.Second
	// lockTime bounds the wait for another process's lock; shorter than
	// callTime, so that the error says that it was the lock.
	lockTime = 4 * time.Second
	// readers is how many calls read at once.
	readers = 8
)

// A Store is an open file. It is a store.Stores.
type Store struct {
	// One connection writes, so that writers of this process queue in order
	// instead of trying for SQLite's lock in turns; the others only read.
	write, read *sql.DB
	loadKey     *sql.Stmt
	loadUser    *sql.Stmt
	loadSession *sql.Stmt
	loadRevoked *sql.Stmt
}

// Open opens the file at path and brings its tables up to date. Where there is
// no file it makes one that its owner alone may read (mode 0600, as are the
// -wal and -shm files beside it); the folder must exist. It refuses a file that
// group or others may read, write or execute (on Windows, which has no such
// mode, this is not checked): who can write it can make themselves a key. All changes are on
// disk when a call returns. The file may hold tables of the application too:
// those of this package begin with gatewright_.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := create(abs); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	s, err := open(ctx, abs)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	return s, nil
}

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("sqlite: the path is empty: write sqlite:server.db")
	case strings.ContainsAny(path, "?#"):
		return errors.New("sqlite: the path has a ? or #: options are not taken")
	case strings.HasPrefix(path, ":"):
		return errors.New("sqlite: a store in memory is not offered: its keys would be gone with the program")
	case strings.HasPrefix(path, "file:"), strings.HasPrefix(path, "//"):
		return errors.New("sqlite: what follows sqlite: is a plain path: sqlite:server.db or sqlite:/var/lib/server.db")
	case strings.ContainsRune(path, 0):
		return errors.New("sqlite: the path has a NUL byte")
	}
	return nil
}

// create makes an empty file for SQLite to fill, which by itself would make
// one that others can read. The files beside it get the mode of this one. A
// file that is there already must be as closed.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return checkModes(path)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// checkModes refuses a file that is open to others, and closes those beside it,
// which SQLite may have made when the file was still open to them.
func checkModes(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := checkMode(path, info); err != nil || runtime.GOOS == "windows" {
		return err
	}
	for _, beside := range []string{path + "-wal", path + "-shm"} {
		if err := os.Chmod(beside, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkMode refuses what is no file, or one that is open to others.
func checkMode(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%s is open to group or others (mode %04o): run chmod 600 %s", path, mode, path)
	}
	return nil
}

func open(ctx context.Context, path string) (*Store, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*callTime)
	defer cancel()
	s := &Store{}
	if err := s.prepare(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context, path string) (err error) {
	// FULL: a revocation that was answered survives a loss of power.
	s.write, err = sql.Open("sqlite", dsn(path, "_journal_mode=WAL", "_synchronous=FULL", "_foreign_keys=1"))
	if err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write, migrations); err != nil {
		return err
	}
	s.read, err = sql.Open("sqlite", dsn(path, "_query_only=1"))
	if err != nil {
		return err
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	for statement, query := range map[**sql.Stmt]string{
		&s.loadKey:     loadKey,
		&s.loadUser:    selectUser + " WHERE id = ?",
		&s.loadSession: selectSession + " WHERE id = ?",
		&s.loadRevoked: selectRevoked,
	} {
		if *statement, err = s.read.PrepareContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// dsn is the URI under which the library opens path. mode=rw: the file has
// been created, and one that went away is not to come back empty.
func dsn(path string, options ...string) string {
	all := append([]string{"mode=rw", "_dqs=0", "_defensive=1", fmt.Sprintf("_busy_timeout=%d", lockTime.Milliseconds())}, options...)
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: strings.Join(all, "&")}
	return u.String()
}

// Keys returns the keys in the file.
func (s *Store) Keys() apikey.Store { return keys{s} }

// Users returns the people in the file.
func (s *Store) Users() user.Store { return users{s} }

// Sessions returns the sessions in the file.
func (s *Store) Sessions() session.Store { return sessions{s} }

// Revocations returns what ends sessions that are not in the file.
func (s *Store) Revocations() session.Revocations { return revocations{s} }

// Marks returns what has been used once.
func (s *Store) Marks() session.Marks { return marks{s} }

// Locks returns the locks that all programs with the file share.
func (s *Store) Locks() session.Locks { return locks{s} }

// Limits returns nil: the programs with the file count for themselves.
func (s *Store) Limits() limit.Shared { return nil }

// Watch returns at once: SQLite tells nobody what another program has written.
func (s *Store) Watch(context.Context, func(store.Change)) {}

// Check tells whether the file can be read and has the tables of this program.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var version int
	if err := s.read.QueryRowContext(ctx, "SELECT version FROM gatewright_schema_version").Scan(&version); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	if version != len(migrations) {
		return fmt.Errorf("sqlite: tables have version %d and this program has %d", version, len(migrations))
	}
	return nil
}

// Close closes the file.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// exec runs a statement that changes something, within callTime, and returns
// how many rows it changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	return exec(ctx, s.write, query, args...)
}

func exec(ctx context.Context, in execer, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	result, err := in.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("sqlite: %w", err)
	}
	return result.RowsAffected()
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
