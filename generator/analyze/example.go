package analyze

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/generator/load"
)

// Bounds of an example that is made up: how deep it is, from how many schemas
// it comes and how long it is. Beyond them there is none.
const (
	maxExampleDepth = 8
	maxExampleSteps = 500
	maxExampleBytes = 64 << 10
)

// A sampler makes up one example.
type sampler struct {
	*analyzer
	steps int
	types *shaper // its work, too, is bounded for the example as a whole
}

// example returns the JSON text of a value for a parameter or media type:
// what the document gives as an example, or else the least that its schema
// asks for. "" where neither is to be had, as for a pattern without an example.
func (a *analyzer) example(holder *load.Node) string {
	if v := holder.Get("example"); v != nil {
		return string(appendJSON(nil, v))
	}
	if named := holder.Get("examples"); named.Is(load.Object) && len(named.Members) > 0 {
		if v := a.quietly(named.Members[0].Value).Get("value"); v != nil {
			return string(appendJSON(nil, v))
		}
	}
	s := &sampler{analyzer: a, types: a.shaper()}
	text, ok := s.sample(nil, holder.Get("schema"), 0)
	if !ok || s.types.steps > maxShapeSteps {
		return ""
	}
	return string(text)
}

// quietly resolves a reference; where it leads nowhere that is no finding,
// since nothing but an example depends on it.
func (a *analyzer) quietly(n *load.Node) *load.Node {
	if n == nil {
		return nil
	}
	to, err := a.doc.Resolve(n)
	if err != nil {
		return nil
	}
	return to
}

// sample appends a value that a schema is likely to take.
func (a *sampler) sample(b []byte, schema *load.Node, depth int) ([]byte, bool) {
	if a.steps++; depth > maxExampleDepth || a.steps > maxExampleSteps || len(b) > maxExampleBytes {
		return b, false
	}
	schema = a.quietly(schema)
	if schema == nil {
		return append(b, "null"...), true
	}
	for _, key := range []string{"example", "default", "const"} {
		if v := schema.Get(key); v != nil {
			return appendJSON(b, v), true
		}
	}
	for _, key := range []string{"examples", "enum"} {
		if v := schema.Get(key); v.Is(load.Array) && len(v.Items) > 0 {
			return appendJSON(b, v.Items[0]), true
		}
	}
	for _, key := range []string{"oneOf", "anyOf", "allOf"} {
		// Of an allOf only a single schema says it all.
		if v := schema.Get(key); v.Is(load.Array) && len(v.Items) > 0 && (key != "allOf" || len(v.Items) == 1) && schema.Get("properties") == nil {
			return a.sample(b, v.Items[0], depth+1)
		}
	}
	if schema.Get("allOf") != nil || schema.Get("not") != nil || schema.Get("if") != nil {
		return b, false
	}
	types := a.types.types(schema).names()
	switch {
	case slices.Contains(types, "object"):
		return a.sampleObject(b, schema, depth)
	case slices.Contains(types, "array"):
		if n := schema.Get("minItems"); n.Is(load.Number) && n.Text != "0" {
			b = append(b, '[')
			b, ok := a.sample(b, schema.Get("items"), depth+1)
			return append(b, ']'), ok && n.Text == "1"
		}
		return append(b, "[]"...), true
	case slices.Contains(types, "string"):
		return sampleString(b, schema)
	case slices.Contains(types, "boolean"):
		return append(b, "true"...), true
	case slices.Contains(types, "integer"), slices.Contains(types, "number"):
		return sampleNumber(b, schema)
	}
	return append(b, "{}"...), true
}

// sampleObject gives an object its required members and no other.
func (a *sampler) sampleObject(b []byte, schema *load.Node, depth int) ([]byte, bool) {
	b = append(b, '{')
	if required := schema.Get("required"); required.Is(load.Array) {
		for i, name := range required.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, name.Text), ':')
			var ok bool
			if b, ok = a.sample(b, schema.Get("properties").Get(name.Text), depth+1); !ok {
				return b, false
			}
		}
	}
	return append(b, '}'), true
}

func sampleString(b []byte, schema *load.Node) ([]byte, bool) {
	byFormat := map[string]string{
		"date-time": "2030-01-31T12:00:00Z", "date": "2030-01-31", "time": "12:00:00Z",
		"uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "email": "someone@example.com",
		"uri": "https://example.com/", "url": "https://example.com/", "hostname": "example.com",
		"ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "byte": "ZXhhbXBsZQ==",
	}
	text := "example"
	if v, ok := byFormat[schema.Str("format")]; ok {
		text = v
	}
	if n, ok := number(schema, "minLength"); ok && n > len(text) {
		text = strings.Repeat("x", min(n, 1000))
	}
	if n, ok := number(schema, "maxLength"); ok && n < len(text) {
		text = text[:max(n, 0)]
	}
	return appendString(b, text), schema.Get("pattern") == nil
}

func sampleNumber(b []byte, schema *load.Node) ([]byte, bool) {
	if v := schema.Get("minimum"); v.Is(load.Number) {
		return append(b, v.Text...), !schema.True("exclusiveMinimum")
	}
	if n, ok := number(schema, "exclusiveMinimum"); ok {
		return strconv.AppendInt(b, int64(n)+1, 10), true
	}
	if n, ok := number(schema, "maximum"); ok && n < 1 {
		return strconv.AppendInt(b, int64(n), 10), !schema.True("exclusiveMaximum")
	}
	return append(b, '1'), true
}

func number(schema *load.Node, key string) (int, bool) {
	v := schema.Get(key)
	if !v.Is(load.Number) {
		return 0, false
	}
	n, err := strconv.Atoi(v.Text)
	return n, err == nil
}

// appendJSON appends a node as compact JSON.
func appendJSON(b []byte, n *load.Node) []byte {
	switch n.Kind {
	case load.Bool, load.Number:
		return append(b, n.Text...)
	case load.String:
		return appendString(b, n.Text)
	case load.Array:
		b = append(b, '[')
		for i, item := range n.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, item)
		}
		return append(b, ']')
	case load.Object:
		b = append(b, '{')
		for i, m := range n.Members {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(append(appendString(b, m.Key), ':'), m.Value)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// appendString appends s as a JSON string; what is no UTF-8 is replaced.
func appendString(b []byte, s string) []byte {
	b, err := jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\ufffd"))
	if err != nil {
		return append(b, `""`...) // not reached: the text is valid
	}
	return b
}
