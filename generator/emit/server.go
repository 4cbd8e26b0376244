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
	f.Const().Id("_").Op("=").Qual(pkgGate, "IsAtLeastVersion0_2")
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

func (p *printer) run(f *jen.File) {
	params := func() []jen.Code {
		return []jen.Code{
			jen.Id("ctx").Qual("context", "Context"),
			jen.Id("cfg").Qual(pkgConfig, "Config"),
			jen.Id("svc").Id("Service"),
		}
	}
	drivers := jen.Id("drivers").Op("...").Qual(pkgStore, "Driver")
	f.Comment("// Run serves the API as cfg says until ctx is done. It refuses to start while a scheme has no verifier,")
	f.Comment("// naming the scheme and the operations that need it.")
	f.Func().Id("Run").Params(append(params(), drivers.Clone())...).Error().Block(
		jen.Return(jen.Id("RunWith").Call(jen.Id("ctx"), jen.Id("cfg"), jen.Id("svc"), jen.Id("Schemes").Values(), jen.Id("drivers").Op("..."))))
	f.Line()
	f.Comment("// RunWith is Run with authenticators of the application's own for the schemes that are not nil in schemes.")
	f.Func().Id("RunWith").Params(append(params(), jen.Id("schemes").Id("Schemes"), drivers)...).Error().BlockFunc(p.runBody)
	f.Line()
}

func (p *printer) runBody(g *jen.Group) {
	keys, logins := p.API.KeySchemes(), p.API.LoginSchemes()
	if len(keys)+len(logins) > 0 {
		g.List(jen.Id("stores"), jen.Err()).Op(":=").Qual(pkgStore, "Open").Call(jen.Id("ctx"), jen.Id("cfg").Dot("Store"), jen.Id("drivers").Op("..."))
		g.Add(returnErr())
		g.Defer().Id("stores").Dot("Close").Call()
		if len(logins) > 0 {
			g.Defer().Qual(pkgStore, "KeepSwept").Call(jen.Id("stores")).Call()
		}
	} else {
		g.Comment("// No scheme of the document needs a store.")
		g.Id("_").Op("=").Id("drivers")
	}
	if len(keys) > 0 {
		p.runKeys(g, keys)
	}
	if len(logins) > 0 {
		p.runLogins(g)
	}
	for i := range p.API.Schemes {
		s := &p.API.Schemes[i]
		g.If(jen.Id("schemes").Dot(s.GoName).Op("==").Nil()).Block(
			jen.Id("schemes").Dot(s.GoName).Op("=").Add(verifier(s)))
	}
	if len(p.API.Schemes) > 0 {
		g.If(jen.Op("!").Id("cfg").Dot("Dev")).Block(
			jen.If(jen.Err().Op(":=").Qual(pkgGate, "Unverified").Call(jen.Id("schemes").Dot("byName").Call(), jen.Id("operations")),
				jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err())))
	}
	if len(logins) > 0 {
		g.If(jen.Err().Op(":=").Id("logins").Dot("Open").Call(jen.Id("ctx")), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err()))
	}
	g.List(jen.Id("handler"), jen.Err()).Op(":=").Id("New").Call(jen.Id("svc"), jen.Id("schemes"))
	g.Add(returnErr())
	check := func(name, of string) *jen.Statement {
		return jen.Qual(pkgServe, "Check").Values(jen.Id("Name").Op(":").Lit(name), jen.Id("Func").Op(":").Id(of).Dot("Check"))
	}
	args := []jen.Code{jen.Id("ctx"), jen.Id("cfg")}
	switch {
	case len(logins) > 0:
		args = append(args, jen.Id("logins").Dot("Handler").Call(jen.Id("handler")),
			jen.Line().Add(check("store", "stores")), jen.Line().Add(check("providers", "logins")), jen.Line())
	case len(keys) > 0:
		args = append(args, jen.Id("handler"), check("store", "stores"))
	default:
		args = append(args, jen.Id("handler"))
	}
	g.Return(jen.Qual(pkgServe, "Run").Call(args...))
}

