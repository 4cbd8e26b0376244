package analyze

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// rootSecurity checks the document's own requirement even where no operation
// inherits it.
func (a *analyzer) rootSecurity() {
	if a.rootUse != nil {
		a.requirement(a.rootUse)
	}
}

// policy says who may call the operation op. pos is where the operation stands.
func (a *analyzer) policy(op *load.Node, pos model.Position) model.Policy {
	use := op.Get("security")
	if use == nil {
		use = a.rootUse
	}
	if use != nil {
		return a.requirement(use)
	}
	if a.cfg.Undeclared == "public" {
		return model.Policy{Public: true, Undeclared: true}
	}
	a.add(model.Diagnostic{
		Rule: ruleUndeclared, Pos: pos,
		Message: "nothing says who may call " + load.Quote(a.subject),
		Help:    "say `security: []` if it is meant to be public; or `undeclared: public` in gatewright.yaml for all such operations",
	})
	return model.Policy{}
}

// requirement reads one security list. What it cannot read is left out, after
// an error that stops the generator; it is never read as public.
func (a *analyzer) requirement(use *load.Node) model.Policy {
	if !use.Is(load.Array) {
		help := "a list such as `security: [{name: []}]`"
		if use.Is(load.Null) {
			help = "say `security: []` if public is meant; leave the member out to inherit"
		}
		a.errorf(ruleSecurity, use, help, "security is %s, not a list", use.Kind)
		return model.Policy{}
	}
	if len(use.Items) == 0 {
		return model.Policy{Public: true}
	}
	var p model.Policy
	needed := false
	for _, it := range use.Items {
		if !it.Is(load.Object) {
			a.errorf(ruleSecurity, it, "write `- name: []`", "an entry of security is %s, not an object", it.Kind)
			needed = true
			continue
		}
		alt, ok := a.alternative(it)
		needed = needed || len(it.Members) > 0
		if ok {
			p.Alternatives = append(p.Alternatives, alt)
		}
	}
	if !needed {
		return model.Policy{Public: true}
	}
	return p
}

// alternative reads one entry; false where a part of it is not understood.
func (a *analyzer) alternative(it *load.Node) (model.Alternative, bool) {
	alt := model.Alternative{}
	ok := true
	for _, m := range it.Members {
		s := a.api.Scheme(m.Key)
		if s == nil {
			ok = false
			a.undefined(m)
			continue
		}
		scopes, good := a.scopes(s, m.Value)
		ok = ok && good
		alt = append(alt, model.Need{Scheme: m.Key, Scopes: scopes})
	}
	if ok {
		a.meetable(it, alt)
	}
	return alt, ok
}

func (a *analyzer) undefined(m load.Member) {
	if a.doc.Root.Get("components").Get("securitySchemes").Get(m.Key) != nil {
		return // it is there, and what is wrong with it has been said
	}
	var defined []string
	for _, s := range a.api.Schemes[:min(20, len(a.api.Schemes))] {
		defined = append(defined, load.Quote(s.Name))
	}
	if len(a.api.Schemes) > len(defined) {
		defined = append(defined, "…")
	}
	help := "no scheme is defined"
	if len(defined) > 0 {
		help = "defined: " + strings.Join(defined, ", ")
	}
	a.add(model.Diagnostic{
		Rule: ruleUnknown, Pos: m.KeyPos, Help: help,
		Message: fmt.Sprintf("security scheme %s is not defined in components.securitySchemes%s", load.Quote(m.Key), a.orNear(m.Key)),
	})
}

// orNear gives "; did you mean ...", or nothing.
func (a *analyzer) orNear(want string) string {
	var defined []string
	for _, s := range a.api.Schemes {
		defined = append(defined, s.Name)
	}
	return orNearest(want, defined)
}

// scopes reads the scopes that stand beside a scheme's name.
func (a *analyzer) scopes(s *model.Scheme, list *load.Node) ([]string, bool) {
	if !list.Is(load.Array) {
		a.errorf(ruleSecurity, list, "write []", "the scopes of %s are %s, not a list", load.Quote(s.Name), list.Kind)
		return nil, false
	}
	var out []string
	ok := true
	seen := map[string]bool{}
	for _, it := range list.Items {
		_, defined := slices.BinarySearch(s.Scopes, it.Text)
		switch {
		case !it.Is(load.String) || it.Text == "":
			a.errorf(ruleSecurity, it, "", "a scope of %s is %s, not a name", load.Quote(s.Name), it.Kind)
			ok = false
		case !s.AnyScope && !defined:
			a.errorf(ruleScope, it, scopeHelp(s, it.Text), "scope %s is not defined by scheme %s", load.Quote(it.Text), load.Quote(s.Name))
			ok = false
		case !printableText(it.Text):
			a.errorf(ruleSecurity, it, "scopes are made of letters, digits and punctuation", "scope %s of %s has characters that do not print", load.Quote(it.Text), load.Quote(s.Name))
			ok = false
		case !seen[it.Text]:
			if use := (scopeUse{s.Name, it.Text}); a.scopeAt[use] == nil {
				a.scopeAt[use] = it
			}
			seen[it.Text] = true
			out = append(out, it.Text)
		}
	}
	if len(out) > 0 && a.doc.Version == "3.0" && s.Type != "oauth2" && s.Type != "openIdConnect" {
		a.warnf(ruleRoles, list, "OpenAPI 3.1 allows it; in 3.0 the list has to be empty",
			"scheme %s has no scopes of its own: its credentials must hold these as roles", load.Quote(s.Name))
	}
	return out, ok
}

func scopeHelp(s *model.Scheme, want string) string {
	help := "declare it at the scheme, or say `schemes: {" + load.Quote(s.Name) + ": {extra_scopes: [" + load.Quote(want) + "]}}` in gatewright.yaml"
	if near := nearest(want, s.Scopes); len(near) > 0 {
		help = "did you mean " + load.Quote(near[0]) + "? else " + help
	}
	return help
}

// meetable warns of schemes joined by AND that exclude each other.
func (a *analyzer) meetable(it *load.Node, alt model.Alternative) {
	for i, x := range alt {
		for _, y := range alt[i+1:] {
			first, second := a.api.Scheme(x.Scheme), a.api.Scheme(y.Scheme)
			help := ""
			switch {
			case apart(first.Places, second.Places):
				help = "a request has one Authorization header"
			case oneKey(first, second):
				help = "one key never meets two schemes, and both look for it in the same place"
			default:
				continue
			}
			a.warnf(ruleUnmeetable, it, help+"; make them two entries if either suffices",
				"no request can meet %s and %s together: this entry lets nobody in", load.Quote(x.Scheme), load.Quote(y.Scheme))
		}
	}
}

// oneKey tells whether both schemes are met by the API key in one place.
func oneKey(x, y *model.Scheme) bool {
	return x.Verifier == model.VerifyAPIKey && y.Verifier == model.VerifyAPIKey && slices.EqualFunc(x.Places, y.Places, samePlace)
}

// samePlace tells whether both are one place of a request: capitals do not
// tell headers apart.
func samePlace(x, y model.Place) bool {
	if x.In == "header" && y.In == "header" {
		return http.CanonicalHeaderKey(x.Name) == http.CanonicalHeaderKey(y.Name)
	}
	return x == y
}

// apart tells whether both schemes need the Authorization header, and each
// under a word of its own.
func apart(x, y []model.Place) bool {
	for _, p := range x {
		if p.In != "authorization" || slices.Contains(y, p) {
			return false
		}
	}
	for _, p := range y {
		if p.In != "authorization" {
			return false
		}
	}
	return true
}
