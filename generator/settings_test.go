package generator

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseSettings(t *testing.T) {
	s, err := parseSettings("gatewright.yaml", []byte(`
document: openapi.yaml
package: billing
output: internal/billing
undeclared: public
remote_refs: fetch
base_path: /v2
schemes:
  token: {kind: jwt}
  login: {extra_scopes: [a, b]}
dev:
  users:
    - {name: alice, email: alice@example.test, scopes: [posts:write, a]}
    - name: Bob Reader
  clients:
    - {id: publisher, scopes: [posts:write]}
    - id: reader
`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Document != "openapi.yaml" || s.Package != "billing" || s.Output != "internal/billing" || s.Undeclared != "public" || s.RemoteRefs != "fetch" ||
		s.BasePath == nil || *s.BasePath != "/v2" || s.Schemes["token"].Kind != "jwt" || len(s.Schemes["login"].ExtraScopes) != 2 {
		t.Errorf("parseSettings = %+v", s)
	}
	want := []DevUser{{"alice", "alice@example.test", []string{"posts:write", "a"}}, {Name: "Bob Reader"}}
	if !reflect.DeepEqual(s.DevUsers, want) {
		t.Errorf("DevUsers = %+v, want %+v", s.DevUsers, want)
	}
	if want := []DevClient{{"publisher", []string{"posts:write"}}, {ID: "reader"}}; !reflect.DeepEqual(s.DevClients, want) {
		t.Errorf("DevClients = %+v, want %+v", s.DevClients, want)
	}
}

// TestParseSettingsMistakes wants all mistakes at once, each with its place.
func TestParseSettingsMistakes(t *testing.T) {
	_, err := parseSettings("g.yaml", []byte(`document: ""
package: Main
output: ../elsewhere
undeclared: maybe
base_path: v2/
ignore_security: true
package: api
schemes:
  token: {kind: none, open: true}
dev:
  user: alice
  users:
    - {email: a@example.test}
    - {name: alice, password: secret}
    - {name: alice, scopes: all}
    - {name: "a\tb"}
    - carol
  clients:
    - {scopes: [a]}
    - {id: one}
    - {id: one}
    - {id: two, secret: x}
`))
	if err == nil {
		t.Fatal("parseSettings = nil")
	}
	for _, want := range []string{
		"g.yaml:1:11: expected a text",
		`g.yaml:2:10: "Main" is no name for a package`,
		`g.yaml:3:9: output "../elsewhere" leaves the project's folder`,
		`g.yaml:4:13: "maybe" is not one of error, public`,
		"g.yaml:5:12: base_path begins with a slash",
		`g.yaml:6:1: unknown setting "ignore_security"`,
		`g.yaml:7:1: "package" is set twice`,
		`g.yaml:9:17: "none" is not one of jwt, introspection, apikey, custom`,
		`g.yaml:9:23: unknown setting "open"`,
		`g.yaml:11:3: unknown setting "user"; known are clients, users`,
		"g.yaml:13:7: the user has no name",
		`g.yaml:14:21: unknown setting "password"; known are email, name, scopes`,
		`g.yaml:15:7: there are two users "alice"`,
		"g.yaml:15:29: expected a list of scopes",
		`g.yaml:16:14: "a\tb" is no name:`,
		`g.yaml:19:7: the program has no id`,
		`g.yaml:21:7: there are two programs "one"`,
		`g.yaml:22:17: unknown setting "secret"`,
		"g.yaml:17:7: expected settings, one a line",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}
