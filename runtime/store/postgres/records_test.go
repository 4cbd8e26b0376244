package postgres_test

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/user"
)

// testOtherRecord: a record that was not asked for is an error, and neither
// taken nor "not found".
func testOtherRecord(t *testing.T, server *testenv.PostgresServer) {
	p, far := through(t, database(t, server))
	s := mustOpen(t, far)
	mustCreate(t, s, "0123456789abc")
	owner := someUser(t, s, "subject-a")
	signedIn := someSession(t, s, owner.ID, func(*session.Record) {})
	otherSession := signedIn.ID
	otherSession[31] ^= 1
	load := map[string]func() error{
		"key":  func() error { _, err := s.Keys().Load(t.Context(), "0123456789abc"); return err },
		"user": func() error { _, err := s.Users().Load(t.Context(), owner.ID); return err },
		"login": func() error {
			_, err := s.Users().Ensure(t.Context(), user.Local, "subject-a", user.Profile{})
			return err
		},
		"issuer": func() error {
			_, err := s.Users().Ensure(t.Context(), user.Local, "subject-a", user.Profile{})
			return err
		},
		"session": func() error { _, err := s.Sessions().Load(t.Context(), signedIn.ID); return err },
	}
	for what, swapped := range map[string][2]string{
		"key":     {"0123456789abc", "0123456789abd"},
		"user":    {owner.ID, user.NewID()},
		"login":   {"subject-a", "subject-b"},
		"issuer":  {user.Local, "https://id.example/1"},
		"session": {string(signedIn.ID[:]), string(otherSession[:])},
	} {
		mustDo(t, load[what]())
		p.swap([]byte(swapped[0]), []byte(swapped[1]))
		fails(t, "Load of a "+what+" that is another", time.Second, load[what])
		p.swap(nil, nil)
		mustDo(t, load[what]())
	}
}

// testDamaged: a record that cannot be read whole is an error. Read as empty,
// the list of schemes would mean all of them.
func testDamaged(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	mustCreate(t, s, "0123456789abc")
	owner := someUser(t, s, "ann")
	signedIn := someSession(t, s, owner.ID, func(*session.Record) {})
	db := raw(t, url)
	for _, change := range []string{
		"gatewright_keys SET schemes = NULL", "gatewright_keys SET schemes = '{NULL}'", "gatewright_keys SET scopes = '{a,NULL}'", `gatewright_keys SET hash = '\x00'`,
		"gatewright_keys SET user_id = 'usr_x'", "gatewright_keys SET client_id = NULL", "gatewright_keys SET environment = 'prod'",
		"gatewright_users SET scopes = '{NULL}'", "gatewright_sessions SET scopes = '[]'", `gatewright_sessions SET id = '\x00'`,
		"gatewright_sessions SET user_id = 'usr_x'", `gatewright_sessions SET tokens = ''`,
	} {
		if _, err := db.Exec(t.Context(), "UPDATE "+change); err == nil {
			t.Errorf("the tables take %s", change)
		}
	}
	mustExec(t, url, `ALTER TABLE gatewright_keys DROP CONSTRAINT gatewright_keys_schemes_check, DROP CONSTRAINT gatewright_keys_hash_check;
ALTER TABLE gatewright_sessions DROP CONSTRAINT gatewright_sessions_scopes_check;
UPDATE gatewright_keys SET schemes = '{NULL}'; UPDATE gatewright_sessions SET scopes = '{"a":"b"}'`)
	loadKey := func() error { _, err := s.Keys().Load(t.Context(), "0123456789abc"); return err }
	fails(t, "Load of a key with damaged schemes", time.Second, loadKey)
	mustExec(t, url, `UPDATE gatewright_keys SET schemes = '{}', hash = '\x00'`)
	fails(t, "Load of a key with a damaged hash", time.Second, loadKey)
	fails(t, "Load of a session with damaged scopes", time.Second, func() error {
		_, err := s.Sessions().Load(t.Context(), signedIn.ID)
		return err
	})
}

// testText: what PostgreSQL cannot hold is refused in all modes, wherever it is.
func testText(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	for _, mode := range []string{"cache_statement", "exec", "simple_protocol"} {
		s := mustOpen(t, url+"&default_query_exec_mode="+mode)
		owner := someUser(t, s, "ann")
		for _, text := range []string{"a\x00b", "\xff"} {
			label, client, scope := key("0123456789abc"), key("0123456789abc"), key("0123456789abc")
			label.Label, client.Owner.Client, scope.Scopes = text, text, []string{"a", text}
			for what, err := range map[string]error{
				"label":  s.Keys().Create(t.Context(), label),
				"client": s.Keys().Create(t.Context(), client),
				"scope":  s.Keys().Create(t.Context(), scope),
				"scopes": s.Users().SetScopes(t.Context(), owner.ID, []string{text}),
			} {
				if err == nil || !strings.Contains(err.Error(), "not text in UTF-8") {
					t.Errorf("%s: a call with the %s %q = %v, want it refused", mode, what, text, err)
				}
			}
			// Nothing has it, which is known without asking.
			keys, err := s.Keys().List(t.Context(), apikey.Query{Owner: apikey.Owner{Client: text}, Limit: 1})
			if len(keys) != 0 || err != nil {
				t.Errorf("%s: List of the client %q = %d keys, %v, want none", mode, text, len(keys), err)
			}
			sessions, err := s.Sessions().List(t.Context(), text, 1)
			if len(sessions) != 0 || err != nil {
				t.Errorf("%s: List of the user %q = %d sessions, %v, want none", mode, text, len(sessions), err)
			}
			if n, err := s.Sessions().Delete(t.Context(), session.Match{User: owner.ID, Subject: text}); n != 0 || err != nil {
				t.Errorf("%s: Delete of the subject %q = %d, %v, want none", mode, text, n, err)
			}
		}
	}
}

