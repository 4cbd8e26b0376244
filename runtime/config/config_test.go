package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// site is a folder with all that a good configuration names: cert.pem and
// key.pem for localhost and 127.0.0.1, server.secret, old.secret, client.secret.
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
	write(t, filepath.Join(dir, "client.secret"), "s3-of-the-client\n")
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
		TLS:         TLS{Cert: []string{filepath.Join(dir, "cert.pem")}, Key: []string{filepath.Join(dir, "key.pem")}},
		Secrets:     got.Secrets,
		source:      got.source,
		Environment: "live",
		Keys:        Keys{Prefix: "gw"},
		Sessions:    Sessions{Kind: "server", Idle: 30 * time.Minute, Absolute: 12 * time.Hour, Recent: 15 * time.Minute},
		Cache:       time.Second,
		Limits:      Limits{HeaderBytes: 65536, BodyBytes: 32 << 20, HeaderTime: 10 * time.Second, BodyTime: time.Minute, AnswerTime: 2 * time.Minute, IdleTime: 2 * time.Minute, Connections: 4096, ConnectionsPerAddress: 256, Requests: 1024, RequestsPerAddress: 256, Streams: 100},
		Shutdown:    Shutdown{Delay: time.Second, Grace: 20 * time.Second},
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
limits: {header_bytes: 16KiB, body_bytes: 2000000, header_time: 5s, body_time: 1m30s, answer_time: 500ms, idle_time: 1d, connections: 40, connections_per_address: 4, requests: 30, requests_per_address: 3, streams: 2}
shutdown: {delay: 0, grace: 3s}
log: {level: debug, format: json}
sessions: {kind: sealed, idle: 10m, absolute: 1h}
cors: {origins: ["https://app.example", "http://localhost:3000"], credentials: true}
admin: {listen: "[::1]:9443"}
providers:
  main:
    issuer: https://id.example/
    client_id: web-app
    client_secret_file: client.secret
    client_auth: client_secret_post
    title: Staff
    scopes: [openid, email]
    algorithms: [ES256]
    no_userinfo: true
    params: {access_type: offline, prompt: consent}
  code:
    authorization_url: https://code.example/authorize
    token_url: https://code.example/token
    user_url: https://code.example/user
    emails_url: https://code.example/emails
    client_id: "7"
    client_auth: none
    user_id: uid
    user_name: display
    user_email: mail
    identity: https://people.example
