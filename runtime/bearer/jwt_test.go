package bearer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

func TestJWT(t *testing.T) {
	s := newStage(t, nil, nil)
	for name, token := range map[string]string{
		"EdDSA": s.token(nil),
		"RS256": signedWith(t, rsaKey(), "RS256", "rsa", s.issuer.claims(s.now).json()),
		"ES256": signedWith(t, ecKey(), "ES256", "ec", s.issuer.claims(s.now).json()),
	} {
		who, err := s.ask("Bearer", token)
		if err != nil {
			t.Fatalf("%s: Verify() = %v", name, err)
		}
		if who.User == nil || who.User.Issuer != s.issuer.URL || who.User.Subject != "ada" || who.Client != nil {
			t.Errorf("%s: Verify() = %+v, want the person ada and no client", name, who)
		}
		if want := (gate.Scopes{"posts:read", "posts:write"}); !reflect.DeepEqual(who.Scopes, want) {
			t.Errorf("%s: scopes %q, want %q", name, who.Scopes, want)
		}
		rec, err := s.stores.Users().Ensure(t.Context(), s.issuer.URL, "ada", s.profile())
		if err != nil || rec.ID != who.User.ID {
			t.Errorf("%s: user %q, want the one that a login has, %q, %v", name, who.User.ID, rec.ID, err)
		}
	}
}

func TestJWTClient(t *testing.T) {
	s := newStage(t, func(b *provider.Binding) { b.UntypedTokens = true }, func(c *bearer.Config) {
		c.Clients = map[string][]string{"billing": {"main/billing-app", "cn:billing"}}
	})
	for name, c := range map[string]struct {
		changes set
		id      string // "": a person
	}{
		"its own":                             {set{"sub": "robot", "client_id": "robot"}, "main/robot"},
		"with an id of ours":                  {set{"sub": "billing-app", "client_id": "billing-app"}, "billing"},
		"as Auth0 says it":                    {set{"sub": "robot@clients", "azp": "robot", "client_id": absent, "gty": "client-credentials"}, "main/robot"},
		"as Entra says it":                    {set{"sub": "2f1c", "azp": "robot", "client_id": absent, "idtyp": "app"}, "main/robot"},
		"as Okta says it":                     {set{"sub": "robot", "cid": "robot", "client_id": absent}, "main/robot"},
		"Okta's person, called as the client": {set{"sub": "robot", "cid": "robot", "uid": "00u1", "client_id": absent}, ""},
		"a person's":                          {set{"sub": "ada", "client_id": "robot"}, ""},
		"a person's, gty":                     {set{"sub": "ada", "client_id": "robot", "gty": "password"}, ""},
	} {
		header := typed
		if c.changes["client_id"] == absent {
			header = `{"alg":"EdDSA","kid":"ed","typ":"JWT"}`
		}
		who, err := s.ask("Bearer", signed(edKey(), header, s.issuer.claims(s.now).with(c.changes).json()))
		if err != nil {
			t.Errorf("%s: Verify() = %v", name, err)
			continue
		}
		switch {
		case c.id == "" && (who.User == nil || who.Client != nil), c.id != "" && (who.Client == nil || who.User != nil || who.Client.ID != c.id):
			t.Errorf("%s: Verify() = user %v, client %v, want client %q", name, who.User, who.Client, c.id)
		}
	}
}

