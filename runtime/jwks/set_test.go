package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/gatewright/gatewright/runtime/jwks"
)

var _ oidc.KeySet = (*jwks.Set)(nil)

func TestNewRefuses(t *testing.T) {
	good := jwks.Config{URL: "https://id.example/keys", Client: &http.Client{Timeout: time.Second}, Algorithms: []string{"RS256"}}
	for name, c := range map[string]struct {
		change func(*jwks.Config)
		want   []string
	}{
		"nothing wrong":     {func(*jwks.Config) {}, nil},
		"no client":         {func(c *jwks.Config) { c.Client = nil }, []string{"client is missing"}},
		"no time limit":     {func(c *jwks.Config) { c.Client = &http.Client{} }, []string{"no time limit"}},
		"negative limit":    {func(c *jwks.Config) { c.Client = &http.Client{Timeout: -1} }, []string{"no time limit"}},
		"http":              {func(c *jwks.Config) { c.URL = "http://id.example/keys" }, []string{"not https"}},
		"no URL":            {func(c *jwks.Config) { c.URL = "" }, []string{"not https"}},
		"unreadable URL":    {func(c *jwks.Config) { c.URL = "https://secret\x00" }, []string{"URL cannot be read"}},
		"no algorithms":     {func(c *jwks.Config) { c.Algorithms = nil }, []string{"no algorithm"}},
		"symmetric":         {func(c *jwks.Config) { c.Algorithms = []string{"HS256", "none"} }, []string{`"HS256"`, `"none"`}},
		"negative interval": {func(c *jwks.Config) { c.Interval = -1 }, []string{"negative"}},
		"negative age":      {func(c *jwks.Config) { c.MaxAge = -1 }, []string{"negative"}},
		"negative number":   {func(c *jwks.Config) { c.MaxKeys = -1 }, []string{"negative"}},
		"everything":        {func(c *jwks.Config) { *c = jwks.Config{MaxKeys: -1} }, []string{"not https", "client", "no algorithm", "negative"}},
	} {
		cfg := good
		c.change(&cfg)
		s, err := jwks.New(cfg)
		if (err == nil) != (c.want == nil) || (s == nil) != (err != nil) {
			t.Errorf("%s: New() = %v, want %q", name, err, c.want)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: New() = %v, want %q in it", name, err, w)
			}
		}
	}
}

// A step is a token, what becomes of it, and how many fetches there were by then.
func step(t *testing.T, p *provider, s *jwks.Set, what, token string, want error, hits int64) {
	t.Helper()
	_, err := s.VerifySignature(t.Context(), token)
	jwks.Settle(s)
	switch {
	case want == nil && err != nil,
		want == errBad && (err == nil || errors.Is(err, jwks.ErrUnavailable)),
		want == jwks.ErrUnavailable && !errors.Is(err, jwks.ErrUnavailable):
		t.Errorf("%s: VerifySignature() = %v, want %v", what, err, want)
	}
	if got := p.hits.Load(); got != hits {
		t.Errorf("%s: %d fetches by now, want %d", what, got, hits)
	}
}

var errBad = errors.New("a token that is not good")

