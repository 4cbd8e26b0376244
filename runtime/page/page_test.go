package page

import (
	"fmt"
	"html"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// full has something in every field.
func full(text string) Page {
	return Page{
		Title: text, Text: text + "\n\n" + text, Status: text, Refresh: "/auth/finish",
		Links:   []Link{{Label: text, Path: "/auth/login?provider=main"}},
		Buttons: []Button{{Label: text, Action: "/auth/logout", Fields: []Field{{Name: text, Value: text}}}},
		Look:    Look{Name: text},
	}
}

func write(t *testing.T, method string, p Page) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	Write(w, httptest.NewRequest(method, "/", nil), 200, p)
	return w
}

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "public")
	w.Header().Set("ETag", `"a"`)
	Write(w, httptest.NewRequest("GET", "/", nil), 503, full("Sign in"))
	if w.Code != 503 {
		t.Errorf("status = %d, want 503", w.Code)
	}
	body := w.Body.String()
	for name, want := range map[string]string{
		"Content-Type":           "text/html; charset=utf-8",
		"Content-Length":         fmt.Sprint(len(body)),
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "no-referrer",
		"Etag":                   "",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, want := range []string{
		`<html lang="en">`, "<main>", "<h1>Sign in</h1>", "<title>Sign in – Sign in</title>",
		`<meta http-equiv="refresh" content="0;url=/auth/finish">`, `<a class="way main" href="/auth/finish">Continue</a>`,
		`<li><a class="way" href="/auth/login?provider=main">Sign in</a></li>`,
		`<form method="post" action="/auth/logout">`, `<input type="hidden" name="Sign in" value="Sign in">`,
		`<button class="way main" type="submit">Sign in</button>`, `<p class="status" role="status">Sign in</p>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := strings.Count(body, "<p>Sign in</p>"); n != 2 {
		t.Errorf("a text with a line break makes %d paragraphs, want 2", n)
	}
	bare := write(t, "GET", Page{Title: "Signed out"}).Body.String()
	for _, not := range []string{"refresh", "Continue", "<ul>", "<form", "role=", `class="name"`, "<p>", " – "} {
		if strings.Contains(bare, not) {
			t.Errorf("a page with a title alone has %s", not)
		}
	}
}

func TestWriteHead(t *testing.T) {
	get, head := write(t, "GET", full("x")), write(t, "HEAD", full("x"))
	if head.Body.Len() != 0 {
		t.Errorf("HEAD has a body of %d bytes", head.Body.Len())
	}
	for name := range get.Header() {
		if got, want := head.Header().Get(name), get.Header().Get(name); got != want {
			t.Errorf("HEAD: %s = %q, want %q as for GET", name, got, want)
		}
	}
}

func TestPolicy(t *testing.T) {
	w := write(t, "GET", full("x"))
	csp := w.Header().Get("Content-Security-Policy")
	sheets := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(w.Body.String(), -1)
	if len(sheets) != 1 {
		t.Fatalf("the page has %d style sheets, want 1", len(sheets))
	}
	want := []string{
		"default-src 'none'", "style-src '" + hash(sheets[0][1]) + "'",
		"form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}
	if got := strings.Split(csp, "; "); !slices.Equal(got, want) {
		t.Errorf("Content-Security-Policy = %q, want %q", got, want)
	}
}

// hostile texts try to leave each place that a text can stand in.
var hostile = []string{
	`<script>alert(1)</script>`, `</style><script>alert(1)</script>`, `</title><img src=x onerror=alert(1)>`,
	`" onfocus=alert(1) autofocus x="`, `' onclick='alert(1)`, "` onmouseover=`alert(1)", `"><svg/onload=alert(1)>`,
	`{{.Style}}`, `<!--`, `-->`, `]]>`, `javascript:alert(1)`, `&lt;script&gt;`, `&#0;`, "a\x00b", "\xff\xfe<b>",
	`</main></body></html><h1>Sign in here</h1>`, `0;url=https://evil.example`, "\u202eexample",
}

// allowed are the tags of a page and the attributes that each may have.
// Nothing that runs, loads or leads elsewhere is among them.
var allowed = map[string][]string{
	"!doctype": {"html"}, "html": {"lang"}, "head": nil, "body": nil, "main": nil, "h1": nil, "title": nil, "style": nil,
	"meta": {"charset", "name", "content", "http-equiv"}, "p": {"class", "role"}, "ul": nil, "li": nil,
	"a": {"class", "href"}, "form": {"method", "action"}, "input": {"type", "name", "value"}, "button": {"class", "type"},
}

var (
	tag       = regexp.MustCompile(`<(/?)([a-zA-Z!?][^\s>/]*)([^>]*)>`)
	attribute = regexp.MustCompile(`^\s+([a-zA-Z-]+)(?:="([^"<>]*)")?`)
)

// TestHostile has every text in every field and finds no tag and no attribute
// in the page but those of the template, as often as for a harmless text.
func TestHostile(t *testing.T) {
	shape := func(text string) []string {
		body := write(t, "GET", full(text)).Body.String()
		var out []string
		for _, m := range tag.FindAllStringSubmatch(body, -1) {
			names, ok := allowed[strings.ToLower(m[2])]
			if !ok {
				t.Errorf("with %q the page has a tag %s", text, m[0])
			}
			entry := m[1] + m[2]
			for rest := m[3]; rest != ""; {
				a := attribute.FindStringSubmatch(rest)
				if a == nil {
					t.Errorf("with %q the tag %s does not hold together", text, m[0])
					break
				}
				if !slices.Contains(names, a[1]) {
					t.Errorf("with %q the tag %s has %s", text, m[0], a[1])
				}
				entry += " " + a[1]
				rest = rest[len(a[0]):]
			}
			out = append(out, entry)
		}
		if strings.Count(body, "<") != len(out) {
			t.Errorf("with %q the page has %d signs that open a tag, and %d tags", text, strings.Count(body, "<"), len(out))
		}
		return out
	}
	want := shape("harmless")
	for _, text := range hostile {
		if got := shape(text); !slices.Equal(got, want) {
			t.Errorf("with %q the page is made of %q, want %q", text, got, want)
		}
	}
}

// A text is shown as it is.
func TestText(t *testing.T) {
	const text = `<b>Tom & "Jerry's"</b>`
	body := write(t, "GET", full(text)).Body.String()
	h1 := regexp.MustCompile(`<h1>(.*)</h1>`).FindStringSubmatch(body)
	if h1 == nil || html.UnescapeString(h1[1]) != text {
		t.Errorf("heading = %q, want %q", h1, text)
	}
}

func TestOwn(t *testing.T) {
	for _, path := range []string{
		"/", "/auth/finish", "/auth/login?provider=main&return_to=%2Fposts%3Fa%3D1", "/a#b", "/a//b", "/ä?q=ü", "/a:b", "/@b", "/?u=https://x.example",
		`/it's"<here>; url=/x`,
	} {
		w := write(t, "GET", Page{Title: "x", Refresh: path, Links: []Link{{"x", path}}, Buttons: []Button{{Label: "x", Action: path}}})
		meta := regexp.MustCompile(`content="0;url=(/[^"; <>']*)"`)
		if m := meta.FindStringSubmatch(html.UnescapeString(w.Body.String())); m == nil {
			t.Errorf("Refresh to %q does not hold together: %s", path, w.Body)
		}
	}
	for _, path := range []string{
		"auth", "https://evil.example/", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`,
		"/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "\t//evil.example", " //evil.example", "/a\x00", "/a\x7f", "/a#\n",
		"javascript:alert(1)", "data:text/html,x", "mailto:a@b.example", "?a", "#a", ".", "../x", "/%zz", `/a\b`,
	} {
		for where, p := range map[string]Page{
			"Refresh": {Refresh: path}, "Links": {Links: []Link{{"x", path}}}, "Buttons": {Buttons: []Button{{Label: "x", Action: path}}},
		} {
			w := httptest.NewRecorder()
			if !panics(func() { Write(w, httptest.NewRequest("GET", "/", nil), 200, p) }) {
				t.Errorf("Write with %q in %s leads there: %s", path, where, w.Body)
			}
			if w.Body.Len() != 0 || len(w.Header()) != 0 {
				t.Errorf("Write with %q in %s sent something", path, where)
			}
		}
	}
	for where, p := range map[string]Page{"Links": {Links: []Link{{Label: "x"}}}, "Buttons": {Buttons: []Button{{Label: "x"}}}} {
		if !panics(func() { write(t, "GET", p) }) {
			t.Errorf("Write takes an empty path in %s", where)
		}
	}
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

func TestAway(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, httptest.NewRequest("GET", "/", nil), 200, Page{Title: "Bye", Away: "https://id.example/logout?a=1&b=2"})
	for _, want := range []string{`content="0;url=https://id.example/logout?a=1&amp;b=2"`, `href="https://id.example/logout?a=1&amp;b=2"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %s:\n%s", want, w.Body)
		}
	}
	for _, bad := range []Page{{Away: "http://id.example/"}, {Away: "javascript:alert(1)"}, {Away: "//id.example"}, {Away: "https://id.example/", Refresh: "/"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Write(%+v) did not panic", bad)
				}
			}()
			Write(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), 200, bad)
		}()
	}
}
