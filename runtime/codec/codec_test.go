package codec_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/codec"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/schema"
)

// The schemas that the tests of this package check against.
const schemas = `{"$defs":{
	"small": {"type":"integer","minimum":1,"maximum":100},
	"ids": {"type":"array","items":{"type":"integer","minimum":1},"maxItems":3},
	"name": {"type":"string","minLength":2},
	"post": {"type":"object","required":["title"],"additionalProperties":false,"properties":{
		"title":{"type":"string","maxLength":5},"stars":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}},
		"at":{"type":"object"}}},
	"open": {"type":"object","properties":{"n":{"type":"integer"}}},
	"maybe": {"type":["object","null"]}
}}`

func compile(t testing.TB) *schema.Program {
	t.Helper()
	p, err := schema.Compile([]byte(schemas))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// vars are the variables of a path.
type vars map[string]string

func (v vars) Get(name string) string { return v[name] }

// told puts an error of a Decoder into one line: status, code, and each
// violation's pointer and keyword.
func told(err error) string {
	if err == nil {
		return "ok"
	}
	e, ok := errors.AsType[*problem.Error](err)
	if !ok {
		return "fault"
	}
	var b strings.Builder
	b.WriteString(http.StatusText(e.Status) + ", " + e.Code)
	for _, v := range e.Errors {
		b.WriteString(", " + v.Pointer + " " + v.Keyword)
	}
	return b.String()
}

// A rawValue is a field that keeps the JSON it is decoded from.
type rawValue struct{ jsontext.Value }

func (v rawValue) String() string {
	if v.Value == nil {
		return "null"
	}
	return string(v.Value)
}

const (
	unreadable = "Bad Request, parameter_unreadable"
	missing    = "Bad Request, parameter_missing"
	invalid    = "Unprocessable Entity, invalid"
)

func TestParamErrorsAreCollected(t *testing.T) {
	var limit, page *int
	var names []string
	var id string
	for _, c := range []struct{ name, url, want string }{
		{"all well", "/?limit=3&page=1&name=ab", "ok"},
		{"two invalid", "/?limit=0&page=1000&name=ab", invalid + ", /query/limit minimum, /query/page maximum"},
		{"one unreadable makes it 400", "/?limit=0&page=x&name=ab", unreadable + ", /query/limit minimum, /query/page type"},
		{"missing first", "/?page=x", unreadable + ", /query/page type, /query/name required"},
		{"missing only", "/?page=1", missing + ", /query/name required"},
		{"an unreadable query is told once", "/?name=%zz", unreadable + ", /query encoding"},
		{"so is a semicolon", "/?limit=1;page=2", unreadable + ", /query encoding"},
		{"even in what nobody asked for", "/?limit=1&name=ab&other=%", unreadable + ", /query encoding"},
		{"unknown parameters are ignored", "/?limit=1&name=ab&other=1&other=2", "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", c.url, nil)
			d := codec.New(httptest.NewRecorder(), r, vars{"id": "x"}, compile(t))
			small := codec.Shape{Types: []string{"integer"}}
			d.Param(codec.Param{Name: "id", In: codec.Path, Required: true}, &id)
			d.Param(codec.Param{Name: "limit", In: codec.Query, Shape: small, Def: "small"}, &limit)
			d.Param(codec.Param{Name: "page", In: codec.Query, Shape: small, Def: "small"}, &page)
			d.Param(codec.Param{Name: "name", In: codec.Query, Required: true, Explode: true, Shape: codec.Shape{Types: []string{"array"}}}, &names)
			if got := told(d.Err()); got != c.want {
				t.Errorf("%s = %s, want %s", c.url, got, c.want)
			}
		})
	}
}

func TestFaultsAreNotTheClients(t *testing.T) {
	for _, c := range []struct {
		name   string
		checks *schema.Program
	}{{"unknown schema", compile(t)}, {"no schemas", nil}} {
		t.Run(c.name, func(t *testing.T) {
			var v string
			d := codec.New(httptest.NewRecorder(), httptest.NewRequest("GET", "/?a=1", nil), nil, c.checks)
			d.Param(codec.Param{Name: "a", In: codec.Query, Def: "gone"}, &v)
			if got := told(d.Err()); got != "fault" {
				t.Errorf("Err() = %s, want a fault", got)
			}
			w := httptest.NewRecorder()
			problem.Write(w, httptest.NewRequest("GET", "/", nil), d.Err())
			if w.Code != 500 || strings.Contains(w.Body.String(), "gone") {
				t.Errorf("answered %d %s, want 500 without the cause", w.Code, w.Body)
			}
		})
	}
}
