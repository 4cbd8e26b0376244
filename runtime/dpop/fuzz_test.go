package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/dpop"
)

// FuzzProof presents anything as a proof: nothing passes whose signature the
// standard library does not verify with the key it names.
func FuzzProof(f *testing.F) {
	for _, k := range []struct {
		alg string
		key crypto.Signer
	}{{"EdDSA", ed()}, {"ES256", p256()}, {"RS256", rsa2048()}} {
		f.Add(sign(k.key, k.alg, header(k.key, k.alg).json(), claims().json()))
	}
	good := prove(nil, nil)
	parts := strings.Split(good, ".")
	f.Add(good + "," + good)
	f.Add(good + "=")
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add(parts[0] + "." + b64([]byte(claims().json())) + "." + parts[2])
	f.Add(b64([]byte(header(ed(), "none").json())) + "." + parts[1] + ".AA")
	f.Add(prove(object{"jwk": object{"kty": "oct", "k": "AA"}, "alg": "HS256"}, nil))
	f.Add(prove(object{"jwk": jwk(ed()).with(object{"d": "AA"})}, nil))
	f.Add("..")
	v := verifier(f, nil)
	f.Fuzz(func(t *testing.T, proof string) {
		jkt := thumbprint(ed())
		if key, ok := keyIn(proof); ok {
			jkt = key // whoever has the key could have such a token
		}
		err := v.Check(t.Context(), request("GET", "/posts", proof), token, jkt, false)
		switch {
		case err == nil && !signed(proof):
			t.Errorf("Check(%q) = nil, and it is not signed with its key", proof)
		case err != nil && !errors.Is(err, dpop.ErrInvalid) && !errors.Is(err, dpop.ErrNonce):
			t.Errorf("Check(%q) = %v", proof, err)
		}
	})
}

type publicKey struct {
	Kty, Crv, N, E, X, Y string
}

// headerOf reads a header as encoding/json does, which takes more than we do.
func headerOf(proof string) (alg string, key publicKey, ok bool) {
	first, _, _ := strings.Cut(proof, ".")
	data, err := base64.RawURLEncoding.DecodeString(first)
	var h struct {
		Alg string
		JWK publicKey
	}
	ok = err == nil && json.Unmarshal(data, &h) == nil
	return h.Alg, h.JWK, ok
}

// keyIn is the thumbprint of the key in a header.
func keyIn(proof string) (string, bool) {
	_, key, ok := headerOf(proof)
	switch key.Kty {
	case "RSA":
		return printOf(object{"kty": key.Kty, "n": key.N, "e": key.E}), ok
	case "EC":
		return printOf(object{"kty": key.Kty, "crv": key.Crv, "x": key.X, "y": key.Y}), ok
	case "OKP":
		return printOf(object{"kty": key.Kty, "crv": key.Crv, "x": key.X}), ok
	}
	return "", false
}

// signed tells by the standard library alone whether a proof is signed with the
// key in its header, with one of the algorithms of the seeds.
func signed(proof string) bool {
	alg, key, ok := headerOf(proof)
	i := strings.LastIndex(proof, ".")
	if !ok || i < 0 {
		return false
	}
	sig, err := base64.RawURLEncoding.DecodeString(proof[i+1:])
	x, errX := base64.RawURLEncoding.DecodeString(key.X)
	y, errY := base64.RawURLEncoding.DecodeString(key.Y)
	n, errN := base64.RawURLEncoding.DecodeString(key.N)
	e, errE := base64.RawURLEncoding.DecodeString(key.E)
	if errors.Join(err, errX, errY, errN, errE) != nil {
		return false
	}
	sum := sha256.Sum256([]byte(proof[:i]))
	switch alg {
	case "EdDSA":
		return len(x) == ed25519.PublicKeySize && ed25519.Verify(x, []byte(proof[:i]), sig)
	case "ES256":
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		return err == nil && len(sig) == 64 && ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case "RS256":
		public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil
	}
	return false
}

// FuzzClaims signs anything as the payload of a proof: what passes says, as
// encoding/json reads it, what it has to.
func FuzzClaims(f *testing.F) {
	f.Add(claims().json())
	f.Add(claims().with(object{"htu": "HTTPS://blog.EXAMPLE:443/%70osts?x#y"}).json())
	f.Add(claims().with(object{"htu": publicURL + "/a/%2e./posts"}).json())
	f.Add(`{"iat":1e400}`)
	f.Add(strings.Replace(claims().json(), "{", `{"htm":"POST",`, 1))
	f.Add(`{"JTI":"a"}`)
	f.Fuzz(func(t *testing.T, payload string) {
		v := verifier(t, nil)
		proof := sign(ed(), "EdDSA", header(ed(), "EdDSA").json(), payload)
		err := check(t, v, proof)
		switch {
		case err == nil && !right(payload):
			t.Errorf("Check() of a proof that says %q = nil", payload)
		case err != nil && !errors.Is(err, dpop.ErrInvalid) && !errors.Is(err, dpop.ErrNonce):
			t.Errorf("Check() of a proof that says %q = %v", payload, err)
		case err == nil && !errors.Is(check(t, v, proof), dpop.ErrInvalid):
			t.Errorf("a proof that says %q was taken twice", payload)
		}
	})
}

// right tells whether a payload is good for GET /posts at noon.
func right(payload string) bool {
	var all map[string]any
	if json.Unmarshal([]byte(payload), &all) != nil {
		return false
	}
	htu, _ := all["htu"].(string)
	u, err := url.Parse(htu)
	iat, isNumber := all["iat"].(float64)
	jti, _ := all["jti"].(string)
	age := noon.Sub(time.UnixMilli(int64(iat * 1000)))
	_, nonce := all["nonce"]
	return err == nil && strings.EqualFold(u.Scheme, "https") && strings.EqualFold(u.Hostname(), "blog.example") &&
		(u.Port() == "" || u.Port() == "443") && u.User == nil && path.Clean(u.Path) == "/posts" && !strings.HasSuffix(u.Path, "/") &&
		jti != "" && all["htm"] == "GET" && all["ath"] == ath(token) && isNumber && age >= -11*time.Second && age <= 71*time.Second && !nonce
}
