package claims

import (
	"slices"
	"strings"
)

// Mapped turns values of a claim into scopes. A value that a map lacks grants
// nothing; without a map the values are the scopes.
func Mapped(values []string, to map[string][]string) []string {
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

// Texts returns the values of a claim: the items of a list that are
// texts, or those of one text, which are joined by semicolons or else by
// blanks. A name that is no claim is taken as a path into objects.
func Texts(all map[string]any, name string) []string {
	switch v := at(all, name).(type) {
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

// at finds a claim by its name, which may hold dots of its own
// (https://blog.example/roles), and else by the path that the dots make.
func at(all map[string]any, name string) any {
	if v, ok := all[name]; ok {
		return v
	}
	first, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, _ := all[first].(map[string]any)
	return at(inner, rest)
}
