package login

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/problem"
)

// An endpoint is what answers at one path, by method.
type endpoint map[string]http.HandlerFunc

// endpoint returns what answers at a path as it was sent, and what its last
// segment names; nil where that is not ours.
func (l *Login) endpoint(path string) (e endpoint, name string) {
	rest, ok := strings.CutPrefix(path, l.prefix+"/")
	if !ok {
		return nil, ""
	}
	first, name, below := strings.Cut(rest, "/")
	if !below {
		return l.exact[first], ""
	}
	if name == "" || strings.Contains(name, "/") {
		return nil, ""
	}
	return l.below[first], name
}

// route fills in the endpoints.
func (l *Login) route() {
	l.exact = map[string]endpoint{
		"login":    {http.MethodGet: l.start},
		"finish":   {http.MethodGet: l.finish},
		"logout":   {http.MethodGet: l.signedOut, http.MethodPost: l.logout},
		"session":  {http.MethodGet: l.showSession},
		"sessions": {http.MethodGet: l.listSessions},
	}
	l.below = map[string]endpoint{
		"callback":           {http.MethodGet: l.callback},
		"backchannel-logout": {http.MethodPost: l.backChannel},
		"sessions":           {http.MethodDelete: l.endSession},
	}
}

// answer answers r, or says which methods the path takes.
func (e endpoint) answer(w http.ResponseWriter, r *http.Request) {
	handle, ok := e[r.Method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(e)), ", "))
		problem.Write(w, r, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take the method."))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	handle(w, r)
}

// page answers with a page that looks as all of them do.
func (l *Login) page(w http.ResponseWriter, r *http.Request, status int, p page.Page) {
	p.Look = l.cfg.Look
	page.Write(w, r, status, p)
}

// tell answers with a page that says what went wrong and how to begin again.
func (l *Login) tell(w http.ResponseWriter, r *http.Request, status int, title, text string, links ...page.Link) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	l.page(w, r, status, page.Page{Title: title, Text: text, Links: links})
}

// again is the link that begins a login anew.
func (l *Login) again(name, returnTo string) page.Link {
	q := url.Values{}
	if name != "" {
		q.Set("provider", name)
	}
	if returnTo != "" && returnTo != "/" {
		q.Set("return_to", returnTo)
	}
	return page.Link{Label: "Sign in again", Path: l.path("login", q)}
}
