package apikey

import ()

// CountHashes makes k count how often it hashes a key.
func CountHashes(k *Keys) *int {
	n := new(int)
	hash := k.hash
	k.hash = func(b []byte) [32]byte { *n++; return hash(b) }
	return n
}

// CountComparisons makes k count how often it compares hashes.
func CountComparisons(k *Keys) *int {
	n := new(int)
	same := k.same
	k.same = func(a, b [32]byte) bool { *n++; return same(a, b) }
	return n
}

// Parse gives what parse gives.
func Parse(prefix, text string) (env Environment, id string, ok bool) {
	p, err := parse(prefix, text)
	return p.env, p.id, err == nil
}

// Seal puts the right checksum under the first part of a key.
func Seal(body string) string { return body + checksum(body) }

// NewKey gives what newKey gives.
func NewKey(prefix string, env Environment) (id, key string) {
	id, v := newKey(prefix, env)
	return id, v.Reveal()
}

// Base62 gives what base62 gives, and leaves number as it is.
func Base62(number []byte, width int) string { return base62(append([]byte{}, number...), width) }
