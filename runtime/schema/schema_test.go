package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

func compile(t testing.TB, doc string) *Program {
	t.Helper()
	p, err := Compile([]byte(doc))
	if err != nil {
		t.Fatalf("Compile(%s): %v", doc, err)
	}
	return p
}

// violations gives what Check found as "pointer keyword" lines.
func violations(err error) string {
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		return fmt.Sprint(err)
	}
	var lines []string
	for _, v := range invalid.Violations {
		lines = append(lines, v.Pointer+" "+v.Keyword)
	}
	return strings.Join(lines, ", ")
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ name, schema, value, want string }{
		{"missing is not zero", `{"required":["n"],"properties":{"n":{"type":"integer"}}}`, `{}`, " required"},
		{"zero is not missing", `{"required":["n"],"properties":{"n":{"type":"integer"}}}`, `{"n":0}`, "<nil>"},
		{"null is not missing", `{"required":["n"],"properties":{"n":{"type":"integer"}}}`, `{"n":null}`, "/n type"},
		{"names are case-exact", `{"properties":{"n":{}},"additionalProperties":false}`, `{"N":1}`, "/N additionalProperties"},
		{"escaped name is the name", `{"properties":{"n":{}},"additionalProperties":false}`, `{"\u006e":1}`, "<nil>"},
		{"pointer is escaped", `{"additionalProperties":false}`, `{"a/b~c":1}`, "/a~1b~0c additionalProperties"},
		{"item", `{"items":{"maxLength":1}}`, `["a","bb"]`, "/1 maxLength"},
		{"prefix item", `{"prefixItems":[{"type":"string"}],"items":false}`, `[1,2]`, "/0 type, /1 false"},
		{"inside", `{"properties":{"a":{"items":{"properties":{"b":{"const":1}}}}}}`, `{"a":[{},{"b":2}]}`, "/a/1/b const"},
		{"integer with a fraction of zeros", `{"type":"integer"}`, `1.0`, "<nil>"},
		{"integer with an exponent", `{"type":"integer"}`, `1e2`, "<nil>"},
		{"no integer", `{"type":"integer"}`, `1.5`, " type"},
		{"no integer by its exponent", `{"type":"integer"}`, `15e-1`, " type"},
		{"type list", `{"type":["string","null"]}`, `1`, " type"},
		{"huge exponent compares", `{"maximum":10}`, `1e999999999`, " maximum"},
		{"absurd exponent", `{"maximum":10}`, `1e99999999999999999999`, " type"},
		{"absurd exponent under not", `{"properties":{"a":{"not":{"maximum":10}}}}`, `{"b":1,"a":[2,1e-99999999999999999999]}`, "/a/1 type"},
		{"beyond float64", `{"maximum":9007199254740993}`, `9007199254740994`, " maximum"},
		{"at the limit", `{"maximum":9007199254740993}`, `9007199254740993.0`, "<nil>"},
		{"exclusive", `{"exclusiveMinimum":0}`, `-0.0`, " exclusiveMinimum"},
		{"multiple of cents", `{"multipleOf":0.01}`, `0.07`, "<nil>"},
		{"no multiple of cents", `{"multipleOf":0.01}`, `0.075`, " multipleOf"},
		{"multiple with an exponent", `{"multipleOf":7}`, `7e999999999`, "<nil>"},
		{"no multiple with an exponent", `{"multipleOf":7}`, `1e999999999`, " multipleOf"},
		{"length in code points", `{"maxLength":2}`, `"🐲🐲"`, "<nil>"},
		{"length of escapes", `{"maxLength":1}`, `"\ud83d\udc32"`, "<nil>"},
		{"too long", `{"maxLength":1}`, `"ab"`, " maxLength"},
		{"pattern", `{"pattern":"^a$"}`, `"b"`, " pattern"},
		{"pattern sees decoded text", `{"pattern":"^a$"}`, `"\u0061"`, "<nil>"},
		{"look-ahead", `{"pattern":"^(?!a)"}`, `"ab"`, " pattern"},
		{"enum by value", `{"enum":[1,{"a":[true,"x"],"b":null}]}`, `{"b":null,"a":[true,"\u0078"]}`, "<nil>"},
		{"enum number by value", `{"enum":[100]}`, `1e2`, "<nil>"},
		{"enum", `{"enum":["a"]}`, `"b"`, " enum"},
		{"false is not 0", `{"const":false}`, `0`, " const"},
		{"unique", `{"uniqueItems":true}`, `[1,"1",[1],{"a":1}]`, "<nil>"},
		{"unique by value", `{"uniqueItems":true}`, `[{"a":1,"b":2},{"b":2.0,"a":1}]`, " uniqueItems"},
		{"unique is not fooled by text", `{"uniqueItems":true}`, `[["a,b"],["a","b"]]`, "<nil>"},
		{"property names", `{"propertyNames":{"maxLength":1}}`, `{"ab":1}`, "/ab propertyNames"},
		{"pattern properties", `{"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false}`, `{"x1":1,"y":2}`, "/x1 type, /y additionalProperties"},
		{"counts", `{"minProperties":1}`, `{}`, " minProperties"},
		{"ref with siblings", `{"$ref":"#/$defs/a","maxLength":1,"$defs":{"a":{"minLength":3}}}`, `"bb"`, " maxLength, " + " minLength"},
		{"recursion", `{"properties":{"next":{"$ref":"#"}},"required":["v"]}`, `{"v":1,"next":{"v":1,"next":{}}}`, "/next/next required"},
		{"all of", `{"allOf":[{"required":["a"]},{"required":["b"]}]}`, `{}`, " required,  required"},
		{"any of", `{"anyOf":[{"minLength":3},{"maxLength":1}]}`, `"ab"`, " anyOf"},
		{"any of with null says what is wrong", `{"anyOf":[{"type":"object","required":["a"]},{"type":"null"}]}`, `{}`, " required"},
		{"one of", `{"oneOf":[{"minLength":1},{"maxLength":3}]}`, `"ab"`, " oneOf"},
		{"not", `{"not":{"type":"string"}}`, `"a"`, " not"},
		{"if", `{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}`, `{"a":1}`, " required"},
		{"false", `false`, `1`, " false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := violations(compile(t, tt.schema).Check([]byte(tt.value))); got != tt.want {
				t.Errorf("Check(%s) by %s = %q, want %q", tt.value, tt.schema, got, tt.want)
			}
		})
	}
}

