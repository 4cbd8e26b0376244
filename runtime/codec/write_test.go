package codec_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/codec"
)

func TestWrite(t *testing.T) {
	const js = "application/json"
	type answer func(w http.ResponseWriter, r *http.Request) error
	for _, c := range []struct {
		name        string
		write       answer
		status      int
		contentType string
		body        string
	}{
		{"JSON", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteJSON(w, r, 201, js, map[string]int{"b": 1, "a": 2})
		}, 201, js, `{"a":2,"b":1}`},
		{"JSON, nil slice", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteJSON(w, r, 200, js, []int(nil))
		}, 200, js, `[]`},
		{"JSON, its own type", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteJSON(w, r, 200, "application/hal+json", "x")
		}, 200, "application/hal+json", `"x"`},
		{"JSON, range", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteJSON(w, r, 200, "*/*", "x")
		}, 200, js, `"x"`},
		{"JSON, 204", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteJSON(w, r, 204, js, "x")
		}, 204, "", ""},
		{"text", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteText(w, r, 200, "text/csv", "a,b\n")
		}, 200, "text/csv; charset=utf-8", "a,b\n"},
		{"text, its own charset", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteText(w, r, 200, "text/plain; charset=us-ascii", "x")
		}, 200, "text/plain; charset=us-ascii", "x"},
		{"text, a number", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteText(w, r, 200, "text/plain", 7)
		}, 200, "text/plain; charset=utf-8", "7"},
		{"text, nil", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteText(w, r, 200, "text/plain", (*string)(nil))
		}, 200, "text/plain; charset=utf-8", ""},
		{"empty", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteEmpty(w, r, 202)
		}, 202, "", ""},
		{"stream", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 200, "image/png", strings.NewReader("png"))
		}, 200, "image/png", "png"},
		{"stream of unknown length", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 200, "image/png", io.MultiReader(strings.NewReader("p"), strings.NewReader("ng")))
		}, 200, "image/png", "png"},
		{"stream, empty", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 200, "image/png", strings.NewReader(""))
		}, 200, "image/png", ""},
		{"stream, nil", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 200, "image/png", nil)
		}, 200, "image/png", ""},
		{"stream, range", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 200, "image/*", strings.NewReader("x"))
		}, 200, "application/octet-stream", "x"},
		{"stream that says its type", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 200, "image/*", &codec.Stream{ReadCloser: io.NopCloser(strings.NewReader("x")), MediaType: "image/gif"})
		}, 200, "image/gif", "x"},
		{"event stream", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 200, "text/event-stream", strings.NewReader("data: x\n\n"))
		}, 200, "text/event-stream", "data: x\n\n"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" "+c.name, func(t *testing.T) {
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if err := c.write(w, r); err != nil {
						t.Errorf("write = %v", err)
					}
				}))
				defer srv.Close()
				req, _ := http.NewRequest(method, srv.URL, nil)
				res, err := srv.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				want := c.body
				if method == "HEAD" {
					want = ""
				}
				if err != nil || res.StatusCode != c.status || string(body) != want || res.Header.Get("Content-Type") != c.contentType {
					t.Errorf("got %d %q %q %v, want %d %q %q", res.StatusCode, res.Header.Get("Content-Type"), body, err, c.status, c.contentType, want)
				}
				if got := res.Header.Get("X-Content-Type-Options"); c.contentType != "" && got != "nosniff" {
					t.Errorf("X-Content-Type-Options = %q, want nosniff", got)
				}
				if n := int64(len(c.body)); res.ContentLength != n && res.ContentLength != -1 {
					t.Errorf("Content-Length = %d, want %d", res.ContentLength, n)
				}
			})
		}
	}
}

// A closer is a body that tells whether it was closed.
type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

// broken fails after its text.
type broken struct{ text io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.text.Read(p)
	if err != nil {
		err = errors.New("broken")
	}
	return n, err
}

func TestWriteErrorsSendNothing(t *testing.T) {
	body := &closer{Reader: broken{strings.NewReader("")}}
	for _, c := range []struct {
		name  string
		write func(w http.ResponseWriter, r *http.Request) error
	}{
		{"JSON that has none", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteJSON(w, r, 200, "application/json", math.NaN())
		}},
		{"JSON that is not UTF-8", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteJSON(w, r, 200, "application/json", "\xff")
		}},
		{"JSON, status 0", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteJSON(w, r, 0, "application/json", 1)
		}},
		{"empty, interim status", func(w http.ResponseWriter, r *http.Request) error { return codec.WriteEmpty(w, r, 103) }},
		{"text, status 1000", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteText(w, r, 1000, "text/plain", "x")
		}},
		{"text, array", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteText(w, r, 200, "text/plain", []string{"x", "y"})
		}},
		{"stream, status 0", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 0, "text/csv", strings.NewReader(""))
		}},
		{"stream that fails at once", func(w http.ResponseWriter, r *http.Request) error {
			return codec.WriteStream(w, r, 200, "text/csv", body)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &recorder{header: http.Header{}}
			if err := c.write(w, httptest.NewRequest("GET", "/", nil)); err == nil {
				t.Error("write = nil, want an error")
			}
			if w.wrote || len(w.header) > 0 {
				t.Errorf("something was sent: %v %v", w.wrote, w.header)
			}
		})
	}
	if !body.closed {
		t.Error("the body was not closed")
	}
}

