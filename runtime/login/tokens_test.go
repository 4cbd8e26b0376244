package login_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// offline asks for a refresh token.
func offline(p provider.Config) provider.Config {
	p.Scopes = append(p.Scopes, "offline_access")
	return p
}

// TestRefresh: twenty requests at once, on two replicas, with a token that is
// over, lead to one refresh, and all get the new token.
func TestRefresh(t *testing.T) {
	var passed atomic.Int64 // on the clocks of all
	idp := gatetest.NewProvider(t, gatetest.ProviderConfig{
		ExpiresIn: 5 * time.Minute, Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) },
	})
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	one := newApp(t, option{ring: ring}, offline(idp.Config("main")))
	two := newApp(t, option{ring: ring, store: one.stores}, offline(idp.Config("main")))
	b := newBrowser(t, one, idp)
	b.signIn()
	first := b.call("/token")
	if first.status != 200 || idp.Grants("refresh_token") != 0 {
		t.Fatalf("GET /token = %d %s, after %d refreshes", first.status, first.body, idp.Grants("refresh_token"))
	}
	// The store holds no token in the clear.
	rows, err := one.stores.Sessions().List(t.Context(), userOf(t, b), 10)
	if err != nil || len(rows) != 1 {
		t.Fatalf("List() = %d sessions, %v", len(rows), err)
	}
	if strings.Contains(string(rows[0].Tokens), first.body) || len(rows[0].Tokens) == 0 {
		t.Error("the provider's token is stored in the clear, or not at all")
	}

	pass := func(d time.Duration) {
		passed.Store(int64(d))
		one.offset.Store(int64(d))
		two.offset.Store(int64(d))
	}
	pass(6 * time.Minute)
	answers := tokensAtOnce(t, b.cookie(session.DefaultCookie), one, two)
	if len(answers) != 1 || idp.Grants("refresh_token") != 1 || idp.RefreshReuses() != 0 {
		t.Errorf("20 requests: %v, with %d refreshes and %d reuses", answers, idp.Grants("refresh_token"), idp.RefreshReuses())
	}
	for a := range answers {
		if !strings.HasPrefix(a, "200") || strings.Contains(a, first.body) {
			t.Errorf("the token after the refresh: %s", a)
		}
	}
	// And again with the rotated one.
	pass(13 * time.Minute)
	if v := b.call("/token"); v.status != 200 || idp.Grants("refresh_token") != 2 || idp.RefreshReuses() != 0 {
		t.Errorf("the second refresh = %d %s", v.status, v.body)
	}
}

// tokensAtOnce asks apps for the access token 20 times and counts the answers.
func tokensAtOnce(t *testing.T, cookie string, apps ...*app) map[string]int {
	t.Helper()
	var (
		mu      sync.Mutex
		wait    sync.WaitGroup
		answers = make(map[string]int)
	)
	for i := range 20 {
		wait.Go(func() {
			a := apps[i%len(apps)]
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/token", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.AddCookie(&http.Cookie{Name: session.DefaultCookie, Value: cookie})
			res, err := a.server.Client().Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[res.Status+" "+string(body)]++
		})
	}
	wait.Wait()
	return answers
}

func userOf(t *testing.T, b *browser) string {
	t.Helper()
	return b.call("/me").body
}

// TestRefreshFails: a provider that refuses ends the session; one that is
// silent does not.
func TestRefreshFails(t *testing.T) {
	for name, c := range map[string]struct {
		mischief gatetest.Mischief
		status   int
		ends     bool
	}{
		"refused": {gatetest.Mischief{Faults: map[string]gatetest.Fault{"/token": {
			Status: 400, Type: "application/json", Body: func([]byte) []byte { return []byte(`{"error":"invalid_grant"}`) }}}}, 401, true},
		"another secret": {gatetest.Mischief{Faults: map[string]gatetest.Fault{"/token": {
			Status: 401, Type: "application/json", Body: func([]byte) []byte { return []byte(`{"error":"invalid_client"}`) }}}}, 503, false},
		"another person": {gatetest.Mischief{IDToken: gatetest.Forgery{Claims: func(c map[string]any) { c["sub"] = "mallory" }}}, 401, true},
		"another issuer": {gatetest.Mischief{IDToken: gatetest.Forgery{Claims: func(c map[string]any) { c["iss"] = "https://evil.example" }}}, 401, true},
		"a firewall": {gatetest.Mischief{Faults: map[string]gatetest.Fault{"/token": {
			Status: 403, Type: "text/html", Body: func([]byte) []byte { return []byte("<h1>Blocked</h1>") }}}}, 503, false},
		"failing":  {gatetest.Mischief{Faults: map[string]gatetest.Fault{"/token": {Status: 500}}}, 503, false},
		"dropping": {gatetest.Mischief{Faults: map[string]gatetest.Fault{"/token": {Drop: true}}}, 503, false},
	} {
		t.Run(name, func(t *testing.T) {
			idp := gatetest.NewProvider(t, gatetest.ProviderConfig{ExpiresIn: 5 * time.Minute})
			a := newApp(t, option{}, offline(idp.Config("main")))
			b := newBrowser(t, a, idp)
			b.signIn()
			a.offset.Store(int64(6 * time.Minute))
			idp.Misbehave(c.mischief)
			v := b.call("/token")
			if v.status != c.status || b.signedIn() == c.ends {
				t.Errorf("GET /token = %d %s, signed in afterwards: %v", v.status, v.body, b.signedIn())
			}
			if c.ends {
				if v.header.Get("WWW-Authenticate") != "Cookie" || !strings.Contains(v.body, "session_ended") {
					t.Errorf("the answer is %v %s", v.header, v.body)
				}
				a.log.wants(t, "audit=true", "session ended", "refresh failed")
			}
		})
	}
}

