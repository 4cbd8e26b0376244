package provider_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

const (
	tenantA  = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	tenantB  = "00001111-aaaa-2222-bbbb-3333cccc4444"
	personal = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

var hush = secret.New("a-client-secret")

// client returns what each provider needs, with the changes made.
func client(change func(*provider.Config)) provider.Config {
	c := provider.Config{Name: "main", ClientID: "web-app", ClientSecret: hush}
	change(&c)
	return c
}

func TestComplete(t *testing.T) {
	openID := []string{"openid", "profile", "email"}
	for _, c := range []struct {
		name   string
		change func(*provider.Config)
		want   provider.Config // name, client id and secret apart
	}{
		{"openid connect", func(c *provider.Config) { c.Issuer = "https://id.example" }, provider.Config{
			Title: "main", Issuer: "https://id.example", MetadataURL: "https://id.example/.well-known/openid-configuration",
			ClientAuth: "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"what is set stays", func(c *provider.Config) {
			c.Issuer, c.Title, c.ClientAuth = "https://id.example/a/", "Staff", "client_secret_post"
			c.MetadataURL, c.Scopes, c.Algorithms = "https://id.example/meta?a=b", []string{"openid", "groups"}, []string{"ES256"}
			c.Params = map[string]string{"prompt": "consent"}
		}, provider.Config{
			Title: "Staff", Issuer: "https://id.example/a/", MetadataURL: "https://id.example/meta?a=b",
			ClientAuth: "client_secret_post", Scopes: []string{"openid", "groups"}, Algorithms: []string{"ES256"},
			Params: map[string]string{"prompt": "consent"},
		}},
		{"openid is added", func(c *provider.Config) { c.Issuer, c.Scopes = "https://id.example/a/", []string{"email"} }, provider.Config{
			Title: "main", Issuer: "https://id.example/a/", MetadataURL: "https://id.example/a/.well-known/openid-configuration",
			ClientAuth: "client_secret_basic", Scopes: []string{"openid", "email"}, Algorithms: []string{"RS256"},
		}},
		{"public client", func(c *provider.Config) {
			c.Issuer, c.ClientAuth, c.ClientSecret = "https://id.example", "none", secret.Value{}
		}, provider.Config{
			Title: "main", Issuer: "https://id.example", MetadataURL: "https://id.example/.well-known/openid-configuration",
			ClientAuth: "none", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"plain oauth 2.0", func(c *provider.Config) { c.UserURL = "https://api.id.example:8443/me?fields=id" }, provider.Config{
			Title: "main", ClientAuth: "client_secret_basic", UserURL: "https://api.id.example:8443/me?fields=id",
			UserID: "id", UserName: "name", UserEmail: "email", Identity: "https://api.id.example:8443",
		}},
		{"google", func(c *provider.Config) { c.Preset = "google" }, provider.Config{
			Preset: "google", Title: "Google", Issuer: "https://accounts.google.com",
			MetadataURL: "https://accounts.google.com/.well-known/openid-configuration",
			ClientAuth:  "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"gitlab", func(c *provider.Config) { c.Preset = "gitlab" }, provider.Config{
			Preset: "gitlab", Title: "GitLab", Issuer: "https://gitlab.com", MetadataURL: "https://gitlab.com/.well-known/openid-configuration",
			ClientAuth: "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"gitlab of one's own", func(c *provider.Config) { c.Preset, c.Issuer = "gitlab", "https://git.example" }, provider.Config{
			Preset: "gitlab", Title: "GitLab", Issuer: "https://git.example", MetadataURL: "https://git.example/.well-known/openid-configuration",
			ClientAuth: "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"keycloak", func(c *provider.Config) { c.Preset, c.Issuer = "keycloak", "https://id.example/realms/blog" }, provider.Config{
			Preset: "keycloak", Title: "Keycloak", Issuer: "https://id.example/realms/blog",
			MetadataURL: "https://id.example/realms/blog/.well-known/openid-configuration",
			ClientAuth:  "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"auth0, without its slash", func(c *provider.Config) { c.Preset, c.Issuer = "auth0", "https://blog.eu.auth0.com" }, provider.Config{
			Preset: "auth0", Title: "Auth0", Issuer: "https://blog.eu.auth0.com/", MetadataURL: "https://blog.eu.auth0.com/.well-known/openid-configuration",
			ClientAuth: "client_secret_post", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"okta", func(c *provider.Config) { c.Preset, c.Issuer = "okta", "https://blog.okta.com/oauth2/default" }, provider.Config{
			Preset: "okta", Title: "Okta", Issuer: "https://blog.okta.com/oauth2/default",
			MetadataURL: "https://blog.okta.com/oauth2/default/.well-known/openid-configuration",
			ClientAuth:  "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"dex", func(c *provider.Config) { c.Preset, c.Issuer = "dex", "https://id.example/dex" }, provider.Config{
			Preset: "dex", Title: "Dex", Issuer: "https://id.example/dex", MetadataURL: "https://id.example/dex/.well-known/openid-configuration",
			ClientAuth: "client_secret_basic", Scopes: []string{"openid", "profile", "email", "groups"}, Algorithms: []string{"RS256"},
		}},
		{"github", func(c *provider.Config) { c.Preset = "github" }, provider.Config{
			Preset: "github", Title: "GitHub", ClientAuth: "client_secret_post", Scopes: []string{"read:user", "user:email"},
			AuthorizationURL: "https://github.com/login/oauth/authorize", TokenURL: "https://github.com/login/oauth/access_token",
			UserURL: "https://api.github.com/user", EmailsURL: "https://api.github.com/user/emails",
			UserID: "id", UserName: "name login", UserEmail: "email",
			ResponseIssuer: "https://github.com/login/oauth", Identity: "https://github.com",
		}},
		// Nothing may be sent to the public GitHub then.
		{"github of one's own", func(c *provider.Config) { c.Preset, c.UserURL = "github", "https://git.example/api/v3/user" }, provider.Config{
			Preset: "github", Title: "GitHub", ClientAuth: "client_secret_post", Scopes: []string{"read:user", "user:email"},
			UserURL: "https://git.example/api/v3/user", UserID: "id", UserName: "name login", UserEmail: "email", Identity: "https://git.example",
		}},
		{"entra, several tenants", func(c *provider.Config) {
			c.Preset, c.Tenants = "entra", []string{strings.ToUpper(tenantA), tenantB}
		}, provider.Config{
			Preset: "entra", Title: "Microsoft", Issuer: "https://login.microsoftonline.com/{tenantid}/v2.0", Tenants: []string{tenantA, tenantB},
			MetadataURL: "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration",
			ClientAuth:  "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"entra, personal accounts too", func(c *provider.Config) {
			c.Preset, c.Tenants, c.Issuer = "entra", []string{personal, tenantB}, "https://login.microsoftonline.us/{tenantid}/v2.0"
		}, provider.Config{
			Preset: "entra", Title: "Microsoft", Issuer: "https://login.microsoftonline.us/{tenantid}/v2.0", Tenants: []string{personal, tenantB},
			MetadataURL: "https://login.microsoftonline.us/common/v2.0/.well-known/openid-configuration",
			ClientAuth:  "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"entra, one tenant", func(c *provider.Config) { c.Preset, c.Tenants = "entra", []string{tenantA} }, provider.Config{
			Preset: "entra", Title: "Microsoft", Issuer: "https://login.microsoftonline.com/" + tenantA + "/v2.0",
			MetadataURL: "https://login.microsoftonline.com/" + tenantA + "/v2.0/.well-known/openid-configuration",
			ClientAuth:  "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
		{"entra, one tenant's issuer", func(c *provider.Config) {
			c.Preset, c.Issuer = "entra", "https://login.microsoftonline.com/"+tenantA+"/v2.0"
		}, provider.Config{
			Preset: "entra", Title: "Microsoft", Issuer: "https://login.microsoftonline.com/" + tenantA + "/v2.0",
			MetadataURL: "https://login.microsoftonline.com/" + tenantA + "/v2.0/.well-known/openid-configuration",
			ClientAuth:  "client_secret_basic", Scopes: openID, Algorithms: []string{"RS256"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := client(c.change)
			kept := in
			kept.Tenants, kept.Scopes = slices.Clone(in.Tenants), slices.Clone(in.Scopes)
			got, err := in.Complete()
			if err != nil {
				t.Fatalf("Complete() = %v", err)
			}
			want := c.want
			want.Name, want.ClientID, want.ClientSecret = in.Name, in.ClientID, in.ClientSecret
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Complete() =\n%+v, want\n%+v", got, want)
			}
			if !reflect.DeepEqual(in, kept) {
				t.Errorf("Complete changed what it was called on:\n%+v, was\n%+v", in, kept)
			}
			again, err := got.Complete()
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("Complete() of what is complete =\n%+v, %v", again, err)
			}
		})
	}
}

func TestCompleteMistakes(t *testing.T) {
	ok := func(c *provider.Config) { c.Issuer = "https://id.example" }
	with := func(more func(*provider.Config)) func(*provider.Config) {
		return func(c *provider.Config) { ok(c); more(c) }
	}
	entra := func(issuer string, tenants ...string) func(*provider.Config) {
		return func(c *provider.Config) { c.Preset, c.Issuer, c.Tenants = "entra", issuer, tenants }
	}
	for _, c := range []struct {
		name   string
		change func(*provider.Config)
		want   string // settings at fault
	}{
		{"fine", ok, ""},
		{"nothing", func(c *provider.Config) { *c = provider.Config{} }, "name client_id client_secret user_url"},
		{"name", with(func(c *provider.Config) { c.Name = "Main" }), "name"},
		{"name that leaves the path", with(func(c *provider.Config) { c.Name = "a/../b" }), "name"},
		{"long name", with(func(c *provider.Config) { c.Name = strings.Repeat("a", 65) }), "name"},
		{"preset", func(c *provider.Config) { c.Preset = "facebook" }, "preset"},
		{"http issuer", func(c *provider.Config) { c.Issuer = "http://id.example" }, "issuer"},
		{"issuer without host", func(c *provider.Config) { c.Issuer = "https:///a" }, "issuer"},
		{"issuer with user", func(c *provider.Config) { c.Issuer = "https://a:b@id.example" }, "issuer"},
		{"issuer with query", func(c *provider.Config) { c.Issuer = "https://id.example?a" }, "issuer"},
		{"issuer with fragment", func(c *provider.Config) { c.Issuer = "https://id.example#" }, "issuer"},
		{"issuer with a blank", func(c *provider.Config) { c.Issuer = "https://id.example/a b" }, "issuer"},
		{"issuer with a gap", func(c *provider.Config) { c.Issuer = "https://id.example/{tenantid}" }, "issuer"},
		{"metadata over http", with(func(c *provider.Config) { c.MetadataURL = "http://id.example" }), "metadata_url"},
		{"metadata without issuer", func(c *provider.Config) { c.UserURL, c.MetadataURL = "https://id.example", "https://id.example" }, "metadata_url"},
		{"client auth", with(func(c *provider.Config) { c.ClientAuth = "private_key_jwt" }), "client_auth"},
		{"tokens alone", with(func(c *provider.Config) { c.ClientID, c.ClientSecret = "", secret.New("") }), ""},
		{"a secret and no client", with(func(c *provider.Config) { c.ClientID = "" }), "client_id"},
		{"no client, and no issuer", func(c *provider.Config) { c.ClientID, c.UserURL = "", "https://a.example/u" }, "client_id"},
		{"no secret", with(func(c *provider.Config) { c.ClientSecret = secret.New("") }), "client_secret"},
		{"secret not sent", with(func(c *provider.Config) { c.ClientAuth = "none" }), "client_secret"},
		{"symmetric", with(func(c *provider.Config) { c.Algorithms = []string{"RS256", "HS256"} }), "algorithms"},
		{"none", with(func(c *provider.Config) { c.Algorithms = []string{"none"} }), "algorithms"},
		{"scope of two words", with(func(c *provider.Config) { c.Scopes = []string{"openid email"} }), "scopes"},
		{"scope with a quote", with(func(c *provider.Config) { c.Scopes = []string{`a"`, `b\`, "", "c"} }), "scopes scopes scopes"},
		{"params", with(func(c *provider.Config) {
			c.Params = map[string]string{"state": "", "nonce": "", "redirect_uri": "", "response_mode": "", "max_age": "", "prompt": "", "": ""}
		}), "params params params params params params"},
		{"tenants elsewhere", with(func(c *provider.Config) { c.Tenants = []string{tenantA} }), "tenants"},
		{"endpoints beside an issuer", with(func(c *provider.Config) {
			c.AuthorizationURL, c.TokenURL, c.UserURL, c.EmailsURL, c.Identity = "https://a.example", "https://a.example", "https://a.example", "https://a.example", "https://a.example"
		}), "authorization_url token_url user_url emails_url identity"},
		{"endpoints over http", func(c *provider.Config) {
			c.AuthorizationURL, c.TokenURL, c.UserURL, c.EmailsURL = "http://a.example", "http://a.example", "http://a.example", "http://a.example"
		}, "authorization_url token_url user_url emails_url"},
		{"identity", func(c *provider.Config) { c.UserURL, c.Identity = "https://a.example", "a.example" }, "identity"},
		{"keycloak without issuer", func(c *provider.Config) { c.Preset = "keycloak" }, "issuer"},
		{"auth0 without issuer", func(c *provider.Config) { c.Preset = "auth0" }, "issuer"},
		{"okta without issuer", func(c *provider.Config) { c.Preset = "okta" }, "issuer"},
		{"dex without issuer", func(c *provider.Config) { c.Preset = "dex" }, "issuer"},
		{"github with issuer", func(c *provider.Config) { c.Preset, c.Issuer = "github", "https://github.com" }, "issuer"},
		{"github of one's own, the user forgotten", func(c *provider.Config) { c.Preset, c.TokenURL = "github", "https://git.example/token" }, "user_url"},
		{"entra without tenants", entra(""), "tenants"},
		{"entra with a gap and no tenants", entra("https://login.microsoftonline.com/{tenantid}/v2.0"), "tenants"},
		{"entra, tenants by name", entra("", "contoso.onmicrosoft.com"), "tenants"},
		{"entra, tenants by name and twice", entra("", "contoso.com", tenantA, tenantA), "tenants tenants"},
		{"entra, everybody", entra("https://login.microsoftonline.com/common/v2.0"), "issuer"},
		{"entra, everybody, with tenants", entra("https://login.microsoftonline.com/organizations/v2.0", tenantA, tenantB), "issuer"},
		{"entra, one tenant and several", entra("https://login.microsoftonline.com/"+tenantA+"/v2.0", tenantA, tenantB), "tenants"},
		{"entra, the gap as the host", entra("https://{tenantid}/v2.0", tenantA, tenantB), "issuer"},
		{"entra with a query", entra("https://login.microsoftonline.com/" + tenantA + "/v2.0?x"), "issuer"},
		{"entra over http", entra("http://login.microsoftonline.com/{tenantid}/v2.0", tenantA, tenantB), "issuer"},
		{"all at once", func(c *provider.Config) {
			*c = provider.Config{Name: "main", Preset: "entra", ClientAuth: "x", Scopes: []string{" "}, Algorithms: []string{"x"}, Params: map[string]string{"state": "x"}, Tenants: []string{"x"}}
		}, "client_auth tenants algorithms scopes params"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client(c.change).Complete()
			var got []string
			if err != nil {
				for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
					var m *provider.Mistake
					if !errors.As(one, &m) {
						t.Fatalf("Complete() = %T, want *provider.Mistake", one)
					}
					got = append(got, m.Setting)
				}
				if strings.Contains(err.Error(), hush.Reveal()) {
					t.Errorf("Complete() quotes the secret: %v", err)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("Complete() finds %q wrong, want %q: %v", got, c.want, err)
			}
		})
	}
}

func TestMistake(t *testing.T) {
	_, err := client(func(c *provider.Config) { c.Preset = "okta" }).Complete()
	want := "provider: main: issuer is missing (for Okta it is https://TENANT.okta.com or https://TENANT.okta.com/oauth2/default)"
	if err == nil || err.Error() != want {
		t.Errorf("Complete() = %v, want %s", err, want)
	}
}

func TestSignsIn(t *testing.T) {
	for want, c := range map[bool]provider.Config{true: {ClientID: "a"}, false: {ClientID: "a", NoSignIn: true}} {
		if c.SignsIn() != want {
			t.Errorf("%+v.SignsIn() = %v, want %v", c, !want, want)
		}
	}
	if (provider.Config{Issuer: "https://id.example"}).SignsIn() {
		t.Error("people sign in at a provider without a client")
	}
}

// TestUnknown: a binding that binds nothing is a mistake.
func TestUnknown(t *testing.T) {
	bindings := map[string]provider.Binding{"lgoin": {}, "login": {}, "toekn": {}}
	err := provider.Unknown(bindings, "login", "token")
	if err == nil || !strings.Contains(err.Error(), `"lgoin" is no scheme of the document; those are login, token`) || !strings.Contains(err.Error(), `"toekn"`) {
		t.Errorf("Unknown() = %v, want both named", err)
	}
	if err := provider.Unknown(map[string]provider.Binding{"login": {}}, "login"); err != nil {
		t.Errorf("Unknown() = %v", err)
	}
}
