package codec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how many bytes of a spooled body are kept in memory; more go to
// a temporary file.
const spoolMemory = 256 << 10

// spooled reads body to its end before any of it is used, and returns it. The
// file, if it takes one, is gone when ctx is done. Errors that are not body's own
// are faultErrors.
func spooled(ctx context.Context, body io.Reader) (io.ReadCloser, error) {
	var start bytes.Buffer
	_, err := io.CopyN(&start, body, spoolMemory)
	switch {
	case err == io.EOF:
		return io.NopCloser(&start), nil
	case err != nil:
		return nil, err
	}
	f, err := os.CreateTemp("", "gatewright-body-*")
	if err != nil {
		return nil, faultError{fmt.Errorf("codec: keeping a body until its digest is known: %w", err)}
	}
	// Where a file in use can be removed nothing is left even by a server that
	// is killed.
	gone := os.Remove(f.Name()) == nil
	context.AfterFunc(ctx, func() {
		_ = f.Close()
		if !gone {
			_ = os.Remove(f.Name())
		}
	})
	to := faultWriter{f}
	if _, err := io.Copy(to, &start); err != nil {
		return nil, err
	}
	if _, err := io.Copy(to, body); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, faultError{err}
	}
	return f, nil
}

// A faultError is this server's own, and says nothing of the request.
type faultError struct{ error }

func (e faultError) Unwrap() error { return e.error }

func isFault(err error) bool {
	_, ok := errors.AsType[faultError](err)
	return ok
}

// A faultWriter's errors are faultErrors.
type faultWriter struct{ io.Writer }

// Write implements io.Writer.
func (w faultWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = faultError{err}
	}
	return n, err
}
