// Package browser runs Chromium for tests. It is apart from testenv because
// chromedp is large, and few tests need it.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatewright/gatewright/internal/testenv"
)

// runFor bounds all that a test does with one browser.
const runFor = 5 * time.Minute

// Chromium starts a browser with a fresh profile and returns the context of a
// tab, for chromedp.Do and Run; chromedp.NewContext of it makes further tabs.
// The browser ends with the test, or after five minutes.
//
// The browser finds each of hosts where the map says, 127.0.0.1:port or
// 127.0.0.1; with a port, https://host/ leads there, so that hosts can be sites
// of their own. Other names are not found, so that nothing is fetched from
// outside. Certificates are verified as for everybody: they count where they
// come from the authority in caFile, and from nowhere else; empty: from none.
//
// Where there is no Chromium, or no certutil to have it trust caFile, the test
// ends with testenv.Skip.
func Chromium(t testing.TB, hosts map[string]string, caFile string) context.Context {
	t.Helper()
	path := program(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	// Not t.TempDir: helpers of the browser may still write there when the
	// test has ended, and that must not fail it.
	home, err := os.MkdirTemp("", "gatewright-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if caFile != "" {
		trust(t, home, caFile)
	}

	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		chromedp.UserDataDir(filepath.Join(home, "profile")),
		// The trust of a user lies below the home folder.
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "config"), "XDG_CACHE_HOME="+filepath.Join(home, "cache"), "XDG_DATA_HOME="+filepath.Join(home, ".local", "share")),
		chromedp.Flag("no-sandbox", true), // as root, which containers of CI are
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", rules(hosts)),
	)
	ctx, stop := context.WithTimeout(context.Background(), runFor)
	ctx, stopBrowser := chromedp.NewExecAllocator(ctx, opts...)
	ctx, stopTab := chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		stopTab()
		stopBrowser()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("browser: %s does not start: %v", path, err)
	}
	return ctx
}

// program returns the first of names that is installed.
func program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testenv.Skip(t, "needs the program "+names[0]+", which is not installed; make tools does that where it can")
	return ""
}

// trust puts the authority in caFile into the database of the user whose home
// is given. Chromium on Linux takes authorities from there beside its own; it
// looks in .local/share/pki since version 146, and in .pki before, and still
// where that exists.
func trust(t testing.TB, home, caFile string) {
	t.Helper()
	certutil := program(t, "certutil")
	dir := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-N", "--empty-password"},
		{"-A", "-n", "test authority", "-t", "C,,", "-i", caFile},
	} {
		out, err := exec.Command(certutil, append([]string{"-d", "sql:" + dir}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("browser: certutil %s: %v\n%s", args[0], err, out)
		}
	}
}

// rules are for --host-resolver-rules: hosts where they are, loopback as it is,
// and nothing else.
func rules(hosts map[string]string) string {
	var out []string
	for host, addr := range hosts {
		out = append(out, fmt.Sprintf("MAP %s %s", host, addr))
	}
	slices.Sort(out)
	return strings.Join(append(out, "MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1"), ",")
}
