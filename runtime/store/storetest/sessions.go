package storetest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

// newID is an id that no other session has.
func newID() (id session.ID) {
	rand.Read(id[:])
	return id
}

// leastSession is a record with only what each session has.
func leastSession(owner string) session.Record {
	at := instant()
	return session.Record{ID: newID(), User: owner, Created: at, Used: at, Idle: at.Add(time.Minute), Expires: at.Add(time.Hour)}
}

// fullSession is a record with every member set.
func fullSession(owner string) session.Record {
	rec := leastSession(owner)
	rec.Provider, rec.Issuer, rec.Subject, rec.ProviderSession = "main", "https://id.example/realms/a?b=c", "248289761001", "08a5019c-17e1-4977-8f42-65a12843ea02"
	rec.Scopes = map[string][]string{"login": {"posts:write", "a \"quoted\" role"}, "session": nil, "admin": {"all"}}
	rec.AuthTime = rec.Created.Add(-time.Minute)
	rec.Agent = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0)"
	rec.Tokens = []byte("sealed\x00\xff tokens")
	return rec
}

// sameSession compares records; no scopes and an empty list of them are the same.
func sameSession(t *testing.T, got, want session.Record) {
	t.Helper()
	if !maps.EqualFunc(got.Scopes, want.Scopes, slices.Equal) {
		t.Errorf("scopes %q, want %q", got.Scopes, want.Scopes)
	}
	if !bytes.Equal(got.Tokens, want.Tokens) || got.Tokens != nil && len(got.Tokens) == 0 {
		t.Errorf("tokens %.40q, want %.40q", got.Tokens, want.Tokens)
	}
	got.Scopes, got.Tokens, want.Scopes, want.Tokens = nil, nil, nil, nil
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("session %s, want %s", g, w)
	}
}

// mustCreateSession adds records.
func mustCreateSession(t *testing.T, s store.Shared, recs ...session.Record) {
	t.Helper()
	for _, rec := range recs {
		if err := s.Sessions().Create(t.Context(), rec); err != nil {
			t.Fatalf("Create(%v) = %v", rec.ID, err)
		}
	}
}

// loadsSession looks whether the store has exactly that record.
func loadsSession(t *testing.T, s store.Shared, want session.Record) {
	t.Helper()
	got, err := s.Sessions().Load(t.Context(), want.ID)
	if err != nil {
		t.Errorf("Load(%v) = %v", want.ID, err)
		return
	}
	sameSession(t, got, want)
}

// lacksSession looks whether the store has no record of that id.
func lacksSession(t *testing.T, s store.Shared, id session.ID) {
	t.Helper()
	if rec, err := s.Sessions().Load(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Load(%v) = %+v, %v, want ErrNotFound", id, rec, err)
	}
}

func testSessions(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	owner := someUser(t, s, "owner")
	all, least := fullSession(owner.ID), leastSession(owner.ID)
	mustCreateSession(t, s, all, least)
	loadsSession(t, s, all)
	loadsSession(t, s, least)
	if least, err := s.Sessions().Load(t.Context(), least.ID); err != nil || least.Tokens != nil || !least.AuthTime.IsZero() {
		t.Errorf("Load() = %+v, %v, want no tokens and no time of a login", least, err)
	}

	taken := leastSession(someUser(t, s, "intruder").ID)
	taken.ID = all.ID
	if err := s.Sessions().Create(t.Context(), taken); !errors.Is(err, session.ErrExists) {
		t.Errorf("Create() of an id that is taken = %v, want ErrExists", err)
	}
	loadsSession(t, s, all)

	// A session is of somebody, whether or not it can be seen who that is.
	nobody := leastSession("")
	if err := s.Sessions().Create(t.Context(), nobody); err == nil {
		t.Error("Create() for nobody = nil, want an error")
	}
	lacksSession(t, s, nobody.ID)
}

// testSessionOrphans: where users are kept too there are no sessions of others.
func testSessionOrphans(t *testing.T, open Opener) {
	s := fresh(t, open)
	owner := someUser(t, s, "owner")
	for _, owner := range []string{user.NewID(), owner.ID + " ", strings.ToUpper(owner.ID)} {
		orphan := leastSession(owner)
		if err := s.Sessions().Create(t.Context(), orphan); err == nil {
			t.Errorf("Create() for the user %q, who does not exist = nil, want an error", owner)
		}
		lacksSession(t, s, orphan.ID)
	}
}

