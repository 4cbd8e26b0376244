package schema

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gatewright/gatewright/internal/ecma"
)

// A run is one check of one value.
type run struct {
	value      []byte
	marks      []mark
	quiet      int // > 0: only the outcome counts, nothing is reported
	violations []Violation
	path       []step
	seen       map[visit]outcome
	slow       time.Duration // spent in patterns that backtrack
	late       *string       // where they took too long; the outcome is then void
}

// A step leads from an array or object to what is inside.
type step struct {
	name  int32 // mark of the member's name; -1: an item
	index int
}

// A visit is a schema and the index of the value it is checked against.
type visit struct{ schema, at int32 }

type outcome uint8

const (
	valid   outcome = iota + 1
	invalid         // and not reported
	reported
)

// check tells whether the value at i is what n says. Where it is not, and
// quiet is 0, it says why.
func (r *run) check(n *node, i int32) bool {
	// Each referred schema is run at most twice over the same array or
	// object: otherwise a recursive schema with alternatives would take
	// time exponential in the depth of the value.
	if n.leaf || r.marks[i].next == i+1 {
		return r.apply(n, i)
	}
	v := visit{n.id, i}
	switch before := r.seen[v]; {
	case before == valid:
		return true
	case before == reported, before == invalid && r.quiet > 0:
		return false
	}
	ok := r.apply(n, i)
	if r.seen == nil {
		r.seen = map[visit]outcome{}
	}
	switch {
	case ok:
		r.seen[v] = valid
	case r.quiet > 0:
		r.seen[v] = invalid
	default:
		r.seen[v] = reported
	}
	return ok
}

// apply runs each group of n's keywords. It goes on after a violation only
// where that is of use.
func (r *run) apply(n *node, i int32) bool {
	if n.never {
		return r.fail("false", "is not allowed")
	}
	if !r.isType(n, i) {
		return false // what else is wrong follows from it
	}
	ok := true
	for _, group := range [...]func(*run, *node, int32) bool{
		(*run).constants, (*run).content, (*run).references, (*run).alternatives, (*run).condition,
	} {
		if !group(r, n, i) {
			if ok = false; r.done() {
				return false
			}
		}
	}
	return ok
}

// fail reports a violation at the present path, and is false.
func (r *run) fail(keyword, message string) bool {
	if r.quiet == 0 && len(r.violations) < maxViolations {
		r.violations = append(r.violations, Violation{Pointer: r.pointer(), Keyword: keyword, Message: message})
	}
	return false
}

// done tells whether nothing more will be reported.
func (r *run) done() bool { return r.quiet > 0 || len(r.violations) == maxViolations }

// matches tells whether the value at i is what n says, and reports nothing.
func (r *run) matches(n *node, i int32) bool {
	r.quiet++
	ok := r.check(n, i)
	r.quiet--
	return ok
}

// inside checks what the step leads to.
func (r *run) inside(s step, n *node, i int32) bool {
	r.path = append(r.path, s)
	ok := r.check(n, i)
	r.path = r.path[:len(r.path)-1]
	return ok
}

// maxPointer bounds Violation.Pointer, in bytes.
const maxPointer = 200

// unreadable returns the index of the first number whose exponent is beyond
// what a decimal holds; -1: there is none.
func (r *run) unreadable() int32 {
	for i, m := range r.marks {
		if m.kind != '0' {
			continue
		}
		if _, ok := parseDecimal(r.raw(int32(i))); !ok {
			return int32(i)
		}
	}
	return -1
}

// match matches a pattern. Those that backtrack share one limit for the whole
// run: else a list of texts would multiply it.
func (r *run) match(re *ecma.Regexp, content []byte) bool {
	if !re.Backtracks() {
		return re.Match(content)
	}
	ok := false
	if r.slow < ecma.Limit {
		start := time.Now()
		ok = re.Match(content)
		r.slow += time.Since(start)
	}
	// Whether a pattern that ran out of time would have matched is not
	// known, and under "not" either answer could let the value through.
	if r.slow >= ecma.Limit && r.late == nil {
		at := r.pointer()
		r.late = &at
	}
	return ok
}

