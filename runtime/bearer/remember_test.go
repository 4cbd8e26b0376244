package bearer_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/bearer"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/provider"
)

// TestRemembered: a token that was verified is good for five minutes at most,
// no longer than it lives, and not after the keys have changed.
func TestRemembered(t *testing.T) {
	gone := func(s *stage) { s.issuer.set(func(i *issuer) { i.keys = []string{jwk(otherKey(), "new")} }) }
	for name, c := range map[string]struct {
		changes set
		after   func(s *stage)
		pass    time.Duration
		ok      bool
	}{
		"at once":                 {nil, nil, 0, true},
		"keys gone, not noticed":  {set{"exp": 1772373600}, gone, 4 * time.Minute, true},
		"keys gone, looked again": {set{"exp": 1772373600}, gone, 5*time.Minute + 6*time.Minute, false},
		"expired meanwhile":       {nil, nil, 6*time.Minute + time.Second, false},
		"expires within, not yet": {set{"exp": 1772366500}, nil, 159 * time.Second, true}, // it is noon, 100 s before
		"expires within":          {set{"exp": 1772366500}, nil, 161 * time.Second, false},
		"keys changed, noticed": {set{"exp": 1772373600}, func(s *stage) {
			gone(s)
			s.pass(11 * time.Second)
			if _, err := s.ask("Bearer", signed(otherKey(), `{"alg":"EdDSA","kid":"new","typ":"at+jwt"}`, s.issuer.claims(s.now).json())); err != nil {
				t.Errorf("a token of the new key = %v", err)
			}
		}, 0, false},
	} {
		s := newStage(t, nil, nil)
		if _, err := s.ask("Bearer", s.token(set{"jti": "0"})); err != nil { // has the keys fetched
			t.Fatalf("%s: Verify() = %v", name, err)
		}
		token := s.token(c.changes)
		if _, err := s.ask("Bearer", token); err != nil {
			t.Fatalf("%s: Verify() = %v", name, err)
		}
		if c.after != nil {
			c.after(s)
		}
		s.pass(c.pass)
		if _, err := s.ask("Bearer", token); (err == nil) != c.ok {
			t.Errorf("%s: Verify() again = %v, want ok %v", name, err, c.ok)
		}
	}
}

// TestFiveMinutes: no longer is a signature relied on.
func TestFiveMinutes(t *testing.T) {
	for pass, ok := range map[time.Duration]bool{5*time.Minute - 1: true, 5 * time.Minute: false} {
		s := newStage(t, nil, nil)
		if _, err := s.ask("Bearer", s.token(set{"jti": "0"})); err != nil {
			t.Fatal(err)
		}
		s.pass(6 * time.Minute)
		token := s.token(set{"exp": s.now.Unix() + 3600})
		if _, err := s.ask("Bearer", token); err != nil {
			t.Fatal(err)
		}
		s.issuer.set(func(i *issuer) { i.keys = []string{jwk(otherKey(), "new")} })
		s.pass(pass) // the keys are older than ten minutes, and gone
		if _, err := s.ask("Bearer", token); (err == nil) != ok {
			t.Errorf("after %s: Verify() = %v, want ok %v", pass, err, ok)
		}
	}
}

// TestRememberedForOneScheme: what one scheme took another has not taken.
func TestRememberedForOneScheme(t *testing.T) {
	s := newStage(t, nil, func(c *bearer.Config) {
		c.Schemes = append(c.Schemes, bearer.Scheme{Name: "other", Kind: bearer.JWT, Places: tokenPlaces})
		c.Bindings["other"] = provider.Binding{Audience: []string{"https://other.example"}}
	})
	token := s.token(nil)
	for range 2 { // by the second time the keys are there, and it is remembered
		if _, err := s.ask("Bearer", token); err != nil {
			t.Fatal(err)
		}
	}
	s.auth = s.tokens.Scheme("other")
	if _, err := s.ask("Bearer", token); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify() by another scheme = %v, want ErrInvalid", err)
	}
}

// TestIssuerDown: while the issuer is silent its keys count for a day and ten
// minutes, and no longer.
func TestIssuerDown(t *testing.T) {
	s := newStage(t, nil, nil)
	if _, err := s.ask("Bearer", s.token(nil)); err != nil {
		t.Fatal(err)
	}
	s.issuer.set(func(i *issuer) { i.down = true })
	s.pass(24 * time.Hour)
	if _, err := s.ask("Bearer", s.token(set{"jti": "2"})); err != nil {
		t.Errorf("a day later: Verify() = %v", err)
	}
	s.pass(11 * time.Minute)
	if _, err := s.ask("Bearer", s.token(set{"jti": "3"})); err == nil || errors.Is(err, gate.ErrInvalid) {
		t.Errorf("a day and eleven minutes later: Verify() = %v, want that it cannot be told", err)
	}
}

