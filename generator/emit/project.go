package emit

import (
	"bytes"
	"fmt"
	"go/format"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/template"

	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/templates"
)

// A Project is what init writes once and the user owns from then on.
type Project struct {
	Module           string // the project's module path
	Package          string // package of the generated code
	Output           string // its folder, slashes
	Document         string // path of the document, relative to the project, slashes
	Binary           string // what go build names the program
	UndeclaredPublic bool
	FetchRemoteRefs  bool
	API              *model.API
	GoVersion        string // that the project is built with
	GoMod            *GoMod // nil: the project has a go.mod already
}

// A GoMod is what a new go.mod says.
type GoMod struct {
	GoVersion string
	Version   string    // of this module
	Replace   string    // folder of a checkout; "" for a released version
	Requires  []Require // what this module requires itself; none for a released version
}

// A Require is one line of a go.mod's require block.
type Require struct{ Path, Version string }

// projectOperation is an operation as service.go.tmpl shows it.
type projectOperation struct {
	GoName, Method, Path, Who, Signature, Arguments string
}

// deployment is what a project brings to be deployed with, beside a unit of
// systemd: path and template.
var deployment = map[string]string{
	"Dockerfile":             "Dockerfile.tmpl",
	".dockerignore":          "dockerignore.tmpl",
	"deploy/kubernetes.yaml": "kubernetes.yaml.tmpl",
}

// Deployment returns the paths of what the project is deployed with. A project
// does as well without.
func (p Project) Deployment() []string {
	return append(slices.Sorted(maps.Keys(deployment)), p.unit())
}

// unit is the path of the unit for systemd.
func (p Project) unit() string { return "deploy/" + p.name() + ".service" }

// name is what the server is called where it runs: a label of the DNS.
func (p Project) name() string {
	name := strings.TrimLeft(dashed(p.Binary), "-0123456789")
	if name = strings.TrimRight(name[:min(len(name), 40)], "-"); name == "" {
		return "server"
	}
	return name
}

// dashed is text in lower-case letters, digits and dashes between them.
func dashed(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, text), "-")
}

// goRelease is the release line of a Go version, 1.26 of 1.26.3, as images are
// tagged.
func goRelease(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// Files returns the project's files by path.
func (p Project) Files() (map[string][]byte, error) {
	data := map[string]any{
		"Module":           p.Module,
		"Package":          p.Package,
		"Output":           p.Output,
		"Document":         yamlText(p.Document),
		"Binary":           "/" + p.Binary,
		"Name":             p.name(),
		"Toolchain":        goRelease(p.GoVersion),
		"UndeclaredPublic": p.UndeclaredPublic,
		"FetchRemoteRefs":  p.FetchRemoteRefs,
		"Store":            len(p.API.KeySchemes())+len(p.API.LoginSchemes())+len(p.API.TokenSchemes()) > 0,
		"Keys":             len(p.API.KeySchemes()) > 0,
		"Providers":        p.providers(),
		"Tokens":           p.tokens(),
		"Certificates":     p.certificateScopes(),
		"Callback":         model.AuthPrefix + "/callback/",
		"Operations":       p.operations(),
	}
	names := map[string]string{
		"main.go":         "main.go.tmpl",
		"service.go":      "service.go.tmpl",
		"generate.go":     "generate.go.tmpl",
		"gatewright.yaml": "gatewright.yaml.tmpl",
		"server.yaml":     "server.yaml.tmpl",
		".gitignore":      "gitignore.tmpl",
	}
	maps.Copy(names, deployment)
	names[p.unit()] = "service.tmpl"
	if p.GoMod != nil {
		names["go.mod"] = "go.mod.tmpl"
		data["Self"] = module
		data["GoVersion"] = p.GoMod.GoVersion
		data["Version"] = p.GoMod.Version
		data["Replace"] = p.GoMod.Replace
		data["Requires"] = p.GoMod.Requires
	}
	all, err := template.ParseFS(templates.FS, "*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("emit: %w", err)
	}
	files := make(map[string][]byte)
	for path, tmpl := range names {
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, tmpl, data); err != nil {
			return nil, fmt.Errorf("emit: %w", err)
		}
		files[path] = out.Bytes()
		if strings.HasSuffix(path, ".go") {
			if files[path], err = format.Source(out.Bytes()); err != nil {
				return nil, fmt.Errorf("emit: %s: %w", path, err)
			}
		}
	}
	return files, nil
}

