package claims_test

import (
	"reflect"
	"testing"

	"github.com/gatewright/gatewright/runtime/claims"
)

func TestTexts(t *testing.T) {
	all := map[string]any{
		"one":                      "admin",
		"blanks":                   "posts:read  posts:write",
		"semicolons":               "Chief Editor; Author;; ",
		"list":                     []any{"admin", " staff ", "", 7.0, nil, []any{"x"}},
		"number":                   7.0,
		"null":                     nil,
		"https://blog.example/r.s": []any{"mine"},
		"realm_access":             map[string]any{"roles": []any{"editor"}, "deep": map[string]any{"er": "x"}},
		"text":                     "flat",
	}
	for name, want := range map[string][]string{
		"one":                      {"admin"},
		"blanks":                   {"posts:read", "posts:write"},
		"semicolons":               {"Chief Editor", "Author"},
		"list":                     {"admin", "staff"},
		"number":                   nil,
		"null":                     nil,
		"missing":                  nil,
		"https://blog.example/r.s": {"mine"},
		"realm_access.roles":       {"editor"},
		"realm_access.deep.er":     {"x"},
		"realm_access":             nil,
		"text.more":                nil,
		"One":                      nil, // claims are told apart by case
	} {
		if got := claims.Texts(all, name); !reflect.DeepEqual(got, want) {
			t.Errorf("Texts(%q) = %q, want %q", name, got, want)
		}
	}
}
