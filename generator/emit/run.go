package emit

import (
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/samples"
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
	keys, logins, tokens := p.API.KeySchemes(), p.API.LoginSchemes(), p.API.TokenSchemes()
	g.If(jen.Id("cfg").Dot("HealthCheck")).Block(jen.Return(jen.Qual(pkgServe, "HealthCheck").Call(jen.Id("ctx"), jen.Id("cfg"))))
	if len(p.API.Schemes) > 0 {
		g.Comment("why is what keeps the server from starting: as much of it as can be found out is told at once.")
		g.Id("why").Op(":=").Index().Error().Values(jen.Qual(pkgProvider, "Unknown").CallFunc(func(g *jen.Group) {
			g.Id("cfg").Dot("Schemes")
			for i := range p.API.Schemes {
				g.Lit(p.API.Schemes[i].Name)
			}
		}))
	}
	stored := len(keys)+len(logins)+len(tokens) > 0
	if stored {
		p.runStores(g)
	} else {
		g.Comment("// No scheme of the document needs a store.")
		g.Id("_").Op("=").Id("drivers")
	}
	g.List(jen.Id("look"), jen.Err()).Op(":=").Qual(pkgPage, "NewLook").Call(
		jen.Qual("cmp", "Or").Call(jen.Id("cfg").Dot("Look").Dot("Name"), jen.Lit(lookName(p.API.Title))),
		jen.Id("cfg").Dot("Look").Dot("Logo"), jen.Id("cfg").Dot("Look").Dot("Accent"))
	g.Add(returnErr())
	if len(keys) > 0 {
		p.runKeys(g, keys)
	}
	if len(logins)+len(tokens) > 0 {
		g.List(jen.Id("ring"), jen.Err()).Op(":=").Qual(pkgSecret, "NewRing").Call(jen.Id("cfg").Dot("Secrets").Op("..."))
		g.Add(returnErr())
	}
	if len(logins) > 0 {
		p.runLogins(g)
	}
	if len(tokens) > 0 {
		p.runTokens(g)
	}
	var lacking []string
	if len(logins) > 0 {
		lacking = append(lacking, "logins")
	}
	if len(tokens) > 0 {
		lacking = append(lacking, "tokens")
	}
	if len(lacking) > 0 {
		condition := jen.Id(lacking[0]).Op("==").Nil()
		for _, name := range lacking[1:] {
			condition.Op("||").Id(name).Op("==").Nil()
		}
		g.If(condition).Block(jen.Return(jen.Qual("errors", "Join").Call(jen.Id("why").Op("..."))))
	}
	if len(p.API.CertificateSchemes()) > 0 {
		p.runCertificates(g)
	}
	if stored {
		ours := func(there bool, name string) *jen.Statement {
			if there {
				return jen.Id(name)
			}
			return jen.Nil()
		}
		g.Defer().Qual(pkgStore, "Follow").CallFunc(func(g *jen.Group) {
			g.Id("stores")
			g.Add(ours(len(keys) > 0, "keys"))
			g.Add(ours(len(logins) > 0, "sessions"))
			if len(tokens) > 0 {
				g.Id("tokens")
			}
		}).Call()
	}
	for i := range p.API.Schemes {
		s := &p.API.Schemes[i]
		g.If(jen.Id("schemes").Dot(s.GoName).Op("==").Nil()).Block(
			jen.Id("schemes").Dot(s.GoName).Op("=").Add(verifier(s)))
	}
	if len(p.API.Schemes) > 0 {
		g.If(jen.Op("!").Id("cfg").Dot("Dev")).Block(
			also(jen.Qual(pkgGate, "Unverified").Call(jen.Id("schemes").Dot("byName").Call(), jen.Id("operations"))))
	}
	if len(logins) > 0 {
		g.Add(also(jen.Id("logins").Dot("Open").Call(jen.Id("ctx"))))
	}
	if len(tokens) > 0 {
		g.Add(also(jen.Id("tokens").Dot("Open").Call(jen.Id("ctx"))))
	}
	if len(p.API.Schemes) > 0 {
		g.Add(returnWhy())
	}
	g.List(jen.Id("handler"), jen.Err()).Op(":=").Id("New").Call(jen.Id("svc"), jen.Id("schemes"))
	g.Add(returnErr())
	p.runDocs(g, len(keys) > 0, len(logins) > 0)
	if len(tokens) > 0 {
		g.Id("root").Op("=").Id("tokens").Dot("Handler").Call(jen.Id("root"))
	}
	root := jen.Id("root")
	if len(logins) > 0 {
		p.runAccounts(g, len(keys) > 0)
		root = jen.Id("logins").Dot("Handler").Call(jen.Id("accounts").Dot("Handler").Call(root))
	}
	app := jen.Dict{jen.Id("Handler"): root, jen.Id("API"): jen.Id("handler")}
	if len(logins) > 0 || len(tokens) > 0 {
		app[jen.Id("Reload")] = jen.Func().Params(jen.Id("cfg").Qual(pkgConfig, "Config")).Error().BlockFunc(func(g *jen.Group) {
			g.If(jen.Err().Op(":=").Id("ring").Dot("Replace").Call(jen.Id("cfg").Dot("Secrets").Op("...")), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err()))
			for _, of := range []struct {
				there bool
				name  string
			}{{len(logins) > 0, "logins"}, {len(tokens) > 0, "tokens"}} {
				if of.there {
					g.Id(of.name).Dot("Reload").Call(jen.Id("cfg").Dot("Providers"))
				}
			}
			g.Return(jen.Nil())
		})
	}
	var largest int64
	for i := range p.API.Operations {
		if body := p.API.Operations[i].Body; body != nil {
			largest = max(largest, body.MaxBytes)
		}
	}
	if largest > 0 {
		app[jen.Id("MaxBody")] = jen.Lit(int(largest))
	}
	if len(keys) > 0 {
		app[jen.Id("Exposed")] = jen.Id("keys").Dot("Exposed")
	}
	var checks []jen.Code
	for _, c := range []struct {
		there    bool
		name, of string
	}{{stored, "store", "stores"}, {len(logins) > 0, "providers", "logins"}, {len(tokens) > 0, "issuers", "tokens"}} {
		if c.there {
			checks = append(checks, jen.Line().Values(jen.Id("Name").Op(":").Lit(c.name), jen.Id("Func").Op(":").Id(c.of).Dot("Check")))
		}
	}
	if len(checks) > 0 {
		app[jen.Id("Checks")] = jen.Index().Qual(pkgServe, "Check").Values(append(checks, jen.Line())...)
	}
	g.Return(jen.Qual(pkgServe, "Run").Call(jen.Id("ctx"), jen.Id("cfg"), jen.Qual(pkgServe, "App").Values(app)))
}

