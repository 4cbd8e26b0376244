package docs_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
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
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/internal/testenv/browser"
	"github.com/gatewright/gatewright/runtime/docs"
	look "github.com/gatewright/gatewright/runtime/page"
)

// things is a document with each way to carry a key that browsers can go.
const things = `{
  "openapi": "3.1.0",
  "info": {"title": "Things", "version": "1", "description": "What there *is*."},
  "servers": [{"url": "https://elsewhere.example/v1"}],
  "paths": {
    "/header": {"get": {"operationId": "header", "tags": ["keys"], "summary": "A key in a header", "security": [{"header": []}], "responses": {"200": {"description": "ok"}},
      "x-codeSamples": [{"lang": "Shell", "label": "curl", "source": "curl <b>one</b>"}, {"lang": "Python", "label": "Python", "source": "print(1)"}]},
      "servers": [{"url": "https://elsewhere.example"}]},
    "/word": {"get": {"operationId": "word", "tags": ["keys"], "security": [{"word": ["read", "write"]}, {"header": [], "basic": []}], "responses": {"200": {"description": "ok"}},
      "x-codeSamples": [{"lang": "Shell", "label": "curl", "source": "curl two"}, {"lang": "Python", "label": "Python", "source": "print(2)"}]}},
    "/query": {"get": {"operationId": "query", "tags": ["keys"], "security": [{"query": []}], "responses": {"200": {"description": "ok"}}}},
    "/basic": {"get": {"operationId": "basic", "tags": ["keys"], "security": [{"basic": []}], "responses": {"200": {"description": "ok"}}}},
    "/person": {"post": {"operationId": "person", "tags": ["people"], "security": [{"login": []}], "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}, "example": {"a": 1}}}}, "responses": {"200": {"description": "ok"}}}},
    "/free/{p}": {"get": {"operationId": "free", "tags": ["people"], "security": [{"consent": ["x"]}, {}], "parameters": [{"name": "p", "in": "path", "required": true, "schema": {"type": "string"}}], "responses": {"200": {"description": "ok"}}}}
  },
  "components": {
    "securitySchemes": {
      "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
      "word": {"type": "http", "scheme": "ApiKey"},
      "query": {"type": "apiKey", "in": "query", "name": "api key"},
      "basic": {"type": "http", "scheme": "basic"},
      "consent": {"type": "oauth2", "flows": {"authorizationCode": {"authorizationUrl": "https://id.example/a", "tokenUrl": "https://id.example/t", "scopes": {"x": "x"}}}},
      "login": {"type": "openIdConnect", "openIdConnectUrl": "https://id.example/.well-known/openid-configuration"}
    },
    "schemas": {"Gone": {"$ref": "https://elsewhere.example/gone.json"}}
  }
}`

// A site is the page in a browser, and the API that it asks.
type site struct {
	t   *testing.T
	ctx context.Context
	url string

	mu      sync.Mutex
	asked   []*http.Request // of the API
	signed  bool            // somebody is signed in
	urls    []string        // that the browser asked for
	console []string
	broken  []string // directives of the policy
}

func open(t *testing.T, document string, l look.Look) *site {
	t.Helper()
	s := &site{t: t}
	d, err := docs.New(docs.Config{Title: "Things", Document: []byte(document), BasePath: "/v1", Login: "/auth/login", Account: "/auth/account", Look: l})
	if err != nil {
		t.Fatal(err)
	}
	h, err := d.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.URL.Path == "/auth/session" {
			if !s.signed {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, `{"user":{"name":"Alice <b>"}}`)
			return
		}
		s.asked = append(s.asked, r.Clone(context.Background()))
		_, _ = io.WriteString(w, `"fine"`)
	}))
	if err != nil {
		t.Fatal(err)
	}
	ca := testenv.NewCA(t)
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "things.example")}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	s.url = "https://things.example"
	parent := browser.Chromium(t, map[string]string{"things.example": srv.Listener.Addr().String()}, ca.File)
	ctx, stop := chromedp.NewContext(parent, chromedp.WithListener(s.hear))
	t.Cleanup(stop)
	s.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	s.visit()
	return s
}

func (s *site) visit() {
	s.t.Helper()
	s.do(chromedp.Navigate(s.url + "/docs"))
	s.until(`document.querySelectorAll(".opblock").length > 0`)
}

func (s *site) hear(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		s.urls = append(s.urls, e.Request.URL)
	case *runtime.EventExceptionThrown:
		s.console = append(s.console, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			for _, arg := range e.Args {
				s.console = append(s.console, arg.Description+string(arg.Value))
			}
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			s.console = append(s.console, e.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			s.broken = append(s.broken, d.ViolatedDirective+" "+d.BlockedURL)
		}
	}
}

