package bearer_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// proof is a proof of edKey for the request of ask.
func (s *stage) proof(token string, changes set) func(*http.Request) {
	sum := sha256.Sum256([]byte(token))
	header := set{"typ": "dpop+jwt", "alg": "EdDSA", "jwk": edJWK()}
	return func(r *http.Request) {
		claims := set{"jti": rand.Text(), "htm": "POST", "htu": publicURL + "/posts", "iat": s.cfg.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:])}
		r.Header.Set("DPoP", signed(edKey(), header.json(), claims.with(changes).json()))
	}
}

func edJWK() set {
	return set{"kty": "OKP", "crv": "Ed25519", "x": b64(string(edKey().Public().(ed25519.PublicKey)))}
}

// edThumbprint is that of edKey (RFC 8037, appendix A.3).
func edThumbprint() string {
	sum := sha256.Sum256([]byte(edJWK().json()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestBound(t *testing.T) {
	cert := &x509.Certificate{Raw: []byte("a certificate")}
	sum := sha256.Sum256(cert.Raw)
	x5t := base64.RawURLEncoding.EncodeToString(sum[:])
	shows := func(c *x509.Certificate) func(*http.Request) {
		return func(r *http.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}} }
	}
	for _, c := range []struct {
		name      string
		bind      func(*provider.Binding)
		cnf       any
		word      string
		change    func(s *stage, token string) []func(*http.Request)
		ok        bool
		challenge string // a part of it
	}{
		{name: "unbound", word: "Bearer", cnf: absent, ok: true},
		{name: "unbound, under DPoP", word: "DPoP", cnf: absent, challenge: `DPoP realm="api", error="invalid_token"`},
		{name: "unbound, under DPoP with a proof", word: "DPoP", cnf: absent, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token, nil)}
		}, challenge: "invalid_token"},
		{name: "bound only, unbound", bind: func(b *provider.Binding) { b.BoundOnly = true }, word: "Bearer", cnf: absent},
		{name: "key", word: "DPoP", cnf: set{"jkt": edThumbprint()}, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token, nil)}
		}, ok: true},
		{name: "key, bound only", bind: func(b *provider.Binding) { b.BoundOnly = true }, word: "dpop", cnf: set{"jkt": edThumbprint()}, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token, nil)}
		}, ok: true},
		{name: "key, without proof", word: "DPoP", cnf: set{"jkt": edThumbprint()}, challenge: `error="invalid_dpop_proof", algs="ES256 ES384 EdDSA PS256 RS256"`},
		{name: "key, as Bearer", word: "Bearer", cnf: set{"jkt": edThumbprint()}, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token, nil)}
		}},
		{name: "another key", word: "DPoP", cnf: set{"jkt": strings.Repeat("A", 43)}, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token, nil)}
		}, challenge: "invalid_dpop_proof"},
		{name: "key, proof of another token", word: "DPoP", cnf: set{"jkt": edThumbprint()}, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token+"x", nil)}
		}, challenge: "invalid_dpop_proof"},
		{name: "key, no nonce", bind: func(b *provider.Binding) { b.DPoPNonce = true }, word: "DPoP", cnf: set{"jkt": edThumbprint()}, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token, nil)}
		}, challenge: "use_dpop_nonce"},
		{name: "certificate", word: "Bearer", cnf: set{"x5t#S256": x5t}, change: func(*stage, string) []func(*http.Request) {
			return []func(*http.Request){shows(cert)}
		}, ok: true},
		{name: "certificate, none came", word: "Bearer", cnf: set{"x5t#S256": x5t}},
		{name: "certificate, another", word: "Bearer", cnf: set{"x5t#S256": x5t}, change: func(*stage, string) []func(*http.Request) {
			return []func(*http.Request){shows(&x509.Certificate{Raw: []byte("another")})}
		}},
		{name: "both, one came", word: "DPoP", cnf: set{"x5t#S256": x5t, "jkt": edThumbprint()}, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token, nil)}
		}},
		{name: "both", word: "DPoP", cnf: set{"x5t#S256": x5t, "jkt": edThumbprint()}, change: func(s *stage, token string) []func(*http.Request) {
			return []func(*http.Request){s.proof(token, nil), shows(cert)}
		}, ok: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, c.bind, nil)
			token := s.token(set{"cnf": c.cnf})
			for i := range 2 { // verified, and remembered
				var changes []func(*http.Request)
				if c.change != nil {
					changes = c.change(s, token)
				}
				_, err := s.ask(c.word, token, changes...)
				if (err == nil) != c.ok || err != nil && !errors.Is(err, gate.ErrInvalid) {
					t.Fatalf("Verify() number %d = %v, want ok %v", i+1, err, c.ok)
				}
				if more, ok := errors.AsType[*gate.InvalidError](err); c.challenge != "" && (!ok || !strings.Contains(more.Challenge, c.challenge)) {
					t.Errorf("Verify() = %v, want the challenge %s", err, c.challenge)
				}
			}
		})
	}
}

