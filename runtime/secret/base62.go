package secret

import "crypto/rand"

// Base62 is the alphabet of ids and keys. It is in ASCII order, so that of two
// texts of one length the greater text is the greater number.
const Base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// ID returns n characters of [Base62], each drawn evenly from crypto/rand:
// 5.95 bits a character. It is meant for names that are hard to guess, and is
// no secret by itself.
func ID(n int) string {
	id := make([]byte, 0, n)
	block := make([]byte, n+n/4+8)
	for len(id) < n {
		_, _ = rand.Read(block) // never fails: crypto/rand ends the program instead
		for _, b := range block {
			// 248 is four times 62. A byte above would make the
			// first characters more likely than the last.
			if b < 248 && len(id) < n {
				id = append(id, Base62[b%62])
			}
		}
	}
	return string(id)
}

// IsBase62 tells whether text consists of characters of [Base62] alone. The
// empty text does.
func IsBase62(text string) bool {
	for i := range len(text) {
		c := text[i]
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') {
			return false
		}
	}
	return true
}
