package analyze

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/testenv"
)

// analyse reads a document from text; findings of error are the test's failure.
func analyse(t *testing.T, text string, cfg Config) (*model.API, []model.Diagnostic) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openapi.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	doc, found := load.Load(context.Background(), load.Config{Path: file})
	api, more := Analyze(doc, cfg)
	found = append(found, more...)
	for _, d := range found {
		if d.Severity == model.Error {
			t.Errorf("%s: %s %s", d.Pos, d.Rule, d.Message)
		}
	}
	return api, found
}

const head = "openapi: 3.1.0\ninfo: {title: Test, version: '1'}\n"

func show(s model.Shape) string {
	var b strings.Builder
	b.WriteString(strings.Join(s.Types, "|"))
	if s.Items != nil {
		b.WriteString("[" + show(*s.Items) + "]")
	}
	if s.Props != nil {
		b.WriteString("{")
		for i, p := range s.Props {
			if i > 0 {
				b.WriteString(" ")
			}
			b.WriteString(p.Name + ":" + show(p.Shape))
		}
		b.WriteString("}")
	}
	return b.String()
}

func TestShape(t *testing.T) {
	const components = `
components:
  schemas:
    Text: {type: string}
    Loop: {anyOf: [{$ref: '#/components/schemas/Loop'}, {type: integer}]}
    Node: {type: object, properties: {next: {$ref: '#/components/schemas/Node'}}}
    List: {type: array, items: {$ref: '#/components/schemas/Text'}}
`
	for _, c := range []struct{ schema, want string }{
		{"{}", ""},
		{"true", ""},
		{"{type: string}", "string"},
		{"{type: [integer, 'null']}", "integer"},
		{"{type: [integer, number]}", "number"},
		{"{type: [boolean, string]}", "string|boolean"},
		{"{type: 'null'}", ""},
		{"{enum: [a, 1, null]}", "string|number"},
		{"{const: true}", "boolean"},
		{"{type: number, enum: [1, 2]}", "number"},
		{"{oneOf: [{type: string}, {type: 'null'}]}", "string"},
		{"{anyOf: [{type: integer}, {type: object}]}", "integer"},
		{"{oneOf: [{type: string}, {type: array, items: {type: integer}}]}", "string|array[integer]"},
		{"{allOf: [{type: [string, integer]}, {type: [integer, boolean]}]}", "integer"},
		{"{allOf: [{type: number}, {type: integer}]}", "integer"},
		{"{$ref: '#/components/schemas/Text'}", "string"},
		{"{$ref: '#/components/schemas/List'}", "array[string]"},
		{"{$ref: '#/components/schemas/Loop'}", ""},
		{"{$ref: '#/components/schemas/Text', type: [string, integer]}", "string"},
		{"{type: array}", "array[]"},
		{"{items: {type: string}}", "array[string]"},
		{"{type: array, items: {oneOf: [{type: string}, {type: object}]}}", "array[string]"},
		{"{pattern: '^a'}", "string"},
		{"{minimum: 1}", "number"},
	} {
		t.Run(c.schema, func(t *testing.T) {
			api, _ := analyse(t, head+"paths: {/a: {get: {security: [], parameters: [{name: q, in: query, schema: "+c.schema+"}], responses: {'204': {description: a}}}}}"+components, Config{})
			if got := show(api.Operations[0].Params[0].Shape); got != c.want {
				t.Errorf("shape of %s = %q, want %q", c.schema, got, c.want)
			}
		})
	}
}

func TestFormShape(t *testing.T) {
	for _, c := range []struct {
		schema, kind, want string
	}{
		{"{type: object, properties: {a: {type: string}, b: {type: array, items: {type: integer}}}}", "form", "object{a:string b:array[integer]}"},
		{"{allOf: [{type: object, properties: {a: {type: string}}}, {properties: {a: {type: integer}, c: {type: boolean}}}]}", "form", "object{a:string c:boolean}"},
		{"{properties: {a: {}}}", "form", "object{a:}"},
		{"{type: object}", "form", "object"},
		{"{type: object, properties: {a: {type: object}}}", "opaque", ""},
		{"{type: string}", "opaque", ""},
		{"{}", "opaque", ""},
	} {
		t.Run(c.schema, func(t *testing.T) {
			api, _ := analyse(t, head+"paths: {/a: {post: {security: [], requestBody: {content: {application/x-www-form-urlencoded: {schema: "+c.schema+"}}}, responses: {'204': {description: a}}}}}", Config{})
			got := api.Operations[0].Body.Contents[0]
			if string(got.Kind) != c.kind || show(got.Shape) != c.want {
				t.Errorf("form of %s = %s %q, want %s %q", c.schema, got.Kind, show(got.Shape), c.kind, c.want)
			}
		})
	}
}

