package jwks_test

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/jwks"
)

func TestKeys(t *testing.T) {
	with := func(name string, v any) map[string]any { return map[string]any{name: v} }
	big4097 := new(big.Int).SetBit(big.NewInt(1), 4096, 1).Bytes()
	for name, c := range map[string]struct {
		set   string
		token string
		want  string // in the error; "" for none
	}{
		"RSA":                    {set(member(t, rsa2048(), "a", nil)), sign(t, rsa2048(), "RS256", "a"), ""},
		"RSA, PSS":               {set(member(t, rsa2048(), "a", nil)), sign(t, rsa2048(), "PS256", "a"), ""},
		"P-256":                  {set(member(t, p256(), "a", nil)), sign(t, p256(), "ES256", "a"), ""},
		"P-384":                  {set(member(t, p384(), "a", nil)), sign(t, p384(), "ES384", "a"), ""},
		"P-521":                  {set(member(t, p521(), "a", nil)), sign(t, p521(), "ES512", "a"), ""},
		"Ed25519":                {set(member(t, ed(), "a", nil)), sign(t, ed(), "EdDSA", "a"), ""},
		"said for what":          {set(member(t, ed(), "a", map[string]any{"use": "sig", "alg": "EdDSA", "key_ops": []string{"sign", "verify"}})), sign(t, ed(), "EdDSA", "a"), ""},
		"crv at RSA":             {set(member(t, rsa2048(), "a", with("crv", "P-256"))), sign(t, rsa2048(), "RS256", "a"), ""},
		"unreadable certificate": {set(member(t, rsa2048(), "a", with("x5c", []string{"!"}))), sign(t, rsa2048(), "RS256", "a"), ""},
		"no kid, one key":        {set(member(t, ed(), "", nil)), sign(t, ed(), "EdDSA", ""), ""},
		"no kid in the token":    {set(member(t, ed(), "a", nil)), sign(t, ed(), "EdDSA", ""), ""},
		"no kid, several keys":   {set(member(t, edOther(), "", nil), member(t, rsa2048(), "", nil), member(t, ed(), "", nil)), sign(t, ed(), "EdDSA", ""), ""},
		"no kid, the first":      {set(member(t, ed(), "", nil), member(t, edOther(), "", nil)), sign(t, ed(), "EdDSA", ""), ""},
		"one kid twice":          {set(member(t, edOther(), "a", nil), member(t, ed(), "a", nil)), sign(t, ed(), "EdDSA", "a"), ""},
		"one kid, other kinds":   {set(member(t, rsa2048(), "a", nil), member(t, ed(), "a", nil)), sign(t, ed(), "EdDSA", "a"), ""},
		"useless ones beside":    {set(`{"kty":"oct","k":"c2VjcmV0"}`, `4`, `{}`, `{"kty":"LMS"}`, member(t, ed(), "a", nil)), sign(t, ed(), "EdDSA", "a"), ""},

		"no kid in the set":     {set(member(t, ed(), "", nil)), sign(t, ed(), "EdDSA", "a"), "none of the set's 1 keys"},
		"another kid":           {set(member(t, ed(), "b", nil)), sign(t, ed(), "EdDSA", "a"), "none of the set's 1 keys"},
		"kid in another case":   {set(member(t, ed(), "A", nil)), sign(t, ed(), "EdDSA", "a"), "none of"},
		"no key":                {set(), sign(t, ed(), "EdDSA", "a"), "none of the set's 0 keys has the token's kid and is for EdDSA"},
		"another key":           {set(member(t, edOther(), "a", nil)), sign(t, ed(), "EdDSA", "a"), "signature is wrong"},
		"no kid, none signed":   {set(member(t, edOther(), "", nil), member(t, edNew(), "", nil)), sign(t, ed(), "EdDSA", ""), "signature is wrong"},
		"PSS of an RS256 key":   {set(member(t, rsa2048(), "a", with("alg", "RS256"))), sign(t, rsa2048(), "PS256", "a"), "is for PS256"},
		"another kind":          {set(member(t, p256(), "a", nil)), sign(t, ed(), "EdDSA", "a"), "is for EdDSA"},
		"another curve":         {set(member(t, p384(), "a", nil)), sign(t, p256(), "ES256", "a"), "is for ES256"},
		"alg of no signature":   {set(member(t, rsa2048(), "a", with("alg", "RSA-OAEP"))), sign(t, rsa2048(), "RS256", "a"), "is for RS256"},
		"use enc":               {set(member(t, ed(), "a", with("use", "enc"))), sign(t, ed(), "EdDSA", "a"), "of no use: key 0 (not for signatures)"},
		"use in another case":   {set(member(t, ed(), "a", with("use", "SIG"))), sign(t, ed(), "EdDSA", "a"), "not for signatures"},
		"key_ops without":       {set(member(t, ed(), "a", with("key_ops", []string{"sign"}))), sign(t, ed(), "EdDSA", "a"), "not for verifying"},
		"key_ops empty":         {set(member(t, ed(), "a", with("key_ops", []string{}))), sign(t, ed(), "EdDSA", "a"), "not for verifying"},
		"published in private":  {set(member(t, ed(), "a", with("d", "c2VjcmV0"))), sign(t, ed(), "EdDSA", "a"), "private part is published"},
		"RSA of 2047 bits":      {set(member(t, rsa2047(), "a", nil)), sign(t, rsa2047(), "RS256", "a"), "RSA with 2047 bits"},
		"RSA of 4097 bits":      {set(member(t, rsa2048(), "a", with("n", base64.RawURLEncoding.EncodeToString(big4097)))), sign(t, rsa2048(), "RS256", "a"), "cannot be read"},
		"RSA, exponent 1":       {set(member(t, rsa2048(), "a", with("e", "AQ"))), sign(t, rsa2048(), "RS256", "a"), "cannot be read"},
		"RSA without n":         {set(member(t, rsa2048(), "a", with("n", nil))), sign(t, rsa2048(), "RS256", "a"), "cannot be read"},
		"off the curve":         {set(member(t, p256(), "a", with("x", b64(strings.Repeat("x", 32))))), sign(t, p256(), "ES256", "a"), "cannot be read"},
		"Ed25519 cut short":     {set(member(t, ed(), "a", with("x", b64(strings.Repeat("x", 31))))), sign(t, ed(), "EdDSA", "a"), "cannot be read"},
		"X25519":                {set(member(t, ed(), "a", with("crv", "X25519"))), sign(t, ed(), "EdDSA", "a"), "cannot be read"},
		"kid that is no text":   {set(member(t, ed(), "a", with("kid", 4))), sign(t, ed(), "EdDSA", "a"), "key 0 (not a JSON Web Key)"},
		"kty in another case":   {set(member(t, ed(), "a", with("kty", "okp"))), sign(t, ed(), "EdDSA", "a"), "none of"},
		"the public key's HMAC": {set(member(t, ed(), "a", nil)), b64(`{"alg":"HS256","kid":"a"}`) + ".e30.e30", "signed with an unknown algorithm, allowed: RS256"},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := start(t, nil)
			p.publish(c.set)
			payload, err := s.VerifySignature(t.Context(), c.token)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || payload != nil || errors.Is(err, jwks.ErrUnavailable)) {
				t.Errorf("VerifySignature() = %q, %v, want %q", payload, err, c.want)
			}
			if name == "another kid" && strings.Contains(err.Error(), "of no use") {
				t.Errorf("VerifySignature() = %v, though all keys are of use", err)
			}
			if err == nil && !strings.HasPrefix(string(payload), "payload of") {
				t.Errorf("VerifySignature() = %q, want the payload", payload)
			}
		})
	}
}

