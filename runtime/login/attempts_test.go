package login_test

import (
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/session"
)

// TestTabs begins more logins in one browser than are kept: the newest five can
// be finished, the others move on, and nothing is an error.
func TestTabs(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	const tabs = 20
	var callbacks []string
	for range tabs {
		v := b.step("/auth/login?return_to=/me", "none")
		v = b.step(v.header.Get("Location"), "cross-site")
		callbacks = append(callbacks, v.header.Get("Location"))
	}
	finished := func(callback string) bool {
		before := idp.Requests("/token")
		v := b.follow(callback, "cross-site", 10)
		if v.status != 200 && v.status != 303 {
			t.Errorf("a tab ends with %d %s", v.status, v.body)
		}
		return idp.Requests("/token") > before
	}
	// An older tab before anybody is signed in offers to start again.
	v := b.follow(callbacks[0], "cross-site", 10)
	if v.status != 200 || !strings.Contains(v.body, `href="/auth/login"`) {
		t.Errorf("the oldest tab, with nobody signed in, ends with %d %s", v.status, v.body)
	}
	for i, callback := range callbacks[1:] {
		if got, want := finished(callback), i+1 >= tabs-5; got != want {
			t.Errorf("tab %d of %d is finished: %v, want %v", i+2, tabs, got, want)
		}
	}
	// Now that somebody is, it moves on.
	v = b.follow(callbacks[0], "cross-site", 10)
	if v.status != 200 || v.url != a.url+"/" || v.body != "front" {
		t.Errorf("the oldest tab, with somebody signed in, ends at %s with %d %s", v.url, v.status, v.body)
	}
	if !b.signedIn() {
		t.Error("nobody is signed in afterwards")
	}
	if b.sent > 4096 {
		t.Errorf("a cookie has %d bytes", b.sent)
	}
}

// TestTabsAtOnce begins them side by side, so that each request finds the
// browser without any of the cookies.
func TestTabsAtOnce(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	names := make(map[string]int)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			b := newBrowser(t, a, idp)
			v := b.step("/auth/login?return_to="+url.QueryEscape("/"+strings.Repeat("a", 500)), "none")
			mu.Lock()
			defer mu.Unlock()
			for _, line := range v.header["Set-Cookie"] {
				if name, value, _ := strings.Cut(line, "="); !strings.HasPrefix(value, ";") { // not one that is cleared
					names[name] = max(names[name], len(line))
				}
			}
		})
	}
	wait.Wait()
	total := 0
	for _, n := range names {
		total += n
	}
	if len(names) != 5 || total > 8<<10 {
		t.Errorf("20 logins at once use the cookies %v, want 5 and less than 8 kB", names)
	}
}

func TestAttemptCookie(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	line := b.step("/auth/login", "none").header.Get("Set-Cookie")
	for _, want := range []string{"__Host-login-", "Path=/", "Max-Age=600", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(line, want) {
			t.Errorf("Set-Cookie of a login lacks %s: %s", want, line)
		}
	}
	if strings.Contains(strings.ToLower(line), "domain") {
		t.Errorf("Set-Cookie of a login has a domain: %s", line)
	}
	// state, nonce and verifier are fresh for each.
	seen := make(map[string]bool)
	for range 3 {
		u, _ := url.Parse(b.step("/auth/login", "none").header.Get("Location"))
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if v := u.Query().Get(name); seen[v] {
				t.Errorf("%s %q comes twice", name, v)
			} else {
				seen[v] = true
			}
		}
	}
}

