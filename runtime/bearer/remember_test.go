package bearer_test

import (
	"crypto/ed25519"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
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
		"keys changed, noticed": {set{"exp": 1772373600}, func(s *stage) {
			gone(s)
			s.pass(11 * time.Second)
			if _, err := s.ask("Bearer", signed(otherKey(), `{"alg":"EdDSA","kid":"new","typ":"at+jwt"}`, s.issuer.claims(s.now).json())); err != nil {
				t.Errorf("a token of the new key = %v", err)
			}
		}, 0, false},
	} {
		s := newStage(t, nil, nil)
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

// TestRememberedForOneScheme: what one scheme took another has not taken.
func TestRememberedForOneScheme(t *testing.T) {
	s := newStage(t, nil, func(c *bearer.Config) {
		c.Schemes = append(c.Schemes, bearer.Scheme{Name: "other", Kind: bearer.JWT, Places: tokenPlaces})
		c.Bindings["other"] = provider.Binding{Audience: []string{"https://other.example"}}
	})
	token := s.token(nil)
	if _, err := s.ask("Bearer", token); err != nil {
		t.Fatal(err)
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

// TestRotation: while about a thousand tokens a second come, the issuer's keys
// rotate as issuers do it, the new key published before it signs and the old one
// for as long as its tokens live, and it is down time and again. No good token
// is refused, and no bad one taken. LONG=1 does so for a minute.
func TestRotation(t *testing.T) {
	runs := 4 * time.Second
	if os.Getenv("LONG") != "" {
		runs = time.Minute
	}
	s := newStage(t, nil, func(c *bearer.Config) { c.Now, c.Cache = time.Now, time.Minute })
	s.cfg.Now = time.Now
	var mu sync.Mutex
	keys := []ed25519.PrivateKey{newEd()}
	kid := func(k ed25519.PrivateKey) string {
		return base64.RawURLEncoding.EncodeToString(k.Public().(ed25519.PublicKey)[:9])
	}
	publish := func() {
		var all []string
		for _, k := range keys {
			all = append(all, jwk(k, kid(k)))
		}
		s.issuer.set(func(i *issuer) { i.keys = all })
	}
	publish()
	make := func(k ed25519.PrivateKey) string {
		return signed(k, `{"alg":"EdDSA","kid":"`+kid(k)+`","typ":"at+jwt"}`, s.issuer.claims(time.Now()).json())
	}
	if _, err := s.ask("Bearer", make(keys[0])); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(runs)
	var wait sync.WaitGroup
	var rotations, outages atomic.Int64
	wait.Go(func() {
		for time.Now().Before(end) {
			time.Sleep(runs / 3) // more than the ten seconds between two fetches only where LONG is set
			mu.Lock()
			keys = append([]ed25519.PrivateKey{newEd()}, keys...)
			publish()
			mu.Unlock()
			rotations.Add(1)
			s.issuer.set(func(i *issuer) { i.down = true })
			time.Sleep(runs / 10)
			s.issuer.set(func(i *issuer) { i.down = false })
			outages.Add(1)
		}
	})
	var good, bad, wrong atomic.Int64
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(end) {
		<-tick.C
		wait.Go(func() {
			mu.Lock()
			k := keys[len(keys)-1] // the oldest still signs
			mu.Unlock()
			if _, err := s.ask("Bearer", make(k)); err != nil {
				wrong.Add(1)
				t.Errorf("a good token = %v", err)
			}
			good.Add(1)
			stranger := newEd()
			forged := signed(stranger, `{"alg":"EdDSA","kid":"`+kid(k)+`","typ":"at+jwt"}`, s.issuer.claims(time.Now()).json())
			if bad.Add(1)%2 == 0 {
				forged = make(stranger) // of a kid that nobody knows
			}
			if _, err := s.ask("Bearer", forged); err == nil {
				wrong.Add(1)
				t.Error("a bad token is taken")
			}
		})
	}
	wait.Wait()
	t.Logf("%d good and %d bad tokens in %s, %d rotations, %d outages; %d answers were wrong", good.Load(), bad.Load(), runs, rotations.Load(), outages.Load(), wrong.Load())
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

// BenchmarkVerify compares a token that comes again with one that comes for the
// first time.
func BenchmarkVerify(b *testing.B) {
	s := newStage(b, nil, func(c *bearer.Config) { c.Cache, c.Now = time.Minute, time.Now })
	s.cfg.Now = time.Now
	rs := func(jti string) string {
		return signedWith(b, rsaKey(), "RS256", "rsa", s.issuer.claims(time.Now()).with(set{"jti": jti}).json())
	}
	place := gate.Authorization("bearer")
	r := request(b, "Bearer", "x")
	b.Run("again", func(b *testing.B) {
		token := rs("again")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.auth.Verify(b.Context(), r, gate.Credential{Place: place, Value: token}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first", func(b *testing.B) {
		tokens := make([]string, 200)
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			if i%len(tokens) == 0 {
				b.StopTimer()
				for n := range tokens {
					tokens[n] = rs(time.Now().String())
				}
				b.StartTimer()
			}
			if _, err := s.auth.Verify(b.Context(), r, gate.Credential{Place: place, Value: tokens[i%len(tokens)]}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
