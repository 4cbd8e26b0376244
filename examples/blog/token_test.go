package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/examples/blog/internal/api"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/secret"
)

// TestServices has services and people call the blog with access tokens, good ones
// and others: what a token opens is what the document says of the scheme service.
func TestServices(t *testing.T) {
	b := start(t)
	token := func(subject, client string, scopes []string, change map[string]any) string {
		return b.idp.AccessToken(gatetest.AccessToken{Subject: subject, Client: client, Audience: []string{b.url}, Scopes: scopes, Claims: change})
	}
	write := []string{"posts:write"}
	good, other := token("", "publisher", write, nil), token("", "other", write, nil)
	const hello, draft = `{"title":"Hello","text":"World"}`, `{"title":"Later","text":"…","draft":true}`
	publish := func(authorization, body string) api.Post {
		t.Helper()
		status, header, text := b.ask(t, "POST", "/posts", authorization, body)
		var made api.Post
		if err := json.Unmarshal([]byte(text), &made); err != nil || status != 201 || header.Get("Location") != "/posts/"+made.ID {
			t.Fatalf("POST /posts = %d %s, %v", status, text, err)
		}
		return made
	}
	made, hidden := publish("Bearer "+good, hello), publish("bearer "+good, draft) // the word in any case
	opaque := b.idp.AccessToken(gatetest.AccessToken{Client: "publisher", Audience: []string{b.url}, Scopes: write, Opaque: true})
	for _, c := range []struct {
		name, author string
		post         api.Post
	}{
		{"a service", "publisher", made},
		{"a service whose token the issuer is asked about", "publisher", publish("Bearer "+opaque, hello)},
		{"a person who has never signed in", "zoe", publish("Bearer "+token("zoe", "phone", write, nil), hello)},
	} {
		if c.post.Author != c.author {
			t.Errorf("the author of a post by %s is %q, want %q", c.name, c.post.Author, c.author)
		}
	}

	// An ID token is signed with the same key, for the blog.
	ann := newGuest(t, b.url, b.client.Transport.(*http.Transport).Clone(), b.idp)
	ann.signIn(t)

	now := time.Now()
	path, away := "/posts/"+made.ID, "/posts/"+hidden.ID
	for _, c := range []struct {
		name, method, path, authorization string
		status                            int
		challenge                         string
	}{
		{"expired", "POST", "/posts", token("", "publisher", write, map[string]any{"exp": now.Add(-2 * time.Minute).Unix(), "iat": now.Add(-time.Hour).Unix()}), 401, `Bearer realm="api", error="invalid_token"`},
		{"not good yet", "POST", "/posts", token("", "publisher", write, map[string]any{"nbf": now.Add(time.Hour).Unix()}), 401, `error="invalid_token"`},
		{"for another server", "POST", "/posts", token("", "publisher", write, map[string]any{"aud": "https://other.example"}), 401, `error="invalid_token"`},
		{"for the blog with a slash", "POST", "/posts", token("", "publisher", write, map[string]any{"aud": b.url + "/"}), 401, `error="invalid_token"`},
		{"for the login", "POST", "/posts", token("", "publisher", write, map[string]any{"aud": b.idp.ClientID}), 401, `error="invalid_token"`},
		{"of another issuer", "POST", "/posts", token("", "publisher", write, map[string]any{"iss": "https://id.example"}), 401, `error="invalid_token"`},
		{"the person's ID token", "POST", "/posts", b.idp.LastIDToken(), 401, `error="invalid_token"`},
		{"opaque, for another server", "POST", "/posts", b.idp.AccessToken(gatetest.AccessToken{Client: "publisher", Audience: []string{"https://other.example"}, Scopes: write, Opaque: true}), 401, `error="invalid_token"`},
		{"made up", "POST", "/posts", "nonsense", 401, `error="invalid_token"`},
		{"bound to a key that is not shown", "POST", "/posts", token("", "publisher", write, map[string]any{"cnf": map[string]any{"jkt": strings.Repeat("A", 43)}}), 401, ``},
		{"without a scope", "POST", "/posts", token("", "publisher", nil, nil), 403, `error="insufficient_scope", scope="posts:write"`},
		{"with an editor's scope", "POST", "/posts", token("", "publisher", []string{"posts:edit"}, nil), 403, `error="insufficient_scope", scope="posts:write"`},
		{"a person's, without the scope", "POST", "/posts", token("zoe", "phone", nil, nil), 403, `error="insufficient_scope", scope="posts:write"`},
		{"a scope in another case", "POST", "/posts", token("", "publisher", []string{"posts:Write"}, nil), 403, `error="insufficient_scope"`},
		{"a comment, which services make none of", "POST", path + "/comments", good, 401, ``},
		{"one's own draft", "GET", away, good, 200, ""},
		{"another's draft", "GET", away, other, 404, ""},
		{"a bad token where nobody is needed", "GET", path, good + "x", 401, `error="invalid_token"`},
		{"another's post", "PUT", path, other, 403, ""},
		{"another's draft, to rewrite", "PUT", away, other, 404, ""},
		{"another's post, with an editor's scope", "PUT", path, token("", "other", []string{"posts:edit"}, nil), 403, `error="insufficient_scope", scope="posts:write"`},
		{"one's own post", "PUT", path, good, 200, ""},
		{"one's own post, later", "DELETE", path, token("", "publisher", write, nil), 204, ""},
	} {
		body := hello
		if strings.HasSuffix(c.path, "comments") {
			body = `{"text":"Well said"}`
		}
		if c.method == "GET" || c.method == "DELETE" {
			body = ""
		}
		status, header, text := b.ask(t, c.method, c.path, "Bearer "+c.authorization, body)
		if status != c.status || !strings.Contains(strings.Join(header["Www-Authenticate"], "\n"), c.challenge) {
			t.Errorf("%s: %s %s = %d %q %s, want %d and %s", c.name, c.method, c.path, status, header["Www-Authenticate"], text, c.status, c.challenge)
		}
		if strings.Contains(text, c.authorization) {
			t.Errorf("%s: the answer echoes the token", c.name)
		}
	}
}

// TestSettings reads the example's server.yaml: the metadata tell services to get
// tokens for the public URL, so these have to be taken.
func TestSettings(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile("server.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"server.yaml": string(text), "server.secret": secret.Random(32).Reveal(), "client.secret": secret.Random(32).Reveal()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load([]string{"-config", filepath.Join(dir, "server.yaml")}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if s := cfg.Schemes["service"]; len(s.Audience) > 0 && !slices.Contains(s.Audience, cfg.PublicURL) {
		t.Errorf("tokens for %q are taken, and services get them for %s", s.Audience, cfg.PublicURL)
	}
	if login := cfg.Schemes["login"]; len(login.Audience) > 0 {
		t.Errorf("the login takes tokens for %q", login.Audience)
	}
}
