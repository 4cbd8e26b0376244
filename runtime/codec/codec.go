// Package codec stands between the bytes of a request or response and the
// structs of generated code. It is called by generated code and useful to
// nothing else.
//
// # Reading
//
// A [Decoder] reads the parameters first, then the body, then the Accept
// header. The errors of all parameters are told together; where there are any,
// the body is not read. The answer is the first of: 413 and 415 by the header
// of the body, 400 for what is missing or cannot be read, 422 for what breaks
// its schema, 406. Text becomes JSON by its [Shape], the JSON is checked
// against the document's schema, and only then decoded into a field. Nothing
// that was sent is echoed in an answer, except the names of an object's members
// in the pointer of a violation.
//
// # Writing
//
// The Write functions return an error only while nothing has been sent, so
// that the caller can still answer with the error itself.
package codec

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/schema"
)

// Vars gives the values of a path's variables, decoded; "" for an unknown name.
type Vars interface{ Get(name string) string }

// A Decoder reads one request. It keeps the errors it meets, and a field is
// only worth looking at if Err returns nil. It is used by one goroutine.
type Decoder struct {
	w      http.ResponseWriter
	r      *http.Request
	vars   Vars
	checks *schema.Program

	query query // read at the first query parameter

	wrong []problem.Violation // of all parameters, in their order
	code  string              // of the first parameter that is missing or unreadable
	err   error               // of the body or of Accept, or a fault of the server
}

// New returns a decoder of r. checks may be nil where nothing is validated.
func New(w http.ResponseWriter, r *http.Request, vars Vars, checks *schema.Program) *Decoder {
	return &Decoder{w: w, r: r, vars: vars, checks: checks}
}

// Err returns nil if everything asked for was read, and else a *[problem.Error]:
// what [Decoder.Body] found by the header to come before the parameters, 400
// where parameters are missing or unreadable, 422 where they break their schema,
// then what else Body and [Decoder.Accept] found. Any other error is a fault of
// the server: the generated code does not fit its schemas.
func (d *Decoder) Err() error {
	switch {
	case d.err != nil:
		return d.err
	case d.code != "":
		return refusal(http.StatusBadRequest, d.code, "The request's parameters cannot be read.", d.wrong...)
	case len(d.wrong) > 0:
		return refusal(http.StatusUnprocessableEntity, codeInvalid, "The request's parameters are not valid.", d.wrong...)
	}
	return nil
}

// The codes of this package's problems.
const (
	codeMissing     = "parameter_missing"
	codeUnreadable  = "parameter_unreadable"
	codeInvalid     = "invalid"
	codeBodyMissing = "body_missing"
	codeBody        = "body_unreadable"
	codeDigest      = "digest_mismatch"
	codeTooLarge    = "body_too_large"
	codeMediaType   = "unsupported_media_type"
	codeAcceptable  = "not_acceptable"
)

// refusal returns a problem with violations.
func refusal(status int, code, title string, vs ...problem.Violation) *problem.Error {
	e := problem.New(status, code, title)
	e.Errors = vs
	return e
}

// check holds value against the schema def; "" checks nothing. It returns the
// violations with their pointers as from the root of value; syntax tells that
// value is not JSON at all. An error is a fault of the server.
func (d *Decoder) check(def string, value []byte) (vs []problem.Violation, syntax bool, err error) {
	if def == "" {
		return nil, false, nil
	}
	// A schema that is missing must not pass as one that allows everything.
	if d.checks == nil {
		return nil, false, fmt.Errorf("codec: no schemas, but %q is asked for", def)
	}
	p, ok := d.checks.Def(def)
	if !ok {
		return nil, false, fmt.Errorf("codec: schema %q is not defined", def)
	}
	err = p.Check(value)
	if err == nil {
		return nil, false, nil
	}
	if invalid, ok := errors.AsType[*schema.InvalidError](err); ok {
		for _, v := range invalid.Violations {
			vs = append(vs, problem.Violation{Pointer: v.Pointer, Keyword: v.Keyword, Message: v.Message})
		}
		return vs, false, nil
	}
	if syn, ok := errors.AsType[*schema.SyntaxError](err); ok {
		return []problem.Violation{{Keyword: "syntax", Message: syn.Reason + " at byte " + strconv.FormatInt(syn.Offset, 10)}}, true, nil
	}
	return nil, false, fmt.Errorf("codec: schema %q: %w", def, err)
}
