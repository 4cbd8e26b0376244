package types

import (
	"fmt"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/name"
)

// A builder reads schemas into declarations.
type builder struct {
	doc     *load.Document
	names   name.Set // of the package: types and constants
	decls   []*decl
	places  map[string]*decl // by location of the schema
	pending []*decl          // named, but not read yet
	diags   []model.Diagnostic
	warned  map[model.Position]bool
}

func newBuilder(doc *load.Document, reserved []string) *builder {
	b := &builder{doc: doc, places: map[string]*decl{}, warned: map[model.Position]bool{}}
	b.names.Reserve(reserved...)
	return b
}

// warn says that a schema became raw JSON, once a place.
func (b *builder) warn(pos model.Position, subject, why string) {
	if b.warned[pos] {
		return
	}
	b.warned[pos] = true
	b.diags = append(b.diags, model.Diagnostic{
		Rule:     RuleUntyped,
		Severity: model.Warning,
		Pos:      pos,
		Subject:  subject,
		Message:  "this schema becomes raw JSON (jsontext.Value) in Go: " + why,
		Help:     "requests are validated against it all the same",
		Excerpt:  b.doc.Excerpt(pos),
	})
}

// components declares every component schema of the document. All are named
// before the first is read, so that none loses its name to a schema that
// stands inside another.
func (b *builder) components() {
	schemas := b.doc.Root.Get("components").Get("schemas")
	if !schemas.Is(load.Object) {
		return
	}
	for _, m := range schemas.Members {
		d := b.declare(m.Value, m.Key)
		d.source = m.Key
	}
	b.read()
}

// declare makes a declaration of a schema that is to be read later.
func (b *builder) declare(n *load.Node, want string) *decl {
	d := &decl{
		name:     b.names.Unique(goName(want)),
		location: n.Location(),
		pos:      n.Pos,
		nullable: b.nullable(n, map[*load.Node]bool{}),
	}
	b.decls = append(b.decls, d)
	b.places[d.location] = d
	b.pending = append(b.pending, d)
	return d
}

// read fills the declarations that are pending, and those they name.
func (b *builder) read() {
	for len(b.pending) > 0 {
		d := b.pending[0]
		b.pending = b.pending[1:]
		b.fill(d, []*load.Node{b.doc.At(d.location)})
	}
}

// fill reads what all nodes together say into d.
func (b *builder) fill(d *decl, nodes []*load.Node) {
	u, err := b.body(nodes, d.name, d)
	if err != nil {
		b.warn(d.pos, d.label(), err.Error())
		d.giveUp()
	} else if u.kind != namedUse || u.decl != d {
		d.form, d.same = otherName, u
	}
	if d.doc == "" {
		d.doc = describe(nodes)
	}
	d.deprecated = d.deprecated || nodes[0].True("deprecated")
}

// use gives the type for a place where all of nodes hold. A type that needs a
// declaration of its own is named hint.
func (b *builder) use(nodes []*load.Node, hint string) use {
	u, err := b.body(nodes, hint, nil)
	if err != nil {
		pos := model.Position{}
		if len(nodes) > 0 {
			pos = nodes[0].Pos
		}
		b.warn(pos, hint, err.Error())
		return use{}
	}
	return u
}

// body gives the type that all of nodes together mean. Where into is given,
// that is the declaration to fill; otherwise one is made if needed.
func (b *builder) body(nodes []*load.Node, hint string, into *decl) (use, error) {
	nodes, nullable, err := b.unwrap(nodes)
	if err != nil {
		return use{}, err
	}
	if len(nodes) == 0 {
		return use{nullable: nullable}, nil
	}
	if len(nodes) == 1 {
		if target, err := b.target(nodes[0]); err != nil {
			return use{}, err
		} else if target != nil && target != into {
			return use{kind: namedUse, decl: target, nullable: nullable || target.nullable}, nil
		}
		if d := b.places[nodes[0].Location()]; d != nil && d != into {
			return use{kind: namedUse, decl: d, nullable: nullable || d.nullable}, nil
		}
	}
	v := &view{b: b}
	for _, n := range nodes {
		if err := v.absorb(n, nil); err != nil {
			return use{}, err
		}
	}
	u, err := b.shape(v, nodes, hint, into)
	u.nullable = u.nullable || nullable || v.nullable
	return u, err
}

// target returns the declaration that a plain reference leads to, or nil if n
// is none.
func (b *builder) target(n *load.Node) (*decl, error) {
	if n.Ref() == nil || b.doc.Version != "3.0" && shapesBeside(n) {
		return nil, nil
	}
	to, err := b.resolve(n)
	if err != nil {
		return nil, err
	}
	if !to.Is(load.Object) {
		return nil, nil
	}
	if d := b.places[to.Location()]; d != nil {
		return d, nil
	}
	source := placeName(to.Location())
	d := b.declare(to, source)
	d.source = source
	return d, nil
}

// resolve follows n's $ref.
func (b *builder) resolve(n *load.Node) (*load.Node, error) {
	to, err := b.doc.Resolve(n)
	if err != nil {
		return nil, fmt.Errorf("its $ref %s cannot be followed", load.Quote(n.Str("$ref")))
	}
	return to, nil
}

// hoist makes a declaration for a schema that stands inside another or in an
// operation. hint is an identifier.
func (b *builder) hoist(nodes []*load.Node, hint string) *decl {
	d := &decl{name: b.names.Unique(cased(hint)), location: nodes[0].Location(), pos: nodes[0].Pos}
	b.decls = append(b.decls, d)
	if len(nodes) == 1 {
		b.places[d.location] = d
		d.nullable = b.nullable(nodes[0], map[*load.Node]bool{})
	}
	return d
}

// describe gives the first description among nodes as a comment.
func describe(nodes []*load.Node) string {
	for _, n := range nodes {
		if text := n.Str("description"); text != "" {
			return comment(text)
		}
	}
	for _, n := range nodes {
		if text := n.Str("title"); text != "" {
			return comment(text)
		}
	}
	return ""
}
