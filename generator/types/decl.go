package types

import (
	"strings"

	"github.com/gatewright/gatewright/generator/model"
)

// A useKind tells how a type is written where it is used.
type useKind int

const (
	rawUse    useKind = iota // any JSON value: jsontext.Value
	scalarUse                // a type of Go or of the runtime
	namedUse                 // a declaration
	listUse                  // a slice
	dictUse                  // a map from member names
)

// A use is a type as a field, an element or an operation uses it. Its zero
// value is any JSON.
type use struct {
	kind     useKind
	typ      string // scalarUse: the schema's type and, if it has a Go type of its own, format
	format   string
	decl     *decl
	elem     *use
	nullable bool // null is a value of it
}

// nillable tells whether nil is already a value of the Go type.
func (u use) nillable() bool {
	switch u.kind {
	case namedUse:
		return u.decl.nillable()
	case scalarUse:
		return u.format == "byte"
	}
	return true
}

// A form tells what a declaration declares.
type form int

const (
	otherName form = iota // another name for, or a type made of, another type
	structure
	enumeration
	union // one of several declarations, perhaps with fields of its own
)

// A decl is one Go type of the generated file.
type decl struct {
	name       string // its Go name
	source     string // its name in the document, which a discriminator may use; "" if it has none
	location   string
	pos        model.Position
	doc        string
	deprecated bool
	nullable   bool

	form    form
	same    use         // otherName
	fields  []field     // structure, union
	extra   *use        // structure: type of the members that are no field; nil: there are none
	base    use         // enumeration
	values  []enumValue // enumeration
	members []*decl     // union
	tag     *discriminator
}

// A field is one member of an object.
type field struct {
	name       string // in Go
	json       string
	use        use
	required   bool
	boxed      bool // a pointer, since the struct would contain itself
	doc        string
	deprecated bool
}

// pointer tells whether the field is a pointer to its type: absent and null
// must be told from the zero value. For types that have a nil, nil says so;
// only a member that must be there and may be null needs both.
func (f field) pointer() bool {
	if f.use.nillable() {
		return f.required && f.use.nullable && f.use.kind != rawUse
	}
	return f.boxed || !f.required || f.use.nullable
}

// An enumValue is one value of an enumeration.
type enumValue struct {
	suffix string // what follows the type's name in the constant's
	value  any    // string or int64
}

// A discriminator names the member of an object that tells which of a union's
// declarations it is.
type discriminator struct {
	property string
	mapping  []mapping
}

// A mapping is one value of a discriminator.
type mapping struct {
	value  string
	member *decl
}

// nillable tells whether nil is a value of the Go type.
func (d *decl) nillable() bool {
	seen := map[*decl]bool{}
	for at := d; at.form == otherName && !seen[at]; at = at.same.decl {
		if at.same.kind != namedUse {
			return at.same.nillable()
		}
		seen[at] = true
	}
	return false
}

// label names the declaration in a message.
func (d *decl) label() string {
	if d.source != "" {
		return d.source
	}
	return d.name
}

// comment gives what stands behind the name in the doc comment.
func (d *decl) comment() string {
	if d.doc != "" {
		return d.doc
	}
	_, pointer, _ := strings.Cut(d.location, "#")
	return comment("is the schema at #" + pointer + ".")
}

// giveUp makes the declaration another name for raw JSON.
func (d *decl) giveUp() { d.form, d.same = otherName, use{} }