// testEndedSession: the store does not judge times.
func testEndedSession(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	rec := leastSession(someUser(t, s, "owner").ID)
	rec.Idle, rec.Expires = rec.Created.Add(-2*time.Hour), rec.Created.Add(-time.Hour)
	mustCreateSession(t, s, rec)
	loadsSession(t, s, rec)
}

func testSessionNotFound(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	rec := fullSession(someUser(t, s, "owner").ID)
	mustCreateSession(t, s, rec)
	ids := []session.ID{{}, {31: 1}, newID(), rec.ID, rec.ID}
	ids[3][0] ^= 0x80
	ids[4][31] ^= 1
	for _, id := range ids {
		lacksSession(t, s, id)
		if err := s.Sessions().SaveTokens(t.Context(), id, []byte("x"), nil); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("SaveTokens(%v) = %v, want ErrNotFound", id, err)
		}
		if err := s.Sessions().Touch(t.Context(), id, rec.Used.Add(time.Hour), rec.Idle.Add(time.Hour)); err != nil {
			t.Errorf("Touch(%v) = %v, want nil", id, err)
		}
		lacksSession(t, s, id)
		if id == (session.ID{}) {
			continue // a match without one
		}
		if n, err := s.Sessions().Delete(t.Context(), session.Match{ID: id}); n != 0 || err != nil {
			t.Errorf("Delete(%v) = %d, %v, want 0", id, n, err)
		}
	}
	loadsSession(t, s, rec)
}

func testSessionRace(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	rec := fullSession(someUser(t, one, "owner").ID)
	var made atomic.Int32
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			switch err := []store.Shared{one, two}[i%2].Sessions().Create(t.Context(), rec); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, session.ErrExists):
				t.Errorf("Create() = %v", err)
			}
		})
	}
	wait.Wait()
	if made.Load() != 1 {
		t.Errorf("%d of 20 calls made the session, want 1", made.Load())
	}
}

// testSessionTouch: times only move forward, each by itself, and nothing else moves.
func testSessionTouch(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	want, other := fullSession(someUser(t, s, "owner").ID), fullSession(someUser(t, s, "other").ID)
	mustCreateSession(t, s, want, other)
	used, idle := want.Used, want.Idle
	for _, c := range []struct {
		name                           string
		used, idle, wantUsed, wantIdle time.Duration
	}{
		{"the same", 0, 0, 0, 0},
		{"later", time.Minute, time.Hour, time.Minute, time.Hour},
		{"earlier", 0, 0, time.Minute, time.Hour},
		{"only used later", 2 * time.Minute, 0, 2 * time.Minute, time.Hour},
		{"only idle later", 0, 2 * time.Hour, 2 * time.Minute, 2 * time.Hour},
		{"long ago", -24 * time.Hour, -24 * time.Hour, 2 * time.Minute, 2 * time.Hour},
	} {
		if err := s.Sessions().Touch(t.Context(), want.ID, used.Add(c.used), idle.Add(c.idle)); err != nil {
			t.Fatalf("Touch with times %s = %v", c.name, err)
		}
		want.Used, want.Idle = used.Add(c.wantUsed), idle.Add(c.wantIdle)
		loadsSession(t, s, want)
	}
	loadsSession(t, s, other)

	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			d := time.Duration((i*7)%20) * time.Minute
			mustDo(t, s.Sessions().Touch(t.Context(), other.ID, other.Used.Add(d), other.Idle.Add(d)))
		})
	}
	wait.Wait()
	other.Used, other.Idle = other.Used.Add(19*time.Minute), other.Idle.Add(19*time.Minute)
	loadsSession(t, s, other)
}

func testSaveTokens(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	want, other := fullSession(someUser(t, s, "owner").ID), fullSession(someUser(t, s, "other").ID)
	mustCreateSession(t, s, want, other)
	long := make([]byte, 64<<10)
	rand.Read(long)
	kept := want.Scopes
	for _, c := range []struct {
		name   string
		tokens []byte
		scopes map[string][]string
		want   map[string][]string
	}{
		{"scopes stay", []byte{0}, nil, kept},
		{"long tokens", long, nil, kept},
		{"other scopes", []byte("t"), map[string][]string{"b": {"c"}}, map[string][]string{"b": {"c"}}},
		{"no tokens", nil, nil, map[string][]string{"b": {"c"}}},
		{"empty tokens", []byte{}, nil, map[string][]string{"b": {"c"}}},
		{"no scopes", []byte("u"), map[string][]string{}, nil},
		{"no scopes of a scheme", []byte("v"), map[string][]string{"b": {}}, map[string][]string{"b": nil}},
	} {
		if err := s.Sessions().SaveTokens(t.Context(), want.ID, c.tokens, c.scopes); err != nil {
			t.Fatalf("SaveTokens, %s = %v", c.name, err)
		}
		want.Tokens, want.Scopes = c.tokens, c.want
		loadsSession(t, s, want)
	}
	loadsSession(t, s, other)
}

