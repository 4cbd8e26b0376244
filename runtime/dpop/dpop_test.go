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
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/dpop"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store/redis"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

const (
	publicURL = "https://blog.example"
	token     = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU" // RFC 9449, section 7.1
)

var (
	now       = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	edKey     = must(newEd())
	otherKey  = must(newEd())
	rsaKey    = must(rsa.GenerateKey(rand.Reader, 2048))
	smallRSA  = must(rsa.GenerateKey(rand.Reader, 1024))
	p256      = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384      = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	tokenHash = sha256.Sum256([]byte(token))
)

func newEd() (ed25519.PrivateKey, error) {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	return k, err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type set map[string]any

type missing struct{}

var absent missing

func (s set) with(changes set) set {
	out := maps.Clone(s)
	for name, v := range changes {
		if out[name] = v; v == absent {
			delete(out, name)
		}
	}
	return out
}

func (s set) json() string { return string(must(json.Marshal(s, json.Deterministic(true)))) }

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// jwkOf is the public key of k as a JWK.
func jwkOf(k crypto.Signer) set {
	var s set
	if err := json.Unmarshal(must(json.Marshal(jose.JSONWebKey{Key: k.Public()})), &s); err != nil {
		panic(err)
	}
	return s
}

// thumbprint is the SHA-256 thumbprint of k's public key.
func thumbprint(k crypto.Signer) string {
	return base64.RawURLEncoding.EncodeToString(must((&jose.JSONWebKey{Key: k.Public()}).Thumbprint(crypto.SHA256)))
}

var jtis atomic.Int64

// good are the claims of a proof for GET /posts/k3 as they should be.
func good() set {
	return set{
		"jti": fmt.Sprint("j", jtis.Add(1)), "htm": "GET", "htu": publicURL + "/posts/k3", "iat": now.Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(tokenHash[:]),
	}
}

func header() set { return set{"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwkOf(edKey)} }

// signed makes a proof of any header and claims, signed with Ed25519.
func signed(k ed25519.PrivateKey, header, claims string) string {
	input := b64(header) + "." + b64(claims)
	return input + "." + b64(string(ed25519.Sign(k, []byte(input))))
}

// signedWith makes a proof with go-jose.
func signedWith(k crypto.Signer, alg string, claims set) string {
	opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	s := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: k}, opts))
	return must(must(s.Sign([]byte(claims.json()))).CompactSerialize())
}

// marks remember in memory, or fail.
type marks struct {
	mu   sync.Mutex
	seen map[session.Key]time.Time
	err  error
}

func (m *marks) Mark(_ context.Context, key session.Key, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return false, m.err
	}
	if _, seen := m.seen[key]; seen {
		return false, nil
	}
	m.seen[key] = until
	return true, nil
}

