package login

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/origin"
	"github.com/gatewright/gatewright/runtime/problem"
)

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

// readAll reads a body of at most maxForm bytes.
func readAll(w http.ResponseWriter, r *http.Request) (string, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return "", err
	}
	r.Body = http.NoBody
	return string(b), nil
}

// proven answers 403 unless the request comes from a page of ours.
func (l *Login) proven(w http.ResponseWriter, r *http.Request) bool {
	if origin.Proven(r, l.cfg.PublicURL) {
		return true
	}
	l.note(r, "request of another site refused", "path", r.URL.Path)
	problem.Write(w, r, problem.New(http.StatusForbidden, "origin_missing", "The request does not show that it comes from this site."))
	return false
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	problem.CloseIfBody(w, r)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that has gone is nobody to tell
}

// unavailable is a cause with the answer that it makes: a provider is silent.
func unavailable(cause error) error {
	return silence("provider_unavailable", "The identity provider does not answer at the moment.", cause)
}

// storeSilent is the same for our own store.
func storeSilent(cause error) error {
	return silence("store_unavailable", "The server cannot look this up at the moment.", cause)
}

func silence(code, title string, cause error) error {
	return &problem.Error{
		Status: http.StatusServiceUnavailable, Code: code, Title: title,
		Header: http.Header{"Retry-After": {"5"}}, Cause: fmt.Errorf("login: %w", cause),
	}
}

// note writes a line of the audit log with names and values in turn.
func (l *Login) note(r *http.Request, event string, pairs ...string) {
	audit.Log(context.WithoutCancel(r.Context()), l.cfg.Logger, event, attrs(pairs...)...)
}

// attrs makes attributes of names and values in turn; what is empty is left out.
func attrs(pairs ...string) []slog.Attr {
	var out []slog.Attr
	for pair := range slices.Chunk(pairs, 2) {
		if len(pair) == 2 && pair[1] != "" {
			out = append(out, slog.String(pair[0], pair[1]))
		}
	}
	return out
}

// printable is a word that came from outside, fit for a log: at most 64
// characters of those that OAuth's error codes have.
func printable(word string) string {
	word = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, word)
	if len(word) > 64 {
		word = word[:64] + "…"
	}
	return strconv.Quote(word)
}
