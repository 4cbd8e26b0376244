package route_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A piece is a variable, or one character of literal text.
type piece struct {
	char     string // decoded
	variable string // name; "" for a character
}

// A refTemplate is a template as the reference sees it: never parsed, but
// built beside the text that the table parses.
type refTemplate struct {
	pattern  string
	method   string
	segments [][]piece
}

// alphabet is what random templates and paths are made of: how it is written,
// and its characters. Pieces without characters are variables.
var alphabet = []struct {
	text  string
	chars []string
}{
	{"a", []string{"a"}},
	{"b", []string{"b"}},
	{"ab", []string{"a", "b"}},
	{".", []string{"."}},
	{"-", []string{"-"}},
	{":x", []string{":", "x"}},
	{"%61", []string{"a"}},
	{"%2F", []string{"/"}},
	{"%2e", []string{"."}},
	{"%7B", []string{"{"}},
	{"%7D", []string{"}"}},
	{"%C3%A9", []string{"é"}},
	{"", nil},
	{"", nil},
	{"", nil},
}

// templates reads random templates from data: one byte a piece, its low half
// says which; with the highest bit set it begins another template.
func templates(data []byte) []refTemplate {
	methods := []string{"GET", "POST", "HEAD"}
	var all []refTemplate
	for i, code := range data {
		if i == 0 || code&0x80 != 0 && len(all) < 12 {
			m := methods[int(code>>4&7)%len(methods)]
			all = append(all, refTemplate{pattern: m + " /", method: m, segments: [][]piece{nil}})
		}
		t := &all[len(all)-1]
		if int(code&15) >= len(alphabet) {
			t.pattern += "/"
			t.segments = append(t.segments, nil)
			continue
		}
		last := &t.segments[len(t.segments)-1]
		a := alphabet[code&15]
		if a.chars == nil {
			name := fmt.Sprintf("v%d", i)
			t.pattern += "{" + name + "}"
			*last = append(*last, piece{variable: name})
			continue
		}
		t.pattern += a.text
		for _, c := range a.chars {
			*last = append(*last, piece{char: c})
		}
	}
	return all
}

// pathOf reads a random path from data; what is a variable in templates is a
// byte that is not UTF-8 here.
func pathOf(data []byte) string {
	var b strings.Builder
	b.WriteByte('/')
	for _, code := range data {
		switch {
		case int(code&15) >= len(alphabet):
			b.WriteByte('/')
		case alphabet[code&15].chars == nil:
			b.WriteString("%C3")
		default:
			b.WriteString(alphabet[code&15].text)
		}
	}
	return b.String()
}

// refSplit gives the characters of each segment of a path, or false.
func refSplit(escaped string) ([][]string, bool) {
	if escaped == "" || escaped[0] != '/' {
		return nil, false
	}
	var segments [][]string
	for _, s := range strings.Split(escaped[1:], "/") {
		s, err := url.PathUnescape(s)
		if err != nil {
			return nil, false
		}
		var chars []string
		for len(s) > 0 {
			_, size := utf8.DecodeRuneInString(s)
			chars = append(chars, s[:size])
			s = s[size:]
		}
		segments = append(segments, chars)
	}
	return segments, true
}

// refMatch tries every way to lay pieces over chars, shorter values first.
func refMatch(pieces []piece, chars []string) ([]string, bool) {
	if len(pieces) == 0 {
		return nil, len(chars) == 0
	}
	if pieces[0].variable == "" {
		if len(chars) == 0 || chars[0] != pieces[0].char {
			return nil, false
		}
		return refMatch(pieces[1:], chars[1:])
	}
	for n := 1; n <= len(chars); n++ {
		if rest, ok := refMatch(pieces[1:], chars[n:]); ok {
			return append([]string{strings.Join(chars[:n], "")}, rest...), true
		}
	}
	return nil, false
}

// refValues matches a whole template.
func (t *refTemplate) values(segments [][]string) (string, bool) {
	if len(segments) != len(t.segments) {
		return "", false
	}
	var b strings.Builder
	for i, pieces := range t.segments {
		values, ok := refMatch(pieces, segments[i])
		if !ok {
			return "", false
		}
		for _, p := range pieces {
			if p.variable != "" {
				fmt.Fprintf(&b, " %s=%q", p.variable, values[0])
				values = values[1:]
			}
		}
	}
	return b.String(), true
}

// rank describes a segment so that a lower rank comes first.
func rank(pieces []piece) (kind, text int, shape string) {
	variables := 0
	for _, p := range pieces {
		if p.variable != "" {
			variables++
			shape += "{}"
			continue
		}
		text -= len(p.char)
		shape += url.PathEscape(p.char)
	}
	switch {
	case variables == 0:
		kind = 0
	case len(pieces) > 1:
		kind = 1
	default:
		kind = 2
	}
	return kind, text, shape
}

// compare orders templates of the same length; 0 means equal up to names.
func compare(a, b *refTemplate) int {
	for i := range a.segments {
		ak, at, as := rank(a.segments[i])
		bk, bt, bs := rank(b.segments[i])
		if c := cmp.Or(cmp.Compare(ak, bk), cmp.Compare(at, bt), cmp.Compare(as, bs)); c != 0 {
			return c
		}
	}
	return 0
}

// collide tells whether two templates claim one route.
func collide(all []refTemplate) bool {
	for i := range all {
		for j := range i {
			a, b := &all[i], &all[j]
			if a.method == b.method && len(a.segments) == len(b.segments) && compare(a, b) == 0 {
				return true
			}
		}
	}
	return false
}

