package model

import (
	"cmp"
	"slices"
)

// A Severity tells whether a diagnostic stops the generator.
type Severity int

const (
	Error   Severity = iota // nothing is generated
	Warning                 // told, and generation goes on
)

// String gives error or warning.
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// A Diagnostic is one finding about a document: where, what, and a way out.
type Diagnostic struct {
	Rule     string // GW001
	Severity Severity
	Pos      Position
	Subject  string // operation id or scheme the finding is about, or ""
	Message  string // one line, lower case, no document text that is not quoted
	Help     string // what to do about it; "" where the message says it
	Excerpt  string // the source line, shortened; filled by load.Document.Excerpt
}

// Sort puts diagnostics into their stable order: errors and warnings together,
// by file, line, column, rule and message.
func Sort(ds []Diagnostic) {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Subject, b.Subject),
			cmp.Compare(a.Message, b.Message),
		)
	})
}

// HasErrors tells whether any of ds stops the generator.
func HasErrors(ds []Diagnostic) bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}
