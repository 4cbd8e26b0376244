package codec_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"context"
	"fmt"
	"github.com/gatewright/gatewright/runtime/codec"
	"github.com/gatewright/gatewright/runtime/problem"
	"io"
	"os"
	"path/filepath"
)

const wrongDigest = "Bad Request, digest_mismatch"

// bytesOf writes data as a byte sequence of structured fields.
func bytesOf(data []byte) string { return ":" + base64.StdEncoding.EncodeToString(data) + ":" }

// TestContentDigest: what a signature over Content-Digest was taken for is what
// is read.
func TestContentDigest(t *testing.T) {
	const js, good, other = "application/json", `{"title":"a"}`, `{"title":"b"}`
	big := strings.Repeat("0123456789abcdef", 1<<16)
	short := func(body string) string { sum := sha256.Sum256([]byte(body)); return "sha-256=" + bytesOf(sum[:]) }
	long := func(body string) string { sum := sha512.Sum512([]byte(body)); return "sha-512=" + bytesOf(sum[:]) }
	for _, c := range []struct {
		name, contentType, body string
		digest                  []string
		want                    string
	}{
		{"none", js, good, nil, "JSON " + good},
		{"sha-256", js, good, []string{short(good)}, "JSON " + good},
		{"sha-512", js, good, []string{long(good)}, "JSON " + good},
		{"both, in two lines", js, good, []string{short(good), long(good)}, "JSON " + good},
		{"one that is deprecated beside", js, good, []string{"md5=:AAAA:, " + short(good)}, "JSON " + good},
		{"of another body", js, other, []string{short(good)}, wrongDigest},
		{"the second of another body", js, good, []string{short(good), long(other)}, wrongDigest},
		{"twice, the last counts", js, other, []string{short(other), short(good)}, wrongDigest},
		{"cut off", js, good, []string{"sha-256=" + bytesOf([]byte("x"))}, wrongDigest},
		{"empty", js, good, []string{"sha-256=::"}, wrongDigest},
		{"of nothing, and there is a body", js, good, []string{short("")}, wrongDigest},
		{"none that can be compared", js, good, []string{"md5=:AAAA:"}, wrongDigest},
		{"no member", js, good, []string{""}, wrongDigest},
		{"a token", js, good, []string{"sha-256=abc"}, wrongDigest},
		{"a list", js, good, []string{"sha-256=(:AAAA:)"}, wrongDigest},
		{"no dictionary", js, good, []string{"sha-256=:"}, wrongDigest},
		{"no body, and of another", "", "", []string{short(good)}, wrongDigest},
		{"stream", "application/octet-stream", "x", []string{short("x")}, "Binary application/octet-stream x"},
		{"stream of another", "application/octet-stream", "x", []string{short("y")}, wrongDigest},
		{"long stream", "application/octet-stream", big, []string{short(big)}, "Binary application/octet-stream " + big},
		{"long stream of another", "application/octet-stream", big, []string{short(big + "x")}, wrongDigest},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bodies
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			r.Header["Content-Digest"] = c.digest
			if c.digest == nil {
				r.Header.Del("Content-Digest")
			}
			d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
			d.Body(codec.Body{Contents: b.contents()})
			got := told(d.Err())
			if got == "ok" {
				got = b.read(t)
			}
			if got != c.want {
				t.Errorf("Body with %q = %.200s, want %.200s", c.digest, got, c.want)
			}
			if e, ok := errors.AsType[*problem.Error](d.Err()); ok && c.name == "none that can be compared" && e.Header.Get("Want-Content-Digest") == "" {
				t.Error("the refusal does not say which digests there are")
			}
		})
	}
}

// TestDigestedStream: nothing of a stream with a digest is used before all of it
// was compared, however much a handler would read; what it takes to keep it is
// bounded and goes with the request.
func TestDigestedStream(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	digest := func(body string) string { sum := sha256.Sum256([]byte(body)); return "sha-256=" + bytesOf(sum[:]) }
	part := "--b\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n%s\r\n--b--\r\n"
	for name, c := range map[string]struct {
		sent, signed string
		want         string
	}{
		"as signed":               {fmt.Sprintf(part, "1"), fmt.Sprintf(part, "1"), "ok"},
		"altered":                 {fmt.Sprintf(part, "9"), fmt.Sprintf(part, "1"), wrongDigest},
		"altered, and more after": {fmt.Sprintf(part, "9") + strings.Repeat("x", 1<<20), fmt.Sprintf(part, "1"), wrongDigest},
		"too large":               {strings.Repeat("x", 3<<20), fmt.Sprintf(part, "1"), "Request Entity Too Large"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "POST", "/", strings.NewReader(c.sent))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		r.Header.Set("Content-Digest", digest(c.signed))
		r.ContentLength = -1
		var s codec.Stream
		d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
		d.Body(codec.Body{MaxBytes: 2 << 20, Contents: []codec.Content{{MediaType: "multipart/form-data", Kind: codec.Opaque, Into: &s}}})
		if got := told(d.Err()); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: Body() = %s, want %s", name, got, c.want)
		}
		if c.want == "ok" {
			if got, err := io.ReadAll(s); err != nil || string(got) != c.sent {
				t.Errorf("%s: the handler reads %q, %v", name, got, err)
			}
		}
		cancel()
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", left, err)
	}

	// Nowhere to keep it is this server's fault.
	t.Setenv("TMPDIR", filepath.Join(dir, "missing"))
	r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", 1<<20)))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	r.Header.Set("Content-Digest", digest(""))
	var s codec.Stream
	d := codec.New(httptest.NewRecorder(), r, nil, compile(t))
	d.Body(codec.Body{Contents: []codec.Content{{MediaType: "multipart/form-data", Kind: codec.Opaque, Into: &s}}})
	if _, isProblem := errors.AsType[*problem.Error](d.Err()); d.Err() == nil || isProblem {
		t.Errorf("Body() without a place to keep it = %v, want an error that is no problem of the request", d.Err())
	}
}
