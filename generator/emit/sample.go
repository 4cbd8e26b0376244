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
	s := sample{path: op.Path, headers: make(map[string]string)}
	var pairs, cookies []string
	for i := range op.Params {
		q := &op.Params[i]
		if !q.Required || p.credential(q) {
			continue
		}
		texts, ok := exampleTexts(q)
		if !ok {
			return sample{}, false
		}
		switch q.In {
		case "path":
			text := joined(texts, url.PathEscape)
			if text == "" || text == "." || text == ".." {
				return sample{}, false
			}
			s.path = strings.ReplaceAll(s.path, "{"+q.Name+"}", text)
		case "query":
			pairs = append(pairs, queryPairs(q, texts)...)
		case "header":
			text := strings.Join(texts, ",")
			if !plain.MatchString(text) || meaningful[http.CanonicalHeaderKey(q.Name)] {
				return sample{}, false
			}
			s.headers[http.CanonicalHeaderKey(q.Name)] = text
		case "cookie":
			cookies = append(cookies, q.Name+"="+joined(texts, url.PathEscape))
		}
	}
	if strings.Contains(s.path, "{") {
		return sample{}, false
	}
	s.query = strings.Join(pairs, "&")
	if len(cookies) > 0 {
		s.headers["Cookie"] = strings.Join(cookies, "; ")
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
		if p.credential(q) || !refusesLetters(q.Shape) && !p.refusesX(q) {
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

// plain matches texts that mean the same in a header.
var plain = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)

// meaningful are the headers that HTTP or the gate acts on.
var meaningful = map[string]bool{
	"Connection": true, "Content-Encoding": true, "Content-Length": true, "Cookie": true, "Expect": true, "Host": true,
	"Origin": true, "Sec-Fetch-Site": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// credential tells whether q is where the credential of a scheme lies.
func (p *printer) credential(q *model.Param) bool {
	for i := range p.API.Schemes {
		for _, place := range p.API.Schemes[i].Places {
			if place.In == q.In && (place.Name == q.Name || q.In == "header" && strings.EqualFold(place.Name, q.Name)) {
				return true
			}
		}
	}
	return false
}

// exampleTexts returns a parameter's example as the texts of its items, or the
// only one; false where there is none that can be sent.
func exampleTexts(q *model.Param) ([]string, bool) {
	example := jsontext.Value(q.Example)
	if !example.IsValid() {
		return nil, false
	}
	if example.Kind() != '[' {
		text, ok := scalarText(example)
		return []string{text}, ok
	}
	var items []jsontext.Value
	if err := json.Unmarshal(example, &items); err != nil || len(items) == 0 || !slices.Contains(q.Shape.Types, "array") {
		return nil, false
	}
	var texts []string
	for _, item := range items {
		text, ok := scalarText(item)
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

// scalarText returns a JSON string, number or boolean as it is sent.
func scalarText(v jsontext.Value) (string, bool) {
	switch v.Kind() {
	case '"':
		var text string
		err := json.Unmarshal(v, &text)
		return text, err == nil
	case '0', 't', 'f':
		return strings.TrimSpace(string(v)), true
	}
	return "", false
}

// joined writes items between commas, each escaped.
func joined(texts []string, escape func(string) string) string {
	var all []string
	for _, text := range texts {
		all = append(all, escape(text))
	}
	return strings.Join(all, ",")
}

// queryPairs writes a query parameter.
func queryPairs(q *model.Param, texts []string) []string {
	name := url.QueryEscape(q.Name)
	if !q.Explode {
		return []string{name + "=" + joined(texts, url.QueryEscape)}
	}
	var pairs []string
	for _, text := range texts {
		pairs = append(pairs, name+"="+url.QueryEscape(text))
	}
	return pairs
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
