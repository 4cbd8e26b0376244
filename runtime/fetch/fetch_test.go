package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/fetch"
)

// start runs a TLS server and returns it with a client that trusts it.
func start(t *testing.T, h http.HandlerFunc, change func(*fetch.Config)) (*httptest.Server, *http.Client) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	cfg := fetch.Config{CA: writeCA(t, srv)}
	if change != nil {
		change(&cfg)
	}
	c, err := fetch.New(cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return srv, c
}

func writeCA(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	return writeFile(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func answer(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	}
}

func TestNewRefuses(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	good := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no certificate")})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("a key")})
	for name, c := range map[string]struct {
		cfg  fetch.Config
		want []string
	}{
		"nothing set":       {fetch.Config{}, nil},
		"authorities":       {fetch.Config{CA: writeFile(t, append(good, good...))}, nil},
		"no such file":      {fetch.Config{CA: filepath.Join(t.TempDir(), "none.pem")}, []string{"none.pem: no such file"}},
		"no PEM":            {fetch.Config{CA: writeFile(t, []byte("nothing"))}, []string{"no certificate in"}},
		"one cannot parse":  {fetch.Config{CA: writeFile(t, append(good, broken...))}, []string{"x509"}},
		"a key beside":      {fetch.Config{CA: writeFile(t, append(good, key...))}, []string{"more than certificates"}},
		"both are negative": {fetch.Config{Timeout: -1, MaxBytes: -1}, []string{"timeout -1ns", "-1 bytes"}},
	} {
		client, err := fetch.New(c.cfg)
		if (err == nil) != (c.want == nil) || (err == nil) != (client != nil) {
			t.Errorf("%s: New() = %v, want %q", name, err, c.want)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: New() = %v, want %q in it", name, err, w)
			}
		}
	}
	if c, _ := fetch.New(fetch.Config{}); c.Timeout != 10*time.Second || c.Jar != nil {
		t.Errorf("New() = time limit %s, cookie jar %v, want 10s and none", c.Timeout, c.Jar)
	}
}

func TestJSON(t *testing.T) {
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string // in the error; "" for none
	}{
		"an object":         {answer("application/json", `{"name":"Ada"}`), ""},
		"charset":           {answer("Application/JSON; charset=UTF-8", `{"name":"Ada"}`), ""},
		"jwk set":           {answer("application/jwk-set+json", `{"name":"Ada"}`), ""},
		"member of others":  {answer("application/json", `{"name":"Ada","x":[1e400]}`), ""},
		"just not too long": {answer("application/json", `{"name":"Ada"`+strings.Repeat(" ", 1<<20-14)+`}`), ""},
		"too long":          {answer("application/json", `{"name":"Ada"`+strings.Repeat(" ", 1<<20-13)+`}`), "too large"},
		"too long, chunked": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for range 1<<20/1024 + 1 {
				io.WriteString(w, strings.Repeat(" ", 1024))
				w.(http.Flusher).Flush()
			}
		}, "too large"},
		"claims to be huge": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "5000000000")
			w.WriteHeader(200)
		}, "too large: 5000000000 bytes, at most 1048576"},
		"other name's case":  {answer("application/json", `{"Name":"Ada"}`), "got nothing"},
		"given twice":        {answer("application/json", `{"name":"Ada","name":"Bob"}`), "duplicate"},
		"twice further down": {answer("application/json", `{"name":"Ada","x":{"y":[{"a":1,"a":2}]}}`), "duplicate"},
		"twice, escaped":     {answer("application/json", `{"name":"Ada","\u006eame":"Bob"}`), "duplicate"},
		"not UTF-8":          {answer("application/json", "{\"name\":\"\xff\"}"), "UTF-8"},
		"another type":       {answer("application/json", `{"name":4711}`), "/name"},
		"number too great":   {answer("application/json", `{"name":"Ada","age":4711}`), "/age"},
		"more behind":        {answer("application/json", `{"name":"Ada"}{}`), "answer of"},
		"cut off":            {answer("application/json", `{"name":"Ada"`), "answer of"},
		"empty":              {answer("application/json", ``), "answer of"},
		"deep":               {answer("application/json", `{"name":"Ada","x":`+deep+`}`), "depth"},
		"text of JSON":       {answer("text/html", `{"name":"Ada"}`), "did not answer with JSON"},
		"no type":            {answer("", `{"name":"Ada"}`), "did not answer with JSON"},
		"two types":          {answer("application/json, text/html", `{"name":"Ada"}`), "did not answer with JSON"},
		"type not readable":  {answer("application/json; charset", `{"name":"Ada"}`), "did not answer with JSON"},
		"a signed answer":    {answer("application/jwt", `{"name":"Ada"}`), "did not answer with JSON"},
		"ends in +json":      {answer("text/x+json", `{"name":"Ada"}`), "did not answer with JSON"},
		"application alone":  {answer("application/xml", `{"name":"Ada"}`), "did not answer with JSON"},
		"201": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(201)
			io.WriteString(w, `{"name":"Ada"}`)
		}, "status 201"},
		"503": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "secret page", http.StatusServiceUnavailable)
		}, "status 503"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/?code=secret", http.StatusFound)
		}, `redirects to "evil.example"`},
		"to itself": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusPermanentRedirect)
		}, "redirects to"},
		"to nowhere":    {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(300) }, "nowhere"},
		"not modified":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) }, "nowhere"},
		"hangs up":      {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"large header":  {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", 100<<10)) }, "header"},
		"bomb":          {compressed("gzip"), "compressed"},
		"bomb, in caps": {compressed("GZIP"), "compressed"},
		"bomb, brotli":  {compressed("br"), "compressed"},
		"identity": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "Identity")
			answer("application/json", `{"name":"Ada"}`)(w, r)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			srv, client := start(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Accept") != "application/json" || r.Method != "GET" || r.Header.Get("Accept-Encoding") != "" {
					t.Errorf("asked with %s and header %v", r.Method, r.Header)
				}
				c.handler(w, r)
			}, nil)
			var got struct {
				Name string `json:"name"`
				Age  int8   `json:"age"`
			}
			header := http.Header{"authorization": {"Bearer secret"}, "Accept": {"*/*"}}
			err := fetch.JSON(t.Context(), client, srv.URL+"/path?q=secret", header, &got)
			if err == nil && got.Name != "Ada" {
				err = errors.New("got nothing")
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("JSON() = %v, want %q", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "4711")) {
				t.Errorf("JSON() = %v, which tells too much", err)
			}
			if requests != 1 {
				t.Errorf("%d requests, want 1", requests)
			}
			if len(header) != 2 || header.Get("Accept") != "*/*" {
				t.Errorf("JSON() changed the caller's header to %v", header)
			}
		})
	}
}

