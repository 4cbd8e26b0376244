package route

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Match is what a method and a path lead to.
type Match struct {
	// Entry is the operation, nil where none answers.
	Entry *Entry
	// Vars are the values of the path's variables under the names that this
	// operation gives them.
	Vars Vars
	// Allow is set where the path is known and the method is not: the
	// methods that the path takes, as the Allow header lists them (RFC 9110,
	// section 10.2.1).
	Allow string
}

// Match finds the operation for a method and the path as url.URL.EscapedPath
// gives it. A path that does not begin with "/" or is not properly encoded
// leads nowhere.
func (t *Table) Match(method, escapedPath string) Match {
	rest, ok := strings.CutPrefix(escapedPath, "/")
	if !ok {
		return Match{}
	}
	// Counted before splitting, so that a path of a million slashes costs
	// no memory.
	if strings.Count(rest, "/") >= t.depth {
		return Match{}
	}
	var segmentBuf, valueBuf [12]string
	segments := segmentBuf[:0]
	for more := true; more; {
		var s string
		s, rest, more = strings.Cut(rest, "/")
		s, err := url.PathUnescape(s)
		if err != nil {
			return Match{}
		}
		segments = append(segments, s)
	}
	n, values := t.root.find(segments, valueBuf[:0])
	if n == nil {
		return Match{}
	}
	r, ok := n.routes[method]
	if !ok {
		return Match{Allow: n.allow}
	}
	if len(values) == 0 {
		return Match{Entry: &r.entry}
	}
	vars := make(Vars, len(values))
	for i, v := range values {
		vars[i] = Var{Name: r.names[i], Value: v}
	}
	return Match{Entry: &r.entry, Vars: vars}
}

// Answers tells whether a template matches the path, whatever the method; the
// path is as for Match.
func (t *Table) Answers(escapedPath string) bool {
	m := t.Match(http.MethodGet, escapedPath)
	return m.Entry != nil || m.Allow != ""
}

// A route is one entry with its own names for the template's variables.
type route struct {
	entry Entry
	names []string
}

// A node is what follows one beginning of paths. Templates that differ only in
// the names of variables share their nodes.
type node struct {
	literals map[string]*node
	mixed    []branch // in the order of precedence, once finished
	variable *node    // a segment that is one variable

	routes map[string]*route // by method; none: no template ends here
	allow  string
}

// A branch is a segment of text and variables with what follows it.
type branch struct {
	segment segment
	next    *node
}

// child returns the node after seg, made if need be.
func (n *node) child(seg segment) *node {
	switch {
	case seg.isLiteral():
		next := n.literals[seg.prefix]
		if next == nil {
			next = &node{}
			if n.literals == nil {
				n.literals = make(map[string]*node)
			}
			n.literals[seg.prefix] = next
		}
		return next
	case seg.isVariable():
		if n.variable == nil {
			n.variable = &node{}
		}
		return n.variable
	}
	for _, b := range n.mixed {
		if b.segment.equal(seg) {
			return b.next
		}
	}
	next := &node{}
	n.mixed = append(n.mixed, branch{seg, next})
	return next
}

// finish puts the branches below n in order, and gives HEAD to whoever has GET.
func (n *node) finish() {
	if get, ok := n.routes[http.MethodGet]; ok && n.routes[http.MethodHead] == nil {
		n.routes[http.MethodHead] = get
	}
	n.allow = strings.Join(slices.Sorted(maps.Keys(n.routes)), ", ")
	slices.SortFunc(n.mixed, func(a, b branch) int {
		return cmp.Or(
			cmp.Compare(b.segment.textLen(), a.segment.textLen()),
			cmp.Compare(a.segment.shape(), b.segment.shape()),
		)
	})
	for _, next := range n.literals {
		next.finish()
	}
	for _, b := range n.mixed {
		b.next.finish()
	}
	if n.variable != nil {
		n.variable.finish()
	}
}

// find returns the node where the best template for segments ends, and
// appends the variables' values to values; nil if no template matches. A node
// stands at one depth only, so that no request visits one twice.
func (n *node) find(segments, values []string) (*node, []string) {
	if len(segments) == 0 {
		if len(n.routes) == 0 {
			return nil, values
		}
		return n, values
	}
	s, rest := segments[0], segments[1:]
	if next := n.literals[s]; next != nil {
		if end, all := next.find(rest, values); end != nil {
			return end, all
		}
	}
	for i := range n.mixed {
		b := &n.mixed[i]
		if more, ok := b.segment.match(s, values); ok {
			if end, all := b.next.find(rest, more); end != nil {
				return end, all
			}
		}
	}
	if n.variable != nil && s != "" {
		return n.variable.find(rest, append(values, s))
	}
	return nil, values
}