// TestOktaPerson: a person's id at Okta is uid, as a login has it in sub; sub of
// its access tokens is a name that others may get.
func TestOktaPerson(t *testing.T) {
	untyped := func(s *stage, changes set) string {
		return signed(edKey(), `{"alg":"EdDSA","kid":"ed"}`, s.issuer.claims(s.now).with(set{"sub": "ada@blog.example"}).with(changes).json())
	}
	s := newStage(t, func(b *provider.Binding) { b.UntypedTokens = true }, nil)
	okta := newStage(t, func(b *provider.Binding) { b.UntypedTokens = true }, func(c *bearer.Config) { c.Providers[0].Preset = "okta" })
	for name, c := range map[string]struct {
		stage  *stage
		client set
	}{
		"by cid":    {s, set{"client_id": absent, "cid": "phone"}},
		"by preset": {okta, set{"client_id": "phone"}},
	} {
		who, err := c.stage.ask("Bearer", untyped(c.stage, set{"uid": "00u1"}.with(c.client)))
		if err != nil || who.User == nil || who.User.Subject != "00u1" {
			t.Errorf("%s: Verify() = user %+v, %v, want 00u1", name, who.User, err)
		}
		if _, err := c.stage.ask("Bearer", untyped(c.stage, c.client)); !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("%s: Verify() without uid = %v, want ErrInvalid", name, err)
		}
	}
	// Nobody else's uid is looked at.
	who, err := s.ask("Bearer", s.token(set{"sub": "ada", "uid": "00u1"}))
	if err != nil || who.User == nil || who.User.Subject != "ada" {
		t.Errorf("Verify() of another issuer's token = user %+v, %v, want ada", who.User, err)
	}
}

func TestJWTScopes(t *testing.T) {
	for name, c := range map[string]struct {
		bind    func(*provider.Binding)
		changes set
		want    gate.Scopes
	}{
		"scope":            {nil, set{"scope": " a  b "}, gate.Scopes{"a", "b"}},
		"with a semicolon": {nil, set{"scope": "a;b c"}, gate.Scopes{"a;b", "c"}},
		"none":             {nil, set{"scope": absent}, nil},
		"scp":              {nil, set{"scope": absent, "scp": []string{"a", "b"}}, gate.Scopes{"a", "b"}},
		"scp as a text":    {nil, set{"scope": absent, "scp": "a b"}, gate.Scopes{"a", "b"}},
		"scope before scp": {nil, set{"scope": "a", "scp": "b"}, gate.Scopes{"a"}},
		"a claim":          {func(b *provider.Binding) { b.ScopesClaim = "realm_access.roles" }, set{"realm_access": set{"roles": []string{"x"}}}, gate.Scopes{"x"}},
		"a claim, mapped": {func(b *provider.Binding) {
			b.ScopesClaim, b.ScopesMap = "groups", map[string][]string{"staff": {"a", "b"}}
		}, set{"groups": []string{"staff", "other"}}, gate.Scopes{"a", "b"}},
		"a claim that is not there": {func(b *provider.Binding) { b.ScopesClaim = "groups" }, nil, nil},
		"everyone's are not added":  {func(b *provider.Binding) { b.ScopesEveryone = []string{"x"} }, set{"scope": "a"}, gate.Scopes{"a"}},
	} {
		s := newStage(t, c.bind, nil)
		who, err := s.ask("Bearer", s.token(c.changes))
		if err != nil || len(who.Scopes)+len(c.want) > 0 && !reflect.DeepEqual(who.Scopes, c.want) {
			t.Errorf("%s: Verify() = %q, %v, want %q", name, who.Scopes, err, c.want)
		}
	}
}

// TestManyScopes: a list that is too long is not worked through, also where it
// is mapped to few.
func TestManyScopes(t *testing.T) {
	groups := make([]string, 1001)
	for i := range groups {
		groups[i] = "g" + fmt.Sprint(i)
	}
	for name, bind := range map[string]func(*provider.Binding){
		"mapped": func(b *provider.Binding) {
			b.ScopesClaim, b.ScopesMap = "groups", map[string][]string{"g1": {"a"}}
		},
		"as they are": func(b *provider.Binding) { b.ScopesClaim = "groups" },
	} {
		s := newStage(t, bind, nil)
		if _, err := s.ask("Bearer", s.token(set{"groups": groups})); !errors.Is(err, gate.ErrInvalid) || !strings.Contains(err.Error(), "at most 1000") {
			t.Errorf("%s: Verify() = %v, want that there are too many", name, err)
		}
		if _, err := s.ask("Bearer", s.token(set{"groups": groups[:1000]})); err != nil {
			t.Errorf("%s, one fewer: Verify() = %v", name, err)
		}
	}
}

