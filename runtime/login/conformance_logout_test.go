package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/session"
)

// signOut posts the application's own form and goes where that leads.
func signOut(t *testing.T, b *browser) visit {
	t.Helper()
	v := b.post("/auth/logout", nil)
	away := refresh.FindStringSubmatch(v.body)
	if v.status != 200 || away == nil {
		t.Fatalf("POST /auth/logout = %d %s", v.status, words(v))
	}
	return b.follow(html.UnescapeString(away[1]), "cross-site", 10)
}

// TestConformanceRPInitiatedLogout has the tests of the plan
// oidcc-client-rp-initiated-logout-rp-basic: whatever state comes back from the
// provider, or none, the person is signed out and told so.
func TestConformanceRPInitiatedLogout(t *testing.T) {
	for _, c := range []struct {
		id     string
		change func(q url.Values)
		state  func(sent string) string
	}{
		{"oidcc-client-test-rp-init-logout", nil, func(sent string) string { return sent }},
		{"oidcc-client-test-rp-init-logout-other-state", func(q url.Values) { q.Set("state", script) }, func(string) string { return script }},
		{"oidcc-client-test-rp-init-logout-no-state", func(q url.Values) { q.Del("state") }, func(string) string { return "" }},
	} {
		t.Run(c.id, func(t *testing.T) {
			both(t, func(t *testing.T, o option) {
				s := newStage(t, play{option: o})
				b := s.run(t, trial{must: accept})
				old := b.cookie(session.DefaultCookie)
				s.idp.Misbehave(gatetest.Mischief{LogoutCallback: c.change})
				v := signOut(t, b)

				q := s.idp.Asked("/logout")[0].Query
				if q.Get("state") == "" || q.Get("client_id") != s.idp.ClientID || q.Get("post_logout_redirect_uri") != s.url+"/auth/logout" {
					t.Errorf("the provider's logout was asked with %v", q)
				}
				// Only a session that keeps tokens can name its own there.
				if q.Has("id_token_hint") != (o.kind == session.Server) {
					t.Errorf("id_token_hint is %q", q.Get("id_token_hint"))
				}
				to, err := url.Parse(v.url)
				if err != nil || !strings.HasPrefix(v.url, s.url+"/auth/logout") || to.Query().Get("state") != c.state(q.Get("state")) {
					t.Fatalf("the provider leads back to %s", v.url)
				}
				if v.status != 200 || !strings.Contains(v.body, "You are signed out") {
					t.Errorf("the page is %d %s", v.status, words(v))
				}
				s.checkPage(t, v)
				s.holdsNothing(t, b)
				b.setCookie(session.DefaultCookie, old)
				if b.signedIn() {
					t.Error("the session goes on")
				}
				s.log.wants(t, "audit=true", "msg=logout")
				s.checkSecrets(t, v, b)
			})
		})
	}
}

// eventOf has another event than the logout in a logout token.
func eventOf(name string, value any) func(c map[string]any) {
	return func(c map[string]any) { c["events"] = map[string]any{name: value} }
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// TestConformanceBackChannel has the tests of the plan
// oidcc-client-back-channel-logout-rp-basic. The suite begins each with a logout
// of the application's own; that session is over by the time the token comes.
// So there is another session of the person, which only a good token may end.
func TestConformanceBackChannel(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id      string
		forgery gatetest.Forgery
		before  func(idp *gatetest.Provider)
		good    bool
	}{
		{id: "oidcc-client-test-rp-backchannel-rpinitlogout", good: true},
		{id: "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none", forgery: gatetest.Forgery{Algorithm: "none"}},
		{id: "oidcc-client-test-rp-backchannel-rpinitlogout-no-event", forgery: gatetest.Forgery{Claims: func(c map[string]any) { delete(c, "events") }}},
		{id: "oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce", forgery: gatetest.Forgery{Claims: func(c map[string]any) { c["nonce"] = "x" }}},
		// ES256, with a key that is published, where RS256 is configured.
		{id: "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg", before: func(idp *gatetest.Provider) { idp.UseKey("ES256", key) }},
		{id: "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud", forgery: gatetest.Forgery{Claims: func(c map[string]any) { c["aud"] = fmt.Sprint(c["aud"], "1") }}},
		{id: "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event", forgery: gatetest.Forgery{Claims: eventOf(logoutEvent+"-x", map[string]any{})}},
		{id: "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss", forgery: gatetest.Forgery{Claims: func(c map[string]any) { c["iss"] = fmt.Sprint(c["iss"], "1") }}},
	} {
		t.Run(c.id, func(t *testing.T) {
			both(t, func(t *testing.T, o option) {
				s := newStage(t, play{option: o})
				phone, desk := s.run(t, trial{must: accept}), s.run(t, trial{must: accept})
				if c.before != nil {
					c.before(s.idp)
				}
				s.idp.Misbehave(gatetest.Mischief{LogoutToken: c.forgery})
				want := map[bool]int{true: 200, false: 400}[c.good]
				s.log.reset()
				// The logout that the suite begins with. The provider can name
				// the session, and tell us, where it was given a hint.
				if v := signOut(t, phone); v.status != 200 || !strings.Contains(v.body, "You are signed out") {
					t.Errorf("the logout ends at %s with %d", v.url, v.status)
				}
				if o.kind == session.Server && !slices.Equal(s.idp.LogoutNotices(), []int{want}) {
					t.Errorf("the provider's notices were answered %v, want %d", s.idp.LogoutNotices(), want)
				}
				if phone.signedIn() || !desk.signedIn() {
					t.Fatalf("signed in: phone %v, desk %v", phone.signedIn(), desk.signedIn())
				}
				// And one by which the other session is to end.
				status, err := s.idp.Logout(t.Context(), "ann", "")
				if err != nil || status != want {
					t.Errorf("the logout token was answered %d, %v, want %d", status, err, want)
				}
				if desk.signedIn() == c.good {
					t.Errorf("signed in afterwards: %v", desk.signedIn())
				}
				if c.good {
					s.log.wants(t, "audit=true", "back-channel logout", "subject=ann")
				} else {
					s.log.wants(t, "audit=true", "back-channel logout refused", "provider=main", "cause=")
				}
				s.checkSecrets(t, visit{}, desk)
			})
		})
	}
}

