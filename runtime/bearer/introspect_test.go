package bearer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/discovery"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

// newAsking makes a stage whose scheme has the issuer asked about every token.
func newAsking(t testing.TB, bind func(*provider.Binding), change func(*bearer.Config)) *stage {
	t.Helper()
	return newStage(t, bind, func(c *bearer.Config) {
		withClient(c)
		c.Schemes[0].Kind = bearer.Opaque
		if change != nil {
			change(c)
		}
	})
}

// says has the issuer answer questions with a body.
func (s *stage) says(body string) {
	s.issuer.set(func(i *issuer) { i.answer = func(w http.ResponseWriter, _ *http.Request) { reply(w, body) } })
}

// active is what the issuer says of a person's token that is good.
func (s *stage) active() set {
	return set{
		"active": true, "iss": s.issuer.URL, "sub": "ada", "aud": audience, "client_id": "phone", "token_type": "Bearer",
		"exp": s.cfg.Now().Unix() + 300, "iat": s.cfg.Now().Unix() - 5, "scope": "posts:read posts:write",
	}
}

func TestIntrospect(t *testing.T) {
	for name, c := range map[string]struct {
		auth   string // the client's; "" for the default
		header string
		form   url.Values
	}{
		// api:api+secret%2B%25, each form-urlencoded.
		"basic": {"", "Basic YXBpOmFwaStzZWNyZXQlMkIlMjU=", url.Values{}},
		"post":  {"client_secret_post", "", url.Values{"client_id": {"api"}, "client_secret": {"api secret+%"}}},
	} {
		s := newAsking(t, nil, func(cfg *bearer.Config) { cfg.Providers[0].ClientAuth = c.auth })
		s.issuer.set(func(i *issuer) {
			i.answer = func(w http.ResponseWriter, r *http.Request) {
				want := maps.Clone(c.form)
				want.Set("token", "o+p/q~r==")
				want.Set("token_type_hint", "access_token")
				if err := r.ParseForm(); err != nil || !reflect.DeepEqual(r.PostForm, want) || r.Method != "POST" || r.URL.RawQuery != "" {
					t.Errorf("%s: asked with %s %v, %v, want %v", name, r.Method, r.PostForm, err, want)
				}
				if got := r.Header.Get("Authorization"); got != c.header || len(r.Header["Idempotency-Key"]) > 0 {
					t.Errorf("%s: asked with header %v, want Authorization %q", name, r.Header, c.header)
				}
				reply(w, s.active().json())
			}
		})
		who, err := s.ask("Bearer", "o+p/q~r==")
		if err != nil || who.User == nil || who.User.Subject != "ada" || who.User.Issuer != s.issuer.URL || who.Client != nil {
			t.Fatalf("%s: Verify() = %+v, %v, want the person ada", name, who, err)
		}
		if want := (gate.Scopes{"posts:read", "posts:write"}); !reflect.DeepEqual(who.Scopes, want) {
			t.Errorf("%s: scopes %q, want %q", name, who.Scopes, want)
		}
	}
}