// TestDPoPNonce: a client that is told a nonce goes on with it.
func TestDPoPNonce(t *testing.T) {
	s := newStage(t, func(b *provider.Binding) { b.DPoPNonce = true }, nil)
	token := s.token(set{"cnf": set{"jkt": edThumbprint()}})
	_, err := s.ask("DPoP", token, s.proof(token, nil))
	more, ok := errors.AsType[*gate.InvalidError](err)
	if !ok || more.Header.Get("DPoP-Nonce") == "" {
		t.Fatalf("Verify() = %v, want a nonce", err)
	}
	if _, err := s.ask("DPoP", token, s.proof(token, set{"nonce": more.Header.Get("DPoP-Nonce")})); err != nil {
		t.Errorf("Verify() with the nonce = %v", err)
	}
}

// TestSilentMarks: a store that cannot tell whether a proof was used lets
// nobody in, and is nobody's fault.
func TestSilentMarks(t *testing.T) {
	s := newStage(t, nil, func(c *bearer.Config) { c.Marks = silentMarks{} })
	token := s.token(set{"cnf": set{"jkt": edThumbprint()}})
	if _, err := s.ask("DPoP", token, s.proof(token, nil)); err == nil || errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify() = %v, want an error that is not ErrInvalid", err)
	}
}

type silentMarks struct{}

func (silentMarks) Mark(context.Context, session.Key, time.Time) (bool, error) {
	return false, errors.New("silent")
}

func TestChallenge(t *testing.T) {
	const metadata = `, resource_metadata="https://blog.example/.well-known/oauth-protected-resource"`
	const algs = `, algs="ES256 ES384 EdDSA PS256 RS256"`
	for _, c := range []struct {
		name  string
		bound bool
		cause error
		want  string
	}{
		{"nothing", false, nil, `Bearer realm="api"` + metadata},
		{"invalid", false, gate.ErrInvalid, `Bearer realm="api", error="invalid_token"` + metadata},
		{"twice", false, gate.ErrDuplicate, `Bearer realm="api", error="invalid_request"` + metadata},
		{"scopes", false, &gate.InsufficientScope{Scopes: []string{"a", "b"}, Place: gate.Authorization("bearer")}, `Bearer realm="api", error="insufficient_scope", scope="a b"` + metadata},
		{"scopes, DPoP", false, &gate.InsufficientScope{Scopes: []string{"a"}, Place: gate.Authorization("dpop")}, `DPoP realm="api", error="insufficient_scope", scope="a"` + algs + metadata},
		{"nothing, bound only", true, nil, `DPoP realm="api"` + algs + metadata},
	} {
		s := newStage(t, func(b *provider.Binding) { b.BoundOnly = c.bound }, nil)
		if got := s.auth.Challenge(c.cause); got != c.want {
			t.Errorf("%s: Challenge() = %s, want %s", c.name, got, c.want)
		}
	}
}

