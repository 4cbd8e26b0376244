package bundle

import (
	"slices"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/ecma"
	"github.com/go-json-experiment/json/jsontext"
)

// A writer prints one def. After an error it writes no more.
type writer struct {
	*builder
	def *def
	enc *jsontext.Encoder
	err error
}

func (w *writer) token(t jsontext.Token) {
	if w.err == nil {
		w.err = w.enc.WriteToken(t)
	}
}

func (w *writer) string(s string) { w.token(jsontext.String(s)) }

// schema prints the schema n. inPlace tells that it applies to the very value
// that the def does; readOnly are the members that schemas around it, for the
// same value, declare as such.
func (w *writer) schema(n *load.Node, inPlace bool, readOnly []string) {
	switch {
	case n.Is(load.Bool):
		w.token(jsontext.Bool(n.Text == "true"))
		return
	case !n.Is(load.Object):
		w.errorf(RuleMalformed, n.Pos, "", "a schema is an object")
		w.token(jsontext.False)
		return
	}
	if w.is30() && n.Ref() != nil {
		w.token(jsontext.BeginObject)
		w.reference(n, inPlace)
		w.token(jsontext.EndObject)
		return
	}
	readOnly = append(slices.Clone(readOnly), w.readOnly(n, map[*load.Node]bool{})...)
	if !w.is30() || !n.True("nullable") {
		w.object(n, inPlace, readOnly, false)
		return
	}
	if n.Get("type") != nil && !slices.ContainsFunc(applied, func(k string) bool { return n.Get(k) != nil }) {
		w.object(n, inPlace, readOnly, true)
		return
	}
	w.token(jsontext.BeginObject)
	w.string("anyOf")
	w.token(jsontext.BeginArray)
	w.object(n, inPlace, readOnly, false)
	w.token(jsontext.BeginObject)
	w.string("type")
	w.string("null")
	w.token(jsontext.EndObject)
	w.token(jsontext.EndArray)
	w.token(jsontext.EndObject)
}

// object prints n keyword by keyword. With orNull, null is added to type and
// enum.
func (w *writer) object(n *load.Node, inPlace bool, readOnly []string, orNull bool) {
	w.token(jsontext.BeginObject)
	for _, m := range n.Members {
		switch s, known := enforced[m.Key]; {
		case m.Key == "$ref":
			w.reference(n, inPlace)
		case m.Key == "exclusiveMinimum" && m.Value.Is(load.Bool), m.Key == "exclusiveMaximum" && m.Value.Is(load.Bool):
			// OpenAPI 3.0: it changes what minimum or maximum means.
		case m.Key == "nullable" && w.is30():
		case known:
			if want := s.wanted(m.Value); want != "" {
				w.errorf(RuleMalformed, m.Value.Pos, "", "%s needs to be %s", m.Key, want)
				continue
			}
			w.keyword(n, m, s, inPlace, readOnly, orNull)
		case !isSilent(m.Key):
			w.ignore(m.Key, m.KeyPos)
		}
	}
	w.token(jsontext.EndObject)
}

// keyword prints one keyword that is enforced and well formed.
func (w *writer) keyword(n *load.Node, m load.Member, s shape, inPlace bool, readOnly []string, orNull bool) {
	inside := inPlace && slices.Contains(applied, m.Key)
	var around []string
	if m.Key == "allOf" {
		around = readOnly
	}
	key := m.Key
	switch {
	case m.Key == "minimum" && n.True("exclusiveMinimum"):
		key = "exclusiveMinimum"
	case m.Key == "maximum" && n.True("exclusiveMaximum"):
		key = "exclusiveMaximum"
	case m.Key == "required":
		w.required(m.Value, readOnly)
		return
	}
	w.string(key)
	switch s {
	case oneSchema:
		w.schema(m.Value, inside, around)
	case schemaList:
		w.token(jsontext.BeginArray)
		for _, item := range m.Value.Items {
			w.schema(item, inside, around)
		}
		w.token(jsontext.EndArray)
	case schemaMap:
		w.token(jsontext.BeginObject)
		for _, inner := range m.Value.Members {
			if key == "patternProperties" {
				w.checkPattern(inner.Key, inner.KeyPos)
			}
			w.string(inner.Key)
			w.schema(inner.Value, false, nil)
		}
		w.token(jsontext.EndObject)
	case types:
		w.types(m.Value, orNull)
	case valueList:
		w.values(m.Value, orNull)
	case aPattern:
		w.checkPattern(m.Value.Text, m.Value.Pos)
		w.string(m.Value.Text)
	default:
		w.value(m.Value)
	}
}

