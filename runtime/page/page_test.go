package page

import (
	"fmt"
	"html"
	"net/http"
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
		Look:    Look{Name: text, logo: "data:image/png;base64,AAAA"},
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
		`<li><a class="way" href="/auth/login?provider=main">Sign in</a></li>`, `<img class="logo" src="data:image/png;base64,AAAA" alt="">Sign in</p>`,
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

// A page's policy allows its one style sheet and its logo, whatever the look and
// kind of page.
func TestPolicy(t *testing.T) {
	named, err := NewLook("Blog", "", "#c2410c")
	if err != nil {
		t.Fatal(err)
	}
	pictured, err := NewLook("Blog", logoFile(t, "logo.png", pngOf(t, 8, 8)), "")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for name, c := range map[string]struct {
		look Look
		logo bool
	}{"none": {Look{}, false}, "named": {named, false}, "pictured": {pictured, true}} {
		for kind, write := range map[string]func(http.ResponseWriter, *http.Request){
			"page": func(w http.ResponseWriter, r *http.Request) { Write(w, r, 200, Page{Title: "x", Look: c.look}) },
			"body": func(w http.ResponseWriter, r *http.Request) {
				WriteBody(w, r, 200, Body{Title: "x", HTML: "<h1>x</h1>", Look: c.look})
			},
		} {
			w := httptest.NewRecorder()
			write(w, httptest.NewRequest("GET", "/", nil))
			csp := w.Header().Get("Content-Security-Policy")
			sheets := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(w.Body.String(), -1)
			if len(sheets) != 1 {
				t.Fatalf("%s, %s: the page has %d style sheets, want 1", name, kind, len(sheets))
			}
			want := []string{"default-src 'none'", "style-src '" + hash(sheets[0][1]) + "'"}
			if c.logo {
				want = append(want, "img-src data:")
			}
			want = append(want, "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'")
			if got := strings.Split(csp, "; "); !slices.Equal(got, want) {
				t.Errorf("%s, %s: Content-Security-Policy = %q, want %q", name, kind, got, want)
			}
			if got := strings.Contains(w.Body.String(), `<img class="logo" src="data:image/png;base64,`); got != c.logo {
				t.Errorf("%s, %s: the page has the logo: %v, want %v", name, kind, got, c.logo)
			}
			if strings.Contains(w.Body.String(), "ZgotmplZ") {
				t.Errorf("%s, %s: the template took something out", name, kind)
			}
			seen[sheets[0][1]] = true
		}
	}
	if len(seen) != 4 { // those of "none" and "pictured" are the same
		t.Errorf("there are %d style sheets, want 4", len(seen))
	}
}

// The first button, or a link that is alone, is what one came for.
func TestWeight(t *testing.T) {
	two := []Button{{Label: "A", Action: "/a"}, {Label: "B", Action: "/b"}}
	for name, c := range map[string]struct {
		page Page
		want []string // in this order
	}{
		"buttons and a quiet link": {
			Page{Buttons: two, Links: []Link{{Label: "C", Path: "/c", Quiet: true}}},
			[]string{`<button class="way main" type="submit">A<`, `<button class="way" type="submit">B<`, `<a class="way quiet" href="/c">C<`},
		},
		"one link":             {Page{Links: []Link{{Label: "A", Path: "/a"}}}, []string{`<a class="way main" href="/a">A<`}},
		"two links":            {Page{Links: []Link{{Label: "A", Path: "/a"}, {Label: "B", Path: "/b"}}}, []string{`<a class="way" href="/a">A<`, `<a class="way" href="/b">B<`}},
		"it moves on":          {Page{Refresh: "/r", Links: []Link{{Label: "A", Path: "/a"}}}, []string{`<a class="way main" href="/r">Continue<`, `<a class="way" href="/a">A<`}},
		"a link by one button": {Page{Buttons: two[:1], Links: []Link{{Label: "B", Path: "/b"}}}, []string{`<button class="way main" type="submit">A<`, `<a class="way" href="/b">B<`}},
	} {
		rest := write(t, "GET", c.page).Body.String()
		for _, want := range c.want {
			_, after, ok := strings.Cut(rest, want)
			if !ok {
				t.Errorf("%s: the page lacks %s in its place:\n%s", name, want, rest)
			}
			rest = after
		}
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
	"img": {"class", "src", "alt"}, "a": {"class", "href"}, "form": {"method", "action"}, "input": {"type", "name", "value"}, "button": {"class", "type"},
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
		w := write(t, "GET", Page{Title: "x", Refresh: path, Links: []Link{{Label: "x", Path: path}}, Buttons: []Button{{Label: "x", Action: path}}})
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
			"Refresh": {Refresh: path}, "Links": {Links: []Link{{Label: "x", Path: path}}}, "Buttons": {Buttons: []Button{{Label: "x", Action: path}}},
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
