package load

import (
	"errors"
	"strings"

	"github.com/gatewright/gatewright/generator/model"
)

// A refWalk visits everything that the operations and security schemes of a
// document reach, and notes each $ref that cannot be followed.
type refWalk struct {
	doc   *Document
	diags []model.Diagnostic
	seen  map[*Node]bool
	todo  []*Node // targets to visit: a queue, since references may chain without end
}

// named lists the members that hold a map from names to values, so that a
// property called "example" or "$ref" is not taken for the keyword.
var named = map[string]bool{
	"properties": true, "patternProperties": true, "$defs": true, "definitions": true, "dependentSchemas": true,
	"responses": true, "headers": true, "content": true, "encoding": true, "paths": true, "securitySchemes": true,
	"additionalOperations": true,
}

// skipped lists the members that hold data, or parts of a document that no
// operation needs.
var skipped = map[string]bool{
	"example": true, "examples": true, "default": true, "enum": true, "const": true,
	"callbacks": true, "links": true, "discriminator": true, "security": true,
}

func (d *Document) checkRefs() []model.Diagnostic {
	w := &refWalk{doc: d, seen: map[*Node]bool{}}
	if paths := d.Root.Get("paths"); paths.Is(Object) {
		for _, m := range paths.Members {
			if strings.HasPrefix(m.Key, "/") {
				w.value(m.Value)
			}
		}
	}
	w.names(d.Root.Get("components").Get("securitySchemes"))
	for len(w.todo) > 0 {
		last := len(w.todo) - 1
		n := w.todo[last]
		w.todo = w.todo[:last]
		w.value(n)
	}
	for _, name := range d.Files() {
		// What keeps a file from being read was said by the $ref to it.
		if src := d.sources[name]; src.root != nil && src.root != d.Root {
			w.diags = append(w.diags, src.diags...)
		}
	}
	return w.diags
}

// value visits a node whose member names are keywords.
func (w *refWalk) value(n *Node) {
	if n == nil || w.seen[n] {
		return
	}
	w.seen[n] = true
	if n.Ref() != nil {
		w.ref(n)
	}
	for _, it := range n.Items {
		w.value(it)
	}
	for _, m := range n.Members {
		switch {
		case skipped[m.Key] || strings.HasPrefix(m.Key, "x-"):
		case named[m.Key]:
			w.names(m.Value)
		default:
			w.value(m.Value)
		}
	}
}

// names visits a node whose member names are chosen by the document.
func (w *refWalk) names(n *Node) {
	if n == nil || w.seen[n] {
		return
	}
	w.seen[n] = true
	for _, m := range n.Members {
		w.value(m.Value)
	}
}

func (w *refWalk) ref(n *Node) {
	target, err := w.doc.Resolve(n)
	var bad *RefError
	if errors.As(err, &bad) {
		w.doc.reported[n] = true
		w.diags = append(w.diags, model.Diagnostic{Rule: bad.Rule, Pos: n.Ref().Pos, Message: bad.Message, Help: bad.Help})
		return
	}
	w.todo = append(w.todo, target)
}
