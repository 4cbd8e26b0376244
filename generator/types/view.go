package types

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gatewright/gatewright/generator/load"
)

// A view is what schemas that hold together say about the type: a schema, the
// parts of its allOf, and what they refer to, merged. The keywords of OpenAPI
// 3.0 and of JSON Schema 2020-12 are both understood, whatever the document's
// version is.
type view struct {
	b *builder

	types    []string // without null; nil: not said
	nullable bool
	format   string
	encoding string
	values   []*load.Node // enum, const
	hasEnum  bool
	titles   []string // of values, where each is a schema of its own
	props    []prop
	required []string
	extra    []*load.Node // additionalProperties
	anyExtra bool         // members that no keyword describes are kept
	items    []*load.Node
	array    bool
	object   bool
	unions   []*load.Node // oneOf or anyOf lists
	tag      *load.Node
	steps    int // schemas absorbed
}

// maxParts bounds how many schemas hold together as one: parts that are
// shared many times over would otherwise be read as often.
const maxParts = 2000

// A prop is one property with every schema that speaks of it.
type prop struct {
	name  string
	nodes []*load.Node
}

// absorb adds what n says. under are the schemas that led to it.
func (v *view) absorb(n *load.Node, under []*load.Node) error {
	if slices.Contains(under, n) || len(under) > maxNesting {
		return errNesting
	}
	if v.steps++; v.steps > maxParts {
		return fmt.Errorf("it is made of more than %d parts", maxParts)
	}
	under = append(under, n)
	if !n.Is(load.Object) {
		return nil
	}
	if n.Get("$dynamicRef") != nil || n.Get("$recursiveRef") != nil {
		return errors.New("$dynamicRef has no Go type")
	}
	if n.Ref() != nil {
		to, err := v.b.resolve(n)
		if err != nil {
			return err
		}
		if err := v.absorb(to, under); err != nil {
			return err
		}
		if v.b.doc.Version == "3.0" { // what stands beside $ref does not count there
			return nil
		}
	}
	if err := v.addType(n); err != nil {
		return err
	}
	v.addText(n)
	v.addEnum(n)
	v.addObject(n)
	v.addArray(n)
	if all := n.Get("allOf"); all.Is(load.Array) {
		for _, part := range all.Items {
			if err := v.absorb(part, under); err != nil {
				return err
			}
		}
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		if list := n.Get(key); list.Is(load.Array) {
			if err := v.addUnion(list, under); err != nil {
				return err
			}
		}
	}
	if d := n.Get("discriminator"); d.Is(load.Object) {
		v.tag = d
	}
	return nil
}

// addType narrows the types to those that n allows too.
func (v *view) addType(n *load.Node) error {
	v.nullable = v.nullable || n.True("nullable")
	var said []string
	switch t := n.Get("type"); {
	case t == nil:
		return nil
	case t.Is(load.String):
		said = []string{t.Text}
	case t.Is(load.Array):
		for _, it := range t.Items {
			said = append(said, it.Text)
		}
	}
	if i := slices.Index(said, "null"); i >= 0 {
		v.nullable = true
		said = slices.Delete(said, i, i+1)
		if len(said) == 0 {
			return nil
		}
	}
	if v.types == nil {
		v.types = said
		return nil
	}
	var both []string
	for _, t := range v.types {
		switch {
		case slices.Contains(said, t):
			both = append(both, t)
		case t == "number" && slices.Contains(said, "integer"), t == "integer" && slices.Contains(said, "number"):
			both = append(both, "integer")
		}
	}
	if both == nil {
		return fmt.Errorf("its parts ask for %s and for %s", load.Quote(v.types[0]), load.Quote(said[0]))
	}
	v.types = both
	return nil
}

func (v *view) addText(n *load.Node) {
	if f := n.Str("format"); f != "" {
		v.format = f
	}
	if e := n.Str("contentEncoding"); e != "" {
		v.encoding = e
	}
}

