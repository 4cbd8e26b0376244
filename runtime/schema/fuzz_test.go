package schema

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gatewright/gatewright/internal/ecma"
)

// addSuite seeds a fuzz target with the official suite.
func addSuite(f *testing.F) {
	f.Add([]byte(`{"type":"object","required":["a"],"properties":{"a":{"multipleOf":0.01}}}`), []byte(`{"a":0.07}`))
	f.Add([]byte(`{"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}],"$defs":{"a":{"uniqueItems":true}}}`), []byte(`[1,1.0]`))
	f.Add([]byte(`{"oneOf":[{"items":{"$ref":"#"}},{"enum":[[[]]]}]}`), []byte(`[[[]]]`))
	dir := suiteDir(f)
	for _, name := range suiteFiles {
		for _, g := range readSuite(f, dir, name) {
			for _, tt := range g.Tests {
				f.Add([]byte(g.Schema), []byte(tt.Data))
			}
		}
	}
}

// FuzzCompile: whatever the bytes are, Compile returns, and so does a Check.
func FuzzCompile(f *testing.F) {
	addSuite(f)
	f.Fuzz(func(t *testing.T, doc, value []byte) {
		if p, err := Compile(doc); err == nil {
			_ = p.Check(value)
		}
	})
}

// others are keywords that the other implementation looks at and this package
// does not, or that it understands differently.
var others = []string{
	"$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$vocabulary", "$schema", "$comment", "definitions",
	"dependent", "dependencies", "unevaluated", "contains", "Contains", "format", "content",
}

// An engine gives the other implementation our regular expressions: they have
// tests of their own.
type engine struct {
	*ecma.Regexp
	pattern string
}

func (e engine) MatchString(text string) bool { return e.Match([]byte(text)) }
func (e engine) String() string               { return e.pattern }

// exponent finds exponents that take long to compute.
var exponent = regexp.MustCompile(`[0-9][eE][+-]?[0-9]{3}`)

// FuzzCheck compares with another implementation, over the keywords that are
// enforced.
func FuzzCheck(f *testing.F) {
	addSuite(f)
	f.Fuzz(func(t *testing.T, doc, value []byte) {
		ours, err := Compile(doc)
		if err != nil || len(ours.Unenforced()) > 0 || len(doc) > 2000 || len(value) > 2000 {
			return
		}
		if exponent.Match(doc) || exponent.Match(value) {
			return // they compute it
		}
		for _, word := range others {
			if bytes.Contains(doc, []byte(word)) || bytes.Contains(doc, []byte(`\`)) {
				return
			}
		}
		tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
		if err != nil {
			return
		}
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		c.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
			re, err := ecma.Compile(pattern)
			return engine{re, pattern}, err
		})
		if err := c.AddResource("mem:///doc.json", tree); err != nil {
			return
		}
		theirs, err := c.Compile("mem:///doc.json")
		if err != nil {
			return
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
		got := ours.Check(value)
		if _, syntax := got.(*SyntaxError); err != nil || syntax {
			return // what counts as JSON is not compared: they allow duplicates
		}
		want := theirs.Validate(instance)
		if (got == nil) != (want == nil) {
			t.Errorf("Check(%s) by %s = %v; the other implementation says %v", value, doc, got, want)
		}
	})
}
