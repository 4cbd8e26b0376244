package main

import (
	"bytes"
	"errors"
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

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/secret"
)

// TestPublish has other services publish with access tokens of their own, from a
// provider that somebody else wrote: the programs that the example has for it,
// which know the blog's URL alone.
func TestPublish(t *testing.T) {
	ca := testenv.NewCA(t)
	port := freePort(t)
	blog := "https://localhost:" + port
	op := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{CA: ca, Resources: []string{blog, "https://other.example"}})
	dir := t.TempDir()
	cert, key := ca.Files(t, "localhost")
	settings := fmt.Sprintf("public_url: %s\nlisten: 127.0.0.1:%s\ntls: {cert: %q, key: %q}\nsecret_file: server.secret\nstore: sqlite:keys.db\n", blog, port, cert, key) +
		fmt.Sprintf("providers:\n  main: {issuer: %q, client_id: web-app, client_secret_file: client.secret, ca: %q}\n", op.Issuer, ca.File) +
		"schemes:\n  login: {provider: main}\n  service: {provider: main}\n"
	for name, text := range map[string]string{"server.yaml": settings, "server.secret": secret.Random(32).Reveal(), "client.secret": "web-app-secret", "service.secret": "service-secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serveBlog(t, dir, filepath.Join(dir, "server.yaml"), nil)
	client := &http.Client{Transport: ca.Transport(), Timeout: waitFor}
	ask := func(method, path, token, body string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, blog+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(text)
	}

	for name, program := range publishers(t) {
		t.Run(name, func(t *testing.T) {
			run := func(env ...string) (string, error) {
				return program.run(t, "Written by "+name, append(append(testenv.Trusting(ca.File), "HOME="+dir), env...)...)
			}
			ours := []string{"BLOG_URL=" + blog, "BLOG_CLIENT_ID=service", "BLOG_CLIENT_SECRET_FILE=" + filepath.Join(dir, "service.secret")}
			location, err := run(ours...)
			if err != nil {
				t.Fatalf("the program ended with %v", err)
			}
			if res, body := ask("GET", location, "", ""); res.StatusCode != 200 || !strings.Contains(body, `"author":"service"`) || !strings.Contains(body, "Written by "+name) {
				t.Errorf("GET %s = %d %s, want a post of service", location, res.StatusCode, body)
			}
			for what, env := range map[string][]string{
				"wrong secret":   {"BLOG_URL=" + blog, "BLOG_CLIENT_ID=service", "BLOG_CLIENT_SECRET=wrong"},
				"no secret":      {"BLOG_URL=" + blog, "BLOG_CLIENT_ID=service"},
				"another issuer": append([]string{"BLOG_ISSUER=https://id.example"}, ours...),
				"another server": append(ours[1:], "BLOG_URL="+op.Issuer),
			} {
				if out, err := run(env...); err == nil || strings.Contains(err.Error(), "service-secret") {
					t.Errorf("%s: the program printed %q and ended with %v, want a failure that says no secret", what, out, err)
				}
			}
		})
	}

	token := func(client, scope, resource string) string {
		t.Helper()
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "resource": {resource}}
		req, err := http.NewRequest("POST", op.Issuer+"/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(client, client+"-secret")
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
	const post = `{"title":"t","text":"x"}`
	good := token("service", "posts:write", blog)
	res, _ := ask("POST", "/posts", good, post)
	location := res.Header.Get("Location")
	for _, c := range []struct {
		name, method, path, token string
		status                    int
		challenge                 string
	}{
		{"for another server", "POST", "/posts", token("service", "posts:write", "https://other.example"), 401, `error="invalid_token"`},
		{"without the scope", "POST", "/posts", token("service", "posts:read", blog), 403, `error="insufficient_scope", scope="posts:write"`},
		{"made up", "POST", "/posts", good + "x", 401, `error="invalid_token"`},
		{"none", "POST", "/posts", "", 401, `resource_metadata="` + blog + `/.well-known/oauth-protected-resource"`},
		{"another service's post", "DELETE", location, token("other-service", "posts:write", blog), 403, ""},
		{"one's own post", "DELETE", location, good, 204, ""},
	} {
		res, body := ask(c.method, c.path, c.token, post)
		if res.StatusCode != c.status || !strings.Contains(strings.Join(res.Header["Www-Authenticate"], "\n"), c.challenge) {
			t.Errorf("%s: %s %s = %d %q %s, want %d and %s", c.name, c.method, c.path, res.StatusCode, res.Header["Www-Authenticate"], body, c.status, c.challenge)
		}
	}
}

// A publisher is a program that publishes as a service.
type publisher []string

// publishers are those of the example.
func publishers(t *testing.T) map[string]publisher {
	t.Helper()
	program := filepath.Join(t.TempDir(), "publish")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./clients/publish").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	script, err := filepath.Abs(filepath.Join("clients", "publish.py"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]publisher{"Go": {program}, "Python": {testenv.Python(t), script}}
}

// run has the program publish a text, and returns what it prints. The error has
// what it says.
func (p publisher) run(t *testing.T, text string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p[0], append(p[1:], "From a service", text)...)
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(err, errors.New(stderr.String()))
	}
	return strings.TrimSpace(string(out)), err
}

// freePort is one that nobody has.
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
