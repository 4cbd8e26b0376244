package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/secret"
)

// settings are the site's, which edit changes.
func (s *site) edit(t *testing.T, old, new string) {
	t.Helper()
	path := filepath.Join(s.dir, "server.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), old, new, 1)
	if text == string(b) {
		t.Fatalf("the settings have no %q", old)
	}
	s.write(t, "server.yaml", text)
}

func (s *site) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hangUp has the blog read its settings again, and waits until it says of that
// what is wanted.
func (s *site) hangUp(t *testing.T, want string) {
	t.Helper()
	before := len(s.log.String())
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(waitFor); ; time.Sleep(5 * time.Millisecond) {
		if strings.Contains(s.log.String()[before:], want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a hang-up the log lacks %q:\n%s", want, s.log.String()[before:])
		}
	}
}

// TestHangUp: what can be reloaded is, and mistakes change nothing.
func TestHangUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "Windows has no SIGHUP")
	}
	idp := gatetest.NewProvider(t)
	s := newSite(t, build(t), idp, "store: sqlite:keys.db\n", nil)
	s.stop(t)
	s.edit(t, "profile, email, offline_access]", "profile, email]")
	s.edit(t, "store: sqlite:keys.db", "store: sqlite:keys.db\nsessions: {kind: sealed}")
	s.start(t)
	idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann", Claims: map[string]any{"groups": []string{"authors"}}})
	idp.SignInAs("ann")
	ann := s.guest(t)
	ann.signIn(t)
	ann.must(t, 200, "GET", "/auth/session", "")
	const taken = "the configuration was read again"

	// Mistakes, all of them at once, and the session counts as before.
	s.edit(t, "log: {level: debug}", "log: {level: loud}\ndocs: perhaps")
	s.hangUp(t, "the configuration is not taken, what was read before counts")
	for _, want := range []string{"log.level", "docs"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log does not tell of %s", want)
		}
	}
	ann.must(t, 200, "GET", "/auth/session", "")

	// The log's level, and a setting that needs a restart.
	s.edit(t, "log: {level: loud}\ndocs: perhaps", "log: {level: info}\ndocs: true")
	s.hangUp(t, taken)
	if text := s.log.String(); !strings.Contains(text, `settings=docs`) {
		t.Errorf("the log does not say that docs needs a restart:\n%s", tailOf(text, 2000))
	}
	ann.must(t, 404, "GET", "/docs", "")

	// A secret in front of the old one: what that sealed still opens.
	s.edit(t, "secret_file: server.secret", "secret_file: [new.secret, server.secret]")
	s.write(t, "new.secret", secret.Random(32).Reveal()+"\n")
	s.hangUp(t, taken)
	ann.must(t, 200, "GET", "/auth/session", "")
	bob := s.guest(t)
	bob.signIn(t)
	// And the old one taken away: only what the new one sealed does.
	s.edit(t, "secret_file: [new.secret, server.secret]", "secret_file: new.secret")
	s.hangUp(t, taken)
	ann.must(t, 401, "GET", "/auth/session", "")
	bob.must(t, 200, "GET", "/auth/session", "")

	// The provider's secret.
	idp.SetClientSecret("another-secret-of-the-client")
	if status := s.tryToSignIn(t); status == 200 {
		t.Error("somebody signs in with a secret that the provider does not know any more")
	}
	s.write(t, "client.secret", "another-secret-of-the-client\n")
	s.hangUp(t, taken)
	if status := s.tryToSignIn(t); status != 200 {
		t.Errorf("after the secret was read again: %d", status)
	}

	// Certificates: at once, and not within a second.
	cert, key := s.certFiles(t)
	nextCert, nextKey := s.ca.Files(t, "localhost")
	before := s.serial(t)
	for to, from := range map[string]string{cert: nextCert, key: nextKey} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.hangUp(t, taken)
	if s.serial(t) == before {
		t.Error("the certificate is the old one")
	}
	s.stop(t)
}

// tryToSignIn returns what /auth/session says to somebody who went through a
// login.
func (s *site) tryToSignIn(t *testing.T) int {
	t.Helper()
	g := s.guest(t)
	back := g.toProvider(t)
	if _, _, page, err := g.ask(t.Context(), "GET", back.RequestURI(), "", "Sec-Fetch-Site", "cross-site"); err != nil {
		t.Fatal(err)
	} else if link := finishLink.FindString(page); link != "" {
		g.must(t, 303, "GET", html.UnescapeString(link), "")
	}
	status, _, _, err := g.ask(t.Context(), "GET", "/auth/session", "")
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// certFiles are the files of the site's certificate and key.
func (s *site) certFiles(t *testing.T) (cert, key string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "server.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(b[strings.Index(string(b), "tls: {"):]), "tls: {cert: %q, key: %q}", &cert, &key); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// serial is that of the certificate shown.
func (s *site) serial(t *testing.T) string {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), s.ca.Transport().TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestRestart stops the blog by SIGTERM and starts it again and again, on a
// socket that stays open as one of systemd does, under load: no request fails.
func TestRestart(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "sockets are passed as systemd does, which is of Linux")
	}
	idp := gatetest.NewProvider(t)
	s := newSite(t, build(t), idp, "store: sqlite:keys.db\nadmin: {listen: \"127.0.0.1:0\"}\nshutdown: {delay: 300ms}\n", nil)
	key := s.key(t)
	s.stop(t)
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	s.edit(t, "listen: "+s.addr, "listen: systemd:blog")
	run := func() *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, s.program)
		cmd.Dir, cmd.ExtraFiles = s.dir, []*os.File{socket}
		cmd.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "LISTEN_FDS=1", "LISTEN_FDNAMES=blog"}
		cmd.Stdout, cmd.Stderr = s.log, s.log
		endWithParent(cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	cmd := run()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var done, old atomic.Int64
	var load sync.WaitGroup
	for i := range 8 {
		transport := s.ca.Transport()
		transport.ForceAttemptHTTP2 = i%2 == 0
		client := &http.Client{Transport: transport, Timeout: waitFor}
		load.Go(func() {
			defer transport.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				method, body := "GET", ""
				if n%3 == 0 {
					method, body = "POST", `{"title":"Restarted","text":"and here"}`
				}
				if n%5 == 0 {
					transport.CloseIdleConnections()
				}
				r, err := http.NewRequest(method, s.url+"/posts?limit=3", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				if method == "POST" {
					r.URL.RawQuery = ""
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "apikey "+key)
				res, err := client.Do(r)
				if err != nil {
					t.Errorf("%s failed: %v", method, err)
					return
				}
				text, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode/100 != 2 {
					t.Errorf("%s: %d %s, %v", method, res.StatusCode, text, err)
					return
				}
				done.Add(1)
			}
		})
	}
	rounds := times(4, 50)
	for range rounds {
		for old.Store(done.Load()); done.Load() < old.Load()+40 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the blog ends with %v", err)
		}
		cmd = run()
	}
	for old.Store(done.Load()); done.Load() < old.Load()+40 && !t.Failed(); {
		time.Sleep(time.Millisecond)
	}
	cancel()
	load.Wait()
	t.Logf("%d requests over %d restarts", done.Load(), rounds)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
}
