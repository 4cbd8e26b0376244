package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	readyFor = 2 * time.Minute // how long a service may take to answer, on a busy machine
	stopFor  = 5 * time.Second // and to end, before it is killed
)

// A Service is an identity provider that runs on loopback, over TLS, until the
// test ends. Where the test fails, what the service logged is shown. Its methods
// must not be called concurrently.
type Service struct {
	Issuer string
	CA     *CA // its certificate is from there

	name    string
	dir     string
	addr    string           // 127.0.0.1:port
	command func() *exec.Cmd // made anew at each start
	signIn  func(user string) (login, password string)

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
	log   tail
}

// A plan says how to run a service at a port.
type plan struct {
	name    string
	ca      *CA    // nil: a new one
	host    string // in the issuer. Empty: localhost
	path    string // of the issuer, below its origin
	command func(s *Service, port int, cert, key string) func() *exec.Cmd
	signIn  func(user string) (login, password string)
}

// serve starts what p says and returns when it answers.
func serve(t testing.TB, p plan) *Service {
	t.Helper()
	if p.ca == nil {
		p.ca = NewCA(t)
	}
	if p.host == "" {
		p.host = "localhost"
	}
	cert, key := p.ca.Files(t, p.host, "localhost", "127.0.0.1")
	s := &Service{CA: p.ca, name: p.name, dir: t.TempDir(), signIn: p.signIn}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("%s logged:\n%s", s.name, s.log.String())
		}
	})
	for attempt := 1; ; attempt++ {
		port := freePort(t)
		s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		s.Issuer = fmt.Sprintf("https://%s%s", net.JoinHostPort(p.host, strconv.Itoa(port)), p.path)
		s.command = p.command(s, port, cert, key)
		err := s.start()
		if err == nil {
			return s
		}
		if attempt == 3 || !s.log.inUse() {
			t.Fatalf("testenv: %v", err)
		}
		s.log.reset()
	}
}

// start runs the service and waits until its metadata can be had.
func (s *Service) start() error {
	cmd := s.command()
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", s.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.cmd, s.ended = cmd, ended

	deadline := time.After(readyFor)
	for {
		err := s.ready()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended at its start: %s", s.name, s.log.String())
		case <-deadline:
			s.Stop()
			return fmt.Errorf("%s does not answer after %v: %w", s.name, readyFor, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Service) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return err
	}
	res, err := s.Client().Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// Stop ends the service. A service that has ended stays so.
func (s *Service) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.ended:
	case <-time.After(stopFor):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

// Restart ends the service if it runs and starts it again at the same port. It
// has forgotten everything, and has new keys.
func (s *Service) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	for attempt := 1; ; attempt++ {
		s.log.reset()
		err := s.start()
		if err == nil {
			return
		}
		if attempt == 3 || !s.log.inUse() {
			t.Fatalf("testenv: %v", err)
		}
		time.Sleep(time.Second)
	}
}

// Client is a new client that trusts the authority, finds the service whatever
// its host is called, and follows no redirects.
func (s *Service) Client() *http.Client {
	tr := s.CA.Transport()
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if _, port, err := net.SplitHostPort(addr); err == nil && strings.HasSuffix(s.addr, ":"+port) {
			addr = s.addr
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return &http.Client{Transport: tr, Timeout: 30 * time.Second, CheckRedirect: stay}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// freePort finds a port that nobody listens on. It lies below those that
// systems give to outgoing connections, so that it is still free when a
// service starts, and again when it restarts.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("testenv: no port is free")
	return 0
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 32 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	l.text = l.text[max(0, len(l.text)-tailBytes):]
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func (l *tail) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = nil
}

// inUse tells whether a service ended because somebody else had its port.
func (l *tail) inUse() bool {
	text := strings.ToLower(l.String())
	return strings.Contains(text, "address already in use") || strings.Contains(text, "eaddrinuse")
}
