package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/secret"
)

func okay(context.Context) error { return nil }

var adminAddress = regexp.MustCompile(`admin listener on http://(\S+)"`)

// startAdmin is start with an admin listener, whose base URL it returns.
func startAdmin(t *testing.T, h http.Handler, checks ...Check) (*running, string) {
	t.Helper()
	s := start(t, h, func(c *config.Config) { c.Admin.Listen = "127.0.0.1:0" }, checks...)
	s.log.await(t, "admin listener on ")
	return s, "http://" + adminAddress.FindStringSubmatch(s.log.String())[1]
}

func TestAdmin(t *testing.T) {
	down := errors.New("store: no route\nto host\r\x7f\x1b[2J")
	for _, c := range []struct {
		name   string
		checks []Check
		status int
		body   string
	}{
		{"no checks", nil, 200, "ok\n"},
		{"all well", []Check{{"store", okay}, {"login", okay}}, 200, "store: ok\nlogin: ok\n"},
		{"one fails", []Check{{"store", okay}, {"login", func(context.Context) error { return down }}}, 503, "store: ok\nlogin: store: no route; to host   [2J\n"},
		{"one panics", []Check{{"store", func(context.Context) error { panic("hidden") }}, {"login", okay}}, 503, "store: panicked, see the log\nlogin: ok\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, url := startAdmin(t, http.HandlerFunc(hello), c.checks...)
			r, body := answer(t)(http.Get(url + "/readyz"))
			if r.StatusCode != c.status || body != c.body {
				t.Errorf("GET /readyz = %d %q, want %d %q", r.StatusCode, body, c.status, c.body)
			}
			if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("GET /readyz: header %v", r.Header)
			}
			if r, body := answer(t)(http.Get(url + "/healthz")); r.StatusCode != 200 || body != "ok\n" {
				t.Errorf("GET /healthz = %d %q, want 200", r.StatusCode, body)
			}
		})
	}
}

func TestAdminKnowsNothingElse(t *testing.T) {
	s, url := startAdmin(t, http.HandlerFunc(hello))
	for path, want := range map[string]int{"/": 404, "/posts": 404, "/healthz/": 404, "/metric": 404} {
		if r, body := answer(t)(http.Get(url + path)); r.StatusCode != want || strings.Contains(body, "hello") {
			t.Errorf("GET %s = %d %q, want %d", path, r.StatusCode, body, want)
		}
	}
	if r, _ := answer(t)(http.Post(url+"/readyz", "text/plain", nil)); r.StatusCode != 405 {
		t.Errorf("POST /readyz = %d, want 405", r.StatusCode)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if _, body := s.get(t, path); body != "hello" {
			t.Errorf("GET %s of the API's listener = %q, want it the API's", path, body)
		}
	}
}

