// Package dpop checks proofs that the sender of an access token holds the key
// that the token is bound to (RFC 9449).
package dpop

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/jwks"
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
	ErrNonce = errors.New("dpop: the proof needs a current nonce")
)

const (
	// skew is how far the client's clock, and that of another replica, may be
	// from ours, to either side.
	skew = 10 * time.Second
	// nonceLife is how long a nonce is good; RFC 9449, section 8, has clients
	// keep the last one they got.
	nonceLife = 5 * time.Minute
)

// A Config says what proofs are taken.
type Config struct {
	// PublicURL is the origin that htu has to begin with: what the client
	// asked for is never taken from the Host header.
	PublicURL string
	// Algorithms are those that proofs may be signed with, asymmetric ones
	// alone. Default ES256, ES384, EdDSA, PS256, RS256.
	Algorithms []string
	// Life is how long ago a proof may have been made, give or take ten
	// seconds, by which its clock may be ahead too. Default 1 min.
	Life time.Duration
	// Marks remember the proofs that were used, for all replicas. An error of
	// theirs leaves it open whether the proof is good.
	Marks session.Marks
	// Ring seals nonces, so that each replica knows those of the others.
	Ring *secret.Ring
	Now  func() time.Time // nil: time.Now
}

// A Verifier checks proofs. Its methods may be called concurrently.
type Verifier struct {
	cfg    Config
	nonces *secret.Sealer
}

// New returns the verifier that cfg describes. Its error names everything that
// is wrong with cfg.
func New(cfg Config) (*Verifier, error) {
	if cfg.Algorithms == nil {
		cfg.Algorithms = []string{"ES256", "ES384", "EdDSA", "PS256", "RS256"}
	}
	cfg.Algorithms = slices.Clone(cfg.Algorithms)
	cfg.Life = cmp.Or(cfg.Life, time.Minute)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var errs []error
	wrong := func(text string) { errs = append(errs, errors.New("dpop: "+text)) }
	// To the letter: a path is put behind it, which must not come to lie in an
	// empty query or fragment.
	if u, err := url.Parse(cfg.PublicURL); err != nil || u.Host == "" || cfg.PublicURL != "https://"+u.Host {
		wrong("the public URL is not like https://blog.example")
	}
	if err := jwks.CheckAlgorithms(cfg.Algorithms); err != nil {
		errs = append(errs, fmt.Errorf("dpop: %w", err))
	}
	if cfg.Life < 0 {
		wrong("life is negative")
	}
	if cfg.Marks == nil {
		wrong("marks are missing")
	}
	if cfg.Ring == nil {
		wrong("the key ring is missing")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Verifier{cfg, cfg.Ring.Sealer("dpop nonce")}, nil
}

// Algorithms are those that proofs may be signed with, in order, for challenges
// and metadata.
func (v *Verifier) Algorithms() []string { return slices.Clone(v.cfg.Algorithms) }

// Check checks the proof in the header DPoP of r for an access token that is
// bound to the key with the JWK SHA-256 thumbprint jkt (RFC 7638, base64url).
// With nonce a proof without a current nonce is ErrNonce. It marks the proof as
// used. The error wraps ErrInvalid or ErrNonce; any other means that it cannot
// be told whether the proof is good.
func (v *Verifier) Check(ctx context.Context, r *http.Request, token, jkt string, nonce bool) error {
	p, err := v.read(r.Header["Dpop"])
	if err == nil {
		err = v.match(p, r, token, jkt)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if (nonce || p.nonce != "") && !v.current(p.nonce) {
		return ErrNonce
	}
	// Last, so that only who has the key of a token fills this memory. That
	// the URI is a part of it is RFC 9449, section 11.1.
	until := p.iat.Add(v.cfg.Life + 2*skew) // on a replica whose clock is behind
	first, err := v.cfg.Marks.Mark(ctx, session.KeyOf("dpop", jkt, p.htm, p.htu, p.jti), until)
	if err != nil {
		return fmt.Errorf("dpop: whether the proof was used before: %w", err)
	}
	if !first {
		return fmt.Errorf("%w: it was used before", ErrInvalid)
	}
	return nil
}

// match compares a proof that is signed with what it came for.
func (v *Verifier) match(p proof, r *http.Request, token, jkt string) error {
	if !same(p.key.Thumbprint(), jkt) {
		return errors.New("it is signed with another key than the token is bound to")
	}
	if p.htm != r.Method {
		return errors.New("htm is another method")
	}
	if !strings.HasPrefix(r.URL.Path, "/") {
		return errors.New("the request is for no path")
	}
	here, err := normal(v.cfg.PublicURL + r.URL.EscapedPath())
	if err != nil {
		return err
	}
	// The router takes dot segments for text. A URI that has them is the same as
	// one without, which may be another operation.
	if here != withoutDots(here) {
		return errors.New("the request's path has dot segments, which htu cannot tell from another path")
	}
	there, err := normal(p.htu)
	if err != nil {
		return err
	}
	if here != withoutDots(there) {
		return errors.New("htu is another URI: does it begin with the server's public_url?")
	}
	sum := sha256.Sum256([]byte(token))
	if !same(p.ath, base64.RawURLEncoding.EncodeToString(sum[:])) {
		return errors.New("ath is of another access token")
	}
	return v.checkTime(p)
}

func (v *Verifier) checkTime(p proof) error {
	now := v.cfg.Now()
	switch ago := now.Sub(p.iat); {
	case ago < -skew:
		return fmt.Errorf("made %s in the future: is the client's clock right?", (-ago).Round(time.Second))
	case ago > v.cfg.Life+skew:
		return fmt.Errorf("made %s ago", ago.Round(time.Second))
	case !p.exp.IsZero() && now.Sub(p.exp) >= skew:
		return errors.New("expired")
	case p.nbf.Sub(now) > skew:
		return errors.New("not good yet")
	}
	return nil
}

// same compares two texts in a time that does not depend on where they differ.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Nonce returns a nonce for proofs, which is good for five minutes on every
// replica (RFC 9449, section 9). It is unpredictable: it is sealed.
func (v *Verifier) Nonce() string {
	return v.nonces.Seal(binary.BigEndian.AppendUint64(nil, uint64(v.cfg.Now().Unix())))
}

// current tells whether nonce is one of this server's that is still good.
func (v *Verifier) current(nonce string) bool {
	plain, err := v.nonces.Open(nonce)
	if err != nil || len(plain) != 8 {
		return false
	}
	age := v.cfg.Now().Sub(time.Unix(int64(binary.BigEndian.Uint64(plain)), 0))
	return age < nonceLife && age >= -skew // the clock of another replica
}