// Each change of a good answer is taken or refused by one rule alone, which the
// cause names.
func TestIntrospectAnswers(t *testing.T) {
	anyAudience := func(b *provider.Binding) { b.AnyAudience = true }
	untyped := func(b *provider.Binding) { b.UntypedTokens = true }
	jkt := strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		bind    func(*provider.Binding)
		changes set
		want    string // who it is, or what the cause of ErrInvalid has in it
	}{
		"a person":                {nil, nil, "user ada"},
		"several audiences":       {nil, set{"aud": []string{"https://a.example", audience}}, "user ada"},
		"without iss":             {nil, set{"iss": absent}, "user ada"},
		"without exp":             {nil, set{"exp": absent}, "user ada"},
		"without iat":             {nil, set{"iat": absent}, "user ada"},
		"without a client":        {nil, set{"client_id": absent}, "user ada"},
		"type in small letters":   {nil, set{"token_type": "bearer"}, "user ada"},
		"token_use":               {nil, set{"token_use": "access_token"}, "user ada"},
		"token_use alone":         {nil, set{"token_use": "access_token", "token_type": absent}, "user ada"},
		"typ, as Keycloak has it": {nil, set{"typ": "Bearer"}, "user ada"},
		"a client, sub its own":   {nil, set{"sub": "robot", "client_id": "robot"}, "client main/robot"},
		"a client, without sub":   {nil, set{"sub": absent, "client_id": "robot"}, "client main/robot"},
		"without type, allowed":   {untyped, set{"token_type": absent}, "user ada"},
		"without aud, allowed":    {anyAudience, set{"aud": absent}, "user ada"},
		"expired within the skew": {nil, set{"exp": -59}, "user ada"},

		"not active":                {nil, set{"active": false}, "not active"},
		"another issuer":            {nil, set{"iss": "https://other.example"}, "another issued it"},
		"the issuer with a slash":   {nil, set{"iss": "slash"}, "another issued it"},
		"iss no text":               {nil, set{"iss": 5}, "iss is empty or not a text"},
		"iss empty":                 {nil, set{"iss": ""}, "iss is empty or not a text"},
		"another audience":          {nil, set{"aud": "https://other.example"}, "aud names none"},
		"another, though any":       {anyAudience, set{"aud": "https://other.example"}, "aud names none"},
		"audience empty":            {anyAudience, set{"aud": []string{}}, "aud names none"},
		"audience null":             {anyAudience, set{"aud": nil}, "aud is empty or not a text"},
		"without aud":               {nil, set{"aud": absent}, "any_audience: true"},
		"expired":                   {nil, set{"exp": -60}, "expired"},
		"exp a text":                {nil, set{"exp": "soon"}, "exp is not a number"},
		"not yet":                   {nil, set{"nbf": 90}, "good only in"},
		"issued in future":          {nil, set{"iat": 90}, "good only in"},
		"without type":              {nil, set{"token_type": absent}, "untyped_tokens: true"},
		"type N_A":                  {nil, set{"token_type": "N_A"}, "no access token (token_type)"},
		"type no text":              {nil, set{"token_type": true}, "token_type is empty or not a text"},
		"a refresh token":           {untyped, set{"token_type": "refresh_token"}, "no access token (token_type)"},
		"a refresh token, by use":   {nil, set{"token_use": "refresh_token"}, "no access token (token_use)"},
		"an ID token, by use":       {nil, set{"token_use": "id"}, "no access token (token_use)"},
		"a refresh token, by typ":   {nil, set{"typ": "Refresh"}, "no access token (typ)"},
		"an ID token, by at_hash":   {nil, set{"at_hash": "x"}, "as ID tokens"},
		"an ID token, by c_hash":    {nil, set{"c_hash": "x"}, "as ID tokens"},
		"a logout token":            {nil, set{"events": set{}}, "as ID tokens"},
		"nobody":                    {nil, set{"sub": absent, "client_id": absent}, "neither whom"},
		"somebody, without sub":     {nil, set{"sub": absent, "username": "ada"}, "username, which is of a person"},
		"somebody who signed in":    {nil, set{"sub": absent, "auth_time": 5}, "auth_time, which is of a person"},
		"sub no text":               {nil, set{"sub": 7}, "sub is empty or not a text"},
		"sub empty":                 {nil, set{"sub": ""}, "sub is empty or not a text"},
		"cnf of no kind":            {nil, set{"cnf": set{}}, "cnf is empty"},
		"cnf of another kind":       {nil, set{"cnf": set{"kid": "x"}}, "not supported"},
		"bound, and said not to be": {nil, set{"cnf": set{"jkt": jkt}}, "none that is (token_type)"},
		"not bound, and said to be": {nil, set{"token_type": "DPoP"}, "not to which (cnf)"},
		"bound, under Bearer":       {nil, set{"cnf": set{"jkt": jkt}, "token_type": "DPoP"}, "came without DPoP"},
		"bound to a certificate":    {nil, set{"cnf": set{"x5t#S256": jkt}}, "bound to a certificate, and none came"},
		"bound to nothing":          {func(b *provider.Binding) { b.BoundOnly = true }, nil, "bound to nothing"},
	} {
		s := newAsking(t, c.bind, nil)
		changes := maps.Clone(c.changes)
		for _, at := range []string{"exp", "nbf", "iat"} {
			if seconds, ok := changes[at].(int); ok {
				changes[at] = s.now.Unix() + int64(seconds)
			}
		}
		if changes["iss"] == "slash" {
			changes["iss"] = s.issuer.URL + "/"
		}
		s.says(s.active().with(changes).json())
		who, err := s.ask("Bearer", "opaque")
		got := ""
		switch {
		case errors.Is(err, gate.ErrInvalid):
			got = err.Error()
		case err != nil:
			t.Errorf("%s: Verify() = %v, want ErrInvalid or none", name, err)
			continue
		case who.User != nil && who.Client == nil:
			got = "user " + who.User.Subject
		case who.Client != nil && who.User == nil:
			got = "client " + who.Client.ID
		}
		if refused := !strings.HasPrefix(c.want, "user ") && !strings.HasPrefix(c.want, "client "); refused != (err != nil) || !strings.Contains(got, c.want) {
			t.Errorf("%s: Verify() = %q, %v, want %q", name, got, err, c.want)
		}
		if strings.Contains(got, "opaque") {
			t.Errorf("%s: Verify() = %q, which quotes the token", name, got)
		}
	}
}

