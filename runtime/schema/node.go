package schema

import (
	"github.com/gatewright/gatewright/internal/ecma"
	"github.com/go-json-experiment/json/jsontext"
)

// A node is one compiled schema. A nil pointer and an empty slice mean that
// the keyword is not there.
type node struct {
	id      int32
	pointer string
	never   bool // the schema false
	leaf    bool // it holds no other schema

	types    kinds // 0: any
	typeText string
	values   *constants // enum
	only     *constants // const

	str *stringRules
	num *numberRules
	arr *arrayRules
	obj *objectRules

	ref               *node
	allOf             []*node
	anyOf, oneOf      []*node
	not               *node
	cond, then, other *node
}

// kinds is a set of JSON types.
type kinds uint8

const (
	null kinds = 1 << iota
	boolean
	object
	array
	text
	number  // any number
	integer // a number without a fraction; number includes it
	anyKind = null | boolean | object | array | text | number
)

// kindNames are the words of the keyword type.
var kindNames = map[string]kinds{
	"null": null, "boolean": boolean, "object": object, "array": array,
	"string": text, "number": number, "integer": integer,
}

// kindOf gives the one type of a token, number for all numbers.
func kindOf(k jsontext.Kind) kinds {
	switch k {
	case 'n':
		return null
	case 't', 'f':
		return boolean
	case '"':
		return text
	case '0':
		return number
	case '[':
		return array
	default:
		return object
	}
}

// constants are the values of enum or const, in canonical form.
type constants struct {
	kinds kinds
	texts map[string]bool
}

// A limit is a bound of the schema with its text as written there.
type limit struct {
	value decimal
	text  string
}

type stringRules struct {
	min, max *int
	pattern  *ecma.Regexp
}

type numberRules struct {
	min, max, above, below, multipleOf *limit
}

type arrayRules struct {
	min, max *int
	unique   bool
	prefix   []*node
	items    *node
}

type objectRules struct {
	min, max   *int
	names      *node // propertyNames
	known      map[string]*node
	patterns   []patternNode
	additional *node
	required   []string
	// place gives each required name its index in required.
	place map[string]int
}

type patternNode struct {
	pattern *ecma.Regexp
	node    *node
}

// admits tells which types of value n can accept at all, by its type, enum
// and const, and those of what it refers to.
func (n *node) admits() kinds {
	if n.never {
		return 0
	}
	set := anyKind
	if n.types != 0 {
		set &= n.types.whole()
	}
	if n.values != nil {
		set &= n.values.kinds
	}
	if n.only != nil {
		set &= n.only.kinds
	}
	if n.ref != nil {
		set &= n.ref.admits()
	}
	for _, part := range n.allOf {
		set &= part.admits()
	}
	return set
}

// whole turns integer into number.
func (k kinds) whole() kinds {
	if k&integer != 0 {
		k = k&^integer | number
	}
	return k
}
