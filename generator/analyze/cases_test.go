package analyze

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

var update = flag.Bool("update", false, "rewrite want.txt of each case")

const casesDir = "../../testdata/cases"

// caseConfig reads the settings of a case.
func caseConfig(t *testing.T) Config {
	t.Helper()
	text, err := os.ReadFile("gatewright.yaml")
	if os.IsNotExist(err) {
		return Config{}
	}
	var s struct {
		Undeclared string  `yaml:"undeclared"`
		BasePath   *string `yaml:"base_path"`
		Schemes    map[string]struct {
			Kind        string   `yaml:"kind"`
			ExtraScopes []string `yaml:"extra_scopes"`
		} `yaml:"schemes"`
	}
	if err := yaml.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Undeclared: s.Undeclared, BasePath: s.BasePath, Schemes: map[string]SchemeConfig{}}
	for name, sc := range s.Schemes {
		cfg.Schemes[name] = SchemeConfig{Kind: sc.Kind, ExtraScopes: sc.ExtraScopes}
	}
	return cfg
}

// runCase analyses the document in the current folder.
func runCase(cfg Config) (*model.API, []model.Diagnostic) {
	file := "openapi.yaml"
	if _, err := os.Stat("openapi.json"); err == nil {
		file = "openapi.json"
	}
	doc, found := load.Load(context.Background(), load.Config{Path: file})
	api, more := Analyze(doc, cfg)
	found = append(found, more...)
	model.Sort(found)
	return api, found
}

func report(found []model.Diagnostic) string {
	var b strings.Builder
	for _, d := range found {
		fmt.Fprintf(&b, "%s: %s: %s", d.Pos, d.Severity, d.Rule)
		if d.Subject != "" {
			fmt.Fprintf(&b, " [%s]", load.Quote(d.Subject))
		}
		fmt.Fprintf(&b, ": %s\n", d.Message)
		if d.Excerpt != "" {
			fmt.Fprintf(&b, "\t| %s\n", d.Excerpt)
		}
		if d.Help != "" {
			fmt.Fprintf(&b, "\thelp: %s\n", d.Help)
		}
	}
	return b.String()
}

// access prints who may call what, so that a case also shows the outcome.
func access(api *model.API) string {
	var b strings.Builder
	for _, s := range api.Schemes {
		fmt.Fprintf(&b, "scheme %s: %s at %v\n", load.Quote(s.Name), s.Verifier, s.Places)
	}
	for _, op := range api.Operations {
		p := op.Policy
		fmt.Fprintf(&b, "%s %s %s: ", op.GoName, op.Method, load.Quote(op.Path))
		switch {
		case p.Undeclared:
			b.WriteString("public, undeclared\n")
		case p.Public:
			b.WriteString("public\n")
		default:
			fmt.Fprintf(&b, "%q\n", p.Alternatives)
		}
	}
	return b.String()
}

func TestCases(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(casesDir, "diag-*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases in %s (%v)", casesDir, err)
	}
	seen := map[string]bool{}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Chdir(dir)
			cfg := caseConfig(t)
			api, found := runCase(cfg)
			for _, d := range found {
				seen[d.Rule] = true
				if d.Help == "" {
					t.Errorf("%s %s: %s: there is no way out", d.Pos, d.Rule, d.Message)
				}
			}
			got := report(found) + "--\n" + access(api)
			if *update {
				if err := os.WriteFile("want.txt", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile("want.txt")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("diagnostics differ from want.txt; run with -update and read the difference\ngot:\n%s\nwant:\n%s", got, want)
			}
			if api, again := runCase(cfg); report(again)+"--\n"+access(api) != got {
				t.Errorf("a second run gives other diagnostics")
			}
		})
	}
	for _, r := range Rules {
		if r.ID >= "GW090" {
			continue // of later stages
		}
		if !seen[r.ID] {
			t.Errorf("rule %s (%s) has no case", r.ID, r.Title)
		}
		delete(seen, r.ID)
	}
	for id := range seen {
		t.Errorf("rule %s is not in the table", id)
	}
}