func TestAdminHost(t *testing.T) {
	a, err := newAdmin(nil)
	check(t, err)
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:9443": 200, "127.0.0.1:9443": 200, "127.1.2.3": 200, "[::1]:9443": 200, "[::1]": 200, "[::ffff:127.0.0.1]:1": 200,
		"evil.example": 421, "evil.example:9443": 421, "localhost.evil.example": 421, "10.0.0.1:9443": 421, "": 421, "127.0.0.1.evil.example": 421,
	} {
		r := httptest.NewRequest("GET", "/readyz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		a.handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}

// Checks run beside each other, and one that hangs neither holds up the answer
// nor piles up.
func TestAdminChecksAreBounded(t *testing.T) {
	var running atomic.Int32
	release := make(chan struct{})
	stuck := func(context.Context) error { running.Add(1); <-release; return nil }
	slow := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	a, err := newAdmin([]Check{{"stuck", stuck}, {"slow", slow}, {"store", okay}})
	check(t, err)
	ask := func() (int, string, time.Duration) {
		begin := time.Now()
		w := httptest.NewRecorder()
		a.ready(w, httptest.NewRequest("GET", "/readyz", nil))
		return w.Code, w.Body.String(), time.Since(begin)
	}
	for range 2 {
		code, body, took := ask()
		if code != 503 || !strings.Contains(body, "stuck: no answer within 2s\n") || !strings.Contains(body, "store: ok\n") || strings.Contains(body, "slow: ok") {
			t.Errorf("/readyz = %d %q, want the store alone ok", code, body)
		}
		if took < checkTime || took > 2*checkTime-checkTime/4 {
			t.Errorf("/readyz took %s, want about %s", took, checkTime)
		}
	}
	if n := running.Load(); n != 1 {
		t.Errorf("the check that hangs runs %d times", n)
	}
	close(release)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, body, _ := ask(); strings.Contains(body, "stuck: ok\n") {
			return
		}
	}
	t.Error("the check that hung is not asked again")
}

// Health for everybody is one word, on both listeners and for every host, and
// nothing else is.
func TestPublicHealth(t *testing.T) {
	var broken atomic.Bool
	s := startWith(t, App{Handler: http.HandlerFunc(hello), Checks: []Check{{"store", func(context.Context) error {
		if broken.Load() {
			return errors.New("db.internal does not answer")
		}
		return nil
	}}}}, func(c *config.Config) { c.PublicHealth, c.Plain.Listen = true, "127.0.0.1:0" })
	plain := s.plain(t)
	asked := func(want string, status int) {
		t.Helper()
		r, err := http.NewRequest("GET", "https://blog.example/readyz", nil)
		check(t, err)
		r.Host = "10.1.2.3"
		if res, body := answer(t)(s.client.Do(r)); res.StatusCode != status || body != want {
			t.Errorf("/readyz = %d %q, want %d %q", res.StatusCode, body, status, want)
		}
		if res, body := direct(t, plain, "GET", "/readyz", "10.1.2.3"); res.StatusCode != status || body != want {
			t.Errorf("/readyz without TLS = %d %q, want %d %q", res.StatusCode, body, status, want)
		}
		if res, body := direct(t, plain, "GET", "/healthz", "10.1.2.3"); res.StatusCode != 200 || body != "ok\n" {
			t.Errorf("/healthz without TLS = %d %q, want 200", res.StatusCode, body)
		}
	}
	asked("ok\n", 200)
	broken.Store(true)
	time.Sleep(1100 * time.Millisecond) // what was found out holds for a second
	asked("not ready\n", 503)
	if res, _ := direct(t, plain, "GET", "/metrics", "10.1.2.3"); res.StatusCode != 421 {
		t.Errorf("/metrics of everybody = %d, want 421", res.StatusCode)
	}
	for name, c := range map[string]struct {
		health bool
		path   string
	}{"hidden": {true, "/readyz"}, "not hidden": {true, "/other"}, "not for everybody": {false, "/readyz"}} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		certFile, keyFile, _ := certificate(t)
		err := Run(ctx, config.Config{
			PublicURL: "https://blog.example", Listen: "127.0.0.1:0", TLS: config.TLS{Cert: []string{certFile}, Key: []string{keyFile}},
			Secrets: []secret.Value{secret.Random(32)}, PublicHealth: c.health, Shutdown: config.Shutdown{Delay: -1},
		}, App{Handler: only{c.path}})
		if hidden := name == "hidden"; (err != nil) != hidden || hidden && !strings.Contains(err.Error(), "-healthcheck") {
			t.Errorf("an operation that is %s: Run = %v", name, err)
		}
	}
}

// only answers at one path.
type only struct{ path string }

func (o only) Answers(path string) bool                       { return path == o.path }
func (only) ServeHTTP(w http.ResponseWriter, r *http.Request) { hello(w, r) }

// Before a stop all requests are answered, and clients are asked to go elsewhere.
func TestDelay(t *testing.T) {
	s := start(t, http.HandlerFunc(hello), func(c *config.Config) { c.Shutdown.Delay = 2 * time.Second })
	old := s.newClient(false)
	if res, _ := answer(t)(old.Get("https://blog.example/")); res.Close {
		t.Error("clients are asked to go elsewhere before a stop")
	}
	begun := time.Now()
	s.stop()
	s.log.await(t, "msg=stopping")
	for range 3 {
		if res, body := answer(t)(old.Get("https://blog.example/")); !res.Close || body != "hello" {
			t.Errorf("before the stop a client is told %q, to close: %v", body, res.Close)
		}
	}
	if err := s.wait(t); err != nil || time.Since(begun) < 2*time.Second {
		t.Errorf("Run = %v after %v, want nil, after the delay", err, time.Since(begun))
	}
}