// TestEveryKindAgainstEveryAlgorithm: a key counts for the algorithms of its
// kind alone, whatever a token says.
func TestEveryKindAgainstEveryAlgorithm(t *testing.T) {
	signers := map[string]crypto.Signer{"RS256": rsa2048(), "PS256": rsa2048(), "ES256": p256(), "ES384": p384(), "ES512": p521(), "EdDSA": ed()}
	for alg, k := range signers {
		p, s := start(t, nil)
		p.publish(set(member(t, k, "", nil)))
		for other, signer := range signers {
			_, err := s.VerifySignature(t.Context(), sign(t, signer, other, ""))
			if want := other == alg || alg[1:] == "S256" && other[1:] == "S256" && alg[0] != 'E' && other[0] != 'E'; (err == nil) != want {
				t.Errorf("key for %s: VerifySignature(token of %s) = %v, want accepted: %v", alg, other, err, want)
			}
		}
	}
}

func TestBadSets(t *testing.T) {
	good := member(t, ed(), "a", nil)
	many := func(n int) string {
		return set(good + strings.Repeat(","+member(t, edOther(), "b", nil), n-1))
	}
	for name, c := range map[string]struct{ body, want string }{
		"a hundred keys":     {many(100), ""},
		"a hundred and one":  {many(101), "a set of 101 keys, at most 100"},
		"member of others":   {`{"x":1,"keys":[` + good + `]}`, ""},
		"not JSON":           {`<html>`, "invalid"},
		"a list":             {`[` + good + `]`, "answer of"},
		"no keys":            {`{}`, "no key set"},
		"keys null":          {`{"keys":null}`, "no key set"},
		"keys in capitals":   {`{"KEYS":[` + good + `]}`, "no key set"},
		"keys twice":         {`{"keys":[],"keys":[` + good + `]}`, "duplicate"},
		"kid twice":          {`{"keys":[` + strings.Replace(good, "{", `{"kid":"b",`, 1) + `]}`, "duplicate"},
		"kid twice, escaped": {`{"keys":[` + strings.Replace(good, "{", `{"\u006bid":"b",`, 1) + `]}`, "duplicate"},
		"huge":               {set(good) + strings.Repeat(" ", 2<<20), "too large"},
	} {
		p, s := start(t, nil)
		p.publish(c.body)
		_, err := s.VerifySignature(t.Context(), sign(t, ed(), "EdDSA", "a"))
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, jwks.ErrUnavailable) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: VerifySignature() = %v, want %q", name, err, c.want)
		}
		if (s.Ready(t.Context()) == nil) != (c.want == "") {
			t.Errorf("%s: Ready() = %v", name, s.Ready(t.Context()))
		}
	}
}

