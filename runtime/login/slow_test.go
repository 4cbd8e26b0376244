package login_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/session"
)

// slow has a provider take its time to say that it cannot say who it is.
func slow(d time.Duration) gatetest.Mischief {
	return gatetest.Mischief{Faults: map[string]gatetest.Fault{
		"/.well-known/openid-configuration": {Delay: d, Status: http.StatusServiceUnavailable},
	}}
}

// TestSlowProviderIsAskedForAll: people who sign in at once wait for one look
// at the provider, not each for the one before.
func TestSlowProviderIsAskedForAll(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.Misbehave(slow(time.Second))
	a := newApp(t, option{noOpen: true}, idp.Config("main"))
	begun := time.Now()
	var all sync.WaitGroup
	for range 8 {
		b := newBrowser(t, a, idp)
		all.Go(func() {
			if v := b.step("/auth/login", "none"); v.status != 503 {
				t.Errorf("a login at a provider that fails slowly = %d, want 503", v.status)
			}
		})
	}
	all.Wait()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("8 logins at once took %s, with a provider that takes a second", took)
	}
}

// TestWaitEndsWithTheCaller: who waits no longer does not wait on, and takes
// nothing away from those who do.
func TestWaitEndsWithTheCaller(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.Misbehave(gatetest.Mischief{Faults: map[string]gatetest.Fault{"/.well-known/openid-configuration": {Delay: 2 * time.Second}}})
	a := newApp(t, option{noOpen: true}, idp.Config("main"))
	brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	other := make(chan error, 1)
	begun := time.Now()
	if err := a.login.Check(brief); err == nil || !strings.Contains(err.Error(), "main") {
		t.Errorf("Check() for 100 ms = %v, want the provider named", err)
	}
	go func() { other <- a.login.Check(context.Background()) }()
	if err := a.login.Check(brief); err == nil {
		t.Error("Check() for no time = nil")
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("two calls for 100 ms took %s", took)
	}
	if err := <-other; err != nil {
		t.Errorf("Check() of another = %v", err)
	}
	if n := idp.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the provider was asked %d times, want once", n)
	}
}

// TestOldMetadataWhileTheProviderIsSlow: logins go on with what was known.
func TestOldMetadataWhileTheProviderIsSlow(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	idp.Misbehave(slow(4 * time.Second))
	a.offset.Store(int64(25 * time.Hour))
	b := newBrowser(t, a, idp)
	begun := time.Now()
	if v := b.step("/auth/login", "none"); v.status != 303 {
		t.Errorf("a login with metadata of yesterday = %d, want 303", v.status)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestLogoutAtASlowProvider: the session ends whether or not the provider says
// where its own does, and whether or not anybody waits for that.
func TestLogoutAtASlowProvider(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		b := newBrowser(t, a, idp)
		b.signIn()
		idp.Misbehave(slow(2 * time.Second))
		a.offset.Store(int64(25 * time.Minute)) // the session is in use still
		o.store, o.noOpen = a.stores, true
		o.ring = a.ring
		restarted := newApp(t, o, idp.Config("main"))
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, restarted.url+"/auth/logout", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.AddCookie(&http.Cookie{Name: session.DefaultCookie, Value: b.cookie(session.DefaultCookie)})
		if res, err := restarted.server.Client().Transport.RoundTrip(req); err == nil {
			res.Body.Close()
			t.Error("the logout was answered before the provider was: the test shows nothing")
		}
		if b.signedIn() {
			t.Error("the session goes on")
		}
	})
}

// TestLogoutWithTwoCookies: which of them counts nobody knows, and both end.
func TestLogoutWithTwoCookies(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		one, two := newBrowser(t, a, idp), newBrowser(t, a, idp)
		one.signIn()
		two.signIn()
		req, err := http.NewRequest(http.MethodPost, a.url+"/auth/logout", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, b := range []*browser{one, two} {
			req.AddCookie(&http.Cookie{Name: session.DefaultCookie, Value: b.cookie(session.DefaultCookie)})
		}
		res, err := a.server.Client().Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		cleared := slices.ContainsFunc(res.Cookies(), func(c *http.Cookie) bool { return c.Name == session.DefaultCookie && c.MaxAge < 0 })
		if res.StatusCode != 303 || !cleared || one.signedIn() || two.signedIn() {
			t.Errorf("a logout with two cookies = %d, cookie cleared: %v, signed in: %v and %v", res.StatusCode, cleared, one.signedIn(), two.signedIn())
		}
	})
}

// TestDeepLink: a page whose path is too long to come back to asks for a login
// all the same.
func TestDeepLink(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	if v := b.open("/me?q=" + strings.Repeat("x", 2000)); v.status != 200 || v.url != a.url+"/" || !b.signedIn() {
		t.Errorf("a login from a page with a long path ends at %s with %d", v.url, v.status)
	}
}