// What says nothing of the token is neither a yes nor a no, and is not
// remembered.
func TestIntrospectUnknown(t *testing.T) {
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { reply(w, text) }
	}
	status := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(n)
			_, _ = io.WriteString(w, `{"active":false}`)
		}
	}
	good := newAsking(t, nil, nil).active()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"active a text":         {body(good.with(set{"active": "true"}).json()), "does not say whether"},
		"active a number":       {body(good.with(set{"active": 1}).json()), "does not say whether"},
		"active null":           {body(good.with(set{"active": nil}).json()), "does not say whether"},
		"active missing":        {body(good.with(set{"active": absent}).json()), "does not say whether"},
		"active in a list":      {body("[" + good.json() + "]"), "no JSON object"},
		"active in capitals":    {body(good.with(set{"active": absent, "Active": true}).json()), "another case"},
		"active twice":          {body(`{"active":false,` + good.json()[1:]), "duplicate"},
		"active twice, escaped": {body(`{"\u0061ctive":false,` + good.json()[1:]), "duplicate"},
		"sub in capitals":       {body(good.with(set{"Sub": "eve"}).json()), "another case"},
		"null":                  {body(`null`), "no JSON object"},
		"nothing":               {body(``), "answer of"},
		"cut off":               {body(`{"active":true`), "answer of"},
		"more behind":           {body(good.json() + `{}`), "answer of"},
		"a page":                {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>"+good.json()) }, "did not answer with JSON"},
		"a JWT": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/token-introspection+jwt")
			_, _ = io.WriteString(w, good.json())
		}, "did not answer with JSON"},
		"500": {status(500), "status 500"},
		"503": {status(503), "status 503"},
		"404": {status(404), "status 404"},
		"204": {status(204), "status 204"},
		"400": {status(400), "refuses the question"},
		"401": {status(401), "does not take this server's client_id"},
		"403": {status(403), "does not take this server's client_id"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/introspect2", http.StatusTemporaryRedirect)
		}, "redirects"},
		"hangs up":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"large":        {body(good.json() + strings.Repeat(" ", 2<<20)), "too large"},
		"rather large": {body(good.with(set{"scope": strings.Repeat("x", 64<<10)}).json()), "at most 65536"},
	} {
		s := newAsking(t, nil, nil)
		s.issuer.set(func(i *issuer) { i.answer = c.answer })
		_, err := s.ask("Bearer", "opaque")
		if err == nil || errors.Is(err, gate.ErrInvalid) || errors.Is(err, gate.ErrAbsent) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Verify() = %v, want an error with %q that is not ErrInvalid", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "opaque") || strings.Contains(err.Error(), "secret+")) {
			t.Errorf("%s: Verify() = %v, which tells too much", name, err)
		}
		s.says(s.active().json())
		if _, err := s.ask("Bearer", "opaque"); err != nil {
			t.Errorf("%s: Verify() after that = %v, want nil", name, err)
		}
	}
}