// TestKeysMoved: what was verified with keys at one place is looked at again once
// the issuer has its keys at another.
func TestKeysMoved(t *testing.T) {
	s := newStage(t, nil, nil)
	far := s.now.Unix() + 7*24*3600
	if _, err := s.ask("Bearer", s.token(set{"exp": far})); err != nil {
		t.Fatal(err)
	}
	s.pass(24*time.Hour - time.Minute)
	old := s.token(set{"exp": far, "jti": "2"})
	if _, err := s.ask("Bearer", old); err != nil {
		t.Fatal(err)
	}
	s.issuer.set(func(i *issuer) {
		i.keys, i.change = []string{jwk(otherKey(), "new")}, set{"jwks_uri": i.URL + "/jwks?moved"}
	})
	s.pass(2 * time.Minute)
	if _, err := s.ask("Bearer", signed(otherKey(), `{"alg":"EdDSA","kid":"new","typ":"at+jwt"}`, s.issuer.claims(s.now).json())); err != nil {
		t.Fatalf("a token of the new place: Verify() = %v", err)
	}
	if _, err := s.ask("Bearer", old); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("a token of the old place: Verify() = %v, want ErrInvalid", err)
	}
}

// TestGreatTokens: one with a long list of scopes is verified each time, so that
// what is remembered is bounded in bytes.
func TestGreatTokens(t *testing.T) {
	for name, c := range map[string]struct {
		scopes string
		ok     bool
	}{
		"small": {strings.Repeat("posts:read ", 300), true},
		"great": {strings.Repeat("posts:read ", 500), false},
	} {
		s := newStage(t, nil, nil)
		if _, err := s.ask("Bearer", s.token(set{"jti": "0"})); err != nil {
			t.Fatal(err)
		}
		s.pass(10*time.Minute - time.Second) // the keys are ten minutes old soon
		token := s.token(set{"scope": c.scopes})
		if _, err := s.ask("Bearer", token); err != nil {
			t.Fatal(err)
		}
		s.issuer.set(func(i *issuer) { i.keys = []string{jwk(otherKey(), "new")} })
		s.pass(2 * time.Second)
		if _, err := s.ask("Bearer", token); (err == nil) != c.ok {
			t.Errorf("%s: Verify() again = %v, want that it is remembered: %v", name, err, c.ok)
		}
	}
}

// A rotation is an issuer that rotates its keys as issuers do: a new one is
// published before it signs, and an old one for as long as its tokens live.
type rotation struct {
	*stage
	turns  atomic.Int64 // how many new keys were published
	served atomic.Int64 // of how many of them somebody knows

	mu    sync.Mutex
	keys  []ed25519.PrivateKey // published, the newest first
	sign  ed25519.PrivateKey
	spare []string // good tokens that came before
}

func kid(k ed25519.PrivateKey) string {
	return base64.RawURLEncoding.EncodeToString(k.Public().(ed25519.PublicKey)[:9])
}

// mint makes a token that lives for hours, with changes.
func (r *rotation) mint(k ed25519.PrivateKey, changes set) string {
	now := r.cfg.Now()
	claims := r.issuer.claims(now).with(set{"exp": now.Unix() + 24*3600, "jti": rand.Text()}).with(changes)
	return signed(k, `{"alg":"EdDSA","kid":"`+kid(k)+`","typ":"at+jwt"}`, claims.json())
}

func (r *rotation) publish() {
	var all []string
	for _, k := range r.keys {
		all = append(all, jwk(k, kid(k)))
	}
	r.issuer.set(func(i *issuer) { i.keys = all })
}

