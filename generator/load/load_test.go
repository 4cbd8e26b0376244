package load

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatewright/gatewright/generator/model"
)

// write puts files into a new folder and goes there.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func mustLoad(t *testing.T, cfg Config) *Document {
	t.Helper()
	doc, found := Load(context.Background(), cfg)
	for _, d := range found {
		t.Errorf("%s: %s %s", d.Pos, d.Rule, d.Message)
	}
	if doc == nil {
		t.Fatal("no document")
	}
	return doc
}

func TestScalars(t *testing.T) {
	for _, c := range []struct {
		in   string
		kind Kind
		text string
	}{
		{"yes", String, "yes"}, {"on", String, "on"}, {"y", String, "y"}, {"NO", String, "NO"},
		{"true", Bool, "true"}, {"FALSE", Bool, "false"}, {"tRue", String, "tRue"},
		{"~", Null, ""}, {"", Null, ""}, {"null", Null, ""}, {"NULL", Null, ""}, {"nULL", String, "nULL"},
		{"12", Number, "12"}, {"+12", Number, "12"}, {"-0012", Number, "-12"}, {"0777", Number, "777"},
		{"0o17", Number, "15"}, {"0x1F", Number, "31"}, {"0b11", String, "0b11"}, {"1_000", String, "1_000"},
		{"1:30", String, "1:30"}, {"1.50", Number, "1.50"}, {".5", Number, "0.5"}, {"1.", Number, "1"}, {"-1e+3", Number, "-1e+3"},
		{"1e400", Number, "1e400"}, {"2020-01-01", String, "2020-01-01"}, {"2020-01-01T00:00:00Z", String, "2020-01-01T00:00:00Z"},
		{`"12"`, String, "12"}, {"'true'", String, "true"}, {"!!str 12", String, "12"}, {`!!int "12"`, Number, "12"},
		{"!!timestamp 2020-01-01", String, "2020-01-01"}, {"=", String, "="}, {"3.1.0", String, "3.1.0"},
	} {
		t.Run(c.in, func(t *testing.T) {
			write(t, map[string]string{"a.yaml": "openapi: 3.1.0\nx: " + c.in + "\n"})
			n := mustLoad(t, Config{Path: "a.yaml"}).Root.Get("x")
			if n.Kind != c.kind || n.Text != c.text {
				t.Errorf("%q = %v %q, want %v %q", c.in, n.Kind, n.Text, c.kind, c.text)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	write(t, map[string]string{"a.json": "{\"openapi\": \"3.0.3\",\n  \"é\": {\"😀\": \"\\ud83d\\ude00\\u0000\", \"n\": [1.50, -2E+400, null, true]}}"})
	doc := mustLoad(t, Config{Path: "a.json"})
	e := doc.Root.Get("é")
	if got, want := e.Get("😀").Text, "😀\x00"; got != want {
		t.Errorf("string = %q, want %q", got, want)
	}
	if got, want := e.Members[1].KeyPos, (model.Position{File: "a.json", Line: 2, Column: 36}); got != want {
		t.Errorf("KeyPos = %v, want %v", got, want)
	}
	var got []string
	for _, it := range e.Get("n").Items {
		got = append(got, it.Text)
	}
	if want := "1.50 -2E+400  true"; strings.Join(got, " ") != want {
		t.Errorf("items = %q, want %q", got, want)
	}
}

// JSON is a part of YAML and may stand in any file; the name counts only for
// what is said of a mistake.
func TestFormats(t *testing.T) {
	for name, text := range map[string]string{
		"json.yaml":    `{"openapi": "3.1.0"}`,
		"json":         `{"openapi": "3.1.0"}`,
		"flow.yaml":    `{openapi: 3.1.0, info: {title: 'a'}}`,
		"yaml.json":    "openapi: 3.1.0\n",
		"number.yaml":  "openapi: 3.1\n",
		"crlf.yaml":    "openapi: 3.1.0\r\ninfo:\r\n  title: a\r\n",
		"comment.yaml": "# first\n%YAML 1.2\n---\nopenapi: 3.1.0\n...\n",
		"bom.json":     "\ufeff{\"openapi\": \"3.1.0\"}",
	} {
		t.Run(name, func(t *testing.T) {
			write(t, map[string]string{name: text})
			if doc := mustLoad(t, Config{Path: name}); doc.Version != "3.1" {
				t.Errorf("Version = %q, want 3.1", doc.Version)
			}
		})
	}
}

func TestAliases(t *testing.T) {
	write(t, map[string]string{"a.yaml": `openapi: 3.1.0
x-base: &base {a: 1, b: 2}
x-more: &more {b: 3, c: 4}
x-copy: *base
x-merged: {<<: [*base, *more], a: 0}
x-quoted: {"<<": 1}
`})
	root := mustLoad(t, Config{Path: "a.yaml"}).Root
	for _, c := range []struct{ member, key, want string }{
		{"x-copy", "a", "1"}, {"x-merged", "a", "0"}, {"x-merged", "b", "2"}, {"x-merged", "c", "4"}, {"x-quoted", "<<", "1"},
	} {
		n := root.Get(c.member).Get(c.key)
		if n == nil || n.Text != c.want {
			t.Errorf("%s.%s = %v, want %s", c.member, c.key, n, c.want)
		}
	}
	if got, want := root.Get("x-copy").Get("a").Location(), "a.yaml#/x-copy/a"; got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
}

// Every node of every file is found again by its Location.
func TestLocationAt(t *testing.T) {
	write(t, map[string]string{
		"sub/a#b.yaml":  "openapi: 3.1.0\n\"a/b~c#d%25\": [{x: &x [1]}, *x]\npaths: {/p: {get: {responses: {200: {$ref: '../other/r.json#/a~1b'}}}}}\n",
		"other/r.json":  `{"a/b": {"description": "fine", "content": {"a/b": {"schema": {"$ref": "#/a~1b/content/a~1b/schema/$defs/s~0", "$defs": {"s~": {"$anchor": "here"}}}}}}}`,
		"other/not.txt": "",
	})
	doc := mustLoad(t, Config{Path: "sub/a#b.yaml"})
	count := 0
	var visit func(n *Node)
	visit = func(n *Node) {
		count++
		if got := doc.At(n.Location()); got != n {
			t.Errorf("At(%q) = %v, want the node itself", n.Location(), got)
		}
		for _, it := range n.Items {
			visit(it)
		}
		for _, m := range n.Members {
			visit(m.Value)
		}
	}
	visit(doc.Root)
	response, err := doc.Resolve(doc.Root.Get("paths").Get("/p").Get("get").Get("responses").Get("200"))
	if err != nil {
		t.Fatal(err)
	}
	visit(response)
	if count < 20 {
		t.Errorf("visited %d nodes, want all", count)
	}
	if got, want := strings.Join(doc.Files(), " "), "other/r.json sub/a#b.yaml"; got != want {
		t.Errorf("Files() = %q, want %q", got, want)
	}
	for _, bad := range []string{"", "#", "nowhere#/a", "other/r.json", "other/r.json#a", "other/r.json#/b", "other/r.json#/a~1b/content/-1"} {
		if got := doc.At(bad); got != nil {
			t.Errorf("At(%q) = %v, want nil", bad, got)
		}
	}
}

func TestResolveSteps(t *testing.T) {
	var b strings.Builder
	b.WriteString("openapi: 3.1.0\nx:\n")
	for i := range 80 {
		fmt.Fprintf(&b, "  a%d: {$ref: '#/x/a%d'}\n", i, i+1)
	}
	b.WriteString("  a80: {type: string}\n")
	write(t, map[string]string{"a.yaml": b.String()})
	doc := mustLoad(t, Config{Path: "a.yaml"})
	if _, err := doc.Resolve(doc.Root.Get("x").Get("a0")); err == nil {
		t.Error("Resolve of 80 steps = nil error, want one")
	}
	if n, err := doc.Resolve(doc.Root.Get("x").Get("a40")); err != nil || n.Str("type") != "string" {
		t.Errorf("Resolve of 40 steps = %v, %v", n, err)
	}
	if n, err := doc.Resolve(nil); n != nil || err != nil {
		t.Errorf("Resolve(nil) = %v, %v, want nil, nil", n, err)
	}
}

// A chain of schemas as long as a file can hold must not exhaust the stack.
func TestLongChain(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"openapi":"3.1.0","paths":{"/a":{"get":{"x":{"$ref":"#/s/a0"}}}},"s":{`)
	const length = 100_000
	for i := range length {
		fmt.Fprintf(&b, `"a%d":{"items":{"$ref":"#/s/a%d"}},`, i, i+1)
	}
	fmt.Fprintf(&b, `"a%d":{}}}`, length)
	write(t, map[string]string{"a.json": b.String()})
	mustLoad(t, Config{Path: "a.json"})
}

// Findings about text that is no YAML stand where the text is wrong.
func TestSyntaxLine(t *testing.T) {
	for text, want := range map[string]int{
		"a: 1\nb: [\n":              2,
		"a: 1\nb: {c: 1\nd: 2\n":    2,
		"a: 1\nb: 'x\n\n":           2,
		"a: 1\nb: c: d\n":           2,
		"a: 1\nb: *x\n":             2,
		"a: 1\n- b\n":               2,
		"a: 1\n\nb: 2\n  c: 3\n":    4,
		"a: [1\n":                   1,
		"a: 1\nb: !!x%zz y\nc: 2\n": 2,
	} {
		write(t, map[string]string{"a.yaml": text})
		_, found := Load(context.Background(), Config{Path: "a.yaml"})
		if len(found) != 1 || found[0].Rule != RuleSyntax || found[0].Pos.Line != want {
			t.Errorf("Load(%q) = %v, want one %s in line %d", text, found, RuleSyntax, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name, text, rule string
		max              int64
	}{
		{"too large", "openapi: 3.1.0\n", RuleUnreadable, 10},
		{"just fits", "openapi: 3.1.0\n", "", 15},
		{"deep JSON", strings.Repeat("[", 100_000), RuleTooDeep, 0},
		{"deep YAML", strings.Repeat("- ", 20_000) + "a", RuleSyntax, 0},
		{"deep flow", "a: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000), RuleTooDeep, 0},
		{"many aliases", "a: &a [1, 2, 3, 4, 5]\nb: [" + strings.Repeat("*a,", minExpanded/2+1) + "]\n", RuleTooDeep, 0},
		{"long number", "openapi: 3.1.0\na: " + strings.Repeat("1", 2000), RuleNotJSON, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, map[string]string{"a.yaml": c.text})
			_, found := Load(context.Background(), Config{Path: "a.yaml", MaxBytes: c.max})
			got := ""
			if len(found) > 0 {
				got = found[0].Rule
			}
			if got != c.rule {
				t.Errorf("Load = %v, want rule %q", found, c.rule)
			}
		})
	}
}

// The limit is for all files together.
func TestLimitOfAll(t *testing.T) {
	write(t, map[string]string{
		"a.yaml": "openapi: 3.1.0\npaths: {/a: {$ref: b.yaml}}\n",
		"b.yaml": "get: {}\n",
	})
	if _, found := Load(context.Background(), Config{Path: "a.yaml", MaxBytes: 45}); len(found) != 1 || found[0].Rule != RuleRefNowhere {
		t.Errorf("Load = %v, want one finding of %s", found, RuleRefNowhere)
	}
	mustLoad(t, Config{Path: "a.yaml", MaxBytes: 60})
}

func TestNotAFile(t *testing.T) {
	write(t, map[string]string{"folder/a.yaml": "paths:\n"})
	for _, name := range []string{"folder", "absent.yaml", "/dev/zero", ""} {
		doc, found := Load(context.Background(), Config{Path: name})
		if doc != nil || len(found) != 1 || found[0].Rule != RuleUnreadable {
			t.Errorf("Load(%q) = %v, %v, want one finding of %s", name, doc, found, RuleUnreadable)
		}
	}
}

func TestCancelled(t *testing.T) {
	write(t, map[string]string{"a.yaml": "openapi: 3.1.0\n"})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if doc, found := Load(ctx, Config{Path: "a.yaml"}); doc != nil || len(found) != 1 {
		t.Errorf("Load = %v, %v, want one finding", doc, found)
	}
}

func TestRemote(t *testing.T) {
	var asked atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/paths.yaml":
			fmt.Fprint(w, "get: {responses: {'200': {$ref: 'responses/ok.yaml#/OK'}}}\n")
		case "/responses/ok.yaml":
			fmt.Fprint(w, "OK: {description: fine, x: {$ref: '#/not/looked/at'}}\n")
		case "/plain.yaml":
			http.Redirect(w, r, "http://"+r.Host+"/paths.yaml", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	before := http.DefaultTransport
	http.DefaultTransport = srv.Client().Transport
	defer func() { http.DefaultTransport = before }()

	for _, c := range []struct {
		name, ref string
		allow     bool
		rule      string
		asked     int32
	}{
		{"not without being told", srv.URL + "/paths.yaml", false, RuleRefRemote, 0},
		{"nor without a scheme", strings.TrimPrefix(srv.URL, "https:") + "/paths.yaml", false, RuleRefRemote, 0},
		{"never over http", strings.Replace(srv.URL, "https", "http", 1) + "/paths.yaml", true, RuleRefRemote, 0},
		{"never redirected to http", srv.URL + "/plain.yaml", true, RuleRefNowhere, 1},
		{"not found", srv.URL + "/absent.yaml", true, RuleRefNowhere, 1},
		{"with its own references", srv.URL + "/paths.yaml", true, RuleRefNowhere, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked.Store(0)
			write(t, map[string]string{"a.yaml": "openapi: 3.1.0\npaths: {/a: {$ref: '" + c.ref + "'}}\n"})
			_, found := Load(context.Background(), Config{Path: "a.yaml", AllowRemote: c.allow})
			if len(found) != 1 || found[0].Rule != c.rule {
				t.Errorf("Load = %v, want one finding of %s", found, c.rule)
			}
			if got := asked.Load(); got != c.asked {
				t.Errorf("%d requests, want %d", got, c.asked)
			}
		})
	}
}

// The digest tells contents apart, and not places.
func TestDigest(t *testing.T) {
	digest := func(dir, part string) string {
		write(t, map[string]string{
			dir + "/a.yaml":   "openapi: 3.1.0\npaths: {/a: {$ref: p/b.yaml}}\n",
			dir + "/p/b.yaml": part,
		})
		return mustLoad(t, Config{Path: dir + "/a.yaml"}).Digest()
	}
	one := digest("x", "get: {}\n")
	if again := digest("y/z", "get: {}\n"); again != one {
		t.Errorf("digest depends on the folder: %s and %s", one, again)
	}
	if other := digest("x", "put: {}\n"); other == one {
		t.Errorf("digest %s does not depend on the file referred to", one)
	}
}

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("ä", 300)
	write(t, map[string]string{"a.yaml": "openapi: 3.1.0\nx:\n  a: \"\u202eb\"\n" + "y: " + long + "\n# \u2028z: 1\r\n"})
	doc := mustLoad(t, Config{Path: "a.yaml"})
	for _, c := range []struct {
		line, column int
		want         string
	}{
		{1, 1, "openapi: 3.1.0"},
		{3, 3, `a: "\u202eb"`},
		{4, 4, "y: " + strings.Repeat("ä", 117) + "…"},
		{4, 303, "…" + strings.Repeat("ä", 120)},
		{5, 1, "#"},
		{6, 1, "z: 1"},
		{0, 0, ""}, {99, 1, ""}, {4, 9999, "…" + strings.Repeat("ä", 120)},
	} {
		if got := doc.Excerpt(model.Position{File: "a.yaml", Line: c.line, Column: c.column}); got != c.want {
			t.Errorf("Excerpt(%d:%d) = %q, want %q", c.line, c.column, got, c.want)
		}
	}
	if got := doc.Excerpt(model.Position{File: "b.yaml", Line: 1, Column: 1}); got != "" {
		t.Errorf("Excerpt of another file = %q, want nothing", got)
	}
}