// lookName is a document's title as the name of an application: not too long
// for a heading.
func lookName(title string) string {
	const most = 60
	if runes := []rune(title); len(runes) > most {
		title = string(runes[:most-1]) + "…"
	}
	return strings.Join(strings.Fields(title), " ")
}

// runStores prints what opens the stores and keeps them tidy.
func (p *printer) runStores(g *jen.Group) {
	g.List(jen.Id("stores"), jen.Err()).Op(":=").Qual(pkgStore, "Open").Call(jen.Id("ctx"),
		jen.Qual(pkgStore, "Config").Values(jen.Id("URL").Op(":").Id("cfg").Dot("Store"), jen.Id("Sessions").Op(":").Id("cfg").Dot("SessionsStore")),
		jen.Id("drivers").Op("..."))
	g.If(jen.Err().Op("!=").Nil()).Block(
		jen.Return(jen.Qual("errors", "Join").Call(jen.Append(jen.Id("why"), jen.Err()).Op("..."))))
	g.Defer().Id("stores").Dot("Close").Call()
	g.Defer().Qual(pkgStore, "KeepSwept").Call(jen.Id("stores")).Call()
}

// of is one of the stores.
func of(name string) *jen.Statement { return jen.Id("stores").Dot(name).Call() }

// cacheTime is how long what was good is remembered; below zero is no time.
func cacheTime() *jen.Statement {
	return jen.Id("max").Call(jen.Id("cfg").Dot("Cache"), jen.Lit(0))
}

// runKeys prints what verifies API keys.
func (p *printer) runKeys(g *jen.Group, keys []*model.Scheme) {
	g.List(jen.Id("keys"), jen.Err()).Op(":=").Qual(pkgAPIKey, "New").Call(jen.Qual(pkgAPIKey, "Config").Values(
		jen.Line().Id("Store").Op(":").Add(of("Keys")),
		jen.Line().Id("Users").Op(":").Add(of("Users")),
		jen.Line().Id("Prefix").Op(":").Id("cfg").Dot("Keys").Dot("Prefix"),
		jen.Line().Id("Environment").Op(":").Qual(pkgAPIKey, "Environment").Call(jen.Id("cfg").Dot("Environment")),
		jen.Line().Id("Schemes").Op(":").Index().String().ValuesFunc(func(g *jen.Group) {
			for _, s := range keys {
				g.Lit(s.Name)
			}
		}),
		jen.Line().Id("Scopes").Op(":").Map(jen.String()).Index().String().ValuesFunc(func(g *jen.Group) {
			for _, s := range keys {
				g.Line().Lit(s.Name).Op(":").ValuesFunc(func(g *jen.Group) {
					for _, scope := range p.API.ScopesOf(s) {
						g.Lit(scope)
					}
				})
			}
			g.Line()
		}),
		jen.Line().Id("Shared").Op(":").Add(of("Limits")),
		jen.Line().Id("Cache").Op(":").Add(cacheTime()),
		jen.Line(),
	))
	g.Add(returnErr())
}

