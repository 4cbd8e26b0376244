package codec_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/codec"
	"github.com/gatewright/gatewright/runtime/problem"
)

// postShape is the shape of the schema "post" as a form.
var postShape = codec.Shape{Types: []string{"object"}, Props: []codec.Prop{
	{Name: "title", Shape: of("string")},
	{Name: "stars", Shape: of("integer")},
	{Name: "tags", Shape: listOf("string")},
	{Name: "at", Shape: of("object")},
}}

// bodies are the fields of a request that takes every kind.
type bodies struct {
	JSON, Vendor, Form, Text, Number rawValue
	Binary, Image, XML               *codec.Stream
}

func (b *bodies) contents() []codec.Content {
	return []codec.Content{
		{MediaType: "application/json", Kind: codec.JSON, Def: "post", Into: &b.JSON},
		{MediaType: "application/vnd.post+json", Kind: codec.JSON, Def: "open", Into: &b.Vendor},
		{MediaType: "application/x-www-form-urlencoded", Kind: codec.Form, Def: "post", Shape: postShape, Into: &b.Form},
		{MediaType: "text/plain", Kind: codec.Text, Def: "name", Into: &b.Text},
		{MediaType: "text/number", Kind: codec.Text, Def: "small", Shape: of("integer"), Into: &b.Number},
		{MediaType: "application/octet-stream", Kind: codec.Binary, Into: &b.Binary},
		{MediaType: "image/*", Kind: codec.Binary, Into: &b.Image},
		{MediaType: "application/xml", Kind: codec.Opaque, Into: &b.XML},
	}
}

// read tells what was set: the name of the field and what is in it.
func (b *bodies) read(t *testing.T) string {
	t.Helper()
	var set []string
	for name, v := range map[string]rawValue{"JSON": b.JSON, "Vendor": b.Vendor, "Form": b.Form, "Text": b.Text, "Number": b.Number} {
		if v.Value != nil {
			set = append(set, name+" "+v.String())
		}
	}
	for name, s := range map[string]*codec.Stream{"Binary": b.Binary, "Image": b.Image, "XML": b.XML} {
		if s == nil {
			continue
		}
		data, err := io.ReadAll(s)
		if err != nil {
			set = append(set, name+" "+told(err))
			continue
		}
		set = append(set, name+" "+s.MediaType+" "+string(data)+s.Params["charset"])
	}
	if len(set) == 0 {
		return "nothing"
	}
	return strings.Join(set, "; ")
}

const (
	unreadableBody = "Bad Request, body_unreadable"
	noBody         = "Bad Request, body_missing"
	wrongType      = "Unsupported Media Type, unsupported_media_type"
	tooLarge       = "Request Entity Too Large, body_too_large"
)

