package dpop_test

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/dpop"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store/redis"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

// replicas are verifiers of two servers, each with its connection to one store.
func replicas(t testing.TB, open func() (session.Marks, error)) [2]*dpop.Verifier {
	t.Helper()
	var both [2]*dpop.Verifier
	keys := ring()
	for i := range both {
		marks, err := open()
		if err != nil {
			t.Fatal(err)
		}
		both[i] = verifier(t, func(c *dpop.Config) { c.Marks, c.Ring, c.Now = marks, keys, nil })
	}
	return both
}

// onceOf counts on how many of fifty requests at once, half on each replica, one
// proof is taken.
func onceOf(t *testing.T, both [2]*dpop.Verifier) {
	t.Helper()
	proof := prove(nil, object{"iat": time.Now().Unix(), "nonce": both[0].Nonce()})
	var taken atomic.Int32
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			<-start
			r := request("GET", "/posts", proof)
			err := both[i%2].Check(t.Context(), r, token, thumbprint(ed()), true)
			switch {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, dpop.ErrInvalid):
				t.Errorf("Check() = %v, want ErrInvalid", err)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("one proof was taken %d times", n)
	}
}

// TestReplay: of fifty requests at once with one proof, on two replicas, one is
// let in, and none later.
func TestReplay(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "server.db")
		both := replicas(t, func() (session.Marks, error) {
			s, err := sqlite.Open(t.Context(), file)
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = s.Close() })
			return s.Marks(), nil
		})
		for range 5 {
			onceOf(t, both)
		}
	})
	t.Run("Redis", func(t *testing.T) {
		server := testenv.Redis(t, "--appendonly", "yes")
		both := replicas(t, func() (session.Marks, error) {
			s, err := redis.Open(t.Context(), server.URL())
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = s.Close() })
			return s.Marks(), nil
		})
		for range 5 {
			onceOf(t, both)
		}
		server.Kill()
		proof := prove(nil, object{"iat": time.Now().Unix()})
		for _, v := range both {
			if err := check(t, v, proof); err == nil || errors.Is(err, dpop.ErrInvalid) || errors.Is(err, dpop.ErrNonce) {
				t.Errorf("Check() without Redis = %v, want that it cannot be told", err)
			}
		}
	})
}
