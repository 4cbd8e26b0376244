package user_test

import (
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/user"
)

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := user.NewID()
		if !user.IsID(id) || seen[id] {
			t.Fatalf("NewID() = %q, seen before: %v", id, seen[id])
		}
		seen[id] = true
	}
}

func TestIsID(t *testing.T) {
	good := "usr_" + strings.Repeat("aZ09", 5)
	for id, want := range map[string]bool{good: true, "": false, "usr_": false, good[:23]: false, good + "0": false, "USR" + good[3:]: false, good[:23] + "_": false, good[:23] + "\n": false} {
		if got := user.IsID(id); got != want {
			t.Errorf("IsID(%q) = %v, want %v", id, got, want)
		}
	}
}

func TestRecordUser(t *testing.T) {
	got := user.Record{ID: "usr_1", Issuer: "i", Subject: "s", Name: "n", Email: "e", Disabled: true}.User()
	if want := (gate.User{ID: "usr_1", Issuer: "i", Subject: "s", Name: "n", Email: "e"}); got != want {
		t.Errorf("User() = %+v, want %+v", got, want)
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		issuer, subject string
		p               user.Profile
		wrong           []string
	}{
		"least":          {"i", "s", user.Profile{}, nil},
		"most":           {strings.Repeat("i", 2048), strings.Repeat("s", 255), user.Profile{Name: strings.Repeat("n", 1024), Email: strings.Repeat("e", 1024)}, nil},
		"nothing":        {"", "", user.Profile{}, []string{"issuer is empty", "subject is empty"}},
		"everything":     {"\xff", "\x00", user.Profile{Name: "\xff", Email: "\x00"}, []string{"issuer", "subject", "name", "email"}},
		"issuer length":  {strings.Repeat("i", 2049), "s", user.Profile{}, []string{"issuer is longer"}},
		"subject length": {"i", strings.Repeat("s", 256), user.Profile{}, []string{"subject is longer"}},
		"name length":    {"i", "s", user.Profile{Name: strings.Repeat("n", 1025)}, []string{"name is longer"}},
		"email length":   {"i", "s", user.Profile{Email: strings.Repeat("e", 1025)}, []string{"email is longer"}},
	} {
		err := user.Check(c.issuer, c.subject, c.p)
		if (err == nil) != (c.wrong == nil) {
			t.Errorf("%s: Check() = %v, want %q", name, err, c.wrong)
			continue
		}
		for _, w := range c.wrong {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: Check() = %v, want %q in it", name, err, w)
			}
		}
	}
}
