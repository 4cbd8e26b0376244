package gatetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// A signingKey is one key of a provider.
type signingKey struct {
	id        string
	algorithm string
	key       crypto.Signer
	spare     bool // may be used again by the next provider
}

// spareKeys are those of providers that have stopped: making RSA keys takes
// long. No two providers that run at once have the same key.
var spareKeys = struct {
	sync.Mutex
	byAlgorithm map[string][]crypto.Signer
}{byAlgorithm: make(map[string][]crypto.Signer)}

// takeKey returns a key of no other provider, with an id of its own.
func takeKey(algorithm string) (signingKey, error) {
	k := signingKey{id: rand.Text()[:8], algorithm: algorithm, spare: true}
	spareKeys.Lock()
	if spare := spareKeys.byAlgorithm[algorithm]; len(spare) > 0 {
		k.key = spare[len(spare)-1]
		spareKeys.byAlgorithm[algorithm] = spare[:len(spare)-1]
	}
	spareKeys.Unlock()
	if k.key != nil {
		return k, nil
	}
	var err error
	switch algorithm {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		k.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		k.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		k.key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, k.key, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("algorithm %q is not known", algorithm)
	}
	if err != nil {
		return signingKey{}, fmt.Errorf("gatetest: %w", err)
	}
	return k, nil
}

// returnKeys gives the keys to the next provider.
func (p *Provider) returnKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Concat(p.keys, p.past)
	for _, k := range p.foreign {
		all = append(all, k)
	}
	spareKeys.Lock()
	defer spareKeys.Unlock()
	for _, k := range all {
		if k.spare {
			spareKeys.byAlgorithm[k.algorithm] = append(spareKeys.byAlgorithm[k.algorithm], k.key)
		}
	}
}

// RotateKeys signs with a new key from now on. The old ones stay published
// until [Provider.DropKeys]. It returns the new key's id.
func (p *Provider) RotateKeys() (kid string) {
	k, err := takeKey(p.cfg.Algorithm)
	if err != nil { // never: there is one of that algorithm already
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, k)
	return k.id
}

// UseKey publishes a key, signs with it from now on, and returns its id. It may
// be one that is too weak.
func (p *Provider) UseKey(algorithm string, key crypto.Signer) (kid string) {
	k := signingKey{id: rand.Text()[:8], algorithm: algorithm, key: key}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, k)
	return k.id
}

// DropKeys publishes the newest key alone.
func (p *Provider) DropKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.keys) - 1
	p.past = append(p.past, p.keys[:last]...)
	p.keys = []signingKey{p.keys[last]}
}

// current returns the key that signs.
func (p *Provider) current() signingKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1]
}

// foreignKey returns a key that was never published, under the id and the
// algorithm of k.
func (p *Provider) foreignKey(k signingKey) (signingKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, made := p.foreign[k.algorithm]
	if !made {
		var err error
		if f, err = takeKey(k.algorithm); err != nil {
			return signingKey{}, err
		}
		p.foreign[k.algorithm] = f
	}
	f.id = k.id
	return f, nil
}

// keySet answers /jwks.
func (p *Provider) keySet(_ ProviderRequest, m *Mischief) reply {
	p.mu.Lock()
	var set jose.JSONWebKeySet
	for _, k := range p.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Algorithm: k.algorithm, Use: "sig"})
	}
	p.mu.Unlock()
	text, err := json.Marshal(set)
	var members map[string]any
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err != nil {
		return p.fail(err)
	}
	if m.KeySet != nil {
		m.KeySet(members)
	}
	return p.jsonReply(http.StatusOK, members)
}

// sign makes a token of claims, of the type typ ("" for none in the header), as
// f forges it.
func (p *Provider) sign(claims map[string]any, typ string, f Forgery) (string, error) {
	if f.Claims != nil {
		f.Claims(claims)
	}
	payload, err := json.Marshal(claims, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("gatetest: claims: %w", err)
	}
	if f.RawClaims != nil {
		payload = f.RawClaims(payload)
	}
	k := p.current()
	var key any = k.key
	if f.Foreign {
		if k, err = p.foreignKey(k); err != nil {
			return "", err
		}
		key = k.key
	}
	algorithm := k.algorithm
	if f.Algorithm != "" {
		algorithm = f.Algorithm
	}
	if strings.HasPrefix(algorithm, "HS") {
		if key = f.Secret; f.Secret == nil {
			if key, err = publicPEM(k.key); err != nil {
				return "", err
			}
		}
	}
	header := map[string]any{"alg": algorithm, "kid": k.id}
	if typ != "" {
		header["typ"] = typ
	}
	if f.Header != nil {
		f.Header(header)
	}
	token, err := serialize(algorithm, key, header, payload)
	if err != nil {
		return "", fmt.Errorf("gatetest: sign: %w", err)
	}
	if f.Corrupt {
		token = corrupt(token)
	}
	if f.Whole != nil {
		token = f.Whole(token)
	}
	return token, nil
}

// serialize signs a payload under exactly that header.
func serialize(algorithm string, key any, header map[string]any, payload []byte) (string, error) {
	if algorithm == "none" {
		h, err := json.Marshal(header, json.Deterministic(true))
		if err != nil {
			return "", err
		}
		return base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(payload) + ".", nil
	}
	options := new(jose.SignerOptions)
	for name, value := range header {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: key}, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// corrupt flips a bit of a token's signature.
func corrupt(token string) string {
	dot := strings.LastIndexByte(token, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(token[dot:])
	if err != nil || len(signature) == 0 {
		return token
	}
	signature[len(signature)/2] ^= 1
	return token[:dot] + base64.RawURLEncoding.EncodeToString(signature)
}

// publicPEM is the public key as everybody may have it in a file.
func publicPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("gatetest: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
