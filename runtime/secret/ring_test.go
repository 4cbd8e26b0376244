package secret_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/secret"
)

func ring(t testing.TB, roots ...secret.Value) *secret.Ring {
	t.Helper()
	r, err := secret.NewRing(roots...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRingOpensWhatItSealed(t *testing.T) {
	s := ring(t, secret.Random(32)).Sealer("session")
	for _, plain := range [][]byte{nil, []byte("a"), bytes.Repeat([]byte("x"), 5000)} {
		for _, context := range [][]string{nil, {""}, {"cookie"}, {"a", "b"}} {
			text := s.Seal(plain, context...)
			if want := base64.RawURLEncoding.EncodedLen(len(plain) + secret.Overhead); len(text) != want {
				t.Errorf("Seal(%d bytes) has %d characters, want %d", len(plain), len(text), want)
			}
			got, err := s.Open(text, context...)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("Open(Seal(%d bytes, %q)) = %d bytes, %v", len(plain), context, len(got), err)
			}
			if again := s.Seal(plain, context...); again == text {
				t.Errorf("Seal gives the same text twice: %s", text)
			}
		}
	}
}

func TestRingRefusesWhatItDidNotSeal(t *testing.T) {
	root := secret.Random(32)
	r := ring(t, root)
	s := r.Sealer("session")
	text := s.Seal([]byte("hello"), "cookie", "x")
	for name, c := range map[string]struct {
		sealer  *secret.Sealer
		text    string
		context []string
	}{
		"other purpose":       {r.Sealer("ticket"), text, []string{"cookie", "x"}},
		"other root":          {ring(t, secret.Random(32)).Sealer("session"), text, []string{"cookie", "x"}},
		"other context":       {s, text, []string{"cookie", "y"}},
		"no context":          {s, text, nil},
		"less context":        {s, text, []string{"cookie"}},
		"more context":        {s, text, []string{"cookie", "x", ""}},
		"context joined":      {s, text, []string{"cookiex"}},
		"context moved":       {s, text, []string{"cooki", "ex"}},
		"empty":               {s, "", []string{"cookie", "x"}},
		"truncated":           {s, text[:len(text)-4], []string{"cookie", "x"}},
		"shorter than a seal": {s, text[:8], []string{"cookie", "x"}},
		"longer":              {s, text + "AAAA", []string{"cookie", "x"}},
		"padded":              {s, text + "=", []string{"cookie", "x"}},
		"newline in it":       {s, text[:9] + "\n" + text[9:], []string{"cookie", "x"}},
		"newlines at the end": {s, text + "\r\n", []string{"cookie", "x"}},
		"standard alphabet":   {s, strings.Repeat("+/", 40), []string{"cookie", "x"}},
		"not base64":          {s, strings.Repeat("é", 40), []string{"cookie", "x"}},
	} {
		if got, err := c.sealer.Open(c.text, c.context...); !errors.Is(err, secret.ErrSealed) || got != nil {
			t.Errorf("%s: Open() = %q, %v, want ErrSealed", name, got, err)
		}
	}
}

// TestRingSeesEveryChange changes each character of a sealed text to every
// other one of the alphabet.
func TestRingSeesEveryChange(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	s := ring(t, secret.Random(32)).Sealer("session")
	for _, plain := range []string{"", "a", "ab"} { // the last character stands for 6, 4 or 2 bits
		text := s.Seal([]byte(plain))
		for i := range len(text) {
			for _, c := range alphabet {
				changed := text[:i] + string(c) + text[i+1:]
				if _, err := s.Open(changed); changed != text && !errors.Is(err, secret.ErrSealed) {
					t.Fatalf("Open with %c at %d = %v, want ErrSealed", c, i, err)
				}
			}
		}
	}
}

// A new root goes in front: what the old one sealed is opened until it goes.
func TestRingRotates(t *testing.T) {
	older, newer := secret.Random(32), secret.Random(32)
	before, both, after := ring(t, older).Sealer("p"), ring(t, newer, older).Sealer("p"), ring(t, newer).Sealer("p")
	old, fresh := before.Seal([]byte("old")), both.Seal([]byte("new"))
	for _, c := range []struct {
		name   string
		sealer *secret.Sealer
		text   string
		opens  bool
	}{
		{"both open the old", both, old, true},
		{"both open the new", both, fresh, true},
		{"the first seals", after, fresh, true},
		{"the old does not open the new", before, fresh, false},
		{"once it is gone the old is refused", after, old, false},
	} {
		if _, err := c.sealer.Open(c.text); (err == nil) != c.opens {
			t.Errorf("%s: Open() = %v", c.name, err)
		}
	}
}

// TestRingIsReplaced: sealers that are there take the new roots.
func TestRingIsReplaced(t *testing.T) {
	older, newer := secret.Random(32), secret.Random(32)
	r := ring(t, older)
	s := r.Sealer("p")
	old := s.Seal([]byte("old"))
	if err := r.Replace(newer, older); err != nil {
		t.Fatal(err)
	}
	fresh := s.Seal([]byte("new"))
	for name, text := range map[string]string{"old": old, "new": fresh} {
		if got, err := s.Open(text); err != nil || string(got) != name {
			t.Errorf("Open() of the %s = %q, %v", name, got, err)
		}
	}
	if _, err := ring(t, newer).Sealer("p").Open(fresh); err != nil {
		t.Errorf("the first root does not seal: %v", err)
	}
	for name, roots := range map[string][]secret.Value{"none": nil, "short": {secret.New("short")}} {
		if err := r.Replace(roots...); err == nil {
			t.Errorf("Replace(%s) = nil, want an error", name)
		}
	}
	if _, err := s.Open(old); err != nil {
		t.Errorf("after roots that are no good: %v", err)
	}
	if err := r.Replace(newer); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(old); err == nil {
		t.Error("a root that was taken away opens")
	}
}

// TestRingHasAKeyForEachPurpose: not one for all, kept apart by what is sealed
// along alone. The id in front is derived together with its key.
func TestRingHasAKeyForEachPurpose(t *testing.T) {
	r := ring(t, secret.Random(32))
	seen := make(map[string]string)
	for _, purpose := range []string{"session", "session ticket", "login attempt"} {
		sealed, err := base64.RawURLEncoding.DecodeString(r.Sealer(purpose).Seal(nil))
		if err != nil {
			t.Fatal(err)
		}
		id := string(sealed[:4])
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q have the same key", purpose, other)
		}
		seen[id] = purpose
	}
}

