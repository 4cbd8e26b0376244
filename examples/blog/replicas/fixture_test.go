package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
)

// program is the blog, built once.
var program string

func TestMain(m *testing.M) {
	if program = os.Getenv("REPLICAS_TEST_PROGRAM"); program != "" { // a test is to kill this process
		err := run(context.Background(), options{program: program, listen: "127.0.0.1:0", log: os.Stderr}, os.Stdout)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatewright-replicas-test-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if program, err = build(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// rounds is how often what may go wrong seldom is tried: n times, or with
// REPLICAS_LONG=1 five times as often.
func rounds(n int) int {
	if os.Getenv("REPLICAS_LONG") == "1" {
		return 5 * n
	}
	return n
}

// A fixture is a cluster on servers that the test can stop.
type fixture struct {
	*cluster
	pg    *testenv.PostgresServer
	redis *testenv.RedisServer
	next  atomic.Uint32 // address to ask from
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	f := &fixture{pg: testenv.Postgres(t), redis: testenv.Redis(t, "--appendonly", "yes")}
	f.cluster = f.another(t, "")
	return f
}

// another is a cluster on the same servers, with more settings.
func (f *fixture) another(t *testing.T, settings string) *cluster {
	t.Helper()
	log := &tail{}
	c, err := startCluster(t.Context(), options{
		program: program, listen: "127.0.0.1:0", store: f.pg.URL(), sessions: f.redis.URL(), posts: f.pg.URL(), settings: settings, log: log,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			t.Logf("the replicas logged:\n%s", log)
		}
	})
	return c
}

// tail keeps the end of what is written.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	l.b = l.b[max(0, len(l.b)-20_000):]
	return len(b), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

// address is one of this machine that nobody has asked from yet, so that
// nobody's failures are counted under it. Linux has all of 127.0.0.0/8.
func (f *fixture) address(t *testing.T) net.IP {
	t.Helper()
	n := f.next.Add(1)
	ip := net.IPv4(127, 9, byte(n>>8), byte(n))
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip})
	if err != nil {
		testenv.Skip(t, "needs addresses such as 127.9.0.1, which only Linux has unasked")
	}
	_ = l.Close()
	return ip
}

// at asks one replica, from an address, as if it were the public URL.
func (c *cluster) at(r *replica, from net.IP) *http.Client {
	own := strings.TrimPrefix(c.url, "https://")
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 5 * time.Second}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: c.authority.Pool(), MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == own {
				addr = *r.addr.Load()
			}
			return dialer.DialContext(ctx, "tcp4", addr)
		},
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// A person is a browser, as far as signing in goes, whose requests go to one
// replica after the other. It is not safe for concurrent use.
type person struct {
	c       *cluster
	jar     http.CookieJar
	clients []*http.Client // of the replicas
	turn    int
}

func (f *fixture) person(t *testing.T, c *cluster) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{c: c, jar: jar}
	from := f.address(t)
	for _, r := range c.replicas {
		client := c.at(r, from)
		client.Jar = jar
		t.Cleanup(client.CloseIdleConnections)
		p.clients = append(p.clients, client)
	}
	return p
}

// close closes the person's connections before the test ends.
func (p *person) close() {
	for _, client := range p.clients {
		client.CloseIdleConnections()
	}
}

var (
	movesOn = regexp.MustCompile(`http-equiv="refresh" content="0; ?url=([^"]+)"`)
	pickID  = regexp.MustCompile(`name="id" value="([^"]+)"`)
)

// visit follows redirects and pages that move on by themselves, each at the
// next replica, and returns where that ends.
func (p *person) visit(t *testing.T, method, at string, form url.Values) (*url.URL, string) {
	t.Helper()
	for range 20 {
		req := request(t, method, at, form.Encode())
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		p.turn++
		res, err := p.clients[p.turn%count].Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := read(t, res)
		next := res.Header.Get("Location")
		if found := movesOn.FindStringSubmatch(body); found != nil {
			next = html.UnescapeString(found[1])
		}
		if next == "" {
			return req.URL, body
		}
		to, err := req.URL.Parse(next)
		if err != nil {
			t.Fatal(err)
		}
		method, at, form = http.MethodGet, to.String(), nil
	}
	t.Fatalf("signing in does not end: %s", at)
	return nil, ""
}

