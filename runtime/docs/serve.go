package docs

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/problem"
)

// A handler is what Handler returns.
type handler struct {
	docs *Docs
	next http.Handler
}

// Answers tells whether the reference or what is behind it answers at path.
func (h handler) Answers(path string) bool {
	if h.docs.owns(path) {
		return true
	}
	a, ok := h.next.(interface{ Answers(path string) bool })
	return ok && a.Answers(path)
}

// Patterns lists the routes of what is behind, where it does.
func (h handler) Patterns() []string {
	if p, ok := h.next.(interface{ Patterns() []string }); ok {
		return p.Patterns()
	}
	return nil
}

// owns tells whether path, as url.URL.EscapedPath gives it, is answered here.
func (d *Docs) owns(path string) bool {
	return path == Path || path == DocumentPath || strings.HasPrefix(path, Path+"/")
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if !h.docs.owns(path) {
		h.next.ServeHTTP(w, r)
		return
	}
	f := h.docs.files[path]
	switch {
	case f == nil:
		problem.Write(w, r, problem.New(http.StatusNotFound, "not_found", "There is nothing at this path."))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		problem.Write(w, r, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take the method."))
	default:
		f.serve(w, r)
	}
}

// serve answers with the file. One that is asked for by its version may be kept
// for ever, since another has another.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", policy)
	switch {
	case f.page:
		h.Set("Cache-Control", "no-store")
	case r.URL.Query().Get("v") == f.version:
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	default:
		h.Set("Cache-Control", "no-cache") // kept, and asked for again each time
	}
	text, tag := f.text, `"`+f.version+`"`
	if f.packed != nil {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			text, tag = f.packed, `"`+f.version+`-gzip"`
		}
	}
	if !f.page {
		h.Set("Etag", tag)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// takesGzip tells whether a browser says that it reads gzip.
func takesGzip(headers []string) bool {
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			weight = strings.TrimSpace(weight)
			return weight != "q=0" && !strings.HasPrefix(weight, "q=0.0")
		}
	}
	return false
}
