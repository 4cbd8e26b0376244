package types

import (
	"go/ast"
	"strings"
	"testing"
)

func TestGoName(t *testing.T) {
	for in, want := range map[string]string{
		"post": "Post", "user_id": "UserID", "2fa": "N2fa", "世界": "X", "post世界": "Post", "": "Unnamed", "*/": "Unnamed",
	} {
		if got := goName(in); got != want {
			t.Errorf("goName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPlaceName(t *testing.T) {
	for in, want := range map[string]string{
		"a/pet.yaml#":                                   "pet",
		"a/pet.yaml#/definitions/Toy":                   "Toy",
		"openapi.yaml#/components/schemas/A~1B":         "A/B",
		"openapi.yaml#/components/schemas/T/items":      "T",
		"openapi.yaml#/components/schemas/T/oneOf/1":    "T",
		"openapi.yaml#/components/schemas/T/properties": "T",
	} {
		if got := placeName(in); got != want {
			t.Errorf("placeName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]bool{
		"a": true, "a-b": true, "$ref": true, "a b": true, "世界": true, "filter[x]": true,
		"a,b": false, `a"b`: false, "a`b": false, "a'b": false, `a\b`: false, "a\nb": false, "a\u2028b": false, "a\u202eb": false, "\ufeffa": false, "\xff": false,
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestComment(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		" one \r\n\r\n\n two ": "one\n\n two",
		"a\u2028b\u2029c":      "a\nb\nc",
		"a\x00\x1b[31m\u202eb": "a[31mb",
		"a\rb":                 "a\nb",
	} {
		if got := comment(in); got != want {
			t.Errorf("comment(%q) = %q, want %q", in, got, want)
		}
	}
	if got := comment(strings.Repeat("ü", maxComment)); len(got) > maxComment+len("…") {
		t.Errorf("comment keeps %d bytes, want at most %d", len(got), maxComment)
	}
}

func TestRetag(t *testing.T) {
	for in, want := range map[string]string{
		"`json:\"a\"`":                 "`json:\"a\"`",
		"`json:\"a,omitempty\"`":       "`json:\"a,omitzero\"`",
		"`json:\"a b-,c,omitempty\"`":  "`json:\"a b-,c,omitzero\"`",
		"`json:\"-\"`":                 "`json:\",embed\"`",
		"`json:\"omitempty\"`":         "`json:\"omitempty\"`",
		"\"json:\\\"a,omitempty\\\"\"": "`json:\"a,omitzero\"`",
	} {
		tag := &ast.BasicLit{Value: in}
		if err := retag(tag); err != nil || tag.Value != want {
			t.Errorf("retag(%s) = %s, %v, want %s", in, tag.Value, err, want)
		}
	}
	if err := retag(&ast.BasicLit{Value: "`"}); err == nil {
		t.Error("retag takes what is no literal")
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		source string
		ok     bool
	}{
		"fine":           {"package a\nimport \"time\"\ntype T struct{ A time.Time }", true},
		"undeclared":     {"package a\ntype T struct{ A B }", false},
		"declared twice": {"package a\ntype T int\ntype T int", false},
		"unused import":  {"package a\nimport \"time\"", false},
		"other import":   {"package a\nimport \"os\"\ntype T = os.File", false},
		"infinite":       {"package a\ntype T struct{ A T }", false},
		"no Go":          {"package a\ntype", false},
	} {
		if err := check([]byte(test.source)); (err == nil) != test.ok {
			t.Errorf("%s: check = %v, want ok %v", name, err, test.ok)
		}
	}
}

func TestBox(t *testing.T) {
	a, b := &decl{name: "A", form: structure}, &decl{name: "B", form: structure}
	again := &decl{name: "C", same: use{kind: namedUse, decl: a}}
	a.fields = []field{{name: "B", required: true, use: use{kind: namedUse, decl: b}}, {name: "Me", use: use{kind: namedUse, decl: a}}}
	b.fields = []field{{name: "A", required: true, use: use{kind: namedUse, decl: again}}}
	box([]*decl{a, b, again})
	if a.fields[0].boxed || a.fields[1].boxed || !b.fields[0].boxed {
		t.Errorf("box: A.B %v, A.Me %v, B.A %v, want only B.A", a.fields[0].boxed, a.fields[1].boxed, b.fields[0].boxed)
	}
}

// TestGenerateRecovers holds that a panic of the library is an error.
func TestGenerateRecovers(t *testing.T) {
	if _, err := generate(nil, "api"); err == nil || !strings.Contains(err.Error(), "oapi-codegen") {
		t.Errorf("generate(nil) = %v, want an error that names the library", err)
	}
}