func compressed(encoding string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, `{"name":"Ada"`+strings.Repeat(" ", 10<<20)+`}`)
		z.Close()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", encoding)
		w.Write(b.Bytes())
	}
}

// TestPostForm: the answer is read as JSON reads it, and the form is in no error.
func TestPostForm(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string // in the error; "" for none
	}{
		"an object":   {answer("application/json", `{"name":"Ada"}`), ""},
		"given twice": {answer("application/json", `{"name":"Ada","name":"Bob"}`), "duplicate"},
		"a page":      {answer("text/html", `{"name":"Ada"}`), "did not answer with JSON"},
		"too long":    {answer("application/json", `{"name":"Ada"`+strings.Repeat(" ", 1<<20)+`}`), "too large"},
		"400":         {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "secret", http.StatusBadRequest) }, "status 400"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, "redirects to"},
	} {
		requests := 0
		srv, client := start(t, func(w http.ResponseWriter, r *http.Request) {
			requests++
			if err := r.ParseForm(); err != nil || r.PostForm.Encode() != "b=%26+c&token=secret" || r.Method != "POST" || len(r.URL.RawQuery) > 0 {
				t.Errorf("%s: asked with %s, form %v, %v", name, r.Method, r.PostForm, err)
			}
			if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Authorization") != "Basic secret" || r.Header.Get("Accept") != "application/json" {
				t.Errorf("%s: asked with header %v", name, r.Header)
			}
			c.handler(w, r)
		}, nil)
		var got struct {
			Name string `json:"name"`
		}
		header := http.Header{"Authorization": {"Basic secret"}}
		err := fetch.PostForm(t.Context(), client, srv.URL, header, url.Values{"token": {"secret"}, "b": {"& c"}}, &got)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got.Name != "Ada" {
			t.Errorf("%s: PostForm() = %q, %v, want %q", name, got.Name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: PostForm() = %v, which tells too much", name, err)
		}
		if requests != 1 || len(header) != 1 {
			t.Errorf("%s: %d requests, and the caller's header is %v", name, requests, header)
		}
	}
	srv, client := start(t, answer("application/json", `{}`), nil)
	if err := fetch.PostForm(t.Context(), client, srv.URL, nil, nil, new(any)); err != nil {
		t.Errorf("PostForm() of nothing = %v", err)
	}
}

func TestStatusError(t *testing.T) {
	srv, client := start(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }, nil)
	var status *fetch.StatusError
	err := fetch.JSON(t.Context(), client, srv.URL, nil, new(any))
	if !errors.As(err, &status) || status.Status != 401 || "https://"+status.Host != srv.URL {
		t.Errorf("JSON() = %v, want status 401 of %s", err, srv.URL)
	}
}

