package codec_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/codec"
	"github.com/gatewright/gatewright/runtime/problem"
)

// post is a request of the test server, as a generated one is.
type post struct {
	Limit  *int
	Tags   []string
	Trace  *string
	Sid    *string
	JSON   jsontext.Value
	Binary *codec.Stream
}

// serve starts a server that decodes as generated code does and answers with
// what it read.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	checks := compile(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req post
		in := codec.New(w, r, nil, checks)
		in.Param(codec.Param{Name: "limit", In: codec.Query, Style: "form", Explode: true, Shape: of("integer"), Def: "small"}, &req.Limit)
		in.Param(codec.Param{Name: "tags", In: codec.Query, Style: "form", Shape: listOf("string")}, &req.Tags)
		in.Param(codec.Param{Name: "X-Trace", In: codec.Header, Style: "simple", Shape: of("string")}, &req.Trace)
		in.Param(codec.Param{Name: "sid", In: codec.Cookie, Style: "form", Shape: of("string")}, &req.Sid)
		in.Body(codec.Body{MaxBytes: 100, Contents: []codec.Content{
			{MediaType: "application/json", Kind: codec.JSON, Def: "post", Into: &req.JSON},
			{MediaType: "application/octet-stream", Kind: codec.Binary, Into: &req.Binary},
		}})
		if err := in.Err(); err != nil {
			problem.Write(w, r, err)
			return
		}
		if req.Binary != nil && r.URL.Query().Has("refuse") {
			problem.Write(w, r, problem.New(http.StatusConflict, "conflict", "Not now."))
			return
		}
		var data []byte
		if req.Binary != nil {
			var err error
			if data, err = io.ReadAll(req.Binary); err != nil {
				problem.Write(w, r, err)
				return
			}
		}
		if err := codec.WriteText(w, r, 200, "text/plain", fmt.Sprintf("json=%s binary=%s tags=%q", req.JSON, data, req.Tags)); err != nil {
			problem.Write(w, r, err)
		}
	}))
	srv.EnableHTTP2 = true
	t.Cleanup(srv.Close)
	return srv
}

// ask sends raw bytes over a connection of its own and returns the status
// lines and the body of what comes back until the server is done.
func ask(t *testing.T, srv *httptest.Server, raw string) (statuses []string, res *http.Response, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(raw, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	// The request ends here, whatever it promised.
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, fmt.Sprint(res.StatusCode))
		if res.StatusCode == http.StatusContinue {
			continue
		}
		data, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return statuses, res, string(data)
	}
}

