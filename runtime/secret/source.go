package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// maxFile is the largest secret file, in bytes. Secrets are short; a larger
// file is the wrong one.
const maxFile = 64 << 10

// File reads the secret in the file at path, without the newline that editors
// put at its end. It refuses a file that group or others may read, write or
// execute (on Windows, which has no such mode, this is not checked), one that
// is empty, larger than 64 KiB, or not a regular file. No error of it quotes
// the content.
func File(path string) (Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return Value{}, fmt.Errorf("secret: %w", err)
	}
	defer f.Close()
	// The open file is asked, not the path, which may be another file by now.
	info, err := f.Stat()
	if err != nil {
		return Value{}, fmt.Errorf("secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Value{}, fmt.Errorf("secret: %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return Value{}, fmt.Errorf("secret: %s is open to group or others (mode %04o): run chmod 600 %s", path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Value{}, fmt.Errorf("secret: %w", err)
	}
	if len(b) > maxFile {
		return Value{}, fmt.Errorf("secret: %s is larger than %d bytes", path, maxFile)
	}
	text := trimNewline(string(b))
	if text == "" {
		return Value{}, fmt.Errorf("secret: %s is empty", path)
	}
	return New(text), nil
}

// FromEnvOrFile reads the secret in the environment variable name, or in the
// file that name_FILE names, as [File] does. It returns the zero Value where
// neither is set, and an error where both are.
func FromEnvOrFile(getenv func(string) string, name string) (Value, error) {
	text, path := getenv(name), getenv(name+"_FILE")
	if text != "" && path != "" {
		return Value{}, fmt.Errorf("secret: %s and %s_FILE are both set: keep one", name, name)
	}
	if path != "" {
		v, err := File(path)
		if err != nil {
			return Value{}, fmt.Errorf("%s_FILE: %w", name, err)
		}
		return v, nil
	}
	if text == "" {
		return Value{}, nil
	}
	return New(text), nil
}

// trimNewline takes one newline from the end, also in its Windows spelling.
func trimNewline(s string) string {
	if t, ok := strings.CutSuffix(s, "\r\n"); ok {
		return t
	}
	return strings.TrimSuffix(s, "\n")
}

// MinKey is the fewest bytes a key for signing or sealing may have: 256 bits.
const MinKey = 32

// samples are what documentation and templates put where a key belongs, in
// lower case. Eight characters or more, so that chance does not hit them.
var samples = []string{
	"changeme", "change-me", "change_me", "change me", "changethis", "change-this", "change_this", "replaceme", "replace-me",
	"replace_me", "replace-with", "password", "passw0rd", "secretkey", "secret-key", "secret_key", "supersecret",
	"super-secret", "super_secret", "your-secret", "your_secret", "yoursecret", "notasecret", "not-a-secret", "insecure",
	"placeholder", "0123456789", "1234567890", "abcdefgh", "00112233", "deadbeef", "qwertyui", "loremipsum", "lorem ipsum",
}

// CheckKey tells why v is unfit as a key for signing or sealing: shorter than
// [MinKey] bytes, a sample value, or a text that repeats itself. It finds
// what was never meant as a key; it does not measure how random v is.
func CheckKey(v Value) error {
	text := v.Reveal()
	if len(text) < MinKey {
		return fmt.Errorf("secret: key has %d bytes and needs %d random ones: openssl rand -base64 32 makes some", len(text), MinKey)
	}
	distinct := map[byte]bool{}
	for i := range len(text) {
		distinct[text[i]] = true
	}
	if len(distinct) < 8 || repeats(text) {
		return errors.New("secret: key repeats itself: openssl rand -base64 32 makes a random one")
	}
	lower := strings.ToLower(text)
	for _, s := range samples {
		if strings.Contains(lower, s) {
			return errors.New("secret: key is a sample value: openssl rand -base64 32 makes a random one")
		}
	}
	return nil
}

// repeats tells whether text is one piece of at most half its length, over and
// over, the last time perhaps in part.
func repeats(text string) bool {
	for n := 1; n <= len(text)/2; n++ {
		if text[n:] == text[:len(text)-n] {
			return true
		}
	}
	return false
}