func verifier(t testing.TB, change func(*dpop.Config)) *dpop.Verifier {
	t.Helper()
	cfg := dpop.Config{
		PublicURL: publicURL, Marks: &marks{seen: map[session.Key]time.Time{}}, Ring: must(secret.NewRing(secret.Random(32))),
		Now: func() time.Time { return now },
	}
	if change != nil {
		change(&cfg)
	}
	v, err := dpop.New(cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	return v
}

func get(proofs ...string) *http.Request {
	r := httptest.NewRequest("GET", "https://10.0.0.1/posts/k3?draft=1", nil)
	r.Header["Dpop"] = proofs
	return r
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*dpop.Config){
		"http":       func(c *dpop.Config) { c.PublicURL = "http://blog.example" },
		"path":       func(c *dpop.Config) { c.PublicURL = "https://blog.example/" },
		"algorithms": func(c *dpop.Config) { c.Algorithms = []string{"HS256"} },
		"none":       func(c *dpop.Config) { c.Algorithms = []string{} },
		"life":       func(c *dpop.Config) { c.Life = -1 },
		"marks":      func(c *dpop.Config) { c.Marks = nil },
		"ring":       func(c *dpop.Config) { c.Ring = nil },
	} {
		cfg := dpop.Config{PublicURL: publicURL, Marks: &marks{}, Ring: must(secret.NewRing(secret.Random(32)))}
		change(&cfg)
		if _, err := dpop.New(cfg); err == nil {
			t.Errorf("%s: New() = nil, want an error", name)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		key   crypto.Signer
		alg   string
		proof func(crypto.Signer, string) string
	}{
		"EdDSA": {edKey, "EdDSA", nil},
		"ES256": {p256, "ES256", nil},
		"ES384": {p384, "ES384", nil},
		"RS256": {rsaKey, "RS256", nil},
		"PS256": {rsaKey, "PS256", nil},
	} {
		proof := signedWith(c.key, c.alg, good())
		if err := verifier(t, nil).Check(t.Context(), get(proof), token, thumbprint(c.key), false); err != nil {
			t.Errorf("%s: Check() = %v", name, err)
		}
	}
}

// TestKnownAnswers: the values of RFC 9449, section 7.1, and RFC 8037, appendix A.3.
func TestKnownAnswers(t *testing.T) {
	if got := base64.RawURLEncoding.EncodeToString(tokenHash[:]); got != "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" {
		t.Errorf("ath of the RFC's token = %s", got)
	}
	// The proof of section 7.1 was made long before; its signature, key and
	// claims are checked by a clock of then.
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik" +
		"VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR" +
		"nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE" +
		"QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj" +
		"oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z" +
		"WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF" +
		"c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E" +
		"OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	v := verifier(t, func(c *dpop.Config) {
		c.PublicURL = "https://resource.example.org"
		c.Now = func() time.Time { return time.Unix(1562262620, 0) }
	})
	r := httptest.NewRequest("GET", "https://resource.example.org/protectedresource", nil)
	r.Header.Set("DPoP", proof)
	if err := v.Check(t.Context(), r, token, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", false); err != nil {
		t.Errorf("Check() of the RFC's example = %v", err)
	}
}