// testSessionDelete tries each match against records that differ in one member.
func testSessionDelete(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	ann, bob := someUser(t, one, "ann").ID, someUser(t, one, "bob").ID
	var recs []session.Record
	add := func(owner, issuer, subject, providerSession string) session.Record {
		rec := fullSession(owner)
		rec.Issuer, rec.Subject, rec.ProviderSession = issuer, subject, providerSession
		recs = append(recs, rec)
		return rec
	}
	first := add(ann, "https://a", "1", "p")
	add(ann, "https://a", "1", "q")
	add(ann, "https://b", "1", "p")
	add(bob, "https://a", "2", "")
	add(bob, "https://A", "2", "r")
	add(bob, "https://b", "2", "%")
	mustCreateSession(t, one, recs...)

	for name, m := range map[string]session.Match{
		"zero":   {},
		"except": {Except: first.ID},
	} {
		if n, err := one.Sessions().Delete(t.Context(), m); n != 0 || err == nil {
			t.Errorf("Delete of the match %q = %d, %v, want an error", name, n, err)
		}
		for _, rec := range recs {
			loadsSession(t, two, rec)
		}
	}

	for name, c := range map[string]struct {
		m    session.Match
		want int
	}{
		"id":                             {session.Match{ID: first.ID}, 1},
		"user":                           {session.Match{User: ann}, 3},
		"issuer":                         {session.Match{Issuer: "https://a"}, 3},
		"subject":                        {session.Match{Subject: "1"}, 3},
		"provider session":               {session.Match{ProviderSession: "p"}, 2},
		"issuer and subject":             {session.Match{Issuer: "https://a", Subject: "1"}, 2},
		"issuer and session":             {session.Match{Issuer: "https://a", ProviderSession: "p"}, 1},
		"issuer, subject and session":    {session.Match{Issuer: "https://b", Subject: "1", ProviderSession: "p"}, 1},
		"issuer and another's subject":   {session.Match{Issuer: "https://a", Subject: "3"}, 0},
		"user and id":                    {session.Match{User: ann, ID: first.ID}, 1},
		"another user and id":            {session.Match{User: bob, ID: first.ID}, 0},
		"user and issuer":                {session.Match{User: bob, Issuer: "https://b"}, 1},
		"user and subject":               {session.Match{User: bob, Subject: "2"}, 3},
		"user and another's subject":     {session.Match{User: bob, Subject: "1"}, 0},
		"user and session":               {session.Match{User: ann, ProviderSession: "p"}, 2},
		"user and another's session":     {session.Match{User: ann, ProviderSession: "r"}, 0},
		"session and another's subject":  {session.Match{ProviderSession: "r", Subject: "1"}, 0},
		"id and another issuer":          {session.Match{ID: first.ID, Issuer: "https://b"}, 0},
		"id and another session":         {session.Match{ID: first.ID, ProviderSession: "q"}, 0},
		"user but one":                   {session.Match{User: ann, Except: first.ID}, 2},
		"user but another's":             {session.Match{User: bob, Except: first.ID}, 3},
		"user but an unknown one":        {session.Match{User: ann, Except: newID()}, 3},
		"subject but one":                {session.Match{Issuer: "https://a", Subject: "1", Except: first.ID}, 1},
		"id but that":                    {session.Match{ID: first.ID, Except: first.ID}, 0},
		"all members":                    {session.Match{ID: first.ID, User: ann, Issuer: "https://a", Subject: "1", ProviderSession: "p", Except: newID()}, 1},
		"unknown user":                   {session.Match{User: user.NewID()}, 0},
		"user in capitals":               {session.Match{User: strings.ToUpper(ann)}, 0},
		"issuer in capitals":             {session.Match{Issuer: "https://A"}, 1},
		"issuer with a slash":            {session.Match{Issuer: "https://a/"}, 0},
		"issuer in part":                 {session.Match{Issuer: "https:"}, 0},
		"a wildcard":                     {session.Match{ProviderSession: "%"}, 1},
		"a wildcard that matches nobody": {session.Match{Subject: "_"}, 0},
		"hostile subject":                {session.Match{Subject: "1' OR '1'='1"}, 0},
		"subject and a NUL":              {session.Match{Subject: "1\x00"}, 0},
		"subject in bad UTF-8":           {session.Match{Subject: "\xff"}, 0},
	} {
		n, err := one.Sessions().Delete(t.Context(), c.m)
		if strings.Contains(name, "NUL") || strings.Contains(name, "bad UTF-8") {
			err = nil // may be refused
		}
		if n != c.want || err != nil {
			t.Errorf("Delete of the match %q = %d, %v, want %d", name, n, err, c.want)
		}
		for _, rec := range recs {
			if !matches(c.m, rec) {
				loadsSession(t, two, rec)
				continue
			}
			lacksSession(t, two, rec.ID)
			mustCreateSession(t, two, rec)
		}
	}

	for _, want := range []int{3, 0} {
		if n, err := one.Sessions().Delete(t.Context(), session.Match{User: ann}); n != want || err != nil {
			t.Errorf("Delete() = %d, %v, want %d", n, err, want)
		}
	}
}

