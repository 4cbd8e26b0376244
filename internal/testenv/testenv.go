// Package testenv finds what tests need beside the code.
package testenv

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Skip ends a test that cannot run here, with a sentence that says why. Where
// CI=true it fails instead: nothing is skipped where nobody sees it.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("cannot run here, and with CI=true nothing is skipped: %s", why)
	}
	t.Skip(why)
}

// Root returns the folder of the checkout.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Specs returns the folder of public documents that tests read, named by
// GWTEST_SPECS or else ../shared/specs beside the checkout. They are not
// part of the project.
func Specs(t testing.TB) string {
	return beside(t, "GWTEST_SPECS", "specs", "public OpenAPI documents")
}

// SchemaSuite returns the folder of the official JSON Schema test suite, named
// by GWTEST_JSON_SCHEMA_SUITE or else beside the checkout.
func SchemaSuite(t testing.TB) string {
	return beside(t, "GWTEST_JSON_SCHEMA_SUITE", "json-schema-test-suite", "the JSON Schema test suite")
}

func beside(t testing.TB, env, name, what string) string {
	t.Helper()
	dir := os.Getenv(env)
	if dir == "" {
		dir = filepath.Join(Root(), "..", "shared", name)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		Skip(t, "needs "+what+" in "+dir+", or in the folder that "+env+" names")
	}
	return dir
}
