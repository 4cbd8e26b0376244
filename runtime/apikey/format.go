package apikey

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/gatewright/gatewright/runtime/secret"
)

// A key reads
//
//	<prefix>_<live|test>_<id>_<secret><checksum>
//
// with an id of 13 characters, a secret of 43 and a checksum of 6, all in the
// alphabet 0-9A-Za-z. Secret and checksum are numbers in base 62, the greatest
// digit first, filled with 0 on the left. The secret is a number of 256 bits,
// the checksum the CRC-32 (IEEE) of every byte before it. The checksum is no
// protection: it tells a mistyped or cut-off key from a wrong one before the
// store is asked, and lets scanners tell keys from noise.
const (
	idLength       = 13 // 77 random bits
	secretLength   = 43
	checksumLength = 6

	maxPrefix = 16
)

// An Environment keeps keys for trying things out apart from real ones.
type Environment string

const (
	Live Environment = "live"
	Test Environment = "test"
)

// errMalformed says nothing about the text, which may be a secret of another
// service.
var errMalformed = &refusal{reason: "not a key of this server"}

// maxSecret is 2^256-1, the greatest secret.
var maxSecret = base62([]byte(strings.Repeat("\xff", 32)), secretLength)

// newKey returns a fresh id and the key that carries it.
func newKey(prefix string, env Environment) (id string, key secret.Value) {
	id = secret.ID(idLength)
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	body := prefix + "_" + string(env) + "_" + id + "_" + base62(random[:], secretLength)
	return id, secret.New(body + checksum(body))
}

// A parsed key is one that newKey can have made.
type parsed struct {
	env  Environment
	id   string
	text string // all of it
}

// parse takes a key apart. It accepts exactly the texts that newKey can make,
// and looks at no more than a key's length of any other.
func parse(prefix, text string) (parsed, error) {
	rest, ok := strings.CutPrefix(text, prefix+"_")
	if !ok || len(rest) != len("live_")+idLength+len("_")+secretLength+checksumLength {
		return parsed{}, errMalformed
	}
	env, rest := Environment(rest[:4]), rest[4:]
	if env != Live && env != Test {
		return parsed{}, errMalformed
	}
	id, body := rest[1:1+idLength], rest[2+idLength:]
	if rest[0] != '_' || rest[1+idLength] != '_' || !secret.IsBase62(id) || !secret.IsBase62(body) {
		return parsed{}, errMalformed
	}
	// Of texts of one length in this alphabet the greater is the greater number.
	if body[:secretLength] > maxSecret {
		return parsed{}, errMalformed
	}
	before := len(text) - checksumLength
	if checksum(text[:before]) != text[before:] {
		return parsed{}, errMalformed
	}
	return parsed{env: env, id: id, text: text}, nil
}

// checkPrefix tells what is wrong with a prefix.
func checkPrefix(prefix string) error {
	ok := prefix != "" && len(prefix) <= maxPrefix && 'a' <= prefix[0] && prefix[0] <= 'z'
	for _, c := range prefix {
		ok = ok && ('a' <= c && c <= 'z' || '0' <= c && c <= '9')
	}
	if !ok {
		return fmt.Errorf("apikey: prefix %q: it is a lower-case letter and at most %d more letters and digits", prefix, maxPrefix-1)
	}
	return nil
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	return base62([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}, checksumLength)
}

// base62 writes number, its greatest byte first, in exactly width digits. The
// width must be enough for it. number is used up.
func base62(number []byte, width int) string {
	digits := make([]byte, width)
	for i := width - 1; i >= 0; i-- {
		rest := 0
		for j, b := range number {
			rest = rest<<8 | int(b)
			number[j], rest = byte(rest/62), rest%62
		}
		digits[i] = secret.Base62[rest]
	}
	return string(digits)
}
