package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// FindIn finds the credential that lies in one of places. A cookie counts only
// where none of the other places holds a credential. Two of those that do are
// ErrDuplicate. The error is otherwise that of [Place.Find].
func FindIn(r *http.Request, places ...Place) (Credential, bool, error) {
	var found, cookie Credential
	var inOther, inCookie bool
	var err, cookieErr error
	for _, p := range places {
		c, ok, ferr := p.Find(r)
		switch {
		case !ok:
		case p.In == InCookie && inCookie:
			cookieErr = fmt.Errorf("%w: in two cookies", ErrDuplicate)
		case p.In == InCookie:
			cookie, inCookie, cookieErr = c, true, ferr
		case inOther:
			err = fmt.Errorf("%w: in two places", ErrDuplicate)
		default:
			found, inOther, err = c, true, ferr
		}
	}
	if inOther {
		return found, true, err
	}
	return cookie, inCookie, cookieErr
}

// Find finds the credential that lies in p. It reads headers, the URL and the
// TLS state of r, never its body. The value is
//
//   - of a header, of a query parameter and of a cookie: theirs;
//   - under a scheme word in Authorization: what follows the word and blanks;
//   - in Authorization without a word: what follows the word there is, or the
//     whole value where there is only one word;
//   - of a certificate: the hexadecimal SHA-256 of it.
//
// A credential that is there more than once is ErrDuplicate: two header lines,
// a comma list, two parameters, two cookies. One that is there and empty (but
// for a cookie, whose value is its verifier's to judge) or cannot be unescaped
// is ErrInvalid. In both cases the result is true and the Place set.
func (p Place) Find(r *http.Request) (Credential, bool, error) {
	switch p.In {
	case InHeader:
		return p.findHeader(r)
	case InAuthorization:
		return p.findAuthorization(r)
	case InQuery:
		return p.findQuery(r)
	case InCookie:
		return p.findCookie(r)
	case InCertificate:
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			return Credential{}, false, nil
		}
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		return Credential{Place: p, Value: hex.EncodeToString(sum[:])}, true, nil
	}
	return Credential{}, false, nil
}

func (p Place) findHeader(r *http.Request) (Credential, bool, error) {
	lines := r.Header[http.CanonicalHeaderKey(p.Name)]
	switch {
	case len(lines) == 0:
		return Credential{}, false, nil
	case len(lines) > 1:
		return p.duplicate("header lines")
	case strings.Contains(lines[0], ","):
		return p.duplicate("a comma list")
	}
	return p.value(strings.Trim(lines[0], " \t"))
}

func (p Place) findAuthorization(r *http.Request) (Credential, bool, error) {
	lines := r.Header["Authorization"]
	if len(lines) == 0 {
		return Credential{}, false, nil
	}
	word, rest := splitAuthorization(lines[0])
	switch {
	case len(lines) > 1:
		return p.duplicate("header lines")
	case p.Name != "" && word != p.Name:
		return Credential{}, false, nil
	case strings.Contains(rest, ",") && takesToken(p.Name):
		return p.duplicate("a comma list")
	case p.Name == "" && rest == "":
		return p.value(strings.Trim(lines[0], " \t"))
	}
	return p.value(rest)
}

// splitAuthorization takes a header value apart into its first word, in lower
// case, and what follows blanks after it.
func splitAuthorization(value string) (word, rest string) {
	value = strings.Trim(value, " \t")
	i := strings.IndexAny(value, " \t")
	if i < 0 {
		return strings.ToLower(value), ""
	}
	return strings.ToLower(value[:i]), strings.TrimLeft(value[i:], " \t")
}

// takesToken tells whether one token follows the word, in which no comma can
// be, rather than a list of parameters (RFC 9110, section 11.4).
func takesToken(word string) bool {
	return word == "" || word == "basic" || word == "bearer" || word == "dpop" || word == "apikey"
}

// findQuery reads the parameters one by one: url.ParseQuery drops what it
// cannot read, and a credential that cannot be read is still presented.
func (p Place) findQuery(r *http.Request) (Credential, bool, error) {
	var raw string
	found := 0
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && name == p.Name && pair != "" {
			raw = value
			found++
		}
	}
	switch {
	case found == 0:
		return Credential{}, false, nil
	case found > 1:
		return p.duplicate("parameters")
	}
	value, err := url.QueryUnescape(raw)
	// A semicolon separates parameters for some programs.
	if err != nil || strings.Contains(raw, ";") {
		return Credential{Place: p}, true, fmt.Errorf("%w: the parameter cannot be unescaped", ErrInvalid)
	}
	return p.value(value)
}

// cookieBlanks are what net/http trims from cookies too, so that both see the
// same ones. Line ends are there only in requests that came over no wire.
const cookieBlanks = " \t\r\n"

// findCookie reads the cookies one by one: net/http drops those whose value it
// does not like, and a credential that cannot be read is still presented.
func (p Place) findCookie(r *http.Request) (Credential, bool, error) {
	var value string
	found := 0
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			n, v, _ := strings.Cut(strings.Trim(pair, cookieBlanks), "=")
			if strings.Trim(n, cookieBlanks) == p.Name {
				value = strings.Trim(v, cookieBlanks)
				found++
			}
		}
	}
	switch {
	case found == 0 || p.Name == "":
		return Credential{}, false, nil
	case found > 1:
		return p.duplicate("cookies")
	}
	return Credential{Place: p, Value: value}, true, nil
}

func (p Place) value(v string) (Credential, bool, error) {
	if v == "" {
		return Credential{Place: p}, true, fmt.Errorf("%w: it is empty", ErrInvalid)
	}
	return Credential{Place: p, Value: v}, true, nil
}

func (p Place) duplicate(how string) (Credential, bool, error) {
	return Credential{Place: p}, true, fmt.Errorf("%w: %s", ErrDuplicate, how)
}