func TestRotation(t *testing.T) {
	p, s := start(t, nil)
	old, fresh, unknown := sign(t, ed(), "EdDSA", "old"), sign(t, edNew(), "EdDSA", "new"), sign(t, edOther(), "EdDSA", "x")
	p.publish(set(member(t, ed(), "old", nil)))
	step(t, p, s, "first", old, nil, 1)
	step(t, p, s, "again", old, nil, 1)
	p.publish(set(member(t, edNew(), "new", nil), member(t, ed(), "old", nil)))
	step(t, p, s, "rotated at once", fresh, nil, 2)
	step(t, p, s, "old one still published", old, nil, 2)
	step(t, p, s, "unknown, too soon", unknown, errBad, 2)
	p.pass(10*time.Second - 1)
	step(t, p, s, "unknown, just too soon", unknown, errBad, 2)
	p.pass(1)
	step(t, p, s, "unknown, an interval later", unknown, errBad, 3)
	step(t, p, s, "unknown again", unknown, errBad, 3)
	p.publish(set(member(t, edNew(), "new", nil)))
	step(t, p, s, "withdrawn, not known of", old, nil, 3)
	p.pass(24*time.Hour - 10*time.Second - 1)
	step(t, p, s, "a day less a bit later", old, nil, 3)
	p.pass(10*time.Second + 1)
	step(t, p, s, "a day later", old, errBad, 5) // once for its age, once for the kid
	step(t, p, s, "the one that stays", fresh, nil, 5)
	p.publish(set())
	p.pass(24 * time.Hour)
	step(t, p, s, "all withdrawn", fresh, errBad, 7)
}

// TestOvertaken: who looked at keys that another caller replaced meanwhile
// gets the new ones, though it is too soon to fetch.
func TestOvertaken(t *testing.T) {
	p, s := start(t, nil)
	p.publish(set(member(t, ed(), "old", nil)))
	step(t, p, s, "first", sign(t, ed(), "EdDSA", "old"), nil, 1)
	held := jwks.Held(s)
	p.publish(set(member(t, edNew(), "new", nil)))
	step(t, p, s, "rotated", sign(t, edNew(), "EdDSA", "new"), nil, 2)
	got, err := jwks.Newer(t.Context(), s, held)
	if err != nil || got == held || got != jwks.Held(s) || p.hits.Load() != 2 {
		t.Errorf("newer() = %p, %v after %d fetches, want %p after 2", got, err, p.hits.Load(), jwks.Held(s))
	}
}

// TestDefaults: without a clock and a logger they are time.Now and slog's own.
func TestDefaults(t *testing.T) {
	p, s := start(t, func(c *jwks.Config) { c.Now, c.Logger = nil, nil })
	p.publish(set(member(t, ed(), "a", nil)))
	step(t, p, s, "first", sign(t, ed(), "EdDSA", "a"), nil, 1)
	step(t, p, s, "second", sign(t, ed(), "EdDSA", "a"), nil, 1)
}

// TestSameID: a provider that makes a new key under the old name, or without
// one, as those for development do, is not refused for a day.
func TestSameID(t *testing.T) {
	for _, kid := range []string{"", "a"} {
		p, s := start(t, nil)
		p.publish(set(member(t, ed(), kid, nil)))
		step(t, p, s, "first", sign(t, ed(), "EdDSA", kid), nil, 1)
		p.publish(set(member(t, edNew(), kid, nil)))
		step(t, p, s, "replaced", sign(t, edNew(), "EdDSA", kid), nil, 2)
		step(t, p, s, "forged", sign(t, ed(), "EdDSA", kid), errBad, 2)
	}
}

// TestFlood: tokens of strangers, each with a kid of its own, cost one fetch
// an interval, and honest ones none of their time.
func TestFlood(t *testing.T) {
	p, s := start(t, func(c *jwks.Config) { c.Interval = time.Minute })
	p.publish(set(member(t, ed(), "a", nil)))
	good := sign(t, ed(), "EdDSA", "a")
	step(t, p, s, "first", good, nil, 1)
	for i := range 300 { // five a minute, for an hour
		_, err := s.VerifySignature(t.Context(), sign(t, edOther(), "EdDSA", fmt.Sprint(i)))
		if err == nil || errors.Is(err, jwks.ErrUnavailable) {
			t.Fatalf("VerifySignature(unknown) = %v, want it refused", err)
		}
		p.pass(12 * time.Second)
	}
	step(t, p, s, "after 60 minutes", good, nil, 61)
	// As many while the fetches fail.
	p.fail()
	for i := range 300 {
		_, err := s.VerifySignature(t.Context(), sign(t, edOther(), "EdDSA", fmt.Sprint(i)))
		if !errors.Is(err, jwks.ErrUnavailable) {
			t.Fatalf("VerifySignature(unknown) = %v, want ErrUnavailable", err)
		}
		p.pass(12 * time.Second)
	}
	step(t, p, s, "after 60 minutes more", good, nil, 121)
	// The one that succeeds again is one for unknown keys too.
	p.publish(set(member(t, ed(), "a", nil)))
	bad := sign(t, edOther(), "EdDSA", "b")
	step(t, p, s, "recovered", bad, errBad, 122)
	step(t, p, s, "at once", bad, errBad, 122)
	p.pass(time.Minute - 1)
	step(t, p, s, "just too soon", bad, errBad, 122)
	p.pass(1)
	step(t, p, s, "a minute later", bad, errBad, 123)
}

