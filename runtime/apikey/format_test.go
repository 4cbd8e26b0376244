package apikey_test

import (
	"hash/crc32"
	"math/big"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/secret"
)

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, key := apikey.NewKey("gw", apikey.Live)
		// Length and parts are promised to scanners for leaked keys.
		if parts := strings.Split(key, "_"); len(key) != 71 || len(parts) != 4 || parts[0] != "gw" || parts[1] != "live" || parts[2] != id || len(id) != 13 {
			t.Fatalf("a new key with id %q has the form %q", id, key)
		}
		if env, got, ok := apikey.Parse("gw", key); !ok || env != apikey.Live || got != id {
			t.Fatalf("Parse of a new key = %q, %q, %v, want live, %q", env, got, ok, id)
		}
		if seen[id] || seen[key[22:65]] {
			t.Fatal("an id or secret came twice")
		}
		seen[id], seen[key[22:65]] = true, true
	}
}

func TestBase62(t *testing.T) {
	for _, number := range []string{"\x00", "\x01", "\x3d", "\x3e", "\xff\xff\xff\xff", strings.Repeat("\xff", 32), strings.Repeat("\x00", 32), "\x80" + strings.Repeat("\x00", 31)} {
		width := 43
		got := apikey.Base62([]byte(number), width)
		// math/big has the digits 0-9a-zA-Z.
		swapped := strings.Map(func(r rune) rune {
			switch {
			case 'a' <= r && r <= 'z':
				return r - 'a' + 'A'
			case 'A' <= r && r <= 'Z':
				return r - 'A' + 'a'
			}
			return r
		}, got)
		back, ok := new(big.Int).SetString(swapped, 62)
		if !ok || len(got) != width || back.Cmp(new(big.Int).SetBytes([]byte(number))) != 0 {
			t.Errorf("Base62(%x) = %q, which is %v", number, got, back)
		}
	}
}

func TestParse(t *testing.T) {
	id, key := apikey.NewKey("gw", apikey.Live)
	body := key[:len(key)-6]
	max256 := apikey.Base62([]byte(strings.Repeat("\xff", 32)), 43)
	sealed := func(env, id, secret string) string { return apikey.Seal("gw_" + env + "_" + id + "_" + secret) }
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"a key":                 {key, true},
		"greatest secret":       {sealed("live", id, max256), true},
		"least secret":          {sealed("test", id, strings.Repeat("0", 43)), true},
		"secret over 256 bits":  {sealed("live", id, max256[:42]+string(max256[42]+1)), false},
		"greatest digits":       {sealed("live", id, strings.Repeat("z", 43)), false},
		"empty":                 {"", false},
		"prefix alone":          {"gw_", false},
		"blank in front":        {" " + key, false},
		"blank behind":          {key + " ", false},
		"newline behind":        {key + "\n", false},
		"one character more":    {key + "0", false},
		"one character less":    {key[:len(key)-1], false},
		"other case":            {strings.ToUpper(key), false},
		"prefix in upper case":  {"GW" + key[2:], false},
		"other prefix":          {apikey.Seal("xx" + body[2:]), false},
		"longer prefix":         {apikey.Seal("gww" + body[2:]), false},
		"other environment":     {apikey.Seal(strings.Replace(body, "live", "prod", 1)), false},
		"environment Live":      {apikey.Seal(strings.Replace(body, "live", "Live", 1)), false},
		"underscore in id":      {sealed("live", "_"+id[1:], max256), false},
		"underscore in secret":  {sealed("live", id, "_"+max256[1:]), false},
		"no underscore":         {apikey.Seal(strings.Replace(body, "live_", "live0", 1)), false},
		"no second underscore":  {apikey.Seal(body[:21] + "0" + body[22:]), false},
		"hyphen for underscore": {strings.ReplaceAll(key, "_", "-"), false},
		"character not ASCII":   {sealed("live", "é"+id[2:], max256), false},
		"NUL":                   {sealed("live", "\x00"+id[1:], max256), false},
		"long":                  {strings.Repeat("a", 1<<20), false},
		"secret in base64url":   {sealed("live", id, "-"+max256[1:]), false},
	} {
		if _, _, ok := apikey.Parse("gw", c.text); ok != c.ok {
			t.Errorf("%s: Parse(%.80q) = %v, want %v", name, c.text, ok, c.ok)
		}
	}
}

// TestChecksumCatchesTypos: a key with any one character changed, or two
// neighbours swapped, is refused without asking the store.
func TestChecksumCatchesTypos(t *testing.T) {
	_, key := apikey.NewKey("gw", apikey.Live)
	for i := range len(key) {
		for _, c := range []byte(secret.Base62 + "_") {
			if typo := key[:i] + string(c) + key[i+1:]; typo != key {
				if _, _, ok := apikey.Parse("gw", typo); ok {
					t.Errorf("Parse takes %q for %q", typo, key)
				}
			}
		}
		if i > 0 && key[i] != key[i-1] {
			if _, _, ok := apikey.Parse("gw", key[:i-1]+key[i:i+1]+key[i-1:i]+key[i+1:]); ok {
				t.Errorf("Parse takes %q with characters %d and %d swapped", key, i-1, i)
			}
		}
	}
	sum := crc32.ChecksumIEEE([]byte(key[:65]))
	if want := apikey.Base62([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}, 6); key[65:] != want {
		t.Errorf("checksum %q, want %q", key[65:], want)
	}
}

func FuzzParse(f *testing.F) {
	_, live := apikey.NewKey("gw", apikey.Live)
	_, test := apikey.NewKey("gw", apikey.Test)
	for _, s := range []string{live, test, "", "gw_", live[:70], live + "0", strings.ToUpper(live), "gw_live_" + strings.Repeat("z", 63)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// As it is, and with a checksum that lets more of it through.
		for _, s := range []string{text, apikey.Seal(text), apikey.Seal("gw_live_" + text), apikey.Seal("gw_test_0123456789abc_" + text)} {
			env, id, ok := apikey.Parse("gw", s)
			if !ok {
				continue
			}
			if env != apikey.Live && env != apikey.Test || len(id) != 13 || !secret.IsBase62(id) || !secret.IsBase62(s[22:]) || len(s) != 71 {
				t.Fatalf("Parse(%q) = %q, %q", s, env, id)
			}
			// Written from its parts it is the same text, byte by byte.
			if again := apikey.Seal("gw_" + string(env) + "_" + id + "_" + s[22:65]); again != s {
				t.Fatalf("Parse takes %q for %q", s, again)
			}
		}
	})
}
