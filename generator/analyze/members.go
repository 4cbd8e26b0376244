package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// rootMembers and operationMembers are what OpenAPI 3.0, 3.1 and 3.2 know at
// the top of a document and in an Operation Object. Nothing else is taken
// there but extensions: of a member that is skipped nobody can tell what its
// author relied on.
var (
	rootMembers = []string{
		"$self", "components", "externalDocs", "info", "jsonSchemaDialect", "openapi", "paths", "security", "servers", "tags", "webhooks",
	}
	operationMembers = []string{
		"callbacks", "deprecated", "description", "externalDocs", "operationId", "parameters", "requestBody", "responses", "security",
		"servers", "summary", "tags",
	}
)

// members checks the names of n's members, of which known are understood.
func (a *analyzer) members(n *load.Node, known []string) {
	for _, m := range n.Members {
		rest, extension := strings.CutPrefix(m.Key, "x-")
		switch {
		case slices.Contains(known, m.Key):
		case extension:
			a.extensionName(m, rest)
		case meansSecurity(m.Key, 2):
			a.add(model.Diagnostic{Rule: ruleMisspelt, Pos: m.KeyPos, Help: "write security, or take it out",
				Message: fmt.Sprintf("member %s looks like security, and means nothing", load.Quote(m.Key))})
		default:
			a.add(model.Diagnostic{Rule: ruleMember, Pos: m.KeyPos, Help: "take it out, or put x- before its name" + orNearest(m.Key, known),
				Message: fmt.Sprintf("OpenAPI has no member %s here, and it means nothing", load.QuoteASCII(m.Key))})
		}
	}
}

// extensionName checks the name of an extension; rest is what follows x-.
func (a *analyzer) extensionName(m load.Member, rest string) {
	switch {
	case strings.ContainsFunc(m.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		a.add(model.Diagnostic{Rule: ruleMember, Pos: m.KeyPos, Help: "use printable ASCII: other letters can look like these",
			Message: fmt.Sprintf("the name of extension %s is not plain", load.QuoteASCII(m.Key))})
	case meansSecurity(rest, 1):
		a.add(model.Diagnostic{Rule: ruleMisspelt, Pos: m.KeyPos, Help: "write security, or take it out",
			Message: fmt.Sprintf("extension %s looks like security, and means nothing", load.Quote(m.Key))})
	}
}

// securityWords are what authors take for the member security, or for
// components.securitySchemes.
var securityWords = []string{
	"security", "securities", "securityrequirement", "securityrequirements", "securityscheme", "securityschemes",
	"securitydefinition", "securitydefinitions", "authorization", "authentication",
}

// meansSecurity tells whether the letters of name are those of a word about
// security but for a few.
func meansSecurity(name string, few int) bool {
	letters := strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(name))
	return slices.ContainsFunc(securityWords, func(w string) bool { return load.Distance(letters, w) <= few })
}

// misplaced finds x-gatewright where it is not read.
func (a *analyzer) misplaced(n *load.Node) {
	if x := n.Get("x-gatewright"); x != nil {
		a.errorf(ruleKind, x, "it is read at security schemes and at operations", "x-gatewright means nothing here")
	}
}

// orNearest gives "; did you mean ...", or nothing.
func orNearest(want string, names []string) string {
	near := nearest(want, names)
	for i := range near {
		near[i] = load.Quote(near[i])
	}
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}
