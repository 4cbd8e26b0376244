package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// A series is a line of metrics: name, labels, value.
var series = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{([^}]*)\})? (\S+)$`)

// TestMetrics: requests by operation, decisions by reason, the times of provider
// and store are there, and nothing that tells of a person or that a client made up.
func TestMetrics(t *testing.T) {
	idp := gatetest.NewProvider(t)
	s := newSite(t, build(t), idp, "store: sqlite:keys.db\nadmin: {listen: \"127.0.0.1:0\"}\n", nil)
	idp.AddUser(gatetest.User{Subject: "ann-subject", Name: "Ann Name", Email: "ann@mail.example", Claims: map[string]any{"groups": []string{"authors"}}})
	idp.SignInAs("ann-subject")
	ann := s.guest(t)
	ann.signIn(t)
	_, made := ann.must(t, 201, "POST", "/auth/keys", `{"label":"secret label","scopes":["posts:write"]}`)
	_, after, _ := strings.Cut(made, `"key":"`)
	key, _, _ := strings.Cut(after, `"`)
	script := newGuest(t, s.url, s.ca.Transport(), idp)
	_, body := script.must(t, 201, "POST", "/posts", `{"title":"Words","text":"of a post"}`, "Authorization", "apikey "+key)
	_, after, _ = strings.Cut(body, `"id":"`)
	post, _, _ := strings.Cut(after, `"`)
	script.must(t, 200, "GET", "/posts/"+post, "")
	script.must(t, 401, "POST", "/posts", `{}`)
	script.must(t, 401, "POST", "/posts", `{}`, "Authorization", "apikey wrong-key-of-somebody")
	script.must(t, 401, "GET", "/posts/"+post, "", "Authorization", "Bearer token-of-somebody")
	script.must(t, 404, "GET", "/made-up-path", "")
	script.must(t, 405, "MADE-UP", "/posts", "")

	text := s.metrics(t)
	for _, want := range []string{
		`gatewright_decisions_total{operation="createPost",outcome="allowed",reason=""} 1`,
		`gatewright_decisions_total{operation="createPost",outcome="refused",reason="credential_missing"} 1`,
		`gatewright_decisions_total{operation="createPost",outcome="refused",reason="credential_invalid"} 1`,
		`gatewright_decisions_total{operation="getPost",outcome="refused",reason="credential_invalid"} 1`,
		`http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="201",operation="createPost"} 1`,
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",operation="getPost"} 1`,
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",operation=""}`,
		`http_server_request_duration_seconds_count{http_request_method="_OTHER",http_response_status_code="405",operation=""} 1`,
		`http_client_request_duration_seconds_count{http_request_method="POST",http_response_status_code="200",server_address="localhost"}`,
		`gatewright_store_duration_seconds_count{call="create",failed="false",store="keys"} 1`,
		`gatewright_store_duration_seconds_count{call="load",failed="false",store="keys"}`,
		`http_server_active_requests`, `go_goroutines`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, secret := range []string{key, strings.Split(key, "_")[2], "ann", "Ann", "mail.example", "label", "somebody", "made-up", "MADE-UP", post, "usr_", "127.0.0.1"} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics have %q in them", secret)
		}
	}
	// What clients make up adds no series.
	before := len(series.FindAllString(text, -1))
	for n := range 50 {
		script.must(t, 404, "GET", fmt.Sprintf("/made-up/%d", n), "")
		script.must(t, 401, "POST", "/posts", "{}", "Authorization", fmt.Sprintf("apikey made-up-%d", n), "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", n))
		if n == 18 {
			break // more would be 429, which is a reason of its own
		}
	}
	if after := len(series.FindAllString(s.metrics(t), -1)); after != before {
		t.Errorf("%d series before made-up requests, %d after", before, after)
	}
	t.Logf("%d series", before)
	if status, _, text, err := script.ask(t.Context(), "GET", "/metrics", ""); err != nil || status != 404 {
		t.Errorf("/metrics of everybody: %d %s, %v", status, text, err)
	}
	s.stop(t)
}

// admin is the URL of the admin listener.
func (s *site) admin(t *testing.T) string {
	t.Helper()
	_, after, ok := strings.Cut(s.log.String(), "admin listener on ")
	if !ok {
		t.Fatal("there is no admin listener")
	}
	return after[:strings.IndexAny(after, "\"\n ")]
}

func (s *site) metrics(t *testing.T) string {
	t.Helper()
	res, err := http.Get(s.admin(t) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("/metrics: %s, %v", res.Status, err)
	}
	return string(b)
}

// TestHealth: the program asks itself how it is, and so may a platform, which
// learns nothing else.
func TestHealth(t *testing.T) {
	idp := gatetest.NewProvider(t)
	program := build(t)
	s := newSite(t, program, idp, "store: sqlite:keys.db\npublic_health: true\n", nil)
	check := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), program, "-healthcheck")
		cmd.Dir, cmd.Env = s.dir, []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	transport := s.ca.Transport()
	client := &http.Client{Transport: transport}
	ask := func(path, host string) (int, string) {
		r, err := http.NewRequest("GET", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	if out, err := check(); err != nil {
		t.Errorf("-healthcheck of a server that is well: %v, %s", err, out)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := ask(path, "10.1.2.3:8443"); status != 200 || body != "ok\n" {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	if status, _ := ask("/posts", "10.1.2.3:8443"); status != 421 {
		t.Errorf("another path for another host: %d", status)
	}
	if err := os.Rename(filepath.Join(s.dir, "keys.db"), filepath.Join(s.dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	s.kill()
	if out, err := check(); err == nil || !strings.Contains(out, "does not answer") {
		t.Errorf("-healthcheck of a server that is gone: %v, %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "keys.db")); err == nil {
		t.Error("-healthcheck made a store")
	}
}
