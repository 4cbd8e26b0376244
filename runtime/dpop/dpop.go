// Package dpop checks proofs that the sender of an access token holds the key
// that the token is bound to (RFC 9449).
package dpop

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

var (
	// ErrInvalid means that there is no proof, more than one, or one that is
	// no good (RFC 9449, section 4.3). Its cause is for the log and quotes no
	// proof and no token.
	ErrInvalid = errors.New("dpop: no good proof")
	// ErrNonce means that a proof lacks a nonce of this server, or that its
	// nonce is too old: the client has to try again with Verifier.Nonce.
	ErrNonce = errors.New("dpop: nonce")
)

// A Config says what proofs are taken.
type Config struct {
	// PublicURL is the origin that htu has to begin with: what the client
	// asked for is never taken from the Host header.
	PublicURL string
	// Algorithms are those that proofs may be signed with, asymmetric ones
	// alone. Default ES256, ES384, EdDSA, PS256, RS256.
	Algorithms []string
	// Life is how long ago a proof may have been made. Default 1 min.
	Life time.Duration
	// Marks remember the proofs that were used, for all replicas. An error of
	// theirs leaves it open whether the proof is good.
	Marks session.Marks
	// Ring seals nonces, so that each replica knows those of the others.
	Ring *secret.Ring
	Now  func() time.Time // nil: time.Now
}

// A Verifier checks proofs. Its methods may be called concurrently.
type Verifier struct{ cfg Config }

// New returns the verifier that cfg describes. Its error names everything that
// is wrong with cfg.
func New(cfg Config) (*Verifier, error) { return nil, errors.New("dpop: not there yet") }

// Check checks the proof in the header DPoP of r for an access token that is
// bound to the key with the JWK SHA-256 thumbprint jkt (RFC 7638, base64url).
// With nonce a proof without a current nonce is ErrNonce. It marks the proof as
// used. The error wraps ErrInvalid or ErrNonce; any other means that it cannot
// be told whether the proof is good.
func (v *Verifier) Check(ctx context.Context, r *http.Request, token, jkt string, nonce bool) error {
	return ErrInvalid
}

// Nonce returns a nonce for proofs, which is good for some minutes.
func (v *Verifier) Nonce() string { return "" }

// Algorithms are those of New, in order, for challenges and metadata.
func (v *Verifier) Algorithms() []string { return v.cfg.Algorithms }