schemes:
  login: {provider: main, scopes_claim: realm.roles, scopes_map: {editors: [posts:write, posts:read], readers: posts:read}}
  My Login: {provider: code}
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
		TLS:         TLS{Cert: []string{filepath.Join(dir, "cert.pem")}, Key: []string{filepath.Join(dir, "key.pem")}},
		Secrets:     got.Secrets,
		source:      got.source,
		Store:       "sqlite:" + filepath.Join(dir, "data", "blog.db"),
		Environment: "test",
		Keys:        Keys{Prefix: "blog"},
		Providers: []provider.Config{{
			Name: "code", Title: "code", ClientID: "7", ClientAuth: "none",
			AuthorizationURL: "https://code.example/authorize", TokenURL: "https://code.example/token",
			UserURL: "https://code.example/user", EmailsURL: "https://code.example/emails",
			UserID: "uid", UserName: "display", UserEmail: "mail", Identity: "https://people.example",
		}, {
			Name: "main", Title: "Staff", Issuer: "https://id.example/", MetadataURL: "https://id.example/.well-known/openid-configuration",
			ClientID: "web-app", ClientSecret: secret.New("s3-of-the-client"), ClientAuth: "client_secret_post",
			Scopes: []string{"openid", "email"}, Algorithms: []string{"ES256"}, NoUserInfo: true,
			Params: map[string]string{"access_type": "offline", "prompt": "consent"},
		}},
		Schemes: map[string]provider.Binding{
			"login":    {Providers: []string{"main"}, ScopesClaim: "realm.roles", ScopesMap: map[string][]string{"editors": {"posts:write", "posts:read"}, "readers": {"posts:read"}}},
			"My Login": {Providers: []string{"code"}},
		},
		Sessions: Sessions{Kind: "sealed", Idle: 10 * time.Minute, Absolute: time.Hour, Recent: 15 * time.Minute},
		Cache:    time.Second,
		CORS:     CORS{Origins: []string{"https://app.example", "http://localhost:3000"}, Credentials: true},
		Admin:    Admin{Listen: "[::1]:9443"},
		Limits:   Limits{HeaderBytes: 16384, BodyBytes: 2000000, HeaderTime: 5 * time.Second, BodyTime: 90 * time.Second, AnswerTime: 500 * time.Millisecond, IdleTime: 24 * time.Hour, Connections: 40, ConnectionsPerAddress: 4, Requests: 30, RequestsPerAddress: 3, Streams: 2},
		Shutdown: Shutdown{Delay: -1, Grace: 3 * time.Second},
		Log:      Log{Level: "debug", Format: "json"},
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
		{"SESSIONS_KIND", "server", func(c Config) any { return c.Sessions.Kind }, "server"},
		{"SESSIONS_IDLE", "5m", func(c Config) any { return c.Sessions.Idle }, 5 * time.Minute},
		{"SESSIONS_ABSOLUTE", "2h", func(c Config) any { return c.Sessions.Absolute }, 2 * time.Hour},
		{"CORS_ORIGINS", "https://a.example,https://b.example", func(c Config) any { return c.CORS.Origins }, []string{"https://a.example", "https://b.example"}},
		{"CORS_CREDENTIALS", "false", func(c Config) any { return c.CORS.Credentials }, false},
		{"ADMIN_LISTEN", "127.0.0.1:1", func(c Config) any { return c.Admin.Listen }, "127.0.0.1:1"},
		{"PROVIDERS_MAIN_TITLE", "Us", func(c Config) any { return c.Providers[1].Title }, "Us"},
		{"PROVIDERS_MAIN_ISSUER", "https://b.example", func(c Config) any { return c.Providers[1].Issuer }, "https://b.example"},
		{"PROVIDERS_MAIN_CLIENT_ID", "other", func(c Config) any { return c.Providers[1].ClientID }, "other"},
		{"PROVIDERS_MAIN_CLIENT_SECRET", "from-outside", func(c Config) any { return c.Providers[1].ClientSecret.Reveal() }, "from-outside"},
		{"PROVIDERS_MAIN_CLIENT_SECRET_FILE", dir + "/old.secret", func(c Config) any { return len(c.Providers[1].ClientSecret.Reveal()) }, 43},
		{"PROVIDERS_MAIN_CLIENT_AUTH", "client_secret_basic", func(c Config) any { return c.Providers[1].ClientAuth }, "client_secret_basic"},
		{"PROVIDERS_MAIN_SCOPES", "openid,groups", func(c Config) any { return c.Providers[1].Scopes }, []string{"openid", "groups"}},
		{"PROVIDERS_MAIN_ALGORITHMS", "EdDSA", func(c Config) any { return c.Providers[1].Algorithms }, []string{"EdDSA"}},
		{"PROVIDERS_MAIN_CA", dir + "/cert.pem", func(c Config) any { return c.Providers[1].CA }, dir + "/cert.pem"},
		{"PROVIDERS_MAIN_NO_USERINFO", "false", func(c Config) any { return c.Providers[1].NoUserInfo }, false},
		{"PROVIDERS_MAIN_PARAMS", "login_hint=a=b,hd=x", func(c Config) any { return c.Providers[1].Params }, map[string]string{"login_hint": "a=b", "hd": "x"}},
		{"PROVIDERS_CODE_AUTHORIZATION_URL", "https://b.example/a", func(c Config) any { return c.Providers[0].AuthorizationURL }, "https://b.example/a"},
		{"PROVIDERS_CODE_TOKEN_URL", "https://b.example/t", func(c Config) any { return c.Providers[0].TokenURL }, "https://b.example/t"},
		{"PROVIDERS_CODE_USER_URL", "https://b.example/u", func(c Config) any { return c.Providers[0].UserURL }, "https://b.example/u"},
		{"PROVIDERS_CODE_EMAILS_URL", "https://b.example/e", func(c Config) any { return c.Providers[0].EmailsURL }, "https://b.example/e"},
		{"PROVIDERS_CODE_USER_ID", "id2", func(c Config) any { return c.Providers[0].UserID }, "id2"},
		{"PROVIDERS_CODE_USER_NAME", "n2", func(c Config) any { return c.Providers[0].UserName }, "n2"},
		{"PROVIDERS_CODE_USER_EMAIL", "e2", func(c Config) any { return c.Providers[0].UserEmail }, "e2"},
		{"PROVIDERS_CODE_IDENTITY", "https://p2.example", func(c Config) any { return c.Providers[0].Identity }, "https://p2.example"},
		{"SCHEMES_LOGIN_PROVIDER", "code", func(c Config) any { return c.Schemes["login"].Providers }, []string{"code"}},
		{"SCHEMES_LOGIN_AUDIENCE", "https://a.example,b", func(c Config) any { return c.Schemes["login"].Audience }, []string{"https://a.example", "b"}},
		{"SCHEMES_LOGIN_INTROSPECT", "true", func(c Config) any { return c.Schemes["login"].Introspect }, true},
		{"SCHEMES_LOGIN_ANY_AUDIENCE", "true", func(c Config) any { return c.Schemes["login"].AnyAudience }, true},
		{"SCHEMES_LOGIN_UNTYPED_TOKENS", "true", func(c Config) any { return c.Schemes["login"].UntypedTokens }, true},
		{"SCHEMES_LOGIN_BOUND_ONLY", "true", func(c Config) any { return c.Schemes["login"].BoundOnly }, true},
		{"SCHEMES_LOGIN_DPOP_NONCE", "true", func(c Config) any { return c.Schemes["login"].DPoPNonce }, true},
		{"PROVIDERS_MAIN_NO_SIGN_IN", "true", func(c Config) any { return c.Providers[1].NoSignIn }, true},
		{"PROVIDERS_MAIN_METADATA_URL", "https://id.example/meta", func(c Config) any { return c.Providers[1].MetadataURL }, "https://id.example/meta"},
		{"SCHEMES_LOGIN_SCOPES_CLAIM", "groups", func(c Config) any { return c.Schemes["login"].ScopesClaim }, "groups"},
		{"SCHEMES_LOGIN_SCOPES_MAP", "a=b c,d=e", func(c Config) any { return c.Schemes["login"].ScopesMap }, map[string][]string{"a": {"b", "c"}, "d": {"e"}}},
		{"SCHEMES_MY_LOGIN_PROVIDER", "main", func(c Config) any { return c.Schemes["My Login"].Providers }, []string{"main"}},
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
		if want := (TLS{Cert: []string{dir + "/cert.pem"}, Key: []string{dir + "/key.pem"}}); err != nil || !reflect.DeepEqual(c.TLS, want) {
			t.Errorf("TLS = %+v, %v, want %+v", c.TLS, err, want)
		}
	})
}

