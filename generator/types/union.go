package types

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
)

// union gives the type of a schema with a oneOf or anyOf list of more than
// one alternative.
func (b *builder) union(v *view, nodes []*load.Node, hint string, into *decl) (use, error) {
	if len(v.unions) > 1 {
		return use{}, errors.New("it has more than one list of alternatives")
	}
	members, _ := b.alternatives(v.unions[0], v)
	if len(v.props) == 0 && !v.object {
		if simple := b.scalars(v, members); simple != nil {
			return b.shape(simple, nodes, hint, into)
		}
	}
	if p := v.unspeakable(); p != nil {
		return use{}, errors.New("the name of its member " + load.Quote(p.name) + " cannot stand in a struct tag")
	}
	d := into
	if d == nil {
		d = b.hoist(nodes, hint)
	}
	d.form, d.doc = union, describe(nodes)
	inline := false
	for i, m := range members {
		member, err := b.target(m)
		if err != nil {
			d.giveUp()
			return use{}, err
		}
		if member == nil {
			inline = true
			member = b.member(m, d.name, i)
		}
		if member == d {
			d.giveUp()
			return use{}, errNesting
		}
		d.nullable = d.nullable || member.nullable
		if !slices.Contains(d.members, member) {
			d.members = append(d.members, member)
		}
	}
	taken := []string{"Discriminator", "ValueByDiscriminator"}
	for _, m := range d.members {
		taken = append(taken, "As"+m.name, "From"+m.name)
	}
	if !inline && v.tag != nil {
		d.tag = discriminate(v.tag, d.members)
	}
	b.fields(d, v, taken...)
	return use{kind: namedUse, decl: d, nullable: d.nullable}, nil
}

// variants gives the type of a schema with a list of types: a union with one
// member each.
func (b *builder) variants(v *view, types []string, nodes []*load.Node, hint string, into *decl) (use, error) {
	d := into
	if d == nil {
		d = b.hoist(nodes, hint)
	}
	d.form, d.doc = union, describe(nodes)
	for _, t := range types {
		one := *v
		one.types = []string{t}
		m := &decl{name: b.names.Unique(d.name + goName(t)), location: d.location, pos: d.pos, doc: "is " + d.name + " where that is of type " + t + "."}
		u, err := b.shape(&one, nodes, m.name, m)
		if err != nil {
			d.giveUp()
			return use{}, err
		}
		if u.kind != namedUse || u.decl != m {
			m.same = u
		}
		b.decls = append(b.decls, m)
		d.members = append(d.members, m)
	}
	return use{kind: namedUse, decl: d}, nil
}

// member declares an alternative that is written where it is used.
func (b *builder) member(n *load.Node, parent string, i int) *decl {
	word := n.Str("title")
	if word == "" {
		word = n.Str("type")
	}
	if word == "" || strings.ContainsFunc(word, invisible) || len(word) > 40 {
		word = "Option" + strconv.Itoa(i+1)
	}
	if d := b.places[n.Location()]; d != nil {
		return d
	}
	d := b.hoist([]*load.Node{n}, parent+goName(word))
	b.fill(d, []*load.Node{n})
	return d
}

// scalars merges alternatives that are all strings or all numbers into one
// view, or returns nil. Alternatives of one value each, perhaps with titles,
// are an enumeration (the idiom of OpenAPI 3.1).
func (b *builder) scalars(outer *view, members []*load.Node) *view {
	all := &view{b: b, nullable: outer.nullable, hasEnum: true}
	for _, m := range members {
		v := &view{b: b}
		if err := v.absorb(m, nil); err != nil || len(v.unions) > 0 {
			return nil
		}
		types := v.types
		if types == nil {
			types = outer.types
		}
		if types == nil {
			types = v.implied()
		}
		if len(types) != 1 || !slices.Contains([]string{"string", "integer", "number", "boolean"}, types[0]) {
			return nil
		}
		switch t := types[0]; {
		case all.types == nil || all.types[0] == t:
			all.types = types
		case t == "number" && all.types[0] == "integer", t == "integer" && all.types[0] == "number":
			all.types = []string{"number"}
		default:
			return nil
		}
		all.nullable = all.nullable || v.nullable
		all.hasEnum = all.hasEnum && v.hasEnum
		if t := m.Str("title"); t != "" && len(v.values) == 1 {
			all.titles = append(all.titles, t)
		}
		all.values = append(all.values, v.values...)
	}
	if len(all.titles) != len(all.values) {
		all.titles = nil
	}
	return all
}

// discriminate reads a discriminator. Values for schemas that are none of the
// members are left out, and so is a discriminator that cannot be written.
func discriminate(n *load.Node, members []*decl) *discriminator {
	d := &discriminator{property: n.Str("propertyName")}
	if d.property == "" || !plain(d.property) {
		return nil
	}
	mapped := map[*decl]bool{}
	values := map[string]bool{}
	add := func(value string, member *decl) bool {
		if !plain(value) || values[value] {
			return false
		}
		values[value], mapped[member] = true, true
		d.mapping = append(d.mapping, mapping{value, member})
		return true
	}
	if m := n.Get("mapping"); m.Is(load.Object) {
		for _, entry := range m.Members {
			for _, member := range members {
				if member.source == lastWord(entry.Value.Text) && !add(entry.Key, member) {
					return nil
				}
			}
		}
	}
	for _, member := range members {
		if !mapped[member] && (member.source == "" || !add(member.source, member)) {
			return nil
		}
	}
	return d
}

// lastWord gives the name that a discriminator's mapping refers to: the last
// part of a reference, or the name of a component as it is.
func lastWord(ref string) string {
	if i := strings.LastIndexAny(ref, "/"); i >= 0 {
		ref = ref[i+1:]
	}
	if word, err := url.PathUnescape(ref); err == nil {
		ref = word
	}
	for _, ext := range []string{".yaml", ".yml", ".json"} {
		ref = strings.TrimSuffix(ref, ext)
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(ref)
}