// testSessionDeleteRace: of many calls that end the same sessions, each session
// is counted by one, however many there are.
func testSessionDeleteRace(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	for _, sessions := range []int{1, 7, 300} {
		ann := someUser(t, one, fmt.Sprint("ann", sessions)).ID
		var kept session.Record
		for range sessions + 1 {
			kept = leastSession(ann)
			kept.Issuer, kept.Subject = "https://id.example", ann
			mustCreateSession(t, one, kept)
		}
		var ended atomic.Int64
		var wait sync.WaitGroup
		for i := range 8 {
			s := []store.Shared{one, two}[i%2]
			m := []session.Match{{User: ann, Except: kept.ID}, {Issuer: kept.Issuer, Subject: ann, Except: kept.ID}}[i/2%2]
			wait.Go(func() {
				n, err := s.Sessions().Delete(t.Context(), m)
				mustDo(t, err)
				ended.Add(int64(n))
			})
		}
		wait.Wait()
		if int(ended.Load()) != sessions {
			t.Errorf("8 calls of Delete ended %d sessions, want %d", ended.Load(), sessions)
		}
		if left, err := two.Sessions().List(t.Context(), ann, 1000); err != nil || len(left) != 1 || left[0].ID != kept.ID {
			t.Errorf("List() = %d sessions, %v, want the one excepted", len(left), err)
		}
	}
}

// matches is what Match says, read once more.
func matches(m session.Match, rec session.Record) bool {
	for _, pair := range [][2]string{{m.User, rec.User}, {m.Issuer, rec.Issuer}, {m.Subject, rec.Subject}, {m.ProviderSession, rec.ProviderSession}} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	return (m.ID == session.ID{} || m.ID == rec.ID) && (m.Except == session.ID{} || m.Except != rec.ID)
}

func testSessionList(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	ann, bob := someUser(t, s, "ann").ID, someUser(t, s, "bob").ID
	var want []session.Record // the newest first
	start := instant()
	for i := range 12 {
		rec := fullSession([]string{ann, bob}[i%2])
		// Neither the order in which they are made nor that of their use.
		rec.Created = start.Add(time.Duration((i*5)%12) * time.Minute)
		rec.Used = start.Add(-time.Duration((i*5)%12) * time.Minute)
		mustCreateSession(t, s, rec)
		if rec.User == ann {
			want = append(want, rec)
		}
	}
	slices.SortFunc(want, func(a, b session.Record) int { return b.Created.Compare(a.Created) })
	for _, limit := range []int{0, 1, 4, 6, 7, 1000} {
		got, err := s.Sessions().List(t.Context(), ann, limit)
		if err != nil || len(got) != min(limit, len(want)) {
			t.Fatalf("List(limit %d) = %d sessions, %v, want %d", limit, len(got), err, min(limit, len(want)))
		}
		for i, rec := range got {
			sameSession(t, rec, want[i])
		}
	}
	for _, owner := range []string{"", user.NewID(), strings.ToUpper(ann), "%", ann + "' OR '1'='1"} {
		if got, err := s.Sessions().List(t.Context(), owner, 10); err != nil || len(got) != 0 {
			t.Errorf("List(%q) = %d sessions, %v, want none", owner, len(got), err)
		}
	}

	// Made at once: each is there once.
	cleo := someUser(t, s, "cleo").ID
	ids := make(map[session.ID]bool)
	for range 5 {
		rec := leastSession(cleo)
		rec.Created = start
		mustCreateSession(t, s, rec)
		ids[rec.ID] = true
	}
	got, err := s.Sessions().List(t.Context(), cleo, 10)
	if err != nil || len(got) != 5 {
		t.Errorf("List() = %d sessions, %v, want 5", len(got), err)
	}
	for _, rec := range got {
		if !ids[rec.ID] {
			t.Errorf("List() has %v twice, or somebody else's", rec.ID)
		}
		delete(ids, rec.ID)
	}
}

