// Package publish makes the form of an OpenAPI document that a server shows:
// one JSON file with code samples at each operation.
package publish

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/samples"
)

// Document returns doc as JSON, indented by tabs. $refs into other files are
// replaced by what they lead to, the second of two by a $ref to where the
// first was; those inside the document stay. Extensions that speak to
// generators (x-gatewright…, x-go-…) are left out, everything else is there,
// and each operation of api has x-codeSamples, in front of any of its own.
// The bytes depend on doc and api only.
func Document(doc *load.Document, api *model.API) ([]byte, error) {
	if doc == nil || api == nil {
		return nil, fmt.Errorf("publish: no document")
	}
	w := &writer{
		doc: doc, maker: samples.New(api, Origin(doc)), base: api.BasePath,
		ops: make(map[string]*model.Operation), at: make(map[*load.Node]string),
	}
	for i := range api.Operations {
		op := &api.Operations[i]
		w.ops[op.Method+" "+op.Path] = op
	}
	w.root(doc.Root)
	if w.err != nil {
		return nil, fmt.Errorf("publish: %w", w.err)
	}
	text := jsontext.Value(w.out.Bytes())
	if err := text.Indent(jsontext.WithIndent("\t"), jsontext.PreserveRawStrings(true)); err != nil {
		return nil, fmt.Errorf("publish: the document as one file: %w", err)
	}
	return append(text, '\n'), nil
}

