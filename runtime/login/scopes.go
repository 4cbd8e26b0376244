package login

import (
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/provider"
)

// held returns the scopes that a person holds, by scheme. granted are those
// that the token response names.
func held(schemes []Scheme, bindings map[string]provider.Binding, claims map[string]any, granted []string) map[string][]string {
	all := make(map[string][]string)
	for _, s := range schemes {
		b := bindings[s.Name]
		scopes := slices.Clone(granted)
		if b.ScopesClaim != "" {
			scopes = mapped(claimTexts(claims, b.ScopesClaim), b.ScopesMap)
		}
		for _, scope := range b.ScopesEveryone {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
		all[s.Name] = scopes
	}
	return all
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

// mapped turns values of a claim into scopes. A value that a map lacks grants
// nothing.
func mapped(values []string, to map[string][]string) []string {
	var scopes []string
	add := func(scope string) {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	for _, v := range values {
		if to == nil {
			add(v)
			continue
		}
		for _, scope := range to[v] {
			add(scope)
		}
	}
	return scopes
}

// claimTexts returns the values of a claim: the items of a list that are
// texts, or those of one text, which are joined by semicolons or else by
// blanks. A name that is no claim is taken as a path into objects.
func claimTexts(claims map[string]any, name string) []string {
	switch v := claimAt(claims, name).(type) {
	case string:
		if strings.Contains(v, ";") {
			return trimmed(strings.Split(v, ";"))
		}
		return strings.Fields(v)
	case []any:
		var texts []string
		for _, item := range v {
			if text, ok := item.(string); ok {
				texts = append(texts, text)
			}
		}
		return trimmed(texts)
	}
	return nil
}

// trimmed takes blanks off the ends, and drops what is empty then.
func trimmed(texts []string) []string {
	var out []string
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// claimAt finds a claim by its name, which may hold dots of its own
// (https://blog.example/roles), and else by the path that the dots make.
func claimAt(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	first, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, _ := claims[first].(map[string]any)
	return claimAt(inner, rest)
}
