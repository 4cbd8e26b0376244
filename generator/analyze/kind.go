package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// kind applies x-gatewright and then the settings, which win: they are for
// documents that one may not edit.
func (a *analyzer) kind(s *model.Scheme, n *load.Node) {
	allowed := kinds(s)
	if x := n.Get("x-gatewright"); x != nil {
		a.extension(s, x, allowed)
	}
	a.misspeltExtension(n)
	kind := a.cfg.Schemes[s.Name].Kind
	if kind == "" {
		return
	}
	if !slices.Contains(allowed, kind) {
		a.setting(fmt.Sprintf("schemes: kind %s does not fit scheme %s (one of %s)", load.Quote(kind), load.Quote(s.Name), strings.Join(allowed, ", ")))
		return
	}
	s.Verifier = model.Verifier(kind)
}

// misspeltExtension finds what was meant to be x-gatewright.
func (a *analyzer) misspeltExtension(n *load.Node) {
	for _, m := range n.Members {
		if m.Key != "x-gatewright" && load.Distance(strings.ToLower(m.Key), "x-gatewright") <= 3 {
			a.add(model.Diagnostic{Rule: ruleKind, Pos: m.KeyPos, Help: "write x-gatewright",
				Message: fmt.Sprintf("member %s looks like x-gatewright, and means nothing", load.Quote(m.Key))})
		}
	}
}

// extension reads x-gatewright at a scheme.
func (a *analyzer) extension(s *model.Scheme, x *load.Node, allowed []string) {
	help := "write {kind: K} with K one of " + strings.Join(allowed, ", ")
	if !x.Is(load.Object) {
		a.errorf(ruleKind, x, help, "x-gatewright is %s, not an object", x.Kind)
		return
	}
	for _, m := range x.Members {
		switch {
		case m.Key != "kind":
			a.add(model.Diagnostic{Rule: ruleKind, Pos: m.KeyPos, Help: help,
				Message: "x-gatewright has the unknown member " + load.Quote(m.Key)})
		case !m.Value.Is(load.String) || !slices.Contains(allowed, m.Value.Text):
			a.errorf(ruleKind, m.Value, help, "kind %s does not fit scheme %s", load.Quote(m.Value.Text), load.Quote(s.Name))
		default:
			s.Verifier = model.Verifier(m.Value.Text)
		}
	}
}

// kinds lists what may verify a scheme, best first.
func kinds(s *model.Scheme) []string {
	switch s.Type {
	case "apiKey":
		if s.Places[0].In == "cookie" {
			return []string{"session", "apikey", "custom"}
		}
		return []string{"apikey", "custom"}
	case "http":
		switch s.HTTPScheme {
		case "basic":
			return []string{"apikey", "custom"}
		case "bearer":
			return []string{"jwt", "introspection", "apikey", "custom"}
		case "dpop":
			return []string{"custom", "jwt", "introspection"}
		}
		return []string{"custom", "apikey"}
	case "oauth2":
		if s.Verifier == model.VerifySession {
			return []string{"session", "jwt", "introspection", "custom"}
		}
		return []string{"jwt", "introspection", "custom"}
	case "openIdConnect":
		return []string{"session", "jwt", "introspection", "custom"}
	}
	return []string{"certificate", "custom"}
}

// sessionCookie finds the one cookie that is the session, and gives schemes
// that are met by a login their places.
func (a *analyzer) sessionCookie() {
	first := ""
	for i := range a.api.Schemes {
		s := &a.api.Schemes[i]
		if s.Type != "apiKey" || s.Verifier != model.VerifySession {
			continue
		}
		a.subject = s.Name
		if first != "" {
			a.add(model.Diagnostic{Rule: ruleCookies, Pos: s.Pos,
				Message: fmt.Sprintf("schemes %s and %s are both the session cookie", load.Quote(first), load.Quote(s.Name)),
				Help:    "keep one, or say `x-gatewright: {kind: apikey}` at the one that carries an API key",
			})
			continue
		}
		first, a.cookie = s.Name, s.Places[0].Name
		if !strings.HasPrefix(a.cookie, "__Host-") {
			a.add(model.Diagnostic{Rule: ruleCookieName, Severity: model.Warning, Pos: s.Pos,
				Message: fmt.Sprintf("the session cookie %s can be set by a neighbouring host", load.Quote(a.cookie)),
				Help:    "a name that starts with __Host- cannot (RFC 6265bis, section 4.1.3.2)",
			})
		}
	}
	a.subject = ""
	for i := range a.api.Schemes {
		s := &a.api.Schemes[i]
		oauth := s.Type == "oauth2" || s.Type == "openIdConnect"
		if oauth {
			s.Places = []model.Place{{In: "authorization", Name: "bearer"}}
		}
		// A token that is bound to a key comes under a word of its own (RFC
		// 9449, section 7.1).
		if (oauth || s.HTTPScheme == "bearer") && s.TakesTokens() {
			s.Places = append(s.Places, model.Place{In: "authorization", Name: "dpop"})
		}
		if oauth && s.Verifier == model.VerifySession {
			s.Places = append(s.Places, model.Place{In: "cookie", Name: a.cookie})
		}
	}
}
