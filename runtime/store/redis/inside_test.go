package redis

import (
	"math"
	"testing"
	"time"
)

// TestLeft: what is remembered until a time is not forgotten before it.
func TestLeft(t *testing.T) {
	for _, d := range []time.Duration{time.Hour, time.Millisecond, 1500 * time.Microsecond, 1, 0, -1, -time.Hour, 10*time.Millisecond + 1} {
		for range 1000 {
			until := time.Now().Add(d)
			ms := left(until)
			if after := time.Until(until); time.Duration(ms)*time.Millisecond < after {
				t.Fatalf("left() of %v is %d ms", d, ms)
			}
			if most := d.Milliseconds() + 1; ms > max(most, 0) {
				t.Fatalf("left() of %v is %d ms, want %d at most", d, ms, most)
			}
		}
	}
	if ms := left(time.Time{}); ms > 0 {
		t.Errorf("left() of the zero time is %d ms, want none", ms)
	}
	if ms := left(time.Unix(1<<40, 0)); ms != time.Duration(math.MaxInt64).Milliseconds()+1 {
		t.Errorf("left() of a time far ahead is %d ms", ms)
	}
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"localhost:6379": true, "127.0.0.1:6379": true, "127.9.9.9:1": true, "[::1]:6379": true,
		"redis:6379": false, "10.0.0.1:6379": false, "[2001:db8::1]:6379": false, "localhost.example:6379": false, "127.0.0.1.example:1": false, "localhost": false,
	} {
		if got := loopback(addr); got != want {
			t.Errorf("loopback(%q) = %v, want %v", addr, got, want)
		}
	}
}

func TestCheckInfo(t *testing.T) {
	for info, want := range map[string]struct{ seen, good bool }{
		"":                                 {false, true},
		"# Memory\r\nmaxmemory:0\r\n":      {false, true},
		"maxmemory_policy:allkeys-lru\r\n": {false, true},
		"maxmemory:0\r\nmaxmemory_policy:noeviction":           {true, true},
		"maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n":      {true, true},
		"maxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n":      {true, false},
		"maxmemory:1\nmaxmemory_policy:volatile-ttl\n":         {true, false},
		"maxmemory:1\r\nmaxmemory_policy:noeviction\r\n":       {true, true},
		"cluster_enabled:0\r\nmaxmemory:0":                     {false, true},
		"maxmemory_human:0B\r\n# Cluster\r\ncluster_enabled:1": {false, false},
	} {
		if seen, err := checkInfo(info); seen != want.seen || (err == nil) != want.good {
			t.Errorf("checkInfo(%q) = %v, %v, want %v and no error: %v", info, seen, err, want.seen, want.good)
		}
	}
}