func TestIntrospectSilent(t *testing.T) {
	s := newAsking(t, nil, nil)
	release := make(chan struct{})
	defer close(release)
	s.issuer.set(func(i *issuer) { i.answer = func(http.ResponseWriter, *http.Request) { <-release } })
	began := time.Now()
	_, err := s.ask("Bearer", "opaque", func(r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
		t.Cleanup(cancel)
		*r = *r.WithContext(ctx)
	})
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, gate.ErrInvalid) || time.Since(began) > 3*time.Second {
		t.Errorf("Verify() = %v after %s, want that the caller does not wait", err, time.Since(began))
	}
	down := newAsking(t, nil, nil)
	down.issuer.set(func(i *issuer) { i.down = true })
	if _, err := down.ask("Bearer", "opaque"); err == nil || errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify() of an issuer that is down = %v, want an error that is not ErrInvalid", err)
	}
}

// A connection that the issuer closes as a question comes is no refusal.
func TestIntrospectClosedConnection(t *testing.T) {
	s := newAsking(t, nil, nil)
	s.says(s.active().json())
	if _, err := s.ask("Bearer", "opaque"); err != nil {
		t.Fatal(err)
	}
	closed := false
	s.issuer.set(func(i *issuer) {
		i.answer = func(w http.ResponseWriter, _ *http.Request) {
			if !closed {
				closed = true
				panic(http.ErrAbortHandler)
			}
			reply(w, s.active().json())
		}
	})
	if _, err := s.ask("Bearer", "another"); err != nil || s.issuer.asked.Load() != 3 {
		t.Errorf("Verify() = %v, asked %d times, want nil, 3", err, s.issuer.asked.Load())
	}
}

// Tokens that cannot be any of the issuer's are refused and not shown to it.
func TestIntrospectUnasked(t *testing.T) {
	jwt := func(header, payload string) string { return b64(header) + "." + b64(payload) + "." + b64("x") }
	for name, kind := range map[string]bearer.Kind{"introspection": bearer.Opaque, "any": bearer.Any} {
		s := newAsking(t, nil, func(c *bearer.Config) { c.Schemes[0].Kind = kind })
		s.says(s.active().json())
		for _, c := range []struct{ name, token, want string }{
			{"another issuer's", jwt(`{"typ":"at+jwt"}`, `{"iss":"https://other.example"}`), "issued by"},
			{"a proof", jwt(`{"typ":"dpop+jwt"}`, `{}`), "typ is of another kind"},
			{"a logout token", jwt(`{"typ":"logout+jwt"}`, `{}`), "typ is of another kind"},
			{"an ID token, by at_hash", jwt(`{"typ":"JWT"}`, `{"at_hash":"x"}`), "as ID tokens"},
			{"an ID token, by c_hash", jwt(`{"alg":"RS256"}`, `{"c_hash":"x"}`), "as ID tokens"},
			{"a logout token, by events", jwt(`{}`, `{"events":{}}`), "as ID tokens"},
			{"with a blank", "opaque opaque", "no token, or more"},
			{"with a quote", `opa"que`, "no token, or more"},
			{"with = inside", "opa=que", "no token, or more"},
			{"not ASCII", "opaqué", "no token, or more"},
			{"= alone", "==", "empty"},
			{"too long", strings.Repeat("x", 64<<10+1), "at most 65536"},
		} {
			_, err := s.ask("Bearer", c.token)
			if !errors.Is(err, gate.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: Verify() = %v, want ErrInvalid with %q", name, c.name, err, c.want)
			}
		}
		if n := s.issuer.asked.Load(); n != 0 {
			t.Errorf("%s: the issuer was asked %d times, want 0", name, n)
		}
		for _, token := range []string{"opaque", strings.Repeat("x", 64<<10), "a.b.c", "a.b.c.d", jwt(`{"typ":"JWT"}`, `{}`), jwt(`[]`, `{"at_hash":"x"}`)} {
			if _, err := s.ask("Bearer", token); err != nil {
				t.Errorf("%s: Verify(%.20q) = %v, want nil", name, token, err)
			}
		}
	}
}