// Each case is refused by the check that it names alone; the text is in the
// cause for the log.
func TestJWTRefused(t *testing.T) {
	s := newStage(t, nil, nil)
	at := func(seconds int64) int64 { return s.now.Unix() + seconds }
	claims := func(changes set) string { return s.issuer.claims(s.now).with(changes).json() }
	header := func(text string) string { return signed(edKey(), text, claims(nil)) }
	good := s.token(nil)
	parts := strings.Split(good, ".")
	der := must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	hs := func(key []byte, kid string) string {
		input := b64(`{"alg":"HS256","kid":"`+kid+`","typ":"at+jwt"}`) + "." + b64(claims(nil))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return input + "." + b64(string(mac.Sum(nil)))
	}
	es := func(signature []byte) string {
		return b64(`{"alg":"ES256","kid":"ec","typ":"at+jwt"}`) + "." + b64(claims(nil)) + "." + b64(string(signature))
	}
	esInput := b64(`{"alg":"ES256","kid":"ec","typ":"at+jwt"}`) + "." + b64(claims(nil))
	digest := sha256.Sum256([]byte(esInput))
	esDER := must(ecdsa.SignASN1(rand.Reader, ecKey(), digest[:]))
	pss := func() string {
		input := b64(`{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`) + "." + b64(claims(nil))
		sum := sha256.Sum256([]byte(input))
		return input + "." + b64(string(must(rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, sum[:], nil))))
	}
	attacker := jwk(otherKey(), "ed")
	for _, c := range []struct{ name, token, want string }{
		{"stranger's signature", signed(otherKey(), typed, claims(nil)), "signature is wrong"},
		{"payload of another token", parts[0] + "." + b64(claims(set{"sub": "eve"})) + "." + parts[2], "signature is wrong"},
		{"header of another token", b64(`{"alg":"EdDSA","kid":"ed","typ":"application/at+jwt"}`) + "." + parts[1] + "." + parts[2], "signature is wrong"},
		{"no signature", parts[0] + "." + parts[1] + ".", "empty"},
		{"two parts", parts[0] + "." + parts[1], "compact"},

		// Public collections of attacks.
		{"alg none", b64(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + ".", "empty"},
		{"alg none, a signature there", b64(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2], "unknown algorithm"},
		{"alg NonE", header(`{"alg":"NonE","kid":"ed","typ":"at+jwt"}`), "unknown algorithm"},
		{"alg empty", header(`{"alg":"","kid":"ed","typ":"at+jwt"}`), "unknown algorithm"},
		{"alg missing", header(`{"kid":"ed","typ":"at+jwt"}`), "unknown algorithm"},
		{"alg not allowed", signedWith(t, rsaKey(), "PS256", "rsa", claims(nil)), "signed with PS256"},
		{"HS256 with the public key, PEM", hs(publicPEM, "rsa"), "unknown algorithm"},
		{"HS256 with the public key, DER", hs(der, "rsa"), "unknown algorithm"},
		{"HS256 with the empty key", hs(nil, "../../../../dev/null"), "unknown algorithm"},
		{"kid of a path", header(`{"alg":"EdDSA","kid":"../../../../dev/null","typ":"at+jwt"}`), "none of the set's"},
		{"kid of SQL", header(`{"alg":"EdDSA","kid":"x' UNION SELECT 'k","typ":"at+jwt"}`), "none of the set's"},
		{"kid of a shell", header(`{"alg":"EdDSA","kid":"ed|/usr/bin/uname","typ":"at+jwt"}`), "none of the set's"},
		{"kid with NUL", header(`{"alg":"EdDSA","kid":"ed\u0000","typ":"at+jwt"}`), "none of the set's"},
		{"kid that is long", header(`{"alg":"EdDSA","kid":"` + strings.Repeat("e", 20000) + `","typ":"at+jwt"}`), "none of the set's"},
		{"kid that is a number", header(`{"alg":"EdDSA","kid":7,"typ":"at+jwt"}`), "no JSON object"},
		{"kid of another kind of key", header(`{"alg":"EdDSA","kid":"rsa","typ":"at+jwt"}`), "none of the set's"},
		{"jwk in the header", signed(otherKey(), `{"alg":"EdDSA","kid":"x","typ":"at+jwt","jwk":`+attacker+`}`, claims(nil)), "none of the set's"},
		{"jwk in the header, our kid", signed(otherKey(), `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","jwk":`+attacker+`}`, claims(nil)), "signature is wrong"},
		{"jku", signed(otherKey(), `{"alg":"EdDSA","kid":"x","typ":"at+jwt","jku":"https://evil.example/jwks"}`, claims(nil)), "none of the set's"},
		{"x5u", signed(otherKey(), `{"alg":"EdDSA","kid":"x","typ":"at+jwt","x5u":"https://evil.example/c.pem"}`, claims(nil)), "none of the set's"},
		{"x5c", signed(otherKey(), `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","x5c":["AAAA"]}`, claims(nil)), "header cannot be read"},
		{"crit", header(`{"alg":"EdDSA","kid":"ed","typ":"at+jwt","crit":["exp"],"exp":1}`), "crit or b64"},
		{"b64", header(`{"alg":"EdDSA","kid":"ed","typ":"at+jwt","b64":false}`), "crit or b64"},
		{"alg twice", header(`{"alg":"none","alg":"EdDSA","kid":"ed","typ":"at+jwt"}`), "twice"},
		{"sub twice", signed(edKey(), typed, strings.Replace(claims(nil), "{", `{"sub":"eve",`, 1)), "twice"},
		{"scope twice, escaped", signed(edKey(), typed, strings.Replace(claims(nil), "{", `{"\u0073cope":"admin",`, 1)), "twice"},
		{"Sub in another case", s.token(set{"Sub": "eve"}), "another case"},
		{"a million dots", strings.Repeat(".", 1<<20), "65536 are read"},
		{"as many dots as are read", strings.Repeat(".", 64<<10), "compact"},
		{"encrypted", b64(`{"alg":"dir","enc":"A256GCM"}`) + ".." + b64("iv") + "." + b64("x") + "." + b64("tag"), "compact"},
		{"nested", signed(edKey(), `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","cty":"JWT"}`, good), "no JSON object"},
		{"JSON serialization", `{"payload":"` + parts[1] + `"}`, "no token"},
		{"more behind", good + "." + b64("x"), "compact"},
		{"more behind, unsigned", good + b64("trailing bytes"), "not base64url"},
		{"padding", good + "=", "not base64url"},
		{"another spelling of the last bits", good[:len(good)-1] + next(good), "not base64url"},
		{"a line end", parts[0] + ".\n" + parts[1] + "." + parts[2], "no token"},
		{"two tokens", good + " " + good, "no token"},
		{"a comma", good + "," + good, "no token"},
		{"zero signature", es(make([]byte, 64)), "signature is wrong"},
		{"signature in DER", es(esDER), "signature is wrong"},
		{"signature of another algorithm, said to be ours", pss(), "signature is wrong"},
		{"signature cut", es(make([]byte, 63)), "signature is wrong"},

		// RFC 9068 and RFC 8725.
		{"typ missing", header(`{"alg":"EdDSA","kid":"ed"}`), "untyped_tokens"},
		{"typ JWT", header(`{"alg":"EdDSA","kid":"ed","typ":"JWT"}`), "untyped_tokens"},
		{"typ of a logout token", header(`{"alg":"EdDSA","kid":"ed","typ":"logout+jwt"}`), "another kind"},
		{"typ of a proof", header(`{"alg":"EdDSA","kid":"ed","typ":"dpop+jwt"}`), "another kind"},
		{"another issuer", s.token(set{"iss": "https://evil.example"}), "no provider of this scheme"},
		{"issuer with a slash", s.token(set{"iss": s.issuer.URL + "/"}), "no provider of this scheme"},
		{"no issuer", s.token(set{"iss": absent}), "no provider of this scheme"},
		{"issuer in a list", s.token(set{"iss": []string{s.issuer.URL}}), "no JSON object with an issuer"},
		{"no audience", s.token(set{"aud": absent}), "aud is missing"},
		{"audience null", s.token(set{"aud": nil}), "aud"},
		{"another audience", s.token(set{"aud": "https://other.example"}), "aud names none"},
		{"audience begins so", s.token(set{"aud": audience + ".evil.example"}), "aud names none"},
		{"audience with a slash", s.token(set{"aud": audience + "/"}), "aud names none"},
		{"audience empty", s.token(set{"aud": []string{}}), "aud names none"},
		{"audience of numbers", s.token(set{"aud": []int{1}}), "aud is not a list"},
		{"audience an object", s.token(set{"aud": set{audience: true}}), "aud is empty or not a text"},
		{"expired", s.token(set{"exp": at(-61)}), "expired"},
		{"no expiry", s.token(set{"exp": absent}), "exp is missing"},
		{"expiry a text", s.token(set{"exp": "9999999999"}), "exp is not a number"},
		{"expiry null", s.token(set{"exp": nil}), "exp is not a number"},
		{"expiry infinite", signed(edKey(), typed, strings.Replace(s.issuer.claims(s.now).with(set{"exp": "X"}).json(), `"X"`, "1e400", 1)), "out of range"},
		{"expiry far", s.token(set{"exp": 1e300}), "exp is not a number"},
		{"expiry negative", s.token(set{"exp": -1}), "exp is not a number"},
		{"not yet", s.token(set{"nbf": at(61)}), "good only in"},
		{"nbf a text", s.token(set{"nbf": "1"}), "nbf is not a number"},
		{"issued in the future", s.token(set{"iat": at(61)}), "good only in"},
		{"no iat", s.token(set{"iat": absent}), "iat is missing"},
		{"no sub", s.token(set{"sub": absent}), "sub is missing"},
		{"sub empty", s.token(set{"sub": ""}), "sub is empty"},
		{"sub a number", s.token(set{"sub": 7}), "sub is empty or not a text"},
		{"sub long", s.token(set{"sub": strings.Repeat("a", 256)}), "sub is over"},
		{"sub with NUL", s.token(set{"sub": "ada\x00"}), "control characters"},
		{"no client", s.token(set{"client_id": absent, "azp": "phone"}), "client_id is missing"},
		{"client a number", s.token(set{"client_id": 7}), "client_id is empty or not a text"},
		{"no jti", s.token(set{"jti": absent}), "jti is missing"},
		{"jti a number", s.token(set{"jti": 7}), "jti is empty or not a text"},
		{"scope a list", s.token(set{"scope": []string{"a"}}), "scope is not a text"},
		{"too many scopes", s.token(set{"scope": strings.Repeat("a ", 1001)}), "at most 1000"},
		{"auth_time a text", s.token(set{"auth_time": "x"}), "auth_time is not a number"},
		{"cnf not understood", s.token(set{"cnf": set{"kid": "x"}}), "not supported"},
		{"cnf empty", s.token(set{"cnf": set{}}), "cnf is empty"},
		{"cnf null", s.token(set{"cnf": nil}), "cnf is empty"},
		{"cnf a text", s.token(set{"cnf": "x"}), "cnf is empty or no object"},
		{"cnf, jkt and more", s.token(set{"cnf": set{"jkt": strings.Repeat("a", 43), "x": 1}}), "not supported"},
		{"cnf, jkt too short", s.token(set{"cnf": set{"jkt": "a"}}), "no SHA-256"},
		{"payload a list", signed(edKey(), typed, "[]"), "no JSON object"},
		{"payload no JSON", signed(edKey(), typed, "x"), "no JSON object"},
		{"payload not UTF-8", signed(edKey(), typed, strings.Replace(claims(nil), "ada", "ad\xff", 1)), "no JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			begun := time.Now()
			r := request(t, "Bearer", c.token)
			who, err := s.auth.Verify(t.Context(), r, gate.Credential{Place: gate.Authorization("bearer"), Value: c.token})
			if !errors.Is(err, gate.ErrInvalid) || who.User != nil || who.Client != nil {
				t.Fatalf("Verify() = %+v, %v, want ErrInvalid", who, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("Verify() = %v, want %q", err, c.want)
			}
			for _, secret := range []string{parts[1], parts[2], "eve", "ada"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("Verify() = %v, which quotes the token", err)
				}
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("Verify() took %s", took)
			}
		})
	}
	if _, err := s.ask("Bearer", good); err != nil {
		t.Errorf("after all that the good token is refused: %v", err)
	}
}

