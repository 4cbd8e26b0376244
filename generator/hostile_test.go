package generator

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/internal/testenv"
)

// hostile are strings that try to leave the comment, literal or tag they are
// put into.
var hostile = []string{
	"x\nfunc Pwned() {}\n",
	"x */ func Pwned() {} /*",
	"x`; func Pwned() {}; var _ = `",
	"x\"; func Pwned() {}; var _ = \"",
	"x\u2028func Pwned() {}\u2029",
	"x\rfunc Pwned() {}",
	"//go:embed /etc/passwd\n//go:generate true\n//line x.go:1",
	"x\u202e} func Pwned() {\u202c",
	"x\x00\x01\x7f\u0085\ufeff",
	"\\\"); func Pwned() {} //",
	"{{.}}{{template \"x\"}}%s%v%!",
}

// hostileDocument puts s into every field that takes text.
func hostileDocument(t *testing.T, s string) []byte {
	t.Helper()
	type object = map[string]any
	text, err := json.Marshal(object{
		"openapi": "3.1.0",
		"info":    object{"title": s, "version": s, "description": s, "summary": s},
		"tags":    []any{object{"name": s, "description": s}},
		"servers": []any{object{"url": "https://h.example/v1", "description": s}},
		"paths": object{"/a/{p}": object{
			"summary": s, "description": s,
			"post": object{
				"operationId": "op" + s, "summary": s, "description": s, "tags": []any{s}, "deprecated": true,
				"security": []any{object{"k" + s: []any{"scope" + s}}},
				"parameters": []any{
					object{"name": "p", "in": "path", "required": true, "description": s, "schema": object{"type": "string", "enum": []any{s, "b" + s}, "description": s}},
					object{"name": "q" + s, "in": "query", "description": s, "schema": object{"type": "string", "pattern": "^x$", "default": s, "title": s}},
				},
				"requestBody": object{"description": s, "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/N"}, "example": s}}},
				"responses": object{
					"200": object{"description": s,
						"headers": object{"X-H": object{"description": s, "schema": object{"type": "string"}}},
						"content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/N"}}}},
					"default": object{"description": s},
				},
			},
		}},
		"components": object{
			"securitySchemes": object{"k" + s: object{"type": "apiKey", "in": "query", "name": "k" + s, "description": s}},
			"schemas": object{
				"N": object{"type": "object", "title": s, "description": s, "required": []any{"a" + s}, "x-go-name": s, "x-go-type": "os.File",
					"x-go-type-import": object{"path": "os"}, "x-oapi-codegen-extra-tags": object{"evil": s},
					"properties": object{
						"a" + s: object{"type": "string", "description": s, "enum": []any{s, "z"}, "x-go-name": s, "x-enum-varnames": []any{s, "Z"}},
						"b":     object{"type": "string", "default": s, "format": s},
						"c":     object{"oneOf": []any{object{"$ref": "#/components/schemas/M"}, object{"type": "string", "const": s}}, "discriminator": object{"propertyName": "a" + s, "mapping": object{s: "#/components/schemas/M"}}},
					}},
				"M": object{"type": "object", "description": s, "properties": object{"x": object{"type": "integer", "description": s}}, "additionalProperties": object{"type": "string", "description": s}},
			},
		},
	}, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestHostileStrings(t *testing.T) {
	root := testenv.Root()
	for i, s := range hostile {
		t.Run(fmt.Sprintf("%d_%.12q", i, s), func(t *testing.T) {
			res, err := generate(t, hostileDocument(t, s), "error")
			if err != nil {
				// Names that no request can carry are refused; that is an answer too.
				for _, d := range res.Diagnostics {
					if strings.ContainsAny(d.Message+d.Help, "\n\r\x00\u2028") {
						t.Errorf("a diagnostic carries the text raw: %q", d.Message)
					}
				}
				t.Logf("refused: %v", err)
				return
			}
			if err := inspectAll(res); err != nil {
				t.Error(err)
			}
			for path, text := range res.Files {
				if !strings.HasSuffix(path, ".go") {
					continue
				}
				f, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range f.Decls {
					if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Pwned" {
						t.Errorf("%s declares Pwned", path)
					}
				}
				if strings.Contains(string(text), "os.File") {
					t.Errorf("%s took a Go type from the document", path)
				}
			}
			if err := res.TypeCheck(t.Context(), root); err != nil {
				t.Error(err)
			}
		})
	}
}