// TestSpoiltCookies: whatever is done to a cookie of a login, it counts as
// absent, and the token endpoint never sees the code.
func TestSpoiltCookies(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	flip := func(s string) string {
		c := byte('A')
		if s[len(s)/2] == c {
			c = 'B'
		}
		return s[:len(s)/2] + string(c) + s[len(s)/2+1:]
	}
	for name, spoil := range map[string]func(b *browser, slot int, cookie string){
		"changed":   func(b *browser, slot int, c string) { b.setCookie(attempt(slot), flip(c)) },
		"truncated": func(b *browser, slot int, c string) { b.setCookie(attempt(slot), c[:len(c)-2]) },
		"empty":     func(b *browser, slot int, _ string) { b.setCookie(attempt(slot), "x") },
		"gone":      func(b *browser, slot int, _ string) { b.setCookie(attempt(slot), "") },
		"in another slot": func(b *browser, slot int, c string) {
			b.setCookie(attempt(slot), "")
			b.setCookie(attempt((slot+1)%5), c)
		},
		"late": func(_ *browser, _ int, _ string) { a.offset.Store(int64(11 * time.Minute)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer a.offset.Store(0)
			a.log.reset()
			b := newBrowser(t, a, idp)
			v := b.step("/auth/login", "none")
			slot, cookie := -1, ""
			for i := range 5 {
				if c := b.cookie(attempt(i)); c != "" {
					slot, cookie = i, c
				}
			}
			callback := b.step(v.header.Get("Location"), "cross-site").header.Get("Location")
			spoil(b, slot, cookie)
			before := idp.Requests("/token")
			v = b.follow(callback, "cross-site", 10)
			if v.status != 200 || !strings.Contains(v.body, "sign in again") {
				t.Errorf("it ends with %d %s", v.status, v.body)
			}
			if idp.Requests("/token") != before || b.signedIn() {
				t.Error("the code was used")
			}
			a.log.wants(t, "audit=true", "login response without its attempt")
			if name == "changed" || name == "truncated" || name == "in another slot" {
				a.log.wants(t, "audit=true", "login attempt cookie not ours")
				for i := range 5 {
					if b.cookie(attempt(i)) != "" {
						t.Errorf("cookie %s is not cleared", attempt(i))
					}
				}
			}
		})
	}
}

func attempt(slot int) string { return "__Host-login-" + strconv.Itoa(slot) }

// TestReplay uses a login's response twice, with the very cookies it had.
func TestReplay(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		b := newBrowser(t, a, idp)
		v := b.step("/auth/login", "none")
		saved := make(map[string]string)
		for i := range 5 {
			saved[attempt(i)] = b.cookie(attempt(i))
		}
		callback := b.step(v.header.Get("Location"), "cross-site").header.Get("Location")
		hop := b.step(callback, "cross-site")
		finish := a.url + strings.ReplaceAll(refresh.FindStringSubmatch(hop.body)[1], "&amp;", "&")
		handoff := "__Host-handoff-" + finish[len(finish)-1:]
		ticket := b.cookie(handoff)
		b.follow(finish, "same-origin", 5)
		if !b.signedIn() {
			t.Fatal("not signed in")
		}
		mine := b.cookie(session.DefaultCookie)

		thief := newBrowser(t, a, idp)
		for name, value := range saved {
			if value != "" {
				thief.setCookie(name, value)
			}
		}
		v = thief.follow(callback, "cross-site", 10)
		if v.status != 200 || thief.signedIn() || idp.Requests("/token") != 1 {
			t.Errorf("the response again: %d %s", v.status, v.body)
		}
		a.log.wants(t, "audit=true", "login response replayed")

		thief.setCookie(handoff, ticket)
		v = thief.follow(finish, "same-origin", 10)
		if v.status != 200 || thief.signedIn() {
			t.Errorf("the handoff again: %d %s", v.status, v.body)
		}
		a.log.wants(t, "audit=true", "login handoff replayed")

		// A ticket is no session, and a session no ticket.
		_, secret, _ := strings.Cut(ticket, ".")
		for _, value := range []string{ticket, secret} {
			thief.setCookie(session.DefaultCookie, value)
			if thief.signedIn() {
				t.Error("a ticket opens as a session")
			}
		}
		if !b.signedIn() || b.cookie(session.DefaultCookie) != mine {
			t.Error("the session of the person themselves is gone")
		}
	})
}

// TestHandoffLate: what was handed over counts for a minute.
func TestHandoffLate(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		b := newBrowser(t, a, idp)
		callback := b.step(b.step("/auth/login", "none").header.Get("Location"), "cross-site").header.Get("Location")
		hop := b.step(callback, "cross-site")
		a.offset.Store(int64(61 * time.Second))
		v := b.follow(refresh.FindStringSubmatch(hop.body)[1], "same-origin", 5)
		if v.status != 200 || b.signedIn() {
			t.Errorf("after 61 s: %d %s", v.status, v.body)
		}
	})
}

