//go:build unix

package serve

import (
	"os"
	"syscall"
	"testing"
)

// duplicate returns another descriptor of a file.
func duplicate(t *testing.T, f *os.File) uintptr {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	check(t, err)
	return uintptr(fd)
}
