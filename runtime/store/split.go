package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
)

// A split keeps keys and users in one store and everything else in another.
type split struct {
	Stores
	sessions Shared
}

func (s *split) Sessions() session.Store          { return s.sessions.Sessions() }
func (s *split) Revocations() session.Revocations { return s.sessions.Revocations() }
func (s *split) Marks() session.Marks             { return s.sessions.Marks() }
func (s *split) Locks() session.Locks             { return s.sessions.Locks() }
func (s *split) Limits() limit.Shared             { return s.sessions.Limits() }

func (s *split) Watch(ctx context.Context, changed func(Change)) {
	var one sync.Mutex
	in := func(c Change) {
		one.Lock()
		defer one.Unlock()
		changed(c)
	}
	var both sync.WaitGroup
	both.Go(func() { s.Stores.Watch(ctx, in) })
	both.Go(func() { s.sessions.Watch(ctx, in) })
	both.Wait()
}

// Sweep sweeps both, also where one does not answer.
func (s *split) Sweep(ctx context.Context, now time.Time) error {
	return errors.Join(s.Stores.Sweep(ctx, now), s.sessions.Sweep(ctx, now))
}

func (s *split) Check(ctx context.Context) error {
	errs := make([]error, 2)
	var both sync.WaitGroup
	both.Go(func() { errs[0] = s.Stores.Check(ctx) })
	both.Go(func() { errs[1] = s.sessions.Check(ctx) })
	both.Wait()
	return errors.Join(errs...)
}

func (s *split) Close() error { return errors.Join(s.Stores.Close(), s.sessions.Close()) }
