package account_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/internal/testenv/browser"
	"github.com/gatewright/gatewright/runtime/account"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// waitFor bounds each wait for something to show, on a busy machine.
const waitFor = 30 * time.Second

// A stage is a site and a browser that finds it.
type stage struct {
	*site
	ctx  context.Context
	addr string
	ca   string
}

// TestBrowser is the page as people meet it, in Chromium without JavaScript.
func TestBrowser(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *stage)
	}{
		{"a key's life", testLife},
		{"a page loaded again", testAgain},
		{"by keyboard", testKeyboard},
		{"as it is read out", testReadOut},
		{"small and large", testSizes},
		{"pictures", testPictures},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#1f4fbf"/><path d="M8 24V12a8 8 0 0 1 16 0v12h-4V12a4 4 0 0 0-8 0v12z" fill="#fff"/></svg>`

func newStage(t *testing.T) *stage {
	t.Helper()
	ca := testenv.NewCA(t)
	file := filepath.Join(t.TempDir(), "logo.svg")
	if err := os.WriteFile(file, []byte(logo), 0o600); err != nil {
		t.Fatal(err)
	}
	look, err := page.NewLook("The Daily Gate", file, "")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{site: newSite(t, option{
		config: func(c *account.Config) { c.Look = look },
		keys:   func(c *apikey.Config) { c.Limits = limit.Limits{AddressBurst: 10000, KeyBurst: 10000} }, // the clock goes back and forth
	}), ca: ca.File}
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	at := func(name, title string) provider.Config {
		return provider.Config{Name: name, Title: title, Issuer: "https://" + name + ".example", ClientID: "web-app", ClientSecret: secret.New("web-app-secret")}
	}
	logins, err := login.New(login.Config{
		PublicURL: origin, Providers: []provider.Config{at("main", "Example ID"), at("work", "Company")},
		Schemes:  []login.Scheme{{Name: "session", Places: []gate.Place{{In: gate.InCookie, Name: session.DefaultCookie}}}},
		Sessions: s.sessions, Users: s.stores.Users(), Marks: s.stores.Marks(), Locks: s.stores.Locks(), Ring: ring, Look: look,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.handler = logins.Handler(s.account.Handler(s.api))
	server := httptest.NewUnstartedServer(s.handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "blog.example")}}
	server.Config.ErrorLog = log.New(t.Output(), "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	s.addr = server.Listener.Addr().String()
	s.ctx = browser.Chromium(t, map[string]string{"blog.example": s.addr}, ca.File)
	return s
}

// A tab is a browser of its own, and what went over the network for it.
type tab struct {
	*person
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	asked  []string
	faults []string // what a content policy kept out, and errors on the console
}

// open signs somebody in in a browser of their own, and opens their page.
func (s *stage) open(t *testing.T, subject string, scopes ...string) *tab {
	t.Helper()
	b := &tab{t: t, person: s.person(t, subject, scopes...)}
	ctx, stop := chromedp.NewContext(s.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	t.Cleanup(stop)
	b.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("a tab does not open: %v", err)
	}
	do(b, network.Enable, network.EnableParams{})
	do(b, audits.Enable, cdp.Empty{})
	do(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	yes := true
	do(b, network.SetCookie, network.SetCookieParams{
		Name: b.cookie.Name, Value: b.cookie.Value, URL: origin + "/", Path: "/", Secure: &yes, HTTPOnly: &yes, SameSite: network.CookieSameSiteStrict,
	})
	b.size(1280, 900)
	b.do(chromedp.Navigate(origin + accounts))
	return b
}

// do sends one command of the protocol.
func do[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, waitFor)
	defer stop()
	r, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			b.faults = append(b.faults, e.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			b.faults = append(b.faults, d.ViolatedDirective+" "+d.BlockedURL)
		}
	}
}

// quiet fails the test where a page broke its policy, or asked for anything
// but pages.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 {
		b.t.Errorf("the pages have faults: %q", b.faults)
	}
	for _, url := range b.asked {
		path, _, _ := strings.Cut(url, "?")
		if path != origin+accounts && !strings.HasPrefix(path, origin+"/auth/log") && !strings.HasPrefix(url, "data:image/svg+xml;") {
			b.t.Errorf("the page asks for %s", url)
		}
	}
}

