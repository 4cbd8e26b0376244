package analyze

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/name"
)

var statusPattern = regexp.MustCompile(`^[1-5]([0-9][0-9]|[xX][xX])$`)

// responses reads what an operation answers, in the document's order.
func (a *analyzer) responses(op *model.Operation, n *load.Node) []model.Response {
	none := func() {
		a.add(model.Diagnostic{Rule: ruleNoAnswer, Severity: model.Warning, Pos: op.Pos,
			Message: "the operation has no responses: its handler says which status it answers with, and nothing else",
			Help:    "declare at least `\"204\": {description: done}`"})
	}
	if n.Get("responses") == nil {
		none()
		return nil
	}
	all, ok := a.object(n.Get("responses"), "responses")
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	var out []model.Response
	for _, m := range all.Members {
		if strings.HasPrefix(m.Key, "x-") {
			continue
		}
		status := strings.ToUpper(m.Key)
		if m.Key == "default" {
			status = "default"
		} else if !statusPattern.MatchString(m.Key) {
			a.add(model.Diagnostic{Rule: ruleStatus, Pos: m.KeyPos,
				Message: fmt.Sprintf("%s is no status", load.Quote(m.Key)), Help: "write 200, 4XX or default"})
			continue
		}
		if seen[status] {
			a.add(model.Diagnostic{Rule: ruleStatus, Pos: m.KeyPos, Message: "status " + status + " is given twice", Help: "keep one of them"})
			continue
		}
		seen[status] = true
		if r, ok := a.response(op, status, m); ok {
			out = append(out, r)
		}
	}
	if len(out) == 0 && len(seen) == 0 {
		none()
	}
	return out
}

func (a *analyzer) response(op *model.Operation, status string, m load.Member) (model.Response, bool) {
	n, ok := a.object(m.Value, "response "+load.Quote(m.Key))
	if !ok {
		return model.Response{}, false
	}
	r := model.Response{Status: status, Description: n.Str("description"), Pos: m.KeyPos}
	prefix := op.GoName + strings.ToUpper(status[:1]) + status[1:]
	if n.Get("content") != nil {
		if content, ok := a.object(n.Get("content"), "content"); ok {
			r.Contents = a.contents(content, prefix, responseContent)
		}
	}
	if n.Get("headers") != nil {
		if headers, ok := a.object(n.Get("headers"), "headers"); ok {
			r.Headers = a.headers(headers, prefix)
		}
	}
	return r, true
}

// responseContent settles how a response of that media type is written: forms
// are only read.
func responseContent(c *model.Content, _ *load.Node) {
	if c.Kind == model.Form {
		c.Kind = model.Opaque
	}
}

// headers reads the headers of a response. Content-Type is none of them: the
// body says it.
func (a *analyzer) headers(n *load.Node, prefix string) []model.Header {
	var names name.Set
	names.Reserve("Body", "Status", "ContentType")
	var out []model.Header
	seen := map[string]bool{}
	for _, m := range n.Members {
		if strings.EqualFold(m.Key, "Content-Type") {
			continue
		}
		h, ok := a.object(m.Value, "header "+load.Quote(m.Key))
		if !ok {
			continue
		}
		if !token(m.Key) {
			a.add(model.Diagnostic{Rule: ruleHeader, Pos: m.KeyPos, Message: fmt.Sprintf("%s is no name of a header", load.Quote(m.Key))})
			continue
		}
		if seen[strings.ToLower(m.Key)] {
			a.add(model.Diagnostic{Rule: ruleHeader, Pos: m.KeyPos, Message: fmt.Sprintf("header %s is given twice", load.Quote(m.Key)), Help: "capitals do not tell headers apart"})
			continue
		}
		seen[strings.ToLower(m.Key)] = true
		schema := h.Get("schema")
		if schema == nil || !a.isSchema(schema) {
			a.warnf(ruleHeader, h, "give it a schema", "response header %s has no schema and is left out", load.Quote(m.Key))
			continue
		}
		field := names.Unique(name.Exported(m.Key))
		out = append(out, model.Header{
			Name: m.Key, GoName: field, Description: h.Str("description"), Required: h.True("required"),
			Schema: model.Schema{Location: schema.Location(), Hint: prefix + field, Pos: schema.Pos},
		})
	}
	return out
}
