package schema

import "strconv"

func (r *run) array(rules *arrayRules, i int32) bool {
	ok := true
	count := 0
	for at := i + 1; at < r.marks[i].next; at = r.marks[at].next {
		n := rules.items
		if count < len(rules.prefix) {
			n = rules.prefix[count]
		}
		if n != nil && !r.inside(step{name: -1, index: count}, n, at) {
			if ok = false; r.done() {
				return false
			}
		}
		count++
	}
	switch {
	case rules.min != nil && count < *rules.min:
		return r.fail("minItems", "has fewer than "+plural(*rules.min, "item", "items"))
	case rules.max != nil && count > *rules.max:
		return r.fail("maxItems", "has more than "+plural(*rules.max, "item", "items"))
	case rules.unique && !r.unique(i):
		return r.fail("uniqueItems", "has two items that are equal")
	}
	return ok
}

// unique tells whether no two items of the array at i are equal.
func (r *run) unique(i int32) bool {
	seen := map[string]bool{}
	for at := i + 1; at < r.marks[i].next; at = r.marks[at].next {
		item := string(canonical(nil, r.value, r.marks, at))
		if seen[item] {
			return false
		}
		seen[item] = true
	}
	return true
}

func (r *run) object(rules *objectRules, i int32) bool {
	ok := true
	count := 0
	given := make([]bool, len(rules.required))
	for at := i + 1; at < r.marks[i].next; at = r.marks[at+1].next {
		name := unquote(r.raw(at))
		if place, required := rules.place[string(name)]; required {
			given[place] = true
		}
		if !r.member(rules, name, at) {
			if ok = false; r.done() {
				return false
			}
		}
		count++
	}
	for place, is := range given {
		if !is {
			if ok = r.fail("required", "lacks the member "+strconv.Quote(rules.required[place])); r.done() {
				return false
			}
		}
	}
	switch {
	case rules.min != nil && count < *rules.min:
		return r.fail("minProperties", "has fewer than "+plural(*rules.min, "member", "members"))
	case rules.max != nil && count > *rules.max:
		return r.fail("maxProperties", "has more than "+plural(*rules.max, "member", "members"))
	}
	return ok
}

// member checks the member whose name, decoded, is at the mark at.
func (r *run) member(rules *objectRules, name []byte, at int32) bool {
	s := step{name: at}
	ok := true
	if rules.names != nil && !r.matches(rules.names, at) {
		ok = r.failAt(s, "propertyNames", "has a name that is not allowed")
	}
	n, listed := rules.known[string(name)]
	if listed && !r.inside(s, n, at+1) {
		ok = false
	}
	for _, p := range rules.patterns {
		if !r.match(p.pattern, name) {
			continue
		}
		listed = true
		if !r.inside(s, p.node, at+1) {
			ok = false
		}
	}
	switch {
	case listed || rules.additional == nil:
		return ok
	case rules.additional.never:
		return r.failAt(s, "additionalProperties", "is not a member that is allowed here")
	}
	return r.inside(s, rules.additional, at+1) && ok
}

// failAt reports a violation of what the step leads to, and is false.
func (r *run) failAt(s step, keyword, message string) bool {
	r.path = append(r.path, s)
	r.fail(keyword, message)
	r.path = r.path[:len(r.path)-1]
	return false
}

// references checks $ref and allOf.
func (r *run) references(n *node, i int32) bool {
	ok := n.ref == nil || r.check(n.ref, i)
	for _, part := range n.allOf {
		if !ok && r.done() {
			return false
		}
		ok = r.check(part, i) && ok
	}
	return ok
}

// alternatives checks anyOf, oneOf and not.
func (r *run) alternatives(n *node, i int32) bool {
	ok := true
	if n.anyOf != nil && r.count(n.anyOf, i, 1) == 0 {
		ok = r.none("anyOf", n.anyOf, i)
	}
	if n.oneOf != nil {
		switch r.count(n.oneOf, i, 2) {
		case 0:
			ok = r.none("oneOf", n.oneOf, i)
		case 2:
			ok = r.fail("oneOf", "matches more than one of the alternatives")
		}
	}
	if n.not != nil && r.matches(n.not, i) {
		ok = r.fail("not", "matches what is not allowed")
	}
	return ok
}

// count tells how many of the schemas the value at i matches, up to enough.
func (r *run) count(schemas []*node, i int32, enough int) int {
	count := 0
	for _, n := range schemas {
		if count < enough && r.matches(n, i) {
			count++
		}
	}
	return count
}

// none reports that no alternative matches. Where only one of them takes
// values of this type at all, what is wrong is said as if it stood alone:
// most often the other one is null.
func (r *run) none(keyword string, schemas []*node, i int32) bool {
	var fitting []*node
	for _, n := range schemas {
		if n.admits()&kindOf(r.marks[i].kind) != 0 {
			fitting = append(fitting, n)
		}
	}
	if r.quiet == 0 && len(fitting) == 1 {
		return r.check(fitting[0], i)
	}
	return r.fail(keyword, "matches none of the alternatives")
}

// condition checks if, then and else.
func (r *run) condition(n *node, i int32) bool {
	if n.cond == nil {
		return true
	}
	branch := n.other
	if r.matches(n.cond, i) {
		branch = n.then
	}
	return branch == nil || r.check(branch, i)
}
