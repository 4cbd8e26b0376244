package analyze

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// A part is a piece of a template: text, or the name of a variable.
type part struct {
	text     string
	variable bool
}

// template splits at braces; false where they do not pair.
func template(s string) ([]part, bool) {
	var parts []part
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			return append(parts, part{text: s}), true
		}
		if s[i] == '}' {
			return nil, false
		}
		if i > 0 {
			parts = append(parts, part{text: s[:i]})
		}
		s = s[i+1:]
		end := strings.IndexAny(s, "{}")
		if end < 0 || s[end] == '{' {
			return nil, false
		}
		parts = append(parts, part{text: s[:end], variable: true})
		s = s[end+1:]
	}
	return parts, true
}

// printableWord tells whether s prints and has no blanks.
func printableWord(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}

// canonical writes the text of a template so that texts that match the same
// paths are equal: decoded and encoded again, segment by segment.
func canonical(text string) string {
	segments := strings.Split(text, "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err == nil {
			segments[i] = url.PathEscape(plain)
		}
	}
	return strings.Join(segments, "/")
}

// A route is one method on one shape of path, and where it was declared.
type route struct {
	subject string
	pos     model.Position
}

// pathTemplate checks a path of the document and returns its variables and
// its shape: the path with all variable names taken out.
func (a *analyzer) pathTemplate(key string, pos model.Position) (variables []string, shape string, ok bool) {
	fail := func(rule, help, message string) {
		a.add(model.Diagnostic{Rule: rule, Pos: pos, Help: help, Message: "path " + load.Quote(key) + " " + message})
	}
	if strings.ContainsAny(key, "?#") {
		fail(ruleTemplate, "query parameters are declared under parameters", "has a query or fragment, which are no part of a path")
		return nil, "", false
	}
	if !printableWord(key) {
		fail(ruleTemplate, "percent-encode them", "has blanks or characters that do not print")
		return nil, "", false
	}
	if hasDots(key) {
		fail(ruleTemplate, "", "has a segment . or .., which no request keeps")
		return nil, "", false
	}
	parts, ok := template(key)
	if !ok {
		fail(ruleTemplate, "", "has braces that do not pair")
		return nil, "", false
	}
	var b strings.Builder
	for i, p := range parts {
		switch {
		case !p.variable:
			if text, err := url.PathUnescape(p.text); err != nil || !utf8.ValidString(text) {
				fail(ruleTemplate, "", "is not properly percent-encoded")
				return nil, "", false
			}
			b.WriteString(canonical(p.text))
			continue
		case p.text == "" || strings.Contains(p.text, "/"):
			fail(ruleTemplate, "write {name}", "has a variable without a proper name")
			return nil, "", false
		case slices.Contains(variables, p.text):
			fail(ruleTemplate, "a name stands for one value", "names the variable "+load.Quote(p.text)+" twice")
			return nil, "", false
		case i > 0 && parts[i-1].variable:
			fail(ruleTemplate, "put text between them", "has two variables side by side")
			return nil, "", false
		}
		variables = append(variables, p.text)
		b.WriteString("{}")
	}
	return variables, b.String(), true
}