// pointerOf writes the path to the value at the index target.
func (r *run) pointerOf(target int32) string {
	for i := int32(0); i != target; {
		s := step{name: -1}
		at := i + 1
		for ; ; s.index++ {
			inner := at
			if r.marks[i].kind == '{' {
				s.name, inner = at, at+1
			}
			at = r.marks[inner].next
			if target < at {
				i = inner
				break
			}
		}
		r.path = append(r.path, s)
	}
	return r.pointer()
}

// pointer writes the present path.
func (r *run) pointer() string {
	pointer := ""
	for _, s := range r.path {
		token := strconv.Itoa(s.index)
		if s.name >= 0 {
			token = escape(string(unquote(r.raw(s.name))))
		}
		if len(pointer)+1+len(token) > maxPointer {
			break
		}
		pointer += "/" + token
	}
	return pointer
}

// raw returns the text of the value at i.
func (r *run) raw(i int32) []byte { return r.value[r.marks[i].start:r.marks[i].end] }

// isType checks type.
func (r *run) isType(n *node, i int32) bool {
	k := kindOf(r.marks[i].kind)
	if n.types == 0 || n.types&k != 0 {
		return true
	}
	if k == number && n.types&integer != 0 {
		if d, _ := parseDecimal(r.raw(i)); d.integral() {
			return true
		}
	}
	return r.fail("type", "is not of type "+n.typeText)
}

// constants checks enum and const.
func (r *run) constants(n *node, i int32) bool {
	if n.values != nil && !r.among(n.values, i) {
		return r.fail("enum", "is none of the values allowed")
	}
	if n.only != nil && !r.among(n.only, i) {
		return r.fail("const", "is not the value allowed")
	}
	return true
}

func (r *run) among(c *constants, i int32) bool {
	return c.kinds&kindOf(r.marks[i].kind) != 0 && c.texts[string(canonical(nil, r.value, r.marks, i))]
}

// content checks what is meant for the value's own type.
func (r *run) content(n *node, i int32) bool {
	switch kind := r.marks[i].kind; {
	case kind == '"' && n.str != nil:
		return r.string(n.str, i)
	case kind == '0' && n.num != nil:
		return r.number(n.num, i)
	case kind == '[' && n.arr != nil:
		return r.array(n.arr, i)
	case kind == '{' && n.obj != nil:
		return r.object(n.obj, i)
	}
	return true
}

func (r *run) string(rules *stringRules, i int32) bool {
	content := unquote(r.raw(i))
	length := utf8.RuneCount(content)
	switch {
	case rules.min != nil && length < *rules.min:
		return r.fail("minLength", "is shorter than "+plural(*rules.min, "character", "characters"))
	case rules.max != nil && length > *rules.max:
		return r.fail("maxLength", "is longer than "+plural(*rules.max, "character", "characters"))
	case rules.pattern != nil && !r.match(rules.pattern, content):
		return r.fail("pattern", "does not have the form required")
	}
	return true
}

func (r *run) number(rules *numberRules, i int32) bool {
	d, _ := parseDecimal(r.raw(i))
	first := func(keyword, message string, l *limit, broken func(decimal) bool) bool {
		return l == nil || !broken(l.value) || r.fail(keyword, message+l.text)
	}
	return first("minimum", "is less than ", rules.min, func(l decimal) bool { return d.cmp(l) < 0 }) &&
		first("maximum", "is greater than ", rules.max, func(l decimal) bool { return d.cmp(l) > 0 }) &&
		first("exclusiveMinimum", "is not greater than ", rules.above, func(l decimal) bool { return d.cmp(l) <= 0 }) &&
		first("exclusiveMaximum", "is not less than ", rules.below, func(l decimal) bool { return d.cmp(l) >= 0 }) &&
		first("multipleOf", "is not a multiple of ", rules.multipleOf, func(l decimal) bool { return !d.multipleOf(l) })
}

// plural writes a number of things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