func TestNoRefreshToken(t *testing.T) {
	idp := gatetest.NewProvider(t, gatetest.ProviderConfig{ExpiresIn: 5 * time.Minute, NoRefresh: true})
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	b.signIn()
	if v := b.call("/token"); v.status != 200 {
		t.Errorf("GET /token = %d", v.status)
	}
	a.offset.Store(int64(6 * time.Minute))
	if v := b.call("/me"); v.status != 200 {
		t.Errorf("a session whose access token is over = %d, want it to go on until somebody asks for the token", v.status)
	}
	if v := b.call("/token"); v.status != 401 || b.signedIn() {
		t.Errorf("GET /token = %d, signed in: %v", v.status, b.signedIn())
	}
}

func TestSealedHasNoToken(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{kind: session.Sealed}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	b.signIn()
	if v := b.call("/token"); v.status != 500 || !strings.Contains(v.body, "internal") {
		t.Errorf("GET /token with a sealed session = %d %s", v.status, v.body)
	}
	if v := b.call("/auth/sessions"); v.status != 501 {
		t.Errorf("GET /auth/sessions with sealed sessions = %d", v.status)
	}
	ring, _ := secret.NewRing(secret.Random(32))
	sessions, err := session.New(session.Config{Kind: session.Sealed, Revocations: a.stores.Revocations(), Users: a.stores.Users(), Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	_, err = login.New(login.Config{
		PublicURL: a.url, Providers: []provider.Config{offline(idp.Config("main"))}, Sessions: sessions, Users: a.stores.Users(),
		Marks: a.stores.Marks(), Locks: a.stores.Locks(), Ring: ring, Schemes: []login.Scheme{{Name: "session"}},
	})
	if err == nil || !strings.Contains(err.Error(), "offline_access") || !strings.Contains(err.Error(), "kind: server") {
		t.Errorf("New() with sealed sessions and offline_access = %v", err)
	}
}

// TestRefreshURL: a refresh goes where the document sends it, and only where the
// token endpoint is the document's too.
func TestRefreshURL(t *testing.T) {
	for name, own := range map[string]bool{"the document's endpoints": false, "endpoints of one's own": true} {
		t.Run(name, func(t *testing.T) {
			idp := gatetest.NewProvider(t, gatetest.ProviderConfig{ExpiresIn: 5 * time.Minute})
			cfg := idp.OAuthConfig("hub")
			cfg.Scopes = []string{"offline_access"}
			auth, token := cfg.AuthorizationURL, cfg.TokenURL
			if !own {
				cfg.AuthorizationURL, cfg.TokenURL = "", ""
			}
			a := newApp(t, option{config: func(c *login.Config) {
				s := &c.Schemes[0]
				s.AuthorizationURL, s.TokenURL, s.RefreshURL = auth, token, token+"?at=refresh"
			}}, cfg)
			b := newBrowser(t, a, idp)
			b.signIn()
			a.offset.Store(int64(6 * time.Minute))
			if v := b.call("/token"); v.status != 200 || idp.Grants("refresh_token") != 1 {
				t.Fatalf("GET /token = %d %s, after %d refreshes", v.status, v.body, idp.Grants("refresh_token"))
			}
			asked := idp.Asked("/token")
			last := asked[len(asked)-1]
			if got := last.Query.Get("at") == "refresh"; got == own || asked[0].Query.Has("at") {
				t.Errorf("the refresh went to the document's refreshUrl: %v, want %v; the code: %v", got, !own, asked[0].Query)
			}
		})
	}
}

// TestEndpointsDiffer: of two schemes that say different things neither is taken.
func TestEndpointsDiffer(t *testing.T) {
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	hub := provider.Config{Name: "hub", ClientID: "x", ClientSecret: secret.New("abc"), UserURL: "https://hub.example/user"}
	one := login.Scheme{Name: "one", AuthorizationURL: "https://hub.example/a", TokenURL: "https://hub.example/t"}
	two := one
	two.Name, two.TokenURL = "two", "https://elsewhere.example/t"
	_, err = login.New(login.Config{PublicURL: "https://blog.example", Ring: ring, Providers: []provider.Config{hub}, Schemes: []login.Scheme{one, two}})
	if err == nil || !strings.Contains(err.Error(), `schemes "one" and "two"`) || !strings.Contains(err.Error(), "token_url") {
		t.Errorf("New() = %v, want both schemes named", err)
	}
}
