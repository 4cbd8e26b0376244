package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"github.com/gatewright/gatewright/examples/blog/internal/api"
	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/login"
	"github.com/gatewright/gatewright/runtime/secret"
)

// secrets are all that a test made or saw and that nobody may find anywhere.
type secrets struct {
	mu    sync.Mutex
	known map[string]string // what it is, by value
}

// add notes a secret. One that is so short that it may stand anywhere by chance
// is a mistake of the test.
func (s *secrets) add(t testing.TB, what, value string) {
	if value == "" {
		return
	}
	if len(value) < 14 {
		t.Errorf("%s is too short to be looked for", what)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[value] = what
}

// addKey notes a key, its secret part too.
func (s *secrets) addKey(t testing.TB, what, key string) string {
	s.add(t, what, key)
	if parts := strings.Split(key, "_"); len(parts) == 4 {
		s.add(t, what+": its secret part", parts[3][:min(43, len(parts[3]))])
	}
	return key
}

// forms are how a secret may be written down.
func forms(value string) map[string][]byte {
	all := map[string][]byte{
		"as it is": []byte(value), "in hexadecimal": []byte(hex.EncodeToString([]byte(value))), "in upper hexadecimal": []byte(strings.ToUpper(hex.EncodeToString([]byte(value)))),
		"in a URL": []byte(url.QueryEscape(value)), "in a path": []byte(url.PathEscape(value)),
	}
	// In base64 it looks otherwise after none, one or two bytes; the
	// characters at the ends depend on the neighbours.
	for shift := range 3 {
		padded := append(make([]byte, shift), value...)
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := enc.EncodeToString(padded)
			first := (shift*8 + 5) / 6
			all[fmt.Sprintf("in %s after %d bytes", name, shift)] = []byte(text[first : len(padded)*8/6])
		}
	}
	return all
}

