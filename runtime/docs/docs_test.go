package docs_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/docs"
	look "github.com/gatewright/gatewright/runtime/page"
)

// An api answers at some paths, and says so.
type api map[string]bool

func (a api) Answers(path string) bool { return a[path] }
func (a api) Patterns() []string       { return []string{"GET /x"} }
func (a api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "next "+r.URL.Path)
}

func serve(t *testing.T, cfg docs.Config) http.Handler {
	t.Helper()
	d, err := docs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h, err := d.Handler(api{"/x": true})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const small = `{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{}}`

func TestHandler(t *testing.T) {
	h := serve(t, docs.Config{Title: "T", Document: []byte(small)})
	for _, c := range []struct {
		method, path string
		status       int
		kind, cache  string
	}{
		{"GET", "/docs", 200, "text/html; charset=utf-8", "no-store"},
		{"HEAD", "/docs", 200, "text/html; charset=utf-8", "no-store"},
		{"POST", "/docs", 405, "application/problem+json", ""},
		{"GET", "/docs/", 404, "application/problem+json", ""},
		{"GET", "/docs/oauth2-redirect.html", 404, "application/problem+json", ""},
		{"GET", "/docs/docs.js", 200, "text/javascript; charset=utf-8", "no-cache"},
		{"GET", "/docs/docs.js?v=other", 200, "text/javascript; charset=utf-8", "no-cache"},
		{"GET", "/docs/docs%2ejs", 404, "application/problem+json", ""},
		{"DELETE", "/docs/docs.css", 405, "application/problem+json", ""},
		{"GET", "/docs/docs.css", 200, "text/css; charset=utf-8", "no-cache"},
		{"GET", "/docs/swagger-ui.css", 200, "text/css; charset=utf-8", "no-cache"},
		{"GET", "/docs/swagger-ui-bundle.js", 200, "text/javascript; charset=utf-8", "no-cache"},
		{"GET", "/openapi.json", 200, "application/json", "no-cache"},
		{"PUT", "/openapi.json", 405, "application/problem+json", ""},
		{"GET", "/docs2", 200, "text/plain; charset=utf-8", ""},
		{"POST", "/x", 200, "text/plain; charset=utf-8", ""},
	} {
		w := ask(h, c.method, c.path)
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || c.cache != "" && w.Header().Get("Cache-Control") != c.cache {
			t.Errorf("%s %s = %d %v, want %d %s %s", c.method, c.path, w.Code, w.Header(), c.status, c.kind, c.cache)
		}
		if c.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", c.method, c.path, w.Header().Get("Allow"))
		}
		if c.method == "HEAD" && w.Body.Len() > 0 {
			t.Errorf("HEAD %s has a body", c.path)
		}
		own := !strings.HasPrefix(w.Body.String(), "next ")
		if want := c.path != "/docs2" && c.path != "/x"; own != want {
			t.Errorf("%s %s is answered here: %v, want %v", c.method, c.path, own, want)
		}
	}
	if got := ask(h, "GET", "/openapi.json").Body.String(); got != small {
		t.Errorf("/openapi.json = %s", got)
	}
}

