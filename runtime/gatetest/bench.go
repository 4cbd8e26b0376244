package gatetest

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/schema"
)

// A bench holds a handler and all that it takes to ask it.
type bench struct {
	api     API
	handler http.Handler
	ring    *keyring
	fakes   map[string]*Fake  // by scheme; schemes without one have real verifiers
	routes  any               // the handler that New returned
	papers  map[string]*paper // those made so far
	ran     []call            // operations that ran since the last request began
	checks  *schema.Program   // nil where the API has none
	unsure  map[string]bool   // operations whose handler no request was seen to reach, by ID
	errs    []error           // what kept a probe from being made
	quiet   *slog.Logger      // the default logger before
}

// A call is one run of an operation.
type call struct {
	operation string
	who       *gate.Principal
}

// newBench builds the handler, which verifies what ring makes with the verifiers of ring.
func newBench(api API, ring *keyring) (*bench, error) {
	b := &bench{api: api, ring: ring, fakes: make(map[string]*Fake), papers: make(map[string]*paper), unsure: make(map[string]bool)}
	var errs []error
	for _, s := range api.Schemes {
		switch {
		case len(s.Places) == 0:
			errs = append(errs, fmt.Errorf("gatetest: scheme %q has no place", s.Name))
		case isSession(s) && cookieOf([]Scheme{s}) == "":
			errs = append(errs, fmt.Errorf("gatetest: scheme %q takes sessions and has no cookie", s.Name))
		case s.Verifier == "custom" || s.Verifier == "undecided":
			b.fakes[s.Name] = NewFake(s)
		}
	}
	for _, op := range api.Operations {
		for _, n := range slices.Concat(op.Alternatives...) {
			if !slices.ContainsFunc(api.Schemes, func(s Scheme) bool { return s.Name == n.Scheme }) {
				errs = append(errs, fmt.Errorf("gatetest: operation %q needs scheme %q, which is not among the schemes", op.ID, n.Scheme))
			}
		}
	}
	if api.Checks != "" {
		var err error
		if b.checks, err = schema.Compile([]byte(api.Checks)); err != nil {
			errs = append(errs, fmt.Errorf("gatetest: checks: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	auth := make(map[string]gate.Authenticator)
	for _, s := range api.Schemes {
		if f := b.fakes[s.Name]; f != nil {
			auth[s.Name] = f
		} else {
			auth[s.Name] = ring.authenticator(s)
		}
	}
	var err error
	b.handler, err = api.New(auth, func(operation string, who *gate.Principal) { b.ran = append(b.ran, call{operation, who}) })
	if err == nil && b.handler == nil {
		err = errors.New("gatetest: New returned no handler")
	}
	if err != nil {
		return nil, err
	}
	b.routes = b.handler
	if p := ring.porter; p != nil {
		b.handler = p.sessions.Handler(b.handler) // as package login does
	}
	// Thousands of refusals, all of them wanted, would bury what went wrong.
	b.quiet = slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	return b, nil
}

// close gives back what newBench took.
func (b *bench) close() { slog.SetDefault(b.quiet) }

// checkRoutes compares the handler's routes with the document's.
func (b *bench) checkRoutes() []error {
	lister, ok := b.routes.(interface{ Patterns() []string })
	if !ok {
		return []error{errors.New("the handler does not list its routes: it has no method Patterns() []string")}
	}
	there := make(map[string]bool)
	var errs []error
	for _, p := range lister.Patterns() {
		there[p] = true
	}
	for _, op := range b.api.Operations {
		pattern := op.Method + " " + op.Path
		if !there[pattern] {
			errs = append(errs, fmt.Errorf("operation %q has no route %s", op.ID, pattern))
		}
		delete(there, pattern)
	}
	for _, p := range slices.Sorted(maps.Keys(there)) {
		errs = append(errs, fmt.Errorf("the document has no route %s", p))
	}
	return errs
}

// checkDeclared compares the server's security schemes with the document's.
func (b *bench) checkDeclared() []error {
	var errs []error
	for _, s := range b.api.Schemes {
		i := slices.IndexFunc(b.api.Declared, func(d gate.Scheme) bool { return d.Name == s.Name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("scheme %q is not declared", s.Name))
			continue
		}
		if got := b.api.Declared[i].Places; !slices.Equal(got, s.Places) {
			errs = append(errs, fmt.Errorf("scheme %q is declared with the places %v, want %v", s.Name, got, s.Places))
		}
	}
	for i, d := range b.api.Declared {
		named := func(name string) bool { return name == d.Name }
		if !slices.ContainsFunc(b.api.Schemes, func(s Scheme) bool { return named(s.Name) }) {
			errs = append(errs, fmt.Errorf("the document has no scheme %q", d.Name))
		}
		if slices.ContainsFunc(b.api.Declared[:i], func(before gate.Scheme) bool { return named(before.Name) }) {
			errs = append(errs, fmt.Errorf("scheme %q is declared twice", d.Name))
		}
	}
	return errs
}

// allow returns the methods that op's path takes, sorted, HEAD with GET.
func (b *bench) allow(op Operation) []string {
	methods := make(map[string]bool)
	for _, other := range b.api.Operations {
		if shape(other.Path) == shape(op.Path) {
			methods[other.Method] = true
			if other.Method == http.MethodGet {
				methods[http.MethodHead] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(methods))
}

// shape is a template without the names of its variables.
func shape(template string) string { return fill(template, "{}") }

// fill puts value in place of each variable of a template.
func fill(template, value string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString(value)
		_, template, _ = strings.Cut(rest, "}")
	}
}

// path returns a path that leads to op and to no other template. A value of
// one character fits variables of most types, and no template with text beside
// its variables; that it is not the text of a segment is seen to.
func (b *bench) path(op Operation) string {
	for _, value := range []string{"7", "8", "9", "3", "4", "5", "6", "2", "1"} {
		literal := func(other Operation) bool {
			return slices.Contains(strings.Split(other.Path, "/"), value)
		}
		if !slices.ContainsFunc(b.api.Operations, literal) {
			return fill(op.Path, value)
		}
	}
	return fill(op.Path, "q")
}
