package login

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// strict is the transport of all calls to a provider. It asks for JSON, and
// lets through an answer in JSON only if it is one value that names no member
// twice: the libraries that read it would take the last in silence. A success
// in anything else is an error, whatever a library could make of it.
type strict struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s strict) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Accept") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Accept", "application/json")
	}
	res, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	t, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case t == "application/json", strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"):
	case res.StatusCode/100 == 2:
		_ = res.Body.Close() // nobody reads it
		return nil, fmt.Errorf("login: %s did not answer with JSON", r.URL.Host)
	default:
		return res, nil
	}
	body, err := io.ReadAll(res.Body) // bounded by package fetch
	_ = res.Body.Close()              // it was read, or failed already
	if err != nil {
		return nil, err
	}
	if err := oneValue(body); err != nil {
		return nil, fmt.Errorf("login: the answer of %s is not JSON to rely on: %w", r.URL.Host, err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// oneValue tells what is wrong with a text that should be one JSON value
// without members given twice. The error quotes none of it.
func oneValue(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if _, err := d.ReadValue(); err != nil {
		return errors.New("it cannot be read, or names a member twice")
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return errors.New("something follows the value")
	}
	return nil
}
