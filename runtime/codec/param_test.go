package codec_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatewright/gatewright/runtime/codec"
)

func of(types ...string) codec.Shape { return codec.Shape{Types: types} }

func listOf(types ...string) codec.Shape {
	item := of(types...)
	return codec.Shape{Types: []string{"array"}, Items: &item}
}

func TestQueryParam(t *testing.T) {
	one := unreadable + ", /query/a "
	for _, c := range []struct {
		name    string
		query   string
		shape   codec.Shape
		explode bool
		def     string
		want    string // the JSON read, or what Err tells
	}{
		{"string", "a=x", of("string"), true, "", `"x"`},
		{"no types is a string", "a=1", of(), true, "", `"1"`},
		{"string that looks like a number", "a=1", of("string"), true, "", `"1"`},
		{"plus and percent", "a=x+y%2Bz%26", of("string"), true, "", `"x y+z&"`},
		{"equals sign in a value", "a=x=y", of("string"), true, "", `"x=y"`},
		{"empty string", "a=", of("string"), true, "", `""`},
		{"no equals sign", "a", of("string"), true, "", `""`},
		{"encoded name", "%61=x", of("string"), true, "", `"x"`},
		{"absent", "b=x", of("string"), true, "", `null`},
		{"name is case-sensitive", "A=x", of("string"), true, "", `null`},
		{"empty pairs", "&&a=x&", of("string"), true, "", `"x"`},
		{"quote and control characters", "a=%22%0A%00", of("string"), true, "", `"\"\n\u0000"`},
		{"not UTF-8", "a=%ff", of("string"), true, "", one + "type"},
		{"string twice", "a=x&a=x", of("string"), true, "", one + "duplicate"},
		{"twice by encoded name", "a=x&%61=y", of("string"), true, "", one + "duplicate"},
		{"integer", "a=42", of("integer"), true, "small", `42`},
		{"integer out of its range", "a=101", of("integer"), true, "small", invalid + ", /query/a maximum"},
		{"fraction for an integer", "a=1.5", of("integer"), true, "small", invalid + ", /query/a type"},
		{"negative number", "a=-0.5e-3", of("number"), true, "", `-0.5e-3`},
		{"empty integer", "a=", of("integer"), true, "", one + "type"},
		{"integer with a plus sign", "a=%2B1", of("integer"), true, "", one + "type"},
		{"integer with blanks", "a=+1", of("integer"), true, "", one + "type"},
		{"leading zero", "a=01", of("integer"), true, "", one + "type"},
		{"hexadecimal", "a=0x1", of("integer"), true, "", one + "type"},
		{"underscore", "a=1_000", of("integer"), true, "", one + "type"},
		{"not a number", "a=NaN", of("number"), true, "", one + "type"},
		{"infinity", "a=Infinity", of("number"), true, "", one + "type"},
		{"digits of another script", "a=%D9%A1", of("integer"), true, "", one + "type"},
		{"newline after a number", "a=1%0A", of("integer"), true, "", one + "type"},
		{"null is no number", "a=null", of("integer", "null"), true, "", one + "type"},
		{"null is a string", "a=null", of("string", "null"), true, "", `"null"`},
		{"boolean", "a=true", of("boolean"), true, "", `true`},
		{"boolean false", "a=false", of("boolean"), true, "", `false`},
		{"boolean in capitals", "a=True", of("boolean"), true, "", one + "type"},
		{"boolean as number", "a=1", of("boolean"), true, "", one + "type"},
		{"number or string, number", "a=7", of("string", "integer"), true, "", `7`},
		{"number or string, string", "a=7x", of("string", "integer"), true, "", `"7x"`},
		{"number or boolean", "a=true", of("number", "boolean"), true, "", `true`},
		{"object", `a={"b":1}`, of("object"), true, "", one + "type"},
		{"number with a huge exponent", "a=1e999999999", of("integer"), true, "small", invalid + ", /query/a maximum"},
		{"number that no float holds", "a=1e400", of("number"), true, "", `1e400`},

		{"exploded", "a=1&a=2", listOf("integer"), true, "ids", `[1,2]`},
		{"exploded once", "a=1", listOf("integer"), true, "ids", `[1]`},
		{"exploded among others", "a=1&b=9&a=2", listOf("integer"), true, "ids", `[1,2]`},
		{"exploded commas stay", "a=1,2&a=3", listOf("string"), true, "", `["1,2","3"]`},
		{"exploded empty items", "a=&a=", listOf("string"), true, "", `["",""]`},
		{"exploded bad item", "a=1&a=x", listOf("integer"), true, "ids", one + "type"},
		{"exploded item invalid", "a=1&a=0", listOf("integer"), true, "ids", invalid + ", /query/a/1 minimum"},
		{"exploded too many", "a=1&a=1&a=1&a=1", listOf("integer"), true, "ids", invalid + ", /query/a maxItems"},

		{"commas", "a=1,2,3", listOf("integer"), false, "ids", `[1,2,3]`},
		{"encoded comma stays", "a=x%2Cy,z", listOf("string"), false, "", `["x,y","z"]`},
		{"plus in an item", "a=x+y,z", listOf("string"), false, "", `["x y","z"]`},
		{"empty items", "a=,", listOf("string"), false, "", `["",""]`},
		{"empty integer items", "a=1,,2", listOf("integer"), false, "", one + "type"},
		{"commas given twice", "a=1,2&a=3", listOf("integer"), false, "ids", one + "duplicate"},
		{"array or string, one", "a=x", codec.Shape{Types: []string{"array", "string"}}, true, "", `"x"`},
		{"array or string, two", "a=x&a=y", codec.Shape{Types: []string{"array", "string"}}, true, "", `["x","y"]`},
		{"array or integer, one that is none", "a=x", codec.Shape{Types: []string{"array", "integer"}}, true, "", `["x"]`},
		{"array of arrays", "a=1", listOf("array"), true, "", one + "type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.URL.RawQuery = c.query
			check(t, r, nil, codec.Param{Name: "a", In: codec.Query, Style: "form", Explode: c.explode, Shape: c.shape, Def: c.def}, c.want)
		})
	}
}

