package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

func TestOpen(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "server.db")}, sqlite.Driver)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check() = %v", err)
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		url     string
		drivers []store.Driver
		want    []string
	}{
		"no URL":         {"", nil, []string{"no scheme"}},
		"no scheme":      {":x", nil, []string{"no scheme"}},
		"a path":         {"server.db", []store.Driver{sqlite.Driver}, []string{"sqlite:server.db"}},
		"no driver":      {"sqlite:server.db", nil, []string{"runtime/store/sqlite", "sqlite.Driver", "passes none"}},
		"unknown scheme": {"mysql://u:hunter2@h/d", []store.Driver{sqlite.Driver}, []string{`"mysql"`, "those for sqlite"}},
		"other case":     {"SQLite:server.db", []store.Driver{sqlite.Driver}, []string{`"SQLite"`}},
		"nil driver":     {"sqlite:server.db", []store.Driver{nil}, []string{"nil"}},
		"driver twice":   {"sqlite:server.db", []store.Driver{sqlite.Driver, sqlite.Driver}, []string{"two drivers"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), store.Config{URL: c.url}, c.drivers...)
			if err == nil {
				t.Fatalf("Open(%q) = nil, want an error", c.url)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("Open(%q) = %v, want %q in it", c.url, err, w)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Open(%q) = %v, which shows the password", c.url, err)
			}
		})
	}
}
