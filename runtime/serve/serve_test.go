package serve

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/secret"
)

// patience is how long a test waits for what has to happen.
const patience = 30 * time.Second

// TestMain keeps development authorities out of the user's own folder.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatewright-serve")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
			if err := os.Setenv(name, dir); err != nil {
				panic(err)
			}
		}
		return m.Run()
	}())
}

// A running server of a test.
type running struct {
	address string // 127.0.0.1:port
	client  *http.Client
	pool    *x509.CertPool
	stop    context.CancelFunc
	done    chan error // what Run returned
	log     *buffer
}

// start runs h for https://blog.example on a free port, until the test ends.
// edit may change the configuration first.
func start(t *testing.T, h http.Handler, edit func(*config.Config), checks ...Check) *running {
	t.Helper()
	return startWith(t, App{Handler: h, Checks: checks}, edit)
}

func startWith(t *testing.T, app App, edit func(*config.Config)) *running {
	t.Helper()
	certFile, keyFile, pool := certificate(t)
	s := &running{pool: pool, done: make(chan error, 1), log: &buffer{}}
	listening := make(chan net.Addr, 1)
	cfg := config.Config{
		PublicURL: "https://blog.example",
		Listen:    "127.0.0.1:0",
		TLS:       config.TLS{Cert: []string{certFile}, Key: []string{keyFile}},
		Secrets:   []secret.Value{secret.Random(32)},
		Logger:    slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Listening: func(a net.Addr) { listening <- a },
	}
	if edit != nil {
		edit(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.done <- Run(ctx, cfg, app) }()
	select {
	case a := <-listening:
		s.address = a.String()
	case err := <-s.done:
		t.Fatalf("Run = %v", err)
	case <-time.After(patience):
		t.Fatal("the server does not listen")
	}
	s.client = s.newClient(true)
	t.Cleanup(func() {
		stop()
		s.client.CloseIdleConnections()
	})
	return s
}

// newClient makes a client that finds every host at the server.
func (s *running) newClient(http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		Protocols:       protocols,
		TLSClientConfig: &tls.Config{RootCAs: s.pool, ServerName: "blog.example"},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.address)
		},
	}}
}

// raw opens a connection for HTTP/1.1.
func (s *running) raw(t *testing.T) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.pool, ServerName: "blog.example", NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func (s *running) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	return answer(t)(s.client.Get("https://blog.example" + path))
}

func answer(t *testing.T) func(*http.Response, error) (*http.Response, string) {
	return func(r *http.Response, err error) (*http.Response, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r, string(body)
	}
}

// wait returns what Run returned.
func (s *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(patience):
		t.Fatal("Run does not return")
		return nil
	}
}

// certificate makes one for blog.example and 127.0.0.1.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	return certificateFor(t, "blog.example")
}

func certificateFor(t *testing.T, host string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{host},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	check(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return certFile, keyFile, pool
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A buffer is written by the server and read by the test.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await waits until the log has the text.
func (b *buffer) await(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if strings.Contains(b.String(), text) {
			return
		}
	}
	t.Errorf("the log lacks %q:\n%s", text, b)
}

func hello(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestServes(t *testing.T) {
	s := start(t, http.HandlerFunc(hello), nil)
	for _, http2 := range []bool{true, false} {
		r, body := answer(t)(s.newClient(http2).Get("https://blog.example/"))
		if r.StatusCode != 200 || body != "hello" || (r.ProtoMajor == 2) != http2 {
			t.Errorf("GET / = %d %q over %s", r.StatusCode, body, r.Proto)
		}
	}
	s.log.await(t, "listening on https://"+s.address)
	s.log.await(t, "tls=files")
	s.stop()
	if err := s.wait(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := start(t, http.HandlerFunc(hello), nil)
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		_, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.pool, ServerName: "blog.example", MinVersion: version, MaxVersion: version})
		if err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
			t.Errorf("%s: %v, want the version refused", tls.VersionName(version), err)
		}
	}
	s.log.await(t, "level=DEBUG msg=\"HTTP server\" message=\"http: TLS handshake error")
}

func TestPlainHTTPIsRefused(t *testing.T) {
	called := false
	s := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }), nil)
	r, err := http.Get("http://" + s.address + "/")
	check(t, err)
	defer r.Body.Close()
	if r.StatusCode != http.StatusBadRequest || called {
		t.Errorf("plain HTTP: %d, handler called: %v, want 400 and not called", r.StatusCode, called)
	}
}

func TestRunRefuses(t *testing.T) {
	certFile, keyFile, _ := certificate(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer taken.Close()
	valid := config.Config{
		PublicURL: "https://blog.example",
		Listen:    "127.0.0.1:0",
		TLS:       config.TLS{Cert: []string{certFile}, Key: []string{keyFile}},
		Secrets:   []secret.Value{secret.Random(32)},
	}
	for name, test := range map[string]struct {
		edit    func(*config.Config)
		handler http.Handler
		want    string
	}{
		"no handler":            {func(c *config.Config) {}, nil, "no handler"},
		"address in use":        {func(c *config.Config) { c.Listen = taken.Addr().String() }, http.HandlerFunc(hello), "cannot listen on " + taken.Addr().String()},
		"nothing configured":    {func(c *config.Config) { *c = config.Config{} }, http.HandlerFunc(hello), "public_url: is missing"},
		"development in public": {func(c *config.Config) { c.Dev, c.Listen = true, "0.0.0.0:0" }, http.HandlerFunc(hello), "development switch"},
		"no secret":             {func(c *config.Config) { c.Secrets = nil }, http.HandlerFunc(hello), "secret_file: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := valid
			test.edit(&cfg)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // a server that does start stops at once
			if err := Run(ctx, cfg, App{Handler: test.handler}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Run = %v, want an error with %q", err, test.want)
			}
		})
	}
}

// What a name resolves to is known only once the server listens.
func TestListenChecksTheAddress(t *testing.T) {
	for name, cfg := range map[string]config.Config{
		"development switch":      {Listen: "0.0.0.0:0", Dev: true},
		"development certificate": {Listen: "0.0.0.0:0", TLS: config.TLS{Dev: true}},
	} {
		if l, err := listenAll(t.Context(), cfg, slog.Default()); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
			t.Errorf("%s: listen = %v, %v, want an error", name, l, err)
		}
	}
}

func TestDevelopmentCertificate(t *testing.T) {
	s := start(t, http.HandlerFunc(hello), func(c *config.Config) {
		c.PublicURL, c.TLS, c.Dev = "https://localhost:8443", config.TLS{Dev: true}, true
	})
	s.log.await(t, "tls=development")
	base, err := os.UserConfigDir()
	check(t, err)
	authority, err := os.ReadFile(filepath.Join(base, "gatewright", "ca", "ca.pem"))
	check(t, err)
	s.pool.AppendCertsFromPEM(authority)
	_, port, err := net.SplitHostPort(s.address)
	check(t, err)
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		client := s.newClient(true)
		client.Transport.(*http.Transport).TLSClientConfig.ServerName = ""
		r, body := answer(t)(client.Get(fmt.Sprintf("https://%s:%s/", host, port)))
		if r.StatusCode != 200 || body != "hello" {
			t.Errorf("GET %s = %d %q", host, r.StatusCode, body)
		}
		if hsts := r.Header.Get("Strict-Transport-Security"); hsts != "" {
			t.Errorf("Strict-Transport-Security: %q in development, want none", hsts)
		}
	}
}