// turn publishes a new key, waits until somebody has fetched it, has it sign
// from then on, and withdraws the oldest, none of whose tokens comes any more.
func (r *rotation) turn() bool {
	r.mu.Lock()
	next := newEd()
	r.keys = append([]ed25519.PrivateKey{next}, r.keys...)
	r.publish()
	turn := r.turns.Add(1)
	r.mu.Unlock()
	for range 1000 {
		if r.served.Load() >= turn {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.sign, r.spare = next, nil
			if len(r.keys) > 3 {
				r.keys = r.keys[:3]
				r.publish()
			}
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// good is a token that has to be taken, in every other case one that came before.
func (r *rotation) good(n int64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n%2 == 0 && len(r.spare) > 0 {
		return r.spare[int(n/2)%len(r.spare)]
	}
	token := r.mint(r.sign, nil)
	if len(r.spare) < 100 {
		r.spare = append(r.spare, token)
	}
	return token
}

// bad is a token that must not be taken: each time for another reason.
func (r *rotation) bad(n int64) string {
	r.mu.Lock()
	sign := r.sign
	r.mu.Unlock()
	stranger := newEd()
	parts := strings.Split(r.good(2*n), ".")
	switch n % 6 {
	case 0: // of a key that nobody knows
		return r.mint(stranger, nil)
	case 1: // said to be of a key that everybody knows
		return signed(stranger, `{"alg":"EdDSA","kid":"`+kid(sign)+`","typ":"at+jwt"}`, r.issuer.claims(r.cfg.Now()).json())
	case 2:
		return b64(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2]
	case 3: // another payload under a signature that is remembered
		return parts[0] + "." + b64(r.issuer.claims(r.cfg.Now()).with(set{"sub": "eve"}).json()) + "." + parts[2]
	case 4:
		return r.mint(sign, set{"aud": "https://other.example"})
	}
	return r.mint(sign, set{"exp": r.cfg.Now().Unix() - 3600})
}

// TestRotation: while a thousand tokens a second come, good and bad ones, the
// issuer's keys rotate, and in between it is down, or takes connections and says
// nothing. No good token is refused, and no bad one taken. Its clock runs a
// hundred times as fast as ours, so that keys get old and what is remembered is
// forgotten. LONG=1 does so for a minute.
func TestRotation(t *testing.T) {
	runs := 5 * time.Second
	if os.Getenv("LONG") != "" {
		runs = time.Minute
	}
	begun := time.Now()
	fast := func() time.Time { return begun.Add(100 * time.Since(begun)) }
	first := newEd()
	r := &rotation{keys: []ed25519.PrivateKey{first}, sign: first}
	r.stage = newStage(t, nil, func(c *bearer.Config) { c.Now, c.Cache = fast, time.Minute })
	r.cfg.Now = fast
	r.publish()
	serve := r.issuer.Config.Handler
	hang := make(chan struct{})
	close(hang)
	var lock sync.Mutex // of hang
	r.issuer.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		lock.Lock()
		silent := hang
		lock.Unlock()
		<-silent
		turns := r.turns.Load()
		serve.ServeHTTP(w, req)
		if req.URL.Path == "/jwks" {
			r.served.Store(max(turns, r.served.Load()))
		}
	})
	if _, err := r.ask("Bearer", r.good(1)); err != nil {
		t.Fatal(err)
	}
	end := begun.Add(runs)
	var wait sync.WaitGroup
	var rotations, outages int
	outage := max(700*time.Millisecond, runs/8) // more than a minute, and more than ten, of its clock
	over := make(chan struct{})                 // closed after all rotations, three at least
	wait.Go(func() {
		defer close(over)
		for n := 0; n < 3 || time.Now().Before(end); n++ {
			if !r.turn() {
				t.Error("nobody fetched a new key set")
				return
			}
			rotations++
			time.Sleep(100 * time.Millisecond)
			if n%2 == 0 {
				r.issuer.set(func(i *issuer) { i.down = true })
				time.Sleep(outage)
				r.issuer.set(func(i *issuer) { i.down = false })
			} else {
				silent := make(chan struct{})
				lock.Lock()
				hang = silent
				lock.Unlock()
				time.Sleep(outage)
				close(silent)
			}
			outages++
		}
	})
	var sent atomic.Int64
	var wrong atomic.Int64
	one := func() {
		wait.Go(func() {
			n := sent.Add(1)
			if _, err := r.ask("Bearer", r.good(n)); err != nil {
				wrong.Add(1)
				t.Errorf("a good token = %v", err)
			}
			if who, err := r.ask("Bearer", r.bad(n)); err == nil {
				wrong.Add(1)
				t.Errorf("a bad token of kind %d is taken for %+v", n%6, who)
			}
		})
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for started, running := 0, true; running; {
		select {
		case <-over:
			running = false
		case <-tick.C:
		}
		// Ticks get lost on a busy machine.
		for owed := min(20, int(510*time.Since(begun).Seconds())-started); owed > 0; owed-- {
			one()
			started++
		}
	}
	took := time.Since(begun).Seconds()
	wait.Wait()
	t.Logf("%d good and as many bad tokens, %.0f a second in all; %d rotations, %d outages; %d answers were wrong", sent.Load(), float64(2*sent.Load())/took, rotations, outages, wrong.Load())
	if outages < 3 {
		t.Errorf("%d outages, want three at least", outages)
	}
}

// FuzzToken: nothing passes that is not signed, by what the standard library says.
func FuzzToken(f *testing.F) {
	s := newStage(f, nil, nil)
	for _, token := range []string{
		s.token(nil), signed(otherKey(), typed, s.issuer.claims(s.now).json()), s.token(set{"aud": "x"}), "a.b.c", "",
		b64(`{"alg":"none","typ":"at+jwt"}`) + "." + b64(s.issuer.claims(s.now).json()) + ".",
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		who, err := s.auth.Verify(t.Context(), request(t, "Bearer", token), gate.Credential{Place: gate.Authorization("bearer"), Value: token})
		if err != nil {
			if who.User != nil || who.Client != nil {
				t.Fatalf("Verify(%q) = %+v and %v", token, who, err)
			}
			return
		}
		i := strings.LastIndexByte(token, '.')
		signature, _ := base64.RawURLEncoding.DecodeString(token[i+1:])
		if !ed25519.Verify(edKey().Public().(ed25519.PublicKey), []byte(token[:i]), signature) {
			t.Fatalf("Verify(%q) = %+v, though it is not signed", token, who)
		}
	})
}

// FuzzClaims: of a payload that is signed and passes, a reader that ignores case
// and takes the last of two members reads the same.
func FuzzClaims(f *testing.F) {
	s := newStage(f, nil, nil)
	f.Add(s.issuer.claims(s.now).json())
	for _, change := range []set{{"sub": "eve"}, {"aud": []string{"x", audience}}, {"exp": 1e9}, {"Sub": "x"}, {"cnf": set{}}, {"scope": "a b"}} {
		f.Add(s.issuer.claims(s.now).with(change).json())
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || len(text) > 40<<10 {
			return
		}
		token := signed(edKey(), typed, text)
		who, err := s.auth.Verify(t.Context(), request(t, "Bearer", token), gate.Credential{Place: gate.Authorization("bearer"), Value: token})
		if err != nil {
			return
		}
		var lax struct {
			Iss, Sub, Client_id, Scope string
			Aud                        any
			Exp                        float64
			Cnf                        any
		}
		if err := stdjson.Unmarshal([]byte(text), &lax); err != nil {
			t.Fatalf("Verify takes %q, which encoding/json does not: %v", text, err)
		}
		ours := lax.Aud == audience
		if list, ok := lax.Aud.([]any); ok {
			for _, a := range list {
				ours = ours || a == audience
			}
		}
		name := ""
		if who.User != nil {
			name = who.User.Subject
		} else if who.Client.Name == lax.Client_id && lax.Sub == lax.Client_id {
			name = lax.Sub
		}
		if !ours || lax.Iss != s.issuer.URL || lax.Sub != name || name == "" || lax.Exp <= float64(s.now.Unix()-60) || lax.Cnf != nil || strings.Join(who.Scopes, " ") != strings.Join(strings.Fields(lax.Scope), " ") {
			t.Fatalf("Verify(%q) = %+v, another reader has %+v", text, who, lax)
		}
	})
}

