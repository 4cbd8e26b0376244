package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/metrics"
)

// ErrTooLarge means that an answer is over the client's limit.
var ErrTooLarge = errors.New("fetch: answer too large")

// A transport keeps the rules of New, whichever client it is used through.
type transport struct {
	base http.RoundTripper
	max  int64
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := CheckURL(req.URL); err != nil {
		if req.Body != nil {
			req.Body.Close() // as a RoundTripper must
		}
		return nil, err
	}
	begun := time.Now()
	res, err := t.base.RoundTrip(req)
	if err != nil {
		metrics.Call(req.Context(), req.URL.Hostname(), req.Method, 0, time.Since(begun))
		return nil, err
	}
	metrics.Call(req.Context(), req.URL.Hostname(), req.Method, res.StatusCode, time.Since(begun))
	if err := t.check(res); err != nil {
		res.Body.Close()
		return nil, err
	}
	res.Body = &body{ReadCloser: res.Body, left: t.max}
	return res, nil
}

// Unredirected sends a request by a client of [New] and returns the answer also
// where it redirects, which such a client takes for an error: for those who want
// to know where to. Nothing is followed. The caller closes the body.
func Unredirected(client *http.Client, req *http.Request) (*http.Response, error) {
	t, ok := client.Transport.(*transport)
	if !ok {
		return nil, errors.New("fetch: the client is not one of this package")
	}
	if err := CheckURL(req.URL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), client.Timeout)
	res, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	res.Body = &body{ReadCloser: ending{res.Body, cancel}, left: t.max}
	return res, nil
}

// An ending body gives back what bounds its call.
type ending struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (e ending) Close() error {
	defer e.cancel()
	return e.ReadCloser.Close()
}

// check refuses what can be told from an answer's head.
func (t *transport) check(res *http.Response) error {
	if 300 <= res.StatusCode && res.StatusCode < 400 {
		to := "nowhere"
		if target, err := res.Location(); err == nil {
			to = target.Host
		}
		return fmt.Errorf("fetch: status %d redirects to %q, and redirects are not followed", res.StatusCode, to)
	}
	// Nobody asked for it. It would be refused as JSON too, with an error
	// that leads nowhere.
	if enc := res.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return errors.New("fetch: the answer is compressed, which was not asked for")
	}
	if res.ContentLength > t.max {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, res.ContentLength, t.max)
	}
	return nil
}

// A body fails once more than left bytes were read from it.
type body struct {
	io.ReadCloser
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
