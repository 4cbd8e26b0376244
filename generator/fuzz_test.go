package generator

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/internal/testenv"
)

// generate runs the generator over a document given as text.
func generate(t testing.TB, text []byte, undeclared string) (*Result, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openapi.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return Generate(context.Background(), Config{Settings: Settings{
		Document: path, Package: "api", Output: "internal/api", Undeclared: undeclared,
	}})
}

// allowedImports are what generated code may name. Nothing in a document adds
// to them.
var allowedImports = regexp.MustCompile(`^(cmp|context|embed|errors|fmt|io|maps|net/http|testing|time|` +
	`github\.com/gatewright/gatewright/runtime/[a-z]+|github\.com/go-json-experiment/json(/jsontext)?)$`)

// allowedFuncs are the functions, methods apart, that generated code declares.
var allowedFuncs = map[string]bool{"New": true, "Run": true, "RunWith": true, "TestSecurity": true}

// inspect tells what in a generated file cannot have come from the generator
// alone: it looks at the syntax tree and shares nothing with what printed it.
func inspect(name string, text []byte) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	var errs []error
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !allowedImports.MatchString(path) {
			errs = append(errs, fmt.Errorf("%s: import %s", name, spec.Path.Value))
		}
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			embeds := filepath.Base(name) == "docs.gen.go" && c.Text == "//go:embed openapi.gen.json"
			if !strings.HasPrefix(c.Text, "// ") && c.Text != "//" && !embeds {
				errs = append(errs, fmt.Errorf("%s: comment %q can be a directive", name, c.Text))
			}
		}
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && !allowedFuncs[fn.Name.Name] {
			errs = append(errs, fmt.Errorf("%s: function %s", name, fn.Name.Name))
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if !token.IsIdentifier(n.Name) && n.Name != "_" && !token.IsKeyword(n.Name) || len(n.Name) > 400 {
				errs = append(errs, fmt.Errorf("%s: identifier %q", name, n.Name))
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING && n.Value[0] == '`' && strings.ContainsAny(n.Value, "\n\r") {
				errs = append(errs, fmt.Errorf("%s: raw string over several lines: %q", name, n.Value))
			}
		}
		return true
	})
	return errors.Join(errs...)
}

func inspectAll(res *Result) error {
	var errs []error
	for path, text := range res.Files {
		if strings.HasSuffix(path, ".go") {
			errs = append(errs, inspect(path, text))
		} else if path != filepath.Join(filepath.Dir(path), "openapi.gen.json") || !jsontext.Value(text).IsValid() {
			errs = append(errs, fmt.Errorf("%s is no file of ours, or no JSON", path))
		}
	}
	return errors.Join(errs...)
}

// FuzzGenerate feeds documents to the whole generator: what comes out is
// diagnostics, or Go code that parses and in which the document's text is in
// string literals and comments only.
func FuzzGenerate(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 64<<10 {
			return // longer than is useful here
		}
		res, err := generate(t, text, "public")
		if errors.Is(err, ErrDocument) {
			if len(res.Diagnostics) == 0 || res.Files != nil {
				t.Fatalf("ErrDocument with %d diagnostics and %d files", len(res.Diagnostics), len(res.Files))
			}
			return
		}
		if err != nil {
			t.Fatalf("Generate = %v", err)
		}
		if err := inspectAll(res); err != nil {
			t.Fatal(err)
		}
	})
}

// seeds are this project's own documents.
func seeds(t testing.TB) [][]byte {
	var out [][]byte
	for _, pattern := range []string{"examples/*/openapi.yaml", "testdata/cases/*/openapi.*"} {
		paths, err := filepath.Glob(filepath.Join(testenv.Root(), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) < 64<<10 {
				out = append(out, text)
			}
		}
	}
	if len(out) < 3 {
		t.Fatalf("%d seeds", len(out))
	}
	return out
}