func TestBody(t *testing.T) {
	const js, form, text = "application/json", "application/x-www-form-urlencoded", "text/plain"
	for _, c := range []struct {
		name        string
		contentType string // "" sends none
		body        string
		want        string
	}{
		{"JSON", js, `{"title":"hi"}`, `JSON {"title":"hi"}`},
		{"JSON with white space", js, " {\"title\":\"hi\"}\n", `JSON {"title":"hi"}`},
		{"JSON, charset", js + "; charset=UTF-8", `{"title":"hi"}`, `JSON {"title":"hi"}`},
		{"JSON, other parameters", js + `; profile="x;y"`, `{"title":"hi"}`, `JSON {"title":"hi"}`},
		{"JSON, other case", "Application/JSON", `{"title":"hi"}`, `JSON {"title":"hi"}`},
		{"JSON, wrong charset", js + "; charset=utf-16", `{"title":"hi"}`, wrongType},
		{"JSON, charset twice", js + "; charset=utf-8; charset=latin1", `{"title":"hi"}`, wrongType},
		{"JSON, invalid", js, `{"title":"too long"}`, invalid + ", /body/title maxLength"},
		{"JSON, two violations", js, `{"stars":"x"}`, invalid + ", /body/stars type, /body required"},
		{"JSON, unknown member", js, `{"title":"a","x":1}`, invalid + ", /body/x additionalProperties"},
		{"JSON, case of a member", js, `{"Title":"a"}`, invalid + ", /body/Title additionalProperties, /body required"},
		{"JSON, member twice", js, `{"title":"a","title":"b"}`, unreadableBody + ", /body syntax"},
		{"JSON, broken", js, `{"title":`, unreadableBody + ", /body syntax"},
		{"JSON, two values", js, `{"title":"a"}{}`, unreadableBody + ", /body syntax"},
		{"JSON, not UTF-8", js, "{\"title\":\"\xff\"}", unreadableBody + ", /body syntax"},
		{"JSON, too deep", js, strings.Repeat("[", 5000), unreadableBody + ", /body syntax"},
		{"JSON, white space only", js, " ", unreadableBody + ", /body syntax"},
		{"JSON, null", js, "null", invalid + ", /body type"},
		{"JSON, byte order mark", js, "\ufeff{}", unreadableBody + ", /body syntax"},
		{"JSON of another name", "application/vnd.post+json", `{"n":1}`, `Vendor {"n":1}`},
		{"JSON of a name not declared", "application/problem+json", `{}`, wrongType},
		{"JSON as text is text", text, `{"title":"hi"}`, `Text "{\"title\":\"hi\"}"`},
		{"no body", "", "", noBody},
		{"empty JSON", js, "", noBody},
		{"empty, of an unknown type", "text/css", "", noBody},
		{"no type", "", "x", wrongType},
		{"malformed type", "json", "x", wrongType},
		{"two types in one line", js + ", " + text, `{}`, wrongType},
		{"range as a type", "image/*", "x", "Image image/* x"},
		{"unknown type", "text/css", "x", wrongType},

		{"form", form, "title=hi&stars=5&tags=a&tags=b+c", `Form {"title":"hi","stars":5,"tags":["a","b c"]}`},
		{"form, one item", form, "title=hi&tags=a", `Form {"title":"hi","tags":["a"]}`},
		{"form, apart", form, "tags=a&title=hi&tags=b", `Form {"tags":["a","b"],"title":"hi"}`},
		{"form, encoded names", form, "t%69tle=hi", `Form {"title":"hi"}`},
		{"form, empty", form, "", invalid + ", /body required"},
		{"form, undeclared", form, "title=hi&x=1", invalid + ", /body/x additionalProperties"},
		{"form, twice", form, "title=a&title=b", unreadableBody + ", /body/title duplicate"},
		{"form, not a number", form, "title=a&stars=", unreadableBody + ", /body/stars type"},
		{"form, all that is wrong", form, "title=a&title=b&stars=x", unreadableBody + ", /body/title duplicate, /body/stars type"},
		{"form, too long", form, "title=too+long", invalid + ", /body/title maxLength"},
		{"form, object", form, "title=a&at={}", unreadableBody + ", /body/at type"},
		{"form, percent", form, "title=%zz", unreadableBody + ", /body encoding"},
		{"form, semicolon", form, "title=a;stars=1", unreadableBody + ", /body encoding"},
		{"form, not UTF-8", form, "title=%ff", unreadableBody + ", /body encoding"},
		{"form, name not UTF-8", form, "%ff=1", unreadableBody + ", /body encoding"},
		{"form, name with quotes", form, "title=a&%22:1,%22=1", invalid + `, /body/":1," additionalProperties`},
		{"form, charset", form + ";charset=latin1", "title=a", wrongType},

		{"text", text, "hello\n", `Text "hello\n"`},
		{"text, ASCII", text + "; charset=US-ASCII", "hello", `Text "hello"`},
		{"text, too short", text, "h", invalid + ", /body minLength"},
		{"text, empty", text, "", invalid + ", /body minLength"},
		{"text, not UTF-8", text, "\xff\xff", unreadableBody + ", /body encoding"},
		{"text, number", "text/number", "7", `Number 7`},
		{"text, no number", "text/number", "x", unreadableBody + ", /body type"},

		{"binary", "application/octet-stream", "\x00\xff", "Binary application/octet-stream \x00\xff"},
		{"binary, empty", "application/octet-stream", "", "Binary application/octet-stream "},
		{"binary by range", "image/png", "png", "Image image/png png"},
		{"opaque", "application/xml; charset=latin1", "<a/>", "XML application/xml <a/>latin1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bodies
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
			d.Body(codec.Body{Required: true, Contents: b.contents()})
			got := told(d.Err())
			if got == "ok" {
				got = b.read(t)
			}
			if got != c.want {
				t.Errorf("%s %q = %s, want %s", c.contentType, c.body, got, c.want)
			}
		})
	}
}