func TestServer(t *testing.T) {
	srv := serve(t)
	srv.Start()
	const js = "Content-Type: application/json\n"
	const bin = "Content-Type: application/octet-stream\n"
	const expect = "Expect: 100-continue\n"
	for _, c := range []struct {
		name, raw string
		statuses  string
		body      string // part of it
		close     bool
	}{
		{"nothing", "GET / HTTP/1.1\nHost: a\n\n", "200", "json=null binary=", false},
		{"commas", "GET /?tags=a%2Cb,c HTTP/1.1\nHost: a\n\n", "200", `tags=["a,b" "c"]`, false},
		{"semicolon", "GET /?limit=1;limit=2 HTTP/1.1\nHost: a\n\n", "400", "/query", false},
		{"bad escape", "GET /?limit=%1 HTTP/1.1\nHost: a\n\n", "400", "/query", false},
		{"parameter twice", "GET /?limit=1&limit=1 HTTP/1.1\nHost: a\n\n", "400", "/query/limit", false},
		{"header twice", "GET / HTTP/1.1\nHost: a\nX-Trace: a\nx-trace: b\n\n", "400", "/header/X-Trace", false},
		{"cookie twice", "GET / HTTP/1.1\nHost: a\nCookie: sid=1\nCookie: sid=2\n\n", "400", "/cookie/sid", false},
		{"Content-Type twice", "POST / HTTP/1.1\nHost: a\n" + js + bin + "Content-Length: 2\n\n{}", "400", "body_unreadable", true},
		{"JSON", "POST / HTTP/1.1\nHost: a\n" + js + "Content-Length: 13\n\n{\"title\":\"a\"}", "200", `json={"title":"a"}`, false},
		{"JSON in chunks", "POST / HTTP/1.1\nHost: a\n" + js + "Transfer-Encoding: chunked\n\n5\n{\"tit\n8\nle\":\"a\"}\n0\n\n", "200", `json={"title":"a"}`, false},
		{"JSON that is invalid keeps the connection", "POST / HTTP/1.1\nHost: a\n" + js + "Content-Length: 2\n\n{}", "422", `"/body"`, false},
		{"empty chunked body", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n", "200", "json=null binary=", false},
		{"chunked body without a type", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1\nx\n0\n\n", "415", "unsupported_media_type", true},
		{"chunks beyond the limit", "POST / HTTP/1.1\nHost: a\n" + js + "Transfer-Encoding: chunked\n\nc8\n" + strings.Repeat(" ", 200) + "\n0\n\n", "413", "body_too_large", true},
		{"length beyond the limit", "POST / HTTP/1.1\nHost: a\n" + js + "Content-Length: 101\n\n", "413", "body_too_large", true},
		{"stream beyond the limit", "POST / HTTP/1.1\nHost: a\n" + bin + "Transfer-Encoding: chunked\n\nc8\n" + strings.Repeat("x", 200) + "\n0\n\n", "413", "body_too_large", true},
		{"body that stops short", "POST / HTTP/1.1\nHost: a\n" + js + "Content-Length: 13\n\n{\"title\"", "400", "body_unreadable", true},
		{"broken chunks", "POST / HTTP/1.1\nHost: a\n" + js + "Transfer-Encoding: chunked\n\nzz\n", "400", "body_unreadable", true},
		{"gzip", "POST / HTTP/1.1\nHost: a\n" + js + "Content-Encoding: gzip\nContent-Length: 2\n\n{}", "415", "unsupported_media_type", true},

		{"continue, JSON", "POST / HTTP/1.1\nHost: a\n" + js + expect + "Content-Length: 13\n\n{\"title\":\"a\"}", "100 200", `json={"title":"a"}`, false},
		{"continue, stream that is read", "POST / HTTP/1.1\nHost: a\n" + bin + expect + "Content-Length: 3\n\nabc", "100 200", "binary=abc", false},
		{"no continue for a stream that is not", "POST /?refuse HTTP/1.1\nHost: a\n" + bin + expect + "Content-Length: 3\n\n", "409", "conflict", true},
		{"no continue for a wrong type", "POST / HTTP/1.1\nHost: a\nContent-Type: text/css\n" + expect + "Content-Length: 3\n\n", "415", "", true},
		{"no continue for a large body", "POST / HTTP/1.1\nHost: a\n" + js + expect + "Content-Length: 101\n\n", "413", "", true},
		{"no continue for a bad parameter", "POST /?limit=x HTTP/1.1\nHost: a\n" + js + expect + "Content-Length: 2\n\n", "400", "/query/limit", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			statuses, res, body := ask(t, srv, c.raw)
			if got := strings.Join(statuses, " "); got != c.statuses || !strings.Contains(body, c.body) {
				t.Errorf("%q = %s %s, want %s with %s", c.raw, got, body, c.statuses, c.body)
			}
			if res.Close != c.close {
				t.Errorf("%q: connection closed = %v, want %v", c.raw, res.Close, c.close)
			}
		})
	}
}

// In HTTP/2 a body need not have a length, and cookies come in several fields.
func TestServerHTTP2(t *testing.T) {
	srv := serve(t)
	srv.StartTLS()
	for _, c := range []struct {
		name, contentType string
		body              io.Reader
		status            int
	}{
		{"no body", "", nil, 200},
		{"body of no length", "application/json", io.MultiReader(strings.NewReader(`{"title":"a"}`)), 200},
		{"empty body of no length", "", io.MultiReader(), 200},
		{"body without a type", "", io.MultiReader(strings.NewReader("x")), 415},
		{"body beyond the limit", "application/octet-stream", io.MultiReader(strings.NewReader(strings.Repeat("x", 200))), 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequest("POST", srv.URL, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			r.Header.Set("Cookie", "a=1; sid=2; b=3")
			res, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.ProtoMajor != 2 || res.StatusCode != c.status {
				body, _ := io.ReadAll(res.Body)
				t.Errorf("HTTP/%d %d %s, want HTTP/2 %d", res.ProtoMajor, res.StatusCode, body, c.status)
			}
		})
	}
}
