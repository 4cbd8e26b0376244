package analyze

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

// body reads an operation's requestBody; nil where it takes none.
func (a *analyzer) body(op *model.Operation, n *load.Node) *model.Body {
	if n.Get("requestBody") == nil {
		return nil
	}
	b, ok := a.object(n.Get("requestBody"), "requestBody")
	if !ok {
		return nil
	}
	if slices.Contains([]string{"GET", "HEAD", "TRACE"}, op.Method) {
		a.warnf(ruleNoBody, n.Get("requestBody"), "RFC 9110, section 9.3: content at these methods has no meaning", "the body of a %s is ignored", op.Method)
		return nil
	}
	body := &model.Body{Description: b.Str("description"), Required: b.True("required"), Pos: b.Pos}
	if b.Get("content") == nil {
		a.errorf(ruleBody, b, "say at least one media type under content", "the request body has no content")
		return nil
	}
	content, ok := a.object(b.Get("content"), "content")
	if !ok {
		return nil
	}
	if len(content.Members) == 0 {
		a.warnf(ruleBody, content, "say at least one media type under content", "the request body has no media type and is ignored")
		return nil
	}
	body.Contents = a.contents(content, op.GoName, func(c *model.Content, media *load.Node) { a.bodyContent(op, c, media) })
	if len(body.Contents) == 0 {
		return nil
	}
	return body
}

// sizeUnits are those of sizes: of the units that a server's configuration takes,
// the binary ones.
var sizeUnits = map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// bodyLimit reads x-gatewright at an operation: how large its body may be.
func (a *analyzer) bodyLimit(op *model.Operation, n *load.Node) {
	const help = "write {max_body: 64MiB}, or a number of bytes"
	a.misspeltExtension(n)
	x := n.Get("x-gatewright")
	if x == nil {
		return
	}
	if !x.Is(load.Object) {
		a.errorf(ruleKind, x, help, "x-gatewright is %s, not an object", x.Kind)
		return
	}
	for _, m := range x.Members {
		switch size, ok := parseSize(m.Value); {
		case m.Key != "max_body":
			a.add(model.Diagnostic{Rule: ruleKind, Pos: m.KeyPos, Help: help, Message: "x-gatewright has the unknown member " + load.Quote(m.Key)})
		case !ok:
			a.errorf(ruleKind, m.Value, help, "max_body is %s, not a size", load.Quote(m.Value.Text))
		case op.Body == nil:
			a.errorf(ruleKind, m.Value, "take it out", "max_body limits a body, and the operation takes none")
		default:
			op.Body.MaxBytes = size
		}
	}
}

// parseSize reads a whole number of bytes above zero, with or without a unit.
func parseSize(n *load.Node) (int64, bool) {
	if !n.Is(load.String) && !n.Is(load.Number) {
		return 0, false
	}
	number := strings.TrimRight(n.Text, "KMGiB")
	unit, known := sizeUnits[n.Text[len(number):]]
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !known || size <= 0 || size > math.MaxInt64/unit {
		return 0, false
	}
	return size * unit, true
}

// bodyContent settles how a request of that media type is read.
func (a *analyzer) bodyContent(op *model.Operation, c *model.Content, media *load.Node) {
	if c.Kind == model.JSON {
		c.Example = a.example(media)
	}
	if c.Kind == model.Form {
		var ok bool
		if schema := media.Get("schema"); schema == nil || media.Get("encoding") != nil {
			ok = false
		} else {
			c.Shape, ok = a.formShape(schema)
		}
		if !ok {
			c.Kind, c.Shape = model.Opaque, model.Shape{}
		}
	}
	if c.Kind == model.Opaque {
		a.streams = append(a.streams, streamUse{c.MediaType, c.Pos, op.ID})
	}
}

// A streamUse is a body that the handler reads itself.
type streamUse struct {
	mediaType string
	pos       model.Position
	op        string
}

