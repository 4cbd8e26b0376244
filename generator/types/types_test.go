package types

import (
	"slices"
	"strings"
	"testing"
)

// TestDeclarations holds schemas against the Go that becomes of them: the
// lines that must be there, whatever stands between them.
func TestDeclarations(t *testing.T) {
	tests := map[string]struct {
		head, schemas string
		want          []string
		warnings      int
	}{
		"required, optional and nullable": {document30, `
    T:
      type: object
      required: [a, c]
      properties:
        a: {type: string}
        b: {type: string}
        c: {type: string, nullable: true}
        d: {type: array, items: {type: integer, format: int32}}
`, []string{
			"A string `json:\"a\"`", "B *string `json:\"b,omitzero\"`", "C *string `json:\"c\"`", "D []int32 `json:\"d,omitzero\"`",
		}, 0},
		"null as a type": {document31, `
    T:
      type: object
      required: [a, b, c, d]
      properties:
        a: {type: [string, 'null']}
        b: {anyOf: [{$ref: '#/components/schemas/U'}, {type: 'null'}]}
        c: {type: [array, 'null'], items: {type: string}}
        d: {type: array, items: {type: [boolean, 'null']}}
    U: {type: object, properties: {x: {type: number}}}
`, []string{"A *string `json:\"a\"`", "B *U `json:\"b\"`", "C *[]string `json:\"c\"`", "D []*bool `json:\"d\"`", "X *float64 `json:\"x,omitzero\"`"}, 0},
		"what only may be written is not in every answer": {document30, `
    T: {type: object, required: [a, b], properties: {a: {type: string, writeOnly: true}, b: {type: string, readOnly: true}}}
`, []string{"A *string `json:\"a,omitzero\"`", "B string `json:\"b\"`"}, 0},
		"formats": {document30, `
    T:
      type: object
      required: [a, b, c, d, e, f]
      properties:
        a: {type: string, format: date-time}
        b: {type: string, format: date}
        c: {type: string, format: byte}
        d: {type: string, format: uuid}
        e: {type: number, format: float}
        f: {type: integer, format: uint8}
`, []string{"A time.Time `", "B codec.Date `", "C []byte `", "D string `", "E float32 `", "F int `", `"github.com/gatewright/gatewright/runtime/codec"`}, 0},
		"enumeration": {document30, `
    T: {type: string, enum: [asc, desc, '', '-name', asc]}
    U: {type: integer, enum: [1, 2]}
`, []string{"type T string", `TAsc T = "asc"`, `TEmpty T = ""`, `TMinusName T = "-name"`, "type U int", "UN1 U = 1"}, 0},
		"enumeration of values that cannot be constants": {document30, `
    T: {type: string, enum: ["a\"b"]}
    U: {type: number, enum: [1.5]}
`, []string{"type T = string", "type U = float64"}, 0},
		"constants do not take the name of a type": {document30, `
    Status: {type: string, enum: [code]}
    StatusCode: {type: string}
`, []string{"type StatusCode = string", `StatusCode2 Status = "code"`}, 0},
		"const and enumeration by oneOf": {document31, `
    T: {const: fixed}
    U: {type: integer, oneOf: [{title: HIGH, const: 2}, {title: LOW, const: 1}]}
`, []string{`TFixed T = "fixed"`, "UHigh U = 2", "ULow U = 1"}, 0},
		"inline schemas get names": {document30, `
    T:
      type: object
      properties:
        owner: {type: object, properties: {id: {type: string}}}
        tags: {type: array, items: {type: object, properties: {k: {type: string}}}}
        mode: {type: string, enum: [a]}
`, []string{"Owner *TOwner `", "Tags []TTagsItem `", "Mode *TMode `", "type TOwner struct", "type TTagsItem struct", "type TMode string"}, 0},
		"an inline schema does not take a component's name": {document30, `
    T: {type: object, properties: {owner: {type: object, properties: {id: {type: string}}}}}
    TOwner: {type: string}
`, []string{"type TOwner = string", "type TOwner2 struct", "Owner *TOwner2 `"}, 0},
		"allOf is merged": {document30, `
    A: {type: object, required: [id], properties: {id: {type: string}, x: {type: integer}}}
    T: {allOf: [{$ref: '#/components/schemas/A'}, {type: object, required: [x], properties: {y: {type: string}}}]}
`, []string{"type T struct", "ID string `json:\"id\"`", "X int `json:\"x\"`", "Y *string `json:\"y,omitzero\"`"}, 0},
		"allOf as a wrapper": {document30, `
    A: {type: object, properties: {id: {type: string}}}
    T: {type: object, required: [a], properties: {a: {nullable: true, description: here, allOf: [{$ref: '#/components/schemas/A'}]}}}
`, []string{"A *A `json:\"a\"`", "// A here"}, 0},
		"allOf that contradicts itself": {document30, `
    T: {allOf: [{type: string}, {type: integer}]}
`, []string{"type T = jsontext.Value"}, 1},
		"allOf that contains itself": {document30, `
    T: {allOf: [{$ref: '#/components/schemas/T'}, {type: object, properties: {a: {type: string}}}]}
`, []string{"type T = jsontext.Value"}, 1},
		"maps and other members": {document30, `
    M: {type: object, additionalProperties: {type: integer}}
    N: {type: object}
    T: {type: object, properties: {a: {type: string}}, additionalProperties: {type: boolean}}
`, []string{"type M map[string]int", "type N map[string]jsontext.Value", "AdditionalProperties map[string]bool `json:\",embed\"`"}, 0},
		"union": {document30, `
    A: {type: object, properties: {k: {type: string}}}
    B: {type: object, properties: {k: {type: string}}}
    T:
      oneOf: [{$ref: '#/components/schemas/A'}, {$ref: '#/components/schemas/B'}]
      discriminator: {propertyName: k, mapping: {a: '#/components/schemas/A', gone: '#/components/schemas/Gone'}}
`, []string{"union jsontext.Value", "func (t T) AsA() (A, error)", "func (t *T) FromB(v B) error", `case "a":`, `case "B":`}, 0},
		"union of strings and numbers": {document31, `
    T: {type: [string, integer]}
    U: {oneOf: [{type: string}, {type: string, format: date}]}
`, []string{"func (t T) AsTString() (TString, error)", "type TInteger = int", "type U = string"}, 0},
		"anything": {document31, `
    A: {}
    B: true
    T: {type: object, properties: {a: {$ref: '#/components/schemas/A'}, b: true, c: {type: array, prefixItems: [{type: string}]}}}
`, []string{"type A = jsontext.Value", "type B = jsontext.Value", "A A `json:\"a,omitzero\"`", "B jsontext.Value `json:\"b,omitzero\"`", "C []jsontext.Value `"}, 0},
		"a schema that contains itself": {document30, `
    T: {type: object, required: [next, all], properties: {next: {$ref: '#/components/schemas/T'}, all: {type: array, items: {$ref: '#/components/schemas/T'}}}}
    L: {type: array, items: {$ref: '#/components/schemas/L'}}
`, []string{"Next *T `json:\"next\"`", "All []T `json:\"all\"`", "type L []L"}, 0},
		"names that are no identifiers": {document30, `
    2fa-thing:
      type: object
      properties: {'+1': {type: integer}, '1st': {type: string}, 'a-b': {type: string}, a_b: {type: string}, '@type': {type: string}, 世界: {type: string}}
`, []string{"type N2faThing struct", "`json:\"+1,omitzero\"`", "N1st *string", "AB *string `json:\"a-b,omitzero\"`", "AB2 *string `json:\"a_b,omitzero\"`", "`json:\"世界,omitzero\"`"}, 0},
		"names that cannot stand in a tag": {document30, "\n" +
			"    T: {type: object, properties: {'a,b': {type: string}}}\n" +
			"    U: {type: object, properties: {\"a`b\": {type: string}}}\n" +
			"    V: {type: object, properties: {'-': {type: string}}}\n",
			[]string{"type T = jsontext.Value", "type U = jsontext.Value", "type V = jsontext.Value"}, 3},
		"methods and fields have different names": {document30, `
    A: {type: object, properties: {x: {type: string}}}
    B: {type: object, properties: {y: {type: string}}}
    T: {type: object, properties: {asA: {type: string}, discriminator: {type: string}}, oneOf: [{$ref: '#/components/schemas/A'}, {$ref: '#/components/schemas/B'}]}
`, []string{"AsA2 *string", "Discriminator2 *string"}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			source, diags := models(t, Config{}, test.head+strings.TrimPrefix(test.schemas, "\n"))
			flat := strings.Join(strings.Fields(source), " ")
			for _, want := range test.want {
				if !strings.Contains(flat, want) {
					t.Errorf("Generate lacks %s:\n%s", want, source)
				}
			}
			if len(diags) != test.warnings {
				t.Errorf("Generate gave %d warnings, want %d: %v", len(diags), test.warnings, diags)
			}
		})
	}
}

