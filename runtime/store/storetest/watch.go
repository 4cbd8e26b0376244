package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
)

// A watcher collects what it is told.
type watcher struct {
	mu   sync.Mutex
	told []store.Change
}

func (w *watcher) changed(c store.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, c)
}

func (w *watcher) has(c store.Change) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.told, c)
}

// hears waits until the watcher has been told of any of changes.
func (w *watcher) hears(t *testing.T, what string, changes ...store.Change) {
	t.Helper()
	for range 500 {
		if slices.ContainsFunc(changes, w.has) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Errorf("%s: a watcher has not been told any of %v, but %v", what, changes, w.told)
}

// watch watches s until the test ends, and returns when it listens. It is nil
// where this kind of store tells nobody.
func watch(t *testing.T, s store.Shared) *watcher {
	t.Helper()
	w := &watcher{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, w.changed)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("Watch() does not return when its context has ended")
		}
	})
	for range 1000 {
		if w.has(store.Change{}) {
			return w
		}
		select {
		case <-done:
			return nil
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("Watch() neither listens nor returns")
	return nil
}

// testWatch: what one opener changes, a watcher at another is told.
func testWatch(t *testing.T, open Opener) {
	one, two := pair(t, open)
	w := watch(t, two)
	if w == nil {
		return
	}
	owner := someUser(t, one, "watched")
	rec := key("0123456789abc")
	mustCreate(t, one, rec)
	mustDo(t, one.Keys().Revoke(t.Context(), rec.ID, instant()))
	w.hears(t, "Revoke", store.Change{Kind: store.Key, ID: rec.ID}, store.Change{Kind: store.Key})

	rotated := key("0123456789abd")
	mustCreate(t, one, rotated)
	mustDo(t, one.Keys().Rotate(t.Context(), rotated.ID, instant(), key("0123456789abe")))
	w.hears(t, "Rotate", store.Change{Kind: store.Key, ID: rotated.ID}, store.Change{Kind: store.Key})

	mustDo(t, one.Users().SetDisabled(t.Context(), owner.ID, true))
	w.hears(t, "SetDisabled", store.Change{Kind: store.User, ID: owner.ID}, store.Change{Kind: store.User})
	scoped := someUser(t, one, "with scopes")
	mustDo(t, one.Users().SetScopes(t.Context(), scoped.ID, []string{"posts:write"}))
	w.hears(t, "SetScopes", store.Change{Kind: store.User, ID: scoped.ID}, store.Change{Kind: store.User})
}

// testWatchShared is the same for what replicas share.
func testWatchShared(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	w := watch(t, two)
	if w == nil {
		return
	}
	owner := someUser(t, one, "watched")
	ended, refreshed, everywhere := fullSession(owner.ID), fullSession(owner.ID), fullSession(owner.ID)
	mustCreateSession(t, one, ended, refreshed, everywhere)
	if _, err := one.Sessions().Delete(t.Context(), session.Match{ID: ended.ID}); err != nil {
		t.Errorf("Delete() = %v", err)
	}
	w.hears(t, "Delete", store.Change{Kind: store.Session, ID: ended.ID.String()}, store.Change{Kind: store.Session})
	mustDo(t, one.Sessions().SaveTokens(t.Context(), refreshed.ID, nil, map[string][]string{}))
	w.hears(t, "SaveTokens", store.Change{Kind: store.Session, ID: refreshed.ID.String()}, store.Change{Kind: store.Session})
	if n, err := one.Sessions().Delete(t.Context(), session.Match{User: owner.ID}); n != 2 || err != nil {
		t.Errorf("Delete() = %d, %v, want 2", n, err)
	}
	w.hears(t, "Delete of all", store.Change{Kind: store.Session}, store.Change{Kind: store.Session, ID: everywhere.ID.String()})
	revoke(t, one, session.KeyOf("watched"), instant(), later())
	w.hears(t, "Revoke", store.Change{Kind: store.Revocation})
}
