package emit

import (
	"github.com/dave/jennifer/jen"

	"github.com/gatewright/gatewright/generator/model"
)

// test prints security_gen_test.go. What it expects comes from the document
// and stands there in words of its own: what it names of security.gen.go is
// compared with that, so that a change of that file is found.
func (p *printer) test(f *jen.File) {
	f.Comment("// TestSecurity asks every operation with every credential state, through the real handler.")
	f.Func().Id("TestSecurity").Params(jen.Id("t").Op("*").Qual("testing", "T")).Block(
		jen.Qual(pkgGatetest, "Run").Call(jen.Id("t"), jen.Qual(pkgGatetest, "API").Values(
			jen.Line().Id("Schemes").Op(":").Index().Qual(pkgGatetest, "Scheme").ValuesFunc(p.testSchemes),
			jen.Line().Id("Operations").Op(":").Index().Qual(pkgGatetest, "Operation").ValuesFunc(p.testOperations),
			jen.Line().Id("Declared").Op(":").Id("securitySchemes"),
			jen.Line().Id("Checks").Op(":").Id("requestSchemas"),
			jen.Line().Id("New").Op(":").Func().Params(
				jen.Id("auth").Map(jen.String()).Qual(pkgGate, "Authenticator"),
				jen.Id("called").Add(calledType()),
			).Params(jen.Qual("net/http", "Handler"), jen.Error()).Block(
				jen.Return(jen.Id("New").Call(jen.Id("recorder").Values(jen.Id("called")), jen.Id("Schemes").ValuesFunc(func(g *jen.Group) {
					for i := range p.API.Schemes {
						s := &p.API.Schemes[i]
						g.Line().Id(s.GoName).Op(":").Id("auth").Index(jen.Lit(s.Name))
					}
					if len(p.API.Schemes) > 0 {
						g.Line()
					}
				})))),
			jen.Line(),
		)))
	f.Line()
	f.Comment("// A recorder tells which operation's handler ran, for whom, and answers 501.")
	f.Type().Id("recorder").Struct(jen.Id("called").Add(calledType()))
	f.Line()
	for i := range p.API.Operations {
		op := &p.API.Operations[i]
		f.Func().Params(jen.Id("r").Id("recorder")).Id(op.GoName).Add(recorderSignature(op)).Block(
			jen.Id("r").Dot("called").Call(jen.Lit(op.ID), recorded(op.Policy)),
			jen.Return(jen.Nil(), jen.Qual(pkgProblem, "New").Call(
				jen.Qual("net/http", "StatusNotImplemented"), jen.Lit("not_implemented"), jen.Lit("Not implemented."))),
		)
		f.Line()
	}
}

// calledType is the type of what a recorder tells.
func calledType() *jen.Statement {
	return jen.Func().Params(jen.Id("operation").String(), jen.Id("who").Op("*").Qual(pkgGate, "Principal"))
}

// recorded is who the recorder says that it was told calls.
func recorded(policy model.Policy) *jen.Statement {
	switch policy.Caller() {
	case model.CallerRequired:
		return jen.Op("&").Id("who")
	case model.CallerOptional:
		return jen.Id("who")
	}
	return jen.Nil()
}

// recorderSignature is signature with the names that the recorder uses.
func recorderSignature(op *model.Operation) *jen.Statement {
	return jen.ParamsFunc(func(g *jen.Group) {
		caller := op.Policy.Caller()
		if caller == model.CallerUnknown {
			g.Qual("context", "Context")
			g.Id(op.GoName + "Request")
			return
		}
		g.Id("_").Qual("context", "Context")
		if caller == model.CallerRequired {
			g.Id("who").Qual(pkgGate, "Principal")
		} else {
			g.Id("who").Op("*").Qual(pkgGate, "Principal")
		}
		g.Id("_").Id(op.GoName + "Request")
	}).Params(jen.Id(op.GoName+"Response"), jen.Error())
}

func (p *printer) testSchemes(g *jen.Group) {
	for i := range p.API.Schemes {
		s := &p.API.Schemes[i]
		g.Line().Values(
			jen.Id("Name").Op(":").Lit(s.Name),
			jen.Id("Verifier").Op(":").Lit(string(s.Verifier)),
			jen.Id("Places").Op(":").Add(places(s)),
		)
	}
	g.Line()
}

func (p *printer) testOperations(g *jen.Group) {
	for i := range p.API.Operations {
		op := &p.API.Operations[i]
		g.Line().ValuesFunc(func(g *jen.Group) {
			g.Id("ID").Op(":").Lit(op.ID)
			g.Id("Method").Op(":").Lit(op.Method)
			g.Id("Path").Op(":").Lit(op.Path)
			if op.Policy.Public {
				g.Id("Public").Op(":").True()
			} else {
				g.Id("Alternatives").Op(":").Index().Index().Qual(pkgGatetest, "Need").ValuesFunc(func(g *jen.Group) {
					for _, a := range op.Policy.Alternatives {
						g.ValuesFunc(func(g *jen.Group) {
							for _, n := range a {
								g.Values(needFields(n)...)
							}
						})
					}
				})
			}
			if op.Body != nil {
				g.Id("HasBody").Op(":").True()
			}
			s, sampled := p.sampleOf(op)
			if sampled {
				g.Line().Id("Sample").Op(":").Add(s.literal())
			}
			if w, ok := p.wrongOf(op, s, sampled); ok {
				g.Line().Id("Wrong").Op(":").Add(w.literal())
			}
		})
	}
	g.Line()
}
