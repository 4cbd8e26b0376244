package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/secret"
)

// TestPartners runs the program, with a provider that somebody else wrote, and
// calls it with every kind of credential that it takes.
func TestPartners(t *testing.T) {
	ca, companies := testenv.NewCA(t), testenv.NewCA(t)
	port := freePort(t)
	base := "https://localhost:" + port
	op := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{
		CA: ca, RedirectURIs: []string{base + "/callback"}, Resources: []string{base}, ResourceScopes: []string{"orders:write"},
	})
	dir := t.TempDir()
	cert, key := ca.Files(t, "localhost")
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("server.secret", secret.Random(32).Reveal())
	write("secrets/carrier-swift.secret", carrierSecret)
	write("secrets/scanners", scannerLine(t, "gate-3", "right"))
	write("server.yaml", fmt.Sprintf("public_url: %s\nlisten: 127.0.0.1:%s\ntls: {cert: %q, key: %q}\nsecret_file: server.secret\nstore: sqlite:partners.db\n", base, port, cert, key)+
		fmt.Sprintf("providers: {main: {issuer: %q, ca: %q}}\nclient_certs: {ca: %q, scopes: {\"cn:acme\": [\"stock:read\"]}}\n", op.Issuer, ca.File, companies.File))
	program := filepath.Join(dir, "partners")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v\n%s", err, &log)
		}
	})
	await(t, ca, "localhost:"+port)

	acme := companies.ClientCertificate(t, "acme", nil)
	other := companies.ClientCertificate(t, "other", nil)
	foreign := testenv.NewCA(t).ClientCertificate(t, "acme", nil)
	person := personToken(t, op, base)
	const order = `{"item":"bolt-8","count":5}`
	signed := func(r *http.Request) {
		sum := sha256.Sum256([]byte(order))
		r.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		r.Header.Set("Authorization", "Hmac swift:"+base64.RawURLEncoding.EncodeToString(sign(secret.New(carrierSecret), r)))
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+person) }
	password := func(name, text string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, text) }
	}
	for _, c := range []struct {
		name, method, path, body string
		cert                     *tls.Certificate
		add                      func(*http.Request)
		status                   int
		want                     string
	}{
		{"a company reads", "GET", "/stock/bolt-8", "", &acme, nil, 200, `"count":100`},
		{"a company without the scope", "GET", "/stock/bolt-8", "", &other, nil, 403, "insufficient_scope"},
		{"a stranger's certificate", "GET", "/stock/bolt-8", "", &foreign, nil, 401, "credential_invalid"},
		{"a stranger's certificate and a right password", "GET", "/stock/bolt-8", "", &foreign, password("gate-3", "right"), 401, "credential_invalid"},
		{"nobody", "GET", "/stock/bolt-8", "", nil, nil, 401, "credential_missing"},
		{"a scanner", "GET", "/stock/bolt-8", "", nil, password("gate-3", "right"), 200, `"count":100`},
		{"a scanner, wrong password", "GET", "/stock/bolt-8", "", nil, password("gate-3", "wrong"), 401, "credential_invalid"},
		{"a company for a person", "POST", "/orders", order, &acme, bearer, 201, `"company":"cn:acme","person":"alice"`},
		{"a company alone", "POST", "/orders", order, &acme, nil, 401, "credential_missing"},
		{"a person alone", "POST", "/orders", order, nil, bearer, 401, "credential_missing"},
		{"a carrier", "POST", "/deliveries", order, nil, signed, 204, ""},
		{"a carrier, and another body", "POST", "/deliveries", `{"item":"bolt-8","count":9}`, nil, func(r *http.Request) { r.URL.RawQuery = "n=2"; signed(r) }, 400, "digest_mismatch"},
		{"a carrier, another operation's signature", "POST", "/deliveries", order, nil, func(r *http.Request) { signed(r); r.URL.RawQuery = "x=1" }, 401, "credential_invalid"},
		{"a company where a carrier is meant", "POST", "/deliveries", order, &acme, nil, 401, "credential_missing"},
		{"after all that", "GET", "/stock/bolt-8", "", &acme, nil, 200, `"count":100`},
	} {
		req, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		if c.add != nil {
			c.add(req)
		}
		tr := ca.Transport()
		if c.cert != nil {
			tr.TLSClientConfig.Certificates = []tls.Certificate{*c.cert}
		}
		res, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: %s %s = %d %s, %v, want %d %s", c.name, c.method, c.path, res.StatusCode, body, err, c.status, c.want)
		}
	}
}

// TestRefusesToStart: a scheme of the application's own without its verifier, and
// certificates without authorities, keep the server from starting.
func TestRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	ca := testenv.NewCA(t)
	cert, key := ca.Files(t, "localhost")
	for name, text := range map[string]string{
		"server.secret": secret.Random(32).Reveal(),
		"server.yaml":   fmt.Sprintf("public_url: https://localhost\nlisten: 127.0.0.1:0\ntls: {cert: %q, key: %q}\nsecret_file: server.secret\nstore: sqlite:partners.db\n", cert, key),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "partners")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), `"company"`) || !strings.Contains(string(out), "client_certs") || !strings.Contains(string(out), `"staff"`) || !strings.Contains(string(out), "providers") {
		t.Errorf("the program ended with %v and said\n%s", err, out)
	}
}

func await(t *testing.T, ca *testenv.CA, address string) {
	t.Helper()
	for range 600 {
		conn, err := tls.Dial("tcp", address, ca.Transport().TLSClientConfig)
		if err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the server does not answer")
}

// personToken signs alice in and returns her access token for a resource.
func personToken(t *testing.T, op *testenv.Service, resource string) string {
	t.Helper()
	const verifier = "a-verifier-of-at-least-forty-three-characters-0123"
	sum := sha256.Sum256([]byte(verifier))
	start := url.Values{
		"response_type": {"code"}, "client_id": {"web-app"}, "redirect_uri": {resource + "/callback"}, "scope": {"openid orders:write"}, "prompt": {"consent"},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "resource": {resource},
	}
	back := op.Person(t).SignIn(t, op.Issuer+"/auth?"+start.Encode(), "alice")
	form := url.Values{
		"grant_type": {"authorization_code"}, "redirect_uri": {resource + "/callback"}, "code_verifier": {verifier}, "resource": {resource}, "code": {back.Query().Get("code")},
	}
	req, err := http.NewRequest("POST", op.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("web-app", "web-app-secret")
	res, err := op.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.UnmarshalRead(res.Body, &answer); err != nil || answer.Token == "" {
		t.Fatalf("no token: %s, %v", res.Status, err)
	}
	return answer.Token
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
