package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/examples/blog/internal/api"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/tlsconf"
	"github.com/gatewright/gatewright/runtime/user"
)

// A blog is the whole program, running on a free port of this machine.
type blog struct {
	url    string
	client *http.Client
	keys   *apikey.Keys
	users  user.Store
	idp    *gatetest.Provider
}

// start runs the blog, with a provider at which people sign in. What a person
// may do, the provider says in the claim groups.
func start(t *testing.T) *blog {
	t.Helper()
	idp := gatetest.NewProvider(t)
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	url := "https://localhost:" + port
	file := filepath.Join(dir, "server.yaml")
	settings := fmt.Sprintf("public_url: %s\nlisten: %s\ntls: {dev: true}\nsecret_file: server.secret\nstore: sqlite:keys.db\nenvironment: test\n", url, addr) +
		fmt.Sprintf("providers:\n  main: {issuer: %q, client_id: %s, client_secret_file: client.secret, ca: %q}\n", idp.Issuer, idp.ClientID, idp.CAFile) +
		"schemes:\n  service: {provider: main}\n  login: {provider: main, scopes_claim: groups, scopes_map: {authors: [posts:write], editors: [posts:edit]}}\n"
	for path, text := range map[string]string{file: settings, filepath.Join(dir, "server.secret"): secret.Random(32).Reveal() + "\n", filepath.Join(dir, "client.secret"): idp.ClientSecret + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stores := serveBlog(t, dir, file, nil)
	keys, err := apikey.New(apikey.Config{Store: stores.Keys(), Users: stores.Users(), Environment: apikey.Test, Schemes: []string{"apiKey", "basic"}})
	if err != nil {
		t.Fatal(err)
	}
	client := trusting(t)
	idp.RegisterServer(url, "main", client)
	return &blog{url: url, client: client, keys: keys, users: stores.Users(), idp: idp}
}

// serveBlog runs the blog with the settings in a file, its posts in dir, until
// the test ends, and opens its store a second time, as the command does it.
// change, if any, is made to the configuration.
func serveBlog(t *testing.T, dir, file string, change func(*config.Config)) *sqlite.Store {
	t.Helper()
	cfg, err := config.Load([]string{"-config", file}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{})
	cfg.Listening = func(net.Addr) { close(listening) }
	cfg.Files = front
	if change != nil {
		change(&cfg)
	}
	posts, err := openPosts(t.Context(), filepath.Join(dir, "blog.db"))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := newPolicy()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- api.Run(ctx, cfg, &service{posts: posts, policy: policy}, sqlite.Driver) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if err := posts.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-listening:
	case err := <-ended:
		ended <- nil
		t.Fatalf("Run = %v", err)
	}
	stores, err := sqlite.Open(t.Context(), filepath.Join(dir, "keys.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stores.Close() })
	return stores
}

// trusting is a client that trusts the development authority and nobody else.
func trusting(t *testing.T) *http.Client {
	dir, err := tlsconf.DefaultDir()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := tlsconf.OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the authority's certificate does not parse")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// key makes a key for a user of that name.
func (b *blog) key(t *testing.T, name string, scopes ...string) string {
	t.Helper()
	rec, err := b.users.Ensure(t.Context(), user.Local, name, user.Profile{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := b.keys.Create(t.Context(), apikey.CreateRequest{
		Owner: apikey.Owner{User: rec.ID}, Label: "test", Scopes: scopes, Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

// ask sends a request and returns status, header and body.
func (b *blog) ask(t *testing.T, method, path, authorization, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

func TestBlog(t *testing.T) {
	b := start(t)
	alice, bob := b.key(t, "alice", "posts:write"), b.key(t, "bob", "posts:write")
	reader, editor := b.key(t, "carol"), b.key(t, "dora", "posts:edit")
	commenter := b.key(t, "carol", "comments:write")
	const remark = `{"text":"Well said"}`
	const hello = `{"title":"Hello","text":"World","tags":["go"]}`

	status, header, body := b.ask(t, "POST", "/posts", "apikey "+alice, hello)
	if status != 201 {
		t.Fatalf("POST /posts by alice = %d %s", status, body)
	}
	var made api.Post
	if err := json.Unmarshal([]byte(body), &made); err != nil {
		t.Fatal(err)
	}
	path := "/posts/" + made.ID
	if made.Author != "alice" || header.Get("Location") != path {
		t.Errorf("POST /posts = %s, Location %q", body, header.Get("Location"))
	}
	_, _, draft := b.ask(t, "POST", "/posts", "apikey "+alice, `{"title":"Later","text":"…","draft":true}`)
	var hidden api.Post
	if err := json.Unmarshal([]byte(draft), &hidden); err != nil {
		t.Fatal(err)
	}

	basic := func(user, password string) string {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		return r.Header.Get("Authorization")
	}
	last := alice[:len(alice)-1] + string(alice[len(alice)-1]^1)
	for _, c := range []struct {
		name                     string
		method, path, auth, body string
		status                   int
		code                     string
	}{
		{"anyone reads the list", "GET", "/posts", "", "", 200, ""},
		{"anyone reads a post", "GET", path, "", "", 200, ""},
		{"HEAD as GET", "HEAD", path, "", "", 200, ""},
		{"no credential", "POST", "/posts", "", hello, 401, "credential_missing"},
		{"no credential comes before a broken body", "POST", "/posts", "", "{", 401, "credential_missing"},
		{"wrong key", "POST", "/posts", "apikey " + last, hello, 401, "credential_invalid"},
		{"wrong key where nobody is let in", "GET", path, "apikey " + last, "", 401, "credential_invalid"},
		{"wrong key on a public operation is not looked at", "GET", "/posts", "apikey " + last, "", 200, ""},
		{"key without the scope", "POST", "/posts", "apikey " + reader, hello, 403, "insufficient_scope"},
		{"Basic with the key", "POST", "/posts", basic("apikey", alice), hello, 201, ""},
		{"Basic with another user name", "POST", "/posts", basic("alice", alice), hello, 401, "credential_invalid"},
		{"no Bearer token is taken", "POST", "/posts", "Bearer " + alice, hello, 401, "credential_invalid"},
		{"a member missing", "POST", "/posts", "apikey " + alice, `{"title":"x"}`, 422, "invalid"},
		{"a member too many", "POST", "/posts", "apikey " + alice, `{"title":"x","text":"","admin":true}`, 422, "invalid"},
		{"a member twice", "POST", "/posts", "apikey " + alice, `{"title":"x","title":"y","text":""}`, 400, "body_unreadable"},
		{"not JSON", "POST", "/posts", "apikey " + alice, `{`, 400, "body_unreadable"},
		{"limit out of bounds", "GET", "/posts?limit=1000", "", "", 422, "invalid"},
		{"limit not a number", "GET", "/posts?limit=many", "", "", 400, "parameter_unreadable"},
		{"an id that breaks its pattern", "GET", "/posts/..%2fx", "", "", 422, "invalid"},
		{"no such path", "GET", "/nothing", "", "", 404, "not_found"},
		{"no such method", "PATCH", path, "apikey " + alice, hello, 405, "method_not_allowed"},
		{"another's post", "PUT", path, "apikey " + bob, hello, 403, "not_yours"},
		{"a draft by its author", "GET", "/posts/" + hidden.ID, "apikey " + alice, "", 200, ""},
		{"a draft by another", "GET", "/posts/" + hidden.ID, "apikey " + bob, "", 404, "no_post"},
		{"a draft by nobody", "GET", "/posts/" + hidden.ID, "", "", 404, "no_post"},
		{"a draft by an editor", "GET", "/posts/" + hidden.ID, "apikey " + editor, "", 404, "no_post"},
		{"a draft rewritten by an editor", "PUT", "/posts/" + hidden.ID, "apikey " + editor, hello, 404, "no_post"},
		{"another's post by an editor", "PUT", path, "apikey " + editor, hello, 200, ""},
		{"a comment by nobody", "POST", path + "/comments", "", remark, 401, "credential_missing"},
		{"a comment by a key without the scope", "POST", path + "/comments", "apikey " + reader, remark, 403, "insufficient_scope"},
		{"a comment", "POST", path + "/comments", "apikey " + commenter, remark, 201, ""},
		{"comments are read by anyone", "GET", path + "/comments", "", "", 200, ""},
		{"no comments on a draft", "GET", "/posts/" + hidden.ID + "/comments", "", "", 404, "no_post"},
		{"the front page", "GET", "/", "", "", 200, ""},
		{"its script", "GET", "/blog.js", "", "", 200, ""},
		{"no session", "GET", "/auth/session", "", "", 401, "credential_missing"},
		{"one's own post rewritten", "PUT", path, "apikey " + alice, `{"title":"Hi","text":"There"}`, 200, ""},
		{"one's own post deleted", "DELETE", path, "apikey " + alice, "", 204, ""},
		{"then it is gone", "GET", path, "", "", 404, "no_post"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, header, body := b.ask(t, c.method, c.path, c.auth, c.body)
			if status != c.status || c.code != "" && !strings.Contains(body, `"code":"`+c.code+`"`) {
				t.Fatalf("%s %s = %d %s, want %d %s", c.method, c.path, status, body, c.status, c.code)
			}
			want := 4 // one for each scheme
			if strings.HasSuffix(c.path, "/comments") {
				want = 3
			}
			if got := header.Values("WWW-Authenticate"); status == 401 && c.path != "/auth/session" && len(got) != want {
				t.Errorf("WWW-Authenticate = %q, want %d", got, want)
			}
			if strings.Contains(body, alice) || strings.Contains(body, bob) {
				t.Error("the answer echoes a key")
			}
		})
	}
}

// TestRevoked revokes a key from outside, as gatewright keys revoke does. It is
// in force within the second that a server may remember a good key: SQLite tells
// nobody of a change.
func TestRevoked(t *testing.T) {
	b := start(t)
	rec, err := b.users.Ensure(t.Context(), user.Local, "alice", user.Profile{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	key, made, err := b.keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{User: rec.ID}, Label: "x", Scopes: []string{"posts:write"}})
	if err != nil {
		t.Fatal(err)
	}
	const hello = `{"title":"Hello","text":"World"}`
	if status, _, body := b.ask(t, "POST", "/posts", "apikey "+key.Reveal(), hello); status != 201 {
		t.Fatalf("before: %d %s", status, body)
	}
	if err := b.keys.Revoke(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if status, _, body := b.ask(t, "POST", "/posts", "apikey "+key.Reveal(), hello); status != 401 {
		t.Errorf("after Revoke: %d %s, want 401", status, body)
	}
	other := b.key(t, "alice", "posts:write")
	if status, _, body := b.ask(t, "POST", "/posts", "apikey "+other, hello); status != 201 {
		t.Fatalf("another key: %d %s", status, body)
	}
	if err := b.users.SetDisabled(t.Context(), rec.ID, true); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if status, _, body := b.ask(t, "POST", "/posts", "apikey "+other, hello); status != 401 {
		t.Errorf("after SetDisabled: %d %s, want 401", status, body)
	}
}

// TestBodyUnread sends the head of a request with a large body and no
// credential: the answer comes, and the connection closes, without the body.
func TestBodyUnread(t *testing.T) {
	b := start(t)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(b.url, "https://"), b.client.Transport.(*http.Transport).TLSClientConfig.Clone())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	host := strings.TrimPrefix(b.url, "https://")
	fmt.Fprintf(conn, "POST /posts HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n", host)
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 401 ")) || !bytes.Contains(answer, []byte("Connection: close")) {
		t.Errorf("answer = %.300s", answer)
	}
}