// reference prints the $ref of n.
func (w *writer) reference(n *load.Node, inPlace bool) {
	target, ok := w.target(n)
	if !ok {
		return
	}
	name := w.name(target, "")
	if inPlace {
		w.def.inPlace = append(w.def.inPlace, name)
	}
	w.string("$ref")
	w.string("#/$defs/" + name)
}

// required prints the names that a request has to have.
func (w *writer) required(v *load.Node, readOnly []string) {
	var names []string
	for _, n := range v.Items {
		if !slices.Contains(readOnly, n.Text) {
			names = append(names, n.Text)
		}
	}
	if len(names) == 0 {
		return
	}
	w.string("required")
	w.token(jsontext.BeginArray)
	for _, name := range names {
		w.string(name)
	}
	w.token(jsontext.EndArray)
}

// readOnly returns the members of n's value that n declares as readOnly,
// itself or by what it is made of. seen are the schemas that were looked at.
func (w *writer) readOnly(n *load.Node, seen map[*load.Node]bool) []string {
	if seen[n] {
		return nil
	}
	seen[n] = true
	var names []string
	if n.Ref() != nil {
		if target, err := w.doc.Step(n); err == nil {
			names = w.readOnly(target, seen)
		}
		if w.is30() {
			return names
		}
	}
	if properties := n.Get("properties"); properties.Is(load.Object) {
		for _, m := range properties.Members {
			if w.isReadOnly(m.Value) {
				names = append(names, m.Key)
			}
		}
	}
	if list := n.Get("allOf"); list.Is(load.Array) {
		for _, part := range list.Items {
			names = append(names, w.readOnly(part, seen)...)
		}
	}
	return names
}

// isReadOnly tells whether the schema n, or what it refers to, is readOnly.
func (w *writer) isReadOnly(n *load.Node) bool {
	if n.True("readOnly") && (n.Ref() == nil || !w.is30()) {
		return true
	}
	if n.Ref() == nil {
		return false
	}
	target, err := w.doc.Resolve(n)
	return err == nil && target.True("readOnly")
}

// types prints type.
func (w *writer) types(v *load.Node, orNull bool) {
	if v.Is(load.String) && !orNull {
		w.string(v.Text)
		return
	}
	names := []*load.Node{v}
	if v.Is(load.Array) {
		names = v.Items
	}
	w.token(jsontext.BeginArray)
	for _, n := range names {
		w.string(n.Text)
		orNull = orNull && n.Text != "null"
	}
	if orNull {
		w.string("null")
	}
	w.token(jsontext.EndArray)
}

// values prints enum.
func (w *writer) values(v *load.Node, orNull bool) {
	w.token(jsontext.BeginArray)
	for _, n := range v.Items {
		w.value(n)
		orNull = orNull && !n.Is(load.Null)
	}
	if orNull {
		w.token(jsontext.Null)
	}
	w.token(jsontext.EndArray)
}

// value prints any value as it is.
func (w *writer) value(n *load.Node) {
	switch n.Kind {
	case load.Null:
		w.token(jsontext.Null)
	case load.Bool:
		w.token(jsontext.Bool(n.Text == "true"))
	case load.Number:
		if w.err == nil {
			w.err = w.enc.WriteValue(jsontext.Value(n.Text))
		}
	case load.String:
		w.string(n.Text)
	case load.Array:
		w.token(jsontext.BeginArray)
		for _, it := range n.Items {
			w.value(it)
		}
		w.token(jsontext.EndArray)
	case load.Object:
		w.token(jsontext.BeginObject)
		for _, m := range n.Members {
			w.string(m.Key)
			w.value(m.Value)
		}
		w.token(jsontext.EndObject)
	}
}

// checkPattern reports a regular expression that no engine takes, or only one
// that backtracks.
func (w *writer) checkPattern(pattern string, pos model.Position) {
	re, err := ecma.Compile(pattern)
	switch {
	case err != nil:
		w.errorf(RuleMalformed, pos, "JSON Schema has the regular expressions of ECMA-262", "%s is not a regular expression", load.Quote(pattern))
	case re.Backtracks():
		w.diags = append(w.diags, model.Diagnostic{
			Rule: RuleBacktracks, Severity: model.Warning, Pos: pos,
			Message: "pattern " + load.Quote(pattern) + " needs an engine that backtracks",
			Help:    "it is enforced under a time limit; without look-around and back-references it would need none",
		})
	}
}
