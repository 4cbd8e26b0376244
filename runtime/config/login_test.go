package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

// one is a provider that is well.
const one = "issuer: https://id.example, client_id: web, client_secret_file: client.secret"

// Each rule has a case that only that rule refuses.
func TestLoadRefusesLogins(t *testing.T) {
	dir := site(t)
	write(t, filepath.Join(dir, "loose.secret"), "x4f")
	if err := os.Chmod(filepath.Join(dir, "loose.secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "sample.secret"), "<your-client-secret>")
	main := func(settings string) string { return good + "providers: {main: {" + settings + "}}\n" }
	with := func(more string) string { return main(one + ", " + more) }
	without := func(part string) string { return main(strings.Replace(one, part, "", 1)) }
	oauth := func(more string) string {
		return main("user_url: https://c.example/user, client_id: web, client_auth: none, " + more)
	}
	scheme := func(settings string) string { return with("title: x") + "schemes: {login: {" + settings + "}}\n" }

	for _, test := range []struct {
		name    string
		content string
		env     []string
		want    string
	}{
		{"issuer http", main(strings.Replace(one, "https:", "http:", 1)), nil, "server.yaml:4:28: providers.main.issuer: is not https"},
		{"issuer http in development", main(strings.Replace(one, "https:", "http:", 1)), []string{"GATEWRIGHT_DEV=true"}, "providers.main.issuer: is not https"},
		{"issuer http by a variable", with("title: x"), []string{"GATEWRIGHT_PROVIDERS_MAIN_ISSUER=http://id.example"}, "GATEWRIGHT_PROVIDERS_MAIN_ISSUER: providers.main.issuer: is not https"},
		{"issuer with query", main(strings.Replace(one, "https://id.example", `"https://id.example?a"`, 1)), nil, "without query and fragment"},
		{"issuer with fragment", main(strings.Replace(one, "https://id.example", `"https://id.example#a"`, 1)), nil, "without query and fragment"},
		{"issuer with user", main(strings.Replace(one, "https://id.example", `"https://hidden:hidden@id.example"`, 1)), nil, "providers.main.issuer: holds a user name"},
		{"issuer unreadable", main(strings.Replace(one, "https://id.example", `"https://hidden:%zz@id.example"`, 1)), nil, "providers.main.issuer: is not a URL"},
		{"issuer empty", main(strings.Replace(one, "https://id.example", `""`, 1)), nil, "providers.main.issuer: is empty"},
		{"issuer of a preset missing", main("preset: keycloak, client_id: web, client_secret_file: client.secret"), nil, "server.yaml:4:13: providers.main.issuer: is missing\n\tfor Keycloak"},
		{"neither issuer nor user_url", main("client_id: web, client_auth: none"), nil, "providers.main.user_url: is missing"},
		{"client_id missing", without("client_id: web, "), nil, "server.yaml:4:13: providers.main.client_id: is missing"},
		{"client secret missing", without(", client_secret_file: client.secret"), nil, "providers.main.client_secret_file: is missing\n\tname the file that holds it, or set GATEWRIGHT_PROVIDERS_MAIN_CLIENT_SECRET"},
		{"client secret in the file", with("client_secret: hidden"), nil, "providers.main.client_secret: a secret does not stand in this file\n\twrite it to a file of its own and name that in client_secret_file, or set GATEWRIGHT_PROVIDERS_MAIN_CLIENT_SECRET"},
		{"client secret absent", main(strings.Replace(one, "client.secret", "absent.secret", 1)), nil, "absent.secret: no such file"},
		{"client secret open to others", main(strings.Replace(one, "client.secret", "loose.secret", 1)), nil, "chmod 600"},
		{"client secret a sample", main(strings.Replace(one, "client.secret", "sample.secret", 1)), nil, "providers.main.client_secret: is a sample value"},
		{"client secret a sample in the environment", with("title: x"), []string{"GATEWRIGHT_PROVIDERS_MAIN_CLIENT_SECRET=changeme"}, "GATEWRIGHT_PROVIDERS_MAIN_CLIENT_SECRET: providers.main.client_secret: is a sample value"},
		{"client secret twice in the environment", with("title: x"), []string{"GATEWRIGHT_PROVIDERS_MAIN_CLIENT_SECRET=a1b2", "GATEWRIGHT_PROVIDERS_MAIN_CLIENT_SECRET_FILE=x"}, "GATEWRIGHT_PROVIDERS_MAIN_CLIENT_SECRET_FILE is set too"},
		{"client secret of a public client", with("client_auth: none"), nil, "client_auth: none does not send it"},
		{"client_auth unknown", with("client_auth: private_key_jwt"), nil, "client_secret_basic, client_secret_post, none"},
		{"algorithm none", with("algorithms: [none]"), nil, `providers.main.algorithms: has "none"`},
		{"algorithm symmetric", with("algorithms: [RS256, HS256]"), nil, `providers.main.algorithms: has "HS256"`},
		{"no algorithms", with("algorithms: []"), nil, "providers.main.algorithms: is an empty list"},
		{"preset unknown", with("preset: googel"), nil, `providers.main.preset: is "googel", which is none`},
		{"tenants missing", main("preset: entra, client_id: web, client_secret_file: client.secret"), nil, "providers.main.tenants: are missing"},
		{"endpoint http", oauth("token_url: http://c.example/token"), nil, "providers.main.token_url: "},
		{"endpoint with user", oauth("token_url: \"https://hidden@c.example/token\""), nil, "providers.main.token_url: holds a user name"},
		{"user_url http", main("user_url: http://c.example/user, client_id: web, client_auth: none"), nil, "providers.main.user_url: "},
		{"provider's name", good + "providers: {Main: {" + one + "}}\n", nil, `server.yaml:4:13: providers.Main: "Main" is no name for a provider`},
		{"provider's name with a slash", good + "providers: {a/b: {" + one + "}}\n", nil, `providers."a/b": "a/b" is no name for a provider`},
		{"names alike", good + "providers: {main-x: {" + one + "}, main_x: {" + one + "}}\n", nil, "providers.main_x: and providers.main-x would have one name in the environment, GATEWRIGHT_PROVIDERS_MAIN_X_…"},
		{"schemes alike", with("title: x") + "schemes: {a.b: {}, A_B: {}}\n", nil, `schemes.A_B: and schemes."a.b" would have one name`},
		{"provider twice", good + "providers: {main: {" + one + "}, main: {" + one + "}}\n", nil, "providers.main: is set twice"},
		{"provider's setting twice", with("client_id: y"), nil, "providers.main.client_id: is set twice"},
		{"provider's setting unknown", with("client-id: y"), nil, "providers.main.client-id: there is no such setting\n\tdid you mean client_id?"},
		{"provider's setting far off", with("zzzzzzzzzz: y"), nil, "settings here: preset, title, issuer"},
		{"provider a text", good + "providers: {main: x}\n", nil, "providers.main: has to be a list of settings, and is text"},
		{"providers a list", good + "providers: [x]\n", nil, "providers: has to be a list of settings, and is a list"},
		{"providers empty", good + "providers:\n", nil, "providers: has to be a list of settings, and is empty"},
		{"params of the protocol", with("params: {redirect_uri: https://evil.example}"), nil, `providers.main.params: has "redirect_uri"`},
		{"params of the protocol in the environment", with("title: x"), []string{"GATEWRIGHT_PROVIDERS_MAIN_PARAMS=nonce=1"}, `GATEWRIGHT_PROVIDERS_MAIN_PARAMS: providers.main.params: has "nonce"`},
		{"params a text", with("params: x"), nil, "providers.main.params: has to be a list of settings, and is text"},
		{"params empty", with("params: {}"), nil, "providers.main.params: is an empty mapping"},
		{"params of numbers", with("params: {prompt: 1}"), nil, `"prompt" has to be text, and is a number` + "\n\tif that is what is meant"},
		{"params of lists", with("params: {prompt: [a]}"), nil, `"prompt" has to be text, and is a list`},
		{"params of nothing", with("params: {prompt: ''}"), nil, "neither may be empty"},
		{"params unclear in the environment", with("title: x"), []string{"GATEWRIGHT_PROVIDERS_MAIN_PARAMS=prompt"}, "is not like name=value,name=value"},
		{"scope with a blank", with("scopes: [openid profile]"), nil, "which is no scope"},
		{"authorities absent", with("ca: absent.pem"), nil, "providers.main.ca: open"},
		{"authorities not PEM", with("ca: server.yaml"), nil, "holds no certificate in PEM"},

		{"scheme of no provider", scheme("provider: mian"), nil, `schemes.login.provider: there is no provider "mian"` + "\n\tdid you mean main?"},
		{"scheme, and no provider at all", good + "schemes: {login: {provider: main}}\n", nil, "there is none in providers"},
		{"scopes_map alone", scheme("scopes_map: {a: [b]}"), nil, "scopes_claim is not"},
		{"scopes_map that grants nothing", scheme("scopes_claim: groups, scopes_map: {a: []}"), nil, `"a" has an empty list`},
		{"scopes_map empty", scheme("scopes_claim: groups, scopes_map: {}"), nil, "schemes.login.scopes_map: is an empty mapping"},
		{"scopes_map empty in the environment", scheme("scopes_claim: groups"), []string{"GATEWRIGHT_SCHEMES_LOGIN_SCOPES_MAP=a= "}, "neither may be empty"},
		{"setting of a scheme unknown", scheme("providr: main"), nil, "did you mean provider?"},
		{"secret of a scheme", scheme("client_secret: x"), nil, "schemes.login.client_secret: there is no such setting"},

		{"kind of sessions", good + "sessions: {kind: cookie}\n", nil, "not one of server, sealed"},
		{"idle above absolute", good + "sessions: {idle: 2h, absolute: 1h}\n", nil, "sessions.idle: is longer than sessions.absolute"},
		{"idle above the default", good + "sessions: {idle: 13h}\n", nil, "sessions.idle: is longer than sessions.absolute"},
		{"all origins beside others", good + "cors: {origins: ['*', https://a.example]}\n", nil, "* stands beside others"},
		{"all origins with credentials", good + "cors: {origins: ['*'], credentials: true}\n", nil, "cors.credentials is true"},
		{"origin with a slash", good + "cors: {origins: [https://a.example/]}\n", nil, "is no origin as browsers write it"},
		{"origin with a path", good + "cors: {origins: [https://a.example/b]}\n", nil, "is no origin"},
		{"origin with a query", good + "cors: {origins: ['https://a.example?']}\n", nil, "is no origin"},
		{"origin with a user", good + "cors: {origins: [https://u@a.example]}\n", nil, "is no origin"},
		{"origin in capitals", good + "cors: {origins: [https://A.example]}\n", nil, "is no origin"},
		{"origin with a wildcard", good + "cors: {origins: ['https://*.example']}\n", nil, "is no origin"},
		{"origin with the default port", good + "cors: {origins: ['https://a.example:443']}\n", nil, "is no origin"},
		{"origin with an empty port", good + "cors: {origins: ['https://a.example:']}\n", nil, "is no origin"},
		{"origin with an odd port", good + "cors: {origins: ['https://a.example:08443']}\n", nil, "is no origin"},
		{"origin with a large port", good + "cors: {origins: ['https://a.example:84433']}\n", nil, "is no origin"},
		{"origin null", good + "cors: {origins: ['null']}\n", nil, "is no origin"},
		{"origin over http", good + "cors: {origins: ['http://a.example']}\n", nil, "is no origin"},
		{"origin over http, default port", good + "cors: {origins: ['http://localhost:80']}\n", nil, "is no origin"},
		{"origin of another kind", good + "cors: {origins: ['ftp://localhost']}\n", nil, "is no origin"},
		{"admin everywhere", good + "admin: {listen: ':9443'}\n", nil, "admin.listen: :9443 can be reached from other machines"},
		{"admin on a name", good + "admin: {listen: 'a.example:9443'}\n", nil, "can be reached from other machines"},
		{"admin on a private address", good + "admin: {listen: '10.0.0.1:9443'}\n", nil, "can be reached from other machines"},
		{"admin without port", good + "admin: {listen: 127.0.0.1}\n", nil, "is not an address with a port"},
		{"admin with an odd port", good + "admin: {listen: '127.0.0.1:x'}\n", nil, `port "x" is not a number`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := load(t, dir, test.content, test.env...)
			mistakes, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("Load = %+v, %v, want an *Error", c, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("Load = %v, want an error with %q", err, test.want)
			}
			if len(mistakes.Mistakes) > 1 {
				t.Errorf("Load finds %d mistakes where one was made: %v", len(mistakes.Mistakes), err)
			}
			if strings.Contains(err.Error(), "hidden") || mistakes.Mistakes[0].Place == "" {
				t.Errorf("Load = %v quotes a secret or has no place", err)
			}
		})
	}
}

func TestLoadTakesLogins(t *testing.T) {
	dir := site(t)
	for _, test := range []struct {
		name    string
		content string
		get     func(Config) any
		want    any
	}{
		{"no origins", "cors: {origins: []}", func(c Config) any { return len(c.CORS.Origins) }, 0},
		{"one origin", "cors: {origins: https://a.example:8443}", func(c Config) any { return c.CORS.Origins }, []string{"https://a.example:8443"}},
		{"all origins", "cors: {origins: ['*']}", func(c Config) any { return c.CORS.Origins }, []string{"*"}},
		{"origins of this machine", "cors: {origins: ['http://127.0.0.1:1', 'http://[::1]', 'https://[2001:db8::1]:1']}", func(c Config) any { return len(c.CORS.Origins) }, 3},
		{"a short session", "sessions: {absolute: 10m}", func(c Config) any { return c.Sessions }, Sessions{"server", 10 * time.Minute, 10 * time.Minute, 10 * time.Minute}},
		{"idle as long as absolute", "sessions: {idle: 1h, absolute: 1h}", func(c Config) any { return c.Sessions.Idle }, time.Hour},
		{"no providers", "providers: {}", func(c Config) any { return len(c.Providers) }, 0},
		{"admin by name", "admin: {listen: 'localhost:0'}", func(c Config) any { return c.Admin.Listen }, "localhost:0"},
		{"a scheme that is left to what is obvious", "schemes: {login: {scopes_claim: groups}}", func(c Config) any { return c.Schemes["login"] }, provider.Binding{ScopesClaim: "groups"}},
		{"a preset", "providers: {g: {preset: google, client_id: web, client_secret_file: client.secret}}", func(c Config) any { return c.Providers[0].Issuer }, "https://accounts.google.com"},
		{"tenants", "providers: {e: {preset: entra, client_id: web, client_secret_file: client.secret, tenants: [11111111-2222-3333-4444-555555555555, 21111111-2222-3333-4444-555555555555]}}", func(c Config) any { return len(c.Providers[0].Tenants) }, 2},
		{"authorities", "providers: {main: {" + one + ", ca: cert.pem}}", func(c Config) any { return c.Providers[0].CA }, filepath.Join(dir, "cert.pem")},
		{"an alias", "providers: {a: &x {" + one + "}, b: *x}", func(c Config) any { return c.Providers[1].ClientID }, "web"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := load(t, dir, good+test.content+"\n")
			if err != nil {
				t.Fatal(err)
			}
			if got := test.get(c); !reflect.DeepEqual(got, test.want) {
				t.Errorf("with %s: %v, want %v", test.content, got, test.want)
			}
		})
	}
}

