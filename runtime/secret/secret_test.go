package secret_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/secret"
)

const text = "hunter2-hunter2"

// TestValueNeverPrints prints a value in every way there is, alone and inside
// other values, also where fmt may not call its methods.
func TestValueNeverPrints(t *testing.T) {
	type inside struct {
		hidden secret.Value
		Shown  secret.Value
		many   []secret.Value
		byName map[string]secret.Value
		any    any
	}
	v := secret.New(text)
	all := []any{v, &v, inside{v, v, []secret.Value{v}, map[string]secret.Value{"a": v}, v}, []secret.Value{v}, map[string]any{"a": v}, fmt.Errorf("x: %v", v)}
	for _, verb := range "vsqdxXtbcoOUeEfFgGpTw" {
		for _, flag := range []string{"", "+", "#", "-", " ", "0", "10", ".3", "+10.3"} {
			format := "%" + flag + string(verb)
			for _, a := range all {
				got := fmt.Sprintf(format, a)
				for _, leak := range []string{text, "hunter", hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))), "104 117 110"} {
					if strings.Contains(got, leak) {
						t.Errorf("Sprintf(%q, %T) = %q", format, a, got)
					}
				}
			}
		}
	}
	var out bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		for _, a := range all {
			logger.Info("m", "a", a)
		}
	}
	if strings.Contains(out.String(), "hunter") {
		t.Errorf("slog wrote %s", out.String())
	}
	for _, a := range []any{v, &v, map[string]any{"a": v}, struct{ A secret.Value }{v}} {
		b, err := json.Marshal(a)
		if err != nil || !strings.Contains(string(b), `"***"`) || strings.Contains(string(b), "hunter") {
			t.Errorf("Marshal(%T) = %s, %v", a, b, err)
		}
	}
}

func TestValuePrints(t *testing.T) {
	for name, v := range map[string]secret.Value{"zero": {}, "empty": secret.New(""), "text": secret.New(text)} {
		asText, err := v.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{v.String(), v.GoString(), fmt.Sprint(v), fmt.Sprintf("%#v", v), fmt.Sprintf("%d", v), v.LogValue().String(), string(asText)} {
			if got != "***" {
				t.Errorf("%s prints as %q, want ***", name, got)
			}
		}
	}
}

func TestReveal(t *testing.T) {
	if got := secret.New(text).Reveal(); got != text {
		t.Errorf("Reveal() = %q, want %q", got, text)
	}
	var zero secret.Value
	if zero.Reveal() != "" || !zero.IsZero() || !secret.New("").IsZero() || secret.New(text).IsZero() {
		t.Error("the zero value is not the empty secret, or another one is")
	}
}

func TestRandom(t *testing.T) {
	a, b := secret.Random(32), secret.Random(32)
	if a.Reveal() == b.Reveal() || len(a.Reveal()) != 43 {
		t.Errorf("two secrets of 32 bytes have %d and %d characters, equal: %v", len(a.Reveal()), len(b.Reveal()), a.Reveal() == b.Reveal())
	}
	if err := secret.CheckKey(a); err != nil {
		t.Errorf("CheckKey of 32 random bytes = %v", err)
	}
}

func TestID(t *testing.T) {
	count := map[byte]int{}
	for range 200 {
		id := secret.ID(31)
		if len(id) != 31 || !secret.IsBase62(id) {
			t.Fatalf("ID(31) = %q", id)
		}
		for i := range len(id) {
			count[id[i]]++
		}
	}
	// 100 of each are expected; eight standard deviations are 80.
	for i := range len(secret.Base62) {
		if n := count[secret.Base62[i]]; n < 20 || n > 180 {
			t.Errorf("%q came %d times of 6200", secret.Base62[i], n)
		}
	}
	if secret.ID(0) != "" {
		t.Error("ID(0) is not empty")
	}
}

