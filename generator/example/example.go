// Package example makes of a document's examples what a request has to carry
// beside its body and its credentials.
package example

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/generator/model"
)

// A Request is the required parameters of an operation, as they are sent.
type Request struct {
	Path    string      // of the operation, its parameters filled in and escaped
	Query   []string    // pairs, escaped
	Headers [][2]string // name as the document writes it, and value
	Cookies []string    // pairs, escaped
}

// Of makes a request of what op requires. Where that cannot be done the error
// is the end of a sentence that says why. What lies where a credential does is
// left out: it comes with that. It is for the caller to refuse headers that
// HTTP acts on.
func Of(api *model.API, op *model.Operation) (Request, error) {
	r := Request{Path: op.Path}
	for i := range op.Params {
		q := &op.Params[i]
		if !q.Required || IsCredential(api, q) {
			continue
		}
		texts, ok := texts(q)
		if !ok {
			return Request{}, errors.New("the document gives no example of a parameter that it requires")
		}
		switch q.In {
		case "path":
			text := joined(texts, url.PathEscape)
			if text == "" || text == "." || text == ".." {
				return Request{}, errors.New("the example of a parameter in its path cannot be sent")
			}
			r.Path = strings.ReplaceAll(r.Path, "{"+q.Name+"}", text)
		case "query":
			r.Query = append(r.Query, queryPairs(q, texts)...)
		case "header":
			text := strings.Join(texts, ",")
			if !plain.MatchString(text) {
				return Request{}, ErrHeader
			}
			r.Headers = append(r.Headers, [2]string{q.Name, text})
		case "cookie":
			r.Cookies = append(r.Cookies, q.Name+"="+joined(texts, url.PathEscape))
		}
	}
	if strings.ContainsAny(r.Path, "{}") {
		return Request{}, errors.New("the document leaves a part of its path open")
	}
	return r, nil
}

// ErrHeader means that a header cannot be sent as the document has it.
var ErrHeader = errors.New("the example of a header cannot be sent")

// plain matches texts that mean the same in a header.
var plain = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)

// IsCredential tells whether q is where the credential of a scheme lies.
func IsCredential(api *model.API, q *model.Param) bool {
	for i := range api.Schemes {
		for _, place := range api.Schemes[i].Places {
			if place.In == q.In && (place.Name == q.Name || q.In == "header" && strings.EqualFold(place.Name, q.Name)) {
				return true
			}
		}
	}
	return false
}

// texts returns a parameter's example as the texts of its items, or the
// only one; false where there is none that can be sent.
func texts(q *model.Param) ([]string, bool) {
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
