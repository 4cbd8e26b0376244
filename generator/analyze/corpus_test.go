package analyze

import (
	"context"
	"path/filepath"
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

// TestCorpus reads every public document: none may panic, and what has no
// errors is a model that holds together. -v shows what was found.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Specs(t), "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Ext(f) == ".tsv" || filepath.Ext(f) == ".md" {
			continue
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			doc, found := load.Load(context.Background(), load.Config{Path: f})
			api, more := Analyze(doc, Config{Undeclared: "public"})
			found = append(found, more...)
			errs, warns, rules := counts(found)
			t.Logf("%d operations, %d errors %v, %d warnings", len(api.Operations), errs, rules, warns)
			if doc != nil && errs == 0 {
				checkModel(t, doc, api, Config{Undeclared: "public"})
			}
			shown := map[string]int{}
			for _, d := range found {
				if d.Severity == model.Error {
					if shown[d.Rule]++; shown[d.Rule] <= 2 {
						t.Logf("  %s: %s %s: %s | %s", d.Pos, d.Rule, d.Subject, d.Message, d.Excerpt)
					}
				}
			}
		})
	}
}