// maxNamed bounds how many operations a finding names.
const maxNamed = 8

// undecoded warns of bodies that are neither decoded nor validated, once for
// each media type: documents have many of them.
func (a *analyzer) undecoded() {
	byType := map[string][]streamUse{}
	for _, u := range a.streams {
		byType[u.mediaType] = append(byType[u.mediaType], u)
	}
	for mt, uses := range byType {
		var names []string
		for _, u := range uses[:min(len(uses), maxNamed)] {
			names = append(names, load.Quote(u.op))
		}
		if more := len(uses) - maxNamed; more > 0 {
			names = append(names, fmt.Sprintf("%d more", more))
		}
		a.add(model.Diagnostic{Rule: ruleStream, Severity: model.Warning, Pos: uses[0].pos,
			Message: fmt.Sprintf("%s is handed to the handler as a stream, neither decoded nor validated yet, in %s", mt, strings.Join(names, ", "))})
	}
}

// contents reads a map of media types. prefix starts the hints; settle may
// change what was found.
func (a *analyzer) contents(n *load.Node, prefix string, settle func(*model.Content, *load.Node)) []model.Content {
	var out []model.Content
	seen := map[string]bool{}
	for _, m := range n.Members {
		mt, ok := mediaType(m.Key)
		if !ok {
			a.add(model.Diagnostic{Rule: ruleMediaType, Pos: m.KeyPos,
				Message: fmt.Sprintf("%s is no media type", load.Quote(m.Key)), Help: "write it as in application/json"})
			continue
		}
		if seen[mt] {
			a.add(model.Diagnostic{Rule: ruleMediaType, Severity: model.Warning, Pos: m.KeyPos,
				Message: fmt.Sprintf("%s stands here twice but for its parameters; the first counts", load.Quote(mt))})
			continue
		}
		seen[mt] = true
		media, ok := a.object(m.Value, "media type "+load.Quote(m.Key))
		if !ok {
			continue
		}
		c := model.Content{MediaType: mt, Kind: contentKind(mt), Pos: m.KeyPos}
		if media.Get("itemSchema") != nil && media.Get("schema") == nil {
			c.Kind = model.Opaque
		}
		if schema := media.Get("schema"); schema != nil && a.isSchema(schema) {
			c.Schema = &model.Schema{Location: schema.Location(), Hint: prefix + "Body", Pos: schema.Pos}
			if len(out) > 0 {
				c.Schema.Hint = prefix + kindWord(c.Kind) + "Body"
			}
		}
		settle(&c, media)
		out = append(out, c)
	}
	return out
}

func kindWord(k model.ContentKind) string {
	if k == model.JSON {
		return "JSON"
	}
	return strings.ToUpper(string(k[:1])) + string(k[1:])
}

// mediaType lowers a media type and drops its parameters.
func mediaType(s string) (string, bool) {
	s, _, _ = strings.Cut(s, ";")
	s = strings.ToLower(strings.TrimSpace(s))
	main, sub, ok := strings.Cut(s, "/")
	return s, ok && token(main) && token(sub) && (main != "*" || sub == "*")
}

// contentKind says how a media type is read and written.
func contentKind(mt string) model.ContentKind {
	main, sub, _ := strings.Cut(mt, "/")
	switch {
	case mt == "application/json", mt == "text/json", strings.HasSuffix(sub, "+json"):
		return model.JSON
	case mt == "application/x-www-form-urlencoded":
		return model.Form
	case mt == "text/plain":
		return model.Text
	case strings.HasSuffix(sub, "+xml"), strings.HasSuffix(sub, "/xml"):
		return model.Opaque
	case slices.Contains([]string{"image", "audio", "video", "font"}, main),
		slices.Contains([]string{"octet-stream", "pdf", "zip", "gzip", "x-gzip", "x-tar", "x-zip-compressed", "wasm"}, sub):
		return model.Binary
	}
	return model.Opaque
}
