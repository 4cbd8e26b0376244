package analyze_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/bundle"
	"github.com/gatewright/gatewright/generator/types"
)

// Each rule has one id, one constant and one line in the register.
func TestRules(t *testing.T) {
	title := map[string]string{}
	last := ""
	for _, r := range analyze.Rules {
		if r.ID <= last || r.Title == "" {
			t.Errorf("rule %s %q stands behind %s", r.ID, r.Title, last)
		}
		last, title[r.ID] = r.ID, r.Title
	}
	for _, id := range []string{
		bundle.RuleUnenforced, bundle.RuleBacktracks, bundle.RuleMalformed, bundle.RuleLoop, types.RuleUntyped,
	} {
		if title[id] == "" {
			t.Errorf("rule %s is not in the register", id)
		}
	}
	constant := map[string]string{}
	for _, dir := range []string{"load", "analyze", "bundle", "types"} {
		for id, name := range constants(t, filepath.Join("..", dir)) {
			if constant[id] != "" {
				t.Errorf("%s is both %s and %s", id, constant[id], name)
			}
			constant[id] = name
			if title[id] == "" {
				t.Errorf("%s (%s) is not in the register", id, name)
			}
		}
	}
	for id := range title {
		if constant[id] == "" {
			t.Errorf("no package names %s", id)
		}
	}
}

var ruleID = regexp.MustCompile(`^GW[0-9]{3}$`)

// constants gives the constants of a package that are ids of rules.
func constants(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				return true
			}
			for _, spec := range decl.Specs {
				values := spec.(*ast.ValueSpec)
				for i, v := range values.Values {
					lit, ok := v.(*ast.BasicLit)
					if !ok || lit.Kind != token.STRING {
						continue
					}
					text, err := strconv.Unquote(lit.Value)
					if err != nil || !ruleID.MatchString(text) {
						continue
					}
					name := filepath.Base(dir) + "." + values.Names[i].Name
					if found[text] != "" {
						t.Errorf("%s is both %s and %s", text, found[text], name)
					}
					found[text] = name
				}
			}
			return true
		})
	}
	return found
}
