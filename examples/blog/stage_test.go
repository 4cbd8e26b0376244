package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/internal/testenv/browser"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

const (
	blogURL    = "https://blog.example"
	evilURL    = "https://evil.invalid"       // another site
	siblingURL = "https://pages.blog.example" // another origin of the same site

	// waitFor bounds each wait for something to show, on a busy machine.
	waitFor = time.Minute
)

// A stage is the blog, a provider that somebody else wrote, and an attacker,
// on sites of their own, and a browser that finds them there and verifies
// their certificates. At the provider bob is an author, alice one and an
// editor, everybody else a reader.
type stage struct {
	start   func(*testing.T) context.Context // of a browser, for five minutes
	browser context.Context                  // one for all
	op      *testenv.Service
	client  *http.Client // another browser, of the attacker
	stores  *sqlite.Store
	secret  secret.Value
	log     *lines
	hostile map[string]string // path -> page of the attacker
}

func newStage(t *testing.T) *stage {
	t.Helper()
	ca := testenv.NewCA(t)
	testenv.Names(t, "id.test")
	s := &stage{
		secret: secret.Random(32), log: &lines{},
		hostile: map[string]string{},
	}
	s.op = testenv.OIDCProvider(t, testenv.OIDCProviderConfig{
		CA: ca, Host: "id.test",
		RedirectURIs: []string{blogURL + "/auth/callback/main"}, PostLogoutURIs: []string{blogURL + "/auth/logout"},
	})

	dir := t.TempDir()
	cert, key := ca.Files(t, "blog.example")
	settings := fmt.Sprintf("public_url: %s\nlisten: 127.0.0.1:0\ntls: {cert: %q, key: %q}\nsecret_file: server.secret\nstore: sqlite:keys.db\nenvironment: test\n", blogURL, cert, key) +
		fmt.Sprintf("providers:\n  main: {issuer: %q, client_id: web-app, client_secret_file: client.secret, ca: %q, scopes: [openid, profile, email, groups]}\n", s.op.Issuer, ca.File) +
		"schemes:\n  service: {provider: main}\n  login: {provider: main, scopes_claim: groups, scopes_map: {staff: [posts:write], admin: [posts:edit]}}\n"
	for name, text := range map[string]string{"server.yaml": settings, "server.secret": s.secret.Reveal() + "\n", "client.secret": "web-app-secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var blogAddr string
	s.stores = serveBlog(t, dir, filepath.Join(dir, "server.yaml"), func(c *config.Config) {
		c.Logger = slog.New(slog.NewTextHandler(s.log, nil))
		c.Docs = true
		listening := c.Listening
		c.Listening = func(a net.Addr) { blogAddr = a.String(); listening(a) }
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the blog logged:\n%s", s.log)
		}
	})

	evil := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><link rel=icon href=data:,><h1>Evil</h1>" + s.hostile[r.URL.Path]))
	}))
	evil.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "evil.invalid", "pages.blog.example")}}
	evil.Config.ErrorLog = log.New(t.Output(), "", 0)
	evil.StartTLS()
	t.Cleanup(evil.Close)
	evilAddr := evil.Listener.Addr().String()

	tr := ca.Transport()
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, blogAddr)
	}
	s.client = &http.Client{Transport: tr, Timeout: waitFor, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

	s.start = func(t *testing.T) context.Context {
		return browser.Chromium(t, map[string]string{
			"blog.example": blogAddr, "id.test": "127.0.0.1", "evil.invalid": evilAddr, "pages.blog.example": evilAddr,
		}, ca.File)
	}
	s.browser = s.start(t)
	return s
}

// lines is what the blog logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count is how many lines there are of an event of the audit log.
func (l *lines) count(event string) int {
	return strings.Count(l.String(), fmt.Sprintf(" msg=%s ", event)) + strings.Count(l.String(), fmt.Sprintf(" msg=%q ", event))
}

// A tab is one page of a person's browser, and what went over the network
// for it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	asked    []string // URLs, in order
	answered []answer
	headers  []map[string]string // of requests to the blog, as they went out
	said     []string            // by scripts, on the console
	console  []string            // what went wrong on pages, but for answers that are no 200
	policy   []string            // directives of a content policy that were broken
}

type answer struct {
	url    string
	status int64
	kind   network.ResourceType
}

// person returns a tab of somebody who has a browser of their own.
func (s *stage) person(t *testing.T) *tab {
	t.Helper()
	return openTab(t, s.browser, chromedp.WithNewBrowserContext())
}

// another is a further tab of the same person, in a window of its own.
func (b *tab) another() *tab {
	b.t.Helper()
	return openTab(b.t, b.ctx)
}

