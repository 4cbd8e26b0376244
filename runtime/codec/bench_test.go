package codec_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/codec"
)

// BenchmarkGet reads a GET with a path and a query parameter, both validated.
func BenchmarkGet(b *testing.B) {
	checks := compile(b)
	r := httptest.NewRequest("GET", "/posts/hello?limit=20", nil)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		var id string
		var limit *int
		d := codec.New(w, r, vars{"id": "hello"}, checks)
		d.Param(codec.Param{Name: "id", In: codec.Path, Required: true, Shape: of("string"), Def: "name"}, &id)
		d.Param(codec.Param{Name: "limit", In: codec.Query, Explode: true, Shape: of("integer"), Def: "small"}, &limit)
		d.Accept("application/json")
		if d.Err() != nil {
			b.Fatal(d.Err())
		}
	}
}

// BenchmarkPost reads and validates a small JSON body.
func BenchmarkPost(b *testing.B) {
	checks := compile(b)
	const body = `{"title":"hello","stars":5,"tags":["a","b","c"]}`
	type post struct {
		Title string   `json:"title"`
		Stars int      `json:"stars"`
		Tags  []string `json:"tags"`
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/posts", nil)
	r.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		var into post
		r.Body, r.ContentLength = readCloser{strings.NewReader(body)}, int64(len(body))
		d := codec.New(w, r, nil, checks)
		d.Body(codec.Body{Required: true, Contents: []codec.Content{{MediaType: "application/json", Kind: codec.JSON, Def: "post", Into: &into}}})
		if d.Err() != nil {
			b.Fatal(d.Err())
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// BenchmarkWriteJSON encodes and sends a small answer.
func BenchmarkWriteJSON(b *testing.B) {
	r := httptest.NewRequest("GET", "/", nil)
	v := struct {
		ID    string   `json:"id"`
		Title string   `json:"title"`
		Tags  []string `json:"tags"`
	}{"1", "hello", []string{"a", "b"}}
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if err := codec.WriteJSON(w, r, 200, "application/json", v); err != nil {
			b.Fatal(err)
		}
	}
}
