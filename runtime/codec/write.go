package codec

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// UnknownResult is the error for a handler's result that the document does not
// have: none at all, a foreign type, or a status outside the range declared.
func UnknownResult(res any) error {
	if res == nil {
		return fmt.Errorf("codec: the handler returned neither a response nor an error")
	}
	return fmt.Errorf("codec: the handler returned a %T that the document does not have there, or with a status that it does not allow", res)
}

// WriteJSON answers with v as JSON. It is encoded in memory first: an error
// means that nothing was sent, and calls for a 500. Object members are in a
// fixed order. A mediaType that is a range is answered as application/json.
func WriteJSON(w http.ResponseWriter, r *http.Request, status int, mediaType string, v any) error {
	data, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("codec: encoding a response: %w", err)
	}
	return writeBytes(w, r, status, concrete(mediaType, "application/json"), data)
}

// WriteText answers with v as text, in UTF-8, which the Content-Type says: a
// string as it is, another scalar as its JSON without quotes, nil as the empty
// text. An error, as for an object, means that nothing was sent.
func WriteText(w http.ResponseWriter, r *http.Request, status int, mediaType string, v any) error {
	texts, err := scalars(v)
	if err != nil || len(texts) > 1 {
		return fmt.Errorf("codec: a %T cannot be answered as text", v)
	}
	mediaType = concrete(mediaType, "text/plain")
	if !strings.Contains(mediaType, ";") {
		mediaType += "; charset=utf-8"
	}
	return writeBytes(w, r, status, mediaType, []byte(strings.Join(texts, "")))
}

// WriteEmpty answers without a body. An error means that nothing was sent.
func WriteEmpty(w http.ResponseWriter, _ *http.Request, status int) error {
	if err := checkStatus(status); err != nil {
		return err
	}
	if allowsBody(status) {
		w.Header().Set("Content-Length", "0")
	}
	w.WriteHeader(status)
	return nil
}

// writeBytes answers with a body that is at hand.
func writeBytes(w http.ResponseWriter, r *http.Request, status int, contentType string, data []byte) error {
	if err := checkStatus(status); err != nil {
		return err
	}
	if !allowsBody(status) {
		return WriteEmpty(w, r, status)
	}
	setContentType(w, contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(data); err != nil {
		gone(r, err)
	}
	return nil
}

// WriteStream answers with what body holds and closes it if it is an
// [io.Closer]; nil is an empty body. Each piece is sent on as it is read. A
// body with a Len method, such as a *bytes.Reader, gives the answer its length.
// A mediaType that is a range is answered as the MediaType of a [Stream], else
// as application/octet-stream.
//
// An error means that nothing was sent: body is read once before the status
// line goes out (except that of text/event-stream, which may stay silent for
// long). When body fails later the connection is broken off, by a panic with
// [http.ErrAbortHandler], so that the client does not take part of an answer
// for all of it.
func WriteStream(w http.ResponseWriter, r *http.Request, status int, mediaType string, body io.Reader) error {
	if closer, ok := body.(io.Closer); ok {
		defer closer.Close()
	}
	if err := checkStatus(status); err != nil {
		return err
	}
	if body == nil {
		body = http.NoBody
	}
	if !allowsBody(status) {
		return WriteEmpty(w, r, status)
	}
	fallback := "application/octet-stream"
	if s, ok := body.(*Stream); ok && s.MediaType != "" {
		fallback = s.MediaType
	}
	mediaType = concrete(mediaType, fallback)
	if sized, ok := body.(interface{ Len() int }); ok {
		w.Header().Set("Content-Length", strconv.Itoa(sized.Len()))
	}
	if r.Method == http.MethodHead {
		setContentType(w, mediaType)
		w.WriteHeader(status)
		return nil
	}
	return copyStream(w, r, status, mediaType, body)
}

// copyStream sends the status line and body.
func copyStream(w http.ResponseWriter, r *http.Request, status int, mediaType string, body io.Reader) error {
	flusher := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	started := false
	start := func() {
		if !started {
			setContentType(w, mediaType)
			w.WriteHeader(status)
			started = true
		}
	}
	if strings.HasPrefix(mediaType, "text/event-stream") {
		start()
		_ = flusher.Flush()
	}
	for {
		n, err := body.Read(buf)
		if n == 0 && err != nil && err != io.EOF && !started {
			w.Header().Del("Content-Length")
			return fmt.Errorf("codec: reading a response: %w", err)
		}
		if n > 0 || err != nil {
			start()
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				gone(r, err)
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			slog.ErrorContext(r.Context(), "codec: reading a response that had begun", "error", err)
			panic(http.ErrAbortHandler)
		}
		_ = flusher.Flush() // not every ResponseWriter can
	}
}

// gone notes that an answer did not reach the client. There is nobody to tell.
func gone(r *http.Request, err error) {
	slog.DebugContext(r.Context(), "codec: writing a response", "error", err)
}

// setContentType sets the media type, and that browsers must not guess another.
func setContentType(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// concrete returns mediaType, or fallback where mediaType is a range.
func concrete(mediaType, fallback string) string {
	if mediaType == "" || strings.Contains(mediaType, "*") {
		return fallback
	}
	return mediaType
}

// checkStatus refuses what is no status of a final answer: net/http panics at
// some and takes others for interim ones.
func checkStatus(status int) error {
	if status < 200 || status > 599 {
		return fmt.Errorf("codec: %d is not the status of an answer", status)
	}
	return nil
}

// allowsBody tells whether an answer of that status has a body (RFC 9110,
// sections 15.3.5 and 15.4.5).
func allowsBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}
