package types_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/types"
)

// specs returns the folder of public documents, or skips the test.
func specs(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("GATEWRIGHT_SPECS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "specs")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the public documents are not here: set GATEWRIGHT_SPECS to their folder")
	}
	return dir
}

// TestCorpus holds that every public document gives Go types that compile, as
// Generate checks. The log tells which places became raw JSON.
func TestCorpus(t *testing.T) {
	dir := specs(t)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".yaml" && ext != ".json" {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			doc, found := load.Load(context.Background(), load.Config{Path: filepath.Join(dir, e.Name())})
			if doc == nil {
				t.Skipf("not an OpenAPI 3 document: %v", found)
			}
			api, _ := analyze.Analyze(doc, analyze.Config{Undeclared: "public"})
			if api == nil {
				t.Skip("nothing to analyse")
			}
			source, diags, err := types.Generate(doc, api, types.Config{Package: "api", Source: e.Name()})
			if err != nil {
				t.Fatalf("Generate: %v", err)
			}
			t.Logf("%d bytes, %d degraded", len(source), len(diags))
			for _, d := range diags {
				t.Logf("%s: %s %s", d.Pos, d.Subject, d.Message)
			}
		})
	}
}
