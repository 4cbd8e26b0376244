package serve

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/problem"
)

// safe is what every answer has.
var safe = map[string]string{
	"Strict-Transport-Security": "max-age=31536000",
	"X-Content-Type-Options":    "nosniff",
	"Referrer-Policy":           "no-referrer",
	"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
	"Cache-Control":             "no-store",
}

func TestHeaders(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", hello)
	mux.HandleFunc("/problem", func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.New(http.StatusNotFound, "not_found", "There is nothing here."))
	})
	mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) {
		for name := range safe {
			w.Header().Set(name, "spoiled")
		}
		panic("no")
	})
	s := start(t, mux, nil)
	for path, status := range map[string]int{"/ok": 200, "/absent": 404, "/problem": 404, "/panic": 500} {
		r, _ := s.get(t, path)
		if r.StatusCode != status {
			t.Errorf("GET %s = %d, want %d", path, r.StatusCode, status)
		}
		for name, want := range safe {
			if got := r.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("GET %s: %s: %q, want %q", path, name, got, want)
			}
		}
	}
	request, err := http.NewRequest("GET", "https://other.example/ok", nil)
	check(t, err)
	r, _ := answer(t)(s.client.Do(request))
	for name, want := range safe {
		if got := r.Header.Get(name); r.StatusCode != 421 || got != want {
			t.Errorf("421: %s: %q, want %q", name, got, want)
		}
	}
}

func TestHandlerMayChooseHeaders(t *testing.T) {
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
	}), nil)
	r, _ := s.get(t, "/")
	if got := r.Header.Get("Cache-Control"); got != "public, max-age=60" {
		t.Errorf("Cache-Control: %q", got)
	}
	if got := r.Header.Get("Content-Security-Policy"); got != "default-src 'self'" {
		t.Errorf("Content-Security-Policy: %q", got)
	}
}

func TestNoHSTS(t *testing.T) {
	for name, test := range map[string]struct {
		host string
		edit func(*config.Config)
	}{
		"development switch": {"blog.example", func(c *config.Config) { c.Dev = true }},
		"loopback":           {"127.0.0.1", func(c *config.Config) { c.PublicURL = "https://127.0.0.1" }},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, http.HandlerFunc(hello), test.edit)
			r, _ := answer(t)(s.client.Get("https://" + test.host + "/"))
			if got := r.Header.Get("Strict-Transport-Security"); r.StatusCode != 200 || got != "" {
				t.Errorf("%d, Strict-Transport-Security: %q, want none", r.StatusCode, got)
			}
		})
	}
}

func TestHost(t *testing.T) {
	g := func(c config.Config) *guard { return newGuard(c, nil, nil) }
	public := g(config.Config{PublicURL: "https://blog.example"})
	port := g(config.Config{PublicURL: "https://blog.example:8443"})
	v6 := g(config.Config{PublicURL: "https://[2001:db8::1]"})
	dev := g(config.Config{PublicURL: "https://blog.localhost:8443", Dev: true})
	devTLS := g(config.Config{PublicURL: "https://localhost:8443", TLS: config.TLS{Dev: true}})
	for _, test := range []struct {
		name string
		g    *guard
		host string
		want bool
	}{
		{"ours", public, "blog.example", true},
		{"ours with port", public, "blog.example:443", true},
		{"ours in capitals", public, "BLOG.Example", true},
		{"none", public, "", false},
		{"another", public, "evil.example", false},
		{"below ours", public, "a.blog.example", false},
		{"ours in front", public, "blog.example.evil.example", false},
		{"ours at the end", public, "evil-blog.example", false},
		{"another port", public, "blog.example:8443", false},
		{"absolute name", public, "blog.example.", false},
		{"with user", public, "a@blog.example", false},
		{"two", public, "blog.example,evil.example", false},
		{"loopback", public, "localhost", false},
		{"loopback address", public, "127.0.0.1:443", false},
		{"port: ours", port, "blog.example:8443", true},
		{"port: without", port, "blog.example", false},
		{"port: another", port, "blog.example:443", false},
		{"port: two", port, "blog.example:8443:443", false},
		{"two ports", public, "blog.example:443:443", false},
		{"empty port", public, "blog.example:", false},
		{"IPv6", v6, "[2001:db8::1]", true},
		{"IPv6 with port", v6, "[2001:db8::1]:443", true},
		{"IPv6 another", v6, "[2001:db8::2]", false},
		{"development: ours", dev, "blog.localhost:8443", true},
		{"development: ours with the port it listens on", dev, "blog.localhost:40001", true},
		{"development: localhost", dev, "localhost:40001", true},
		{"development: localhost without port", dev, "localhost", true},
		{"development: IPv4", dev, "127.0.0.1:40001", true},
		{"development: IPv6", dev, "[::1]:40001", true},
		{"development: IPv6 without port", dev, "[::1]", true},
		{"development: another", dev, "evil.example:8443", false},
		{"development: two ports", dev, "blog.localhost:8443:443", false},
		{"development: none", dev, "", false},
		{"development: rebinding", dev, "127.0.0.1.evil.example", false},
		{"development certificate: localhost", devTLS, "localhost:40001", true},
		{"development certificate: another", devTLS, "evil.example", false},
	} {
		if got := test.g.knows(test.host); got != test.want {
			t.Errorf("%s: knows(%q) = %v, want %v", test.name, test.host, got, test.want)
		}
	}
}