// reference says what a table of all has to answer, in the words of show.
func reference(all []refTemplate, method, escaped string) string {
	segments, ok := refSplit(escaped)
	if !ok {
		return "404"
	}
	var best []*refTemplate // templates of the best shape, one a method
	for i := range all {
		t := &all[i]
		if _, ok := t.values(segments); !ok {
			continue
		}
		switch c := 0; {
		case len(best) == 0:
			best = []*refTemplate{t}
		default:
			c = compare(t, best[0])
			if c < 0 {
				best = []*refTemplate{t}
			} else if c == 0 {
				best = append(best, t)
			}
		}
	}
	if best == nil {
		return "404"
	}
	byMethod := make(map[string]*refTemplate)
	for _, t := range best {
		byMethod[t.method] = t
	}
	if byMethod["HEAD"] == nil && byMethod["GET"] != nil {
		byMethod["HEAD"] = byMethod["GET"]
	}
	if t := byMethod[method]; t != nil {
		values, _ := t.values(segments)
		return t.pattern + values
	}
	var allow []string
	for m := range byMethod {
		allow = append(allow, m)
	}
	slices.Sort(allow)
	return "405 " + strings.Join(allow, ", ")
}

// FuzzMatch holds the table against a matcher that tries every template.
func FuzzMatch(f *testing.F) {
	f.Add([]byte{0x0c, 0x8c, 0x03, 0x0d, 0x8c, 0x04, 0x0c}, []byte{0x00, 0x03, 0x01}, "/a.b")
	f.Add([]byte{0x80, 0x0f, 0x0c, 0x8c, 0x0f, 0x01, 0x90, 0x0f, 0x01}, []byte{0x00, 0x0f, 0x01}, "/a/b")
	f.Add([]byte{0x8c, 0x0d, 0x8c, 0x04, 0x0e, 0x04, 0x0c, 0x81, 0x0b, 0x0c}, []byte{0x00, 0x04, 0x04, 0x01, 0x04, 0x0b}, "//a%2Fb/../")
	f.Fuzz(func(t *testing.T, set, pathCodes []byte, raw string) {
		if len(set) > 80 || len(pathCodes) > 24 || len(raw) > 40 {
			return // longer than the reference has patience for
		}
		all := templates(set)
		var patterns []string
		for _, r := range all {
			patterns = append(patterns, r.pattern)
		}
		table, err := tryTable(patterns...)
		if refused := err != nil; refused != collide(all) {
			t.Fatalf("New(%q) = %v, want an error: %v", patterns, err, collide(all))
		}
		if err != nil {
			return
		}
		for _, p := range []string{pathOf(pathCodes), raw} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
				if got, want := show(table.Match(method, p)), reference(all, method, p); got != want {
					t.Errorf("Match(%q, %q) = %s, want %s (of %q)", method, p, got, want, patterns)
				}
			}
		}
	})
}

// FuzzServeMux holds the table against http.ServeMux, where both can express
// the templates and ServeMux sees no conflict between them.
func FuzzServeMux(f *testing.F) {
	f.Add([]byte{0x80, 0x0f, 0x0c, 0x80, 0x0f, 0x01, 0x8c, 0x0f, 0x02}, []byte{0x00, 0x0f, 0x01}, "/a/b")
	f.Add([]byte{0x80, 0x0f, 0x8c, 0x0f, 0x0d, 0x0f, 0x01}, []byte{0x00, 0x0f}, "/a/b%2Fc/b")
	f.Fuzz(func(t *testing.T, set, pathCodes []byte, raw string) {
		if len(set) > 80 || len(pathCodes) > 24 || len(raw) > 40 {
			return // longer than worth the time
		}
		mux := http.NewServeMux()
		var patterns []string
		for _, r := range templates(set) {
			muxPattern, ok := forServeMux(r)
			if !ok || !handle(mux, muxPattern, r.pattern) {
				continue
			}
			patterns = append(patterns, r.pattern)
		}
		// ServeMux refuses more than we do, so that New has no reason to.
		table := newTable(t, patterns...)
		for _, p := range []string{pathOf(pathCodes), raw} {
			u, err := url.ParseRequestURI(p)
			if err != nil || !strings.HasPrefix(p, "/") || !isClean(u.EscapedPath()) {
				continue
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, &http.Request{Method: "GET", URL: u, RequestURI: p})
			want := "404"
			if w.Code == http.StatusOK {
				want = w.Body.String()
			}
			got := "404"
			for _, method := range []string{"GET", "POST", "HEAD"} {
				if m := table.Match(method, u.EscapedPath()); m.Entry != nil {
					got = m.Entry.Operation.Pattern
					break
				}
			}
			if got != want {
				t.Errorf("Match(%q) = %s, ServeMux says %s (of %q)", p, got, want, patterns)
			}
		}
	})
}

// forServeMux writes r as a pattern of ServeMux without its method; false
// where ServeMux has other rules for it.
func forServeMux(r refTemplate) (string, bool) {
	_, text, _ := strings.Cut(r.pattern, " ")
	if !isClean(text) {
		return "", false
	}
	for _, pieces := range r.segments {
		for _, p := range pieces {
			if p.variable != "" && len(pieces) > 1 {
				return "", false
			}
		}
	}
	if strings.HasSuffix(text, "/") {
		text += "{$}"
	}
	return text, true
}

// handle registers a pattern that answers with what; false if ServeMux panics.
func handle(mux *http.ServeMux, pattern, what string) (ok bool) {
	defer func() { ok = recover() == nil }()
	mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, what) })
	return true
}

// isClean tells whether ServeMux leaves a path as it is, and reads it as we do:
// it takes a segment that is nothing but an encoded slash for the slash at a
// path's end.
func isClean(p string) bool {
	for s := range strings.SplitSeq(p, "/") {
		if strings.EqualFold(s, "%2F") {
			return false
		}
	}
	return !strings.Contains(p, "//") && (path.Clean(p) == p || path.Clean(p)+"/" == p)
}