// do runs actions that take no longer than waitFor.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, waitFor)
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v\nthe tab shows %s", err, b.show())
	}
}

// eval returns the value of a JavaScript expression; the page's own scripts, if
// it had any, would not run.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, waitFor)
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v\nthe tab shows %s", script, err, b.show())
	}
	return v
}

// until waits for a JavaScript condition, on whatever page.
func (b *tab) until(condition string) {
	b.t.Helper()
	for end := time.Now().Add(waitFor); ; time.Sleep(30 * time.Millisecond) {
		ctx, stop := context.WithTimeout(b.ctx, waitFor)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("document.readyState === 'complete' && Boolean("+condition+")"))
		stop()
		if err == nil && ok {
			return
		}
		if time.Now().After(end) || b.ctx.Err() != nil {
			b.t.Fatalf("%s does not come to hold\nthe tab shows %s", condition, b.show())
		}
	}
}

// show is where the tab is and what it says, for messages.
func (b *tab) show() string {
	ctx, stop := context.WithTimeout(b.ctx, 5*time.Second)
	defer stop()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 1500)`))
	if err != nil {
		return err.Error()
	}
	return text
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// fill types into a field that may have something in it.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible), chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)), chromedp.KeyEvent(text))
}

// heading waits for a page.
func (b *tab) heading(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector("h1")?.textContent === %q`, text))
}