// next is the character after the last of a text, in base64url: it has the same
// bits that count.
func next(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[(strings.IndexByte(alphabet, text[len(text)-1])+1)%64])
}

// TestUntyped: what an issuer signs beside access tokens is never taken for one.
func TestUntyped(t *testing.T) {
	bind := func(b *provider.Binding) { b.UntypedTokens, b.Audience = true, []string{"api"} }
	s := newStage(t, bind, func(c *bearer.Config) {
		c.Providers[0].ClientID, c.Providers[0].ClientSecret = "web-app", secret.New("x")
	})
	base := set{"aud": "api", "jti": absent, "client_id": absent, "azp": "phone"}
	untyped := func(typ string, changes set) string {
		header := `{"alg":"EdDSA","kid":"ed"` + typ + `}`
		return signed(edKey(), header, s.issuer.claims(s.now).with(base).with(changes).json())
	}
	const jwt = `,"typ":"JWT"`
	for _, c := range []struct{ name, token, want string }{
		{"no typ", untyped("", nil), ""},
		{"typ JWT", untyped(jwt, nil), ""},
		{"Keycloak's", untyped(jwt, set{"typ": "Bearer"}), ""},
		{"Auth0's, of a program without scopes", untyped(jwt, set{"scope": absent, "gty": "client-credentials"}), ""},
		{"Entra's, of a program without scopes", untyped(jwt, set{"scope": absent, "azpacr": "1"}), ""},
		{"Entra's of version 1", untyped(jwt, set{"scope": absent, "azp": absent, "appid": "phone", "appidacr": "1"}), ""},
		{"Okta's", untyped("", set{"scope": absent, "azp": absent, "cid": "phone", "uid": "00u1"}), ""},
		{"Okta's, of a person without an id", untyped("", set{"scope": absent, "azp": absent, "cid": "phone"}), "no uid"},
		{"Okta's, with an id that is none", untyped("", set{"scope": absent, "azp": absent, "cid": "phone", "uid": 1}), "uid"},
		{"Cognito's", untyped("", set{"token_use": "access", "azp": absent, "client_id": "phone"}), ""},
		{"typed", signed(edKey(), typed, s.issuer.claims(s.now).with(set{"aud": "api"}).json()), ""},
		{"an ID token's nonce", untyped(jwt, set{"nonce": "x"}), "it has nonce"},
		{"an ID token's at_hash", untyped(jwt, set{"at_hash": "x"}), "it has at_hash"},
		{"an ID token's c_hash", untyped(jwt, set{"c_hash": "x"}), "it has c_hash"},
		{"a logout token's events", untyped(jwt, set{"events": set{}}), "it has events"},
		{"Keycloak's ID token", untyped(jwt, set{"typ": "ID"}), "typ says"},
		{"Keycloak's refresh token", untyped(jwt, set{"typ": "Refresh"}), "typ says"},
		{"Cognito's ID token", untyped(jwt, set{"token_use": "id"}), "token_use says"},
		{"an ID token's audience", untyped(jwt, set{"aud": []string{"api", "web-app"}}), "client that people sign in with"},
		{"a bare ID token", untyped(jwt, set{"scope": absent}), "cannot be told from an ID token"},
		{"no client", untyped(jwt, set{"azp": absent}), "names no client"},
		{"no expiry", untyped(jwt, set{"exp": absent}), "exp is missing"},
	} {
		_, err := s.ask("Bearer", c.token)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, gate.ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: Verify() = %v, want %q", c.name, err, c.want)
		}
	}
}

