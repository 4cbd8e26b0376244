package schema

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A value is a part of a schema document. All methods accept nil.
type value struct {
	kind jsontext.Kind // '"', '0', 't', 'f', 'n', '{', '['
	text string        // of a string: what it says; else the literal
	raw  []byte
	obj  []member
	list []*value
}

// A member is one name and value of an object, in the document's order.
type member struct {
	name  string
	value *value
}

// parse reads a schema document.
func parse(doc []byte) (*value, error) {
	marks, err := scan(doc, maxDocumentDepth)
	if err != nil {
		return nil, fmt.Errorf("schema: document can not be read: %w", err)
	}
	v, _ := buildAt(doc, marks, 0)
	return v, nil
}

// maxDocumentDepth bounds recursion over a schema document.
const maxDocumentDepth = 1000

// buildAt makes a value of the marks from at on, and tells which come after it.
func buildAt(raw []byte, marks []mark, at int32) (*value, int32) {
	m := marks[at]
	text := raw[m.start:m.end]
	v := &value{kind: m.kind, raw: text}
	switch m.kind {
	case '{':
		for i := at + 1; i < m.next; {
			name := unquote(raw[marks[i].start:marks[i].end])
			var inner *value
			inner, i = buildAt(raw, marks, i+1)
			v.obj = append(v.obj, member{string(name), inner})
		}
	case '[':
		for i := at + 1; i < m.next; {
			var inner *value
			inner, i = buildAt(raw, marks, i)
			v.list = append(v.list, inner)
		}
	case '"':
		v.text = string(unquote(text))
	default:
		v.text = string(text)
	}
	return v, m.next
}

// get returns the member of that name, or nil.
func (v *value) get(name string) *value {
	for _, m := range v.members() {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// members returns an object's members; none of anything else.
func (v *value) members() []member {
	if v == nil {
		return nil
	}
	return v.obj
}

// isSchema tells whether v can be a schema at all.
func (v *value) isSchema() bool {
	return v != nil && (v.kind == '{' || v.kind == 't' || v.kind == 'f')
}

// at follows a JSON pointer without its "#"; nil where it leads to nothing.
func (v *value) at(pointer string) *value {
	if pointer == "" {
		return v
	}
	if pointer[0] != '/' {
		return nil
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = unescaper.Replace(token)
		switch {
		case v == nil:
			return nil
		case v.kind == '[':
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v.list) || strconv.Itoa(i) != token {
				return nil
			}
			v = v.list[i]
		default:
			v = v.get(token)
		}
	}
	return v
}

var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1")
	unescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

// escape writes one reference token of a JSON pointer (RFC 6901, section 3).
func escape(token string) string { return escaper.Replace(token) }

// unquote returns what a JSON string, which the tokenizer has accepted, says.
// It may share the string's memory.
func unquote(quoted []byte) []byte {
	inside := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		panic("schema: " + err.Error())
	}
	return text
}
