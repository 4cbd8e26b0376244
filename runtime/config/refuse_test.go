package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/secret"
)

var update = flag.Bool("update", false, "write the golden file anew")

func sprintf(format string, v any) string { return fmt.Sprintf(format, v) }

func TestAllMistakesAtOnce(t *testing.T) {
	golden, err := filepath.Abs(filepath.Join("testdata", "mistakes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // the names of files in the messages are relative to it
	write(t, filepath.Join(dir, "mistakes.yaml"), read(t, "testdata", "mistakes.yaml"))
	write(t, filepath.Join(dir, "short.secret"), "tiny-and-quoted\n")
	t.Chdir(dir)
	_, err = Load([]string{"-config", "mistakes.yaml"}, getenv("GATEWRIGHT_DEV=yes", "GATEWRIGHT_LIMITS_ANSWER_TIME=soon"))
	var mistakes *Error
	if !errors.As(err, &mistakes) {
		t.Fatalf("Load = %v, want an *Error", err)
	}
	got := err.Error() + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("Load says\n%s\nwant\n%s", got, want)
	}
	for _, leak := range []string{"user:pass", "not-here-please", "tiny-and-quoted"} {
		if strings.Contains(got, leak) {
			t.Errorf("the error quotes %q", leak)
		}
	}
}

// Each rule has a case that only that rule refuses.
func TestLoadRefuses(t *testing.T) {
	dir := site(t)
	writeCertificate(t, dir, "expired", "localhost", time.Now().Add(-time.Minute))
	writeCertificate(t, dir, "other", "example.com", time.Now().Add(time.Hour))
	write(t, filepath.Join(dir, "loose.key"), read(t, dir, "key.pem"))
	write(t, filepath.Join(dir, "loose.secret"), read(t, dir, "server.secret"))
	for _, name := range []string{"loose.key", "loose.secret"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "short.secret"), strings.Repeat("ab1", 10)+"X") // 31 bytes
	write(t, filepath.Join(dir, "sample.secret"), "change-me-4kJ2mQ9xT7vB1nR5wE8zL3")

	url := func(u string) string {
		return strings.Replace(good, "https://localhost:8443", `"`+u+`"`, 1)
	}
	tls := func(t string) string {
		return strings.Replace(good, "{cert: cert.pem, key: key.pem}", t, 1)
	}
	secretFile := func(s string) string { return strings.Replace(good, "server.secret", s, 1) }
	long := "GATEWRIGHT_SECRET=" + secret.Random(32).Reveal()

	for _, test := range []struct {
		name    string
		content string
		env     []string
		want    string
	}{
		{"public_url missing", strings.Replace(good, "public_url: https://localhost:8443", "", 1), nil, "public_url: is missing"},
		{"public_url http", url("http://localhost:8443"), nil, "is not https"},
		{"public_url http in development", url("http://localhost:8443"), []string{"GATEWRIGHT_DEV=true"}, "is not https"},
		{"public_url without scheme", url("localhost"), nil, "does not begin with https://"},
		{"public_url with path", url("https://localhost/api"), nil, "has a path"},
		{"public_url with query", url("https://localhost?a=b"), nil, "has a query"},
		{"public_url with empty query", url("https://localhost?"), nil, "has a query"},
		{"public_url with fragment", url("https://localhost#a"), nil, "has a query or a fragment"},
		{"public_url with empty fragment", url("https://localhost#"), nil, "has a query or a fragment"},
		{"public_url with user", url("https://a:b@localhost"), nil, "holds a user name"},
		{"public_url without host", url("https://:8443"), nil, "is not a host name"},
		{"public_url with a name in Unicode", url("https://bücher.example"), nil, "xn--"},
		{"public_url with a number for an address", url("https://2130706433"), nil, "is not a host name"},
		{"public_url with empty port", url("https://localhost:"), nil, "port"},
		{"public_url with port 0", url("https://localhost:0"), nil, "port"},
		{"public_url with port too large", url("https://localhost:65536"), nil, "port"},
		{"public_url unreadable", url("https://local host"), nil, "is not a URL"},

		{"certificates' scopes alone", good + "client_certs: {scopes: {\"cn:a\": [b]}}\n", nil, "client_certs.scopes: is set, and client_certs.ca is not"},
		{"certificates' list alone", good + "client_certs: {crl: cert.pem}\n", nil, "client_certs.crl: is set, and client_certs.ca is not"},
		{"certificates' subject alone", good + "client_certs: {subject: uri}\n", nil, "client_certs.subject: is set, and client_certs.ca is not"},
		{"certificates' subject unknown", good + "client_certs: {ca: cert.pem, subject: serial}\n", nil, "is not one of cn, uri, dns, email"},
		{"certificates' authorities gone", good + "client_certs: {ca: none.pem}\n", nil, "client_certs.ca: open "},
		{"certificates' host with a port", good + "client_certs: {ca: cert.pem, hosts: [\"a.example:443\"]}\n", nil, "is no host name"},
		{"certificates' scopes of nobody", good + "client_certs: {ca: cert.pem, scopes: {\"\": [b]}}\n", nil, "neither may be empty"},
		{"proxies everywhere", good + "client_certs: {ca: cert.pem, proxies: [0.0.0.0/0]}\n", nil, "is nearly everything"},
		{"proxies half of everywhere", good + "client_certs: {ca: cert.pem, proxies: [\"128.0.0.0/1\"]}\n", nil, "is nearly everything"},
		{"proxies everywhere, IPv6", good + "client_certs: {ca: cert.pem, proxies: [\"::/0\"]}\n", nil, "is nearly everything"},
		{"proxies of an address", good + "client_certs: {ca: cert.pem, proxies: [10.1.2.3]}\n", nil, "is no range of addresses"},
		{"proxies with bits behind", good + "client_certs: {ca: cert.pem, proxies: [10.1.2.3/24]}\n", nil, "that range is 10.1.2.0/24"},
		{"client without an id", good + "clients: {\"\": [\"cn:a\"]}\n", nil, "neither may be empty"},
		{"client of no kind", good + "clients: {a: [billing]}\n", nil, "is no name of a program"},
		{"client of no provider", good + "clients: {a: [other/billing]}\n", nil, "is no name of a program"},
		{"client twice", good + "clients: {a: [\"cn:x\"], b: [\"cn:x\"]}\n", nil, "stands for"},

		{"listen without port", good + "listen: 127.0.0.1\n", nil, "is not an address with a port"},
		{"listen port too large", good + "listen: 127.0.0.1:70000\n", nil, "from 0 to 65535"},
		{"listen port by name", good + "listen: 127.0.0.1:https\n", nil, "from 0 to 65535"},
		{"listen host", good + "listen: a_b:1\n", nil, "is not an address or a host name"},

		{"development on every address", good + "listen: :8443\n", []string{"GATEWRIGHT_DEV=true"}, "development switch"},
		{"development on all zeros", good + "listen: 0.0.0.0:8443\n", []string{"GATEWRIGHT_DEV=true"}, "development switch"},
		{"development on all zeros, IPv6", good + "listen: \"[::]:8443\"\n", []string{"GATEWRIGHT_DEV=true"}, "development switch"},
		{"development on a private address", good + "listen: 10.0.0.1:8443\n", []string{"GATEWRIGHT_DEV=true"}, "development switch"},
		{"development on a name", good + "listen: localhost.example:8443\n", []string{"GATEWRIGHT_DEV=true"}, "development switch"},
		{"development certificate on every address", tls("{dev: true}") + "listen: :8443\n", nil, "certificate is one for development"},
		{"development certificate for another host", strings.Replace(tls("{dev: true}"), "localhost", "blog.example", 1), nil, "no development certificate for blog.example"},
		{"development unclear", good, []string{"GATEWRIGHT_DEV=1"}, `"1" is neither true nor false`},
		{"development in the file", good + "dev: true\n", nil, "GATEWRIGHT_DEV=true"},

		{"tls missing", strings.Replace(good, "tls: {cert: cert.pem, key: key.pem}", "", 1), nil, "tls: is missing"},
		{"tls.dev false", tls("{dev: false}"), nil, "tls: is missing"},
		{"tls.cert missing", tls("{key: key.pem}"), nil, "tls.cert: is missing"},
		{"tls.key missing", tls("{cert: cert.pem}"), nil, "tls.key: is missing"},
		{"both kinds of tls", tls("{cert: cert.pem, key: key.pem, dev: true}"), nil, "are both set"},
		{"certificate absent", tls("{cert: absent.pem, key: key.pem}"), nil, "absent.pem: no such file"},
		{"key absent", tls("{cert: cert.pem, key: absent.pem}"), nil, "absent.pem: no such file"},
		{"certificate of another key", tls("{cert: cert.pem, key: other-key.pem}"), nil, "does not match"},
		{"certificate expired", tls("{cert: expired-cert.pem, key: expired-key.pem}"), nil, "expired at"},
		{"a certificate behind a proxy", tls("{behind_proxy: [10.0.0.0/8], cert: cert.pem, key: key.pem}"), nil, "tls.behind_proxy: and a certificate are both set"},
		{"development behind a proxy", tls("{behind_proxy: [10.0.0.0/8], dev: true}"), nil, "tls.behind_proxy: and a certificate are both set"},
		{"proxies that end TLS everywhere", tls("{behind_proxy: [0.0.0.0/0]}"), nil, "tls.behind_proxy: \"0.0.0.0/0\" is nearly everything"},
		{"no proxies", tls("{behind_proxy: []}"), nil, "tls.behind_proxy: is an empty list"},
		{"another header", tls("{behind_proxy: [10.0.0.0/8], proxy_header: cf}"), nil, "tls.proxy_header: \"cf\" is not one of x-forwarded, forwarded"},
		{"a header of no proxy", tls("{cert: cert.pem, key: key.pem, proxy_header: forwarded}"), nil, "tls.proxy_header: is set, and tls.behind_proxy is not"},
		{"the PROXY protocol of everybody", good + "proxy_protocol: [\"::/0\"]\n", nil, "proxy_protocol: \"::/0\" is nearly everything"},
		{"a range in another form", good + "proxy_protocol: [\"::ffff:10.0.0.0/104\"]\n", nil, "is IPv4 in the form of IPv6"},
		{"plain listener without port", good + "plain: {listen: localhost}\n", nil, "plain.listen: \"localhost\" is not an address with a port"},
		{"plain listener behind a proxy", tls("{behind_proxy: [10.0.0.0/8]}") + "plain: {listen: \":80\"}\n", nil, "plain.listen: is set, and a proxy has TLS"},
		{"plain listener for others in development", tls("{dev: true}") + "plain: {listen: \":80\"}\n", nil, "plain.listen: :80 can be reached from other machines"},
		{"no connections", good + "limits: {connections: 0}\n", nil, "limits.connections: \"0\" is no number above zero"},
		{"connections with a unit", good + "limits: {connections: 4k}\n", nil, "limits.connections: has to be a number, and is text"},
		{"two certificates, one key", tls("{cert: [cert.pem, other-cert.pem], key: key.pem}"), nil, "tls: has 2 certificates and 1 keys"},
		{"second key of another certificate", tls("{cert: [cert.pem, other-cert.pem], key: [key.pem, key.pem]}"), nil, "does not match"},
		{"no certificate for those who show theirs", good + "client_certs: {ca: cert.pem, hosts: [mtls.localhost]}\n", nil, "is not for mtls.localhost"},
		{"second certificate expired", tls("{cert: [cert.pem, expired-cert.pem], key: [key.pem, expired-key.pem]}"), nil, "expired at"},
		{"no certificate for the host", tls("{cert: [other-cert.pem, other-cert.pem], key: [other-key.pem, other-key.pem]}"), nil, "none of the certificates is for localhost"},
		{"certificate for another host", tls("{cert: other-cert.pem, key: other-key.pem}"), nil, "not for localhost"},
		{"key open to others", tls("{cert: cert.pem, key: loose.key}"), nil, "chmod 600"},

		{"secret missing", strings.Replace(good, "secret_file: server.secret", "", 1), nil, "secret_file: is missing\n\thead -c 32 /dev/urandom | base64 > server.secret; chmod 600 server.secret"},
		{"secret in the file", good + "secret: abc\n", nil, "does not stand in this file"},
		{"secret short", secretFile("short.secret"), nil, "31 bytes"},
		{"secret a sample", secretFile("sample.secret"), nil, "sample value"},
		{"secret absent", secretFile("absent.secret"), nil, "no such file"},
		{"secret open to others", secretFile("loose.secret"), nil, "chmod 600"},
		{"second secret short", secretFile("[server.secret, short.secret]"), nil, "short.secret: key has 31 bytes"},
		{"no secret in the list", secretFile("[]"), nil, "is an empty list"},
		{"secret in the environment short", good, []string{"GATEWRIGHT_SECRET=abc"}, "GATEWRIGHT_SECRET: secret: key has 3 bytes"},
		{"secret twice in the environment", good, []string{long, "GATEWRIGHT_SECRET_FILE=server.secret"}, "GATEWRIGHT_SECRET_FILE is set too"},

		{"store without a kind", good + "store: blog.db\n", nil, "sqlite:blog.db"},
		{"store empty", good + "store: \"\"\n", nil, "is empty"},
		{"environment", good + "environment: staging\n", nil, "not one of live, test"},
		{"prefix", good + "keys: {prefix: G_W}\n", nil, "lower-case letter"},
		{"prefix too long", good + "keys: {prefix: a2345678901234567}\n", nil, "lower-case letter"},
		{"header limit too large", good + "limits: {header_bytes: 2MiB}\n", nil, "above 1MiB"},
		{"limit of nothing", good + "limits: {body_bytes: 0}\n", nil, "is not above zero"},
		{"limit below zero", good + "limits: {body_bytes: -1}\n", nil, "is no size"},
		{"time of nothing", good + "shutdown: {grace: 0s}\n", nil, "is not above zero"},
		{"log level", good + "log: {level: loud}\n", nil, "not one of debug, info"},
		{"log format", good + "log: {format: xml}\n", nil, "not one of text, json"},

		{"unknown setting", good + "listne: x\n", nil, "did you mean listen?"},
		{"unknown setting, far off", good + "zzzzzzzz: x\n", nil, "settings here: public_url, listen"},
		{"unknown nested setting", good + "log: {lvl: x}\n", nil, "did you mean level?"},
		{"setting of another group", good + "header_bytes: 3\n", nil, "did you mean limits.header_bytes?"},
		{"setting in another case", good + "Listen: x\n", nil, "did you mean listen?"},
		{"setting twice", good + "store: sqlite:a\nstore: sqlite:b\n", nil, "store: is set twice"},
		{"nested setting twice", good + "log: {level: info, level: debug}\n", nil, "log.level: is set twice"},
		{"group twice", good + "log: {level: info}\nlog: {format: json}\n", nil, "log: is set twice"},
		{"number for text", good + "store: 12\n", nil, "put it in quotes"},
		{"list for text", good + "store: [a]\n", nil, "has to be text, and is a list"},
		{"nothing for text", good + "store:\n", nil, "has to be text, and is empty"},
		{"text for flag", tls("{dev: 'true'}"), nil, "has to be true or false, and is text"},
		{"number for duration", good + "shutdown: {grace: 10}\n", nil, "has to be a duration such as 30s, and is a number"},
		{"fraction for size", good + "limits: {body_bytes: 1.5}\n", nil, "has to be a size"},
		{"text for group", good + "log: info\n", nil, "has to be a list of settings"},
		{"mapping for name", good + "? {a: b}\n: c\n", nil, "name has to be text"},
		{"merge key", good + "<<: {store: x}\n", nil, "there is no such setting"},
		{"not a mapping", "- a\n", nil, "has to be a list of settings"},
		{"not YAML", "a: [\n", nil, "is not YAML"},
		{"two documents", good + "---\nstore: x\n", nil, "a second document"},
		{"nothing", "", nil, "public_url: is missing"},
		{"a comment alone", "# soon\n", nil, "public_url: is missing"},
		{"wrong duration in the environment", good, []string{"GATEWRIGHT_LIMITS_BODY_TIME=5"}, "GATEWRIGHT_LIMITS_BODY_TIME: limits.body_time:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := load(t, dir, test.content, test.env...)
			var mistakes *Error
			if !errors.As(err, &mistakes) {
				t.Fatalf("Load = %+v, %v, want an *Error", c, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("Load = %v, want an error with %q", err, test.want)
			}
			if strings.HasPrefix(test.content, "public_url") && len(mistakes.Mistakes) > 1 {
				t.Errorf("Load finds %d mistakes where one was made: %v", len(mistakes.Mistakes), err)
			}
		})
	}
	for _, name := range later {
		t.Run(name, func(t *testing.T) {
			content := good + name + ": {}\n"
			if group, below, ok := strings.Cut(name, "."); ok {
				content = strings.Replace(good, group+": {", group+": {"+below+": {}, ", 1)
			}
			if _, err := load(t, dir, content); err == nil || !strings.Contains(err.Error(), name+": is not supported by this version yet") {
				t.Errorf("Load with %s = %v, want it not supported", name, err)
			}
		})
	}
}

