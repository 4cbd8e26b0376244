package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/session"
)

func TestLogout(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		idp.RegisterServer(a.url, "main", a.server.Client())
		b := newBrowser(t, a, idp)
		b.signIn()
		old := b.cookie(session.DefaultCookie)

		// Another site, and a GET, end nothing.
		for _, site := range []string{"cross-site", "same-site"} {
			if v := b.do(http.MethodPost, "/auth/logout", site, "", ""); v.status != 403 {
				t.Errorf("POST /auth/logout from %s = %d, want 403", site, v.status)
			}
		}
		if v := b.open("/auth/logout"); v.status != 200 || !strings.Contains(v.body, `action="/auth/logout"`) || !b.signedIn() {
			t.Errorf("GET /auth/logout = %d, signed in: %v", v.status, b.signedIn())
		}

		v := b.post("/auth/logout", nil)
		away := refresh.FindStringSubmatch(v.body)
		if v.status != 200 || away == nil {
			t.Fatalf("POST /auth/logout = %d %s", v.status, v.body)
		}
		to, err := url.Parse(strings.ReplaceAll(away[1], "&amp;", "&"))
		if err != nil || !strings.HasPrefix(to.String(), idp.Issuer+"/logout?") {
			t.Fatalf("it leads to %q", away[1])
		}
		q := to.Query()
		if q.Get("client_id") != idp.ClientID || q.Get("post_logout_redirect_uri") != a.url+"/auth/logout" || q.Get("state") == "" {
			t.Errorf("the provider's logout is asked with %v", q)
		}
		if hint := q.Get("id_token_hint"); (hint != "") != (o.kind == session.Server) {
			t.Errorf("id_token_hint with %s sessions is %q", o.kind, hint)
		}
		if b.cookie(session.DefaultCookie) != "" {
			t.Error("the cookie is not cleared")
		}
		b.setCookie(session.DefaultCookie, old)
		if b.signedIn() {
			t.Error("the old cookie is good after the logout")
		}
		end := b.follow(to.String(), "cross-site", 10)
		if end.status != 200 || !strings.HasPrefix(end.url, a.url+"/auth/logout") || !strings.Contains(end.body, "You are signed out") {
			t.Errorf("the provider leads back to %s: %d", end.url, end.status)
		}
		a.log.wants(t, "audit=true", "msg=logout")
		// Without a session it is done already.
		if v := b.post("/auth/logout", nil); v.status != 303 || v.header.Get("Location") != "/auth/logout" {
			t.Errorf("a second logout = %d %v", v.status, v.header)
		}
	})
}

// TestLogoutReturn: whatever comes back from the provider, the page is the same
// (the state is wrong, or missing).
func TestLogoutReturn(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	for _, path := range []string{"/auth/logout", "/auth/logout?state=wrong", "/auth/logout?state=a&state=b", "/auth/logout?x=%zz", "/auth/logout?x=//evil.example&y=\\\\evil"} {
		if v := b.open(path); v.status != 200 || !strings.Contains(v.body, "You are signed out") || strings.Contains(v.body, "wrong") {
			t.Errorf("GET %s = %d %s", path, v.status, v.body)
		}
		if v := b.follow(path, "cross-site", 3); v.status != 200 || !strings.HasPrefix(v.url, a.url+"/auth/logout") || !strings.Contains(v.body, "You are signed out") {
			t.Errorf("GET %s from another site ends at %s with %d %s", path, v.url, v.status, v.body)
		}
	}
	// Nobody is told that they are signed out who are not: the session's
	// cookie is not sent with a link of another site.
	b.signIn()
	if v := b.follow("/auth/logout", "cross-site", 3); !strings.Contains(v.body, "Sign out?") || !b.signedIn() {
		t.Errorf("GET /auth/logout from another site, signed in, ends with %s", v.body)
	}
	a.down.Store(true)
	if v := b.open("/auth/logout"); v.status != 503 || strings.Contains(v.body, "signed out") {
		t.Errorf("GET /auth/logout with the store down = %d %s, want 503", v.status, v.body)
	}
}

