package generator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// TypeCheck compiles the result's files in memory as they would stand in dir,
// without writing them, together with what else lies in their folders. dir
// must lie in a Go module that requires this one. What does not compile is a
// fault of the generator, or of files of the user's own in its folder.
func (r *Result) TypeCheck(ctx context.Context, dir string) error {
	folders := make(map[string]bool)
	for path := range r.Files {
		folders[filepath.Dir(path)] = true
	}
	var errs []error
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		errs = append(errs, r.checkFolder(ctx, dir, folder))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("generator: the output does not compile here, nothing was written\n%w", err)
	}
	return nil
}

func (r *Result) checkFolder(ctx context.Context, dir, folder string) error {
	fset := token.NewFileSet()
	files, err := r.parseFolder(fset, dir, folder)
	if err != nil {
		return err
	}
	exports, err := exportData(ctx, dir, imports(files))
	if err != nil {
		return err
	}
	var errs []error
	cfg := types.Config{
		Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
			file, ok := exports[path]
			if !ok {
				return nil, fmt.Errorf("%s is not there", path)
			}
			return os.Open(file)
		}),
		Error: func(err error) {
			if len(errs) < 20 {
				errs = append(errs, err)
			}
		},
	}
	if _, err := cfg.Check(filepath.ToSlash(folder), fset, files, nil); err != nil && len(errs) == 0 {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// parseFolder parses the generated files of a folder, and those beside them
// that are of the same package.
func (r *Result) parseFolder(fset *token.FileSet, dir, folder string) ([]*ast.File, error) {
	sources := make(map[string]any)
	beside, err := filepath.Glob(filepath.Join(dir, folder, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range beside {
		sources[path] = nil // read from disk
	}
	pkg := ""
	for path, text := range r.Files {
		if filepath.Dir(path) != folder || !strings.HasSuffix(path, ".go") {
			continue
		}
		sources[filepath.Join(dir, path)] = text
		f, err := parser.ParseFile(fset, path, text, parser.PackageClauseOnly)
		if err != nil {
			return nil, err
		}
		pkg = f.Name.Name // the same in all that is generated
	}
	var files []*ast.File
	for _, path := range slices.Sorted(maps.Keys(sources)) {
		f, err := parser.ParseFile(fset, path, sources[path], parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if f.Name.Name == pkg { // an external test, package api_test, is not ours to judge
			files = append(files, f)
		}
	}
	return files, nil
}

// imports returns the paths that files import, once each.
func imports(files []*ast.File) []string {
	var paths []string
	for _, f := range files {
		for _, spec := range f.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err == nil && path != "unsafe" {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// exportData asks the go command for the compiled form of packages and of all
// that they import, as the module of dir sees them.
func exportData(ctx context.Context, dir string, paths []string) (map[string]string, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "--"}, paths...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w\n%s", dir, err, strings.TrimSpace(stderr.String()))
	}
	exports := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if file != "" {
			exports[path] = file
		}
	}
	return exports, nil
}
