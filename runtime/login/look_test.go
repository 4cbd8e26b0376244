package login_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/page"
)

// TestLook goes through a login and a logout, and what can go wrong on the way:
// each page looks as the application wants it.
func TestLook(t *testing.T) {
	look, err := page.NewLook("The Daily Gate", "", "#9f1239")
	if err != nil {
		t.Fatal(err)
	}
	one, two := gatetest.NewProvider(t), gatetest.NewProvider(t)
	a := newApp(t, option{config: func(c *login.Config) { c.Look = look }}, one.Config("one"), two.Config("two"))
	b := newBrowser(t, a, one, two)
	seen := map[string]bool{}
	check := func(title string, v visit) {
		t.Helper()
		if !strings.Contains(v.body, "<h1>"+title+"</h1>") {
			t.Fatalf("%s is not the page %q:\n%s", v.url, title, v.body)
		}
		if !strings.Contains(v.body, "The Daily Gate") || !strings.Contains(v.body, "--fill: #9f1239;") {
			t.Errorf("the page %q lacks the application's look", title)
		}
		seen[title] = true
	}
	check("Sign in", b.open("/auth/login"))
	check("This link is broken", b.open("/auth/login?return_to=//evil.example"))
	check("You are signed out", b.open("/auth/logout"))
	check("One moment…", b.step("/auth/logout", "cross-site"))
	check("Please sign in again", b.open("/auth/finish"))
	// One step at a time, to see the page that moves on.
	at := b.step("/auth/login?provider=one&return_to=/me", "none")
	for range 5 {
		if at.status/100 != 3 {
			break
		}
		at = b.step(at.header.Get("Location"), "cross-site")
	}
	check("Signing in…", at)
	b.open("/auth/login?provider=one&return_to=/me")
	check("Sign out?", b.open("/auth/logout"))
	check("Signing out…", b.post("/auth/logout", nil))
	a.down.Store(true)
	b.setCookie("__Host-Http-session", strings.Repeat("A", 43))
	check("Signing in is not possible at the moment", b.open("/auth/logout"))
}

// All pages are written by one function, which gives them the look.
func TestLookOfAllPages(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set, n := token.NewFileSet(), 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if s, ok := node.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "page" && strings.HasPrefix(s.Sel.Name, "Write") {
					n++
				}
			}
			return true
		})
	}
	if n != 1 {
		t.Errorf("page.Write is used in %d places, want one: Login.page", n)
	}
	if len(files) == 0 {
		t.Error("there are no files to look at")
	}
}

// Who is asked whether to sign out sees first what they came for, and last the
// way back.
func TestSignOutPage(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	b.signIn()
	rest := b.open("/auth/logout").body
	for _, want := range []string{`<button class="way main" type="submit">Sign out</button>`, `<button class="way" type="submit">Sign out everywhere</button>`, `<a class="way quiet" href="/">Stay signed in</a>`} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("the page lacks %s in its place:\n%s", want, rest)
		}
		rest = after
	}
}