// BenchmarkVerify compares a token that comes again with the hash of it, which
// there is no way around, and with one that comes for the first time. Of many
// short runs, in turn, the quickest counts: others share the machine.
func BenchmarkVerify(b *testing.B) {
	s := newStage(b, nil, func(c *bearer.Config) { c.Cache, c.Now = time.Minute, time.Now })
	s.cfg.Now = time.Now
	rs := func() string {
		return signedWith(b, rsaKey(), "RS256", "rsa", s.issuer.claims(time.Now()).with(set{"jti": rand.Text()}).json())
	}
	r := request(b, "Bearer", "x")
	verify := func(token string) {
		if _, err := s.auth.Verify(b.Context(), r, gate.Credential{Place: gate.Authorization("bearer"), Value: token}); err != nil {
			b.Fatal(err)
		}
	}
	token := rs()
	verify(token)
	verify(token) // remembered from now on
	const run = 100
	quickest := func(held *time.Duration, f func()) {
		begun := time.Now()
		f()
		if took := time.Since(begun); *held == 0 || took < *held {
			*held = took
		}
	}
	var hash, again, first time.Duration
	fresh := make([]string, run)
	for b.Loop() {
		b.StopTimer()
		for i := range fresh {
			fresh[i] = rs()
		}
		b.StartTimer()
		quickest(&first, func() {
			for _, token := range fresh {
				verify(token)
			}
		})
		for range run {
			quickest(&hash, func() {
				for range run {
					if sum := sha256.Sum256([]byte(token)); sum == [32]byte{} {
						b.Fatal("as good as impossible")
					}
				}
			})
			quickest(&again, func() {
				for range run {
					verify(token)
				}
			})
		}
	}
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / run }
	b.ReportMetric(per(hash), "ns/hash")
	b.ReportMetric(per(again), "ns/again")
	b.ReportMetric(per(first), "ns/first")
	b.ReportMetric(per(first)/per(again), "first/again")
	b.ReportMetric(0, "ns/op") // of nothing in particular
}