// What the page may do. Each directive is one that a browser enforces.
func TestPolicy(t *testing.T) {
	h := serve(t, docs.Config{Title: "T", Document: []byte(small)})
	const want = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	for _, path := range []string{"/docs", "/openapi.json", "/docs/docs.js"} {
		w := ask(h, "GET", path)
		if got := w.Header().Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: policy %q, want %q", path, got, want)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
	page := ask(h, "GET", "/docs").Body.String()
	for _, inline := range []string{`<script>`, `<style`, ` style=`, ` onclick=`, `javascript:`, `http:`, `https:`} {
		if strings.Contains(page, inline) {
			t.Errorf("the page has %q", inline)
		}
	}
}

// What the page names may be kept for ever, changes its name when it changes,
// and is packed for who reads that.
func TestCache(t *testing.T) {
	h := serve(t, docs.Config{Title: "T", Document: []byte(small)})
	other := serve(t, docs.Config{Title: "T", Document: []byte(strings.Replace(small, "T", "U", 1))})
	page := ask(h, "GET", "/docs").Body.String()
	var named []string
	for _, m := range regexp.MustCompile(`(?:href|src|data-document)="(/[^"]*\?v=[0-9a-f]+)"`).FindAllStringSubmatch(page, -1) {
		named = append(named, m[1])
	}
	if len(named) != 5 {
		t.Fatalf("the page names %q, want five files", named)
	}
	for _, path := range named {
		w := ask(h, "GET", path)
		if got := w.Header().Get("Cache-Control"); w.Code != 200 || got != "public, max-age=31536000, immutable" {
			t.Errorf("GET %s = %d, Cache-Control %q", path, w.Code, got)
		}
		tag := w.Header().Get("Etag")
		if again := ask(h, "GET", path, "If-None-Match", tag); tag == "" || again.Code != 304 || again.Body.Len() > 0 {
			t.Errorf("GET %s with %s = %d", path, tag, again.Code)
		}
		if w.Body.Len() <= 1024 {
			continue
		}
		packed := ask(h, "GET", path, "Accept-Encoding", "br, gzip;q=0.8")
		r, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatalf("GET %s: %v %v", path, err, packed.Header())
		}
		text, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(text, w.Body.Bytes()) || packed.Header().Get("Etag") == tag || packed.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("GET %s packed: %v, %d bytes of %d, %v", path, err, len(text), w.Body.Len(), packed.Header())
		}
		if not := ask(h, "GET", path, "Accept-Encoding", "gzip;q=0"); not.Header().Get("Content-Encoding") != "" {
			t.Errorf("GET %s is packed for who does not read that", path)
		}
	}
	if otherPage := ask(other, "GET", "/docs").Body.String(); otherPage == page {
		t.Error("another document has the same address")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  docs.Config
		want string
	}{
		{"no document", docs.Config{}, "no JSON object"},
		{"a list", docs.Config{Document: []byte("[]")}, "no JSON object"},
		{"prefix", docs.Config{Document: []byte(small), KeyPrefix: "g.*"}, "no prefix of keys"},
		{"login elsewhere", docs.Config{Document: []byte(small), Login: "https://evil.example/"}, "no path of our own"},
		{"account elsewhere", docs.Config{Document: []byte(small), Account: "//evil.example"}, "no path of our own"},
		{"base", docs.Config{Document: []byte(small), BasePath: "v1"}, "no path of our own"},
	} {
		if _, err := docs.New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: New = %v, want %q", c.name, err, c.want)
		}
	}
	d, err := docs.New(docs.Config{Document: []byte(small)})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/docs", "/openapi.json", "/docs/docs.js"} {
		if _, err := d.Handler(api{path: true}); err == nil || !strings.Contains(err.Error(), "operation at "+path+": set docs: false") {
			t.Errorf("Handler of an API that answers at %s = %v", path, err)
		}
	}
	if _, err := d.Handler(nil); err == nil {
		t.Error("Handler(nil) = nil")
	}
}

// TestBehind: what asks for routes is answered as before.
func TestBehind(t *testing.T) {
	h := serve(t, docs.Config{Document: []byte(small)})
	for path, want := range map[string]bool{"/docs": true, "/docs/any": true, "/openapi.json": true, "/x": true, "/y": false, "/docsx": false} {
		if got := h.(interface{ Answers(string) bool }).Answers(path); got != want {
			t.Errorf("Answers(%q) = %v, want %v", path, got, want)
		}
	}
	if got := h.(interface{ Patterns() []string }).Patterns(); len(got) != 1 {
		t.Errorf("Patterns() = %v", got)
	}
}

// Text of the configuration becomes no markup.
func TestHostile(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	page := ask(serve(t, docs.Config{Title: evil, Document: []byte(small), Login: "/a'\"><b>", Look: look.Look{Name: evil}}), "GET", "/docs").Body.String()
	if strings.Contains(page, "<script>") || strings.Contains(page, "<b>") {
		t.Errorf("the page has markup of its own:\n%s", page)
	}
	without := ask(serve(t, docs.Config{Document: []byte(small)}), "GET", "/docs").Body.String()
	if strings.Contains(without, "sign-in") || strings.Contains(without, `id="account"`) {
		t.Error("a page without a login offers one")
	}
}
