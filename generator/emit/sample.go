package emit

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/generator/example"
	"github.com/gatewright/gatewright/generator/model"
)

// A sample is a request made of the document's examples.
type sample struct {
	path, query       string
	headers           map[string]string
	contentType, body string
	def               string // name of the body's schema
}

// sampleOf makes a request of what op requires; false where an example is
// missing, or cannot be sent. What lies where credentials do is left out: it
// comes with these.
func (p *printer) sampleOf(op *model.Operation) (sample, bool) {
	sent, err := example.Of(p.API, op)
	if err != nil {
		return sample{}, false
	}
	s := sample{path: sent.Path, query: strings.Join(sent.Query, "&"), headers: make(map[string]string)}
	for _, h := range sent.Headers {
		name := http.CanonicalHeaderKey(h[0])
		if meaningful[name] {
			return sample{}, false
		}
		s.headers[name] = h[1]
	}
	if len(sent.Cookies) > 0 {
		s.headers["Cookie"] = strings.Join(sent.Cookies, "; ")
	}
	if op.Body == nil || !op.Body.Required {
		return s, true
	}
	return s, s.take(op.Body)
}

// take gives s a body: JSON where there is an example, or else what is not
// validated, or else some text.
func (s *sample) take(b *model.Body) bool {
	for _, kind := range []model.ContentKind{model.JSON, model.Binary, model.Opaque, model.Text, model.Form} {
		for _, c := range b.Contents {
			if c.Kind != kind || kind == model.JSON && !jsontext.Value(c.Example).IsValid() {
				continue
			}
			s.contentType, s.body = c.MediaType, "example"
			switch {
			case kind == model.JSON:
				s.body = c.Example
				if c.Schema != nil {
					s.def = c.Schema.Def
				}
			case kind == model.Form:
				s.body = "example=example"
			case strings.HasPrefix(c.MediaType, "multipart/"):
				s.contentType = strings.Replace(c.MediaType, "*", "form-data", 1) + "; boundary=example"
				s.body = "--example--\r\n"
			case c.MediaType == "*/*":
				s.contentType = "application/octet-stream"
			default:
				s.contentType = strings.Replace(c.MediaType, "*", "example", 1)
			}
			return true
		}
	}
	return false
}

// wrongOf makes a request that op refuses, since x is not what one of its
// parameters may be. It serves where nothing that a sample carries can be left
// out.
func (p *printer) wrongOf(op *model.Operation, s sample, sampled bool) (sample, bool) {
	if sampled && (s.query != "" || s.contentType != "" || len(s.headers) > 0) {
		return sample{}, false
	}
	for i := range op.Params {
		q := &op.Params[i]
		if example.IsCredential(p.API, q) || !refusesLetters(q.Shape) && !p.refusesX(q) {
			continue
		}
		switch {
		case q.In == "query" && sampled:
			return sample{path: s.path, query: url.QueryEscape(q.Name) + "=x"}, true
		case q.In == "path" && strings.Count(op.Path, "{") == 1:
			return sample{path: strings.ReplaceAll(op.Path, "{"+q.Name+"}", "x")}, true
		}
	}
	return sample{}, false
}

// refusesLetters tells whether no text of letters alone is of shape s.
func refusesLetters(s model.Shape) bool {
	if slices.Contains(s.Types, "array") {
		return len(s.Types) == 1 && s.Items != nil && refusesLetters(*s.Items)
	}
	return len(s.Types) > 0 && !slices.ContainsFunc(s.Types, func(t string) bool {
		return t != "integer" && t != "number" && t != "boolean"
	})
}

// refusesX tells whether the schema of a parameter that is one text does not
// take x. Where it is not sure it says false.
func (p *printer) refusesX(q *model.Param) bool {
	if slices.ContainsFunc(q.Shape.Types, func(t string) bool { return t != "string" }) {
		return false
	}
	var bundle struct {
		Defs map[string]jsontext.Value `json:"$defs"`
	}
	var def struct {
		Pattern   string `json:"pattern"`
		MinLength int    `json:"minLength"`
	}
	if json.Unmarshal(p.Bundle, &bundle) != nil || json.Unmarshal(bundle.Defs[q.Schema.Def], &def) != nil {
		return false
	}
	pattern, err := regexp.Compile(def.Pattern)
	return err == nil && !pattern.MatchString("x") || def.MinLength > 1
}

// meaningful are the headers that HTTP or the gate acts on.
var meaningful = map[string]bool{
	"Connection": true, "Content-Encoding": true, "Content-Length": true, "Cookie": true, "Expect": true, "Host": true,
	"Origin": true, "Sec-Fetch-Site": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// literal prints s as a gatetest.Request.
func (s sample) literal() *jen.Statement {
	return jen.Qual(pkgGatetest, "Request").ValuesFunc(func(g *jen.Group) {
		g.Id("Path").Op(":").Add(textLit(s.path))
		if s.query != "" {
			g.Id("Query").Op(":").Add(textLit(s.query))
		}
		if len(s.headers) > 0 {
			g.Id("Header").Op(":").Map(jen.String()).String().Values(jen.DictFunc(func(d jen.Dict) {
				for name, value := range s.headers {
					d[jen.Lit(name)] = jen.Lit(value)
				}
			}))
		}
		if s.contentType != "" {
			g.Id("ContentType").Op(":").Lit(s.contentType)
			g.Id("Body").Op(":").Add(textLit(s.body))
		}
		if s.def != "" {
			g.Id("Def").Op(":").Lit(s.def)
		}
	})
}

// textLit prints a string as it reads best.
func textLit(text string) *jen.Statement {
	if strings.Contains(text, `"`) && strconv.CanBackquote(text) {
		return jen.Op("`" + text + "`")
	}
	return jen.Lit(text)
}
