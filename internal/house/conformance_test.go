package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
)

var (
	suiteID = regexp.MustCompile("^`(oidcc-client-[a-z0-9-]+)`$")
	subtest = regexp.MustCompile("^`(Test[A-Za-z]+)/([a-z0-9-]+)`$")
)

// loginTests returns the text literals of each test of package login that has
// subtests.
func loginTests(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testenv.Root(), "runtime", "login", "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests of package login: %v", err)
	}
	tests := make(map[string][]string)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			tests[f.Name.Name] = []string{}
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						tests[f.Name.Name] = append(tests[f.Name.Name], text)
					}
				}
				return true
			})
		}
	}
	return tests
}

// TestConformanceDocs holds docs/conformance.md against the tests: each of the
// suite's tests has one of ours under its name, or a reason why not; and none of
// ours is left out.
func TestConformanceDocs(t *testing.T) {
	docs := read(t, "docs/conformance.md")
	tests := loginTests(t)
	listed := make(map[string]bool)
	covered, reasons := 0, 0
	for line := range strings.Lines(docs) {
		var cells []string
		for _, c := range strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ") {
			cells = append(cells, strings.TrimSpace(c))
		}
		id := suiteID.FindStringSubmatch(cells[0])
		if id == nil {
			continue
		}
		switch len(cells) {
		case 2:
			if reasons++; cells[1] == "" {
				t.Errorf("%s is not covered, and there is no reason", id[1])
			}
		case 3:
			covered++
			ours := subtest.FindStringSubmatch(cells[1])
			if ours == nil || ours[2] != id[1] || cells[2] == "" {
				t.Errorf("the row of %s names the test %s", id[1], cells[1])
				continue
			}
			if !slices.Contains(tests[ours[1]], id[1]) {
				t.Errorf("%s has no subtest %s", ours[1], id[1])
			}
			if listed[ours[0]] {
				t.Errorf("%s is there twice", ours[0])
			}
			listed[ours[0]] = true
		default:
			t.Errorf("the row of %s has %d cells", id[1], len(cells))
		}
	}
	if covered < 36 || reasons < 9 {
		t.Errorf("%d tests of the suite are covered and %d are not, which is fewer than there were", covered, reasons)
	}
	for name, texts := range tests {
		for _, text := range texts {
			if strings.HasPrefix(text, "oidcc-client-") && !listed["`"+name+"/"+text+"`"] {
				t.Errorf("docs/conformance.md does not list %s/%s", name, text)
			}
		}
	}
	for _, m := range named.FindAllStringSubmatch(docs, -1) {
		if _, ok := tests[m[1]]; !ok {
			t.Errorf("docs/conformance.md names %s, which is not there", m[1])
		}
	}
}