// newKey is the key that the page shows.
func (b *tab) newKey() string {
	b.t.Helper()
	b.heading("Your new key")
	key := eval[string](b, `document.querySelector("#key").value`)
	if !keyText.MatchString(key) {
		b.t.Fatalf("the key is %q", key)
	}
	return key
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	do(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// row is the part of the page that is of the key with a name.
func row(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("tbody")].find((b) => b.querySelector("bdi")?.textContent === %q)`, name)
}

// mark gives the element of an expression an id, to click it.
func (b *tab) mark(expression, id string) string {
	b.t.Helper()
	eval[chromedp.Void](b, fmt.Sprintf(`document.querySelector("#%s")?.removeAttribute("id"); void (%s.id = %q)`, id, expression, id))
	return "#" + id
}

// wants fails the test unless the API answers a key so.
func (s *stage) wants(t *testing.T, what, key string, status int) {
	t.Helper()
	if got := s.call("POST", "/posts", key); got != status {
		t.Errorf("%s: POST /posts = %d, want %d", what, got, status)
	}
}

func testLife(t *testing.T, s *stage) {
	b := s.open(t, "anna", "posts:read", "posts:write")
	b.heading("Your account")
	b.fill("#label", "backup script")
	b.click(`input[value="posts:write"]`)
	b.do(chromedp.SetValue(chromedp.CSS("#expires"), "30d"))
	b.click(`.form button`)
	key := b.newKey()
	s.wants(t, "the new key", key, 201)
	curl(t, s, eval[[]string](b, `[...document.querySelectorAll("code.line")].map((c) => c.textContent)`), key, b.rec.ID)
	b.click(".card a.way")
	b.heading("Your account")
	if text := eval[string](b, `document.body.innerHTML`); strings.Contains(text, key) {
		t.Error("the account page shows the key")
	}

	b.click(b.mark(row("backup script")+`.querySelector("summary")`, "open"))
	b.fill(b.mark(row("backup script")+`.querySelector("input[type=text]")`, "typed"), "nightly backup")
	b.click(b.mark(row("backup script")+`.querySelector("form button")`, "rename"))
	b.until(row("nightly backup") + ` && document.querySelector("[role=status]").textContent.includes("new name")`)

	b.click(b.mark(row("nightly backup")+`.querySelector("summary")`, "open"))
	b.do(chromedp.SetValue(chromedp.CSS(b.mark(row("nightly backup")+`.querySelector("select")`, "chosen")), "1h"))
	b.click(b.mark(row("nightly backup")+`.querySelectorAll("form")[1].querySelector("button")`, "rotate"))
	fresh := b.newKey()
	if fresh == key {
		t.Error("the key is the same")
	}
	s.wants(t, "the old key, within the overlap", key, 201)
	s.wants(t, "the key that takes its place", fresh, 201)
	s.pass(time.Hour + time.Minute)
	s.wants(t, "the old key, after the overlap", key, 401)
	s.wants(t, "the key that took its place", fresh, 201)
	s.pass(-time.Hour - time.Minute)

	b.click(".card a.way")
	b.heading("Your account")
	active := fmt.Sprintf(`[...document.querySelectorAll("tbody")].find((b) => b.textContent.includes(%q))`, fresh[:len("gw_live_")+13])
	b.click(b.mark(active+`.querySelector("summary")`, "open"))
	b.click(b.mark(active+`.querySelector("details details summary")`, "sure"))
	b.click(b.mark(active+`.querySelector("button.bad")`, "revoke"))
	b.until(`document.querySelector("[role=status]")?.textContent.includes("revoked")`)
	s.wants(t, "the revoked key", fresh, 401)
	b.quiet()
}

// curl runs what the page says, with the key in the environment and without.
func curl(t *testing.T, s *stage, lines []string, key, id string) {
	t.Helper()
	if len(lines) != 2 {
		t.Fatalf("the page has %d lines to run, want 2: %q", len(lines), lines)
	}
	for _, program := range []string{"curl", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			testenv.Skip(t, "needs the program "+program)
		}
	}
	// As typed in: the key is pasted, and read. Only the way to the server is
	// another.
	run := func(script, pasted string) string {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", fmt.Sprintf("curl() { command curl -sS --cacert %q --connect-to blog.example:443:%s \"$@\"; }\n%s", s.ca, s.addr, script))
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
		cmd.Stdin = strings.NewReader(pasted)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	if got := run(lines[0]+"\n"+lines[1], key+"\n"); got != id {
		t.Errorf("the lines of the page answer %q, want the user's id %s", got, id)
	}
	if got := run(lines[1], ""); !strings.Contains(got, `"status":401`) {
		t.Errorf("without the key the line answers %q, want 401", got)
	}
}

// testAgain: a page that shows a new key, loaded again, makes no other.
func testAgain(t *testing.T, s *stage) {
	b := s.open(t, "bert", "posts:write")
	b.fill("#label", "once")
	b.click(`.form button`)
	b.newKey()
	b.do(chromedp.Reload())
	b.until(`document.querySelector("[role=alert]")?.textContent.includes("sent before")`)
	if n := eval[int](b, `document.querySelectorAll("tbody.item .acts").length`); n != 1 {
		t.Errorf("after a reload there are %d keys, want 1", n)
	}
	b.do(chromedp.NavigateBack())
	b.do(chromedp.Navigate(origin + accounts))
	b.heading("Your account")
	if got := b.list(); len(got) != 1 {
		t.Errorf("there are %d keys, want 1", len(got))
	}
	b.quiet()
}

// tabTo presses Tab until a selector has the focus, which has to be seen on all
// the way.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 40 {
		b.do(chromedp.KeyEvent(kb.Tab))
		seen := eval[string](b, `(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + " " + s.outlineWidth; })()`)
		if seen != "solid 3px" {
			b.t.Errorf("the focus on %s is not seen: %s", eval[string](b, `document.activeElement.outerHTML.slice(0, 200)`), seen)
		}
		if eval[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			return
		}
	}
	b.t.Fatalf("Tab does not lead to %s", selector)
}

func testKeyboard(t *testing.T, s *stage) {
	b := s.open(t, "carla", "posts:read", "posts:write")
	b.make("first") // so that the form is closed
	b.do(chromedp.Navigate(origin + accounts))
	b.do(chromedp.KeyEvent(kb.Tab))
	if got := eval[string](b, `document.activeElement.className + getComputedStyle(document.activeElement).top`); got != "skip0px" {
		t.Errorf("the first stop is %q, want the link to the content, to be seen", got)
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`location.hash === "#content"`)
	b.tabTo(".fold > summary")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector(".fold").open`)
	b.tabTo("#label")
	b.do(chromedp.KeyEvent("typed"))
	b.tabTo("#expires")
	b.tabTo(`input[value="posts:write"]`)
	b.do(chromedp.KeyEvent(" "))
	b.tabTo(`input[value="live"]`)
	b.tabTo(".form button")
	b.do(chromedp.KeyEvent(kb.Enter))
	key := b.newKey()
	s.wants(t, "the key", key, 201)
	b.tabTo("#key")
	b.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	if got := eval[string](b, `getSelection().toString() || document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)`); got != key {
		t.Errorf("the key as a whole is selected as %q", got)
	}
	b.tabTo(".card a.way")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.heading("Your account")
	b.quiet()
}