// TestBindings: whose tokens count is never guessed.
func TestBindings(t *testing.T) {
	one := provider.Config{Name: "one", Issuer: "https://one.example"}
	two := provider.Config{Name: "two", Issuer: "https://two.example", ClientID: "x", ClientSecret: secret.New("abc")}
	plain := provider.Config{Name: "plain", UserURL: "https://id.example/user", ClientID: "x", ClientSecret: secret.New("abc")}
	jwt := bearer.Scheme{Name: "s", Kind: bearer.JWT, Places: tokenPlaces}
	at := func(kind bearer.Kind, openID, tokenURL string) bearer.Scheme {
		return bearer.Scheme{Name: "s", Kind: kind, Places: tokenPlaces, OpenIDURL: openID, TokenURL: tokenURL}
	}
	to := func(names ...string) provider.Binding { return provider.Binding{Providers: names} }
	all := []provider.Config{one, two, plain}
	// Issuers side by side at one host.
	realms := []provider.Config{{Name: "a", Issuer: "https://kc.example/realms/a"}, {Name: "b", Issuer: "https://kc.example/realms/b"}}
	root := provider.Config{Name: "root", Issuer: "https://kc.example"}
	for name, c := range map[string]struct {
		scheme    bearer.Scheme
		providers []provider.Config
		binding   provider.Binding
		why       string // "": somebody answers
	}{
		"no provider":                {jwt, nil, provider.Binding{}, "no issuer of access tokens is configured"},
		"no issuer":                  {jwt, []provider.Config{plain}, provider.Binding{}, "no issuer of access tokens is configured"},
		"the only one":               {jwt, []provider.Config{one, plain}, provider.Binding{}, ""},
		"several":                    {jwt, all, provider.Binding{}, "not plain which"},
		"several, said":              {jwt, all, to("one"), ""},
		"several for one":            {jwt, all, to("one", "two"), ""},
		"one that is not":            {jwt, all, to("three"), `no provider "three"`},
		"one without an issuer":      {jwt, all, to("plain"), "has no issuer"},
		"the document's issuer":      {at(bearer.Any, "https://one.example/.well-known/openid-configuration", ""), all, provider.Binding{}, ""},
		"another issuer":             {at(bearer.Any, "https://three.example", ""), all, provider.Binding{}, "names the issuer https://three.example"},
		"another issuer, said":       {at(bearer.Any, "https://three.example", ""), all, to("one"), ""},
		"the document's endpoint":    {at(bearer.Any, "", "https://two.example/token"), all, provider.Binding{}, ""},
		"an endpoint of two":         {at(bearer.Any, "", "https://kc.example/token"), realms, provider.Binding{}, "which of the providers a, b issues tokens at"},
		"an endpoint of one of two":  {at(bearer.Any, "", "https://kc.example/realms/a/token"), realms, provider.Binding{}, ""},
		"an endpoint begins alike":   {at(bearer.Any, "", "https://kc.example/realms/abc/token"), realms, provider.Binding{}, "not plain"},
		"one issuer below another":   {at(bearer.Any, "", "https://kc.example/realms/a/token"), append(realms[:2:2], root), provider.Binding{}, "not plain"},
		"another endpoint":           {at(bearer.Any, "", "https://three.example/token"), []provider.Config{one}, provider.Binding{}, "issued at https://three.example/token"},
		"an endpoint without a host": {at(bearer.Any, "", "/token"), []provider.Config{one}, provider.Binding{}, ""},
		"asking without a client":    {at(bearer.Opaque, "", ""), []provider.Config{one}, provider.Binding{}, "client_secret_file"},
		"asking with one":            {at(bearer.Opaque, "", ""), []provider.Config{two}, provider.Binding{}, ""},
		"asking several":             {at(bearer.Opaque, "", ""), all, to("one", "two"), "bind it to one"},
		"introspect without one":     {jwt, []provider.Config{one}, provider.Binding{Introspect: true}, "client_secret_file"},
	} {
		s := newStage(t, nil, func(cfg *bearer.Config) {
			cfg.Providers, cfg.Schemes = c.providers, []bearer.Scheme{c.scheme}
			cfg.Bindings = map[string]provider.Binding{"s": c.binding}
		})
		why, refused := gate.Refused(s.tokens.Scheme("s"))
		if refused != (c.why != "") || !strings.Contains(why, c.why) {
			t.Errorf("%s: the scheme is refused: %v, %q, want %q", name, refused, why, c.why)
		}
	}
	if _, refused := gate.Refused(newStage(t, nil, nil).tokens.Scheme("unknown")); !refused {
		t.Error("an unknown scheme is not refused")
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bearer.Config)
		want   string
	}{
		"no users":     {func(c *bearer.Config) { c.Users = nil }, "user store"},
		"limits":       {func(c *bearer.Config) { c.Limits.AddressBurst = -1 }, "must not be negative"},
		"no marks":     {func(c *bearer.Config) { c.Marks = nil }, "marks"},
		"no ring":      {func(c *bearer.Config) { c.Ring = nil }, "ring"},
		"public URL":   {func(c *bearer.Config) { c.PublicURL = "blog.example" }, "public URL"},
		"no place":     {func(c *bearer.Config) { c.Schemes[0].Places = nil }, "no place"},
		"unknown kind": {func(c *bearer.Config) { c.Schemes[0].Kind = "x" }, "unknown kind"},
	} {
		s := newStage(t, nil, nil)
		cfg := s.cfg
		cfg.Schemes = slices.Clone(cfg.Schemes)
		c.change(&cfg)
		if _, err := bearer.New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: New() = %v, want %q", name, err, c.want)
		}
	}
}

