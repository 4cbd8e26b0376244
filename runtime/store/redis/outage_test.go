package redis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/redis"
)

// A way leads to a server, and may lose or change what comes back.
type way struct {
	url    string
	lossy  atomic.Bool            // the next answer is lost, and the connection with it
	refuse atomic.Pointer[string] // what is answered instead
	epoch  atomic.Int64           // connections of before it are silent
}

// through makes a way to server.
func through(t *testing.T, server *testenv.RedisServer) *way {
	t.Helper()
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	target := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Addr().String()
	w := &way{url: u.String()}
	var open []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			open = append(open, near)
			far, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				continue
			}
			open = append(open, far)
			go func() { _, _ = io.Copy(far, near); far.Close() }()
			go w.back(near, far, w.epoch.Load())
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, conn := range open {
			conn.Close()
		}
	})
	return w
}

// back carries answers.
func (w *way) back(near, far net.Conn, epoch int64) {
	defer near.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := far.Read(buf)
		if err != nil || w.lossy.CompareAndSwap(true, false) {
			return
		}
		answer := buf[:n]
		if refusal := w.refuse.Load(); refusal != nil {
			answer = []byte("-" + *refusal + "\r\n")
		}
		if epoch < w.epoch.Load() {
			continue
		}
		if _, err := near.Write(answer); err != nil {
			return
		}
	}
}

// cut has nothing come back over the connections that there are, which stay.
func (w *way) cut() { w.epoch.Add(1) }

// TestLostAnswers: what was done and not answered is an error. Done again, it
// would tell the only one who marks a key that it is not the first.
func TestLostAnswers(t *testing.T) {
	server := testenv.Redis(t)
	w := through(t, server)
	s, beside := open(t, w.url), open(t, server.URL())
	rec, _ := fill(t, s)
	key, until := session.KeyOf("lost"), time.Now().Add(time.Hour)
	if _, err := s.Sessions().Delete(t.Context(), session.Match{User: "usr_z"}); err != nil { // all scripts are known
		t.Fatal(err)
	}
	lost := func(call string, do func() (any, error)) {
		t.Helper()
		eventually(t, func() error { return s.Check(t.Context()) }) // and there is a connection
		w.lossy.Store(true)
		if got, err := do(); err == nil {
			t.Errorf("%s, whose answer was lost = %v, nil, want an error", call, got)
		}
	}
	lost("Mark", func() (any, error) { return s.Marks().Mark(t.Context(), key, until) })
	lost("Lock", func() (any, error) { return s.Locks().Lock(t.Context(), key, "ann", until) })
	lost("Delete", func() (any, error) { return s.Sessions().Delete(t.Context(), session.Match{ID: rec.ID}) })
	lost("Take", func() (any, error) {
		return s.Limits().Take(t.Context(), limit.Bucket{Name: "lost", Burst: 2, Every: time.Hour})
	})
	again := someSession("usr_a")
	lost("Create", func() (any, error) { return nil, s.Sessions().Create(t.Context(), again) })

	// All of it was done, and once.
	if first, err := beside.Marks().Mark(t.Context(), key, until); err != nil || first {
		t.Errorf("Mark() = %v, %v, want false", first, err)
	}
	if taken, err := beside.Locks().Lock(t.Context(), key, "bob", until); err != nil || taken {
		t.Errorf("Lock() = %v, %v, want false", taken, err)
	}
	if _, err := beside.Sessions().Load(t.Context(), rec.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Load() = %v, want ErrNotFound", err)
	}
	if _, err := beside.Sessions().Load(t.Context(), again.ID); err != nil {
		t.Errorf("Load() = %v", err)
	}
	for _, empty := range []bool{false, true} {
		if waits, err := beside.Limits().Take(t.Context(), limit.Bucket{Name: "lost", Burst: 2, Every: time.Hour}); err != nil || (waits[0] > 0) != empty {
			t.Errorf("Take() = %v, %v, want the bucket empty: %v", waits, err, empty)
		}
	}
}

// calls are all that a store can be asked.
func calls(s store.Shared, rec session.Record, key session.Key) map[string]func(context.Context) error {
	until := time.Now().Add(time.Hour)
	return map[string]func(context.Context) error{
		"Create":     func(ctx context.Context) error { return s.Sessions().Create(ctx, someSession("usr_a")) },
		"Load":       func(ctx context.Context) error { _, err := s.Sessions().Load(ctx, rec.ID); return err },
		"Touch":      func(ctx context.Context) error { return s.Sessions().Touch(ctx, rec.ID, rec.Used, rec.Idle) },
		"SaveTokens": func(ctx context.Context) error { return s.Sessions().SaveTokens(ctx, rec.ID, rec.Tokens, nil) },
		"Delete": func(ctx context.Context) error {
			_, err := s.Sessions().Delete(ctx, session.Match{User: "usr_z"})
			return err
		},
		"List":    func(ctx context.Context) error { _, err := s.Sessions().List(ctx, rec.User, 1); return err },
		"Revoke":  func(ctx context.Context) error { return s.Revocations().Revoke(ctx, key, rec.Created, until) },
		"Revoked": func(ctx context.Context) error { _, err := s.Revocations().Revoked(ctx, key); return err },
		"Mark":    func(ctx context.Context) error { _, err := s.Marks().Mark(ctx, key, until); return err },
		"Lock":    func(ctx context.Context) error { _, err := s.Locks().Lock(ctx, key, "ann", until); return err },
		"Unlock":  func(ctx context.Context) error { return s.Locks().Unlock(ctx, key, "bob") },
		"Take": func(ctx context.Context) error {
			_, err := s.Limits().Take(ctx, limit.Bucket{Name: "b", Burst: 2, Every: time.Hour})
			return err
		},
		"Sweep": func(ctx context.Context) error { return s.Sweep(ctx, time.Now()) },
		"Check": s.Check,
	}
}