func TestCheckRefusesSyntax(t *testing.T) {
	deep := strings.Repeat("[", DefaultMaxDepth) + strings.Repeat("]", DefaultMaxDepth)
	for _, tt := range []struct{ name, value, want string }{
		{"empty", ``, "ends too early"},
		{"blank", ` `, "ends too early"},
		{"cut", `{"a":`, "ends too early"},
		{"duplicate", `{"a":1,"a":2}`, "has a name twice in one object"},
		{"duplicate by escape", `{"a":1,"\u0061":2}`, "has a name twice in one object"},
		{"duplicate deep", `{"x":[{"a":1,"a":2}]}`, "has a name twice in one object"},
		{"invalid UTF-8", "\"\xff\"", "is not JSON"},
		{"half a surrogate pair", `"\ud800"`, "is not JSON"},
		{"trailing value", `1 2`, "has something after its end"},
		{"trailing garbage", `{}x`, "has something after its end"},
		{"byte order mark", "\ufeff{}", "is not JSON"},
		{"comment", `{}//`, "has something after its end"},
		{"closing first", `]`, "is not JSON"},
		{"wrong bracket", `[}`, "is not JSON"},
		{"trailing comma", `[1,]`, "is not JSON"},
		{"NaN", `NaN`, "is not JSON"},
		{"too deep", "[" + deep + "]", "is nested too deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := compile(t, `true`).Check([]byte(tt.value))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Reason != tt.want {
				t.Errorf("Check(%q) = %v, want a SyntaxError %q", tt.value, err, tt.want)
			}
		})
	}
	if err := compile(t, `true`).Check([]byte(" " + deep + "\n")); err != nil {
		t.Errorf("Check of %d arrays = %v, want nil", DefaultMaxDepth, err)
	}
}

