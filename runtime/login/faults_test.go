package login_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// silent has every endpoint of a provider fail.
var silent = gatetest.Mischief{Faults: map[string]gatetest.Fault{
	"/.well-known/openid-configuration": {Drop: true}, "/token": {Drop: true}, "/jwks": {Drop: true}, "/userinfo": {Drop: true},
}}

// TestProviderDownAtStart: the server starts, says so, and recovers.
func TestProviderDownAtStart(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.Misbehave(silent)
	a := newApp(t, option{}, idp.Config("main"))
	a.log.wants(t, "level=WARN", "provider does not answer", "provider=main")
	if err := a.login.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "main") {
		t.Errorf("Check() = %v, want the provider named", err)
	}
	b := newBrowser(t, a, idp)
	if v := b.open("/auth/login"); v.status != 503 || v.header.Get("Retry-After") == "" || !strings.Contains(v.body, "Try again") {
		t.Errorf("a login while the provider is silent = %d %s", v.status, v.body)
	}
	if v := b.call("/me"); v.status != 401 {
		t.Errorf("GET /me while the provider is silent = %d", v.status)
	}
	idp.Misbehave(gatetest.Mischief{})
	a.offset.Store(int64(2 * time.Second)) // it is asked once a second at most
	if err := a.login.Check(t.Context()); err != nil {
		t.Errorf("Check() = %v", err)
	}
	if v := b.signIn(); v.status != 200 || !b.signedIn() {
		t.Errorf("a login after the provider came back = %d %s", v.status, v.body)
	}
}

// TestSilentProviderIsAskedSeldom: people who try again do not make it worse.
func TestSilentProviderIsAskedSeldom(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.Misbehave(silent)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	before := idp.Requests("/.well-known/openid-configuration")
	a.offset.Store(int64(2 * time.Second))
	fixed := time.Now()
	for range 30 {
		b.step("/auth/login", "none")
	}
	// One look a second, and one more for the connection that was kept and dropped.
	most := 2 * (2 + int(time.Since(fixed)/time.Second))
	if n := idp.Requests("/.well-known/openid-configuration") - before; n > most {
		t.Errorf("30 logins asked the silent provider %d times, want at most %d", n, most)
	}
}

// TestMetadataThatDoNotMatch: such a provider keeps the server from starting.
func TestMetadataThatDoNotMatch(t *testing.T) {
	for name, change := range map[string]func(m map[string]any){
		"another issuer":         func(m map[string]any) { m["issuer"] = "https://evil.example" },
		"a slash more":           func(m map[string]any) { m["issuer"] = m["issuer"].(string) + "/" },
		"no issuer":              func(m map[string]any) { delete(m, "issuer") },
		"http authorization":     func(m map[string]any) { m["authorization_endpoint"] = "http://id.example/authorize" },
		"http token":             func(m map[string]any) { m["token_endpoint"] = "http://id.example/token" },
		"http keys":              func(m map[string]any) { m["jwks_uri"] = "http://id.example/jwks" },
		"http UserInfo":          func(m map[string]any) { m["userinfo_endpoint"] = "http://id.example/userinfo" },
		"http logout":            func(m map[string]any) { m["end_session_endpoint"] = "http://id.example/logout" },
		"script as a logout":     func(m map[string]any) { m["end_session_endpoint"] = "javascript:alert(1)" },
		"no token endpoint":      func(m map[string]any) { delete(m, "token_endpoint") },
		"no keys":                func(m map[string]any) { delete(m, "jwks_uri") },
		"no authorization":       func(m map[string]any) { delete(m, "authorization_endpoint") },
		"issuer in another case": func(m map[string]any) { m["Issuer"] = m["issuer"]; delete(m, "issuer") },
	} {
		idp := gatetest.NewProvider(t)
		idp.Misbehave(gatetest.Mischief{Metadata: change})
		a := newApp(t, option{noOpen: true}, idp.Config("main"))
		if err := a.login.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "do not match") {
			t.Errorf("%s: Open() = %v, want that the metadata do not match", name, err)
		}
		b := newBrowser(t, a, idp)
		if v := b.open("/auth/login"); v.status != 503 {
			t.Errorf("%s: a login = %d, want 503", name, v.status)
		}
	}
}

// TestClockOff: a clock that is an hour off is the cause that the log names.
func TestClockOff(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		idp := gatetest.NewProvider(t)
		a := newApp(t, option{}, idp.Config("main"))
		idp.Misbehave(gatetest.Mischief{Clock: off})
		b := newBrowser(t, a, idp)
		if v := b.signIn(); v.status != 403 || b.signedIn() {
			t.Errorf("a provider an hour %s: %d, signed in: %v", name, v.status, b.signedIn())
		}
		a.log.wants(t, "login failed", "clock")
	}
}