// TestServerAway: while the server is away, or does not answer, each call is an
// error of its own within its time; when it is back they all work, with
// nothing done.
func TestServerAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		away, back func(*testing.T, *testenv.RedisServer)
		within     time.Duration
	}{
		"stopped": {
			func(_ *testing.T, s *testenv.RedisServer) { s.Kill() },
			func(t *testing.T, s *testenv.RedisServer) { s.Start(t) },
			time.Second,
		},
		"silent": {
			func(t *testing.T, s *testenv.RedisServer) { s.Pause(t) },
			func(t *testing.T, s *testenv.RedisServer) { s.Resume(t) },
			4500 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testenv.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
			s := open(t, server.URL())
			rec, key := fill(t, s)
			c.away(t, server)
			var wait sync.WaitGroup
			for name, call := range calls(s, rec, key) {
				wait.Go(func() {
					begun := time.Now()
					err := call(t.Context())
					if err == nil || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrExists) {
						t.Errorf("%s without the server = %v, want an error of its own", name, err)
					}
					if took := time.Since(begun); took > c.within {
						t.Errorf("%s without the server took %v, want %v at most", name, took, c.within)
					}
				})
			}
			for name, call := range calls(s, rec, key) {
				wait.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					defer cancel()
					begun := time.Now()
					if err := call(ctx); err == nil {
						t.Errorf("%s without the server = nil, want an error", name)
					}
					if took := time.Since(begun); took > time.Second {
						t.Errorf("%s that was to take 100 ms took %v", name, took)
					}
				})
			}
			wait.Wait()
			c.back(t, server)
			begun := time.Now()
			eventually(t, func() error { return s.Check(t.Context()) })
			t.Logf("it worked again %v after the server did", time.Since(begun).Round(time.Millisecond))
			for name, call := range calls(s, rec, key) {
				if err := call(t.Context()); err != nil {
					t.Errorf("%s with the server back = %v", name, err)
				}
			}
		})
	}
}

// TestUnderLoad: while the server is killed and started again, nobody is told
// that a session is not there, that a revocation is not, or that two marked one
// key first.
func TestUnderLoad(t *testing.T) {
	server := testenv.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	s, other := open(t, server.URL()), open(t, server.URL())
	rec, key := fill(t, s)
	stop := make(chan struct{})
	var good, failed atomic.Int64
	var firsts sync.Map // of the keys marked, those of which somebody was told
	var wait sync.WaitGroup
	for i := range 8 {
		s := []*redis.Store{s, other}[i%2]
		wait.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := s.Sessions().Load(t.Context(), rec.ID)
				if errors.Is(err, session.ErrNotFound) {
					t.Error("Load() of a session that is there = ErrNotFound")
				}
				at, revErr := s.Revocations().Revoked(t.Context(), key)
				if revErr == nil && at.IsZero() {
					t.Error("Revoked() of a key that is revoked = none")
				}
				name := fmt.Sprint(n)
				first, markErr := s.Marks().Mark(t.Context(), session.KeyOf("once", name), time.Now().Add(time.Hour))
				if first && markErr == nil {
					if _, again := firsts.LoadOrStore(name, true); again {
						t.Errorf("two were told that they marked %s first", name)
					}
				}
				if err = errors.Join(err, revErr, markErr); err != nil {
					failed.Add(1)
					time.Sleep(5 * time.Millisecond)
				} else {
					good.Add(1)
				}
			}
		})
	}
	var slowest time.Duration
	for range 3 {
		time.Sleep(300 * time.Millisecond)
		server.Kill()
		time.Sleep(300 * time.Millisecond)
		server.Start(t)
		begun := time.Now()
		before := good.Load()
		eventually(t, func() error {
			if good.Load() == before {
				return errors.New("nothing has worked since")
			}
			return nil
		})
		slowest = max(slowest, time.Since(begun))
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	wait.Wait()
	t.Logf("%d rounds of calls were good and %d failed; it worked again %v after the server did, at the latest", good.Load(), failed.Load(), slowest.Round(time.Millisecond))
	if failed.Load() == 0 || good.Load() == 0 {
		t.Errorf("%d calls were good and %d failed, want both", good.Load(), failed.Load())
	}
}

// TestRefusals: whatever error the server answers with is one.
func TestRefusals(t *testing.T) {
	for _, refusal := range []string{
		"LOADING Redis is loading the dataset in memory", "READONLY You can't write against a read only replica.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "OOM command not allowed when used memory > 'maxmemory'.",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", "NOAUTH Authentication required.",
		"NOPERM this user has no permissions to run the command", "ERR max number of clients reached", "BUSY Redis is busy running a script.",
		"MOVED 3999 127.0.0.1:1", "CLUSTERDOWN Hash slot not served", "NOREPLICAS Not enough good replicas to write.",
	} {
		t.Run(strings.Fields(refusal)[0], func(t *testing.T) {
			w := through(t, testenv.Redis(t))
			s := open(t, w.url)
			rec, key := fill(t, s)
			w.refuse.Store(&refusal)
			for name, call := range calls(s, rec, key) {
				err := call(t.Context())
				if err == nil || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrExists) {
					t.Errorf("%s at a server that answers %q = %v, want an error of its own", name, refusal, err)
				}
			}
			refused(t, w.url, strings.Fields(refusal)[0])
			w.refuse.Store(nil)
			eventually(t, func() error { return s.Check(t.Context()) })
		})
	}
}
