package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
)

// later is a time to which what it is given for is remembered while a test runs.
func later() time.Time { return time.Now().Add(time.Hour) }

// before is a time that has passed.
func before() time.Time { return time.Now().Add(-time.Hour) }

// soon is a time that passes while a test waits for it with passes.
func soon() time.Time { return time.Now().Add(50 * time.Millisecond) }

// latest are two times for which one thing is remembered, of which the later
// counts.
var latest = map[string][2]func() time.Time{
	"longer": {before, later}, "long": {soon, later}, "the same": {later, later}, "shorter": {later, soon}, "passed": {later, before},
}

// passes waits for those of times that are soon.
func passes(times ...time.Time) {
	for _, at := range times {
		if d := time.Until(at); d < time.Second {
			time.Sleep(d + 5*time.Millisecond)
		}
	}
}

// mark calls Mark.
func mark(t *testing.T, s store.Shared, key session.Key, until time.Time) bool {
	t.Helper()
	first, err := s.Marks().Mark(t.Context(), key, until)
	if err != nil {
		t.Errorf("Mark() = %v", err)
	}
	return first
}

// lock calls Lock.
func lock(t *testing.T, s store.Shared, key session.Key, holder string, until time.Time) bool {
	t.Helper()
	taken, err := s.Locks().Lock(t.Context(), key, holder, until)
	if err != nil {
		t.Errorf("Lock(%q) = %v", holder, err)
	}
	return taken
}

// revoke calls Revoke.
func revoke(t *testing.T, s store.Shared, key session.Key, at, until time.Time) {
	t.Helper()
	if err := s.Revocations().Revoke(t.Context(), key, at, until); err != nil {
		t.Errorf("Revoke(%v) = %v", at, err)
	}
}

// revoked looks whether Revoked gives want.
func revoked(t *testing.T, s store.Shared, want time.Time, keys ...session.Key) {
	t.Helper()
	got, err := s.Revocations().Revoked(t.Context(), keys...)
	if err != nil || got != want {
		t.Errorf("Revoked of %d keys = %v, %v, want %v", len(keys), got, err, want)
	}
}

func testMarks(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	key := session.KeyOf("state", "a")
	if !mark(t, one, key, later()) {
		t.Error("Mark() of a new key = false, want true")
	}
	near := key
	near[31] ^= 1
	for name, again := range map[string]session.Key{"other parts": session.KeyOf("stat", "ea"), "one bit": near, "zero": {}} {
		if !mark(t, two, again, later()) {
			t.Errorf("Mark() of another key (%s) = false, want true", name)
		}
	}
	for range 3 {
		if mark(t, one, key, later()) || mark(t, two, key, later()) {
			t.Error("Mark() of a marked key = true, want false")
		}
	}
	// A mark is kept to the latest of its times.
	for name, until := range latest {
		key := session.KeyOf("kept", name)
		first, second := until[0](), until[1]()
		if !mark(t, one, key, first) {
			t.Errorf("Mark() of a new key, %s = false, want true", name)
		}
		if mark(t, two, key, second) && first.After(second) {
			t.Errorf("Mark() of a marked key, %s = true, want false", name)
		}
		passes(first, second)
		mustDo(t, one.Sweep(t.Context(), time.Now()))
		if mark(t, two, key, later()) {
			t.Errorf("Mark() of a key that was marked again, %s = true after Sweep, want false", name)
		}
	}
}

// testMarkRace: of many that use one thing at once, by whichever opener, one
// is told that it is the first.
func testMarkRace(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	for round := range 4 {
		key := session.KeyOf("code", fmt.Sprint(round))
		until := later()
		var firsts atomic.Int32
		var wait sync.WaitGroup
		start := make(chan struct{})
		for i := range 64 {
			s := []store.Shared{one, two}[i%2]
			wait.Go(func() {
				<-start
				// Some ask for longer than others.
				if mark(t, s, key, until.Add(time.Duration(i%3)*time.Minute)) {
					firsts.Add(1)
				}
			})
		}
		close(start)
		wait.Wait()
		if firsts.Load() != 1 {
			t.Errorf("%d of 64 calls of Mark were told that they are the first, want 1", firsts.Load())
		}
	}
}

