package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/name"
)

// methods are the members of a path item that are operations.
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// paths reads all operations in the document's order.
func (a *analyzer) paths() {
	if all, ok := a.whole(a.doc.Root.Get("paths"), "paths"); ok {
		for _, m := range all.Members {
			a.path(m)
		}
	}
	if len(a.api.Operations) == 0 && !model.HasErrors(a.diags) {
		a.warnf(ruleEmpty, a.doc.Root, "webhooks and callbacks are requests that others answer", "the document has no operations")
	}
}

func (a *analyzer) path(m load.Member) {
	if strings.HasPrefix(m.Key, "x-") {
		return
	}
	if !strings.HasPrefix(m.Key, "/") {
		a.add(model.Diagnostic{Rule: rulePath, Pos: m.KeyPos,
			Message: fmt.Sprintf("path %s does not start with /", load.Quote(m.Key)), Help: "write " + load.Quote("/"+m.Key)})
		return
	}
	variables, shape, ok := a.pathTemplate(m.Key, m.KeyPos)
	if !ok {
		return
	}
	item, ok := a.whole(m.Value, "path "+load.Quote(m.Key))
	if !ok {
		return
	}
	p := pathItem{key: m.Key, full: a.api.BasePath + m.Key, shape: shape, variables: variables, node: item}
	a.reserved(canonical(a.api.BasePath)+shape, m.KeyPos)
	a.otherServers(item)
	a.misplaced(item)
	for _, o := range item.Members {
		switch {
		case slices.Contains(methods, o.Key), o.Key == "query" && a.doc.Version == "3.2":
			a.operation(p, strings.ToUpper(o.Key), o)
		case o.Key == "additionalOperations" && a.doc.Version == "3.2":
			a.additional(p, o.Value)
		case slices.Contains([]string{"$ref", "summary", "description", "servers", "parameters"}, o.Key):
		case strings.HasPrefix(o.Key, "x-"):
			a.extensionName(o, o.Key[2:])
		case o.Key == "query" || o.Key == "additionalOperations":
			a.add(model.Diagnostic{Rule: ruleMethod, Pos: o.KeyPos,
				Message: o.Key + " came with OpenAPI 3.2, and this document is " + a.doc.Version, Help: "say `openapi: 3.2.0`"})
		case meansSecurity(o.Key, 2):
			a.add(model.Diagnostic{Rule: ruleMisspelt, Pos: o.KeyPos,
				Message: load.Quote(o.Key) + " at a path means nothing", Help: "say it at each operation, or at the top of the document"})
		default:
			a.add(model.Diagnostic{Rule: ruleMethod, Pos: o.KeyPos,
				Message: fmt.Sprintf("path %s has the unknown member %s", load.Quote(m.Key), load.Quote(o.Key)),
				Help:    "operations are " + strings.Join(methods, ", ") + ", in small letters; your own members start with x-"})
		}
	}
}

// A pathItem is what the operations of one path share.
type pathItem struct {
	key       string // as the document has it
	full      string // with the base path
	shape     string
	variables []string
	node      *load.Node
}

// additional reads OpenAPI 3.2's additionalOperations, whose names are methods.
func (a *analyzer) additional(p pathItem, n *load.Node) {
	n, ok := a.object(n, "additionalOperations")
	if !ok {
		return
	}
	for _, m := range n.Members {
		known := slices.Contains(methods, strings.ToLower(m.Key)) || strings.EqualFold(m.Key, "query")
		if !token(m.Key) || known || m.Key != strings.ToUpper(m.Key) || m.Key == "CONNECT" {
			a.add(model.Diagnostic{Rule: ruleMethod, Pos: m.KeyPos,
				Message: fmt.Sprintf("additionalOperations: %s cannot be a method here", load.Quote(m.Key)),
				Help:    "capital letters, and not one of those with a member of their own"})
			continue
		}
		a.operation(p, m.Key, m)
	}
}

func (a *analyzer) operation(p pathItem, method string, m load.Member) {
	a.subject = method + " " + p.key
	defer func() { a.subject = "" }()
	n, ok := a.whole(m.Value, "operation "+load.Quote(a.subject))
	if !ok {
		return
	}
	op := model.Operation{
		ID: a.subject, Method: method, Path: p.full, Pos: m.KeyPos,
		Summary: n.Str("summary"), Description: n.Str("description"), Deprecated: n.True("deprecated"),
	}
	a.operationID(&op, n.Get("operationId"))
	a.subject = op.ID
	op.GoName = a.opNames.Unique(name.Exported(op.ID))
	if first, taken := a.routes[method+" "+p.shape]; taken {
		a.add(model.Diagnostic{Rule: ruleCollision, Pos: m.KeyPos,
			Message: fmt.Sprintf("%s %s is the same route as that of %s at %s", method, load.Quote(p.key), load.Quote(first.subject), first.pos),
			Help:    "the names of variables do not tell paths apart"})
	} else {
		a.routes[method+" "+p.shape] = route{op.ID, m.KeyPos}
	}
	a.members(n, operationMembers)
	a.otherServers(n)
	op.Policy = a.policy(n, m.KeyPos)
	op.Params = a.params(&op, p, n)
	op.Body = a.body(&op, n)
	a.bodyLimit(&op, n)
	op.Responses = a.responses(&op, n)
	a.api.Operations = append(a.api.Operations, op)
}

// operationID takes the document's id for op, and checks that no other
// operation has it.
func (a *analyzer) operationID(op *model.Operation, id *load.Node) {
	switch {
	case id == nil:
	case !id.Is(load.String) || id.Text == "":
		a.errorf(ruleType, id, "", "operationId is %s, not a name", id.Kind)
	default:
		op.ID = id.Text
	}
	if first, twice := a.opIDs[op.ID]; twice {
		a.add(model.Diagnostic{Rule: ruleID, Pos: op.Pos, Help: "give each operation its own",
			Message: fmt.Sprintf("operationId %s is given twice, first by the operation at %s", load.Quote(op.ID), first)})
		return
	}
	a.opIDs[op.ID] = op.Pos
}
