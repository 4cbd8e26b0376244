package custom_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/custom"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"strconv"
	"sync"
	"sync/atomic"
)

type passwords struct{ calls int }

func (p *passwords) VerifyPassword(_ context.Context, name, password string) (gate.Identity, error) {
	p.calls++
	switch {
	case name == "down":
		return gate.Identity{}, errors.New("the directory does not answer")
	case name == "ada" && password == "right:with colon":
		return gate.Identity{Client: &gate.Client{ID: "ada"}}, nil
	}
	return gate.Identity{}, gate.ErrInvalid
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func try(t *testing.T, a gate.Authenticator, address, header string) (gate.Identity, error) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = address
	r.Header.Set("Authorization", header)
	c, found, err := a.Find(r)
	if err != nil || !found {
		return gate.Identity{}, errors.Join(errors.New("not found"), err)
	}
	return a.Verify(t.Context(), r, c)
}

func TestBasic(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		ok     bool
		calls  int
	}{
		"right":               {"Basic " + encoded("ada:right:with colon"), true, 1},
		"word in lower case":  {"basic " + encoded("ada:right:with colon"), true, 1},
		"wrong":               {"Basic " + encoded("ada:wrong"), false, 1},
		"unknown name":        {"Basic " + encoded("eve:right:with colon"), false, 1},
		"no colon":            {"Basic " + encoded("ada"), false, 0},
		"no name":             {"Basic " + encoded(":x"), false, 0},
		"no password":         {"Basic " + encoded("ada:"), false, 0},
		"not base64":          {"Basic !", false, 0},
		"base64url":           {"Basic " + strings.ReplaceAll(encoded("ada:\xff\xff"), "/", "_"), false, 0},
		"without padding":     {"Basic " + strings.TrimRight(encoded("ada:x"), "="), false, 0},
		"not UTF-8":           {"Basic " + encoded("ada:\xff"), false, 0},
		"control characters":  {"Basic " + encoded("ada:\x00right"), false, 0},
		"long":                {"Basic " + encoded("ada:"+strings.Repeat("x", 1024)), false, 0},
		"name of 255 bytes":   {"Basic " + encoded(strings.Repeat("x", 255)+":x"), false, 1},
		"name of 256 bytes":   {"Basic " + encoded(strings.Repeat("x", 256)+":x"), false, 0},
		"another word":        {"Bearer " + encoded("ada:right:with colon"), false, 0},
		"spelt another way":   {"Basic " + encoded("ada:right:with colon") + "\t", true, 1},
		"more behind a blank": {"Basic " + encoded("ada:right:with colon") + " x", false, 0},
	} {
		p := &passwords{}
		a, err := custom.Basic(p, limit.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		who, err := try(t, a, "192.0.2.1:1", c.header)
		if (err == nil) != c.ok || c.ok && who.Client.ID != "ada" || p.calls != c.calls {
			t.Errorf("%s: Verify() = %+v, %v after %d calls, want ok %v after %d", name, who, err, p.calls, c.ok, c.calls)
		}
		if name != "another word" && err != nil && !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("%s: Verify() = %v, want ErrInvalid", name, err)
		}
		if got := a.Challenge(nil); got != `Basic realm="api", charset="UTF-8"` {
			t.Errorf("Challenge() = %s", got)
		}
	}
}

// TestBasicSpelling: one pair has one spelling, also where a credential came over
// no wire. The decoder passes over line ends.
func TestBasicSpelling(t *testing.T) {
	p := &passwords{}
	a, err := custom.Basic(p, limit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	right := encoded("ada:right:with colon")
	for value, ok := range map[string]bool{right: true, right[:4] + "\n" + right[4:]: false, right + "\r\n": false} {
		_, err := a.Verify(t.Context(), httptest.NewRequest("GET", "/", nil), gate.Credential{Place: gate.Authorization("basic"), Value: value})
		if ok != (err == nil) || !ok && !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("Verify(%q) = %v, want ok %v", value, err, ok)
		}
	}
	if p.calls != 1 {
		t.Errorf("the verifier was asked %d times, want once", p.calls)
	}
}