func TestLogoutByScript(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	b.signIn()
	req, _ := http.NewRequest(http.MethodPost, a.url+"/auth/logout", nil)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Accept", "application/json")
	v := b.send(req)
	var got struct{ Location string }
	if err := json.Unmarshal([]byte(v.body), &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if v.status != 200 || !strings.HasPrefix(got.Location, idp.Issuer+"/logout?") || b.signedIn() {
		t.Errorf("POST /auth/logout by a script = %d %s", v.status, v.body)
	}
}

// TestEverywhere: all sessions of the person end, and nobody else's.
func TestEverywhere(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		idp.AddUser(gatetest.User{Subject: "ann"})
		idp.AddUser(gatetest.User{Subject: "bob"})
		a := newApp(t, o, idp.Config("main"))
		phone, desk, other := newBrowser(t, a, idp), newBrowser(t, a, idp), newBrowser(t, a, idp)
		phone.signIn()
		desk.signIn()
		idp.SignInAs("bob")
		other.signIn()
		if v := desk.post("/auth/logout", url.Values{"everywhere": {"1"}}); v.status != 200 {
			t.Fatalf("POST /auth/logout = %d %s", v.status, v.body)
		}
		if phone.signedIn() || desk.signedIn() || !other.signedIn() {
			t.Errorf("signed in afterwards: phone %v, desk %v, somebody else %v", phone.signedIn(), desk.signedIn(), other.signedIn())
		}
		for _, bad := range []string{"everywhere=2", "everywhere=1&everywhere=1", "%zz"} {
			v := other.do(http.MethodPost, "/auth/logout", "same-origin", "application/x-www-form-urlencoded", bad)
			if v.status != 400 || !other.signedIn() {
				t.Errorf("POST /auth/logout with %q = %d", bad, v.status)
			}
		}
		if v := other.do(http.MethodPost, "/auth/logout", "same-origin", "text/plain", "everywhere=1"); v.status != 400 {
			t.Errorf("POST /auth/logout with a text = %d", v.status)
		}
	})
}

func TestListAndEnd(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.AddUser(gatetest.User{Subject: "ann"})
	idp.AddUser(gatetest.User{Subject: "bob"})
	a := newApp(t, option{}, idp.Config("main"))
	phone, desk, other := newBrowser(t, a, idp), newBrowser(t, a, idp), newBrowser(t, a, idp)
	phone.signIn()
	desk.signIn()
	idp.SignInAs("bob")
	other.signIn()
	type entry struct {
		ID      string
		Current bool
		Agent   string
	}
	list := func(b *browser) []entry {
		t.Helper()
		var got struct{ Sessions []entry }
		v := b.call("/auth/sessions")
		if err := json.Unmarshal([]byte(v.body), &got, json.MatchCaseInsensitiveNames(true)); err != nil || v.status != 200 {
			t.Fatalf("GET /auth/sessions = %d %s", v.status, v.body)
		}
		return got.Sessions
	}
	mine := list(desk)
	if len(mine) != 2 || len(list(other)) != 1 {
		t.Fatalf("sessions: %v and %v", mine, list(other))
	}
	for _, s := range mine {
		if s.Current {
			continue
		}
		path := "/auth/sessions/" + s.ID
		if v := other.do(http.MethodDelete, path, "same-origin", "", ""); v.status != 404 || !phone.signedIn() {
			t.Errorf("somebody else's DELETE = %d", v.status)
		}
		if v := desk.do(http.MethodDelete, path, "cross-site", "", ""); v.status != 403 || !phone.signedIn() {
			t.Errorf("DELETE from another site = %d", v.status)
		}
		if v := desk.do(http.MethodDelete, path, "same-origin", "", ""); v.status != 204 || phone.signedIn() {
			t.Errorf("DELETE = %d, the phone is signed in: %v", v.status, phone.signedIn())
		}
		if v := desk.do(http.MethodDelete, path, "same-origin", "", ""); v.status != 404 {
			t.Errorf("DELETE again = %d", v.status)
		}
	}
	for _, id := range []string{"x", strings.Repeat("A", 43)} {
		if v := desk.do(http.MethodDelete, "/auth/sessions/"+id, "same-origin", "", ""); v.status != 404 {
			t.Errorf("DELETE of session %q = %d", id, v.status)
		}
	}
	left := list(desk)
	if len(left) != 1 || !left[0].Current {
		t.Fatalf("sessions left: %v", left)
	}
	if v := desk.do(http.MethodDelete, "/auth/sessions/"+left[0].ID, "same-origin", "", ""); v.status != 204 || desk.signedIn() || desk.cookie(session.DefaultCookie) != "" {
		t.Errorf("DELETE of one's own = %d", v.status)
	}
}