// TestLimits: the limits hold for every call that the client is used for.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int
		large bool
	}{
		"as many as may be": {100, false},
		"one more":          {101, true},
	} {
		for _, chunked := range []bool{false, true} {
			srv, client := start(t, func(w http.ResponseWriter, r *http.Request) {
				if chunked {
					w.(http.Flusher).Flush()
				}
				io.WriteString(w, strings.Repeat("x", c.bytes))
			}, func(cfg *fetch.Config) { cfg.MaxBytes = 100 })
			res, err := client.PostForm(srv.URL, url.Values{"code": {"x"}})
			var got []byte
			if err == nil {
				got, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if errors.Is(err, fetch.ErrTooLarge) != c.large || err != nil && !c.large || len(got) > 100 {
				t.Errorf("%s, chunked %v: read %d bytes, %v, want too large: %v", name, chunked, len(got), err, c.large)
			}
		}
	}
}

func TestSlow(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"head": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		},
	} {
		srv, client := start(t, h, func(cfg *fetch.Config) { cfg.Timeout = 300 * time.Millisecond })
		began := time.Now()
		err := fetch.JSON(t.Context(), client, srv.URL, nil, new(any))
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
			t.Errorf("%s: JSON() = %v after %s, want its deadline exceeded after 300ms", name, err, took)
		}
	}
}

// TestRefusedUnsent: nothing is sent, not even a connection made, where the
// URL will not do.
func TestRefusedUnsent(t *testing.T) {
	asked := false
	h := func(w http.ResponseWriter, r *http.Request) { asked = true; answer("application/json", "{}")(w, r) }
	plain := httptest.NewServer(http.HandlerFunc(h))
	defer plain.Close()
	srv, client := start(t, h, nil)
	host := strings.TrimPrefix(srv.URL, "https://")
	for _, c := range []struct{ url, want string }{
		{plain.URL, "not https"},
		{"http://" + host, "not https"},
		{"ftp://" + host, "not https"},
		{host, "cannot be read"},
		{"/path", "not https"},
		{"https:///path", "no host"},
		{"https://:443/", "no host"},
		{"https://user:secret@" + host, "user name"},
		{"https://user@" + host, "user name"},
		{"https://" + host + "/secret\x00", "cannot be read"},
	} {
		err := fetch.JSON(t.Context(), client, c.url, nil, new(any))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("JSON(%q) = %v, want %q", c.url, err, c.want)
		}
	}
	// A body is closed though it is not sent.
	closed := &closer{Reader: strings.NewReader("code=x")}
	req, _ := http.NewRequest("POST", plain.URL, closed)
	if _, err := client.Transport.RoundTrip(req); err == nil || !closed.closed {
		t.Errorf("RoundTrip(http) = %v, body closed %v, want an error, true", err, closed.closed)
	}
	if asked {
		t.Error("a server was asked")
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestTLS(t *testing.T) {
	srv, good := start(t, answer("application/json", "{}"), nil)
	if err := fetch.JSON(t.Context(), good, srv.URL, nil, new(any)); err != nil {
		t.Fatalf("JSON() = %v", err)
	}
	// The system's authorities do not know the server.
	strange, err := fetch.New(fetch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := fetch.JSON(t.Context(), strange, srv.URL, nil, new(any)); err == nil || !strings.Contains(err.Error(), "x509") {
		t.Errorf("JSON() with the system's authorities = %v, want x509 to complain", err)
	}
	old := httptest.NewUnstartedServer(answer("application/json", "{}"))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.StartTLS()
	defer old.Close()
	c, err := fetch.New(fetch.Config{CA: writeCA(t, old)})
	if err != nil {
		t.Fatal(err)
	}
	if err := fetch.JSON(t.Context(), c, old.URL, nil, new(any)); err == nil {
		t.Error("JSON() from a server of TLS 1.1 = nil, want an error")
	}
}

// TestNoCookies: what a server sets is not sent back.
func TestNoCookies(t *testing.T) {
	srv, client := start(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Errorf("cookies %v came back", r.Cookies())
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		answer("application/json", "{}")(w, r)
	}, nil)
	for range 2 {
		if err := fetch.JSON(t.Context(), client, srv.URL, nil, new(any)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGoneCaller(t *testing.T) {
	srv, client := start(t, answer("application/json", "{}"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := fetch.JSON(ctx, client, srv.URL, nil, new(any)); !errors.Is(err, context.Canceled) {
		t.Errorf("JSON() of a caller who left = %v, want canceled", err)
	}
}

func ExampleJSON() {
	srv := httptest.NewTLSServer(answer("application/json", `{"sub":"ada"}`))
	defer srv.Close()
	var user struct {
		Subject string `json:"sub"`
	}
	// fetch.New gives the client outside of tests.
	err := fetch.JSON(context.Background(), srv.Client(), srv.URL, nil, &user)
	fmt.Println(user.Subject, err)
	// Output: ada <nil>
}
