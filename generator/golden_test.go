package generator

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite testdata/cases/gen-*/want")

// TestCases holds what is generated for a document against the files beside
// it, and type-checks it. The examples and the documents of the command's
// tests are also built, started and asked.
func TestCases(t *testing.T) {
	root := testenv.Root()
	docs, err := filepath.Glob(filepath.Join(root, "testdata", "cases", "gen-*", "openapi.yaml"))
	if err != nil || len(docs) == 0 {
		t.Fatalf("%d cases, %v", len(docs), err)
	}
	for _, doc := range docs {
		dir := filepath.Dir(doc)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			settings := Settings{Document: "openapi.yaml", Package: "api", Undeclared: "error"}
			if s, err := ReadSettings(filepath.Join(dir, SettingsFile)); err == nil {
				settings = s
			} else if !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			settings.Output = "internal/golden"
			res, err := Generate(t.Context(), Config{Dir: dir, Settings: settings})
			if err != nil {
				t.Fatalf("Generate = %v %+v", err, res.Diagnostics)
			}
			got := map[string][]byte{"diagnostics.txt": nil}
			for _, d := range res.Diagnostics {
				pos := d.Pos
				pos.File = filepath.Base(pos.File)
				got["diagnostics.txt"] = fmt.Appendf(got["diagnostics.txt"], "%s: %s %s: %s: %s\n", pos, d.Rule, d.Severity, d.Subject, d.Message)
			}
			for path, text := range res.Files {
				// With another ending these are no Go files to tools that
				// walk the tree.
				got[filepath.Base(path)+".txt"] = text
			}
			want := filepath.Join(dir, "want")
			if *update {
				if err := os.MkdirAll(want, 0o755); err != nil {
					t.Fatal(err)
				}
				for name, text := range got {
					if err := os.WriteFile(filepath.Join(want, name), text, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, name := range slices.Sorted(maps.Keys(got)) {
				text, err := os.ReadFile(filepath.Join(want, name))
				if err != nil || !bytes.Equal(text, got[name]) {
					t.Errorf("%s differs from want (%v); go test ./generator -run TestCases -update rewrites it", name, err)
				}
			}
			if err := res.TypeCheck(t.Context(), root); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSameBytes wants the same bytes from every run.
func TestSameBytes(t *testing.T) {
	doc := filepath.Join(testenv.Root(), "testdata", "cases", "gen-every-shape", "openapi.yaml")
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	var first map[string][]byte
	for range 10 {
		res, err := generate(t, text, "error") // from another folder each time
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = res.Files
		}
		for path, text := range res.Files {
			if !bytes.Equal(text, first[path]) {
				t.Fatalf("%s differs between runs", path)
			}
			if strings.Contains(string(text), os.TempDir()) {
				t.Errorf("%s names a folder of this machine", path)
			}
		}
	}
}
