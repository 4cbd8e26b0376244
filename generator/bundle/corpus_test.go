package bundle

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/schema"
)

// TestCorpus makes a bundle of every public document that can be read: it has
// to compile and to leave nothing unenforced, unless a diagnostic says that
// the document is wrong.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Specs(t), "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if ext := filepath.Ext(f); ext != ".json" && ext != ".yaml" {
			continue
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			doc, found := load.Load(context.Background(), load.Config{Path: f})
			if doc == nil || model.HasErrors(found) {
				t.Log("the document cannot be read")
				return
			}
			api, _ := analyze.Analyze(doc, analyze.Config{Undeclared: "public"})
			text, found, err := Build(doc, api)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range found {
				t.Logf("%s: %s %s %s", d.Pos, d.Severity, d.Rule, d.Message)
			}
			again, _, err := Build(doc, api)
			if err != nil || !bytes.Equal(text, again) {
				t.Errorf("Build gives other bytes the second time (%v)", err)
			}
			p, err := schema.Compile(text)
			switch {
			case model.HasErrors(found):
				return
			case err != nil:
				t.Fatalf("Compile of the bundle: %v", err)
			case len(p.Unenforced()) > 0:
				t.Errorf("Unenforced() = %v, want nothing", p.Unenforced())
			}
			for _, s := range requestSchemas(api) {
				if _, ok := p.Def(s.Def); !ok {
					t.Errorf("there is no def %q for %s", s.Def, s.Location)
				}
			}
		})
	}
}
