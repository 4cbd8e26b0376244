package generator

import (
	"bytes"
	"errors"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/gatewright/gatewright/generator/analyze"
)

// SettingsFile is the name of the generator's settings.
const SettingsFile = "gatewright.yaml"

// Settings are what gatewright.yaml says: where the document is, where the
// code goes, and what the document leaves unsaid about its security.
type Settings struct {
	Document   string                          // path of the document, relative to the settings file
	Package    string                          // Go package name of the output
	Output     string                          // folder the code is written to, relative to the settings file
	Undeclared string                          // operations without any security statement: error or public
	Schemes    map[string]analyze.SchemeConfig // by the document's scheme name
	BasePath   *string                         // overrides the path of the first server; nil: not set
	RemoteRefs string                          // $refs to https addresses: error or fetch
	DevUsers   []DevUser                       // who can sign in at the development identity provider; nil: not set
	DevClients []DevClient                     // programs that get tokens there; nil: not set
}

// A DevUser is somebody to pick at the development identity provider.
type DevUser struct {
	Name, Email string
	Scopes      []string // what this user may do
}

// A DevClient is a program that gets access tokens for itself at the development
// identity provider.
type DevClient struct {
	ID     string
	Scopes []string // what this program may do
}

// ReadSettings reads a gatewright.yaml. All mistakes are reported at once,
// each with file:line:col.
func ReadSettings(path string) (Settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, fmt.Errorf("generator: settings: %w", err)
	}
	return parseSettings(path, text)
}

func parseSettings(path string, text []byte) (Settings, error) {
	p := settingsParser{path: path}
	s := Settings{Package: "api", Output: "internal/api", Undeclared: "error", RemoteRefs: "error"}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return Settings{}, fmt.Errorf("generator: %s: %w", path, err)
	}
	if len(doc.Content) == 1 {
		p.fields(doc.Content[0], map[string]func(*yaml.Node){
			"document":    func(n *yaml.Node) { s.Document = p.text(n) },
			"package":     func(n *yaml.Node) { s.Package = p.packageName(n) },
			"output":      func(n *yaml.Node) { s.Output = p.output(n) },
			"undeclared":  func(n *yaml.Node) { s.Undeclared = p.oneOf(n, "error", "public") },
			"remote_refs": func(n *yaml.Node) { s.RemoteRefs = p.oneOf(n, "error", "fetch") },
			"base_path":   func(n *yaml.Node) { s.BasePath = p.basePath(n) },
			"schemes":     func(n *yaml.Node) { s.Schemes = p.schemes(n) },
			"dev": func(n *yaml.Node) {
				p.fields(n, map[string]func(*yaml.Node){
					"users":   func(n *yaml.Node) { s.DevUsers = p.devUsers(n) },
					"clients": func(n *yaml.Node) { s.DevClients = p.devClients(n) },
				})
			},
		})
	}
	if s.Document == "" && len(p.errs) == 0 {
		p.fail(&yaml.Node{Line: 1, Column: 1}, "document is missing: say which OpenAPI document to read")
	}
	if len(p.errs) > 0 {
		return Settings{}, errors.Join(p.errs...)
	}
	return s, nil
}

// A settingsParser collects mistakes.
type settingsParser struct {
	path string
	errs []error
}

func (p *settingsParser) fail(n *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d:%d: %s", p.path, n.Line, n.Column, fmt.Sprintf(format, args...)))
}

// fields hands each member of a mapping to its reader.
func (p *settingsParser) fields(n *yaml.Node, readers map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "expected settings, one a line")
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := readers[key.Value]
		switch {
		case seen[key.Value]:
			p.fail(key, "%q is set twice", key.Value)
		case !ok:
			known := make([]string, 0, len(readers))
			for k := range readers {
				known = append(known, k)
			}
			slices.Sort(known)
			p.fail(key, "unknown setting %q; known are %s", key.Value, strings.Join(known, ", "))
		default:
			read(value)
		}
		seen[key.Value] = true
	}
}

func (p *settingsParser) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" || n.Tag == "!!null" {
		p.fail(n, "expected a text")
		return ""
	}
	return n.Value
}

func (p *settingsParser) oneOf(n *yaml.Node, values ...string) string {
	v := p.text(n)
	if v != "" && !slices.Contains(values, v) {
		p.fail(n, "%q is not one of %s", v, strings.Join(values, ", "))
	}
	return v
}

