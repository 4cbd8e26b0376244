package jwks

import (
	"crypto"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Public is a public key that came with what it signed, as in a proof of
// possession (RFC 9449). That something verifies with it tells nothing but that
// the sender has the private key.
type Public struct {
	key        key
	thumbprint string
}

// private are the members of a JWK that no public key has (RFC 7518, section 6).
var private = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// ParsePublic reads a JWK that is a public key of one of the kinds that tokens
// are signed with. It refuses one with a private or symmetric member, with a
// member twice, or said to be for something else than signatures.
func ParsePublic(raw jsontext.Value) (Public, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return Public{}, errors.New("jwks: the key is no JSON Web Key")
	}
	if slices.ContainsFunc(private, func(name string) bool { return members[name] != nil }) {
		return Public{}, errors.New("jwks: the key has a private member")
	}
	k, err := parseKey(raw)
	if err != nil {
		return Public{}, errors.New("jwks: the key is of no use: " + err.Error())
	}
	sum, err := (&jose.JSONWebKey{Key: k.public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return Public{}, errors.New("jwks: the key has no thumbprint")
	}
	return Public{k, base64.RawURLEncoding.EncodeToString(sum)}, nil
}

// Thumbprint is the key's SHA-256 thumbprint in base64url (RFC 7638).
func (p Public) Thumbprint() string { return p.thumbprint }

// VerifySignature returns the payload of a token in compact form, whose header
// is h, where the key signed it.
func (p Public) VerifySignature(token string, h Header) ([]byte, error) {
	if _, known := algorithms[h.Algorithm]; !known || p.key.kind != algorithms[h.Algorithm] || p.key.alg != "" && p.key.alg != h.Algorithm {
		return nil, errors.New("jwks: the key is not for the algorithm")
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(h.Algorithm)})
	if err != nil {
		return nil, errors.New("jwks: the token's header cannot be read")
	}
	payload, err := jws.Verify(p.key.public)
	if err != nil {
		return nil, errors.New("jwks: the signature is wrong")
	}
	return payload, nil
}
