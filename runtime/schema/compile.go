package schema

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A builder compiles one document. It goes on after a mistake, so that all are
// reported.
type builder struct {
	tree       *value
	nodes      map[string]*node // by pointer
	order      []*node
	unenforced []Keyword
	errs       []error
}

// fail notes a mistake at a pointer.
func (b *builder) fail(pointer, format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf("schema: %s: %s", pointer, fmt.Sprintf(format, args...)))
}

// node compiles v, which lies at pointer, unless that has been done.
func (b *builder) node(v *value, pointer string) *node {
	if n := b.nodes[pointer]; n != nil {
		return n
	}
	n := &node{id: int32(len(b.order)), pointer: pointer}
	b.nodes[pointer] = n
	b.order = append(b.order, n)
	switch {
	case !v.isSchema():
		b.fail(pointer, "is not a schema: want an object, true or false")
	case v.kind == 'f':
		n.never = true
	}
	for _, m := range v.members() {
		compile, ok := keywords[m.name]
		switch {
		case ok:
			compile(b, n, m.value, pointer+"/"+escape(m.name))
		case !silent[m.name] && !strings.HasPrefix(m.name, "x-"):
			b.unenforced = append(b.unenforced, Keyword{pointer, m.name})
		}
	}
	return n
}

// silent are the keywords that say nothing about a value: annotations, and
// what only gives schemas a place or a name.
var silent = map[string]bool{
	"title": true, "description": true, "default": true, "example": true, "examples": true,
	"deprecated": true, "readOnly": true, "writeOnly": true, "xml": true, "externalDocs": true,
	"$comment": true, "$schema": true, "$id": true, "$anchor": true, "$dynamicAnchor": true, "$vocabulary": true,
}

// reference compiles what the $ref text, found at pointer, leads to.
func (b *builder) reference(text, pointer string) *node {
	fragment, local := strings.CutPrefix(text, "#")
	if !local {
		b.fail(pointer, "%s is outside the document", strconv.Quote(text))
		return nil
	}
	target, err := url.PathUnescape(fragment)
	if err != nil {
		b.fail(pointer, "%s is not a JSON pointer", strconv.Quote(text))
		return nil
	}
	v := b.tree.at(target)
	if !v.isSchema() {
		b.fail(pointer, "%s leads to no schema", strconv.Quote(text))
		return nil
	}
	return b.node(v, "#"+target)
}

// refuseLoops refuses schemas that have to be checked against a value before
// they can be checked against that same value.
func (b *builder) refuseLoops() {
	const (
		entered = 1
		left    = 2
	)
	state := make([]byte, len(b.order))
	var visit func(n *node)
	visit = func(n *node) {
		state[n.id] = entered
		for _, next := range n.inPlace() {
			switch state[next.id] {
			case 0:
				visit(next)
			case entered:
				b.fail(n.pointer, "refers to itself without end through %s", next.pointer)
			}
		}
		state[n.id] = left
	}
	for _, n := range b.order {
		if state[n.id] == 0 {
			visit(n)
		}
	}
}

// isLeaf tells whether n holds and refers to no other schema.
func (n *node) isLeaf() bool {
	inside := n.obj != nil || n.arr != nil && (n.arr.items != nil || n.arr.prefix != nil)
	return !inside && len(n.inPlace()) == 0
}

// inPlace returns the schemas that n applies to its own value.
func (n *node) inPlace() []*node {
	var all []*node
	for _, one := range []*node{n.ref, n.not, n.cond, n.then, n.other} {
		if one != nil {
			all = append(all, one)
		}
	}
	all = append(all, n.allOf...)
	all = append(all, n.anyOf...)
	return append(all, n.oneOf...)
}
