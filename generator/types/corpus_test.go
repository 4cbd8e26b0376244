package types_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/types"
	"github.com/gatewright/gatewright/internal/testenv"
)

// TestCorpus holds that every public document gives Go types that compile, as
// Generate checks. The log tells which places became raw JSON.
func TestCorpus(t *testing.T) {
	dir := testenv.Specs(t)
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
				t.Logf("not an OpenAPI 3 document: %v", found)
				return
			}
			api, _ := analyze.Analyze(doc, analyze.Config{Undeclared: "public"})
			if api == nil {
				t.Log("nothing to analyse")
				return
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