func (p *person) signIn(t *testing.T, name string) {
	t.Helper()
	at, body := p.visit(t, http.MethodGet, p.c.url+"/auth/login?return_to=/auth/session", nil)
	id := pickID.FindStringSubmatch(body)
	if id == nil {
		t.Fatalf("no users to pick from at %s: %s", at, body)
	}
	to, _ := at.Parse("/login")
	if at, body = p.visit(t, http.MethodPost, to.String(), url.Values{"id": {id[1]}, "user": {name}}); at.String() != p.c.url+"/auth/session" || !strings.Contains(body, name) {
		t.Fatalf("signing in as %s ends at %s: %s", name, at, body)
	}
}

// makeKey makes a key at a replica.
func (p *person) makeKey(t *testing.T, replica int) (id, key string) {
	t.Helper()
	req := request(t, http.MethodPost, p.c.url+"/auth/keys", `{"label": "test", "scopes": ["posts:write"], "expires_in": "1d"}`)
	req.Header.Set("Content-Type", "application/json")
	res, err := p.clients[replica].Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Key    string
		Record struct{ ID string }
	}
	body := read(t, res)
	if err := json.Unmarshal([]byte(body), &made, json.MatchCaseInsensitiveNames(true)); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("POST /auth/keys = %s %s", res.Status, body)
	}
	return made.Record.ID, made.Key
}

// revoke revokes a key at a replica.
func (p *person) revoke(t *testing.T, replica int, id string) {
	t.Helper()
	if got := p.status(t, replica, http.MethodDelete, "/auth/keys/"+id); got != http.StatusNoContent {
		t.Fatalf("DELETE /auth/keys/%s = %d, want 204", id, got)
	}
}

// signOut ends the session at a replica.
func (p *person) signOut(t *testing.T, replica int) {
	t.Helper()
	if got := p.status(t, replica, http.MethodPost, "/auth/logout"); got != http.StatusOK && got != http.StatusSeeOther {
		t.Fatalf("POST /auth/logout = %d", got)
	}
}

// status asks a replica with the person's cookies.
func (p *person) status(t *testing.T, replica int, method, path string) int {
	t.Helper()
	got, err := status(p.clients[replica], request(t, method, p.c.url+path, ""))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// frozen are the person's cookies, to be sent whatever becomes of the session.
func (p *person) frozen() string {
	at, _ := url.Parse(p.c.url)
	var all []string
	for _, c := range p.jar.Cookies(at) {
		all = append(all, c.String())
	}
	return strings.Join(all, "; ")
}

// An asker asks one replica the same again and again.
type asker struct {
	client *http.Client
	req    *http.Request
}

func (a *asker) ask() (int, error) { return status(a.client, a.req.Clone(a.req.Context())) }

// keyAskers ask each replica for a post with a key: 200 where it is good.
func (f *fixture) keyAskers(t *testing.T, c *cluster, post, key string) []*asker {
	t.Helper()
	req := request(t, http.MethodGet, c.url+"/posts/"+post, "")
	req.Header.Set("Authorization", "apikey "+key)
	return f.askers(t, c, req)
}

// sessionAskers ask each replica, with the person's cookies, to delete a post
// that is not there: 404 where they count.
func (f *fixture) sessionAskers(t *testing.T, p *person) []*asker {
	t.Helper()
	req := request(t, http.MethodDelete, p.c.url+"/posts/aaaaaaaaaaaa", "")
	req.Header.Set("Cookie", p.frozen())
	return f.askers(t, p.c, req)
}

func (f *fixture) askers(t *testing.T, c *cluster, req *http.Request) []*asker {
	t.Helper()
	var all []*asker
	from := f.address(t)
	for _, r := range c.replicas {
		all = append(all, &asker{c.at(r, from), req})
	}
	return all
}

// post writes a post with a key and returns its id.
func (f *fixture) post(t *testing.T, c *cluster, replica int, key, body string) string {
	t.Helper()
	req := request(t, http.MethodPost, c.url+"/posts", body)
	req.Header.Set("Authorization", "apikey "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.at(c.replicas[replica], f.address(t)).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ID string `json:"id"`
	}
	text := read(t, res)
	if err := json.Unmarshal([]byte(text), &made); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("POST /posts = %s %s", res.Status, text)
	}
	return made.ID
}

// request is one that a page of the same origin makes.
func request(t *testing.T, method, at, body string) *http.Request {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = bytes.NewReader([]byte(body))
	}
	req, err := http.NewRequest(method, at, content)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return req
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func status(client *http.Client, req *http.Request) (int, error) {
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}
