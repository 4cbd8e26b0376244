package bundle

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/runtime/schema"
)

// build makes the bundle of a document that stands in files; the first is
// the root.
func build(t testing.TB, root string, files map[string]string) (*model.API, string, []model.Diagnostic) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return buildFile(t, filepath.Join(dir, root))
}

func buildFile(t testing.TB, file string) (*model.API, string, []model.Diagnostic) {
	t.Helper()
	doc, found := load.Load(context.Background(), load.Config{Path: file})
	if doc == nil || model.HasErrors(found) {
		t.Fatalf("Load(%s): %v", file, found)
	}
	api, _ := analyze.Analyze(doc, analyze.Config{Undeclared: "public"})
	text, found, err := Build(doc, api)
	if err != nil {
		t.Fatal(err)
	}
	return api, string(text), found
}

// document is an OpenAPI document with one operation whose body has the
// schema given, in JSON, and with more components.
func document(version, body, components string) map[string]string {
	return map[string]string{"api.json": `{"openapi":"` + version + `","info":{"title":"t","version":"1"},
		"paths":{"/a":{"post":{"operationId":"make","requestBody":{"content":{"application/json":{"schema":` + body + `}}},
		"responses":{"204":{"description":"done"}}}}},"components":{"schemas":{` + components + `}}}`}
}

