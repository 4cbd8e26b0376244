package jwks

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// minRSA is the least size of an RSA key, in bits. The greatest is go-jose's:
// 4096, unless jose.MaxRSAModulusBits is set to something else.
const minRSA = 2048

// Keys are a key set as it was fetched. They do not change.
type keys struct {
	list    []key
	skipped []string  // why keys of the set are of no use
	at      time.Time // when they were asked for
	digest  [sha256.Size]byte
}

// A key verifies signatures.
type key struct {
	kind
	id     string
	alg    string // "" for any that its kind is for
	public any    // for go-jose
}

// verify returns the payload of jws, which has the header h, where one of the
// keys that fit signed it.
func (k *keys) verify(jws *jose.JSONWebSignature, h Header) ([]byte, error) {
	tried := false
	for _, key := range k.list {
		if !key.fits(h) {
			continue
		}
		if payload, err := jws.Verify(key.public); err == nil {
			return payload, nil
		}
		tried = true
	}
	if tried {
		return nil, errors.New("jwks: the signature is wrong")
	}
	text := fmt.Sprintf("jwks: none of the set's %d keys has the token's kid and is for %s", len(k.list), h.Algorithm)
	if k.skipped != nil {
		text += "; of no use: " + strings.Join(k.skipped, ", ")
	}
	return nil, errors.New(text)
}

// fits tells whether a token with the header h can be signed with the key.
func (k key) fits(h Header) bool {
	return (h.KeyID == "" || h.KeyID == k.id) &&
		(k.alg == "" || k.alg == h.Algorithm) &&
		k.kind == algorithms[h.Algorithm]
}

// parse reads a key set. As RFC 7517, section 5, has it, keys that are of no
// use are passed over: those of other kinds and for other ends are common.
func parse(list []jsontext.Value, at time.Time) *keys {
	set := &keys{at: at}
	h := sha256.New()
	for i, raw := range list {
		fmt.Fprintf(h, "%d:%s", len(raw), raw)
		k, err := parseKey(raw)
		if err != nil {
			set.skipped = append(set.skipped, fmt.Sprintf("key %d (%v)", i, err))
			continue
		}
		set.list = append(set.list, k)
	}
	set.digest = [sha256.Size]byte(h.Sum(nil))
	return set
}

// A material is what makes a public key, and all that go-jose is shown of it:
// certificates and the like are not asked for.
type material struct {
	Type     string `json:"kty"`
	Curve    string `json:"crv,omitempty"`
	Modulus  string `json:"n,omitempty"`
	Exponent string `json:"e,omitempty"`
	X        string `json:"x,omitempty"`
	Y        string `json:"y,omitempty"`
}

// smallExponent tells whether text is an RSA exponent that crypto/rsa takes. A
// larger one would be cut off on the way there, or take long to verify with.
func smallExponent(text string) bool {
	e, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(e) > 0 && len(e) <= 4 && e[len(e)-1]%2 == 1
}

func parseKey(raw jsontext.Value) (key, error) {
	var j struct {
		material
		ID         string         `json:"kid"`
		Use        string         `json:"use"`
		Algorithm  string         `json:"alg"`
		Operations []string       `json:"key_ops"`
		Private    jsontext.Value `json:"d"`
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return key{}, errors.New("not a JSON Web Key")
	}
	if j.Private != nil {
		// Whoever reads the set can sign with it.
		return key{}, errors.New("its private part is published")
	}
	if j.Use != "" && j.Use != "sig" {
		return key{}, errors.New("not for signatures")
	}
	if j.Operations != nil && !slices.Contains(j.Operations, "verify") {
		return key{}, errors.New("not for verifying")
	}
	if j.Type == "RSA" && !smallExponent(j.Exponent) {
		return key{}, errors.New("RSA with an exponent of more than 32 bits, or an even one")
	}
	k := key{kind: kind{j.Type, j.Curve}, id: j.ID, alg: j.Algorithm}
	var parsed jose.JSONWebKey
	data, err := json.Marshal(j.material)
	if err == nil {
		err = parsed.UnmarshalJSON(data)
	}
	if err != nil {
		return key{}, errors.New("cannot be read, or of a kind not known")
	}
	if public, ok := parsed.Key.(*rsa.PublicKey); ok {
		if bits := public.N.BitLen(); bits < minRSA {
			return key{}, fmt.Errorf("RSA with %d bits, fewer than %d", bits, minRSA)
		}
		k.crv = "" // means nothing here
	}
	k.public = parsed.Key
	return k, nil
}
