package codec

import (
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Accept records a 406 if the request's Accept field allows none of the media
// types that the operation answers with. It does nothing if an earlier step
// failed or mediaTypes is empty. Which of them an answer has is for the
// handler to say, by the type of its result.
func (d *Decoder) Accept(mediaTypes ...string) {
	if len(mediaTypes) == 0 || d.Err() != nil {
		return
	}
	if _, ok := Negotiate(d.r, mediaTypes...); !ok {
		e := refusal(http.StatusNotAcceptable, codeAcceptable, "None of the accepted media types can be given.")
		e.Detail = "This operation answers with " + strings.Join(mediaTypes, ", ") + "."
		d.err = e
	}
}

// Negotiate chooses the media type that the request's Accept field likes best,
// the first of equals (RFC 9110, section 12.5.1). It returns false if none is
// allowed. Without the field, or if nothing in it can be read, the first is
// chosen. A media type offered may itself be a range such as image/*: it is
// allowed if part of it is.
//
// Parameters other than q are not compared, since documents offer media types
// without them. A range that forbids a variant by its parameters (a/b;level=1;q=0)
// therefore forbids nothing.
func Negotiate(r *http.Request, mediaTypes ...string) (chosen string, ok bool) {
	ranges := acceptRanges(r.Header.Values("Accept"))
	best := 0
	for _, offer := range mediaTypes {
		q := 1000
		if len(ranges) > 0 {
			q = quality(ranges, offer)
		}
		if q > best {
			best, chosen = q, offer
		}
	}
	return chosen, best > 0
}

// A mediaRange is one member of an Accept field.
type mediaRange struct {
	kind, sub string // lower case; * for any
	q         int    // in thousandths
}

// qvalue is the grammar of a weight (RFC 9110, section 12.4.2).
var qvalue = regexp.MustCompile(`^(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$`)

// acceptRanges reads an Accept field and leaves out the members that are
// malformed.
func acceptRanges(lines []string) []mediaRange {
	var ranges []mediaRange
	for _, line := range lines {
		for _, member := range splitUnquoted(line) {
			if m, ok := parseRange(member); ok {
				ranges = append(ranges, m)
			}
		}
	}
	return ranges
}

func parseRange(member string) (mediaRange, bool) {
	mediaType, params, err := mime.ParseMediaType(member)
	if err != nil {
		return mediaRange{}, false
	}
	kind, sub, ok := strings.Cut(mediaType, "/")
	if !ok || kind == "*" && sub != "*" {
		return mediaRange{}, false
	}
	m := mediaRange{kind, sub, 1000}
	if weight, given := params["q"]; given {
		if !qvalue.MatchString(weight) {
			return mediaRange{}, false
		}
		f, err := strconv.ParseFloat(weight, 64)
		if err != nil {
			return mediaRange{}, false
		}
		m.q = int(f*1000 + 0.5)
		delete(params, "q")
	}
	if m.q == 0 && len(params) > 0 {
		return mediaRange{}, false
	}
	return m, true
}

// splitUnquoted splits a list at the commas that stand outside quoted strings
// (RFC 9110, section 5.6.4).
func splitUnquoted(list string) []string {
	var members []string
	start, quoted := 0, false
	for i := 0; i < len(list); i++ {
		switch {
		case quoted && list[i] == '\\':
			i++ // what follows is quoted by it
		case list[i] == '"':
			quoted = !quoted
		case list[i] == ',' && !quoted:
			members = append(members, list[start:i])
			start = i + 1
		}
	}
	return append(members, list[start:])
}

// quality returns the weight of the most specific range that allows offer, the
// highest of equals, or 0.
func quality(ranges []mediaRange, offer string) int {
	offer, _, _ = strings.Cut(strings.ToLower(offer), ";")
	kind, sub, _ := strings.Cut(strings.TrimSpace(offer), "/")
	best, q := -1, 0
	for _, m := range ranges {
		precision := -1
		switch {
		case m.kind == "*":
			precision = 0
		case m.kind == kind && m.sub == "*":
			precision = 1
		case m.kind == kind && m.sub == sub:
			precision = 2
		case m.q > 0 && (kind == "*" || m.kind == kind && sub == "*"):
			precision = 2 // part of what is offered
		}
		if precision > best || precision == best && precision >= 0 && m.q > q {
			best, q = precision, m.q
		}
	}
	return q
}
