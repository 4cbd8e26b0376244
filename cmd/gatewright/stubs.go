package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/emit"
)

// tellStubs prints the methods that the application lacks for operations that
// were not generated before, ready to be pasted, and those of its methods that
// no operation needs any more. The user's files are never edited. before are
// the methods of the Unimplemented that stood there, nil if there was none.
func tellStubs(w io.Writer, dir string, before map[string]bool, settings generator.Settings, res *generator.Result) {
	impl := generator.FindImplementation(dir, settings.Package)
	if impl == nil || before == nil {
		return
	}
	wanted := make(map[string]bool)
	for i := range res.API.Operations {
		op := &res.API.Operations[i]
		wanted[op.GoName] = true
		if !impl.Methods[op.GoName] && !before[op.GoName] {
			fmt.Fprintf(w, "\n%s lacks a new operation, which answers 501 until this is written:\n\n%s",
				impl.Type, emit.Stub(settings.Package, impl.Type, res.API, op))
		}
	}
	for _, method := range slices.Sorted(maps.Keys(impl.Methods)) {
		if before[method] && !wanted[method] {
			fmt.Fprintf(w, "\n%s.%s answers no operation of the document any more.\n", impl.Type, method)
		}
	}
}
