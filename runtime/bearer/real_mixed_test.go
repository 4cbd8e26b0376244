package bearer_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/clientcert"
	"github.com/gatewright/gatewright/runtime/custom"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// A mixed credential is a real one: what it adds to a request, and whom it
// speaks of.
type mixed struct {
	name         string
	add          func(*http.Request, *tls.Config)
	user, client string
}

// mixedSchemes are one of each kind, and where its credential lies.
var mixedSchemes = []gate.Scheme{
	{Name: "key", Places: []gate.Place{{In: gate.InHeader, Name: "X-Key"}}},
	{Name: "otherKey", Places: []gate.Place{{In: gate.InHeader, Name: "X-Other-Key"}}},
	{Name: "session", Places: []gate.Place{{In: gate.InCookie, Name: session.DefaultCookie}}},
	{Name: "jwt", Places: tokenPlaces},
	{Name: "opaque", Places: tokenPlaces},
	{Name: "certificate", Places: []gate.Place{{In: gate.InCertificate}}},
	{Name: "password", Places: []gate.Place{gate.Authorization("basic")}},
	{Name: "signature", Places: []gate.Place{{In: gate.InHeader, Name: "X-Partner"}}},
}

// TestMixedIdentity asks for every pair of kinds with real credentials of
// two people and two programs (DESIGN: in an AND all credentials of a person
// speak of one, and a program may stand beside).
func TestMixedIdentity(t *testing.T) {
	op := endpoints(t, testenv.OIDCProvider(t, testenv.OIDCProviderConfig{
		RedirectURIs: []string{callback}, Resources: []string{jwtResource}, OpaqueResources: []string{opaqueResource},
	}))
	before := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { slog.SetDefault(before) })
	ca := testenv.NewCA(t)
	stores, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "mixed.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stores.Close() })
	people := map[string]user.Record{}
	for _, name := range []string{"alice", "bob"} {
		people[name] = must(stores.Users().Ensure(t.Context(), op.Issuer, name, user.Profile{}))
	}
	clients := map[string][]string{"acme": {"main/service", "cn:acme.example"}, "other": {"main/other-service", "cn:other.example"}}

	credentials := map[string][]mixed{}
	header := func(name, value string) func(*http.Request, *tls.Config) {
		return func(r *http.Request, _ *tls.Config) { r.Header.Add(name, value) }
	}
	add := func(scheme, user, client string, f func(*http.Request, *tls.Config)) {
		credentials[scheme] = append(credentials[scheme], mixed{user + client, f, user, client})
	}
	ring := must(secret.NewRing(secret.Random(32)))
	keys := must(apikey.New(apikey.Config{Store: stores.Keys(), Users: stores.Users(), Environment: apikey.Test, Schemes: []string{"key", "otherKey"}}))
	for scheme, name := range map[string]string{"key": "X-Key", "otherKey": "X-Other-Key"} {
		for _, owner := range []string{"alice", "bob", "acme", "other"} {
			req := apikey.CreateRequest{Label: owner, Owner: apikey.Owner{Client: owner}}
			user, client := "", owner
			if p, ok := people[owner]; ok {
				req.Owner, user, client = apikey.Owner{User: p.ID}, owner, ""
			}
			key, _, err := keys.Create(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			add(scheme, user, client, header(name, key.Reveal()))
		}
	}
	sessions := must(session.New(session.Config{
		Idle: time.Hour, Absolute: time.Hour, Store: stores.Sessions(), Revocations: stores.Revocations(), Users: stores.Users(), Ring: ring,
	}))
	for name, p := range people {
		add("session", name, "", header("Cookie", session.DefaultCookie+"="+cookieOf(t, sessions, p)))
	}
	for scheme, resource := range map[string]string{"jwt": jwtResource, "opaque": opaqueResource} {
		for name := range people {
			token := op.person(t, name, "openid posts:write", resource)["access_token"].(string)
			add(scheme, name, "", header("Authorization", "Bearer "+token))
		}
		for id, client := range map[string]string{"acme": "service", "other": "other-service"} {
			add(scheme, "", id, header("Authorization", "Bearer "+op.program(t, client, resource)))
		}
	}
	for _, id := range []string{"acme", "other"} {
		add("certificate", "", id, showing(ca.ClientCertificate(t, id+".example", nil)))
		add("password", "", id, header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":right"))))
		add("signature", "", id, header("X-Partner", id))
	}
	add("signature", "alice", "", header("X-Partner", "alice"))

	tokens := must(bearer.New(bearer.Config{
		PublicURL: "https://localhost", Users: stores.Users(), Marks: stores.Marks(), Ring: ring, Clients: clients,
		Providers: []provider.Config{{Name: "main", Issuer: op.Issuer, CA: op.CA.File, ClientID: "api", ClientSecret: secret.New("api-secret"), NoSignIn: true}},
		Bindings:  map[string]provider.Binding{"jwt": {Audience: []string{jwtResource}}, "opaque": {Audience: []string{opaqueResource}}},
		Schemes: []bearer.Scheme{
			{Name: "jwt", Kind: bearer.JWT, Places: tokenPlaces}, {Name: "opaque", Kind: bearer.Opaque, Places: tokenPlaces},
		},
	}))
	certificates := must(clientcert.New(clientcert.Config{CA: ca.File, Clients: clients}))
	verify := func(name string) (gate.Identity, error) {
		if p, ok := people[name]; ok {
			u := p.User()
			return gate.Identity{User: &u}, nil
		}
		return gate.Identity{Client: &gate.Client{ID: name}}, nil
	}
	a := newMixedAPI(t, ca, map[string]gate.Authenticator{
		"key":         keys.Scheme("key", mixedSchemes[0].Places...),
		"otherKey":    keys.Scheme("otherKey", mixedSchemes[1].Places...),
		"session":     sessions.Scheme("session", nil, mixedSchemes[2].Places...),
		"jwt":         tokens.Scheme("jwt"),
		"opaque":      tokens.Scheme("opaque"),
		"certificate": certificates.Scheme(),
		"password": must(custom.Basic(custom.PasswordFunc(func(_ context.Context, name, _ string) (gate.Identity, error) {
			return verify(name)
		}), limit.Limits{})),
		"signature": must(custom.Token(custom.TokenFunc(func(_ context.Context, name string) (gate.Identity, error) {
			return verify(name)
		}), mixedSchemes[7].Places...)),
	})
	counts := map[int]int{}
	for i, x := range mixedSchemes {
		for _, y := range mixedSchemes[i+1:] {
			for _, cx := range credentials[x.Name] {
				status, body := a.ask(t, x.Name+"-"+y.Name, cx.add)
				// The provider refuses to say anything of a JWT.
				silent := x.Name == "jwt" && y.Name == "opaque" && status == http.StatusServiceUnavailable
				if status != http.StatusUnauthorized && !silent {
					t.Errorf("%s and %s: %s alone = %d %s, want 401", x.Name, y.Name, cx.name, status, body)
				}
				for _, cy := range credentials[y.Name] {
					status, body := a.ask(t, x.Name+"-"+y.Name, cx.add, cy.add)
					want, who := pair(x, y, cx, cy)
					if status != want || want == http.StatusOK && body != who {
						t.Errorf("%s of %s and %s of %s = %d %s, want %d %s", x.Name, cx.name, y.Name, cy.name, status, body, want, who)
					}
					counts[status]++
				}
			}
		}
	}
	t.Logf("pairs of credentials by status: %v", counts)
	if counts[http.StatusOK] < 150 || counts[http.StatusForbidden] < 50 {
		t.Errorf("too few pairs let in or refused: %v", counts)
	}
}