func TestBackChannel(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		idp.AddUser(gatetest.User{Subject: "ann"})
		idp.AddUser(gatetest.User{Subject: "bob"})
		a := newApp(t, o, idp.Config("main"))
		idp.RegisterServer(a.url, "main", a.server.Client())
		phone, desk, other := newBrowser(t, a, idp), newBrowser(t, a, idp), newBrowser(t, a, idp)
		phone.signIn()
		desk.signIn()
		idp.SignInAs("bob")
		other.signIn()
		sids := idp.Sessions("ann")
		if len(sids) != 2 {
			t.Fatalf("the provider has %d sessions", len(sids))
		}
		// One session of the provider ends one of ours.
		if status, err := idp.Logout(t.Context(), "ann", sids[0]); err != nil || status != 200 {
			t.Fatalf("Logout() = %d, %v", status, err)
		}
		if phone.signedIn() == desk.signedIn() || !other.signedIn() {
			t.Errorf("signed in: phone %v, desk %v, somebody else %v", phone.signedIn(), desk.signedIn(), other.signedIn())
		}
		// The person's logout ends all of theirs, and the token is used once.
		token := idp.LogoutToken("ann", "")
		send := func() visit {
			return desk.do(http.MethodPost, "/auth/backchannel-logout/main", "cross-site", "application/x-www-form-urlencoded", url.Values{"logout_token": {token}}.Encode())
		}
		if v := send(); v.status != 200 || v.header.Get("Cache-Control") != "no-store" {
			t.Errorf("back-channel logout = %d %s", v.status, v.body)
		}
		if phone.signedIn() || desk.signedIn() || !other.signedIn() {
			t.Errorf("signed in: phone %v, desk %v, somebody else %v", phone.signedIn(), desk.signedIn(), other.signedIn())
		}
		if v := send(); v.status != 400 || !strings.Contains(v.body, `"invalid_request"`) {
			t.Errorf("the same logout token again = %d %s", v.status, v.body)
		}
		a.log.wants(t, "audit=true", "back-channel logout", "subject=ann")

		// A store that is down is 503, and the token can be sent again.
		other.signIn()
		token = idp.LogoutToken("bob", "")
		a.down.Store(true)
		if v := send(); v.status != 503 {
			t.Errorf("back-channel logout with the store down = %d", v.status)
		}
		a.down.Store(false)
		if v := send(); v.status != 200 || other.signedIn() {
			t.Errorf("back-channel logout sent again = %d, signed in: %v", v.status, other.signedIn())
		}
	})
}

// TestBackChannelOvertakesTheLogin: a logout that comes while the provider is
// slow to say who has just signed in ends the session that comes of it.
func TestBackChannelOvertakesTheLogin(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		idp.RegisterServer(a.url, "main", a.server.Client())
		b := newBrowser(t, a, idp)
		b.signIn() // keys are fetched
		b.post("/auth/logout", nil)
		callback := b.step(b.step("/auth/login?return_to=/", "none").header.Get("Location"), "cross-site").header.Get("Location")
		idp.Misbehave(gatetest.Mischief{Faults: map[string]gatetest.Fault{"/userinfo": {Delay: 2 * time.Second}}})
		asked := idp.Requests("/userinfo")
		done := make(chan visit, 1)
		go func() { done <- b.follow(callback, "cross-site", 5) }()
		for idp.Requests("/userinfo") == asked {
			time.Sleep(10 * time.Millisecond)
		}
		sids := idp.Sessions("ann")
		if status, err := idp.Logout(t.Context(), "ann", sids[len(sids)-1]); err != nil || status != 200 {
			t.Errorf("Logout() = %d, %v", status, err)
		}
		if v := <-done; v.status != 200 || !strings.Contains(v.body, "Please sign in again") || b.signedIn() {
			t.Errorf("a login whose session the provider has ended = %d %s, signed in: %v", v.status, v.body, b.signedIn())
		}
	})
}
