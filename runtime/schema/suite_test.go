package schema

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/internal/testenv"
)

// suiteFiles are the files of the official suite whose keyword is enforced.
var suiteFiles = []string{
	"additionalProperties", "allOf", "anyOf", "boolean_schema", "const", "default", "defs", "enum",
	"exclusiveMaximum", "exclusiveMinimum", "if-then-else", "infinite-loop-detection", "items", "maxItems",
	"maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf",
	"not", "oneOf", "pattern", "patternProperties", "prefixItems", "properties", "propertyNames", "ref",
	"required", "type", "uniqueItems",
	"optional/bignum", "optional/ecmascript-regex", "optional/float-overflow", "optional/non-bmp-regex",
}

// suiteLeftOut are the groups of those files that are not run, and why.
var suiteLeftOut = map[string]string{
	"defs: validate definition against metaschema":                                "the meta-schema is outside the document",
	"ref: remote ref, containing refs itself":                                     "the meta-schema is outside the document",
	"not: collect annotations inside a 'not', even if collection is disabled":     "unevaluatedProperties is not enforced",
	"ref: ref creates new scope when adjacent to keywords":                        "unevaluatedProperties is not enforced",
	"ref: Recursive references between schemas":                                   "$id as a base for $ref is not supported",
	"ref: refs with relative uris and defs":                                       "$id as a base for $ref is not supported",
	"ref: relative refs with absolute uris and defs":                              "$id as a base for $ref is not supported",
	"ref: $id must be resolved against nearest parent, not just immediate parent": "$id as a base for $ref is not supported",
	"ref: order of evaluation: $id and $ref":                                      "$id as a base for $ref is not supported",
	"ref: order of evaluation: $id and $anchor and $ref":                          "$id as a base for $ref is not supported",
	"ref: order of evaluation: $id and $ref on nested schema":                     "$id as a base for $ref is not supported",
	"ref: simple URN base URI with $ref via the URN":                              "$id as a base for $ref is not supported",
	"ref: URN base URI with URN and JSON pointer ref":                             "$id as a base for $ref is not supported",
	"ref: URN base URI with URN and anchor ref":                                   "$id as a base for $ref is not supported",
	"ref: URN ref with nested pointer ref":                                        "$id as a base for $ref is not supported",
	"ref: ref to if":                                                              "$id as a base for $ref is not supported",
	"ref: ref to then":                                                            "$id as a base for $ref is not supported",
	"ref: ref to else":                                                            "$id as a base for $ref is not supported",
	"ref: ref with absolute-path-reference":                                       "$id as a base for $ref is not supported",
}

type suiteGroup struct {
	Description string         `json:"description"`
	Schema      jsontext.Value `json:"schema"`
	Tests       []struct {
		Description string         `json:"description"`
		Data        jsontext.Value `json:"data"`
		Valid       bool           `json:"valid"`
	} `json:"tests"`
}

// readSuite returns the groups of one file of the suite.
func readSuite(t testing.TB, dir, name string) []suiteGroup {
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var groups []suiteGroup
	if err := json.Unmarshal(text, &groups); err != nil {
		t.Fatal(err)
	}
	return groups
}

// suiteDir returns the folder of the suite's cases for draft 2020-12.
func suiteDir(t testing.TB) string {
	return filepath.Join(testenv.SchemaSuite(t), "tests", "draft2020-12")
}

func TestSuite(t *testing.T) {
	dir := suiteDir(t)
	passed, left := 0, map[string]bool{}
	for _, name := range suiteFiles {
		for _, g := range readSuite(t, dir, name) {
			key := name + ": " + g.Description
			if _, out := suiteLeftOut[key]; out {
				left[key] = true
				continue
			}
			p, err := Compile(g.Schema)
			if err != nil {
				t.Errorf("%s: Compile: %v", key, err)
				continue
			}
			for _, tt := range g.Tests {
				if err := p.Check(tt.Data); (err == nil) != tt.Valid {
					t.Errorf("%s: %s: Check(%s) = %v, want valid %v", key, tt.Description, tt.Data, err, tt.Valid)
					continue
				}
				passed++
			}
		}
	}
	for key := range suiteLeftOut {
		if !left[key] {
			t.Errorf("%s is left out and does not exist", key)
		}
	}
	t.Logf("%d files, %d cases passed, %d groups left out", len(suiteFiles), passed, len(left))
}