// addEnum takes the values of the enum or const; of two, those of the last.
func (v *view) addEnum(n *load.Node) {
	var found []*load.Node
	if e := n.Get("enum"); e.Is(load.Array) {
		found = e.Items
	} else if c := n.Get("const"); c != nil {
		found = []*load.Node{c}
	} else {
		return
	}
	v.values, v.titles, v.hasEnum = nil, nil, true
	for _, value := range found {
		if value.Is(load.Null) {
			v.nullable = true
			continue
		}
		v.values = append(v.values, value)
	}
}

func (v *view) addObject(n *load.Node) {
	if props := n.Get("properties"); props.Is(load.Object) {
		v.object = true
		for _, m := range props.Members {
			v.addProp(m.Key, m.Value)
		}
	}
	if req := n.Get("required"); req.Is(load.Array) {
		for _, r := range req.Items {
			v.required = append(v.required, r.Text)
		}
	}
	if n.Get("patternProperties").Is(load.Object) {
		v.object, v.anyExtra = true, true
	}
	switch more := n.Get("additionalProperties"); {
	case more.Is(load.Object) && shapes(more):
		v.object, v.extra = true, append(v.extra, more)
	case more.Is(load.Object), n.True("additionalProperties"):
		v.object, v.anyExtra = true, true
	}
}

func (v *view) addProp(name string, n *load.Node) {
	for i := range v.props {
		if v.props[i].name == name {
			v.props[i].nodes = v.b.together(v.props[i].nodes, n)
			return
		}
	}
	v.props = append(v.props, prop{name, []*load.Node{n}})
}

// together adds n to schemas that hold together, unless it leads where one of
// them leads.
func (b *builder) together(nodes []*load.Node, n *load.Node) []*load.Node {
	to, err := b.doc.Resolve(n)
	for _, other := range nodes {
		if at, otherErr := b.doc.Resolve(other); err == nil && otherErr == nil && at == to {
			return nodes
		}
	}
	return append(slices.Clone(nodes), n)
}

func (v *view) addArray(n *load.Node) {
	switch items := n.Get("items"); {
	case n.Get("prefixItems") != nil:
		v.array = true
	case items.Is(load.Object):
		v.array, v.items = true, append(v.items, items)
	case items != nil:
		v.array = true
	}
}

// addUnion reads a oneOf or anyOf list. Alternatives that only allow null or
// say nothing of the type are no alternatives in Go; a single one holds as if
// it stood in allOf.
func (v *view) addUnion(list *load.Node, under []*load.Node) error {
	members, anything := v.b.alternatives(list, v)
	switch {
	case len(members) == 0:
		return nil
	case anything:
		// What is not described is not refused either: the members that
		// say more describe what may be found.
		return v.addLoose(list, members, under)
	case len(members) == 1:
		return v.absorb(members[0], under)
	}
	v.unions = append(v.unions, list)
	return nil
}

// addLoose takes a list in which some alternative says nothing of the type.
func (v *view) addLoose(list *load.Node, members []*load.Node, under []*load.Node) error {
	if len(v.props) > 0 || v.object {
		v.unions = append(v.unions, list)
		return nil
	}
	return errors.New("one of its alternatives says nothing of the type")
}

// alternatives returns the members of a oneOf or anyOf that shape a type, and
// whether there are others. Alternatives for null make v nullable.
func (b *builder) alternatives(list *load.Node, v *view) (members []*load.Node, anything bool) {
	for _, m := range list.Items {
		to, err := b.doc.Resolve(m)
		switch {
		case err == nil && onlyNull(to):
			v.nullable = true
		case !shapes(m):
			anything = true
		default:
			members = append(members, m)
		}
	}
	return members, anything
}

// onlyNull tells whether null is the only value of n.
func onlyNull(n *load.Node) bool {
	if n.Str("type") == "null" {
		return true
	}
	if c := n.Get("const"); c != nil {
		return c.Is(load.Null)
	}
	e := n.Get("enum")
	return e.Is(load.Array) && len(e.Items) == 1 && e.Items[0].Is(load.Null)
}