// testLongText: what a provider says may be longer than an index of a tree takes.
func testLongText(t *testing.T, server *testenv.PostgresServer) {
	s := mustOpen(t, database(t, server))
	owner := someUser(t, s, "ann")
	long := func() string {
		b := make([]byte, 10_000)
		rand.Read(b)
		return hex.EncodeToString(b)
	}
	rec := someSession(t, s, owner.ID, func(rec *session.Record) {
		rec.Issuer, rec.Subject, rec.ProviderSession = long(), long(), long()
	})
	for _, m := range []session.Match{{Issuer: rec.Issuer, ProviderSession: long()}, {Subject: long()}} {
		if n, err := s.Sessions().Delete(t.Context(), m); n != 0 || err != nil {
			t.Errorf("Delete() of another's = %d, %v, want 0", n, err)
		}
	}
	if n, err := s.Sessions().Delete(t.Context(), session.Match{Issuer: rec.Issuer, Subject: rec.Subject, ProviderSession: rec.ProviderSession}); n != 1 || err != nil {
		t.Errorf("Delete() = %d, %v, want 1", n, err)
	}
}

// testLockClock: a replica whose clock is wrong holds a lock as long as it
// wants, and no longer; and it removes nothing that others go by.
func testLockClock(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	held, passed := session.KeyOf("held"), session.KeyOf("passed")
	mustDo(t, s.Revocations().Revoke(t.Context(), held, now(), now().Add(time.Hour)))
	until := time.Now().Add(time.Hour)
	if taken, err := s.Locks().Lock(t.Context(), session.KeyOf("exact"), "ann", until); !taken || err != nil {
		t.Errorf("Lock() = %v, %v", taken, err)
	}
	if late := ask[int64](t, url, "SELECT until FROM gatewright_locks") - postgres.MillisUp(until); late < 0 || late > 5000 {
		t.Errorf("a lock is held %d ms longer than it is wanted", late)
	}
	// The clock of a bubble stands in the year 2000.
	synctest.Test(t, func(t *testing.T) {
		if time.Now().Year() != 2000 {
			t.Fatal("the clock is right")
		}
		slow := mustOpen(t, url)
		for key, d := range map[session.Key]time.Duration{held: time.Hour, passed: 200 * time.Millisecond} {
			if taken, err := slow.Locks().Lock(t.Context(), key, "slow", time.Now().Add(d)); !taken || err != nil {
				t.Errorf("Lock() by a slow clock = %v, %v", taken, err)
			}
		}
	})
	if taken, err := s.Locks().Lock(t.Context(), held, "other", now().Add(time.Hour)); taken || err != nil {
		t.Errorf("Lock() of what one with a slow clock holds = %v, %v, want false", taken, err)
	}
	mustDo(t, s.Sweep(t.Context(), now().Add(10*365*24*time.Hour)))
	if taken, err := s.Locks().Lock(t.Context(), held, "other", now().Add(time.Hour)); taken || err != nil {
		t.Errorf("Lock() after Sweep() by a fast clock = %v, %v, want false", taken, err)
	}
	if at, err := s.Revocations().Revoked(t.Context(), held); at.IsZero() || err != nil {
		t.Errorf("Revoked() after Sweep() by a fast clock = %v, %v", at, err)
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if taken, err := s.Locks().Lock(t.Context(), passed, "other", now().Add(time.Hour)); err != nil || time.Since(begun) > 5*time.Second {
			t.Errorf("Lock() of what has passed = %v, %v", taken, err)
		} else if !taken {
			continue
		}
		break
	}
}

// testSweep: a call removes much but not without end, and passes over what
// somebody changes.
func testSweep(t *testing.T, server *testenv.PostgresServer) {
	url := database(t, server)
	s := mustOpen(t, url)
	fill := func(n int) {
		t.Helper()
		db := raw(t, url)
		if _, err := db.Exec(t.Context(), "INSERT INTO gatewright_marks SELECT sha256(gen_random_uuid()::text::bytea), 1, false FROM generate_series(1, $1::int)", n); err != nil {
			t.Fatal(err)
		}
		_ = db.Close(t.Context())
	}
	count := func() int { return ask[int](t, url, "SELECT count(*) FROM gatewright_marks") }
	fill(2500)
	mustDo(t, s.Sweep(t.Context(), now()))
	if n := count(); n != 0 {
		t.Errorf("Sweep() left %d of 2500 rows", n)
	}
	fill(21_000)
	mustDo(t, s.Sweep(t.Context(), now()))
	if n := count(); n != 1000 {
		t.Errorf("Sweep() left %d of 21000 rows, want 1000 for the next call", n)
	}
	mustDo(t, s.Sweep(t.Context(), now()))

	fill(5)
	other := raw(t, url)
	if _, err := other.Exec(t.Context(), "BEGIN; SELECT 1 FROM gatewright_marks LIMIT 2 FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	mustDo(t, s.Sweep(t.Context(), now()))
	if n := count(); n != 2 || time.Since(begun) > 2*time.Second {
		t.Errorf("Sweep() left %d rows after %v, want the 2 that are held, at once", n, time.Since(begun))
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
		if got := postgres.MillisUp(c.t); got != c.want {
			t.Errorf("millisUp(%v) = %d, want %d", c.t, got, c.want)
		}
	}
}
