package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// SetHeader sets a header field of the answer to v's JSON as text: strings
// without quotes, numbers and booleans as they are, times as in RFC 3339, and
// an array as its items between commas (style simple). Nil, null and the empty
// array set nothing. Set-Cookie is added to and never joined: each item of an
// array becomes a field of its own.
//
// It is an error, and nothing is set, if v is an object, an array within an
// array, or text with a control character, which could end the field and begin
// another. In an array neither may an item hold a comma, which would make it
// two. The error does not hold the text.
func SetHeader(w http.ResponseWriter, name string, v any) error {
	texts, err := scalars(v)
	if err != nil {
		return fmt.Errorf("codec: header %s: %w", name, err)
	}
	for _, text := range texts {
		if strings.ContainsFunc(text, control) {
			return fmt.Errorf("codec: header %s: the value holds a control character", name)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	if http.CanonicalHeaderKey(name) == "Set-Cookie" {
		for _, text := range texts {
			w.Header().Add(name, text)
		}
		return nil
	}
	for _, text := range texts {
		if len(texts) > 1 && strings.Contains(text, ",") {
			return fmt.Errorf("codec: header %s: an item holds a comma", name)
		}
	}
	w.Header().Set(name, strings.Join(texts, ", "))
	return nil
}

// control tells whether c may not stand in a field value (RFC 9110, section 5.5).
func control(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// scalars returns the JSON of v as text: one for a scalar, none for null, those
// of its items for an array.
func scalars(v any) ([]string, error) {
	if s, ok := v.(string); ok {
		return []string{s}, nil
	}
	value, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	var texts []string
	for {
		tok, err := dec.ReadToken()
		if err == io.EOF {
			return texts, nil
		}
		if err != nil {
			return nil, err
		}
		switch tok.Kind() {
		case '"', '0', 't', 'f':
			texts = append(texts, tok.String())
		case 'n', ']':
		case '[':
			if dec.StackDepth() > 1 {
				return nil, errors.New("an array in an array has no text")
			}
		default:
			return nil, errors.New("an object has no text")
		}
	}
}
