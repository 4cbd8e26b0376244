package serve

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/secret"
)

// api answers every path with 404 and its own name, and says that it answers
// some.
type api []string

func (a api) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.Error(w, "the API", 404) }

func (a api) Answers(path string) bool {
	for _, p := range a {
		if p == path {
			return true
		}
	}
	return false
}

var front = fstest.MapFS{
	"index.html":               {Data: []byte("<!doctype html>home")},
	"app.js":                   {Data: []byte("let a")},
	"a b/ä.css":                {Data: []byte("p{}")},
	"logo.svg":                 {Data: []byte("<svg/>")},
	"data.bin2":                {Data: []byte("0123456789")},
	"PAGE.HTML":                {Data: []byte("loud")},
	"sub/index.html":           {Data: []byte("sub")},
	".env":                     {Data: []byte("private")},
	".git/config":              {Data: []byte("private")},
	"sub/.htaccess":            {Data: []byte("private")},
	".well-known/security.txt": {Data: []byte("mail us")},
}

func TestFiles(t *testing.T) {
	s := start(t, api{"/posts"}, func(c *config.Config) { c.Files = front })
	const closed = "default-src 'none'; frame-ancestors 'none'"
	for _, c := range []struct {
		method, path string
		status       int
		body         string
		kind         string
		policy       string
	}{
		{"GET", "/", 200, "<!doctype html>home", "text/html; charset=utf-8", pagePolicy},
		{"GET", "/index.html", 200, "<!doctype html>home", "text/html; charset=utf-8", pagePolicy},
		{"HEAD", "/", 200, "", "text/html; charset=utf-8", pagePolicy},
		{"GET", "/?code=a", 200, "<!doctype html>home", "text/html; charset=utf-8", pagePolicy},
		{"GET", "/app.js", 200, "let a", "text/javascript; charset=utf-8", closed},
		{"GET", "/a%20b/%C3%A4.css", 200, "p{}", "text/css; charset=utf-8", closed},
		{"GET", "/logo.svg", 200, "<svg/>", "image/svg+xml", closed},
		{"GET", "/data.bin2", 200, "0123456789", "application/octet-stream", closed},
		{"GET", "/PAGE.HTML", 200, "loud", "text/html; charset=utf-8", pagePolicy},
		{"GET", "/.well-known/security.txt", 200, "mail us", "text/plain; charset=utf-8", closed},
		{"GET", "/sub/index.html", 200, "sub", "text/html; charset=utf-8", pagePolicy},
		{"GET", "/sub", 404, "the API\n", "", ""},
		{"GET", "/sub/", 404, "the API\n", "", ""},
		{"GET", "/a%20b", 404, "the API\n", "", ""},
		{"GET", "/sub%2Findex.html", 404, "the API\n", "", ""},
		{"GET", "/sub%2findex.html", 404, "the API\n", "", ""},
		{"GET", "//app.js", 404, "the API\n", "", ""},
		{"GET", "/sub/../app.js", 404, "the API\n", "", ""},
		{"GET", "/./app.js", 404, "the API\n", "", ""},
		{"GET", "/APP.JS", 404, "the API\n", "", ""},
		{"GET", "/.env", 404, "the API\n", "", ""},
		{"GET", "/.git/config", 404, "the API\n", "", ""},
		{"GET", "/sub/.htaccess", 404, "the API\n", "", ""},
		{"GET", "/posts", 404, "the API\n", "", ""},
		{"POST", "/app.js", 405, "", "application/problem+json", closed},
		{"OPTIONS", "/", 405, "", "application/problem+json", closed},
		{"POST", "/posts", 404, "the API\n", "", ""},
	} {
		r, err := http.NewRequest(c.method, "https://blog.example"+c.path, nil)
		check(t, err)
		w, body := answer(t)(s.client.Do(r))
		if w.StatusCode != c.status || body != c.body && c.status != 405 {
			t.Errorf("%s %s = %d %q, want %d %q", c.method, c.path, w.StatusCode, body, c.status, c.body)
		}
		if c.kind == "" {
			continue
		}
		h := w.Header
		if h.Get("Content-Type") != c.kind || h.Get("Content-Security-Policy") != c.policy || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: Content-Type %q, policy %q, nosniff %q", c.method, c.path, h.Get("Content-Type"), h.Get("Content-Security-Policy"), h.Get("X-Content-Type-Options"))
		}
		if c.status == 200 && (h.Get("Cache-Control") != "no-cache" || h.Get("ETag") == "" || h.Get("Strict-Transport-Security") == "") {
			t.Errorf("%s %s: header %v", c.method, c.path, h)
		}
		if c.status == 405 && h.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", c.method, c.path, h.Get("Allow"))
		}
	}
}

func TestFilesAreKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.js")
	for name, system := range map[string]fs.FS{"without times": front, "with times": os.DirFS(dir)} {
		check(t, os.WriteFile(path, []byte("let a"), 0o600))
		f, err := newFiles(system, api(nil))
		check(t, err)
		get := func(tag string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", "/app.js", nil)
			if tag != "" {
				r.Header.Set("If-None-Match", tag)
			}
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			return w
		}
		tag := get("").Header().Get("ETag")
		if w := get(tag); tag == "" || w.Code != 304 || w.Body.Len() > 0 {
			t.Errorf("%s: with the tag %q = %d %q, want 304", name, tag, w.Code, w.Body)
		}
		if w := get(`"other"`); w.Code != 200 {
			t.Errorf("%s: with another tag = %d, want 200", name, w.Code)
		}
		if name != "with times" {
			continue
		}
		check(t, os.WriteFile(path, []byte("let b"), 0o600))
		check(t, os.Chtimes(path, time.Now(), time.Now().Add(time.Millisecond)))
		if w := get(tag); w.Code != 200 || w.Body.String() != "let b" {
			t.Errorf("%s: after a change = %d %q, want the new content", name, w.Code, w.Body)
		}
		// What becomes of a file is looked at when it is served.
		check(t, os.Remove(path))
		if w := get(""); w.Code != 404 || !strings.Contains(w.Body.String(), "not_found") {
			t.Errorf("%s: of a file that is gone = %d %q, want 404", name, w.Code, w.Body)
		}
		check(t, os.Mkdir(path, 0o700))
		if w := get(""); w.Code != 404 {
			t.Errorf("%s: of a folder in its place = %d %q, want 404", name, w.Code, w.Body)
		}
		check(t, os.Remove(path))
	}
}

// A file that is read once, as from an archive, can be asked for in parts too.
func TestFilesInParts(t *testing.T) {
	f, err := newFiles(onceFS{front}, api(nil))
	check(t, err)
	r := httptest.NewRequest("GET", "/data.bin2", nil)
	r.Header.Set("Range", "bytes=2-4")
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if w.Code != 206 || w.Body.String() != "234" {
		t.Errorf("bytes 2 to 4 = %d %q, want 206 %q", w.Code, w.Body, "234")
	}
}

// onceFS opens files that cannot seek.
type onceFS struct{ fs.FS }

func (o onceFS) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return f, nil
	}
	return struct{ fs.File }{f}, nil
}

func TestFilesRefuses(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "real.txt"), []byte("x"), 0o600))
	check(t, os.Symlink("/etc/passwd", filepath.Join(dir, "passwd.txt")))
	certFile, keyFile, _ := certificate(t)
	for name, c := range map[string]struct {
		system  fs.FS
		handler http.Handler
		want    []string
	}{
		"operations": {front, api{"/app.js", "/a%20b/%C3%A4.css", "/posts"}, []string{
			"serve: file app.js would hide the operation at /app.js", "serve: file a b/ä.css would hide the operation at /a b/ä.css",
		}},
		"the first page":  {front, api{"/"}, []string{"serve: file index.html would hide the operation at /"}},
		"symbolic link":   {os.DirFS(dir), api(nil), []string{"serve: passwd.txt is not a regular file"}},
		"no such folder":  {os.DirFS(filepath.Join(dir, "absent")), api(nil), []string{"serve: files: "}},
		"a file as files": {os.DirFS(filepath.Join(dir, "real.txt")), api(nil), []string{"serve: "}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // a server that does start stops at once
			err := Run(ctx, config.Config{
				PublicURL: "https://blog.example", Listen: "127.0.0.1:0", TLS: config.TLS{Cert: []string{certFile}, Key: []string{keyFile}},
				Secrets: []secret.Value{secret.Random(32)}, Files: c.system,
			}, App{Handler: c.handler})
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Run = %v, want an error with %q", err, want)
				}
			}
		})
	}
}
