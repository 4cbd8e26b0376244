package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// TestOpenRefusesOpenFile: a file that was there before must be closed to others.
func TestOpenRefusesOpenFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // it has no such mode
	}
	for mode, good := range map[os.FileMode]bool{
		0o600: true, 0o700: true,
		0o644: false, 0o640: false, 0o604: false, 0o660: false, 0o620: false, 0o602: false, 0o666: false, 0o601: false,
	} {
		t.Run(fmt.Sprintf("%04o", mode), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.db")
			s, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			s, err = sqlite.Open(t.Context(), path)
			if err == nil {
				defer s.Close()
			}
			if good != (err == nil) || err != nil && !strings.Contains(err.Error(), "chmod 600 "+path) {
				t.Errorf("Open of a file with mode %04o = %v", mode, err)
			}
		})
	}
}

// TestOpenClosesFilesBeside: what is left of a server that ended without
// closing the file holds the same records.
func TestOpenClosesFilesBeside(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // it has no such mode
	}
	path := filepath.Join(t.TempDir(), "server.db")
	first, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := first.Users().Ensure(t.Context(), user.Local, "ada", user.Profile{}); err != nil {
		t.Fatal(err)
	}
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Chmod(path+beside, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	second, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for _, beside := range []string{"-wal", "-shm"} {
		info, err := os.Stat(path + beside)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %04o, want 0600", beside, mode)
		}
	}
}
