// Package samples writes programs that call the operations of an API: for
// curl, Python, JavaScript and Go. They read their credentials from the
// environment, send them where the document says, over https alone, and follow
// no redirect. Where a variable is not set they say so and send nothing.
//
// Text of the document reaches a program only as a quoted literal: never as a
// comment, which some shells carry out when it is pasted.
package samples

import (
	"regexp"

	"github.com/gatewright/gatewright/generator/model"
)

// A Sample is one complete program.
type Sample struct {
	Lang   string // as x-codeSamples names it: Shell, Python, JavaScript, Go
	Label  string // as people name it: curl, Python, JavaScript, Go
	Source string
}

// A Variable is one that programs read from their environment.
type Variable struct {
	Name   string
	About  string // what it holds, as in: the API key
	Secret bool
}

// A Set is what there is for one operation.
type Set struct {
	Samples   []Sample // four, in the order above
	Variables []Variable
	// Why says in a sentence why there is no program that calls the operation;
	// empty where there is one in every language. The samples then say the same.
	Why string
}

// A Maker makes the samples of one API. It may be used concurrently.
type Maker struct {
	api    *model.API
	server string
	names  names
}

// New returns a Maker. server is the origin that programs call unless the
// environment says otherwise, such as https://blog.example; where it is not
// https there is no default.
func New(api *model.API, server string) *Maker {
	if !origin.MatchString(server) {
		server = ""
	}
	return &Maker{api: api, server: server, names: nameAll(api)}
}

// origin matches an address that programs may have as their default.
var origin = regexp.MustCompile(`^https://([a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$`)

// Of returns the samples of an operation of the API.
func (m *Maker) Of(op *model.Operation) Set {
	c, why := m.call(op)
	set := Set{Why: why}
	if why == "" {
		set.Variables = c.variables()
	}
	for _, l := range []struct {
		lang, label string
		print       func(*call) (string, string)
		refuse      func(string) string
	}{
		{"Shell", "curl", curl, curlRefusal},
		{"Python", "Python", python, pythonRefusal},
		{"JavaScript", "JavaScript", javaScript, javaScriptRefusal},
		{"Go", "Go", golang, golangRefusal},
	} {
		source, not := "", why
		if not == "" {
			source, not = l.print(c)
		}
		if not != "" {
			source = l.refuse(not)
		}
		set.Samples = append(set.Samples, Sample{Lang: l.lang, Label: l.label, Source: source})
	}
	return set
}

// A call is one request, ready to be written in any language. All of it is
// printable text, target, headers and contentType are ASCII.
type call struct {
	method      string
	target      string // path and query, percent-encoded
	headers     [][2]string
	cookies     string // Cookie header of what is no credential
	contentType string
	body        string
	creds       []credential
	server      string
	urlVar      string
}

// variables are those that the call reads, the server's address last.
func (c *call) variables() []Variable {
	var all []Variable
	for _, cred := range c.creds {
		for i, v := range cred.vars {
			secret := cred.kind != certCred && (cred.kind != userCred || i == 1)
			all = append(all, Variable{Name: v.name, About: v.about, Secret: secret})
		}
	}
	return append(all, Variable{Name: c.urlVar, About: "the address of the server"})
}

// required are the variables without which nothing is sent, with what to say.
func (c *call) required() []variable {
	var all []variable
	for _, cred := range c.creds {
		all = append(all, cred.vars...)
	}
	if c.server == "" {
		all = append(all, variable{c.urlVar, "the server's address, such as https://api.example"})
	}
	return all
}

// unset is the message of a program without that variable.
func (v variable) unset() string {
	return v.name + " is not set. Put " + v.about + " into it. Nothing was sent."
}

// insecure is the message of a program whose server is not reached by https.
func (c *call) insecure() string {
	return c.urlVar + " does not begin with https://. Nothing was sent."
}

// find returns the first credential of a kind.
func (c *call) find(kind credKind) (credential, bool) {
	for _, cred := range c.creds {
		if cred.kind == kind {
			return cred, true
		}
	}
	return credential{}, false
}