// Where JWTs are verified here the issuer is asked about others alone.
func TestIntrospectBesideJWT(t *testing.T) {
	s := newAsking(t, nil, func(c *bearer.Config) { c.Schemes[0].Kind = bearer.Any })
	s.says(s.active().json())
	if _, err := s.ask("Bearer", s.token(nil)); err != nil || s.issuer.asked.Load() != 0 {
		t.Errorf("Verify() of a JWT = %v, asked %d times, want nil, 0", err, s.issuer.asked.Load())
	}
	if _, err := s.ask("Bearer", signed(otherKey(), typed, s.issuer.claims(s.now).json())); !errors.Is(err, gate.ErrInvalid) || s.issuer.asked.Load() != 0 {
		t.Errorf("Verify() of a forged JWT = %v, asked %d times, want ErrInvalid, 0", err, s.issuer.asked.Load())
	}
	if who, err := s.ask("Bearer", "opaque"); err != nil || who.User == nil || s.issuer.asked.Load() != 1 {
		t.Errorf("Verify() of an opaque token = %+v, %v, asked %d times, want ada, nil, 1", who, err, s.issuer.asked.Load())
	}

	both := func(c *bearer.Config) {
		withClient(c)
		c.Schemes[0].Kind = bearer.Any
		second := c.Providers[0]
		second.Name, second.Issuer = "second", "https://second.example"
		c.Providers = append(c.Providers, second)
	}
	for name, c := range map[string]struct {
		bind   func(*provider.Binding)
		change func(*bearer.Config)
		want   string
	}{
		"of two issuers":   {func(b *provider.Binding) { b.Providers = []string{"main", "second"} }, both, "no JWT of an issuer"},
		"without a client": {nil, func(c *bearer.Config) { c.Schemes[0].Kind = bearer.Any }, "client_id and client_secret_file"},
		"a public client": {nil, func(c *bearer.Config) {
			c.Schemes[0].Kind = bearer.Any
			c.Providers[0].ClientID, c.Providers[0].ClientAuth = "spa", "none"
		}, "client_id and client_secret_file"},
	} {
		s := newStage(t, c.bind, c.change)
		s.says(s.active().json())
		if _, err := s.ask("Bearer", "opaque"); !errors.Is(err, gate.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Verify() = %v, want ErrInvalid with %q", name, err, c.want)
		}
		if n := s.issuer.asked.Load(); n != 0 {
			t.Errorf("%s: the issuer was asked %d times, want 0", name, n)
		}
	}
}

// Introspection that cannot be is found out before anybody comes.
func TestIntrospectNever(t *testing.T) {
	for name, change := range map[string]func(*bearer.Config){
		"without a client": func(c *bearer.Config) { c.Schemes[0].Kind = bearer.Opaque },
		"a public client": func(c *bearer.Config) {
			c.Schemes[0].Kind = bearer.Opaque
			c.Providers[0].ClientID, c.Providers[0].ClientAuth = "spa", "none"
		},
	} {
		s := newStage(t, nil, change)
		if why, refused := gate.Refused(s.auth); !refused || !strings.Contains(why, "client_secret_file") {
			t.Errorf("%s: Refused() = %q, %v, want that it takes a secret", name, why, refused)
		}
	}
	s := newAsking(t, nil, nil)
	s.issuer.set(func(i *issuer) { i.change = set{"introspection_endpoint": absent} })
	if err := s.tokens.Open(t.Context()); !errors.Is(err, discovery.ErrMismatch) || !strings.Contains(err.Error(), "introspection_endpoint") {
		t.Errorf("Open() = %v, want ErrMismatch that names introspection_endpoint", err)
	}
	jwts := newStage(t, nil, nil)
	jwts.issuer.set(func(i *issuer) { i.change = set{"introspection_endpoint": absent} })
	if err := jwts.tokens.Open(t.Context()); err != nil {
		t.Errorf("Open() for JWTs = %v, want nil", err)
	}
}