// Each case is refused by the check that it names alone.
func TestCheckRefuses(t *testing.T) {
	proof := func(h, c set) string { return signed(edKey, header().with(h).json(), good().with(c).json()) }
	private := jwkOf(edKey).with(set{"d": b64("x")})
	hundred := strings.Repeat("a", 100)
	for _, c := range []struct {
		name   string
		proofs []string
		want   string
	}{
		{"no header", nil, "no header DPoP"},
		{"two headers", []string{proof(nil, nil), proof(nil, nil)}, "several"},
		{"a comma list", []string{proof(nil, nil) + ", " + proof(nil, nil)}, "compact"},
		{"empty", []string{""}, "compact"},
		{"large", []string{proof(nil, set{"x": strings.Repeat("a", 8<<10)})}, "are read"},
		{"no signature", []string{strings.TrimRight(proof(nil, nil), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")}, "empty"},
		{"padding", []string{proof(nil, nil) + "="}, "base64url"},
		{"no typ", []string{proof(set{"typ": absent}, nil)}, "typ is not"},
		{"typ of an access token", []string{proof(set{"typ": "at+jwt"}, nil)}, "typ is not"},
		{"alg none", []string{proof(set{"alg": "none"}, nil)}, "unknown algorithm"},
		{"alg HS256", []string{proof(set{"alg": "HS256"}, nil)}, "unknown algorithm"},
		{"alg not allowed", []string{signedWith(rsaKey, "RS512", good())}, "signed with RS512"},
		{"alg of another kind", []string{proof(set{"alg": "ES256"}, nil)}, "not for the algorithm"},
		{"no jwk", []string{proof(set{"jwk": absent}, nil)}, "no jwk"},
		{"jwk null", []string{proof(set{"jwk": nil}, nil)}, "no JSON Web Key"},
		{"jwk a text", []string{proof(set{"jwk": "x"}, nil)}, "no JSON Web Key"},
		{"jwk private", []string{proof(set{"jwk": private}, nil)}, "private member"},
		{"jwk symmetric", []string{proof(set{"jwk": set{"kty": "oct", "k": "AAAA"}}, nil)}, "private member"},
		{"jwk twice", []string{signed(edKey, strings.Replace(header().json(), "{", `{"jwk":{},`, 1), good().json())}, "twice"},
		{"jwk for encryption", []string{proof(set{"jwk": jwkOf(edKey).with(set{"use": "enc"})}, nil)}, "not for signatures"},
		{"jwk small", []string{signedWith(smallRSA, "RS256", good())}, "1024 bits"},
		{"jwk, an even exponent", []string{proof(set{"alg": "RS256", "jwk": jwkOf(rsaKey).with(set{"e": "Ag"})}, nil)}, "exponent"},
		{"jwk of another key", []string{proof(set{"jwk": jwkOf(otherKey)}, nil)}, "signature is wrong"},
		{"signed with another key", []string{signed(otherKey, header().with(set{"jwk": jwkOf(otherKey)}).json(), good().json())}, "another key"},
		{"crit", []string{proof(set{"crit": []string{"x"}}, nil)}, "crit"},
		{"claims changed", []string{swap(proof(nil, nil), good().json())}, "signature is wrong"},
		{"no jti", []string{proof(nil, set{"jti": absent})}, "jti is missing"},
		{"jti empty", []string{proof(nil, set{"jti": ""})}, "jti is empty"},
		{"no htm", []string{proof(nil, set{"htm": absent})}, "htm is missing"},
		{"another method", []string{proof(nil, set{"htm": "POST"})}, "another method"},
		{"method in lower case", []string{proof(nil, set{"htm": "get"})}, "another method"},
		{"no htu", []string{proof(nil, set{"htu": absent})}, "htu is missing"},
		{"another host", []string{proof(nil, set{"htu": "https://evil.example/posts/k3"})}, "another URI"},
		{"the host that was asked", []string{proof(nil, set{"htu": "https://10.0.0.1/posts/k3"})}, "another URI"},
		{"another path", []string{proof(nil, set{"htu": publicURL + "/posts/k4"})}, "another URI"},
		{"path in another case", []string{proof(nil, set{"htu": publicURL + "/Posts/k3"})}, "another URI"},
		{"path with a slash more", []string{proof(nil, set{"htu": publicURL + "/posts/k3/"})}, "another URI"},
		{"path, slash encoded", []string{proof(nil, set{"htu": publicURL + "/posts%2Fk3"})}, "another URI"},
		{"another port", []string{proof(nil, set{"htu": "https://blog.example:8443/posts/k3"})}, "another URI"},
		{"http", []string{proof(nil, set{"htu": "http://blog.example/posts/k3"})}, "not an https URI"},
		{"htu with a user", []string{proof(nil, set{"htu": "https://a@blog.example/posts/k3"})}, "not an https URI"},
		{"no iat", []string{proof(nil, set{"iat": absent})}, "iat is missing"},
		{"iat a text", []string{proof(nil, set{"iat": "x"})}, "iat is not a number"},
		{"long ago", []string{proof(nil, set{"iat": now.Unix() - 71})}, "ago"},
		{"in the future", []string{proof(nil, set{"iat": now.Unix() + 11})}, "in the future"},
		{"expired", []string{proof(nil, set{"exp": now.Unix() - 10})}, "expired"},
		{"not yet", []string{proof(nil, set{"nbf": now.Unix() + 11})}, "not good yet"},
		{"no ath", []string{proof(nil, set{"ath": absent})}, "ath is missing"},
		{"ath of another token", []string{proof(nil, set{"ath": b64(hundred)})}, "another access token"},
		{"htm twice", []string{signed(edKey, header().json(), strings.Replace(good().json(), "{", `{"htm":"GET",`, 1))}, "twice"},
		{"HTM in another case", []string{proof(nil, set{"HTM": "GET"})}, "another case"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := verifier(t, nil).Check(t.Context(), get(c.proofs...), token, thumbprint(edKey), false)
			if !errors.Is(err, dpop.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Check() = %v, want ErrInvalid with %q", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "eyJ")) {
				t.Errorf("Check() = %v, which quotes", err)
			}
		})
	}
}

func swap(proof, claims string) string {
	parts := strings.Split(proof, ".")
	return parts[0] + "." + b64(claims) + "." + parts[2]
}

// TestSameURI: what RFC 3986, section 6.2, says is the same is.
func TestSameURI(t *testing.T) {
	for _, htu := range []string{
		publicURL + "/posts/k3", "HTTPS://Blog.Example/posts/k3", "https://blog.example:443/posts/k3", "https://blog.example:/posts/k3",
		publicURL + "/posts/%6b3", publicURL + "/posts/%6B3", publicURL + "/posts/k3?draft=2", publicURL + "/posts/k3#x",
	} {
		proof := signed(edKey, header().json(), good().with(set{"htu": htu}).json())
		if err := verifier(t, nil).Check(t.Context(), get(proof), token, thumbprint(edKey), false); err != nil {
			t.Errorf("Check() with htu %q = %v", htu, err)
		}
	}
	r := httptest.NewRequest("HEAD", publicURL+"/a%2fb/%c3%a4", nil)
	r.Header.Set("DPoP", signed(edKey, header().json(), good().with(set{"htm": "HEAD", "htu": publicURL + "/a%2Fb/%C3%A4"}).json()))
	if err := verifier(t, nil).Check(t.Context(), r, token, thumbprint(edKey), false); err != nil {
		t.Errorf("Check() of an encoded path = %v", err)
	}
}

func TestNonce(t *testing.T) {
	clock := now
	v := verifier(t, func(c *dpop.Config) { c.Now = func() time.Time { return clock } })
	try := func(nonce any, required bool) error {
		proof := signed(edKey, header().json(), good().with(set{"nonce": nonce, "iat": clock.Unix()}).json())
		return v.Check(t.Context(), get(proof), token, thumbprint(edKey), required)
	}
	nonce := v.Nonce()
	for name, c := range map[string]struct {
		nonce    any
		required bool
		want     error
	}{
		"ours":                     {nonce, true, nil},
		"ours, not required":       {nonce, false, nil},
		"none, not required":       {absent, false, nil},
		"none":                     {absent, true, dpop.ErrNonce},
		"made up":                  {"x", true, dpop.ErrNonce},
		"made up, not required":    {"x", false, dpop.ErrNonce},
		"of another server's":      {verifier(t, nil).Nonce(), true, dpop.ErrNonce},
		"a number":                 {7, true, dpop.ErrInvalid},
		"changed":                  {nonce[:len(nonce)-1] + "~", true, dpop.ErrNonce},
		"empty, which is no nonce": {"", true, dpop.ErrInvalid},
	} {
		if err := try(c.nonce, c.required); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: Check() = %v, want %v", name, err, c.want)
		}
	}
	clock = now.Add(5*time.Minute - time.Second)
	if err := try(nonce, true); err != nil {
		t.Errorf("almost five minutes later: Check() = %v", err)
	}
	clock = now.Add(5 * time.Minute)
	if err := try(nonce, true); !errors.Is(err, dpop.ErrNonce) {
		t.Errorf("five minutes later: Check() = %v, want ErrNonce", err)
	}
	if v.Nonce() == v.Nonce() {
		t.Error("two nonces are one")
	}
	if strings.ContainsAny(nonce, " \"\\") {
		t.Errorf("nonce %q is not of RFC 9449, section 8.1", nonce)
	}
}

// TestReplay: a proof counts once, and one that is refused is not remembered.
func TestReplay(t *testing.T) {
	m := &marks{seen: map[session.Key]time.Time{}}
	v := verifier(t, func(c *dpop.Config) { c.Marks = m })
	bad := signed(otherKey, header().with(set{"jwk": jwkOf(otherKey)}).json(), good().json())
	_ = v.Check(t.Context(), get(bad), token, thumbprint(edKey), false)
	_ = v.Check(t.Context(), get(signed(edKey, header().json(), good().json())), token, thumbprint(edKey), true)
	if len(m.seen) != 0 {
		t.Errorf("%d refused proofs are remembered", len(m.seen))
	}
	claims := good()
	proof := signed(edKey, header().json(), claims.json())
	if err := v.Check(t.Context(), get(proof), token, thumbprint(edKey), false); err != nil {
		t.Fatal(err)
	}
	for name, again := range map[string]string{"the same": proof, "signed again": signed(edKey, header().json(), claims.with(set{"iat": now.Unix() + 1}).json())} {
		if err := v.Check(t.Context(), get(again), token, thumbprint(edKey), false); !errors.Is(err, dpop.ErrInvalid) {
			t.Errorf("%s: Check() = %v, want ErrInvalid", name, err)
		}
	}
	for _, until := range m.seen {
		if until.Before(now.Add(70 * time.Second)) {
			t.Errorf("a proof is remembered until %s, and is good for longer", until)
		}
	}
	m.err = errors.New("the store is silent")
	err := v.Check(t.Context(), get(signed(edKey, header().json(), good().json())), token, thumbprint(edKey), false)
	if err == nil || errors.Is(err, dpop.ErrInvalid) || errors.Is(err, dpop.ErrNonce) {
		t.Errorf("Check() with a silent store = %v, want that it cannot be told", err)
	}
}

// TestReplicas: of one proof that comes to two replicas fifty times at once,
// one counts; the store is a real one.
func TestReplicas(t *testing.T) {
	stores := map[string]func() session.Marks{}
	file := filepath.Join(t.TempDir(), "dpop.db")
	stores["sqlite"] = func() session.Marks {
		s, err := sqlite.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s.Marks()
	}
	server := testenv.Redis(t)
	stores["redis"] = func() session.Marks {
		s, err := redis.Driver.Open(t.Context(), server.URL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s.Marks()
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			clock := func(c *dpop.Config) { c.Marks, c.Now = open(), time.Now }
			replicas := []*dpop.Verifier{verifier(t, clock), verifier(t, clock)}
			proof := signed(edKey, header().json(), good().with(set{"iat": time.Now().Unix()}).json())
			var let atomic.Int64
			var wait sync.WaitGroup
			for i := range 50 {
				wait.Go(func() {
					err := replicas[i%2].Check(t.Context(), get(proof), token, thumbprint(edKey), false)
					switch {
					case err == nil:
						let.Add(1)
					case !errors.Is(err, dpop.ErrInvalid):
						t.Errorf("Check() = %v", err)
					}
				})
			}
			wait.Wait()
			if let.Load() != 1 {
				t.Errorf("one proof counted %d times, want once", let.Load())
			}
		})
	}
}

