package bundle

import (
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
)

// A shape says what a keyword's value has to be.
type shape int

const (
	oneSchema shape = iota + 1
	schemaList
	schemaMap
	types
	anyValue
	valueList
	aCount
	aNumber
	aPositive
	aFlag
	aPattern
	nameList
)

// enforced are the keywords that the runtime's package schema checks, by what
// their values are. $ref stands apart.
var enforced = map[string]shape{
	"type": types, "enum": valueList, "const": anyValue,
	"minLength": aCount, "maxLength": aCount, "pattern": aPattern,
	"minimum": aNumber, "maximum": aNumber, "exclusiveMinimum": aNumber, "exclusiveMaximum": aNumber, "multipleOf": aPositive,
	"minItems": aCount, "maxItems": aCount, "uniqueItems": aFlag, "items": oneSchema, "prefixItems": schemaList,
	"minProperties": aCount, "maxProperties": aCount, "required": nameList, "properties": schemaMap,
	"patternProperties": schemaMap, "additionalProperties": oneSchema, "propertyNames": oneSchema,
	"allOf": schemaList, "anyOf": schemaList, "oneOf": schemaList, "not": oneSchema,
	"if": oneSchema, "then": oneSchema, "else": oneSchema,
}

// applied are the keywords whose schemas apply to the same value.
var applied = []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else"}

// silent are the keywords that say nothing about a request: annotations, and
// what gives schemas a place or a name, which the bundle does anew.
var silent = []string{
	"title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "xml", "externalDocs",
	"$comment", "$schema", "$id", "$anchor", "$dynamicAnchor", "$vocabulary", "$defs", "definitions",
}

func isSilent(keyword string) bool {
	return strings.HasPrefix(keyword, "x-") || slices.Contains(silent, keyword)
}

// wanted says what a keyword of shape s needs to be where v is not that, else
// "". Schemas inside are judged on their own.
func (s shape) wanted(v *load.Node) string {
	switch {
	case s == schemaList && (!v.Is(load.Array) || len(v.Items) == 0):
		return "a list of schemas that is not empty"
	case s == schemaMap && !v.Is(load.Object):
		return "an object of schemas"
	case s == types && !isTypes(v):
		return "null, boolean, object, array, string, number or integer"
	case s == valueList && !v.Is(load.Array):
		return "a list of values"
	case s == aCount && !isCount(v):
		return "a whole number that is not negative"
	case s == aNumber && !isNumber(v):
		return "a number"
	case s == aPositive && (!isNumber(v) || !isPositive(v)):
		return "a number greater than 0"
	case s == aFlag && !v.Is(load.Bool):
		return "true or false"
	case s == aPattern && !v.Is(load.String):
		return "a regular expression"
	case s == nameList && !isNames(v):
		return "a list of names"
	}
	return ""
}

var typeNames = []string{"null", "boolean", "object", "array", "string", "number", "integer"}

func isTypes(v *load.Node) bool {
	names := []*load.Node{v}
	if v.Is(load.Array) {
		names = v.Items
	}
	for _, n := range names {
		if !n.Is(load.String) || !slices.Contains(typeNames, n.Text) {
			return false
		}
	}
	return len(names) > 0
}

func isNames(v *load.Node) bool {
	notString := func(n *load.Node) bool { return !n.Is(load.String) }
	return v.Is(load.Array) && !slices.ContainsFunc(v.Items, notString)
}

// exponent finds the digits of an exponent.
var exponent = regexp.MustCompile(`[eE][+-]?0*([0-9]+)$`)

// isNumber tells whether v is a number with an exponent that can be computed
// with.
func isNumber(v *load.Node) bool {
	if !v.Is(load.Number) {
		return false
	}
	m := exponent.FindStringSubmatch(v.Text)
	return m == nil || len(m[1]) <= 3
}

func isPositive(v *load.Node) bool {
	r, ok := new(big.Rat).SetString(v.Text)
	return ok && r.Sign() > 0
}

func isCount(v *load.Node) bool {
	if !isNumber(v) {
		return false
	}
	r, ok := new(big.Rat).SetString(v.Text)
	return ok && r.IsInt() && r.Sign() >= 0
}
