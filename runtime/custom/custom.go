// Package custom makes authenticators of what an application verifies itself:
// passwords, tokens, or whole requests. Where they lie, how often they may be
// there, how often one may fail, and what a client is asked for is seen to here.
package custom

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
)

// A PasswordVerifier checks a user name and a password. Its method may be
// called concurrently.
type PasswordVerifier interface {
	// VerifyPassword says who signs in with password as name. ErrInvalid of
	// package gate: 401, for an unknown name as for a wrong password; a
	// *gate.LimitError: 429; any other error: 503. Of an unknown name it takes
	// as long as of a wrong password.
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
	// those of a PasswordVerifier. r has no body: what is signed of it is
	// the header Content-Digest (RFC 9530), with which the body is compared
	// when it is read. That the header is there the verifier sees to; it is
	// there once at most.
	VerifyRequest(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error)
}

// A PasswordFunc is a function that is a PasswordVerifier.
type PasswordFunc func(ctx context.Context, name, password string) (gate.Identity, error)

// VerifyPassword implements PasswordVerifier.
func (f PasswordFunc) VerifyPassword(ctx context.Context, name, password string) (gate.Identity, error) {
	return f(ctx, name, password)
}

// A TokenFunc is a function that is a TokenVerifier.
type TokenFunc func(ctx context.Context, token string) (gate.Identity, error)

// VerifyToken implements TokenVerifier.
func (f TokenFunc) VerifyToken(ctx context.Context, token string) (gate.Identity, error) {
	return f(ctx, token)
}

// A RequestFunc is a function that is a RequestVerifier.
type RequestFunc func(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error)

// VerifyRequest implements RequestVerifier.
func (f RequestFunc) VerifyRequest(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	return f(ctx, r, c)
}

// Basic returns the authenticator of an http scheme basic (RFC 7617) whose
// passwords v checks. People choose passwords that can be guessed, so failures
// are held back by address and by name: 20 at once and one a second after, each
// of l's members that is zero. An address that has used up its tries is not
// looked at, but for names that were good from there, with which it has as many
// again. A right password from elsewhere is always taken. v is asked about a few
// passwords at once, 16 or one less than l.AddressBurst; more wait, for 10 s at
// most. It is an error if v is nil.
func Basic(v PasswordVerifier, l limit.Limits) (gate.Authenticator, error) {
	if isNil(v) {
		return nil, errors.New("custom: there is no verifier of passwords")
	}
	if err := l.Check(); err != nil {
		return nil, fmt.Errorf("custom: %w", err)
	}
	checks := maxChecks
	if l.AddressBurst > 0 {
		checks = min(checks, max(1, l.AddressBurst-1))
	}
	return &basic{
		verifier: v,
		limit:    limit.New(l, nil, slog.Default, time.Now),
		turns:    limit.NewTurns(checks, maxWaiting, checkTime),
	}, nil
}

const (
	// maxChecks is how many passwords are looked at at once: a hash takes long
	// on purpose. It is less than the tries of an address, so that a caller who
	// sends many requests at once with the right password is let in with all.
	maxChecks = 16
	// maxWaiting is how many more wait for their turn, each for checkTime.
	maxWaiting = 1024
	checkTime  = 10 * time.Second
)

type basic struct {
	verifier PasswordVerifier
	limit    *limit.Limiter
	turns    limit.Turns
}

var underBasic = gate.Authorization("basic")

// Find implements gate.Authenticator.
func (b *basic) Find(r *http.Request) (gate.Credential, bool, error) { return underBasic.Find(r) }

// Challenge implements gate.Authenticator.
func (b *basic) Challenge(cause error) string { return underBasic.Challenge(cause) }

// Verify implements gate.Authenticator.
func (b *basic) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	from := limit.Address(r)
	name, password, err := split(c.Value)
	if waits := b.limit.Before(from, name); waits != nil {
		return gate.Identity{}, waits
	}
	if err != nil {
		return gate.Identity{}, b.limit.Failed(ctx, from, "", fmt.Errorf("%w: custom: %w", gate.ErrInvalid, err))
	}
	end, err := b.turns.Take(ctx)
	if err != nil {
		return gate.Identity{}, fmt.Errorf("custom: checking a password: %w", err)
	}
	defer end()
	// Counted before the look: else all guesses that come while the first is
	// looked at would be looked at.
	attempt, err := b.limit.Attempt(from, name)
	if err != nil {
		return gate.Identity{}, err
	}
	who, err := b.verifier.VerifyPassword(ctx, name, password)
	switch {
	case errors.Is(err, gate.ErrInvalid):
		return gate.Identity{}, attempt.Failed(ctx, err)
	case err != nil:
		attempt.Undecided()
		return gate.Identity{}, err
	}
	attempt.Succeeded()
	return who, nil
}

