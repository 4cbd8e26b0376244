package idtoken

import (
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	_ "crypto/sha256" // for hashes
	_ "crypto/sha512"

	"github.com/gatewright/gatewright/runtime/claims"
)

// checkParties checks who issued a token and for whom, and returns the issuer.
func (v *Validator) checkParties(c claims.Set) (string, error) {
	iss, err := c.Text("iss")
	if err != nil {
		return "", err
	}
	want := v.cfg.Issuer
	if len(v.cfg.Tenants) > 0 {
		tid, err := c.Text("tid")
		if err != nil {
			return "", err
		}
		if !slices.Contains(v.cfg.Tenants, tid) {
			return "", errors.New("the tenant (tid) is not one of those configured")
		}
		want = strings.Replace(want, tenant, tid, 1)
	}
	if iss != want {
		return "", fmt.Errorf("issued by %.200q, not by %q", iss, want)
	}
	aud, err := c.Audience()
	if err != nil {
		return "", err
	}
	// A second audience could pass the token off as its own: none is trusted.
	if !slices.Equal(aud, []string{v.cfg.ClientID}) {
		return "", errors.New("aud is not this client and nobody else")
	}
	azp, err := c.Text("azp")
	if err != nil {
		return "", err
	}
	if c.Has("azp") && azp != v.cfg.ClientID {
		return "", errors.New("azp is not this client")
	}
	return iss, nil
}

// checkExpiry checks exp, which must be there, and nbf.
func (v *Validator) checkExpiry(c claims.Set, now time.Time) (time.Time, error) {
	exp, err := c.Time("exp")
	if err != nil {
		return exp, err
	}
	if !c.Has("exp") {
		return exp, errors.New("exp is missing")
	}
	if ago := now.Sub(exp); ago >= v.cfg.Skew {
		return exp, fmt.Errorf("expired %s ago: is this machine's clock right?", ago.Round(time.Second))
	}
	return exp, v.checkNotBefore(c, now)
}

func (v *Validator) checkNotBefore(c claims.Set, now time.Time) error {
	nbf, err := c.Time("nbf")
	if err != nil {
		return err
	}
	if ahead := nbf.Sub(now); ahead > v.cfg.Skew {
		return fmt.Errorf("good only in %s (nbf): is this machine's clock right?", ahead.Round(time.Second))
	}
	return nil
}

// checkIssued checks iat, which must be there and no longer ago than oldest.
func (v *Validator) checkIssued(c claims.Set, now time.Time, oldest time.Duration) (time.Time, error) {
	iat, err := c.Time("iat")
	if err != nil {
		return iat, err
	}
	if !c.Has("iat") {
		return iat, errors.New("iat is missing")
	}
	ago := now.Sub(iat)
	if ago < -v.cfg.Skew {
		return iat, fmt.Errorf("issued %s in the future: is this machine's clock right?", (-ago).Round(time.Second))
	}
	if ago >= oldest+v.cfg.Skew {
		return iat, fmt.Errorf("issued %s ago: is this machine's clock right?", ago.Round(time.Second))
	}
	return iat, nil
}

// checkNonce compares the nonce, by which a token belongs to one login.
func checkNonce(c claims.Set, want Expect) error {
	nonce, err := c.Text("nonce")
	if err != nil {
		return err
	}
	if want.Refresh != nil && (nonce == "" || want.Nonce == "") {
		return nil // Core, section 12.2
	}
	if nonce == "" {
		return errors.New("nonce is missing")
	}
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(want.Nonce)) == 0 {
		return errors.New("nonce is not that of this login")
	}
	return nil
}

// checkAccessToken checks at_hash, which may be absent: the left half of the
// hash that the signature's algorithm uses, over the access token.
func checkAccessToken(c claims.Set, token, alg string) error {
	got, err := c.Text("at_hash")
	if err != nil || !c.Has("at_hash") {
		return err
	}
	h := hashOf(alg).New()
	h.Write([]byte(token))
	sum := h.Sum(nil)
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 0 {
		return errors.New("at_hash is not of the access token that came with it")
	}
	return nil
}

// hashOf returns the hash of an algorithm; EdDSA with Ed25519 uses SHA-512.
func hashOf(alg string) crypto.Hash {
	switch {
	case strings.HasSuffix(alg, "256"):
		return crypto.SHA256
	case strings.HasSuffix(alg, "384"):
		return crypto.SHA384
	}
	return crypto.SHA512
}