// quiet fails the test where the page had an error, broke its policy, asked
// another origin or kept something.
func (s *site) quiet() {
	s.t.Helper()
	for _, what := range []string{"JSON.stringify({...localStorage})", "JSON.stringify({...sessionStorage})"} {
		if got := eval[string](s, what); got != "{}" {
			s.t.Errorf("%s = %s, want nothing", what, got)
		}
	}
	if got := eval[string](s, "document.cookie"); got != "" {
		s.t.Errorf("the page set the cookie %q", got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.console {
		if strings.Contains(line, "The console asks this server and no other.") {
			continue // of the $ref that things has on purpose
		}
		s.t.Errorf("the console shows %q", line)
	}
	if len(s.broken) > 0 {
		s.t.Errorf("the page's policy was broken: %q", s.broken)
	}
	for _, u := range s.urls {
		if !strings.HasPrefix(u, s.url+"/") && !strings.HasPrefix(u, "data:") {
			s.t.Errorf("the page asked %s", u)
		}
	}
}

func (s *site) do(actions ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.ctx, time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		s.t.Fatalf("%v\nthe page shows %s", err, s.show())
	}
}

func eval[T any](s *site, script string) T {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.ctx, time.Minute)
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }))
	if err != nil {
		s.t.Fatalf("%s: %v\nthe page shows %s", script, err, s.show())
	}
	return v
}

func (s *site) until(condition string) {
	s.t.Helper()
	for end := time.Now().Add(waitFor); ; time.Sleep(30 * time.Millisecond) {
		ctx, stop := context.WithTimeout(s.ctx, time.Minute)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		stop()
		if err == nil && ok {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s does not come to hold (%v)\nthe page shows %s", condition, err, s.show())
		}
	}
}

