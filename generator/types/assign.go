package types

import (
	"fmt"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// An assignment is a schema of the API with its type.
type assignment struct {
	schema *model.Schema
	use    use
}

// assign reads every schema that api's operations name. The result writes
// their Go types; it is to be called when no declaration changes any more.
func (b *builder) assign(api *model.API) (apply func(), err error) {
	var todo []assignment
	add := func(s *model.Schema) {
		if err != nil {
			return
		}
		n := b.doc.At(s.Location)
		if n == nil {
			err = fmt.Errorf("types: there is no schema at %q", s.Location)
			return
		}
		todo = append(todo, assignment{s, b.expressible(n, s.Hint)})
	}
	for i := range api.Operations {
		op := &api.Operations[i]
		for j := range op.Params {
			add(&op.Params[j].Schema)
		}
		if op.Body != nil {
			addContents(op.Body.Contents, add)
		}
		for j := range op.Responses {
			for k := range op.Responses[j].Headers {
				add(&op.Responses[j].Headers[k].Schema)
			}
			addContents(op.Responses[j].Contents, add)
		}
	}
	b.read()
	return func() {
		for _, a := range todo {
			a.schema.Go = a.use.goType()
		}
	}, err
}

// addContents adds the schemas of contents that are read into or written from
// Go values. Text is a string whatever its schema says, and streams need no
// type.
func addContents(contents []model.Content, add func(*model.Schema)) {
	for i := range contents {
		c := &contents[i]
		switch {
		case c.Schema == nil:
		case c.Kind == model.JSON || c.Kind == model.Form:
			add(c.Schema)
		case c.Kind == model.Text:
			c.Schema.Go = model.GoType{Name: "string"}
		}
	}
}

// expressible gives a type that model.GoType can say; others get a
// declaration.
func (b *builder) expressible(n *load.Node, hint string) use {
	nodes := []*load.Node{n}
	u := b.use(nodes, hint)
	elem := &u
	for elem.kind == listUse {
		elem = elem.elem
		if elem.nullable && elem.kind != rawUse {
			return b.named(nodes, hint, u)
		}
	}
	if elem.kind == dictUse {
		return b.named(nodes, hint, u)
	}
	return u
}

// named declares a type under a name of its own.
func (b *builder) named(nodes []*load.Node, hint string, u use) use {
	d := b.hoist(nodes, hint)
	d.same, d.doc = u, describe(nodes)
	return use{kind: namedUse, decl: d}
}

// goType writes a use as the other generated files do.
func (u use) goType() model.GoType {
	switch u.kind {
	case scalarUse:
		return goScalars[u.typ+" "+u.format]
	case namedUse:
		return model.GoType{Name: u.decl.name, Nillable: u.decl.nillable()}
	case listUse:
		g := u.elem.goType()
		g.Slices++
		g.Nillable = true
		return g
	}
	return model.GoType{Path: jsontextPath, Name: "Value", Nillable: true}
}
