package emit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/gatewright/gatewright/generator/model"
)

// server prints server.gen.go: the handler, decoding and encoding of each
// operation, and Run.
func (p *printer) server(f *jen.File) {
	f.Comment("// A version of the runtime that lacks something this file needs does not compile with it.")
	f.Const().Id("_").Op("=").Qual(pkgGate, "IsAtLeastVersion0_4")
	f.Line()
	f.Comment("// requestSchemas is the JSON Schema document that requests are checked against.")
	f.Const().Id("requestSchemas").Op("=").Add(quoted(p.Bundle))
	f.Line()
	p.newFunc(f)
	p.run(f)
	f.Comment("// A server answers the document's operations by asking the application.")
	f.Type().Id("server").Struct(
		jen.Id("svc").Id("Service"),
		jen.Id("checks").Op("*").Qual(pkgSchema, "Program"),
	)
	f.Line()
	for i := range p.API.Operations {
		p.handler(f, &p.API.Operations[i])
	}
}

// quoted prints the lines of text as string literals, one a line: back-quoted
// where that holds them unchanged, since they are full of quotes.
func quoted(text []byte) *jen.Statement {
	out := jen.Lit("")
	for line := range strings.Lines(string(text)) {
		out.Op("+").Line()
		line = strings.TrimSuffix(line, "\n") // between JSON tokens, where it says nothing
		if strconv.CanBackquote(line) {
			out.Op("`" + line + "`")
		} else {
			out.Lit(line)
		}
	}
	return out
}

func (p *printer) newFunc(f *jen.File) {
	f.Comment("// New returns the handler of the whole API. It is an error if svc or the authenticator of a scheme is nil.")
	f.Func().Id("New").Params(jen.Id("svc").Id("Service"), jen.Id("schemes").Id("Schemes")).
		Params(jen.Qual("net/http", "Handler"), jen.Error()).BlockFunc(func(g *jen.Group) {
		g.If(jen.Id("svc").Op("==").Nil()).Block(
			jen.Return(jen.Nil(), jen.Qual("errors", "New").Call(jen.Lit(p.Package+": New needs a Service"))))
		g.List(jen.Id("checks"), jen.Err()).Op(":=").Qual(pkgSchema, "Compile").Call(jen.Index().Byte().Parens(jen.Id("requestSchemas")))
		g.Add(returnErr(jen.Nil()))
		g.List(jen.Id("guard"), jen.Err()).Op(":=").Qual(pkgGate, "New").Call(jen.Qual(pkgGate, "Config").Values(
			jen.Line().Id("Schemes").Op(":").Id("securitySchemes"),
			jen.Line().Id("Authenticators").Op(":").Id("schemes").Dot("byName").Call(),
			jen.Line().Id("Operations").Op(":").Id("operations"),
			jen.Line(),
		))
		g.Add(returnErr(jen.Nil()))
		g.Id("s").Op(":=").Op("&").Id("server").Values(
			jen.Id("svc").Op(":").Id("svc"), jen.Id("checks").Op(":").Id("checks"))
		g.List(jen.Id("table"), jen.Err()).Op(":=").Qual(pkgRoute, "New").Call(jen.Id("guard"),
			jen.Index().Qual(pkgRoute, "Entry").ValuesFunc(func(g *jen.Group) {
				for i := range p.API.Operations {
					v := p.vars[p.API.Operations[i].ID]
					g.Line().Values(jen.Id("Operation").Op(":").Op("&").Id(v), jen.Id("Handle").Op(":").Id("s").Dot(v))
				}
				g.Line()
			}))
		g.Add(returnErr(jen.Nil()))
		g.Return(jen.Id("table"), jen.Nil())
	})
	f.Line()
}

// returnErr is `if err != nil { return before…, err }`.
func returnErr(before ...jen.Code) *jen.Statement {
	return jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(append(before, jen.Err())...))
}

