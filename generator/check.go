package generator

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// TypeCheck compiles the result's files in memory as they would stand in dir,
// without writing them. dir must lie in a Go module that requires this one.
// An error of a generated file is a fault of the generator and says so.
func (r *Result) TypeCheck(ctx context.Context, dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	overlay := make(map[string][]byte, len(r.Files))
	patterns := make(map[string]bool)
	for path, text := range r.Files {
		overlay[filepath.Join(abs, path)] = text
		patterns["./"+filepath.ToSlash(filepath.Dir(path))] = true
	}
	pkgs, err := packages.Load(&packages.Config{
		Context: ctx,
		Dir:     abs,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedExportFile,
		Overlay: overlay,
		Tests:   true,
		ParseFile: func(fset *token.FileSet, name string, src []byte) (*ast.File, error) {
			return parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		},
	}, slices.Sorted(maps.Keys(patterns))...)
	if err != nil {
		return fmt.Errorf("generator: type-check: %w", err)
	}
	var errs []error
	seen := make(map[string]bool)
	for _, p := range pkgs {
		if strings.HasSuffix(p.PkgPath, ".test") {
			continue // the test binary's main, which go test makes
		}
		for _, e := range p.Errors {
			if msg := e.Error(); !seen[msg] {
				seen[msg] = true
				errs = append(errs, e)
			}
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("generator: the output does not compile here, nothing was written\n%w", errors.Join(errs...))
	}
	return nil
}
