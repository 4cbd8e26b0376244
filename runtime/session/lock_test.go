package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/session"
)

func TestWithLock(t *testing.T) {
	m, key := newMemory(), session.KeyOf("refresh", "x")
	inside, most, ran := 0, 0, 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			err := session.WithLock(t.Context(), m, key, time.Minute, func(context.Context) error {
				mu.Lock()
				inside++
				most, ran = max(most, inside), ran+1
				mu.Unlock()
				time.Sleep(time.Millisecond)
				mu.Lock()
				inside--
				mu.Unlock()
				return nil
			})
			if err != nil {
				t.Errorf("WithLock() = %v", err)
			}
		})
	}
	all.Wait()
	if most != 1 || ran != 10 {
		t.Errorf("%d held it at once, %d in all, want 1 and 10", most, ran)
	}
	if len(m.locks) != 0 {
		t.Error("the lock is not given back")
	}
}

func TestWithLockErrors(t *testing.T) {
	m, key := newMemory(), session.KeyOf("refresh", "x")
	fail := errors.New("f failed")
	if err := session.WithLock(t.Context(), m, key, time.Minute, func(context.Context) error { return fail }); !errors.Is(err, fail) || len(m.locks) != 0 {
		t.Errorf("WithLock() = %v, %d locks, want the error of f and the lock given back", err, len(m.locks))
	}
	func() {
		defer func() { _ = recover() }()
		_ = session.WithLock(t.Context(), m, key, time.Minute, func(context.Context) error { panic("f") })
	}()
	if len(m.locks) != 0 {
		t.Error("after a panic the lock is not given back")
	}
	// The caller has gone, and the lock is given back all the same.
	ctx, cancel := context.WithCancel(t.Context())
	if err := session.WithLock(ctx, m, key, time.Minute, func(context.Context) error { cancel(); return nil }); err != nil || len(m.locks) != 0 {
		t.Errorf("WithLock() = %v, %d locks, want nil and the lock given back", err, len(m.locks))
	}
	never := func(context.Context) error { t.Error("f runs without the lock"); return nil }
	if err := session.WithLock(t.Context(), m, key, 0, never); err == nil {
		t.Error("no lease: WithLock() = nil, want an error")
	}
	m.beSilent("Lock")
	if err := session.WithLock(t.Context(), m, key, time.Minute, never); !errors.Is(err, errSilent) {
		t.Errorf("store silent: WithLock() = %v", err)
	}
	m.beSilent()
	if ok, err := m.Lock(t.Context(), key, "another", time.Now().Add(time.Hour)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := session.WithLock(ctx, m, key, time.Minute, never); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("held by another: WithLock() = %v, want the context's error", err)
	}
	if m.locks[key].holder != "another" {
		t.Error("the lock of another is given back")
	}
	// A lock whose time has passed is nobody's.
	m.locks[key] = lock{"another", time.Now().Add(20 * time.Millisecond)}
	ran := false
	if err := session.WithLock(t.Context(), m, key, time.Minute, func(context.Context) error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("after its time: WithLock() = %v, ran %v", err, ran)
	}
	// An unlock that fails is no failure of f.
	m.beSilent("Unlock")
	if err := session.WithLock(t.Context(), m, session.KeyOf("y"), time.Minute, func(context.Context) error { return nil }); err != nil {
		t.Errorf("not given back: WithLock() = %v, want nil", err)
	}
}

// f is told to stop before the lock is another's.
func TestWithLockEnds(t *testing.T) {
	m, key := newMemory(), session.KeyOf("refresh", "x")
	err := session.WithLock(t.Context(), m, key, time.Second, func(ctx context.Context) error {
		<-ctx.Done()
		if left := time.Until(m.locks[key].until); left <= 0 {
			t.Errorf("f is told to stop %v after the lock ended", -left)
		}
		return ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WithLock() = %v, want DeadlineExceeded", err)
	}
}
