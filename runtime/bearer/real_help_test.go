package bearer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/clientcert"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

const (
	callback       = "https://app.example/callback"
	jwtResource    = "https://blog.example"
	opaqueResource = "https://blog.example/opaque"
	verifier       = "a-verifier-of-at-least-forty-three-characters-0123"
)

// An api is a server whose operations take the tokens of a real provider, each
// at a path that is called after its scheme.
type api struct {
	*httptest.Server
	ca    *testenv.CA
	ahead atomic.Int64 // by how much time its clock has been put forward
	log   *lines
}

// A lines is a log of a server, read by a test.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// last is the last line.
func (l *lines) last() string {
	text := strings.TrimSpace(l.String())
	return text[strings.LastIndex(text, "\n")+1:]
}

// newAPI serves POST /NAME for each scheme, which needs the scope posts:write
// where scope says so. The log of refusals is the default logger's, so that
// tests of a real provider are not parallel.
func newAPI(t *testing.T, p provider.Config, bindings map[string]provider.Binding, kinds map[string]bearer.Kind, needs ...string) *api {
	t.Helper()
	a := &api{ca: testenv.NewCA(t), log: &lines{}}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(a.log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })

	mux := http.NewServeMux()
	a.Server = httptest.NewUnstartedServer(mux)
	a.TLS = clientcert.Ask(&tls.Config{Certificates: []tls.Certificate{a.ca.Certificate(t, "localhost")}}, []string{"localhost"})
	_, port, err := net.SplitHostPort(a.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	public := "https://localhost:" + port
	stores, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "bearer.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stores.Close() })
	cfg := bearer.Config{
		PublicURL: public, Title: "Blog", Providers: []provider.Config{p}, Bindings: bindings,
		Users: stores.Users(), Marks: stores.Marks(), Ring: must(secret.NewRing(secret.Random(32))),
		Now: func() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) },
	}
	for name, kind := range kinds {
		cfg.Schemes = append(cfg.Schemes, bearer.Scheme{Name: name, Kind: kind, Places: tokenPlaces, Scopes: []string{"posts:write"}})
	}
	tokens, err := bearer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := tokens.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	gates := gate.Config{Authenticators: map[string]gate.Authenticator{}, PublicOrigin: public}
	ops := map[string]*gate.Operation{}
	for name := range kinds {
		gates.Schemes = append(gates.Schemes, gate.Scheme{Name: name, Places: tokenPlaces})
		gates.Authenticators[name] = tokens.Scheme(name)
		ops[name] = &gate.Operation{ID: name, Pattern: "POST /" + name, Policy: gate.Require(gate.Need{Scheme: name, Scopes: needs})}
		gates.Operations = append(gates.Operations, ops[name])
	}
	g, err := gate.New(gates)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		mux.HandleFunc(op.Pattern, func(w http.ResponseWriter, r *http.Request) {
			who, ok := g.Admit(w, r, op)
			if !ok {
				return
			}
			name := "nobody"
			if u, ok := who.User(); ok {
				name = "user " + u.Subject + " of " + u.Issuer
			}
			if c, ok := who.Client(); ok {
				name += ", client " + c.ID
			}
			_, _ = io.WriteString(w, name)
		})
	}
	a.StartTLS()
	t.Cleanup(a.Close)
	a.URL = public
	return a
}

// An answer is what the API says to a call.
type apiAnswer struct {
	status    int
	body      string
	challenge string
	header    http.Header
}

