package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/internal/ecma"
)

// A keywordFunc puts one keyword into n. v is its value, at is where that lies.
type keywordFunc func(b *builder, n *node, v *value, at string)

// keywords are all that a check enforces.
var keywords map[string]keywordFunc

func init() {
	keywords = map[string]keywordFunc{
		"$defs":                compileDefs,
		"definitions":          compileDefs,
		"$ref":                 compileRef,
		"type":                 compileType,
		"enum":                 compileEnum,
		"const":                compileConst,
		"minLength":            count(func(n *node) **int { return &n.strings().min }),
		"maxLength":            count(func(n *node) **int { return &n.strings().max }),
		"pattern":              compilePattern,
		"minimum":              bound(func(n *node) **limit { return &n.numbers().min }),
		"maximum":              bound(func(n *node) **limit { return &n.numbers().max }),
		"exclusiveMinimum":     bound(func(n *node) **limit { return &n.numbers().above }),
		"exclusiveMaximum":     bound(func(n *node) **limit { return &n.numbers().below }),
		"multipleOf":           compileMultipleOf,
		"minItems":             count(func(n *node) **int { return &n.arrays().min }),
		"maxItems":             count(func(n *node) **int { return &n.arrays().max }),
		"uniqueItems":          compileUnique,
		"items":                one(func(n *node) **node { return &n.arrays().items }),
		"prefixItems":          list(func(n *node) *[]*node { return &n.arrays().prefix }),
		"minProperties":        count(func(n *node) **int { return &n.objects().min }),
		"maxProperties":        count(func(n *node) **int { return &n.objects().max }),
		"required":             compileRequired,
		"properties":           compileProperties,
		"patternProperties":    compilePatternProperties,
		"additionalProperties": one(func(n *node) **node { return &n.objects().additional }),
		"propertyNames":        one(func(n *node) **node { return &n.objects().names }),
		"allOf":                list(func(n *node) *[]*node { return &n.allOf }),
		"anyOf":                list(func(n *node) *[]*node { return &n.anyOf }),
		"oneOf":                list(func(n *node) *[]*node { return &n.oneOf }),
		"not":                  one(func(n *node) **node { return &n.not }),
		"if":                   one(func(n *node) **node { return &n.cond }),
		"then":                 one(func(n *node) **node { return &n.then }),
		"else":                 one(func(n *node) **node { return &n.other }),
	}
}

func (n *node) strings() *stringRules {
	if n.str == nil {
		n.str = &stringRules{}
	}
	return n.str
}

func (n *node) numbers() *numberRules {
	if n.num == nil {
		n.num = &numberRules{}
	}
	return n.num
}

func (n *node) arrays() *arrayRules {
	if n.arr == nil {
		n.arr = &arrayRules{}
	}
	return n.arr
}

func (n *node) objects() *objectRules {
	if n.obj == nil {
		n.obj = &objectRules{}
	}
	return n.obj
}

// count makes the function of a keyword that is a number of things.
func count(field func(*node) **int) keywordFunc {
	return func(b *builder, n *node, v *value, at string) {
		d, ok := v.decimal()
		c, whole := d.count()
		if !ok || !whole {
			b.fail(at, "want a whole number that is not negative")
			return
		}
		*field(n) = &c
	}
}

// bound makes the function of a keyword that is any number.
func bound(field func(*node) **limit) keywordFunc {
	return func(b *builder, n *node, v *value, at string) {
		d, ok := v.decimal()
		if !ok {
			b.fail(at, "want a number")
			return
		}
		*field(n) = &limit{value: d, text: v.text}
	}
}

// decimal returns the number that v is.
func (v *value) decimal() (decimal, bool) {
	if v.kind != '0' {
		return decimal{}, false
	}
	return parseDecimal(v.raw)
}

// one makes the function of a keyword that is a schema.
func one(field func(*node) **node) keywordFunc {
	return func(b *builder, n *node, v *value, at string) { *field(n) = b.node(v, at) }
}