// A recorder notes whether anything was sent.
type recorder struct {
	header http.Header
	wrote  bool
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { r.wrote = true; return len(p), nil }
func (r *recorder) WriteHeader(int)             { r.wrote = true }

// lost is the writer of a connection that is gone.
type lost struct{ recorder }

func (l *lost) Write([]byte) (int, error) { return 0, errors.New("gone") }

// Where the header has gone out there is no other answer to give.
func TestWriteToALostClient(t *testing.T) {
	w, r := &lost{recorder{header: http.Header{}}}, httptest.NewRequest("GET", "/", nil)
	if err := codec.WriteJSON(w, r, 200, "application/json", 1); err != nil {
		t.Errorf("WriteJSON = %v, want nil", err)
	}
	if err := codec.WriteStream(w, r, 200, "text/csv", strings.NewReader("x")); err != nil {
		t.Errorf("WriteStream = %v, want nil", err)
	}
}

func TestWriteStreamCloses(t *testing.T) {
	for _, c := range []struct {
		name, method string
		status       int
	}{{"sent", "GET", 200}, {"HEAD", "HEAD", 200}, {"no body allowed", "GET", 304}, {"bad status", "GET", 0}} {
		t.Run(c.name, func(t *testing.T) {
			body := &closer{Reader: strings.NewReader("x")}
			_ = codec.WriteStream(httptest.NewRecorder(), httptest.NewRequest(c.method, "/", nil), c.status, "image/png", body)
			if !body.closed {
				t.Error("the body was not closed")
			}
		})
	}
}

// An answer that fails half-way must not look complete.
func TestWriteStreamBreaksOff(t *testing.T) {
	body := &closer{Reader: broken{strings.NewReader("half")}}
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		_ = codec.WriteStream(w, r, 200, "text/csv", body)
	}))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	if err == nil {
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
	}
	if err == nil {
		t.Error("the client read a whole answer, want an error")
	}
	<-done
	if !body.closed {
		t.Error("the body was not closed")
	}
}

// Pieces of a stream go out as they come.
func TestWriteStreamFlushes(t *testing.T) {
	pr, pw := io.Pipe()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = codec.WriteStream(w, r, 200, "text/event-stream", pr)
	}))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL) // returns with the header, before any event
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, event := range []string{"data: 1\n\n", "data: 2\n\n"} {
		if _, err := io.WriteString(pw, event); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(event))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != event {
			t.Fatalf("read %q, %v, want %q", got, err, event)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("the end is %q, %v", rest, err)
	}
}

func TestSetHeader(t *testing.T) {
	type level string
	seven, when := 7, time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		v    any
		want []string
	}{
		{"string", "x", []string{"x"}},
		{"empty string", "", []string{""}},
		{"named string", level("high"), []string{"high"}},
		{"pointer", &seven, []string{"7"}},
		{"nil", nil, nil},
		{"nil pointer", (*int)(nil), nil},
		{"negative", int64(-5), []string{"-5"}},
		{"largest", uint64(math.MaxUint64), []string{"18446744073709551615"}},
		{"float", 1.5, []string{"1.5"}},
		{"boolean", false, []string{"false"}},
		{"time", when, []string{"2024-02-29T12:00:00Z"}},
		{"date", codec.DateOf(when), []string{"2024-02-29"}},
		{"bytes", []byte("hi"), []string{"aGk="}},
		{"strings", []string{"a", "b"}, []string{"a, b"}},
		{"numbers", []int{1, 2}, []string{"1, 2"}},
		{"one string with a comma", []string{"a,b"}, []string{"a,b"}},
		{"nil strings", []string(nil), nil},
		{"raw JSON", jsontext.Value(`"x"`), []string{"x"}},
		{"raw null", jsontext.Value(`null`), nil},
		{"other scripts", "é", []string{"é"}},
		{"tab", "a\tb", []string{"a\tb"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := codec.SetHeader(w, "x-it", c.v); err != nil {
				t.Fatalf("SetHeader(%v) = %v", c.v, err)
			}
			got, ok := w.Header()["X-It"]
			if ok != (c.want != nil) || strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("SetHeader(%v) set %q, want %q", c.v, got, c.want)
			}
		})
	}
}

func TestSetHeaderRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		v    any
	}{
		{"CR LF", "a\r\nSet-Cookie: b=c"},
		{"LF", "a\nb"},
		{"CR", "a\rb"},
		{"NUL", "a\x00"},
		{"DEL", "a\x7f"},
		{"LF in an item", []string{"a", "b\n"}},
		{"comma in an item", []string{"a", "b,c"}},
		{"object", struct{ A int }{1}},
		{"array in an array", [][]int{{1}}},
		{"objects in an array", []map[string]int{{"a": 1}}},
		{"not a number", math.NaN()},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			err := codec.SetHeader(w, "X-It", c.v)
			if err == nil || len(w.Header()) > 0 {
				t.Errorf("SetHeader(%q) = %v, set %q, want an error and nothing set", c.v, err, w.Header())
			}
		})
	}
}

func TestSetHeaderKeepsCookies(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Set-Cookie", "session=; Max-Age=0")
	if err := codec.SetHeader(w, "set-cookie", []string{"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=2"}); err != nil {
		t.Fatal(err)
	}
	if got := w.Header()["Set-Cookie"]; len(got) != 3 || got[0] != "session=; Max-Age=0" || got[2] != "b=2" {
		t.Errorf("Set-Cookie = %q", got)
	}
}

func TestUnknownResult(t *testing.T) {
	for _, v := range []any{nil, 7, bytes.NewReader(nil)} {
		if err := codec.UnknownResult(v); err == nil {
			t.Errorf("UnknownResult(%v) = nil", v)
		}
	}
}
