package idtoken_test

import (
	"crypto/ed25519"
	"encoding/base64"
	stdjson "encoding/json"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/idtoken"
)

// FuzzID: nothing that is not signed passes, whatever it looks like. That it
// is signed is told by the standard library alone.
func FuzzID(f *testing.F) {
	v := validator(f, func(c *idtoken.Config) { c.Algorithms = []string{"EdDSA"} })
	ok := payload(good(), nil)
	for _, token := range []string{
		signed(edKey, ed, ok), signed(other, ed, ok), signed(edKey, `{"alg":"none"}`, ok), signed(edKey, ed, `{}`),
		b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(ok)) + ".", `{"payload":"e30","signatures":[]}`, "", "..", "a.b.c",
		swap(signed(edKey, ed, ok), 1, payload(good(), set{"sub": "eve"})),
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := v.ID(t.Context(), token, idtoken.Expect{Nonce: nonce})
		if err != nil {
			if got.Subject != "" || got.All != nil {
				t.Fatalf("ID(%q) = %+v and %v", token, got, err)
			}
			return
		}
		i := strings.LastIndexByte(token, '.')
		sign, _ := base64.RawURLEncoding.DecodeString(token[i+1:])
		if !ed25519.Verify(edKey.Public().(ed25519.PublicKey), []byte(token[:i]), sign) {
			t.Fatalf("ID(%q) = %+v, though it is not signed", token, got)
		}
	})
}

// FuzzClaims: of a payload that is signed and passes, a reader that ignores
// case and takes the last of two members reads the same.
func FuzzClaims(f *testing.F) {
	v := validator(f, func(c *idtoken.Config) { c.Algorithms = []string{"EdDSA"} })
	for _, c := range idCases {
		f.Add(payload(good(), c.change))
	}
	f.Add(strings.Replace(payload(good(), nil), "{", `{"\u0053ub":"eve",`, 1))
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || len(text) > 40<<10 {
			return
		}
		got, err := v.ID(t.Context(), signed(edKey, ed, text), idtoken.Expect{Nonce: nonce})
		if err != nil {
			return
		}
		var lax struct {
			Iss, Sub, Nonce string
			Aud             any
			Exp, Iat        float64
		}
		if err := stdjson.Unmarshal([]byte(text), &lax); err != nil {
			t.Fatalf("ID takes %q, which encoding/json does not: %v", text, err)
		}
		if list, ok := lax.Aud.([]any); ok && len(list) == 1 {
			lax.Aud = list[0]
		}
		if lax.Iss != issuer || lax.Sub != got.Subject || lax.Sub == "" || lax.Nonce != nonce || lax.Aud != client ||
			lax.Exp <= float64(at(-60)) || lax.Iat > float64(at(60)) || lax.Iat < float64(at(-90000)) {
			t.Fatalf("ID(%q) = %+v, another reader has %+v", text, got, lax)
		}
	})
}

// FuzzLogout: as FuzzID, for logout tokens whose payload is any.
func FuzzLogout(f *testing.F) {
	v := validator(f, func(c *idtoken.Config) { c.Algorithms = []string{"EdDSA"} })
	f.Add(payload(goodLogout(), nil))
	f.Add(payload(good(), nil))
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := v.Logout(t.Context(), signed(other, ed, text)); err == nil {
			t.Fatalf("Logout takes %q of a stranger", text)
		}
		got, err := v.Logout(t.Context(), signed(edKey, ed, text))
		if err != nil {
			return
		}
		var all map[string]any
		if err := stdjson.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("Logout takes %q, which encoding/json does not: %v", text, err)
		}
		_, nonced := all["nonce"]
		if nonced || got.JTI == "" || got.Subject == "" && got.SessionID == "" || got.Expires.Before(now) {
			t.Fatalf("Logout(%q) = %+v", text, got)
		}
	})
}
