package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/generator/model"
)

// A jsonReader turns JSON text into nodes.
type jsonReader struct {
	src   *source
	dec   *jsontext.Decoder
	diags []model.Diagnostic

	// The place reached so far. Tokens come in order, so that lines and
	// columns are counted once.
	offset, line, column int
}

// parseJSON reads the whole file as one JSON value. The node is nil where
// that fails; duplicate names are found without failing.
func (s *source) parseJSON() (*Node, []model.Diagnostic) {
	r := &jsonReader{
		src: s, line: 1, column: 1,
		dec: jsontext.NewDecoder(bytes.NewReader(s.text), jsontext.AllowDuplicateNames(true)),
	}
	root, err := r.value(0)
	if err == nil {
		pos := r.next()
		if _, end := r.dec.ReadToken(); end == nil {
			err = &placed{RuleSyntax, pos, "something follows the end of the document", ""}
		} else if !errors.Is(end, io.EOF) {
			err = end
		}
	}
	if err != nil {
		return nil, append(r.diags, r.diagnostic(err))
	}
	return root, r.diags
}

// placed is an error that knows where it belongs.
type placed struct {
	rule    string
	pos     model.Position
	message string
	help    string
}

func (p *placed) Error() string { return p.message }

// diagnostic turns an error of the decoder into one of ours.
func (r *jsonReader) diagnostic(err error) model.Diagnostic {
	var at *placed
	if errors.As(err, &at) {
		return model.Diagnostic{Rule: at.rule, Pos: at.pos, Message: at.message, Help: at.help}
	}
	pos := r.src.position(int(r.dec.InputOffset()))
	message := "is not JSON"
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		pos, message = r.src.position(len(r.src.text)), "the file ends in the middle of a value"
	case errors.As(err, &syntax):
		pos = r.src.position(int(syntax.ByteOffset))
		message = "is not JSON: " + printable(syntax.Err.Error())
	}
	return model.Diagnostic{Rule: RuleSyntax, Pos: pos, Message: message}
}

// next gives the place of the token that comes next.
func (r *jsonReader) next() model.Position {
	text, to := r.src.text, int(r.dec.InputOffset())
	for to < len(text) && bytes.IndexByte([]byte(" \t\r\n,:"), text[to]) >= 0 {
		to++
	}
	for r.offset < to {
		if text[r.offset] == '\n' {
			r.line, r.column = r.line+1, 1
			r.offset++
			continue
		}
		_, size := utf8.DecodeRune(text[r.offset:])
		r.offset += size
		r.column++
	}
	return model.Position{File: r.src.name, Line: r.line, Column: r.column}
}

func (r *jsonReader) value(depth int) (*Node, error) {
	n := &Node{Pos: r.next(), file: r.src}
	if depth > maxDepth {
		return nil, tooDeep(n.Pos)
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case 'n':
		n.Kind = Null
	case 't', 'f':
		n.Kind, n.Text = Bool, tok.String()
	case '"':
		n.Kind, n.Text = String, tok.String()
	case '0':
		n.Kind, n.Text = Number, tok.String()
	case '[':
		n.Kind = Array
		if err := r.items(n, depth); err != nil {
			return nil, err
		}
	case '{':
		n.Kind = Object
		if err := r.members(n, depth); err != nil {
			return nil, err
		}
	}
	n.adopt()
	return n, nil
}

func (r *jsonReader) items(n *Node, depth int) error {
	for r.dec.PeekKind() != ']' {
		it, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, it)
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r *jsonReader) members(n *Node, depth int) error {
	seen := map[string]model.Position{}
	for r.dec.PeekKind() != '}' {
		pos := r.next()
		tok, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		key := tok.String()
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if first, twice := seen[key]; twice {
			r.diags = append(r.diags, duplicate(key, first, pos))
			continue
		}
		seen[key] = pos
		n.Members = append(n.Members, Member{Key: key, KeyPos: pos, Value: value})
	}
	_, err := r.dec.ReadToken()
	return err
}

// duplicate is the finding that a member name is given twice. Readers
// disagree on which one counts, so that what one reviews need not be what
// another enforces.
func duplicate(key string, first, second model.Position) model.Diagnostic {
	return model.Diagnostic{
		Rule: RuleDuplicate, Pos: second,
		Message: fmt.Sprintf("member %s is given twice, first at %d:%d", Quote(key), first.Line, first.Column),
		Help:    "keep one of them",
	}
}

func tooDeep(pos model.Position) *placed {
	return &placed{RuleTooDeep, pos, fmt.Sprintf("values nest deeper than %d", maxDepth), ""}
}
