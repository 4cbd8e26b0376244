package route

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// A pattern is a method and a path template, read.
type pattern struct {
	method   string
	segments []segment
	names    []string // of the variables, from the left
}

// parsePattern reads "GET /posts/{post}".
func parsePattern(text string) (pattern, error) {
	method, path, ok := strings.Cut(text, " ")
	if !ok || !isToken(method) {
		return pattern{}, errors.New(`want a method, a blank and a path template`)
	}
	if method == http.MethodConnect {
		return pattern{}, errors.New("a CONNECT request has no path")
	}
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return pattern{}, errors.New(`the path template does not begin with "/"`)
	}
	p := pattern{method: method}
	for s := range strings.SplitSeq(rest, "/") {
		seg, names, err := parseSegment(s)
		if err != nil {
			return pattern{}, err
		}
		for _, name := range names {
			if slices.Contains(p.names, name) {
				return pattern{}, fmt.Errorf("variable %q stands twice", name)
			}
			p.names = append(p.names, name)
		}
		p.segments = append(p.segments, seg)
	}
	return p, nil
}

// isToken tells whether s can be a method (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// A segment is what stands between two slashes of a template: text, and after
// it the variables, each followed by the text in after, which may be empty.
type segment struct {
	prefix string
	after  []string
}

// parseSegment reads one segment and the names of its variables.
func parseSegment(s string) (segment, []string, error) {
	text, rest, isVar := strings.Cut(s, "{")
	prefix, err := parseText(text)
	if err != nil {
		return segment{}, nil, err
	}
	seg := segment{prefix: prefix}
	var names []string
	for isVar {
		name, tail, closed := strings.Cut(rest, "}")
		if !closed {
			return segment{}, nil, fmt.Errorf("%q has a brace that is never closed", s)
		}
		if name == "" {
			return segment{}, nil, fmt.Errorf("%q has a variable without a name", s)
		}
		if strings.Contains(name, "{") {
			return segment{}, nil, fmt.Errorf("%q has a brace inside a variable", s)
		}
		names = append(names, name)
		text, rest, isVar = strings.Cut(tail, "{")
		lit, err := parseText(text)
		if err != nil {
			return segment{}, nil, err
		}
		seg.after = append(seg.after, lit)
	}
	return seg, names, nil
}

// parseText reads the text beside variables.
func parseText(s string) (string, error) {
	if strings.Contains(s, "}") {
		return "", fmt.Errorf("%q has a closing brace that was never opened", s)
	}
	if strings.ContainsAny(s, "?#") {
		return "", fmt.Errorf(`%q has a "?" or "#", which no path contains unencoded`, s)
	}
	text, err := url.PathUnescape(s)
	if err != nil {
		return "", fmt.Errorf("%q is not properly percent-encoded", s)
	}
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%q is not UTF-8", s)
	}
	return text, nil
}

func (s *segment) isLiteral() bool  { return len(s.after) == 0 }
func (s *segment) isVariable() bool { return s.prefix == "" && len(s.after) == 1 && s.after[0] == "" }

// equal tells whether s and other differ at most in names.
func (s *segment) equal(other segment) bool {
	return s.prefix == other.prefix && slices.Equal(s.after, other.after)
}

// textLen returns how many bytes of text the segment has.
func (s *segment) textLen() int {
	n := len(s.prefix)
	for _, lit := range s.after {
		n += len(lit)
	}
	return n
}

// shape writes the segment without names. The text is encoded, so that
// segments of one shape are equal.
func (s *segment) shape() string {
	var b strings.Builder
	b.WriteString(url.PathEscape(s.prefix))
	for _, lit := range s.after {
		b.WriteString("{}")
		b.WriteString(url.PathEscape(lit))
	}
	return b.String()
}

// match tells whether text fits, and appends the variables' values to values.
//
// Each variable but the last ends at the first place where the text after it
// occurs. Nothing is lost by never trying a later one: what follows begins with
// a variable, which takes the characters in between as well.
func (s *segment) match(text string, values []string) ([]string, bool) {
	text, ok := strings.CutPrefix(text, s.prefix)
	if !ok {
		return values, false
	}
	last := len(s.after) - 1
	for i, lit := range s.after {
		_, first := utf8.DecodeRuneInString(text)
		if first == 0 {
			return values, false
		}
		length := len(text) - len(lit)
		if i < last {
			at := strings.Index(text[first:], lit)
			if at < 0 {
				return values, false
			}
			length = first + at
		} else if length < first || !strings.HasSuffix(text, lit) {
			return values, false
		}
		values = append(values, text[:length])
		text = text[length+len(lit):]
	}
	return values, true
}