func testLocks(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	key, other := session.KeyOf("refresh", "a"), session.KeyOf("refresh", "b")
	if !lock(t, one, key, "ann", later()) {
		t.Fatal("Lock() of a new key = false, want true")
	}
	if !lock(t, two, other, "bob", later()) {
		t.Error("Lock() of another key = false, want true")
	}
	for _, holder := range []string{"bob", "Ann", "ann ", "", "ann\u0301", "%"} {
		if lock(t, one, key, holder, later()) || lock(t, two, key, holder, later()) {
			t.Errorf("Lock(%q) of what another holds = true, want false", holder)
		}
		if err := two.Locks().Unlock(t.Context(), key, holder); err != nil {
			t.Errorf("Unlock(%q) of what another holds = %v, want nil", holder, err)
		}
	}
	if lock(t, two, key, "bob", later()) {
		t.Error("Lock() after Unlock by somebody else = true, want false")
	}
	if err := one.Locks().Unlock(t.Context(), key, "ann"); err != nil {
		t.Errorf("Unlock() = %v", err)
	}
	if !lock(t, two, key, "bob", later()) {
		t.Error("Lock() of what was given back = false, want true")
	}
	if lock(t, one, key, "ann", later()) {
		t.Error("Lock() by the former holder = true, want false")
	}
	for range 2 {
		if err := one.Locks().Unlock(t.Context(), session.KeyOf("never"), "ann"); err != nil {
			t.Errorf("Unlock() of what nobody holds = %v, want nil", err)
		}
	}
}

// testLockAgain: the holder takes its lock again, to hold it longer and never shorter.
func testLockAgain(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	for name, until := range latest {
		key := session.KeyOf("again", name)
		first, second := until[0](), until[1]()
		for _, u := range []time.Time{first, second} {
			if !lock(t, one, key, "ann", u) {
				t.Errorf("Lock() by its holder, %s = false, want true", name)
			}
		}
		passes(first, second)
		mustDo(t, two.Sweep(t.Context(), time.Now()))
		if lock(t, two, key, "bob", later()) {
			t.Errorf("Lock() of what another holds, taken again, %s = true, want false", name)
		}
	}
}

// testLockPassed: a lock whose time has passed is nobody's, swept or not.
func testLockPassed(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	key := session.KeyOf("passed")
	lock(t, one, key, "ann", before())
	if !lock(t, two, key, "bob", later()) {
		t.Error("Lock() of what has passed = false, want true")
	}
	if lock(t, one, key, "ann", later()) {
		t.Error("Lock() by the one whose time had passed = true, want false")
	}
	if err := one.Locks().Unlock(t.Context(), key, "ann"); err != nil {
		t.Errorf("Unlock() by the one whose time had passed = %v, want nil", err)
	}
	if lock(t, one, key, "cleo", later()) {
		t.Error("Lock() after Unlock by the one whose time had passed = true, want false")
	}

	// It does pass, and not early.
	key = session.KeyOf("passes")
	until := time.Now().Add(300 * time.Millisecond)
	if !lock(t, one, key, "ann", until) {
		t.Fatal("Lock() of a new key = false, want true")
	}
	for !lock(t, two, key, "bob", later()) {
		if time.Since(until) > 10*time.Second {
			t.Fatal("a lock is held ten seconds after its time")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if early := time.Until(until); early > 0 {
		t.Errorf("a lock was given to another %v before its time", early)
	}
}

// testLockRace: of many that want a lock at once one has it, and so on until
// all have had it.
func testLockRace(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	key := session.KeyOf("race")
	var taken, inside atomic.Int32
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		s := []store.Shared{one, two}[i%2]
		wait.Go(func() {
			<-start
			if lock(t, s, key, fmt.Sprint(i), later()) {
				taken.Add(1)
			}
		})
	}
	close(start)
	wait.Wait()
	if taken.Load() != 1 {
		t.Errorf("%d of 64 calls of Lock took the lock, want 1", taken.Load())
	}

	key = session.KeyOf("in turns")
	turns := 0 // guarded by the lock alone
	for i := range 16 {
		s := []store.Shared{one, two}[i%2]
		wait.Go(func() {
			holder := fmt.Sprint(i)
			for deadline := time.Now().Add(30 * time.Second); !lock(t, s, key, holder, later()); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Error("half a minute without the lock")
					return
				}
			}
			if inside.Add(1) != 1 {
				t.Error("two hold one lock")
			}
			turns++
			inside.Add(-1)
			mustDo(t, s.Locks().Unlock(t.Context(), key, holder))
		})
	}
	wait.Wait()
	if turns != 16 {
		t.Errorf("%d turns under the lock, want 16", turns)
	}
}