// find names what of the secrets stands in a text, and how.
func (s *secrets) find(text []byte) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	type needle struct {
		text []byte
		what string
	}
	const prefix = 8 // bytes, by which needles are found in one pass
	needles := map[uint64][]needle{}
	for value, what := range s.known {
		for form, n := range forms(value) {
			begin := binary.LittleEndian.Uint64(n[:prefix])
			needles[begin] = append(needles[begin], needle{n, what + " " + form})
		}
	}
	found := map[string]bool{}
	for i := 0; i+prefix <= len(text); i++ {
		for _, n := range needles[binary.LittleEndian.Uint64(text[i:])] {
			if bytes.HasPrefix(text[i:], n.text) {
				found[n.what] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// absent fails the test where a secret stands in text, or where the control,
// which was written there as the server writes, is not found.
func (s *secrets) absent(t *testing.T, where string, text []byte, control string) {
	t.Helper()
	if found := s.find(text); len(found) > 0 {
		t.Errorf("%s (%d bytes) has %q", where, len(text), found)
	}
	planted := &secrets{known: map[string]string{}}
	planted.add(t, "the control", control)
	if len(planted.find(text)) == 0 {
		t.Errorf("%s (%d bytes) lacks %q, which is there: nothing can be found in it", where, len(text), control)
	}
	t.Logf("%s: %d bytes, none of %d secrets", where, len(text), len(s.known))
}

// newSecrets returns the secrets of a provider, as it gives them away.
func newSecrets(t testing.TB, idp *gatetest.Provider) *secrets {
	s := &secrets{known: map[string]string{}}
	s.add(t, "the client's secret", idp.ClientSecret)
	idp.Misbehave(honest(t, s))
	return s
}

// honest changes nothing that the provider says, and notes what is secret.
func honest(t testing.TB, s *secrets) gatetest.Mischief {
	return gatetest.Mischief{
		Callback: func(p url.Values) {
			s.add(t, "a code", p.Get("code"))
			s.add(t, "a state", p.Get("state"))
		},
		Token: func(m map[string]any) {
			for _, name := range []string{"access_token", "refresh_token", "id_token"} {
				if token, ok := m[name].(string); ok {
					s.add(t, "a token: "+name, token)
					if parts := strings.Split(token, "."); len(parts) == 3 {
						s.add(t, "the signature of "+name, parts[2])
					}
				}
			}
		},
	}
}

// asked notes what the provider was sent.
func (s *secrets) asked(t testing.TB, idp *gatetest.Provider) {
	for _, r := range idp.Asked("/authorize") {
		s.add(t, "a state", r.Query.Get("state"))
		s.add(t, "a nonce", r.Query.Get("nonce"))
	}
	for _, r := range idp.Asked("/token") {
		for _, name := range []string{"code", "code_verifier", "refresh_token", "client_secret"} {
			s.add(t, "sent to the provider: "+name, r.Form.Get(name))
		}
		if basic := r.Header.Get("Authorization"); basic != "" {
			s.add(t, "the client's Basic", strings.TrimPrefix(basic, "Basic "))
		}
	}
}

// watch notes the cookies that somebody is given, and the tickets in them.
func (s *secrets) watch(t testing.TB, g *guest) *guest {
	g.seen = func(res *http.Response) {
		for _, c := range res.Cookies() {
			s.add(t, "the cookie "+c.Name, c.Value)
			if sealed, ticket, ok := strings.Cut(c.Value, "."); ok {
				s.add(t, "the seal of "+c.Name, sealed)
				s.add(t, "the ticket of "+c.Name, ticket)
			}
		}
	}
	return g
}

// tell does everything that has to do with secrets: people sign in, fail to, and
// sign out; keys are made, used in each way and misused. again is called in the
// middle; controls are a label and an agent that are to be found.
func tell(t *testing.T, s *secrets, idp *gatetest.Provider, newGuest func() *guest, label, agent string, again func(ann *guest)) {
	t.Helper()
	hello := `{"title":"Hello","text":"` + written + `"}`
	idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann", Claims: map[string]any{"groups": []string{"authors"}}})
	idp.SignInAs("ann")
	ann, script := s.watch(t, newGuest()), newGuest()
	ann.agent = agent
	ann.signIn(t)
	made := func(what, path, body string) (key, id string) {
		_, text := ann.must(t, 201, "POST", path, body)
		var out struct {
			Key    string `json:"key"`
			Record listed `json:"record"`
		}
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return s.addKey(t, what, out.Key), out.Record.ID
	}
	key, id := made("a key", "/auth/keys", fmt.Sprintf(`{"label":%q,"scopes":["posts:write"]}`, label))
	next, nextID := made("a rotated key", "/auth/keys/"+id+"/rotate", "")
	again(ann)
	basic := func(key string) string {
		text := base64.StdEncoding.EncodeToString([]byte("apikey:" + key))
		s.add(t, "the credentials of Basic", text)
		return "Basic " + text
	}
	for _, k := range []string{key, next} {
		script.must(t, 201, "POST", "/posts", hello, "Authorization", "apikey "+k)
		script.must(t, 201, "POST", "/posts", hello, "Authorization", basic(k))
	}
	// Refused in every way that speaks of what was sent.
	wrong := s.addKey(t, "a key with a wrong secret", otherSecret(key))
	mistyped := s.addKey(t, "a mistyped key", key[:len(key)-1]+"~")
	live := s.addKey(t, "a key for live", sealed(strings.Replace(key[:len(key)-6], "_test_", "_live_", 1)))
	foreign := "ghp_" + secret.Random(24).Reveal()
	s.add(t, "a secret of another service", foreign)
	for _, k := range []string{wrong, mistyped, live, foreign} {
		script.must(t, 401, "POST", "/posts", hello, "Authorization", "apikey "+k)
		script.must(t, 401, "POST", "/posts", hello, "Authorization", basic(k))
	}
	script.must(t, 401, "POST", "/posts", hello, "Authorization", "Bearer "+key)
	script.must(t, 400, "GET", "/posts?limit="+url.QueryEscape(key)+"&api_key="+url.QueryEscape(key), "")
	script.must(t, 401, "POST", "/posts?api_key="+url.QueryEscape(key), hello)
	script.must(t, 401, "POST", "/posts?access_token="+url.QueryEscape(foreign), hello, "X-Api-Key", key)
	_, _, _, _ = script.ask(t.Context(), "POST", "/posts", key, "Authorization", "apikey "+key)                                           // a key for a body
	_, _, _, _ = script.ask(t.Context(), "POST", "/posts", hello, "Cookie", sessionCookie+"="+strings.Repeat("x", 43)+"; stray="+foreign) // a cookie of nobody
	ann.must(t, 400, "POST", "/auth/keys", fmt.Sprintf(`{"label":"x","key":%q}`, key))
	ann.must(t, 403, "POST", "/auth/keys", `{"label":"x"}`, "Sec-Fetch-Site", "cross-site")
	ann.must(t, 204, "DELETE", "/auth/keys/"+nextID, "")
	script.must(t, 401, "POST", "/posts", hello, "Authorization", "apikey "+next)

	// Logins that fail, each at another step.
	for _, m := range []gatetest.Mischief{
		{IDToken: gatetest.Forgery{Corrupt: true}},
		{IDToken: gatetest.Forgery{Claims: func(c map[string]any) { c["nonce"] = "another" }}},
		{Faults: map[string]gatetest.Fault{"/token": {Body: func(honest []byte) []byte { return append([]byte("{"), honest...) }}}},
		{Faults: map[string]gatetest.Fault{"/token": {Status: 400}}},
		{Faults: map[string]gatetest.Fault{"/userinfo": {Drop: true}}},
	} {
		h := honest(t, s)
		m.Callback, m.Token = h.Callback, h.Token
		idp.Misbehave(m)
		g := s.watch(t, newGuest())
		status, _, text, err := g.ask(t.Context(), "GET", g.toProvider(t).RequestURI(), "")
		if err != nil || status < 400 {
			t.Errorf("a login that has to fail = %d %s, %v", status, text, err)
		}
	}
	idp.Misbehave(honest(t, s))
	g := s.watch(t, newGuest())
	back := g.toProvider(t)
	g.finish(t, back)
	g.must(t, 200, "GET", back.RequestURI(), "") // the response replayed

	_, text := ann.must(t, 200, "POST", "/auth/logout", "", "Accept", "application/json")
	if !strings.Contains(text, "id_token_hint") {
		t.Errorf("the logout leads to %s", text)
	}
	s.asked(t, idp)
	if n := len(s.known); n < 60 {
		t.Errorf("only %d secrets were seen", n)
	}
}

// written is what posts say.
const written = "What there is to read"

// files are those below a folder, one after the other, but for those named.
func files(t *testing.T, dir string, but ...string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		for _, name := range but {
			if d.Name() == name {
				return nil
			}
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		all = append(all, text...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSecretsNowhere: after all that people and programs do, none of what has
// to stay secret stands in the logs, in PostgreSQL or in Redis.
func TestSecretsNowhere(t *testing.T) {
	pg := testenv.Postgres(t)
	password := "redis-" + secret.Random(24).Reveal()
	cache := testenv.Redis(t, "--requirepass", password)
	store := strings.Replace(pg.URL(), "app:app@", "app:"+url.QueryEscape(changePassword(t, pg))+"@", 1)

	idp := gatetest.NewProvider(t)
	s := newSecrets(t, idp)
	s.add(t, "the password of Redis", password)
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	word, _ := u.User.Password()
	s.add(t, "the password of PostgreSQL", word)
	b := newSite(t, build(t), idp, "store_file: store.url\nsessions_store_file: sessions.url\n", map[string]string{"store.url": store, "sessions.url": cache.URL()})
	s.add(t, "server.secret", b.secret.Reveal())

	const label, agent = "control-of-the-label", "control-of-the-agent"
	tell(t, s, idp, func() *guest { return b.guest(t) }, label, agent, func(*guest) {
		s.absent(t, "Redis with a session", cache.Dump(t), agent)
		// PostgreSQL away: what then goes wrong is told too.
		pg.Stop()
		g := s.watch(t, b.guest(t))
		if status, _, text, err := g.ask(t.Context(), "POST", "/posts", "{}", "Authorization", "apikey "+s.addKey(t, "a key of nobody", sealed("gw_test_0123456789abc_"+strings.Repeat("Zx", 21)+"Z"))); err != nil || status != 503 {
			t.Errorf("without PostgreSQL POST = %d %s, %v, want 503", status, text, err)
		}
		pg.Start(t)
		b.stop(t)
		b.start(t)
	})
	b.stop(t)
	s.absent(t, "the log", []byte(b.log.String()), label)
	s.absent(t, "Redis", cache.Dump(t), usualAgent)
	s.absent(t, "the blog's folder", files(t, b.dir, "server.secret", "client.secret", "store.url", "sessions.url"), written)
	s.absent(t, "PostgreSQL", pgFiles(t, pg), label)
}

// changePassword gives the role app a password that is a secret.
func changePassword(t *testing.T, pg *testenv.PostgresServer) string {
	t.Helper()
	password := "postgres-" + secret.Random(24).Reveal()
	conn, err := pgx.Connect(t.Context(), pg.Admin())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), "ALTER ROLE app PASSWORD '"+password+"'"); err != nil {
		t.Fatal(err)
	}
	return password
}

// pgFiles are those of the database app, and the log of changes, in which also
// stands what was there once.
func pgFiles(t *testing.T, pg *testenv.PostgresServer) []byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pg.Admin())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), "CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	var dir, oid string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('data_directory'), (SELECT oid::text FROM pg_database WHERE datname = 'app')").Scan(&dir, &oid); err != nil {
		t.Fatal(err)
	}
	return append(files(t, filepath.Join(dir, "base", oid)), files(t, filepath.Join(dir, "pg_wal"))...)
}