// check reads one parameter and compares its JSON or what Err tells.
func check(t *testing.T, r *http.Request, v vars, p codec.Param, want string) {
	t.Helper()
	var into rawValue
	d := codec.New(httptest.NewRecorder(), r, v, compile(t))
	d.Param(p, &into)
	got := told(d.Err())
	if got == "ok" {
		got = into.String()
	}
	if got != want {
		t.Errorf("%s = %s, want %s", p.Name, got, want)
	}
}

func TestPathParam(t *testing.T) {
	for _, c := range []struct {
		name, value string
		shape       codec.Shape
		def         string
		want        string
	}{
		{"string", "x", of("string"), "", `"x"`},
		{"string with a comma", "x,y", of("string"), "", `"x,y"`},
		{"plus is a plus", "x+y%20", of("string"), "", `"x+y%20"`},
		{"integer", "7", of("integer"), "small", `7`},
		{"integer invalid", "0", of("integer"), "small", invalid + ", /path/a~1b minimum"},
		{"not an integer", "x", of("integer"), "small", unreadable + ", /path/a~1b type"},
		{"not UTF-8", "\xff", of("string"), "", unreadable + ", /path/a~1b type"},
		{"absent", "", of("string"), "", missing + ", /path/a~1b required"},
		{"array", "1,2", listOf("integer"), "ids", `[1,2]`},
		{"array of one", "1", listOf("integer"), "ids", `[1]`},
		{"array with an empty item", "1,", listOf("integer"), "ids", unreadable + ", /path/a~1b type"},
		{"array absent", "", listOf("integer"), "ids", missing + ", /path/a~1b required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := codec.Param{Name: "a/b", In: codec.Path, Required: true, Style: "simple", Shape: c.shape, Def: c.def}
			check(t, httptest.NewRequest("GET", "/", nil), vars{"a/b": c.value}, p, c.want)
		})
	}
}