// TestForgedUnasked: what is wrong with a token by itself costs no fetch at all.
func TestForgedUnasked(t *testing.T) {
	p, s := start(t, nil)
	for _, token := range []string{
		"", "e30.e30.e30", signHeader(ed(), `{"alg":"none"}`), signHeader(ed(), `{"alg":"HS256"}`),
		signHeader(ed(), `{"alg":"EdDSA","crit":[]}`), signHeader(ed(), `{"alg":"EdDSA","jwk":{}}`),
	} {
		step(t, p, s, token, token, errBad, 0)
	}
}

func TestParallel(t *testing.T) {
	p, s := start(t, nil)
	arrived := make(chan struct{}, 100)
	hold := func(body string) (release func()) {
		held := make(chan struct{})
		p.answer(func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-held
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
		})
		return func() { close(held) }
	}
	release := hold(set(member(t, ed(), "a", nil)))
	token, fresh := sign(t, ed(), "EdDSA", "a"), sign(t, edNew(), "EdDSA", "b")

	verify := func(n int, token string) (wait func() []error) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		var errs []error
		for range n {
			wg.Go(func() {
				_, err := s.VerifySignature(context.Background(), token)
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			})
		}
		return func() []error { wg.Wait(); return errs }
	}

	// One who leaves takes nobody else's fetch along.
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := s.VerifySignature(ctx, token); left <- err }()
	<-arrived
	leave()
	if err := <-left; !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("VerifySignature() of one who left = %v, want ErrUnavailable and canceled", err)
	}
	wait := verify(20, token)
	time.Sleep(100 * time.Millisecond)
	release()
	for _, err := range wait() {
		if err != nil {
			t.Errorf("VerifySignature() = %v", err)
		}
	}
	if n := p.hits.Load(); n != 1 {
		t.Errorf("20 callers at once led to %d fetches, want 1", n)
	}

	// The same for a kid that is not known yet.
	release = hold(set(member(t, ed(), "a", nil), member(t, edNew(), "b", nil)))
	wait = verify(20, fresh)
	<-arrived
	// Those who know their key need not wait.
	for _, err := range verify(5, token)() {
		if err != nil {
			t.Errorf("VerifySignature() while the set is fetched = %v", err)
		}
	}
	time.Sleep(100 * time.Millisecond)
	release()
	for _, err := range wait() {
		if err != nil {
			t.Errorf("VerifySignature(new kid) = %v", err)
		}
	}
	if n := p.hits.Load(); n != 2 {
		t.Errorf("20 callers with a new kid led to %d fetches, want 1 more", n-1)
	}
}

