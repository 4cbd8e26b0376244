package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// site is a folder with all that a good configuration names: cert.pem and
// key.pem for localhost and 127.0.0.1, server.secret, old.secret.
func site(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	authority, err := tlsconf.OpenAuthority(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.WriteLeaf(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), "localhost", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"server.secret", "old.secret"} {
		write(t, filepath.Join(dir, name), secret.Random(32).Reveal()+"\n")
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

const good = `public_url: https://localhost:8443
tls: {cert: cert.pem, key: key.pem}
secret_file: server.secret
`

// load loads content as the file server.yaml of dir; environment holds
// NAME=value.
func load(t *testing.T, dir, content string, environment ...string) (Config, error) {
	t.Helper()
	path := filepath.Join(dir, "server.yaml")
	write(t, path, content)
	return Load([]string{"-config", path}, getenv(environment...))
}

func getenv(environment ...string) func(string) string {
	return func(name string) string {
		for _, e := range environment {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func reveal(values []secret.Value) (texts []string) {
	for _, v := range values {
		texts = append(texts, v.Reveal())
	}
	return texts
}

func TestLoadDefaults(t *testing.T) {
	dir := site(t)
	got, err := load(t, dir, good)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		PublicURL:   "https://localhost:8443",
		Listen:      "127.0.0.1:8443",
		TLS:         TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")},
		Secrets:     got.Secrets,
		Environment: "live",
		Keys:        Keys{Prefix: "gw"},
		Sessions:    Sessions{Kind: "server", Idle: 30 * time.Minute, Absolute: 12 * time.Hour},
		Limits:      Limits{HeaderBytes: 65536, BodyBytes: 32 << 20, HeaderTime: 10 * time.Second, BodyTime: time.Minute, AnswerTime: 2 * time.Minute, IdleTime: 2 * time.Minute},
		Shutdown:    Shutdown{Grace: 20 * time.Second},
		Log:         Log{Level: "info", Format: "text"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
	if len(got.Secrets) != 1 {
		t.Errorf("Load read %d secrets, want 1", len(got.Secrets))
	}
}

const full = `public_url: https://LOCALHOST:443/
listen: "[::1]:0"
tls:
  cert: cert.pem
  key: key.pem
secret_file: [server.secret, old.secret]
store: sqlite:data/blog.db
environment: test
keys: {prefix: blog}
limits: {header_bytes: 16KiB, body_bytes: 2000000, header_time: 5s, body_time: 1m30s, answer_time: 500ms, idle_time: 1d}
shutdown: {grace: 3s}
log: {level: debug, format: json}
`

func TestLoadEverySetting(t *testing.T) {
	dir := site(t)
	got, err := load(t, dir, full)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		PublicURL:   "https://localhost",
		Listen:      "[::1]:0",
		TLS:         TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")},
		Secrets:     got.Secrets,
		Store:       "sqlite:" + filepath.Join(dir, "data", "blog.db"),
		Environment: "test",
		Keys:        Keys{Prefix: "blog"},
		Sessions:    Sessions{Kind: "server", Idle: 30 * time.Minute, Absolute: 12 * time.Hour},
		Limits:      Limits{HeaderBytes: 16384, BodyBytes: 2000000, HeaderTime: 5 * time.Second, BodyTime: 90 * time.Second, AnswerTime: 500 * time.Millisecond, IdleTime: 24 * time.Hour},
		Shutdown:    Shutdown{Grace: 3 * time.Second},
		Log:         Log{Level: "debug", Format: "json"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
	if texts := reveal(got.Secrets); len(texts) != 2 || texts[0] == texts[1] {
		t.Errorf("Load read %d secrets, want two that differ", len(texts))
	}
}

// Every setting is in the file of TestLoadEverySetting but tls.dev, and every
// one is overridden here.
func TestEnvironmentOverrides(t *testing.T) {
	dir := site(t)
	for _, test := range []struct {
		name, value string
		get         func(Config) any
		want        any
	}{
		{"PUBLIC_URL", "https://127.0.0.1:9000", func(c Config) any { return c.PublicURL }, "https://127.0.0.1:9000"},
		{"LISTEN", ":9000", func(c Config) any { return c.Listen }, ":9000"},
		{"TLS_DEV", "true", func(c Config) any { return c.TLS }, TLS{Dev: true}},
		{"SECRET_FILE", dir + "/old.secret," + dir + "/server.secret", func(c Config) any { return len(c.Secrets) }, 2},
		{"SECRET", "correct horse battery staple, and some more", func(c Config) any { return reveal(c.Secrets) }, []string{"correct horse battery staple, and some more"}},
		{"STORE", "sqlite:here.db", func(c Config) any { return c.Store }, "sqlite:here.db"},
		{"ENVIRONMENT", "live", func(c Config) any { return c.Environment }, "live"},
		{"KEYS_PREFIX", "k2", func(c Config) any { return c.Keys.Prefix }, "k2"},
		{"LIMITS_HEADER_BYTES", "8192", func(c Config) any { return c.Limits.HeaderBytes }, int64(8192)},
		{"LIMITS_BODY_BYTES", "1GB", func(c Config) any { return c.Limits.BodyBytes }, int64(1e9)},
		{"LIMITS_HEADER_TIME", "1s", func(c Config) any { return c.Limits.HeaderTime }, time.Second},
		{"LIMITS_BODY_TIME", "2s", func(c Config) any { return c.Limits.BodyTime }, 2 * time.Second},
		{"LIMITS_ANSWER_TIME", "3s", func(c Config) any { return c.Limits.AnswerTime }, 3 * time.Second},
		{"LIMITS_IDLE_TIME", "4s", func(c Config) any { return c.Limits.IdleTime }, 4 * time.Second},
		{"SHUTDOWN_GRACE", "5s", func(c Config) any { return c.Shutdown.Grace }, 5 * time.Second},
		{"LOG_LEVEL", "error", func(c Config) any { return c.Log.Level }, "error"},
		{"LOG_FORMAT", "text", func(c Config) any { return c.Log.Format }, "text"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := load(t, dir, full, "GATEWRIGHT_"+test.name+"="+test.value)
			if err != nil {
				t.Fatal(err)
			}
			if got := test.get(c); !reflect.DeepEqual(got, test.want) {
				t.Errorf("with %s=%s: %v, want %v", test.name, test.value, got, test.want)
			}
		})
	}
	t.Run("TLS_CERT over tls.dev", func(t *testing.T) {
		c, err := load(t, dir, strings.Replace(good, "{cert: cert.pem, key: key.pem}", "{dev: true}", 1),
			"GATEWRIGHT_TLS_CERT="+dir+"/cert.pem", "GATEWRIGHT_TLS_KEY="+dir+"/key.pem")
		if want := (TLS{Cert: dir + "/cert.pem", Key: dir + "/key.pem"}); err != nil || c.TLS != want {
			t.Errorf("TLS = %+v, %v, want %+v", c.TLS, err, want)
		}
	})
}

func TestDevelopmentSwitch(t *testing.T) {
	dir := site(t)
	c, err := load(t, dir, good+"environment: live\n", "GATEWRIGHT_DEV=true")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Dev || c.Environment != "test" {
		t.Errorf("Dev = %v, Environment = %q, want true and test", c.Dev, c.Environment)
	}
	for _, value := range []string{"", "false"} {
		if c, err := load(t, dir, good, "GATEWRIGHT_DEV="+value); err != nil || c.Dev {
			t.Errorf("GATEWRIGHT_DEV=%q: Dev = %v, %v, want false", value, c.Dev, err)
		}
	}
}

func TestLoadFindsTheFile(t *testing.T) {
	dir := site(t)
	t.Chdir(dir)
	write(t, "one.yaml", good+"keys: {prefix: one}\n")
	write(t, "two.yaml", good+"keys: {prefix: two}\n")
	write(t, "server.yaml", good+"keys: {prefix: three}\n")
	for _, test := range []struct {
		name string
		args []string
		env  string
		want string
	}{
		{"-config F", []string{"-config", "one.yaml"}, "", "one"},
		{"--config F", []string{"--config", "one.yaml"}, "", "one"},
		{"-config=F", []string{"-config=one.yaml"}, "", "one"},
		{"--config=F", []string{"--config=one.yaml"}, "", "one"},
		{"environment", nil, "GATEWRIGHT_CONFIG=two.yaml", "two"},
		{"argument over environment", []string{"-config", "one.yaml"}, "GATEWRIGHT_CONFIG=two.yaml", "one"},
		{"neither", nil, "", "three"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Load(test.args, getenv(test.env))
			if err != nil || c.Keys.Prefix != test.want {
				t.Errorf("Load(%q) = %q, %v, want %q", test.args, c.Keys.Prefix, err, test.want)
			}
		})
	}
}

func TestLoadArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"none, and no server.yaml", nil, "there is no configuration"},
		{"unknown flag", []string{"-confg", "x"}, "-confg"},
		{"no value", []string{"-config"}, "needs an argument"},
		{"argument", []string{"server.yaml"}, `"server.yaml" is not understood`},
		{"missing file", []string{"-config", "absent.yaml"}, "absent.yaml: there is no such file"},
		{"folder", []string{"-config", "."}, "is a folder"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(test.args, getenv())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Load(%q) = %v, want an error with %q", test.args, err, test.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"-help", "--help", "-h"} {
		_, err := Load([]string{arg}, getenv())
		if !errors.Is(err, flag.ErrHelp) {
			t.Fatalf("Load(%q) = %v, want flag.ErrHelp", arg, err)
		}
		for _, s := range settings {
			if !strings.Contains(err.Error(), s.name) || !strings.Contains(err.Error(), variable(s.name)) {
				t.Errorf("the help lacks %s or its variable", s.name)
			}
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	dir := site(t)
	c, err := load(t, dir, good)
	if err != nil {
		t.Fatal(err)
	}
	c2 := []any{c, &c, c.Secrets}
	for _, v := range c2 {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := sprintf(verb, v); strings.Contains(text, c.Secrets[0].Reveal()) {
				t.Errorf("%s of %T prints the secret", verb, v)
			}
		}
	}
}