// TestTLSOverrides: what a variable says of TLS replaces the file's whole choice.
func TestTLSOverrides(t *testing.T) {
	dir := site(t)
	cert, key := []string{dir + "/cert.pem"}, []string{dir + "/key.pem"}
	with := func(tls string) string {
		return strings.Replace(good, "{cert: cert.pem, key: key.pem}", tls, 1)
	}
	const behind, dev, files = "{behind_proxy: [10.0.0.0/8]}", "{dev: true}", "{cert: cert.pem, key: key.pem}"
	proxied := TLS{BehindProxy: []string{"10.1.0.0/16", "2001:db8::/32"}, ProxyHeader: "x-forwarded"}
	for _, c := range []struct {
		file, env string
		want      TLS
		listen    string
	}{
		{behind, "", TLS{BehindProxy: []string{"10.0.0.0/8"}, ProxyHeader: "x-forwarded"}, "127.0.0.1:8080"},
		{dev, "GATEWRIGHT_TLS_BEHIND_PROXY=10.1.0.0/16,2001:db8::/32", proxied, "127.0.0.1:8080"},
		{files, "GATEWRIGHT_TLS_BEHIND_PROXY=10.1.0.0/16,2001:db8::/32", proxied, "127.0.0.1:8080"},
		{behind, "GATEWRIGHT_TLS_DEV=true", TLS{Dev: true}, "127.0.0.1:8443"},
		{behind, "GATEWRIGHT_TLS_CERT=" + cert[0] + " GATEWRIGHT_TLS_KEY=" + key[0], TLS{Cert: cert, Key: key}, "127.0.0.1:8443"},
	} {
		got, err := load(t, dir, with(c.file), strings.Fields(c.env)...)
		if err != nil || !reflect.DeepEqual(got.TLS, c.want) || got.Listen != c.listen {
			t.Errorf("%s with %q: %+v at %s, %v, want %+v at %s", c.file, c.env, got.TLS, got.Listen, err, c.want, c.listen)
		}
	}
	got, err := load(t, dir, with("{behind_proxy: [10.0.0.0/8, \"2001:db8::/32\"], proxy_header: forwarded}")+"proxy_protocol: 192.0.2.0/24\n")
	if err != nil {
		t.Fatal(err)
	}
	if f := got.TLS.Forwarder(); !f.Standard || !f.Trusts("10.1.2.3:4") || !f.Trusts("[2001:db8::1]:4") || f.Trusts("192.0.2.1:4") {
		t.Errorf("Forwarder() = %+v", f)
	}
	if p := got.Balancers().Proxies; len(p) != 1 || p[0].String() != "192.0.2.0/24" {
		t.Errorf("Balancers() = %v", p)
	}
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
		all := append(append(slices.Clone(settings), providerSettings(&providerDraft{})...), schemeSettings(&provider.Binding{})...)
		for _, s := range all {
			if s.help == "" {
				t.Errorf("%s has no help", s.name)
			}
		}
		for _, want := range []string{"GATEWRIGHT_PROVIDERS_NAME_CLIENT_SECRET_FILE", "GATEWRIGHT_PROVIDERS_NAME_CLIENT_SECRET ", "GATEWRIGHT_SCHEMES_NAME_SCOPES_MAP"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the help lacks %s", want)
			}
		}
		for _, s := range settings {
			if !strings.Contains(err.Error(), s.name) || !strings.Contains(err.Error(), Variable(s.name)) {
				t.Errorf("the help lacks %s or its variable", s.name)
			}
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	dir := site(t)
	c, err := load(t, dir, full)
	if err != nil {
		t.Fatal(err)
	}
	c2 := []any{c, &c, c.Secrets}
	for _, v := range c2 {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := sprintf(verb, v); strings.Contains(text, c.Secrets[0].Reveal()) || strings.Contains(text, "s3-of-the-client") {
				t.Errorf("%s of %T prints the secret", verb, v)
			}
		}
	}
}
