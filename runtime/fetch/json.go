package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
)

// A StatusError is an answer of a status other than 200.
type StatusError struct {
	Host   string
	Status int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("fetch: %s answered with status %d", e.Host, e.Status)
}

// CheckURL tells what is wrong with a URL for calls to a provider: it is
// https, has a host, and no user name or password.
func CheckURL(u *url.URL) error {
	switch {
	case u.Scheme != "https":
		return fmt.Errorf("fetch: the URL of host %q is not https", u.Host)
	case u.Hostname() == "":
		return errors.New("fetch: the URL has no host")
	case u.User != nil:
		return fmt.Errorf("fetch: the URL of host %q has a user name", u.Host)
	}
	return nil
}

// JSON asks for a URL with GET and reads the answer into what into points to.
// Status 200 and a JSON media type alone will do; members given twice and
// members in another case are not taken. header may be nil. No error quotes
// header, the URL beyond its host, or a value of the answer.
func JSON(ctx context.Context, c *http.Client, rawURL string, header http.Header, into any) error {
	return call(ctx, c, http.MethodGet, rawURL, header, nil, into)
}

// PostForm sends a form with POST and reads the answer as [JSON] does.
func PostForm(ctx context.Context, c *http.Client, rawURL string, header http.Header, form url.Values, into any) error {
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	return call(ctx, c, http.MethodPost, rawURL, header, strings.NewReader(form.Encode()), into)
}

func call(ctx context.Context, c *http.Client, method, rawURL string, header http.Header, body io.Reader, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, rawURL, body)
	if err != nil {
		return errors.New("fetch: the URL cannot be read")
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // without the URL
		}
		return fmt.Errorf("fetch: asking %s: %w", req.URL.Host, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &StatusError{Host: req.URL.Host, Status: res.StatusCode}
	}
	if !isJSON(res.Header.Get("Content-Type")) {
		return fmt.Errorf("fetch: %s did not answer with JSON", req.URL.Host)
	}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("fetch: reading the answer of %s: %w", req.URL.Host, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		var semantic *json.SemanticError
		if errors.As(err, &semantic) {
			semantic.JSONValue = nil // it would be printed
		}
		return fmt.Errorf("fetch: the answer of %s: %w", req.URL.Host, err)
	}
	return nil
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"))
}
