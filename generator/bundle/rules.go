package bundle

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gatewright/gatewright/generator/model"
)

// The rules that this package's diagnostics name.
const (
	RuleUnenforced = "GW090" // a keyword is not yet enforced
	RuleBacktracks = "GW091" // a pattern needs an engine that backtracks
	RuleMalformed  = "GW092" // a keyword of a schema is malformed
	RuleLoop       = "GW093" // a schema is made of itself
)

func (b *builder) errorf(rule string, pos model.Position, help, format string, args ...any) {
	if help == "" {
		help = "write it as JSON Schema 2020-12 says; it cannot be enforced as it is"
	}
	b.diags = append(b.diags, model.Diagnostic{Rule: rule, Pos: pos, Message: fmt.Sprintf(format, args...), Help: help})
}

// ignore notes a keyword that is not enforced.
func (b *builder) ignore(keyword string, pos model.Position) {
	if b.ignored[keyword] == nil {
		b.ignored[keyword] = &ignored{first: pos}
	}
	b.ignored[keyword].count++
}

// warnIgnored reports each keyword that is not enforced once.
func (b *builder) warnIgnored() {
	for _, keyword := range slices.Sorted(maps.Keys(b.ignored)) {
		i := b.ignored[keyword]
		places := "1 place"
		if i.count > 1 {
			places = fmt.Sprintf("%d places, this is the first", i.count)
		}
		b.diags = append(b.diags, model.Diagnostic{
			Rule: RuleUnenforced, Severity: model.Warning, Pos: i.first,
			Message: fmt.Sprintf("keyword %q is not yet enforced in requests (%s)", keyword, places),
			Help:    "let the handler check what depends on it",
		})
	}
}
