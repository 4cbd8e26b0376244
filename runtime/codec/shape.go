package codec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A Shape tells how text becomes JSON: which JSON types the schema accepts at
// this place, with what stands inside.
//
// Text that is a JSON number literal becomes a number where a number or integer
// is accepted, true and false become booleans where these are, and other text a
// string where a string is. Nothing becomes null, or an object, or an array
// within an array. Text that is none of the accepted types is unreadable, so an
// empty value is unless it may be a string.
type Shape struct {
	Types []string // string, integer, number, boolean, array, object; none: string
	Items *Shape   // of an array; nil: strings
	Props []Prop   // of an object
}

// A Prop is one member of an object's Shape.
type Prop struct {
	Name  string
	Shape Shape
}

// has tells whether the schema accepts the JSON type t.
func (s *Shape) has(t string) bool { return slices.Contains(s.Types, t) }

// isString tells whether strings are accepted.
func (s *Shape) isString() bool { return len(s.Types) == 0 || s.has("string") }

// names lists the accepted types for a message.
func (s *Shape) names() string {
	if len(s.Types) == 0 {
		return "string"
	}
	return strings.Join(s.Types, " or ")
}

// item returns the shape of an array's items.
func (s *Shape) item() *Shape {
	if s.Items == nil {
		return &Shape{}
	}
	return s.Items
}

// number is the grammar of a JSON number (RFC 8259, section 6).
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// appendScalar appends text as a JSON value that is no array or object. It
// returns false, and dst as it was, if text is none of the accepted types or
// not UTF-8.
func (s *Shape) appendScalar(dst []byte, text string) ([]byte, bool) {
	if (s.has("integer") || s.has("number")) && number.MatchString(text) {
		return append(dst, text...), true
	}
	if s.has("boolean") && (text == "true" || text == "false") {
		return append(dst, text...), true
	}
	if !s.isString() {
		return dst, false
	}
	quoted, err := jsontext.AppendQuote(dst, text)
	if err != nil {
		return dst, false
	}
	return quoted, true
}

// appendTexts appends the texts found for one name: as an array where one is
// accepted, else the only text as a scalar. Where an array and a scalar are
// both accepted, a single text is the scalar if it can be.
func (s *Shape) appendTexts(dst []byte, texts []string) ([]byte, bool) {
	if !s.has("array") {
		return s.appendScalar(dst, texts[0])
	}
	if len(s.Types) > 1 && len(texts) == 1 {
		if out, ok := s.appendScalar(dst, texts[0]); ok {
			return out, true
		}
	}
	out := append(dst, '[')
	for i, text := range texts {
		if i > 0 {
			out = append(out, ',')
		}
		var ok bool
		if out, ok = s.item().appendScalar(out, text); !ok {
			return dst, false
		}
	}
	return append(out, ']'), true
}