func TestOtherFiles(t *testing.T) {
	source, diags := models(t, Config{}, document30+"    T: {type: object, properties: {pet: {$ref: 'pet.yaml'}, toy: {$ref: 'more.yaml#/definitions/Toy'}}}\n",
		"pet.yaml", "type: object\nproperties: {toy: {$ref: 'more.yaml#/definitions/Toy'}}\n",
		"more.yaml", "definitions: {Toy: {type: object, properties: {name: {type: string}}}}\n")
	for _, want := range []string{"Pet *Pet `json:\"pet,omitzero\"`", "Toy *Toy `json:\"toy,omitzero\"`", "type Pet struct", "type Toy struct"} {
		if !strings.Contains(strings.Join(strings.Fields(source), " "), want) {
			t.Errorf("Generate lacks %s:\n%s", want, source)
		}
	}
	if len(diags) != 0 || strings.Count(source, "type Toy struct") != 1 {
		t.Errorf("Generate gave %v and\n%s", diags, source)
	}
}

func TestReserved(t *testing.T) {
	source, _ := models(t, Config{Reserved: []string{"Service", "ListPosts200"}}, document30+"    Service: {type: string}\n    ListPosts200: {type: string}\n")
	for _, want := range []string{"type Service2 = string", "type ListPosts2002 = string"} {
		if !strings.Contains(source, want) {
			t.Errorf("Generate lacks %s:\n%s", want, source)
		}
	}
}