func TestConversion(t *testing.T) {
	for _, tt := range []struct{ name, version, body, components, want string }{
		{"annotations are dropped", "3.1.0",
			`{"title":"t","description":"d","example":1,"examples":[1],"default":1,"deprecated":true,"externalDocs":{"url":"u"},"xml":{},"x-a":1,"$comment":"c","writeOnly":true,"type":"string"}`, ``,
			`"MakeBody":{"type":"string"}`},
		{"members named as keywords stay", "3.1.0", `{"properties":{"title":{"type":"string"},"$ref":{"type":"string"},"x-a":{}}}`, ``,
			`"MakeBody":{"properties":{"title":{"type":"string"},"$ref":{"type":"string"},"x-a":{}}}`},
		{"values named as keywords stay", "3.1.0", `{"const":{"title":1,"nullable":true,"$ref":"x"}}`, ``,
			`"MakeBody":{"const":{"title":1,"nullable":true,"$ref":"x"}}`},
		{"nullable type", "3.0.3", `{"type":"string","nullable":true}`, ``, `"MakeBody":{"type":["string","null"]}`},
		{"nullable false", "3.0.3", `{"type":"string","nullable":false}`, ``, `"MakeBody":{"type":"string"}`},
		{"nullable enum", "3.0.3", `{"type":"string","enum":["a"],"nullable":true}`, ``, `"MakeBody":{"type":["string","null"],"enum":["a",null]}`},
		{"nullable enum with null", "3.0.3", `{"type":"string","enum":["a",null],"nullable":true}`, ``, `"MakeBody":{"type":["string","null"],"enum":["a",null]}`},
		{"nullable composition", "3.0.3", `{"allOf":[{"$ref":"#/components/schemas/A"}],"nullable":true}`, `"A":{"type":"string"}`,
			`"A":{"type":"string"},` + "\n" + `"MakeBody":{"anyOf":[{"allOf":[{"$ref":"#/$defs/A"}]},{"type":"null"}]}`},
		{"nullable enum without type", "3.0.3", `{"enum":["a"],"nullable":true}`, ``, `"MakeBody":{"anyOf":[{"enum":["a"]},{"type":"null"}]}`},
		{"exclusive limits of 3.0", "3.0.3", `{"minimum":1,"exclusiveMinimum":true,"maximum":5,"exclusiveMaximum":false}`, ``, `"MakeBody":{"exclusiveMinimum":1,"maximum":5}`},
		{"exclusive limits of 3.1", "3.1.0", `{"exclusiveMinimum":1,"exclusiveMaximum":5}`, ``, `"MakeBody":{"exclusiveMinimum":1,"exclusiveMaximum":5}`},
		{"siblings of a reference in 3.0", "3.0.3", `{"items":{"$ref":"#/components/schemas/A","maxLength":1,"nullable":true}}`, `"A":{"type":"string"}`,
			`"A":{"type":"string"},` + "\n" + `"MakeBody":{"items":{"$ref":"#/$defs/A"}}`},
		{"siblings of a reference in 3.1", "3.1.0", `{"$ref":"#/components/schemas/A","maxLength":1}`, `"A":{"$ref":"#/components/schemas/B","minLength":1},"B":{"type":"string"}`,
			`"A":{"$ref":"#/$defs/B","minLength":1},` + "\n" + `"B":{"type":"string"},` + "\n" + `"MakeBody":{"$ref":"#/$defs/A","maxLength":1}`},
		{"plain reference", "3.1.0", `{"$ref":"#/components/schemas/A"}`, `"A":{"type":"string"}`, `"A":{"type":"string"}`},
		{"names that need escapes", "3.1.0", `{"$ref":"#/components/schemas/a~1b~0c"}`, `"a/b~c":{"type":"string"}`, `"a_1b_0c":{"type":"string"}`},
		{"recursion", "3.1.0", `{"$ref":"#/components/schemas/A"}`, `"A":{"properties":{"a":{"$ref":"#/components/schemas/A"}}}`, `"A":{"properties":{"a":{"$ref":"#/$defs/A"}}}`},
		{"reference into a schema", "3.1.0", `{"$ref":"#/components/schemas/A/properties/a"}`, `"A":{"properties":{"a":{"type":"string"}}}`, `"A.properties.a":{"type":"string"}`},
		{"read only is not required", "3.1.0", `{"required":["id","name"],"properties":{"id":{"readOnly":true,"type":"string"},"name":{}}}`, ``,
			`"MakeBody":{"required":["name"],"properties":{"id":{"type":"string"},"name":{}}}`},
		{"read only in a part", "3.0.3", `{"allOf":[{"$ref":"#/components/schemas/A"},{"required":["id","b"]}]}`, `"A":{"properties":{"id":{"readOnly":true}},"required":["id"]}`,
			`"A":{"properties":{"id":{}}},` + "\n" + `"MakeBody":{"allOf":[{"$ref":"#/$defs/A"},{"required":["b"]}]}`},
		{"read only by reference", "3.0.3", `{"properties":{"id":{"$ref":"#/components/schemas/A"}},"required":["id"]}`, `"A":{"type":"string","readOnly":true}`,
			`"A":{"type":"string"},` + "\n" + `"MakeBody":{"properties":{"id":{"$ref":"#/$defs/A"}}}`},
		{"read only elsewhere is required", "3.1.0", `{"properties":{"in":{"properties":{"id":{"readOnly":true}}}},"required":["id"]}`, ``,
			`"MakeBody":{"properties":{"in":{"properties":{"id":{}}}},"required":["id"]}`},
		{"numbers as written", "3.1.0", `{"maximum":9007199254740993,"multipleOf":0.10}`, ``, `"MakeBody":{"maximum":9007199254740993,"multipleOf":0.10}`},
		{"boolean schemas", "3.1.0", `{"properties":{"a":true},"additionalProperties":false}`, ``, `"MakeBody":{"properties":{"a":true},"additionalProperties":false}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api, text, found := build(t, "api.json", document(tt.version, tt.body, tt.components))
			want := `{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{` + "\n" + tt.want + "\n}}\n"
			if text != want {
				t.Errorf("Build(%s) = %s, want %s", tt.body, text, want)
			}
			if len(found) > 0 {
				t.Errorf("Build(%s) finds %v, want nothing", tt.body, found)
			}
			p, err := schema.Compile([]byte(text))
			if err != nil {
				t.Fatalf("Compile: %v", err)
			}
			if _, ok := p.Def(api.Operations[0].Body.Contents[0].Schema.Def); !ok {
				t.Errorf("there is no def %q", api.Operations[0].Body.Contents[0].Schema.Def)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	for _, tt := range []struct{ name, body, components, want string }{
		{"not enforced", `{"format":"email","properties":{"a":{"format":"date","contains":{}}}}`, ``, `GW090 warning keyword "contains" is not yet enforced in requests (1 place)|GW090 warning keyword "format" is not yet enforced in requests (2 places, this is the first)`},
		{"backtracks", `{"pattern":"^(?!a)"}`, ``, `GW091 warning pattern "^(?!a)" needs an engine that backtracks`},
		{"no pattern", `{"pattern":"("}`, ``, `GW092 error "(" is not a regular expression`},
		{"no pattern of names", `{"patternProperties":{"[":{}}}`, ``, `GW092 error "[" is not a regular expression`},
		{"malformed type", `{"type":"text"}`, ``, `GW092 error type needs to be null, boolean, object, array, string, number or integer`},
		{"malformed required", `{"properties":{"a":{"required":true}}}`, ``, `GW092 error required needs to be a list of names`},
		{"malformed count", `{"maxLength":-1}`, ``, `GW092 error maxLength needs to be a whole number that is not negative`},
		{"malformed number", `{"maximum":"5"}`, ``, `GW092 error maximum needs to be a number`},
		{"malformed schema", `{"items":[{}]}`, ``, `GW092 error a schema is an object`},
		{"empty list", `{"allOf":[]}`, ``, `GW092 error allOf needs to be a list of schemas that is not empty`},
		{"made of itself", `{"$ref":"#/components/schemas/A"}`, `"A":{"anyOf":[{"$ref":"#/components/schemas/B"}]},"B":{"allOf":[{"$ref":"#/components/schemas/A"}]}`,
			`GW093 error schema "B" is made of itself, through "A"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, found := build(t, "api.json", document("3.1.0", tt.body, tt.components))
			var lines []string
			for _, d := range found {
				lines = append(lines, d.Rule+" "+d.Severity.String()+" "+d.Message)
				if d.Pos.Line == 0 {
					t.Errorf("%s has no place", d.Message)
				}
			}
			slices.Sort(lines)
			if got := strings.Join(lines, "|"); got != tt.want {
				t.Errorf("Build(%s) finds %q, want %q", tt.body, got, tt.want)
			}
		})
	}
}

// Two files may each have a schema of the same name, and refer to each other.
func TestFiles(t *testing.T) {
	files := document("3.1.0", `{"properties":{"a":{"$ref":"#/components/schemas/A"},"b":{"$ref":"other.yaml#/A"},"c":{"$ref":"whole.json"}}}`, `"A":{"type":"string"}`)
	files["other.yaml"] = "A:\n  properties:\n    up: {$ref: 'api.json#/components/schemas/A'}\n    self: {$ref: '#/A'}\n"
	files["whole.json"] = `{"type":"integer"}`
	_, text, _ := build(t, "api.json", files)
	want := `{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{
"A":{"type":"string"},
"A_2":{"properties":{"up":{"$ref":"#/$defs/A"},"self":{"$ref":"#/$defs/A_2"}}},
"MakeBody":{"properties":{"a":{"$ref":"#/$defs/A"},"b":{"$ref":"#/$defs/A_2"},"c":{"$ref":"#/$defs/whole"}}},
"whole":{"type":"integer"}
}}
`
	if text != want {
		t.Errorf("Build = %s, want %s", text, want)
	}
}

// Every keyword that is said to be enforced is enforced, and no other: the
// list here and the one of the runtime agree.
func TestEnforcedAgreesWithRuntime(t *testing.T) {
	samples := map[shape]string{
		oneSchema: `{}`, schemaList: `[{}]`, schemaMap: `{}`, types: `"string"`, anyValue: `1`, valueList: `[1]`,
		aCount: `1`, aNumber: `1`, aPositive: `1`, aFlag: `true`, aPattern: `"a"`, nameList: `["a"]`,
	}
	for keyword, s := range enforced {
		p, err := schema.Compile([]byte(`{"` + keyword + `":` + samples[s] + `}`))
		if err != nil {
			t.Errorf("Compile of %s: %v", keyword, err)
		} else if len(p.Unenforced()) > 0 {
			t.Errorf("%s is not enforced", keyword)
		}
	}
	for _, keyword := range silent {
		if p, err := schema.Compile([]byte(`{"` + keyword + `":{}}`)); err != nil || len(p.Unenforced()) > 0 {
			t.Errorf("%s is not silent in the runtime: %v", keyword, err)
		}
	}
	others := []string{
		"format", "unevaluatedProperties", "unevaluatedItems", "dependentRequired", "dependentSchemas", "contains", "minContains",
		"maxContains", "contentEncoding", "contentMediaType", "contentSchema", "discriminator", "nullable", "$dynamicRef",
		"additionalItems", "dependencies", "$recursiveRef",
	}
	for _, keyword := range others {
		p, err := schema.Compile([]byte(`{"` + keyword + `":{}}`))
		if err != nil || len(p.Unenforced()) != 1 {
			t.Errorf("the runtime does not list %s as unenforced: %v", keyword, err)
		}
		if _, known := enforced[keyword]; known || isSilent(keyword) {
			t.Errorf("the bundle says nothing about %s", keyword)
		}
	}
}
