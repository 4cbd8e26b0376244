package page

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A pipe is no logo, and nobody waits for what comes out of it.
func TestLogoPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logo.png")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := NewLook("", path, "")
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("NewLook takes a pipe")
		}
	case <-time.After(5 * time.Second):
		t.Error("NewLook waits for a pipe")
	}
}