// TestMixedUp: the response of one provider at the callback of another.
func TestMixedUp(t *testing.T) {
	one, two := gatetest.NewProvider(t), gatetest.NewProvider(t)
	a := newApp(t, option{}, one.Config("main"), two.Config("other"))
	b := newBrowser(t, a, one, two)
	callback := b.step(b.step("/auth/login?provider=main", "none").header.Get("Location"), "cross-site").header.Get("Location")
	v := b.follow(strings.Replace(callback, "/callback/main", "/callback/other", 1), "cross-site", 10)
	if v.status != 200 || b.signedIn() || one.Requests("/token")+two.Requests("/token") != 0 {
		t.Errorf("it ends with %d, and %d codes were sent", v.status, one.Requests("/token")+two.Requests("/token"))
	}
}

// TestStranger: a link that brings somebody else's code signs nobody in.
func TestStranger(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	mallory, victim := newBrowser(t, a, idp), newBrowser(t, a, idp)
	callback := mallory.step(mallory.step("/auth/login", "none").header.Get("Location"), "cross-site").header.Get("Location")
	victim.step("/auth/login", "none")
	if v := victim.follow(callback, "cross-site", 10); v.status != 200 || victim.signedIn() || idp.Requests("/token") != 0 {
		t.Errorf("mallory's response in the victim's browser: %d, signed in: %v", v.status, victim.signedIn())
	}
}

// TestStrict: the session's cookie has all its attributes, and the callback,
// which another site leads to, sets none.
func TestStrict(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	callback := b.step(b.step("/auth/login", "none").header.Get("Location"), "cross-site").header.Get("Location")
	hop := b.step(callback, "cross-site")
	if hop.status != http.StatusOK || hop.header.Get("Location") != "" {
		t.Fatalf("the callback = %d %v, want a page", hop.status, hop.header)
	}
	for _, line := range hop.header["Set-Cookie"] {
		if strings.HasPrefix(line, session.DefaultCookie) {
			t.Errorf("the callback sets %s", line)
		}
	}
	v := b.step(strings.ReplaceAll(refresh.FindStringSubmatch(hop.body)[1], "&amp;", "&"), "same-origin")
	found := ""
	for _, line := range v.header["Set-Cookie"] {
		if strings.HasPrefix(line, session.DefaultCookie+"=") {
			found = line
		}
	}
	for _, want := range []string{"Path=/", "HttpOnly", "Secure", "SameSite=Strict"} {
		if !strings.Contains(found, want) {
			t.Errorf("the session's cookie lacks %s: %s", want, found)
		}
	}
	if strings.Contains(strings.ToLower(found), "domain") || v.status != http.StatusSeeOther {
		t.Errorf("finish = %d, cookie %s", v.status, found)
	}
	csp := hop.header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("the callback's policy is %s", csp)
	}
}

// TestFinishFromElsewhere: a link of another site to where logins finish does
// not pass over the session that is there, whose Strict cookie stays behind.
func TestFinishFromElsewhere(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		idp.AddUser(gatetest.User{Subject: "ann"})
		a := newApp(t, o, idp.Config("main"))
		b := newBrowser(t, a, idp)
		b.signIn()
		before := b.cookie(session.DefaultCookie)
		for _, path := range []string{"/auth/finish", "/auth/finish?attempt=0", "/auth/finish?attempt=//evil.example", "/auth/finish?a=1&a=2"} {
			if v := b.follow(path, "cross-site", 3); v.status != 200 || v.url != a.url+"/" {
				t.Errorf("GET %s from another site ends at %s with %d %s", path, v.url, v.status, v.body)
			}
		}
		if b.cookie(session.DefaultCookie) != before || !b.signedIn() {
			t.Error("the session is another")
		}
		// The session before ends, also where a link is quicker than the page.
		started := b.step("/auth/login?return_to=/me", "none")
		back := b.step(started.header.Get("Location"), "cross-site")
		hop := b.step(back.header.Get("Location"), "cross-site")
		to := refresh.FindStringSubmatch(hop.body)
		if to == nil {
			t.Fatalf("the callback answers %d without a way on", hop.status)
		}
		if v := b.follow(html.UnescapeString(to[1]), "cross-site", 4); v.url != a.url+"/me" || v.status != 200 {
			t.Errorf("the login ends at %s with %d", v.url, v.status)
		}
		old := newBrowser(t, a, idp)
		old.setCookie(session.DefaultCookie, before)
		if b.cookie(session.DefaultCookie) == before || old.signedIn() {
			t.Error("the session before lives on")
		}
	})
}

