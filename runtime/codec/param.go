package codec

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/gatewright/gatewright/runtime/problem"
)

// In is where a parameter stands.
type In string

// The places of OpenAPI's Parameter Object.
const (
	Path   In = "path"
	Query  In = "query"
	Header In = "header"
	Cookie In = "cookie"
)

// A Param is one parameter of an operation.
//
// A parameter that is no array may be given once. An array comes by its place:
//
//   - query, Explode: a=1&a=2.
//   - query: a=1,2, given once. A comma that is percent-encoded belongs to its item.
//   - header: items between commas, in one line or several (RFC 9110, section
//     5.6.1: empty items do not count). Items are not percent-decoded and
//     cannot hold a comma.
//   - path: items between commas. The path has been decoded by then, so an
//     encoded comma splits as well.
//   - cookie: items between commas, whatever Explode says, since a cookie
//     given twice is refused. Values are percent-decoded, "+" stays.
//
// Objects cannot be parameters.
type Param struct {
	Name     string
	In       In
	Required bool
	Style    string // form (query, cookie) or simple (path, header)
	Explode  bool
	Shape    Shape
	Def      string // name of its schema; "": not validated
}

// Param reads p into the field that into points to. A parameter that is absent
// and optional leaves the field as it is.
func (d *Decoder) Param(p Param, into any) {
	if p.In == Query && !d.readQuery() {
		return
	}
	texts, bad := d.find(&p)
	if bad != nil {
		d.unreadable(codeUnreadable, bad.at(&p))
		return
	}
	if texts == nil {
		if p.Required {
			d.unreadable(codeMissing, absent.at(&p))
		}
		return
	}
	value, ok := p.Shape.appendTexts(nil, texts)
	if !ok {
		d.unreadable(codeUnreadable, (&flaw{"type", "cannot be read as " + p.Shape.readable()}).at(&p))
		return
	}
	vs, syntax, err := d.check(p.Def, value)
	for i := range vs {
		vs[i].Pointer = p.pointer() + vs[i].Pointer
	}
	switch {
	case err != nil:
		d.fault(err)
	case syntax:
		d.unreadable(codeUnreadable, vs...)
	case len(vs) > 0:
		d.wrong = append(d.wrong, vs...)
	case unmarshal(value, into) != nil:
		d.unreadable(codeUnreadable, misfit.at(&p))
	}
}

// pointer is where violations say that p is.
func (p *Param) pointer() string { return "/" + string(p.In) + "/" + escapePointer(p.Name) }

// A flaw is why a parameter cannot be read, in the words of a violation.
type flaw struct{ keyword, message string }

var (
	absent     = &flaw{"required", "is required"}
	repeated   = &flaw{"duplicate", "may be given once only"}
	badPercent = &flaw{"encoding", "holds an invalid percent-encoding"}
	misfit     = &flaw{"type", "is out of range or not in the form that is expected"}
)

func (f *flaw) at(p *Param) problem.Violation {
	return problem.Violation{Pointer: p.pointer(), Keyword: f.keyword, Message: f.message}
}

// readable names what text may be read as.
func (s *Shape) readable() string {
	if s.has("array") {
		return s.names() + ", its items as " + s.item().names()
	}
	return s.names()
}

// unreadable records a parameter that makes the answer a 400.
func (d *Decoder) unreadable(code string, vs ...problem.Violation) {
	if d.code == "" {
		d.code = code
	}
	d.wrong = append(d.wrong, vs...)
}

// fault records an error of the server itself; the first counts.
func (d *Decoder) fault(err error) {
	if d.err == nil {
		d.err = err
	}
}

// readQuery parses the query, once. It returns false where that fails: what an
// unreadable query holds is not known, so that is told and nothing more.
func (d *Decoder) readQuery() bool {
	if !d.query.read {
		d.query.read = true
		d.query.pairs, d.query.err = parsePairs(d.r.URL.RawQuery)
		if d.query.err != nil {
			d.unreadable(codeUnreadable, problem.Violation{
				Pointer: "/query", Keyword: "encoding",
				Message: "holds an invalid percent-encoding or a semicolon that is not encoded",
			})
		}
	}
	return d.query.err == nil
}

// find returns the decoded texts of p: one, or an array's items. Nil means that
// p is absent.
func (d *Decoder) find(p *Param) ([]string, *flaw) {
	list := p.Shape.has("array")
	switch p.In {
	case Path:
		return findPath(d.vars.Get(p.Name), list), nil
	case Query:
		return findQuery(d.query.get(p.Name), list, p.Explode)
	case Header:
		return findHeader(d.r, p.Name, list)
	case Cookie:
		return findCookie(cookies(d.r.Header, p.Name), list)
	}
	return nil, nil
}

func findPath(value string, list bool) []string {
	switch {
	case value == "":
		return nil
	case list:
		return strings.Split(value, ",")
	}
	return []string{value}
}

func findQuery(pairs []pair, list, explode bool) ([]string, *flaw) {
	switch {
	case len(pairs) == 0:
		return nil, nil
	case list && explode:
		texts := make([]string, len(pairs))
		for i := range pairs {
			texts[i] = pairs[i].value
		}
		return texts, nil
	case len(pairs) > 1:
		return nil, repeated
	case list:
		return splitDecode(pairs[0].raw, url.QueryUnescape)
	}
	return []string{pairs[0].value}, nil
}

func findHeader(r *http.Request, name string, list bool) ([]string, *flaw) {
	lines := r.Header.Values(name)
	if strings.EqualFold(name, "Host") && r.Host != "" {
		lines = []string{r.Host} // net/http keeps it apart
	}
	switch {
	case len(lines) == 0:
		return nil, nil
	case !list && len(lines) > 1:
		return nil, repeated
	case !list:
		return lines, nil
	}
	texts := []string{} // present, even if it holds no item
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if item = textproto.TrimString(item); item != "" {
				texts = append(texts, item)
			}
		}
	}
	return texts, nil
}

func findCookie(values []string, list bool) ([]string, *flaw) {
	switch {
	case len(values) == 0:
		return nil, nil
	case len(values) > 1:
		return nil, repeated
	case list:
		return splitDecode(values[0], url.PathUnescape)
	}
	// PathUnescape is percent-decoding alone: a plus sign in a cookie is one.
	text, err := url.PathUnescape(values[0])
	if err != nil {
		return nil, badPercent
	}
	return []string{text}, nil
}

// splitDecode splits raw at its commas and then decodes each item, so that an
// encoded comma stays inside its item.
func splitDecode(raw string, decode func(string) (string, error)) ([]string, *flaw) {
	texts := strings.Split(raw, ",")
	for i, t := range texts {
		text, err := decode(t)
		if err != nil {
			return nil, badPercent
		}
		texts[i] = text
	}
	return texts, nil
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// escapePointer writes one token of a JSON pointer (RFC 6901, section 3).
func escapePointer(token string) string { return pointerEscaper.Replace(token) }
