package idtoken

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/jwks"
)

// A look is a check of the claims of a token that is signed with alg.
type look func(c claims.Set, alg string) error

// verify has go-oidc verify a token and check looks at its claims. types are
// what the header's typ may be beside absent. Whatever goes wrong, ErrInvalid
// or jwks.ErrUnavailable is in the error.
func (v *Validator) verify(ctx context.Context, raw string, base oidc.Config, check look, types ...string) error {
	h, err := jwks.ParseHeader(raw)
	if err == nil {
		err = h.CheckAlgorithm(v.cfg.Algorithms)
	}
	if err == nil {
		err = checkType(h.Type, types)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	keys := &recorder{KeySet: v.cfg.Keys}
	_, verdict := oidc.NewVerifier(v.cfg.Issuer, keys, &base).Verify(ctx, raw)
	if errors.Is(keys.err, jwks.ErrUnavailable) {
		return keys.err
	}
	if keys.err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, keys.err)
	}
	if keys.payload == nil {
		return fmt.Errorf("%w: go-oidc cannot read it", ErrInvalid) // and asked for no key
	}
	// Ours come first: their causes say more, and quote less.
	c, err := parse(keys.payload)
	if err == nil {
		err = check(c, h.Algorithm)
	}
	if err == nil && verdict != nil {
		err = errors.New("go-oidc does not take it")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// base is what go-oidc checks. It has no skew of its own, so its clock is set
// back by ours.
func (v *Validator) base(now time.Time) oidc.Config {
	return oidc.Config{
		ClientID:             v.cfg.ClientID,
		SupportedSigningAlgs: v.cfg.Algorithms,
		SkipIssuerCheck:      len(v.cfg.Tenants) > 0, // a template: checkParties alone can
		Now:                  func() time.Time { return now.Add(-v.cfg.Skew) },
	}
}

// checkType tells whether a header's typ is of the kind of token that is
// expected. Other kinds (at+jwt, dpop+jwt and so on) are signed with the same
// keys and must not pass for it; RFC 8725, section 3.11.
func checkType(typ string, allowed []string) error {
	t := strings.ToLower(typ)
	if t == "" || slices.Contains(allowed, strings.TrimPrefix(t, "application/")) {
		return nil
	}
	return errors.New("the header's typ is of another kind of token")
}

// A recorder keeps what the key set answered: go-oidc hands on neither the
// payload as it was signed nor an error that can be told from others.
type recorder struct {
	oidc.KeySet
	payload []byte
	err     error
}

func (r *recorder) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	r.payload, r.err = r.KeySet.VerifySignature(ctx, raw)
	return r.payload, r.err
}
