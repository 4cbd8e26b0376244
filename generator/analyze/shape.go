package analyze

import (
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// A typeSet is a set of JSON types. Integers are apart from other numbers, so
// that sets can be intersected.
type typeSet uint8

const (
	tString typeSet = 1 << iota
	tInteger
	tFraction
	tBoolean
	tArray
	tObject
	tNone typeSet = 0
	tAll          = tString | tInteger | tFraction | tBoolean | tArray | tObject
)

var typeNames = map[string]typeSet{
	"string": tString, "integer": tInteger, "number": tInteger | tFraction, "boolean": tBoolean,
	"array": tArray, "object": tObject, "null": tNone,
}

// names lists the types in a fixed order; a set of all is no list, since
// nothing is known then.
func (t typeSet) names() []string {
	if t == tAll {
		return nil
	}
	var out []string
	for _, n := range []struct {
		set  typeSet
		name string
	}{{tString, "string"}, {tInteger, "integer"}, {tBoolean, "boolean"}, {tArray, "array"}, {tObject, "object"}} {
		switch {
		case n.set == tInteger && t&tFraction != 0:
			out = append(out, "number")
		case t&n.set != 0:
			out = append(out, n.name)
		}
	}
	return out
}

// A shaper looks into schemas. It visits a schema once on each way down, so
// that schemas that contain themselves come to an end, and steps bounds the
// work for schemas that share parts many times over.
type shaper struct {
	a     *analyzer
	open  map[*load.Node]bool
	steps int
}

const maxShapeSteps = 10_000

func (a *analyzer) shaper() *shaper { return &shaper{a: a, open: map[*load.Node]bool{}} }

// enter follows n's $ref; false where n is being looked at already.
func (s *shaper) enter(n *load.Node) (*load.Node, bool) {
	if s.steps++; s.steps > maxShapeSteps || n == nil || s.open[n] {
		return nil, false
	}
	s.open[n] = true
	return n, true
}

// types says which JSON types a schema accepts, null apart.
func (s *shaper) types(n *load.Node) typeSet {
	n, ok := s.enter(n)
	if !ok {
		return tAll
	}
	defer delete(s.open, n)
	set := tAll
	if n.Ref() != nil {
		set &= s.refTypes(n)
		if s.a.doc.Version == "3.0" {
			return set // whatever stands beside a $ref is ignored there
		}
	}
	set &= declared(n)
	set &= values(n)
	for _, member := range []string{"oneOf", "anyOf"} {
		if list := n.Get(member); list.Is(load.Array) && len(list.Items) > 0 {
			union := tNone
			for _, it := range list.Items {
				union |= s.types(it)
			}
			set &= union
		}
	}
	if list := n.Get("allOf"); list.Is(load.Array) {
		for _, it := range list.Items {
			set &= s.types(it)
		}
	}
	if set == tAll {
		return implied(n)
	}
	return set
}

func (s *shaper) refTypes(n *load.Node) typeSet {
	target := s.a.resolve(n)
	if target == nil {
		return tAll
	}
	return s.types(target)
}

// declared reads type: a name, or since 3.1 a list of names.
func declared(n *load.Node) typeSet {
	t := n.Get("type")
	switch {
	case t.Is(load.String):
		if set, ok := typeNames[t.Text]; ok {
			return set
		}
	case t.Is(load.Array):
		set := tNone
		for _, it := range t.Items {
			set |= typeNames[it.Text]
		}
		return set
	}
	return tAll
}

// values reads enum and const.
func values(n *load.Node) typeSet {
	set := tAll
	if enum := n.Get("enum"); enum.Is(load.Array) {
		set = tNone
		for _, it := range enum.Items {
			set |= valueType(it)
		}
	}
	if c := n.Get("const"); c != nil {
		set &= valueType(c)
	}
	return set
}

func valueType(n *load.Node) typeSet {
	switch n.Kind {
	case load.String:
		return tString
	case load.Number:
		return tInteger | tFraction
	case load.Bool:
		return tBoolean
	case load.Array:
		return tArray
	case load.Object:
		return tObject
	}
	return tNone
}

// implied guesses what a schema without a type is about.
func implied(n *load.Node) typeSet {
	switch {
	case n.Get("properties") != nil:
		return tObject
	case n.Get("items") != nil:
		return tArray
	case n.Get("pattern") != nil || n.Get("minLength") != nil || n.Get("maxLength") != nil:
		return tString
	case n.Get("minimum") != nil || n.Get("maximum") != nil:
		return tInteger | tFraction
	}
	return tAll
}

// each calls f for n and for every schema that is part of it by $ref, allOf,
// anyOf or oneOf.
func (s *shaper) each(n *load.Node, f func(*load.Node)) {
	n, ok := s.enter(n)
	if !ok {
		return
	}
	defer delete(s.open, n)
	if n.Ref() != nil {
		s.each(s.a.resolve(n), f)
		if s.a.doc.Version == "3.0" {
			return
		}
	}
	f(n)
	for _, member := range []string{"allOf", "anyOf", "oneOf"} {
		if list := n.Get(member); list.Is(load.Array) {
			for _, it := range list.Items {
				s.each(it, f)
			}
		}
	}
}

// paramShape is the shape of a parameter, or of one member of a form. It is
// false for what a text cannot hold: objects, and arrays of anything but
// scalars. An object that is one of several choices is left out.
func (a *analyzer) paramShape(n *load.Node) (model.Shape, bool) {
	known, done := a.shapes[n]
	if !done {
		known.shape, known.ok = a.readParamShape(n)
		a.shapes[n] = known
	}
	return known.shape, known.ok
}

// A paramShape is what was found for a schema that parameters or forms share.
type paramShape struct {
	shape model.Shape
	ok    bool
}

func (a *analyzer) readParamShape(n *load.Node) (model.Shape, bool) {
	set := a.shaper().types(n)
	if set == tObject {
		return model.Shape{}, false
	}
	if set != tAll {
		set &^= tObject
	}
	shape := model.Shape{Types: set.names()}
	if set == tAll || set&tArray == 0 {
		return shape, true
	}
	items := tNone
	found := false
	inner := a.shaper()
	a.shaper().each(n, func(at *load.Node) {
		if it := at.Get("items"); it != nil {
			found = true
			items |= inner.types(it)
		}
	})
	if !found {
		items = tAll
	}
	if items != tAll {
		if items&^(tArray|tObject) == 0 && items != tNone {
			if set == tArray {
				return model.Shape{}, false
			}
			shape.Types = (set &^ tArray).names()
			return shape, true
		}
		items &^= tArray | tObject
	}
	shape.Items = &model.Shape{Types: items.names()}
	return shape, true
}

// formShape is the shape of a form's body: its members, each a scalar or an
// array of them. It is false where the schema is no such object.
func (a *analyzer) formShape(n *load.Node) (model.Shape, bool) {
	if a.shaper().types(n) != tObject {
		return model.Shape{}, false
	}
	shape := model.Shape{Types: []string{"object"}}
	good := true
	seen := map[string]bool{}
	a.shaper().each(n, func(at *load.Node) {
		props := at.Get("properties")
		if !props.Is(load.Object) {
			return
		}
		for _, m := range props.Members {
			if seen[m.Key] {
				continue
			}
			seen[m.Key] = true
			inner, ok := a.paramShape(m.Value)
			good = good && ok
			shape.Props = append(shape.Props, model.Prop{Name: m.Key, Shape: inner})
		}
	})
	return shape, good
}
