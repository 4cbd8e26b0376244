package bearer_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

// TestRealOIDCProvider takes tokens of oidc-provider: JWTs, opaque ones, and
// those that are bound to a key or a certificate.
func TestRealOIDCProvider(t *testing.T) {
	s := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{
		RedirectURIs: []string{callback}, Algorithm: "ES256", MTLS: true,
		Resources: []string{jwtResource, "https://other.example"}, OpaqueResources: []string{opaqueResource, "https://other.example/opaque"},
	})
	p := endpoints(t, s)
	a := newAPI(t, provider.Config{
		Name: "main", Issuer: s.Issuer, CA: s.CA.File, Algorithms: []string{"ES256"},
		ClientID: "api", ClientSecret: secret.New("api-secret"), NoSignIn: true,
	}, map[string]provider.Binding{
		"jwt":         {Audience: []string{jwtResource}},
		"untyped":     {Audience: []string{jwtResource, "web-app"}, UntypedTokens: true},
		"opaque":      {Audience: []string{opaqueResource}},
		"any":         {Audience: []string{jwtResource, opaqueResource}},
		"anyaudience": {Audience: []string{jwtResource}, AnyAudience: true},
		"nonce":       {Audience: []string{jwtResource, opaqueResource}, DPoPNonce: true},
		"boundonly":   {Audience: []string{jwtResource, opaqueResource}, BoundOnly: true},
	}, map[string]bearer.Kind{
		"jwt": bearer.JWT, "untyped": bearer.JWT, "opaque": bearer.Opaque, "any": bearer.Any, "anyaudience": bearer.Opaque,
		"nonce": bearer.Any, "boundonly": bearer.Any,
	}, "posts:write")
	alice := "user alice of " + s.Issuer
	service := "nobody, client main/service"

	t.Run("jwt", func(t *testing.T) {
		program := p.program(t, "service", jwtResource)
		for _, op := range []string{"jwt", "untyped", "any"} {
			a.lets(t, service, a.call(t, op, "Bearer", program))
		}
		a.lets(t, "nobody, client main/other-service", a.call(t, "jwt", "bearer", p.program(t, "other-service", jwtResource)))
		a.refuses(t, "aud names none", a.call(t, "jwt", "Bearer", p.program(t, "service", "https://other.example")))
		a.refuses(t, "aud names none", a.call(t, "any", "Bearer", p.program(t, "service", "https://other.example")))
		a.refuses(t, "bound to nothing", a.call(t, "boundonly", "Bearer", program))
		a.refuses(t, "bound to no key", a.call(t, "jwt", "DPoP", program, newProver(t).prove(program, "")))

		tokens := p.person(t, "alice", "openid posts:write", jwtResource)
		a.lets(t, alice, a.call(t, "jwt", "Bearer", tokens["access_token"].(string)))
		id := tokens["id_token"].(string)
		a.refuses(t, "untyped_tokens: true", a.call(t, "jwt", "Bearer", id))
		a.refuses(t, "cannot be told from an ID token", a.call(t, "untyped", "Bearer", id))
		a.refuses(t, "untyped_tokens: true", a.call(t, "any", "Bearer", id))

		// It answers no question about a JWT, so that nobody knows.
		for _, token := range []string{program, id} {
			if got := a.call(t, "opaque", "Bearer", token); got.status != 503 || !strings.Contains(a.log.last(), "cannot be asked about JWTs") {
				t.Errorf("a JWT that has to be asked about is answered with %d, and the log says\n%s, want 503 and why", got.status, a.log.last())
			}
		}

		read := p.post(t, p.Token, "service", url.Values{"grant_type": {"client_credentials"}, "scope": {"posts:read"}, "resource": {jwtResource}})
		if got := a.call(t, "jwt", "Bearer", read["access_token"].(string)); got.status != 403 || !strings.Contains(got.challenge, `error="insufficient_scope"`) {
			t.Errorf("a token without the scope is answered with %d %s, want 403 insufficient_scope", got.status, got.challenge)
		}
	})

	t.Run("opaque", func(t *testing.T) {
		program := p.program(t, "service", opaqueResource)
		for _, op := range []string{"opaque", "any"} {
			a.lets(t, service, a.call(t, op, "Bearer", program))
		}
		a.refuses(t, "compact", a.call(t, "jwt", "Bearer", program))
		a.refuses(t, "aud names none", a.call(t, "opaque", "Bearer", p.program(t, "service", "https://other.example/opaque")))
		a.refuses(t, "not active", a.call(t, "opaque", "Bearer", "nobody-issued-this"))
		tokens := p.person(t, "alice", "openid posts:write offline_access", opaqueResource)
		a.lets(t, alice, a.call(t, "opaque", "Bearer", tokens["access_token"].(string)))

		// It says of no token without a resource whom it is for.
		plain := p.person(t, "alice", "openid", "")["access_token"].(string)
		a.refuses(t, "any_audience: true", a.call(t, "opaque", "Bearer", plain))
		if got := a.call(t, "anyaudience", "Bearer", plain); got.status != 403 {
			t.Errorf("a token for nobody, which is taken, and lacks the scope is answered with %d, want 403", got.status)
		}

		// It says of a refresh token that it is active, and not what kind it is.
		refresh := tokens["refresh_token"].(string)
		a.refuses(t, "any_audience: true", a.call(t, "opaque", "Bearer", refresh))
		a.refuses(t, "token_type", a.call(t, "anyaudience", "Bearer", refresh))

		p.post(t, p.Revocation, "service", url.Values{"token": {program}})
		a.pass(30 * time.Second)
		a.refuses(t, "not active", a.call(t, "opaque", "Bearer", program))
	})

	t.Run("dpop", func(t *testing.T) {
		for op, resource := range map[string]string{"jwt": jwtResource, "opaque": opaqueResource} {
			mine := newProver(t)
			token := p.program(t, "service", resource, mine.prove("", ""))
			other := p.program(t, "service", resource, mine.prove("", ""))
			proof := mine.prove(token, "")
			a.lets(t, service, a.call(t, op, "DPoP", token, proof))
			a.lets(t, service, a.call(t, "boundonly", "dpop", token, proof))
			a.refuses(t, "without DPoP", a.call(t, op, "Bearer", token))
			a.refuses(t, "without DPoP", a.call(t, op, "Bearer", token, proof))
			a.refuses(t, "no header DPoP", a.call(t, op, "DPoP", token))
			a.refuses(t, "another key", a.call(t, op, "DPoP", token, newProver(t).prove(token, "")))
			a.refuses(t, "another access token", a.call(t, op, "DPoP", token, mine.prove(other, "")))
			var same string
			replay := func(r *http.Request, c *tls.Config) {
				if same == "" {
					proof(r, c)
					same = r.Header.Get("DPoP")
				}
				r.Header.Set("DPoP", same)
			}
			a.lets(t, service, a.call(t, op, "DPoP", token, replay))
			a.refuses(t, "used before", a.call(t, op, "DPoP", token, replay))

			got := a.call(t, "nonce", "DPoP", token, proof)
			a.refuses(t, "nonce", got)
			if !strings.Contains(got.challenge, `error="use_dpop_nonce"`) || got.header.Get("DPoP-Nonce") == "" {
				t.Errorf("%s: a proof without a nonce is answered with %q and the nonce %q", op, got.challenge, got.header.Get("DPoP-Nonce"))
			}
			a.lets(t, service, a.call(t, "nonce", "DPoP", token, mine.prove(token, got.header.Get("DPoP-Nonce"))))
		}
	})

	t.Run("mtls", func(t *testing.T) {
		named := func(c *x509.Certificate) { c.DNSNames = []string{"mtls-service.example"} }
		mine, another := s.CA.ClientCertificate(t, "m", named), s.CA.ClientCertificate(t, "m", named)
		for op, resource := range map[string]string{"jwt": jwtResource, "opaque": opaqueResource} {
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {"posts:write"}, "resource": {resource}, "client_id": {"mtls-service"}}
			token := p.post(t, p.Token, "", form, showing(mine))["access_token"].(string)
			a.lets(t, "nobody, client main/mtls-service", a.call(t, op, "Bearer", token, showing(mine)))
			a.lets(t, "nobody, client main/mtls-service", a.call(t, "boundonly", "Bearer", token, showing(mine)))
			a.refuses(t, "none came", a.call(t, op, "Bearer", token))
			a.refuses(t, "another certificate", a.call(t, op, "Bearer", token, showing(another)))
		}
	})

	t.Run("restart", func(t *testing.T) {
		jwt, opaque := p.program(t, "service", jwtResource), p.program(t, "service", opaqueResource)
		a.lets(t, service, a.call(t, "jwt", "Bearer", jwt))
		a.lets(t, service, a.call(t, "opaque", "Bearer", opaque))
		s.Stop()
		a.lets(t, service, a.call(t, "jwt", "Bearer", jwt)) // while nobody can be asked
		a.pass(30 * time.Second)
		if got := a.call(t, "opaque", "Bearer", opaque); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("an opaque token while the provider is down is answered with %d, want 503 and Retry-After", got.status)
		}
		s.Restart(t) // with another key, and no memory of tokens
		a.pass(time.Minute)
		a.lets(t, service, a.call(t, "jwt", "Bearer", p.program(t, "service", jwtResource)))
		a.refuses(t, "none of the set's 1 keys", a.call(t, "jwt", "Bearer", jwt))
		a.lets(t, service, a.call(t, "opaque", "Bearer", p.program(t, "service", opaqueResource)))
		a.refuses(t, "not active", a.call(t, "opaque", "Bearer", opaque))
	})
}