func openTab(t *testing.T, parent context.Context, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, stop := chromedp.NewContext(parent, append(opts, chromedp.WithListener(b.hear))...)
	t.Cleanup(stop)
	b.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("a tab does not open: %v", err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear notes what happens in the tab.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
		if e.RedirectResponse != nil {
			b.answered = append(b.answered, answer{e.RedirectResponse.URL, e.RedirectResponse.Status, e.Type})
		}
	case *network.EventResponseReceived:
		b.answered = append(b.answered, answer{e.Response.URL, e.Response.Status, e.Type})
	case *network.EventRequestWillBeSentExtraInfo:
		h := map[string]string{}
		for name, value := range e.Headers {
			h[strings.ToLower(name)] = fmt.Sprint(value)
		}
		if h[":authority"] == "blog.example" || h["host"] == "blog.example" {
			b.headers = append(b.headers, h)
		}
	case *runtime.EventConsoleAPICalled:
		var line []string
		for _, arg := range e.Args {
			line = append(line, strings.Trim(string(arg.Value), `"`))
		}
		b.said = append(b.said, strings.Join(line, " "))
	case *runtime.EventExceptionThrown:
		b.console = append(b.console, e.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			b.console = append(b.console, e.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			b.policy = append(b.policy, d.ViolatedDirective+" "+d.BlockedURL)
		}
	}
}

// quiet fails the test where a page had an error, or broke a content policy.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.console) > 0 {
		b.t.Errorf("the console shows %q", b.console)
	}
	if len(b.policy) > 0 {
		b.t.Errorf("the pages' policy was broken: %q", b.policy)
	}
}

// status is that of the last answer at a URL, 0 for none.
func (b *tab) status(url string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.answered) - 1; i >= 0; i-- {
		if b.answered[i].url == url {
			return b.answered[i].status
		}
	}
	return 0
}

// statuses are those of all answers at a path of the blog, in order.
func (b *tab) statuses(path string) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []int64
	for _, a := range b.answered {
		if at, _, _ := strings.Cut(a.url, "?"); at == blogURL+path {
			all = append(all, a.status)
		}
	}
	return all
}

// forget forgets what went over the network so far.
func (b *tab) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked, b.answered, b.headers = nil, nil, nil
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

func (b *tab) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// eval returns the value of a JavaScript expression, awaited.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, waitFor)
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }))
	if err != nil {
		b.t.Fatalf("%s: %v\nthe tab shows %s", script, err, b.show())
	}
	return v
}

// holds tells whether a JavaScript condition holds; not while the page changes.
func (b *tab) holds(condition string) bool {
	ctx, stop := context.WithTimeout(b.ctx, waitFor)
	defer stop()
	ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
	return err == nil && ok
}

// until waits for a JavaScript condition, on whatever page.
func (b *tab) until(condition string) {
	b.t.Helper()
	for end := time.Now().Add(waitFor); !b.holds(condition); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) || b.ctx.Err() != nil {
			b.t.Fatalf("%s does not come to hold\nthe tab shows %s", condition, b.show())
		}
	}
}

// show is where the tab is and what it says, for messages.
func (b *tab) show() string {
	ctx, stop := context.WithTimeout(b.ctx, 5*time.Second)
	defer stop()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 1000)`))
	if err != nil {
		return err.Error()
	}
	return text
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// signedIn is a condition: the blog's front shows who is there.
func signedIn(name string) string {
	return fmt.Sprintf(`location.origin === %q && document.querySelector("#who")?.textContent === %q`, blogURL, name)
}

const (
	atFront   = `location.origin === "` + blogURL + `" && document.querySelector("#sign-out") !== null`
	signedOut = atFront + ` && !document.querySelector("#sign-in").hidden && document.querySelector("#who").textContent === ""`
	atForm    = `location.origin.startsWith("https://id.test:") && document.querySelector("input[name=login]") !== null`
	atConsent = `location.origin.startsWith("https://id.test:") && document.querySelector("input[name=prompt][value=consent]") !== null`
)

// signIn goes the whole way from the blog's front, where the tab is, through
// the provider's forms, and back.
func (b *tab) signIn(name string) {
	b.t.Helper()
	b.click("#sign-in")
	b.atProvider(name)
	b.until(signedIn(strings.ToUpper(name[:1]) + name[1:]))
}

// atProvider fills in the provider's forms. It asks once whether the person
// agrees.
func (b *tab) atProvider(name string) {
	b.t.Helper()
	b.until(atForm)
	b.fill("input[name=login]", name)
	b.fill("input[name=password]", "any")
	b.click("button[type=submit]")
	b.until(atConsent + ` || location.origin === "` + blogURL + `"`)
	if b.holds(atConsent) {
		b.click("button[type=submit]")
	}
}

// publish writes a post by the front's form and waits until it is shown.
func (b *tab) publish(title string) {
	b.t.Helper()
	b.fill("#write [name=title]", title)
	b.fill("#write [name=text]", "What there is to say.")
	b.click("#write button")
	b.until(article(title))
}

// article is the post of that title on the page.
func article(title string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("article")].find((a) => a.querySelector("h2").textContent === %q)`, title)
}

// cookies are those that the browser keeps for the blog.
func (b *tab) cookies() map[string]*network.Cookie {
	b.t.Helper()
	res, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{blogURL + "/"}})
	if err != nil {
		b.t.Fatal(err)
	}
	all := map[string]*network.Cookie{}
	for _, c := range res.Cookies {
		all[c.Name] = c
	}
	return all
}

// session is the value of the session's cookie, "" for none.
func (b *tab) session() string {
	b.t.Helper()
	if c := b.cookies()[sessionCookie]; c != nil {
		return c.Value
	}
	return ""
}

const sessionCookie = "__Host-Http-session"
