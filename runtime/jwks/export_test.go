package jwks

import "context"

// Held gives the keys that s holds, to be told from others.
func Held(s *Set) any { return s.held }

// Newer gives what newer gives for keys that Held gave.
func Newer(ctx context.Context, s *Set, held any) (any, error) { return s.newer(ctx, held.(*keys)) }