// runKeys prints what verifies API keys.
func (p *printer) runKeys(g *jen.Group, keys []*model.Scheme) {
	g.List(jen.Id("keys"), jen.Err()).Op(":=").Qual(pkgAPIKey, "New").Call(jen.Qual(pkgAPIKey, "Config").Values(
		jen.Line().Id("Store").Op(":").Id("stores").Dot("Keys").Call(),
		jen.Line().Id("Users").Op(":").Id("stores").Dot("Users").Call(),
		jen.Line().Id("Prefix").Op(":").Id("cfg").Dot("Keys").Dot("Prefix"),
		jen.Line().Id("Environment").Op(":").Qual(pkgAPIKey, "Environment").Call(jen.Id("cfg").Dot("Environment")),
		jen.Line().Id("Schemes").Op(":").Index().String().ValuesFunc(func(g *jen.Group) {
			for _, s := range keys {
				g.Lit(s.Name)
			}
		}),
		jen.Line(),
	))
	g.Add(returnErr())
}

// runLogins prints what signs people in and verifies their sessions.
func (p *printer) runLogins(g *jen.Group) {
	of := func(name string) *jen.Statement { return jen.Id("stores").Dot(name).Call() }
	g.List(jen.Id("ring"), jen.Err()).Op(":=").Qual(pkgSecret, "NewRing").Call(jen.Id("cfg").Dot("Secrets").Op("..."))
	g.Add(returnErr())
	g.List(jen.Id("sessions"), jen.Err()).Op(":=").Qual(pkgSession, "New").Call(jen.Qual(pkgSession, "Config").Values(
		jen.Line().Id("Kind").Op(":").Qual(pkgSession, "Kind").Call(jen.Id("cfg").Dot("Sessions").Dot("Kind")),
		jen.Line().Id("Cookie").Op(":").Lit(p.API.SessionCookie()),
		jen.Line().Id("Idle").Op(":").Id("cfg").Dot("Sessions").Dot("Idle"),
		jen.Line().Id("Absolute").Op(":").Id("cfg").Dot("Sessions").Dot("Absolute"),
		jen.Line().Id("Store").Op(":").Add(of("Sessions")),
		jen.Line().Id("Revocations").Op(":").Add(of("Revocations")),
		jen.Line().Id("Users").Op(":").Add(of("Users")),
		jen.Line().Id("Ring").Op(":").Id("ring"),
		jen.Line(),
	))
	g.Add(returnErr())
	g.List(jen.Id("logins"), jen.Err()).Op(":=").Qual(pkgLogin, "New").Call(jen.Qual(pkgLogin, "Config").Values(
		jen.Line().Id("PublicURL").Op(":").Id("cfg").Dot("PublicURL"),
		jen.Line().Id("Providers").Op(":").Id("cfg").Dot("Providers"),
		jen.Line().Id("Bindings").Op(":").Id("cfg").Dot("Schemes"),
		jen.Line().Id("Schemes").Op(":").Id("loginSchemes"),
		jen.Line().Id("Sessions").Op(":").Id("sessions"),
		jen.Line().Id("Users").Op(":").Add(of("Users")),
		jen.Line().Id("Marks").Op(":").Add(of("Marks")),
		jen.Line().Id("Locks").Op(":").Add(of("Locks")),
		jen.Line().Id("Ring").Op(":").Id("ring"),
		jen.Line().Id("SignIn").Op(":").Id("cfg").Dot("SignIn"),
		jen.Line(),
	))
	g.Add(returnErr())
}

// verifier is the authenticator of s where the application passes none.
func verifier(s *model.Scheme) *jen.Statement {
	switch s.Verifier {
	case model.VerifyAPIKey:
		return jen.Id("keys").Dot("Scheme").CallFunc(func(g *jen.Group) {
			g.Lit(s.Name)
			for _, pl := range s.Places {
				g.Qual(pkgGate, "Place").Values(placeFields(pl)...)
			}
		})
	case model.VerifySession:
		return jen.Id("logins").Dot("Scheme").Call(jen.Lit(s.Name))
	}
	return jen.Qual(pkgGate, "Refuse").Call(jen.Lit(missing(s)))
}

// missing says why a scheme has no verifier and what to do.
func missing(s *model.Scheme) string {
	switch s.Verifier {
	case model.VerifyCustom:
		return "pass the application's own gate.Authenticator to RunWith in Schemes." + s.GoName
	case model.VerifyUndecided:
		return "say what kind of token it takes with x-gatewright: {kind: jwt|introspection|apikey|custom} in the document, or under schemes in gatewright.yaml"
	}
	return "this version has no verifier for " + schemeWords(s) + "; pass a gate.Authenticator to RunWith in Schemes." + s.GoName
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
