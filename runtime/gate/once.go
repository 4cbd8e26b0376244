package gate

import "context"

// onceKey is where the context of a request that several schemes look at has
// what was done for it.
type onceKey struct{}

// Once calls f and returns its error, unless the authenticator of another scheme
// has called Once with an equal key for the same request: then it returns what came
// of that. What counts one time only, such as a proof that is marked as used, is
// then good for each of the schemes that one credential is for. key has to have a
// type of the caller's own, and to name all that the result depends on; ctx is that
// which Verify was given, on whose goroutine Once is called.
func Once(ctx context.Context, key any, f func() error) error {
	done, _ := ctx.Value(onceKey{}).(map[any]error)
	if err, ok := done[key]; ok {
		return err
	}
	err := f()
	if done != nil {
		done[key] = err
	}
	return err
}
