package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
)

// A session is gatewright dev, running as its author runs it.
type session struct {
	cmd   *exec.Cmd
	ended chan error

	mu   sync.Mutex
	out  bytes.Buffer
	more chan struct{} // out has grown
	read int           // of out, by await
}

func (s *session) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.out.Write(p)
}

func (s *session) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// startDev starts dev and waits until it has introduced itself.
func startDev(t *testing.T, home string, args ...string) *session {
	t.Helper()
	s := &session{ended: make(chan error, 1), more: make(chan struct{}, 1)}
	s.cmd = exec.Command(os.Args[0], append([]string{"dev"}, args...)...)
	s.cmd.Dir = home // nothing of the checkout is written to
	s.cmd.Env = append(os.Environ(), append(goEnv(t), "GWTEST_RUN=1", "HOME="+home,
		"XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_CACHE_HOME="+filepath.Join(home, ".cache"))...)
	s.cmd.Stdout, s.cmd.Stderr = s, s
	s.cmd.WaitDelay = time.Minute // for what the server still holds open
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // of a test that failed before stop
	s.await(t, "Ctrl-C ends it")
	return s
}

// await waits until dev has printed want, after what the last await waited
// for, and returns what it printed up to there.
func (s *session) await(t *testing.T, want string) string {
	t.Helper()
	late := time.After(5 * time.Minute)
	for {
		text := s.text()[s.read:]
		if i := strings.Index(text, want); i >= 0 {
			s.read += i + len(want)
			return text[:i+len(want)]
		}
		select {
		case <-s.more:
		case err := <-s.ended:
			t.Fatalf("dev ended: %v\n%s", err, s.text())
		case <-late:
			t.Fatalf("dev does not print %q\n%s", want, s.text())
		}
	}
}

// stop ends dev as Ctrl-C does.
func (s *session) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("dev ended with %v\n%s", err, s.text())
	}
}

// curl runs a line that dev printed, as a shell does, and returns the status
// and the body.
func curl(t *testing.T, line string) (status, body string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		testenv.Skip(t, "needs curl")
	}
	out, err := exec.Command("sh", "-c", line+` -s -w '\n%{http_code}'`).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	text := string(out)
	i := strings.LastIndexByte(text, '\n')
	return text[i+1:], text[:i]
}

var curlInOutput = regexp.MustCompile(`(?m)^  (curl .*)$`)

// TestDev runs the README's first command, and pastes what it prints.
func TestDev(t *testing.T) {
	home := t.TempDir()
	blog := filepath.Join(testenv.Root(), "examples", "blog")
	s := startDev(t, home, "-port", freePort(t), blog)
	found := curlInOutput.FindStringSubmatch(s.text())
	if found == nil {
		t.Fatalf("no curl line in\n%s", s.text())
	}
	if !regexp.MustCompile(`(?m)^POST +/posts +createPost +login\(posts:write\) \| apiKey\(posts:write\) \| basic\(posts:write\) \| service\(posts:write\)$`).MatchString(s.text()) {
		t.Errorf("no access table in\n%s", s.text())
	}
	if status, body := curl(t, found[1]); status != "201" {
		t.Errorf("%s = %s %s, want 201", found[1], status, body)
	}
	wrong := strings.Replace(found[1], "gw_test_", "gw_test_0", 1)
	if status, body := curl(t, wrong); status != "401" || !strings.Contains(body, "credential_invalid") {
		t.Errorf("%s = %s %s, want 401", wrong, status, body)
	}
	if !regexp.MustCompile(`(?m)^Sign in on https://localhost:\d+/auth/login`).MatchString(s.text()) {
		t.Errorf("dev does not say where to sign in:\n%s", s.text())
	}
	s.publish(t, home, found[1])
	s.stop(t)
}

var (
	tokenInOutput = regexp.MustCompile(`TOKEN=\$\(gatewright token (.*)\)`)
	keyInLine     = regexp.MustCompile(`-H 'Authorization: apikey [^']*'`)
)

