package serve

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/config"
)

// Operations answer below /v1.
type operations struct{}

func (operations) Answers(path string) bool { return strings.HasPrefix(path, "/v1/") }

func (operations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "%s %s from %s", r.Method, r.URL, r.RemoteAddr)
}

// startApp runs an app with those operations.
func startApp(t *testing.T, edit func(*config.Config), change func(*App)) *running {
	t.Helper()
	app := App{Handler: operations{}, API: operations{}}
	if change != nil {
		change(&app)
	}
	return startWith(t, app, edit)
}

// plain is the address of the listener of plain HTTP.
func (s *running) plain(t *testing.T) string {
	t.Helper()
	const before = "refused on http://"
	s.log.await(t, before)
	_, after, _ := strings.Cut(s.log.String(), before)
	return after[:strings.IndexAny(after, "\"\n ")]
}

// direct asks an address by HTTP/1.1, as a client that follows nothing.
func direct(t *testing.T, address, method, target, host string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+address+target, nil)
	check(t, err)
	r.Host = host
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return answer(t)(client.Do(r))
}

// clearCases are what happens to requests without TLS.
var clearCases = []struct {
	name, method, target string
	header               []string
	status               int
	location             string
}{
	{"a page", "GET", "/", nil, 308, "https://blog.example/"},
	{"a page with a query", "GET", "/posts/a%2Fb?x=1&y=%20", nil, 308, "https://blog.example/posts/a%2Fb?x=1&y=%20"},
	{"its head", "HEAD", "/about", nil, 308, "https://blog.example/about"},
	{"another host in the path", "GET", "//evil.example/x", nil, 308, "https://blog.example/evil.example/x"},
	{"a backslash", "GET", `/\evil.example/x`, nil, 308, "https://blog.example/%5Cevil.example/x"},
	{"an operation", "GET", "/v1/posts", nil, 403, ""},
	{"an operation for a browser", "GET", "/v1/posts", []string{"Accept: text/html"}, 403, ""},
	{"another method", "POST", "/", nil, 403, ""},
	{"a preflight", "OPTIONS", "/v1/posts", []string{"Origin: https://app.example", "Access-Control-Request-Method: POST"}, 403, ""},
	{"a page with credentials", "GET", "/", []string{"Authorization: Bearer x"}, 403, ""},
	{"a word of a client that has TLS", "GET", "/v1/posts", []string{"X-Forwarded-Proto: https", "Forwarded: proto=https"}, 403, ""},
}

func TestPlainListener(t *testing.T) {
	s := startApp(t, func(c *config.Config) { c.Plain.Listen = "127.0.0.1:0" }, nil)
	address := s.plain(t)
	for _, c := range clearCases {
		res, body := direct(t, address, c.method, c.target, "blog.example", c.header...)
		if res.StatusCode != c.status || res.Header.Get("Location") != c.location {
			t.Errorf("%s: %d to %q, want %d to %q", c.name, res.StatusCode, res.Header.Get("Location"), c.status, c.location)
		}
		if c.status == 403 && (!strings.Contains(body, "transport_insecure") || !strings.Contains(body, "https://blog.example")) {
			t.Errorf("%s: %s, want to be told why", c.name, body)
		}
		if res.Header.Get("Strict-Transport-Security") != "" || res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", c.name, res.Header)
		}
	}
	for host, status := range map[string]int{"blog.example:80": 308, "blog.example:8080": 308, "evil.example": 421} {
		if res, _ := direct(t, address, "GET", "/", host); res.StatusCode != status {
			t.Errorf("host %s: %d, want %d", host, res.StatusCode, status)
		}
	}
}

// TestPlainExposes: a good key that was sent in the clear is named, by its id.
func TestPlainExposes(t *testing.T) {
	s := startApp(t, func(c *config.Config) { c.Plain.Listen = "127.0.0.1:0" }, func(a *App) {
		a.Exposed = func(r *http.Request) []string {
			if r.Header.Get("Authorization") == "apikey secret" {
				return []string{"id1", "id2"}
			}
			return nil
		}
	})
	address := s.plain(t)
	direct(t, address, "GET", "/v1/posts", "blog.example")
	if text := s.log.String(); strings.Contains(text, "exposed") {
		t.Errorf("without a key the log has %s", text)
	}
	direct(t, address, "GET", "/v1/posts", "blog.example", "Authorization: apikey secret")
	for _, id := range []string{"key=id1", "key=id2"} {
		s.log.await(t, id)
	}
	if text := s.log.String(); !strings.Contains(text, "audit=true") || !strings.Contains(text, "address=127.0.0.1") || strings.Contains(text, "secret") {
		t.Errorf("the log has %s", text)
	}
}

