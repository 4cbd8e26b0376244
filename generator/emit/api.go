package emit

import (
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/gatewright/gatewright/generator/model"
)

// api prints api.gen.go: what operations take and answer, and the interface
// that the application implements.
func (p *printer) api(f *jen.File) {
	p.service(f)
	p.unimplemented(f)
	for i := range p.API.Operations {
		op := &p.API.Operations[i]
		p.request(f, op)
		p.response(f, op)
	}
}

func (p *printer) service(f *jen.File) {
	f.Comment("// Service is the application: one method an operation. An error that is a *problem.Error is answered")
	f.Comment("// as it says; any other is a 500 whose cause only the log sees.")
	f.Type().Id("Service").InterfaceFunc(func(g *jen.Group) {
		for i := range p.API.Operations {
			op := &p.API.Operations[i]
			comment(g, op.GoName+" answers "+op.Method+" "+op.Path+". "+p.who(op.Policy))
			if op.Summary != "" {
				g.Comment("//")
				comment(g, op.Summary)
			}
			if op.Deprecated {
				g.Comment("//")
				g.Comment("// Deprecated: the document says so.")
			}
			g.Id(op.GoName).Add(signature(op))
		}
	})
	f.Line()
}

// signature is the parameter and result list of op's method. It carries the
// policy, so that an operation whose protection changes no longer compiles
// until its author looks.
func signature(op *model.Operation) *jen.Statement {
	return jen.ParamsFunc(func(g *jen.Group) {
		g.Id("ctx").Qual("context", "Context")
		switch op.Policy.Caller() {
		case model.CallerRequired:
			g.Id("who").Qual(pkgGate, "Principal")
		case model.CallerOptional:
			g.Id("who").Op("*").Qual(pkgGate, "Principal")
		}
		g.Id("req").Id(op.GoName + "Request")
	}).Params(jen.Id(op.GoName+"Response"), jen.Error())
}

func (p *printer) unimplemented(f *jen.File) {
	f.Comment("// Unimplemented answers every operation with 501. Embed it, and add methods as they get written.")
	f.Type().Id("Unimplemented").Struct()
	f.Line()
	f.Var().Id("_").Id("Service").Op("=").Id("Unimplemented").Values()
	f.Line()
	for i := range p.API.Operations {
		op := &p.API.Operations[i]
		f.Comment("// " + op.GoName + " answers 501.")
		f.Func().Params(jen.Id("Unimplemented")).Id(op.GoName).Add(signature(op)).Block(
			jen.Return(jen.Nil(), jen.Qual(pkgProblem, "New").Call(
				jen.Qual("net/http", "StatusNotImplemented"), jen.Lit("not_implemented"), jen.Lit("Not implemented."))),
		)
		f.Line()
	}
}

func (p *printer) request(f *jen.File, op *model.Operation) {
	comment(f, op.GoName+"Request is what "+op.Method+" "+op.Path+" takes.")
	f.Type().Id(op.GoName + "Request").StructFunc(func(g *jen.Group) {
		for i := range op.Params {
			q := &op.Params[i]
			text := q.GoName + " is the " + q.In + " parameter " + oneLine(q.Name) + "."
			if q.Description != "" {
				text += " " + q.Description
			}
			comment(g, text)
			if q.Required {
				g.Id(q.GoName).Add(goType(q.Schema.Go))
			} else {
				g.Id(q.GoName).Add(optional(q.Schema.Go))
			}
		}
		for _, b := range bodies(op) {
			comment(g, b.doc(op))
			g.Id(b.field).Add(b.typ)
		}
	})
	f.Line()
}

// A bodyField is a field of a request struct that one media type is read into.
type bodyField struct {
	field   string
	content model.Content
	typ     *jen.Statement
}

func (b bodyField) doc(op *model.Operation) string {
	text := b.field + " is the body, " + oneLine(b.content.MediaType) + "."
	if len(op.Body.Contents) > 1 {
		text = b.field + " is the body where it came as " + oneLine(b.content.MediaType) + ", else nil."
	} else if !op.Body.Required {
		text = b.field + " is the body, " + oneLine(b.content.MediaType) + "; nil where none came."
	}
	if b.content.Kind == model.Opaque {
		text += " It is neither decoded nor validated: the handler reads the stream."
	}
	return text
}

// bodies returns the body fields of op's request: one named Body, or one for
// each media type, of which the one that came is set.
func bodies(op *model.Operation) []bodyField {
	if op.Body == nil {
		return nil
	}
	taken := make(map[string]bool)
	for _, q := range op.Params {
		taken[q.GoName] = true
	}
	var fields []bodyField
	for _, c := range op.Body.Contents {
		b := bodyField{field: "Body", content: c}
		single := len(op.Body.Contents) == 1
		if !single {
			b.field += mediaName(c.MediaType)
		}
		for taken[b.field] {
			b.field += "_"
		}
		taken[b.field] = true
		t, nillable := contentType(c, jen.Op("*").Qual(pkgCodec, "Stream"))
		if !nillable && (!single || !op.Body.Required) {
			t = jen.Op("*").Add(t)
		}
		b.typ = t
		fields = append(fields, b)
	}
	return fields
}

