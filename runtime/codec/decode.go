package codec

import (
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/problem"
)

// maxPointer is the longest pointer that is told: it holds member names that
// the client chose.
const maxPointer = 200

// decode checks a JSON text and decodes it into c's field. Member names are
// matched with their case.
func (d *Decoder) decode(c *Content, data []byte) error {
	vs, syntax, err := d.check(c.Def, data)
	if err != nil {
		return err
	}
	for i := range vs {
		vs[i].Pointer = "/body" + vs[i].Pointer
	}
	if syntax {
		return unreadableBody(vs...)
	}
	if len(vs) > 0 {
		return refusal(http.StatusUnprocessableEntity, codeInvalid, "The request's body is not valid.", vs...)
	}
	err = unmarshal(data, c.Into)
	if err == nil {
		return nil
	}
	if s, ok := errors.AsType[*json.SemanticError](err); ok {
		pointer := "/body" + string(s.JSONPointer)
		if len(pointer) > maxPointer {
			pointer = "/body"
		}
		return unreadableBody(problem.Violation{Pointer: pointer, Keyword: "type", Message: misfit.message})
	}
	return unreadableBody(problem.Violation{Pointer: "/body", Keyword: "syntax", Message: "is not JSON, has a member twice, or is not UTF-8"})
}

// text reads a text as one JSON scalar, which is a string unless c.Shape says
// otherwise.
func (d *Decoder) text(c *Content, data []byte) error {
	if !utf8.Valid(data) {
		return unreadableBody(notUTF8)
	}
	value, ok := c.Shape.appendScalar(nil, string(data))
	if !ok {
		return unreadableBody(problem.Violation{Pointer: "/body", Keyword: "type", Message: "cannot be read as " + c.Shape.names()})
	}
	return d.decode(c, value)
}

// form reads application/x-www-form-urlencoded text as a JSON object. Fields
// that c.Shape names have its types: one of type array is given once for each
// item, any other once. Fields that it does not name are strings, or arrays of
// them where given several times, so that the schema's additionalProperties
// decides.
func (d *Decoder) form(c *Content, data []byte) error {
	object, vs := formObject(&c.Shape, string(data))
	if len(vs) > 0 {
		return unreadableBody(vs...)
	}
	return d.decode(c, object)
}

// formObject returns the JSON object of a form, or what is wrong with it.
func formObject(s *Shape, text string) ([]byte, []problem.Violation) {
	pairs, err := parsePairs(text)
	if err != nil {
		return nil, []problem.Violation{{Pointer: "/body", Keyword: "encoding", Message: "holds an invalid percent-encoding or a semicolon that is not encoded"}}
	}
	for _, p := range pairs {
		if !utf8.ValidString(p.name) || !utf8.ValidString(p.value) {
			return nil, []problem.Violation{notUTF8}
		}
	}
	shapes := make(map[string]*Shape, len(s.Props))
	for i := range s.Props {
		shapes[s.Props[i].Name] = &s.Props[i].Shape
	}
	var wrong []problem.Violation
	object := []byte{'{'}
	for i, f := range fields(pairs) {
		if i > 0 {
			object = append(object, ',')
		}
		object, _ = jsontext.AppendQuote(object, f.name) // UTF-8, so there is no error
		object = append(object, ':')
		var bad *flaw
		if object, bad = f.append(object, shapes[f.name]); bad != nil {
			wrong = append(wrong, problem.Violation{Pointer: "/body/" + escapePointer(f.name), Keyword: bad.keyword, Message: bad.message})
		}
	}
	return append(object, '}'), wrong
}

// A field is one name of a form with its values.
type field struct {
	name  string
	texts []string
}

// fields gathers pairs by name, in the order in which names first come.
func fields(pairs []pair) []field {
	var fs []field
	at := make(map[string]int, len(pairs))
	for _, p := range pairs {
		i, seen := at[p.name]
		if !seen {
			i = len(fs)
			at[p.name] = i
			fs = append(fs, field{name: p.name})
		}
		fs[i].texts = append(fs[i].texts, p.value)
	}
	return fs
}

// append appends the field's value. s is nil for a name that the form's shape
// does not have.
func (f *field) append(dst []byte, s *Shape) ([]byte, *flaw) {
	several := len(f.texts) > 1
	switch {
	case s == nil && several:
		s = &Shape{Types: []string{"array"}}
	case s == nil:
		s = &Shape{}
	case several && !s.has("array"):
		return dst, repeated
	}
	dst, ok := s.appendTexts(dst, f.texts)
	if !ok {
		return dst, &flaw{"type", "cannot be read as " + s.readable()}
	}
	return dst, nil
}

var notUTF8 = problem.Violation{Pointer: "/body", Keyword: "encoding", Message: "is not UTF-8"}

func unreadableBody(vs ...problem.Violation) error {
	return refusal(http.StatusBadRequest, codeBody, "The request's body cannot be read.", vs...)
}