// list makes the function of a keyword that is a list of schemas.
func list(field func(*node) *[]*node) keywordFunc {
	return func(b *builder, n *node, v *value, at string) {
		if v.kind != '[' || len(v.list) == 0 {
			b.fail(at, "want a list of schemas that is not empty")
			return
		}
		for i, item := range v.list {
			*field(n) = append(*field(n), b.node(item, fmt.Sprintf("%s/%d", at, i)))
		}
	}
}

func compileDefs(b *builder, _ *node, v *value, at string) {
	if v.kind != '{' {
		b.fail(at, "want an object of schemas")
	}
	for _, m := range v.obj {
		b.node(m.value, at+"/"+escape(m.name))
	}
}

func compileRef(b *builder, n *node, v *value, at string) {
	if v.kind != '"' {
		b.fail(at, "want a string")
		return
	}
	n.ref = b.reference(v.text, at)
}

func compileType(b *builder, n *node, v *value, at string) {
	names := v.list
	if v.kind == '"' {
		names = []*value{v}
	}
	var words []string
	for _, name := range names {
		k, ok := kindNames[name.text]
		if !ok || name.kind != '"' {
			b.fail(at, "want null, boolean, object, array, string, number or integer")
			return
		}
		n.types |= k
		words = append(words, name.text)
	}
	if len(words) == 0 {
		b.fail(at, "want a type or a list of types that is not empty")
	}
	n.typeText = strings.Join(words, " or ")
}

func compileEnum(b *builder, n *node, v *value, at string) {
	if v.kind != '[' {
		b.fail(at, "want a list of values")
		return
	}
	n.values = constantsOf(v.list)
}

func compileConst(_ *builder, n *node, v *value, _ string) {
	n.only = constantsOf([]*value{v})
}

func constantsOf(list []*value) *constants {
	c := &constants{texts: map[string]bool{}}
	for _, v := range list {
		c.kinds |= kindOf(v.kind)
		marks, err := scan(v.raw, maxDocumentDepth)
		if err != nil {
			panic("schema: " + err.Error()) // it is a part of what scan has accepted
		}
		c.texts[string(canonical(nil, v.raw, marks, 0))] = true
	}
	return c
}

func compilePattern(b *builder, n *node, v *value, at string) {
	if v.kind != '"' {
		b.fail(at, "want a string")
		return
	}
	re, err := ecma.Compile(v.text)
	if err != nil {
		b.fail(at, "%v", err)
		return
	}
	n.strings().pattern = re
}

func compileMultipleOf(b *builder, n *node, v *value, at string) {
	d, ok := v.decimal()
	if !ok || d.sign() <= 0 {
		b.fail(at, "want a number greater than 0")
		return
	}
	n.numbers().multipleOf = &limit{value: d, text: v.text}
}

func compileUnique(b *builder, n *node, v *value, at string) {
	if v.kind != 't' && v.kind != 'f' {
		b.fail(at, "want true or false")
		return
	}
	n.arrays().unique = v.kind == 't'
}

func compileRequired(b *builder, n *node, v *value, at string) {
	notString := func(v *value) bool { return v.kind != '"' }
	if v.kind != '[' || slices.ContainsFunc(v.list, notString) {
		b.fail(at, "want a list of names")
		return
	}
	rules := n.objects()
	rules.place = map[string]int{}
	for _, name := range v.list {
		if _, twice := rules.place[name.text]; !twice {
			rules.place[name.text] = len(rules.required)
			rules.required = append(rules.required, name.text)
		}
	}
}

func compileProperties(b *builder, n *node, v *value, at string) {
	if v.kind != '{' {
		b.fail(at, "want an object of schemas")
		return
	}
	rules := n.objects()
	rules.known = map[string]*node{}
	for _, m := range v.obj {
		rules.known[m.name] = b.node(m.value, at+"/"+escape(m.name))
	}
}

func compilePatternProperties(b *builder, n *node, v *value, at string) {
	if v.kind != '{' {
		b.fail(at, "want an object of schemas")
		return
	}
	for _, m := range v.obj {
		inner := at + "/" + escape(m.name)
		re, err := ecma.Compile(m.name)
		if err != nil {
			b.fail(inner, "%v", err)
			continue
		}
		n.objects().patterns = append(n.objects().patterns, patternNode{re, b.node(m.value, inner)})
	}
}
