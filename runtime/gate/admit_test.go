package gate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A tester verifies credentials of places by what their value says.
type tester struct {
	places []gate.Place
	verify func(value string) (gate.Identity, error)
	calls  int
}

func (a *tester) Find(r *http.Request) (gate.Credential, bool, error) {
	return gate.FindIn(r, a.places...)
}

func (a *tester) Verify(_ context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	a.calls++
	if _, err := r.Body.Read(make([]byte, 1)); err != io.EOF {
		return gate.Identity{}, errors.New("the authenticator got the body")
	}
	if a.verify != nil {
		return a.verify(c.Value)
	}
	switch c.Value {
	case "good":
		return gate.Identity{User: &gate.User{ID: "u1"}, Scopes: gate.Scopes{"s"}}, nil
	case "plain":
		return gate.Identity{User: &gate.User{ID: "u1"}}, nil
	case "ended":
		return gate.Identity{}, fmt.Errorf("session: %w", gate.ErrAbsent)
	case "limited":
		return gate.Identity{}, fmt.Errorf("keys: %w", &gate.LimitError{RetryAfter: 1500 * time.Millisecond})
	case "down":
		return gate.Identity{}, errors.New("store is silent")
	case "nobody":
		return gate.Identity{}, nil
	case "no id":
		return gate.Identity{User: &gate.User{Name: "x"}}, nil
	case "no client id":
		return gate.Identity{User: &gate.User{ID: "u1"}, Client: &gate.Client{}}, nil
	case "panic":
		panic("with SECRET")
	case "index":
		_ = c.Value[len(c.Value)+a.calls:]
	}
	return gate.Identity{}, fmt.Errorf("%w: key 7 is revoked", gate.ErrInvalid)
}

func (a *tester) Challenge(cause error) string { return a.places[0].Challenge(cause) }

const publicOrigin = "https://blog.example"

var (
	testPlaces = map[string][]gate.Place{
		"key":     {{In: gate.InHeader, Name: "X-Key"}},
		"key2":    {{In: gate.InHeader, Name: "X-Key"}},
		"param":   {{In: gate.InQuery, Name: "key"}},
		"session": {bearer, {In: gate.InCookie, Name: "s"}},
		"cert":    {inCert},
		"basic":   {basic},
		"digest":  {gate.Authorization("digest")},
		"dpop":    {gate.Authorization("dpop")},
		"any":     {anyWord},
		"refused": {{In: gate.InHeader, Name: "X-Refused"}},
	}
	testNames = []string{"key", "key2", "param", "session", "cert", "basic", "digest", "dpop", "any", "refused"}
)

// guard returns a gate for op over the test schemes, with some of their
// authenticators replaced.
func guard(t *testing.T, op *gate.Operation, replaced map[string]gate.Authenticator) (*gate.Gate, map[string]*tester) {
	t.Helper()
	cfg := gate.Config{Operations: []*gate.Operation{op}, PublicOrigin: publicOrigin, Authenticators: make(map[string]gate.Authenticator)}
	testers := make(map[string]*tester)
	for _, name := range testNames {
		cfg.Schemes = append(cfg.Schemes, gate.Scheme{Name: name, Places: testPlaces[name]})
		testers[name] = &tester{places: testPlaces[name]}
		cfg.Authenticators[name] = testers[name]
	}
	cfg.Authenticators["refused"] = gate.Refuse("no words for it")
	for name, a := range replaced {
		cfg.Authenticators[name] = a
	}
	g, err := gate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g, testers
}

// admit asks g and returns the answer, its code, and who was let in.
func admit(t *testing.T, g *gate.Gate, op *gate.Operation, r *http.Request) (*httptest.ResponseRecorder, string, *gate.Principal, bool) {
	t.Helper()
	w := httptest.NewRecorder()
	who, ok := g.Admit(w, r, op)
	var body struct {
		Code string `json:"code"`
	}
	if !ok && r.Method != http.MethodHead {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Errorf("body %q: %v", w.Body, err)
		}
	}
	if ok && (w.Body.Len() > 0 || w.Code != 200) {
		t.Errorf("let in, and answered %d %s", w.Code, w.Body)
	}
	return w, body.Code, who, ok
}

