package codec_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/codec"
	"github.com/gatewright/gatewright/runtime/problem"
)

const wrongDigest = "Bad Request, digest_mismatch"

// bytesOf writes data as a byte sequence of structured fields.
func bytesOf(data []byte) string { return ":" + base64.StdEncoding.EncodeToString(data) + ":" }

// TestContentDigest: what a signature over Content-Digest was taken for is what
// is read.
func TestContentDigest(t *testing.T) {
	const js, good, other = "application/json", `{"title":"a"}`, `{"title":"b"}`
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
		{"stream of another", "application/octet-stream", "x", []string{short("y")}, "Binary " + wrongDigest},
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
				t.Errorf("Body with %q = %s, want %s", c.digest, got, c.want)
			}
			if e, ok := errors.AsType[*problem.Error](d.Err()); ok && c.name == "none that can be compared" && e.Header.Get("Want-Content-Digest") == "" {
				t.Error("the refusal does not say which digests there are")
			}
		})
	}
}
