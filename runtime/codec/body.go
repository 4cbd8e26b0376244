package codec

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/gatewright/gatewright/runtime/problem"
)

// A Kind tells how a media type is read.
type Kind string

const (
	JSON   Kind = "json"   // application/json, */*+json
	Form   Kind = "form"   // application/x-www-form-urlencoded
	Text   Kind = "text"   // text/plain
	Binary Kind = "binary" // application/octet-stream, image/…: a stream
	Opaque Kind = "opaque" // multipart, XML, other text: a stream that the handler reads itself
)

// A Content is one media type of a body.
type Content struct {
	MediaType string // lower case, without parameters; may be a range such as image/*
	Kind      Kind
	Def       string // name of its schema; "": not validated
	Shape     Shape  // for Form, and for Text that is no string
	// Into points to the field. For Binary and Opaque it is a *Stream or
	// **Stream, else whatever the JSON of the body decodes into.
	Into any
}

// The sizes that a body is limited to where a Body names none.
const (
	DefaultMaxBytes       = 1 << 20  // JSON, form and text, which are held in memory
	DefaultMaxStreamBytes = 32 << 20 // streams
)

// A Body is what an operation takes besides its parameters.
type Body struct {
	Required bool
	// MaxBytes is the largest body taken. 0 means DefaultMaxBytes, for
	// streams DefaultMaxStreamBytes.
	MaxBytes int64
	Contents []Content
}

// A Stream is a body that the handler reads itself. Nothing of it has been
// validated, nor read, unless it came with a Content-Digest: then all of it was,
// and has that digest. Read fails with a *[problem.Error] (413) beyond the size limit.
// The handler need not close it.
type Stream struct {
	io.ReadCloser
	MediaType string            // as sent, lower case
	Params    map[string]string // the media type's parameters: boundary, charset
}

// Body reads the body into the field of the content whose media type it has;
// the fields of the others stay as they are. What can be refused by the header
// alone is refused before the body is touched, so a client that waits for 100
// Continue does not send it.
//
// A size, coding or media type that the header tells and that is not taken (413,
// 415) comes before what is wrong with parameters, and a body that is missing
// (400) before parameters that only break their schema (422). Beyond that the
// body is not read if a parameter was wrong, so what it would be refused for is
// not told with them.
//
// An empty body is absent, unless its Content-Type says that it is a form, a
// text or a stream: then it is a form without fields, an empty text, an empty
// stream. A stream of unknown length is not looked at beforehand, so a required
// one may turn out to be empty.
func (d *Decoder) Body(b Body) {
	if d.err != nil {
		return
	}
	a := b.announced(d.r)
	if e := a.refused(d.r.Header); e != nil {
		if e.Status != http.StatusBadRequest || d.code == "" {
			d.err = e
		}
		return
	}
	switch {
	case d.Err() != nil:
	case a.absent:
		d.err = absentDigest(d.r.Header)
	default:
		d.err = d.read(&a)
	}
}

// An announcement is what the header of a request says of its body.
type announcement struct {
	body      *Body
	types     []string // the Content-Type fields
	mediaType string
	params    map[string]string
	content   *Content // nil: of none of the body's types
	length    int64    // -1: unknown
	limit     int64
	none      bool // nothing will come, not even for a form
	absent    bool // so there is no body
}

func (b *Body) announced(r *http.Request) announcement {
	a := announcement{body: b, types: r.Header.Values("Content-Type"), length: r.ContentLength}
	a.none = r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0
	if len(a.types) == 1 {
		a.mediaType, a.params = parseMediaType(a.types[0])
		a.content = b.choose(a.mediaType)
	}
	a.limit = b.limit(a.content)
	a.absent = a.none && (len(a.types) == 0 || len(a.types) == 1 && (a.content == nil || a.content.Kind == JSON))
	return a
}

// refused tells why the body is not taken, as far as the header says: 413, then
// 415, then 400. It returns nil where the body has to be looked at.
func (a *announcement) refused(h http.Header) *problem.Error {
	switch {
	case a.absent:
		return a.body.missing()
	case a.length > a.limit:
		return tooLarge(a.limit)
	case coded(h):
		e := refusal(http.StatusUnsupportedMediaType, codeMediaType, "The request's content coding is not supported.")
		e.Header = http.Header{"Accept-Encoding": {"identity"}}
		return e
	case len(a.types) > 1:
		return refusal(http.StatusBadRequest, codeBody, "The request has several Content-Type fields.")
	case len(a.types) == 0 && a.length < 0:
		return nil // perhaps there is no body: see read
	case a.content == nil || !a.content.charset(a.params):
		return a.body.unsupported()
	}
	return nil
}

