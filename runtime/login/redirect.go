package login

import (
	"net/http"
	"slices"
)

// navigates tells whether a browser asks for a page to show: nothing that a
// script, an image or a form of data asks for is.
func navigates(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// A redirector turns a 401 that asks for a session into the way to the login.
type redirector struct {
	http.ResponseWriter
	to        string
	discarded bool // the body of the 401 goes nowhere
}

// WriteHeader implements http.ResponseWriter.
func (w *redirector) WriteHeader(status int) {
	h := w.Header()
	if status == http.StatusUnauthorized && slices.Contains(h["Www-Authenticate"], "Cookie") {
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
