package bearer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/clientcert"
	"github.com/gatewright/gatewright/runtime/dpop"
	"github.com/gatewright/gatewright/runtime/gate"
)

// A binding is what the client of a token has to show beside it (RFC 7800).
type binding struct {
	jkt         string // thumbprint of a key: by DPoP (RFC 9449, section 6)
	certificate string // SHA-256 of a certificate, base64url (RFC 8705, section 3.1)
}

// readBinding reads the claim cnf. A binding that is not understood is not one
// that can be passed over.
func readBinding(c claims.Set) (binding, error) {
	if !c.Has("cnf") {
		return binding{}, nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(c.Raw("cnf"), &members); err != nil || len(members) == 0 {
		return binding{}, errors.New("cnf is empty or no object")
	}
	var b binding
	for name, raw := range members {
		var into *string
		switch name {
		case "jkt":
			into = &b.jkt
		case "x5t#S256":
			into = &b.certificate
		default:
			return binding{}, fmt.Errorf("it is bound in a way that is not supported (cnf.%.20q)", name)
		}
		if err := json.Unmarshal(raw, into); err != nil || len(*into) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
			return binding{}, fmt.Errorf("cnf.%s is no SHA-256 in base64url", name)
		}
	}
	return b, nil
}

// checkBinding checks that the client shows what the token is bound to. One that
// is bound to a key comes under DPoP alone, and no other does (RFC 9449, section
// 7.1 and 7.2).
func (s *scheme) checkBinding(ctx context.Context, r *http.Request, c gate.Credential, v token) error {
	b := v.bound
	switch {
	case s.binding.BoundOnly && b == (binding{}):
		return fmt.Errorf("%w: the token is bound to nothing, and bound_only is set", gate.ErrInvalid)
	case b.jkt != "" && c.Place != underDPoP:
		return fmt.Errorf("%w: the token is bound to a key and came without DPoP", gate.ErrInvalid)
	case b.jkt == "" && c.Place == underDPoP:
		return fmt.Errorf("%w: the token came under DPoP and is bound to no key", gate.ErrInvalid)
	}
	if b.certificate != "" {
		cert := clientcert.Of(r)
		if cert == nil {
			return fmt.Errorf("%w: the token is bound to a certificate, and none came; is client_certs.hosts set?", gate.ErrInvalid)
		}
		sum := sha256.Sum256(cert.Raw)
		if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(b.certificate)) == 0 {
			return fmt.Errorf("%w: the token is bound to another certificate", gate.ErrInvalid)
		}
	}
	if b.jkt == "" {
		return nil
	}
	// A proof counts once; a token may be for several schemes of the operation.
	proven := proofOf{s.tokens, c.Value, b.jkt, s.binding.DPoPNonce}
	err := gate.Once(ctx, proven, func() error {
		return s.tokens.proofs.Check(ctx, r, c.Value, b.jkt, s.binding.DPoPNonce)
	})
	switch {
	case errors.Is(err, dpop.ErrNonce):
		return s.refuseProof("use_dpop_nonce", http.Header{"Dpop-Nonce": {s.tokens.proofs.Nonce()}}, err)
	case errors.Is(err, dpop.ErrInvalid):
		return s.refuseProof("invalid_dpop_proof", nil, err)
	case err != nil:
		return fmt.Errorf("bearer: %w", err)
	}
	return nil
}

// A proofOf is what the proof of a request is checked for.
type proofOf struct {
	tokens     *Tokens
	token, jkt string
	nonce      bool
}

// refuseProof says what is wrong with a proof (RFC 9449, section 7.1 and 9).
func (s *scheme) refuseProof(code string, h http.Header, cause error) error {
	return &gate.InvalidError{
		Challenge: underDPoP.Challenge(nil) + `, error="` + code + `"` + s.algorithms() + s.named,
		Header:    h,
		Cause:     cause,
	}
}