func TestParseHeader(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		want  jwks.Header
		err   string
	}{
		"all":                 {signHeader(ed(), `{"alg":"EdDSA","kid":"a","typ":"JWT"}`), jwks.Header{Algorithm: "EdDSA", KeyID: "a", Type: "JWT"}, ""},
		"others beside":       {signHeader(ed(), `{"alg":"EdDSA","x5t":"a","ALG":"none"}`), jwks.Header{Algorithm: "EdDSA"}, ""},
		"64 KiB":              {"e30.e30." + strings.Repeat("A", 64<<10-8), jwks.Header{}, ""},
		"64 KiB and one":      {"e30.e30." + strings.Repeat("A", 64<<10-7), jwks.Header{}, "65537 bytes"},
		"empty":               {"", jwks.Header{}, "compact"},
		"two parts":           {"e30.e30", jwks.Header{}, "compact"},
		"four parts":          {"e30.e30.e30.e30", jwks.Header{}, "compact"},
		"five parts":          {"e30.e30.e30.e30.e30", jwks.Header{}, "compact"},
		"JSON":                {`{"payload":"e30","protected":"e30","signature":"e30"}`, jwks.Header{}, "compact"},
		"no header":           {".e30.e30", jwks.Header{}, "part 1"},
		"no payload":          {"e30..e30", jwks.Header{}, "part 2"},
		"no signature":        {"e30.e30.", jwks.Header{}, "part 3"},
		"padding":             {"e30=.e30.e30", jwks.Header{}, "part 1"},
		"padding, longer":     {b64(`{"alg":"EdDSA"}`) + "=.e30.e30", jwks.Header{}, "part 1"},
		"standard base64":     {"e30.e30.++++", jwks.Header{}, "part 3"},
		"blank in front":      {" e30.e30.e30", jwks.Header{}, "part 1"},
		"newline behind":      {"e30.e30.e30\n", jwks.Header{}, "compact"},
		"return inside":       {"e3\r0.e30.e30", jwks.Header{}, "compact"},
		"bits left over":      {"e31.e30.e30", jwks.Header{}, "part 1"},
		"bits left over, end": {"e30.e30.e31", jwks.Header{}, "part 3"},
		"a list":              {b64(`[]`) + ".e30.e30", jwks.Header{}, "no JSON object"},
		"not JSON":            {b64(`secret`) + ".e30.e30", jwks.Header{}, "no JSON object"},
		"alg twice":           {b64(`{"alg":"EdDSA","alg":"none"}`) + ".e30.e30", jwks.Header{}, "twice"},
		"x twice":             {b64(`{"alg":"EdDSA","x":1,"\u0078":2}`) + ".e30.e30", jwks.Header{}, "twice"},
		"alg a number":        {b64(`{"alg":5}`) + ".e30.e30", jwks.Header{}, "another type"},
		"kid a number":        {b64(`{"alg":"EdDSA","kid":5}`) + ".e30.e30", jwks.Header{}, "another type"},
		"typ a list":          {b64(`{"alg":"EdDSA","typ":["JWT"]}`) + ".e30.e30", jwks.Header{}, "another type"},
		"crit":                {b64(`{"alg":"EdDSA","crit":["exp"],"exp":1}`) + ".e30.e30", jwks.Header{}, "extension"},
		"crit empty":          {b64(`{"alg":"EdDSA","crit":[]}`) + ".e30.e30", jwks.Header{}, "extension"},
		"crit null":           {b64(`{"alg":"EdDSA","crit":null}`) + ".e30.e30", jwks.Header{}, "extension"},
		"b64":                 {b64(`{"alg":"EdDSA","b64":false}`) + ".e30.e30", jwks.Header{}, "extension"},
		"b64 true":            {b64(`{"alg":"EdDSA","b64":true}`) + ".e30.e30", jwks.Header{}, "extension"},
	} {
		got, err := jwks.ParseHeader(c.token)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: ParseHeader(%.60q) = %+v, %v, want %+v, %q", name, c.token, got, err, c.want, c.err)
		}
	}
}

