package gatetest_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

// verifier takes tokens of idp for the audience api.
func verifier(t *testing.T, idp *gatetest.Provider, kind bearer.Kind) gate.Authenticator {
	t.Helper()
	stores, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stores.Close() })
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := bearer.New(bearer.Config{
		PublicURL: "https://api.example",
		Providers: []provider.Config{idp.Config("main")},
		Bindings:  map[string]provider.Binding{"token": {Providers: []string{"main"}, Audience: []string{"api"}}},
		Schemes:   []bearer.Scheme{{Name: "token", Kind: kind, Places: []gate.Place{gate.Authorization("bearer")}}},
		Users:     stores.Users(), Marks: stores.Marks(), Ring: ring,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens.Scheme("token")
}

func TestProviderAccessToken(t *testing.T) {
	for _, kind := range []bearer.Kind{bearer.JWT, bearer.Opaque} {
		now := time.Now()
		idp := gatetest.NewProvider(t, gatetest.ProviderConfig{Now: func() time.Time { return now }})
		auth := verifier(t, idp, kind)
		for _, c := range []struct {
			name       string
			token      gatetest.AccessToken
			change     func(token string)
			want       error
			user       string
			client     string
			wantScopes int
		}{
			{"a person's", gatetest.AccessToken{Subject: "ann", Audience: []string{"api"}, Scopes: []string{"a", "b"}}, nil, nil, "ann", "", 2},
			{"a program's", gatetest.AccessToken{Client: "robot", Audience: []string{"api"}}, nil, nil, "", "main/robot", 0},
			{"further claims", gatetest.AccessToken{Audience: []string{"api"}, Claims: map[string]any{"sub": "bob"}}, nil, nil, "bob", "", 0},
			{"another audience", gatetest.AccessToken{Subject: "ann", Audience: []string{"other"}}, nil, gate.ErrInvalid, "", "", 0},
			{"bound to a key", gatetest.AccessToken{Subject: "ann", Audience: []string{"api"}, Claims: map[string]any{
				"cnf": map[string]any{"jkt": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}}, nil, gate.ErrInvalid, "", "", 0},
			{"expired", gatetest.AccessToken{Subject: "ann", Audience: []string{"api"}, Claims: map[string]any{
				"exp": now.Add(-time.Hour).Unix(), "iat": now.Add(-2 * time.Hour).Unix()}}, nil, gate.ErrInvalid, "", "", 0},
			{"taken back", gatetest.AccessToken{Subject: "ann", Audience: []string{"api"}}, idp.RevokeAccessToken,
				map[bearer.Kind]error{bearer.Opaque: gate.ErrInvalid}[kind], "ann", "", 0},
		} {
			t.Run(string(kind)+"/"+c.name, func(t *testing.T) {
				c.token.Opaque = kind == bearer.Opaque
				token := idp.AccessToken(c.token)
				if c.change != nil {
					c.change(token)
				}
				r := httptest.NewRequest("GET", "https://api.example/", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				cred, found, err := auth.Find(r)
				if !found || err != nil {
					t.Fatalf("Find() = %v, %v", found, err)
				}
				who, err := auth.Verify(t.Context(), r, cred)
				if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Fatalf("Verify() = %v, want %v", err, c.want)
				}
				if err != nil {
					return
				}
				var user, client string
				if who.User != nil {
					user = who.User.Subject
				}
				if who.Client != nil {
					client = who.Client.ID
				}
				if user != c.user || client != c.client || len(who.Scopes) != c.wantScopes {
					t.Errorf("Verify() = user %q, client %q, scopes %q, want %q, %q, %d", user, client, who.Scopes, c.user, c.client, c.wantScopes)
				}
			})
		}
		r := httptest.NewRequest("GET", "https://api.example/", nil)
		if _, found, err := auth.Find(r); found || err != nil {
			t.Errorf("Find() without a token = %v, %v", found, err)
		}
		resp, err := idp.Client().PostForm(idp.Issuer+"/introspect", url.Values{"token": {idp.AccessToken(gatetest.AccessToken{Subject: "ann"})}})
		if err != nil {
			t.Fatal(err)
		}
		if body := read(t, resp); resp.StatusCode != http.StatusUnauthorized || strings.Contains(body, "ann") {
			t.Errorf("POST /introspect of nobody = %d %s, want 401", resp.StatusCode, body)
		}
		if kind == bearer.Opaque && idp.Requests("/introspect") == 0 {
			t.Error("nobody asked about an opaque token")
		}
	}
}
