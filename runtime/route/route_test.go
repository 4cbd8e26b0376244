package route_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/route"
)

// entries makes a public entry of each pattern, with the pattern as id. The
// handler answers with the pattern and the variables.
func entries(patterns ...string) []route.Entry {
	var es []route.Entry
	for _, p := range patterns {
		es = append(es, route.Entry{
			Operation: &gate.Operation{ID: p, Pattern: p, Policy: gate.Public()},
			Handle: func(w http.ResponseWriter, r *http.Request, vars route.Vars, who *gate.Principal) {
				fmt.Fprint(w, p, vars)
			},
		})
	}
	return es
}

// newTable makes a table of public operations.
func newTable(t testing.TB, patterns ...string) *route.Table {
	t.Helper()
	table, err := tryTable(patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func tryTable(patterns ...string) (*route.Table, error) {
	es := entries(patterns...)
	var ops []*gate.Operation
	for _, e := range es {
		ops = append(ops, e.Operation)
	}
	g, err := gate.New(gate.Config{Operations: ops})
	if err != nil {
		return nil, err
	}
	return route.New(g, es)
}

// show writes a match as "PATTERN name=value", "405 ALLOW" or "404".
func show(m route.Match) string {
	switch {
	case m.Entry == nil && m.Allow == "":
		return "404"
	case m.Entry == nil:
		return "405 " + m.Allow
	}
	var b strings.Builder
	b.WriteString(m.Entry.Operation.Pattern)
	for _, v := range m.Vars {
		fmt.Fprintf(&b, " %s=%q", v.Name, v.Value)
	}
	return b.String()
}

func TestMatch(t *testing.T) {
	for _, group := range []struct {
		name     string
		patterns []string
		cases    [][3]string // method, path, what show gives
	}{
		{"root", []string{"GET /"}, [][3]string{
			{"GET", "/", "GET /"},
			{"GET", "", "404"},
			{"GET", "//", "404"},
			{"GET", "/x", "404"},
			{"OPTIONS", "*", "404"},
			{"OPTIONS", "/", "405 GET, HEAD"},
			{"CONNECT", "", "404"},
			{"CONNECT", "/", "405 GET, HEAD"},
			{"CONNECT", "host:443", "404"},
		}},
		{"nothing", nil, [][3]string{
			{"GET", "/", "404"},
		}},
		{"slash at the end", []string{"GET /a", "GET /b/", "GET /{v}/c/"}, [][3]string{
			{"GET", "/a", "GET /a"},
			{"GET", "/a/", "404"},
			{"GET", "/b/", "GET /b/"},
			{"GET", "/b", "404"},
			{"GET", "/b//", "404"},
			{"GET", "/x/c/", `GET /{v}/c/ v="x"`},
			{"GET", "/x/c", "404"},
		}},
		{"nothing is cleaned", []string{"GET /a/b", "GET /a", "GET /a/../c", "GET /d/{v}/e", "GET /f//g"}, [][3]string{
			{"GET", "//a", "404"},
			{"GET", "/a//b", "404"},
			{"GET", "/a/./b", "404"},
			{"GET", "/a/b/..", "404"},
			{"GET", "/a/../c", "GET /a/../c"},
			{"GET", "/c", "404"},
			{"GET", "/d/../e", `GET /d/{v}/e v=".."`},
			{"GET", "/d/%2e%2E/e", `GET /d/{v}/e v=".."`},
			{"GET", "/d/./e", `GET /d/{v}/e v="."`},
			{"GET", "/d//e", "404"},
			{"GET", "/f//g", "GET /f//g"},
			{"GET", "/f/g", "404"},
			{"GET", "/a;x=1", "404"},
			{"GET", "/A", "404"},
		}},
		{"decoding", []string{"GET /files/{name}", "GET /caf%C3%A9", "GET /a%2Fb", "GET /a/b", "GET /%7Bx%7D", "GET /p%25"}, [][3]string{
			{"GET", "/files/a%2Fb", `GET /files/{name} name="a/b"`},
			{"GET", "/files/a%2fb", `GET /files/{name} name="a/b"`},
			{"GET", "/files/a%252Fb", `GET /files/{name} name="a%2Fb"`},
			{"GET", "/files/%00", `GET /files/{name} name="\x00"`},
			{"GET", "/files/%FF", `GET /files/{name} name="\xff"`},
			{"GET", "/files/a+b", `GET /files/{name} name="a+b"`},
			{"GET", "/files%2Fa", "404"},
			{"GET", "/files/", "404"},
			{"GET", "/f%69les/x", `GET /files/{name} name="x"`},
			{"GET", "/caf%c3%a9", "GET /caf%C3%A9"},
			{"GET", "/café", "GET /caf%C3%A9"},
			{"GET", "/a%2Fb", "GET /a%2Fb"},
			{"GET", "/a/b", "GET /a/b"},
			{"GET", "/%7Bx%7D", "GET /%7Bx%7D"},
			{"GET", "/z", "404"},
			{"GET", "/p%25", "GET /p%25"},
			{"GET", "/p%", "404"},
			{"GET", "/files/%zz", "404"},
		}},
		{"text and variables", []string{"GET /a/{id}.json", "POST /a/{id}:cancel", "GET /a/{id}", "GET /r/{from}-{to}", "GET /s/v{x}", "GET /t/{x}{y}"}, [][3]string{
			{"GET", "/a/7.json", `GET /a/{id}.json id="7"`},
			{"GET", "/a/.json", `GET /a/{id} id=".json"`},
			{"GET", "/a/7.json.json", `GET /a/{id}.json id="7.json"`},
			{"GET", "/a/7%2Ejson", `GET /a/{id}.json id="7"`},
			{"GET", "/a/7", `GET /a/{id} id="7"`},
			{"POST", "/a/7:cancel", `POST /a/{id}:cancel id="7"`},
			{"POST", "/a/7%3Acancel", `POST /a/{id}:cancel id="7"`},
			{"GET", "/a/7:cancel", "405 POST"},
			{"POST", "/a/7.json", "405 GET, HEAD"},
			{"GET", "/r/x-y-z", `GET /r/{from}-{to} from="x" to="y-z"`},
			{"GET", "/r/--y", `GET /r/{from}-{to} from="-" to="y"`},
			{"GET", "/r/---", `GET /r/{from}-{to} from="-" to="-"`},
			{"GET", "/r/x-", "404"},
			{"GET", "/r/-x", "404"},
			{"GET", "/r/x", "404"},
			{"GET", "/s/v1", `GET /s/v{x} x="1"`},
			{"GET", "/s/v", "404"},
			{"GET", "/t/%C3%A9%C3%A8a", `GET /t/{x}{y} x="é" y="èa"`},
			{"GET", "/t/%C3%A9", "404"},
		}},
		{"more text first", []string{"GET /{a}.tar.gz", "GET /{a}.gz", "GET /{a}.{b}", "GET /x{a}", "GET /{a}x", "GET /{a}"}, [][3]string{
			{"GET", "/f.tar.gz", `GET /{a}.tar.gz a="f"`},
			{"GET", "/f.gz", `GET /{a}.gz a="f"`},
			{"GET", "/f.zip", `GET /{a}.{b} a="f" b="zip"`},
			{"GET", "/x1x", `GET /x{a} a="1x"`},
			{"GET", "/1x", `GET /{a}x a="1"`},
			{"GET", "/x", `GET /{a} a="x"`},
			{"GET", "/x.z", `GET /x{a} a=".z"`},
		}},
		{"literal before variable", []string{"GET /users/{id}", "GET /users/me", "GET /{kind}/me", "GET /{kind}/all"}, [][3]string{
			{"GET", "/users/me", "GET /users/me"},
			{"GET", "/users/all", `GET /users/{id} id="all"`},
			{"GET", "/posts/me", `GET /{kind}/me kind="posts"`},
			{"GET", "/posts/7", "404"},
		}},
		{"the left decides", []string{"GET /{kind}/me", "GET /users/{id}"}, [][3]string{
			{"GET", "/users/me", `GET /users/{id} id="me"`},
			{"GET", "/posts/me", `GET /{kind}/me kind="posts"`},
		}},
		{"second try", []string{"GET /a/b/c", "GET /a/{x}/d", "GET /{x}/b/e", "GET /a.{x}/b", "GET /{x}/{y}/{z}/f"}, [][3]string{
			{"GET", "/a/b/c", "GET /a/b/c"},
			{"GET", "/a/b/d", `GET /a/{x}/d x="b"`},
			{"GET", "/a/b/e", `GET /{x}/b/e x="a"`},
			{"GET", "/a.1/b/e", `GET /{x}/b/e x="a.1"`},
			{"GET", "/a.1/b", `GET /a.{x}/b x="1"`},
			{"GET", "/a/b/c/f", `GET /{x}/{y}/{z}/f x="a" y="b" z="c"`},
			{"GET", "/a/b", "404"},
			{"GET", "/a/b/c/d/e/f", "404"},
		}},
		{"method does not fall through", []string{"GET /users/me", "DELETE /users/{id}", "PUT /{kind}/me"}, [][3]string{
			{"DELETE", "/users/me", "405 GET, HEAD"},
			{"PUT", "/users/me", "405 GET, HEAD"},
			{"PUT", "/users/7", "405 DELETE"},
			{"PUT", "/posts/me", `PUT /{kind}/me kind="posts"`},
		}},
		{"methods", []string{"GET /a", "POST /a", "get /b", "PROPFIND /c", "HEAD /d", "GET /d", "HEAD /e"}, [][3]string{
			{"HEAD", "/a", "GET /a"},
			{"PUT", "/a", "405 GET, HEAD, POST"},
			{"get", "/a", "405 GET, HEAD, POST"},
			{"", "/a", "405 GET, HEAD, POST"},
			{"GET", "/b", "405 get"},
			{"HEAD", "/b", "405 get"},
			{"PROPFIND", "/c", "PROPFIND /c"},
			{"HEAD", "/d", "HEAD /d"},
			{"GET", "/d", "GET /d"},
			{"HEAD", "/e", "HEAD /e"},
			{"GET", "/e", "405 HEAD"},
		}},
		{"names belong to the operation", []string{"GET /u/{id}", "PUT /u/{user}", "GET /u/{uid}/{x}-{y}", "POST /u/{user}/{from}-{to}"}, [][3]string{
			{"GET", "/u/7", `GET /u/{id} id="7"`},
			{"HEAD", "/u/7", `GET /u/{id} id="7"`},
			{"PUT", "/u/7", `PUT /u/{user} user="7"`},
			{"DELETE", "/u/7", "405 GET, HEAD, PUT"},
			{"GET", "/u/7/a-b", `GET /u/{uid}/{x}-{y} uid="7" x="a" y="b"`},
			{"POST", "/u/7/a-b", `POST /u/{user}/{from}-{to} user="7" from="a" to="b"`},
		}},
		{"names may be odd", []string{"GET /{user-id}/{a b}/{+path}"}, [][3]string{
			{"GET", "/1/2/3", `GET /{user-id}/{a b}/{+path} user-id="1" a b="2" +path="3"`},
		}},
		{"deep", []string{"GET /" + strings.Repeat("a/", 40) + "{x}"}, [][3]string{
			{"GET", "/" + strings.Repeat("a/", 40) + "b", "GET /" + strings.Repeat("a/", 40) + `{x} x="b"`},
			{"GET", strings.Repeat("/", 100_000), "404"},
		}},
	} {
		t.Run(group.name, func(t *testing.T) {
			table := newTable(t, group.patterns...)
			for _, c := range group.cases {
				if got := show(table.Match(c[0], c[1])); got != c[2] {
					t.Errorf("Match(%q, %q) = %s, want %s", c[0], c[1], got, c[2])
				}
			}
		})
	}
}

// The order in which operations are declared decides nothing.
func TestOrderOfEntriesDecidesNothing(t *testing.T) {
	patterns := []string{"GET /{a}.{b}", "GET /{a}-{b}", "GET /{a}b", "GET /b{a}", "GET /{a}{b}"}
	paths := []string{"/b.b-b", "/bb", "/bab", "/x.y", "/x-y.b"}
	want := make(map[string]string)
	for round := range patterns {
		rotated := append(append([]string(nil), patterns[round:]...), patterns[:round]...)
		table := newTable(t, rotated...)
		for _, p := range paths {
			got := show(table.Match("GET", p))
			if w, ok := want[p]; ok && got != w {
				t.Errorf("Match(GET, %q) = %s with the order %q, and %s with another", p, got, rotated, w)
			}
			want[p] = got
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		patterns []string
		want     []string // parts of the error
	}{
		{"one route twice", []string{"GET /a/{id}", "GET /a/{other}"}, []string{`"GET /a/{id}"`, `"GET /a/{other}"`, "claim one route"}},
		{"twice by encoding", []string{"GET /caf%c3%a9", "GET /café"}, []string{"claim one route"}},
		{"mixed twice", []string{"GET /{a}-{b}.x", "GET /{c}-{d}.%78"}, []string{"claim one route"}},
		{"brace not closed", []string{"GET /a/{id"}, []string{`"GET /a/{id"`, "never closed"}},
		{"slash in a variable", []string{"GET /{a/b}"}, []string{"never closed"}},
		{"brace not opened", []string{"GET /a}/b"}, []string{"never opened"}},
		{"brace not opened after a variable", []string{"GET /{a}}"}, []string{"never opened"}},
		{"brace in a variable", []string{"GET /{a{b}}"}, []string{"brace inside"}},
		{"no name", []string{"GET /{}"}, []string{"without a name"}},
		{"name twice", []string{"GET /{a}/{a}"}, []string{`"a" stands twice`}},
		{"name twice in one segment", []string{"GET /{a}-{a}"}, []string{`"a" stands twice`}},
		{"no slash", []string{"GET a"}, []string{`begin with "/"`}},
		{"no path", []string{"GET"}, []string{"want a method"}},
		{"no method", []string{" /a"}, []string{"want a method"}},
		{"odd method", []string{"GE(T /a"}, []string{"want a method"}},
		{"connect", []string{"CONNECT /a"}, []string{"CONNECT"}},
		{"query", []string{"GET /a?b=c"}, []string{`"?"`}},
		{"fragment", []string{"GET /a#b"}, []string{`"#"`}},
		{"encoding", []string{"GET /a%2"}, []string{"percent-encoded"}},
		{"bytes", []string{"GET /%FF"}, []string{"UTF-8"}},
		{"all at once", []string{"GET /{", "GET /a", "GET /a", "GET /{}"}, []string{"never closed", "claim one route", "without a name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tryTable(c.patterns...)
			if err == nil {
				t.Fatalf("New(%q) = nil, want an error", c.patterns)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("New(%q) = %q, want it to say %q", c.patterns, err, part)
				}
			}
		})
	}
}

func TestNewRefusesIncompleteEntries(t *testing.T) {
	g, err := gate.New(gate.Config{})
	if err != nil {
		t.Fatal(err)
	}
	whole := entries("GET /a")[0]
	if _, err := route.New(nil, []route.Entry{whole}); err == nil {
		t.Error("New without a gate = nil, want an error")
	}
	if _, err := route.New(g, []route.Entry{{Handle: whole.Handle}}); err == nil {
		t.Error("New with an entry without operation = nil, want an error")
	}
	if _, err := route.New(g, []route.Entry{{Operation: whole.Operation}}); err == nil {
		t.Error("New with an entry without handler = nil, want an error")
	}
}

func TestPatterns(t *testing.T) {
	table := newTable(t, "POST /b", "GET /b", "GET /a/{x}")
	if got, want := fmt.Sprint(table.Patterns()), "[GET /a/{x} GET /b POST /b]"; got != want {
		t.Errorf("Patterns() = %s, want %s", got, want)
	}
}

func TestAnswers(t *testing.T) {
	table := newTable(t, "POST /posts", "GET /posts/{id}", "GET /{name}.json")
	for path, want := range map[string]bool{
		"/posts": true, "/posts/7": true, "/posts/a%2Fb": true, "/a.json": true,
		"/": false, "/posts/": false, "/posts/7/8": false, "/a.js": false, "posts": false, "/posts/%zz": false, "": false,
	} {
		if got := table.Answers(path); got != want {
			t.Errorf("Answers(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestServeHTTP(t *testing.T) {
	table := newTable(t, "GET /a/{x}", "POST /a/{x}")
	for _, c := range []struct {
		name, method, target string
		status               int
		allow, body          string // body: part of it
	}{
		{"let in", "GET", "/a/b%2Fc?q=1", 200, "", "GET /a/{x}[{x b/c}]"},
		{"HEAD", "HEAD", "/a/b", 200, "", ""},
		{"unknown path", "GET", "/b", 404, "", `"code":"not_found"`},
		{"not cleaned", "GET", "//a/b", 404, "", `"code":"not_found"`},
		{"slash at the end", "GET", "/a/b/", 404, "", `"code":"not_found"`},
		{"unknown method", "PUT", "/a/b", 405, "GET, HEAD, POST", `"code":"method_not_allowed"`},
		{"asterisk", "OPTIONS", "*", 404, "", `"code":"not_found"`},
		{"connect", "CONNECT", "/a/b", 405, "GET, HEAD, POST", `"code":"method_not_allowed"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.target, nil)
			r.Header.Set("X-HTTP-Method-Override", "GET")
			r.Header.Set("X-Original-URL", "/a/b")
			w := httptest.NewRecorder()
			table.ServeHTTP(w, r)
			body := strings.ReplaceAll(w.Body.String(), " \"", "\"")
			if w.Code != c.status || w.Header().Get("Allow") != c.allow || !strings.Contains(body, c.body) {
				t.Errorf("%s %s = %d, Allow %q, %s; want %d, %q, %s",
					c.method, c.target, w.Code, w.Header().Get("Allow"), w.Body, c.status, c.allow, c.body)
			}
		})
	}
}

// A request that the gate refuses does not reach the handler.
func TestServeHTTPAsksTheGate(t *testing.T) {
	closed := &gate.Operation{ID: "closed", Pattern: "GET /closed"}
	g, err := gate.New(gate.Config{Operations: []*gate.Operation{closed}})
	if err != nil {
		t.Fatal(err)
	}
	table, err := route.New(g, []route.Entry{{Operation: closed, Handle: func(http.ResponseWriter, *http.Request, route.Vars, *gate.Principal) {
		t.Error("the handler of an operation that lets nobody in was called")
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "HEAD"} {
		w := httptest.NewRecorder()
		table.ServeHTTP(w, httptest.NewRequest(method, "/closed", nil))
		if w.Code < 400 {
			t.Errorf("%s /closed = %d, want a refusal", method, w.Code)
		}
	}
}

func TestMatchAllocatesOnlyVars(t *testing.T) {
	table := newTable(t, "GET /a/b/c", "GET /a/{x}/{y}.json")
	for _, c := range []struct {
		path string
		want float64
	}{
		{"/a/b/c", 0},
		{"/a/b/d", 0},
		{"/a/1/2.json", 1},
	} {
		if got := testing.AllocsPerRun(100, func() { table.Match("GET", c.path) }); got != c.want {
			t.Errorf("Match(GET, %q) allocates %v times, want %v", c.path, got, c.want)
		}
	}
}
