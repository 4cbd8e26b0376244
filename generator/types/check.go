package types

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"sync"
)

// outlines are the parts of imported packages that models use. Checking
// against them takes no compiled packages and no module cache.
var outlines = map[string]string{
	"fmt":     "package fmt\nfunc Errorf(format string, a ...any) error",
	"maps":    "package maps\nfunc Copy(to, from any)",
	"time":    "package time\ntype Time struct{}",
	codecPath: "package codec\ntype Date struct{}",
	jsonPath: `package json
type Options interface{ options() }
func Deterministic(bool) Options
func Marshal(in any, opts ...Options) ([]byte, error)
func Unmarshal(in []byte, out any, opts ...Options) error`,
	jsontextPath: `package jsontext
type Value []byte
func (v Value) MarshalJSON() ([]byte, error)
func (v *Value) UnmarshalJSON(b []byte) error`,
}

// outlined parses and checks the outlines once.
var outlined = sync.OnceValue(func() packages {
	all := packages{}
	for path, text := range outlines {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err != nil {
			panic(err) // our own text
		}
		conf := types.Config{IgnoreFuncBodies: true}
		if all[path], err = conf.Check(path, set, []*ast.File{file}, nil); err != nil {
			panic(err)
		}
	}
	return all
})

// packages is an importer of what was checked before.
type packages map[string]*types.Package

func (p packages) Import(path string) (*types.Package, error) {
	if found := p[path]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("models do not import %q", path)
}

// check type-checks a generated file.
func check(source []byte) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "models.gen.go", source, parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("the generated code cannot be parsed: %w", err)
	}
	conf := types.Config{Importer: outlined()}
	if _, err := conf.Check(file.Name.Name, set, []*ast.File{file}, nil); err != nil {
		return fmt.Errorf("the generated code does not compile: %w", err)
	}
	return nil
}
