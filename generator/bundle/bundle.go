// Package bundle gathers the schemas of all requests of an API into one JSON
// Schema document, which the generated server validates with.
package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/go-json-experiment/json/jsontext"
)

// Build returns a JSON Schema 2020-12 document whose $defs hold the schemas of
// all parameters and of all bodies that are validated (JSON, forms, text),
// with everything they refer to. It sets the Def of each such schema in api.
// The bytes depend on doc and api only.
//
// Diagnostics tell what is not enforced, and what can not be: a schema that is
// malformed is an error, since dropping it would let in what the document
// refuses.
//
// The bundle is for requests. A member that is readOnly is therefore not
// required in it: OpenAPI 3.0 says that required then applies to the response
// only (Schema Object, fixed fields).
func Build(doc *load.Document, api *model.API) ([]byte, []model.Diagnostic, error) {
	if doc == nil || api == nil {
		return nil, nil, errors.New("bundle: no document")
	}
	b := &builder{doc: doc, names: map[*load.Node]string{}, defs: map[string]*def{}, ignored: map[string]*ignored{}}
	for _, s := range requestSchemas(api) {
		n := doc.At(s.Location)
		if n == nil {
			return nil, nil, fmt.Errorf("bundle: there is no schema at %s", s.Location)
		}
		s.Def = b.root(n, s.Hint)
	}
	if err := b.convertAll(); err != nil {
		return nil, nil, fmt.Errorf("bundle: %w", err)
	}
	b.refuseLoops()
	b.warnIgnored()
	for i := range b.diags {
		b.diags[i].Excerpt = doc.Excerpt(b.diags[i].Pos)
	}
	model.Sort(b.diags)
	return b.bytes(), b.diags, nil
}

// requestSchemas returns the schemas that requests are validated with, in the
// document's order.
func requestSchemas(api *model.API) []*model.Schema {
	var all []*model.Schema
	for i := range api.Operations {
		op := &api.Operations[i]
		for j := range op.Params {
			if op.Params[j].Schema.Location != "" {
				all = append(all, &op.Params[j].Schema)
			}
		}
		if op.Body == nil {
			continue
		}
		for _, c := range op.Body.Contents {
			if c.Schema != nil && slices.Contains([]model.ContentKind{model.JSON, model.Form, model.Text}, c.Kind) {
				all = append(all, c.Schema)
			}
		}
	}
	return all
}

// A builder makes one bundle.
type builder struct {
	doc     *load.Document
	names   map[*load.Node]string // of the schemas that have a def
	pending []*load.Node
	defs    map[string]*def
	ignored map[string]*ignored
	diags   []model.Diagnostic
}

// A def is one entry of $defs.
type def struct {
	node *load.Node
	text []byte
	// inPlace are the defs that apply to the same value as this one.
	inPlace []string
}

// An ignored keyword is one that stands in the document and is not enforced.
type ignored struct {
	first model.Position
	count int
}

// root returns the name for the schema of a parameter or body.
func (b *builder) root(n *load.Node, hint string) string {
	if b.isReference(n) {
		if target, ok := b.target(n); ok {
			return b.name(target, "")
		}
	}
	// A parameter or body that operations share is not called after the
	// first of them.
	_, pointer, _ := strings.Cut(n.Location(), "#")
	for prefix, suffix := range map[string]string{"/components/parameters/": "Param", "/components/requestBodies/": "Body"} {
		if inside, ok := strings.CutPrefix(pointer, prefix); ok {
			name, _, _ := strings.Cut(inside, "/")
			hint = name + suffix
		}
	}
	return b.name(n, hint)
}

// isReference tells whether n is a $ref and nothing else.
func (b *builder) isReference(n *load.Node) bool {
	return n.Ref() != nil && (b.is30() || len(n.Members) == 1)
}

// is30 tells whether the document is of OpenAPI 3.0, whose schemas are a
// dialect of their own: 3.1 and later have those of JSON Schema.
func (b *builder) is30() bool { return b.doc.Version == "3.0" }

// target follows n's $ref by one step.
func (b *builder) target(n *load.Node) (*load.Node, bool) {
	target, err := b.doc.Step(n)
	if err == nil {
		return target, true
	}
	var ref *load.RefError
	if !b.doc.Reported(n) && errors.As(err, &ref) {
		b.diags = append(b.diags, model.Diagnostic{Rule: ref.Rule, Pos: ref.Pos, Message: ref.Message, Help: ref.Help})
	}
	return nil, false
}

// name returns the name of n in $defs and sees to it that n gets there.
func (b *builder) name(n *load.Node, hint string) string {
	if name, ok := b.names[n]; ok {
		return name
	}
	if hint == "" {
		hint = nameOf(n.Location())
	}
	base := strings.Map(plain, hint)
	name := base
	for i := 2; b.defs[name] != nil; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	b.names[n] = name
	b.defs[name] = &def{node: n}
	b.pending = append(b.pending, n)
	return name
}

// nameOf makes a name from where a schema stands: the last word of its
// pointer, or its file's name.
func nameOf(location string) string {
	file, pointer, _ := strings.Cut(location, "#")
	if inside, ok := strings.CutPrefix(pointer, "/components/schemas/"); ok {
		return strings.ReplaceAll(inside, "/", ".")
	}
	if i := strings.LastIndexByte(pointer, '/'); i >= 0 {
		return pointer[i+1:]
	}
	base := path.Base(file)
	return strings.TrimSuffix(base, path.Ext(base))
}

// plain keeps names free of what a pointer or a URI would have to escape.
func plain(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
		return r
	}
	return '_'
}

// convertAll writes the defs that are pending, and those they refer to.
func (b *builder) convertAll() error {
	for len(b.pending) > 0 {
		n := b.pending[0]
		b.pending = b.pending[1:]
		d := b.defs[b.names[n]]
		var text bytes.Buffer
		w := &writer{builder: b, def: d, enc: jsontext.NewEncoder(&text)}
		w.schema(n, true, nil)
		if w.err != nil {
			return w.err
		}
		d.text = bytes.TrimSpace(text.Bytes())
	}
	return nil
}

// refuseLoops reports schemas that have to be checked against a value before
// they can be checked against that same value.
func (b *builder) refuseLoops() {
	const (
		entered = 1
		left    = 2
	)
	state := map[string]int{}
	var visit func(name string)
	visit = func(name string) {
		state[name] = entered
		for _, next := range b.defs[name].inPlace {
			switch state[next] {
			case 0:
				visit(next)
			case entered:
				b.errorf(RuleLoop, b.defs[name].node.Pos, "let one of the two leave out the other", "schema %s is made of itself, through %s", load.Quote(name), load.Quote(next))
			}
		}
		state[name] = left
	}
	for _, name := range slices.Sorted(maps.Keys(b.defs)) {
		if state[name] == 0 {
			visit(name)
		}
	}
}

// bytes prints the document, one def a line.
func (b *builder) bytes() []byte {
	var out bytes.Buffer
	out.WriteString(`{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{`)
	for i, name := range slices.Sorted(maps.Keys(b.defs)) {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "\n%q:%s", name, b.defs[name].text)
	}
	out.WriteString("\n}}\n")
	return out.Bytes()
}