// full has three keys and two that do not work, two sessions and, where fault
// is set, something that is wrong.
func (s *stage) full(t *testing.T, subject string) *tab {
	t.Helper()
	s.person(t, subject)
	b := s.open(t, subject, "posts:read", "posts:write", "posts:edit")
	for _, label := range []string{"laptop", "backup script on the machine below the stairs", "laptop"} {
		b.make(label, "posts:read", "posts:write")
	}
	old := b.make("old phone", "posts:read")
	s.call("GET", "/me", b.make("build server", "posts:read", "posts:write", "posts:edit").Key)
	b.do2("DELETE", keysPath+"/"+old.Record.ID)
	b.do2("POST", keysPath+"/"+b.make("deploy").Record.ID+"/rotate")
	b.do(chromedp.Navigate(origin + accounts))
	return b
}

// do2 asks an endpoint as a page of the site does.
func (b *tab) do2(method, path string) {
	b.t.Helper()
	if w := b.person.do(method, path, ""); w.Code/100 != 2 {
		b.t.Fatalf("%s %s = %d %s", method, path, w.Code, w.Body)
	}
}

// unfold opens all there is to open.
func (b *tab) unfold() {
	b.t.Helper()
	eval[chromedp.Void](b, `document.querySelectorAll("details").forEach((d) => d.open = true)`)
}

// testReadOut: what a screen reader makes of the page, wide and narrow.
func testReadOut(t *testing.T, s *stage) {
	b := s.full(t, "dora")
	b.unfold()
	for _, width := range []int64{1280, 390} {
		b.size(width, 900)
		names := map[string][]string{}
		for _, n := range do(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
			if n.Ignored || n.Role == nil {
				continue
			}
			var role, name string
			_ = json.Unmarshal(n.Role.Value, &role)
			if n.Name != nil {
				_ = json.Unmarshal(n.Name.Value, &name)
			}
			names[role] = append(names[role], strings.TrimSpace(name))
		}
		for _, role := range []string{"button", "link", "textbox", "checkbox", "radio", "combobox", "DisclosureTriangle", "table", "columnheader", "rowheader", "heading", "region"} {
			if len(names[role]) == 0 {
				t.Errorf("%d pixels: nothing is a %s: %v", width, role, names)
			}
			if slices.Contains(names[role], "") {
				t.Errorf("%d pixels: a %s has no name", width, role)
			}
		}
		for _, role := range []string{"button", "DisclosureTriangle", "textbox", "combobox", "region"} {
			sorted := slices.Sorted(slices.Values(names[role]))
			if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
				t.Errorf("%d pixels: two are the %s of one name: %q", width, role, sorted)
			}
		}
		for _, want := range []string{"Revoke key “build server”", "Rename key “build server”", "Rotate key “build server”", "Create key", "Sign out", "Sign out everywhere"} {
			if !slices.Contains(names["button"], want) {
				t.Errorf("%d pixels: there is no button %q: %q", width, want, names["button"])
			}
		}
		if got := slices.Sorted(slices.Values(names["columnheader"])); !slices.Contains(got, "Last used") || !slices.Contains(got, "Scopes") {
			t.Errorf("%d pixels: columns are %q", width, got)
		}
		if len(names["row"]) < 8 || len(names["cell"]) < 20 {
			t.Errorf("%d pixels: tables have %d rows and %d cells", width, len(names["row"]), len(names["cell"]))
		}
	}
	levels := eval[[]int](b, `[...document.querySelectorAll("h1,h2,h3,h4")].map((h) => Number(h.tagName[1]))`)
	for i, level := range levels {
		if i == 0 && level != 1 || i > 0 && (level == 1 || level > levels[i-1]+1) {
			t.Errorf("headings have the levels %v", levels)
		}
	}
	b.quiet()
}