func (s *site) show() string {
	ctx, stop := context.WithTimeout(s.ctx, 5*time.Second)
	defer stop()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 3000)`))
	if err != nil {
		return err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%s\nconsole %q policy %q", text, s.console, s.broken)
}

func (s *site) click(selector string) {
	s.t.Helper()
	s.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// block is the operation of that id, opened.
func (s *site) block(tag, id string) string {
	s.t.Helper()
	selector := fmt.Sprintf("#operations-%s-%s", tag, id)
	s.until(fmt.Sprintf("document.querySelector(%q)", selector))
	if !eval[bool](s, fmt.Sprintf(`document.querySelector(%q).classList.contains("is-open")`, selector)) {
		s.click(selector + " .opblock-summary-control")
	}
	s.until(fmt.Sprintf(`document.querySelector(%q)`, selector+" .responses-wrapper"))
	return selector
}

// authorize types a value into the dialog of one scheme and applies it.
func (s *site) authorize(scheme string, values ...string) {
	s.t.Helper()
	s.click(".auth-wrapper .authorize")
	s.until(`document.querySelector(".dialog-ux")`)
	container := fmt.Sprintf(`[...document.querySelectorAll(".dialog-ux .auth-container")].find((c) => c.querySelector("h4 code")?.textContent === %q)`, scheme)
	s.until(container)
	eval[chromedp.Void](s, container+`.id = "this-scheme"`)
	for i, v := range values {
		eval[chromedp.Void](s, fmt.Sprintf(`[...document.querySelectorAll("#this-scheme input")][%d].id = "field-%d"`, i, i))
		field := fmt.Sprintf("#field-%d", i)
		s.do(chromedp.SendKeys(chromedp.CSS(field), v, chromedp.NodeVisible))
	}
	eval[chromedp.Void](s, `document.querySelector("#this-scheme button.authorize").click()`)
}

func (s *site) closeDialog() {
	s.t.Helper()
	eval[chromedp.Void](s, `document.querySelector(".dialog-ux .close-modal").click()`)
	s.until(`!document.querySelector(".dialog-ux")`)
}

// try runs an operation in the console and returns what the API was asked.
func (s *site) try(tag, id string) *http.Request {
	s.t.Helper()
	s.mu.Lock()
	s.asked = nil
	s.mu.Unlock()
	b := s.block(tag, id)
	if eval[bool](s, fmt.Sprintf(`Boolean(document.querySelector(%q))`, b+" .try-out__btn:not(.cancel)")) {
		s.click(b + " .try-out__btn")
	}
	s.click(b + " .execute")
	s.until(fmt.Sprintf(`document.querySelector(%q)`, b+" .live-responses-table"))
	s.until(fmt.Sprintf(`!document.querySelector(%q)`, b+" .loading-container"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		return nil
	}
	return s.asked[len(s.asked)-1]
}

// waitFor bounds each wait for something to show, on a busy machine.
const waitFor = time.Minute

const (
	testKey = "gw_test_0123456789abc_secretsecretsecret"
	liveKey = "gw_live_0123456789abc_secretsecretsecret"
)

// Keys go where the document says, and are not shown again.
func TestConsole(t *testing.T) {
	s := open(t, things, look.Look{})
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("apikey:"+testKey))
	for _, c := range []struct {
		scheme, op string
		values     []string
		want       func(*http.Request) string
		is         string
	}{
		{"header", "header", []string{testKey}, func(r *http.Request) string { return r.Header.Get("X-Key") }, testKey},
		{"word", "word", []string{testKey}, func(r *http.Request) string { return r.Header.Get("Authorization") }, "ApiKey " + testKey},
		{"query", "query", []string{testKey}, func(r *http.Request) string { return r.URL.Query().Get("api key") }, testKey},
		{"basic", "basic", []string{"apikey", testKey}, func(r *http.Request) string { return r.Header.Get("Authorization") }, basic},
	} {
		s.authorize(c.scheme, c.values...)
		s.until(`!document.querySelector("#this-scheme button.authorize")`)
		s.closeDialog()
		r := s.try("keys", c.op)
		if r == nil || r.URL.Path != "/v1/"+c.op || c.want(r) != c.is {
			t.Errorf("%s: the API was asked %+v, want %q", c.scheme, r, c.is)
		}
	}
	if text := eval[string](s, "document.documentElement.outerHTML"); strings.Contains(text, "secretsecret") || strings.Contains(text, strings.TrimPrefix(basic, "Basic ")) {
		t.Error("the page shows a key")
	}
	if eval[bool](s, `Boolean(document.querySelector(".curl-command, .request-snippets"))`) {
		t.Error("the page shows the request as a command")
	}
	s.quiet()
}

// A live key is refused at once in the dialog, and wherever else it is typed.
func TestLiveKey(t *testing.T) {
	s := open(t, things, look.Look{})
	const told = `document.querySelector("#refused").textContent.includes("takes only test keys")`
	for scheme, values := range map[string][]string{
		"header": {liveKey}, "word": {liveKey}, "query": {" " + liveKey}, "basic": {"apikey", liveKey},
	} {
		s.authorize(scheme, values...)
		s.until(told)
		if !eval[bool](s, `Boolean(document.querySelector("#this-scheme button.authorize"))`) {
			t.Errorf("%s: the dialog took the key", scheme)
		}
		s.click("#refused button")
		s.closeDialog()
		op := scheme
		if r := s.try("keys", op); r == nil || r.Header.Get("Authorization")+r.Header.Get("X-Key")+r.URL.RawQuery != "" {
			t.Errorf("%s: after a refused key the API was asked %+v, want no key", scheme, r)
		}
	}
	// Where the dialog knows nothing of it: a parameter.
	b := s.block("people", "free")
	s.click(b + " .try-out__btn")
	for _, v := range []string{liveKey, strings.ReplaceAll(liveKey, "_", "%5F"), base64.StdEncoding.EncodeToString([]byte(liveKey))} {
		eval[chromedp.Void](s, fmt.Sprintf(`document.querySelector(%q).id = "free-p"`, b+" .parameters input"))
		s.do(chromedp.Focus(chromedp.CSS("#free-p")))
		eval[chromedp.Void](s, `document.querySelector("#free-p").select()`)
		s.do(chromedp.SendKeys(chromedp.CSS("#free-p"), v))
		s.mu.Lock()
		s.asked = nil
		s.mu.Unlock()
		s.click(b + " .execute")
		s.until(told)
		s.mu.Lock()
		if len(s.asked) > 0 {
			t.Errorf("the API was asked %s", s.asked[0].URL)
		}
		s.mu.Unlock()
		s.click("#refused button")
	}
	// And in a body.
	b = s.block("people", "person")
	s.click(b + " .try-out__btn")
	s.do(chromedp.SendKeys(chromedp.CSS(b+" textarea"), " "+liveKey, chromedp.NodeVisible))
	s.mu.Lock()
	s.asked = nil
	s.mu.Unlock()
	s.click(b + " .execute")
	s.until(told)
	s.mu.Lock()
	if len(s.asked) > 0 {
		t.Errorf("the API was asked %s with a live key in the body", s.asked[0].URL)
	}
	s.mu.Unlock()
	s.quiet()
}

func TestSamples(t *testing.T) {
	s := open(t, things, look.Look{})
	b, w := s.block("keys", "header"), s.block("keys", "word")
	shown := func(block string) string {
		return eval[string](s, fmt.Sprintf(`document.querySelector(%q).textContent`, block+" .samples pre"))
	}
	if got := shown(b); got != "curl <b>one</b>" {
		t.Errorf("the first sample is %q", got)
	}
	// A language is chosen for all operations, with the keyboard too.
	s.click(b + " .samples [role=tab]:nth-child(2)")
	s.until(fmt.Sprintf(`document.querySelector(%q).textContent === "print(2)"`, w+" .samples pre"))
	eval[chromedp.Void](s, fmt.Sprintf(`document.querySelector(%q).dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft", bubbles: true}))`, b+" .samples [role=tab]:nth-child(2)"))
	s.until(fmt.Sprintf(`document.querySelector(%q).textContent === "curl two" && document.activeElement.textContent === "curl"`, w+" .samples pre"))
	for block, want := range map[string]string{
		b: "Who may call: header", w: "Who may call: word (read, write), or header and basic",
	} {
		if got := eval[string](s, fmt.Sprintf(`document.querySelector(%q).textContent`, block+" .callers")); got != want {
			t.Errorf("callers = %q, want %q", got, want)
		}
	}
	eval[chromedp.Void](s, `navigator.clipboard.writeText = async (text) => { window.copied = text; }`)
	s.click(b + " .samples .copy")
	s.until(fmt.Sprintf(`window.copied === "curl <b>one</b>" && document.querySelector(%q).textContent === "Copied"`, b+" .samples [role=status]"))
	if eval[bool](s, fmt.Sprintf(`Boolean(document.querySelector(%q))`, s.block("people", "free")+" .samples")) {
		t.Error("an operation without samples has a panel")
	}
	s.quiet()
}

