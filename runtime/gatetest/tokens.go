package gatetest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

// resource is the origin that requests are for.
const resource = "https://gatetest.example"

// A mint makes real access tokens, and real proofs of the key that some are
// bound to. It is an issuer on loopback, over TLS.
type mint struct {
	server *httptest.Server
	tokens *bearer.Tokens
	key    ed25519.PrivateKey // signs tokens
	forger ed25519.PrivateKey // is nobody's
	holder ed25519.PrivateKey // what tokens are bound to
	opaque []string           // names of the schemes whose tokens are asked about
	client string

	mu      sync.Mutex
	answers map[string]map[string]any // what is said of tokens; nil: nothing, not even that they are not known
}

// robot is a program that has tokens for itself.
const robot = "robot"

// takesTokens tells whether access tokens meet s: alone, or beside sessions where
// there is a place for them.
func takesTokens(s Scheme) bool {
	switch s.Verifier {
	case "token", "jwt", "introspection":
		return true
	}
	return isSession(s) && slices.ContainsFunc(s.Places, func(p gate.Place) bool { return p.In == gate.InAuthorization })
}

// newMint starts an issuer for those of schemes that take access tokens; nil
// where there are none.
func newMint(dir string, schemes []Scheme) (*mint, error) {
	if !slices.ContainsFunc(schemes, takesTokens) {
		return nil, nil
	}
	m := &mint{answers: make(map[string]map[string]any), client: rand.Text()}
	for _, k := range []*ed25519.PrivateKey{&m.key, &m.forger, &m.holder} {
		var err error
		if _, *k, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
	}
	m.server = httptest.NewUnstartedServer(http.HandlerFunc(m.serve))
	m.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	m.server.StartTLS()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.server.Certificate().Raw})
	return m, os.WriteFile(filepath.Join(dir, "mint-ca.pem"), ca, 0o600)
}

// open makes what verifies the tokens. Each scheme has an audience of its own.
func (m *mint) open(dir string, stores store.Stores, schemes []Scheme) error {
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		return err
	}
	cfg := bearer.Config{
		PublicURL: resource,
		Providers: []provider.Config{{
			Name: "mint", Issuer: m.server.URL, CA: filepath.Join(dir, "mint-ca.pem"), Algorithms: []string{"EdDSA"},
			ClientID: "gatetest", ClientSecret: secret.New(m.client), NoSignIn: true,
		}},
		Bindings: make(map[string]provider.Binding),
		Users:    usersMayFail{stores.Users()}, Marks: stores.Marks(), Ring: ring,
		Limits: unlimited, Logger: slog.New(slog.DiscardHandler),
	}
	for _, s := range schemes {
		if !takesTokens(s) {
			continue
		}
		if s.Verifier == "introspection" {
			m.opaque = append(m.opaque, s.Name)
		}
		cfg.Bindings[s.Name] = provider.Binding{Providers: []string{"mint"}, Audience: []string{"for " + s.Name}}
		kind := bearer.Kind(s.Verifier)
		if isSession(s) {
			kind = bearer.Any
		}
		cfg.Schemes = append(cfg.Schemes, bearer.Scheme{Name: s.Name, Kind: kind, Places: s.Places, Login: isSession(s)})
	}
	m.tokens, err = bearer.New(cfg)
	return err
}