// A configuration that is checked is checked again by whoever serves it.
func TestCheckTwice(t *testing.T) {
	dir := site(t)
	once, err := load(t, dir, full)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Check(once)
	if err != nil || !reflect.DeepEqual(once, twice) {
		t.Errorf("Check = %+v, %v, want what Load returned, %+v", twice, err, once)
	}
}

func TestCheckLogins(t *testing.T) {
	valid := Config{
		PublicURL: "https://localhost", TLS: TLS{Dev: true}, Secrets: []secret.Value{secret.Random(32)},
		Providers: []provider.Config{
			{Name: "z", Issuer: "https://z.example", ClientID: "x", ClientSecret: secret.Random(16)},
			{Name: "a", Issuer: "https://a.example", ClientID: "x", ClientSecret: secret.Random(16)},
		},
	}
	c, err := Check(valid)
	if err != nil || c.Providers[0].Name != "a" || c.Providers[0].ClientAuth != "client_secret_basic" {
		t.Errorf("Check = %+v, %v, want the providers complete and in order", c.Providers, err)
	}
	if valid.Providers[0].Name != "z" || valid.Providers[0].ClientAuth != "" {
		t.Errorf("Check has changed the caller's providers to %+v", valid.Providers)
	}
	for name, test := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"two of one name":  {func(c *Config) { c.Providers[0].Name = "a" }, "providers.a: is there twice"},
		"no secret":        {func(c *Config) { c.Providers[0].ClientSecret = secret.Value{} }, "providers.z.client_secret_file: is missing"},
		"secret unasked":   {func(c *Config) { c.Providers[0].ClientAuth = "none" }, "providers.z.client_secret: is set"},
		"no name":          {func(c *Config) { c.Providers[0].Name = "" }, `"" is no name`},
		"kind":             {func(c *Config) { c.Sessions.Kind = "x" }, "sessions.kind: "},
		"idle below zero":  {func(c *Config) { c.Sessions.Idle = -1 }, "sessions.idle: is below zero"},
		"absolute below 0": {func(c *Config) { c.Sessions.Absolute = -1 }, "sessions.absolute: is below zero"},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid
			c.Providers = append([]provider.Config(nil), valid.Providers...)
			test.edit(&c)
			_, err := Check(c)
			if mistakes, ok := errors.AsType[*Error](err); !ok || len(mistakes.Mistakes) != 1 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Check = %v, want an error with %q alone", err, test.want)
			}
		})
	}
}

