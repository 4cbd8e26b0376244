// Package origin judges what a request may claim about where it comes from and
// where it wants to go: the page to return to after a login, pages of other
// origins that may read answers (CORS), and proof that a request was made by a
// page of our own.
package origin

import (
	"net/url"
	"strings"
)

// maxReturnTo bounds a path to return to: it travels in a cookie.
const maxReturnTo = 1024

// ReturnTo tells whether raw is a path on our own origin that a browser may be
// sent to: absolute, with one slash in front, at most 1024 bytes, without
// backslashes and control characters. Query and fragment are kept. The path it
// returns is raw, with what does not belong into a Location header
// percent-encoded; it is "" where raw is not fine.
func ReturnTo(raw string) (string, bool) {
	// Browsers take a backslash for a slash, and drop tabs and newlines
	// wherever they stand: /\evil.example and /<tab>/evil.example are other
	// hosts to them.
	if !strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") || hasTricks(raw) {
		return "", false
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", false
	}
	// The path is looked at decoded, for servers in between that decode it.
	// Two slashes are refused wherever they stand: dot segments in front of
	// them may be taken away (/.//evil.example).
	if strings.Contains(u.Path, "//") || hasTricks(u.Path) {
		return "", false
	}
	to := encode(u.String())
	if len(to) > maxReturnTo {
		return "", false
	}
	return to, true
}

func hasTricks(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' })
}

// encode percent-encodes what browsers would encode by themselves, so that
// what they make of it is what was checked.
func encode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>':
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