// TestSeveralIssuers: each token is verified with its own issuer's keys alone.
func TestSeveralIssuers(t *testing.T) {
	second := newIssuer(t)
	second.keys = []string{jwk(otherKey(), "ed")} // the same kid
	s := newStage(t, func(b *provider.Binding) { b.Providers = []string{"main", "second"} }, func(c *bearer.Config) {
		c.Providers = append(c.Providers, provider.Config{Name: "second", Issuer: second.URL, CA: second.ca, Algorithms: []string{"EdDSA"}},
			provider.Config{Name: "third", Issuer: "https://third.example"})
	})
	claims := func(iss string) string { return s.issuer.claims(s.now).with(set{"iss": iss}).json() }
	for name, c := range map[string]struct {
		token string
		ok    bool
	}{
		"first":                 {signed(edKey(), typed, claims(s.issuer.URL)), true},
		"second":                {signed(otherKey(), typed, claims(second.URL)), true},
		"first's key, second's": {signed(edKey(), typed, claims(second.URL)), false},
		"second's key, first's": {signed(otherKey(), typed, claims(s.issuer.URL)), false},
		"one that is not bound": {signed(edKey(), typed, claims("https://third.example")), false},
	} {
		if _, err := s.ask("Bearer", c.token); (err == nil) != c.ok {
			t.Errorf("%s: Verify() = %v, want ok %v", name, err, c.ok)
		}
	}
	// One person's sub at two issuers is two people.
	a, aerr := s.ask("Bearer", signed(edKey(), typed, claims(s.issuer.URL)))
	b, berr := s.ask("Bearer", signed(otherKey(), typed, claims(second.URL)))
	if aerr != nil || berr != nil || a.User.ID == b.User.ID {
		t.Errorf("users %v and %v, %v, %v, want two", a.User, b.User, aerr, berr)
	}
}

// TestRealms: of issuers at one host the one above the document's endpoint is
// taken, and the tokens of another are not.
func TestRealms(t *testing.T) {
	s := newStage(t, nil, nil)
	var issuers [2]provider.Config
	for n, realm := range []string{"a", "b"} {
		issuers[n] = s.cfg.Providers[0]
		issuers[n].Name, issuers[n].Issuer = realm, s.issuer.URL+"/realms/"+realm
		issuers[n].MetadataURL = s.issuer.URL + "/.well-known/openid-configuration"
	}
	s.cfg.Providers = issuers[:]
	s.cfg.Schemes[0].TokenURL = s.issuer.URL + "/realms/b/token"
	s.issuer.set(func(i *issuer) { i.change = set{"issuer": issuers[1].Issuer} })
	tokens, err := bearer.New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.auth = tokens.Scheme("token")
	if _, err := s.ask("Bearer", s.token(set{"iss": issuers[1].Issuer})); err != nil {
		t.Errorf("realm b: Verify() = %v", err)
	}
	if _, err := s.ask("Bearer", s.token(set{"iss": issuers[0].Issuer})); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("realm a: Verify() = %v, want ErrInvalid", err)
	}
}