var logMutex sync.Mutex

// logged runs f and returns what it logged at Debug and above.
func logged(f func()) string {
	logMutex.Lock()
	defer logMutex.Unlock()
	var buf bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	f()
	return buf.String()
}

func TestAdmit(t *testing.T) {
	one := func(scheme string, scopes ...string) gate.Policy { return gate.Require(need(scheme, scopes...)) }
	for _, c := range []struct {
		name      string
		policy    gate.Policy
		query     string
		lines     []string
		status    int
		code      string
		challenge []string
		retry     string
	}{
		{"public", gate.Public(), "", []string{"X-Key: bad"}, 200, "", nil, ""},
		{"zero policy", gate.Policy{}, "", []string{"X-Key: good"}, 401, "credential_missing", nil, ""},
		{"nobody", one("key").Or(gate.Anonymous()), "", nil, 200, "", nil, ""},
		{"nothing presented", one("key").Or(one("param")).Or(one("session")), "", nil, 401, "credential_missing",
			[]string{`ApiKey in="header", name="X-Key"`, `ApiKey in="query", name="key"`, `Bearer realm="api"`}, ""},
		{"each challenge once", one("key").Or(one("key2")), "", nil, 401, "credential_missing", []string{`ApiKey in="header", name="X-Key"`}, ""},
		{"no challenge for what nothing verifies", one("refused").Or(one("key")), "", nil, 401, "credential_missing", []string{`ApiKey in="header", name="X-Key"`}, ""},
		{"good", one("key"), "", []string{"X-Key: good"}, 200, "", nil, ""},
		{"invalid", one("session"), "", []string{"Authorization: Bearer bad"}, 401, "credential_invalid", []string{`Bearer realm="api", error="invalid_token"`}, ""},
		{"empty", one("session").Or(gate.Anonymous()), "", []string{"Authorization: Bearer"}, 401, "credential_invalid", []string{`Bearer realm="api", error="invalid_token"`}, ""},
		{"in a place that is not named", one("key"), "key=good", nil, 401, "credential_missing", []string{`ApiKey in="header", name="X-Key"`}, ""},
		{"twice", one("key"), "", []string{"X-Key: good", "X-Key: good"}, 400, "credential_duplicate", nil, ""},
		{"token twice", one("session"), "", []string{"Authorization: Bearer good", "Authorization: Bearer good"}, 400, "credential_duplicate", []string{`Bearer realm="api", error="invalid_request"`}, ""},
		{"token in a comma list", one("session"), "", []string{"Authorization: bearer good, good"}, 400, "credential_duplicate", []string{`Bearer realm="api", error="invalid_request"`}, ""},
		{"token and another word", one("session"), "", []string{"Authorization: Bearer good", "Authorization: Basic good"}, 400, "credential_duplicate", []string{`Bearer realm="api", error="invalid_request"`}, ""},
		{"token in a comma list, DPoP", one("dpop"), "", []string{"Authorization: DPoP good, good"}, 400, "credential_duplicate", []string{`DPoP realm="api", error="invalid_request"`}, ""},
		{"scope lacking, DPoP", one("dpop", "t"), "", []string{"Authorization: dpop good"}, 403, "insufficient_scope", []string{`DPoP realm="api", error="insufficient_scope", scope="t"`}, ""},
		{"word in lower case, blanks", one("session"), "", []string{"Authorization: \t bearer \t  good \t"}, 200, "", nil, ""},
		{"two words after the word", one("session"), "", []string{"Authorization: Bearer good good"}, 401, "credential_invalid", []string{`Bearer realm="api", error="invalid_token"`}, ""},
		{"token in the query", one("session"), "access_token=good", nil, 401, "credential_missing", []string{`Bearer realm="api"`}, ""},
		{"ended session", one("session").Or(gate.Anonymous()), "", []string{"Cookie: s=ended"}, 200, "", nil, ""},
		{"limited", one("key"), "", []string{"X-Key: limited"}, 429, "too_many_failures", nil, "2"},
		{"down", one("key").Or(gate.Anonymous()), "", []string{"X-Key: down"}, 503, "verifier_unavailable", nil, "5"},
		{"panic", one("key").Or(gate.Anonymous()), "", []string{"X-Key: panic"}, 503, "verifier_unavailable", nil, "5"},
		{"runtime panic", one("key").Or(gate.Anonymous()), "", []string{"X-Key: index"}, 503, "verifier_unavailable", nil, "5"},
		{"identity of nobody", one("key"), "", []string{"X-Key: nobody"}, 503, "verifier_unavailable", nil, "5"},
		{"user without id", one("key"), "", []string{"X-Key: no id"}, 503, "verifier_unavailable", nil, "5"},
		{"client without id", one("key"), "", []string{"X-Key: no client id"}, 503, "verifier_unavailable", nil, "5"},
		{"scope lacking, bearer", one("session", "s", "t"), "", []string{"Authorization: Bearer good"}, 403, "insufficient_scope", []string{`Bearer realm="api", error="insufficient_scope", scope="s t"`}, ""},
		{"scope lacking, cookie", one("session", "t"), "", []string{"Cookie: s=good", "Sec-Fetch-Site: same-origin"}, 403, "insufficient_scope", nil, ""},
		{"scope lacking, key", one("key", "t"), "", []string{"X-Key: good"}, 403, "insufficient_scope", nil, ""},
		{"cookie without proof", one("session"), "", []string{"Cookie: s=good"}, 403, "origin_missing", nil, ""},
		{"the header counts beside the cookie", one("session"), "", []string{"Cookie: s=bad", "Authorization: Bearer good"}, 200, "", nil, ""},

		{"only a scheme that nothing verifies", one("refused"), "", nil, 503, "scheme_unverified", nil, "5"},
		{"every way names one", gate.Require(need("refused"), need("key")).Or(one("refused")), "", []string{"X-Key: good"}, 503, "scheme_unverified", nil, "5"},
		{"another way in", one("refused").Or(one("key")), "", []string{"X-Key: good"}, 200, "", nil, ""},
		{"nobody, beside it", one("refused").Or(gate.Anonymous()), "", nil, 200, "", nil, ""},
		{"a credential that nothing verifies", one("refused").Or(one("key")), "", []string{"X-Key: good", "X-Refused: x"}, 503, "verifier_unavailable", nil, "5"},
		{"nobody, but one was presented", one("refused").Or(gate.Anonymous()), "", []string{"X-Refused: x"}, 503, "verifier_unavailable", nil, "5"},

		{"any word", one("any"), "", []string{"Authorization: Whatever good"}, 200, "", nil, ""},
		{"no word", one("any"), "", []string{"Authorization: good"}, 200, "", nil, ""},
		{"a word that no other scheme here claims", one("any"), "", []string{"Authorization: Bearer good"}, 200, "", nil, ""},
		{"a word of another scheme", one("any").Or(one("session", "t")), "", []string{"Authorization: Bearer good"}, 403, "insufficient_scope", []string{`Bearer realm="api", error="insufficient_scope", scope="t"`}, ""},
		{"a word of another scheme, in an AND", gate.Require(need("any"), need("session")), "", []string{"Authorization: Bearer good"}, 401, "credential_missing", []string{`ApiKey in="header", name="Authorization"`, `Bearer realm="api"`}, ""},
		{"the word of another scheme alone", one("any").Or(one("basic")), "", []string{"Authorization: Basic"}, 401, "credential_invalid", []string{`ApiKey in="header", name="Authorization"`, `Basic realm="api", charset="UTF-8"`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := &gate.Operation{ID: "op", Policy: c.policy}
			g, testers := guard(t, op, nil)
			r := request(t, c.query, c.lines...)
			w, code, who, ok := admit(t, g, op, r)
			status := w.Code
			if status != c.status || code != c.code || ok != (c.status == 200) {
				t.Errorf("Admit = %d %q, %v, want %d %q", status, code, ok, c.status, c.code)
			}
			if got := w.Header()["Www-Authenticate"]; !slices.Equal(got, c.challenge) {
				t.Errorf("WWW-Authenticate = %q, want %q", got, c.challenge)
			}
			if got := w.Header().Get("Retry-After"); got != c.retry {
				t.Errorf("Retry-After = %q, want %q", got, c.retry)
			}
			// What is meant for one caller is stored by nobody.
			if got, want := w.Header().Get("Cache-Control") == "no-store", !ok || who != nil; got != want {
				t.Errorf("no-store %v, want %v", got, want)
			}
			// The body, which nobody read, ends with the connection.
			if got, want := w.Header().Get("Connection") == "close", !ok; got != want {
				t.Errorf("Connection: close %v, want %v", got, want)
			}
			for name, a := range testers {
				if a.calls > 1 {
					t.Errorf("scheme %s was verified %d times", name, a.calls)
				}
			}
		})
	}
}

