package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatewright/gatewright/runtime/gate"
)

const rounds = 600_000 // of PBKDF2 with SHA-256

// A password is a salt and what PBKDF2 makes of it and the password.
type password struct{ salt, hash []byte }

// scanners verify the passwords of devices that know nothing better.
type scanners struct {
	passwords map[string]password // by name
}

// readScanners reads dir/scanners, a line for each: NAME SALT HASH, the last two
// in base64. There need be none.
func readScanners(dir string) (*scanners, error) {
	s := &scanners{passwords: make(map[string]password)}
	file := filepath.Join(dir, "scanners")
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: a line is not NAME SALT HASH", file)
		}
		salt, err := base64.StdEncoding.DecodeString(fields[1])
		if err != nil || len(salt) < 16 {
			return nil, fmt.Errorf("%s: the salt of %s is not 16 bytes of base64", file, fields[0])
		}
		hash, err := base64.StdEncoding.DecodeString(fields[2])
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("%s: the hash of %s is not 32 bytes of base64", file, fields[0])
		}
		s.passwords[fields[0]] = password{salt, hash}
	}
	return s, nil
}

// VerifyPassword implements custom.PasswordVerifier. That nobody can try for long
// is seen to by custom.Basic.
func (s *scanners) VerifyPassword(_ context.Context, name, given string) (gate.Identity, error) {
	p, known := s.passwords[name]
	if !known {
		// The same work, so that nobody finds out which names there are.
		p = password{make([]byte, 16), make([]byte, sha256.Size)}
	}
	hash, err := pbkdf2.Key(sha256.New, given, p.salt, rounds, sha256.Size)
	if err != nil {
		return gate.Identity{}, err
	}
	if subtle.ConstantTimeCompare(hash, p.hash) == 0 || !known {
		return gate.Identity{}, fmt.Errorf("%w: no such name and password", gate.ErrInvalid)
	}
	return gate.Identity{Client: &gate.Client{ID: "scanner:" + name, Name: name}}, nil
}
