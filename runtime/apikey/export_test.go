package apikey

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

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

// Address gives what address gives.
func Address(r *http.Request) netip.Addr { return address(r) }

// NewFloodedLimiter counts a failure of each of n addresses, half of them
// IPv6, with a key id of its own, and remembers each as good as well.
func NewFloodedLimiter(n int) any {
	l := newLimiter(Limits{}, nil, slog.Default, time.Now)
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if i%2 == 1 {
			a = netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 5: byte(i >> 16), 6: byte(i >> 8), 7: byte(i)})
		}
		id := Base62([]byte{byte(i >> 16), byte(i >> 8), byte(i)}, idLength)
		_ = l.failed(context.Background(), a, id, nil)
		l.succeeded(a, id)
	}
	return l
}
