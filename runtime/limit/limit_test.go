package limit_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/limit"
)

func TestAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80":                    "192.0.2.1",
		"[::ffff:192.0.2.1]:80":           "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80":       "2001:db8:1:2::",
		"[2001:db8:1:2:ffff::1]:80":       "2001:db8:1:2::",
		"[2001:db8:1:3::1]:80":            "2001:db8:1:3::",
		"[fe80::1%eth0]:80":               "fe80::",
		"[::1]:80":                        "::",
		"":                                "invalid IP",
		"@":                               "invalid IP",
		"example.org:80":                  "invalid IP",
		"192.0.2.1":                       "invalid IP",
		strings.Repeat("1", 10000) + ":1": "invalid IP",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "203.0.113.99")
		r.Header.Set("Forwarded", "for=203.0.113.99")
		if got := limit.Address(r).String(); got != want {
			t.Errorf("Address(%.40q) = %s, want %s", remote, got, want)
		}
	}
}

// TestMemory: a million addresses, each with a name of its own, take less
// than 64 MB.
func TestMemory(t *testing.T) {
	before := heap()
	limiter := flooded(1_000_000)
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("a million addresses take %d MB, want less than 64", grown>>20)
	} else {
		t.Logf("a million addresses take %.1f MB", float64(grown)/(1<<20))
	}
	runtime.KeepAlive(limiter)
}

// flooded counts a failure of each of n addresses, half of them IPv6, with a name
// of its own, and remembers each as good as well.
func flooded(n int) *limit.Limiter {
	l := limit.New(limit.Limits{}, nil, slog.Default, time.Now)
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if i%2 == 1 {
			a = netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 5: byte(i >> 16), 6: byte(i >> 8), 7: byte(i)})
		}
		name := fmt.Sprintf("%012d", i)
		_ = l.Failed(context.Background(), a, name, nil)
		l.Succeeded(a, name)
	}
	return l
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
