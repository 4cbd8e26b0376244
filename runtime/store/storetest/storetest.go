// Package storetest is the contract that every store keeps: a backend's own
// tests run it.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

// An Opener opens the stores at place, an empty folder of the test's own.
// Opened again at the same place they hold the same records; a backend that
// keeps no files takes place as a name. The test closes what it opens.
type Opener func(t *testing.T, place string) store.Stores

// Run runs the contract against the stores that open opens.
func Run(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"users":           testUsers,
		"ensure race":     testEnsureRace,
		"user subjects":   testSubjects,
		"user list":       testUserList,
		"user refusals":   testUserRefusals,
		"keys":            testKeys,
		"key not found":   testKeyNotFound,
		"key ids":         testKeyIDs,
		"key create race": testCreateRace,
		"key list":        testKeyList,
		"revoke":          testRevoke,
		"revoke race":     testRevokeRace,
		"touch":           testTouch,
		"hostile text":    testHostileText,
		"reopen":          testReopen,
		"two openers":     testTwoOpeners,
		"cancelled":       testCancelled,
		"concurrent use":  testConcurrentUse,

		"sessions":          testSessions,
		"session ended":     testEndedSession,
		"session not found": testSessionNotFound,
		"session race":      testSessionRace,
		"session touch":     testSessionTouch,
		"session tokens":    testSaveTokens,
		"session delete":    testSessionDelete,
		"session list":      testSessionList,
		"session text":      testSessionText,
		"session use":       testSessionUse,

		"marks":            testMarks,
		"mark race":        testMarkRace,
		"locks":            testLocks,
		"lock again":       testLockAgain,
		"lock passed":      testLockPassed,
		"lock race":        testLockRace,
		"revocations":      testRevocations,
		"revocations kept": testRevocationsKept,
		"revocation race":  testRevocationRace,
		"sweep":            testSweep,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// fresh opens stores at a new place and closes them when the test ends.
func fresh(t *testing.T, open Opener) store.Stores {
	t.Helper()
	s := open(t, t.TempDir())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// someUser makes a user with that subject.
func someUser(t *testing.T, s store.Stores, subject string) user.Record {
	t.Helper()
	rec, err := s.Users().Ensure(t.Context(), user.Local, subject, user.Profile{})
	if err != nil {
		t.Fatalf("Ensure(%q) = %v", subject, err)
	}
	return rec
}

// instant is a time that stores can hold exactly.
func instant() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// key is a record of a key of a client, with every other member at its least.
func key(id string) apikey.Record {
	return apikey.Record{
		ID:          id,
		Environment: apikey.Test,
		Hash:        [32]byte{1, 2, 3},
		Owner:       apikey.Owner{Client: "robot"},
		Label:       "some key",
		Created:     instant(),
	}
}

// mustCreate adds a record.
func mustCreate(t *testing.T, s store.Stores, rec apikey.Record) {
	t.Helper()
	if err := s.Keys().Create(t.Context(), rec); err != nil {
		t.Fatalf("Create(%q) = %v", rec.ID, err)
	}
}

// mustLoad returns the record with that id.
func mustLoad(t *testing.T, s store.Stores, id string) apikey.Record {
	t.Helper()
	rec, err := s.Keys().Load(t.Context(), id)
	if err != nil {
		t.Fatalf("Load(%q) = %v", id, err)
	}
	return rec
}

// testReopen: what was written is there after the stores were closed.
func testReopen(t *testing.T, open Opener) {
	place := t.TempDir()
	s := open(t, place)
	owner := someUser(t, s, "kept")
	rec := full("0123456789abc", owner.ID)
	mustCreate(t, s, rec)
	signedIn, once, at := fullSession(owner.ID), session.KeyOf("once"), instant()
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
	sameKey(t, mustLoad(t, s, rec.ID), rec)
	if got, err := s.Users().Load(t.Context(), owner.ID); err != nil || got != owner {
		t.Errorf("Load(%q) = %+v, %v, want %+v", owner.ID, got, err, owner)
	}
	loadsSession(t, s, signedIn)
	revoked(t, s, at, once)
	if mark(t, s, once, later()) || lock(t, s, once, "bob", later()) {
		t.Error("Mark() or Lock() of what is marked and held = true, want false")
	}
}

// testTwoOpeners: what one opener writes holds for the next call of the other.
func testTwoOpeners(t *testing.T, open Opener) {
	place := t.TempDir()
	one, two := open(t, place), open(t, place)
	defer one.Close()
	defer two.Close()
	owner := someUser(t, one, "seen by both")
	rec := key("0123456789abc")
	mustCreate(t, one, rec)
	sameKey(t, mustLoad(t, two, rec.ID), rec)
	if err := two.Keys().Revoke(t.Context(), rec.ID, instant()); err != nil {
		t.Fatalf("Revoke() = %v", err)
	}
	if mustLoad(t, one, rec.ID).Revoked.IsZero() {
		t.Error("a key revoked by one opener is not revoked for the other")
	}
	if err := two.Users().SetDisabled(t.Context(), owner.ID, true); err != nil {
		t.Fatalf("SetDisabled() = %v", err)
	}
	if got, err := one.Users().Load(t.Context(), owner.ID); err != nil || !got.Disabled {
		t.Errorf("Load() = %+v, %v, want it disabled", got, err)
	}
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

// testCancelled: a call whose context has ended returns an error, and never
// one that says there is no such record.
func testCancelled(t *testing.T, open Opener) {
	s := fresh(t, open)
	owner := someUser(t, s, "somebody")
	rec := key("0123456789abc")
	mustCreate(t, s, rec)
	signedIn, ended, made := fullSession(owner.ID), leastSession(owner.ID), leastSession(owner.ID)
	ended.Idle = ended.Created.Add(-time.Hour)
	mustCreateSession(t, s, signedIn, ended)
	once := session.KeyOf("once")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Keys.Create":       func() error { return s.Keys().Create(ctx, key("0123456789abd")) },
		"Keys.Load":         func() error { _, err := s.Keys().Load(ctx, rec.ID); return err },
		"Keys.List":         func() error { _, err := s.Keys().List(ctx, apikey.Query{Limit: 1}); return err },
		"Keys.Revoke":       func() error { return s.Keys().Revoke(ctx, rec.ID, instant()) },
		"Keys.Touch":        func() error { return s.Keys().Touch(ctx, rec.ID, instant()) },
		"Users.Ensure":      func() error { _, err := s.Users().Ensure(ctx, "i", "s", user.Profile{}); return err },
		"Users.Load":        func() error { _, err := s.Users().Load(ctx, owner.ID); return err },
		"Users.List":        func() error { _, err := s.Users().List(ctx, "", 1); return err },
		"Users.SetDisabled": func() error { return s.Users().SetDisabled(ctx, owner.ID, true) },
		"Check":             func() error { return s.Check(ctx) },

		"Sessions.Create": func() error { return s.Sessions().Create(ctx, made) },
		"Sessions.Load":   func() error { _, err := s.Sessions().Load(ctx, signedIn.ID); return err },
		"Sessions.Touch":  func() error { return s.Sessions().Touch(ctx, signedIn.ID, later(), later()) },
		"Sessions.SaveTokens": func() error {
			return s.Sessions().SaveTokens(ctx, signedIn.ID, nil, map[string][]string{})
		},
		"Sessions.Delete":     func() error { _, err := s.Sessions().Delete(ctx, session.Match{User: owner.ID}); return err },
		"Sessions.List":       func() error { _, err := s.Sessions().List(ctx, owner.ID, 1); return err },
		"Revocations.Revoke":  func() error { return s.Revocations().Revoke(ctx, once, instant(), later()) },
		"Revocations.Revoked": func() error { _, err := s.Revocations().Revoked(ctx, once); return err },
		"Marks.Mark":          func() error { _, err := s.Marks().Mark(ctx, once, later()); return err },
		"Locks.Lock":          func() error { _, err := s.Locks().Lock(ctx, once, "ann", later()); return err },
		"Locks.Unlock":        func() error { return s.Locks().Unlock(ctx, once, "ann") },
		"Sweep":               func() error { return s.Sweep(ctx, time.Now()) },
	} {
		done := make(chan error, 1)
		go func() { done <- call() }()
		select {
		case err := <-done:
			if err == nil || isNotFound(err) {
				t.Errorf("%s with an ended context = %v, want an error of its own", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s with an ended context does not return", name)
		}
	}
	if !mustLoad(t, s, rec.ID).Revoked.IsZero() {
		t.Error("a call with an ended context revoked a key")
	}
	loadsSession(t, s, signedIn)
	loadsSession(t, s, ended)
	lacksSession(t, s, made.ID)
	revoked(t, s, time.Time{}, once)
	if !mark(t, s, once, later()) || !lock(t, s, once, "bob", later()) {
		t.Error("a call with an ended context marked or locked a key")
	}
}
