package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/secret"
)

// A ward is a configuration that doctor looks at.
type ward struct {
	dir string
	ca  *testenv.CA
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{dir: t.TempDir(), ca: testenv.NewCA(t)}
	w.write(t, "server.secret", secret.Random(32).Reveal()+"\n")
	w.write(t, "client.secret", "web-app-secret\n")
	return w
}

func (w *ward) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// examined is what doctor finds, as JSON, and its exit code.
func (w *ward) examined(t *testing.T, settings string) (all []finding, code int) {
	t.Helper()
	path := w.write(t, "server.yaml", settings)
	var out, errs bytes.Buffer
	code = run(t.Context(), []string{"doctor", "-config", path, "-format", "json"}, &out, &errs)
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatalf("doctor prints %s%s: %v", &out, &errs, err)
	}
	return all, code
}

// has tells whether a finding of that kind is among all.
func has(all []finding, level, check, message string) bool {
	for _, f := range all {
		if f.Level == level && f.Check == check && strings.Contains(f.Message, message) {
			return true
		}
	}
	return false
}

const wardSettings = `public_url: https://blog.example
tls: {cert: %q, key: %q}
secret_file: server.secret
store: %s
providers:
  main: {issuer: %q, client_id: web-app, client_secret_file: client.secret, ca: %q, scopes: [openid]}
`