// testSessionText: text comes back as it went in, and picks just that session.
func testSessionText(t *testing.T, open SharedOpener) {
	s := fresh(t, open)
	owner := someUser(t, s, "owner").ID
	with := func(text string) session.Record {
		rec := fullSession(owner)
		rec.Provider, rec.Issuer, rec.Subject, rec.ProviderSession, rec.Agent = text, text, text, text, text
		rec.Scopes = map[string][]string{text: {text, ""}, "": {text}}
		return rec
	}
	for _, text := range []string{
		"'; DROP TABLE gatewright_sessions; --", `"`, `\`, `\u0000`, "%s", "?1", "$1", ":id", "null", "[]", `{"a":["b"]}`, "true", "1e999", "0", "x'00'",
		"\u202eevil", "👩‍👩‍👧‍👦", "a\u0301", "á", "Á", " lead and trail ", "tab\tnewline\n", "\x7f", "<script>", "\ufeff", "\ufffd", strings.Repeat("x", 100_000),
	} {
		rec := with(text)
		mustCreateSession(t, s, rec)
		loadsSession(t, s, rec)
		m := session.Match{Issuer: text, Subject: text, ProviderSession: text}
		if n, err := s.Sessions().Delete(t.Context(), m); n != 1 || err != nil {
			t.Errorf("Delete of what %.40q picks = %d, %v, want 1", text, n, err)
		}
		mustCreateSession(t, s, rec) // may the next one miss it
	}
	// What is no text may be refused; it is never changed.
	for _, text := range []string{"a\x00b", "\x00", "\xff", "a\xc3", "\xed\xa0\x80"} {
		for name, rec := range map[string]session.Record{"all": with(text), "agent": fullSession(owner)} {
			if name == "agent" {
				rec.Agent = text
			}
			if err := s.Sessions().Create(t.Context(), rec); err != nil {
				lacksSession(t, s, rec.ID)
				continue
			}
			loadsSession(t, s, rec)
		}
	}
}

// testSessionUse: calls of all kinds at once disturb each other in nothing.
func testSessionUse(t *testing.T, open SharedOpener) {
	one, two := pair(t, open)
	owner := someUser(t, one, "busy")
	var wait sync.WaitGroup
	for i := range 12 {
		s := []store.Shared{one, two}[i%2]
		wait.Go(func() {
			for range 8 {
				rec := fullSession(owner.ID)
				mustDo(t, s.Sessions().Create(t.Context(), rec))
				loadsSession(t, s, rec)
				rec.Used, rec.Idle = rec.Used.Add(time.Minute), rec.Idle.Add(time.Minute)
				mustDo(t, s.Sessions().Touch(t.Context(), rec.ID, rec.Used, rec.Idle))
				rec.Tokens = rec.ID[:]
				mustDo(t, s.Sessions().SaveTokens(t.Context(), rec.ID, rec.Tokens, nil))
				loadsSession(t, s, rec)
				_, err := s.Sessions().List(t.Context(), owner.ID, 5)
				mustDo(t, err)
				mustDo(t, s.Sweep(t.Context(), time.Now()))
				loadsSession(t, s, rec)
				if n, err := s.Sessions().Delete(t.Context(), session.Match{ID: rec.ID, User: owner.ID}); n != 1 || err != nil {
					t.Errorf("Delete() = %d, %v, want 1", n, err)
				}
				lacksSession(t, s, rec.ID)
			}
		})
	}
	wait.Wait()
}
