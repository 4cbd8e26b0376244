package login_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// clientID is that of every stage's app.
const clientID = "web-app"

// in is a time so far from now, as claims have it.
func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// whole replaces the token.
func whole(f func(token string) string) gatetest.Mischief { return forged(gatetest.Forgery{Whole: f}) }

// TestAdversaryIDToken: whatever is wrong with an ID token, it is refused; and
// what only looks odd is taken.
func TestAdversaryIDToken(t *testing.T) {
	runAll(t, []trial{
		// Who issued it (Core, section 3.1.3.7, 2).
		{name: "iss is another", mischief: with("iss", "https://evil.example"), must: reject, cause: "issued by"},
		{name: "iss has a slash more", mischief: claims(func(c map[string]any) { c["iss"] = fmt.Sprint(c["iss"], "/") }), must: reject, cause: "issued by"},
		{name: "iss is in upper case", mischief: claims(func(c map[string]any) { c["iss"] = strings.ToUpper(fmt.Sprint(c["iss"])) }), must: reject, cause: "issued by"},
		{name: "iss is over http", mischief: claims(func(c map[string]any) { c["iss"] = strings.Replace(fmt.Sprint(c["iss"]), "https", "http", 1) }), must: reject, cause: "issued by"},
		{name: "iss is absent", mischief: with("iss", nil), must: reject, cause: "issued by"},
		{name: "iss is empty", mischief: with("iss", ""), must: reject, cause: "iss is empty"},
		// For whom (3).
		{name: "aud is another", mischief: with("aud", "mallory"), must: reject, cause: "aud is not"},
		{name: "aud is two, ours first", mischief: with("aud", []any{clientID, "mallory"}), must: reject, cause: "aud is not"},
		{name: "aud is two, ours last", mischief: with("aud", []any{"mallory", clientID}), must: reject, cause: "aud is not"},
		{name: "aud is ours twice", mischief: with("aud", []any{clientID, clientID}), must: reject, cause: "aud is not"},
		{name: "aud is a list of ours", mischief: with("aud", []any{clientID}), must: accept},
		{name: "aud is an empty list", mischief: with("aud", []any{}), must: reject, cause: "aud is not"},
		{name: "aud is empty", mischief: with("aud", ""), must: reject, cause: "aud is empty"},
		{name: "aud is absent", mischief: with("aud", nil), must: reject, cause: "aud is not"},
		{name: "aud is a number", mischief: with("aud", 4711), must: reject},
		{name: "aud is in upper case", mischief: with("aud", strings.ToUpper(clientID)), must: reject, cause: "aud is not"},
		{name: "aud is ours and a blank", mischief: with("aud", clientID+" "), must: reject, cause: "aud is not"},
		// For whom first (4, 5).
		{name: "azp is another", mischief: with("azp", "mallory"), must: reject, cause: "azp is not"},
		{name: "azp is another and aud two", mischief: claims(func(c map[string]any) { c["aud"], c["azp"] = []any{clientID, "mallory"}, "mallory" }), must: reject, cause: "aud is not"},
		{name: "azp is ours", mischief: with("azp", clientID), must: accept},
		{name: "azp is a list", mischief: with("azp", []any{clientID}), must: reject, cause: "azp is empty or not a text"},
		// Who signed it (6).
		{name: "signed with a foreign key", mischief: forged(gatetest.Forgery{Foreign: true}), must: reject, cause: "signature"},
		{name: "signature corrupt", mischief: forged(gatetest.Forgery{Corrupt: true}), must: reject, cause: "signature"},
		{name: "signature gone", mischief: whole(func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }), must: reject, cause: "part 3"},
		{name: "signature cut", mischief: whole(func(s string) string { return s[:len(s)-8] }), must: reject},
		{name: "payload of another token", mischief: whole(func(s string) string {
			parts := strings.Split(s, ".")
			return parts[0] + "." + parts[1][:len(parts[1])-4] + "AAAA." + parts[2]
		}), must: reject, cause: "signature"},
		{name: "a foreign key that jku names", mischief: forged(gatetest.Forgery{Foreign: true, Header: func(h map[string]any) { h["jku"] = "https://evil.example/jwks" }}), must: reject},
		// With which algorithm (7, 8; RFC 8725, section 3.1).
		{name: "alg is none", mischief: forged(gatetest.Forgery{Algorithm: "none"}), must: reject, cause: "part 3"},
		{name: "alg is none in another case", mischief: forged(gatetest.Forgery{Algorithm: "none", Header: func(h map[string]any) { h["alg"] = "NoNe" }}), must: reject},
		{name: "alg is none above a signature", mischief: whole(func(s string) string { return "eyJhbGciOiJub25lIn0" + s[strings.IndexByte(s, '.'):] }), must: reject, cause: "alg"},
		{name: "HS256 with the public key", mischief: forged(gatetest.Forgery{Algorithm: "HS256"}), must: reject, cause: "alg"},
		{name: "RS384 where RS256 is configured", mischief: forged(gatetest.Forgery{Algorithm: "RS384"}), must: reject, cause: "signed with RS384"},
		{name: "PS256 where RS256 is configured", mischief: forged(gatetest.Forgery{Algorithm: "PS256"}), must: reject, cause: "signed with PS256"},
		{name: "crit names what nobody knows", mischief: forged(gatetest.Forgery{Header: func(h map[string]any) { h["crit"], h["b65"] = []string{"b65"}, true }}), must: reject, cause: "crit"},
		// With which key (RFC 7515, section 4.1.4).
		{name: "kid is unknown", mischief: header("kid", "x"), must: reject, cause: "key"},
		{name: "kid is absent, and there is one key", mischief: header("kid", nil), must: accept},
		{name: "kid is that of a file", mischief: header("kid", "../../../../dev/null"), must: reject, cause: "key"},
		// What kind of token (RFC 8725, section 3.11).
		{name: "typ is that of an access token", mischief: header("typ", "at+jwt"), must: reject, cause: "typ"},
		{name: "typ is that of an access token, in full", mischief: header("typ", "application/at+jwt"), must: reject, cause: "typ"},
		{name: "typ is that of a logout token", mischief: header("typ", "logout+jwt"), must: reject, cause: "typ"},
		{name: "typ is absent", mischief: header("typ", nil), must: accept},
		{name: "typ is in lower case", mischief: header("typ", "jwt"), must: accept},
		{name: "events of a logout token", mischief: with("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}), must: reject, cause: "events"},
		// In answer to which login (11).
		{name: "nonce is absent", mischief: with("nonce", nil), must: reject, cause: "nonce is missing"},
		{name: "nonce is empty", mischief: with("nonce", ""), must: reject, cause: "nonce"},
		{name: "nonce is another", mischief: with("nonce", strings.Repeat("x", 43)), must: reject, cause: "nonce is not"},
		{name: "nonce is a list", mischief: claims(func(c map[string]any) { c["nonce"] = []any{c["nonce"]} }), must: reject},
		{name: "nonce is there twice", mischief: before(`"nonce":"x"`), must: reject, cause: "twice"},
		// When (9, 10).
		{name: "iat is absent", mischief: with("iat", nil), must: reject, cause: "iat is missing"},
		{name: "iat is an hour ahead", mischief: with("iat", in(time.Hour)), must: reject, cause: "clock"},
		{name: "iat is two days ago", mischief: with("iat", in(-48*time.Hour)), must: reject, cause: "issued"},
		{name: "iat is a text", mischief: with("iat", fmt.Sprint(in(0))), must: reject},
		{name: "iat is seconds ahead", mischief: with("iat", in(20*time.Second)), must: accept},
		{name: "exp is absent", mischief: with("exp", nil), must: reject, cause: "exp"},
		{name: "exp is over", mischief: with("exp", in(-2*time.Minute)), must: reject, cause: "expired"},
		{name: "exp is a text", mischief: with("exp", fmt.Sprint(in(time.Hour))), must: reject},
		{name: "exp is negative", mischief: with("exp", -1), must: reject},
		{name: "nbf is ahead", mischief: with("nbf", in(time.Hour)), must: reject, cause: "nbf"},
		{name: "nbf is over", mischief: with("nbf", in(-time.Hour)), must: accept},
		// Who (section 2: at most 255 characters, never used again).
		{name: "sub is absent", mischief: with("sub", nil), must: reject, cause: "sub is missing"},
		{name: "sub is empty", mischief: with("sub", ""), must: reject, cause: "sub is empty"},
		{name: "sub is a number", mischief: with("sub", 4711), must: reject},
		{name: "sub is a list", mischief: with("sub", []any{"ann"}), must: reject},
		{name: "sub has 256 bytes", mischief: with("sub", strings.Repeat("a", 256)), must: reject, cause: "sub is over 255"},
		{name: "sub has a NUL in it", mischief: with("sub", "ann\x00"), must: reject, cause: "control"},
		// The access token beside it (section 3.1.3.8).
		{name: "at_hash is of another token", mischief: with("at_hash", "MTIzNDU2Nzg5MDEyMzQ1Ng"), must: reject, cause: "at_hash"},
		{name: "at_hash is empty", mischief: with("at_hash", ""), must: reject, cause: "at_hash"},
		{name: "at_hash is absent", mischief: with("at_hash", nil), must: accept},
		// What no two readers read alike.
		{name: "sub is there twice", mischief: before(`"sub":"mallory"`), must: reject, cause: "twice"},
		{name: "sub is there twice, once in disguise", mischief: before(`"s\u0075b":"mallory"`), must: reject, cause: "twice"},
		{name: "iss is there twice", mischief: before(`"iss":"https://evil.example"`), must: reject, cause: "twice"},
		{name: "a member further down is there twice", mischief: before(`"address":{"country":"NZ","country":"AU"}`), must: reject, cause: "twice"},
		{name: "Sub beside sub", mischief: with("Sub", "mallory"), must: reject, cause: "another case"},
		{name: "SUB instead of sub", mischief: claims(func(c map[string]any) { c["SUB"] = c["sub"]; delete(c, "sub") }), must: reject, cause: "another case"},
		{name: "Nonce instead of nonce", mischief: claims(func(c map[string]any) { c["Nonce"] = c["nonce"]; delete(c, "nonce") }), must: reject, cause: "another case"},
		{name: "AUD beside aud", mischief: with("AUD", "mallory"), must: reject, cause: "another case"},
		{name: "the payload is no object", mischief: forged(gatetest.Forgery{RawClaims: func([]byte) []byte { return []byte(`["ann"]`) }}), must: reject},
		{name: "the payload is not JSON", mischief: forged(gatetest.Forgery{RawClaims: func(b []byte) []byte { return b[1:] }}), must: reject},
		{name: "the payload is not UTF-8", mischief: forged(gatetest.Forgery{RawClaims: func(b []byte) []byte { return bytes.Replace(b, []byte("Ann"), []byte("A\xff"), 1) }}), must: reject},
		// What is no token.
		{name: "empty", mischief: whole(func(string) string { return "" }), must: reject, cause: "no ID token"},
		{name: "a word", mischief: whole(func(string) string { return "token" }), must: reject},
		{name: "a script", mischief: whole(func(string) string { return script }), must: reject},
		{name: "two tokens", mischief: whole(func(s string) string { return s + "." + s }), must: reject},
		{name: "a blank behind", mischief: whole(func(s string) string { return s + " " }), must: reject},
		{name: "huge", mischief: with("more", strings.Repeat("x", 100<<10)), must: reject},
		// What is only odd.
		{name: "claims that nobody knows", mischief: claims(func(c map[string]any) { c["x"], c["acr"], c["amr"] = script, "1", []any{"pwd"} }), must: accept},
	})
}

// TestAdversaryIDTokenSecret: the client's secret is no key to sign with,
// though the provider knows it.
func TestAdversaryIDTokenSecret(t *testing.T) {
	s := newStage(t, play{})
	for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
		t.Run(algorithm, func(t *testing.T) {
			s.run(t, trial{must: reject, cause: "alg", mischief: forged(gatetest.Forgery{Algorithm: algorithm, Secret: []byte(s.idp.ClientSecret)})})
		})
	}
}