func TestHeaderParam(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		shape codec.Shape
		def   string
		want  string
	}{
		{"string", []string{"x"}, of("string"), "", `"x"`},
		{"not decoded", []string{"x%20y+z"}, of("string"), "", `"x%20y+z"`},
		{"commas in a string", []string{"x, y"}, of("string"), "", `"x, y"`},
		{"empty", []string{""}, of("string"), "", `""`},
		{"empty integer", []string{""}, of("integer"), "", unreadable + ", /header/x-limit type"},
		{"absent", nil, of("string"), "", missing + ", /header/x-limit required"},
		{"twice", []string{"1", "1"}, of("integer"), "", unreadable + ", /header/x-limit duplicate"},
		{"invalid", []string{"0"}, of("integer"), "small", invalid + ", /header/x-limit minimum"},
		{"not UTF-8", []string{"\xe4"}, of("string"), "", unreadable + ", /header/x-limit type"},
		{"array", []string{"1, 2 ,3"}, listOf("integer"), "ids", `[1,2,3]`},
		{"array in lines", []string{"1,2", "3"}, listOf("integer"), "ids", `[1,2,3]`},
		{"empty items do not count", []string{",1,,2,"}, listOf("integer"), "ids", `[1,2]`},
		{"array of nothing", []string{""}, listOf("integer"), "ids", `[]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			for _, l := range c.lines {
				r.Header.Add("X-Limit", l)
			}
			check(t, r, nil, codec.Param{Name: "x-limit", In: codec.Header, Required: true, Style: "simple", Shape: c.shape, Def: c.def}, c.want)
		})
	}
	t.Run("Host", func(t *testing.T) {
		r := httptest.NewRequest("GET", "http://blog.example/", nil)
		check(t, r, nil, codec.Param{Name: "host", In: codec.Header, Required: true}, `"blog.example"`)
	})
}

func TestCookieParam(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		shape codec.Shape
		want  string
	}{
		{"string", []string{"a=x"}, of("string"), `"x"`},
		{"among others", []string{"b=1; a=x; c=2"}, of("string"), `"x"`},
		{"equals signs", []string{"a=x=="}, of("string"), `"x=="`},
		{"in quotes", []string{`a="x"`}, of("string"), `"x"`},
		{"lone quote", []string{`a="`}, of("string"), `"\""`},
		{"decoded, plus stays", []string{"a=x%20y+z"}, of("string"), `"x y+z"`},
		{"bad percent-encoding", []string{"a=50%"}, of("string"), unreadable + ", /cookie/a encoding"},
		{"twice", []string{"a=x; a=x"}, of("string"), unreadable + ", /cookie/a duplicate"},
		{"twice in two lines", []string{"a=x", "a=y"}, of("string"), unreadable + ", /cookie/a duplicate"},
		{"twice, one that net/http passes over", []string{"a=x; a=\x01"}, of("string"), unreadable + ", /cookie/a duplicate"},
		{"name is case-sensitive", []string{"A=x"}, of("string"), missing + ", /cookie/a required"},
		{"no value", []string{"a"}, of("string"), missing + ", /cookie/a required"},
		{"empty", []string{"a="}, of("string"), `""`},
		{"integer", []string{"a=7"}, of("integer"), `7`},
		{"array", []string{"a=x,y%2Cz"}, listOf("string"), `["x","y,z"]`},
		{"array, bad percent-encoding", []string{"a=x,%"}, listOf("string"), unreadable + ", /cookie/a encoding"},
		{"array twice", []string{"a=x; a=y"}, listOf("string"), unreadable + ", /cookie/a duplicate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["Cookie"] = c.lines
			check(t, r, nil, codec.Param{Name: "a", In: codec.Cookie, Required: true, Style: "form", Explode: true, Shape: c.shape}, c.want)
		})
	}
}

func TestParamFields(t *testing.T) {
	type color string
	r := httptest.NewRequest("GET", "/?n=300&c=red&d=2024-02-29&big=9223372036854775808&f=1.5&p=5&x=1e400", nil)
	var (
		tiny  int8
		c     color
		date  codec.Date
		big   int64
		whole int
		p     *int
		none  *int
		float float64
	)
	for _, tc := range []struct {
		name  string
		shape codec.Shape
		into  any
		want  string
	}{
		{"c", of("string"), &c, "ok"},
		{"d", of("string"), &date, "ok"},
		{"p", of("integer"), &p, "ok"},
		{"none", of("integer"), &none, "ok"},
		{"n", of("integer"), &tiny, unreadable + ", /query/n type"},
		{"big", of("integer"), &big, unreadable + ", /query/big type"},
		{"f", of("integer"), &whole, unreadable + ", /query/f type"},
		{"x", of("number"), &float, unreadable + ", /query/x type"},
		{"c", of("string"), &date, unreadable + ", /query/c type"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := codec.New(httptest.NewRecorder(), r, nil, nil)
			d.Param(codec.Param{Name: tc.name, In: codec.Query, Shape: tc.shape}, tc.into)
			if got := told(d.Err()); got != tc.want {
				t.Errorf("Param(%q) into %T = %s, want %s", tc.name, tc.into, got, tc.want)
			}
		})
	}
	if c != "red" || p == nil || *p != 5 || none != nil || date != (codec.Date{Year: 2024, Month: 2, Day: 29}) {
		t.Errorf("fields = %v %v %v %v", c, p, none, date)
	}
}
