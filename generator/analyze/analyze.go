// Package analyze finds out what a document means: its operations, who may
// call them, what they take and answer. Whatever it does not understand
// becomes a diagnostic; what touches security is then an error, so that nothing
// is generated that lets in more than the document says.
package analyze

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/name"
)

// Config holds what gatewright.yaml adds to the document.
type Config struct {
	// Undeclared says what becomes of operations without any security
	// statement: "error" (also "") or "public".
	Undeclared string
	// Schemes holds settings by the document's scheme names.
	Schemes map[string]SchemeConfig
	// BasePath replaces the path of the document's first server; nil
	// leaves it.
	BasePath *string
	// AuthPrefix is where login and its relatives are served; "" stands
	// for /auth.
	AuthPrefix string
	// File is what findings about these settings name as their place; ""
	// stands for gatewright.yaml.
	File string
}

// A SchemeConfig says about a scheme what the document cannot be made to say.
type SchemeConfig struct {
	Kind        string   // apikey, session, jwt, introspection, certificate or custom; "" leaves it
	ExtraScopes []string // scopes that operations may name beside the document's own
}

// An analyzer collects the model and the findings of one document.
type analyzer struct {
	doc   *load.Document
	cfg   Config
	api   *model.API
	diags []model.Diagnostic

	refs    map[*load.Node]bool // $refs that were reported
	once    map[model.Diagnostic]bool
	scopeAt map[scopeUse]*load.Node // where each scope is named first
	opNames name.Set
	opIDs   map[string]model.Position
	routes  map[string]route
	shapes  map[*load.Node]paramShape
	streams []streamUse
	rootUse *load.Node // the document's own security
	cookie  string     // name of the session cookie
	subject string     // operation or scheme that findings are about
}

// Analyze reads a document's meaning. The API is as complete as the document
// allows, also where diagnostics are errors; nothing may be generated then.
// Diagnostics are sorted, have their excerpts, and are the same on every run.
func Analyze(doc *load.Document, cfg Config) (*model.API, []model.Diagnostic) {
	a := &analyzer{
		doc: doc, cfg: cfg, api: &model.API{},
		refs: map[*load.Node]bool{}, once: map[model.Diagnostic]bool{}, scopeAt: map[scopeUse]*load.Node{},
		opIDs: map[string]model.Position{}, routes: map[string]route{}, shapes: map[*load.Node]paramShape{},
		cookie: defaultCookie,
	}
	if doc == nil {
		return a.api, nil
	}
	if a.cfg.AuthPrefix == "" {
		a.cfg.AuthPrefix = model.AuthPrefix
	}
	if a.cfg.File == "" {
		a.cfg.File = "gatewright.yaml"
	}
	info := doc.Root.Get("info")
	a.api.Title = info.Str("title")
	a.api.Version = info.Str("version")
	a.api.Description = info.Str("description")
	a.api.Source = path.Base(doc.Path)
	a.rootUse = doc.Root.Get("security")

	a.settings()
	a.misplaced(doc.Root)
	a.members(doc.Root, rootMembers)
	a.api.BasePath = a.basePath()
	a.schemes()
	a.rootSecurity()
	a.paths()
	a.undecoded()
	a.undecided()
	a.loneScopes()

	model.Sort(a.diags)
	return a.api, a.diags
}

// settings checks what of the settings does not depend on the document.
func (a *analyzer) settings() {
	switch a.cfg.Undeclared {
	case "", "error", "public":
	default:
		a.setting(fmt.Sprintf("undeclared: %s is neither error nor public", load.Quote(a.cfg.Undeclared)))
	}
	if p := a.cfg.AuthPrefix; p == "" || !plainPath(p) || strings.HasSuffix(p, "/") {
		a.setting(fmt.Sprintf("auth prefix %s is not a path such as /auth", load.Quote(p)))
	}
}

// setting notes a mistake in the settings, which have no place in the document.
func (a *analyzer) setting(message string) {
	a.add(model.Diagnostic{Rule: ruleSettings, Pos: model.Position{File: a.cfg.File}, Message: message})
}

func (a *analyzer) errorf(rule string, at *load.Node, help, format string, args ...any) {
	a.add(model.Diagnostic{Rule: rule, Pos: at.Pos, Message: fmt.Sprintf(format, args...), Help: help})
}

func (a *analyzer) warnf(rule string, at *load.Node, help, format string, args ...any) {
	a.add(model.Diagnostic{Rule: rule, Severity: model.Warning, Pos: at.Pos, Message: fmt.Sprintf(format, args...), Help: help})
}

// add notes a finding once: parts that several operations share would
// otherwise be reported by each.
func (a *analyzer) add(d model.Diagnostic) {
	if d.Subject == "" {
		d.Subject = a.subject
	}
	if d.Help == "" {
		d.Help = waysOut[d.Rule]
	}
	key := d
	key.Subject = ""
	if a.once[key] {
		return
	}
	a.once[key] = true
	d.Excerpt = a.doc.Excerpt(d.Pos)
	a.diags = append(a.diags, d)
}

// resolve follows n's $ref. It returns nil where n is nil or leads nowhere,
// which is then reported.
func (a *analyzer) resolve(n *load.Node) *load.Node {
	if n == nil {
		return nil
	}
	target, err := a.doc.Resolve(n)
	if err == nil {
		return target
	}
	var bad *load.RefError
	if errors.As(err, &bad) && !a.refs[n] && !a.doc.Reported(n) {
		a.refs[n] = true
		a.add(model.Diagnostic{Rule: bad.Rule, Pos: bad.Pos, Message: bad.Message, Help: bad.Help})
	}
	return nil
}

// object resolves n and tells whether it is an object; if it is something
// else, that is reported. what names it in the message.
func (a *analyzer) object(n *load.Node, what string) (*load.Node, bool) {
	n = a.resolve(n)
	if n == nil {
		return nil, false
	}
	if !n.Is(load.Object) {
		a.errorf(ruleType, n, "", "%s is %s, not an object", what, n.Kind)
		return nil, false
	}
	return n, true
}

// whole is object for what has to stand in one place: members beside a $ref
// would be ignored in silence.
func (a *analyzer) whole(n *load.Node, what string) (*load.Node, bool) {
	if ref := n.Ref(); ref != nil {
		for _, m := range n.Members {
			if m.Key != "$ref" && m.Key != "summary" && m.Key != "description" {
				a.add(model.Diagnostic{Rule: ruleMixedRef, Pos: m.KeyPos,
					Message: fmt.Sprintf("%s has a $ref, and %s beside it would be ignored", what, load.Quote(m.Key)),
					Help:    "move it into what the $ref leads to"})
			}
		}
	}
	return a.object(n, what)
}

// nearest lists up to three of names that look like want, best first.
func nearest(want string, names []string) []string {
	type scored struct {
		name string
		d    int
	}
	var found []scored
	for _, n := range names[:min(1000, len(names))] {
		if len(n) > 200 || len(want) > 200 {
			continue
		}
		if d := load.Distance(strings.ToLower(want), strings.ToLower(n)); d <= max(2, len(want)/3) {
			found = append(found, scored{n, d})
		}
	}
	slices.SortStableFunc(found, func(x, y scored) int { return x.d - y.d })
	var out []string
	for _, f := range found[:min(3, len(found))] {
		out = append(out, f.name)
	}
	return out
}
