// Package idtoken validates the tokens by which an OpenID Connect provider
// says who signed in (ID tokens) and who signed out (logout tokens).
//
// go-oidc is the base: it has the signature verified, and checks issuer,
// audience and expiry. What it leaves to its caller is checked here, and those
// again: over the payload as it was signed and in a strict reading, with no
// member twice, names in their own case and values of the right type.
package idtoken

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/jwks"
)

// ErrInvalid means that a token is not good. The error that wraps it gives the
// cause, for the log: it quotes no token, subject, nonce or name.
var ErrInvalid = errors.New("idtoken: invalid")

// maxAge is how long ago an ID token may have been issued: it comes straight
// from the token endpoint. Some providers say five minutes less.
const maxAge = 10 * time.Minute

// tenant stands in the issuer of Entra's multi-tenant applications for the
// tenant's id.
const tenant = "{tenantid}"

// A Config says whose tokens are taken, and for whom they must be.
type Config struct {
	// Issuer is what iss must be, to the letter. With {tenantid} in it (of
	// Entra's issuers, the one that is a template) iss must be it with the
	// claim tid in that place, and tid be one of Tenants.
	Issuer  string
	Tenants []string // ids, as UUIDs
	// ClientID is what aud must be: that and nothing else.
	ClientID string
	// Algorithms are those that tokens may be signed with, asymmetric ones alone.
	Algorithms []string
	// Keys verifies signatures. An error of it that wraps
	// jwks.ErrUnavailable is handed on as it is.
	Keys oidc.KeySet
	// Skew is how far clocks may be apart, at most a minute. Default a minute.
	Skew time.Duration
	Now  func() time.Time // nil: time.Now
}

// A Validator validates the tokens of one provider for one client. Its methods
// may be called concurrently.
type Validator struct {
	cfg Config
}

// New returns the validator that cfg describes. Its error names everything
// wrong with cfg.
func New(cfg Config) (*Validator, error) {
	cfg.Skew = cmp.Or(cfg.Skew, time.Minute)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	errs := []error{checkIssuer(cfg.Issuer)}
	if strings.Contains(cfg.Issuer, tenant) == (len(cfg.Tenants) == 0) {
		errs = append(errs, fmt.Errorf("idtoken: an issuer with %s needs a list of tenants, and no other has one", tenant))
	}
	tenants := make([]string, len(cfg.Tenants))
	for i, id := range cfg.Tenants {
		tenants[i] = strings.ToLower(id)
		if !uuid.MatchString(tenants[i]) {
			errs = append(errs, fmt.Errorf("idtoken: tenant %q is not a UUID", id))
		}
	}
	cfg.Tenants = tenants
	if cfg.ClientID == "" {
		errs = append(errs, errors.New("idtoken: client id is missing"))
	}
	if err := jwks.CheckAlgorithms(cfg.Algorithms); err != nil {
		errs = append(errs, fmt.Errorf("idtoken: %w", err))
	}
	cfg.Algorithms = slices.Clone(cfg.Algorithms)
	if cfg.Keys == nil {
		errs = append(errs, errors.New("idtoken: keys are missing"))
	}
	if cfg.Skew < 0 || cfg.Skew > time.Minute {
		errs = append(errs, fmt.Errorf("idtoken: a skew of %s is not between 0 and 1m", cfg.Skew))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Validator{cfg}, nil
}

// uuid is one as Entra writes it into tokens.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func checkIssuer(issuer string) error {
	u, err := url.Parse(strings.Replace(issuer, tenant, "tenant", 1))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(issuer, "?#") {
		return fmt.Errorf("idtoken: issuer %q is not an https URL without user name, query and fragment", issuer)
	}
	return nil
}

// An Expect says what is expected of an ID token beside its being good. Nonce
// or Refresh must be set.
type Expect struct {
	// Nonce is the one that was sent with the authorization request.
	Nonce string
	// AccessToken is the one that came with the ID token. at_hash must
	// match it if it is there.
	AccessToken string
	// Since, unless zero, is when a sign-in anew was asked for: auth_time
	// must then be there and not before it.
	Since time.Time
	// Refresh has the claims of the session's ID token, where the token
	// came of a refresh: Issuer and Subject must be the same. The nonce may
	// then be absent, and is not compared if Nonce is empty.
	Refresh *Claims
}

// Claims are what an ID token says.
type Claims struct {
	Issuer    string
	Subject   string
	SessionID string    // sid, "" for none
	AuthTime  time.Time // zero for none
	IssuedAt  time.Time
	Expires   time.Time
	// All has every claim as JSON is read: numbers are float64.
	All map[string]any
}

// ID validates an ID token. The error wraps ErrInvalid where the token is not
// good, or jwks.ErrUnavailable where that cannot be told.
func (v *Validator) ID(ctx context.Context, raw string, want Expect) (Claims, error) {
	if want.Nonce == "" && want.Refresh == nil {
		return Claims{}, fmt.Errorf("%w: no nonce is expected, and it is not a refresh", ErrInvalid)
	}
	now := v.cfg.Now()
	var id Claims
	err := v.verify(ctx, raw, v.base(now), func(c claims.Set, alg string) (err error) {
		if id, err = v.id(c, now); err != nil {
			return err
		}
		return v.checkExpect(id, c, want, alg)
	}, "jwt")
	if err != nil {
		return Claims{}, err
	}
	return id, nil
}

// id reads an ID token, and checks what does not depend on the login.
func (v *Validator) id(c claims.Set, now time.Time) (id Claims, err error) {
	if id.Issuer, err = v.checkParties(c); err != nil {
		return id, err
	}
	if id.Expires, err = v.checkExpiry(c, now); err != nil {
		return id, err
	}
	if id.IssuedAt, err = v.checkIssued(c, now, maxAge); err != nil {
		return id, err
	}
	if id.Subject, err = c.ID("sub"); err != nil {
		return id, err
	}
	if id.Subject == "" {
		return id, errors.New("sub is missing")
	}
	if id.SessionID, err = c.ID("sid"); err != nil {
		return id, err
	}
	if id.AuthTime, err = c.Time("auth_time"); err != nil {
		return id, err
	}
	if id.AuthTime.Nanosecond() != 0 {
		return id, errors.New("auth_time is not a whole number")
	}
	if ahead := id.AuthTime.Sub(now); ahead > v.cfg.Skew {
		return id, fmt.Errorf("auth_time is %s in the future: is this machine's clock right?", ahead.Round(time.Second))
	}
	if c.Has("events") {
		return id, errors.New("it says what happened (events), as logout tokens do")
	}
	id.All = c.All()
	return id, nil
}

// checkExpect checks an ID token that is good against what is expected of it.
func (v *Validator) checkExpect(id Claims, c claims.Set, want Expect, alg string) error {
	if err := checkNonce(c, want); err != nil {
		return err
	}
	if want.Refresh != nil && (id.Issuer != want.Refresh.Issuer || id.Subject != want.Refresh.Subject) {
		return errors.New("the refreshed token is of another issuer or subject")
	}
	if err := checkAccessToken(c, want.AccessToken, alg); err != nil {
		return err
	}
	if want.Since.IsZero() {
		return nil
	}
	if id.AuthTime.IsZero() {
		return errors.New("auth_time is missing, though a sign-in anew was asked for")
	}
	if want.Since.Sub(id.AuthTime) > v.cfg.Skew {
		return errors.New("auth_time is before the sign-in that was asked for")
	}
	return nil
}