// What an authenticator says to a client beside ErrInvalid gets there, and only
// where its scheme is refused for it.
func TestAdmitInvalidError(t *testing.T) {
	says := &gate.InvalidError{Challenge: `DPoP error="use_dpop_nonce"`, Header: http.Header{"dpop-nonce": {"n1"}}, Cause: errors.New("no nonce in it")}
	auth := &tester{places: testPlaces["dpop"], verify: func(value string) (gate.Identity, error) {
		if value == "plain" {
			return gate.Identity{}, &gate.InvalidError{}
		}
		return gate.Identity{}, fmt.Errorf("wrapped: %w", says)
	}}
	for _, c := range []struct {
		name      string
		lines     []string
		status    int
		challenge []string
		nonce     string
	}{
		{"more", []string{"Authorization: DPoP x"}, 401, []string{`DPoP error="use_dpop_nonce"`, `ApiKey in="header", name="X-Key"`}, "n1"},
		{"nothing more", []string{"Authorization: DPoP plain"}, 401, []string{`DPoP realm="api", error="invalid_token"`, `ApiKey in="header", name="X-Key"`}, ""},
		{"refused for something else", []string{"Authorization: DPoP x", "X-Key: limited"}, 429, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := &gate.Operation{ID: "op", Policy: gate.Require(need("dpop")).Or(gate.Require(need("key")))}
			g, _ := guard(t, op, map[string]gate.Authenticator{"dpop": auth})
			w, _, _, _ := admit(t, g, op, request(t, "", c.lines...))
			if w.Code != c.status || !slices.Equal(w.Header()["Www-Authenticate"], c.challenge) || w.Header().Get("DPoP-Nonce") != c.nonce {
				t.Errorf("Admit = %d, %q, nonce %q, want %d, %q, %q", w.Code, w.Header()["Www-Authenticate"], w.Header().Get("DPoP-Nonce"), c.status, c.challenge, c.nonce)
			}
		})
	}
	if text := says.Error(); !strings.Contains(text, "no nonce in it") || !errors.Is(says, gate.ErrInvalid) || errors.Is(says, gate.ErrAbsent) || errors.Unwrap(says) != says.Cause {
		t.Errorf("InvalidError = %q, which is no ErrInvalid with its cause", text)
	}
}

