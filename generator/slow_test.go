package generator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// fanOut is a document of thirty schemas, each of which names the next ten
// times over: f writes one, given its number and ten references. param names that
// of a query parameter. Whoever follows each reference anew never comes to an end.
func fanOut(param, last string, f func(i int, refs []string) string) []byte {
	const depth = 30
	var b strings.Builder
	b.WriteString(`openapi: 3.1.0
info: {title: Test, version: "1"}
paths:
  /a:
    post:
      security: []
      parameters: [{name: q, in: query, schema: {$ref: '#/components/schemas/` + param + `'}}]
      requestBody:
        content:
          application/json: {schema: {$ref: '#/components/schemas/S0'}}
          application/x-www-form-urlencoded: {schema: {$ref: '#/components/schemas/S22'}}
          application/vnd.short+json: {schema: {$ref: '#/components/schemas/S22'}}
      responses: {"200": {description: done, content: {application/json: {schema: {$ref: '#/components/schemas/S0'}}}}}
components:
  schemas:
`)
	b.WriteString("    Text: {type: string}\n")
	for i := range depth {
		text := last
		if i < depth-1 {
			refs := make([]string, 10)
			for k := range refs {
				refs[k] = fmt.Sprintf("{$ref: '#/components/schemas/S%d'}", i+1)
			}
			text = f(i, refs)
		}
		fmt.Fprintf(&b, "    S%d: %s\n", i, text)
	}
	return []byte(b.String())
}

// Work grows with the length of a document, not with the number of ways
// through it: without bounds each of these runs for years.
func TestSharedParts(t *testing.T) {
	list := func(keyword, beside string) func(int, []string) string {
		return func(i int, refs []string) string {
			return fmt.Sprintf("{%s%s: [%s]}", strings.ReplaceAll(beside, "N", fmt.Sprint(i)), keyword, strings.Join(refs, ", "))
		}
	}
	members := func(_ int, refs []string) string {
		var names, props []string
		for k, ref := range refs {
			names = append(names, fmt.Sprintf("p%d", k))
			props = append(props, fmt.Sprintf("p%d: %s", k, ref))
		}
		return fmt.Sprintf("{type: object, required: [%s], properties: {%s}}", strings.Join(names, ", "), strings.Join(props, ", "))
	}
	const object = "{type: object, properties: {a: {type: string}}}"
	for name, text := range map[string][]byte{
		"required members": fanOut("Text", "{type: string}", members),
		"allOf":            fanOut("S22", "{type: string}", list("allOf", "")),
		"oneOf":            fanOut("S22", "{type: string}", list("oneOf", "")),
		"anyOf":            fanOut("S22", "{type: string}", list("anyOf", "")),
		"allOf of objects": fanOut("Text", object, list("allOf", "properties: {pN: {type: integer}}, ")),
		"oneOf of objects": fanOut("Text", object, list("oneOf", "properties: {pN: {type: integer}}, ")),
		"anyOf of objects": fanOut("Text", object, list("anyOf", "properties: {pN: {type: integer}}, ")),
		"items of one list": fanOut("S22", "{type: string}", func(_ int, refs []string) string {
			return "{type: array, minItems: 1, items: {anyOf: [" + strings.Join(refs, ", ") + "]}}"
		}),
		"items of each part": fanOut("S22", "{type: string}", list("anyOf", "items: {$ref: '#/components/schemas/S0'}, ")),
	} {
		t.Run(name, func(t *testing.T) {
			res, err := generate(t, text, "")
			switch {
			case errors.Is(err, ErrDocument):
			case err != nil:
				t.Fatalf("Generate = %v", err)
			default:
				if err := inspectAll(res); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
