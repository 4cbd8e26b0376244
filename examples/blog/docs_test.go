package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/user"
)

// TestDocs: the blog's reference in a browser, with a login at a provider that
// others wrote.
func TestDocs(t *testing.T) {
	s := newStage(t)
	keys, err := apikey.New(apikey.Config{Store: s.stores.Keys(), Users: s.stores.Users(), Environment: apikey.Test, Schemes: []string{"apiKey", "basic"}})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := s.stores.Users().Ensure(t.Context(), user.Local, "script", user.Profile{Name: "script"})
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{User: rec.ID}, Label: "docs", Scopes: []string{"posts:write"}, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	key := made.Reveal()

	b := s.person(t)
	b.open(blogURL + "/docs")
	b.until(documentShown)

	// A test key: in the place that the document names.
	b.authorize("apiKey", key)
	b.until(`!document.querySelector("#this-scheme button.authorize")`)
	eval[chromedp.Void](b, `document.querySelector(".dialog-ux .close-modal").click()`)
	b.tryIt("createPost")
	b.until(answered("createPost", 201))
	if got := eval[string](b, "document.documentElement.outerHTML"); strings.Contains(got, key) {
		t.Error("the page shows the key")
	}
	b.shots(t, "signed-out")
	b.ownOrigin()

	// A live key: nothing is sent.
	live := strings.Replace(key, "_test_", "_live_", 1)
	b.open(blogURL + "/docs?again")
	b.until(documentShown)
	b.forget()
	b.authorize("apiKey", live)
	b.until(`document.querySelector("#refused").textContent.includes("takes only test keys")`)
	eval[chromedp.Void](b, `document.querySelector(".dialog-ux .close-modal").click()`)
	b.tryIt("createPost")
	b.until(answered("createPost", 401)) // for want of any
	if strings.Contains(s.log.String(), live) {
		t.Error("the log has the live key")
	}
	b.mu.Lock()
	for _, h := range b.headers {
		if strings.Contains(fmt.Sprint(h), live) {
			t.Error("the browser sent the live key")
		}
	}
	b.mu.Unlock()

	// A login, from the page and back to it; then operations are called as that person.
	b.ownOrigin()
	b.click("#sign-in")
	b.atProvider("bob")
	b.until(`location.href.startsWith("` + blogURL + `/docs") && document.querySelector("#who")?.textContent === "Signed in as Bob"`)
	b.forget() // the provider's own pages
	b.open(blogURL + "/docs?once-more")
	b.until(documentShown)
	b.tryIt("createPost")
	b.until(answered("createPost", 201))
	if eval[bool](b, `document.querySelector("#account").hidden`) {
		t.Error("who is signed in sees no way to the account page")
	}
	if got := eval[string](b, `JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})`); got != "{}{}" {
		t.Errorf("the page keeps %s", got)
	}
	b.shots(t, "signed-in")
	b.quiet()
	b.ownOrigin()
}

// ownOrigin fails the test where the browser asked another origin.
func (b *tab) ownOrigin() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.asked {
		if !strings.HasPrefix(u, blogURL+"/") && !strings.HasPrefix(u, "data:") {
			b.t.Errorf("the browser asked %s", u)
		}
	}
}

const documentShown = `document.querySelectorAll(".opblock").length === 7`

// operation is the block of one in the reference, opened.
func (b *tab) operation(id string) string {
	b.t.Helper()
	selector := "#operations-default-" + id
	b.until(fmt.Sprintf("document.querySelector(%q)", selector))
	if !b.holds(fmt.Sprintf(`document.querySelector(%q).classList.contains("is-open")`, selector)) {
		b.click(selector + " .opblock-summary-control")
	}
	b.until(fmt.Sprintf("document.querySelector(%q)", selector+" .responses-wrapper"))
	return selector
}

// tryIt executes an operation in the console.
func (b *tab) tryIt(id string) {
	b.t.Helper()
	at := b.operation(id)
	if b.holds(fmt.Sprintf(`document.querySelector(%q)`, at+" .try-out__btn:not(.cancel)")) {
		b.click(at + " .try-out__btn")
		b.do(chromedp.Focus(chromedp.CSS(at + " textarea")))
		eval[chromedp.Void](b, fmt.Sprintf(`document.querySelector(%q).select()`, at+" textarea"))
		b.do(chromedp.SendKeys(chromedp.CSS(at+" textarea"), `{"title": "Tried", "text": "Out"}`))
	}
	b.click(at + " .execute")
}

// answered is a condition: the console shows an answer of that status.
func answered(id string, status int) string {
	return fmt.Sprintf(`document.querySelector("#operations-default-%s .live-responses-table tbody .response-col_status")?.textContent.trim().startsWith("%d")`, id, status)
}

// authorize types a key into the console's dialog.
func (b *tab) authorize(scheme, key string) {
	b.t.Helper()
	b.click(".auth-wrapper .authorize")
	container := fmt.Sprintf(`[...document.querySelectorAll(".dialog-ux .auth-container")].find((c) => c.querySelector("h4 code")?.textContent === %q)`, scheme)
	b.until(container)
	eval[chromedp.Void](b, container+`.id = "this-scheme"`)
	b.fill("#this-scheme input", key)
	eval[chromedp.Void](b, `document.querySelector("#this-scheme button.authorize").click()`)
}

// shots keeps what the page looks like.
func (b *tab) shots(t *testing.T, name string) {
	t.Helper()
	for _, c := range []struct {
		name   string
		width  int64
		scheme string
	}{{"desktop-light", 1280, "light"}, {"desktop-dark", 1280, "dark"}, {"phone-light", 390, "light"}, {"phone-dark", 390, "dark"}} {
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: c.scheme}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: c.width, Height: 1600, DeviceScaleFactor: 1, Mobile: c.width < 500}); err != nil {
			t.Fatal(err)
		}
		res, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+"-"+c.name+".png"), res.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 1600, DeviceScaleFactor: 1}); err != nil {
		t.Fatal(err)
	}
}