// read reads a body that its header has nothing against.
func (d *Decoder) read(a *announcement) error {
	var body io.ReadCloser = http.NoBody
	if !a.none {
		body = http.MaxBytesReader(d.w, d.r.Body, a.limit)
	}
	body, err := digested(d.r.Header, body)
	if err != nil {
		return err
	}
	c := a.content
	if c == nil {
		// HTTP/2 and chunked bodies do not say beforehand that they are empty.
		n, err := io.ReadFull(body, make([]byte, 1))
		if e, ok := errors.AsType[*problem.Error](err); ok {
			return e
		}
		if n > 0 || err != io.EOF {
			return a.body.unsupported()
		}
		if e := a.body.missing(); e != nil {
			return e
		}
		return nil
	}
	if c.Kind == Binary || c.Kind == Opaque {
		body = &limited{body, a.limit}
		if len(d.r.Header["Content-Digest"]) > 0 {
			// A handler may stop before the end, and would not hear then that
			// what it has acted upon is not what was signed.
			if body, err = spooled(d.r.Context(), body); err != nil {
				return readError(err, a.limit)
			}
			d.r.Body = http.NoBody
		}
		return c.stream(Stream{body, a.mediaType, a.params})
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return readError(err, a.limit)
	}
	d.r.Body = http.NoBody // read to its end, so a refusal may keep the connection
	switch {
	case c.Kind == JSON && len(data) == 0 && a.body.Required:
		return a.body.missing()
	case c.Kind == JSON && len(data) == 0:
		return nil
	case c.Kind == JSON:
		return d.decode(c, data)
	case c.Kind == Form:
		return d.form(c, data)
	case c.Kind == Text:
		return d.text(c, data)
	}
	return fmt.Errorf("codec: unknown kind %q of content %s", c.Kind, c.MediaType)
}

// missing refuses a request without a body where one is required.
func (b *Body) missing() *problem.Error {
	if !b.Required {
		return nil
	}
	return refusal(http.StatusBadRequest, codeBodyMissing, "The request needs a body.")
}

// choose returns the content for a media type: the one of that name, else its
// range (image/*), else any (*/*), or nil.
func (b *Body) choose(mediaType string) *Content {
	kind, _, ok := strings.Cut(mediaType, "/")
	if !ok {
		return nil
	}
	for _, want := range []string{mediaType, kind + "/*", "*/*"} {
		for i := range b.Contents {
			if strings.EqualFold(b.Contents[i].MediaType, want) {
				return &b.Contents[i]
			}
		}
	}
	return nil
}

// limit returns the size limit for a body that is read as c. Where c is nil it
// is the largest that any content has.
func (b *Body) limit(c *Content) int64 {
	if b.MaxBytes > 0 {
		return b.MaxBytes
	}
	if c == nil {
		limit := int64(DefaultMaxBytes)
		for i := range b.Contents {
			limit = max(limit, b.limit(&b.Contents[i]))
		}
		return limit
	}
	if c.Kind == Binary || c.Kind == Opaque {
		return DefaultMaxStreamBytes
	}
	return DefaultMaxBytes
}

// unsupported says 415 and which media types are taken.
func (b *Body) unsupported() *problem.Error {
	var taken []string
	for i := range b.Contents {
		taken = append(taken, b.Contents[i].MediaType)
	}
	e := refusal(http.StatusUnsupportedMediaType, codeMediaType, "The request's media type is not supported.")
	e.Header = http.Header{"Accept": {strings.Join(taken, ", ")}} // RFC 9110, section 15.5.16
	return e
}

// parseMediaType returns the media type of a Content-Type, in lower case, and
// its parameters; "" if it is malformed.
func parseMediaType(contentType string) (string, map[string]string) {
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", nil
	}
	return mediaType, params
}

// coded tells whether the body has a content coding (RFC 9110, section 8.4).
// Nothing is decompressed: a small body must not become a large one.
func coded(h http.Header) bool {
	for _, line := range h.Values("Content-Encoding") {
		for word := range strings.SplitSeq(line, ",") {
			if word = strings.TrimSpace(word); word != "" && !strings.EqualFold(word, "identity") {
				return true
			}
		}
	}
	return false
}

// charset tells whether the charset parameter is one that c can be read in.
func (c *Content) charset(params map[string]string) bool {
	if c.Kind == Binary || c.Kind == Opaque {
		return true
	}
	set, ok := params["charset"]
	return !ok || strings.EqualFold(set, "utf-8") || strings.EqualFold(set, "us-ascii")
}

// stream hands s to the field.
func (c *Content) stream(s Stream) error {
	switch into := c.Into.(type) {
	case *Stream:
		*into = s
	case **Stream:
		*into = &s
	default:
		return fmt.Errorf("codec: content %s cannot be put into a %T", c.MediaType, c.Into)
	}
	return nil
}

// A limited is a body whose Read tells of its size limit as a problem, so that
// a handler that returns the error answers 413.
type limited struct {
	io.ReadCloser
	limit int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = tooLarge(l.limit)
	}
	return n, err
}

func tooLarge(limit int64) *problem.Error {
	e := refusal(http.StatusRequestEntityTooLarge, codeTooLarge, "The request's body is too large.")
	e.Detail = fmt.Sprintf("At most %d bytes are taken.", limit)
	return e
}

// readError says why a body could not be read to its end.
func readError(err error, limit int64) error {
	if isFault(err) {
		return err
	}
	if e, ok := errors.AsType[*problem.Error](err); ok {
		return e
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	e := refusal(http.StatusBadRequest, codeBody, "The request's body did not arrive in full.")
	e.Cause = err
	return e
}
