package bearer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"fmt"
	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

const (
	publicURL = "https://blog.example"
	audience  = "https://blog.example"
)

// Keys take a while to make: one of each kind will do for all tests.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	edKey    = sync.OnceValue(newEd)
	otherKey = sync.OnceValue(newEd)
)

func newEd() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// set are members of an object.
type set map[string]any

// absent, as a value, takes a member out.
type missing struct{}

var absent missing

// with is s with the changes.
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

// signed makes a token of any header and payload, signed with Ed25519.
func signed(k ed25519.PrivateKey, header, payload string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(string(ed25519.Sign(k, []byte(input))))
}

// typed is the usual header.
const typed = `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`

// signedWith makes a token with another algorithm.
func signedWith(t testing.TB, k crypto.Signer, alg, kid, payload string) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", kid)
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: k}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return must(jws.CompactSerialize())
}

// jwk is a public key as a set has it.
func jwk(k crypto.Signer, kid string) string {
	return string(must(json.Marshal(jose.JSONWebKey{Key: k.Public(), KeyID: kid})))
}

// An issuer publishes keys and answers questions about tokens, over TLS.
type issuer struct {
	*httptest.Server
	ca    string
	asked atomic.Int64 // questions about tokens

	mu     sync.Mutex
	keys   []string
	answer http.HandlerFunc // to a question
	down   bool
	change set // of the metadata
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{keys: []string{jwk(rsaKey(), "rsa"), jwk(ecKey(), "ec"), jwk(edKey(), "ed")}}
	i.answer = func(w http.ResponseWriter, _ *http.Request) { reply(w, `{"active":false}`) }
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	i.Config.ErrorLog = log.New(io.Discard, "", 0)
	i.StartTLS()
	t.Cleanup(i.Close)
	i.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(i.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	keys, answer, down, change := i.keys, i.answer, i.down, i.change
	i.mu.Unlock()
	switch {
	case down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case r.URL.Path == "/.well-known/openid-configuration":
		reply(w, set{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"jwks_uri": i.URL + "/jwks", "introspection_endpoint": i.URL + "/introspect",
		}.with(change).json())
	case r.URL.Path == "/jwks":
		reply(w, `{"keys":[`+strings.Join(keys, ",")+`]}`)
	case r.URL.Path == "/introspect":
		i.asked.Add(1)
		answer(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

// claims are those of a person's token as it should be.
func (i *issuer) claims(now time.Time) set {
	return set{
		"iss": i.URL, "sub": "ada", "aud": audience, "exp": now.Unix() + 300, "iat": now.Unix() - 5, "jti": "t1",
		"client_id": "phone", "scope": "posts:read posts:write",
	}
}

// A stage is an issuer, a store and what verifies the issuer's tokens.
type stage struct {
	t      testing.TB
	issuer *issuer
	stores store.Stores
	tokens *bearer.Tokens
	auth   gate.Authenticator
	cfg    bearer.Config

	mu  sync.Mutex
	now time.Time
}

var tokenPlaces = []gate.Place{gate.Authorization("bearer"), gate.Authorization("dpop")}

// newStage makes a stage with one scheme, token, answered by the provider main.
func newStage(t testing.TB, bind func(*provider.Binding), change func(*bearer.Config)) *stage {
	t.Helper()
	s := &stage{t: t, issuer: newIssuer(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	stores, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "bearer.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stores.Close() })
	s.stores = stores
	var b provider.Binding
	if bind != nil {
		bind(&b)
	}
	s.cfg = bearer.Config{
		PublicURL: publicURL, Title: "Blog",
		Providers: []provider.Config{{Name: "main", Issuer: s.issuer.URL, CA: s.issuer.ca, Algorithms: []string{"RS256", "ES256", "EdDSA"}}},
		Bindings:  map[string]provider.Binding{"token": b},
		Schemes:   []bearer.Scheme{{Name: "token", Kind: bearer.JWT, Places: tokenPlaces, Scopes: []string{"posts:write", "posts:read"}}},
		Users:     stores.Users(), Marks: stores.Marks(), Ring: must(secret.NewRing(secret.Random(32))),
		Cache: time.Second, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.now
		},
	}
	if change != nil {
		change(&s.cfg)
	}
	if s.tokens, err = bearer.New(s.cfg); err != nil {
		t.Fatalf("New() = %v", err)
	}
	s.auth = s.tokens.Scheme("token")
	return s
}

// pass lets time pass.
func (s *stage) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// client has the provider asked about tokens.
func withClient(c *bearer.Config) {
	c.Providers[0].ClientID, c.Providers[0].ClientSecret = "api", secret.New("api secret+%")
}

// token makes a good token with changes to its claims.
func (s *stage) token(changes set) string {
	return signed(edKey(), typed, s.issuer.claims(s.cfg.Now()).with(changes).json())
}

// ask has a token verified, sent under a word of Authorization.
func (s *stage) ask(word, token string, change ...func(*http.Request)) (gate.Identity, error) {
	r := httptest.NewRequest("POST", publicURL+"/posts?draft=1", nil)
	r.Header.Set("Authorization", word+" "+token)
	for _, c := range change {
		c(r)
	}
	c, found, err := s.auth.Find(r)
	if err != nil || !found {
		s.t.Fatalf("Find() = %v, %v, %v", c, found, err)
	}
	return s.auth.Verify(r.Context(), r, c)
}

// from has a request come from the nth of many addresses.
func from(n int) func(*http.Request) {
	return func(r *http.Request) {
		r.RemoteAddr = fmt.Sprintf("198.18.%d.%d:1", n>>8&0xff, n&0xff)
	}
}

// request carries a token under a word.
func request(t testing.TB, word, token string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", publicURL+"/posts?draft=1", nil)
	r.Header.Set("Authorization", word+" "+token)
	return r
}

func (s *stage) profile() user.Profile { return user.Profile{} }