// TestAdversaryLogoutToken: nothing but a logout token of the provider, for us,
// new and not used before, ends a session (Back-Channel Logout 1.0, section
// 2.6); and whoever sends something else learns nothing from the answer.
func TestAdversaryLogoutToken(t *testing.T) {
	set := func(name string, value any) gatetest.Forgery {
		return gatetest.Forgery{Claims: func(c map[string]any) {
			c[name] = value
			if value == nil {
				delete(c, name)
			}
		}}
	}
	type caught struct {
		name    string
		forgery gatetest.Forgery
		cause   string
	}
	cases := []caught{
		{"iss is absent", set("iss", nil), "issued by"},
		{"aud is two", set("aud", []any{clientID, "mallory"}), "aud is not"},
		{"aud is absent", set("aud", nil), "aud is not"},
		{"azp is another", set("azp", "mallory"), "azp"},
		{"a foreign key", gatetest.Forgery{Foreign: true}, "signature"},
		{"signature corrupt", gatetest.Forgery{Corrupt: true}, "signature"},
		{"HS256 with the public key", gatetest.Forgery{Algorithm: "HS256"}, "alg"},
		{"kid is unknown", gatetest.Forgery{Header: func(h map[string]any) { h["kid"] = "x" }}, "key"},
		{"typ is that of an access token", gatetest.Forgery{Header: func(h map[string]any) { h["typ"] = "at+jwt" }}, "typ"},
		{"iat is absent", set("iat", nil), "iat is missing"},
		{"iat is an hour ago", set("iat", in(-time.Hour)), "issued"},
		{"iat is an hour ahead", set("iat", in(time.Hour)), "clock"},
		{"exp is over", set("exp", in(-2*time.Minute)), "expired"},
		{"nbf is ahead", set("nbf", in(time.Hour)), "nbf"},
		{"jti is absent", set("jti", nil), "jti is missing"},
		{"jti is empty", set("jti", ""), "jti"},
		{"jti is a number", set("jti", 4711), "jti"},
		{"jti is huge", set("jti", strings.Repeat("x", 300)), "jti"},
		{"nonce is empty", set("nonce", ""), "nonce"},
		{"nonce is null", gatetest.Forgery{Claims: func(c map[string]any) { c["nonce"] = nil }}, "nonce"},
		{"sub and sid are absent", set("sub", nil), "sub and sid are missing"},
		{"sub is empty", set("sub", ""), "sub"},
		{"sub is a list", set("sub", []any{"ann"}), ""},
		{"sub has 256 bytes", set("sub", strings.Repeat("a", 256)), "sub"},
		{"sid is a number", set("sid", 4711), "sid"},
		{"events is a list", set("events", []any{logoutEvent}), "events"},
		{"events is empty", set("events", map[string]any{}), "events"},
		{"the event is a text", gatetest.Forgery{Claims: eventOf(logoutEvent, "x")}, "events"},
		{"the event is null", gatetest.Forgery{Claims: eventOf(logoutEvent, nil)}, "events"},
		{"another event beside it", set("events", map[string]any{logoutEvent: map[string]any{}, "https://evil.example/": map[string]any{}}), "events"},
		{"sub is there twice", gatetest.Forgery{RawClaims: before(`"sub":"mallory"`).IDToken.RawClaims}, "twice"},
		{"Sub beside sub", set("Sub", "mallory"), "another case"},
		{"no token", gatetest.Forgery{Whole: func(string) string { return script }}, ""},
		{"huge", set("more", strings.Repeat("x", 100<<10)), ""},
	}
	both(t, func(t *testing.T, o option) {
		s := newStage(t, play{option: o})
		b := s.run(t, trial{must: accept})
		refused := func(t *testing.T, v visit, cause string) {
			t.Helper()
			if v.status != 400 || v.header.Get("Content-Type") != "application/json" || v.header.Get("Cache-Control") != "no-store" ||
				v.body != `{"error":"invalid_request","error_description":"The logout token is not valid."}`+"\n" {
				t.Errorf("it is answered %d %v %s", v.status, v.header, v.body)
			}
			s.log.wants(t, "audit=true", "back-channel logout refused", "provider=main", "cause=", cause)
			if !b.signedIn() {
				t.Fatal("the session has ended")
			}
			s.checkSecrets(t, v, b)
		}
		const path, form = "/auth/backchannel-logout/main", "application/x-www-form-urlencoded"
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				s.log.reset()
				s.idp.Misbehave(gatetest.Mischief{LogoutToken: c.forgery})
				refused(t, b.do(http.MethodPost, path, "cross-site", form, url.Values{"logout_token": {s.idp.LogoutToken("ann", "")}}.Encode()), c.cause)
			})
		}
		s.misbehave(gatetest.Mischief{})
		good := s.idp.LogoutToken("ann", "")
		encoded := url.Values{"logout_token": {good}}.Encode()
		for _, c := range []struct{ name, kind, body string }{
			{"nothing", form, ""},
			{"an empty token", form, "logout_token="},
			{"the token twice", form, encoded + "&" + encoded},
			{"as JSON", "application/json", `{"logout_token":"` + good + `"}`},
			{"as text", "text/plain", encoded},
			{"as a form of the other kind", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"logout_token\"\r\n\r\n" + good + "\r\n--x--\r\n"},
			{"without a type", "", encoded},
			{"under another name", form, "token=" + good},
			{"an ID token", form, "logout_token=" + s.idp.LastIDToken()},
		} {
			t.Run(c.name, func(t *testing.T) {
				s.log.reset()
				refused(t, b.do(http.MethodPost, path, "cross-site", c.kind, c.body), "")
			})
		}
		t.Run("in the query", func(t *testing.T) {
			s.log.reset()
			refused(t, b.do(http.MethodPost, path+"?"+encoded, "cross-site", form, ""), "")
		})
		t.Run("by GET", func(t *testing.T) {
			if v := b.do(http.MethodGet, path+"?"+encoded, "cross-site", "", ""); v.status != 405 || !b.signedIn() {
				t.Errorf("GET = %d", v.status)
			}
		})
		t.Run("for another provider", func(t *testing.T) {
			if v := b.do(http.MethodPost, "/auth/backchannel-logout/other", "cross-site", form, encoded); v.status != 404 || !b.signedIn() {
				t.Errorf("POST for a provider that is not = %d", v.status)
			}
		})
		t.Run("from another provider", func(t *testing.T) {
			s.log.reset()
			other := gatetest.NewProvider(t)
			refused(t, b.do(http.MethodPost, path, "cross-site", form, "logout_token="+other.LogoutToken("ann", "")), "key")
		})
		t.Run("of somebody else", func(t *testing.T) {
			if v := b.do(http.MethodPost, path, "cross-site", form, "logout_token="+s.idp.LogoutToken("bob", "")); v.status != 200 || !b.signedIn() {
				t.Errorf("POST for bob = %d, ann is signed in: %v", v.status, b.signedIn())
			}
			if v := b.do(http.MethodPost, path, "cross-site", form, "logout_token="+s.idp.LogoutToken("ann", "another")); v.status != 200 || !b.signedIn() {
				t.Errorf("POST for another session of ann's = %d, signed in: %v", v.status, b.signedIn())
			}
		})
		t.Run("and then an honest one", func(t *testing.T) {
			if v := b.do(http.MethodPost, path, "cross-site", form, encoded); v.status != 200 || v.body != "" || b.signedIn() {
				t.Errorf("POST = %d %s, signed in: %v", v.status, v.body, b.signedIn())
			}
			b := s.run(t, trial{must: accept})
			if v := b.do(http.MethodPost, path, "cross-site", form, encoded); v.status != 400 || !b.signedIn() {
				t.Errorf("the same again = %d, signed in: %v", v.status, b.signedIn())
			}
			s.log.wants(t, "back-channel logout refused", "used before")
		})
	})
}
