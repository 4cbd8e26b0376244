package apikey_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
)

// limited tells how long the caller has to wait; zero: no limit was the answer.
func limited(err error) time.Duration {
	var limit *gate.LimitError
	if errors.As(err, &limit) {
		return limit.RetryAfter
	}
	return 0
}

// TestAddressLimit: twenty failures are answered as such, then one a second.
func TestAddressLimit(t *testing.T) {
	loads := 0
	f := setup(t, func(c *apikey.Config) { c.Store = counting{c.Store, &loads} })
	for i := range 20 {
		_, unknown := apikey.NewKey("gw", apikey.Live)
		if _, err := f.verify(home, unknown); !errors.Is(err, gate.ErrInvalid) {
			t.Fatalf("failure %d = %v, want ErrInvalid", i+1, err)
		}
	}
	_, unknown := apikey.NewKey("gw", apikey.Live)
	for range 5 {
		_, err := f.verify(home, unknown)
		if wait := limited(err); wait <= 0 || wait > time.Second || errors.Is(err, gate.ErrInvalid) {
			t.Errorf("failure 21 = %v, want to wait a second at most, and no word about the key", err)
		}
	}
	if loads != 20 {
		t.Errorf("the store was asked %d times, want 20: a limited address costs it nothing", loads)
	}
	f.now = f.now.Add(time.Second)
	if _, err := f.verify(home, unknown); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("a failure a second later = %v, want ErrInvalid", err)
	}
	if _, err := f.verify(home, unknown); limited(err) == 0 {
		t.Errorf("a second failure in that second = %v, want a limit", err)
	}
	f.now = f.now.Add(time.Hour)
	for i := range 20 {
		if _, err := f.verify(home, unknown); limited(err) != 0 && i < 20 {
			t.Errorf("failure %d an hour later = %v, want ErrInvalid", i+1, err)
		}
	}
}

// TestMalformedCounts: what is no key at all counts against its address.
func TestMalformedCounts(t *testing.T) {
	f := setup(t, func(c *apikey.Config) { c.Limits.AddressBurst = 2 })
	for range 2 {
		if _, err := f.verify(home, "nonsense"); !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("Verify() = %v, want ErrInvalid", err)
		}
	}
	if _, err := f.verify(home, "nonsense"); limited(err) == 0 {
		t.Errorf("Verify() = %v, want a limit", err)
	}
}

// TestGoodKeyFromElsewhere: whatever one address does, a good key counts at
// another; and at the same one too, where it was good before.
func TestGoodKeyFromElsewhere(t *testing.T) {
	f := setup(t, nil)
	known, _ := f.create(t, apikey.CreateRequest{})
	fresh, _ := f.create(t, apikey.CreateRequest{})
	if _, err := f.verify(home, known); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_, _ = f.verify(home, "nonsense")
		_, _ = f.verify(home, wrongSecret(known))
	}
	if _, err := f.verify(home, fresh); limited(err) == 0 {
		t.Errorf("a key that is new at a limited address = %v, want a limit", err)
	}
	if _, err := f.verify(home, known); err != nil {
		t.Errorf("a key that was good at a limited address = %v, want nil", err)
	}
	for _, key := range []string{known, fresh} {
		if _, err := f.verify(away, key); err != nil {
			t.Errorf("a good key from elsewhere = %v, want nil", err)
		}
	}
}

// TestKeyLimit: failures with one id from many addresses are limited, and the
// right secret is let in through all of it.
func TestKeyLimit(t *testing.T) {
	for name, unknown := range map[string]bool{"a key that exists": false, "a key that does not": true} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, nil)
			key, _ := f.create(t, apikey.CreateRequest{})
			attacked := wrongSecret(key)
			if unknown {
				_, attacked = apikey.NewKey("gw", apikey.Live)
			}
			var invalid, limits int
			for i := range 200 {
				_, err := f.verify(fmt.Sprintf("203.0.113.%d:1", i), attacked)
				switch {
				case limited(err) > 0:
					limits++
				case errors.Is(err, gate.ErrInvalid):
					invalid++
				}
			}
			// The same for both, so that it does not tell which keys exist.
			if invalid != 20 || limits != 180 {
				t.Errorf("of 200 failures from as many addresses %d were refused and %d limited, want 20 and 180", invalid, limits)
			}
			for _, from := range []string{home, away, "203.0.113.7:1"} {
				if _, err := f.verify(from, key); err != nil {
					t.Errorf("the good key from %s while its id is attacked = %v, want nil", from, err)
				}
			}
		})
	}
}

// TestGoodKeysDoNotCount: success takes nothing from anybody.
func TestGoodKeysDoNotCount(t *testing.T) {
	f := setup(t, nil)
	key, _ := f.create(t, apikey.CreateRequest{})
	for range 100 {
		if _, err := f.verify(home, key); err != nil {
			t.Fatalf("Verify() = %v", err)
		}
	}
	if _, err := f.verify(home, "nonsense"); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("the first failure after 100 successes = %v, want ErrInvalid", err)
	}
}

// TestIPv6Neighbours: one /64 is one caller, another /64 is another.
func TestIPv6Neighbours(t *testing.T) {
	f := setup(t, func(c *apikey.Config) { c.Limits.AddressBurst = 3 })
	for i := range 3 {
		_, _ = f.verify(fmt.Sprintf("[2001:db8::%x]:1", i), "nonsense")
	}
	if _, err := f.verify("[2001:db8::ffff:1]:1", "nonsense"); limited(err) == 0 {
		t.Errorf("a neighbour in the same /64 = %v, want a limit", err)
	}
	if _, err := f.verify("[2001:db8:0:1::1]:1", "nonsense"); limited(err) != 0 {
		t.Errorf("another /64 = %v, want no limit", err)
	}
}