// An issuer's word holds for a time that counts from before it was asked.
func TestIntrospectRemembered(t *testing.T) {
	s := newAsking(t, nil, nil)
	during := time.Duration(0) // passes while the issuer answers
	var body string
	s.issuer.set(func(i *issuer) {
		i.answer = func(w http.ResponseWriter, _ *http.Request) { s.pass(during); reply(w, body) }
	})
	look := func(what string, asked int64, good bool) {
		t.Helper()
		before := s.issuer.asked.Load()
		_, err := s.ask("Bearer", "opaque")
		if (err == nil) != good || !good && !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("%s: Verify() = %v, want good: %v", what, err, good)
		}
		if n := s.issuer.asked.Load() - before; n != asked {
			t.Errorf("%s: the issuer was asked %d times, want %d", what, n, asked)
		}
	}
	during, body = 10*time.Second, s.active().with(set{"exp": absent}).json()
	look("at first", 1, true)
	during, body = 0, `{"active":false}`
	s.pass(20*time.Second - 1)
	look("just within 30 s of the question", 0, true)
	s.pass(1)
	look("after 30 s", 1, false)
	body = s.active().json()
	s.pass(5*time.Second - 1)
	look("just within 5 s of a refusal", 0, false)
	s.pass(1)
	look("after 5 s", 1, true)

	s.pass(time.Hour)
	body = s.active().with(set{"exp": s.now.Unix() + 7}).json()
	look("a token for 7 s", 1, true)
	s.pass(7*time.Second - 1)
	look("before its end", 0, true)
	s.pass(1)
	look("at its end, which the issuer's clock decides", 1, true)
	look("and again", 1, true)
}

// Of many who have one token one asks, also where that one leaves.
func TestIntrospectOnce(t *testing.T) {
	s := newAsking(t, nil, nil)
	asked, release := make(chan struct{}, 200), make(chan struct{})
	s.issuer.set(func(i *issuer) {
		i.answer = func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
				t.Error("the question ended with the caller who began it")
			}
			reply(w, s.active().json())
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := s.ask("Bearer", "opaque", func(r *http.Request) { *r = *r.WithContext(ctx) })
		gone <- err
	}()
	<-asked
	const callers = 100
	errs := make(chan error, callers)
	for range callers {
		go func() { _, err := s.ask("Bearer", "opaque"); errs <- err }()
	}
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("Verify() of who left = %v, want canceled", err)
	}
	time.Sleep(50 * time.Millisecond) // the others come to wait
	close(release)
	for range callers {
		if err := <-errs; err != nil {
			t.Errorf("Verify() = %v, want nil", err)
		}
	}
	if n := s.issuer.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times, want 1", n)
	}
}

// A flood of tokens that nobody issued is none at the issuer, and leaves places
// for callers who are known.
func TestIntrospectFlood(t *testing.T) {
	s := newAsking(t, nil, nil)
	s.says(s.active().json())
	for _, token := range []string{"known", "withdrawn"} {
		if _, err := s.ask("Bearer", token); err != nil {
			t.Fatal(err)
		}
	}
	s.pass(time.Minute) // to be asked about again
	s.says(`{"active":false}`)
	if _, err := s.ask("Bearer", "withdrawn"); !errors.Is(err, gate.ErrInvalid) {
		t.Fatal(err)
	}
	s.pass(time.Minute)

	var mu sync.Mutex
	under, most := 0, 0
	release := make(chan struct{})
	s.issuer.set(func(i *issuer) {
		i.answer = func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("token") == "known" {
				reply(w, s.active().json())
				return
			}
			mu.Lock()
			under++
			most = max(most, under)
			mu.Unlock()
			<-release
			mu.Lock()
			under--
			mu.Unlock()
			reply(w, `{"active":false}`)
		}
	})
	const flood, places = 1500, 32
	errs := make(chan error, flood)
	for n := range flood {
		go func() { _, err := s.ask("Bearer", fmt.Sprintf("junk%d", n), from(n)); errs <- err }()
	}
	busy := func() {
		if err := <-errs; !errors.Is(err, limit.ErrBusy) || errors.Is(err, gate.ErrInvalid) {
			t.Errorf("Verify() in the flood = %v, want that there are too many at once", err)
		}
	}
	for range flood - places - 1024 { // beyond those that wait
		busy()
	}
	// All places of strangers are taken, and so are those of strangers who wait.
	if _, err := s.ask("Bearer", "known"); err != nil {
		t.Errorf("Verify() of a known token in the flood = %v, want nil", err)
	}
	for range 1024 { // they wait a second and are told to come again
		busy()
	}
	if _, err := s.ask("Bearer", "withdrawn"); err == nil || errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify() of a token that was known in the flood = %v, want that there are too many questions", err)
	}
	close(release)
	for range places {
		if err := <-errs; !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("Verify() = %v, want ErrInvalid", err)
		}
	}
	if most != places {
		t.Errorf("%d questions were on their way at once, want %d", most, places)
	}
	if _, err := s.ask("Bearer", "junk-again"); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify() after the flood = %v, want ErrInvalid: all places are free again", err)
	}
}

