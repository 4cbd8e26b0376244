package login

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/problem"
)

// routes is the handler of all that lies under the prefix.
func (l *Login) routes() http.Handler {
	type methods map[string]http.HandlerFunc
	exact := map[string]methods{
		"login":    {http.MethodGet: l.start},
		"finish":   {http.MethodGet: l.finish},
		"logout":   {http.MethodGet: l.signedOut, http.MethodPost: l.logout},
		"session":  {http.MethodGet: l.showSession},
		"sessions": {http.MethodGet: l.listSessions},
	}
	below := map[string]methods{
		"callback":           {http.MethodGet: l.callback},
		"backchannel-logout": {http.MethodPost: l.backChannel},
		"sessions":           {http.MethodDelete: l.endSession},
	}
	return l.cfg.Sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first, rest, deeper := strings.Cut(strings.TrimPrefix(r.URL.Path, l.prefix+"/"), "/")
		found := exact[first]
		if deeper {
			found = below[first]
			if rest == "" || strings.Contains(rest, "/") {
				found = nil
			}
			r.SetPathValue("name", rest)
		}
		if found == nil {
			problem.Write(w, r, problem.New(http.StatusNotFound, "not_found", "There is nothing at this path."))
			return
		}
		handle, ok := found[r.Method]
		if !ok {
			var allow []string
			for _, m := range []string{http.MethodDelete, http.MethodGet, http.MethodPost} {
				if found[m] != nil {
					allow = append(allow, m)
				}
			}
			w.Header().Set("Allow", strings.Join(allow, ", "))
			problem.Write(w, r, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take the method."))
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		handle(w, r)
	}))
}

// query reads the parameters of a request. It is false where one is given
// twice or cannot be read: of two values no one knows which counts.
func query(raw string) (url.Values, bool) {
	if strings.Contains(raw, ";") {
		return nil, false
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, false
	}
	for _, v := range values {
		if len(v) > 1 {
			return nil, false
		}
	}
	return values, true
}

// maxForm is the largest form that is read, in bytes.
const maxForm = 64 << 10

// form reads the body of a request as a form, under the same rules as query.
// Nothing else is taken for one: a script of another site can send a text, not
// this type of it without asking first, and never with our cookie.
func form(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || t != "application/x-www-form-urlencoded" {
		return nil, false
	}
	raw, err := readAll(w, r)
	if err != nil {
		return nil, false
	}
	return query(raw)
}

// tell answers with a page that says what went wrong and how to begin again.
func (l *Login) tell(w http.ResponseWriter, r *http.Request, status int, title, text string, links ...page.Link) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	page.Write(w, r, status, page.Page{Title: title, Text: text, Links: links})
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