// No two settings can have one variable, whatever entries are called: of one
// entry's name and a setting no other entry and setting can be read.
func TestVariablesAreApart(t *testing.T) {
	for _, f := range families {
		e := f.entry("x")
		names := []string{"client_secret"}
		for _, s := range e.settings {
			names = append(names, strings.TrimPrefix(s.name, "providers.x."))
		}
		for _, a := range names {
			for _, b := range names {
				if strings.HasSuffix(a, "_"+b) {
					t.Errorf("%s: the setting %s ends like %s: entries x and x_… could have one variable", f.name, a, b)
				}
			}
		}
	}
	if f, _ := findFamily("providers"); f.entry("a-b").settings[0].variable() != "GATEWRIGHT_PROVIDERS_A_B_PRESET" {
		t.Errorf("variable = %s", f.entry("a-b").settings[0].variable())
	}
}

// TestClientCerts: what is left out follows from the authorities.
func TestClientCerts(t *testing.T) {
	dir := site(t)
	content := good + `
providers: {main: {issuer: "https://id.example"}}
clients: {billing: [main/billing-app, "cn:billing", "dns:b.example", "email:a@b.example", "spiffe://b.example/x"]}
client_certs: {ca: cert.pem, scopes: {billing: [a, b]}, proxies: [10.0.0.0/8, "2001:db8::/32"]}
`
	write(t, filepath.Join(dir, "server.yaml"), content)
	c, err := Load([]string{"-config", filepath.Join(dir, "server.yaml")}, getenv())
	if err != nil {
		t.Fatal(err)
	}
	certs := c.ClientCerts
	if certs.Subject != "cn" || !slices.Equal(certs.Hosts, []string{"localhost"}) || certs.CA != filepath.Join(dir, "cert.pem") || !slices.Equal(certs.Scopes["billing"], []string{"a", "b"}) {
		t.Errorf("ClientCerts = %+v", certs)
	}
	if p := certs.Forwarder().Proxies; len(p) != 2 || p[0].String() != "10.0.0.0/8" || len(c.Clients["billing"]) != 5 {
		t.Errorf("Forwarder() = %v, Clients = %v", p, c.Clients)
	}
	write(t, filepath.Join(dir, "server.yaml"), strings.Replace(good, "{cert: cert.pem, key: key.pem}", "{cert: [cert.pem, api-cert.pem, b-cert.pem], key: [key.pem, api-key.pem, b-key.pem]}", 1)+
		"client_certs: {hosts: [API.Example, b.example]}\n")
	writeCertificate(t, dir, "api", "api.example", time.Now().Add(time.Hour))
	writeCertificate(t, dir, "b", "b.example", time.Now().Add(time.Hour))
	c, err = Load([]string{"-config", filepath.Join(dir, "server.yaml")}, getenv())
	if err != nil || !slices.Equal(c.ClientCerts.Hosts, []string{"api.example", "b.example"}) {
		t.Errorf("hosts alone = %v, %v", c.ClientCerts.Hosts, err)
	}
}
