package gatetest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A Request is what a request consists of beside its method and credentials.
// The zero Request is none.
type Request struct {
	Path        string // percent-encoded, base path included; never empty
	Query       string // without the question mark
	Header      map[string]string
	ContentType string // "": no body
	Body        string
	// Def is the name in [API.Checks] of the schema that Body has to meet, ""
	// where that is not known or Body is not JSON.
	Def string
}

// incomplete returns q without one of its parts, each of which is required;
// false where it has none but the path.
func (q Request) incomplete() (Request, bool) {
	switch {
	case q.Path == "":
		return Request{}, false
	case q.Query != "":
		q.Query = ""
	case q.ContentType != "":
		q.ContentType, q.Body = "", ""
	case len(q.Header) > 0:
		q.Header = nil
	default:
		return Request{}, false
	}
	return q, true
}

// carries tells whether q has a query parameter, header or cookie of that name.
func (q Request) carries(in, name string) bool {
	switch in {
	case "query":
		values, err := url.ParseQuery(q.Query)
		return err == nil && values.Has(name)
	case "header":
		for header := range q.Header {
			if strings.EqualFold(header, name) {
				return true
			}
		}
	case "cookie":
		cookies, err := http.ParseCookie(q.Header["Cookie"])
		return err == nil && slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return c.Name == name })
	}
	return false
}

// reaches tells whether q leads to op whatever the order in which templates
// are tried: no other one fits its path, or op's has no variables.
func (b *bench) reaches(op Operation, q Request) bool {
	if q.Path == "" {
		return false
	}
	path, err := url.PathUnescape(q.Path)
	if err != nil {
		return false
	}
	return !strings.Contains(op.Path, "{") || !slices.ContainsFunc(b.api.Operations, func(other Operation) bool {
		return shape(other.Path) != shape(op.Path) && (fits(other.Path, q.Path) || fits(other.Path, path))
	})
}

// fits tells whether path can be one of template.
func fits(template, path string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(fill(template, "\x00")), "\x00", "[^/]+")
	ok, err := regexp.MatchString("^"+pattern+"$", path)
	return ok || err != nil
}

// variables are the names that stand in braces in a template.
func variables(template string) []string {
	var all []string
	for {
		_, rest, found := strings.Cut(template, "{")
		if !found {
			return all
		}
		name, after, _ := strings.Cut(rest, "}")
		all = append(all, name)
		template = after
	}
}

// A complaint is what a problem says of a request that is not valid.
type complaint struct {
	Code   string `json:"code"`
	Errors []struct {
		Pointer string `json:"pointer"`
	} `json:"errors"`
}

// complaintCodes are the codes of the checks that come before an operation runs.
var complaintCodes = []string{
	"parameter_missing", "parameter_unreadable", "invalid", "body_missing", "body_unreadable", "unsupported_media_type",
}

// excuses tells whether an answer may be what p's operation says to a request
// that its schemas do not take. Documents have wrong examples, so a sample need
// not be one that they do; but no sample lacks what is required, and no
// operation complains of what it does not take. Those are the words of another
// operation's handler.
func (b *bench) excuses(p probe, status int, text []byte) bool {
	sampled := p.sample.Path != ""
	if p.method == http.MethodHead {
		// The reason would stand in the body. GET has been asked before.
		return (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) && (!sampled || b.unsure[p.op.ID])
	}
	var c complaint
	if json.Unmarshal(text, &c) != nil || !slices.Contains(complaintCodes, c.Code) {
		return false
	}
	switch c.Code {
	case "body_missing", "unsupported_media_type":
		if sampled {
			return false
		}
		return p.op.HasBody
	case "body_unreadable":
		if !p.op.HasBody || sampled && p.sample.ContentType == "" {
			return false
		}
	}
	for _, e := range c.Errors {
		in, name := readPointer(e.Pointer)
		switch in {
		case "path":
			if !slices.Contains(variables(p.op.Path), name) {
				return false
			}
		case "body":
			if !p.op.HasBody || sampled && p.sample.ContentType == "" || sampled && c.Code == "invalid" && b.valid(p.sample) {
				return false
			}
		default:
			if sampled && name != "" && !p.sample.carries(in, name) && !b.isPlace(p, in, name) {
				return false
			}
		}
	}
	return true
}

// readPointer splits the pointer of a violation, such as /query/limit.
func readPointer(pointer string) (in, name string) {
	in, rest, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	name, _, _ = strings.Cut(rest, "/")
	return in, strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
}

// valid tells whether the body of q meets its schema.
func (b *bench) valid(q Request) bool {
	if q.Def == "" || b.checks == nil {
		return false
	}
	def, ok := b.checks.Def(q.Def)
	return ok && def.Check([]byte(q.Body)) == nil
}

// isPlace tells whether credentials lie at a name: samples hold none, and what
// p presents may be a parameter as well.
func (b *bench) isPlace(p probe, in, name string) bool {
	same := func(place gate.Place) bool {
		return string(place.In) == in && (place.Name == name || in == "header" && strings.EqualFold(place.Name, name))
	}
	if slices.ContainsFunc(p.papers, func(s sent) bool { return same(s.place) }) {
		return true
	}
	return slices.ContainsFunc(b.api.Schemes, func(s Scheme) bool { return slices.ContainsFunc(s.Places, same) })
}
