package storetest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

func isNotFound(err error) bool {
	return errors.Is(err, user.ErrNotFound) || errors.Is(err, apikey.ErrNotFound) || errors.Is(err, session.ErrNotFound)
}

// sameUser compares records; no scopes and an empty list of them are the same.
func sameUser(a, b user.Record) bool {
	a.Scopes, b.Scopes = append([]string{}, a.Scopes...), append([]string{}, b.Scopes...)
	return reflect.DeepEqual(a, b)
}

func testUsers(t *testing.T, open Opener) {
	s := fresh(t, open).Users()
	before := instant()
	made, err := s.Ensure(t.Context(), "https://id.example", "42", user.Profile{Name: "Ada", Email: "ada@example.org"})
	if err != nil {
		t.Fatalf("Ensure() = %v", err)
	}
	if !user.IsID(made.ID) {
		t.Errorf("Ensure() gave id %q", made.ID)
	}
	if made.Created.Before(before) || made.Created.After(time.Now()) || made.Created.Location() != time.UTC {
		t.Errorf("Ensure() gave the time %v, want now in UTC", made.Created)
	}
	want := user.Record{ID: made.ID, Issuer: "https://id.example", Subject: "42", Name: "Ada", Email: "ada@example.org", Created: made.Created}
	if !sameUser(made, want) {
		t.Errorf("Ensure() = %+v, want %+v", made, want)
	}
	if got, err := s.Load(t.Context(), made.ID); err != nil || !sameUser(got, want) {
		t.Errorf("Load() = %+v, %v, want %+v", got, err, want)
	}

	// What the issuer says later replaces what it said; silence changes nothing.
	want.Name = "Ada L."
	if got, err := s.Ensure(t.Context(), want.Issuer, want.Subject, user.Profile{Name: "Ada L."}); err != nil || !sameUser(got, want) {
		t.Errorf("second Ensure() = %+v, %v, want %+v", got, err, want)
	}

	for _, scopes := range [][]string{{"posts:write", "a \"quoted\" role", "é"}, {"posts:write"}, nil} {
		want.Scopes = scopes
		if err := s.SetScopes(t.Context(), made.ID, scopes); err != nil {
			t.Errorf("SetScopes(%q) = %v", scopes, err)
		}
		if got, err := s.Load(t.Context(), made.ID); err != nil || !sameUser(got, want) {
			t.Errorf("Load() after SetScopes(%q) = %+v, %v, want %+v", scopes, got, err, want)
		}
	}
	if err := s.SetScopes(t.Context(), made.ID, []string{"\xff"}); err == nil {
		t.Error("SetScopes() of what is not text = nil, want an error")
	}
	want.Scopes = []string{"posts:edit"}
	if err := s.SetScopes(t.Context(), made.ID, want.Scopes); err != nil {
		t.Errorf("SetScopes() = %v", err)
	}

	for _, disabled := range []bool{true, true, false} {
		want.Disabled = disabled
		if err := s.SetDisabled(t.Context(), made.ID, disabled); err != nil {
			t.Errorf("SetDisabled(%v) = %v", disabled, err)
		}
		if got, err := s.Load(t.Context(), made.ID); err != nil || !sameUser(got, want) {
			t.Errorf("Load() after SetDisabled(%v) = %+v, %v, want %+v", disabled, got, err, want)
		}
	}
	if err := s.SetDisabled(t.Context(), made.ID, true); err != nil {
		t.Fatalf("SetDisabled() = %v", err)
	}
	if got, err := s.Ensure(t.Context(), want.Issuer, want.Subject, user.Profile{}); err != nil || !got.Disabled {
		t.Errorf("Ensure() of a disabled user = %+v, %v, want it still disabled", got, err)
	}

	for _, id := range []string{"", "usr_", user.NewID(), strings.ToUpper(made.ID), made.ID + " ", made.ID + "\x00", made.ID[:23], "%", "usr_____________________"} {
		if _, err := s.Load(t.Context(), id); !errors.Is(err, user.ErrNotFound) {
			t.Errorf("Load(%q) = %v, want ErrNotFound", id, err)
		}
		if err := s.SetDisabled(t.Context(), id, false); !errors.Is(err, user.ErrNotFound) {
			t.Errorf("SetDisabled(%q) = %v, want ErrNotFound", id, err)
		}
		if err := s.SetScopes(t.Context(), id, nil); !errors.Is(err, user.ErrNotFound) {
			t.Errorf("SetScopes(%q) = %v, want ErrNotFound", id, err)
		}
	}
}

