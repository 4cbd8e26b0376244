package load

import (
	"strconv"
	"strings"

	"github.com/gatewright/gatewright/generator/model"
)

// A Kind is the JSON type of a Node.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// A Node is one value of a document with its place. Documents are read into
// nodes, not into structs, so that every finding has a line, an absent member
// is told from a null one and nothing unknown is lost. All methods accept nil.
type Node struct {
	Kind    Kind
	Text    string   // String: its value. Number: a JSON number literal. Bool: true or false.
	Items   []*Node  // Array
	Members []Member // Object: in the document's order, names unique
	Pos     model.Position

	index  map[string]*Node // members by name, where there are many
	parent *Node
	key    string // member name or index within parent
	file   *source
}

// A Member is one name and value of an object.
type Member struct {
	Key    string
	KeyPos model.Position
	Value  *Node
}

// Get returns the member of that name, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	if n.index != nil {
		return n.index[key]
	}
	for i := range n.Members {
		if n.Members[i].Key == key {
			return n.Members[i].Value
		}
	}
	return nil
}

// Is tells whether n is there and of kind k.
func (n *Node) Is(k Kind) bool { return n != nil && n.Kind == k }

// Str returns the string member of that name, or "".
func (n *Node) Str(key string) string {
	if v := n.Get(key); v.Is(String) {
		return v.Text
	}
	return ""
}

// True tells whether the member of that name is the boolean true.
func (n *Node) True(key string) bool {
	v := n.Get(key)
	return v.Is(Bool) && v.Text == "true"
}

// Location gives file#/json/pointer, unique within a loaded document and what
// Document.At takes.
func (n *Node) Location() string {
	var parts []string
	for at := n; at != nil && at.parent != nil; at = at.parent {
		parts = append(parts, at.key)
	}
	var b strings.Builder
	if n != nil && n.file != nil {
		b.WriteString(n.file.name)
	}
	b.WriteByte('#')
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(EscapePointer(parts[i]))
	}
	return b.String()
}

// EscapePointer writes one reference token of a JSON pointer (RFC 6901, section 3).
func EscapePointer(token string) string { return pointerEscaper.Replace(token) }

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// indexed is how many members make an index worth its memory.
const indexed = 32

// adopt sets parent and key of n's children, and the index.
func (n *Node) adopt() {
	if len(n.Members) > indexed {
		n.index = make(map[string]*Node, len(n.Members))
		for _, m := range n.Members {
			n.index[m.Key] = m.Value
		}
	}
	for i, it := range n.Items {
		it.parent, it.key = n, strconv.Itoa(i)
	}
	for _, m := range n.Members {
		m.Value.parent, m.Value.key = n, m.Key
	}
}