func TestNewRingRefuses(t *testing.T) {
	good := secret.Random(32)
	for name, roots := range map[string][]secret.Value{
		"none":           nil,
		"empty":          {{}},
		"short":          {secret.New("short-and-random-Q8x2")},
		"second short":   {good, secret.New("short-and-random-Q8x2")},
		"a sample value": {secret.New("please-changeme-please-changeme-1234")},
		"repeats itself": {secret.New(strings.Repeat("ab", 32))},
	} {
		r, err := secret.NewRing(roots...)
		if err == nil || r != nil {
			t.Errorf("%s: NewRing() = %v, %v, want an error", name, r, err)
			continue
		}
		for _, root := range roots {
			if text := root.Reveal(); text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("%s: NewRing() = %v, which shows the key", name, err)
			}
		}
	}
}

// What a ring or a sealer prints is not what opens anything.
func TestRingNeverPrints(t *testing.T) {
	root := secret.Random(32)
	r := ring(t, root)
	for _, a := range []any{r, r.Sealer("p")} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			got := fmt.Sprintf(verb, a)
			for _, leak := range []string{root.Reveal(), fmt.Sprintf("%x", root.Reveal()), fmt.Sprint([]byte(root.Reveal()))[1:40]} {
				if strings.Contains(got, leak) {
					t.Errorf("Sprintf(%q, %T) = %q", verb, a, got)
				}
			}
		}
	}
}

func FuzzOpenSealed(f *testing.F) {
	s := ring(f, secret.New("Zk3vQ8x2mN5bR7tY1uI4oP6aS9dF0gHj")).Sealer("session")
	f.Add(s.Seal(nil), "")
	f.Add(s.Seal([]byte("hello"), "cookie"), "cookie")
	f.Add("", "cookie")
	f.Fuzz(func(t *testing.T, text, context string) {
		plain, err := s.Open(text, context)
		if err != nil {
			if !errors.Is(err, secret.ErrSealed) || plain != nil {
				t.Errorf("Open(%q) = %q, %v", text, plain, err)
			}
			return
		}
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != text {
			t.Errorf("Open(%q) takes a second spelling", text)
		}
	})
}