// TestSecretsNowhereSQLite is the same with SQLite, whose file and log of changes
// are looked at, and with tokens that are refreshed.
func TestSecretsNowhereSQLite(t *testing.T) {
	idp := gatetest.NewProvider(t, gatetest.ProviderConfig{ExpiresIn: time.Second})
	s := newSecrets(t, idp)
	b := watchBlog(t, idp, func(blog *service) api.Service { return refreshing{blog} })
	s.add(t, "server.secret", b.secret.Reveal())
	const label, agent = "control-of-the-label", "control-of-the-agent"
	tell(t, s, idp, func() *guest { return b.guest(t) }, label, agent, func(ann *guest) {
		time.Sleep(time.Second)
		header, _ := ann.must(t, 201, "POST", "/posts", `{"title":"Hello","text":"World"}`)
		ann.must(t, 201, "POST", header.Get("Location")+"/comments", `{"text":"Well said"}`)
		if n := idp.Grants("refresh_token"); n == 0 {
			t.Error("no token was refreshed")
		}
		s.absent(t, "SQLite with a session", files(t, b.dir, "server.secret", "client.secret"), agent)
	})
	s.absent(t, "SQLite", files(t, b.dir, "server.secret", "client.secret"), label)
	s.absent(t, "the log", []byte(b.text.String()), label)
	s.absent(t, "the log in JSON", []byte(b.json.String()), label)
}

