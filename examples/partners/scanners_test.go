package main

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

// scannerLine is a line of the file scanners.
func scannerLine(t *testing.T, name, password string) string {
	t.Helper()
	salt := []byte("sixteen bytes of")
	hash, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	return name + " " + base64.StdEncoding.EncodeToString(salt) + " " + base64.StdEncoding.EncodeToString(hash) + "\n"
}

func scannersOf(t *testing.T, text string) (*scanners, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "scanners"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return readScanners(dir)
}

func TestScanners(t *testing.T) {
	s, err := scannersOf(t, scannerLine(t, "gate-3", "right"))
	if err != nil {
		t.Fatal(err)
	}
	if who, err := s.VerifyPassword(t.Context(), "gate-3", "right"); err != nil || who.Client == nil || who.Client.ID != "scanner:gate-3" {
		t.Errorf("VerifyPassword() = %+v, %v", who, err)
	}
	for name, password := range map[string]string{"gate-3": "wrong", "gate-4": "right", "": ""} {
		if who, err := s.VerifyPassword(t.Context(), name, password); !errors.Is(err, gate.ErrInvalid) || who.Client != nil {
			t.Errorf("VerifyPassword(%q, %q) = %+v, %v, want ErrInvalid", name, password, who, err)
		}
	}
}

func TestReadScanners(t *testing.T) {
	if _, err := readScanners(t.TempDir()); err != nil {
		t.Errorf("readScanners() without a file = %v", err)
	}
	for name, text := range map[string]string{"two fields": "a b\n", "short salt": "a QUJD QUJD\n", "short hash": "a c2l4dGVlbiBieXRlcyBvZg== QUJD\n"} {
		if _, err := scannersOf(t, text); err == nil {
			t.Errorf("%s: readScanners() = nil, want an error", name)
		}
	}
}
