package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// TestDocuments takes documents that nobody here wrote all the way: init, go
// vet, go test, and the binary started. Where keys and public access are all
// that a document names, the server answers over TLS, and keys made by the
// command open what they should; otherwise it refuses to start and names the
// schemes and operations.
func TestDocuments(t *testing.T) {
	specs := testenv.Specs(t)
	for _, d := range []struct {
		file    string
		args    []string
		refuses []string // what the refusal to start names; none: it serves
		public  string   // path of a public operation
		secured string   // path of an operation that a key opens
		header  string   // the header the key is sent in; "" for Basic
	}{
		{file: "museum.yaml", secured: "/_mock/docs/openapi/museum-api/museum-hours"},
		{file: "train-travel.yaml", refuses: []string{`"OAuth2"`, "create-booking"}},
		{file: "spotify.yaml", refuses: []string{`"oauth_2_0"`, "get-an-album"}},
		{file: "discord.json", refuses: []string{`"OAuth2"`, "get_my_user"}},
		{file: "readme-security-30.yaml", args: []string{"-undeclared", "public"}, refuses: []string{`"openIdConnect"`, `"bearer"`}},
		{file: "readme-security-multiple-30.yaml", args: []string{"-undeclared", "public"}, refuses: []string{`"oauth2"`, "/anything/and"}},
		{file: "ogen-security.json", refuses: []string{`"custom"`, `"bearerToken"`, "intersectSecurity"}},
		{file: "pinecone-db-data.yaml", secured: "/bulk/imports", header: "Api-Key"},
		{file: "gen-schemes", refuses: []string{`"digest"`, `"login"`, `"opaque"`, "session", "machine"}},
		{file: "gen-undeclared", args: []string{"-undeclared", "public"}, public: "/things"},
		{file: "oai-petstore-30.yaml", args: []string{"-undeclared", "public"}, public: "/v1/pets"},
	} {
		t.Run(d.file, func(t *testing.T) {
			doc := filepath.Join(specs, d.file)
			if strings.HasPrefix(d.file, "gen-") { // a golden case of our own
				doc = filepath.Join(testenv.Root(), "testdata", "cases", d.file, "openapi.yaml")
			}
			p := initProject(t, doc, d.args...)
			p.run(t, "go", "vet", "./...")
			p.test(t)
			if d.refuses != nil {
				p.refuses(t, d.refuses)
				return
			}
			s := p.serve(t)
			if d.public != "" {
				if status, body := s.get(t, d.public, "", ""); status != http.StatusNotImplemented {
					t.Errorf("GET %s = %d %s, want 501", d.public, status, body)
				}
			}
			if d.secured != "" {
				key := strings.TrimSpace(p.gatewright(t, "keys", "create", "-user", "alice"))
				wrong := key[:len(key)-1] + string(key[len(key)-1]^1)
				ask := func(name, password string, status int, code string) {
					t.Helper()
					if got, body := s.get(t, d.secured, d.header, password); got != status || !strings.Contains(body, code) {
						t.Errorf("%s: GET %s = %d %s, want %d %s", name, d.secured, got, body, status, code)
					}
				}
				ask("no key", "", 401, "credential_missing")
				ask("wrong key", wrong, 401, "credential_invalid")
				ask("the key", key, 501, "not_implemented")
				p.gatewright(t, "keys", "revoke", strings.Split(key, "_")[2])
				time.Sleep(time.Second) // SQLite tells no server: until then it may be remembered
				ask("the key, revoked", key, 401, "credential_invalid")
			}
		})
	}
}

// test runs the generated tests: every alternative that a request can meet has to
// be among them and to let in.
func (p *project) test(t *testing.T) {
	t.Helper()
	out := p.run(t, "go", "test", "-v", "./...")
	let := regexp.MustCompile(`(?m)^ +--- PASS: TestSecurity/.*/complete_`).FindAllString(out, -1)
	text, err := os.ReadFile(filepath.Join(p.dir, "internal", "api", "security.gen.go"))
	if err != nil {
		t.Fatal(err)
	}
	ways := strings.Count(string(text), "gate.Require(")
	unmet := regexp.MustCompile(`(?m)^ +--- PASS: TestSecurity/.*/unmeetable_`).FindAllString(out, -1)
	all := strings.Count(out, "--- PASS: TestSecurity/")
	t.Logf("%d subtests, %d of them let in by one of %d alternatives, %d of which nobody can meet", all, len(let), ways, len(unmet))
	if len(let) < ways-len(unmet) {
		t.Errorf("%d alternatives were seen to let in, want at least %d", len(let), ways-len(unmet))
	}
}

// A project is one that init made, with the environment its commands run in.
type project struct {
	dir string
	env []string
}

func initProject(t *testing.T, doc string, args ...string) *project {
	t.Helper()
	work := t.TempDir()
	p := &project{dir: filepath.Join(work, "server")}
	p.env = append(os.Environ(), append(goEnv(t), "HOME="+work, "XDG_CONFIG_HOME="+filepath.Join(work, ".config"), "XDG_CACHE_HOME="+filepath.Join(work, ".cache"))...)
	p.env = append(p.env, "GWTEST_RUN=1")
	cmd := p.command(os.Args[0], append(append([]string{"init"}, args...), doc, p.dir)...)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	return p
}

func (p *project) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

func (p *project) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := p.command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", filepath.Base(name), args, err, out, &stderr)
	}
	return string(out)
}

// gatewright runs this test binary as the command (TestMain).
func (p *project) gatewright(t *testing.T, args ...string) string {
	t.Helper()
	return p.run(t, os.Args[0], args...)
}

// onFreePort lets the project's server.yaml name a port that nobody has.
func (p *project) onFreePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, "server.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^(public_url: https://localhost|listen: 127\.0\.0\.1):\d+`).ReplaceAll(text, []byte("${1}:"+port))
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return port
}

func (p *project) refuses(t *testing.T, names []string) {
	t.Helper()
	p.onFreePort(t)
	p.run(t, "go", "build", "-o", "server", ".")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, filepath.Join(p.dir, "server"), "-config", "server.yaml")
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("the server started, or hung, although it has schemes without a verifier: %v\n%s", err, out)
	}
	for _, name := range names {
		if !strings.Contains(string(out), name) {
			t.Errorf("the refusal does not name %s:\n%s", name, out)
		}
	}
}

// A server is a project's binary, running.
type server struct {
	url    string
	client *http.Client
}

func (p *project) serve(t *testing.T) *server {
	t.Helper()
	port := p.onFreePort(t)
	p.run(t, "go", "build", "-o", "server", ".")
	cmd := p.command(filepath.Join(p.dir, "server"), "-config", "server.yaml")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v\n%s", err, &log)
		}
	})
	s := &server{url: "https://localhost:" + port, client: &http.Client{Timeout: time.Minute}}
	for range 600 {
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("the server ended: %v\n%s", err, &log)
		case <-time.After(100 * time.Millisecond):
		}
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			s.client.Transport = p.trusting(t)
			return s
		}
	}
	t.Fatal("the server does not listen")
	return nil
}

// trusting trusts the development authority of the project's user alone.
func (p *project) trusting(t *testing.T) *http.Transport {
	t.Helper()
	ca, err := tlsconf.OpenAuthority(filepath.Join(filepath.Dir(p.dir), ".config", "gatewright", "ca"))
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
}

// get asks with a key, "" for none, in a header or as the password of the user
// apikey.
func (s *server) get(t *testing.T, path, header, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case key == "":
	case header != "":
		req.Header.Set(header, key)
	default:
		req.SetBasicAuth("apikey", key)
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
