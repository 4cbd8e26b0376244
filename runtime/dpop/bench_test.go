package dpop_test

import (
	"crypto"
	"testing"

	"github.com/gatewright/gatewright/runtime/dpop"
)

// BenchmarkCheck checks a proof as each request with a bound token brings one.
// What the store takes comes on top: the marks here forget.
func BenchmarkCheck(b *testing.B) {
	for _, k := range []struct {
		alg string
		key crypto.Signer
	}{{"ES256", p256()}, {"EdDSA", ed()}, {"RS256", rsa2048()}} {
		b.Run(k.alg, func(b *testing.B) {
			v := verifier(b, func(c *dpop.Config) { c.Marks = obedient{} })
			jkt := thumbprint(k.key)
			r := request("GET", "/posts", sign(k.key, k.alg, header(k.key, k.alg).json(), claims().with(object{"nonce": v.Nonce()}).json()))
			b.ReportAllocs()
			for b.Loop() {
				if err := v.Check(b.Context(), r, token, jkt, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
