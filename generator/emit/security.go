package emit

import (
	"net/http"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/gatewright/gatewright/generator/model"
)

// security prints security.gen.go: who may call what, to be read beside the
// document.
func (p *printer) security(f *jen.File) {
	for i := range p.API.Operations {
		op := &p.API.Operations[i]
		v := p.vars[op.ID]
		comment(f, v+" is "+p.audience(op.Policy))
		f.Var().Id(v).Op("=").Qual(pkgGate, "Operation").Values(
			jen.Line().Id("ID").Op(":").Lit(op.ID),
			jen.Line().Id("Pattern").Op(":").Lit(op.Method+" "+op.Path),
			jen.Line().Id("Policy").Op(":").Add(policy(op.Policy)),
			jen.Line(),
		)
		f.Line()
	}

	f.Comment("// operations are all operations of the document, in its order.")
	f.Var().Id("operations").Op("=").Index().Op("*").Qual(pkgGate, "Operation").ValuesFunc(func(g *jen.Group) {
		for i := range p.API.Operations {
			g.Line().Op("&").Id(p.vars[p.API.Operations[i].ID])
		}
		g.Line()
	})
	f.Line()

	f.Comment("// securitySchemes are the document's security schemes, and where the credential of each lies.")
	f.Var().Id("securitySchemes").Op("=").Index().Qual(pkgGate, "Scheme").ValuesFunc(func(g *jen.Group) {
		for i := range p.API.Schemes {
			s := &p.API.Schemes[i]
			g.Line().Values(jen.Id("Name").Op(":").Lit(s.Name), jen.Id("Places").Op(":").Add(places(s)))
		}
		g.Line()
	})
	f.Line()

	p.loginSchemes(f)
	p.tokenSchemes(f)

	f.Comment("// Schemes are what verifies the credentials of each security scheme. None may be nil: a scheme without a")
	f.Comment("// verifier is gate.Refuse, which lets nobody in.")
	f.Type().Id("Schemes").StructFunc(func(g *jen.Group) {
		for i := range p.API.Schemes {
			s := &p.API.Schemes[i]
			comment(g, s.GoName+" verifies "+oneLine(s.Name)+": "+schemeWords(s)+". "+s.Description)
			g.Id(s.GoName).Qual(pkgGate, "Authenticator")
		}
	})
	f.Line()
	f.Comment("// byName gives the authenticators under the document's names for their schemes.")
	f.Func().Params(jen.Id("s").Id("Schemes")).Id("byName").Params().Map(jen.String()).Qual(pkgGate, "Authenticator").Block(
		jen.Return(jen.Map(jen.String()).Qual(pkgGate, "Authenticator").ValuesFunc(func(g *jen.Group) {
			for i := range p.API.Schemes {
				s := &p.API.Schemes[i]
				g.Line().Lit(s.Name).Op(":").Id("s").Dot(s.GoName)
			}
			g.Line()
		})),
	)
}

// loginSchemes prints what a login has to know of the schemes that it meets.
func (p *printer) loginSchemes(f *jen.File) {
	logins := p.API.LoginSchemes()
	if len(logins) == 0 {
		return
	}
	f.Comment("// loginSchemes are those that a session from a login meets, and what the document says of the provider.")
	f.Var().Id("loginSchemes").Op("=").Index().Qual(pkgLogin, "Scheme").ValuesFunc(func(g *jen.Group) {
		for _, s := range logins {
			g.Line().Values(p.loginScheme(s)...)
		}
		g.Line()
	})
	f.Line()
}

// tokenSchemes prints what has to be known to verify access tokens.
func (p *printer) tokenSchemes(f *jen.File) {
	tokens := p.API.TokenSchemes()
	if len(tokens) == 0 {
		return
	}
	f.Comment("// tokenSchemes are those that access tokens are taken for, and what the document says of who issues them.")
	f.Var().Id("tokenSchemes").Op("=").Index().Qual(pkgBearer, "Scheme").ValuesFunc(func(g *jen.Group) {
		for _, s := range tokens {
			fields := []jen.Code{
				jen.Line().Id("Name").Op(":").Lit(s.Name),
				jen.Line().Id("Kind").Op(":").Qual(pkgBearer, tokenKind(s)),
				jen.Line().Id("Places").Op(":").Add(places(s)),
			}
			if s.Verifier == model.VerifySession {
				fields = append(fields, jen.Line().Id("Login").Op(":").True())
			}
			if s.OpenIDURL != "" {
				fields = append(fields, jen.Line().Id("OpenIDURL").Op(":").Lit(s.OpenIDURL))
			}
			if u := tokenURL(s); u != "" {
				fields = append(fields, jen.Line().Id("TokenURL").Op(":").Lit(u))
			}
			if scopes := p.API.ScopesOf(s); len(scopes) > 0 {
				fields = append(fields, jen.Line().Id("Scopes").Op(":").Add(stringList(scopes)))
			}
			g.Line().Values(append(fields, jen.Line())...)
		}
		g.Line()
	})
	f.Line()
}

func tokenKind(s *model.Scheme) string {
	switch s.Verifier {
	case model.VerifyJWT:
		return "JWT"
	case model.VerifyIntrospect:
		return "Opaque"
	}
	return "Any"
}