// TestUntypedForTheClient: an issuer that calls this server by its client's id is
// taken at its word where the audience says so.
func TestUntypedForTheClient(t *testing.T) {
	s := newStage(t, func(b *provider.Binding) { b.UntypedTokens, b.Audience = true, []string{"web-app"} }, func(c *bearer.Config) {
		c.Providers[0].ClientID, c.Providers[0].ClientSecret = "web-app", secret.New("x")
	})
	untyped := func(changes set) string {
		return signed(edKey(), `{"alg":"EdDSA","kid":"ed","typ":"JWT"}`, s.issuer.claims(s.now).with(set{"aud": "web-app"}).with(changes).json())
	}
	if _, err := s.ask("Bearer", untyped(nil)); err != nil {
		t.Errorf("an access token: Verify() = %v", err)
	}
	// An ID token of the code flow has no more than this.
	if _, err := s.ask("Bearer", untyped(set{"scope": absent, "client_id": absent, "jti": absent, "azp": "web-app"})); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("an ID token: Verify() = %v, want ErrInvalid", err)
	}
}

// TestSkew: a minute, and no more.
func TestSkew(t *testing.T) {
	s := newStage(t, nil, nil)
	for name, c := range map[string]struct {
		changes set
		ok      bool
	}{
		"expired 59 s ago": {set{"exp": s.now.Unix() - 59}, true},
		"expired 60 s ago": {set{"exp": s.now.Unix() - 60}, false},
		"good in 60 s":     {set{"nbf": s.now.Unix() + 60}, true},
		"good in 61 s":     {set{"nbf": s.now.Unix() + 61}, false},
		"a fraction":       {set{"exp": float64(s.now.Unix()) + 0.5}, true},
	} {
		if _, err := s.ask("Bearer", s.token(c.changes)); (err == nil) != c.ok {
			t.Errorf("%s: Verify() = %v, want ok %v", name, err, c.ok)
		}
	}
}