func TestSameBytes(t *testing.T) {
	var schemas strings.Builder
	for _, name := range []string{"Z", "A", "M", "B"} {
		schemas.WriteString("    " + name + ": {type: object, properties: {z: {type: string, enum: [b, a]}, a: {oneOf: [{type: string}, {type: integer}]}, m: {type: object, additionalProperties: true}}}\n")
	}
	doc := document30 + schemas.String()
	first, _ := models(t, Config{}, doc)
	for i := range 20 {
		if again, _ := models(t, Config{}, doc); again != first {
			t.Fatalf("run %d gave other bytes", i+2)
		}
	}
}

// TestGiveUp holds that one schema that cannot be generated costs its own
// type only.
func TestGiveUp(t *testing.T) {
	b := newBuilder(loaded(t, document30+"    A: {type: object, properties: {b: {$ref: '#/components/schemas/B'}}}\n    B: {type: object, properties: {x: {type: string}}}\n    C: {type: string}\n"), nil)
	b.components()
	b.decls[1].fields = append(b.decls[1].fields, field{name: "X", json: "y", use: use{kind: scalarUse, typ: "string"}}) // X twice
	source, err := b.print(Config{Package: "api", Source: "openapi.yaml"})
	if err != nil {
		t.Fatalf("print: %v", err)
	}
	for _, want := range []string{"type A struct", "type B = jsontext.Value", "type C = string"} {
		if !strings.Contains(string(source), want) {
			t.Errorf("print lacks %s:\n%s", want, source)
		}
	}
	if len(b.diags) != 1 || b.diags[0].Rule != RuleUntyped || b.diags[0].Subject != "B" || b.diags[0].Pos.Line != 7 {
		t.Errorf("print warned %v, want once, of B in line 7", b.diags)
	}
	if b.decls[0].form != structure || slices.Contains([]form{structure}, b.decls[1].form) {
		t.Errorf("print gave up the wrong declaration")
	}
}