// publish has services publish in the blog that dev serves: with the token that
// dev tells how to get, in the line that it prints for a key, and with one that
// the example's own programs find the way to.
func (s *session) publish(t *testing.T, home, line string) {
	t.Helper()
	found := tokenInOutput.FindStringSubmatch(s.text())
	if found == nil {
		t.Fatalf("dev does not say how to get a token:\n%s", s.text())
	}
	token, errs, err := runToken(t, home, strings.Fields(found[1])...)
	if err != nil {
		t.Fatalf("gatewright token %s: %v %s", found[1], err, errs)
	}
	line = keyInLine.ReplaceAllLiteralString(line, "-H 'Authorization: Bearer "+token+"'")
	if status, body := curl(t, line); status != "201" || !strings.Contains(body, `"author":"publisher"`) {
		t.Errorf("%s = %s %s, want 201 and a post of publisher", line, status, body)
	}
	states, err := filepath.Glob(filepath.Join(home, ".cache", "gatewright", "dev", "*", "dev-*.program-secret"))
	if err != nil || len(states) != 1 {
		t.Fatalf("dev has the programs' secret in %v (%v)", states, err)
	}
	if info, err := os.Stat(states[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s is %v (%v), want -rw-------", states[0], info.Mode(), err)
	}
	text, err := os.ReadFile(states[0])
	if err != nil {
		t.Fatal(err)
	}
	if all := s.text(); strings.Contains(all, strings.TrimSpace(string(text))) || strings.Contains(all, token) {
		t.Error("dev prints a secret")
	}
	blog := filepath.Join(testenv.Root(), "examples", "blog", "clients")
	program := filepath.Join(home, "publish")
	if out, err := exec.Command("go", "build", "-o", program, filepath.Join(blog, "publish", "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	base := regexp.MustCompile(`https://localhost:\d+`).FindString(line)
	for _, args := range [][]string{{program}, {testenv.Python(t), filepath.Join(blog, "publish.py")}} {
		cmd := exec.Command(args[0], append(args[1:], "From a service", "text")...)
		cmd.Env = append(testenv.Trusting(filepath.Join(home, ".config", "gatewright", "ca", "ca.pem")), "PATH="+os.Getenv("PATH"), "HOME="+home,
			"BLOG_URL="+base, "BLOG_CLIENT_ID=publisher", "BLOG_CLIENT_SECRET_FILE="+states[0])
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "/posts/") {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// TestDevDocument serves a document alone: operations answer 501, those whose
// scheme has no verifier 503, and another port is taken and named where the
// usual one is not free.
func TestDevDocument(t *testing.T) {
	home := t.TempDir()
	if l, err := net.Listen("tcp", "127.0.0.1:8443"); err == nil {
		defer l.Close() // else someone has it, which does as well
	}
	doc := filepath.Join(home, "api.yaml")
	text := `openapi: 3.1.0
info: {title: Things, version: "1"}
paths:
  /things: {get: {operationId: read, security: [{key: []}], responses: {'200': {description: ok}}}}
  /mine: {get: {operationId: mine, security: [{token: []}], responses: {'200': {description: ok}}}}
  /both: {get: {operationId: both, security: [{token: []}, {key: []}], responses: {'200': {description: ok}}}}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-API-Key}
    token: {type: http, scheme: digest}
`
	if err := os.WriteFile(doc, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := startDev(t, home, doc)
	defer s.stop(t)
	if !strings.Contains(s.text(), "port 8443 is taken") {
		t.Errorf("dev does not say that it takes another port:\n%s", s.text())
	}
	if !strings.Contains(s.text(), "until it does they are answered with 503: token\n") {
		t.Errorf("dev does not say which scheme nobody verifies:\n%s", s.text())
	}
	found := curlInOutput.FindStringSubmatch(s.text())
	if found == nil {
		t.Fatalf("no curl line in\n%s", s.text())
	}
	for _, c := range []struct{ from, to, status, code string }{
		{"/things", "/things", "501", "not_implemented"},
		{"/things", "/mine", "503", "scheme_unverified"},
		{"/things", "/both", "501", "not_implemented"},
		{"X-API-Key: gw", "X-API-Key: GW", "401", "credential_invalid"},
		{"-H 'X-API-Key", "-H 'X-Other", "401", "credential_missing"},
	} {
		line := strings.Replace(found[1], c.from, c.to, 1)
		if status, body := curl(t, line); status != c.status || !strings.Contains(body, c.code) {
			t.Errorf("%s = %s %s, want %s %s", line, status, body, c.status, c.code)
		}
	}
}
