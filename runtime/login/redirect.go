package login

import (
	"net/http"
	"slices"
	"strings"
)

// navigates tells whether a browser asks for a page to show: nothing that a
// script, an image or a form of data asks for is.
func navigates(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// fromBrowser tells whether a browser made the request.
func fromBrowser(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Mode") != "" }

// A redirector makes a 401 that asks for a session, among others, fit for a
// browser.
type redirector struct {
	http.ResponseWriter
	to        string      // the way to the login. Empty: the 401 stays one
	helps     func() bool // whether a login can help; asked where to is set
	discarded bool        // the body of the 401 goes nowhere
}

// WriteHeader implements http.ResponseWriter.
func (w *redirector) WriteHeader(status int) {
	h := w.Header()
	session := status == http.StatusUnauthorized && slices.Contains(h["Www-Authenticate"], "Cookie")
	switch {
	case session && (w.to == "" || !w.helps()):
		// A browser that is asked for Basic opens a window of its own for a
		// password and holds back the answer until somebody closes it, also
		// for a script, which would have known what to do with the answer.
		h["Www-Authenticate"] = slices.DeleteFunc(slices.Clone(h["Www-Authenticate"]), func(challenge string) bool {
			name, _, _ := strings.Cut(challenge, " ")
			return strings.EqualFold(name, "Basic")
		})
	case session:
		w.discarded = true
		for _, name := range []string{"Content-Type", "Content-Length", "Www-Authenticate"} {
			h.Del(name)
		}
		h.Set("Location", w.to)
		status = http.StatusSeeOther
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *redirector) Write(b []byte) (int, error) {
	if w.discarded {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap gives http.ResponseController the rest.
func (w *redirector) Unwrap() http.ResponseWriter { return w.ResponseWriter }
