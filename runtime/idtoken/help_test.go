package idtoken_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/idtoken"
)

const (
	issuer = "https://id.example/realm"
	client = "web-app"
	nonce  = "n-0S6_WzA2Mj"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at is a moment so many seconds from now, as claims have it.
func at(seconds int64) int64 { return now.Unix() + seconds }

var (
	rsaKey   = must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey    = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, edKey = must2(ed25519.GenerateKey(rand.Reader))
	_, other = must2(ed25519.GenerateKey(rand.Reader))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func must2[T, U any](v T, w U, err error) (T, U) {
	if err != nil {
		panic(err)
	}
	return v, w
}

// keySet verifies with the test's keys, one an algorithm.
type keySet struct{ err error }

func (k keySet) VerifySignature(_ context.Context, token string) ([]byte, error) {
	if k.err != nil {
		return nil, k.err
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{"RS256", "ES384", "EdDSA"})
	if err != nil {
		return nil, errors.New("cannot be parsed")
	}
	public := map[string]any{"RS256": &rsaKey.PublicKey, "ES384": &ecKey.PublicKey, "EdDSA": edKey.Public()}[jws.Signatures[0].Protected.Algorithm]
	return jws.Verify(public)
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// signed makes a token of any header and payload, signed with Ed25519.
func signed(k ed25519.PrivateKey, header, payload string) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(ed25519.Sign(k, []byte(input)))
}

// signedBy makes a token with the algorithm.
func signedBy(t testing.TB, alg, payload string) string {
	t.Helper()
	k := map[string]crypto.Signer{"RS256": rsaKey, "ES384": ecKey, "EdDSA": edKey}[alg]
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: k}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return must(jws.CompactSerialize())
}

// ed is the usual header.
const ed = `{"alg":"EdDSA","kid":"a","typ":"JWT"}`

// A claim is set to a value or, with absent, taken out.
type set map[string]any

type missing struct{}

var absent missing

// payload is base with the changes, as JSON.
func payload(base, changes set) string {
	all := set{}
	for _, m := range []set{base, changes} {
		for name, v := range m {
			if all[name] = v; v == absent {
				delete(all, name)
			}
		}
	}
	return string(must(json.Marshal(all, json.Deterministic(true))))
}

// good is an ID token as it should be.
func good() set {
	return set{
		"iss": issuer, "sub": "subject-of-ada", "aud": client, "exp": at(300), "iat": at(-5), "nonce": nonce,
		"email": "ada@mail.example", "groups": []string{"staff"}, "employee": 4711,
	}
}

func config() idtoken.Config {
	return idtoken.Config{
		Issuer: issuer, ClientID: client, Algorithms: []string{"RS256", "ES384", "EdDSA"}, Keys: keySet{},
		Now: func() time.Time { return now },
	}
}

func validator(t testing.TB, change func(*idtoken.Config)) *idtoken.Validator {
	t.Helper()
	cfg := config()
	if change != nil {
		change(&cfg)
	}
	v, err := idtoken.New(cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	return v
}

// atHashRS256 is made by hand, apart from the code under test.
func atHashRS256(token string) string {
	sum := sha256.Sum256([]byte(token))
	return b64(sum[:16])
}