func TestFailures(t *testing.T) {
	good, strange := sign(t, ed(), "EdDSA", "a"), sign(t, edNew(), "EdDSA", "b")
	one := set(member(t, ed(), "a", nil))
	for name, h := range map[string]http.HandlerFunc{
		"status 500": func(w http.ResponseWriter, r *http.Request) { http.Error(w, one, 500) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
		"HTML": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") },
		"hangs up": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, one[:10])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"no set": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "{}")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := start(t, func(c *jwks.Config) { c.MaxAge = time.Hour })
			// Down at first: it recovers by itself, an interval later.
			p.answer(h)
			step(t, p, s, "down", good, jwks.ErrUnavailable, 1)
			step(t, p, s, "down, asked again", good, jwks.ErrUnavailable, 1)
			if err := s.Ready(t.Context()); !errors.Is(err, jwks.ErrUnavailable) {
				t.Errorf("Ready() = %v, want ErrUnavailable", err)
			}
			p.publish(one)
			p.pass(10*time.Second - 1)
			step(t, p, s, "just too soon", good, jwks.ErrUnavailable, 1)
			p.pass(1)
			step(t, p, s, "recovered", good, nil, 2)
			if err := s.Ready(t.Context()); err != nil {
				t.Errorf("Ready() = %v, want nil", err)
			}
			// Down later: the keys held stay, young or old; whether others
			// are good is not known.
			p.answer(h)
			step(t, p, s, "unknown while down", strange, jwks.ErrUnavailable, 3)
			step(t, p, s, "known while down", good, nil, 3)
			step(t, p, s, "unknown, too soon", strange, jwks.ErrUnavailable, 3)
			p.pass(time.Hour)
			step(t, p, s, "old keys while down", good, nil, 4)
			step(t, p, s, "and at once again", good, nil, 4)
			if err := s.Ready(t.Context()); err != nil {
				t.Errorf("Ready() with old keys = %v, want nil", err)
			}
			p.pass(10 * time.Second)
			step(t, p, s, "an interval later", good, nil, 5)
			p.publish(set(member(t, edNew(), "b", nil)))
			p.pass(10 * time.Second)
			step(t, p, s, "new keys", strange, nil, 6)
			step(t, p, s, "the old one is gone", good, errBad, 7)
			if log := p.logged(); strings.Count(log, "cannot be fetched") != 4 || strings.Count(log, "fetched") != 7 || !strings.Contains(log, "host=127.0.0.1:") {
				t.Errorf("logged %s", log)
			}
		})
	}
}

// TestStale: old keys count for a stated time while no others can be had, and
// not beyond it.
func TestStale(t *testing.T) {
	p, s := start(t, func(c *jwks.Config) { c.MaxAge, c.MaxStale = time.Hour, 2*time.Hour })
	p.publish(set(member(t, ed(), "a", nil)))
	good := sign(t, ed(), "EdDSA", "a")
	step(t, p, s, "first", good, nil, 1)
	p.fail()
	p.pass(3*time.Hour - 1)
	step(t, p, s, "old", good, nil, 2)
	p.pass(1)
	step(t, p, s, "too old, just asked", good, jwks.ErrUnavailable, 2)
	p.pass(10 * time.Second)
	step(t, p, s, "too old, asked again", good, jwks.ErrUnavailable, 3)
	if err := s.Ready(t.Context()); !errors.Is(err, jwks.ErrUnavailable) {
		t.Errorf("Ready() = %v, want ErrUnavailable", err)
	}
	p.publish(set(member(t, ed(), "a", nil)))
	p.pass(10 * time.Second)
	step(t, p, s, "recovered", good, nil, 4)
}

// TestStaleDefault: nobody counts on old keys for more than a week, unless told.
func TestStaleDefault(t *testing.T) {
	p, s := start(t, nil)
	p.publish(set(member(t, ed(), "a", nil)))
	good := sign(t, ed(), "EdDSA", "a")
	step(t, p, s, "first", good, nil, 1)
	p.fail()
	p.pass(8*24*time.Hour - 1)
	step(t, p, s, "a day and a week later", good, nil, 2)
	p.pass(1)
	step(t, p, s, "just after", good, jwks.ErrUnavailable, 2)
}