// TestOvertaken: of logins that several tabs began at once the first to finish
// makes the session, and the rest leave it alone.
func TestOvertaken(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		idp.AddUser(gatetest.User{Subject: "ann"})
		idp.AddUser(gatetest.User{Subject: "bob"})
		a := newApp(t, o, idp.Config("main"))
		for _, c := range []struct {
			name, begin, user string
			stays             bool
		}{
			{"the same person", "/auth/login?return_to=/me", "ann", true},
			{"another person", "/auth/login?return_to=/me", "bob", false},
			{"a login asked for anew", "/auth/login?return_to=/me&fresh=1", "ann", false},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := newBrowser(t, a, idp)
				late := b.step(c.begin, "none").header.Get("Location")
				idp.SignInAs("ann")
				b.signIn()
				first := b.cookie(session.DefaultCookie)
				idp.SignInAs(c.user)
				if v := b.follow(late, "cross-site", 10); v.status != 200 || v.url != a.url+"/me" {
					t.Errorf("the login ends at %s with %d %s", v.url, v.status, v.body)
				}
				if stays := b.cookie(session.DefaultCookie) == first; stays != c.stays || !b.signedIn() {
					t.Errorf("the session of the other tab stays: %v, want %v", stays, c.stays)
				}
				// One that begins later replaces it.
				idp.SignInAs("ann")
				before := b.cookie(session.DefaultCookie)
				if b.signIn(); b.cookie(session.DefaultCookie) == before {
					t.Error("a later login has made no session")
				}
			})
		}
	})
}

// TestReplayAtASlowClock: a login that begins on a replica whose clock is ahead
// may be answered for longer here, and for as long it is remembered.
func TestReplayAtASlowClock(t *testing.T) {
	idp := gatetest.NewProvider(t)
	ahead := newApp(t, option{}, idp.Config("main"))
	a := newApp(t, option{store: ahead.stores, ring: ahead.ring}, idp.Config("main"))
	ahead.offset.Store(int64(50 * time.Second))
	b := newBrowser(t, ahead, idp)
	back := b.step(b.step("/auth/login", "none").header.Get("Location"), "cross-site").header.Get("Location")
	at, err := url.Parse(ahead.url)
	if err != nil {
		t.Fatal(err)
	}
	cookies := b.client.Jar.Cookies(at)
	answer := func() {
		req, err := http.NewRequest(http.MethodGet, strings.Replace(back, ahead.url, a.url, 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cookies {
			req.AddCookie(c)
		}
		res, err := a.server.Client().Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	answer()
	later := 10*time.Minute + 20*time.Second
	a.offset.Store(int64(later))
	if err := a.stores.Sweep(t.Context(), time.Now().Add(later)); err != nil {
		t.Fatal(err)
	}
	answer()
	a.log.wants(t, "login response replayed")
	if n := idp.Requests("/token"); n != 1 {
		t.Errorf("the provider was sent %d codes, want 1", n)
	}
}

// TestSlotsHoldOne: neither logins under way nor those that have only to finish
// make the Cookie header large, nor both.
func TestSlotsHoldOne(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		b := newBrowser(t, a, idp)
		begin := "/auth/login?return_to=" + url.QueryEscape("/"+strings.Repeat("a", 500))
		at, _ := url.Parse(a.url)
		check := func(when string, most int) {
			t.Helper()
			count, size := 0, 0
			for _, c := range b.client.Jar.Cookies(at) {
				count++
				size += len(c.Name) + len(c.Value) + len("=; ")
			}
			if count > most || size > 8000 {
				t.Errorf("%s there are %d cookies of together %d bytes, want at most %d and 8000", when, count, size, most)
			}
		}
		var last string
		for range 3 {
			var callbacks []string
			for range 7 {
				callbacks = append(callbacks, b.step(b.step(begin, "none").header.Get("Location"), "cross-site").header.Get("Location"))
				check("with logins under way", 5)
			}
			for _, callback := range callbacks {
				if to := refresh.FindStringSubmatch(b.step(callback, "cross-site").body); to != nil && strings.Contains(to[1], "attempt=") {
					last = html.UnescapeString(to[1])
				}
				check("with logins to finish", 5)
			}
		}
		if v := b.step(last, "same-origin"); v.status != 303 || !b.signedIn() {
			t.Errorf("the newest login ends with %d %s", v.status, v.body)
		}
		check("with a session", 6)
	})
}
