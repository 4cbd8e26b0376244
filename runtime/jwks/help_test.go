package jwks_test

import (
	"bytes"
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

	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/jwks"
)

// Keys take a while to make: one of each kind will do for all tests.
var (
	rsa2048 = sync.OnceValue(func() *rsa.PrivateKey { return rsaKey(2048) })
	rsa2047 = sync.OnceValue(func() *rsa.PrivateKey { return rsaKey(2047) })
	p256    = sync.OnceValue(func() *ecdsa.PrivateKey { return ecKey(elliptic.P256()) })
	p384    = sync.OnceValue(func() *ecdsa.PrivateKey { return ecKey(elliptic.P384()) })
	p521    = sync.OnceValue(func() *ecdsa.PrivateKey { return ecKey(elliptic.P521()) })
	ed      = sync.OnceValue(edKey)
	edNew   = sync.OnceValue(edKey)
	edOther = sync.OnceValue(edKey)
)

func rsaKey(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func ecKey(c elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func edKey() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// A member is one key of a set, as JSON. Members of more are added or, where
// the value is nil, taken out.
func member(t testing.TB, k crypto.Signer, kid string, more map[string]any) string {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKey{Key: k.Public(), KeyID: kid})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for name, v := range more {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	data, err = json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func set(members ...string) string { return `{"keys":[` + strings.Join(members, ",") + `]}` }

// sign makes a token with that header, whose kid is left out where it is "".
func sign(t testing.TB, k crypto.Signer, alg, kid string) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	if kid != "" {
		opts.WithHeader("kid", kid)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: k}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign([]byte("payload of " + kid))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// signHeader makes a token of any header, signed with Ed25519.
func signHeader(k ed25519.PrivateKey, header string) string {
	input := b64(header) + "." + b64("payload")
	return input + "." + b64(string(ed25519.Sign(k, []byte(input))))
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// A provider publishes keys, over TLS.
type provider struct {
	*httptest.Server
	hits atomic.Int64

	mu     sync.Mutex
	handle http.HandlerFunc
	now    time.Time
	log    bytes.Buffer
}

func (p *provider) publish(body string) {
	p.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	})
}

func (p *provider) answer(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handle = h
}

func (p *provider) fail() {
	p.answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) })
}

func (p *provider) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// Write takes lines of the log.
func (p *provider) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(line)
}

func (p *provider) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start runs a provider and a set that takes its keys.
func start(t *testing.T, change func(*jwks.Config)) (*provider, *jwks.Set) {
	t.Helper()
	p := &provider{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	p.fail()
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hits.Add(1)
		p.mu.Lock()
		h := p.handle
		p.mu.Unlock()
		h(w, r)
	}))
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.StartTLS()
	t.Cleanup(p.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := fetch.New(fetch.Config{CA: ca, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	cfg := jwks.Config{
		URL:        p.URL + "/keys",
		Client:     client,
		Algorithms: []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"},
		Logger:     slog.New(slog.NewTextHandler(p, nil)),
		Now: func() time.Time {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.now
		},
	}
	if change != nil {
		change(&cfg)
	}
	s, err := jwks.New(cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	return p, s
}