func (p *printer) handler(f *jen.File, op *model.Operation) {
	v := p.vars[op.ID]
	f.Func().Params(jen.Id("s").Op("*").Id("server")).Id(v).Params(
		jen.Id("w").Qual("net/http", "ResponseWriter"), jen.Id("r").Op("*").Qual("net/http", "Request"),
		jen.Id("vars").Qual(pkgRoute, "Vars"), jen.Id("who").Op("*").Qual(pkgGate, "Principal"),
	).BlockFunc(func(g *jen.Group) {
		g.Var().Id("req").Id(op.GoName + "Request")
		decodes := len(op.Params) > 0 || op.Body != nil || len(accepts(op)) > 0
		if decodes {
			g.Id("in").Op(":=").Qual(pkgCodec, "New").Call(jen.Id("w"), jen.Id("r"), jen.Id("vars"), jen.Id("s").Dot("checks"))
			for i := range op.Params {
				q := &op.Params[i]
				g.Id("in").Dot("Param").Call(param(q), jen.Op("&").Id("req").Dot(q.GoName))
			}
			if op.Body != nil {
				g.Id("in").Dot("Body").Call(body(op))
			}
			if mts := accepts(op); len(mts) > 0 {
				g.Id("in").Dot("Accept").CallFunc(func(g *jen.Group) {
					for _, mt := range mts {
						g.Lit(mt)
					}
				})
			}
			g.If(jen.Err().Op(":=").Id("in").Dot("Err").Call(), jen.Err().Op("!=").Nil()).Block(
				jen.Qual(pkgProblem, "Write").Call(jen.Id("w"), jen.Id("r"), jen.Err()),
				jen.Return(),
			)
		}
		call := []jen.Code{jen.Id("r").Dot("Context").Call()}
		switch op.Policy.Caller() {
		case model.CallerRequired:
			call = append(call, jen.Op("*").Id("who"))
		case model.CallerOptional:
			call = append(call, jen.Id("who"))
		}
		call = append(call, jen.Id("req"))
		g.List(jen.Id("res"), jen.Err()).Op(":=").Id("s").Dot("svc").Dot(op.GoName).Call(call...)
		g.If(jen.Err().Op("==").Nil()).Block(
			jen.Switch(jen.Id("res").Op(":=").Id("res").Assert(jen.Type())).BlockFunc(func(g *jen.Group) {
				for _, r := range results(op) {
					g.Case(jen.Id(r.name)).BlockFunc(func(g *jen.Group) { write(g, r) })
				}
				g.Default().Block(jen.Err().Op("=").Qual(pkgCodec, "UnknownResult").Call(jen.Id("res")))
			}))
		g.If(jen.Err().Op("!=").Nil()).Block(
			jen.Qual(pkgProblem, "Write").Call(jen.Id("w"), jen.Id("r"), jen.Err()))
	})
	f.Line()
}

func param(q *model.Param) *jen.Statement {
	oneALine := jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}
	return jen.Qual(pkgCodec, "Param").CustomFunc(oneALine, func(g *jen.Group) {
		g.Id("Name").Op(":").Lit(q.Name)
		g.Id("In").Op(":").Qual(pkgCodec, map[string]string{
			"path": "Path", "query": "Query", "header": "Header", "cookie": "Cookie",
		}[q.In])
		if q.Required {
			g.Id("Required").Op(":").True()
		}
		g.Id("Style").Op(":").Lit(q.Style)
		if q.Explode {
			g.Id("Explode").Op(":").True()
		}
		g.Id("Shape").Op(":").Add(shape(q.Shape, true))
		if q.Schema.Def != "" {
			g.Id("Def").Op(":").Lit(q.Schema.Def)
		}
	})
}

// shape prints s as a codec.Shape. Inside a list its type goes without saying.
func shape(s model.Shape, named bool) *jen.Statement {
	fields := func(g *jen.Group) {
		if len(s.Types) > 0 {
			g.Id("Types").Op(":").Add(stringList(s.Types))
		}
		if s.Items != nil {
			g.Id("Items").Op(":").Op("&").Add(shape(*s.Items, true))
		}
		if len(s.Props) > 0 {
			g.Id("Props").Op(":").Index().Qual(pkgCodec, "Prop").ValuesFunc(func(g *jen.Group) {
				for _, pr := range s.Props {
					g.Values(jen.Id("Name").Op(":").Lit(pr.Name), jen.Id("Shape").Op(":").Add(shape(pr.Shape, true)))
				}
			})
		}
	}
	if named {
		return jen.Qual(pkgCodec, "Shape").ValuesFunc(fields)
	}
	return jen.ValuesFunc(fields)
}

func body(op *model.Operation) *jen.Statement {
	return jen.Qual(pkgCodec, "Body").ValuesFunc(func(g *jen.Group) {
		if op.Body.Required {
			g.Id("Required").Op(":").True()
		}
		if op.Body.MaxBytes > 0 {
			g.Id("MaxBytes").Op(":").Lit(int(op.Body.MaxBytes))
		}
		g.Id("Contents").Op(":").Index().Qual(pkgCodec, "Content").ValuesFunc(func(g *jen.Group) {
			for _, b := range bodies(op) {
				g.Line().ValuesFunc(func(g *jen.Group) {
					g.Id("MediaType").Op(":").Lit(b.content.MediaType)
					g.Id("Kind").Op(":").Qual(pkgCodec, kindName(b.content.Kind))
					if b.content.Schema != nil && b.content.Schema.Def != "" {
						g.Id("Def").Op(":").Lit(b.content.Schema.Def)
					}
					if b.content.Kind == model.Form {
						g.Id("Shape").Op(":").Add(shape(b.content.Shape, true))
					}
					g.Id("Into").Op(":").Op("&").Id("req").Dot(b.field)
				})
			}
			g.Line()
		})
	})
}