// also prints that an error, or none, keeps the server from starting.
func also(err jen.Code) *jen.Statement {
	return jen.Id("why").Op("=").Append(jen.Id("why"), err)
}

// returnWhy prints the end where there is such an error.
func returnWhy() *jen.Statement {
	return jen.If(jen.Err().Op(":=").Qual("errors", "Join").Call(jen.Id("why").Op("...")), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err()))
}

// runLogins prints what signs people in and verifies their sessions.
func (p *printer) runLogins(g *jen.Group) {
	g.List(jen.Id("sessions"), jen.Err()).Op(":=").Qual(pkgSession, "New").Call(jen.Qual(pkgSession, "Config").Values(
		jen.Line().Id("Kind").Op(":").Qual(pkgSession, "Kind").Call(jen.Id("cfg").Dot("Sessions").Dot("Kind")),
		jen.Line().Id("Cookie").Op(":").Lit(p.API.SessionCookie()),
		jen.Line().Id("Idle").Op(":").Id("cfg").Dot("Sessions").Dot("Idle"),
		jen.Line().Id("Absolute").Op(":").Id("cfg").Dot("Sessions").Dot("Absolute"),
		jen.Line().Id("Store").Op(":").Add(of("Sessions")),
		jen.Line().Id("Revocations").Op(":").Add(of("Revocations")),
		jen.Line().Id("Users").Op(":").Add(of("Users")),
		jen.Line().Id("Ring").Op(":").Id("ring"),
		jen.Line().Id("Cache").Op(":").Add(cacheTime()),
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
		jen.Line().Id("Look").Op(":").Id("look"),
		jen.Line(),
	))
	g.Add(also(jen.Err()))
}

// runTokens prints what verifies access tokens.
func (p *printer) runTokens(g *jen.Group) {
	g.List(jen.Id("tokens"), jen.Err()).Op(":=").Qual(pkgBearer, "New").Call(jen.Qual(pkgBearer, "Config").Values(
		jen.Line().Id("PublicURL").Op(":").Id("cfg").Dot("PublicURL"),
		jen.Line().Id("Title").Op(":").Lit(lookName(p.API.Title)),
		jen.Line().Id("Providers").Op(":").Id("cfg").Dot("Providers"),
		jen.Line().Id("Bindings").Op(":").Id("cfg").Dot("Schemes"),
		jen.Line().Id("Schemes").Op(":").Id("tokenSchemes"),
		jen.Line().Id("Users").Op(":").Add(of("Users")),
		jen.Line().Id("Marks").Op(":").Add(of("Marks")),
		jen.Line().Id("Ring").Op(":").Id("ring"),
		jen.Line().Id("Clients").Op(":").Id("cfg").Dot("Clients"),
		jen.Line().Id("Cache").Op(":").Add(cacheTime()),
		jen.Line(),
	))
	g.Add(also(jen.Err()))
}

// runCertificates prints what verifies client certificates.
func (p *printer) runCertificates(g *jen.Group) {
	certs := func(name string) *jen.Statement { return jen.Id("cfg").Dot("ClientCerts").Dot(name) }
	g.Id("certificates").Op(":=").Qual(pkgGate, "Refuse").Call(jen.Lit("set client_certs: {ca: FILE} in the server's configuration, the authorities that certificates of clients come from"))
	g.If(certs("CA").Op("!=").Lit("")).Block(
		jen.List(jen.Id("verified"), jen.Err()).Op(":=").Qual(pkgCert, "New").Call(jen.Qual(pkgCert, "Config").Values(
			jen.Line().Id("CA").Op(":").Add(certs("CA")),
			jen.Line().Id("CRL").Op(":").Add(certs("CRL")),
			jen.Line().Id("Subject").Op(":").Add(certs("Subject")),
			jen.Line().Id("Scopes").Op(":").Add(certs("Scopes")),
			jen.Line().Id("Clients").Op(":").Id("cfg").Dot("Clients"),
			jen.Line(),
		)),
		returnErr(),
		jen.Id("certificates").Op("=").Id("verified").Dot("Scheme").Call(),
	)
}

