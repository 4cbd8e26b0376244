package schema

import (
	"bytes"
	"slices"
	"strconv"
)

// canonical writes the value at i so that equal values, as JSON Schema
// understands it, have equal texts: numbers by value, strings without escapes,
// objects sorted.
func canonical(dst, text []byte, marks []mark, i int32) []byte {
	m := marks[i]
	raw := text[m.start:m.end]
	switch m.kind {
	case '0':
		d, ok := parseDecimal(raw)
		if !ok {
			return append(dst, raw...)
		}
		return d.append(dst)
	case '"':
		return canonicalString(dst, raw)
	case '[':
		dst = append(dst, '[')
		for at := i + 1; at < m.next; at = marks[at].next {
			dst = append(canonical(dst, text, marks, at), ',')
		}
		return append(dst, ']')
	case '{':
		var members [][]byte
		for at := i + 1; at < m.next; at = marks[at+1].next {
			name := canonicalString(nil, text[marks[at].start:marks[at].end])
			members = append(members, canonical(name, text, marks, at+1))
		}
		slices.SortFunc(members, bytes.Compare)
		dst = append(dst, '{')
		for _, m := range members {
			dst = append(append(dst, m...), ',')
		}
		return append(dst, '}')
	default:
		return append(dst, raw...)
	}
}

// canonicalString writes the length in front, so that no text of a string can
// pass for what follows it.
func canonicalString(dst, quoted []byte) []byte {
	text := unquote(quoted)
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, ':')
	return append(dst, text...)
}
