package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// The kinds of keys that are refused alike: nobody may learn which it was.
const (
	unknownID = iota
	wrongKey
	revokedKey
	expiredKey
	kinds
)

var kindNames = [kinds]string{"unknown id", "wrong secret", "revoked", "expired"}

// TestSameWork: whatever is wrong with a key, and whether or not it was good
// before and is remembered, its refusal takes the same calls to the stores, in
// the same order, and as many hashes and comparisons. That is what makes it
// take the same time; make timing measures it.
func TestSameWork(t *testing.T) {
	for _, keep := range []time.Duration{0, time.Hour} {
		for _, before := range []bool{false, true} {
			t.Run(fmt.Sprintf("cache %s, good before %v", keep, before), func(t *testing.T) { testSameWork(t, keep, before) })
		}
	}
}

func testSameWork(t *testing.T, keep time.Duration, before bool) {
	var calls []string
	note := func(call string) { calls = append(calls, call) }
	f := setup(t, func(c *apikey.Config) {
		c.Store, c.Users, c.Shared = notedKeys{c.Store, note}, notedUsers{c.Users, note}, notedBuckets{note}
		c.Cache = keep
		c.Limits = limit.Limits{AddressBurst: 1000, KeyBurst: 1000}
	})
	owner := apikey.Owner{User: f.user(t).ID}
	make := func(expires time.Time) (string, apikey.Record) {
		key, rec := f.create(t, apikey.CreateRequest{Owner: owner, Scopes: []string{"posts:write"}, Expires: expires})
		if !before {
			return key, rec
		}
		if _, err := f.verify(home, key); err != nil {
			t.Fatalf("Verify() of a good key = %v", err)
		}
		calls = nil
		if _, err := f.verify(home, key); err != nil || (len(calls) == 0) != (keep > 0) {
			t.Fatalf("Verify() of a good key again = %v, with the calls %q", err, calls)
		}
		return key, rec
	}
	var keys [kinds]string
	_, keys[unknownID] = apikey.NewKey("gw", apikey.Live)
	right, _ := make(time.Time{})
	keys[wrongKey] = wrongSecret(right)
	revoked, rec := make(time.Time{})
	if err := f.keys.Revoke(t.Context(), rec.ID); err != nil {
		t.Fatal(err)
	}
	keys[revokedKey] = revoked
	keys[expiredKey], _ = make(f.now.Add(time.Minute))
	f.now = f.now.Add(2 * time.Minute)

	hashes, comparisons := apikey.CountHashes(f.keys), apikey.CountComparisons(f.keys)
	want := []string{"load a key", "take from 2 buckets"}
	for range 3 {
		for kind, key := range keys {
			calls, *hashes, *comparisons = nil, 0, 0
			if _, err := f.verify(home, key); !errors.Is(err, gate.ErrInvalid) {
				t.Errorf("%s: Verify() = %v, want ErrInvalid", kindNames[kind], err)
			}
			if !slices.Equal(calls, want) || *hashes != 1 || *comparisons != 2 {
				t.Errorf("%s: the calls %q, %d hashes and %d comparisons, want %q, 1 and 2", kindNames[kind], calls, *hashes, *comparisons, want)
			}
		}
	}
}

// The noted stores tell what they are asked for.
type notedKeys struct {
	apikey.Store
	note func(string)
}

func (s notedKeys) Load(ctx context.Context, id string) (apikey.Record, error) {
	s.note("load a key")
	return s.Store.Load(ctx, id)
}

func (s notedKeys) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	s.note("list keys")
	return s.Store.List(ctx, q)
}

func (s notedKeys) Touch(ctx context.Context, id string, at time.Time) error {
	s.note("touch a key")
	return s.Store.Touch(ctx, id, at)
}

type notedUsers struct {
	user.Store
	note func(string)
}

func (s notedUsers) Load(ctx context.Context, id string) (user.Record, error) {
	s.note("load a user")
	return s.Store.Load(ctx, id)
}

type notedBuckets struct{ note func(string) }

func (s notedBuckets) Take(_ context.Context, asked ...limit.Bucket) ([]time.Duration, error) {
	s.note(fmt.Sprintf("take from %d buckets", len(asked)))
	return make([]time.Duration, len(asked)), nil
}

// BenchmarkRefused times how keys of each kind are refused: in this process, on
// each store, and over HTTPS. In each round there is one of each, in random
// order; the differences are those within rounds. make timing runs it with
// 20,000 rounds.
func BenchmarkRefused(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) string{
		"SQLite":     func(b *testing.B) string { return "sqlite:" + filepath.Join(b.TempDir(), "keys.db") },
		"PostgreSQL": func(b *testing.B) string { return testenv.Postgres(b).URL() },
	} {
		var at string
		b.Run(name, func(b *testing.B) {
			if at == "" {
				at = open(b)
			}
			s := newRefusals(b, at)
			b.Run("Verify", func(b *testing.B) {
				scheme := s.keys.Scheme("apiKey", header)
				r := httptest.NewRequest("GET", "/", nil)
				s.measure(b, func(key string) {
					if _, err := scheme.Verify(r.Context(), r, gate.Credential{Place: header, Value: key}); !errors.Is(err, gate.ErrInvalid) {
						b.Fatalf("Verify() = %v", err)
					}
				})
			})
			b.Run("HTTPS", func(b *testing.B) {
				ask := s.serve(b)
				s.measure(b, ask)
			})
		})
	}
}

