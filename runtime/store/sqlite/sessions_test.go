package sqlite_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// opened is a new file with one user, and the file past the store.
func opened(t *testing.T) (*sqlite.Store, user.Record, *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	owner, err := s.Users().Ensure(t.Context(), user.Local, "ada", user.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	return s, owner, raw(t, path)
}

// someSession is a record with a session's tokens as they come from a provider.
func someSession(owner string, tokens int) session.Record {
	now := time.Now()
	rec := session.Record{
		User: owner, Provider: "main", Issuer: "https://id.example", Subject: "248289761001", ProviderSession: "08a5019c",
		Scopes:   map[string][]string{"login": {"posts:write", "posts:read"}},
		AuthTime: now, Created: now, Used: now, Idle: now.Add(30 * time.Minute), Expires: now.Add(12 * time.Hour),
		Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", Tokens: make([]byte, tokens),
	}
	rand.Read(rec.ID[:])
	rand.Read(rec.Tokens)
	return rec
}

// TestDamagedSessions: the tables take nothing that cannot be read, and what
// cannot be read is an error.
func TestDamagedSessions(t *testing.T) {
	s, owner, db := opened(t)
	rec, key := someSession(owner.ID, 10), session.KeyOf("k")
	if err := s.Sessions().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if err := s.Revocations().Revoke(t.Context(), key, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Marks().Mark(t.Context(), key, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Locks().Lock(t.Context(), key, "ann", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{
		"sessions SET scopes = 'null'", "sessions SET scopes = ''", "sessions SET scopes = '[]'", "sessions SET scopes = '{'",
		"sessions SET id = x'00'", "sessions SET id = NULL", "sessions SET user_id = 'usr_x'", "sessions SET tokens = x''", "sessions SET expires = 'never'",
		"revocations SET key = x'00'", "marks SET key = x'00'", "marks SET again = 2", "locks SET key = x'00'",
	} {
		if _, err := db.Exec("UPDATE gatewright_" + change); err == nil {
			t.Errorf("the table takes %s", change)
		}
	}
	mustExec(t, db, "PRAGMA ignore_check_constraints = ON")
	for _, scopes := range []string{`[]`, `{"a":["b"],"a":["c"]}`, `{"a":"b"}`, `{"a":[1]}`} {
		mustExec(t, db, "UPDATE gatewright_sessions SET scopes = '"+scopes+"'")
		if got, err := s.Sessions().Load(t.Context(), rec.ID); err == nil {
			t.Errorf("Load() of a session with the scopes %s = %+v, want an error", scopes, got)
		}
	}
	mustExec(t, db, "UPDATE gatewright_sessions SET scopes = '{}', id = x'00'")
	if got, err := s.Sessions().List(t.Context(), owner.ID, 10); err == nil {
		t.Errorf("List() with a damaged id = %+v, want an error", got)
	}
}

// TestSweepIsBounded: a call leaves what is more than it may take, the next
// ones take that, and a table that is full does not hold up the others.
func TestSweepIsBounded(t *testing.T) {
	s, _, db := opened(t)
	mustExec(t, db, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20007)
INSERT INTO gatewright_revocations (key, up_to, until) SELECT randomblob(32), 0, i FROM n;
INSERT INTO gatewright_locks (key, holder, until) VALUES (randomblob(32), 'ann', 1)`)
	count := func(table string) (n int) {
		if err := db.QueryRow("SELECT count(*) FROM gatewright_" + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for call := 1; call == 1 || count("revocations") > 0; call++ {
		if err := s.Sweep(t.Context(), time.Now()); err != nil || call > 21 {
			t.Fatalf("call %d of Sweep = %v", call, err)
		}
		if call == 1 && (count("revocations") < 7 || count("locks") > 0) {
			t.Errorf("the first call of Sweep left %d revocations and %d locks, want 7 or more and 0", count("revocations"), count("locks"))
		}
	}
}

// TestSweepUsesIndexes: it does not read through the tables.
func TestSweepUsesIndexes(t *testing.T) {
	_, _, db := opened(t)
	for table, end := range map[string]string{"sessions": "min(idle, expires)", "revocations": "until", "marks": "until", "locks": "until"} {
		var id, parent, unused int
		var plan string
		row := db.QueryRow("EXPLAIN QUERY PLAN SELECT 1 FROM gatewright_"+table+" WHERE "+end+" <= ?", 1)
		if err := row.Scan(&id, &parent, &unused, &plan); err != nil || plan[:6] != "SEARCH" {
			t.Errorf("the plan for %s is %q, %v, want a search", table, plan, err)
		}
	}
}

// TestLockedFileOnce: while another program writes nothing can be marked or
// locked, and it is not said that it was.
func TestLockedFileOnce(t *testing.T) {
	s, owner, db := opened(t)
	rec, key := someSession(owner.ID, 10), session.KeyOf("k")
	if err := s.Sessions().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, "BEGIN IMMEDIATE")
	if _, err := s.Sessions().Load(t.Context(), rec.ID); err != nil {
		t.Errorf("Load() while another program writes = %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if first, err := s.Marks().Mark(ctx, key, time.Now().Add(time.Hour)); first || err == nil {
		t.Errorf("Mark() while another program writes = %v, %v, want an error", first, err)
	}
	if taken, err := s.Locks().Lock(ctx, key, "ann", time.Now().Add(time.Hour)); taken || err == nil {
		t.Errorf("Lock() while another program writes = %v, %v, want an error", taken, err)
	}
	mustExec(t, db, "ROLLBACK")
	if first, err := s.Marks().Mark(t.Context(), key, time.Now().Add(time.Hour)); !first || err != nil {
		t.Errorf("Mark() = %v, %v, want true", first, err)
	}
}

// BenchmarkSession loads sessions of a file that holds many, without and with
// tokens, and does the other things that logins and refreshes wait for.
func BenchmarkSession(b *testing.B) {
	for name, tokens := range map[string]int{"no tokens": 0, "4 kB of tokens": 4000} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "server.db")
			s, err := sqlite.Open(b.Context(), path)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			owner, err := s.Users().Ensure(b.Context(), user.Local, "ada", user.Profile{})
			if err != nil {
				b.Fatal(err)
			}
			var ids []session.ID
			for range 2000 {
				rec := someSession(owner.ID, tokens)
				if err := s.Sessions().Create(b.Context(), rec); err != nil {
					b.Fatal(err)
				}
				ids = append(ids, rec.ID)
			}
			b.Run("load", func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := s.Sessions().Load(b.Context(), ids[i%len(ids)]); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("load parallel", func(b *testing.B) {
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						if _, err := s.Sessions().Load(b.Context(), ids[i%len(ids)]); err != nil {
							b.Error(err)
						}
					}
				})
			})
			b.Run("touch", func(b *testing.B) {
				at := time.Now()
				for i := 0; b.Loop(); i++ {
					at = at.Add(time.Millisecond)
					if err := s.Sessions().Touch(b.Context(), ids[i%len(ids)], at, at.Add(time.Hour)); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("revoked", func(b *testing.B) {
				keys := []session.Key{session.KeyOf("a"), session.KeyOf("b"), session.KeyOf("c"), session.KeyOf("d")}
				for b.Loop() {
					if _, err := s.Revocations().Revoked(b.Context(), keys...); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("mark", func(b *testing.B) {
				var key session.Key
				for b.Loop() {
					rand.Read(key[:])
					if _, err := s.Marks().Mark(b.Context(), key, time.Now().Add(time.Hour)); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
