// Package schema validates JSON against JSON Schema 2020-12.
//
// A schema document is compiled once. A check then runs over the bytes of a
// value: one pass of the tokenizer refuses what is not JSON and notes where
// each value begins and ends, and the compiled schema runs over those marks.
// No Go value is built from the request, so that a missing member is told from
// a zero one, and numbers are compared as written, not as a float64 holds them.
package schema

import (
	"errors"
	"fmt"
	"slices"
)

// DefaultMaxDepth is how deep arrays and objects may be nested in a value
// unless [Config] says otherwise.
const DefaultMaxDepth = 64

// maxViolations bounds what one check reports.
const maxViolations = 20

// A Config holds what a check is limited to. Its zero value is ready for use.
type Config struct {
	// MaxDepth is how deep arrays and objects may be nested in a value;
	// 0 means DefaultMaxDepth.
	MaxDepth int
}

// A Program is a compiled schema. Its methods may be called concurrently.
type Program struct {
	doc  *document
	root *node
}

// document is what the programs of one schema document share.
type document struct {
	maxDepth   int
	defs       map[string]*node
	unenforced []Keyword
}

// A Keyword is one keyword at one place of a schema document.
type Keyword struct {
	Pointer string // of the schema that holds it: #/$defs/Post
	Name    string
}

// Compile compiles a schema document with the zero Config. The document is one
// JSON value in the dialect of JSON Schema 2020-12, and refers to nothing
// outside itself. The error names every mistake with its JSON pointer.
func Compile(doc []byte) (*Program, error) { return Config{}.Compile(doc) }

// Compile compiles a schema document; see [Compile].
func (c Config) Compile(doc []byte) (*Program, error) {
	if c.MaxDepth < 0 {
		return nil, fmt.Errorf("schema: MaxDepth is %d, want 0 or more", c.MaxDepth)
	}
	tree, err := parse(doc)
	if err != nil {
		return nil, err
	}
	b := &builder{tree: tree, nodes: map[string]*node{}}
	root := b.node(tree, "#")
	b.refuseLoops()
	for _, n := range b.order {
		n.leaf = n.isLeaf()
	}
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	defs := map[string]*node{}
	for _, m := range tree.get("$defs").members() {
		defs[m.name] = b.nodes["#/$defs/"+escape(m.name)]
	}
	d := &document{maxDepth: c.MaxDepth, defs: defs, unenforced: b.unenforced}
	if d.maxDepth == 0 {
		d.maxDepth = DefaultMaxDepth
	}
	return &Program{doc: d, root: root}, nil
}

// Def returns the schema of that name in the document's $defs.
func (p *Program) Def(name string) (*Program, bool) {
	n, ok := p.doc.defs[name]
	if !ok {
		return nil, false
	}
	return &Program{doc: p.doc, root: n}, true
}

// Check tells whether value, one JSON value with nothing but white space
// around it, is what the schema says. The error is a *[SyntaxError] where
// value is not JSON that this server reads, an *[InvalidError] where it breaks
// the schema. value is not kept and not changed.
func (p *Program) Check(value []byte) error {
	marks, err := scan(value, p.doc.maxDepth)
	if err != nil {
		return err
	}
	r := &run{value: value, marks: marks}
	if i := r.unreadable(); i >= 0 {
		return refusal(r.pointerOf(i), "type", "is out of the range of numbers")
	}
	ok := r.check(p.root, 0)
	if r.late != nil {
		return refusal(*r.late, "pattern", "takes too long to check")
	}
	if ok {
		return nil
	}
	return &InvalidError{Violations: r.violations}
}

// Unenforced returns the keywords of the whole document that a check does not
// look at, in a fixed order. Annotations are not among them.
func (p *Program) Unenforced() []Keyword { return slices.Clone(p.doc.unenforced) }
