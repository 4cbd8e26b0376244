package types

import (
	"github.com/getkin/kin-openapi/openapi3"
)

// document writes the declarations as an OpenAPI 3.0 document of nothing but
// component schemas. Nothing stands inside another schema that would need a
// name, and no text of the user's document is in it that does not fit Go
// source. Only the first full declarations are written in full, the others as
// raw JSON.
func document(decls []*decl, full int) *openapi3.T {
	schemas := openapi3.Schemas{}
	for i, d := range decls {
		ref := &openapi3.SchemaRef{}
		switch {
		case i >= full:
			ref = use{}.schema()
		case d.form == otherName:
			ref = d.same.schema()
		case d.form == enumeration:
			ref = d.enumeration()
		default:
			ref = d.object()
		}
		ref.Value.Nullable = false // of a name, null is no value: of its uses it is
		ref.Value.Description = d.comment()
		ref.Value.Deprecated = d.deprecated
		ref.Value.Extensions = deprecation
		if ref.Extensions == nil {
			ref.Extensions = map[string]any{}
		}
		ref.Extensions["x-order"] = float64(i)
		schemas[d.name] = ref
	}
	return &openapi3.T{OpenAPI: "3.0.3", Components: &openapi3.Components{Schemas: schemas}}
}

var deprecation = map[string]any{"x-deprecated-reason": "the document says so."}

// schema writes a use as a schema.
func (u use) schema() *openapi3.SchemaRef {
	s := &openapi3.Schema{Nullable: u.nullable}
	ref := &openapi3.SchemaRef{Value: s}
	switch u.kind {
	case rawUse:
		// No pointer stands before raw JSON: null is a value of it.
		s.Type, s.Format, s.Nullable = &openapi3.Types{"string"}, rawFormat, false
	case scalarUse:
		s.Type, s.Format = &openapi3.Types{u.typ}, u.format
	case namedUse:
		ref.Ref = "#/components/schemas/" + u.decl.name
	case listUse:
		s.Type, s.Items = &openapi3.Types{"array"}, u.elem.schema()
	case dictUse:
		s.Type = &openapi3.Types{"object"}
		s.AdditionalProperties = openapi3.BoolSchema{Schema: u.elem.schema()}
	}
	return ref
}

func (d *decl) enumeration() *openapi3.SchemaRef {
	ref := d.base.schema()
	var suffixes []any
	for _, v := range d.values {
		ref.Value.Enum = append(ref.Value.Enum, v.value)
		suffixes = append(suffixes, v.suffix)
	}
	ref.Extensions = map[string]any{"x-enum-varnames": suffixes}
	return ref
}

func (d *decl) object() *openapi3.SchemaRef {
	s := &openapi3.Schema{Properties: openapi3.Schemas{}}
	if d.form == structure {
		s.Type = &openapi3.Types{"object"}
	}
	for i, f := range d.fields {
		ref := f.use.schema()
		ref.Value.Nullable = f.use.nullable || f.boxed
		ref.Value.Description = f.doc
		ref.Value.Deprecated = f.deprecated
		ref.Extensions = map[string]any{
			"x-go-name":                       f.name,
			"x-order":                         float64(i),
			"x-go-type-skip-optional-pointer": !f.pointer(),
			"x-deprecated-reason":             deprecation["x-deprecated-reason"],
		}
		s.Properties[f.json] = ref
		if f.required {
			s.Required = append(s.Required, f.json)
		}
	}
	if d.extra != nil {
		s.AdditionalProperties = openapi3.BoolSchema{Schema: d.extra.schema()}
	}
	for _, m := range d.members {
		s.OneOf = append(s.OneOf, use{kind: namedUse, decl: m}.schema())
	}
	if d.tag != nil {
		s.Discriminator = &openapi3.Discriminator{PropertyName: d.tag.property, Mapping: map[string]openapi3.MappingRef{}}
		for _, m := range d.tag.mapping {
			s.Discriminator.Mapping[m.value] = openapi3.MappingRef{Ref: "#/components/schemas/" + m.member.name}
		}
	}
	return &openapi3.SchemaRef{Value: s}
}