// serve answers as an issuer.
func (m *mint) serve(w http.ResponseWriter, r *http.Request) {
	answer := map[string]any{"active": false}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{
			"issuer": m.server.URL, "authorization_endpoint": m.server.URL + "/authorize", "token_endpoint": m.server.URL + "/token",
			"jwks_uri": m.server.URL + "/jwks", "introspection_endpoint": m.server.URL + "/introspect",
		}
	case "/jwks":
		key := publicJWK(m.key)
		key["kid"] = "mint"
		answer = map[string]any{"keys": []any{key}}
	case "/introspect":
		if id, password, _ := r.BasicAuth(); id != "gatetest" || password != m.client {
			http.Error(w, "who asks?", http.StatusUnauthorized)
			return
		}
		m.mu.Lock()
		if said, ok := m.answers[r.PostFormValue("token")]; ok {
			answer = said
		}
		m.mu.Unlock()
		if answer == nil {
			http.Error(w, "not now", http.StatusInternalServerError)
			return
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, "no answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// token returns a token in the state that kind names, which is for all of
// schemes. It is a JWT unless all of them ask about their tokens.
func (m *mint) token(kind string, schemes, scopes []string, subject string, bound bool) (string, error) {
	now := time.Now()
	var audience []string
	for _, s := range schemes {
		audience = append(audience, "for "+s)
	}
	claims := map[string]any{
		"iss": m.server.URL, "sub": subject, "client_id": "phone", "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "scope": strings.Join(scopes, " "),
	}
	if kind == ofClient {
		claims["client_id"] = subject
	}
	header := map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": "mint"}
	key := m.key
	switch kind {
	case unknown:
		key = m.forger
	case expired:
		claims["exp"] = now.Add(-time.Hour).Unix()
	case otherAudience:
		claims["aud"] = []string{"another", resource}
	case idToken:
		header["typ"], claims["aud"], claims["nonce"] = "JWT", "gatetest", "n"
	}
	if bound {
		claims["cnf"] = map[string]any{"jkt": thumbprint(m.holder)}
	}
	asked := func(scheme string) bool { return slices.Contains(m.opaque, scheme) }
	text := rand.Text()
	if slices.ContainsFunc(schemes, func(s string) bool { return !asked(s) }) {
		var err error
		if text, err = sign(key, header, claims); err != nil {
			return "", err
		}
	}
	if slices.ContainsFunc(schemes, asked) {
		m.answer(text, kind, claims)
	}
	return text, nil
}

// answer has the issuer say of a token what kind names.
func (m *mint) answer(text, kind string, claims map[string]any) {
	said := maps.Clone(claims)
	said["active"], said["token_type"] = true, "Bearer"
	if claims["cnf"] != nil {
		said["token_type"] = "DPoP"
	}
	switch kind {
	case revoked, unknown, idToken:
		said = map[string]any{"active": false}
	case broken:
		said = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers[text] = said
}

// prove returns a proof for a request to path that carries a bound token (RFC
// 9449, section 4.2).
func (m *mint) prove(method, path, token string) (string, error) {
	sum := sha256.Sum256([]byte(token))
	return sign(m.holder, map[string]any{"alg": "EdDSA", "typ": "dpop+jwt", "jwk": publicJWK(m.holder)}, map[string]any{
		"jti": rand.Text(), "htm": method, "htu": resource + path, "iat": time.Now().Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	})
}

// sign makes a JWT.
func sign(key ed25519.PrivateKey, header, claims map[string]any) (string, error) {
	h, err := json.Marshal(header)
	c, cerr := json.Marshal(claims)
	if err = errors.Join(err, cerr); err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(input))), nil
}

// publicJWK is the public key of k (RFC 8037, section 2).
func publicJWK(k ed25519.PrivateKey) map[string]any {
	return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(k.Public().(ed25519.PublicKey))}
}

// thumbprint is that of the public key of k (RFC 7638, section 3; RFC 8037,
// appendix A.3).
func thumbprint(k ed25519.PrivateKey) string {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":%q}`, publicJWK(k)["x"]))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// usersMayFail is a store that knows nobody where the context says so.
type usersMayFail struct{ user.Store }

func (s usersMayFail) Ensure(ctx context.Context, issuer, subject string, p user.Profile) (user.Record, error) {
	if ctx.Value(down{}) != nil {
		return user.Record{}, errDown
	}
	return s.Store.Ensure(ctx, issuer, subject, p)
}

func (s usersMayFail) Load(ctx context.Context, id string) (user.Record, error) {
	if ctx.Value(down{}) != nil {
		return user.Record{}, errDown
	}
	return s.Store.Load(ctx, id)
}

// authenticator returns the real verifier of a scheme; sessions is that of its
// sessions, nil where none meet it.
func (m *mint) authenticator(s Scheme, sessions gate.Authenticator) gate.Authenticator {
	if sessions != nil {
		return m.tokens.Beside(s.Name, sessions)
	}
	return m.tokens.Scheme(s.Name)
}
