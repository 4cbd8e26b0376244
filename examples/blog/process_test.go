package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/secret"
)

// build makes the blog's program.
func build(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "blog")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// A site is the blog as a process of its own, which can be killed, with its
// settings and its posts in a folder of its own. What all its processes wrote
// is kept.
type site struct {
	url, addr string
	dir       string
	secret    secret.Value // of server.secret
	ca        *testenv.CA
	idp       *gatetest.Provider
	program   string
	log       *lines

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

// newSite starts a site. settings are further ones, in lines; in files beside
// server.yaml lie what they name.
func newSite(t *testing.T, program string, idp *gatetest.Provider, settings string, files map[string]string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), secret: secret.Random(32), ca: testenv.NewCA(t), idp: idp, program: program, log: &lines{}}
	// Below the ports of outgoing connections, so that it is free again
	// whenever the blog starts again.
	for s.addr == "" {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000))))
		if err != nil {
			continue
		}
		s.addr = l.Addr().String()
		_ = l.Close()
	}
	_, port, _ := net.SplitHostPort(s.addr)
	s.url = "https://localhost:" + port
	cert, key := s.ca.Files(t, "localhost")
	text := fmt.Sprintf("public_url: %s\nlisten: %s\ntls: {cert: %q, key: %q}\nsecret_file: server.secret\nenvironment: test\nlog: {level: debug}\n", s.url, s.addr, cert, key) +
		fmt.Sprintf("providers:\n  main: {issuer: %q, client_id: %s, client_secret_file: client.secret, ca: %q, scopes: [openid, profile, email, offline_access]}\n", idp.Issuer, idp.ClientID, idp.CAFile) +
		"schemes:\n  service: {provider: main}\n  login: {provider: main, scopes_claim: groups, scopes_everyone: [comments:write], scopes_map: {authors: [posts:write], editors: [posts:edit]}}\n" + settings
	all := map[string]string{"server.yaml": text, "server.secret": s.secret.Reveal() + "\n", "client.secret": idp.ClientSecret + "\n"}
	for name, content := range files {
		all[name] = content
	}
	for name, content := range all {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the blog logged at last:\n%s", tailOf(s.log.String(), 16<<10))
		}
	})
	client := &http.Client{Transport: s.ca.Transport(), Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	idp.RegisterServer(s.url, "main", client)
	s.start(t)
	return s
}

func tailOf(text string, n int) string { return text[max(0, len(text)-n):] }

// start runs the blog and waits until it answers. Where the store takes too
// long to answer it, on a busy machine, it ends and is run again, thrice at most.
func (s *site) start(t *testing.T) {
	t.Helper()
	for range 3 {
		if s.run(t) {
			return
		}
	}
	t.Fatal("the blog ends at its start")
}

func (s *site) run(t *testing.T) bool {
	t.Helper()
	cmd := exec.Command(s.program)
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.cmd, s.ended = cmd, ended
	for begun := time.Now(); ; {
		if conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), s.ca.Transport().TLSClientConfig); err == nil {
			_ = conn.Close()
			return true
		} else if time.Since(begun) > waitFor {
			t.Fatalf("the blog does not answer: %v", err)
		}
		select {
		case <-ended:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill ends the blog without giving it a chance to do anything.
func (s *site) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.cmd = nil
	}
}

// stop has the blog end by itself.
func (s *site) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(waitFor):
		t.Error("the blog does not end")
		s.kill()
	}
	s.cmd = nil
}

// A guest is a person with a browser of their own, but for its window.
type guest struct {
	url    string
	client *http.Client
	idp    *http.Client
	agent  string
	// seen is called with each answer.
	seen func(*http.Response)
}

const usualAgent = "gatewright test"

// guest returns somebody who has not been to the site yet.
func (s *site) guest(t testing.TB) *guest {
	transport := s.ca.Transport()
	transport.ForceAttemptHTTP2 = true // requests at once need one handshake
	return newGuest(t, s.url, transport, s.idp)
}

func newGuest(t testing.TB, at string, transport *http.Transport, idp *gatetest.Provider) *guest {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	provider := *idp.Client()
	provider.CheckRedirect = stay
	return &guest{
		url: at, idp: &provider, agent: usualAgent, seen: func(*http.Response) {},
		client: &http.Client{Transport: transport, Jar: jar, Timeout: time.Minute, CheckRedirect: stay},
	}
}

// key returns a key of ann's, an author, that may publish.
func (s *site) key(t *testing.T) string {
	t.Helper()
	s.idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann", Claims: map[string]any{"groups": []string{"authors"}}})
	s.idp.SignInAs("ann")
	ann := s.guest(t)
	ann.signIn(t)
	_, made := ann.must(t, 201, "POST", "/auth/keys", `{"label":"publishes","scopes":["posts:write"]}`)
	_, after, _ := strings.Cut(made, `"key":"`)
	key, _, _ := strings.Cut(after, `"`)
	return key
}

// ask sends a request as a page of the site does, with further header lines as
// names and values in turn. An error means that no whole answer came.
func (g *guest) ask(ctx context.Context, method, path, body string, lines ...string) (int, http.Header, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, g.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("User-Agent", g.agent)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(lines); i += 2 {
		req.Header.Set(lines[i], lines[i+1])
	}
	res, err := g.client.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer res.Body.Close()
	g.seen(res)
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(text), err
}

// must is ask where the answer has to have a status.
func (g *guest) must(t testing.TB, status int, method, path, body string, lines ...string) (http.Header, string) {
	t.Helper()
	got, header, text, err := g.ask(t.Context(), method, path, body, lines...)
	if err != nil || got != status {
		t.Fatalf("%s %s = %d %s, %v, want %d", method, path, got, text, err, status)
	}
	return header, text
}

var finishLink = regexp.MustCompile(`/auth/finish[^"]*`)

// signIn signs in whom the provider says.
func (g *guest) signIn(t testing.TB) {
	t.Helper()
	g.finish(t, g.toProvider(t))
	g.must(t, 200, "GET", "/auth/session", "")
}

// toProvider begins a login, and returns where the provider sends the browser.
func (g *guest) toProvider(t testing.TB) *url.URL {
	t.Helper()
	header, _ := g.must(t, 303, "GET", "/auth/login?provider=main", "")
	res, err := g.idp.Get(header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	back, err := res.Location()
	if err != nil {
		t.Fatalf("the provider answers %s: %v", res.Status, err)
	}
	return back
}

// finish goes the way back to the site.
func (g *guest) finish(t testing.TB, back *url.URL) {
	t.Helper()
	_, page := g.must(t, 200, "GET", back.RequestURI(), "", "Sec-Fetch-Site", "cross-site")
	g.must(t, 303, "GET", html.UnescapeString(finishLink.FindString(page)), "")
}