// TestStoreDown: nobody is let in, nobody is thrown out.
func TestStoreDown(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a := newApp(t, o, idp.Config("main"))
		b := newBrowser(t, a, idp)
		b.signIn()
		callback := b.step(b.step("/auth/login?return_to=/me", "none").header.Get("Location"), "cross-site").header.Get("Location")
		a.down.Store(true)
		for _, path := range []string{"/me", "/auth/session"} {
			v := b.call(path)
			if v.status != 503 || v.header.Get("Retry-After") == "" || len(v.header["Set-Cookie"]) != 0 {
				t.Errorf("GET %s with the store down = %d %v", path, v.status, v.header)
			}
		}
		if v := b.post("/auth/logout", nil); v.status != 503 || len(v.header["Set-Cookie"]) != 0 {
			t.Errorf("POST /auth/logout with the store down = %d %v", v.status, v.header["Set-Cookie"])
		}
		v := b.step(callback, "cross-site")
		if v.status != 503 || idp.Requests("/token") != 1 {
			t.Errorf("a callback with the store down = %d", v.status)
		}
		a.down.Store(false)
		if !b.signedIn() {
			t.Error("the session is lost")
		}
		// The login goes on where it was.
		if v := b.follow(callback, "cross-site", 10); v.status != 200 || v.url != a.url+"/me" {
			t.Errorf("the callback asked for again ends at %s with %d", v.url, v.status)
		}
	})
}

// TestForeignSessionCookie: cut, changed, of another server: absent, cleared,
// and told.
func TestForeignSessionCookie(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		idp := gatetest.NewProvider(t)
		a, other := newApp(t, o, idp.Config("main")), newApp(t, o, idp.Config("main"))
		b, elsewhere := newBrowser(t, a, idp), newBrowser(t, other, idp)
		b.signIn()
		elsewhere.signIn()
		good := b.cookie(session.DefaultCookie)
		for name, value := range map[string]string{
			"cut": good[:len(good)-1], "longer": good + "A", "changed": "AAAA" + good[4:],
			"of another server": elsewhere.cookie(session.DefaultCookie), "none of ours": "hello",
		} {
			a.log.reset()
			b.setCookie(session.DefaultCookie, value)
			v := b.call("/me")
			if v.status != 401 || !strings.Contains(v.body, "credential_missing") || b.cookie(session.DefaultCookie) != "" {
				t.Errorf("a cookie that is %s: %d %s, left: %q", name, v.status, v.body, b.cookie(session.DefaultCookie))
			}
			a.log.wants(t, "audit=true", "session")
			b.setCookie(session.DefaultCookie, value)
			if v := b.call("/"); v.status != 200 || v.body != "front" {
				t.Errorf("a public page with a cookie that is %s = %d", name, v.status)
			}
		}
	})
}

// TestNewRefuses names everything that is wrong.
func TestNewRefuses(t *testing.T) {
	_, err := login.New(login.Config{PublicURL: "http://blog.example", Providers: []provider.Config{{Name: "main", Issuer: "http://id.example", ClientID: "x", ClientSecret: secret.New("y")}}})
	for _, want := range []string{"public URL", "sessions missing", "user store missing", "marks missing", "locks missing", "key ring missing", "issuer", "https"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New() = %v, want %q in it", err, want)
		}
	}
}

