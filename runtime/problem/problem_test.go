package problem_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/problem"
)

// logged runs f and returns what it logged at Debug and above.
func logged(t *testing.T, f func()) string {
	t.Helper()
	var buf bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	f()
	return buf.String()
}

func TestWrite(t *testing.T) {
	cause := errors.New("disk on fire")
	full := &problem.Error{
		Status: 422, Code: "invalid", Title: "The request breaks the schema.", Detail: "two <things>",
		Errors: []problem.Violation{{Pointer: "/body/title", Keyword: "maxLength", Message: "too long"}},
		Header: http.Header{"retry-after": {"7"}}, Cause: cause,
	}
	internal := `{"type":"about:blank","title":"The server failed to answer this request.","status":500,"code":"internal"}`
	for _, c := range []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"new", problem.New(404, "not_found", "There is nothing."), 404, `{"type":"about:blank","title":"There is nothing.","status":404,"code":"not_found"}`},
		{"no title", problem.New(404, "not_found", ""), 404, `{"type":"about:blank","title":"Not Found","status":404,"code":"not_found"}`},
		{"full, wrapped", fmt.Errorf("wrapped: %w", full), 422, `{"type":"about:blank","title":"The request breaks the schema.","status":422,"detail":"two \u003cthings\u003e","code":"invalid","errors":[{"pointer":"/body/title","keyword":"maxLength","message":"too long"}]}`},
		{"any error", cause, 500, internal},
		{"nil", nil, 500, internal},
		{"nil Error", (*problem.Error)(nil), 500, internal},
		{"status that is no refusal", problem.New(200, "fine", "Fine."), 500, internal},
		{"status out of range", problem.New(999, "odd", "Odd."), 500, internal},
		{"detail that is not UTF-8", &problem.Error{Status: 400, Code: "x", Title: "X", Detail: "a\xff"}, 400, "{\"type\":\"about:blank\",\"title\":\"X\",\"status\":400,\"detail\":\"a\ufffd\",\"code\":\"x\"}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			problem.Write(w, httptest.NewRequest("GET", "/", nil), c.err)
			if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.body {
				t.Errorf("Write(%v) = %d %s, want %d %s", c.err, w.Code, got, c.status, c.body)
			}
			var any map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &any); err != nil {
				t.Errorf("body does not parse: %v", err)
			}
			for name, want := range map[string]string{
				"Content-Type":           "application/problem+json",
				"Cache-Control":          "no-store",
				"X-Content-Type-Options": "nosniff",
				"Connection":             "",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
	t.Run("header lines of the error", func(t *testing.T) {
		w := httptest.NewRecorder()
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("ETag", `"a"`)
		problem.Write(w, httptest.NewRequest("GET", "/", nil), full)
		if got := w.Header().Get("Retry-After"); got != "7" {
			t.Errorf("Retry-After = %q, want 7", got)
		}
		if cc, tag := w.Header().Get("Cache-Control"), w.Header().Get("ETag"); cc != "no-store" || tag != "" {
			t.Errorf("Cache-Control = %q, ETag = %q, want no-store and none", cc, tag)
		}
	})
}

func TestWriteHead(t *testing.T) {
	w := httptest.NewRecorder()
	problem.Write(w, httptest.NewRequest("HEAD", "/", nil), problem.New(404, "not_found", "There is nothing."))
	if w.Code != 404 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %s", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

// The log gets the cause and never the query or a header, which may hold keys.
func TestWriteLogs(t *testing.T) {
	r := httptest.NewRequest("POST", "/v1/po%20sts?api_key=SECRET", nil)
	r.Header.Set("Authorization", "Bearer SECRET")
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"internal", errors.New("disk on fire"), []string{"level=ERROR", "code=internal", `cause="disk on fire"`}},
		{"refusal with cause", &problem.Error{Status: 401, Code: "credential_invalid", Cause: errors.New("expired")}, []string{"level=INFO", "code=credential_invalid", "cause=expired"}},
		{"refusal without", problem.New(404, "not_found", ""), []string{"level=DEBUG", "code=not_found"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			out := logged(t, func() { problem.Write(w, r, c.err) })
			for _, want := range append(c.want, "method=POST", "path=/v1/po%20sts") {
				if !strings.Contains(out, want) {
					t.Errorf("log %q lacks %q", out, want)
				}
			}
			if strings.Contains(out, "SECRET") {
				t.Errorf("log %q holds a credential", out)
			}
			if strings.Contains(w.Body.String(), "fire") || strings.Contains(w.Body.String(), "expired") {
				t.Errorf("body %q holds the cause", w.Body)
			}
		})
	}
}

// unreadable fails the test when the body is read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (unreadable) Close() error { return nil }

func TestCloseIfBody(t *testing.T) {
	for _, c := range []struct {
		name  string
		major int
		body  io.ReadCloser
		want  string
	}{
		{"unread body", 1, unreadable{t}, "close"},
		{"no body", 1, http.NoBody, ""},
		{"nil body", 1, nil, ""},
		{"HTTP/2", 2, unreadable{t}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Body, r.ProtoMajor = c.body, c.major
			w := httptest.NewRecorder()
			problem.Write(w, r, problem.New(404, "not_found", ""))
			if got := w.Header().Get("Connection"); got != c.want {
				t.Errorf("Connection = %q, want %q", got, c.want)
			}
		})
	}
}

func TestError(t *testing.T) {
	cause := errors.New("expired")
	err := error(&problem.Error{Status: 401, Code: "credential_invalid", Cause: cause})
	if got, want := err.Error(), "problem: 401 credential_invalid: expired"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is not wrapped")
	}
	if got, want := problem.New(404, "not_found", "").Error(), "problem: 404 not_found"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func ExampleWrite() {
	http.HandleFunc("GET /posts/{id}", func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.New(http.StatusNotFound, "not_found", "There is no such post."))
	})
}
