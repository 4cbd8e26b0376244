package analyze

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/testenv"
)

func counts(ds []model.Diagnostic) (errs, warns int, rules map[string]int) {
	rules = map[string]int{}
	for _, d := range ds {
		if d.Severity == model.Error {
			errs++
			rules[d.Rule]++
		} else {
			warns++
		}
	}
	return
}

// TestCorpus reads every public document: none may panic, what has no errors
// is a model that holds together, and those with errors are the ones of
// testdata/corpus.txt, so that no change refuses documents unseen.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Specs(t), "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range files {
		if filepath.Ext(f) == ".tsv" || filepath.Ext(f) == ".md" {
			continue
		}
		doc, found := load.Load(context.Background(), load.Config{Path: f})
		api, more := Analyze(doc, Config{Undeclared: "public"})
		found = append(found, more...)
		errs, warns, rules := counts(found)
		t.Logf("%s: %d operations, %d errors, %d warnings", filepath.Base(f), len(api.Operations), errs, warns)
		if doc != nil && errs == 0 {
			checkModel(t, doc, api, Config{Undeclared: "public"})
		}
		fmt.Fprintf(&got, "%s:", filepath.Base(f))
		for _, rule := range slices.Sorted(maps.Keys(rules)) {
			fmt.Fprintf(&got, " %s=%d", rule, rules[rule])
		}
		got.WriteByte('\n')
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