// A listener on loopback is fine in development, however it is written.
func TestDevelopmentListens(t *testing.T) {
	dir := site(t)
	for _, listen := range []string{"127.0.0.1:0", "127.9.9.9:8443", "[::1]:8443", "localhost:8443", "[::ffff:127.0.0.1]:8443"} {
		if _, err := load(t, dir, good+"listen: \""+listen+"\"\n", "GATEWRIGHT_DEV=true"); err != nil {
			t.Errorf("Load with listen %s = %v", listen, err)
		}
	}
}

func TestCheck(t *testing.T) {
	ours := []secret.Value{secret.Random(32)}
	valid := Config{PublicURL: "https://Localhost:443", TLS: TLS{Dev: true}, Secrets: ours}
	c, err := Check(valid)
	if err != nil {
		t.Fatal(err)
	}
	if c.PublicURL != "https://localhost" || c.Limits.HeaderBytes != 64<<10 {
		t.Errorf("Check = %+v, want the URL as an origin and defaults", c)
	}
	for name, test := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"development":      {func(c *Config) { c.Dev, c.Listen = true, ":1" }, "development switch"},
		"secret":           {func(c *Config) { c.Secrets = nil }, "secret_file: is missing\n\thead -c 32 /dev/urandom | base64 > server.secret; chmod 600 server.secret"},
		"short secret":     {func(c *Config) { c.Secrets = []secret.Value{secret.New("abc")} }, "3 bytes"},
		"below zero":       {func(c *Config) { c.Limits.IdleTime = -1 }, "below zero"},
		"grace below zero": {func(c *Config) { c.Shutdown.Grace = -1 }, "below zero"},
		"environment":      {func(c *Config) { c.Environment = "prod" }, "not one of live, test"},
		"level":            {func(c *Config) { c.Log.Level = "x" }, "not one of debug"},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid
			test.edit(&c)
			if _, err := Check(c); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Check = %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestUnknownVariables(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(file, []byte("providers: {main: {client_auth: none}}\nschemes: {my.login: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GATEWRIGHT_PUBLIC_URI":                    "x",
		"GATEWRIGHT_PROVIDERS_MAIN_CLIENT_IDD":     "x",
		"GATEWRIGHT_PROVIDERS_OTHER_CLIENT_ID":     "x",
		"GATEWRIGHT_PROVIDERS_MAIN_CLIENT_ID":      "x",
		"GATEWRIGHT_PROVIDERS_MAIN_CLIENT_SECRET":  "x",
		"GATEWRIGHT_SCHEMES_MY_LOGIN_SCOPES_CLAIM": "x",
		"GATEWRIGHT_QQQQQQQQQQQQQQQQQQQQQQ":        "x",
		"GATEWRIGHT_STORE":                         "sqlite:x.db",
		"GATEWRIGHT_EMPTY_ONES_COUNT_AS_NOT_THERE": "",
		"GATEWRIGHT_TLS_ACME":                      "x",
	} {
		t.Setenv(name, value)
	}
	_, err := Load([]string{"-config", file}, os.Getenv)
	for _, want := range []string{
		"GATEWRIGHT_PUBLIC_URI: there is no such setting\n\tdid you mean GATEWRIGHT_PUBLIC_URL?",
		"GATEWRIGHT_PROVIDERS_MAIN_CLIENT_IDD: there is no such setting\n\tdid you mean GATEWRIGHT_PROVIDERS_MAIN_CLIENT_ID?",
		"GATEWRIGHT_PROVIDERS_OTHER_CLIENT_ID: there is no such entry in providers\n\tit has to stand in the file",
		"GATEWRIGHT_TLS_ACME: is not supported by this version yet",
		"GATEWRIGHT_QQQQQQQQQQQQQQQQQQQQQQ: there is no such setting",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load = %v, want an error with %q", err, want)
		}
	}
	for _, fine := range []string{"GATEWRIGHT_STORE:", "GATEWRIGHT_EMPTY", "MAIN_CLIENT_ID:", "MAIN_CLIENT_SECRET: there", "SCOPES_CLAIM"} {
		if err != nil && strings.Contains(err.Error(), fine) {
			t.Errorf("Load = %v names a variable that is well, %s", err, fine)
		}
	}
	_, err = Load([]string{"-config", file}, func(string) string { return "" })
	if err != nil && strings.Contains(err.Error(), "GATEWRIGHT_PUBLIC_URI") {
		t.Errorf("Load = %v, although getenv does not know the variable", err)
	}
}

// writeCertificate writes name-cert.pem and name-key.pem.
func writeCertificate(t *testing.T, dir, name, host string, end time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: end.Add(-time.Hour), NotAfter: end}
	template.NotBefore = end.Add(-2 * time.Hour)
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name+"-cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, filepath.Join(dir, name+"-key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