func testRevocations(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	at, never := instant(), time.Time{}
	key := session.KeyOf("user", "usr_a")
	revoked(t, one, never, key)
	revoked(t, one, never)
	for _, c := range []struct{ at, want time.Duration }{{0, 0}, {-time.Minute, 0}, {time.Millisecond, time.Millisecond}, {time.Minute, time.Minute}, {0, time.Minute}} {
		revoke(t, one, key, at.Add(c.at), later())
		revoked(t, two, at.Add(c.want), key)
	}
	// Sessions are made at whole milliseconds: one made after before stays.
	odd := session.KeyOf("odd")
	revoke(t, one, odd, at.Add(999*time.Microsecond), later())
	if got, err := two.Revocations().Revoked(t.Context(), odd); err != nil || !got.Truncate(time.Millisecond).Equal(at) {
		t.Errorf("Revoked() = %v, %v, want %v or a little later", got, err, at)
	}

	var keys []session.Key
	for i := range 12 {
		keys = append(keys, session.KeyOf("many", fmt.Sprint(i)))
	}
	revoked(t, one, never, keys...)
	revoke(t, one, keys[2], at.Add(2*time.Minute), later())
	revoke(t, one, keys[3], at.Add(30*time.Second), later())
	revoke(t, one, keys[7], at.Add(time.Minute), later())
	revoke(t, one, keys[11], at.Add(3*time.Minute), later())
	for _, c := range []struct {
		from, to int
		want     time.Time
	}{
		{0, 2, never}, {2, 3, at.Add(2 * time.Minute)}, {0, 3, at.Add(2 * time.Minute)}, {1, 5, at.Add(2 * time.Minute)}, {3, 7, at.Add(30 * time.Second)}, {4, 7, never}, {3, 8, at.Add(time.Minute)},
		{0, 8, at.Add(2 * time.Minute)}, {0, 12, at.Add(3 * time.Minute)}, {7, 11, at.Add(time.Minute)}, {8, 11, never},
	} {
		revoked(t, two, c.want, keys[c.from:c.to]...)
	}
	revoked(t, two, at.Add(time.Minute), keys[7], keys[7])
}

// testRevocationsKept: of two times the later counts, of both members.
func testRevocationsKept(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	at := instant()
	for name, until := range latest {
		key := session.KeyOf("kept", name)
		first, second := until[0](), until[1]()
		revoke(t, s, key, at, first)
		revoke(t, s, key, at, second)
		passes(first, second)
		mustDo(t, s.Sweep(t.Context(), time.Now()))
		revoked(t, s, at, key)
	}
}

func testRevocationRace(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	at, key := instant(), session.KeyOf("race")
	var wait sync.WaitGroup
	for i := range 40 {
		s := []store.Shared{one, two}[i%2]
		wait.Go(func() {
			mine := at.Add(time.Duration((i*7)%40) * time.Second)
			revoke(t, s, key, mine, later())
			if got, err := s.Revocations().Revoked(t.Context(), key); err != nil || got.Before(mine) {
				t.Errorf("Revoked() = %v, %v after Revoke(%v) returned", got, err, mine)
			}
		})
	}
	wait.Wait()
	revoked(t, one, at.Add(39*time.Second), key)
}

