// Package claims reads what a token says, strictly: no member twice, names in
// their own case, values of the right type. Nothing here verifies a signature.
package claims

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxText is the greatest length of a name of someone or something, in bytes;
// OpenID Connect Core, section 2, has it for sub.
const maxText = 255

// A Set is the members of a payload. Its zero value has none.
type Set struct {
	raw map[string]jsontext.Value
	all map[string]any
}

// Parse reads a payload: a JSON object in which, at any depth, no member is
// there twice and no number is too great for a float64. None of known may come
// in another case: one reader would take Sub for sub and another would not, and
// they would let in two different people. No error quotes the payload.
func Parse(payload []byte, known ...string) (Set, error) {
	var s Set
	if err := json.Unmarshal(payload, &s.raw); err != nil || s.raw == nil {
		return Set{}, errors.New("the payload is no JSON object, or has a member twice")
	}
	for name := range s.raw {
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return Set{}, fmt.Errorf("the claim %s comes in another case", k)
			}
		}
	}
	if err := json.Unmarshal(payload, &s.all); err != nil {
		return Set{}, errors.New("the payload has a number that is out of range")
	}
	return s, nil
}

// All has every claim as JSON is read: numbers are float64. It is not a copy.
func (s Set) All() map[string]any { return s.all }

// Has tells whether the claim is there, be it null.
func (s Set) Has(name string) bool { return s.raw[name] != nil }

// Raw returns a claim as it was written, or nil.
func (s Set) Raw(name string) jsontext.Value { return s.raw[name] }

// Text returns a claim that is a text and not empty, or "" if it is not there.
func (s Set) Text(name string) (string, error) {
	if !s.Has(name) {
		return "", nil
	}
	var text string
	if json.Unmarshal(s.raw[name], &text) != nil || text == "" { // null: ""
		return "", fmt.Errorf("%s is empty or not a text", name)
	}
	return text, nil
}

// ID returns a claim that names someone or something: a text as Text has it,
// of at most 255 bytes and without control characters.
func (s Set) ID(name string) (string, error) {
	text, err := s.Text(name)
	if err != nil {
		return "", err
	}
	if len(text) > maxText || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%s is over %d bytes, or has control characters", name, maxText)
	}
	return text, nil
}

// lastSecond is the end of the year 9999.
const lastSecond = 253402300799

// Time returns a claim that is a time, in seconds since 1970 (RFC 7519,
// section 2), or the zero time if it is not there.
func (s Set) Time(name string) (time.Time, error) {
	if !s.Has(name) {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseFloat(string(s.raw[name]), 64)
	if err != nil || seconds < 0 || seconds > lastSecond {
		return time.Time{}, fmt.Errorf("%s is not a number of seconds from 1970 to 9999", name)
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
}

// Audience returns aud, which is a text or a list of texts (RFC 7519, section
// 4.1.3).
func (s Set) Audience() ([]string, error) {
	if s.raw["aud"].Kind() != '[' {
		one, err := s.Text("aud")
		return []string{one}, err
	}
	var list []*string
	if err := json.Unmarshal(s.raw["aud"], &list); err != nil {
		return nil, errors.New("aud is not a list of texts")
	}
	var all []string
	for _, one := range list {
		if one == nil {
			return nil, errors.New("aud is not a list of texts")
		}
		all = append(all, *one)
	}
	return all, nil
}