// TestHeaders: what ParseHeader refuses is not verified either, though it is
// signed well.
func TestHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   string
	}{
		"good":               {`{"alg":"EdDSA"}`, ""},
		"its own key":        {`{"alg":"EdDSA","jwk":` + member(t, ed(), "", nil) + `}`, "signature is wrong"},
		"unreadable key":     {`{"alg":"EdDSA","jwk":{}}`, "cannot be read"},
		"crit":               {`{"alg":"EdDSA","crit":["x"],"x":1}`, "extension"},
		"b64":                {`{"alg":"EdDSA","b64":false}`, "extension"},
		"alg twice":          {`{"alg":"EdDSA","alg":"EdDSA"}`, "twice"},
		"none":               {`{"alg":"none"}`, "an unknown algorithm"},
		"no algorithm":       {`{}`, "an unknown algorithm"},
		"not among ours":     {`{"alg":"RS512"}`, "signed with RS512, allowed: RS256, PS256"},
		"alg in other case":  {`{"alg":"eddsa"}`, "an unknown algorithm"},
		"alg text of others": {`{"alg":"secret"}`, "an unknown algorithm"},
	} {
		p, s := start(t, nil)
		k := ed()
		if name == "its own key" {
			p.publish(set(member(t, edOther(), "", nil)))
		} else {
			p.publish(set(member(t, k, "", nil)))
		}
		_, err := s.VerifySignature(t.Context(), signHeader(k, c.header))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: VerifySignature() = %v, want %q", name, err, c.want)
		}
	}
}

func TestCheckAlgorithms(t *testing.T) {
	all := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	if err := jwks.CheckAlgorithms(all); err != nil {
		t.Errorf("CheckAlgorithms(%q) = %v", all, err)
	}
	for _, bad := range []string{"", "none", "HS256", "HS512", "rs256", "RS1", "RSA-OAEP", "ES256K", "Ed448"} {
		err := jwks.CheckAlgorithms([]string{"RS256", bad})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q is not one of ES256, ", bad)) {
			t.Errorf("CheckAlgorithms(RS256, %q) = %v, want it refused", bad, err)
		}
	}
	if jwks.CheckAlgorithms(nil) == nil {
		t.Error("CheckAlgorithms(none) = nil, want an error")
	}
}

// TestTampered: no single character of a token can be changed.
func TestTampered(t *testing.T) {
	p, s := start(t, nil)
	p.publish(set(member(t, ed(), "a", nil)))
	token := sign(t, ed(), "EdDSA", "a")
	if _, err := s.VerifySignature(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	for i := range token {
		for _, c := range []string{"A", "B", "_", ".", " ", "\n", "=", ""} {
			for _, changed := range []string{token[:i] + c + token[i+1:], token[:i] + c + token[i:]} {
				if changed == token {
					continue
				}
				if _, err := s.VerifySignature(t.Context(), changed); err == nil {
					t.Errorf("VerifySignature takes %q for %q", changed, token)
				}
			}
		}
	}
}