// An address that makes tokens up has to wait, before the issuer is asked. It
// alone, and not with what was good before.
func TestAskedTooOften(t *testing.T) {
	s := newAsking(t, nil, nil)
	s.issuer.set(func(i *issuer) {
		i.answer = func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.FormValue("token"), "good") {
				reply(w, s.active().json())
				return
			}
			reply(w, `{"active":false}`)
		}
	})
	if _, err := s.ask("Bearer", "good"); err != nil {
		t.Fatal(err)
	}
	held := func(err error) bool { return errors.As(err, new(*gate.LimitError)) }
	for n := range 20 {
		if _, err := s.ask("Bearer", fmt.Sprintf("junk%d", n)); !errors.Is(err, gate.ErrInvalid) || held(err) {
			t.Fatalf("Verify() of token %d = %v, want ErrInvalid", n, err)
		}
	}
	before := s.issuer.asked.Load()
	for _, token := range []string{"junk20", "good-new"} {
		if _, err := s.ask("Bearer", token); !held(err) || s.issuer.asked.Load() != before {
			t.Errorf("Verify(%q) = %v, asked %d times more, want to wait, 0", token, err, s.issuer.asked.Load()-before)
		}
	}
	if _, err := s.ask("Bearer", "good-new", from(1)); err != nil {
		t.Errorf("Verify() of a new token from elsewhere = %v", err)
	}
	s.pass(31 * time.Second) // by then there are tries again
	for n := range 20 {
		_, _ = s.ask("Bearer", fmt.Sprintf("more%d", n))
	}
	if _, err := s.ask("Bearer", "junk99"); !held(err) {
		t.Errorf("Verify() of one token more = %v, want to wait", err)
	}
	if _, err := s.ask("Bearer", "good"); err != nil {
		t.Errorf("Verify() of a token that was good, when it has to be asked about again = %v", err)
	}
}

