// Package types turns the schemas of a document into Go types. It reads the
// document into declarations of its own (struct, enumeration, union or
// another name for a type), hands those to oapi-codegen, which prints them,
// and then makes the printed code fit json/v2. A schema for which there is no
// Go type becomes jsontext.Value, with a warning that names the place.
package types

import (
	"fmt"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// RuleUntyped is the rule of warnings about schemas that became
// jsontext.Value.
const RuleUntyped = "GW094"

// A Config says how the generated file is named and what it must not name.
type Config struct {
	Package string // Go package name, a valid identifier
	Source  string // base name of the document, for the file's header
	// Reserved are the package-level names that other generated files
	// declare. A schema of such a name gets a number behind its own.
	Reserved []string
}

// Generate returns the file with the Go types of doc's component schemas and
// of every schema that api names, and fills their Go fields. What could not
// be typed is in the diagnostics, all of them warnings. The same document
// gives the same bytes. Generate may be called concurrently.
func Generate(doc *load.Document, api *model.API, cfg Config) ([]byte, []model.Diagnostic, error) {
	b := newBuilder(doc, cfg.Reserved)
	b.components()
	apply, err := b.assign(api)
	if err != nil {
		return nil, nil, err
	}
	box(b.decls)
	source, err := b.print(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("types: %w", err)
	}
	apply()
	model.Sort(b.diags)
	return source, b.diags, nil
}

// maxBroken bounds how many declarations are given up before the document as
// a whole is: each costs several runs of oapi-codegen.
const maxBroken = 16

// print gives the file of the declarations. A declaration that oapi-codegen
// refuses or that does not compile becomes raw JSON, and printing starts
// again.
func (b *builder) print(cfg Config) ([]byte, error) {
	for range maxBroken {
		source, err := file(b.decls, len(b.decls), cfg)
		if err == nil {
			return source, nil
		}
		culprit := b.culprit(cfg)
		if culprit == nil {
			return nil, err
		}
		b.warn(culprit.pos, culprit.label(), fmt.Sprintf("no Go type can be generated for it: %s", oneLine(err.Error())))
		culprit.giveUp()
	}
	return nil, fmt.Errorf("more than %d schemas cannot be generated", maxBroken)
}

// culprit finds the first declaration with which the file breaks although all
// before it are well: a binary search over how many of them are printed in
// full, the others being raw JSON.
func (b *builder) culprit(cfg Config) *decl {
	if _, err := file(b.decls, 0, cfg); err != nil {
		return nil
	}
	well, broken := 0, len(b.decls)
	for broken-well > 1 {
		middle := (well + broken) / 2
		if _, err := file(b.decls, middle, cfg); err == nil {
			well = middle
		} else {
			broken = middle
		}
	}
	return b.decls[broken-1]
}

// file prints the first full declarations as they are and the others as raw
// JSON, and checks that the result compiles.
func file(decls []*decl, full int, cfg Config) ([]byte, error) {
	text, err := generate(document(decls, full), cfg.Package)
	if err != nil {
		return nil, err
	}
	source, err := rewrite(text, cfg)
	if err != nil {
		return nil, err
	}
	if err := check(source); err != nil {
		return nil, err
	}
	return source, nil
}
