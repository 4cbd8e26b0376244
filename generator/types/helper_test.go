package types

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// document30 is the head of a document whose component schemas follow.
const document30 = "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {}\ncomponents:\n  schemas:\n"

// document31 is the same for OpenAPI 3.1.
const document31 = "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths: {}\ncomponents:\n  schemas:\n"

// loaded reads a document, and the files beside it, given by name and text.
func loaded(t testing.TB, text string, beside ...string) *load.Document {
	t.Helper()
	dir := t.TempDir()
	files := append([]string{"openapi.yaml", text}, beside...)
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	doc, diags := load.Load(context.Background(), load.Config{Path: filepath.Join(dir, "openapi.yaml")})
	if doc == nil {
		t.Fatalf("the document cannot be loaded: %v", diags)
	}
	return doc
}

// models gives the file for a document without operations.
func models(t testing.TB, cfg Config, text string, beside ...string) (string, []model.Diagnostic) {
	t.Helper()
	cfg.Package, cfg.Source = "api", "openapi.yaml"
	source, diags, err := Generate(loaded(t, text, beside...), &model.API{}, cfg)
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	return string(source), diags
}
