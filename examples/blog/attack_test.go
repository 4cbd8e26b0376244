package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// testOtherSites: what a page of another site makes the browser do.
func testOtherSites(t *testing.T, s *stage) {
	bob := s.person(t)
	bob.open(blogURL + "/")
	bob.signIn("bob")
	bob.publish("Before the attack")
	before, posts := bob.session(), s.posts(t)

	form := func(action, kind, fields string) string {
		return fmt.Sprintf(`<form method=post action=%q enctype=%q>%s</form><script>document.forms[0].submit()</script>`, blogURL+action, kind, fields)
	}
	field := func(name, value string) string {
		return fmt.Sprintf(`<input name="%s" value="%s">`, html.EscapeString(name), html.EscapeString(value))
	}
	evil := bob.another()
	for _, c := range []struct {
		name, path, page string
		at               string // where it takes the browser
		status           int64
	}{
		{"a form to /posts", "/posts", form("/posts", "application/x-www-form-urlencoded", field("title", "Evil")+field("text", "x")), "/posts", 401},
		{"a text that is JSON", "/text", form("/posts", "text/plain", field(`{"title":"Evil","text":"`, `"}`)), "/posts", 401},
		{"a form to /auth/logout", "/logout", form("/auth/logout", "application/x-www-form-urlencoded", ""), "/auth/logout", 403},
		{"a form to log out everywhere", "/everywhere", form("/auth/logout", "application/x-www-form-urlencoded", field("everywhere", "1")), "/auth/logout", 403},
		{"a forged back-channel logout", "/backchannel", form("/auth/backchannel-logout/main", "application/x-www-form-urlencoded", field("logout_token", "x.y.z")), "/auth/backchannel-logout/main", 400},
	} {
		s.hostile[c.path] = c.page
		evil.forget()
		evil.open(evilURL + c.path)
		if got := evil.answers(c.at); len(got) != 1 || got[0] != c.status {
			t.Errorf("%s answers %d, want %d once", c.name, got, c.status)
		}
	}

	// Requests of scripts, and what they can read of the answers.
	s.hostile["/fetch"] = `<img src="` + blogURL + `/auth/session" onerror="document.title = 'no image'"><iframe src="` + blogURL + `/"></iframe>`
	evil.open(evilURL + "/fetch")
	for _, c := range []string{
		`fetch("` + blogURL + `/auth/session", {credentials: "include"})`,
		`fetch("` + blogURL + `/posts", {credentials: "include"})`,
		`fetch("` + blogURL + `/auth/logout", {method: "POST", credentials: "include"})`,
		`fetch("` + blogURL + `/posts", {method: "POST", credentials: "include", headers: {"Content-Type": "application/json"}, body: '{"title":"Evil","text":"x"}'})`,
		`fetch("` + blogURL + `/posts", {method: "POST", mode: "no-cors", credentials: "include", body: '{"title":"Evil","text":"x"}'})`,
		`fetch("` + blogURL + `/auth/logout", {method: "POST", mode: "no-cors", credentials: "include"})`,
	} {
		if got := eval[string](evil, c+`.then((a) => a.text()).catch(() => "")`); got != "" {
			t.Errorf("%s reads %q", c, got)
		}
	}
	evil.until(`document.title === "no image"`)
	evil.unframed()

	// A link may be followed. It shows the page to its owner and changes nothing.
	for path, condition := range map[string]string{
		"/":                                    signedIn("Bob"),
		"/auth/logout":                         `document.querySelector("h1")?.textContent === "Sign out?"`,
		"/auth/finish?attempt=0":               signedIn("Bob"),
		"/auth/login?return_to=//evil.invalid": `document.querySelector("h1")?.textContent === "This link is broken"`,
	} {
		s.hostile["/link"] = `<a id=go href="` + blogURL + path + `">go</a>`
		evil.open(evilURL + "/link")
		evil.click("#go")
		evil.until(condition)
	}

	if got := s.posts(t); got != posts {
		t.Errorf("there are other posts than before the attack:\n%s\nwant\n%s", got, posts)
	}
	if bob.session() != before {
		t.Error("the session's cookie changed")
	}
	bob.do(chromedp.Reload())
	bob.until(signedIn("Bob"))
	bob.quiet()
}