// refreshing is the blog, and asks the provider for a token with each comment.
type refreshing struct{ *service }

func (r refreshing) CreateComment(ctx context.Context, who gate.Principal, req api.CreateCommentRequest) (api.CreateCommentResponse, error) {
	if _, err := login.TokenSource(ctx, who).Token(); err != nil {
		return nil, err
	}
	return r.service.CreateComment(ctx, who, req)
}

// TestFormsAreFound: each way to write a secret down is found by the search
// that the tests of this file make.
func TestFormsAreFound(t *testing.T) {
	value := secret.Random(32).Reveal() + "+/ä&"
	s := &secrets{known: map[string]string{value: "it"}}
	for _, written := range []string{
		value, "x" + value + "y", hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))), url.QueryEscape(value), url.PathEscape(value),
		base64.StdEncoding.EncodeToString([]byte(value)), base64.URLEncoding.EncodeToString([]byte(value)),
		base64.StdEncoding.EncodeToString([]byte("a" + value + "z")), base64.RawURLEncoding.EncodeToString([]byte("apikey:" + value + "zz")), base64.StdEncoding.EncodeToString([]byte("ab" + value)),
	} {
		if len(s.find([]byte("before "+written+" after"))) == 0 {
			t.Errorf("it is not found in %q", written)
		}
	}
	if found := s.find([]byte(strings.Repeat(value[:len(value)-1]+" ", 3))); len(found) != 0 {
		t.Errorf("%q is found where it is not", found)
	}
}
