package login

import (
	"slices"

	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/provider"
)

// held returns the scopes that a person holds, by scheme. granted are those
// that the token response names.
func held(schemes []Scheme, bindings map[string]provider.Binding, all map[string]any, granted []string) map[string][]string {
	scopesOf := make(map[string][]string)
	for _, s := range schemes {
		b := bindings[s.Name]
		scopes := slices.Clone(granted)
		if b.ScopesClaim != "" {
			scopes = claims.Mapped(claims.Texts(all, b.ScopesClaim), b.ScopesMap)
		}
		for _, scope := range b.ScopesEveryone {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
		scopesOf[s.Name] = scopes
	}
	return scopesOf
}

// flat are all scopes of all schemes, in order: what a person holds by
// whatever scheme.
func flat(scopes map[string][]string) []string {
	all := []string{}
	for _, of := range scopes {
		all = append(all, of...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