func TestLogin(t *testing.T) {
	s := open(t, things, look.Look{})
	s.until(`!document.querySelector("#sign-in").hidden && document.querySelector("#account").hidden`)
	s.click("#operations-keys-header .opblock-summary-control")
	eval[chromedp.Void](s, `document.querySelector("#sign-in").addEventListener("click", (e) => e.preventDefault())`)
	s.click("#sign-in")
	if got, want := eval[string](s, `document.querySelector("#sign-in").getAttribute("href")`), "/auth/login?return_to=%2Fdocs%23%2Fkeys%2Fheader"; got != want {
		t.Errorf("sign in leads to %s, want %s", got, want)
	}
	s.mu.Lock()
	s.signed = true
	s.mu.Unlock()
	s.visit()
	s.until(`document.querySelector("#who").textContent === "Signed in as Alice <b>" && document.querySelector("#sign-in").hidden && !document.querySelector("#account").hidden`)
	// Who is to sign in is told so where swagger-ui would ask for a token.
	s.click(".auth-wrapper .authorize")
	s.until(`[...document.querySelectorAll(".dialog-ux .auth-container")].some((c) => c.textContent.includes("sign in at the top"))`)
	if eval[bool](s, `[...document.querySelectorAll(".dialog-ux input")].some((i) => /client/.test(i.id + i.name))`) {
		t.Error("the dialog asks for a client of the provider")
	}
	s.quiet()
}

// TestLooks keeps what the page looks like: wide and narrow, light and dark.
func TestLooks(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(testenv.Root(), "examples", "blog", "internal", "api", "openapi.gen.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, string(document), look.Look{Name: "Blog"})
	for _, c := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"desktop-light", 1280, 1400, false}, {"desktop-dark", 1280, 1400, true}, {"phone-light", 390, 1600, false}, {"phone-dark", 390, 1600, true}} {
		scheme := "light"
		if c.dark {
			scheme = "dark"
		}
		if _, err := chromedp.Call(s.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(s.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: c.width, Height: c.height, DeviceScaleFactor: 1, Mobile: c.width < 500}); err != nil {
			t.Fatal(err)
		}
		s.visit()
		s.shot(c.name)
		b := s.block("default", "createPost")
		s.click(b + " .try-out__btn")
		s.click(b + " .execute")
		s.until(fmt.Sprintf(`document.querySelector(%q)`, b+" .live-responses-table"))
		s.shot(c.name + "-operation")
		if wide := eval[int](s, "document.documentElement.scrollWidth"); int64(wide) > c.width {
			t.Errorf("%s: the page is %d wide, want at most %d", c.name, wide, c.width)
		}
		s.click(".auth-wrapper .authorize")
		s.until(`document.querySelector(".dialog-ux")`)
		s.shot(c.name + "-authorize")
		eval[chromedp.Void](s, `history.replaceState(null, "", "/docs")`)
	}
	s.quiet()
}

func (s *site) shot(name string) {
	s.t.Helper()
	res, err := chromedp.Call(s.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.t.ArtifactDir(), name+".png"), res.Data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}
