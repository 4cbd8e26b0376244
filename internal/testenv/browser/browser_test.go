package browser_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/internal/testenv/browser"
)

// site serves a page that says its name, with a certificate for host, and
// returns its address.
func site(t *testing.T, ca *testenv.CA, host string) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, "<title>x</title><h1>%s at %s, from %s</h1>", host, r.Host, r.Header.Get("Sec-Fetch-Site"))
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, host)}}
	srv.Config.ErrorLog = testLog(t)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestChromium(t *testing.T) {
	ca, strange := testenv.NewCA(t), testenv.NewCA(t)
	app, evil := site(t, ca, "app.example"), site(t, ca, "evil.example")
	stranger, wrong := site(t, strange, "stranger.example"), site(t, ca, "other.example")
	ctx := browser.Chromium(t, map[string]string{
		"app.example": app, "evil.example": evil, "stranger.example": stranger, "wrong.example": wrong,
	}, ca.File)

	heading := func(url string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
			return "", err
		}
		return chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("h1").textContent`))
	}
	for url, want := range map[string]string{
		"https://app.example/":  "app.example at app.example, from none",
		"https://evil.example/": "evil.example at evil.example, from none",
	} {
		if got, err := heading(url); err != nil || got != want {
			t.Errorf("%s shows %q, %v, want %q", url, got, err, want)
		}
	}
	for url, want := range map[string]string{
		"https://stranger.example/": "ERR_CERT_AUTHORITY_INVALID",
		"https://wrong.example/":    "ERR_CERT_COMMON_NAME_INVALID",
		"https://unknown.example/":  "ERR_NAME_NOT_RESOLVED",
	} {
		if got, err := heading(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s shows %q, %v, want %s", url, got, err, want)
		}
	}

	// The hosts are sites to each other.
	if _, err := heading("https://app.example/"); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`location.href = "https://evil.example/linked"`)); err != nil {
		t.Fatal(err)
	}
	const want = "evil.example at evil.example, from cross-site"
	var got string
	for deadline := time.Now().Add(20 * time.Second); got != want && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		// Fails while the page changes.
		got, _ = chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("h1")?.textContent ?? ""`))
	}
	if got != want {
		t.Errorf("a link to another host shows %q, want %q", got, want)
	}
}

// A browser that was told of no authority believes none of ours.
func TestChromiumTrustsNobody(t *testing.T) {
	app := site(t, testenv.NewCA(t), "app.example")
	ctx := browser.Chromium(t, map[string]string{"app.example": app}, "")
	err := chromedp.Do(ctx, chromedp.Navigate("https://app.example/"))
	if err == nil || !strings.Contains(err.Error(), "ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("Navigate = %v, want ERR_CERT_AUTHORITY_INVALID", err)
	}
}

// testLog takes what a server logs of handshakes that a browser breaks off.
func testLog(t *testing.T) *log.Logger { return log.New(t.Output(), "", 0) }