// A person's token that is over counts for no guess: behind one address there may
// be many people.
func TestOverIsNoGuess(t *testing.T) {
	s := newAsking(t, nil, nil)
	over := false
	s.issuer.set(func(i *issuer) {
		i.answer = func(w http.ResponseWriter, _ *http.Request) {
			if over {
				reply(w, `{"active":false}`)
				return
			}
			reply(w, s.active().json())
		}
	})
	for n := range 50 {
		if _, err := s.ask("Bearer", fmt.Sprintf("token%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	s.issuer.set(func(*issuer) { over = true })
	s.pass(31 * time.Second)
	for n := range 50 {
		if _, err := s.ask("Bearer", fmt.Sprintf("token%d", n)); !errors.Is(err, gate.ErrInvalid) {
			t.Fatalf("Verify() of token %d that is over = %v, want ErrInvalid", n, err)
		}
	}
}

// Tokens that nobody issued push out no good one, and are not kept for ever.
func TestIntrospectBounded(t *testing.T) {
	s := newAsking(t, nil, nil)
	s.issuer.set(func(i *issuer) {
		i.answer = func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("token") == "good" {
				reply(w, s.active().json())
				return
			}
			reply(w, `{"active":false}`)
		}
	})
	if _, err := s.ask("Bearer", "good"); err != nil {
		t.Fatal(err)
	}
	const junk = 2*4096 + 1
	for n := range junk {
		if _, err := s.ask("Bearer", fmt.Sprintf("junk%d", n), from(n)); !errors.Is(err, gate.ErrInvalid) {
			t.Fatalf("Verify() = %v, want ErrInvalid", err)
		}
	}
	before := s.issuer.asked.Load()
	if _, err := s.ask("Bearer", "good"); err != nil || s.issuer.asked.Load() != before {
		t.Errorf("Verify() of the good token = %v, asked %d times more, want nil, 0", err, s.issuer.asked.Load()-before)
	}
	if _, err := s.ask("Bearer", fmt.Sprintf("junk%d", junk-1)); !errors.Is(err, gate.ErrInvalid) || s.issuer.asked.Load() != before {
		t.Errorf("Verify() of the last one = %v, asked %d times more, want ErrInvalid, 0", err, s.issuer.asked.Load()-before)
	}
	if _, err := s.ask("Bearer", "junk0"); !errors.Is(err, gate.ErrInvalid) || s.issuer.asked.Load() != before+1 {
		t.Errorf("Verify() of the first one = %v, asked %d times more, want ErrInvalid, 1: it is remembered no more", err, s.issuer.asked.Load()-before)
	}
}

// What was good for one scheme says nothing for another.
func TestIntrospectSchemes(t *testing.T) {
	s := newAsking(t, nil, func(c *bearer.Config) {
		second := c.Schemes[0]
		second.Name = "second"
		c.Schemes = append(c.Schemes, second)
		c.Bindings["second"] = provider.Binding{Audience: []string{"https://second.example"}}
	})
	s.says(s.active().json())
	if _, err := s.ask("Bearer", "opaque"); err != nil {
		t.Fatal(err)
	}
	s.auth = s.tokens.Scheme("second")
	if _, err := s.ask("Bearer", "opaque"); !errors.Is(err, gate.ErrInvalid) || !strings.Contains(err.Error(), "aud names none") {
		t.Errorf("Verify() for another audience = %v, want ErrInvalid", err)
	}
}

// The log tells why, and neither the token nor the secret.
func TestIntrospectLog(t *testing.T) {
	var log strings.Builder
	s := newAsking(t, nil, func(c *bearer.Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	s.issuer.set(func(i *issuer) { i.down = true })
	if err := s.tokens.Open(t.Context()); err != nil {
		t.Errorf("Open() = %v, want nil: the issuer is asked again", err)
	}
	if _, err := s.ask("Bearer", "opaque"); err == nil {
		t.Error("Verify() of an issuer that is down = nil")
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(strings.SplitN(log.String(), "\n", 2)[0]), &line); err != nil || line["provider"] != "main" {
		t.Errorf("the log has %q, %v, want the provider named", log.String(), err)
	}
	if slices.ContainsFunc([]string{"opaque", "api secret"}, func(text string) bool { return strings.Contains(log.String(), text) }) {
		t.Errorf("the log has %q, which tells too much", log.String())
	}
}

// TestReload: the issuer is asked with the client's secret as it is now.
func TestReload(t *testing.T) {
	s := newAsking(t, nil, nil)
	var shown []string
	s.issuer.set(func(i *issuer) {
		i.answer = func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			shown = append(shown, password)
			reply(w, s.active().json())
		}
	})
	for _, password := range []string{"", "another"} {
		if password != "" {
			next := slices.Clone(s.cfg.Providers)
			next[0].ClientSecret = secret.New(password)
			s.tokens.Reload(append(next, provider.Config{Name: "of-no-scheme"}))
		}
		if _, err := s.ask("Bearer", "token"+password); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{url.QueryEscape("api secret+%"), "another"}; !slices.Equal(shown, want) {
		t.Errorf("the issuer was shown %q, want %q", shown, want)
	}
}