func (p Project) operations() []projectOperation {
	words := &printer{Config: Config{API: p.API}}
	var ops []projectOperation
	for i := range p.API.Operations {
		op := &p.API.Operations[i]
		sig, args := "(ctx context.Context, ", "ctx, "
		switch op.Policy.Caller() {
		case model.CallerRequired:
			sig, args = sig+"who gate.Principal, ", args+"who, "
		case model.CallerOptional:
			sig, args = sig+"who *gate.Principal, ", args+"who, "
		}
		ops = append(ops, projectOperation{
			GoName: op.GoName,
			Method: op.Method,
			Path:   oneLine(op.Path),
			Who:    words.who(op.Policy),
			Signature: sig + "req " + p.Package + "." + op.GoName + "Request) (" +
				p.Package + "." + op.GoName + "Response, error)",
			Arguments: args + "req",
		})
	}
	return ops
}

// A projectProvider is an identity provider as server.yaml.tmpl proposes it.
type projectProvider struct {
	Name    string
	Schemes []string // those it would answer for, as YAML
	// One of the three says which provider it is.
	Issuer, Preset, UserURL string
}

// providers are the identity providers that the document speaks of: one for
// each issuer and each other authorization endpoint. A cookie is answered by
// any, so that it has one of its own only where there is no other. None where
// nobody has to sign in.
func (p Project) providers() []*projectProvider {
	var all []*projectProvider
	by := make(map[string]*projectProvider)
	var cookies []string
	for _, s := range p.API.LoginSchemes() {
		flow := s.Flow("authorizationCode")
		where := s.OpenIDURL
		switch {
		case flow != nil:
			where = flow.AuthorizationURL
		case where == "":
			cookies = append(cookies, yamlText(s.Name))
			continue
		}
		one := by[where]
		if one == nil {
			one = &projectProvider{Name: providerName(s.Name, all)}
			by[where] = one
			all = append(all, one)
		}
		one.Schemes = append(one.Schemes, yamlText(s.Name))
		one.Issuer, one.Preset, one.UserURL = "", "", ""
		switch host := hostOf(where); {
		case flow == nil && host != "":
			one.Issuer = yamlText(strings.TrimSuffix(where, "/.well-known/openid-configuration"))
		case flow == nil:
			one.Issuer = "https://id.example"
		case host == "github.com":
			one.Preset = "github"
		case host != "":
			one.UserURL = yamlText("https://" + host + "/user")
		default:
			one.UserURL = "https://id.example/user"
		}
	}
	if len(all) == 0 && len(cookies) > 0 {
		all = append(all, &projectProvider{Name: "main", Schemes: cookies, Issuer: "https://id.example"})
	}
	return all
}

// tokens names the schemes, as YAML, that access tokens alone are taken for.
func (p Project) tokens() []string {
	var all []string
	for _, s := range p.API.TokenSchemes() {
		if s.Verifier != model.VerifySession {
			all = append(all, yamlText(s.Name))
		}
	}
	return all
}

// certificateScopes are the scopes, as YAML, that operations want of clients with
// certificates, or a word in their place where they want none. It is empty where
// no certificate is asked for.
func (p Project) certificateScopes() string {
	schemes := p.API.CertificateSchemes()
	if len(schemes) == 0 {
		return ""
	}
	var scopes []string
	for _, s := range schemes {
		for _, scope := range p.API.ScopesOf(s) {
			if text := yamlText(scope); !slices.Contains(scopes, text) {
				scopes = append(scopes, text)
			}
		}
	}
	if len(scopes) == 0 {
		return `"any"`
	}
	return strings.Join(scopes, ", ")
}

// hostOf is the host of an https URL, "" of anything else.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return ""
	}
	return u.Host
}

// providerName makes a name that the configuration takes: the first provider
// is main, others are called as their scheme.
func providerName(scheme string, taken []*projectProvider) string {
	if len(taken) == 0 {
		return "main"
	}
	base := dashed(scheme)
	if len(base) > 40 || base == "" {
		base = "provider"
	}
	name := base
	for n := 2; slices.ContainsFunc(taken, func(p *projectProvider) bool { return p.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// Stub is the method that service.go lacks for an operation of api, to be pasted.
func Stub(pkg, receiver string, api *model.API, op *model.Operation) string {
	p := Project{Package: pkg, API: &model.API{Schemes: api.Schemes, Operations: []model.Operation{*op}}}
	o := p.operations()[0]
	return fmt.Sprintf("// %s answers %s %s. %s\nfunc (s *%s) %s%s {\n\treturn s.Unimplemented.%s(%s)\n}\n",
		o.GoName, o.Method, o.Path, o.Who, receiver, o.GoName, o.Signature, o.GoName, o.Arguments)
}

// yamlText writes s as a YAML scalar: plain where nothing in it has a meaning,
// else in double quotes, whose escapes are JSON's.
func yamlText(s string) string {
	plain := s != "" && !strings.HasPrefix(s, "-") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == ""
	if plain {
		return s
	}
	return fmt.Sprintf("%q", s)
}