// pair is what two good credentials come to.
func pair(x, y gate.Scheme, cx, cy mixed) (status int, who string) {
	inAuthorization := func(s gate.Scheme) bool { return s.Places[0].In == gate.InAuthorization }
	if inAuthorization(x) && inAuthorization(y) {
		return http.StatusBadRequest, "" // two header lines
	}
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	if differ(cx.user, cy.user) || differ(cx.client, cy.client) {
		return http.StatusForbidden, ""
	}
	return http.StatusOK, fmt.Sprintf("user %s client %s", cx.user+strings.TrimPrefix(cy.user, cx.user), cx.client+strings.TrimPrefix(cy.client, cx.client))
}

// A mixedAPI has an operation for each pair of schemes: GET /X-Y.
type mixedAPI struct {
	url string
	ca  *testenv.CA
}

func newMixedAPI(t *testing.T, ca *testenv.CA, auth map[string]gate.Authenticator) *mixedAPI {
	t.Helper()
	cfg := gate.Config{Schemes: mixedSchemes, Authenticators: auth, PublicOrigin: "https://localhost"}
	for i, x := range mixedSchemes {
		for _, y := range mixedSchemes[i+1:] {
			id := x.Name + "-" + y.Name
			cfg.Operations = append(cfg.Operations, &gate.Operation{ID: id, Pattern: "GET /" + id, Policy: gate.Require(gate.Need{Scheme: x.Name}, gate.Need{Scheme: y.Name})})
		}
	}
	g := must(gate.New(cfg))
	mux := http.NewServeMux()
	for _, op := range cfg.Operations {
		mux.HandleFunc(op.Pattern, func(w http.ResponseWriter, r *http.Request) {
			who, ok := g.Admit(w, r, op)
			if !ok {
				return
			}
			u, _ := who.User()
			c, _ := who.Client()
			_, _ = fmt.Fprintf(w, "user %s client %s", u.Subject, c.ID)
		})
	}
	s := httptest.NewUnstartedServer(mux)
	s.TLS = clientcert.Ask(&tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "localhost")}}, []string{"localhost"})
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return &mixedAPI{"https://localhost:" + port, ca}
}

func (a *mixedAPI) ask(t *testing.T, op string, add ...func(*http.Request, *tls.Config)) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, a.url+"/"+op, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := a.ca.Transport()
	for _, f := range add {
		f(req, tr.TLSClientConfig)
	}
	res, err := (&http.Client{Transport: tr, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// cookieOf signs a person in, and returns the value of the session's cookie.
func cookieOf(t *testing.T, sessions *session.Sessions, who user.Record) string {
	t.Helper()
	ticket, err := sessions.Begin(t.Context(), session.Login{User: who, Provider: "main", Issuer: who.Issuer, Subject: who.Subject, AuthTime: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := sessions.Finish(w, httptest.NewRequest("GET", "https://localhost/auth/finish", nil), ticket); err != nil {
		t.Fatal(err)
	}
	return w.Result().Cookies()[0].Value
}
