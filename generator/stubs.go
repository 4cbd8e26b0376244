package generator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// An Implementation is what the application has of a Service: the type that
// embeds Unimplemented, and the names of its methods.
type Implementation struct {
	Type    string
	Methods map[string]bool
}

// FindImplementation looks through the Go files of dir for the type that
// embeds pkg.Unimplemented. It returns nil if there is none, or if the files
// do not parse: the compiler tells that better.
func FindImplementation(dir, pkg string) *Implementation {
	files := parseDir(dir)
	impl := &Implementation{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if t, ok := n.(*ast.TypeSpec); ok && embeds(t, pkg) {
				impl.Type = t.Name.Name
			}
			return true
		})
	}
	if impl.Type == "" {
		return nil
	}
	impl.Methods = methods(files, impl.Type)
	return impl
}

// MethodsOf returns the names of the methods that the Go files of dir declare
// on the type of that name; nil if there are none.
func MethodsOf(dir, typeName string) map[string]bool { return methods(parseDir(dir), typeName) }

// parseDir returns the files of dir but for tests; none if one does not parse.
func parseDir(dir string) []*ast.File {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil
		}
		files = append(files, f)
	}
	return files
}

func methods(files []*ast.File, typeName string) map[string]bool {
	var names map[string]bool
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && receiver(fn) == typeName {
				if names == nil {
					names = make(map[string]bool)
				}
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

func embeds(t *ast.TypeSpec, pkg string) bool {
	s, ok := t.Type.(*ast.StructType)
	if !ok {
		return false
	}
	for _, field := range s.Fields.List {
		sel, ok := field.Type.(*ast.SelectorExpr)
		if !ok || len(field.Names) > 0 || sel.Sel.Name != "Unimplemented" {
			continue
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
			return true
		}
	}
	return false
}

func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) != 1 {
		return ""
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
