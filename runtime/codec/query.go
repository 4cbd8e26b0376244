package codec

import (
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// errPairs does not say what was wrong where, so that it echoes nothing.
var errPairs = errors.New("codec: an invalid percent-encoding or a semicolon")

// A pair is one name=value of a query or form.
type pair struct {
	name  string // decoded
	value string // decoded
	raw   string // the value as it was sent
}

// parsePairs reads application/x-www-form-urlencoded text: pairs between "&",
// "+" for a blank, percent-encoding. A pair without "=" has the value "", and
// empty pairs are passed over. Invalid percent-encoding anywhere is an error,
// and so is a semicolon, which some other software takes for "&": two readers
// of one URL must not differ on what it says.
func parsePairs(text string) ([]pair, error) {
	if strings.Contains(text, ";") {
		return nil, errPairs
	}
	if text == "" {
		return nil, nil
	}
	pairs := make([]pair, 0, min(strings.Count(text, "&")+1, 64))
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		name, raw, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, errPairs
		}
		value, err := url.QueryUnescape(raw)
		if err != nil {
			return nil, errPairs
		}
		pairs = append(pairs, pair{name, value, raw})
	}
	return pairs, nil
}

// A query is a URL's query, parsed once.
type query struct {
	read  bool
	pairs []pair
	err   error
}

// get returns the pairs of that name.
func (q *query) get(name string) []pair {
	var found []pair
	for _, p := range q.pairs {
		if p.name == name {
			found = append(found, p)
		}
	}
	return found
}

// cookies returns the values of the cookies of that name as they were sent,
// without the quotes that may stand around a value (RFC 6265, section 4.1.1).
// It does not use net/http's reader, which passes over what it does not like:
// a cookie must not count once for us and twice for others.
func cookies(h http.Header, name string) []string {
	var values []string
	for _, line := range h["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			n, value, ok := strings.Cut(part, "=")
			if !ok || textproto.TrimString(n) != name {
				continue
			}
			value = textproto.TrimString(value)
			if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			values = append(values, value)
		}
	}
	return values
}