// TestTenants: of Entra's issuer for several tenants the configured ones count.
func TestTenants(t *testing.T) {
	const ours, theirs = "aaaabbbb-0000-cccc-1111-dddd2222eeee", "00001111-aaaa-2222-bbbb-3333cccc4444"
	s := newStage(t, func(b *provider.Binding) { b.UntypedTokens = true }, func(c *bearer.Config) {
		iss := "https://login.microsoftonline.com/{tenantid}/v2.0"
		c.Providers[0].Preset, c.Providers[0].Tenants = "entra", []string{ours, "11112222-bbbb-3333-cccc-4444dddd5555"}
		c.Providers[0].MetadataURL, c.Providers[0].Issuer = c.Providers[0].Issuer+"/.well-known/openid-configuration", iss
	})
	s.issuer.set(func(i *issuer) { i.change = set{"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"} })
	of := func(iss, tid string) string {
		return s.token(set{"iss": "https://login.microsoftonline.com/" + iss + "/v2.0", "tid": tid})
	}
	for name, c := range map[string]struct {
		token string
		ok    bool
	}{
		"ours": {of(ours, ours), true}, "theirs": {of(theirs, theirs), false}, "the template": {of("{tenantid}", ours), false},
		"tid of another": {of(ours, theirs), false},
	} {
		if _, err := s.ask("Bearer", c.token); (err == nil) != c.ok {
			t.Errorf("%s: Verify() = %v, want ok %v", name, err, c.ok)
		}
	}
}

// TestPeople: who is disabled is refused within the time of the cache, at once
// where word comes, and a silent store lets nobody in.
func TestPeople(t *testing.T) {
	users := &failing{}
	s := newStage(t, nil, func(c *bearer.Config) { users.Store = c.Users; c.Users = users })
	token := s.token(nil)
	who, err := s.ask("Bearer", token)
	if err != nil {
		t.Fatal(err)
	}
	disable := func(off bool) {
		if err := s.stores.Users().SetDisabled(t.Context(), who.User.ID, off); err != nil {
			t.Fatal(err)
		}
	}
	disable(true)
	s.pass(time.Second)
	if _, err := s.ask("Bearer", token); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("disabled for as long as is remembered: Verify() = %v, want ErrInvalid", err)
	}
	disable(false)
	if _, err := s.ask("Bearer", token); err != nil {
		t.Errorf("enabled again: Verify() = %v", err)
	}
	disable(true)
	s.tokens.ForgetAll()
	if _, err := s.ask("Bearer", token); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("disabled, and word came: Verify() = %v, want ErrInvalid", err)
	}
	if users.ensured != 1 {
		t.Errorf("the record was made %d times, want once: afterwards it is read", users.ensured)
	}
	disable(false)
	users.err = errors.New("silent")
	if _, err := s.ask("Bearer", token); err == nil || errors.Is(err, gate.ErrInvalid) {
		t.Errorf("silent store: Verify() = %v, want another error than ErrInvalid", err)
	}
	if _, err := s.ask("Bearer", s.token(set{"sub": "bob"})); err == nil || errors.Is(err, gate.ErrInvalid) {
		t.Errorf("silent store, a new person: Verify() = %v, want another error than ErrInvalid", err)
	}
	// A store that was set up anew knows nobody.
	users.err, users.gone = nil, true
	if _, err := s.ask("Bearer", token); err != nil || users.ensured != 2 {
		t.Errorf("the record is gone: Verify() = %v, made %d times, want it made again", err, users.ensured)
	}
}

// TestNoRecordForStrangers: a token that is no good makes no record of a person.
func TestNoRecordForStrangers(t *testing.T) {
	s := newStage(t, nil, nil)
	for _, token := range []string{s.token(set{"aud": "x"}), signed(otherKey(), typed, s.issuer.claims(s.now).json()), s.token(set{"cnf": set{"jkt": edThumbprint()}})} {
		_, _ = s.ask("Bearer", token)
	}
	if list, err := s.stores.Users().List(t.Context(), "", 10); err != nil || len(list) != 0 {
		t.Errorf("there are records %v, %v, want none", list, err)
	}
}

