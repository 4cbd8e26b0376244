package types

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/name"
)

// shape gives the type of what v says, which it read from nodes.
func (b *builder) shape(v *view, nodes []*load.Node, hint string, into *decl) (use, error) {
	if len(v.unions) > 0 {
		return b.union(v, nodes, hint, into)
	}
	types := v.types
	if types == nil {
		types = v.implied()
	}
	if len(types) == 2 && slices.Contains(types, "integer") && slices.Contains(types, "number") {
		types = []string{"number"}
	}
	switch {
	case len(types) == 0:
		return use{}, nil
	case len(types) > 1:
		return b.variants(v, types, nodes, hint, into)
	}
	switch t := types[0]; t {
	case "string", "integer":
		if v.hasEnum {
			return b.enum(v, t, nodes, hint, into)
		}
		return v.scalar(t), nil
	case "number", "boolean":
		return v.scalar(t), nil
	case "array":
		elem := use{}
		if len(v.items) > 0 {
			elem = b.use(v.items, hint+"Item")
		}
		return use{kind: listUse, elem: &elem}, nil
	case "object":
		return b.object(v, nodes, hint, into)
	default:
		return use{}, fmt.Errorf("%s is no type of JSON Schema", load.Quote(t))
	}
}

// implied gives the type of a schema that says none but has keywords of one.
func (v *view) implied() []string {
	switch {
	case v.object:
		return []string{"object"}
	case v.array:
		return []string{"array"}
	case len(v.values) == 0:
		return nil
	}
	kind := v.values[0].Kind
	for _, value := range v.values {
		if value.Kind != kind {
			return nil
		}
	}
	switch kind {
	case load.String:
		return []string{"string"}
	case load.Bool:
		return []string{"boolean"}
	case load.Number:
		for _, value := range v.values {
			if _, err := strconv.ParseInt(value.Text, 10, 64); err != nil {
				return []string{"number"}
			}
		}
		return []string{"integer"}
	}
	return nil
}

// scalar gives the Go type of a string, number or boolean. Formats that have
// no type of their own are left out.
func (v *view) scalar(t string) use {
	u := use{kind: scalarUse, typ: t}
	if _, ok := goScalars[t+" "+v.format]; ok {
		u.format = v.format
	}
	if t == "string" && v.encoding == "base64" {
		u.format = "byte"
	}
	return u
}

// enum declares the values of a string or integer.
func (b *builder) enum(v *view, t string, nodes []*load.Node, hint string, into *decl) (use, error) {
	base := v.scalar(t)
	if t == "string" {
		base.format = ""
	}
	var values []any
	for _, n := range v.values {
		switch {
		case t == "string" && n.Is(load.String) && plainValue(n.Text):
			values = append(values, n.Text)
		case t == "integer" && n.Is(load.Number) && fits(n.Text, base.format):
			i, _ := strconv.ParseInt(n.Text, 10, 64)
			values = append(values, i)
		default:
			return base, nil // values that cannot be constants: the type alone
		}
	}
	if len(values) == 0 {
		return base, nil
	}
	d := into
	if d == nil {
		d = b.hoist(nodes, hint)
	}
	d.form, d.base, d.doc = enumeration, base, describe(nodes)
	seen := map[any]bool{}
	for i, value := range values {
		if seen[value] {
			continue
		}
		seen[value] = true
		word := fmt.Sprint(value)
		if len(v.titles) == len(values) {
			word = v.titles[i]
		}
		constant := b.names.Unique(d.name + valueName(word))
		d.values = append(d.values, enumValue{constant[len(d.name):], value})
	}
	return use{kind: namedUse, decl: d}, nil
}

// plainValue tells whether s may be the value of a constant that oapi-codegen
// prints.
func plainValue(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsAny(s, "\"`\\") && !strings.ContainsFunc(s, invisible)
}

// fits tells whether an integer literal is one of the Go type of the format.
func fits(text, format string) bool {
	bits := 64
	switch format {
	case "int8":
		bits = 8
	case "int16", "uint16":
		bits = 16
	case "int32", "uint32":
		bits = 32
	}
	if len(format) > 0 && format[0] == 'u' {
		i, err := strconv.ParseUint(text, 10, bits)
		return err == nil && i < 1<<63
	}
	_, err := strconv.ParseInt(text, 10, bits)
	return err == nil
}

// valueName gives what follows the type's name in that of a constant.
func valueName(value string) string {
	switch {
	case value == "":
		return "Empty"
	case value[0] == '-' && len(value) > 1:
		return "Minus" + goName(value[1:])
	case value[0] == '+' && len(value) > 1:
		return "Plus" + goName(value[1:])
	}
	return goName(value)
}

// object gives a map where no member is known, and declares a struct
// otherwise.
func (b *builder) object(v *view, nodes []*load.Node, hint string, into *decl) (use, error) {
	if len(v.props) == 0 {
		elem := use{}
		if len(v.extra) > 0 && !v.anyExtra {
			elem = b.use(v.extra, hint+"Value")
		}
		return use{kind: dictUse, elem: &elem}, nil
	}
	if p := v.unspeakable(); p != nil {
		return use{}, fmt.Errorf("the name of its member %s cannot stand in a struct tag", load.Quote(p.name))
	}
	d := into
	if d == nil {
		d = b.hoist(nodes, hint)
	}
	d.form, d.doc = structure, describe(nodes)
	switch {
	case v.anyExtra:
		d.extra = &use{}
	case len(v.extra) > 0:
		elem := b.use(v.extra, hint+"Value")
		d.extra = &elem
	}
	b.fields(d, v, "AdditionalProperties")
	return use{kind: namedUse, decl: d}, nil
}

// unspeakable returns a property whose name cannot stand in a struct tag.
func (v *view) unspeakable() *prop {
	for i, p := range v.props {
		if p.name == "" || p.name == "-" || !plain(p.name) {
			return &v.props[i]
		}
	}
	return nil
}

// fields gives d its fields, none of them named as one of taken.
func (b *builder) fields(d *decl, v *view, taken ...string) {
	var names name.Set
	names.Reserve("MarshalJSON", "UnmarshalJSON")
	names.Reserve(taken...)
	for _, p := range v.props {
		f := field{name: names.Unique(goName(p.name)), json: p.name, doc: describe(p.nodes)}
		f.deprecated = slices.ContainsFunc(p.nodes, func(n *load.Node) bool { return n.True("deprecated") })
		// What may only be sent by the caller is not in every answer.
		writeOnly := slices.ContainsFunc(p.nodes, func(n *load.Node) bool { return n.True("writeOnly") })
		f.required = slices.Contains(v.required, p.name) && !writeOnly
		f.use = b.use(p.nodes, d.name+f.name)
		d.fields = append(d.fields, f)
	}
}
