package testenv_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
)

const (
	jwtResource    = "https://blog.example"
	opaqueResource = "https://blog.example/opaque"
)

// post sends a form to the provider and reads the answer. An empty secret
// leaves the client to name itself otherwise.
func post(t *testing.T, c *http.Client, to, client, secret string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		req.SetBasicAuth(client, secret)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatalf("%s answers %q", to, body)
		}
	}
	return res.StatusCode, answer
}

// part is the header (0) or the payload (1) of a JWT.
func part(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOIDCProviderTokens(t *testing.T) {
	ca := testenv.NewCA(t)
	s := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{
		CA: ca, RedirectURIs: []string{callback}, Algorithm: "ES256", MTLS: true,
		Resources: []string{jwtResource}, OpaqueResources: []string{opaqueResource},
	})
	var meta struct {
		Token         string `json:"token_endpoint"`
		Introspection string `json:"introspection_endpoint"`
		Revocation    string `json:"revocation_endpoint"`
		Bound         bool   `json:"tls_client_certificate_bound_access_tokens"`
	}
	c := s.Client()
	getJSON(t, c, s.Issuer+"/.well-known/openid-configuration", &meta)
	if !meta.Bound {
		t.Error("the metadata do not promise certificate-bound tokens")
	}
	grant := func(resource, scope string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {scope}}
	}

	status, got := post(t, c, meta.Token, "service", "service-secret", grant(jwtResource, "posts:write unknown"))
	if status != 200 {
		t.Fatalf("token = %d %v", status, got)
	}
	token := got["access_token"].(string)
	if h := part(t, token, 0); h["typ"] != "at+jwt" || h["alg"] != "ES256" {
		t.Errorf("header = %v", h)
	}
	if p := part(t, token, 1); p["sub"] != "service" || p["client_id"] != "service" || p["aud"] != jwtResource || p["scope"] != "posts:write" {
		t.Errorf("payload = %v", p)
	}

	_, got = post(t, c, meta.Token, "service", "service-secret", grant(opaqueResource, "posts:write"))
	token, _ = got["access_token"].(string)
	if token == "" || strings.Contains(token, ".") {
		t.Fatalf("opaque token = %v", got)
	}
	ask := func(client string) map[string]any {
		status, got := post(t, c, meta.Introspection, client, client+"-secret", url.Values{"token": {token}})
		if status != 200 {
			t.Errorf("introspection for %s = %d", client, status)
		}
		return got
	}
	if got := ask("api"); got["active"] != true || got["aud"] != opaqueResource || got["client_id"] != "service" || got["scope"] != "posts:write" {
		t.Errorf("introspection = %v", got)
	}
	if got := ask("other-service"); got["active"] != false {
		t.Errorf("introspection of another's token = %v", got)
	}
	if status, _ := post(t, c, meta.Revocation, "service", "service-secret", url.Values{"token": {token}}); status != 200 {
		t.Errorf("revocation = %d", status)
	}
	if got := ask("api"); got["active"] != false {
		t.Errorf("introspection after the revocation = %v", got)
	}

	for name, c := range map[string]struct{ resource, client, secret string }{
		"a resource of nobody": {"https://other.example", "service", "service-secret"},
		"another's secret":     {jwtResource, "service", "other-service-secret"},
		"a client for asking":  {jwtResource, "api", "api-secret"},
	} {
		if status, got := post(t, s.Client(), meta.Token, c.client, c.secret, grant(c.resource, "posts:write")); status/100 != 4 {
			t.Errorf("%s: token = %d %v", name, status, got)
		}
	}

	for name, c := range map[string]struct {
		cert tls.Certificate
		ok   bool
	}{
		"the client's":   {ca.ClientCertificate(t, "m", dns("mtls-service.example")), true},
		"another's":      {ca.ClientCertificate(t, "mtls-service.example", dns("other.example")), false},
		"from elsewhere": {testenv.NewCA(t).ClientCertificate(t, "m", dns("mtls-service.example")), false},
		"none":           {tls.Certificate{}, false},
	} {
		client := s.Client()
		if c.cert.Certificate != nil {
			client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{c.cert}
		}
		form := grant(jwtResource, "posts:write")
		form.Set("client_id", "mtls-service")
		status, got := post(t, client, meta.Token, "", "", form)
		if (status == 200) != c.ok {
			t.Errorf("%s certificate: token = %d %v, want one: %v", name, status, got, c.ok)
			continue
		}
		if c.ok && part(t, got["access_token"].(string), 1)["cnf"] == nil {
			t.Errorf("%s certificate: the token is bound to nothing", name)
		}
	}
}

func dns(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = []string{name} }
}