func TestBodyOptional(t *testing.T) {
	for _, c := range []struct{ name, contentType, body, want string }{
		{"none", "", "", "nothing"},
		{"empty JSON", "application/json", "", "nothing"},
		{"empty form of another's default", "text/css", "", "nothing"},
		{"JSON", "application/json", `{"title":"a"}`, `JSON {"title":"a"}`},
		{"no type", "", "x", wrongType},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, length := range []string{"known", "unknown"} {
				var b bodies
				r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
				if length == "unknown" && c.contentType != "text/css" {
					r = httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(c.body)))
				}
				if c.contentType != "" {
					r.Header.Set("Content-Type", c.contentType)
				}
				d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
				d.Body(codec.Body{Contents: b.contents()})
				got := told(d.Err())
				if got == "ok" {
					got = b.read(t)
				}
				if got != c.want {
					t.Errorf("length %s: got %s, want %s", length, got, c.want)
				}
			}
		})
	}
}

func TestBodyHeaders(t *testing.T) {
	for _, c := range []struct {
		name   string
		header http.Header
		want   string
		reply  http.Header
	}{
		{"content coding", http.Header{"Content-Encoding": {"gzip"}}, wrongType, http.Header{"Accept-Encoding": {"identity"}}},
		{"content coding in a list", http.Header{"Content-Encoding": {"identity, br"}}, wrongType, http.Header{"Accept-Encoding": {"identity"}}},
		{"identity", http.Header{"Content-Encoding": {"Identity"}}, "ok", nil},
		{"two types", http.Header{"Content-Type": {"text/plain", "application/json"}}, unreadableBody, nil},
		{"same type twice", http.Header{"Content-Type": {"application/json", "application/json"}}, unreadableBody, nil},
		{"type says what is taken", http.Header{"Content-Type": {"text/plain"}}, wrongType, http.Header{"Accept": {"application/json"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			for name, lines := range c.header {
				r.Header[name] = lines
			}
			var into rawValue
			d := codec.New(httptest.NewRecorder(), r, nil, nil)
			d.Body(codec.Body{Contents: []codec.Content{{MediaType: "application/json", Kind: codec.JSON, Into: &into}}})
			if got := told(d.Err()); got != c.want {
				t.Fatalf("Body = %s, want %s", got, c.want)
			}
			if e, ok := errors.AsType[*problem.Error](d.Err()); ok {
				for name := range c.reply {
					if got, want := e.Header.Get(name), c.reply.Get(name); got != want {
						t.Errorf("%s = %q, want %q", name, got, want)
					}
				}
			}
		})
	}
}

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}
func (untouched) Close() error { return nil }

func TestBodyIsNotReadInVain(t *testing.T) {
	var b bodies
	for _, c := range []struct {
		name   string
		change func(r *http.Request)
		want   string
	}{
		{"stream", func(r *http.Request) { r.Header.Set("Content-Type", "image/png") }, "ok"},
		{"too large", func(r *http.Request) { r.ContentLength = 101 }, tooLarge},
		{"wrong type", func(r *http.Request) { r.Header.Set("Content-Type", "text/css") }, wrongType},
		{"too large before wrong type", func(r *http.Request) { r.Header.Set("Content-Type", "text/css"); r.ContentLength = 101 }, tooLarge},
		{"coded", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, wrongType},
		{"two types", func(r *http.Request) { r.Header["Content-Type"] = []string{"text/css", "text/css"} }, unreadableBody},
		{"two types, coded", func(r *http.Request) {
			r.Header["Content-Type"] = []string{"text/css", "text/css"}
			r.Header.Set("Content-Encoding", "gzip")
		}, wrongType},
		{"two types, too large", func(r *http.Request) {
			r.Header["Content-Type"] = []string{"text/css", "text/css"}
			r.ContentLength = 101
		}, tooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Body, r.ContentLength = untouched{t}, -1
			r.Header.Set("Content-Type", "application/json")
			c.change(r)
			d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
			d.Body(codec.Body{Required: true, MaxBytes: 100, Contents: b.contents()})
			if got := told(d.Err()); got != c.want {
				t.Errorf("Body = %s, want %s", got, c.want)
			}
		})
	}
}