// testEnsureRace: of many logins of one new person at once, one makes the record.
func testEnsureRace(t *testing.T, open Opener) {
	s := fresh(t, open).Users()
	const n = 20
	ids := make([]string, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			rec, err := s.Ensure(t.Context(), "https://id.example", "new", user.Profile{Name: "N"})
			if err != nil {
				t.Errorf("Ensure() = %v", err)
			}
			ids[i] = rec.ID
		})
	}
	wait.Wait()
	if slices.Sort(ids); len(slices.Compact(ids)) != 1 {
		t.Errorf("%d calls of Ensure at once gave the ids %q, want one", n, slices.Compact(ids))
	}
	if all, err := s.List(t.Context(), "", 100); err != nil || len(all) != 1 {
		t.Errorf("List() = %d records, %v, want one", len(all), err)
	}
}

// testSubjects: issuer and subject are compared to the byte, and apart.
func testSubjects(t *testing.T, open Opener) {
	s := fresh(t, open).Users()
	seen := map[string][2]string{}
	for _, who := range [][2]string{
		{"https://id.example", "ada"}, {"https://id.example", "Ada"}, {"https://id.example", "ada "}, {"https://id.example", " ada"},
		{"https://id.example/", "ada"}, {"https://ID.example", "ada"}, {"https://id.examplea", "da"}, {"https://id.example", "ádá"},
		{"https://id.example", "a\u0301da\u0301"}, {"https://id.example", "ada'; DROP TABLE gatewright_users; --"}, {"https://id.example", "ad%"},
		{"https://id.example", "ad_"}, {"https://id.example", "ａｄａ"}, {"https://id.example", "1"}, {"https://id.example", "01"},
		{"https://id.example", "1.0"}, {"https://id.example", "ß"}, {"https://id.example", "ss"}, {"https://id.example", "NULL"},
	} {
		rec, err := s.Ensure(t.Context(), who[0], who[1], user.Profile{})
		if err != nil {
			t.Fatalf("Ensure(%q) = %v", who, err)
		}
		if other, ok := seen[rec.ID]; ok {
			t.Errorf("%q and %q have one record", other, who)
		}
		seen[rec.ID] = who
		if rec.Issuer != who[0] || rec.Subject != who[1] {
			t.Errorf("Ensure(%q) = %+v", who, rec)
		}
	}
}

func testUserList(t *testing.T, open Opener) {
	stores := fresh(t, open)
	var want []string
	for i := range 25 {
		want = append(want, someUser(t, stores, strings.Repeat("x", i+1)).ID)
	}
	slices.Sort(want)
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := stores.Users().List(t.Context(), after, 10)
		if err != nil || len(page) > 10 {
			t.Fatalf("List(%q, 10) = %d records, %v", after, len(page), err)
		}
		if len(page) == 0 {
			break
		}
		for _, rec := range page {
			got = append(got, rec.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("List page by page = %q, want %q", got, want)
	}
	if page, err := stores.Users().List(t.Context(), "", 0); err != nil || len(page) != 0 {
		t.Errorf("List with limit 0 = %d records, %v, want none", len(page), err)
	}
}

// testUserRefusals: what no issuer says is refused, whatever the backend can hold.
func testUserRefusals(t *testing.T, open Opener) {
	s := fresh(t, open).Users()
	for name, c := range map[string]struct {
		issuer, subject string
		p               user.Profile
	}{
		"no issuer":         {"", "s", user.Profile{}},
		"no subject":        {"i", "", user.Profile{}},
		"long subject":      {"i", strings.Repeat("s", 256), user.Profile{}},
		"NUL in subject":    {"i", "s\x00", user.Profile{}},
		"subject not UTF-8": {"i", "s\xff", user.Profile{}},
		"issuer not UTF-8":  {"i\xff", "s", user.Profile{}},
		"name not UTF-8":    {"i", "s", user.Profile{Name: "\xff"}},
		"NUL in email":      {"i", "s", user.Profile{Email: "a\x00"}},
	} {
		if rec, err := s.Ensure(t.Context(), c.issuer, c.subject, c.p); err == nil {
			t.Errorf("%s: Ensure() = %+v, want an error", name, rec)
		}
	}
	if all, err := s.List(t.Context(), "", 10); err != nil || len(all) != 0 {
		t.Errorf("List() = %d records, %v, want none", len(all), err)
	}
}
