package types

// maxFields bounds how many fields a struct has with those of the structs it
// contains. A few dozen schemas can be made to ask for more than fit into any
// memory, or than a compiler counts in a lifetime.
const maxFields = 4096

// A boxer decides which fields are pointers to their structs.
type boxer struct {
	state  map[*decl]int
	fields map[*decl]int // with those of contained structs
}

// box makes a pointer of each field by which a struct would contain itself or
// grow beyond bounds.
func box(decls []*decl) {
	b := &boxer{state: map[*decl]int{}, fields: map[*decl]int{}}
	for _, d := range decls {
		b.walk(d)
	}
}

const (
	walking = 1
	walked  = 2
)

// walk follows what d contains by value and boxes what leads back.
func (b *boxer) walk(d *decl) {
	if b.state[d] != 0 {
		return
	}
	b.state[d] = walking
	total := len(d.fields)
	for i := range d.fields {
		f := &d.fields[i]
		inner := contained(f.use)
		if inner == nil || f.pointer() {
			continue
		}
		b.walk(inner)
		if b.state[inner] == walking || total+b.fields[inner] > maxFields {
			f.boxed = true
			continue
		}
		total += b.fields[inner]
	}
	b.state[d], b.fields[d] = walked, total
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