// testSibling: a page of another origin below the same domain, such as one for
// what users upload. To the browser it is the same site, and Strict cookies are
// sent with what it asks for: here the proof of origin is all there is.
func testSibling(t *testing.T, s *stage) {
	bob := s.person(t)
	bob.open(blogURL + "/")
	bob.signIn("bob")
	before, posts := bob.session(), s.posts(t)
	sibling := bob.another()
	sibling.open(siblingURL + "/")
	sibling.forget()
	for _, c := range []string{
		`fetch("` + blogURL + `/posts", {method: "POST", mode: "no-cors", credentials: "include", body: '{"title":"Evil","text":"x"}'})`,
		`fetch("` + blogURL + `/auth/logout", {method: "POST", mode: "no-cors", credentials: "include"})`,
		`fetch("` + blogURL + `/auth/session", {credentials: "include"})`,
	} {
		if got := eval[string](sibling, c+`.then((a) => a.text()).catch(() => "")`); got != "" {
			t.Errorf("%s reads %q", c, got)
		}
	}
	if got := sibling.statuses("/posts"); len(got) != 1 || got[0] != 403 {
		t.Errorf("POST /posts from the sibling answers %d, want 403", got)
	}
	if got := sibling.statuses("/auth/logout"); len(got) != 1 || got[0] != 403 {
		t.Errorf("POST /auth/logout from the sibling answers %d, want 403", got)
	}
	if !sibling.sent("/posts", sessionCookie) {
		t.Error("the cookie was not sent: the test shows nothing")
	}
	// It cannot put a cookie over ours.
	for _, name := range []string{sessionCookie, "__Host-login-0", "__Host-handoff-0"} {
		eval[chromedp.Void](sibling, `document.cookie = "`+name+`=evil; Domain=blog.example; Path=/; Secure"`)
		if c := sibling.cookies()[name]; c != nil && c.Value == "evil" {
			t.Errorf("the sibling has set the cookie %s", name)
		}
	}
	if s.posts(t) != posts || bob.session() != before {
		t.Error("the sibling has changed something")
	}
	bob.do(chromedp.Reload())
	bob.until(signedIn("Bob"))
}

// testForeignCode: the attacker begins a login in a browser of their own, signs
// in, and has the victim follow the link that it ends with.
func testForeignCode(t *testing.T, s *stage) {
	link := func() string {
		res, err := s.client.Get(blogURL + "/auth/login")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		to := s.op.Person(t).SignIn(t, res.Header.Get("Location"), "mallory")
		if res.StatusCode != http.StatusSeeOther || to.Host != "blog.example" || to.Query().Get("code") == "" {
			t.Fatalf("mallory's login: %s, then %s", res.Status, to)
		}
		return to.String()
	}
	logins := s.log.count("login")
	follow := func(b *tab, condition string) {
		t.Helper()
		s.hostile["/code"] = `<a id=go href="` + html.EscapeString(link()) + `">go</a>`
		b.open(evilURL + "/code")
		b.click("#go")
		b.until(condition)
	}
	nobody := s.person(t)
	follow(nobody, `document.querySelector("h1")?.textContent === "Please sign in again"`)
	if got := nobody.session(); got != "" {
		t.Errorf("the attacker's code has given the victim a session: %q", got)
	}
	nobody.open(blogURL + "/")
	nobody.until(signedOut)
	// Also not with a login of their own under way.
	nobody.click("#sign-in")
	nobody.until(atForm)
	follow(nobody, `document.querySelector("h1")?.textContent === "Please sign in again"`)

	bob := s.person(t)
	bob.open(blogURL + "/")
	bob.signIn("bob")
	before := bob.session()
	follow(bob, signedIn("Bob"))
	if bob.session() != before {
		t.Error("the attacker's code has changed the victim's session")
	}
	if got := s.log.count("login"); got != logins+1 {
		t.Errorf("there were %d logins, want bob's alone", got-logins)
	}
	nobody.quiet()
	bob.quiet()
}

// posts are all posts, as anybody reads them.
func (s *stage) posts(t *testing.T) string {
	t.Helper()
	res, err := s.client.Get(blogURL + "/posts?limit=100")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("GET /posts = %s, %v", res.Status, err)
	}
	return string(body)
}

// unframed fails the test unless the blog refused to be shown in a frame of
// the page.
func (b *tab) unframed() {
	b.t.Helper()
	refused := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.ContainsFunc(b.policy, func(p string) bool { return strings.HasPrefix(p, "frame-ancestors ") })
	}
	for end := time.Now().Add(waitFor); !refused(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Errorf("no frame was refused; policies broken: %q", b.policy)
			return
		}
	}
	targets, err := chromedp.Targets(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, target := range targets {
		if target.Type != "iframe" || !strings.HasPrefix(target.URL, blogURL) {
			continue
		}
		frame, stop := chromedp.NewContext(b.ctx, chromedp.WithTargetID(target.TargetID), chromedp.WithDetachOnCancel())
		at, err := chromedp.Run(frame, chromedp.Evaluate[string](`location.href`))
		stop()
		if err != nil || !strings.HasPrefix(at, "chrome-error:") {
			b.t.Errorf("the frame shows %s, %v, want the browser's own error", at, err)
		}
	}
}