func testSweep(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	now := instant()
	owner := someUser(t, one, "owner")
	ending := func(idle, expires time.Duration) session.Record {
		rec := fullSession(owner.ID)
		rec.Idle, rec.Expires = now.Add(idle), now.Add(expires)
		mustCreateSession(t, one, rec)
		return rec
	}
	gone := map[string]session.Record{
		"not used":    ending(-time.Minute, time.Hour),
		"used":        ending(time.Hour, -time.Minute),
		"long ago":    ending(-2*time.Hour, -time.Hour),
		"at this now": ending(-time.Millisecond, time.Hour),
	}
	kept, touched := ending(time.Hour, 2*time.Hour), ending(-time.Minute, time.Hour)
	touched.Idle = now.Add(time.Minute)
	mustDo(t, two.Sessions().Touch(t.Context(), touched.ID, touched.Used, touched.Idle))
	late := ending(-time.Minute, -time.Second)
	late.Idle = now.Add(time.Hour)
	mustDo(t, two.Sessions().Touch(t.Context(), late.ID, late.Used, late.Idle))
	gone["used to the last"] = late

	// Yesterday nothing had ended.
	mustDo(t, two.Sweep(t.Context(), now.Add(-24*time.Hour)))
	for _, rec := range gone {
		loadsSession(t, one, rec)
	}

	old, fresh := session.KeyOf("old"), session.KeyOf("fresh")
	revoke(t, one, old, now, before())
	revoke(t, one, fresh, now, later())
	mark(t, one, old, before())
	mark(t, one, fresh, later())
	lock(t, one, old, "ann", before())
	lock(t, one, fresh, "ann", later())
	for range 2 {
		if err := two.Sweep(t.Context(), now); err != nil {
			t.Fatalf("Sweep() = %v", err)
		}
	}
	for name, rec := range gone {
		if _, err := one.Sessions().Load(t.Context(), rec.ID); !isNotFound(err) {
			t.Errorf("Load() of a session that had ended (%s) when Sweep was called = %v, want ErrNotFound", name, err)
		}
	}
	loadsSession(t, one, kept)
	loadsSession(t, one, touched)
	revoked(t, one, time.Time{}, old)
	revoked(t, one, now, fresh)
	if !mark(t, one, old, later()) || mark(t, one, fresh, later()) {
		t.Error("Sweep() kept a mark whose time had passed, or removed another")
	}
	if !lock(t, one, old, "bob", later()) || lock(t, one, fresh, "bob", later()) {
		t.Error("Sweep() kept a lock whose time had passed, or removed another")
	}
}

// testSweepUsers: nobody's account is swept.
func testSweepUsers(t *testing.T, open Opener) {
	s := fresh(t, open)
	owner := someUser(t, s, "owner")
	ended := leastSession(owner.ID)
	ended.Idle = before()
	mustCreateSession(t, s, ended)
	mustDo(t, s.Sweep(t.Context(), time.Now()))
	lacksSession(t, s, ended.ID)
	if got, err := s.Users().Load(t.Context(), owner.ID); err != nil || !sameUser(got, owner) {
		t.Errorf("Load() of a user after Sweep = %+v, %v, want %+v", got, err, owner)
	}
}

// testReopenShared: what was written is there after the stores were closed.
func testReopenShared(t *testing.T, open SharedOpener) {
	place := t.TempDir()
	s := open(t, place)
	signedIn, once, at := fullSession(someUser(t, s, "kept").ID), session.KeyOf("once"), instant()
	mustCreateSession(t, s, signedIn)
	revoke(t, s, once, at, later())
	if !mark(t, s, once, later()) || !lock(t, s, once, "ann", later()) {
		t.Error("Mark() or Lock() of a new key = false, want true")
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	s = open(t, place)
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check() = %v", err)
	}
	loadsSession(t, s, signedIn)
	revoked(t, s, at, once)
	if mark(t, s, once, later()) || lock(t, s, once, "bob", later()) {
		t.Error("Mark() or Lock() of what is marked and held = true, want false")
	}
}

