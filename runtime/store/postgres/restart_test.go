package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store"
)

// TestRestart stops and starts the server under load: calls fail meanwhile, and
// never as if there were no such record; then they succeed again.
func TestRestart(t *testing.T) {
	server := testenv.Postgres(t)
	s := mustOpen(t, server.URL())
	mustCreate(t, s, "goodkey000000", "revokedkey000")
	mustDo(t, s.Keys().Revoke(t.Context(), "revokedkey000", now()))
	w := watch(t, s)
	w.waits(t, store.Change{}, 1)

	var ok, failed atomic.Int64
	var era atomic.Int64 // odd: nothing may fail that begins and ends within it
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				begun := era.Load()
				good, err := s.Keys().Load(t.Context(), "goodkey000000")
				if err == nil && !good.Revoked.IsZero() {
					t.Error("a good key is revoked")
				}
				if err == nil {
					rec, err2 := s.Keys().Load(t.Context(), "revokedkey000")
					if err2 == nil && rec.Revoked.IsZero() {
						t.Error("a revoked key is good again")
					}
					err = err2
				}
				if err == nil && i == 0 {
					err = s.Keys().Touch(t.Context(), "goodkey000000", time.Now())
				}
				switch {
				case isNotFound(err):
					t.Errorf("a call without a server = %v", err)
				case err != nil:
					failed.Add(1)
					if begun%2 == 1 && era.Load() == begun {
						t.Errorf("a call with a server = %v", err)
					}
				default:
					ok.Add(1)
				}
			}
		})
	}
	for round, kill := range []bool{false, true, false} {
		era.Add(1)
		time.Sleep(300 * time.Millisecond)
		era.Add(1)
		if kill {
			server.Kill()
		} else {
			server.Stop()
		}
		before := failed.Load()
		fails(t, "Check without a server", 6*time.Second, func() error { return s.Check(t.Context()) })
		time.Sleep(time.Second)
		if failed.Load() == before {
			t.Error("no call failed without a server")
		}
		server.Start(t)
		begun := time.Now()
		for s.Check(t.Context()) != nil {
			if time.Since(begun) > 5*time.Second {
				t.Fatal("the store does not answer five seconds after the server was started")
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Logf("the store answers %v after the server did", time.Since(begun))
		w.waits(t, store.Change{}, round+2)
		t.Logf("a watcher listens %v after the server did", time.Since(begun))
		time.Sleep(1500 * time.Millisecond) // connections of before are found out
	}
	close(stop)
	wait.Wait()
	t.Logf("%d calls succeeded and %d failed", ok.Load(), failed.Load())
}

// TestKill kills the server in the middle of writes: what was answered is
// there, and a rotation has been made whole or not at all.
func TestKill(t *testing.T) {
	server := testenv.Postgres(t)
	s := mustOpen(t, server.URL())
	for round := range 5 {
		var mu sync.Mutex
		created, revoked, rotated := map[string]bool{}, map[string]bool{}, map[string]string{}
		note := func(f func()) { mu.Lock(); f(); mu.Unlock() }
		stop := make(chan struct{})
		var wait sync.WaitGroup
		for i := range 6 {
			wait.Go(func() {
				for j := 0; ; j++ {
					select {
					case <-stop:
						return
					default:
					}
					id := fmt.Sprintf("r%dw%dn%06d", round, i, j)
					if s.Keys().Create(t.Context(), key(id)) != nil {
						time.Sleep(5 * time.Millisecond) // there is no server, or there was none
						continue
					}
					note(func() { created[id] = true })
					if j%2 == 0 {
						if s.Keys().Revoke(t.Context(), id, now()) == nil {
							note(func() { revoked[id] = true })
						}
					} else if s.Keys().Rotate(t.Context(), id, now().Add(time.Hour), key(id+"x")) == nil {
						note(func() { rotated[id] = id + "x" })
					}
				}
			})
		}
		for begun, n := time.Now(), 0; n < 50; note(func() { n = min(len(revoked), len(rotated)) }) {
			if time.Sleep(5 * time.Millisecond); time.Since(begun) > 30*time.Second {
				t.Fatal("nothing is written")
			}
		}
		server.Kill()
		close(stop)
		wait.Wait()
		server.Start(t)
		t.Logf("round %d: %d keys made, %d revoked, %d rotated", round, len(created), len(revoked), len(rotated))
		for begun := time.Now(); s.Check(t.Context()) != nil && time.Since(begun) < 5*time.Second; {
			time.Sleep(10 * time.Millisecond)
		}
		recs, err := s.Keys().List(t.Context(), apikey.Query{Limit: 1_000_000})
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]bool{}
		for _, rec := range recs {
			have[rec.ID] = true
		}
		for _, rec := range recs {
			if !strings.HasPrefix(rec.ID, fmt.Sprintf("r%d", round)) {
				continue
			}
			if revoked[rec.ID] && rec.Revoked.IsZero() {
				t.Errorf("%s was revoked, and is not", rec.ID)
			}
			if to := rotated[rec.ID]; to != "" && (rec.ReplacedBy != to || !have[to]) {
				t.Errorf("%s was rotated, and is %+v", rec.ID, rec)
			}
			if rec.ReplacedBy != "" && !have[rec.ReplacedBy] {
				t.Errorf("%s is rotated to a key that is not there", rec.ID)
			}
			if from, ok := strings.CutSuffix(rec.ID, "x"); ok && !have[from] {
				t.Errorf("%s was made by a rotation of a key that is not there", rec.ID)
			}
		}
		for id := range created {
			if !have[id] {
				t.Errorf("%s was made, and is not there", id)
			}
		}
	}
}
