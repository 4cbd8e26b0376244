package problem

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// document is the body (RFC 9457, section 3).
type document struct {
	Type   string      `json:"type"`
	Title  string      `json:"title"`
	Status int         `json:"status"`
	Detail string      `json:"detail,omitzero"`
	Code   string      `json:"code"`
	Errors []Violation `json:"errors,omitempty"`
}

// Write answers r with err: an [Error], which may be wrapped, as it says,
// anything else as 500 with code "internal". The cause goes to slog's default
// logger, with the method, the path without its query and the code. A HEAD
// gets no body. The connection is closed as by [CloseIfBody].
func Write(w http.ResponseWriter, r *http.Request, err error) {
	e := answer(err)
	note(r, e)
	h := w.Header()
	// What was meant for the answer that is not given.
	h.Del("Content-Encoding")
	h.Del("Etag")
	h.Del("Last-Modified")
	for name, values := range e.Header {
		h[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	body := encode(e)
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	CloseIfBody(w, r)
	w.WriteHeader(e.Status)
	if r.Method != http.MethodHead {
		// A client that has gone is nobody to tell.
		_, _ = w.Write(body)
	}
}

// CloseIfBody has the connection closed after the answer where r has a body
// that nobody read, so that the body is neither read nor taken for the next
// request. Who has read a body to its end says so with r.Body = http.NoBody.
// It does nothing in HTTP/2, where a body ends with its stream.
func CloseIfBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 && r.Body != nil && r.Body != http.NoBody {
		w.Header().Set("Connection", "close")
	}
}

// answer is the Error in err, complete, or that of an internal failure.
func answer(err error) Error {
	var found *Error
	is := errors.As(err, &found)
	if is && found == nil {
		err = errors.New("problem: a nil *Error")
	}
	if !is || found == nil || found.Status < 400 || found.Status > 599 {
		return Error{
			Status: http.StatusInternalServerError,
			Code:   "internal",
			Title:  "The server failed to answer this request.",
			Cause:  err,
		}
	}
	e := *found
	if e.Title == "" {
		e.Title = http.StatusText(e.Status)
	}
	return e
}

func encode(e Error) []byte {
	doc := document{Type: "about:blank", Title: e.Title, Status: e.Status, Detail: e.Detail, Code: e.Code, Errors: e.Errors}
	// A detail may quote what a client sent: bytes that are not UTF-8 are replaced.
	body, err := json.Marshal(doc, jsontext.AllowInvalidUTF8(true), jsontext.EscapeForHTML(true))
	if err != nil {
		return []byte(`{"type":"about:blank"}`)
	}
	return append(body, '\n')
}

// note logs what the client is not told. Headers and the query are left out:
// they may hold credentials.
func note(r *http.Request, e Error) {
	level := slog.LevelDebug
	switch {
	case e.Status >= 500:
		level = slog.LevelError
	case e.Cause != nil, len(e.Attrs) > 0:
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method),
		slog.String("path", r.URL.EscapedPath()),
		slog.Int("status", e.Status),
		slog.String("code", e.Code),
	}
	attrs = append(attrs, e.Attrs...)
	if e.Cause != nil {
		attrs = append(attrs, slog.String("cause", e.Cause.Error()))
	}
	slog.LogAttrs(r.Context(), level, "request refused", attrs...)
}