func TestWrongHostOverTheWire(t *testing.T) {
	called := make(chan string, 10)
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { called <- r.Host }), nil)
	for name, head := range map[string]string{
		"Host":          "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"absolute form": "GET https://evil.example/ HTTP/1.1\r\nHost: blog.example\r\n\r\n",
		"HTTP/1.0":      "GET / HTTP/1.0\r\n\r\n",
		"forwarded":     "GET / HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: blog.example\r\n\r\n",
		"with a body":   "POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 10\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.raw(t)
			_, err := io.WriteString(conn, head)
			check(t, err)
			r, body := answer(t)(http.ReadResponse(bufio.NewReader(conn), nil))
			if r.StatusCode != 421 || r.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, `"host_unknown"`) {
				t.Errorf("%d %s, want 421 with code host_unknown", r.StatusCode, body)
			}
			if name == "with a body" && !r.Close {
				t.Error("the connection stays open with a body that nobody read")
			}
		})
	}
	if len(called) > 0 {
		t.Errorf("the handler was called for %q", <-called)
	}
}

func TestPanics(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/before", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=abc")
		w.Header().Set("Content-Length", "1000")
		panic("secret reason\nlevel=INFO msg=forged")
	})
	mux.HandleFunc("/after", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half an ans")
		panic("too late")
	})
	mux.HandleFunc("/flushed", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		panic("too late")
	})
	mux.HandleFunc("/hint", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		panic("in time")
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/ok", hello)
	for _, http2 := range []bool{true, false} {
		t.Run(fmt.Sprintf("HTTP/2 %v", http2), func(t *testing.T) {
			s := start(t, mux, nil)
			client := s.newClient(http2)
			for _, path := range []string{"/before", "/hint"} {
				r, body := answer(t)(client.Get("https://blog.example" + path))
				if r.StatusCode != 500 || r.Header.Get("Content-Type") != "application/problem+json" || r.Header.Get("Set-Cookie") != "" {
					t.Errorf("GET %s = %d %v", path, r.StatusCode, r.Header)
				}
				if strings.Contains(body, "secret reason") || strings.Contains(body, "goroutine") || !strings.Contains(body, `"internal"`) {
					t.Errorf("GET %s = %s, want code internal and no cause", path, body)
				}
			}
			for _, path := range []string{"/after", "/flushed", "/abort"} {
				r, err := client.Get("https://blog.example" + path)
				if err != nil {
					continue
				}
				if body, err := io.ReadAll(r.Body); err == nil {
					t.Errorf("GET %s = %d %q, want it cut off", path, r.StatusCode, body)
				}
				r.Body.Close()
			}
			if _, body := answer(t)(client.Get("https://blog.example/ok")); body != "hello" {
				t.Errorf("after the panics: %q", body)
			}
			log := s.log.String()
			for _, want := range []string{"secret reason", "guard_test.go", "answer cut off", "too late"} {
				if !strings.Contains(log, want) {
					t.Errorf("the log lacks %q:\n%s", want, log)
				}
			}
			if strings.Contains(log, "\nlevel=INFO msg=forged") {
				t.Error("a panic forges a line of the log")
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	result := make(chan error, 1)
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		result <- err
	}), func(c *config.Config) { c.Limits.BodyBytes = 1000 })
	for size, fits := range map[int]bool{0: true, 1000: true, 1001: false, 100000: false} {
		// The length is left unsaid, so that the limit has to count.
		body := struct{ io.Reader }{strings.NewReader(strings.Repeat("x", size))}
		r, err := s.newClient(false).Post("https://blog.example/", "text/plain", body)
		check(t, err)
		r.Body.Close()
		got := <-result
		if tooLarge, _ := errors.AsType[*http.MaxBytesError](got); (tooLarge == nil) != fits || fits && got != nil {
			t.Errorf("reading %d bytes = %v, want it to fit: %v", size, got, fits)
		}
	}
}

func TestAsteriskGoesToTheHandler(t *testing.T) {
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.RequestURI, http.StatusTeapot) }), nil)
	conn := s.raw(t)
	_, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: blog.example\r\n\r\n")
	check(t, err)
	if r, body := answer(t)(http.ReadResponse(bufio.NewReader(conn), nil)); r.StatusCode != http.StatusTeapot || body != "*\n" {
		t.Errorf("OPTIONS * = %d %q, want the handler's answer", r.StatusCode, body)
	}
}
