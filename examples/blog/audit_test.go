package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/examples/blog/internal/api"
	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

// A watched blog runs in this process, and its log is read as it grows, in
// both formats.
type watched struct {
	url        string
	dir        string
	ca         *testenv.CA
	idp        *gatetest.Provider
	secret     secret.Value
	json, text *lines
	read       int // of json, in bytes
}

// watchBlog runs the blog. over, if any, puts something in front of it.
func watchBlog(t *testing.T, idp *gatetest.Provider, over func(*service) api.Service) *watched {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	b := &watched{url: "https://localhost:" + port, dir: t.TempDir(), ca: testenv.NewCA(t), idp: idp, secret: secret.Random(32), json: &lines{}, text: &lines{}}
	cert, key := b.ca.Files(t, "localhost")
	settings := fmt.Sprintf("public_url: %s\nlisten: %s\ntls: {cert: %q, key: %q}\nsecret_file: server.secret\nstore: sqlite:keys.db\nenvironment: test\n", b.url, addr, cert, key) +
		fmt.Sprintf("providers:\n  main: {issuer: %q, client_id: %s, client_secret_file: client.secret, ca: %q, scopes: [openid, profile, email, offline_access]}\n", idp.Issuer, idp.ClientID, idp.CAFile) +
		"schemes:\n  service: {provider: main}\n  login: {provider: main, scopes_claim: groups, scopes_everyone: [comments:write], scopes_map: {authors: [posts:write], editors: [posts:edit]}}\n"
	for name, text := range map[string]string{"server.yaml": settings, "server.secret": b.secret.Reveal() + "\n", "client.secret": idp.ClientSecret + "\n"} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load([]string{"-config", filepath.Join(b.dir, "server.yaml")}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	all := &slog.HandlerOptions{Level: slog.LevelDebug}
	cfg.Logger = slog.New(slog.NewMultiHandler(slog.NewJSONHandler(b.json, all), slog.NewTextHandler(b.text, all)))
	cfg.Files = front
	listening := make(chan struct{})
	cfg.Listening = func(net.Addr) { close(listening) }
	posts, err := openPosts(t.Context(), filepath.Join(b.dir, "blog.db"))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := newPolicy()
	if err != nil {
		t.Fatal(err)
	}
	svc := &service{posts: posts, policy: policy}
	var whole api.Service = svc
	if over != nil {
		whole = over(svc)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- api.Run(ctx, cfg, whole, sqlite.Driver) }()
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
	client := &http.Client{Transport: b.ca.Transport(), Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	idp.RegisterServer(b.url, "main", client)
	return b
}

func (b *watched) guest(t *testing.T) *guest { return newGuest(t, b.url, b.ca.Transport(), b.idp) }

// A line is one of the log, with its groups laid flat.
type line map[string]string

// audited returns the lines of the audit log since it was last asked.
func (b *watched) audited(t *testing.T) []line {
	t.Helper()
	var found []line
	text := b.json.String()
	for _, raw := range strings.Split(strings.TrimSuffix(text[b.read:], "\n"), "\n") {
		if raw == "" {
			continue
		}
		var members map[string]any
		if err := json.Unmarshal([]byte(raw), &members); err != nil {
			t.Fatalf("a line of the log is no JSON: %v: %s", err, raw)
		}
		l := line{}
		l.add("", members)
		if l["audit"] == "true" {
			found = append(found, l)
		}
	}
	b.read = len(text)
	return found
}

func (l line) add(prefix string, members map[string]any) {
	for name, v := range members {
		if group, ok := v.(map[string]any); ok {
			l.add(prefix+name+".", group)
			continue
		}
		l[prefix+name] = fmt.Sprint(v)
	}
}

// TestAudit does each thing that the audit log is for: it has one line of each,
// no less and no more, with what one has to know.
func TestAudit(t *testing.T) {
	idp := gatetest.NewProvider(t)
	idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann\nlevel=INFO msg=forged audit=true", Claims: map[string]any{"groups": []string{"authors"}}})
	b := watchBlog(t, idp, nil)
	ann, other, script := b.guest(t), b.guest(t), b.guest(t)
	hello := `{"title":"Hello","text":"World"}`

	const some = "*" // any value but none
	step := func(name string, do func(t *testing.T), want ...line) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			b.audited(t)
			do(t)
			got := b.audited(t)
			if len(got) != len(want) {
				t.Fatalf("%d lines, want %d: %v", len(got), len(want), got)
			}
			for i, w := range want {
				for member, value := range w {
					if value == some && got[i][member] != "" || value != "" && value != some && strings.Contains(got[i][member], value) || value == "" && got[i][member] == "" {
						continue
					}
					t.Errorf("line %d: %s is %q, want %q: %v", i, member, got[i][member], value, got[i])
				}
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	// made asks for a key, and returns it and its id.
	made := func(t *testing.T, path, body string) (string, string) {
		t.Helper()
		_, text := ann.must(t, 201, "POST", path, body)
		var out struct {
			Key    string `json:"key"`
			Record listed `json:"record"`
		}
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out.Key, out.Record.ID
	}
	event := func(name string, pairs ...string) line {
		l := line{"msg": name}
		for i := 0; i+1 < len(pairs); i += 2 {
			l[pairs[i]] = pairs[i+1]
		}
		return l
	}
	refused := func(status int, code string, pairs ...string) line {
		return event("request refused", append([]string{"status", strconv.Itoa(status), "code", code, "address", "127.0.0.1:"}, pairs...)...)
	}
	const requirement = "login(posts:write) or apiKey(posts:write) or basic(posts:write) or service(posts:write)"

	step("login", ann.signInStep, event("login", "provider", "main", "user", "usr_"), event("session begun", "session", some, "user", "usr_", "address", some))
	step("login again", ann.signInStep, event("login"), event("session ended", "reason", "another login", "session", some), event("session begun"))
	step("login elsewhere", other.signInStep, event("login"), event("session begun"))
	step("login that the provider refuses", func(t *testing.T) {
		idp.SignInAs("nobody")
		defer idp.SignInAs("ann")
		g := b.guest(t)
		g.must(t, 403, "GET", g.toProvider(t).RequestURI(), "")
	}, event("login failed", "provider", "main", "cause", "access_denied"))
	step("login that is forged", func(t *testing.T) {
		idp.Misbehave(gatetest.Mischief{IDToken: gatetest.Forgery{Corrupt: true}})
		defer idp.Misbehave(gatetest.Mischief{})
		g := b.guest(t)
		g.must(t, 403, "GET", g.toProvider(t).RequestURI(), "")
	}, event("login failed", "provider", "main", "cause", some))
	step("response without its attempt", func(t *testing.T) {
		b.guest(t).must(t, 200, "GET", "/auth/callback/main?state=x&code=y", "")
	}, event("login response without its attempt"))

	var key, id, next, nextID, weak, weakID string
	step("key created", func(t *testing.T) {
		key, id = made(t, "/auth/keys", `{"label":"\" audit=true msg=forged","scopes":["posts:write"]}`)
	}, event("api key created", "key", some, "user", "usr_", "session", some, "address", some, "scopes", "posts:write", "environment", "test", "label", `" audit=true msg=forged`))
	step("key without the scope created", func(t *testing.T) {
		weak, weakID = made(t, "/auth/keys", `{"label":"weak","scopes":[]}`)
	}, event("api key created"))
	step("key rotated", func(t *testing.T) { next, nextID = made(t, "/auth/keys/"+id+"/rotate", "") }, event("api key rotated", "key", some, "replaced_by", some, "user", "usr_", "session", some))
	step("key relabelled", func(t *testing.T) { ann.must(t, 200, "PATCH", "/auth/keys/"+nextID, `{"label":"b"}`) }, event("api key relabelled", "key", some, "label", "b", "user", "usr_"))
	step("label that does not print", func(t *testing.T) {
		ann.must(t, 422, "PATCH", "/auth/keys/"+nextID, `{"label":"a\nlevel=INFO msg=forged audit=true"}`)
	})
	step("key used", func(t *testing.T) { script.must(t, 201, "POST", "/posts", hello, "Authorization", "apikey "+next) })
	step("key revoked", func(t *testing.T) { ann.must(t, 204, "DELETE", "/auth/keys/"+nextID, "") }, event("api key revoked", "key", some, "user", "usr_", "session", some, "address", some))

	step("no credential", func(t *testing.T) { script.must(t, 401, "POST", "/posts", hello) },
		refused(401, "credential_missing", "operation", "createPost", "requirement", requirement, "tried.login", "absent", "tried.apiKey", "absent", "tried.basic", "absent"))
	step("wrong key", func(t *testing.T) {
		script.must(t, 401, "POST", "/posts", hello, "Authorization", "apikey "+otherSecret(key))
	}, refused(401, "credential_invalid", "operation", "createPost", "requirement", requirement, "tried.apiKey", "invalid: gate: credential is invalid: key "+id+": wrong secret", "tried.login", "absent", "tried.basic", "absent"))
	step("mistyped key", func(t *testing.T) {
		script.must(t, 401, "POST", "/posts", hello, "Authorization", "apikey "+key[:len(key)-1])
	}, refused(401, "credential_invalid", "tried.apiKey", "not a key of this server"))
	step("revoked key", func(t *testing.T) { script.must(t, 401, "POST", "/posts", hello, "Authorization", "apikey "+next) },
		refused(401, "credential_invalid", "tried.apiKey", "key "+nextID+": revoked "))
	step("key without the scope", func(t *testing.T) {
		script.must(t, 403, "POST", "/posts", hello, "Authorization", "apikey "+weak)
	}, refused(403, "insufficient_scope", "key", weakID, "user", "usr_", "operation", "createPost", "tried.apiKey", `lacks the scopes ["posts:write"]`))
	step("request of another site", func(t *testing.T) { ann.must(t, 403, "POST", "/posts", hello, "Sec-Fetch-Site", "cross-site") },
		refused(403, "origin_missing", "session", some, "user", "usr_", "operation", "createPost", "tried.login", "without proof of origin"))
	step("key asked for by another site", func(t *testing.T) {
		ann.must(t, 403, "POST", "/auth/keys", `{"label":"x"}`, "Sec-Fetch-Site", "cross-site")
	}, event("request of another site refused", "user", "usr_", "session", some, "path", "/auth/keys"))
	step("keys asked for by nobody", func(t *testing.T) { script.must(t, 401, "GET", "/auth/keys", "") }, refused(401, "credential_missing", "path", "/auth/keys"))
	step("logout asked for by another site", func(t *testing.T) { ann.must(t, 403, "POST", "/auth/logout", "", "Sec-Fetch-Site", "cross-site") },
		event("request of another site refused", "path", "/auth/logout"))
	late := b.guest(t)
	step("login of long ago", func(t *testing.T) {
		idp.Misbehave(gatetest.Mischief{IDToken: gatetest.Forgery{Claims: func(c map[string]any) { c["auth_time"] = time.Now().Add(-time.Hour).Unix() }}})
		defer idp.Misbehave(gatetest.Mischief{})
		late.signIn(t)
	}, event("login"), event("session begun"))
	step("keys after a login of long ago", func(t *testing.T) { late.must(t, 403, "GET", "/auth/keys", "") },
		refused(403, "login_not_recent", "user", "usr_", "session", some))
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	step("the page's form after a login of long ago", func(t *testing.T) {
		late.must(t, 403, "POST", "/auth/account", "action=revoke&key="+id, form...)
	}, event("request refused", "code", "login_not_recent", "user", "usr_", "session", some))

	sessionOf := func(t *testing.T, g *guest) string {
		_, text := g.must(t, 200, "GET", "/auth/session", "")
		var out struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out.ID
	}
	step("another's session ended", func(t *testing.T) { ann.must(t, 204, "DELETE", "/auth/sessions/"+sessionOf(t, other), "") },
		event("session ended", "session", some, "user", "usr_", "by", some, "address", some))
	step("and used", func(t *testing.T) { other.must(t, 401, "GET", "/auth/session", "") }, event("session ended", "reason", some))
	step("session ended on the page", func(t *testing.T) {
		ann.must(t, 303, "POST", "/auth/account", "action=end&session="+sessionOf(t, late), form...)
	}, event("session ended", "session", some, "user", "usr_", "by", some, "address", some))
	step("one's own session ended on the page", func(t *testing.T) {
		ann.must(t, 303, "POST", "/auth/account", "action=end&session="+sessionOf(t, ann), form...)
	}, event("session ended", "session", some, "user", "usr_", "by", some, "address", some))
	step("login once more", ann.signInStep, event("login"), event("session begun"))
	step("logout", func(t *testing.T) { ann.must(t, 200, "POST", "/auth/logout", "") },
		event("session ended", "reason", "signed out", "session", some, "user", "usr_"), event("logout", "session", some, "user", "usr_"))

	// What comes from outside cannot make a line, nor a member of one.
	forged := "\nlevel=INFO msg=forged audit=true\x1b[31m"
	basic := func(user string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+key))
	}
	script.agent = `x" msg=forged audit=true`
	step("hostile path", func(t *testing.T) {
		script.must(t, 401, "PUT", "/posts/a"+url.PathEscape(forged), hello, "Authorization", "apikey "+otherSecret(key), "Origin", `https://x" audit=true`)
	}, refused(401, "credential_invalid", "path", "%0Alevel=INFO%20msg=forged"))
	step("hostile user of Basic", func(t *testing.T) {
		script.must(t, 401, "POST", "/posts", hello, "Authorization", basic("x"+forged))
	}, refused(401, "credential_invalid", "tried.basic", "the user name of Basic"))
	step("hostile word", func(t *testing.T) {
		script.must(t, 401, "POST", "/posts", hello, "Authorization", `apikey " msg=forged audit=true`)
	}, refused(401, "credential_invalid"))
	step("hostile provider", func(t *testing.T) {
		idp.Misbehave(gatetest.Mischief{Callback: func(p url.Values) { p.Del("code"); p.Set("error", "x"+forged) }})
		defer idp.Misbehave(gatetest.Mischief{})
		g := b.guest(t)
		g.must(t, 403, "GET", g.toProvider(t).RequestURI(), "")
	}, event("login failed"))

	// Failures beyond the limit, last: they count against this address.
	t.Run("limit", func(t *testing.T) {
		b.audited(t)
		codes := map[string]int{}
		for range 30 {
			status, _, _, err := script.ask(t.Context(), "POST", "/posts", hello, "Authorization", "apikey "+otherSecret(key))
			if err != nil || status != 401 && status != 429 {
				t.Fatalf("POST = %d, %v", status, err)
			}
			codes[strconv.Itoa(status)]++
		}
		got := map[string]int{}
		for _, l := range b.audited(t) {
			got[l["status"]]++
			if l["status"] == "429" && (l["operation"] != "createPost" || l["requirement"] != requirement || !strings.Contains(l["tried.apiKey"], "limited")) {
				t.Errorf("the line says %v", l)
			}
		}
		if !maps.Equal(got, codes) || codes["429"] == 0 {
			t.Errorf("the answers were %v, the lines are %v", codes, got)
		}
	})

	checkText(t, b.text.String(), strings.Count(b.json.String(), "\n"), strings.Count(b.json.String(), `,"audit":true,`))
}

func (g *guest) signInStep(t *testing.T) { g.signIn(t) }

// otherSecret is a key of the same id that is not the one of key.
func otherSecret(key string) string {
	parts := strings.Split(key, "_")
	body := []byte(parts[3][:43])
	slices.Reverse(body[1:])
	return sealed(strings.Join(append(parts[:3:3], string(body)), "_"))
}

// checkText checks a log in text: it has so many lines, so many of them of the
// audit log, and nothing in them that acts on a terminal.
func checkText(t *testing.T, text string, all, audits int) {
	t.Helper()
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
		t.Error("the log has control characters")
	}
	got, marked := 0, 0
	for l := range strings.Lines(text) {
		got++
		first := ""
		members := map[string]int{}
		for rest := strings.TrimSuffix(l, "\n"); rest != ""; rest = strings.TrimPrefix(rest, " ") {
			name, value, ok := strings.Cut(rest, "=")
			if !ok {
				t.Fatalf("a line is not of members: %q", l)
			}
			if first == "" {
				first = name
			}
			members[name]++
			if quoted, err := strconv.QuotedPrefix(value); err == nil {
				rest = value[len(quoted):]
				continue
			}
			var plain string
			plain, rest, _ = strings.Cut(value, " ")
			if name == "audit" && plain == "true" {
				marked++
			}
		}
		if first != "time" || members["msg"] != 1 || members["audit"] > 1 {
			t.Errorf("a line has other members than the server gave it: %q", l)
		}
	}
	if got != all || marked != audits {
		t.Errorf("the text has %d lines, %d of the audit log, the JSON %d and %d", got, marked, all, audits)
	}
}

// sealed puts the right checksum under the first part of a key, as its format
// says.
func sealed(body string) string {
	n := crc32.ChecksumIEEE([]byte(body))
	var sum [6]byte
	for i := range sum {
		sum[len(sum)-1-i] = secret.Base62[n%62]
		n /= 62
	}
	return body + string(sum[:])
}