// TestBasicLimits: who guesses is held back, and nobody else.
func TestBasicLimits(t *testing.T) {
	p := &passwords{}
	a, err := custom.Basic(p, limit.Limits{AddressBurst: 3, AddressEvery: time.Hour, KeyBurst: 4, KeyEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	good := "Basic " + encoded("ada:right:with colon")
	if _, err := try(t, a, "192.0.2.9:1", good); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := try(t, a, "192.0.2.1:1", "Basic "+encoded("ada:guess")); !errors.Is(err, gate.ErrInvalid) {
			t.Fatalf("a guess = %v, want ErrInvalid", err)
		}
	}
	calls := p.calls
	var waits *gate.LimitError
	if _, err := try(t, a, "192.0.2.1:1", "Basic "+encoded("ada:guess")); !errors.As(err, &waits) || p.calls != calls {
		t.Errorf("one guess more = %v, want to wait, and the verifier not asked", err)
	}
	if _, err := try(t, a, "192.0.2.1:1", "Basic !"); !errors.As(err, &waits) {
		t.Errorf("what is no password = %v, want to wait", err)
	}
	for _, address := range []string{"192.0.2.9:1", "198.51.100.7:1"} {
		if _, err := try(t, a, address, good); err != nil {
			t.Errorf("the right password from %s = %v", address, err)
		}
	}
	// From everywhere: the name has no tries left, the right password has.
	_, _ = try(t, a, "203.0.113.1:1", "Basic "+encoded("ada:guess"))
	if _, err := try(t, a, "203.0.113.2:1", "Basic "+encoded("ada:guess")); !errors.As(err, &waits) {
		t.Errorf("a guess from elsewhere = %v, want to wait", err)
	}
	if _, err := try(t, a, "203.0.113.3:1", good); err != nil {
		t.Errorf("the right password = %v", err)
	}
}

// TestBasicAtOnce: guesses that come together are counted together, whatever
// is still being looked at, and few are looked at at once. A caller with the
// right password is let in with all that it sends at once.
func TestBasicAtOnce(t *testing.T) {
	var calls, now, most atomic.Int32
	verifier := custom.PasswordFunc(func(_ context.Context, name, password string) (gate.Identity, error) {
		calls.Add(1)
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		if password != "right" {
			return gate.Identity{}, gate.ErrInvalid
		}
		return gate.Identity{Client: &gate.Client{ID: name}}, nil
	})
	a, err := custom.Basic(verifier, limit.Limits{AddressEvery: time.Hour, KeyEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	all := func(n int, address string, password func(i int) string) (in, wrong, held int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				_, err := try(t, a, address, "Basic "+encoded("ada:"+password(i)))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					in++
				case errors.As(err, new(*gate.LimitError)):
					held++
				case errors.Is(err, gate.ErrInvalid):
					wrong++
				default:
					t.Errorf("Verify() = %v", err)
				}
			})
		}
		wg.Wait()
		return in, wrong, held
	}
	guess := func(i int) string { return strconv.Itoa(i) }
	right := func(int) string { return "right" }

	in, wrong, held := all(300, "192.0.2.1:1", guess)
	if in != 0 || wrong != 20 || held != 280 || calls.Load() != 20 {
		t.Errorf("300 guesses at once: %d in, %d wrong, %d to wait, %d looked at, want 0, 20, 280, 20", in, wrong, held, calls.Load())
	}
	if in, wrong, held := all(100, "192.0.2.2:1", right); in != 100 {
		t.Errorf("100 times the right password at once: %d in, %d wrong, %d to wait, want all in", in, wrong, held)
	}
	if n := most.Load(); n > 16 {
		t.Errorf("%d passwords were looked at at once, want 16 at most", n)
	}

	// A neighbour behind the same address has that name's tries once more.
	calls.Store(0)
	in, wrong, held = all(300, "192.0.2.2:1", guess)
	if in != 0 || held != 300-wrong || calls.Load() != 40 {
		t.Errorf("300 guesses from an address that was good: %d in, %d wrong, %d to wait, %d looked at, want 40 looked at", in, wrong, held, calls.Load())
	}
	if _, err := try(t, a, "192.0.2.3:1", "Basic "+encoded("ada:right")); err != nil {
		t.Errorf("the right password from elsewhere: %v", err)
	}
}