func TestParams(t *testing.T) {
	api, _ := analyse(t, head+`
security: []
paths:
  /a/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
      - {name: page, in: query, schema: {type: string}}
      - {name: X-Trace, in: header, schema: {type: string}}
    get:
      operationId: listThings
      parameters:
        - {name: page, in: query, required: true, schema: {type: integer}, explode: false}
        - {name: x-trace, in: header, schema: {type: boolean}}
        - {name: body, in: cookie, schema: {type: string}, deprecated: true}
        - {name: Page, in: query, schema: {type: string}}
      responses: {'204': {description: a}}
`, Config{})
	var got []string
	for _, p := range api.Operations[0].Params {
		got = append(got, fmt.Sprintf("%s %s %s %s explode=%t required=%t %s", p.In, p.Name, p.GoName, p.Style, p.Explode, p.Required, p.Schema.Hint))
	}
	want := []string{
		"path id ID simple explode=false required=true ListThingsID",
		"query page Page form explode=false required=true ListThingsPage",
		"header x-trace XTrace simple explode=false required=false ListThingsXTrace",
		"cookie body Body2 form explode=true required=false ListThingsBody2",
		"query Page Page2 form explode=true required=false ListThingsPage2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("params =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestContents(t *testing.T) {
	for in, want := range map[string]model.ContentKind{
		"application/json": model.JSON, "Application/JSON; charset=utf-8": model.JSON, "application/problem+json": model.JSON, "text/json": model.JSON,
		"text/plain": model.Text, "image/*": model.Binary, "image/svg+xml": model.Opaque, "application/pdf": model.Binary,
		"application/octet-stream": model.Binary, "application/xml": model.Opaque, "multipart/form-data": model.Opaque, "*/*": model.Opaque,
		"text/csv": model.Opaque, "application/x-www-form-urlencoded": model.Form,
	} {
		mt, ok := mediaType(in)
		if got := contentKind(mt); !ok || got != want {
			t.Errorf("kind of %q = %v, %t, want %v", in, got, ok, want)
		}
	}
	for _, bad := range []string{"", "json", "a/", "/a", "*/json", "a/b/c", "a /b"} {
		if mt, ok := mediaType(bad); ok {
			t.Errorf("mediaType(%q) = %q, want none", bad, mt)
		}
	}
}

func TestSchemes(t *testing.T) {
	for _, c := range []struct{ scheme, want string }{
		{"{type: apiKey, in: header, name: X-Key}", "apikey header:X-Key"},
		{"{type: apiKey, in: header, name: AUTHORIZATION}", "apikey authorization:"},
		{"{type: apiKey, in: query, name: k}", "apikey query:k"},
		{"{type: apiKey, in: cookie, name: __Host-sid}", "session cookie:__Host-sid"},
		{"{type: apiKey, in: cookie, name: sid, x-gatewright: {kind: apikey}}", "apikey cookie:sid"},
		{"{type: http, scheme: BASIC}", "apikey authorization:basic"},
		{"{type: http, scheme: basic, x-gatewright: {kind: custom}}", "custom authorization:basic"},
		{"{type: http, scheme: Bearer, bearerFormat: jwt}", "jwt authorization:bearer authorization:dpop"},
		{"{type: http, scheme: bearer}", "undecided authorization:bearer"},
		{"{type: http, scheme: bearer, x-gatewright: {kind: introspection}}", "introspection authorization:bearer authorization:dpop"},
		{"{type: http, scheme: ApiKey}", "apikey authorization:apikey"},
		{"{type: http, scheme: Digest}", "custom authorization:digest"},
		{"{type: mutualTLS}", "certificate certificate:"},
		{"{type: openIdConnect, openIdConnectUrl: /o}", "session authorization:bearer authorization:dpop cookie:__Host-Http-session"},
		{"{type: openIdConnect, openIdConnectUrl: /o, x-gatewright: {kind: jwt}}", "jwt authorization:bearer authorization:dpop"},
		{"{type: oauth2, flows: {authorizationCode: {authorizationUrl: /a, tokenUrl: /t, scopes: {}}}}", "session authorization:bearer authorization:dpop cookie:__Host-Http-session"},
		{"{type: oauth2, flows: {authorizationCode: {authorizationUrl: /a, tokenUrl: /t, scopes: {}}, implicit: {authorizationUrl: /a, scopes: {}}}}", "session authorization:bearer authorization:dpop cookie:__Host-Http-session"},
		{"{type: oauth2, flows: {clientCredentials: {tokenUrl: /t, scopes: {}}}}", "token authorization:bearer authorization:dpop"},
		{"{type: oauth2, flows: {deviceAuthorization: {tokenUrl: /t, deviceAuthorizationUrl: /d, scopes: {}}}}", "token authorization:bearer authorization:dpop"},
		{"{type: oauth2, flows: {password: {tokenUrl: /t, scopes: {}}}}", "token authorization:bearer authorization:dpop"},
	} {
		t.Run(c.scheme, func(t *testing.T) {
			api, _ := analyse(t, head+"paths: {}\ncomponents: {securitySchemes: {s: "+c.scheme+"}}\n", Config{})
			s := api.Scheme("s")
			got := string(s.Verifier)
			for _, p := range s.Places {
				got += " " + p.In + ":" + p.Name
			}
			if got != c.want {
				t.Errorf("scheme %s = %q, want %q", c.scheme, got, c.want)
			}
		})
	}
}

// A cookie scheme names the session of the schemes that log in.
func TestSessionCookieIsShared(t *testing.T) {
	api, _ := analyse(t, head+`paths: {}
components:
  securitySchemes:
    login: {type: openIdConnect, openIdConnectUrl: /o}
    cookie: {type: apiKey, in: cookie, name: __Host-sid}
`, Config{})
	want := model.Place{In: "cookie", Name: "__Host-sid"}
	if got := api.Scheme("login").Places; !slices.Contains(got, want) {
		t.Errorf("places of login = %v, want one %v", got, want)
	}
}

func TestBasePath(t *testing.T) {
	for in, want := range map[string]string{
		"https://a.example":            "",
		"https://a.example/":           "",
		"https://a.example/v1/":        "/v1",
		"//a.example/v1":               "/v1",
		"/v1":                          "/v1",
		"v1":                           "/v1",
		"/":                            "",
		".":                            "",
		"./":                           "",
		"./v1":                         "/v1",
		"https://a.example/v1?x=1#b":   "/v1",
		"https://a.example:{port}/{v}": "/2024",
		"https://{region} x/v1":        "/v1",
	} {
		t.Run(in, func(t *testing.T) {
			server := "{url: '" + in + "', variables: {v: {default: '2024'}, port: {default: '1'}, region: {default: '{eu}'}}}"
			api, _ := analyse(t, head+"servers: ["+server+", {url: /other}]\npaths: {}\n", Config{})
			if api.BasePath != want {
				t.Errorf("base path of %q = %q, want %q", in, api.BasePath, want)
			}
		})
	}
}

// These public documents are what people start from.
func TestKnownDocuments(t *testing.T) {
	dir := testenv.Specs(t)
	for _, c := range []struct {
		file, undeclared string
		operations       int
	}{
		{"museum.yaml", "", 8},
		{"train-travel.yaml", "", 7},
		{"spotify.yaml", "", 97},
		{"discord.json", "", 242},
		{"readme-security-30.yaml", "public", 15},
		{"readme-security-multiple-30.yaml", "public", 4},
	} {
		t.Run(c.file, func(t *testing.T) {
			doc, found := load.Load(context.Background(), load.Config{Path: filepath.Join(dir, c.file)})
			api, more := Analyze(doc, Config{Undeclared: c.undeclared})
			for _, d := range append(found, more...) {
				if d.Severity == model.Error {
					t.Errorf("%s: %s %s", d.Pos, d.Rule, d.Message)
				}
			}
			if len(api.Operations) != c.operations {
				t.Errorf("%d operations, want %d", len(api.Operations), c.operations)
			}
			for _, op := range api.Operations {
				if !op.Policy.Public && len(op.Policy.Alternatives) == 0 {
					t.Errorf("%s: nobody may call it", op.ID)
				}
			}
		})
	}
}

func FuzzAnalyze(f *testing.F) {
	cases, _ := filepath.Glob(filepath.Join(casesDir, "diag-*", "openapi.*"))
	for _, c := range cases {
		if strings.Contains(c, "alias-bomb") {
			continue // right, and slow
		}
		text, err := os.ReadFile(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, filepath.Ext(c) == ".json", false)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, isJSON, public bool) {
		file := filepath.Join(dir, "openapi.yaml")
		if isJSON {
			file = filepath.Join(dir, "openapi.json")
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		cfg := Config{Schemes: map[string]SchemeConfig{"key": {Kind: "custom"}}}
		if public {
			cfg.Undeclared = "public"
		}
		doc, found := load.Load(context.Background(), load.Config{Path: file})
		api, more := Analyze(doc, cfg)
		found = append(found, more...)
		for _, d := range found {
			if d.Rule == "" || d.Message == "" || strings.ContainsAny(d.Message+d.Help+d.Excerpt, "\n\x1b\u202e") {
				t.Errorf("bad finding %#v", d)
			}
		}
		if doc == nil || model.HasErrors(found) {
			return
		}
		checkModel(t, doc, api, cfg)
	})
}

// checkModel holds what emit and the gate rely on, for a document without errors.
func checkModel(t *testing.T, doc *load.Document, api *model.API, cfg Config) {
	names := map[string]bool{}
	for _, op := range api.Operations {
		if names[op.GoName] {
			t.Errorf("two operations are called %s", op.GoName)
		}
		names[op.GoName] = true
		if op.Policy.Undeclared && cfg.Undeclared != "public" {
			t.Errorf("%s is open without a word", op.ID)
		}
		if op.Policy.Public == (len(op.Policy.Alternatives) > 0) {
			t.Errorf("%s: public %t with alternatives %v", op.ID, op.Policy.Public, op.Policy.Alternatives)
		}
		for _, alt := range op.Policy.Alternatives {
			for _, need := range alt {
				if api.Scheme(need.Scheme) == nil {
					t.Errorf("%s needs the unknown scheme %q", op.ID, need.Scheme)
				}
			}
		}
		for _, p := range op.Params {
			if doc.At(p.Schema.Location) == nil {
				t.Errorf("%s: parameter %s has no schema at %q", op.ID, p.Name, p.Schema.Location)
			}
		}
		for _, c := range contentsOf(op) {
			if c.Schema != nil && doc.At(c.Schema.Location) == nil {
				t.Errorf("%s: no schema at %q", op.ID, c.Schema.Location)
			}
		}
	}
	for _, s := range api.Schemes {
		if len(s.Places) == 0 || s.Verifier == "" {
			t.Errorf("scheme %q has no place or no verifier", s.Name)
		}
	}
}

func contentsOf(op model.Operation) []model.Content {
	var out []model.Content
	if op.Body != nil {
		out = append(out, op.Body.Contents...)
	}
	for _, r := range op.Responses {
		out = append(out, r.Contents...)
	}
	return out
}

// Where no access tokens are taken the server has no metadata of its own.
func TestMetadataPathIsFree(t *testing.T) {
	for _, scheme := range []string{
		"{type: apiKey, in: header, name: X-Key}",
		"{type: apiKey, in: cookie, name: __Host-session}",
		"{type: http, scheme: bearer, x-gatewright: {kind: apikey}}",
	} {
		api, found := analyse(t, head+"security: []\npaths: {"+model.MetadataPath+": {get: {responses: {'204': {description: done}}}}}\ncomponents: {securitySchemes: {a: "+scheme+"}}\n", Config{})
		if len(api.Operations) != 1 {
			t.Errorf("%s: %d operations, want 1: %v", scheme, len(api.Operations), found)
		}
	}
}
