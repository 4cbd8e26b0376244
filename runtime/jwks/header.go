package jwks

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxToken is the largest token looked at, in bytes. Providers that put a
// person's groups into it come to some tens of thousands.
const maxToken = 64 << 10

// algorithms are those there are, with the kind of key that each is for. All
// are asymmetric: with a symmetric one, whoever can verify could sign.
var algorithms = map[string]kind{
	"RS256": {"RSA", ""},
	"RS384": {"RSA", ""},
	"RS512": {"RSA", ""},
	"PS256": {"RSA", ""},
	"PS384": {"RSA", ""},
	"PS512": {"RSA", ""},
	"ES256": {"EC", "P-256"},
	"ES384": {"EC", "P-384"},
	"ES512": {"EC", "P-521"},
	"EdDSA": {"OKP", "Ed25519"},
}

// A kind of key: the members kty and crv of a JWK.
type kind struct{ kty, crv string }

// CheckAlgorithms tells what is wrong with a list of algorithms that tokens
// may be signed with: it is empty, or one is not asymmetric or not known.
func CheckAlgorithms(algs []string) error {
	if len(algs) == 0 {
		return errors.New("no algorithm is named")
	}
	var errs []error
	for _, alg := range algs {
		if _, ok := algorithms[alg]; !ok {
			known := slices.Sorted(maps.Keys(algorithms))
			errs = append(errs, fmt.Errorf("algorithm %q is not one of %s", alg, strings.Join(known, ", ")))
		}
	}
	return errors.Join(errs...)
}

// A Header is what counts of the header of a token.
type Header struct {
	Algorithm string // alg
	KeyID     string // kid, "" for none
	Type      string // typ, "" for none
}

// ParseHeader reads the header of a signed token in compact form, in the one
// way that it can be written: three parts in base64url without padding, a JSON
// object in the first with no member twice. It refuses the parameters crit and
// b64, none of whose extensions are for us, and tokens over 64 KiB. The header
// is not verified by that. No error quotes the token.
func ParseHeader(token string) (Header, error) {
	if len(token) > maxToken {
		return Header{}, fmt.Errorf("jwks: a token of %d bytes, at most %d are read", len(token), maxToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || strings.ContainsAny(token, "\r\n") {
		return Header{}, errors.New("jwks: not a signed token in compact form")
	}
	var header []byte
	for i, part := range parts {
		data, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || len(data) == 0 {
			return Header{}, fmt.Errorf("jwks: part %d of the token is empty or not base64url", i+1)
		}
		if i == 0 {
			header = data
		}
	}
	var h struct {
		Algorithm string         `json:"alg"`
		KeyID     string         `json:"kid"`
		Type      string         `json:"typ"`
		Critical  jsontext.Value `json:"crit"`
		Base64    jsontext.Value `json:"b64"`
	}
	if err := json.Unmarshal(header, &h); err != nil {
		return Header{}, errors.New("jwks: the token's header is no JSON object, or has a member twice or of another type")
	}
	if h.Critical != nil || h.Base64 != nil {
		return Header{}, errors.New("jwks: the token's header asks for an extension, with crit or b64")
	}
	return Header{h.Algorithm, h.KeyID, h.Type}, nil
}

// CheckAlgorithm tells whether the header's algorithm is one of allowed.
func (h Header) CheckAlgorithm(allowed []string) error {
	if slices.Contains(allowed, h.Algorithm) {
		return nil
	}
	name := "an unknown algorithm"
	if _, ok := algorithms[h.Algorithm]; ok {
		name = h.Algorithm // nothing else that a stranger wrote goes into a log
	}
	return fmt.Errorf("jwks: the token is signed with %s, allowed: %s", name, strings.Join(allowed, ", "))
}