type failing struct {
	user.Store
	err     error
	gone    bool // no record is found
	ensured int
}

func (f *failing) Ensure(ctx context.Context, issuer, subject string, p user.Profile) (user.Record, error) {
	if f.err != nil {
		return user.Record{}, f.err
	}
	f.ensured++
	return f.Store.Ensure(ctx, issuer, subject, p)
}

func (f *failing) Load(ctx context.Context, id string) (user.Record, error) {
	if f.gone {
		return user.Record{}, user.ErrNotFound
	}
	if f.err != nil {
		return user.Record{}, f.err
	}
	return f.Store.Load(ctx, id)
}

// TestBeside: the header counts beside the cookie, and without an audience no
// token does.
func TestBeside(t *testing.T) {
	cookie := gate.Place{In: gate.InCookie, Name: "s"}
	login := bearer.Scheme{Name: "token", Kind: bearer.Any, Login: true, Places: append(slices.Clone(tokenPlaces), cookie)}
	sessions := fakeSessions{login.Places}
	for name, c := range map[string]struct {
		bind       func(*provider.Binding)
		token      bool
		cookie     string
		user       string // "": refused
		challenged string
	}{
		"token":                 {func(b *provider.Binding) { b.Audience = []string{audience} }, true, "", "ada", "Bearer"},
		"cookie":                {func(b *provider.Binding) { b.Audience = []string{audience} }, false, "good", "session", "Bearer"},
		"both":                  {func(b *provider.Binding) { b.Audience = []string{audience} }, true, "good", "ada", "Bearer"},
		"no audience":           {nil, false, "good", "session", "Cookie"},
		"no audience, a token":  {nil, true, "good", "", "Cookie"},
		"nobody answers for it": {func(b *provider.Binding) { b.Audience, b.Providers = []string{"x"}, []string{"none"} }, false, "good", "", ""},
	} {
		s := newStage(t, c.bind, func(cfg *bearer.Config) { cfg.Schemes = []bearer.Scheme{login} })
		auth := s.tokens.Beside("token", sessions)
		if got := auth.Challenge(nil); !strings.HasPrefix(got, c.challenged) {
			t.Errorf("%s: Challenge() = %s, want %s", name, got, c.challenged)
		}
		if got := auth.Challenge(gate.ErrInvalid); c.challenged != "" && !strings.HasSuffix(got, "Cookie") {
			t.Errorf("%s: Challenge() = %s, want that a session is asked for too: pages are sent to the login by it", name, got)
		}
		r := httptest.NewRequest("GET", publicURL+"/", nil)
		if c.token {
			r.Header.Set("Authorization", "Bearer "+s.token(nil))
		}
		if c.cookie != "" {
			r.Header.Set("Cookie", "s="+c.cookie)
		}
		cred, found, err := auth.Find(r)
		if !found {
			if c.user != "" {
				t.Errorf("%s: Find() = %v, %v", name, found, err)
			}
			continue
		}
		who, err := auth.Verify(t.Context(), r, cred)
		switch {
		case (err == nil) != (c.user != ""):
			t.Errorf("%s: Verify() = %+v, %v, want %q", name, who, err, c.user)
		case err == nil && who.User.Subject != c.user:
			t.Errorf("%s: Verify() = %+v, want %q", name, who.User, c.user)
		}
	}
}

// fakeSessions stand for those of package session, which its own tests are for.
type fakeSessions struct{ places []gate.Place }

func (f fakeSessions) Find(r *http.Request) (gate.Credential, bool, error) {
	return gate.FindIn(r, f.places...)
}

func (f fakeSessions) Verify(_ context.Context, _ *http.Request, c gate.Credential) (gate.Identity, error) {
	if c.Place.In != gate.InCookie || c.Value != "good" {
		return gate.Identity{}, gate.ErrInvalid
	}
	return gate.Identity{User: &gate.User{ID: "s", Subject: "session"}}, nil
}

func (f fakeSessions) Challenge(error) string { return "Cookie" }

// routed answers at /posts alone.
type routed struct{}

func (routed) ServeHTTP(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "next") }
func (routed) Answers(path string) bool                         { return path == "/posts" }
func (routed) Patterns() []string                               { return []string{"GET /posts"} }

