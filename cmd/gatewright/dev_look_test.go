package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
)

// TestWatcher wants what a project is built from to be noticed, and nothing
// else.
func TestWatcher(t *testing.T) {
	top := t.TempDir()
	tree := filepath.Join(top, "project")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.go", "package main")
	write("front/index.html", "one")
	write("gen/api.gen.go", "package gen")
	write("../docs/api.yaml", "openapi: 3.1.0")
	w, err := newWatcher(tree, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	w.file(filepath.Join(top, "docs", "api.yaml"))
	w.file(filepath.Join(top, "docs", "later.yaml"))
	w.embedded([]string{filepath.Join(tree, "front", "index.html")})

	// noticed waits for the word that something changed.
	noticed := func(name string) {
		t.Helper()
		select {
		case <-w.dirty:
		case <-time.After(time.Minute):
			t.Fatalf("nobody notices %s", name)
		}
	}
	for _, c := range []struct{ name, text, want string }{
		{"main.go", "package main // changed", "main.go"},
		{"new/deep/down.go", "package down", "new/deep/down.go"},
		{"new/deep/down.go", "package down // changed", "new/deep/down.go"},
		{"go.mod", "module x", "go.mod"},
		{"front/index.html", "two", "front/index.html"},
		{"front/more.html", "more", "front/more.html"},
		{"../docs/api.yaml", "openapi: 3.0.3", "docs/api.yaml"},
		{"../docs/later.yaml", "x: 1", "docs/later.yaml"},
	} {
		write(c.name, c.text)
		noticed(c.name)
		got := w.changed()
		for len(got) == 0 { // a new folder is noticed before its file is whole
			noticed(c.name)
			got = w.changed()
		}
		if len(got) != 1 || !strings.HasSuffix(filepath.ToSlash(got[0]), c.want) {
			t.Errorf("changed() = %q, want %s", got, c.want)
		}
	}
	if err := os.Remove(filepath.Join(tree, "new", "deep", "down.go")); err != nil {
		t.Fatal(err)
	}
	noticed("a file that goes")
	if got := w.changed(); !slices.Equal(got, []string{filepath.Join("new", "deep", "down.go")}) {
		t.Errorf("changed() = %q", got)
	}

	for _, name := range []string{
		"main_test.go", "notes.md", ".git/config.go", "node_modules/x/x.go", "new/testdata/x.go", "_old/x.go", "../docs/other.yaml", "../other.go", "front/.swp", "front/data.db",
	} {
		write(name, "package other")
		if got := w.changed(); len(got) != 0 {
			t.Errorf("%s counts: changed() = %q", name, got)
		}
	}
	write("gen/api.gen.go", "package gen // written by dev")
	write("main.go", "package main // by its author, meanwhile")
	w.settle(filepath.Join(tree, "gen"))
	if got := w.changed(); !slices.Equal(got, []string{"main.go"}) {
		t.Errorf("changed() = %q after settle, want main.go", got)
	}
	write("main.go", "package main // by its author, meanwhile")
	if got := w.changed(); len(got) != 0 {
		t.Errorf("changed() = %q of a file written as it was", got)
	}
}

// TestEmbeddedFiles finds the blog's front.
func TestEmbeddedFiles(t *testing.T) {
	dir := filepath.Join(testenv.Root(), "examples", "blog")
	got := embeddedFiles(t.Context(), dir)
	if !slices.Contains(got, filepath.Join(dir, "front", "index.html")) {
		t.Errorf("embeddedFiles = %q", got)
	}
}
