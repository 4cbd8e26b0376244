package samples_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/samples"
	"github.com/gatewright/gatewright/internal/testenv"
)

// TestPublicDocuments makes samples for documents that nobody here wrote, and
// has each language parse them.
func TestPublicDocuments(t *testing.T) {
	specs := testenv.Specs(t)
	python := startChecker(t, "python3", "-c", pythonChecker)
	node := startChecker(t, "node", "-e", javaScriptChecker)
	for _, c := range []struct {
		name     string
		programs int // operations that have one
	}{
		{"swagger-petstore-304.yaml", 19}, {"redocly-cafe-32.yaml", 4}, {"pagerduty-slack.json", 12}, {"lob.yaml", 52},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, found := load.Load(context.Background(), load.Config{Path: filepath.Join(specs, c.name)})
			if doc == nil {
				t.Fatalf("Load = %+v", found)
			}
			api, _ := analyze.Analyze(doc, analyze.Config{Undeclared: "public"})
			maker := samples.New(api, "https://api.example")
			programs := 0
			var shell strings.Builder
			for i := range api.Operations {
				op := &api.Operations[i]
				set := maker.Of(op)
				if set.Why == "" {
					programs++
				} else {
					t.Logf("%s: %s", op.ID, set.Why)
				}
				shell.WriteString(set.Samples[0].Source)
				if problem := python.check(set.Samples[1].Source); problem != "" {
					t.Errorf("%s in Python: %s\n%s", op.ID, problem, set.Samples[1].Source)
				}
				if problem := node.check(set.Samples[2].Source); problem != "" {
					t.Errorf("%s in JavaScript: %s\n%s", op.ID, problem, set.Samples[2].Source)
				}
				if err := goFault(set.Samples[3].Source); err != nil {
					t.Errorf("%s in Go: %v\n%s", op.ID, err, set.Samples[3].Source)
				}
			}
			if out, err := exec.Command("bash", "-n", "-c", shell.String()).CombinedOutput(); err != nil {
				t.Errorf("bash -n: %v\n%s", err, out)
			}
			if programs != c.programs {
				t.Errorf("%d of %d operations have a program, want %d", programs, len(api.Operations), c.programs)
			}
		})
	}
}
