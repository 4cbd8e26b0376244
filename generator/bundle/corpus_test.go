package bundle

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/schema"
)

var update = flag.Bool("update", false, "rewrite testdata/corpus.txt")

// TestCorpus makes a bundle of every public document that can be read: it has
// to compile and to leave nothing unenforced, unless a diagnostic says that
// the document is wrong. Those documents are the ones of testdata/corpus.txt.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Specs(t), "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
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
			rules := map[string]int{}
			for _, d := range found {
				if d.Severity == model.Error {
					rules[d.Rule]++
				}
				t.Logf("%s: %s %s %s", d.Pos, d.Severity, d.Rule, d.Message)
			}
			fmt.Fprintf(&got, "%s:", filepath.Base(f))
			for _, rule := range slices.Sorted(maps.Keys(rules)) {
				fmt.Fprintf(&got, " %s=%d", rule, rules[rule])
			}
			got.WriteByte('\n')
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
	golden := filepath.Join("testdata", "corpus.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("errors by document and rule differ from %s; run with -update and read the difference\ngot:\n%s", golden, got.String())
	}
}