// refusals are keys of each kind.
type refusals struct {
	keys *apikey.Keys
	bad  [kinds][]string
}

// ofEach is how many keys there are of each kind: more than a cache line knows,
// and few enough that all are met often.
const ofEach = 64

func newRefusals(b *testing.B, at string) *refusals {
	stores, err := store.Open(b.Context(), store.Config{URL: at}, sqlite.Driver, postgres.Driver)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stores.Close() })
	now := time.Now
	s := &refusals{}
	s.keys, err = apikey.New(apikey.Config{
		Store: stores.Keys(), Users: stores.Users(), Environment: apikey.Live, Schemes: []string{"apiKey"}, Cache: time.Second,
		Limits: limit.Limits{AddressBurst: 1 << 30, AddressEvery: time.Microsecond, KeyBurst: 1 << 30, KeyEvery: time.Microsecond},
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now() },
	})
	if err != nil {
		b.Fatal(err)
	}
	ada, err := stores.Users().Ensure(b.Context(), user.Local, "ada", user.Profile{Name: "Ada"})
	if err != nil {
		b.Fatal(err)
	}
	create := func(expires time.Time) (string, string) {
		key, rec, err := s.keys.Create(b.Context(), apikey.CreateRequest{
			Owner: apikey.Owner{User: ada.ID}, Label: "a key", Scopes: []string{"posts:write", "posts:edit"}, Expires: expires,
		})
		if err != nil {
			b.Fatal(err)
		}
		return key.Reveal(), rec.ID
	}
	for range ofEach {
		_, unknown := apikey.NewKey("gw", apikey.Live)
		right, _ := create(now().Add(time.Hour))
		revoked, id := create(now().Add(time.Hour))
		if err := s.keys.Revoke(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		expired, _ := create(now().Add(time.Hour))
		for kind, key := range [kinds]string{unknown, wrongSecret(right), revoked, expired} {
			s.bad[kind] = append(s.bad[kind], key)
		}
	}
	// Two hours later the expired ones are expired; those that are wrong or
	// revoked are that anyway.
	now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	return s
}

// serve returns what asks a server for an operation with a key in the header.
func (s *refusals) serve(b *testing.B) func(key string) {
	op := &gate.Operation{ID: "ping", Pattern: "GET /ping", Policy: gate.Require(gate.Need{Scheme: "apiKey"})}
	g, err := gate.New(gate.Config{
		Schemes:        []gate.Scheme{{Name: "apiKey", Places: []gate.Place{header}}},
		Authenticators: map[string]gate.Authenticator{"apiKey": s.keys.Scheme("apiKey", header)},
		Operations:     []*gate.Operation{op},
		PublicOrigin:   "https://api.example",
	})
	if err != nil {
		b.Fatal(err)
	}
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	b.Cleanup(func() { slog.SetDefault(old) })
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := g.Admit(w, r, op); ok {
			b.Error("a key that is no good lets in")
		}
	}))
	b.Cleanup(server.Close)
	client := server.Client()
	return func(key string) {
		req, err := http.NewRequestWithContext(b.Context(), "GET", server.URL+"/ping", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("X-Api-Key", key)
		res, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			b.Fatalf("GET = %s", res.Status)
		}
	}
}

// measure tries keys of each kind b.N times, and tells how long they took.
func (s *refusals) measure(b *testing.B, try func(key string)) {
	for range ofEach { // all that is done once is done
		for kind := range kinds {
			try(s.bad[kind][0])
		}
	}
	// No collection falls into a try.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var took [kinds][]time.Duration
	for i := range b.N {
		if i%200 == 0 {
			runtime.GC()
		}
		for _, kind := range rand.Perm(kinds) {
			key := s.bad[kind][rand.IntN(ofEach)]
			begun := time.Now()
			try(key)
			took[kind] = append(took[kind], time.Since(begun))
		}
	}
	if b.N < 100 {
		return
	}
	text := fmt.Sprintf("%d tries of each kind, in µs\n%-14s %9s %9s %9s\n", b.N, "", "quartile", "median", "quartile")
	for kind, all := range took {
		sorted := slices.Sorted(slices.Values(all))
		text += fmt.Sprintf("%-14s %9.2f %9.2f %9.2f\n", kindNames[kind], micros(sorted[len(all)/4]), micros(sorted[len(all)/2]), micros(sorted[len(all)*3/4]))
	}
	text += "differences within rounds: median, its 95% interval, and how often the first is slower (95% interval of chance)\n"
	for i := range kinds {
		for j := i + 1; j < kinds; j++ {
			d := make([]time.Duration, b.N)
			slower := 0
			for n := range d {
				d[n] = took[i][n] - took[j][n]
				if d[n] > 0 {
					slower++
				}
			}
			slices.Sort(d)
			// The ranks between which the median lies (binomial, normal
			// approximation).
			spread := 0.98 * math.Sqrt(float64(b.N))
			low, high := d[max(0, int(float64(b.N)/2-spread))], d[min(b.N-1, int(float64(b.N)/2+spread))]
			chance := 98 / math.Sqrt(float64(b.N))
			text += fmt.Sprintf("%12s - %-12s %7.2f  [%7.2f, %7.2f]  %5.1f%% (50 ± %.1f)\n", kindNames[i], kindNames[j],
				micros(d[b.N/2]), micros(low), micros(high), 100*float64(slower)/float64(b.N), chance)
		}
	}
	b.Log("\n" + text)
}

func micros(d time.Duration) float64 { return float64(d) / 1000 }
