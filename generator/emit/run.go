package emit

import (
	"github.com/dave/jennifer/jen"

	"github.com/gatewright/gatewright/generator/model"
)

// run prints Run and RunWith: what stands between the configuration and the
// handler.
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
