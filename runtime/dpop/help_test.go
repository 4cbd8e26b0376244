package dpop_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/dpop"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

const (
	publicURL = "https://blog.example"
	token     = "an.access.token"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	all  = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

// Keys take a while to make: one of each kind will do for all tests.
var (
	rsa2048 = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256    = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384    = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521    = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	ed      = sync.OnceValue(newEd)
	edOther = sync.OnceValue(newEd)
)

func newEd() crypto.Signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	return must(k, err)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// An object is one of JSON.
type object map[string]any

// with returns o with more; a member of nil is taken out.
func (o object) with(more object) object {
	out := maps.Clone(o)
	for name, v := range more {
		if out[name] = v; v == nil {
			delete(out, name)
		}
	}
	return out
}

func (o object) json() string { return string(must(json.Marshal(o))) }

// jwk is the public key of k, written without help of the code under test.
func jwk(k crypto.Signer) object {
	switch public := k.Public().(type) {
	case *rsa.PublicKey:
		return object{"kty": "RSA", "n": b64(public.N.Bytes()), "e": b64(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		size := (public.Params().BitSize + 7) / 8
		point := must(public.Bytes()) // 4, x, y
		return object{"kty": "EC", "crv": public.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}
	case ed25519.PublicKey:
		return object{"kty": "OKP", "crv": "Ed25519", "x": b64(public)}
	}
	panic("no such key")
}

// thumbprint is that of RFC 7638: the members needed, in the order of names.
func thumbprint(k crypto.Signer) string {
	sum := sha256.Sum256([]byte(jwk(k).json())) // encoding/json sorts them
	return b64(sum[:])
}

// sign makes a token of any header and payload.
func sign(k crypto.Signer, alg, header, payload string) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(signature(k, alg, input))
}

func signature(k crypto.Signer, alg, input string) []byte {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	digest := []byte(input)
	if hash != 0 {
		h := hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	switch alg[:2] {
	case "PS":
		return must(k.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}))
	case "ES":
		key := k.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		size := (key.Params().BitSize + 7) / 8
		return append(must(r, err).FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	return must(k.Sign(rand.Reader, digest, hash))
}

// header is that of a good proof with k.
func header(k crypto.Signer, alg string) object {
	return object{"typ": "dpop+jwt", "alg": alg, "jwk": jwk(k)}
}

// claims are those of a good proof for GET /posts at noon.
func claims() object {
	return object{"jti": rand.Text(), "htm": "GET", "htu": publicURL + "/posts", "iat": noon.Unix(), "ath": ath(token)}
}

func ath(token string) string {
	sum := sha256.Sum256([]byte(token))
	return b64(sum[:])
}

// prove makes a proof for GET /posts at noon, good but for the changes.
func prove(head, payload object) string {
	return sign(ed(), "EdDSA", header(ed(), "EdDSA").with(head).json(), claims().with(payload).json())
}

// memory is marks that remember in memory, or fail with err.
type memory struct {
	mu    sync.Mutex
	marks map[session.Key]time.Time
	err   error
}

func (m *memory) Mark(_ context.Context, key session.Key, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return false, m.err
	}
	_, there := m.marks[key]
	if m.marks == nil {
		m.marks = make(map[session.Key]time.Time)
	}
	m.marks[key] = until
	return !there, nil
}

func ring() *secret.Ring { return must(secret.NewRing(secret.Random(32))) }

// verifier returns one whose clock stands at noon.
func verifier(t testing.TB, change func(*dpop.Config)) *dpop.Verifier {
	t.Helper()
	cfg := dpop.Config{PublicURL: publicURL, Algorithms: all, Marks: &memory{}, Ring: ring(), Now: func() time.Time { return noon }}
	if change != nil {
		change(&cfg)
	}
	v, err := dpop.New(cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	return v
}

// request is one for target with the proofs as lines of the header.
func request(method, target string, proofs ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(""))
	for _, p := range proofs {
		r.Header.Add("DPoP", p)
	}
	return r
}

// anyRSA is an RSA key of any size and exponent.
type anyRSA struct{ n, e, d *big.Int }

// newRSA makes a key of many small primes, which is quick: it need not be hard
// to factor here.
func newRSA(bits int, e *big.Int) anyRSA {
	n, phi := big.NewInt(1), big.NewInt(1)
	for try := 0; n.BitLen() < bits; try++ {
		size := 256
		last := bits-n.BitLen() <= 512
		if last {
			size = bits - n.BitLen() + try%2 // a product may be one bit shorter
		}
		p := must(rand.Prime(rand.Reader, size))
		next, less := new(big.Int).Mul(n, p), new(big.Int).Sub(p, big.NewInt(1))
		if (!last || next.BitLen() == bits) && new(big.Int).GCD(nil, nil, e, less).BitLen() == 1 {
			n = next
			phi.Mul(phi, less)
		}
	}
	return anyRSA{n, e, new(big.Int).ModInverse(e, phi)}
}

// sign signs as RS256 does (RFC 8017, section 8.2.1).
func (k anyRSA) sign(input string) []byte {
	size := (k.n.BitLen() + 7) / 8
	if size == 0 {
		return []byte("x")
	}
	sum := sha256.Sum256([]byte(input))
	digest := append([]byte("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"), sum[:]...)
	em := append([]byte{0, 1}, strings.Repeat("\xff", size-3-len(digest))...)
	em = append(append(em, 0), digest...)
	return new(big.Int).Exp(new(big.Int).SetBytes(em), k.d, k.n).FillBytes(make([]byte, size))
}

// printOf is the thumbprint of a JWK that has only the members needed.
func printOf(key object) string {
	sum := sha256.Sum256([]byte(key.json()))
	return b64(sum[:])
}