// TestBehindProxy: what counts is what the proxy says, and only the proxy's.
func TestBehindProxy(t *testing.T) {
	behind := func(ranges ...string) func(*config.Config) {
		return func(c *config.Config) { c.TLS = config.TLS{BehindProxy: ranges} }
	}
	s := startApp(t, behind("127.0.0.0/8"), nil)
	secure := []string{"X-Forwarded-Proto: https", "X-Forwarded-For: 203.0.113.1, 198.51.100.7"}
	res, body := direct(t, s.address, "GET", "/v1/posts", "blog.example", secure...)
	if res.StatusCode != 200 || body != "GET /v1/posts from 198.51.100.7:0" || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("over TLS: %d %s, %v", res.StatusCode, body, res.Header)
	}
	if res, _ := direct(t, s.address, "GET", "/v1/posts", "evil.example", append(secure, "X-Forwarded-Host: blog.example")...); res.StatusCode != 421 {
		t.Errorf("another host: %d, want 421", res.StatusCode)
	}
	for _, c := range clearCases[:len(clearCases)-1] {
		res, _ := direct(t, s.address, c.method, c.target, "blog.example", append(c.header, "X-Forwarded-Proto: http")...)
		if res.StatusCode != c.status || res.Header.Get("Location") != c.location || res.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("in the clear, %s: %d to %q, want %d to %q", c.name, res.StatusCode, res.Header.Get("Location"), c.status, c.location)
		}
	}
	other := startApp(t, behind("192.0.2.0/24"), nil)
	if res, _ := direct(t, other.address, "GET", "/v1/posts", "blog.example", secure...); res.StatusCode != 403 {
		t.Errorf("from no proxy: %d, want 403", res.StatusCode)
	}
	standard := startApp(t, func(c *config.Config) {
		c.TLS = config.TLS{BehindProxy: []string{"127.0.0.0/8"}, ProxyHeader: "forwarded"}
	}, nil)
	if res, _ := direct(t, standard.address, "GET", "/v1/posts", "blog.example", secure...); res.StatusCode != 403 {
		t.Errorf("the other header: %d, want 403", res.StatusCode)
	}
	if res, body := direct(t, standard.address, "GET", "/v1/posts", "blog.example", "Forwarded: for=198.51.100.7;proto=https"); res.StatusCode != 200 || body != "GET /v1/posts from 198.51.100.7:0" {
		t.Errorf("Forwarded: %d %s", res.StatusCode, body)
	}
	if _, err := http.Get("https://" + s.address); err == nil {
		t.Error("TLS is served behind a proxy that ends it")
	}
}