// testTwoOpenersShared: what one opener writes holds for the next call of the
// other.
func testTwoOpenersShared(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	owner := someUser(t, one, "seen by both")
	signedIn := fullSession(owner.ID)
	mustCreateSession(t, one, signedIn)
	loadsSession(t, two, signedIn)
	signedIn.Tokens, signedIn.Scopes = []byte("refreshed"), map[string][]string{"login": {"less"}}
	mustDo(t, two.Sessions().SaveTokens(t.Context(), signedIn.ID, signedIn.Tokens, signedIn.Scopes))
	loadsSession(t, one, signedIn)
	if n, err := two.Sessions().Delete(t.Context(), session.Match{User: owner.ID}); n != 1 || err != nil {
		t.Errorf("Delete() = %d, %v, want 1", n, err)
	}
	lacksSession(t, one, signedIn.ID)
}

// testCancelledShared: a call whose context has ended returns an error, never
// one that says there is no such record, and changes nothing.
func testCancelledShared(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	owner := someUser(t, s, "somebody")
	signedIn, ended, made := fullSession(owner.ID), leastSession(owner.ID), leastSession(owner.ID)
	ended.Idle = ended.Created.Add(-time.Hour)
	mustCreateSession(t, s, signedIn, ended)
	once, bucket := session.KeyOf("once"), limit.Bucket{Name: "once", Burst: 1, Every: time.Hour}
	calls := map[string]func(context.Context) error{
		"Check":           func(ctx context.Context) error { return s.Check(ctx) },
		"Sessions.Create": func(ctx context.Context) error { return s.Sessions().Create(ctx, made) },
		"Sessions.Load":   func(ctx context.Context) error { _, err := s.Sessions().Load(ctx, signedIn.ID); return err },
		"Sessions.Touch":  func(ctx context.Context) error { return s.Sessions().Touch(ctx, signedIn.ID, later(), later()) },
		"Sessions.SaveTokens": func(ctx context.Context) error {
			return s.Sessions().SaveTokens(ctx, signedIn.ID, nil, map[string][]string{})
		},
		"Sessions.Delete": func(ctx context.Context) error {
			_, err := s.Sessions().Delete(ctx, session.Match{User: owner.ID})
			return err
		},
		"Sessions.List":       func(ctx context.Context) error { _, err := s.Sessions().List(ctx, owner.ID, 1); return err },
		"Revocations.Revoke":  func(ctx context.Context) error { return s.Revocations().Revoke(ctx, once, instant(), later()) },
		"Revocations.Revoked": func(ctx context.Context) error { _, err := s.Revocations().Revoked(ctx, once); return err },
		"Marks.Mark":          func(ctx context.Context) error { _, err := s.Marks().Mark(ctx, once, later()); return err },
		"Locks.Lock":          func(ctx context.Context) error { _, err := s.Locks().Lock(ctx, once, "ann", later()); return err },
		"Locks.Unlock":        func(ctx context.Context) error { return s.Locks().Unlock(ctx, once, "ann") },
		"Sweep":               func(ctx context.Context) error { return s.Sweep(ctx, time.Now()) },
	}
	if limits := s.Limits(); limits != nil {
		calls["Limits.Take"] = func(ctx context.Context) error { _, err := limits.Take(ctx, bucket); return err }
	}
	refuseEnded(t, calls)
	loadsSession(t, s, signedIn)
	loadsSession(t, s, ended)
	lacksSession(t, s, made.ID)
	revoked(t, s, time.Time{}, once)
	if !mark(t, s, once, later()) || !lock(t, s, once, "bob", later()) {
		t.Error("a call with an ended context marked or locked a key")
	}
	if s.Limits() != nil && take(t, s, bucket)[0] != 0 {
		t.Error("a call with an ended context took a token")
	}
}