// Origin returns scheme, host and port of the document's first server, with
// its variables at their defaults; "" where that is not https or cannot be
// told.
func Origin(doc *load.Document) string {
	servers := doc.Root.Get("servers")
	if !servers.Is(load.Array) || len(servers.Items) == 0 {
		return ""
	}
	server := servers.Items[0]
	text := server.Str("url")
	if variables := server.Get("variables"); variables.Is(load.Object) {
		for _, m := range variables.Members {
			text = strings.ReplaceAll(text, "{"+m.Key+"}", m.Value.Str("default"))
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return "https://" + u.Host
}

// A writer prints one document. After an error it writes no more.
type writer struct {
	doc   *load.Document
	maker *samples.Maker
	base  string
	ops   map[string]*model.Operation // by method and path
	out   bytes.Buffer
	path  []string              // of the value that is being written
	at    map[*load.Node]string // where parts of other files were written
	// outside is set while a part of another file is written.
	outside bool
	err     error
}

// maxDepth bounds how deep what is written nests: files can lead to files.
const maxDepth = 2000

// A kind says how the members of a node are to be read.
type kind int

const (
	object  kind = iota // of OpenAPI or JSON Schema: its extensions are ours to drop, its $ref is one
	names               // names given by the document's author, each with an object
	literal             // a value that stands for itself
)

// inside says how the member key of a node of kind k is to be read.
func (k kind) inside(key string, v *load.Node) kind {
	switch {
	case k == literal:
		return literal
	case k == names:
		return object
	case strings.HasPrefix(key, "x-"):
		return literal
	}
	switch key {
	case "example", "default", "const", "enum", "value", "mapping", "scopes", "required", "security", "dependentRequired":
		return literal
	case "examples":
		if v.Is(load.Array) {
			return literal
		}
		return names
	case "parameters":
		// A list in operations, names in components; in a Link Object values.
		return names
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "headers", "responses", "schemas", "content",
		"callbacks", "links", "variables", "encoding", "securitySchemes", "requestBodies", "pathItems", "mediaTypes", "webhooks":
		return names
	}
	return object
}

// forGenerators tells whether an extension speaks to generators alone.
func forGenerators(key string) bool {
	return strings.HasPrefix(key, "x-gatewright") || strings.HasPrefix(key, "x-go-")
}

// root writes the whole document.
func (w *writer) root(n *load.Node) {
	w.members(n, func(m load.Member) {
		if m.Key == "paths" {
			w.paths(m.Value)
			return
		}
		w.value(m.Value, object.inside(m.Key, m.Value))
	}, func(m load.Member) bool { return !forGenerators(m.Key) })
}

// members writes an object of those members that keep says.
func (w *writer) members(n *load.Node, write func(load.Member), keep func(load.Member) bool, more ...func() string) {
	w.out.WriteByte('{')
	first := true
	key := func(name string) {
		if !first {
			w.out.WriteByte(',')
		}
		first = false
		w.string(name)
		w.out.WriteByte(':')
	}
	for _, m := range n.Members {
		if keep != nil && !keep(m) {
			continue
		}
		key(m.Key)
		w.below(m.Key, func() { write(m) })
	}
	for _, add := range more {
		mark := w.out.Len()
		wasFirst := first
		key("x-codeSamples")
		text := add()
		if text == "" {
			w.out.Truncate(mark)
			first = wasFirst
			continue
		}
		w.out.WriteString(text)
	}
	w.out.WriteByte('}')
}

// below writes what lies under a key of the value at hand.
func (w *writer) below(key string, write func()) {
	if len(w.path) >= maxDepth && w.err == nil {
		w.err = fmt.Errorf("the document as one file nests deeper than %d", maxDepth)
	}
	if w.err != nil {
		w.out.WriteString("null")
		return
	}
	w.path = append(w.path, key)
	write()
	w.path = w.path[:len(w.path)-1]
}

// paths writes the paths, each with its operations in place: two paths that
// refer to one item have samples of their own.
func (w *writer) paths(n *load.Node) {
	n = w.resolved(n)
	if !n.Is(load.Object) {
		w.value(n, object)
		return
	}
	w.members(n, func(m load.Member) {
		item := w.resolved(m.Value)
		if strings.HasPrefix(m.Key, "x-") || !item.Is(load.Object) {
			w.value(m.Value, literal)
			return
		}
		w.from(item, func() { w.item(m.Key, m.Value, item) })
	}, func(m load.Member) bool { return !forGenerators(m.Key) })
}

// item writes a path item. What stands beside a $ref to it wins.
func (w *writer) item(path string, n, item *load.Node) {
	merged := &load.Node{Kind: load.Object}
	for _, m := range item.Members {
		if n == item || n.Get(m.Key) == nil {
			merged.Members = append(merged.Members, m)
		}
	}
	if n != item {
		for _, m := range n.Members {
			if m.Key != "$ref" {
				merged.Members = append(merged.Members, m)
			}
		}
	}
	w.members(merged, func(m load.Member) {
		if m.Key == "additionalOperations" && m.Value.Is(load.Object) {
			w.members(m.Value, func(m load.Member) { w.operation(m.Key, path, m.Value) }, nil)
			return
		}
		if w.ops[strings.ToUpper(m.Key)+" "+w.base+path] != nil && m.Key == strings.ToLower(m.Key) {
			w.operation(strings.ToUpper(m.Key), path, m.Value)
			return
		}
		w.value(m.Value, object.inside(m.Key, m.Value))
	}, func(m load.Member) bool { return !forGenerators(m.Key) })
}

// operation writes an operation with its samples.
func (w *writer) operation(method, path string, n *load.Node) {
	op := w.ops[method+" "+w.base+path]
	n = w.resolved(n)
	if op == nil || !n.Is(load.Object) {
		w.value(n, object)
		return
	}
	own := n.Get("x-codeSamples")
	w.members(n, func(m load.Member) { w.value(m.Value, object.inside(m.Key, m.Value)) },
		func(m load.Member) bool { return m.Key != "x-codeSamples" && !forGenerators(m.Key) },
		func() string {
			inner := &writer{doc: w.doc, at: w.at}
			inner.out.WriteByte('[')
			for i, s := range w.maker.Of(op).Samples {
				if i > 0 {
					inner.out.WriteByte(',')
				}
				inner.out.WriteString(`{"lang":`)
				inner.string(s.Lang)
				inner.out.WriteString(`,"label":`)
				inner.string(s.Label)
				inner.out.WriteString(`,"source":`)
				inner.string(s.Source)
				inner.out.WriteByte('}')
			}
			if own.Is(load.Array) {
				for _, it := range own.Items {
					inner.out.WriteByte(',')
					inner.value(it, literal)
				}
			}
			inner.out.WriteByte(']')
			if w.err == nil {
				w.err = inner.err
			}
			return inner.out.String()
		})
}

// resolved follows references; what leads nowhere stays as it is.
func (w *writer) resolved(n *load.Node) *load.Node {
	if to, err := w.doc.Resolve(n); err == nil {
		return to
	}
	return n
}

// value writes a node.
func (w *writer) value(n *load.Node, k kind) {
	if k == object && n.Ref() != nil {
		w.reference(n)
		return
	}
	if k != literal {
		w.note(n)
	}
	switch n.Kind {
	case load.Null:
		w.out.WriteString("null")
	case load.Bool, load.Number:
		w.out.WriteString(n.Text)
	case load.String:
		w.string(n.Text)
	case load.Array:
		w.out.WriteByte('[')
		for i, it := range n.Items {
			if i > 0 {
				w.out.WriteByte(',')
			}
			each := k
			if k == names {
				each = object // a list of parameters
			}
			w.below(fmt.Sprint(i), func() { w.value(it, each) })
		}
		w.out.WriteByte(']')
	case load.Object:
		w.members(n, func(m load.Member) { w.value(m.Value, k.inside(m.Key, m.Value)) },
			func(m load.Member) bool { return k != object || !forGenerators(m.Key) })
	}
}

// note remembers where a part of another file stands now, the first time.
func (w *writer) note(n *load.Node) {
	if _, known := w.at[n]; !known && w.outside {
		w.at[n] = asPointer(w.path)
	}
}

// from runs write, which writes n.
func (w *writer) from(n *load.Node, write func()) {
	before := w.outside
	w.outside = !w.inRoot(n)
	write()
	w.outside = before
}

// inRoot tells whether n stands in the document's own file, at a place that is
// written.
func (w *writer) inRoot(n *load.Node) bool {
	file, pointer, ok := strings.Cut(n.Location(), "#")
	return ok && file == w.doc.Path && !slices.ContainsFunc(strings.Split(pointer, "/"), forGenerators)
}

// asPointer is what a $ref to the value at that path reads.
func asPointer(path []string) string {
	var b strings.Builder
	b.WriteByte('#')
	for _, key := range path {
		b.WriteString("/" + url.PathEscape(load.EscapePointer(key)))
	}
	return b.String()
}

// reference writes an object with a $ref: as it is where that leads to
// something in the document, or else what it leads to.
func (w *writer) reference(n *load.Node) {
	target, err := w.doc.Step(n)
	beside := func(m load.Member) bool { return m.Key != "$ref" && !forGenerators(m.Key) }
	to := ""
	switch {
	case err != nil:
		// Nothing that is served depends on it, or it would have been an error.
		to = n.Ref().Text
	case w.inRoot(target):
		_, pointer, _ := strings.Cut(target.Location(), "#")
		var path []string
		for i, token := range strings.Split(pointer, "/") {
			if i > 0 {
				path = append(path, strings.NewReplacer("~1", "/", "~0", "~").Replace(token))
			}
		}
		to = asPointer(path)
	default:
		to = w.at[target]
	}
	if to != "" {
		// What stands beside it is where it always was.
		w.members(n, func(m load.Member) {
			if m.Key == "$ref" {
				w.string(to)
				return
			}
			w.value(m.Value, object.inside(m.Key, m.Value))
		}, func(m load.Member) bool { return m.Key == "$ref" || beside(m) })
		return
	}
	switch {
	case w.doc.Version == "3.0" || !slices.ContainsFunc(n.Members, beside):
		w.from(target, func() { w.value(target, object) })
	case target.Is(load.Object) && target.Ref() == nil && !slices.ContainsFunc(n.Members, func(m load.Member) bool {
		return beside(m) && m.Key != "summary" && m.Key != "description"
	}):
		// Words beside a reference are said instead of those it leads to.
		merged := &load.Node{Kind: load.Object}
		for _, m := range target.Members {
			if n.Get(m.Key) == nil {
				merged.Members = append(merged.Members, m)
			}
		}
		for _, m := range n.Members {
			if beside(m) {
				merged.Members = append(merged.Members, m)
			}
		}
		w.from(target, func() {
			w.note(target)
			w.members(merged, func(m load.Member) { w.value(m.Value, object.inside(m.Key, m.Value)) },
				func(m load.Member) bool { return !forGenerators(m.Key) })
		})
	default:
		// Keywords beside a reference apply as well (JSON Schema 2020-12).
		w.out.WriteString(`{"allOf":[`)
		w.below("allOf", func() {
			w.below("0", func() { w.from(target, func() { w.value(target, object) }) })
			if own := n.Get("allOf"); own.Is(load.Array) {
				for i, it := range own.Items {
					w.out.WriteByte(',')
					w.below(fmt.Sprint(i+1), func() { w.value(it, object) })
				}
			}
		})
		w.out.WriteByte(']')
		for _, m := range n.Members {
			if !beside(m) || m.Key == "allOf" {
				continue
			}
			w.out.WriteByte(',')
			w.string(m.Key)
			w.out.WriteByte(':')
			w.below(m.Key, func() { w.value(m.Value, object.inside(m.Key, m.Value)) })
		}
		w.out.WriteByte('}')
	}
}

// string writes s as a JSON string; what is no UTF-8 is replaced.
func (w *writer) string(s string) {
	b, err := jsontext.AppendQuote(w.out.AvailableBuffer(), strings.ToValidUTF8(s, "\ufffd"))
	if err != nil && w.err == nil {
		w.err = err
	}
	w.out.Write(b)
}