func TestIsBase62(t *testing.T) {
	for text, want := range map[string]bool{"": true, "azAZ09": true, "a_": false, "a-": false, "a/": false, "a:": false, "a@": false, "a[": false, "a`": false, "a{": false, "ä": false, "\x00": false, "٣": false} {
		if got := secret.IsBase62(text); got != want {
			t.Errorf("IsBase62(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestFile(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string // of the secret
		wantErr string
	}{
		"plain":            {"abc", 0o600, "abc", ""},
		"read only":        {"abc", 0o400, "abc", ""},
		"newline":          {"abc\n", 0o600, "abc", ""},
		"Windows newline":  {"abc\r\n", 0o600, "abc", ""},
		"one newline only": {"abc\n\n", 0o600, "abc\n", ""},
		"blanks stay":      {" abc \n", 0o600, " abc ", ""},
		"group reads":      {"abc", 0o640, "", "chmod 600"},
		"others read":      {"abc", 0o604, "", "chmod 600"},
		"group writes":     {"abc", 0o620, "", "chmod 600"},
		"others execute":   {"abc", 0o601, "", "chmod 600"},
		"empty":            {"", 0o600, "", "empty"},
		"newline alone":    {"\n", 0o600, "", "empty"},
		"too large":        {strings.Repeat("a", 64<<10+1), 0o600, "", "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			got, err := secret.File(path)
			if got.Reveal() != c.want || (err == nil) != (c.wantErr == "") {
				t.Fatalf("File() = %q, %v, want %q", got.Reveal(), err, c.want)
			}
			if err != nil && (!strings.Contains(err.Error(), c.wantErr) || strings.Contains(err.Error(), "abc")) {
				t.Errorf("File() = %v, want %q in it and not the content", err, c.wantErr)
			}
		})
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, err := secret.File(path); err == nil {
			t.Errorf("File(%q) = nil, want an error", path)
		}
	}
}

func TestFromEnvOrFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env     map[string]string
		want    string
		wantErr string
	}{
		"neither":      {nil, "", ""},
		"environment":  {map[string]string{"KEY": "from env"}, "from env", ""},
		"file":         {map[string]string{"KEY_FILE": path}, "from file", ""},
		"both":         {map[string]string{"KEY": "from env", "KEY_FILE": path}, "", "both set"},
		"missing file": {map[string]string{"KEY_FILE": path + "x"}, "", "KEY_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := secret.FromEnvOrFile(func(k string) string { return c.env[k] }, "KEY")
			if got.Reveal() != c.want || (err == nil) != (c.wantErr == "") {
				t.Fatalf("FromEnvOrFile() = %q, %v, want %q", got.Reveal(), err, c.want)
			}
			if err != nil && (!strings.Contains(err.Error(), c.wantErr) || strings.Contains(err.Error(), "from env")) {
				t.Errorf("FromEnvOrFile() = %v, want %q in it and not the secret", err, c.wantErr)
			}
		})
	}
}

func TestCheckKey(t *testing.T) {
	random := sha256.Sum256([]byte("a fixed key"))
	for name, c := range map[string]struct {
		key string
		ok  bool
	}{
		"random bytes":       {string(random[:]), true},
		"random hex":         {hex.EncodeToString(random[:]), true},
		"empty":              {"", false},
		"31 bytes":           {string(random[:31]), false},
		"one byte":           {strings.Repeat("a", 64), false},
		"zero bytes":         {strings.Repeat("\x00", 32), false},
		"two bytes":          {strings.Repeat("ab", 32), false},
		"a word over":        {strings.Repeat("horse-Battery", 4), false},
		"a word, cut":        {strings.Repeat("0aB1cD2eF3", 4)[:37], false},
		"changeme":           {"ChangeMe-before-you-go-live-please!", false},
		"password":           {"my-very-long-Password-for-the-server", false},
		"counting":           {"0123456789abcdefghijklmnopqrstuvwxyz", false},
		"your secret here":   {"<your-secret-of-at-least-32-bytes->", false},
		"hex that does look": {"deadbeefcafebabe0badf00d1badb002facefeed", false},
	} {
		err := secret.CheckKey(secret.New(c.key))
		if (err == nil) != c.ok {
			t.Errorf("%s: CheckKey() = %v, want ok %v", name, err, c.ok)
		}
		if err != nil && c.key != "" && strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: CheckKey() = %v, which shows the key", name, err)
		}
	}
}
