package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/generator/model"
)

// curlLine is a command that a person can paste: of the operations that can be
// called with what is at hand, one that the key opens or else an access token, and
// that needs least. token is the command that prints one. It is empty where there
// is none.
func curlLine(api *model.API, base, ca, key, token string) string {
	var best *model.Operation
	for i := range api.Operations {
		op := &api.Operations[i]
		_, byKey := keyNeed(api, op)
		if byKey = byKey && key != ""; !byKey && !tokenOpens(api, op) && !op.Policy.Public {
			continue
		}
		if best == nil || effort(op) < effort(best) {
			best = op
		}
	}
	if best == nil {
		return ""
	}
	args := []string{"curl", "--cacert", quote(ca)}
	body, hasBody := jsonBody(best)
	if best.Method != "GET" && (best.Method != "POST" || !hasBody) {
		args = append(args, "-X", quote(best.Method))
	}
	query := url.Values{}
	for _, q := range best.Params {
		if q.Required && q.In == "query" {
			query.Set(q.Name, sample(q))
		}
		if q.Required && q.In == "header" {
			args = append(args, "-H", quote(q.Name+": "+sample(q)))
		}
	}
	if hasBody {
		args = append(args, "-H", quote("Content-Type: "+body.MediaType), "-d", quote(body.Example))
	}
	if need, ok := keyNeed(api, best); ok && key != "" {
		place := api.Scheme(need.Scheme).Places[0]
		switch place.In {
		case "header":
			args = append(args, "-H", quote(place.Name+": "+key))
		case "query":
			query.Set(place.Name, key)
		case "cookie":
			args = append(args, "-b", quote(place.Name+"="+key))
		case "authorization":
			switch place.Name {
			case "basic":
				args = append(args, "-u", quote("apikey:"+key))
			case "":
				args = append(args, "-H", quote("Authorization: "+key))
			default:
				args = append(args, "-H", quote("Authorization: "+place.Name+" "+key))
			}
		}
	}
	if _, ok := keyNeed(api, best); (!ok || key == "") && tokenOpens(api, best) {
		args = append(args, "-H", `"Authorization: Bearer $(`+token+`)"`)
	}
	target := base + fill(best)
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return strings.Join(append(args, quote(target)), " ")
}

// keyNeed returns the need of an alternative that one API key meets alone.
func keyNeed(api *model.API, op *model.Operation) (model.Need, bool) {
	for _, a := range op.Policy.Alternatives {
		if len(a) == 1 {
			if s := api.Scheme(a[0].Scheme); s != nil && s.Verifier == model.VerifyAPIKey {
				return a[0], true
			}
		}
	}
	return model.Need{}, false
}

// tokenOpens tells whether an access token alone meets an alternative.
func tokenOpens(api *model.API, op *model.Operation) bool {
	return slices.ContainsFunc(op.Policy.Alternatives, func(a model.Alternative) bool {
		if len(a) != 1 {
			return false
		}
		s := api.Scheme(a[0].Scheme)
		return s != nil && s.TakesTokens()
	})
}

// effort ranks how much a call of op takes: what may not work as it stands is
// shown last, a key's use before an open door, reading before writing, and few
// parameters before many.
func effort(op *model.Operation) int {
	n := 0
	if _, ok := jsonBody(op); op.Body != nil && op.Body.Required && !ok {
		n += 10000
	}
	if op.Policy.Public {
		n += 100
	}
	if op.Method != "GET" {
		n += 10
	}
	for _, q := range op.Params {
		if !q.Required {
			continue
		}
		n++
		if q.Example == "" {
			n += 1000
		}
		if q.In == "path" {
			n += 20 // an example is seldom the id of anything there is
		}
	}
	return n
}

// jsonBody returns the JSON body that op takes, if an example of it is known.
func jsonBody(op *model.Operation) (model.Content, bool) {
	if op.Body == nil {
		return model.Content{}, false
	}
	for _, c := range op.Body.Contents {
		if c.Kind == model.JSON && c.Example != "" {
			return c, true
		}
	}
	return model.Content{}, false
}

// fill puts sample values into the path's template.
func fill(op *model.Operation) string {
	path := op.Path
	for _, q := range op.Params {
		if q.In == "path" {
			path = strings.ReplaceAll(path, "{"+q.Name+"}", url.PathEscape(sample(q)))
		}
	}
	return path
}

// sample is a parameter's example as text.
func sample(q model.Param) string {
	if text, err := jsontext.AppendUnquote(nil, q.Example); err == nil {
		return string(text)
	}
	if q.Example == "" || q.Example == "null" || strings.ContainsAny(q.Example[:1], "[{") {
		return "example"
	}
	return q.Example
}

// quote makes one word of a shell's command line (POSIX).
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// union returns all scopes of all schemes, sorted and once each.
func union(scopes map[string][]string) []string {
	var all []string
	for _, list := range scopes {
		all = append(all, list...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