// TestStaleHangs: where the provider takes connections and says nothing, who can
// go on with old keys waits for it once, and not again until it has answered.
func TestStaleHangs(t *testing.T) {
	p, s := start(t, func(c *jwks.Config) { c.Client.Timeout = 30 * time.Second })
	p.publish(set(member(t, ed(), "a", nil)))
	good := sign(t, ed(), "EdDSA", "a")
	step(t, p, s, "first", good, nil, 1)
	p.fail()
	p.pass(24 * time.Hour)
	step(t, p, s, "down", good, nil, 2)
	release := make(chan struct{})
	arrived := make(chan struct{}, 1)
	p.answer(func(w http.ResponseWriter, r *http.Request) { arrived <- struct{}{}; <-release })
	p.pass(10 * time.Second)
	began := time.Now()
	for range 10 {
		if _, err := s.VerifySignature(t.Context(), good); err != nil {
			t.Errorf("VerifySignature() = %v", err)
		}
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("10 calls took %s: each waited", took)
	}
	<-arrived
	close(release)
	jwks.Settle(s)
}

// TestVersion: it grows with each set that differs from the one before, and with
// no other.
func TestVersion(t *testing.T) {
	p, s := start(t, nil)
	want := func(what string, v uint64) {
		t.Helper()
		if got := s.Version(); got != v {
			t.Errorf("%s: Version() = %d, want %d", what, got, v)
		}
	}
	old := sign(t, ed(), "EdDSA", "a")
	want("nothing held", 0)
	p.publish(set(member(t, ed(), "a", nil)))
	step(t, p, s, "first", old, nil, 1)
	want("first", 1)
	p.pass(24 * time.Hour)
	step(t, p, s, "the same again", old, nil, 2)
	want("the same again", 1)
	p.fail()
	p.pass(24 * time.Hour)
	step(t, p, s, "down", old, nil, 3)
	want("down", 1)
	// A key under the same name is another.
	p.publish(set(member(t, edNew(), "a", nil)))
	p.pass(10 * time.Second)
	step(t, p, s, "replaced", sign(t, edNew(), "EdDSA", "a"), nil, 4)
	want("replaced", 2)
	p.publish(set())
	p.pass(24 * time.Hour)
	step(t, p, s, "all withdrawn", sign(t, edNew(), "EdDSA", "a"), errBad, 6)
	want("all withdrawn", 3)
}

// TestLeftWithOldKeys: that nobody waited is no reason to trust keys that are old.
func TestLeftWithOldKeys(t *testing.T) {
	p, s := start(t, nil)
	p.publish(set(member(t, ed(), "a", nil)))
	token := sign(t, ed(), "EdDSA", "a")
	step(t, p, s, "first", token, nil, 1)
	release := make(chan struct{})
	defer close(release)
	p.answer(func(w http.ResponseWriter, r *http.Request) { <-release })
	p.pass(24 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.VerifySignature(ctx, token); !errors.Is(err, jwks.ErrUnavailable) {
		t.Errorf("VerifySignature() = %v, want ErrUnavailable", err)
	}
}

// TestSlow: a provider that does not answer holds nobody up for longer than
// the client's time limit.
func TestSlow(t *testing.T) {
	p, s := start(t, func(c *jwks.Config) { c.Client.Timeout = 300 * time.Millisecond })
	p.answer(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	token := sign(t, ed(), "EdDSA", "a")
	began := time.Now()
	_, err := s.VerifySignature(t.Context(), token)
	if took := time.Since(began); !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
		t.Errorf("VerifySignature() = %v after %s, want ErrUnavailable after 300ms", err, took)
	}
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("a bug") }

// TestPanic: a fetch that panics does not end the program.
func TestPanic(t *testing.T) {
	p, s := start(t, func(c *jwks.Config) { c.Client = &http.Client{Transport: panicking{}, Timeout: time.Second} })
	step(t, p, s, "panic", sign(t, ed(), "EdDSA", "a"), jwks.ErrUnavailable, 0)
}
