package types

import (
	"errors"
	"slices"

	"github.com/gatewright/gatewright/generator/load"
)

// shaping are the keywords that decide what Go type a schema has. A schema
// without any of them accepts whatever the others beside it do.
var shaping = []string{
	"$ref", "$dynamicRef", "$recursiveRef", "type", "format", "contentEncoding", "enum", "const", "properties", "additionalProperties",
	"patternProperties", "items", "prefixItems", "allOf", "oneOf", "anyOf",
}

// shapes tells whether n says anything about the type.
func shapes(n *load.Node) bool {
	return slices.ContainsFunc(shaping, func(k string) bool { return n.Get(k) != nil })
}

// shapesBeside tells whether n says anything about the type beside its $ref.
func shapesBeside(n *load.Node) bool {
	return slices.ContainsFunc(shaping, func(k string) bool { return k != "$ref" && k != "type" && n.Get(k) != nil })
}

// unwrap takes off what only wraps a schema: an allOf with nothing beside it
// (the way to add a description or nullable to a $ref in OpenAPI 3.0), a
// choice between one schema and null (the way of 3.1), and schemas that say nothing about the type.
func (b *builder) unwrap(nodes []*load.Node) (out []*load.Node, nullable bool, err error) {
	return b.unwrapTo(nodes, 0)
}

// maxNesting bounds how deep schemas are looked into before they are read.
const maxNesting = 64

var errNesting = errors.New("it leads back to itself")

func (b *builder) unwrapTo(nodes []*load.Node, depth int) (out []*load.Node, nullable bool, err error) {
	if depth > maxNesting {
		return nil, false, errNesting
	}
	for _, n := range nodes {
		inner, null, wraps := b.wrapped(n)
		nullable = nullable || null
		if !wraps {
			if shapes(n) {
				out = append(out, n)
			}
			continue
		}
		inner, null, err := b.unwrapTo(inner, depth+1)
		if err != nil {
			return nil, false, err
		}
		nullable = nullable || null
		out = append(out, inner...)
	}
	return out, nullable, nil
}

// wrapped returns what n only wraps: the parts of its allOf, or the one
// alternative to null.
func (b *builder) wrapped(n *load.Node) (inner []*load.Node, nullable, ok bool) {
	nullable = n.True("nullable")
	if all := n.Get("allOf"); all.Is(load.Array) && onlyShape(n, "allOf") {
		return all.Items, nullable, true
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		list := n.Get(key)
		if !list.Is(load.Array) || !onlyShape(n, key) {
			continue
		}
		var v view
		if members, anything := b.alternatives(list, &v); len(members) == 1 && !anything {
			return members, nullable || v.nullable, true
		}
	}
	return nil, nullable, false
}

// onlyShape tells whether nothing but the keyword shapes n's type. A type
// beside it that repeats what the parts say does not.
func onlyShape(n *load.Node, keyword string) bool {
	for _, k := range shaping {
		if k != keyword && k != "type" && n.Get(k) != nil {
			return false
		}
	}
	t := n.Get("type")
	return (t == nil || t.Is(load.String)) && n.Get("required") == nil
}

// nullable tells whether null is a value of the schema as far as that shows
// without reading what it refers to. seen are the schemas that were looked at
// before.
func (b *builder) nullable(n *load.Node, seen map[*load.Node]bool) bool {
	if seen[n] {
		return false
	}
	seen[n] = true
	if n.Ref() != nil {
		to, err := b.doc.Resolve(n)
		return err == nil && b.nullable(to, seen)
	}
	if n.True("nullable") || n.Str("type") == "null" || n.Get("const").Is(load.Null) && n.Get("const") != nil {
		return true
	}
	if t := n.Get("type"); t.Is(load.Array) {
		return slices.ContainsFunc(t.Items, func(i *load.Node) bool { return i.Text == "null" })
	}
	if e := n.Get("enum"); e.Is(load.Array) && slices.ContainsFunc(e.Items, func(i *load.Node) bool { return i.Is(load.Null) }) {
		return true
	}
	for _, key := range []string{"allOf", "oneOf", "anyOf"} {
		list := n.Get(key)
		if list.Is(load.Array) && slices.ContainsFunc(list.Items, func(i *load.Node) bool { return b.nullable(i, seen) }) {
			return true
		}
	}
	return false
}
