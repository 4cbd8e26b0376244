package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/postgres"
)

// logged collects what is logged until the test ends.
func logged(t *testing.T) *syncBuffer {
	b, before := &syncBuffer{}, slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(b, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return b
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func show(t *testing.T, s *postgres.Store, name string) string {
	t.Helper()
	value, err := postgres.Show(t.Context(), s, name)
	if err != nil {
		t.Errorf("SHOW %s: %v", name, err)
	}
	return value
}

// clean has nothing of the environment count.
func clean(t *testing.T) {
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "PG") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", t.TempDir())
}

// TestParse: who is spoken to without proof.
func TestParse(t *testing.T) {
	clean(t)
	ca := testenv.NewCA(t)
	for _, c := range []struct {
		url    string
		proven bool   // every server must prove who it is
		says   string // in the log
	}{
		{"postgres://u:p@db.example/d", true, ""},
		{"postgresql://u:p@db.example:5433/d", true, ""},
		{"postgres://u:p@192.0.2.1/d", true, ""},
		{"postgres://u:p@[2001:db8::1]/d", true, ""},
		{"postgres://u:p@/d?host=db.example", true, ""},
		{"postgres://u:p@localhost,db.example/d", true, ""},
		{"postgres://u:p@db1.example:5432,db2.example:5433/d", true, ""},
		{"postgres://u:p@localhost.example/d", true, ""},
		{"postgres://u:p@db.example/d?sslmode=verify-full", true, ""},
		{"postgres://u:p@db.example/d?sslrootcert=system", true, ""},
		{"postgres://u:p@db.example/d?sslrootcert=" + ca.File, true, ""},
		{"postgres://u:p@db.example/d?sslmode=verify-ca&sslrootcert=" + ca.File, false, "db.example"},
		{"postgres://u:p@db.example/d?sslmode=require", false, "db.example"},
		{"postgres://u:p@db.example/d?ssl=true", false, "db.example"},
		{"postgres://u:p@db.example/d?sslmode=prefer", false, "db.example"},
		{"postgres://u:p@db.example/d?sslmode=allow", false, "db.example"},
		{"postgres://u:p@db.example/d?sslmode=disable", false, "db.example"},
		{"postgres://u:p@localhost,db.example/d?sslmode=disable", false, "db.example"},
		{"postgres://u:p@localhost/d", false, ""},
		{"postgres://u:p@LOCALHOST/d?sslmode=disable", false, ""},
		{"postgres://u:p@127.0.0.1/d", false, ""},
		{"postgres://u:p@127.8.9.1/d", false, ""},
		{"postgres://u:p@[::1]/d", false, ""},
		{"postgres:///d?host=/run/postgresql&user=u", false, ""},
		{"postgres:///d?host=/run/postgresql&user=u&sslmode=disable", false, ""},
		{"postgres://u:p@localhost/d?sslmode=verify-full", true, ""},
	} {
		t.Run(c.url, func(t *testing.T) {
			for _, env := range []string{"", "disable"} {
				t.Setenv("PGSSLMODE", env)
				log := logged(t)
				cfg, err := postgres.Parse(t.Context(), c.url)
				if err != nil {
					t.Fatalf("parse(%q) = %v", c.url, err)
				}
				proven := cfg.ConnConfig.TLSConfig != nil && !cfg.ConnConfig.TLSConfig.InsecureSkipVerify
				for _, f := range cfg.ConnConfig.Fallbacks {
					proven = proven && f.TLSConfig != nil && !f.TLSConfig.InsecureSkipVerify && f.TLSConfig.ServerName == f.Host
				}
				if proven != c.proven {
					t.Errorf("parse(%q) has servers prove who they are: %v, want %v", c.url, proven, c.proven)
				}
				if got := log.String(); (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
					t.Errorf("parse(%q) logged %q, want %q in it", c.url, got, c.says)
				}
			}
		})
	}
}

func TestParseDefaults(t *testing.T) {
	clean(t)
	cfg, err := postgres.Parse(t.Context(), "postgres://ann@localhost/d")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.MaxConns != 16 || cfg.ConnConfig.ConnectTimeout != 3*time.Second || cfg.PingTimeout != time.Second || cfg.ConnConfig.ValidateConnect == nil {
		t.Errorf("parse() = %+v", cfg)
	}
	cfg, err = postgres.Parse(t.Context(), "postgres://ann@localhost/d?pool_max_conns=3&connect_timeout=7&pool_ping_timeout=2s&target_session_attrs=any&application_name=blog&search_path=x&lock_timeout=1s")
	if err != nil {
		t.Fatal(err)
	}
	params := cfg.ConnConfig.RuntimeParams
	if cfg.MaxConns != 3 || cfg.ConnConfig.ConnectTimeout != 7*time.Second || cfg.PingTimeout != 2*time.Second || cfg.ConnConfig.ValidateConnect != nil ||
		params["application_name"] != "blog" || params["search_path"] != "x" || params["lock_timeout"] != "1s" {
		t.Errorf("parse() with settings = %+v, %v", cfg, params)
	}

	// The password is what was written.
	for written, want := range map[string]string{
		"plain": "plain", "a:b": "a:b", "a%40b%2Fc%25": "a@b/c%", "a?b#c=d&e": "a?b#c=d&e", "a+b": "a+b", "": "",
	} {
		query := strings.ReplaceAll(url.QueryEscape(want), "+", "%20")
		for _, u := range []string{"postgres://ann:" + written + "@db.example/d", "postgres://ann@db.example/d?password=" + query, "postgres://ann@db.example/d?pass%77ord=" + query} {
			cfg, err := postgres.Parse(t.Context(), u)
			if err != nil {
				t.Fatalf("parse(%q) = %v", u, err)
			}
			c := cfg.ConnConfig
			if c.Password != want || c.User != "ann" || c.Host != "db.example" || c.Database != "d" {
				t.Errorf("parse(%q) = %+v, want the password %q", u, c, want)
			}
			// Nor does anything that may be printed have it.
			if text := c.ConnString(); text != "postgres://ann@db.example/d?sslmode=verify-full" {
				t.Errorf("parse(%q) keeps %q", u, text)
			}
		}
	}
	t.Setenv("PGPASSWORD", "of the environment")
	if cfg, err := postgres.Parse(t.Context(), "postgres://ann@db.example/d"); err != nil || cfg.ConnConfig.Password != "of the environment" {
		t.Errorf("parse() = %+v, %v, want the password of the environment", cfg, err)
	}
}

// TestPasswordIsNowhere: no error quotes a password or a piece of one,
// wherever it was written and whatever is wrong beside it.
func TestPasswordIsNowhere(t *testing.T) {
	clean(t)
	log := logged(t)
	for _, password := range []string{"hunter2correct", "hunter2@correct", "hunter2/correct", "hunter2:correct", "hunter2?correct", "hunter2#correct", "hunter2%correct", "hunter2%zzcorrect", "hunter2 correct", "hunter2\ncorrect",
		"hunter2&correct", "hunter2=correct", "hunter2,correct", "[hunter2correct", "12/hunter2correct", "12?hunter2=correct", "hunter2`: correct", "hunter2%00correct", "hunter2\x00correct", "hunter2\\correct"} {
		for _, form := range []string{
			"postgres://app:%s@127.0.0.1:1/app", "postgres://app:%s@127.0.0.1:port/app", "postgres://app:%s@nowhere.invalid/app", "postgres://app:%s@127.0.0.1:1/app?sslmode=wrong",
			"postgres://app:%s@127.0.0.1:1/app?pool_max_conns=many", "postgres://app:%s@127.0.0.1:1/app?sslrootcert=/none", "postgres://app:%s@127.0.0.1:1,127.0.0.1:2:3/app?target_session_attrs=none",
			"postgres://app:%s@127.0.0.1:1/app?connect_timeout=x", "postgres://app:%s@[::1/app", "postgres://app:%s@127.0.0.1:1/app?x=%%zz", "postgres://app:%s@127.0.0.1:1/app?x",
			"postgres://127.0.0.1:1/app?user=app&password=%s", "postgres://127.0.0.1:1/app?pass%%77ord=%s&sslmode=wrong", "postgres://127.0.0.1:1/app?sslpassword=%s&sslmode=wrong",
			"postgres:app:%s@127.0.0.1:1/app", "postgres:/app:%s@127.0.0.1:1/app", "postgres://app:%s@127.0.0.1:1/app?default_query_exec_mode=x", "postgres://app:%s@",
		} {
			u := strings.ReplaceAll(strings.Replace(form, "%s", password, 1), "%%", "%")
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			s, err := store.Open(ctx, store.Config{URL: u}, postgres.Driver)
			cancel()
			if err == nil {
				_ = s.Close()
				t.Errorf("Open(%q) = nil, want an error", u)
				continue
			}
			for _, piece := range []string{"hunter2", "correct"} {
				if strings.Contains(err.Error(), piece) {
					t.Errorf("Open(%q) = %v", u, err)
				}
			}
		}
	}
	if got := log.String(); strings.Contains(got, "hunter2") || strings.Contains(got, "correct") {
		t.Errorf("the log has %q", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	clean(t)
	for u, want := range map[string]string{
		"postgres:":                          "begins neither",
		"postgres:/d":                        "begins neither",
		"postgres://a@b@c/d":                 "write %40 for @",
		"postgres://a:b/c@d/e":               "%2F for /",
		"postgres://a:%zz@d/e":               "write %25 for %",
		"postgres://a@d/e?sslmode":           "name=value",
		"postgres://a@d/e?%zz=x":             "name=value",
		"postgres://a@d/e?password=%zz":      "write %25 for %",
		"postgres://a@d/e?sslpassword=x":     "sslpassword is not taken",
		"postgres://a:b%00c@d/e":             "NUL",
		"postgres://a@d/e?sslmode=strong":    "sslmode is invalid",
		"postgres://a@d/e?pool_max_conns=0":  "pool_max_conns too small",
		"postgres://a@127.0.0.1:1/e":         "connection refused",
		"postgres://a@d/e?sslrootcert=/none": "no such file",
	} {
		s, err := store.Open(t.Context(), store.Config{URL: u}, postgres.Driver)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, want %q in it", u, err, want)
		}
	}
}

// TestTLS: a server on another host must prove who it is; nothing is sent to
// one that does not, unless the URL says so.
func TestTLS(t *testing.T) {
	ca := testenv.NewCA(t)
	server := testenv.PostgresTLS(t, ca, "db.example")
	clean(t)
	testenv.Names(t, "db.example", "other.example")
	log := logged(t)
	at := func(host string) string { return strings.Replace(server.URL(), "localhost", host, 1) }
	for _, c := range []struct {
		url    string
		opens  bool
		tls    string
		warned bool
	}{
		{at("db.example"), false, "", false}, // its authority is not the system's
		{at("db.example") + "?sslrootcert=" + ca.File, true, "on", false},
		{at("db.example") + "?sslrootcert=" + testenv.NewCA(t).File, false, "", false},
		{at("other.example") + "?sslrootcert=" + ca.File, false, "", false},
		{at("other.example") + "?sslmode=verify-ca&sslrootcert=" + ca.File, true, "on", true},
		{at("db.example") + "?sslmode=require", true, "on", true},
		{at("db.example") + "?sslmode=disable", true, "off", true},
		{at("127.0.0.1") + "?sslmode=disable", true, "off", false},
		{at("127.0.0.1"), true, "on", false},
	} {
		before := log.String()
		s, err := postgres.Open(t.Context(), c.url)
		if c.opens != (err == nil) {
			t.Errorf("Open(%q) = %v, want it to open: %v", c.url, err, c.opens)
		}
		if warned := log.String() != before; warned != c.warned {
			t.Errorf("Open(%q) logged %q, want a warning: %v", c.url, log.String()[len(before):], c.warned)
		}
		if err != nil {
			continue
		}
		if got := ask[string](t, server.Admin()+"?sslmode=disable", `SELECT CASE WHEN bool_or(ssl) THEN 'on' ELSE 'off' END
FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'gatewright'`); got != c.tls {
			t.Errorf("Open(%q) has TLS %s, want %s", c.url, got, c.tls)
		}
		mustDo(t, s.Close())
	}

	// One that has no certificate is not spoken to in clear text, nor asked twice.
	plain := testenv.Postgres(t)
	if s, err := postgres.Open(t.Context(), strings.Replace(strings.TrimSuffix(plain.URL(), "?sslmode=disable"), "127.0.0.1", "db.example", 1)); err == nil {
		_ = s.Close()
		t.Error("Open() of a server on another host without TLS = nil, want an error")
	} else if !strings.Contains(err.Error(), "TLS") {
		t.Errorf("Open() of a server on another host without TLS = %v", err)
	}
}