// Proof of origin, step 5: what browsers send by themselves.
func TestAdmitOrigin(t *testing.T) {
	cookie, cert, digest := "Cookie: s=good", "certificate", "Authorization: Digest good"
	for _, c := range []struct {
		name   string
		method string
		scheme string
		lines  []string
		ok     bool
	}{
		{"cookie, nothing said", "POST", "session", []string{cookie}, false},
		{"cookie, DELETE", "DELETE", "session", []string{cookie}, false},
		{"cookie, made-up method", "get", "session", []string{cookie}, false},
		{"cookie, GET", "GET", "session", []string{cookie, "Sec-Fetch-Site: cross-site"}, true},
		{"cookie, HEAD", "HEAD", "session", []string{cookie, "Sec-Fetch-Site: cross-site"}, true},
		{"cookie, OPTIONS", "OPTIONS", "session", []string{cookie}, true},
		{"cookie, same origin", "POST", "session", []string{cookie, "Sec-Fetch-Site: same-origin"}, true},
		{"cookie, by the person", "POST", "session", []string{cookie, "Sec-Fetch-Site: none"}, true},
		{"cookie, same site", "POST", "session", []string{cookie, "Sec-Fetch-Site: same-site"}, false},
		{"cookie, same site with our Origin", "POST", "session", []string{cookie, "Sec-Fetch-Site: same-site", "Origin: " + publicOrigin}, false},
		{"cookie, said twice", "POST", "session", []string{cookie, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-origin"}, false},
		{"cookie, our Origin", "POST", "session", []string{cookie, "Origin: " + publicOrigin}, true},
		{"cookie, Origin twice", "POST", "session", []string{cookie, "Origin: " + publicOrigin, "Origin: https://evil.example"}, false},
		{"cookie, Origin null", "POST", "session", []string{cookie, "Origin: null"}, false},
		{"cookie, other Origin", "POST", "session", []string{cookie, "Origin: " + publicOrigin + ".evil.example"}, false},
		{"cookie, Origin with another port", "POST", "session", []string{cookie, "Origin: " + publicOrigin + ":444"}, false},
		{"cookie, Referer alone", "POST", "session", []string{cookie, "Referer: " + publicOrigin + "/"}, false},
		{"bearer needs none", "POST", "session", []string{"Authorization: Bearer good", "Sec-Fetch-Site: cross-site"}, true},
		{"key needs none", "POST", "key", []string{"X-Key: good", "Origin: https://other.example"}, true},

		{"certificate, nothing said", "POST", "cert", []string{cert}, true},
		{"certificate, same origin", "POST", "cert", []string{cert, "Sec-Fetch-Site: same-origin", "Origin: " + publicOrigin}, true},
		{"certificate, by the person", "GET", "cert", []string{cert, "Sec-Fetch-Site: none"}, true},
		{"certificate, cross-site", "POST", "cert", []string{cert, "Sec-Fetch-Site: cross-site"}, false},
		{"certificate, cross-site GET", "GET", "cert", []string{cert, "Sec-Fetch-Site: cross-site"}, false},
		{"certificate, same-site", "POST", "cert", []string{cert, "Sec-Fetch-Site: same-site"}, false},
		{"certificate, other Origin", "POST", "cert", []string{cert, "Origin: null"}, false},
		{"basic, nothing said", "POST", "basic", []string{"Authorization: Basic good"}, true},
		{"basic, cross-site", "POST", "basic", []string{"Authorization: Basic good", "Sec-Fetch-Site: cross-site"}, false},
		{"basic, second line says cross-site", "POST", "basic", []string{"Authorization: Basic good", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, false},
		{"basic, other Origin", "POST", "basic", []string{"Authorization: Basic good", "Origin: https://evil.example"}, false},
		{"basic, our Origin", "POST", "basic", []string{"Authorization: Basic good", "Origin: " + publicOrigin}, true},
		{"digest is sent by browsers too", "POST", "digest", []string{digest, "Sec-Fetch-Site: cross-site"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := &gate.Operation{ID: "op", Policy: gate.Require(need(c.scheme))}
			var replaced map[string]gate.Authenticator
			r := request(t, "", c.lines...)
			if c.lines[0] == cert {
				r.Header.Del(cert)
				r.TLS = peer
				replaced = map[string]gate.Authenticator{"cert": &tester{places: []gate.Place{inCert}, verify: func(string) (gate.Identity, error) {
					return gate.Identity{Client: &gate.Client{ID: "c"}}, nil
				}}}
			}
			r.Method = c.method
			g, _ := guard(t, op, replaced)
			w, code, _, ok := admit(t, g, op, r)
			if ok != c.ok || !ok && (w.Code != 403 || c.method != "HEAD" && code != "origin_missing") {
				t.Errorf("Admit = %v, %d %q, want %v", ok, w.Code, code, c.ok)
			}
		})
	}
	t.Run("no public origin", func(t *testing.T) {
		op := &gate.Operation{ID: "op", Policy: gate.Require(need("s"))}
		place := gate.Place{In: gate.InCookie, Name: "s"}
		g, err := gate.New(gate.Config{
			Operations: []*gate.Operation{op}, Schemes: []gate.Scheme{{Name: "s", Places: []gate.Place{place}}},
			Authenticators: map[string]gate.Authenticator{"s": &tester{places: []gate.Place{place}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, ok := admit(t, g, op, request(t, "", cookie, "Origin: ")); ok {
			t.Error("an empty Origin proves an empty public origin")
		}
	})
}

// The log says which schemes were tried and why they failed, the client is
// told a fixed title, and neither holds a credential.
func TestAdmitLogs(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"invalid", []string{"X-Key: SECRET"}, []string{`tried.key="invalid: `, "key 7 is revoked", "tried.param=absent", "operation=op", `requirement="key or param or session"`, "audit=true", "address=", "code=credential_invalid"}},
		{"panic", []string{"X-Key: panic"}, []string{"authenticator panicked", "scheme=key", "stack=", `tried.key="unavailable: `, "panicked with a string"}},
		{"runtime panic", []string{"X-Key: index"}, []string{"slice bounds out of range"}},
		{"origin", []string{"Cookie: s=good"}, []string{`tried.session="valid without proof of origin"`, "user=u1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := &gate.Operation{ID: "op", Policy: gate.Require(need("key")).Or(gate.Require(need("param"))).Or(gate.Require(need("session")))}
			g, _ := guard(t, op, nil)
			var body string
			out := logged(func() {
				w, _, _, _ := admit(t, g, op, request(t, "unrelated=SECRET", c.lines...))
				body = w.Body.String()
			})
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("log %q lacks %q", out, want)
				}
			}
			if strings.Contains(out+body, "SECRET") {
				t.Errorf("log %q or body %q holds a credential", out, body)
			}
			if strings.Contains(body, "revoked") || strings.Contains(body, "scheme") {
				t.Errorf("body %q says more than the title", body)
			}
		})
	}
}

// twofold asks for two kinds of credential.
type twofold struct{ tester }

func (*twofold) Challenge(error) string { return "Bearer realm=\"api\"\nCookie\n" }

// Several challenges of one scheme are lines of their own, each once.
func TestAdmitSeveralChallenges(t *testing.T) {
	op := &gate.Operation{ID: "op", Policy: gate.Require(need("session")).Or(gate.Require(need("key")))}
	g, _ := guard(t, op, map[string]gate.Authenticator{
		"session": &twofold{tester{places: testPlaces["session"]}}, "key": &twofold{tester{places: testPlaces["key"]}},
	})
	w, _, _, _ := admit(t, g, op, request(t, ""))
	if got, want := w.Header()["Www-Authenticate"], []string{`Bearer realm="api"`, "Cookie"}; !slices.Equal(got, want) {
		t.Errorf("WWW-Authenticate = %q, want %q", got, want)
	}
}