// tokenURL is where the document has tokens issued; "" where it does not say.
func tokenURL(s *model.Scheme) string {
	for _, f := range s.Flows {
		if f.TokenURL != "" {
			return f.TokenURL
		}
	}
	return ""
}

func (p *printer) loginScheme(s *model.Scheme) []jen.Code {
	var fields []jen.Code
	field := func(name string, value jen.Code) {
		fields = append(fields, jen.Line().Id(name).Op(":").Add(value))
	}
	text := func(name, value string) {
		if value != "" {
			field(name, jen.Lit(value))
		}
	}
	text("Name", s.Name)
	field("Places", places(s))
	text("OpenIDURL", s.OpenIDURL)
	if flow := s.Flow("authorizationCode"); flow != nil {
		text("AuthorizationURL", flow.AuthorizationURL)
		text("TokenURL", flow.TokenURL)
		text("RefreshURL", flow.RefreshURL)
	}
	if scopes := p.API.ScopesOf(s); len(scopes) > 0 {
		field("Scopes", stringList(scopes))
	}
	return append(fields, jen.Line())
}

// audience ends the sentence "createPost is …".
func (p *printer) audience(pol model.Policy) string {
	switch {
	case pol.Undeclared:
		return "public, because the document says nothing about it and the settings say undeclared: public."
	case pol.Public:
		return "public."
	}
	ways, anyone := p.ways(pol)
	if anyone {
		ways = append(ways, "anyone who presents nothing")
	}
	return "open to " + either(ways) + "."
}

func policy(p model.Policy) *jen.Statement {
	if p.Public {
		return jen.Qual(pkgGate, "Public").Call()
	}
	var s *jen.Statement
	for i, a := range p.Alternatives {
		var q *jen.Statement
		if len(a) == 0 {
			q = jen.Qual(pkgGate, "Anonymous").Call()
		} else {
			q = jen.Qual(pkgGate, "Require").CallFunc(func(g *jen.Group) {
				for _, n := range a {
					g.Qual(pkgGate, "Need").Values(needFields(n)...)
				}
			})
		}
		if i == 0 {
			s = q
		} else {
			s.Op(".").Line().Id("Or").Call(q)
		}
	}
	if s == nil {
		// Nothing to require and not public: the zero policy lets nobody in.
		return jen.Qual(pkgGate, "Policy").Values()
	}
	return s
}

func needFields(n model.Need) []jen.Code {
	fields := []jen.Code{jen.Id("Scheme").Op(":").Lit(n.Scheme)}
	if len(n.Scopes) > 0 {
		fields = append(fields, jen.Id("Scopes").Op(":").Add(stringList(n.Scopes)))
	}
	return fields
}

func stringList(ss []string) *jen.Statement {
	return jen.Index().String().ValuesFunc(func(g *jen.Group) {
		for _, s := range ss {
			g.Lit(s)
		}
	})
}

func places(s *model.Scheme) *jen.Statement {
	return jen.Index().Qual(pkgGate, "Place").ValuesFunc(func(g *jen.Group) {
		for _, pl := range s.Places {
			g.Values(placeFields(pl)...)
		}
	})
}

func placeFields(pl model.Place) []jen.Code {
	in := map[string]string{
		"header": "InHeader", "query": "InQuery", "cookie": "InCookie",
		"authorization": "InAuthorization", "certificate": "InCertificate",
	}[pl.In]
	fields := []jen.Code{jen.Id("In").Op(":").Qual(pkgGate, in)}
	name := pl.Name
	if pl.In == "header" {
		// As gate.Place wants it: one spelling for what is one header.
		name = http.CanonicalHeaderKey(name)
	}
	if name != "" {
		fields = append(fields, jen.Id("Name").Op(":").Lit(name))
	}
	return fields
}

// schemeWords tells what a scheme takes, and where.
func schemeWords(s *model.Scheme) string {
	what := map[model.Verifier]string{
		model.VerifyAPIKey:      "an API key of this server",
		model.VerifySession:     "a session from a login (" + model.AuthPrefix + "/login)",
		model.VerifyToken:       "an access token",
		model.VerifyJWT:         "a JWT access token",
		model.VerifyIntrospect:  "an opaque access token",
		model.VerifyCertificate: "a client certificate",
		model.VerifyCustom:      "the application's own credential",
		model.VerifyUndecided:   "a bearer token whose kind nobody has said yet",
	}[s.Verifier]
	var where, tokens []string
	for _, pl := range s.Places {
		text := pl.In + " " + oneLine(pl.Name)
		switch {
		case pl.In == "authorization" && pl.Name == "":
			text = "header Authorization"
		case pl.In == "authorization":
			text = "Authorization: " + oneLine(pl.Name)
		case pl.In == "certificate":
			text = "the TLS connection"
		}
		if s.Verifier == model.VerifySession && pl.In != "cookie" {
			tokens = append(tokens, text)
			continue
		}
		where = append(where, text)
	}
	words := what + " in " + strings.Join(where, " or ")
	if len(tokens) > 0 {
		words += ", and once its audience is configured an access token in " + strings.Join(tokens, " or ")
	}
	return words
}
