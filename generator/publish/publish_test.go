package publish_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/publish"
	"github.com/gatewright/gatewright/internal/testenv"
)

// document publishes openapi.yaml of files, without samples, compact.
func document(t *testing.T, files map[string]string) string {
	t.Helper()
	doc, api := read(t, files)
	text, err := publish.Document(doc, api)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if again, err := publish.Document(doc, api); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("Document differs between runs (%v)", err)
		}
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	noSamples(v)
	out, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func noSamples(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "x-codeSamples")
		for _, each := range v {
			noSamples(each)
		}
	case []any:
		for _, each := range v {
			noSamples(each)
		}
	}
}

func read(t *testing.T, files map[string]string) (*load.Document, *model.API) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	doc, found := load.Load(context.Background(), load.Config{Path: filepath.Join(dir, "openapi.yaml")})
	if doc == nil || model.HasErrors(found) {
		t.Fatalf("Load = %+v", found)
	}
	api, found := analyze.Analyze(doc, analyze.Config{Undeclared: "public"})
	if model.HasErrors(found) {
		t.Fatalf("Analyze = %+v", found)
	}
	return doc, api
}

func TestDocument(t *testing.T) {
	const head = "openapi: 3.1.0\ninfo: {title: T, version: '1'}\n"
	const top = `"info":{"title":"T","version":"1"},"openapi":"3.1.0"`
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"extensions for generators are left out, others stay, and names are no extensions", map[string]string{"openapi.yaml": head + `
x-go-package: x
x-logo: {x-go-stays: 1}
paths: {}
components: {schemas: {S: {type: object, x-go-type: os.File, x-gatewright: {}, x-note: 1, properties: {x-go-name: {x-go-name: y, type: string}, $ref: {type: string}}, example: {x-go-kept: 1, $ref: kept}}}}`},
			`{"components":{"schemas":{"S":{"example":{"$ref":"kept","x-go-kept":1},"properties":{"$ref":{"type":"string"},"x-go-name":{"type":"string"}},"type":"object","x-note":1}}},` + top + `,"paths":{},"x-logo":{"x-go-stays":1}}`},
		{"a $ref inside stays", map[string]string{"openapi.yaml": head + "paths: {}\ncomponents: {schemas: {A: {$ref: '#/components/schemas/B~1c'}, B/c: {$anchor: here}, D: {$ref: '#here'}}}"},
			`{"components":{"schemas":{"A":{"$ref":"#/components/schemas/B~1c"},"B/c":{"$anchor":"here"},"D":{"$ref":"#/components/schemas/B~1c"}}},` + top + `,"paths":{}}`},
		{"a $ref to another file is replaced, the second leads to the first", map[string]string{
			"openapi.yaml": head + "paths: {}\ncomponents: {schemas: {A: {$ref: 'o.yaml#/S'}, B: {properties: {b: {$ref: 'o.yaml#/S'}, t: {$ref: 'o.yaml#/S/properties/p'}}}}}",
			"o.yaml":       "S: {properties: {p: {$ref: '#/T'}}}\nT: {type: string}"},
			`{"components":{"schemas":{"A":{"properties":{"p":{"type":"string"}}},"B":{"properties":{"b":{"$ref":"#/components/schemas/A"},"t":{"$ref":"#/components/schemas/A/properties/p"}}}}},` + top + `,"paths":{}}`},
		{"recursion in another file, and back into the document", map[string]string{
			"openapi.yaml": head + "paths: {}\ncomponents: {schemas: {A: {$ref: 'o.yaml#/S'}, R: {type: integer}}}",
			"o.yaml":       "S: {properties: {self: {$ref: '#/S'}, r: {$ref: 'openapi.yaml#/components/schemas/R'}}}"},
			`{"components":{"schemas":{"A":{"properties":{"r":{"$ref":"#/components/schemas/R"},"self":{"$ref":"#/components/schemas/A"}}},"R":{"type":"integer"}}},` + top + `,"paths":{}}`},
		{"what stands beside a $ref to another file", map[string]string{
			"openapi.yaml": head + "paths: {}\ncomponents: {schemas: {A: {$ref: 'o.yaml#/S', description: mine}, B: {$ref: 'o.yaml#/T', maxLength: 3, allOf: [{minLength: 1}]}}}",
			"o.yaml":       "S: {description: theirs, type: string}\nT: {type: string}"},
			`{"components":{"schemas":{"A":{"description":"mine","type":"string"},"B":{"allOf":[{"type":"string"},{"minLength":1}],"maxLength":3}}},` + top + `,"paths":{}}`},
		{"a path in another file, used twice", map[string]string{
			"openapi.yaml": head + "paths: {/a: {$ref: 'o.yaml#/P'}, /b: {$ref: 'o.yaml#/P'}}",
			"o.yaml":       "P: {get: {responses: {'200': {description: ok}}}}"},
			`{` + top + `,"paths":{"/a":{"get":{"responses":{"200":{"description":"ok"}}}},"/b":{"get":{"responses":{"200":{"description":"ok"}}}}}}`},
		{"what leads nowhere, and is not used", map[string]string{"openapi.yaml": head + "paths: {}\ncomponents: {schemas: {A: {$ref: 'gone.yaml#/S'}}}"},
			`{"components":{"schemas":{"A":{"$ref":"gone.yaml#/S"}}},` + top + `,"paths":{}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := document(t, c.files); got != c.want {
				t.Errorf("Document =\n%s, want\n%s", got, c.want)
			}
		})
	}
}

// Operations have samples of their own, also where paths share one item, and
// the document's own stay behind them.
func TestSamples(t *testing.T) {
	doc, api := read(t, map[string]string{"openapi.yaml": `
openapi: 3.2.0
info: {title: T, version: '1'}
servers: [{url: 'https://{host}/v1', variables: {host: {default: t.example}}}]
paths:
  /a: {$ref: '#/components/pathItems/P'}
  /b: {$ref: '#/components/pathItems/P'}
  /c: {additionalOperations: {PURGE: {operationId: purge, responses: {'200': {description: ok}}}}}
components: {pathItems: {P: {get: {x-codeSamples: [{lang: COBOL, source: x}], responses: {'200': {description: ok}}}}}}`})
	text, err := publish.Document(doc, api)
	if err != nil {
		t.Fatal(err)
	}
	type operation struct {
		Samples []struct{ Lang, Label, Source string } `json:"x-codeSamples"`
	}
	var got struct {
		Paths map[string]struct {
			Get        operation            `json:"get"`
			Additional map[string]operation `json:"additionalOperations"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(text, &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a", "/b"} {
		var langs []string
		for i, s := range got.Paths[path].Get.Samples {
			langs = append(langs, s.Lang+"/"+s.Label)
			if i < 4 && (!strings.Contains(s.Source, "/v1"+path) || !strings.Contains(s.Source, "https://t.example")) {
				t.Errorf("the sample of %s in %s does not ask https://t.example/v1%s:\n%s", path, s.Label, path, s.Source)
			}
		}
		if want := "Shell/curl Python/Python JavaScript/JavaScript Go/Go COBOL/"; strings.Join(langs, " ") != want {
			t.Errorf("samples of %s = %v, want %s", path, langs, want)
		}
	}
	if s := got.Paths["/c"].Additional["PURGE"].Samples; len(s) != 4 || !strings.Contains(s[0].Source, "--request PURGE") {
		t.Errorf("samples of PURGE /c = %v", s)
	}
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct{ servers, want string }{
		{"[]", ""}, {"[{url: /v1}]", ""}, {"[{url: 'http://a.example'}]", ""}, {"[{url: 'https://a.example/v1'}]", "https://a.example"},
		{"[{url: 'https://a.example:8443'}, {url: 'https://b.example'}]", "https://a.example:8443"}, {"[{url: 'https://u:p@a.example'}]", ""},
		{"[{url: 'https://{h}.example', variables: {h: {default: x}}}]", "https://x.example"},
	} {
		doc, _ := read(t, map[string]string{"openapi.yaml": "{openapi: 3.1.0, info: {title: T, version: '1'}, paths: {}, servers: " + c.servers + "}"})
		if got := publish.Origin(doc); got != c.want {
			t.Errorf("Origin of %s = %q, want %q", c.servers, got, c.want)
		}
	}
}

