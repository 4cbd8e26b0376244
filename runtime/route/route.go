// Package route finds the operation that a request asks for. One table holds
// every operation, and one match yields the handler and the policy together,
// so that they cannot come apart.
//
// # What matches
//
// The path is taken as it was sent, split at each "/", and only then decoded
// segment by segment: an encoded slash stays inside its segment. Nothing is
// cleaned, completed or redirected. Empty segments, "." and ".." are text like
// any other, and a slash at the end makes another path.
//
// A template is written as in OpenAPI. A variable takes one or more characters
// of one segment. Several may stand in one segment, beside literal text:
// /{id}.json, /{id}:cancel, /{from}-{to}. There each variable, from the left,
// takes as few characters as let the rest of the segment match: {a}-{b} reads
// "x-y-z" as "x" and "y-z". Literal text may be percent-encoded and is compared
// decoded, case and all.
//
// # Which match counts
//
// Templates are compared segment by segment from the left: a literal segment
// comes before one of text and variables, and that before a lone variable.
// Among segments of text and variables the one with more bytes of text comes
// first, then the one whose text sorts first with the names of its variables
// left out. Where the first candidate fails further right, the next is tried.
//
// The template is chosen whatever the method. A method that it lacks is
// answered 405, even if a looser template has it. HEAD follows GET, handler
// and policy, unless the operations declare a HEAD there.
package route

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/problem"
)

// Vars are the values of a path's variables, decoded, in the template's order.
type Vars []Var

// A Var is one variable of a path. Value is never empty. It may be any text,
// "..", a slash or bytes that are not UTF-8 included.
type Var struct{ Name, Value string }

// Get returns the value of the variable of that name, or "".
func (v Vars) Get(name string) string {
	for i := range v {
		if v[i].Name == name {
			return v[i].Value
		}
	}
	return ""
}

// A Handler answers a request that the gate has let in. who is nil for a
// caller who is nobody.
type Handler func(w http.ResponseWriter, r *http.Request, vars Vars, who *gate.Principal)

// An Entry is one operation with what answers it.
type Entry struct {
	Operation *gate.Operation
	Handle    Handler
}

// A Table routes requests to operations through a gate. Its methods may be
// called concurrently.
type Table struct {
	gate     *gate.Gate
	root     *node
	depth    int // segments of the longest template
	patterns []string
}

// New makes the table of entries, each guarded by g. It reports all mistakes
// at once: patterns that cannot be read, and operations that claim one route,
// which are those of the same method whose templates differ at most in the
// names of their variables.
func New(g *gate.Gate, entries []Entry) (*Table, error) {
	t := &Table{gate: g, root: &node{}}
	var errs []error
	if g == nil {
		errs = append(errs, errors.New("route: no gate"))
	}
	for i := range entries {
		if err := t.add(entries[i]); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t.root.finish()
	slices.Sort(t.patterns)
	return t, nil
}

// add enters e, or says why it cannot be.
func (t *Table) add(e Entry) error {
	op := e.Operation
	if op == nil {
		return errors.New("route: an entry has no operation")
	}
	if e.Handle == nil {
		return fmt.Errorf("route: operation %q has no handler", op.ID)
	}
	p, err := parsePattern(op.Pattern)
	if err != nil {
		return fmt.Errorf("route: operation %q: pattern %q: %w", op.ID, op.Pattern, err)
	}
	n := t.root
	for _, seg := range p.segments {
		n = n.child(seg)
	}
	if other, taken := n.routes[p.method]; taken {
		return fmt.Errorf("route: operations %q (%s) and %q (%s) claim one route",
			other.entry.Operation.ID, other.entry.Operation.Pattern, op.ID, op.Pattern)
	}
	if n.routes == nil {
		n.routes = make(map[string]*route)
	}
	n.routes[p.method] = &route{entry: e, names: p.names}
	t.depth = max(t.depth, len(p.segments))
	t.patterns = append(t.patterns, op.Pattern)
	return nil
}

// Patterns returns the patterns of all operations, sorted. A HEAD that follows
// from GET is not among them.
func (t *Table) Patterns() []string { return slices.Clone(t.patterns) }

// ServeHTTP answers 404 for an unknown path, 405 for a method that the path
// lacks, and else asks the gate before it calls the operation's handler.
func (t *Table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := t.Match(r.Method, r.URL.EscapedPath())
	if m.Entry == nil && m.Allow == "" {
		problem.Write(w, r, problem.New(http.StatusNotFound, "not_found", "There is nothing at this path."))
		return
	}
	if m.Entry == nil {
		w.Header().Set("Allow", m.Allow)
		problem.Write(w, r, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take the method."))
		return
	}
	who, ok := t.gate.Admit(w, r, m.Entry.Operation)
	if !ok {
		return
	}
	m.Entry.Handle(w, r, m.Vars, who)
}
