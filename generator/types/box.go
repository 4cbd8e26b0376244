package types

// box makes a pointer of each field by which a struct would contain itself.
func box(decls []*decl) {
	state := map[*decl]int{}
	for _, d := range decls {
		walk(d, state)
	}
}

const (
	walking = 1
	walked  = 2
)

// walk follows what d contains by value and boxes what leads back.
func walk(d *decl, state map[*decl]int) {
	state[d] = walking
	for i := range d.fields {
		f := &d.fields[i]
		inner := contained(f.use)
		if inner == nil || f.pointer() {
			continue
		}
		if state[inner] == walking {
			f.boxed = true
		} else if state[inner] == 0 {
			walk(inner, state)
		}
	}
	state[d] = walked
}

// contained gives the struct that a value of the type contains, or nil.
func contained(u use) *decl {
	seen := map[*decl]bool{}
	for u.kind == namedUse && !seen[u.decl] {
		if u.decl.form != otherName {
			return u.decl
		}
		seen[u.decl] = true
		u = u.decl.same
	}
	return nil
}