// While the last requests finish, the server says that it is not ready.
func TestAdminWhileStopping(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	s, url := startAdmin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { close(inside); <-release }), Check{"store", okay})
	go func() {
		if r, err := s.client.Get("https://blog.example/"); err == nil {
			r.Body.Close()
		}
	}()
	<-inside
	if r, _ := answer(t)(http.Get(url + "/readyz")); r.StatusCode != 200 {
		t.Errorf("/readyz = %d before the stop, want 200", r.StatusCode)
	}
	s.stop()
	s.log.await(t, "msg=stopping")
	if r, body := answer(t)(http.Get(url + "/readyz")); r.StatusCode != 503 || body != "server: stopping\n" {
		t.Errorf("/readyz = %d %q while stopping, want 503", r.StatusCode, body)
	}
	if r, _ := answer(t)(http.Get(url + "/healthz")); r.StatusCode != 200 {
		t.Errorf("/healthz = %d while stopping, want 200", r.StatusCode)
	}
	close(release)
	if err := s.wait(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if r, err := http.Get(url + "/healthz"); err == nil {
		r.Body.Close()
		t.Error("the admin listener is open after the stop")
	}
}

func TestAdminRefuses(t *testing.T) {
	for _, c := range []Check{{"", okay}, {"store", nil}} {
		if _, err := newAdmin([]Check{c}); err == nil {
			t.Errorf("newAdmin(%q) = nil, want an error", c.Name)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer taken.Close()
	for address, want := range map[string]string{
		taken.Addr().String(): "another address is set by admin.listen",
		"0.0.0.0:0":           "not a loopback address",
	} {
		cfg := config.Config{Listen: "127.0.0.1:0", Admin: config.Admin{Listen: address}}
		if _, err := listenAll(t.Context(), cfg, slog.Default()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("listenAll(admin %s) = %v, want an error with %q", address, err, want)
		}
	}
}

// Pages of configured origins may read every answer, that of a panic too, and
// their preflights are answered before the API.
func TestCORSOfServer(t *testing.T) {
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			w.Header().Set("Set-Cookie", "a=b")
			panic("x")
		}
		hello(w, r)
	}), func(c *config.Config) {
		c.CORS = config.CORS{Origins: []string{"https://app.example"}, Credentials: true}
	})
	for _, c := range []struct {
		method, path, origin string
		status               int
		allow                string
	}{
		{"GET", "/", "https://app.example", 200, "https://app.example"},
		{"GET", "/", "https://evil.example", 200, ""},
		{"GET", "/panic", "https://app.example", 500, "https://app.example"},
		{"OPTIONS", "/panic", "https://app.example", 204, "https://app.example"},
		{"OPTIONS", "/panic", "https://evil.example", 204, ""},
	} {
		r, err := http.NewRequest(c.method, "https://blog.example"+c.path, nil)
		check(t, err)
		r.Header.Set("Origin", c.origin)
		if c.method == "OPTIONS" {
			r.Header.Set("Access-Control-Request-Method", "DELETE")
		}
		w, _ := answer(t)(s.client.Do(r))
		if w.StatusCode != c.status || w.Header.Get("Access-Control-Allow-Origin") != c.allow || w.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s %s from %s = %d, header %v, want %d, %q", c.method, c.path, c.origin, w.StatusCode, w.Header, c.status, c.allow)
		}
	}
	closed := start(t, http.HandlerFunc(hello), nil)
	r, err := http.NewRequest("GET", "https://blog.example/", nil)
	check(t, err)
	r.Header.Set("Origin", "https://blog.example")
	if w, _ := answer(t)(closed.client.Do(r)); w.Header.Get("Access-Control-Allow-Origin") != "" || w.Header.Get("Vary") != "" {
		t.Errorf("nothing configured: header %v", w.Header)
	}
}