func kindName(k model.ContentKind) string {
	return map[model.ContentKind]string{
		model.JSON: "JSON", model.Form: "Form", model.Text: "Text", model.Binary: "Binary", model.Opaque: "Opaque",
	}[k]
}

// accepts returns the media types that op's answers come in, in order and
// once each.
func accepts(op *model.Operation) []string {
	var mts []string
	seen := make(map[string]bool)
	for _, r := range op.Responses {
		if r.Status == "" || r.Status[0] != '2' {
			continue // an error is told in its own type, whatever the client would like
		}
		for _, c := range r.Contents {
			if !seen[c.MediaType] {
				seen[c.MediaType] = true
				mts = append(mts, c.MediaType)
			}
		}
	}
	return mts
}

// write prints the statements that answer with r; err is assigned.
func write(g *jen.Group, r result) {
	status := jen.Id("res").Dot("Status")
	if !ranged(r.status) {
		n, err := strconv.Atoi(r.status)
		if err != nil {
			panic(fmt.Sprintf("emit: status %q", r.status)) // analyze lets no other through
		}
		status = statusCode(n)
	}
	args := []jen.Code{jen.Id("w"), jen.Id("r"), status}
	f := "WriteEmpty"
	if r.content != nil {
		args = append(args, jen.Lit(r.content.MediaType), jen.Id("res").Dot("Body"))
		switch r.content.Kind {
		case model.JSON:
			f = "WriteJSON"
		case model.Text:
			f = "WriteText"
		default:
			f = "WriteStream"
		}
	}
	if r.status[0] >= '1' && r.status[0] <= '5' && ranged(r.status) {
		g.If(jen.Id("res").Dot("Status").Op("/").Lit(100).Op("!=").Lit(int(r.status[0]-'0'))).Block(
			jen.Err().Op("=").Qual(pkgCodec, "UnknownResult").Call(jen.Id("res")),
			jen.Break(),
		)
	}
	answer := jen.Err().Op("=").Qual(pkgCodec, f).Call(args...)
	hs := headers(r)
	if len(hs) == 0 {
		g.Add(answer)
		return
	}
	set := func(h headerField) *jen.Statement {
		return jen.Qual(pkgCodec, "SetHeader").Call(jen.Id("w"), jen.Lit(h.header.Name), jen.Id("res").Dot(h.field))
	}
	if len(hs) == 1 {
		g.Err().Op("=").Add(set(hs[0]))
	} else {
		g.Err().Op("=").Qual("errors", "Join").CallFunc(func(g *jen.Group) {
			for _, h := range hs {
				g.Line().Add(set(h))
			}
			g.Line()
		})
	}
	g.If(jen.Err().Op("==").Nil()).Block(answer)
}

// statusNames are net/http's names for the status codes that documents use.
var statusNames = map[int]string{
	200: "StatusOK", 201: "StatusCreated", 202: "StatusAccepted", 203: "StatusNonAuthoritativeInfo",
	204: "StatusNoContent", 205: "StatusResetContent", 206: "StatusPartialContent", 207: "StatusMultiStatus",
	300: "StatusMultipleChoices", 301: "StatusMovedPermanently", 302: "StatusFound", 303: "StatusSeeOther",
	304: "StatusNotModified", 307: "StatusTemporaryRedirect", 308: "StatusPermanentRedirect",
	400: "StatusBadRequest", 401: "StatusUnauthorized", 402: "StatusPaymentRequired", 403: "StatusForbidden",
	404: "StatusNotFound", 405: "StatusMethodNotAllowed", 406: "StatusNotAcceptable", 408: "StatusRequestTimeout",
	409: "StatusConflict", 410: "StatusGone", 411: "StatusLengthRequired", 412: "StatusPreconditionFailed",
	413: "StatusRequestEntityTooLarge", 414: "StatusRequestURITooLong", 415: "StatusUnsupportedMediaType",
	416: "StatusRequestedRangeNotSatisfiable", 417: "StatusExpectationFailed", 421: "StatusMisdirectedRequest",
	422: "StatusUnprocessableEntity", 423: "StatusLocked", 424: "StatusFailedDependency", 425: "StatusTooEarly",
	426: "StatusUpgradeRequired", 428: "StatusPreconditionRequired", 429: "StatusTooManyRequests",
	431: "StatusRequestHeaderFieldsTooLarge", 451: "StatusUnavailableForLegalReasons",
	500: "StatusInternalServerError", 501: "StatusNotImplemented", 502: "StatusBadGateway",
	503: "StatusServiceUnavailable", 504: "StatusGatewayTimeout", 507: "StatusInsufficientStorage",
}

// statusCode prints a status as net/http names it.
func statusCode(n int) *jen.Statement {
	if name, ok := statusNames[n]; ok {
		return jen.Qual("net/http", name)
	}
	return jen.Lit(n)
}