// TestBasicFew: with few tries for an address still every right password that
// comes at once is let in.
func TestBasicFew(t *testing.T) {
	verifier := custom.PasswordFunc(func(context.Context, string, string) (gate.Identity, error) {
		time.Sleep(time.Millisecond)
		return gate.Identity{Client: &gate.Client{ID: "ada"}}, nil
	})
	a, err := custom.Basic(verifier, limit.Limits{AddressBurst: 2, AddressEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := try(t, a, "192.0.2.1:1", "Basic "+encoded("ada:right")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestBasicBusy: who does not get a turn in time is told nothing of the password.
func TestBasicBusy(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	verifier := custom.PasswordFunc(func(_ context.Context, name, _ string) (gate.Identity, error) {
		if name == "first" {
			close(begun)
			<-release
		}
		return gate.Identity{}, gate.ErrInvalid
	})
	a, err := custom.Basic(verifier, limit.Limits{AddressBurst: 1, AddressEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = try(t, a, "192.0.2.1:1", "Basic "+encoded("first:x")) })
	defer wg.Wait()
	defer close(release)
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	r.RemoteAddr = "192.0.2.2:1"
	_, err = a.Verify(ctx, r, gate.Credential{Place: gate.Authorization("basic"), Value: encoded("ada:y")})
	if err == nil || errors.Is(err, gate.ErrInvalid) || errors.As(err, new(*gate.LimitError)) {
		t.Errorf("Verify() = %v, want an error that says nothing of the password", err)
	}
}

// TestBasicDown: a directory that is silent is no wrong password.
func TestBasicDown(t *testing.T) {
	a, err := custom.Basic(&passwords{}, limit.Limits{AddressBurst: 1, AddressEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := try(t, a, "192.0.2.1:1", "Basic "+encoded("down:x")); err == nil || errors.Is(err, gate.ErrInvalid) || errors.As(err, new(*gate.LimitError)) {
			t.Errorf("Verify() = %v, want the directory's error", err)
		}
	}
}

func TestToken(t *testing.T) {
	places := []gate.Place{{In: gate.InHeader, Name: "X-Token"}, {In: gate.InCookie, Name: "t"}}
	a, err := custom.Token(custom.TokenFunc(func(_ context.Context, token string) (gate.Identity, error) {
		if token != "right" {
			return gate.Identity{}, gate.ErrInvalid
		}
		return gate.Identity{Client: &gate.Client{ID: "robot"}}, nil
	}), places...)
	if err != nil {
		t.Fatal(err)
	}
	places[0].Name = "X-Changed" // the caller's
	for value, ok := range map[string]bool{"right": true, "wrong": false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Token", value)
		c, found, err := a.Find(r)
		if !found || err != nil {
			t.Fatalf("Find() = %v, %v", found, err)
		}
		if who, err := a.Verify(t.Context(), r, c); (err == nil) != ok || ok && who.Client.ID != "robot" {
			t.Errorf("Verify(%s) = %+v, %v", value, who, err)
		}
	}
	if got := a.Challenge(nil); got != `ApiKey in="header", name="X-Token"` {
		t.Errorf("Challenge() = %s", got)
	}
}

// TestNil: what would panic at the first request is refused before.
func TestNil(t *testing.T) {
	place := gate.Authorization("x")
	aToken := custom.TokenFunc(func(context.Context, string) (gate.Identity, error) { return gate.Identity{}, nil })
	if _, err := custom.Token(aToken, place); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func() (gate.Authenticator, error){
		"passwords":           func() (gate.Authenticator, error) { return custom.Basic(nil, limit.Limits{}) },
		"passwords, pointer":  func() (gate.Authenticator, error) { return custom.Basic((*passwords)(nil), limit.Limits{}) },
		"passwords, function": func() (gate.Authenticator, error) { return custom.Basic(custom.PasswordFunc(nil), limit.Limits{}) },
		"negative limits":     func() (gate.Authenticator, error) { return custom.Basic(&passwords{}, limit.Limits{Entries: -1}) },
		"token":               func() (gate.Authenticator, error) { return custom.Token(nil, place) },
		"token, function":     func() (gate.Authenticator, error) { return custom.Token(custom.TokenFunc(nil), place) },
		"request":             func() (gate.Authenticator, error) { return custom.Request(nil, place) },
		"request, function":   func() (gate.Authenticator, error) { return custom.Request(custom.RequestFunc(nil), place) },
		"no place": func() (gate.Authenticator, error) {
			return custom.Token(aToken)
		},
		"a place of no name": func() (gate.Authenticator, error) { return custom.Token(aToken, gate.Place{In: gate.InHeader}) },
		"a header's other case": func() (gate.Authenticator, error) {
			return custom.Token(aToken, gate.Place{In: gate.InHeader, Name: "x-token"})
		},
		"Authorization as a header": func() (gate.Authenticator, error) {
			return custom.Token(aToken, gate.Place{In: gate.InHeader, Name: "Authorization"})
		},
		"a place twice": func() (gate.Authenticator, error) { return custom.Token(aToken, place, place) },
		"the second none": func() (gate.Authenticator, error) {
			return custom.Token(aToken, place, gate.Place{In: "body", Name: "x"})
		},
		"a certificate": func() (gate.Authenticator, error) {
			return custom.Token(aToken, gate.Place{In: gate.InCertificate})
		},
	} {
		if a, err := make(); err == nil || a != nil {
			t.Errorf("%s: made %v, %v, want an error", name, a, err)
		}
	}
}

// TestRequestDigests: the digest that a verifier signs is the one that the body
// is compared with.
func TestRequestDigests(t *testing.T) {
	calls := 0
	a, err := custom.Request(custom.RequestFunc(func(_ context.Context, r *http.Request, _ gate.Credential) (gate.Identity, error) {
		calls++
		return gate.Identity{Client: &gate.Client{ID: r.Header.Get("Content-Digest")}}, nil
	}), gate.Authorization("hmac"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lines := range [][]string{nil, {"a"}, {"a", "b"}, {"a", "a"}} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header["Content-Digest"] = lines
		calls = 0
		who, err := a.Verify(t.Context(), r, gate.Credential{Value: "x"})
		if ok := len(lines) < 2; ok != (err == nil) || ok != (who.Client != nil) || ok != (calls == 1) || !ok && !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("Verify() with %q = %+v, %v after %d calls", lines, who, err, calls)
		}
	}
}

// TestFind: one of several places holds the credential, and two are too many.
func TestFind(t *testing.T) {
	a, err := custom.Token(custom.TokenFunc(func(_ context.Context, token string) (gate.Identity, error) {
		return gate.Identity{Client: &gate.Client{ID: token}}, nil
	}), gate.Authorization("Partner"), gate.Place{In: gate.InQuery, Name: "token"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		target string
		lines  []string
		want   string // "" for none
		err    error
	}{
		"none":                {"/", nil, "", nil},
		"word":                {"/", []string{"Partner a"}, "a", nil},
		"word, another case":  {"/", []string{"pARTNER a"}, "a", nil},
		"another word":        {"/", []string{"Bearer a"}, "", nil},
		"query":               {"/?token=a", nil, "a", nil},
		"both":                {"/?token=a", []string{"Partner a"}, "", gate.ErrDuplicate},
		"two lines":           {"/", []string{"Partner a", "Partner a"}, "", gate.ErrDuplicate},
		"the parameter twice": {"/?token=a&token=a", nil, "", gate.ErrDuplicate},
		"empty":               {"/?token=", nil, "", gate.ErrInvalid},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		r.Header["Authorization"] = c.lines
		got, found, err := a.Find(r)
		if !errors.Is(err, c.err) || found != (c.want != "" || c.err != nil) || err == nil && got.Value != c.want {
			t.Errorf("%s: Find() = %+v, %v, %v, want %q, %v", name, got, found, err, c.want, c.err)
		}
	}
	if got := a.Challenge(nil); got != "Partner" {
		t.Errorf("Challenge() = %s", got)
	}
}
