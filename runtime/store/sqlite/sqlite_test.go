package sqlite_test

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/store/storetest"
	"github.com/gatewright/gatewright/runtime/user"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, place string) store.Stores {
		s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(place, "server.db")}, sqlite.Driver)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ url, want string }{
		"no path":        {"sqlite:", "path is empty"},
		"options":        {"sqlite:" + dir + "/a.db?mode=ro", "options are not taken"},
		"fragment":       {"sqlite:" + dir + "/a.db#x", "options are not taken"},
		"memory":         {"sqlite::memory:", "not offered"},
		"URI":            {"sqlite:file:" + dir + "/a.db", "plain path"},
		"authority":      {"sqlite://a.db", "plain path"},
		"NUL":            {"sqlite:" + dir + "/a.db\x00", "NUL"},
		"folder":         {"sqlite:" + dir, ""},
		"missing folder": {"sqlite:" + dir + "/none/a.db", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := store.Open(t.Context(), store.Config{URL: c.url}, sqlite.Driver)
			if err == nil {
				s.Close()
				t.Fatalf("Open(%q) = nil, want an error", c.url)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open(%q) = %v, want %q in it", c.url, err, c.want)
			}
		})
	}
	if names := folder(t, dir); len(names) != 0 {
		t.Errorf("refused URLs left the files %q", names)
	}
}

// TestOpenPlainPath: what looks like an escape or an option of a URI is part
// of the name.
func TestOpenPlainPath(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.db", "a%3Fmode=ro.db", "a b.db", "ä&x=1.db", "%00.db", "a+b;c.db"} {
		s, err := sqlite.Open(t.Context(), filepath.Join(dir, name))
		if err != nil {
			t.Fatalf("Open(%q) = %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("after Open(%q): %v", name, err)
		}
	}
}

func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:server.db"}, sqlite.Driver)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(filepath.Join(dir, "server.db")); err != nil {
		t.Error(err)
	}
}

// TestFileModes: nobody else may read the file or those beside it, whatever
// the umask leaves.
func TestFileModes(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Users().Ensure(t.Context(), user.Local, "ada", user.Profile{}); err != nil {
		t.Fatal(err)
	}
	names := folder(t, dir)
	if len(names) != 3 {
		t.Errorf("files %q, want the database, -wal and -shm", names)
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode())
		}
	}
}

// TestFileGone: a file that was taken away is an error and not an empty store.
func TestFileGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	// Calls at once, so that new connections are made.
	var wait sync.WaitGroup
	for range 200 {
		wait.Go(func() {
			if recs, err := s.Keys().List(t.Context(), apikey.Query{Limit: 1}); err == nil && len(recs) > 0 {
				t.Errorf("List() = %+v", recs)
			}
		})
	}
	wait.Wait()
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made anew")
	}
}

func TestNewerTablesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	db := raw(t, path)
	mustExec(t, db, "UPDATE gatewright_schema_version SET version = version + 1")
	if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open() of newer tables = %v, want an error", err)
	}
	mustExec(t, db, "UPDATE gatewright_schema_version SET version = -1")
	if _, err := sqlite.Open(t.Context(), path); err == nil {
		t.Error("Open() of tables with version -1 = nil, want an error")
	}
}

// TestCheckNoticesOtherTables: a program that a newer one has overtaken says so.
func TestCheckNoticesOtherTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Fatalf("Check() = %v", err)
	}
	mustExec(t, raw(t, path), "UPDATE gatewright_schema_version SET version = version + 1")
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check() with newer tables = nil, want an error")
	}
}

// TestApplicationTables: the application may keep its tables in the same file.
func TestApplicationTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	db := raw(t, path)
	mustExec(t, db, "CREATE TABLE posts (id INTEGER PRIMARY KEY); INSERT INTO posts VALUES (7)")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var id int
	if err := db.QueryRow("SELECT id FROM posts").Scan(&id); err != nil || id != 7 {
		t.Errorf("posts has %d, %v, want 7", id, err)
	}
}

// TestOpenRace: several programs may start at once on a new file.
func TestOpenRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			s, err := sqlite.Open(t.Context(), path)
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
	wait.Wait()
}

// TestLockedFile: readers go on while another program writes; a writer waits,
// not for ever, and says that it could not write.
func TestLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rec := apikey.Record{ID: "0123456789abc", Environment: apikey.Test, Owner: apikey.Owner{Client: "c"}, Created: time.Now()}
	if err := s.Keys().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	other, err := raw(t, path).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Keys().Load(t.Context(), rec.ID); err != nil {
		t.Errorf("Load() while another program writes = %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Keys().Touch(ctx, rec.ID, time.Now()); err == nil {
		t.Error("Touch() while another program writes = nil, want an error")
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := s.Keys().Touch(t.Context(), rec.ID, time.Now()); err != nil {
		t.Errorf("Touch() after the lock was given back = %v", err)
	}
}

// TestDamagedRecords: a record that cannot be read whole is an error. Read as
// empty, the list of schemes would mean all of them.
func TestDamagedRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rec := apikey.Record{ID: "0123456789abc", Environment: apikey.Test, Owner: apikey.Owner{Client: "c"}, Schemes: []string{"a"}, Created: time.Now()}
	if err := s.Keys().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	for _, change := range []string{"schemes = 'null'", "schemes = ''", "schemes = '{}'", "scopes = 'null'", "hash = x'00'", "user_id = 'usr_x'", "client_id = NULL", "environment = 'prod'"} {
		if _, err := db.Exec("UPDATE gatewright_keys SET " + change); err == nil {
			t.Errorf("the table takes %s", change)
		}
	}
	mustExec(t, db, "PRAGMA ignore_check_constraints = ON; UPDATE gatewright_keys SET schemes = '[1]'")
	if got, err := s.Keys().Load(t.Context(), rec.ID); err == nil {
		t.Errorf("Load() of a damaged record = %+v, want an error", got)
	}
}

// raw opens the file past the store.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func mustExec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func folder(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := fs.ReadDir(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
