package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/name"
)

// params merges the parameters of the path with those of the operation, which
// win, and holds them against the variables of the path.
func (a *analyzer) params(op *model.Operation, p pathItem, n *load.Node) []model.Param {
	shared := a.paramList(op, p.node.Get("parameters"))
	own := a.paramList(op, n.Get("parameters"))
	replaced := map[place]bool{}
	for _, o := range own {
		replaced[placeOf(o)] = true
	}
	var all []model.Param
	for _, s := range shared {
		if !replaced[placeOf(s)] {
			all = append(all, s)
		}
	}
	all = append(all, own...)
	all = a.variables(op, p, n, all)

	var names name.Set
	names.Reserve("Body")
	for i := range all {
		all[i].GoName = names.Unique(name.Exported(all[i].Name))
		all[i].Schema.Hint = op.GoName + all[i].GoName
	}
	return all
}

// variables checks that each variable of the path is a parameter and each
// path parameter a variable. Parameters that no variable gives are left out.
func (a *analyzer) variables(op *model.Operation, p pathItem, n *load.Node, all []model.Param) []model.Param {
	var kept []model.Param
	for _, q := range all {
		if q.In == "path" && !slices.Contains(p.variables, q.Name) {
			a.add(model.Diagnostic{Rule: ruleVariable, Pos: q.Pos,
				Message: fmt.Sprintf("path %s has no variable %s", load.Quote(p.key), load.Quote(q.Name)),
				Help:    "write " + load.Quote("{"+q.Name+"}") + " into the path, or take the parameter out"})
			continue
		}
		kept = append(kept, q)
	}
	for _, v := range p.variables {
		if !slices.ContainsFunc(all, func(q model.Param) bool { return q.In == "path" && q.Name == v }) {
			a.add(model.Diagnostic{Rule: ruleVariable, Pos: op.Pos,
				Message: fmt.Sprintf("variable %s of path %s is not declared as a parameter", load.Quote(v), load.Quote(p.key)),
				Help:    "declare it: `{name: " + load.Quote(v) + ", in: path, required: true, schema: {type: string}}`"})
		}
	}
	return kept
}

// A place is where a parameter lies; two in one place are one parameter.
type place struct{ in, name string }

func placeOf(q model.Param) place {
	if q.In == "header" {
		return place{q.In, strings.ToLower(q.Name)}
	}
	return place{q.In, q.Name}
}

func (a *analyzer) paramList(op *model.Operation, list *load.Node) []model.Param {
	if list == nil {
		return nil
	}
	if !list.Is(load.Array) {
		a.errorf(ruleType, list, "", "parameters is %s, not a list", list.Kind)
		return nil
	}
	var out []model.Param
	seen := map[place]bool{}
	for _, it := range list.Items {
		q, ok := a.param(it)
		if !ok {
			continue
		}
		if seen[placeOf(q)] {
			a.errorf(ruleTwice, it, "keep one of them", "%s parameter %s is given twice", q.In, load.Quote(q.Name))
			continue
		}
		seen[placeOf(q)] = true
		out = append(out, q)
	}
	return out
}

const laterHelp = "supported are scalars and arrays of them, in the default style or form and simple; change the document, or leave the parameter out and read it in the handler"

func (a *analyzer) param(it *load.Node) (model.Param, bool) {
	n, ok := a.object(it, "a parameter")
	if !ok {
		return model.Param{}, false
	}
	q := model.Param{
		Name: n.Str("name"), In: n.Str("in"), Description: n.Str("description"),
		Required: n.True("required"), Deprecated: n.True("deprecated"), Pos: n.Pos,
	}
	if q.Name == "" {
		a.errorf(ruleParam, n, "", "the parameter needs a text name")
		return q, false
	}
	what := load.Quote(q.Name)
	switch q.In {
	case "path", "query", "header", "cookie":
	case "querystring":
		a.errorf(ruleSerial, n, laterHelp, "parameter %s in querystring is not supported yet", what)
		return q, false
	case "":
		a.errorf(ruleParam, n, "one of path, query, header, cookie", "parameter %s needs a text in", what)
		return q, false
	default:
		a.errorf(ruleParam, n.Get("in"), "one of path, query, header, cookie", "parameter %s is in %s", what, load.Quote(q.In))
		return q, false
	}
	if q.In == "header" && slices.Contains([]string{"accept", "content-type", "authorization"}, strings.ToLower(q.Name)) {
		a.warnf(ruleIgnored, n, "OpenAPI says so: bodies, responses and security say what it holds", "header parameter %s is ignored", what)
		return q, false
	}
	if q.In == "header" && !token(q.Name) || q.In == "cookie" && !token(q.Name) {
		a.errorf(ruleParam, n.Get("name"), "", "%s is no name of a %s", what, q.In)
		return q, false
	}
	if q.In == "path" && !q.Required {
		a.warnf(ruleVariable, n, "say `required: true`", "path parameter %s is required whatever it says", what)
		q.Required = true
	}
	return q, a.serialization(&q, n)
}

// serialization reads style, explode and schema, and refuses what the runtime
// cannot read.
func (a *analyzer) serialization(q *model.Param, n *load.Node) bool {
	what := load.Quote(q.Name)
	schema := n.Get("schema")
	switch {
	case schema == nil && n.Get("content") != nil:
		a.errorf(ruleSerial, n, laterHelp, "parameter %s has content instead of a schema, which is not supported yet", what)
		return false
	case schema == nil:
		a.errorf(ruleParam, n, "say at least `schema: {type: string}`", "parameter %s has no schema", what)
		return false
	case !a.isSchema(schema):
		return false
	}
	normal := "simple"
	if q.In == "query" || q.In == "cookie" {
		normal = "form"
	}
	q.Style = normal
	if style := n.Get("style"); style != nil && style.Text != normal {
		a.errorf(ruleSerial, style, laterHelp, "style %s of parameter %s is not supported yet", load.Quote(style.Text), what)
		return false
	}
	q.Explode = q.Style == "form"
	if e := n.Get("explode"); e.Is(load.Bool) {
		q.Explode = e.Text == "true"
	}
	q.Schema = model.Schema{Location: schema.Location(), Pos: schema.Pos}
	shape, ok := a.paramShape(schema)
	if !ok {
		a.errorf(ruleSerial, n, laterHelp, "parameter %s holds an object or a list of lists, which is not supported yet", what)
		return false
	}
	q.Shape = shape
	q.Example = a.example(n)
	return true
}

// isSchema tells whether n can be one; if it cannot, that is reported.
func (a *analyzer) isSchema(n *load.Node) bool {
	if n.Is(load.Object) || n.Is(load.Bool) {
		return true
	}
	a.errorf(ruleType, n, "", "a schema is %s, not an object", n.Kind)
	return false
}
