// Package page is the look of the HTML pages that a server answers itself: to
// choose where to sign in, to move on after it, to say what went wrong, to see
// to one's account.
//
// The pages have no script and load nothing. Their one style sheet stands in
// them and is allowed by its hash.
package page

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

//go:embed page.html body.html style.css parts.css
var files embed.FS

var tmpl = template.Must(template.ParseFS(files, "page.html", "body.html"))

func mustRead(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// A Page is what a page says and where it leads. All of its texts may come
// from anywhere: they are shown as they are and never become markup. Its paths
// are another matter, see [Write].
type Page struct {
	Title string // the heading, in a few words
	Text  string // a sentence or two below it. A line break begins a paragraph
	// Status is a line in a box, which screen readers announce: who is
	// signed in, or what was just done.
	Status string
	// Refresh has the browser move on by itself, at once. A link does the
	// same for who has that turned off.
	Refresh string
	// Away has the browser leave for another site by itself, at once: an
	// https URL of ours to choose, such as a provider's logout.
	Away string
	// Buttons stand above Links, each in its order. The first button, or a
	// link that is alone, is shown as what one came for.
	Buttons []Button // POST forms
	Links   []Link
	Look    Look
}

// A Link leads to a path of our own.
type Link struct {
	Label string
	Path  string
	Quiet bool // for who changes their mind: no frame around it
}

// A Button sends a form to a path of our own by POST.
type Button struct {
	Label  string
	Action string
	Fields []Field // sent along, not shown
}

// A Field is a name and a value that a form sends.
type Field struct{ Name, Value string }

// Write answers with the page. A HEAD request gets the same headers and no body.
//
// Refresh, the paths of the links and the actions of the buttons must be own
// paths: they begin with one slash and name no other host however a browser
// reads them. What a request asked for has to be checked before it gets here;
// Write panics, with nothing sent, rather than lead elsewhere.
func Write(w http.ResponseWriter, r *http.Request, status int, p Page) {
	body, err := p.html()
	if err != nil {
		panic(err)
	}
	send(w, r, status, p.Look.narrow().policy, body)
}

// send answers with an HTML document under a content policy.
func send(w http.ResponseWriter, r *http.Request, status int, policy string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Del("Etag")
	h.Del("Last-Modified")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a caller who is gone needs no page
	}
}

// html is the whole document.
func (p Page) html() ([]byte, error) {
	var paths []string
	if p.Refresh != "" {
		paths = append(paths, p.Refresh)
	}
	for _, l := range p.Links {
		paths = append(paths, l.Path)
	}
	for _, b := range p.Buttons {
		paths = append(paths, b.Action)
	}
	if u, err := url.Parse(p.Away); p.Away != "" && (err != nil || u.Scheme != "https" || u.Host == "" || p.Refresh != "") {
		return nil, errors.New("page: where it leaves for is no https URL, or it moves on elsewhere too")
	}
	for _, path := range paths {
		if !own(path) {
			return nil, fmt.Errorf("page: %q is no path of our own", path)
		}
	}
	var buf bytes.Buffer
	err := tmpl.ExecuteTemplate(&buf, "page.html", view{Page: p, Style: p.Look.narrow().style, Paragraphs: paragraphs(p.Text), To: p.Refresh + p.Away, MoveOn: "0;url=" + asURL(p.Refresh+p.Away)})
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return buf.Bytes(), nil
}

// A view is what the template sees.
type view struct {
	Page
	Style      template.CSS
	Paragraphs []string
	To         string // where it moves on to by itself, "" for nowhere
	MoveOn     string // the same for meta refresh
}

// Alone tells whether a link is all that there is to choose.
func (v view) Alone() bool { return len(v.Links) == 1 && len(v.Buttons) == 0 && v.To == "" }

func paragraphs(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// own tells whether every browser takes path for one of our own origin. They
// read a backslash as a slash and leave tabs and line breaks out, so that
// "/\host" and "/\t/host" are another host to them.
func own(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return false
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && u.Opaque == ""
}

// asURL escapes what could end a URL where it stands in a text of its own.
func asURL(path string) string {
	return strings.NewReplacer(" ", "%20", `"`, "%22", "'", "%27", "<", "%3C", ">", "%3E", ";", "%3B").Replace(path)
}
