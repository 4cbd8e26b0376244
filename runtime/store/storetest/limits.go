package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/store"
)

// take calls Take.
func take(t *testing.T, s store.Shared, buckets ...limit.Bucket) []time.Duration {
	t.Helper()
	waits, err := s.Limits().Take(t.Context(), buckets...)
	if err != nil || len(waits) != len(buckets) {
		t.Errorf("Take() from %d buckets = %v, %v", len(buckets), waits, err)
		return make([]time.Duration, len(buckets))
	}
	return waits
}

// slow is a bucket that gets no token while a test runs.
func slow(name string, burst int) limit.Bucket {
	return limit.Bucket{Name: name, Burst: burst, Every: time.Hour}
}

// testLimits: a bucket that is new is full, each counts by itself, and the
// answers stand in the order of the questions.
func testLimits(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	if one.Limits() == nil {
		return // this kind of store counts nothing
	}
	address, id := slow("address:2001:db8::", 3), slow("key:0123456789abc", 2)
	for i := range 3 {
		if wait := take(t, []store.Shared{one, two}[i%2], address)[0]; wait != 0 {
			t.Errorf("Take() %d from a bucket of 3 = %v, want 0", i+1, wait)
		}
	}
	for _, s := range []store.Shared{one, two} {
		if wait := take(t, s, address)[0]; wait <= 59*time.Minute || wait > time.Hour {
			t.Errorf("Take() 4 from a bucket of 3 = %v, want an hour", wait)
		}
	}
	// One that is empty keeps no other from giving.
	for i, want := range []bool{true, true, false} {
		waits := take(t, two, address, id, slow(fmt.Sprint("other", i), 1))
		if waits[0] == 0 || (waits[1] == 0) != want || waits[2] != 0 {
			t.Errorf("Take() from an empty bucket, one of 2 for the time %d and a new one = %v", i+1, waits)
		}
	}
	if waits := take(t, one, slow("first", 1), id, slow("last", 1), address); waits[0] != 0 || waits[1] == 0 || waits[2] != 0 || waits[3] == 0 {
		t.Errorf("Take() from a new, an empty, a new and an empty bucket = %v", waits)
	}
	// Names are exact, and a name is a name.
	for _, name := range []string{"key:0123456789ABC", "key:0123456789ab", "key:0123456789abc ", "address:2001:db8::1", "*", "key:*", "'; DROP TABLE gatewright_keys; --", "%", "{key:0123456789abc}"} {
		if waits := take(t, one, slow(name, 1)); waits[0] != 0 {
			t.Errorf("Take() from a bucket named %q = %v, want 0", name, waits[0])
		}
		if waits := take(t, two, slow(name, 1)); waits[0] == 0 {
			t.Errorf("Take() again from a bucket named %q = 0, want to wait", name)
		}
	}
	if waits, err := one.Limits().Take(t.Context()); err != nil || len(waits) != 0 {
		t.Errorf("Take() from no bucket = %v, %v, want none", waits, err)
	}
}

// testLimitRefill: a bucket gets one token after each time, up to its burst and
// no more.
func testLimitRefill(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	if s.Limits() == nil {
		return // this kind of store counts nothing
	}
	b := limit.Bucket{Name: "refilled", Burst: 3, Every: 200 * time.Millisecond}
	begun := time.Now()
	// taken takes until it has to wait, and returns how many it got and how
	// long it has to wait.
	taken := func() (n int, wait time.Duration) {
		for ; wait == 0 && n < 1000; n++ {
			wait = take(t, s, b)[0]
		}
		return n - 1, wait
	}
	total, wait := taken()
	if total < 3 || wait > b.Every {
		t.Errorf("a new bucket of 3 gave %d and %v to wait, want 3 and at most %v", total, wait, b.Every)
	}
	for round := range 5 {
		time.Sleep(wait)
		var n int
		if n, wait = taken(); n < 1 {
			t.Errorf("round %d: after the wait that was told the bucket gave nothing", round)
		}
		total += n
		if most := 3 + int(time.Since(begun)/b.Every); total > most {
			t.Errorf("round %d: the bucket gave %d within %v, want at most %d", round, total, time.Since(begun), most)
		}
	}
	// After a long rest it is full, and not fuller.
	time.Sleep(6 * b.Every)
	begun = time.Now()
	n, _ := taken()
	if most := 3 + 1 + int(time.Since(begun)/b.Every); n < 3 || n > most {
		t.Errorf("after a long rest the bucket gave %d, want 3 (or %d, so slow is this machine)", n, most)
	}
}

// testLimitRace: of many who take at once, by whichever opener, as many get a
// token as there are.
func testLimitRace(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	if one.Limits() == nil {
		return // this kind of store counts nothing
	}
	var first, second atomic.Int32
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		s := []store.Shared{one, two}[i%2]
		wait.Go(func() {
			<-start
			waits := take(t, s, slow("race", 20), slow("other race", 7))
			if waits[0] == 0 {
				first.Add(1)
			}
			if waits[1] == 0 {
				second.Add(1)
			}
		})
	}
	close(start)
	wait.Wait()
	if first.Load() != 20 || second.Load() != 7 {
		t.Errorf("64 calls of Take got %d tokens of 20 and %d of 7", first.Load(), second.Load())
	}
}
