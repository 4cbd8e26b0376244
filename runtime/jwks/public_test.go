package jwks_test

import (
	"crypto"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/jwks"
)

// TestThumbprint: the examples of RFC 7638, section 3.1, RFC 8037, appendix A.3,
// and RFC 9449, section 6.1. What is not needed of a key does not count.
func TestThumbprint(t *testing.T) {
	for want, key := range map[string]string{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I": `{"y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","kty":"EC","crv":"P-256"}`,
	} {
		p, err := jwks.ParsePublic(jsontext.Value(key))
		if got := p.Thumbprint(); err != nil || got != want {
			t.Errorf("ParsePublic(%.30s).Thumbprint() = %q, %v, want %q", key, got, err, want)
		}
	}
}

// TestPublicVerifies: a key that came with what it signed counts for the
// algorithms of its kind alone.
func TestPublicVerifies(t *testing.T) {
	signers := map[string]crypto.Signer{"RS256": rsa2048(), "PS256": rsa2048(), "ES256": p256(), "ES384": p384(), "ES512": p521(), "EdDSA": ed()}
	for alg, k := range signers {
		p, err := jwks.ParsePublic(jsontext.Value(member(t, k, "", nil)))
		if err != nil {
			t.Fatal(err)
		}
		for other, signer := range signers {
			token := sign(t, signer, other, "")
			payload, err := p.VerifySignature(token, jwks.Header{Algorithm: other})
			if want := other == alg || alg[1:] == "S256" && other[1:] == "S256" && alg[0] != 'E' && other[0] != 'E'; (err == nil) != want || want != (len(payload) > 0) {
				t.Errorf("key for %s: VerifySignature(token of %s) = %q, %v, want accepted: %v", alg, other, payload, err, want)
			}
			// A header that is not the token's own lets nothing through.
			if _, err := p.VerifySignature(token, jwks.Header{Algorithm: "HS256"}); err == nil {
				t.Errorf("key for %s: VerifySignature() as HS256 = nil", alg)
			}
			if other != alg {
				if _, err := p.VerifySignature(token, jwks.Header{Algorithm: alg}); err == nil {
					t.Errorf("key for %s: VerifySignature(token of %s) as its own = nil", alg, other)
				}
			}
		}
	}
	if _, err := (jwks.Public{}).VerifySignature(sign(t, ed(), "EdDSA", ""), jwks.Header{Algorithm: "EdDSA"}); err == nil {
		t.Error("the zero Public verifies")
	}
	if _, err := (jwks.Public{}).VerifySignature(sign(t, ed(), "EdDSA", ""), jwks.Header{}); err == nil {
		t.Error("the zero Public verifies as no algorithm")
	}
	if p, err := jwks.ParsePublic(jsontext.Value(member(t, rsa2048(), "", map[string]any{"alg": "PS256"}))); err != nil {
		t.Error(err)
	} else if _, err := p.VerifySignature(sign(t, rsa2048(), "RS256", ""), jwks.Header{Algorithm: "RS256"}); err == nil {
		t.Error("a key said for PS256 verifies RS256")
	}
}

// TestParsePublicRefuses has keys that no set of an issuer could have either,
// and those with a private member.
func TestParsePublicRefuses(t *testing.T) {
	for name, key := range map[string]string{
		"private":    member(t, ed(), "", map[string]any{"d": "c2VjcmV0"}),
		"an RSA p":   member(t, rsa2048(), "", map[string]any{"p": "c2VjcmV0"}),
		"symmetric":  `{"kty":"oct","k":"c2VjcmV0"}`,
		"a k beside": member(t, ed(), "", map[string]any{"k": "c2VjcmV0"}),
		"null":       `null`,
		"a list":     `[]`,
		"empty":      `{}`,
		"no JSON":    `{`,
		"x twice":    `{"x":"",` + member(t, ed(), "", nil)[1:],
		"short RSA":  member(t, rsa2047(), "", nil),
		"for enc":    member(t, ed(), "", map[string]any{"use": "enc"}),
	} {
		if p, err := jwks.ParsePublic(jsontext.Value(key)); err == nil || p.Thumbprint() != "" {
			t.Errorf("%s: ParsePublic() = %q, %v, want an error", name, p.Thumbprint(), err)
		}
	}
}
