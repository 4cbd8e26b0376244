package session

import (
	"net/http"
	"strings"
)

const (
	// maxCookie is the largest cookie, name=value, that browsers keep.
	maxCookie = 4096
	// maxPresented is how many cookies of one name are ended at a login or
	// logout. A browser sends one; more come from who planted them.
	maxPresented = 8
)

// fits tells whether a cookie of that value is one that browsers keep.
func (s *Sessions) fits(value string) bool {
	return len(s.cfg.Cookie)+len("=")+len(value) <= maxCookie
}

// set puts value into the browser. The cookie has no Expires: a browser that
// is closed forgets it, or brings it back with its windows; what counts are
// the limits that we keep. Nothing may have been written to w.
func (s *Sessions) set(w http.ResponseWriter, value string) {
	s.write(w, &http.Cookie{Name: s.cfg.Cookie, Value: value})
}

// clear takes the cookie out of the browser. Nothing may have been written to w.
func (s *Sessions) clear(w http.ResponseWriter) {
	s.write(w, &http.Cookie{Name: s.cfg.Cookie, MaxAge: -1})
}

// write sets a cookie in place of one of its name that the answer sets already:
// of two, which counts is the browser's to choose (RFC 6265, section 4.1.1).
func (s *Sessions) write(w http.ResponseWriter, c *http.Cookie) {
	c.Path, c.Secure, c.HttpOnly, c.SameSite = "/", true, true, http.SameSiteStrictMode
	h := w.Header()
	var lines []string
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, c.Name+"=") {
			lines = append(lines, line)
		}
	}
	h["Set-Cookie"] = append(lines, c.String())
	// A cache that kept the line would hand it to others.
	h.Set("Cache-Control", "no-store")
}

// presented are the values of the session cookies of r, of several too.
func (s *Sessions) presented(r *http.Request) []string {
	var values []string
	for _, c := range r.CookiesNamed(s.cfg.Cookie) {
		if len(values) < maxPresented {
			values = append(values, c.Value)
		}
	}
	return values
}