// testSizes: nothing has to be scrolled sideways, with everything open, on the
// smallest screen, in between, and at twice the size.
func testSizes(t *testing.T, s *stage) {
	b := s.full(t, "emil")
	b.unfold()
	check := func(what string) {
		t.Helper()
		for _, width := range []int64{320, 360, 390, 500, 640, 720, 737, 800, 1024, 1280} {
			b.size(width, 900)
			if got := eval[int64](b, `document.documentElement.scrollWidth`); got > width {
				wide := eval[[]string](b, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 120)).slice(0, 5)`)
				t.Errorf("%s at %d pixels is %d wide: %q", what, width, got, wide)
			}
			small := eval[[]string](b, `[...document.querySelectorAll("button, a.way, summary, select, input:not([type=hidden]), textarea")].filter((e) => { const r = (e.closest("label") ?? e).getBoundingClientRect(); return r.width < 24 || r.height < 24; }).map((e) => e.outerHTML.slice(0, 120))`)
			if len(small) > 0 {
				t.Errorf("%s at %d pixels: too small to hit: %q", what, width, small)
			}
		}
	}
	check("the page")
	eval[chromedp.Void](b, `document.documentElement.style.fontSize = "200%"`)
	check("the page in large letters")
	if got := eval[[]string](b, `[...new Set([...document.querySelectorAll("*")].map((e) => getComputedStyle(e).transitionDuration + getComputedStyle(e).animationName))]`); !slices.Equal(got, []string{"0snone"}) {
		t.Errorf("something moves: %q", got)
	}
	b.size(1280, 900)
	b.do(chromedp.Navigate(origin + accounts))
	b.heading("Your account")
	b.click(".fold > summary")
	b.fill("#label", "x")
	b.click(`.form button`)
	b.newKey()
	check("the page of a new key")
	b.do(chromedp.Navigate(origin + "/auth/login"))
	b.heading("Sign in")
	check("the page to sign in")
	b.quiet()
}

// testPictures takes pictures of the pages; they are kept with go test -artifacts.
func testPictures(t *testing.T, s *stage) {
	b := s.full(t, "frida")
	take := func(name string) {
		t.Helper()
		for _, size := range [][2]int64{{390, 844}, {1280, 900}} {
			b.size(size[0], size[1])
			for _, scheme := range []string{"light", "dark"} {
				do(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				ctx, stop := context.WithTimeout(b.ctx, waitFor)
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				stop()
				if err != nil {
					t.Fatal(err)
				}
				if len(picture) < 4096 {
					t.Errorf("the picture %s has %d bytes", name, len(picture))
				}
				file := fmt.Sprintf("%s-%dx%d-%s.png", name, size[0], size[1], scheme)
				if err := os.WriteFile(filepath.Join(t.ArtifactDir(), file), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	take("account")
	eval[chromedp.Void](b, row("build server")+`.querySelector("details").open = true`)
	eval[chromedp.Void](b, `document.querySelector(".fold").open = true`)
	take("account-open")
	b.fill("#label", "backup script")
	b.click(`input[value="posts:write"]`)
	b.click(`.form button`)
	b.newKey()
	take("new-key")
	b.do(chromedp.Navigate(origin + "/auth/login"))
	b.heading("Sign in")
	take("sign-in")
	b.do(chromedp.Navigate(origin + "/auth/login?return_to=//evil.example"))
	take("error")
	b.do(chromedp.Navigate(origin + "/auth/logout"))
	b.heading("Sign out?")
	take("sign-out")
	s.pass(20 * time.Minute)
	defer s.pass(-20 * time.Minute)
	b.do(chromedp.Navigate(origin + accounts))
	b.until(`document.body.innerText.includes("Sign in again to see")`)
	take("account-not-recent")
	b.quiet()
}