// TestAdversaryFresh: who was asked to sign in anew has done so, and the
// provider says so.
func TestAdversaryFresh(t *testing.T) {
	const path = "/auth/login?fresh=1&return_to=/me"
	runAll(t, []trial{
		{name: "auth_time is now", path: path, must: accept},
		{name: "auth_time is absent", path: path, mischief: with("auth_time", nil), must: reject, cause: "auth_time is missing"},
		{name: "auth_time is an hour ago", path: path, mischief: with("auth_time", in(-time.Hour)), must: reject, cause: "auth_time is before"},
		{name: "auth_time is an hour ahead", path: path, mischief: with("auth_time", in(time.Hour)), must: reject, cause: "auth_time is"},
		{name: "auth_time is a text", path: path, mischief: with("auth_time", fmt.Sprint(in(0))), must: reject},
		{name: "auth_time is null", path: path, mischief: claims(func(c map[string]any) { c["auth_time"] = nil }), must: reject},
		{name: "auth_time is absent and not asked for", mischief: with("auth_time", nil), must: accept},
		{name: "auth_time is old and not asked for", mischief: with("auth_time", in(-time.Hour)), must: accept},
	})
	s := newStage(t, play{})
	s.run(t, trial{path: path, must: accept})
	if q := s.idp.Asked("/authorize")[0].Query; q.Get("max_age") != "0" {
		t.Errorf("a login anew asks for %v", q)
	}
	// Otherwise it is asked for in a way that bothers nobody: providers say it
	// only then.
	s = newStage(t, play{})
	s.run(t, trial{must: accept})
	if q := s.idp.Asked("/authorize")[0].Query; q.Get("max_age") != "31536000" {
		t.Errorf("a login asks for %v", q)
	}
}