// TestBadKeys: giant keys of a set are of no use, and cost no time.
func TestBadKeys(t *testing.T) {
	modulus := base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 1<<17).Bytes())
	n := base64.RawURLEncoding.EncodeToString(rsaKey().N.Bytes())
	e := base64.RawURLEncoding.EncodeToString(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 64), big.NewInt(65537)).Bytes())
	for name, key := range map[string]string{
		"giant modulus":          fmt.Sprintf(`{"kty":"RSA","kid":"rsa","n":%q,"e":"AQAB"}`, modulus),
		"giant exponent":         fmt.Sprintf(`{"kty":"RSA","kid":"rsa","n":%q,"e":%q}`, n, e),
		"even exponent":          fmt.Sprintf(`{"kty":"RSA","kid":"rsa","n":%q,"e":"Ag"}`, n),
		"symmetric":              `{"kty":"oct","kid":"rsa","k":"AAAA"}`,
		"point not on the curve": `{"kty":"EC","crv":"P-256","kid":"rsa","x":"AQ","y":"AQ"}`,
	} {
		s := newStage(t, nil, nil)
		s.issuer.set(func(i *issuer) { i.keys = []string{key} })
		begun := time.Now()
		_, err := s.ask("Bearer", signedWith(t, rsaKey(), "RS256", "rsa", s.issuer.claims(s.now).json()))
		if !errors.Is(err, gate.ErrInvalid) || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: Verify() = %v after %s, want ErrInvalid", name, err, time.Since(begun))
		}
	}
}
