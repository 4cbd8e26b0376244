// Package docs shows an API's reference in the browser: swagger-ui with a login
// of the server's own, code samples at each operation, and a console that takes
// no key of the live environment.
//
// Nothing comes from another origin, and no script or style stands in the page.
package docs

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/swaggest/swgui/v5/static"

	"github.com/gatewright/gatewright/runtime/page"
)

//go:embed docs.html docs.css docs.js
var files embed.FS

// The paths that are answered here; assets lie below Path.
const (
	Path         = "/docs"
	DocumentPath = "/openapi.json"
)

// policy lets the page load scripts, styles and answers from its own origin,
// pictures that stand in the style sheets, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// A Config says what to show.
type Config struct {
	Title    string // of the API; shown where Look has no name
	Document []byte // the OpenAPI document as JSON, with x-codeSamples
	// BasePath is what the document's paths lie below on this server, such
	// as /v1; often empty.
	BasePath string
	// KeyPrefix is that of the server's API keys. Default gw.
	KeyPrefix string
	Login     string // path at which people sign in, such as /auth/login; "" where there is none
	Account   string // path of the account page; "" where there is none
	Look      page.Look
}

// Docs serves one API's reference. It may be used concurrently.
type Docs struct {
	files map[string]*file // by path
}

// New returns the reference that cfg describes. The error names everything
// that is wrong with it.
func New(cfg Config) (*Docs, error) {
	cfg.KeyPrefix = cmp.Or(cfg.KeyPrefix, "gw")
	var errs []error
	if v := jsontext.Value(cfg.Document); !v.IsValid() || v.Kind() != '{' {
		errs = append(errs, errors.New("docs: the document is no JSON object"))
	}
	if !prefixForm.MatchString(cfg.KeyPrefix) {
		errs = append(errs, fmt.Errorf("docs: %q is no prefix of keys", cfg.KeyPrefix))
	}
	for _, path := range []string{cfg.BasePath, cfg.Login, cfg.Account} {
		if u, err := url.Parse(path); path != "" && (err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\\\t\r\n")) {
			errs = append(errs, fmt.Errorf("docs: %q is no path of our own", path))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	d := &Docs{files: make(map[string]*file)}
	put := func(path string, f *file, err error) string {
		d.files[path] = f
		errs = append(errs, err)
		return path + "?v=" + f.version
	}
	add := func(path, kind string, text []byte, err error) string {
		return put(path, newFile(kind, text), err)
	}
	ui := func(name, kind string) string {
		f, err := uiFile(name, kind)
		return put(Path+"/"+name, f, err)
	}
	css, err := files.ReadFile("docs.css")
	style := add(Path+"/docs.css", "text/css; charset=utf-8", append([]byte(cfg.Look.Colours()), css...), err)
	js, err := files.ReadFile("docs.js")
	script := add(Path+"/docs.js", "text/javascript; charset=utf-8", js, err)
	uiStyle := ui("swagger-ui.css", "text/css; charset=utf-8")
	uiScript := ui("swagger-ui-bundle.js", "text/javascript; charset=utf-8")
	document := add(DocumentPath, "application/json", cfg.Document, nil)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	var html bytes.Buffer
	if err := tmpl.Execute(&html, view{
		Config: cfg, Document: document, Style: style, Script: script, UIStyle: uiStyle, UIScript: uiScript,
		Session: sessionPath(cfg.Login), Name: cmp.Or(cfg.Look.Name, cfg.Title, "API"),
	}); err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	d.files[Path] = newFile("text/html; charset=utf-8", html.Bytes())
	d.files[Path].page = true
	return d, nil
}

var (
	prefixForm = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)
	tmpl       = template.Must(template.ParseFS(files, "docs.html"))
)

// A view is what the template sees.
type view struct {
	Config
	Name                                       string
	Document, Style, Script, UIStyle, UIScript string
	Session                                    string // where one is told who one is
}

// sessionPath lies beside the login.
func sessionPath(login string) string {
	if i := strings.LastIndexByte(login, '/'); i >= 0 {
		return login[:i] + "/session"
	}
	return ""
}

// uiFile is a file of swagger-ui, which comes packed.
func uiFile(name, kind string) (*file, error) {
	packed, err := static.FS.ReadFile(name + ".gz")
	if err != nil {
		return &file{}, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return &file{}, err
	}
	text, err := io.ReadAll(r)
	return &file{kind: kind, text: text, packed: packed, version: version(text)}, err
}

// version is a digest of what a file holds.
func version(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// A file is one that is served, as it is and packed.
type file struct {
	kind         string
	text, packed []byte
	version      string // a digest of the text
	page         bool   // the page itself
}

func newFile(kind string, text []byte) *file {
	f := &file{kind: kind, text: text, version: version(text)}
	if len(text) > 1024 {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, err := w.Write(text)
		if errors.Join(err, w.Close()) == nil { // a buffer takes all
			f.packed = out.Bytes()
		}
	}
	return f
}

// Handler answers GET and HEAD at /docs, at the files below it, and at
// /openapi.json, to everybody, and has next answer at all other paths. It is an
// error if next answers at one of these, as far as it says so by a method
// Answers(path string) bool: an operation of the API would be hidden.
func (d *Docs) Handler(next http.Handler) (http.Handler, error) {
	if next == nil {
		return nil, errors.New("docs: there is no handler")
	}
	if api, ok := next.(interface{ Answers(path string) bool }); ok {
		var errs []error
		for path := range d.files {
			if (path == Path || path == DocumentPath) && api.Answers(path) {
				errs = append(errs, fmt.Errorf("docs: the document has an operation at %s: set docs: false", path))
			}
		}
		if len(errs) == 0 && api.Answers(Path+"/docs.js") {
			errs = append(errs, fmt.Errorf("docs: the document has an operation at %s/docs.js: set docs: false", Path))
		}
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
	}
	return handler{d, next}, nil
}