// The longest credential read, and the longest name, in bytes: names that were
// tried are remembered.
const maxBasic, maxName = 1024, 255

// split takes name and password out of the credentials of Basic (RFC 7617,
// section 2). One pair has one spelling.
func split(credentials string) (name, password string, err error) {
	if len(credentials) > maxBasic {
		return "", "", fmt.Errorf("the credentials are longer than %d bytes", maxBasic)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(credentials)
	if err != nil || base64.StdEncoding.EncodeToString(b) != credentials {
		return "", "", errors.New("the credentials are not base64")
	}
	name, password, ok := strings.Cut(string(b), ":")
	switch {
	case !ok || name == "" || password == "":
		return "", "", errors.New("the credentials lack a name or a password")
	case len(name) > maxName:
		return "", "", fmt.Errorf("the name is longer than %d bytes", maxName)
	case !utf8.Valid(b) || strings.ContainsFunc(string(b), unicode.IsControl):
		return "", "", errors.New("the credentials are not text in UTF-8, or have control characters")
	}
	return name, password, nil
}

// Token returns the authenticator of a scheme whose tokens lie in one of
// places: a header, a query parameter, a cookie, or Authorization under a word.
// Who has none is asked for one in the first. It is an error if v is nil, or no
// token lies in a place, or a place is there twice.
func Token(v TokenVerifier, places ...gate.Place) (gate.Authenticator, error) {
	if isNil(v) {
		return nil, errors.New("custom: there is no verifier of tokens")
	}
	verify := func(ctx context.Context, _ *http.Request, c gate.Credential) (gate.Identity, error) {
		return v.VerifyToken(ctx, c.Value)
	}
	return at(places, verify)
}

// Request returns the authenticator of a scheme whose credentials lie in one of
// places, as those of Token, and are checked with the request.
func Request(v RequestVerifier, places ...gate.Place) (gate.Authenticator, error) {
	if isNil(v) {
		return nil, errors.New("custom: there is no verifier of requests")
	}
	verify := func(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
		// The body is compared with all lines as one, in which a later digest
		// takes the place of an earlier; a verifier that signs the first, as
		// Header.Get gives it, would let in another body.
		if n := len(r.Header["Content-Digest"]); n > 1 {
			return gate.Identity{}, fmt.Errorf("%w: custom: there are %d headers Content-Digest", gate.ErrInvalid, n)
		}
		return v.VerifyRequest(ctx, r, c)
	}
	return at(places, verify)
}

// at returns the authenticator of credentials that lie in one of places.
func at(places []gate.Place, verify RequestFunc) (gate.Authenticator, error) {
	if len(places) == 0 {
		return nil, errors.New("custom: there is no place for a credential")
	}
	for i, p := range places {
		if err := p.Check(); err != nil {
			return nil, fmt.Errorf("custom: %w", err)
		}
		if p.In == gate.InCertificate {
			return nil, fmt.Errorf("custom: no credential of the application's own lies in %q", p.In)
		}
		if slices.Contains(places[:i], p) {
			return nil, fmt.Errorf("custom: place {%q, %q} is there twice", p.In, p.Name)
		}
	}
	return &request{verify, slices.Clone(places)}, nil
}

type request struct {
	verify RequestFunc
	places []gate.Place
}

// Find implements gate.Authenticator.
func (q *request) Find(r *http.Request) (gate.Credential, bool, error) {
	return gate.FindIn(r, q.places...)
}

// Challenge implements gate.Authenticator.
func (q *request) Challenge(cause error) string { return q.places[0].Challenge(cause) }

// Verify implements gate.Authenticator.
func (q *request) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	return q.verify(ctx, r, c)
}

// isNil tells whether v is nil, or a nil pointer or function in an interface.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return r.IsNil()
	}
	return false
}
