package schema

import (
	"bytes"
	"errors"
	"io"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// A mark is where one value, or one member name, of a text lies.
type mark struct {
	start, end int32 // of its bytes
	next       int32 // index of the first mark after all that is inside
	kind       jsontext.Kind
}

// scan reads one JSON value and returns its marks: the value itself first,
// then what is inside, in the text's order. An object's members are a mark for
// the name followed by those of the value.
func scan(value []byte, maxDepth int) ([]mark, error) {
	if len(value) > math.MaxInt32 {
		return nil, &SyntaxError{Reason: "is too long"}
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(value))
	marks := make([]mark, 0, 8+min(len(value)/8, 1<<10))
	var open []int32 // indexes of the arrays and objects around
	for done := false; !done; done = len(open) == 0 {
		switch kind := dec.PeekKind(); kind {
		case '{', '[':
			if len(open) == maxDepth {
				return nil, &SyntaxError{Offset: dec.InputOffset(), Reason: "is nested too deep"}
			}
			if _, err := dec.ReadToken(); err != nil {
				return nil, syntaxError(err, dec)
			}
			open = append(open, int32(len(marks)))
			marks = append(marks, mark{start: int32(dec.InputOffset()) - 1, kind: kind})
		case '}', ']':
			if _, err := dec.ReadToken(); err != nil {
				return nil, syntaxError(err, dec)
			}
			m := &marks[open[len(open)-1]]
			m.end, m.next = int32(dec.InputOffset()), int32(len(marks))
			open = open[:len(open)-1]
		default:
			raw, err := dec.ReadValue()
			if err != nil {
				return nil, syntaxError(err, dec)
			}
			end := int32(dec.InputOffset())
			marks = append(marks, mark{start: end - int32(len(raw)), end: end, next: int32(len(marks)) + 1, kind: kind})
		}
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, &SyntaxError{Offset: dec.InputOffset(), Reason: "has something after its end"}
	}
	return marks, nil
}

// syntaxError gives err, of dec, a fixed text: the tokenizer's own may quote
// the value.
func syntaxError(err error, dec *jsontext.Decoder) error {
	e := &SyntaxError{Offset: dec.InputOffset(), Reason: "is not JSON"}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		e.Offset = syntactic.ByteOffset
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		e.Reason = "has a name twice in one object"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		e.Reason = "ends too early"
	}
	return e
}