func TestDoctor(t *testing.T) {
	w := newWard(t)
	op := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{CA: w.ca, RedirectURIs: []string{"https://blog.example/auth/callback/main"}})
	cert, key := w.ca.Files(t, "blog.example")
	good := fmt.Sprintf(wardSettings, cert, key, "sqlite:blog.db", op.Issuer, w.ca.File)
	all, code := w.examined(t, good)
	if code != 0 {
		t.Errorf("doctor ends with %d: %+v", code, all)
	}
	for _, want := range []finding{
		{"settings", "ok", "secrets are long enough", ""},
		{"certificate", "ok", "is for blog.example", ""},
		{"certificate", "warning", "would not trust", ""}, // the test's authority is nobody's
		{"cookies", "ok", "https://blog.example", ""},
		{"provider main", "ok", "is who it is said to be", ""},
		{"provider main", "ok", "clocks agree", ""},
		{"provider main", "ok", "redirect URI https://blog.example/auth/callback/main", ""},
		{"store", "ok", "tables are made at the first start", ""},
	} {
		if !has(all, want.Level, want.Check, want.Message) {
			t.Errorf("doctor does not find %+v in %+v", want, all)
		}
	}
	if _, err := os.Stat(filepath.Join(w.dir, "blog.db")); err == nil {
		t.Error("doctor made the store")
	}

	d := &doctor{now: func() time.Time { return time.Now().Add(6 * 24 * time.Hour) }}
	d.examine(t.Context(), filepath.Join(w.dir, "server.yaml"))
	if !has(d.found, "warning", "certificate", "runs out at") {
		t.Errorf("a day before the certificate's end doctor finds %+v", d.found)
	}

	expired, expiredKey := w.ca.Expired(t, "blog.example")
	newer := w.write(t, "newer.db", "")
	db, err := sql.Open("sqlite", newer)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE gatewright_schema_version (version INTEGER); INSERT INTO gatewright_schema_version VALUES (999)"); err != nil {
		t.Fatal(err)
	}
	loose := w.write(t, "loose.db", "")
	if err := os.Chmod(loose, 0o644); err != nil {
		t.Fatal(err)
	}
	pg, redis := testenv.Postgres(t), testenv.Redis(t)
	w.write(t, "store.url", pg.URL()+"\n")
	late := w.stranger(t, func(issuer string, r http.ResponseWriter) {
		r.Header().Set("Date", time.Now().Add(-10*time.Minute-30*time.Second).UTC().Format(http.TimeFormat))
	})
	liar := w.stranger(t, nil)
	for _, c := range []struct {
		name, old, new        string
		level, check, message string
		code                  int
	}{
		{"several mistakes", "secret_file: server.secret\n", "listen: nowhere\n", "error", "settings", "listen", 1},
		{"and all of them", "secret_file: server.secret\n", "listen: nowhere\n", "error", "settings", "secret_file", 1},
		{"an expired certificate", fmt.Sprintf("%q, key: %q", cert, key), fmt.Sprintf("%q, key: %q", expired, expiredKey), "error", "settings", "expired at", 1},
		{"another issuer", op.Issuer, liar + "/", "error", "provider main", "issuer", 1},
		{"an issuer that is not there", op.Issuer, "https://localhost:1", "error", "provider main", "localhost:1", 1},
		{"a clock that is late", op.Issuer, late, "error", "provider main", "clocks are 10m", 1},
		{"a redirect URI that nobody registered", "https://blog.example\n", "https://blog.example:8443\n", "error", "provider main", "refuses to sign people in", 1},
		{"a client that nobody knows", "client_id: web-app", "client_id: other", "error", "provider main", "refuses to sign people in", 1},
		{"a store of a newer program", "sqlite:blog.db", "sqlite:newer.db", "error", "store", "version 999", 1},
		{"a store that others can read", "sqlite:blog.db", "sqlite:loose.db", "error", "store", "chmod 600", 1},
		{"a store in no folder", "sqlite:blog.db", "sqlite:nowhere/blog.db", "error", "store", "nowhere", 1},
		{"PostgreSQL", "store: sqlite:blog.db", "store_file: store.url", "ok", "store", "tables are made at the first start", 0},
		{"Redis", "store: sqlite:blog.db", "store: sqlite:blog.db\nsessions_store: " + redis.URL(), "ok", "sessions_store", "answers", 0},
		{"no Redis", "store: sqlite:blog.db", "store: sqlite:blog.db\nsessions_store: redis://localhost:1/0", "error", "sessions_store", "localhost:1", 1},
		{"pages of another site", "store: sqlite:blog.db", "store: sqlite:blog.db\ncors: {origins: [\"https://app.other.example\"], credentials: true}", "warning", "cookies", "is another site", 0},
		{"behind a proxy", fmt.Sprintf("{cert: %q, key: %q}", cert, key), "{behind_proxy: [10.0.0.0/8]}", "ok", "certificate", "a proxy at 10.0.0.0/8 has it", 0},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("%s: the settings have no %q", c.name, c.old)
		}
		all, code := w.examined(t, strings.Replace(good, c.old, c.new, 1))
		if !has(all, c.level, c.check, c.message) || code != c.code {
			t.Errorf("%s: exit code %d, want %d, and %s %s %q, among %+v", c.name, code, c.code, c.level, c.check, c.message, all)
		}
		for _, f := range all {
			if text := f.Message + f.Help; strings.Contains(text, "web-app-secret") || strings.Contains(text, "PRIVATE KEY") {
				t.Errorf("%s: doctor tells a secret: %s", c.name, text)
			}
		}
	}

	var out bytes.Buffer
	if code := run(t.Context(), []string{"doctor", "-config", w.write(t, "server.yaml", good)}, &out, &out); code != 0 || !strings.Contains(out.String(), "ok       provider main") {
		t.Errorf("as text, exit code %d:\n%s", code, &out)
	}
	if code := run(context.Background(), []string{"doctor", "-config", filepath.Join(w.dir, "none.yaml")}, &out, &out); code != 1 {
		t.Errorf("without a configuration: exit code %d", code)
	}
}

// stranger is an issuer whose answers edit changes; nil: it calls itself another.
func (w *ward) stranger(t *testing.T, edit func(issuer string, w http.ResponseWriter)) (issuer string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if edit != nil {
			edit(issuer, rw)
		}
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(rw, `{"issuer": %q, "authorization_endpoint": %q, "token_endpoint": %[2]q, "jwks_uri": %[2]q}`, issuer, issuer+"/authorize")
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{w.ca.Certificate(t, "localhost")}}
	s.StartTLS()
	t.Cleanup(s.Close)
	issuer = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	return issuer
}
