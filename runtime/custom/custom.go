// Package custom makes authenticators of what an application verifies itself:
// passwords, tokens, or whole requests. Where they lie, how often they may be
// there and what a client is asked for is seen to here.
package custom

import (
	"context"
	"errors"
	"net/http"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A PasswordVerifier checks a user name and a password. Its method may be
// called concurrently.
type PasswordVerifier interface {
	// VerifyPassword says who signs in with password as name. ErrInvalid of
	// package gate: 401, for an unknown name as for a wrong password; a
	// *gate.LimitError: 429; any other error: 503.
	VerifyPassword(ctx context.Context, name, password string) (gate.Identity, error)
}

// A TokenVerifier checks a token of the application's own. Its method may be
// called concurrently.
type TokenVerifier interface {
	// VerifyToken says who token speaks of. Errors are as those of a
	// PasswordVerifier.
	VerifyToken(ctx context.Context, token string) (gate.Identity, error)
}

// A RequestVerifier checks a credential that says something of the request it
// comes with, such as a signature. Its method may be called concurrently.
type RequestVerifier interface {
	// VerifyRequest says who sent r with the credential c. Errors are as
	// those of a PasswordVerifier. r has no body: what has to be signed of it
	// is signed as a header such as Content-Digest (RFC 9530).
	VerifyRequest(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error)
}

// Basic returns the authenticator of an http scheme basic (RFC 7617) whose
// passwords v checks.
func Basic(v PasswordVerifier) (gate.Authenticator, error) {
	return nil, errors.New("custom: not there yet")
}

// Token returns the authenticator of a scheme whose tokens lie in one of places.
func Token(v TokenVerifier, places ...gate.Place) (gate.Authenticator, error) {
	return nil, errors.New("custom: not there yet")
}

// Request returns the authenticator of a scheme whose credentials lie in one of
// places and are checked with the request.
func Request(v RequestVerifier, places ...gate.Place) (gate.Authenticator, error) {
	return nil, errors.New("custom: not there yet")
}
