package codec_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatewright/gatewright/runtime/codec"
)

// The first that holds is the answer: 413, 415, 400, 422.
func TestBodyAndParameters(t *testing.T) {
	const noInteger, tooSmall = "a=x", "a=0"
	js := http.Header{"Content-Type": {"application/json"}}
	css := http.Header{"Content-Type": {"text/css"}}
	for _, c := range []struct {
		name   string
		query  string
		header http.Header
		length int64
		want   string
	}{
		{"400, body fine", noInteger, js, 5, unreadable + ", /query/a type"},
		{"400, body of unknown length", noInteger, js, -1, unreadable + ", /query/a type"},
		{"400, body of unknown length and type", noInteger, nil, -1, unreadable + ", /query/a type"},
		{"400, body too large", noInteger, js, 101, tooLarge},
		{"400, body too large and of a wrong type", noInteger, css, 101, tooLarge},
		{"400, wrong type", noInteger, css, 5, wrongType},
		{"400, no type", noInteger, nil, 5, wrongType},
		{"400, wrong charset", noInteger, http.Header{"Content-Type": {"application/json; charset=latin1"}}, 5, wrongType},
		{"400, coded", noInteger, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, 5, wrongType},
		{"400, two types", noInteger, http.Header{"Content-Type": {"application/json", "text/css"}}, 5, unreadable + ", /query/a type"},
		{"400, no body", noInteger, nil, 0, unreadable + ", /query/a type"},
		{"422, body fine", tooSmall, js, 5, invalid + ", /query/a minimum"},
		{"422, body of unknown length and type", tooSmall, nil, -1, invalid + ", /query/a minimum"},
		{"422, body too large", tooSmall, js, 101, tooLarge},
		{"422, wrong type", tooSmall, css, 5, wrongType},
		{"422, coded", tooSmall, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, 5, wrongType},
		{"422, two types", tooSmall, http.Header{"Content-Type": {"application/json", "text/css"}}, 5, unreadableBody},
		{"422, no body", tooSmall, nil, 0, noBody},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/?"+c.query, nil)
			r.Body, r.ContentLength = untouched{t}, c.length
			for name, lines := range c.header {
				r.Header[name] = lines
			}
			var a *int
			var b bodies
			d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
			d.Param(codec.Param{Name: "a", In: codec.Query, Shape: of("integer"), Def: "small"}, &a)
			d.Body(codec.Body{Required: true, MaxBytes: 100, Contents: b.contents()})
			d.Accept("text/none")
			if got := told(d.Err()); got != c.want {
				t.Errorf("Err() = %s, want %s", got, c.want)
			}
		})
	}
}
