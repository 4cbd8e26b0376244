package idtoken

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

// Claims are the members of a verified payload.
type claims struct {
	raw map[string]jsontext.Value
	all map[string]any // as Claims.All has them
}

// known are the claims that something is decided by, here or by a caller. None
// of them may come in another case: one reader would take Sub for sub and
// another would not, and they would let in two different people.
var known = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "nonce", "at_hash", "c_hash",
	"auth_time", "acr", "amr", "sid", "events", "tid",
}

// parse reads a payload. No object in it has a member twice, and no number is
// too great for a float64.
func parse(payload []byte) (claims, error) {
	var c claims
	if err := json.Unmarshal(payload, &c.raw); err != nil || c.raw == nil {
		return c, errors.New("the payload is no JSON object, or has a member twice")
	}
	for name := range c.raw {
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return c, fmt.Errorf("the claim %s comes in another case", k)
			}
		}
	}
	if err := json.Unmarshal(payload, &c.all); err != nil {
		return c, errors.New("the payload has a number that is out of range")
	}
	return c, nil
}

// has tells whether the claim is there, be it null.
func (c claims) has(name string) bool { return c.raw[name] != nil }

// text returns a claim that is a text and not empty, or "" if it is not there.
func (c claims) text(name string) (string, error) {
	if !c.has(name) {
		return "", nil
	}
	var text string
	if json.Unmarshal(c.raw[name], &text) != nil || text == "" { // null: ""
		return "", fmt.Errorf("%s is empty or not a text", name)
	}
	return text, nil
}

// id returns a claim that names someone or something: a text as text has it,
// which is short and prints.
func (c claims) id(name string) (string, error) {
	text, err := c.text(name)
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

// time returns a claim that is a time, in seconds since 1970, or the zero time
// if it is not there.
func (c claims) time(name string) (time.Time, error) {
	if !c.has(name) {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseFloat(string(c.raw[name]), 64)
	if err != nil || seconds < 0 || seconds > lastSecond {
		return time.Time{}, fmt.Errorf("%s is not a number of seconds from 1970 to 9999", name)
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
}

// audience returns aud, which is a text or a list of texts.
func (c claims) audience() ([]string, error) {
	if c.raw["aud"].Kind() != '[' {
		one, err := c.text("aud")
		return []string{one}, err
	}
	var list []*string
	if err := json.Unmarshal(c.raw["aud"], &list); err != nil {
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