func (p *settingsParser) packageName(n *yaml.Node) string {
	v := p.text(n)
	if v != "" && (!token.IsIdentifier(v) || v == "_" || v == "main" || strings.ToLower(v) != v) {
		p.fail(n, "%q is no name for a package: use lower-case letters and digits, and not main", v)
	}
	return v
}

func (p *settingsParser) output(n *yaml.Node) string {
	v := p.text(n)
	if v != "" && !filepath.IsLocal(v) {
		p.fail(n, "output %q leaves the project's folder", v)
	}
	return v
}

func (p *settingsParser) basePath(n *yaml.Node) *string {
	v := n.Value
	if n.Kind != yaml.ScalarNode || (v != "" && (!strings.HasPrefix(v, "/") || strings.HasSuffix(v, "/"))) {
		p.fail(n, `base_path begins with a slash and ends without one, or is ""`)
	}
	return &v
}

func (p *settingsParser) schemes(n *yaml.Node) map[string]analyze.SchemeConfig {
	out := make(map[string]analyze.SchemeConfig)
	if n.Kind != yaml.MappingNode {
		p.fail(n, "expected the document's scheme names, each with its settings")
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		var c analyze.SchemeConfig
		p.fields(n.Content[i+1], map[string]func(*yaml.Node){
			"kind":         func(n *yaml.Node) { c.Kind = p.oneOf(n, "jwt", "introspection", "apikey", "custom") },
			"extra_scopes": func(n *yaml.Node) { c.ExtraScopes = p.scopes(n) },
		})
		if _, twice := out[n.Content[i].Value]; twice {
			p.fail(n.Content[i], "%q is set twice", n.Content[i].Value)
		}
		out[n.Content[i].Value] = c
	}
	return out
}

func (p *settingsParser) scopes(n *yaml.Node) []string {
	if n.Kind != yaml.SequenceNode {
		p.fail(n, "expected a list of scopes")
		return nil
	}
	var out []string
	for _, item := range n.Content {
		out = append(out, p.text(item))
	}
	return out
}

func (p *settingsParser) devUsers(n *yaml.Node) []DevUser {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.fail(n, "expected a list of users such as {name: alice, scopes: [posts:write]}")
		return nil
	}
	var out []DevUser
	seen := make(map[string]bool)
	for _, item := range n.Content {
		var u DevUser
		p.fields(item, map[string]func(*yaml.Node){
			"name":   func(n *yaml.Node) { u.Name = p.userName(n) },
			"email":  func(n *yaml.Node) { u.Email = p.text(n) },
			"scopes": func(n *yaml.Node) { u.Scopes = p.scopes(n) },
		})
		if u.Name == "" && item.Kind == yaml.MappingNode && !hasKey(item, "name") {
			p.fail(item, "the user has no name")
		}
		if u.Name != "" && seen[u.Name] {
			p.fail(item, "there are two users %q", u.Name)
		}
		seen[u.Name] = true
		out = append(out, u)
	}
	return out
}

func (p *settingsParser) devClients(n *yaml.Node) []DevClient {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.fail(n, "expected a list of programs such as {id: publisher, scopes: [posts:write]}")
		return nil
	}
	var out []DevClient
	seen := make(map[string]bool)
	for _, item := range n.Content {
		var c DevClient
		p.fields(item, map[string]func(*yaml.Node){
			"id":     func(n *yaml.Node) { c.ID = p.userName(n) },
			"scopes": func(n *yaml.Node) { c.Scopes = p.scopes(n) },
		})
		if c.ID == "" && item.Kind == yaml.MappingNode && !hasKey(item, "id") {
			p.fail(item, "the program has no id")
		}
		if c.ID != "" && seen[c.ID] {
			p.fail(item, "there are two programs %q", c.ID)
		}
		seen[c.ID] = true
		out = append(out, c)
	}
	return out
}

// userName takes what can be shown on a button and told as a subject.
func (p *settingsParser) userName(n *yaml.Node) string {
	v := p.text(n)
	unfit := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(v) > 60 || strings.TrimSpace(v) != v || strings.ContainsFunc(v, unfit) {
		p.fail(n, "%q is no name: 1 to 60 printable bytes", v)
	}
	return v
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}