func TestMetadata(t *testing.T) {
	s := newStage(t, nil, nil)
	h := s.tokens.Handler(routed{})
	ask := func(method, path string) (*httptest.ResponseRecorder, map[string]any) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, publicURL+path, nil))
		var m map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &m)
		return w, m
	}
	w, m := ask("GET", bearer.MetadataPath)
	want := `{"authorization_servers":["` + s.issuer.URL + `"],"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["ES256","ES384","EdDSA","PS256","RS256"],"resource":"https://blog.example","resource_name":"Blog","scopes_supported":["posts:read","posts:write"],"tls_client_certificate_bound_access_tokens":true}`
	if got, err := json.Marshal(m, json.Deterministic(true)); err != nil || string(got) != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("metadata are %s (%s), want %s", got, w.Header().Get("Content-Type"), want)
	}
	if w, m := ask("GET", bearer.MetadataPath+"/posts"); w.Code != 200 || m["resource"] != publicURL+"/posts" {
		t.Errorf("metadata of an operation = %d %v, want its URL as the resource", w.Code, m)
	}
	if w, _ := ask("HEAD", bearer.MetadataPath); w.Code != 200 || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD = %d with %d bytes", w.Code, w.Body.Len())
	}
	if w, _ := ask("POST", bearer.MetadataPath); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST = %d, Allow %q, want 405", w.Code, w.Header().Get("Allow"))
	}
	for _, path := range []string{"/posts", bearer.MetadataPath + "/other", bearer.MetadataPath + "x", "/"} {
		if w, _ := ask("GET", path); w.Body.String() != "next" {
			t.Errorf("GET %s = %s, want what is behind", path, w.Body)
		}
	}
	a := h.(interface {
		Answers(string) bool
		Patterns() []string
	})
	if !a.Answers(bearer.MetadataPath) || !a.Answers("/posts") || a.Answers("/other") || len(a.Patterns()) != 1 {
		t.Error("the handler does not say where it answers")
	}
	refused := newStage(t, nil, func(c *bearer.Config) { c.Providers = nil })
	if refused.tokens.Handler(routed{}) != http.Handler(routed{}) {
		t.Error("a server that takes no tokens tells where they come from")
	}
}

// TestOpen: an issuer with other metadata is an error, a silent one is not, and
// is known to be by Check.
func TestOpen(t *testing.T) {
	s := newStage(t, nil, nil)
	s.issuer.set(func(i *issuer) { i.change = set{"issuer": "https://evil.example"} })
	if err := s.tokens.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "evil.example") {
		t.Errorf("Open() with other metadata = %v, want an error", err)
	}
	s = newStage(t, nil, nil)
	s.issuer.set(func(i *issuer) { i.down = true })
	if err := s.tokens.Open(t.Context()); err != nil {
		t.Errorf("Open() with a silent issuer = %v", err)
	}
	if err := s.tokens.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "main") {
		t.Errorf("Check() with a silent issuer = %v, want it named", err)
	}
	if _, err := s.ask("Bearer", s.token(nil)); err == nil || errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify() with a silent issuer = %v, want that it cannot be told", err)
	}
	s.issuer.set(func(i *issuer) { i.down = false })
	s.pass(11 * time.Second)
	if _, err := s.ask("Bearer", s.token(nil)); err != nil {
		t.Errorf("Verify() when it is back = %v", err)
	}
}

// TestNobodyToAsk: where the issuer answers no questions about tokens, one that is
// no JWT is no good, rather than something that cannot be told.
func TestNobodyToAsk(t *testing.T) {
	s := newStage(t, nil, func(c *bearer.Config) { withClient(c); c.Schemes[0].Kind = bearer.Any })
	s.issuer.set(func(i *issuer) { i.change = set{"introspection_endpoint": absent} })
	if err := s.tokens.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ask("Bearer", "opaque"); !errors.Is(err, gate.ErrInvalid) || s.issuer.asked.Load() != 0 {
		t.Errorf("Verify() = %v after %d questions, want ErrInvalid after none", err, s.issuer.asked.Load())
	}
}
