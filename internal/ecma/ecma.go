// Package ecma matches the regular expressions of JSON Schema, which are those
// of ECMA-262, with the engines that Go has.
//
// RE2 is taken wherever it can express a pattern: its time is linear in the
// text. What only a backtracking engine can express (look-around,
// back-references) runs under a time limit.
package ecma

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// Limit is the time that one match of a backtracking pattern may take. It is
// wall time: on a machine under load much of it may go to others.
const Limit = 500 * time.Millisecond

// A Regexp is a compiled pattern. Its methods may be called concurrently.
type Regexp struct {
	linear *regexp.Regexp
	slow   *regexp2.Regexp
}

// Compile compiles pattern, not anchored, without flags. The error is RE2's
// where no engine takes the pattern.
func Compile(pattern string) (*Regexp, error) {
	linear, err := regexp.Compile(translate(pattern))
	if err == nil {
		return &Regexp{linear: linear}, nil
	}
	slow, slowErr := regexp2.Compile(pattern, regexp2.ECMAScript|regexp2.Unicode)
	if slowErr != nil {
		return nil, fmt.Errorf("ecma: %w", err)
	}
	slow.MatchTimeout = Limit
	return &Regexp{slow: slow}, nil
}

// Backtracks tells whether RE2 can not express the pattern.
func (re *Regexp) Backtracks() bool { return re.slow != nil }

// Match tells whether the pattern matches somewhere in text. A match that
// takes longer than Limit is none.
func (re *Regexp) Match(text []byte) bool {
	if re.linear != nil {
		return re.linear.Match(text)
	}
	ok, err := re.slow.MatchString(string(text))
	return ok && err == nil
}

const (
	// spaces are WhiteSpace and LineTerminator of ECMA-262, as the inside of
	// a class; RE2's \s is ASCII only and lacks \v.
	spaces = `\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}`
	// lines are what a dot does not match; RE2's dot matches all but \n.
	lines = `\n\r\x{2028}\x{2029}`
)

// translate writes pattern in RE2's syntax where the two differ in spelling
// or meaning. What RE2 lacks stays as it is, and fails to compile there.
func translate(pattern string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(pattern); {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i += escape(&b, pattern[i:], class)
			continue
		case class:
			class = c != ']'
			b.WriteByte(c)
		case strings.HasPrefix(pattern[i:], "[^]"):
			b.WriteString(`(?s:.)`)
			i += 3
			continue
		case strings.HasPrefix(pattern[i:], "[]"):
			b.WriteString(`[^\x{0}-\x{10ffff}]`)
			i += 2
			continue
		case c == '[':
			class = true
			b.WriteByte(c)
		case c == '.':
			b.WriteString(`[^` + lines + `]`)
		default:
			b.WriteByte(c)
		}
		i++
	}
	return b.String()
}

// escape writes the escape that s begins with and returns its length.
func escape(b *strings.Builder, s string, class bool) int {
	switch s[1] {
	case 's':
		if class {
			b.WriteString(spaces)
		} else {
			b.WriteString(`[` + spaces + `]`)
		}
		return 2
	case 'S':
		if class {
			// A class can not hold the complement of another one in RE2
			// unless it has a name; \8 is an error there.
			b.WriteString(`\8`)
		} else {
			b.WriteString(`[^` + spaces + `]`)
		}
		return 2
	case 'c':
		if len(s) > 2 && isLetter(s[2]) {
			fmt.Fprintf(b, `\x{%x}`, s[2]&0x1f)
			return 3
		}
	case 'u':
		if digits, length := unicodeEscape(s); length > 0 {
			b.WriteString(`\x{` + digits + `}`)
			return length
		}
	case 'b':
		if class {
			b.WriteString(`\x{8}`)
			return 2
		}
	case '0':
		if len(s) == 2 || s[2] < '0' || s[2] > '9' {
			b.WriteString(`\x{0}`)
			return 2
		}
	}
	b.WriteString(s[:2])
	return 2
}

// unicodeEscape returns the hexadecimal digits of \uXXXX or \u{X…} and the
// length of the whole.
func unicodeEscape(s string) (digits string, length int) {
	if strings.HasPrefix(s, `\u{`) {
		digits, _, closed := strings.Cut(s[3:], "}")
		if !closed || !isHex(digits) {
			return "", 0
		}
		return digits, len(digits) + 4
	}
	if len(s) < 6 || !isHex(s[2:6]) {
		return "", 0
	}
	return s[2:6], 6
}

func isHex(s string) bool {
	for i := range len(s) {
		if !strings.Contains("0123456789abcdefABCDEF", s[i:i+1]) {
			return false
		}
	}
	return s != ""
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
