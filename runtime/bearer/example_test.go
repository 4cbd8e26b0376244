package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

// A server whose operations take access tokens of one issuer. Generated code
// does the same for the schemes of its document.
func Example() {
	folder, err := os.MkdirTemp("", "bearer")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	stores, err := sqlite.Open(context.Background(), filepath.Join(folder, "blog.db"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = stores.Close() }()
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		panic(err)
	}
	places := []gate.Place{gate.Authorization("bearer"), gate.Authorization("dpop")}
	tokens, err := bearer.New(bearer.Config{
		PublicURL: "https://blog.example",
		Providers: []provider.Config{{Name: "main", Issuer: "https://id.example"}},
		Bindings:  map[string]provider.Binding{"robots": {Audience: []string{"https://blog.example"}}},
		Schemes:   []bearer.Scheme{{Name: "robots", Kind: bearer.JWT, Places: places, Scopes: []string{"posts:write"}}},
		Users:     stores.Users(),
		Marks:     stores.Marks(),
		Ring:      ring,
	})
	if err != nil {
		panic(err)
	}
	publish := &gate.Operation{
		ID:      "publish",
		Pattern: "POST /posts",
		Policy:  gate.Require(gate.Need{Scheme: "robots", Scopes: []string{"posts:write"}}),
	}
	g, err := gate.New(gate.Config{
		Schemes:        []gate.Scheme{{Name: "robots", Places: places}},
		Authenticators: map[string]gate.Authenticator{"robots": tokens.Scheme("robots")},
		Operations:     []*gate.Operation{publish},
	})
	if err != nil {
		panic(err)
	}
	h := tokens.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, ok := g.Admit(w, r, publish); ok {
			client, _ := who.Client()
			_, _ = fmt.Fprintf(w, "published by %s", client.ID)
		}
	}))

	// Who has no token learns where the metadata lie, and there who issues some.
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "https://blog.example/posts", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "https://blog.example"+bearer.MetadataPath, nil))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 401 Bearer realm="api", resource_metadata="https://blog.example/.well-known/oauth-protected-resource"
	// 200 {"resource":"https://blog.example","authorization_servers":["https://id.example"],"scopes_supported":["posts:write"],"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["ES256","ES384","EdDSA","PS256","RS256"],"tls_client_certificate_bound_access_tokens":true}
}