// call calls an operation with a token under a word.
func (a *api) call(t *testing.T, op, word, token string, change ...func(*http.Request, *tls.Config)) apiAnswer {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.URL+"/"+op, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", word+" "+token)
	tr := a.ca.Transport()
	for _, c := range change {
		c(req, tr.TLSClientConfig)
	}
	res, err := (&http.Client{Transport: tr, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return apiAnswer{res.StatusCode, string(body), strings.Join(res.Header["Www-Authenticate"], "\n"), res.Header}
}

// lets has a call let in as who.
func (a *api) lets(t *testing.T, who string, got apiAnswer) {
	t.Helper()
	if got.status != http.StatusOK || got.body != who {
		t.Errorf("the call is answered with %d %s, want 200 %s; the log says\n%s", got.status, got.body, who, a.log.last())
	}
}

// refuses has a call refused with 401, and the log say why.
func (a *api) refuses(t *testing.T, why string, got apiAnswer) {
	t.Helper()
	if got.status != http.StatusUnauthorized || got.challenge == "" {
		t.Errorf("the call is answered with %d %q %s, want 401 and a challenge", got.status, got.challenge, got.body)
	}
	if last := a.log.last(); !strings.Contains(last, why) {
		t.Errorf("the log says\n%s, want %q", last, why)
	}
}

// pass puts the API's clock forward.
func (a *api) pass(d time.Duration) { a.ahead.Add(int64(d)) }

// A realProvider is one with its endpoints.
type realProvider struct {
	*testenv.Service
	Authorize  string `json:"authorization_endpoint"`
	Token      string `json:"token_endpoint"`
	Revocation string `json:"revocation_endpoint"`
}

func endpoints(t *testing.T, s *testenv.Service) *realProvider {
	t.Helper()
	res, err := s.Client().Get(s.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	p := &realProvider{Service: s}
	if err := json.NewDecoder(res.Body).Decode(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// post sends a form as a client of the provider.
func (p *realProvider) post(t *testing.T, to, client string, form url.Values, change ...func(*http.Request, *tls.Config)) map[string]any {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		req.SetBasicAuth(client, client+"-secret")
	}
	c := p.Client()
	for _, f := range change {
		f(req, c.Transport.(*http.Transport).TLSClientConfig)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s %s, %v", to, res.Status, body, err)
	}
	answer := map[string]any{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return answer
}

// program gets a token for a client itself.
func (p *realProvider) program(t *testing.T, client, resource string, change ...func(*http.Request, *tls.Config)) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"posts:write"}}
	if resource != "" {
		form.Set("resource", resource)
	}
	return p.post(t, p.Token, client, form, change...)["access_token"].(string)
}

// person signs in and gets what the client web-app is given then.
func (p *realProvider) person(t *testing.T, user, scope, resource string) map[string]any {
	t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	start := url.Values{
		"response_type": {"code"}, "client_id": {"web-app"}, "redirect_uri": {callback}, "scope": {scope}, "prompt": {"consent"},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	form := url.Values{"grant_type": {"authorization_code"}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	if resource != "" {
		start.Set("resource", resource)
		form.Set("resource", resource)
	}
	back := p.Person(t).SignIn(t, p.Authorize+"?"+start.Encode(), user)
	form.Set("code", back.Query().Get("code"))
	return p.post(t, p.Token, "web-app", form)
}

// A prover makes proofs of DPoP with one key (RFC 9449, section 4).
type prover struct {
	key    *ecdsa.PrivateKey
	signer jose.Signer
}

func newProver(t *testing.T) *prover {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	return &prover{key, must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts))}
}

// prove adds a proof for a call with a token, or with "" for a token request.
func (p *prover) prove(token, nonce string) func(*http.Request, *tls.Config) {
	return func(r *http.Request, _ *tls.Config) {
		claims := set{"jti": rand.Text(), "htm": r.Method, "htu": r.URL.String(), "iat": time.Now().Unix()}
		if token != "" {
			sum := sha256.Sum256([]byte(token))
			claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
		}
		if nonce != "" {
			claims["nonce"] = nonce
		}
		r.Header.Set("DPoP", must(must(p.signer.Sign([]byte(claims.json()))).CompactSerialize()))
	}
}

// showing has a client show a certificate.
func showing(cert tls.Certificate) func(*http.Request, *tls.Config) {
	return func(_ *http.Request, c *tls.Config) { c.Certificates = []tls.Certificate{cert} }
}
