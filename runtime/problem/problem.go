// Package problem answers requests that are refused or fail, as problem
// details (RFC 9457). Two audiences, two texts: the client gets a fixed title
// and a code, the log gets the cause.
package problem

import (
	"fmt"
	"log/slog"
	"net/http"
)

// An Error is an answer to a request. Everything in it but Cause and Attrs is
// sent to the client. A handler that returns one is answered as it says.
type Error struct {
	Status int    // from 400 to 599; anything else is answered as 500
	Code   string // stable machine word such as "credential_missing"
	Title  string // short and fixed for its code; empty: the status's own text
	Detail string // what is particular to this request, for the client to read
	Errors []Violation
	Header http.Header // more lines for the answer, such as Retry-After
	Cause  error       // for the log alone
	Attrs  []slog.Attr // more of the log's line, in front of the cause
}

// A Violation is one thing that is wrong with a request, and where.
type Violation struct {
	Pointer string `json:"pointer"` // JSON pointer (RFC 6901), such as "/body/title" or "/query/limit"
	Keyword string `json:"keyword"` // what it breaks, such as "maxLength"
	Message string `json:"message"`
}

// New returns an Error without detail and cause.
func New(status int, code, title string) *Error {
	return &Error{Status: status, Code: code, Title: title}
}

// Error describes the answer and its cause for a log.
func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("problem: %d %s", e.Status, e.Code)
	}
	return fmt.Sprintf("problem: %d %s: %v", e.Status, e.Code, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
