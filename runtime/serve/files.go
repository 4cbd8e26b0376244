package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/problem"
)

// types are the media types of what web pages are made of. The table of the
// machine is not asked: one server answers like the next.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8", ".json": "application/json", ".map": "application/json", ".txt": "text/plain; charset=utf-8",
	".webmanifest": "application/manifest+json", ".xml": "application/xml", ".wasm": "application/wasm", ".pdf": "application/pdf",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".avif": "image/avif", ".ico": "image/x-icon", ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
	".mp3": "audio/mpeg", ".mp4": "video/mp4", ".webm": "video/webm",
}

// pagePolicy is the content policy of HTML files: their own scripts, styles
// and pictures, as files, and nothing in line.
const pagePolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// files serve the regular files of a folder at their paths, and what is no
// file there to next. Which files there are is settled at the start, what is
// in them is not: an editor's save is seen at the next request.
type files struct {
	system fs.FS
	byPath map[string]file
	next   http.Handler
}

type file struct {
	name string // in the folder
	tag  string // of the content, where the folder keeps no times
}

// newFiles finds the files of system. Names that begin with a dot are left out
// but for .well-known: they are an editor's or a version control's. A file
// that is not regular, and one at a path that next has an operation for, is an
// error, since one of two would be hidden.
func newFiles(system fs.FS, next http.Handler) (*files, error) {
	f := &files{system: system, byPath: map[string]file{}, next: next}
	var errs []error
	err := fs.WalkDir(system, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".well-known":
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			errs = append(errs, fmt.Errorf("serve: %s is not a regular file: only those are served", name))
			return nil
		}
		tag, err := tagOf(system, name, entry)
		if err != nil {
			return err
		}
		f.byPath["/"+name] = file{name, tag}
		return nil
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("serve: files: %w", err))
	}
	if index, ok := f.byPath["/index.html"]; ok {
		f.byPath["/"] = index
	}
	// The handler says itself which paths are the API's, if it can.
	if api, ok := next.(interface{ Answers(path string) bool }); ok {
		for at, file := range f.byPath {
			if api.Answers((&url.URL{Path: at}).EscapedPath()) {
				errs = append(errs, fmt.Errorf("serve: file %s would hide the operation at %s: rename it or leave it out", file.name, at))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return f, nil
}

// tagOf is the entity tag of a file whose folder keeps no times, as those in a
// program do, and "" for others.
func tagOf(system fs.FS, name string, entry fs.DirEntry) (string, error) {
	info, err := entry.Info()
	if err != nil || !info.ModTime().IsZero() {
		return "", err
	}
	in, err := system.Open(name)
	if err != nil {
		return "", err
	}
	defer in.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, in); err != nil {
		return "", err
	}
	return `"` + hex.EncodeToString(hash.Sum(nil)[:16]) + `"`, nil
}

// ServeHTTP serves the file at the path, if there is one.
func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := f.byPath[r.URL.Path]
	// A slash that is sent encoded is no folder's, as in the API's paths.
	if !ok || strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
		f.next.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		problem.Write(w, r, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take the method."))
		return
	}
	content, info, err := f.open(found.name)
	if err != nil {
		// It was there at the start.
		slog.WarnContext(r.Context(), "file not served", slog.String("file", found.name), slog.String("cause", err.Error()))
		problem.Write(w, r, problem.New(http.StatusNotFound, "not_found", "There is nothing at this path."))
		return
	}
	defer content.Close()
	tag := found.tag
	if tag == "" {
		tag = `"` + strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36) + `"`
	}
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache") // kept, and asked for again each time
	kind, known := types[strings.ToLower(path.Ext(found.name))]
	if !known {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	if strings.HasPrefix(kind, "text/html") {
		h.Set("Content-Security-Policy", pagePolicy)
	}
	http.ServeContent(w, r, found.name, time.Time{}, content)
}

// open opens a regular file to be read from any place in it.
func (f *files) open(name string) (io.ReadSeekCloser, fs.FileInfo, error) {
	in, err := f.system.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no regular file any more")
	}
	if err != nil {
		_ = in.Close()
		return nil, nil, err
	}
	if seeker, ok := in.(io.ReadSeekCloser); ok {
		return seeker, info, nil
	}
	defer in.Close()
	all, err := io.ReadAll(in)
	return struct {
		*bytes.Reader
		io.Closer
	}{bytes.NewReader(all), io.NopCloser(nil)}, info, err
}
