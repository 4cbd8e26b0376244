package analyze

import (
	"strings"
	"unicode"

	"github.com/gatewright/gatewright/generator/load"
)

// A scopeUse is a scope of a scheme that an operation names.
type scopeUse struct{ scheme, scope string }

// loneScopes warns of scopes that look misspelt, at schemes that take any: one
// operation alone names them, and others name one that is almost the same.
func (a *analyzer) loneScopes() {
	count := map[scopeUse]int{}
	named := map[string][]string{} // by scheme, in the operations' order
	for _, op := range a.api.Operations {
		seen := map[scopeUse]bool{}
		for _, alt := range op.Policy.Alternatives {
			for _, need := range alt {
				for _, scope := range need.Scopes {
					use := scopeUse{need.Scheme, scope}
					if seen[use] {
						continue
					}
					seen[use] = true
					if count[use]++; count[use] == 1 {
						named[need.Scheme] = append(named[need.Scheme], scope)
					}
				}
			}
		}
	}
	for _, s := range a.api.Schemes {
		if !s.AnyScope || len(named[s.Name]) > maxLoneScopes {
			continue
		}
		for _, scope := range named[s.Name] {
			use := scopeUse{s.Name, scope}
			other := likely(scope, named[s.Name], func(o string) bool { return count[scopeUse{s.Name, o}] > 1 })
			if at := a.scopeAt[use]; at != nil && count[use] == 1 && other != "" {
				a.warnf(ruleLoneScope, at, "did you mean "+load.Quote(other)+"? scheme "+load.Quote(s.Name)+" takes any scope, and so also a misspelt one",
					"only one operation asks for scope %s of scheme %s", load.Quote(scope), load.Quote(s.Name))
			}
		}
	}
}

// maxLoneScopes is how many scopes are compared with each other.
const maxLoneScopes = 500

// likely returns one of names that usual holds for and that differs from scope
// in one or two letters, or "". Of short words that says nothing.
func likely(scope string, names []string, usual func(string) bool) string {
	for _, o := range names {
		if d := load.Distance(scope, o); o != scope && usual(o) && d <= 2 && len(scope) >= 4 {
			return o
		}
	}
	return ""
}

// printableText tells whether s has characters, all of which print.
func printableText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