// A result is one Go type that a handler can answer with.
type result struct {
	name    string
	status  string // as in the document
	resp    *model.Response
	content *model.Content // nil: no body
}

// results returns op's result types in the document's order.
func results(op *model.Operation) []result {
	var rs []result
	taken := make(map[string]bool)
	add := func(r result) {
		for taken[r.name] {
			r.name += "_"
		}
		taken[r.name] = true
		rs = append(rs, r)
	}
	responses := op.Responses
	if len(responses) == 0 {
		// A document may leave them out (OpenAPI 3.1): the handler says which status.
		responses = []model.Response{{Status: "default"}}
	}
	for i := range responses {
		resp := &responses[i]
		base := op.GoName + statusName(resp.Status)
		if len(resp.Contents) == 0 {
			add(result{base, resp.Status, resp, nil})
			continue
		}
		for j := range resp.Contents {
			c := resp.Contents[j]
			if c.Kind == model.Form {
				c.Kind = model.Opaque // requests come as forms; an answer that is one the handler writes itself
			}
			r := result{base, resp.Status, resp, &c}
			if len(resp.Contents) > 1 {
				r.name += mediaName(resp.Contents[j].MediaType)
			}
			add(r)
		}
	}
	return rs
}

func statusName(status string) string {
	if status == "default" {
		return "Default"
	}
	return strings.ToUpper(status)
}

// mediaName is the part of a Go name for a media type: application/json is
// JSON, text/csv CSV, application/problem+json ProblemJSON.
func mediaName(mediaType string) string {
	_, sub, _ := strings.Cut(strings.ToLower(mediaType), "/")
	switch sub {
	case "x-www-form-urlencoded":
		return "Form"
	case "form-data":
		return "Multipart"
	case "plain":
		return "Text"
	case "octet-stream":
		return "Binary"
	case "*", "":
		return "Any"
	}
	var b strings.Builder
	for _, part := range strings.FieldsFunc(sub, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) {
		switch part {
		case "json", "xml", "csv", "html", "pdf", "png", "gif", "svg", "yaml", "css":
			b.WriteString(strings.ToUpper(part))
		default:
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	if b.Len() == 0 {
		return "Other"
	}
	return b.String()
}

func (p *printer) response(f *jen.File, op *model.Operation) {
	v := p.vars[op.ID]
	rs := results(op)
	var names []string
	for _, r := range rs {
		names = append(names, r.name)
	}
	text := op.GoName + "Response is what " + op.Method + " " + op.Path + " answers"
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	comment(f, text+".")
	f.Type().Id(op.GoName + "Response").Interface(jen.Id(v).Params())
	f.Line()
	for _, r := range rs {
		text := r.name + " answers " + r.status + "."
		if r.content != nil {
			text = r.name + " answers " + r.status + " as " + oneLine(r.content.MediaType) + "."
		}
		if r.resp.Description != "" {
			text += " " + r.resp.Description
		}
		comment(f, text)
		f.Type().Id(r.name).StructFunc(func(g *jen.Group) { resultFields(g, r) })
		f.Line()
		f.Func().Params(jen.Id(r.name)).Id(v).Params().Block()
		f.Line()
	}
}

func resultFields(g *jen.Group, r result) {
	if ranged(r.status) {
		g.Comment("// Status is the status code to answer with.")
		g.Id("Status").Int()
	}
	if r.content != nil {
		t, _ := contentType(*r.content, jen.Qual("io", "Reader"))
		g.Id("Body").Add(t)
	}
	for _, h := range headers(r) {
		comment(g, h.field+" is the header "+oneLine(h.header.Name)+". "+h.header.Description)
		if h.header.Required {
			g.Id(h.field).Add(goType(h.header.Schema.Go))
		} else {
			g.Id(h.field).Add(optional(h.header.Schema.Go))
		}
	}
}

// ranged tells whether a status stands for several codes.
func ranged(status string) bool { return status == "default" || strings.HasSuffix(status, "XX") }

type headerField struct {
	field  string
	header model.Header
}

// headers returns the header fields of a result. Content-Type is the media
// type's and not a field (OpenAPI 3.1, Response Object).
func headers(r result) []headerField {
	taken := map[string]bool{"Status": true, "Body": true}
	var hs []headerField
	for _, h := range r.resp.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			continue
		}
		field := h.GoName
		for taken[field] {
			field += "Header"
		}
		taken[field] = true
		hs = append(hs, headerField{field, h})
	}
	return hs
}
