package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// TestBrowser is the blog as people and attackers meet it: in Chromium, with a
// provider that others wrote, everybody on a site of their own.
func TestBrowser(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *stage)
	}{
		{"people", testPeople},
		{"secrets", testSecrets},
		{"sign out", testSignOut},
		{"other sites", testOtherSites},
		{"another origin of the site", testSibling},
		{"a code that is not ours", testForeignCode},
		{"two windows", testWindows},
		{"without scripts", testNoScript},
		{"twenty tabs", testManyTabs},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// testPeople: what each may do, from the front alone.
func testPeople(t *testing.T, s *stage) {
	bob := s.person(t)
	bob.open(blogURL + "/")
	bob.until(signedOut)
	if got := bob.status(blogURL + "/auth/session"); got != 401 {
		t.Errorf("/auth/session before the login answers %d, want 401", got)
	}
	if bob.holds(`!document.querySelector("#write").hidden`) {
		t.Error("nobody sees the form to write")
	}
	bob.forget()
	bob.signIn("bob")
	// The page that the login ends at has the session at once.
	if got := bob.statuses("/auth/session"); len(got) != 1 || got[0] != 200 {
		t.Errorf("/auth/session answers %d on the first page after the login, want 200 once", got)
	}
	for _, path := range []string{"/", "/auth/session"} {
		if !bob.sent(path, sessionCookie) {
			t.Errorf("the first request of %s after the login does not bring the session's cookie", path)
		}
	}
	bob.publish("By Bob")
	bob.publish("By Bob, to stay")

	carol := s.person(t)
	carol.open(blogURL + "/")
	carol.until(signedOut + " && " + article("By Bob"))
	carol.signIn("carol")
	carol.until(article("By Bob"))
	if carol.holds(`!document.querySelector("#write").hidden`) || carol.holds(`[...document.querySelectorAll(".delete")].some((b) => !b.hidden)`) {
		t.Error("a reader sees what only authors and editors can use")
	}
	eval[chromedp.Void](carol, article("By Bob")+`.querySelector("details").open = true`)
	eval[chromedp.Void](carol, article("By Bob")+`.id = "first"`)
	carol.fill("#first .comment input", "Well said")
	carol.click("#first .comment button")
	carol.until(`document.querySelector("#first .comments").textContent === "Carol: Well said"`)
	const write = `fetch("/posts", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({title: "By Carol", text: "No"})}).then((a) => a.status)`
	if got := eval[int](carol, write); got != 403 {
		t.Errorf("a reader's POST /posts with the cookie answers %d, want 403", got)
	}
	if got := eval[int](carol, `fetch("/posts/`+eval[string](carol, `fetch("/posts").then((a) => a.json()).then((all) => all.find((p) => p.title === "By Bob").id)`)+`", {method: "DELETE"}).then((a) => a.status)`); got != 403 {
		t.Errorf("a reader's DELETE of a post answers %d, want 403", got)
	}

	alice := s.person(t)
	alice.open(blogURL + "/")
	alice.signIn("alice")
	alice.until(article("By Bob"))
	eval[chromedp.Void](alice, article("By Bob")+`.id = "first"`)
	alice.click("#first .delete")
	alice.until(article("By Bob, to stay") + ` && !` + article("By Bob"))
	for _, b := range []*tab{bob, carol, alice} {
		b.quiet()
	}
}

// testSecrets: nothing that a script could steal, in a browser that is signed in.
func testSecrets(t *testing.T, s *stage) {
	bob := s.person(t)
	bob.open(blogURL + "/")
	bob.signIn("bob")
	bob.publish("Nothing to steal")
	for _, what := range []string{"document.cookie", "JSON.stringify({...localStorage}).slice(1, -1)", "JSON.stringify({...sessionStorage}).slice(1, -1)", "location.search + location.hash"} {
		if got := eval[string](bob, what); got != "" {
			t.Errorf("%s = %q, want nothing", what, got)
		}
	}
	if got := eval[int](bob, `indexedDB.databases().then((all) => all.length)`); got != 0 {
		t.Errorf("there are %d databases, want none", got)
	}
	all := bob.cookies()
	c := all[sessionCookie]
	if c == nil || len(all) != 1 {
		t.Fatalf("the browser has the cookies %v, want the session's alone", all)
	}
	if !c.Secure || !c.HTTPOnly || c.SameSite != network.CookieSameSiteStrict || c.Path != "/" || c.Domain != "blog.example" || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("the session's cookie is %+v", *c)
	}

	// The provider's tokens are there, and nowhere the browser knows of.
	ring, err := secret.NewRing(s.secret)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(session.Config{Store: s.stores.Sessions(), Revocations: s.stores.Revocations(), Users: s.stores.Users(), Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	id, ok := session.ParseID(eval[string](bob, `fetch("/auth/session").then((a) => a.json()).then((s) => s.id)`))
	if !ok {
		t.Fatal("/auth/session names no session")
	}
	plain, _, err := sessions.LoadTokens(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Access, ID string }
	if err := json.Unmarshal(plain, &kept, json.MatchCaseInsensitiveNames(true)); err != nil || kept.Access == "" || kept.ID == "" {
		t.Fatalf("the session keeps no access token and ID token: %v", err)
	}
	seen := eval[string](bob, `fetch("/auth/session").then((a) => a.text())`) + eval[string](bob, `fetch("/auth/sessions").then((a) => a.text())`) + eval[string](bob, "document.documentElement.outerHTML")
	bob.mu.Lock()
	urls := strings.Join(bob.asked, "\n")
	bob.mu.Unlock()
	if !strings.Contains(urls, blogURL+"/auth/callback/main?") {
		t.Error("the requests of the login were not seen")
	}
	for name, token := range map[string]string{"access token": kept.Access, "ID token": kept.ID, "cookie": c.Value} {
		for where, text := range map[string]string{"a page or an answer": seen, "a URL": urls, "the log": s.log.String()} {
			if strings.Contains(text, token) {
				t.Errorf("the %s is in %s", name, where)
			}
		}
	}
	// The code, which is used up, is not in the history either.
	history, err := chromedp.Run(bob.ctx, chromedp.NavigationEntries())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range history.Entries {
		if strings.HasPrefix(e.URL, blogURL) && e.URL != blogURL+"/" {
			t.Errorf("the history has %s", e.URL)
		}
	}
	bob.quiet()
}

// testSignOut: after it nothing is left, not by the back button, and not with
// the cookie that was.
func testSignOut(t *testing.T, s *stage) {
	dave := s.person(t)
	dave.open(blogURL + "/")
	dave.signIn("bob")
	dave.publish("Before signing out")
	dave.fill("#write [name=title]", "Not yet published")
	eval[chromedp.Void](dave, `addEventListener("pageshow", (e) => { if (e.persisted) console.log("kept:" + document.body.innerText + document.querySelector("#write [name=title]").value) })`)
	old := dave.session()
	dave.click("#sign-out")
	dave.until(`location.origin.startsWith("https://id.test:") && document.querySelector("button[name=logout]") !== null`)
	dave.click("button[name=logout]")
	dave.until(`location.pathname === "/auth/logout" && document.querySelector("h1")?.textContent === "You are signed out"`)
	if got := dave.session(); got != "" {
		t.Errorf("the cookie is still there after signing out: %q", got)
	}

	history, err := chromedp.Run(dave.ctx, chromedp.NavigationEntries())
	if err != nil {
		t.Fatal(err)
	}
	back := int64(-1)
	for _, e := range history.Entries {
		if e.URL == blogURL+"/" {
			back = e.ID
		}
	}
	if back < 0 {
		t.Fatalf("the front is not in the history: %+v", history.Entries)
	}
	dave.do(chromedp.NavigateToHistoryEntry(back))
	dave.until(signedOut)
	// A page that the browser had kept is shown as it was, for a moment.
	for _, said := range dave.heard("kept:") {
		t.Logf("the back button showed a page that was kept: %q", said)
		if strings.Contains(said, "Bob") || strings.Contains(said, "Sign out") || strings.Contains(said, "Not yet published") {
			t.Errorf("the page that was kept shows %q", said)
		}
	}
	if dave.holds(`document.body.innerText.includes("Sign out") || !document.querySelector("#write").hidden`) {
		t.Error("the back button shows what only somebody signed in sees")
	}
	dave.do(chromedp.Reload())
	dave.until(signedOut + " && " + article("Before signing out"))

	_, err = chromedp.Call(dave.ctx, network.SetCookie, network.SetCookieParams{
		Name: sessionCookie, Value: old, URL: blogURL + "/", Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict,
	})
	if err != nil {
		t.Fatal(err)
	}
	if dave.session() != old {
		t.Fatal("the old cookie is not back")
	}
	dave.forget()
	dave.do(chromedp.Reload())
	dave.until(signedOut)
	if got := dave.status(blogURL + "/auth/session"); got != 401 || dave.session() != "" {
		t.Errorf("with the old cookie /auth/session answers %d, and the cookie is %q, want 401 and none", got, dave.session())
	}
	dave.quiet()

	// Signing out where the page was left behind, in another tab.
	dave.signIn("bob")
	second := dave.another()
	second.open(blogURL + "/")
	second.until(signedIn("Bob"))
	second.click("#sign-out")
	second.until(`location.origin !== "` + blogURL + `"`)
	dave.fill("#write [name=title]", "Too late")
	dave.fill("#write [name=text]", "x")
	dave.click("#write button")
	dave.until(signedOut + ` && document.querySelector("#notice").textContent === "Please sign in again."`)
}

// testManyTabs: a browser that starts again with twenty tabs, each of which
// asks to sign in.
func testManyTabs(t *testing.T, s *stage) {
	const tabs = 20
	first := openTab(t, s.start(t)) // much for one browser with all else
	all := []*tab{first}
	for len(all) < tabs {
		all = append(all, first.another())
	}
	each := func(f func(*tab)) {
		var wait sync.WaitGroup
		for _, b := range all {
			wait.Go(func() { f(b) })
		}
		wait.Wait()
	}
	attempts := func() int {
		n := 0
		for name := range first.cookies() {
			if strings.HasPrefix(name, "__Host-login-") {
				n++
			}
		}
		return n
	}
	// As long a way back as there can be: the cookies are as large as ever.
	start := blogURL + "/auth/login?return_to=" + url.QueryEscape("/?"+strings.Repeat("x", 500))
	const again = `document.querySelector("h1")?.textContent === "Please sign in again"`
	report := func(what string, logins int) {
		t.Helper()
		in, out, begun := 0, 0, 0
		for i, b := range all {
			b.until(signedIn("Bob") + " || " + signedOut + " || " + again)
			switch {
			case b.holds(again):
				begun++
			case b.holds(signedOut):
				out++
			default:
				in++
			}
			b.mu.Lock()
			for _, a := range b.answered {
				if strings.HasPrefix(a.url, blogURL) && a.kind == network.ResourceTypeDocument && a.status >= 400 {
					t.Errorf("%s: tab %d was answered %d at %s", what, i, a.status, a.url)
				}
			}
			b.mu.Unlock()
		}
		t.Logf("%s: %d tabs end signed in, %d signed out, %d with the offer to sign in again; %d codes were exchanged", what, in, out, begun, logins)
		if logins < 1 || first.session() == "" {
			t.Errorf("%s: nobody is signed in", what)
		}
	}

	// Nobody has signed in at the provider yet: twenty forms.
	before := s.log.count("login")
	each(func(b *tab) { _, _ = chromedp.Run(b.ctx, chromedp.NavigateResponse(start)) })
	for _, b := range all {
		b.until(atForm)
	}
	if got := attempts(); got != 5 {
		t.Errorf("twenty tabs have left %d attempts, want 5", got)
	}
	for i, b := range all {
		if i == 0 {
			b.atProvider("bob")
		} else { // by script, which is quicker
			eval[chromedp.Void](b, `document.querySelector("input[name=login]").value = "bob"`)
			eval[chromedp.Void](b, `document.querySelector("input[name=password]").value = "any"`)
			eval[chromedp.Void](b, `document.querySelector("button[type=submit]").click()`)
		}
		b.until(signedIn("Bob") + " || " + again)
	}
	logins := s.log.count("login") - before
	report("forms", logins)
	if logins != 5 {
		t.Errorf("%d codes were exchanged, want those of the 5 attempts that were kept", logins)
	}

	// The provider knows the person: twenty answers at once.
	if _, err := chromedp.Call(first.ctx, network.DeleteCookies, network.DeleteCookiesParams{Name: sessionCookie, URL: blogURL + "/"}); err != nil {
		t.Fatal(err)
	}
	before = s.log.count("login")
	each(func(b *tab) {
		b.forget()
		_, _ = chromedp.Run(b.ctx, chromedp.NavigateResponse(start))
	})
	report("at once", s.log.count("login")-before)
	if got := attempts(); got > 5 {
		t.Errorf("%d attempts are left, want at most 5", got)
	}
	for _, b := range all[:3] {
		b.open(blogURL + "/")
		b.until(signedIn("Bob"))
	}

	largest, cookie := 0, 0
	for _, b := range all {
		b.mu.Lock()
		for _, h := range b.headers {
			size := 0
			for name, value := range h {
				size += len(name) + len(value) + len(": \r\n")
			}
			largest, cookie = max(largest, size), max(cookie, len(h["cookie"]))
		}
		b.mu.Unlock()
		b.quiet()
	}
	t.Logf("the largest request header has %d bytes, the largest Cookie %d", largest, cookie)
	if largest == 0 || largest >= 8<<10 {
		t.Errorf("the largest request header has %d bytes, want less than 8 KiB", largest)
	}
}

// testWindows: a session is the browser's, not the page's.
func testWindows(t *testing.T, s *stage) {
	bob := s.person(t)
	bob.open(blogURL + "/")
	bob.signIn("bob")
	before := bob.session()
	bob.do(chromedp.Reload())
	bob.until(signedIn("Bob"))
	second := bob.another()
	second.open(blogURL + "/")
	second.until(signedIn("Bob"))

	second.open(blogURL + "/auth/login")
	second.until(signedIn("Bob"))
	if got := bob.session(); got == "" || got == before {
		t.Error("a second login has not replaced the session")
	}
	bob.publish("From the first window")
	// The one before has ended, wherever it may still be.
	req, err := http.NewRequest(http.MethodGet, blogURL+"/auth/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]int{before: 401, bob.session(): 200} {
		req.Header.Set("Cookie", sessionCookie+"="+value)
		res, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("/auth/session answers %d, want %d", res.StatusCode, want)
		}
	}
	bob.quiet()
	second.quiet()
}

// testNoScript: without JavaScript the front says so, and the login works.
func testNoScript(t *testing.T, s *stage) {
	b := s.person(t)
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	b.open(blogURL + "/")
	b.until(`document.querySelector("noscript").checkVisibility() && document.body.innerText.includes("JavaScript")`)
	b.open(blogURL + "/auth/login")
	b.atProvider("carol")
	b.until(atFront)
	if b.session() == "" {
		t.Error("the login without scripts has made no session")
	}
	b.quiet()
}

// sent tells whether a request to a path of the blog went out with a cookie.
// What went out may be told later than what came back.
func (b *tab) sent(path, cookie string) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		b.mu.Lock()
		found := slices.ContainsFunc(b.headers, func(h map[string]string) bool {
			return h[":path"] == path && strings.Contains(h["cookie"], cookie+"=")
		})
		b.mu.Unlock()
		if found {
			return true
		}
	}
	return false
}

// heard are the lines of the console that begin so.
func (b *tab) heard(prefix string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for _, line := range b.said {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

// answers waits for an answer at a path of the blog and returns the statuses.
func (b *tab) answers(path string) []int64 {
	for end := time.Now().Add(waitFor); len(b.statuses(path)) == 0 && time.Now().Before(end); {
		time.Sleep(30 * time.Millisecond)
	}
	return b.statuses(path)
}
