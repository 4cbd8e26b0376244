package sqlite

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
)

// TestFromVersion1: a file from before there were sessions keeps its keys and
// users, and takes sessions of those users.
func TestFromVersion1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	db, err := sql.Open("sqlite", path+"?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrate(t.Context(), db, migrations[:1]); err != nil {
		t.Fatalf("migrate() to version 1 = %v", err)
	}
	if _, err := db.Exec(`
INSERT INTO gatewright_users VALUES ('usr_00000000000000000001', 'https://id.example', '42', 'Ada', 'ada@example.org', 1, 1764054000123);
INSERT INTO gatewright_keys VALUES ('0123456789abc', 'live', randomblob(32), 'usr_00000000000000000001', NULL, '', 'laptop', '["apiKey"]', '["a"]', 1764054000123, 0, 0, 1764054000456)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatalf("Open() = %v", err)
		}
		defer s.Close()
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("Check() = %v", err)
		}
		owner, err := s.Users().Load(t.Context(), "usr_00000000000000000001")
		if err != nil || owner.Subject != "42" || !owner.Disabled || owner.Email != "ada@example.org" || owner.Created.UnixMilli() != 1764054000123 {
			t.Errorf("Load() = %+v, %v, want the user of version 1", owner, err)
		}
		key, err := s.Keys().Load(t.Context(), "0123456789abc")
		if err != nil || key.Environment != apikey.Live || key.Owner.User != owner.ID || key.Label != "laptop" || key.Revoked.UnixMilli() != 1764054000456 {
			t.Errorf("Load() = %+v, %v, want the key of version 1", key, err)
		}
		rec := session.Record{ID: session.ID{1}, User: owner.ID}
		if _, err := s.Sessions().Load(t.Context(), rec.ID); err == nil {
			continue // made the first time
		}
		if err := s.Sessions().Create(t.Context(), rec); err != nil {
			t.Errorf("Create() = %v", err)
		}
	}
}

// TestMillisUp: what is remembered until a time is not forgotten before it.
func TestMillisUp(t *testing.T) {
	exact := time.UnixMilli(1764054000123)
	for _, c := range []struct {
		t    time.Time
		want int64
	}{
		{exact, 1764054000123}, {exact.Add(1), 1764054000124}, {exact.Add(999_999), 1764054000124},
		{exact.Add(-1), 1764054000123}, {time.Time{}, 0},
	} {
		if got := millisUp(c.t); got != c.want {
			t.Errorf("millisUp(%v) = %d, want %d", c.t, got, c.want)
		}
	}
}