// FuzzProof: nothing passes that is not signed, by what the standard library says.
func FuzzProof(f *testing.F) {
	f.Add(signed(edKey, header().json(), good().json()))
	f.Add(signed(otherKey, header().json(), good().json()))
	f.Add("a.b.c")
	f.Add(b64(`{"typ":"dpop+jwt","alg":"none"}`) + "." + b64(good().json()) + ".")
	f.Fuzz(func(t *testing.T, proof string) {
		if err := verifier(t, nil).Check(t.Context(), get(proof), token, thumbprint(edKey), false); err != nil {
			return
		}
		i := strings.LastIndexByte(proof, '.')
		signature, _ := base64.RawURLEncoding.DecodeString(proof[i+1:])
		if !ed25519.Verify(edKey.Public().(ed25519.PublicKey), []byte(proof[:i]), signature) {
			t.Fatalf("Check(%q) = nil, though it is not signed", proof)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	v := verifier(b, nil)
	proofs := make([]string, 1000)
	for b.Loop() {
		b.StopTimer()
		for i := range proofs {
			proofs[i] = signedWith(p256, "ES256", good())
		}
		b.StartTimer()
		for _, p := range proofs {
			if err := v.Check(b.Context(), get(p), token, thumbprint(p256), false); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/proof")
}