// TestPublicDocuments publishes documents that nobody here wrote, one of them
// of several files, and has another library read them.
func TestPublicDocuments(t *testing.T) {
	specs := testenv.Specs(t)
	for _, name := range []string{"camara-location-verification.yaml", "openbanking-uk-account-info.yaml", "swagger-petstore-304.yaml", "redocly-cafe-32.yaml", "github-api.yaml"} {
		t.Run(name, func(t *testing.T) {
			doc, found := load.Load(context.Background(), load.Config{Path: filepath.Join(specs, name)})
			if doc == nil {
				t.Fatalf("Load = %+v", found)
			}
			api, _ := analyze.Analyze(doc, analyze.Config{Undeclared: "public"})
			text, err := publish.Document(doc, api)
			if err != nil {
				t.Fatal(err)
			}
			if !jsontext.Value(text).IsValid() {
				t.Error("the document is no JSON")
			}
			if doc.Version == "3.2" {
				return // beyond that library
			}
			loader := openapi3.NewLoader() // reads no other file
			parsed, err := loader.LoadFromData(text)
			if err != nil {
				t.Fatalf("another library: %v", err)
			}
			if parsed.Paths.Len() == 0 {
				t.Error("another library finds no path")
			}
			t.Logf("%d bytes, %d operations", len(text), len(api.Operations))
		})
	}
}
