package load

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatewright/gatewright/generator/model"
)

// maxDepth bounds how deep values may nest.
const maxDepth = 512

// excerptRunes is the longest excerpt, in characters of the line.
const excerptRunes = 120

// parse fills root, or diags.
func (s *source) parse() {
	if bytes.HasPrefix(s.text, []byte{0xff, 0xfe}) || bytes.HasPrefix(s.text, []byte{0xfe, 0xff}) {
		s.fail(RuleNotText, model.Position{File: s.name, Line: 1, Column: 1}, "the file is UTF-16", "save it as UTF-8")
		return
	}
	s.text = bytes.TrimPrefix(s.text, []byte("\ufeff"))
	s.index(jsonBreak)
	if at := badText(s.text); at >= 0 {
		what := "a control character"
		if r, size := utf8.DecodeRune(s.text[at:]); r == utf8.RuneError && size == 1 {
			what = "a byte that is not UTF-8"
		}
		s.fail(RuleNotText, s.position(at), fmt.Sprintf("the file has %s (0x%02x)", what, s.text[at]), "save it as UTF-8 text")
		return
	}
	body := bytes.TrimLeft(s.text, " \t\r\n")
	if len(body) == 0 {
		s.fail(RuleSyntax, model.Position{File: s.name, Line: 1, Column: 1}, "the file is empty", "")
		return
	}
	if body[0] == '{' || body[0] == '[' {
		root, diags := s.parseJSON()
		if root != nil || strings.EqualFold(path.Ext(s.name), ".json") {
			s.root, s.diags = root, append(s.diags, diags...)
			return
		}
		if len(diags) > 0 && diags[0].Rule != RuleSyntax {
			s.diags = append(s.diags, diags...)
			return
		}
	}
	s.index(yamlBreak)
	s.parseYAML()
}

// badText returns the offset of the first byte that is not UTF-8 or is a
// control character that neither YAML nor JSON allows, or -1.
func badText(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f {
			return i
		}
		i += size
	}
	return -1
}

// index finds where the lines start, as the readers count them.
func (s *source) index(breaks *regexp.Regexp) {
	s.lines = []int{0}
	for _, at := range breaks.FindAllIndex(s.text, -1) {
		s.lines = append(s.lines, at[1])
	}
}

var (
	jsonBreak = regexp.MustCompile("\n")
	yamlBreak = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]") // those of YAML 1.1, which the library reads
)

// position gives line and column of a byte.
func (s *source) position(offset int) model.Position {
	lo, hi := 0, len(s.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.lines[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	offset = min(offset, len(s.text))
	return model.Position{File: s.name, Line: lo + 1, Column: utf8.RuneCount(s.text[s.lines[lo]:offset]) + 1}
}

// line returns the text of a line, counted from 1, without its end.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	end := len(s.text)
	if n < len(s.lines) {
		end = s.lines[n]
	}
	return strings.TrimRight(string(s.text[s.lines[n-1]:end]), "\r\n\u0085\u2028\u2029")
}

// Excerpt returns the line at pos for a person to read: without its
// indentation, at most 120 characters around the column, and with everything
// escaped that does not print. It is "" where there is no such line.
func (d *Document) Excerpt(pos model.Position) string {
	d.mu.Lock()
	src := d.sources[pos.File]
	d.mu.Unlock()
	if src == nil {
		return ""
	}
	line := []rune(src.line(pos.Line))
	cutLeft, cutRight := "", ""
	if len(line) > excerptRunes {
		from := min(max(0, pos.Column-1-excerptRunes/3), len(line)-excerptRunes)
		if from > 0 {
			cutLeft = "…"
		}
		if from+excerptRunes < len(line) {
			cutRight = "…"
		}
		line = line[from : from+excerptRunes]
	}
	return cutLeft + printable(strings.TrimSpace(string(line))) + cutRight
}

// printable escapes what does not print, among it the characters that turn
// the direction of text on a terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRune(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// Quote quotes document text for a message, shortened to 80 characters.
func Quote(s string) string {
	if r := []rune(s); len(r) > 80 {
		s = string(r[:79]) + "…"
	}
	return strconv.Quote(s)
}

// QuoteASCII is Quote with every character escaped that is not ASCII, for
// names that are wrong because they look like others.
func QuoteASCII(s string) string {
	if r := []rune(s); len(r) > 80 {
		s = string(r[:79]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// String names the kind with its article: an object, a list, nothing.
func (k Kind) String() string {
	switch k {
	case Object:
		return "an object"
	case Array:
		return "a list"
	case String:
		return "a string"
	case Number:
		return "a number"
	case Bool:
		return "a boolean"
	}
	return "null"
}
