// Package storetest is the contract that every store keeps: a backend's own
// tests run it.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

// An Opener opens the stores at place, an empty folder of the test's own.
// Opened again at the same place they hold the same records; a backend that
// keeps no files takes place as a name. The test closes what it opens.
type Opener func(t *testing.T, place string) store.Stores

// A SharedOpener opens stores that keep no keys and no users.
type SharedOpener func(t *testing.T, place string) store.Shared

// Run runs the contract against the stores that open opens.
func Run(t *testing.T, open Opener) {
	run(t, open, map[string]func(*testing.T, Opener){
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
		"rotate":          testRotate,
		"rotate race":     testRotateRace,
		"relabel":         testRelabel,
		"sweep keys":      testSweepKeys,
		"sweep users":     testSweepUsers,
		"watch":           testWatch,
		"touch":           testTouch,
		"hostile text":    testHostileText,
		"reopen":          testReopen,
		"two openers":     testTwoOpeners,
		"cancelled":       testCancelled,
		"concurrent use":  testConcurrentUse,
		"session orphans": testSessionOrphans,
	})
	RunShared(t, func(t *testing.T, place string) store.Shared { return open(t, place) })
}

// RunShared runs the part of the contract that stores without keys and users
// keep too.
func RunShared(t *testing.T, open SharedOpener) {
	run(t, open, map[string]func(*testing.T, SharedOpener){
		"sessions":          testSessions,
		"session ended":     testEndedSession,
		"session not found": testSessionNotFound,
		"session race":      testSessionRace,
		"session touch":     testSessionTouch,
		"session tokens":    testSaveTokens,
		"session delete":    testSessionDelete,
		"session ends once": testSessionDeleteRace,
		"session list":      testSessionList,
		"session text":      testSessionText,
		"session use":       testSessionUse,

		"marks":              testMarks,
		"mark race":          testMarkRace,
		"locks":              testLocks,
		"lock again":         testLockAgain,
		"lock passed":        testLockPassed,
		"lock race":          testLockRace,
		"revocations":        testRevocations,
		"revocations kept":   testRevocationsKept,
		"revocation race":    testRevocationRace,
		"limits":             testLimits,
		"limit refill":       testLimitRefill,
		"limit race":         testLimitRace,
		"sweep":              testSweep,
		"watch shared":       testWatchShared,
		"reopen shared":      testReopenShared,
		"two openers shared": testTwoOpenersShared,
		"cancelled shared":   testCancelledShared,
	})
}

func run[O any](t *testing.T, open O, tests map[string]func(*testing.T, O)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// fresh opens stores at a new place and closes them when the test ends.
func fresh[S store.Shared](t *testing.T, open func(*testing.T, string) S) S {
	t.Helper()
	return opened(t, open, t.TempDir())
}

// pair opens stores twice at a new place and closes them when the test ends.
func pair[S store.Shared](t *testing.T, open func(*testing.T, string) S) (one, two S) {
	t.Helper()
	place := t.TempDir()
	return opened(t, open, place), opened(t, open, place)
}

func opened[S store.Shared](t *testing.T, open func(*testing.T, string) S, place string) S {
	t.Helper()
	s := open(t, place)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// someUser makes a user with that subject; where stores keep no users it is
// one of whom they have not heard.
func someUser(t *testing.T, s store.Shared, subject string) user.Record {
	t.Helper()
	full, ok := s.(store.Stores)
	if !ok {
		return user.Record{ID: user.NewID()}
	}
	rec, err := full.Users().Ensure(t.Context(), user.Local, subject, user.Profile{})
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
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	s = open(t, place)
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check() = %v", err)
	}
	sameKey(t, mustLoad(t, s, rec.ID), rec)
	if got, err := s.Users().Load(t.Context(), owner.ID); err != nil || !sameUser(got, owner) {
		t.Errorf("Load(%q) = %+v, %v, want %+v", owner.ID, got, err, owner)
	}
}

// testTwoOpeners: what one opener writes holds for the next call of the other.
func testTwoOpeners(t *testing.T, open Opener) {
	one, two := pair(t, open)
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
}

// testCancelled: a call whose context has ended returns an error, and never
// one that says there is no such record.
func testCancelled(t *testing.T, open Opener) {
	s := fresh(t, open)
	owner := someUser(t, s, "somebody")
	rec := key("0123456789abc")
	mustCreate(t, s, rec)
	refuseEnded(t, map[string]func(context.Context) error{
		"Keys.Create":       func(ctx context.Context) error { return s.Keys().Create(ctx, key("0123456789abd")) },
		"Keys.Load":         func(ctx context.Context) error { _, err := s.Keys().Load(ctx, rec.ID); return err },
		"Keys.List":         func(ctx context.Context) error { _, err := s.Keys().List(ctx, apikey.Query{Limit: 1}); return err },
		"Keys.Revoke":       func(ctx context.Context) error { return s.Keys().Revoke(ctx, rec.ID, instant()) },
		"Keys.Rotate":       func(ctx context.Context) error { return s.Keys().Rotate(ctx, rec.ID, later(), key("0123456789abe")) },
		"Keys.Relabel":      func(ctx context.Context) error { return s.Keys().Relabel(ctx, rec.ID, "x") },
		"Keys.Touch":        func(ctx context.Context) error { return s.Keys().Touch(ctx, rec.ID, instant()) },
		"Users.Ensure":      func(ctx context.Context) error { _, err := s.Users().Ensure(ctx, "i", "s", user.Profile{}); return err },
		"Users.Load":        func(ctx context.Context) error { _, err := s.Users().Load(ctx, owner.ID); return err },
		"Users.List":        func(ctx context.Context) error { _, err := s.Users().List(ctx, "", 1); return err },
		"Users.SetScopes":   func(ctx context.Context) error { return s.Users().SetScopes(ctx, owner.ID, nil) },
		"Users.SetDisabled": func(ctx context.Context) error { return s.Users().SetDisabled(ctx, owner.ID, true) },
	})
	if !mustLoad(t, s, rec.ID).Revoked.IsZero() {
		t.Error("a call with an ended context revoked a key")
	}
}

// refuseEnded makes calls with a context that has ended.
func refuseEnded(t *testing.T, calls map[string]func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls {
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		select {
		case err := <-done:
			if err == nil || isNotFound(err) {
				t.Errorf("%s with an ended context = %v, want an error of its own", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s with an ended context does not return", name)
		}
	}
}
