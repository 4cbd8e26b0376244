package schema

import "strconv"

// A SyntaxError means that a value is not JSON that this server reads: no
// JSON at all, a name given twice in an object, invalid UTF-8, nested too
// deep, or more than one value. It holds no text of the value.
type SyntaxError struct {
	Offset int64  // in bytes, at or before the mistake
	Reason string // fixed text such as "has a name twice in one object"
}

func (e *SyntaxError) Error() string {
	return "schema: value " + e.Reason + " at byte " + strconv.FormatInt(e.Offset, 10)
}

// An InvalidError means that a value breaks its schema.
type InvalidError struct {
	Violations []Violation // at least one and at most 20
}

func (e *InvalidError) Error() string {
	text := "schema: value " + e.Violations[0].Message
	if n := len(e.Violations); n > 1 {
		text += " (1 of " + strconv.Itoa(n) + " violations)"
	}
	return text
}

// refusal is an InvalidError of one violation.
func refusal(pointer, keyword, message string) error {
	return &InvalidError{Violations: []Violation{{pointer, keyword, message}}}
}

// A Violation is one thing that is wrong with a value. Its texts come from
// the schema; of the value it holds member names only, within Pointer.
type Violation struct {
	// Pointer is the JSON pointer (RFC 6901) of the part that is wrong, ""
	// for the whole value, at most 200 bytes: beyond that it is the pointer
	// of the nearest value around it that fits.
	Pointer string
	Keyword string // the schema's keyword: maxLength
	Message string // fixed text with the limit: "is longer than 80 characters"
}