// TestBehindNginx has nginx in front: with the lines of docs/proxies.md, and with
// none of them.
func TestBehindNginx(t *testing.T) {
	s := startApp(t, func(c *config.Config) { c.TLS = config.TLS{BehindProxy: []string{"127.0.0.0/8"}} }, nil)
	ca := testenv.NewCA(t)
	cert, key := ca.Files(t, "blog.example")
	server := func(listen, settings string) string {
		return fmt.Sprintf("server { listen 127.0.0.1:%s; server_name _; ssl_certificate %s; ssl_certificate_key %s; location / { proxy_pass http://%s; %s } }\n", listen, cert, key, s.address, settings)
	}
	const lines = "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;"
	on := testenv.Nginx(t, 3, func(p []int) string {
		return "http { access_log off;\n" + server(fmt.Sprint(p[0], " ssl"), lines) + server(fmt.Sprint(p[1]), lines) + server(fmt.Sprint(p[2], " ssl"), "") + "}"
	})
	over := func(port int) *http.Client {
		transport := ca.Transport()
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprint("127.0.0.1:", port))
		}
		return &http.Client{Timeout: patience, Transport: transport}
	}
	ask := func(client *http.Client) (*http.Response, string) {
		r, err := http.NewRequest("GET", "https://blog.example/v1/posts", nil)
		check(t, err)
		// What a client says of itself counts for nothing.
		r.Header.Set("X-Forwarded-For", "203.0.113.1")
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("Forwarded", "for=203.0.113.1;proto=http")
		return answer(t)(client.Do(r))
	}
	if res, body := ask(over(on[0])); res.StatusCode != 200 || body != "GET /v1/posts from 127.0.0.1:0" {
		t.Errorf("over TLS: %d %s", res.StatusCode, body)
	}
	plain := fmt.Sprint("127.0.0.1:", on[1])
	if res, body := direct(t, plain, "GET", "/v1/posts", "blog.example", "X-Forwarded-Proto: https", "Forwarded: proto=https"); res.StatusCode != 403 {
		t.Errorf("to nginx in the clear: %d %s, want 403", res.StatusCode, body)
	}
	if res, _ := direct(t, plain, "GET", "/", "blog.example"); res.StatusCode != 308 || res.Header.Get("Location") != "https://blog.example/" {
		t.Errorf("a page of nginx in the clear: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	if res, body := ask(over(on[2])); res.StatusCode != 421 {
		t.Errorf("nginx that says nothing: %d %s, want 421", res.StatusCode, body)
	}
}

// TestProxyProtocol: nginx passes connections on as they are, and names the
// client. From others no name counts.
func TestProxyProtocol(t *testing.T) {
	s := startApp(t, func(c *config.Config) { c.ProxyProtocol, c.Plain.Listen = []string{"127.0.0.0/8"}, "127.0.0.1:0" }, nil)
	on := testenv.Nginx(t, 1, func(p []int) string {
		return fmt.Sprintf("stream { server { listen 127.0.0.1:%d; proxy_pass %s; proxy_protocol on; } }", p[0], s.address)
	})
	own := s.address
	s.address = fmt.Sprint("127.0.0.1:", on[0])
	if res, body := s.get(t, "/v1/posts"); res.StatusCode != 200 || !strings.HasPrefix(body, "GET /v1/posts from 127.0.0.1:") {
		t.Errorf("through nginx: %d %s", res.StatusCode, body)
	}

	s.address = own
	source, target := &net.TCPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 81}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}
	for version := range byte(3) {
		client := s.newClient(true)
		transport := client.Transport.(*http.Transport)
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err == nil && version > 0 {
				_, err = proxyproto.HeaderProxyFromAddrs(version, source, target).WriteTo(conn)
			}
			return conn, err
		}
		res, err := client.Get("https://blog.example/v1/posts")
		if version == 0 {
			if err == nil {
				t.Errorf("a balancer that names nobody: %d", res.StatusCode)
			}
			continue
		}
		if _, body := answer(t)(res, err); body != "GET /v1/posts from 198.51.100.7:81" {
			t.Errorf("version %d: %s", version, body)
		}
	}
	// It is asked of the plain listener too.
	var wire bytes.Buffer
	_, err := proxyproto.HeaderProxyFromAddrs(1, source, target).WriteTo(&wire)
	check(t, err)
	wire.WriteString("GET / HTTP/1.1\r\nHost: blog.example\r\nConnection: close\r\n\r\n")
	if got := send(t, s.plain(t), wire.String()); !strings.Contains(got, " 308 ") {
		t.Errorf("the plain listener: %s", got)
	}

	others := startApp(t, func(c *config.Config) { c.ProxyProtocol, c.Plain.Listen = []string{"192.0.2.0/24"}, "127.0.0.1:0" }, nil)
	if res, body := others.get(t, "/v1/posts"); res.StatusCode != 200 || !strings.HasPrefix(body, "GET /v1/posts from 127.0.0.1:") {
		t.Errorf("from no balancer: %d %s", res.StatusCode, body)
	}
	if got := send(t, others.plain(t), wire.String()); !strings.Contains(got, " 400 ") {
		t.Errorf("a name from no balancer: %s, want 400", got)
	}
}

// send writes text to an address and returns the answer.
func send(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	check(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, text)
	check(t, err)
	b, err := io.ReadAll(conn)
	check(t, err)
	return string(b)
}
