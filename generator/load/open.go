package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"
)

// fetchTimeout bounds one remote $ref, connection and body together.
const fetchTimeout = 30 * time.Second

func isURL(name string) bool { return strings.HasPrefix(name, "https://") }

// open opens a regular file or, for a name that starts with https://, fetches
// it. Its errors read as a message about the file.
func open(ctx context.Context, name string) (io.ReadCloser, error) {
	if isURL(name) {
		return fetch(ctx, name)
	}
	// Stat before Open: opening a pipe would wait for a writer.
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("no such file")
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	case info.IsDir():
		return nil, errors.New("is a directory, not a document")
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	}
	return f, nil
}

// fetch asks for an address once. Redirects are not followed beyond https.
func fetch(ctx context.Context, address string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel()
		return nil, errors.New("is not an address")
	}
	client := &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "https" || len(via) > 5 {
			return errors.New("redirected away from https")
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("cannot be fetched: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		cancel()
		return nil, fmt.Errorf("cannot be fetched: status %d", resp.StatusCode)
	}
	return &body{ReadCloser: resp.Body, cancel: cancel}, nil
}

// A body ends its request's time limit when it is closed.
type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