func TestBodySize(t *testing.T) {
	const mib = 1 << 20
	text := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name        string
		contentType string
		max         int64
		size        int
		want        string
	}{
		{"at the limit", "text/plain", 100, 100, "ok"},
		{"beyond the limit", "text/plain", 100, 101, tooLarge},
		{"at the default", "text/plain", 0, mib, "ok"},
		{"beyond the default", "text/plain", 0, mib + 1, tooLarge},
		{"stream beyond text's default", "image/png", 0, mib + 1, "ok"},
		{"stream at the limit", "image/png", 100, 100, "ok"},
		{"stream beyond the limit", "image/png", 100, 101, tooLarge},
		{"stream beyond its default", "image/png", 0, 32*mib + 1, tooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, length := range []string{"known", "unknown"} {
				var b bodies
				r := httptest.NewRequest("POST", "/", strings.NewReader(text(c.size)))
				if length == "unknown" {
					r.ContentLength = -1
				}
				r.Header.Set("Content-Type", c.contentType)
				d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
				d.Body(codec.Body{MaxBytes: c.max, Contents: b.contents()})
				err := d.Err()
				if err == nil && b.Image != nil {
					_, err = io.Copy(io.Discard, b.Image)
				}
				if got := told(err); got != c.want {
					t.Errorf("length %s, %d bytes = %s, want %s", length, c.size, got, c.want)
				}
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	type inner struct{ N int8 }
	for _, c := range []struct{ name, body, want string }{
		{"fits", `{"a":{"N":1}}`, "ok"},
		{"out of range", `{"a":{"N":300}}`, unreadableBody + ", /body/a/N type"},
		{"wrong type", `{"a":{"N":"secret"}}`, unreadableBody + ", /body/a/N type"},
		{"long pointer", `{"` + strings.Repeat("a", 300) + `":{"N":300}}`, unreadableBody + ", /body type"},
		{"broken", `{"a":`, unreadableBody + ", /body syntax"},
		{"twice", `{"a":{},"a":{}}`, unreadableBody + ", /body syntax"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var into map[string]inner
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			d := codec.New(httptest.NewRecorder(), r, nil, nil)
			d.Body(codec.Body{Contents: []codec.Content{{MediaType: "application/json", Kind: codec.JSON, Into: &into}}})
			if got := told(d.Err()); got != c.want {
				t.Errorf("Body(%s) = %s, want %s", c.body, got, c.want)
			}
			w := httptest.NewRecorder()
			problem.Write(w, r, d.Err())
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("the answer echoes a value: %s", w.Body)
			}
		})
	}
}

func TestBodyFaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		content codec.Content
	}{
		{"unknown kind", codec.Content{MediaType: "*/*", Kind: "yaml", Into: new(string)}},
		{"stream into a string", codec.Content{MediaType: "*/*", Kind: codec.Binary, Into: new(string)}},
		{"unknown schema", codec.Content{MediaType: "*/*", Kind: codec.JSON, Def: "gone", Into: new(string)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(`"x"`))
			r.Header.Set("Content-Type", "application/json")
			d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
			d.Body(codec.Body{Contents: []codec.Content{c.content}})
			if got := told(d.Err()); got != "fault" {
				t.Errorf("Body = %s, want a fault", got)
			}
		})
	}
}
