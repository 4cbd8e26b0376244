package samples

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/generator/example"
	"github.com/gatewright/gatewright/generator/model"
)

// A body that is longer than wide is written over several lines; one longer
// than maxBody is not shown.
const (
	wide    = 72
	maxBody = 16 << 10
)

// call makes the request of op, or says in a sentence why there is none.
func (m *Maker) call(op *model.Operation) (*call, string) {
	needs, why := m.choose(op.Policy)
	if why != "" {
		return nil, why
	}
	c := &call{method: op.Method, server: m.server, urlVar: m.names.base + "_URL", creds: m.credentials(needs)}
	sent, err := example.Of(m.api, op)
	for _, h := range sent.Headers {
		if notOurs[http.CanonicalHeaderKey(h[0])] {
			err = example.ErrHeader
		}
	}
	if err != nil {
		return nil, "There is no sample for this operation: " + err.Error() + "."
	}
	c.headers = sent.Headers
	c.cookies = strings.Join(sent.Cookies, "; ")
	c.target = escapePath(sent.Path)
	if len(sent.Query) > 0 {
		c.target += "?" + strings.Join(sent.Query, "&")
	}
	if op.Body != nil {
		if why := c.take(op.Body); why != "" {
			return nil, why
		}
	}
	return c, ""
}

// take gives c a body: JSON where there is an example, or else some text where
// that is what the operation takes.
func (c *call) take(b *model.Body) string {
	for _, content := range b.Contents {
		if content.Kind != model.JSON || !jsontext.Value(content.Example).IsValid() || strings.Contains(content.MediaType, "*") {
			continue
		}
		body, ok := printableJSON(content.Example)
		if !ok || len(body) > maxBody {
			continue
		}
		c.contentType, c.body = content.MediaType, body
		return ""
	}
	if !b.Required {
		return ""
	}
	for _, content := range b.Contents {
		if content.Kind == model.Text && content.Schema == nil {
			c.contentType, c.body = content.MediaType, "example"
			return ""
		}
	}
	const not = "There is no sample for this operation: its body "
	switch content := b.Contents[0]; content.Kind {
	case model.JSON:
		return not + "is JSON of which the document gives no example."
	case model.Form:
		return not + "is a form of which the document gives no example."
	case model.Binary:
		return not + "is a file."
	case model.Text:
		return not + "is a text of which the document gives no example."
	default:
		if strings.HasPrefix(content.MediaType, "multipart/") {
			return not + "has several parts, such as files."
		}
		return not + "is of a kind that the document does not describe."
	}
}

// notOurs are the headers that HTTP clients set themselves, or act on.
var notOurs = map[string]bool{
	"Connection": true, "Content-Encoding": true, "Content-Length": true, "Content-Type": true, "Cookie": true, "Expect": true,
	"Host": true, "Origin": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// escapePath leaves of a template's text only what stands in a URL. What is
// escaped already stays.
func escapePath(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c > ' ' && c < 0x7f && !strings.ContainsRune("\"'<>\\^`{|}$()[]*!;", rune(c)) {
			b.WriteByte(c)
		} else {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// printableJSON writes JSON so that it reads well and every letter of it
// prints: what does not is escaped, as is what steers the direction of text.
func printableJSON(text string) (string, bool) {
	v := jsontext.Value(strings.Clone(text))
	format := []jsontext.Options{jsontext.SpaceAfterComma(true), jsontext.SpaceAfterColon(true)}
	if len(text) > wide {
		format = []jsontext.Options{jsontext.Multiline(true), jsontext.WithIndent("  ")}
	}
	format = append(format, jsontext.PreserveRawStrings(true), jsontext.AllowInvalidUTF8(true))
	if err := v.Format(format...); err != nil || !utf8.Valid(v) {
		return "", false
	}
	var b strings.Builder
	for _, r := range string(v) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			b.WriteString(unicodeEscape(hi) + unicodeEscape(lo))
		default: // inside a string: elsewhere JSON has printable letters alone
			b.WriteString(unicodeEscape(r))
		}
	}
	return b.String(), true
}

func unicodeEscape(r rune) string {
	const hex = "0123456789abcdef"
	return string([]byte{'\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15]})
}

// printable tells whether every letter of s prints.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