func TestMaxDepth(t *testing.T) {
	p, err := Config{MaxDepth: 1}.Compile([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check([]byte(`[1]`)); err != nil {
		t.Errorf("Check([1]) = %v, want nil", err)
	}
	if err := p.Check([]byte(`[[]]`)); err == nil {
		t.Error("Check([[]]) = nil, want an error")
	}
	if _, err := (Config{MaxDepth: -1}).Compile([]byte(`{}`)); err == nil {
		t.Error("Compile with a negative MaxDepth = nil error, want one")
	}
}

// What a caller sends must not come back in an answer, save member names in
// pointers, and those bounded.
func TestViolationsDoNotEcho(t *testing.T) {
	const secret = "hunter2"
	p := compile(t, `{"properties":{"a":{"maxLength":1,"pattern":"^x"},"b":{"enum":["y"]},"c":{"const":1},
		"d":{"type":"integer"},"e":{"maximum":1}},"propertyNames":{"maxLength":1},"additionalProperties":false}`)
	value := `{"a":"hunter2","b":"hunter2","c":"hunter2","d":"hunter2","e":77777,"hunter2":1}`
	var invalid *InvalidError
	if !errors.As(p.Check([]byte(value)), &invalid) {
		t.Fatal("Check = no InvalidError, want one")
	}
	for _, v := range invalid.Violations {
		if strings.Contains(v.Message+v.Keyword, secret) || strings.Contains(v.Message, "77777") {
			t.Errorf("message %q holds the value", v.Message)
		}
	}
	for _, bad := range []string{`{"` + secret + `":1,"` + secret + `":2}`, secret, `"` + secret, `{"a":"` + secret + `"} ` + secret} {
		if err := p.Check([]byte(bad)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Check(%q) = %v, want an error without the value", bad, err)
		}
	}
}

func TestPointerIsBounded(t *testing.T) {
	p := compile(t, `{"properties":{"a":{"additionalProperties":false}}}`)
	for _, name := range []string{strings.Repeat("x", 500), strings.Repeat("~", 120)} {
		if got := violations(p.Check([]byte(`{"a":{"` + name + `":1}}`))); got != "/a additionalProperties" {
			t.Errorf("violations = %q, want those of the parent", got)
		}
	}
}

func TestViolationsAreBounded(t *testing.T) {
	p := compile(t, `{"items":{"type":"string"}}`)
	var invalid *InvalidError
	if !errors.As(p.Check([]byte("["+strings.Repeat("1,", 1000)+"1]")), &invalid) || len(invalid.Violations) != maxViolations {
		t.Errorf("violations = %d, want %d", len(invalid.Violations), maxViolations)
	}
}

func TestMessages(t *testing.T) {
	for _, tt := range []struct{ schema, value, want string }{
		{`{"minLength":3}`, `"a"`, "is shorter than 3 characters"},
		{`{"minLength":1}`, `""`, "is shorter than 1 character"},
		{`{"maximum":1.50}`, `2`, "is greater than 1.50"},
		{`{"type":["string","null"]}`, `2`, "is not of type string or null"},
		{`{"required":["name"]}`, `{}`, `lacks the member "name"`},
	} {
		var invalid *InvalidError
		if !errors.As(compile(t, tt.schema).Check([]byte(tt.value)), &invalid) || invalid.Violations[0].Message != tt.want {
			t.Errorf("Check(%s) by %s = %v, want %q", tt.value, tt.schema, invalid, tt.want)
		}
	}
}

// Without a memory of what has been checked each of these takes 2^60 steps.
func TestRecursionWithAlternativesEnds(t *testing.T) {
	for name, doc := range map[string]string{
		"anyOf":             `{"anyOf":[{"properties":{"a":{"$ref":"#"}},"required":["x"]},{"properties":{"a":{"$ref":"#"}},"required":["y"]}]}`,
		"oneOf":             `{"oneOf":[{"properties":{"a":{"$ref":"#"}},"required":["x"]},{"properties":{"a":{"$ref":"#"}},"required":["y"]}]}`,
		"allOf":             `{"allOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}}}]}`,
		"patternProperties": `{"patternProperties":{"a":{"$ref":"#"},"^a":{"$ref":"#"}}}`,
		"not":               `{"not":{"properties":{"a":{"$ref":"#"}}},"if":{"properties":{"a":{"$ref":"#"}}},"then":{"properties":{"a":{"$ref":"#"}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := compile(t, doc)
			_ = p.Check([]byte(strings.Repeat(`{"a":`, 60) + "{}" + strings.Repeat("}", 60)))
		})
	}
}

// A pattern that backtracks without end must refuse the value, wherever it
// stands, and many texts must not multiply its limit.
func TestSlowPatternRefuses(t *testing.T) {
	text := `"` + strings.Repeat("a", 64) + `!"`
	for _, doc := range []string{
		`{"items":{"pattern":"^(?=a)(a+)+$"}}`,
		`{"items":{"not":{"pattern":"^(?=a)(a+)+$"}}}`,
	} {
		err := compile(t, doc).Check([]byte("[" + strings.Repeat(text+",", 1000) + text + "]"))
		if got := violations(err); got != "/0 pattern" {
			t.Errorf("violations by %s = %q, want one of pattern", doc, got)
		}
	}
}

func TestCompileReportsAll(t *testing.T) {
	_, err := Compile([]byte(`{"type":"text","minLength":-1,"maxItems":1.5,"maximum":"1","multipleOf":0,"pattern":"(",
		"required":["a",1],"properties":[],"items":[],"anyOf":[],"enum":1,"uniqueItems":1,"$ref":"#/$defs/x",
		"patternProperties":{"[":{}},"not":3,"allOf":[{"$ref":"other.json"}],
		"$defs":{"loop":{"$ref":"#/$defs/pool"},"pool":{"anyOf":[{"$ref":"#/$defs/loop"}]}}}`))
	if err == nil {
		t.Fatal("Compile = nil error, want one")
	}
	for _, want := range []string{
		"#/type: want", "#/minLength: want", "#/maxItems: want", "#/maximum: want", "#/multipleOf: want", "#/pattern: ecma",
		"#/required: want", "#/properties: want", "#/items: is not a schema", "#/anyOf: want", "#/enum: want", "#/uniqueItems: want",
		`#/$ref: "#/$defs/x" leads to no schema`, "#/patternProperties/[: ecma", "#/not: is not a schema",
		`#/allOf/0/$ref: "other.json" is outside the document`, "refers to itself without end",
	} {
		if !strings.Contains(err.Error(), "schema: "+want) && !strings.Contains(err.Error(), want) {
			t.Errorf("Compile = %v, want %q in it", err, want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, doc := range []string{``, `1`, `{"a":1,"a":2}`, `{} {}`, `"x"`, `{"$ref":"#"}`, `{"maximum":1e9999999999}`, strings.Repeat(`{"not":`, 2000)} {
		if _, err := Compile([]byte(doc)); err == nil {
			t.Errorf("Compile(%.20q) = nil error, want one", doc)
		}
	}
}

func TestDef(t *testing.T) {
	p := compile(t, `{"$defs":{"a/b":{"type":"string"},"n":{"type":"null"}}}`)
	def, ok := p.Def("a/b")
	if !ok || def.Check([]byte(`1`)) == nil || def.Check([]byte(`"x"`)) != nil {
		t.Errorf("Def(a/b) = %v, %v, want the schema of strings", def, ok)
	}
	if _, ok := def.Def("n"); !ok {
		t.Error("Def of a Def = false, want the document's")
	}
	if _, ok := p.Def("x"); ok {
		t.Error("Def(x) = true, want false")
	}
}

func TestUnenforced(t *testing.T) {
	p := compile(t, `{"title":"t","x-y":1,"format":"email","$defs":{"a":{"contains":{},"minContains":1,"readOnly":true,"minLenght":1}}}`)
	want := []Keyword{{"#", "format"}, {"#/$defs/a", "contains"}, {"#/$defs/a", "minContains"}, {"#/$defs/a", "minLenght"}}
	if got := p.Unenforced(); !slices.Equal(got, want) {
		t.Errorf("Unenforced() = %v, want %v", got, want)
	}
}

func TestConcurrentChecks(t *testing.T) {
	p := compile(t, `{"properties":{"a":{"$ref":"#"},"b":{"pattern":"^y","enum":["y",1]}},"uniqueItems":true}`)
	value := []byte(`{"a":{"a":{"b":"x"}}}`)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				if got := violations(p.Check(value)); got != "/a/a/b enum, /a/a/b pattern" {
					t.Errorf("violations = %q", got)
				}
			}
		})
	}
	group.Wait()
}
