package origin_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/origin"
)

func TestReturnTo(t *testing.T) {
	long := "/" + strings.Repeat("a", 1023)
	for _, c := range []struct{ raw, want string }{
		{"/", "/"},
		{"/posts/7", "/posts/7"},
		{"/posts?a=b&c=%2F#top", "/posts?a=b&c=%2F#top"},
		{"/posts/", "/posts/"},
		{"/a%2Fb", "/a%2Fb"},
		{"/caf\u00e9?q=\u00e9", "/caf%C3%A9?q=%C3%A9"},
		{`/a?q="<b>" c`, "/a?q=%22%3Cb%3E%22%20c"},
		{"/a?to=https://evil.example//x", "/a?to=https://evil.example//x"},
		{"/a:b", "/a:b"},
		{"/@evil.example", "/@evil.example"},
		{"/../a", "/../a"},
		{long, long},
	} {
		if got, ok := origin.ReturnTo(c.raw); !ok || got != c.want {
			t.Errorf("ReturnTo(%q) = %q, %v, want %q", c.raw, got, ok, c.want)
		}
	}
	for _, raw := range []string{
		"", "posts", "?a", "#a", ".", "./a", " /a",
		"//evil.example", "///evil.example", "//evil.example/a", "/a//b", "/.//evil.example", "/a/..//evil.example",
		`/\evil.example`, `\\evil.example`, `/a\b`, `/a?b\c`,
		"/\t/evil.example", "/\n/evil.example", "/a\r\nSet-Cookie: a=b", "/a\x00", "/a\x7f", "\t/a",
		"/%2Fevil.example", "/%2f/evil.example", "/%5Cevil.example", "/a%0d%0ab", "/%09/evil.example", "/a%7fb",
		"https://own.example/", "https:/a", "https:a", "javascript:alert(1)", "data:text/html,x", "mailto:a@b",
		"/a%", "/a%zz", "?/a", "http:///a", "//user@/a",
		long + "a", "/" + strings.Repeat("\u00e9", 200),
	} {
		if got, ok := origin.ReturnTo(raw); ok || got != "" {
			t.Errorf("ReturnTo(%q) = %q, %v, want it refused", raw, got, ok)
		}
	}
}

// FuzzReturnTo compares with what a browser makes of the path on our origin,
// as far as package net/url is one, and with the ways in which browsers differ
// from it.
func FuzzReturnTo(f *testing.F) {
	for _, s := range []string{"/", "/a?b#c", "//evil", "//user@/a", "/a?//b", `/\evil`, "/\t/evil", "/.//evil", "/%2f/evil", "/%5cevil", "https://evil", "/a:b@c", "/\u00e9", "/%", "/?//", "/#//", "/\xff"} {
		f.Add(s)
	}
	own := &url.URL{Scheme: "https", Host: "own.example"}
	f.Fuzz(func(t *testing.T, raw string) {
		to, ok := origin.ReturnTo(raw)
		if !ok {
			if to != "" {
				t.Fatalf("ReturnTo(%q) refuses and returns %q", raw, to)
			}
			return
		}
		if len(to) > 1024 {
			t.Errorf("ReturnTo(%q) has %d bytes", raw, len(to))
		}
		for i := range len(to) {
			if to[i] <= ' ' || to[i] >= 0x7f || to[i] == '\\' {
				t.Errorf("ReturnTo(%q) = %q has byte %q", raw, to, to[i])
			}
		}
		for _, s := range []string{raw, to, strings.ReplaceAll(raw, `\`, "/"), strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(raw)} {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatalf("ReturnTo(%q) is fine, and url.Parse(%q) = %v", raw, s, err)
			}
			if r := own.ResolveReference(u); r.Scheme != "https" || r.Host != "own.example" || r.User != nil || strings.HasPrefix(r.Path, "//") {
				t.Errorf("ReturnTo(%q) leads to %s", raw, r)
			}
		}
		again, ok := origin.ReturnTo(to)
		if !ok || again != to {
			t.Errorf("ReturnTo(%q) = %q, and of that %q, %v", raw, to, again, ok)
		}
		before, _ := url.Parse(raw)
		after, _ := url.Parse(to)
		if before.Path != after.Path {
			t.Errorf("ReturnTo(%q) = %q: the path has become %q", raw, to, after.Path)
		}
	})
}