// TestBindings: who answers for a scheme is never guessed.
func TestBindings(t *testing.T) {
	one := provider.Config{Name: "one", Issuer: "https://one.example", ClientID: "x", ClientSecret: secret.New("abc")}
	two := provider.Config{Name: "two", Issuer: "https://two.example", ClientID: "x", ClientSecret: secret.New("abc")}
	openID := login.Scheme{Name: "login", OpenIDURL: "https://one.example/.well-known/openid-configuration"}
	code := login.Scheme{Name: "login", AuthorizationURL: "https://id.example/a", TokenURL: "https://id.example/t"}
	codeOne := login.Scheme{Name: "login", AuthorizationURL: "https://one.example/a", TokenURL: "https://one.example/t"}
	cookie := login.Scheme{Name: "login"}
	tokens := provider.Config{Name: "tokens", Issuer: "https://one.example"}
	noSignIn := provider.Config{Name: "asked", Issuer: "https://one.example", ClientID: "x", ClientSecret: secret.New("abc"), NoSignIn: true}
	toTwo := map[string]provider.Binding{"login": {Providers: []string{"tokens", "two"}}}
	to := func(name string) map[string]provider.Binding {
		return map[string]provider.Binding{"login": {Providers: []string{name}}}
	}
	for name, c := range map[string]struct {
		scheme    login.Scheme
		providers []provider.Config
		bindings  map[string]provider.Binding
		why       string // "": somebody answers
	}{
		"none":                       {openID, nil, nil, "no identity provider is configured"},
		"the issuer of the document": {openID, []provider.Config{one, two}, nil, ""},
		"another issuer":             {openID, []provider.Config{two}, nil, "names the issuer https://one.example"},
		"another issuer, said so":    {openID, []provider.Config{two}, to("two"), ""},
		"a provider that is not":     {openID, []provider.Config{one}, to("three"), `no provider "three"`},
		"code of another host":       {code, []provider.Config{one}, nil, "not plain which"},
		"code of another, said so":   {code, []provider.Config{one}, to("one"), ""},
		"code at the issuer's host":  {codeOne, []provider.Config{one, two}, nil, ""},
		"code of nobody's host":      {code, []provider.Config{one, two}, nil, "not plain which"},
		"code and several, said":     {code, []provider.Config{one, two}, to("one"), ""},
		"a cookie and several":       {cookie, []provider.Config{one, two}, nil, ""},
		"tokens alone":               {openID, []provider.Config{tokens}, nil, "no identity provider is configured"},
		"tokens alone, said so":      {openID, []provider.Config{tokens}, to("tokens"), "nobody can sign in at the provider tokens"},
		"no sign-in, said so":        {openID, []provider.Config{noSignIn, two}, to("asked"), "nobody can sign in at the provider asked"},
		"no sign-in, by its issuer":  {openID, []provider.Config{noSignIn, two}, nil, "names the issuer https://one.example"},
		"one of two for tokens":      {openID, []provider.Config{tokens, two}, toTwo, ""},
		"a cookie and no provider":   {cookie, nil, nil, "no identity provider is configured"},
	} {
		t.Run(name, func(t *testing.T) {
			c.scheme.Places = []gate.Place{{In: gate.InCookie, Name: session.DefaultCookie}}
			a := newApp(t, option{noOpen: true, config: func(cfg *login.Config) {
				cfg.Schemes[0] = c.scheme
				cfg.Schemes[0].Name = "session"
				for scheme, b := range c.bindings {
					cfg.Bindings = map[string]provider.Binding{"session": b}
					_ = scheme
				}
			}}, c.providers...)
			why, refused := gate.Refused(a.login.Scheme("session"))
			if refused != (c.why != "") || !strings.Contains(why, c.why) {
				t.Errorf("the scheme is refused: %v, %q, want %q", refused, why, c.why)
			}
		})
	}
}

// TestNavigation: only a page that a browser goes to is sent to the login.
func TestNavigation(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	b := newBrowser(t, a, idp)
	for name, c := range map[string]struct {
		method string
		header map[string]string
		want   int
	}{
		"a page":        {"GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 303},
		"a frame":       {"GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 401},
		"a script":      {"GET", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 401},
		"a form":        {"POST", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}, 401},
		"a program":     {"GET", map[string]string{"Accept": "text/html"}, 401},
		"HEAD":          {"HEAD", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 401},
		"a wrong token": {"GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Authorization": "Bearer x"}, 303},
	} {
		path := "/me?x=1"
		if c.method == "POST" {
			path = "/posts"
		}
		req, err := http.NewRequest(c.method, a.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			req.Header.Set(k, v)
		}
		v := b.send(req)
		if v.status != c.want {
			t.Errorf("%s = %d, want %d", name, v.status, c.want)
		}
		if c.want == 303 && (v.header.Get("Location") != "/auth/login?return_to=%2Fme%3Fx%3D1" || v.body != "" || v.header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s is sent to %v with %q", name, v.header, v.body)
		}
	}
}

// TestNavigationWithSession: who has a session, and lacks something else, is not
// sent round to a provider that signs people in without a word.
func TestNavigationWithSession(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	refuses := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, &problem.Error{Status: 401, Code: "credential_missing", Header: http.Header{"Www-Authenticate": {"Cookie", "Basic realm=x"}}})
	})
	a.server.Config.Handler = a.login.Handler(refuses)
	b := newBrowser(t, a, idp)
	if v := b.step("/both", "none"); v.status != 303 {
		t.Errorf("without a session: %d, want the way to the login", v.status)
	}
	v := b.open("/both") // and back, signed in
	if v.status != 401 || v.url != a.url+"/both" || len(v.header["Www-Authenticate"]) != 1 {
		t.Errorf("with a session it ends at %s with %d %v, by way of %q", v.url, v.status, v.header, b.seen)
	}
}

// TestUnknownScopes: a misspelt scope is told.
func TestUnknownScopes(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{config: func(c *login.Config) {
		c.Bindings = map[string]provider.Binding{"session": {ScopesClaim: "g", ScopesMap: map[string][]string{"staff": {"posts:wirte", "posts:write"}}}}
	}}, idp.Config("main"))
	a.log.wants(t, "level=WARN", "scope=posts:wirte", "scheme=session")
	if strings.Contains(a.log.String(), "scope=posts:write ") {
		t.Errorf("a scope of the document is told too:\n%s", a.log)
	}
}

// TestTokenSourceOutside: without a login behind the call there is no token.
func TestTokenSourceOutside(t *testing.T) {
	who := gatetest.Principal(gate.Identity{Client: &gate.Client{ID: "cron"}})
	if _, err := login.TokenSource(t.Context(), who).Token(); !errors.Is(err, login.ErrNoToken) {
		t.Errorf("Token() = %v, want ErrNoToken", err)
	}
}
