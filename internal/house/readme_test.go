package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
)

var (
	snippet = regexp.MustCompile("(?s)<!-- ([^ ]+) -->\n```[a-z]+\n(.*?)```")
	named   = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	cases   = regexp.MustCompile("diag-[a-z-]+")
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadme holds snippets against the files they come from.
func TestReadme(t *testing.T) {
	for page, least := range map[string]int{"README.md": 3, "docs/custom.md": 6, "docs/tokens.md": 1} {
		found := snippet.FindAllStringSubmatch(read(t, page), -1)
		if len(found) < least {
			t.Fatalf("%s has %d snippets that name their file", page, len(found))
		}
		for _, m := range found {
			if !strings.Contains(read(t, m[1]), m[2]) {
				t.Errorf("the snippet of %s in %s is not in it:\n%s", m[1], page, m[2])
			}
		}
	}
}

// TestDocs wants every test and case that the documentation names to be there.
func TestDocs(t *testing.T) {
	root := testenv.Root()
	var tests strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	docs := read(t, "docs/security.md")
	found := named.FindAllStringSubmatch(docs, -1)
	if len(found) < 30 {
		t.Fatalf("docs/security.md names %d tests", len(found))
	}
	for _, m := range found {
		if !strings.Contains(tests.String(), "\nfunc "+m[1]+"(") {
			t.Errorf("docs/security.md names %s, which is not there", m[1])
		}
	}
	for _, name := range cases.FindAllString(docs, -1) {
		if _, err := os.Stat(filepath.Join(root, "testdata", "cases", name)); err != nil {
			t.Error(err)
		}
	}
}