// runAccounts prints the page where people see their sessions and keys.
func (p *printer) runAccounts(g *jen.Group, keys bool) {
	g.List(jen.Id("accounts"), jen.Err()).Op(":=").Qual(pkgAccount, "New").Call(jen.Qual(pkgAccount, "Config").ValuesFunc(func(g *jen.Group) {
		g.Line().Id("PublicURL").Op(":").Id("cfg").Dot("PublicURL")
		g.Line().Id("Sessions").Op(":").Id("sessions")
		if keys {
			g.Line().Id("Keys").Op(":").Id("keys")
			g.Line().Id("KeyVariable").Op(":").Lit(samples.KeyVariable(p.API.Title))
			if place, path, ok := p.example(); ok {
				g.Line().Id("Example").Op(":").Qual(pkgAccount, "Example").Values(
					jen.Id("Place").Op(":").Qual(pkgGate, "Place").Values(placeFields(place)...), jen.Id("Path").Op(":").Lit(path))
			}
		}
		g.Line().Id("Marks").Op(":").Add(of("Marks"))
		g.Line().Id("Recent").Op(":").Id("cfg").Dot("Sessions").Dot("Recent")
		g.Line().Id("Look").Op(":").Id("look")
		g.Line()
	}))
	g.Add(returnErr())
}

// example is a GET that a key alone opens, and that needs nothing else.
func (p *printer) example() (place model.Place, path string, ok bool) {
	for _, op := range p.API.Operations {
		required := slices.ContainsFunc(op.Params, func(p model.Param) bool { return p.Required })
		if op.Method != "GET" || required || op.Policy.Public || strings.Contains(op.Path, "{") {
			continue
		}
		for _, a := range op.Policy.Alternatives {
			if len(a) != 1 {
				continue
			}
			if s := p.API.Scheme(a[0].Scheme); s != nil && s.Verifier == model.VerifyAPIKey && len(s.Places) > 0 {
				return s.Places[0], op.Path, true
			}
		}
	}
	return model.Place{}, "", false
}

// runDocs prints what shows the document.
func (p *printer) runDocs(g *jen.Group, keys, logins bool) {
	g.Id("root").Op(":=").Id("handler")
	g.If(jen.Id("cfg").Dot("Docs").Op("||").Id("cfg").Dot("Dev")).Block(
		jen.List(jen.Id("reference"), jen.Err()).Op(":=").Qual(pkgDocs, "New").Call(jen.Qual(pkgDocs, "Config").ValuesFunc(func(g *jen.Group) {
			g.Line().Id("Title").Op(":").Lit(p.API.Title)
			g.Line().Id("Document").Op(":").Id("openAPIDocument")
			g.Line().Id("BasePath").Op(":").Lit(p.API.BasePath)
			if keys {
				g.Line().Id("KeyPrefix").Op(":").Id("cfg").Dot("Keys").Dot("Prefix")
			}
			if logins {
				g.Line().Id("Login").Op(":").Lit(model.AuthPrefix + "/login")
				g.Line().Id("Account").Op(":").Lit(model.AuthPrefix + "/account")
			}
			g.Line().Id("Look").Op(":").Id("look")
			g.Line()
		})),
		returnErr(),
		jen.Comment("// In development an operation of the document at the same path goes before."),
		jen.If(jen.List(jen.Id("shown"), jen.Err()).Op(":=").Id("reference").Dot("Handler").Call(jen.Id("handler")), jen.Err().Op("==").Nil()).Block(
			jen.Id("root").Op("=").Id("shown"),
		).Else().If(jen.Id("cfg").Dot("Docs")).Block(jen.Return(jen.Err())),
	)
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
		login := jen.Id("logins").Dot("Scheme").Call(jen.Lit(s.Name))
		if s.TakesTokens() {
			return jen.Id("tokens").Dot("Beside").Call(jen.Lit(s.Name), login)
		}
		return login
	case model.VerifyToken, model.VerifyJWT, model.VerifyIntrospect:
		return jen.Id("tokens").Dot("Scheme").Call(jen.Lit(s.Name))
	case model.VerifyCertificate:
		return jen.Id("certificates")
	}
	return jen.Qual(pkgGate, "Refuse").Call(jen.Lit(missing(s)))
}

// missing says why a scheme has no verifier and what to do.
func missing(s *model.Scheme) string {
	if s.Verifier == model.VerifyUndecided {
		return "say what kind of token it takes with x-gatewright: {kind: jwt|introspection|apikey|custom} in the document, or under schemes in gatewright.yaml"
	}
	return "pass the application's own gate.Authenticator to RunWith in Schemes." + s.GoName + "; package custom makes one of a few lines"
}
