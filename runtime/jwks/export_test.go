package jwks

import (
	"context"
	"time"
)

// Held gives the keys that s holds, to be told from others.
func Held(s *Set) any { return s.held }

// Newer gives what newer gives for keys that Held gave.
func Newer(ctx context.Context, s *Set, held any) (any, error) { return s.newer(ctx, held.(*keys)) }

// Settle waits until nothing is fetched.
func Settle(s *Set) {
	for {
		s.mu.Lock()
		f := s.flight
		s.mu.Unlock()
		if f == nil {
			return
		}
		select {
		case <-f.done:
		case <-time.After(10 * time.Second):
			return
		}
	}
}
