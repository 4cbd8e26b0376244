package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/user"
)

// full is a record with every member set.
func full(id, owner string) apikey.Record {
	at := instant()
	return apikey.Record{
		ID:          id,
		Environment: apikey.Live,
		Hash:        [32]byte{0: 0xff, 15: 0x00, 31: 0x80},
		Owner:       apikey.Owner{User: owner},
		Label:       "laptop",
		Schemes:     []string{"apiKey", "basic"},
		Scopes:      []string{"posts:write", "a \"quoted\" role"},
		Bound:       true,
		Created:     at,
		Expires:     at.Add(time.Hour),
		LastUsed:    at.Add(time.Minute),
		Revoked:     at.Add(time.Second),
		ReplacedBy:  "abcdefghijklm",
	}
}

// sameKey compares records; no names and an empty list of names are the same.
func sameKey(t *testing.T, got, want apikey.Record) {
	t.Helper()
	if !slices.Equal(got.Schemes, want.Schemes) || !slices.Equal(got.Scopes, want.Scopes) {
		t.Errorf("schemes %q and scopes %q, want %q and %q", got.Schemes, got.Scopes, want.Schemes, want.Scopes)
	}
	got.Schemes, got.Scopes, want.Schemes, want.Scopes = nil, nil, nil, nil
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("record %s, want %s", g, w)
	}
}

func testKeys(t *testing.T, open Opener) {
	s := fresh(t, open)
	owner := someUser(t, s, "owner")
	byUser, byClient := full("user000000000", owner.ID), key("client0000000")
	byClient.Owner.ClientName = "Robot"
	for _, rec := range []apikey.Record{byUser, byClient} {
		mustCreate(t, s, rec)
		sameKey(t, mustLoad(t, s, rec.ID), rec)
	}

	taken := key(byUser.ID)
	taken.Label = "intruder"
	if err := s.Keys().Create(t.Context(), taken); !errors.Is(err, apikey.ErrExists) {
		t.Errorf("Create() of an id that is taken = %v, want ErrExists", err)
	}
	sameKey(t, mustLoad(t, s, byUser.ID), byUser)

	orphan := key("orphan0000000")
	orphan.Owner = apikey.Owner{User: user.NewID()}
	if err := s.Keys().Create(t.Context(), orphan); err == nil {
		t.Error("Create() for a user that does not exist = nil, want an error")
	}
	if _, err := s.Keys().Load(t.Context(), orphan.ID); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Load() of a key that was refused = %v, want ErrNotFound", err)
	}
}

func testKeyNotFound(t *testing.T, open Opener) {
	s := fresh(t, open)
	mustCreate(t, s, key("0123456789abc"))
	for _, id := range []string{"", "0123456789abd", "0123456789ABC", "0123456789ab", "0123456789abcd", "0123456789abc ", "0123456789abc\x00", "%", "_____________", "\xff", "' OR 1=1 --"} {
		if _, err := s.Keys().Load(t.Context(), id); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("Load(%q) = %v, want ErrNotFound", id, err)
		}
		if err := s.Keys().Revoke(t.Context(), id, instant()); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("Revoke(%q) = %v, want ErrNotFound", id, err)
		}
		if err := s.Keys().Touch(t.Context(), id, instant()); err != nil {
			t.Errorf("Touch(%q) = %v, want nil", id, err)
		}
		if err := s.Keys().Relabel(t.Context(), id, "mine now"); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("Relabel(%q) = %v, want ErrNotFound", id, err)
		}
		if err := s.Keys().Rotate(t.Context(), id, later(), key("newkey0000000")); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("Rotate(%q) = %v, want ErrNotFound", id, err)
		}
	}
	rec := mustLoad(t, s, "0123456789abc")
	if !rec.Revoked.IsZero() || !rec.LastUsed.IsZero() {
		t.Errorf("calls for other ids changed %+v", rec)
	}
}

// testKeyIDs: ids are exact bytes; those that differ in case are two keys.
func testKeyIDs(t *testing.T, open Opener) {
	s := fresh(t, open)
	upper, lower := key("ABCDEFGHIJKLM"), key("abcdefghijklm")
	upper.Label, lower.Label = "upper", "lower"
	mustCreate(t, s, upper)
	mustCreate(t, s, lower)
	if err := s.Keys().Revoke(t.Context(), lower.ID, instant()); err != nil {
		t.Fatalf("Revoke() = %v", err)
	}
	sameKey(t, mustLoad(t, s, upper.ID), upper)
	if got := mustLoad(t, s, lower.ID); got.Label != "lower" || got.Revoked.IsZero() {
		t.Errorf("Load(%q) = %+v, want the other key, revoked", lower.ID, got)
	}
}

func testCreateRace(t *testing.T, open Opener) {
	s := fresh(t, open)
	var made atomic.Int32
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			switch err := s.Keys().Create(t.Context(), key("0123456789abc")); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, apikey.ErrExists):
				t.Errorf("Create() = %v", err)
			}
		})
	}
	wait.Wait()
	if made.Load() != 1 {
		t.Errorf("%d of 20 calls made the key, want 1", made.Load())
	}
}

func testKeyList(t *testing.T, open Opener) {
	s := fresh(t, open)
	one, two := someUser(t, s, "one"), someUser(t, s, "two")
	owners := []apikey.Owner{{User: one.ID}, {User: two.ID}, {Client: "robot", ClientName: "R"}, {Client: one.ID}}
	want := map[apikey.Owner][]string{}
	for i := range 40 {
		rec := key(secret.ID(13))
		rec.Owner = owners[i%len(owners)]
		mustCreate(t, s, rec)
		want[rec.Owner] = append(want[rec.Owner], rec.ID)
		want[apikey.Owner{}] = append(want[apikey.Owner{}], rec.ID)
	}
	for owner, ids := range want {
		slices.Sort(ids)
		var got []string
		q := apikey.Query{Owner: owner, Limit: 7}
		for {
			page, err := s.Keys().List(t.Context(), q)
			if err != nil || len(page) > q.Limit {
				t.Fatalf("List(%+v) = %d records, %v", q, len(page), err)
			}
			if len(page) == 0 {
				break
			}
			for _, rec := range page {
				got = append(got, rec.ID)
			}
			q.After = got[len(got)-1]
		}
		if !slices.Equal(got, ids) {
			t.Errorf("List of %+v page by page = %q, want %q", owner, got, ids)
		}
	}
	for name, q := range map[string]apikey.Query{
		"limit 0":       {},
		"unknown user":  {Owner: apikey.Owner{User: user.NewID()}, Limit: 10},
		"hostile owner": {Owner: apikey.Owner{Client: "robot' OR '1'='1"}, Limit: 10},
		"both owners":   {Owner: apikey.Owner{User: one.ID, Client: "robot"}, Limit: 10},
	} {
		if page, err := s.Keys().List(t.Context(), q); err != nil || len(page) != 0 {
			t.Errorf("List with %s = %d records, %v, want none", name, len(page), err)
		}
	}
}

// testRevoke: a key is revoked once, and keeps the time of it.
func testRevoke(t *testing.T, open Opener) {
	s := fresh(t, open)
	rec := key("0123456789abc")
	mustCreate(t, s, rec)
	first := instant().Add(-time.Hour)
	for _, at := range []time.Time{first, first.Add(time.Minute), first.Add(-time.Minute)} {
		if err := s.Keys().Revoke(t.Context(), rec.ID, at); err != nil {
			t.Errorf("Revoke(%v) = %v", at, err)
		}
		if got := mustLoad(t, s, rec.ID).Revoked; !got.Equal(first) {
			t.Errorf("revoked at %v, want %v", got, first)
		}
	}
	// Use does not bring a key back, nor does making it anew.
	if err := s.Keys().Touch(t.Context(), rec.ID, instant()); err != nil {
		t.Errorf("Touch() = %v", err)
	}
	if err := s.Keys().Create(t.Context(), rec); !errors.Is(err, apikey.ErrExists) {
		t.Errorf("Create() of a revoked key = %v, want ErrExists", err)
	}
	if got := mustLoad(t, s, rec.ID).Revoked; !got.Equal(first) {
		t.Errorf("revoked at %v, want %v", got, first)
	}
}

func testRevokeRace(t *testing.T, open Opener) {
	s := fresh(t, open)
	rec := key("0123456789abc")
	mustCreate(t, s, rec)
	at := instant()
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			if err := s.Keys().Revoke(t.Context(), rec.ID, at.Add(time.Duration(i)*time.Second)); err != nil {
				t.Errorf("Revoke() = %v", err)
			}
			if mustLoad(t, s, rec.ID).Revoked.IsZero() {
				t.Error("a key is not revoked after Revoke returned")
			}
		})
	}
	wait.Wait()
}

// testTouch: the time of last use only moves forward.
func testTouch(t *testing.T, open Opener) {
	s := fresh(t, open)
	rec := key("0123456789abc")
	mustCreate(t, s, rec)
	at := instant()
	for _, c := range []struct{ touch, want time.Time }{
		{at, at},
		{at.Add(time.Minute), at.Add(time.Minute)},
		{at, at.Add(time.Minute)},
	} {
		if err := s.Keys().Touch(t.Context(), rec.ID, c.touch); err != nil {
			t.Fatalf("Touch(%v) = %v", c.touch, err)
		}
		if got := mustLoad(t, s, rec.ID).LastUsed; !got.Equal(c.want) {
			t.Errorf("last used %v after Touch(%v), want %v", got, c.touch, c.want)
		}
	}
}

// testHostileText: text comes back as it went in.
func testHostileText(t *testing.T, open Opener) {
	s := fresh(t, open)
	for i, text := range []string{
		"'; DROP TABLE gatewright_keys; --", `"`, `\`, `\u0000`, "%s", "?1", "$1", ":id", "null", "[]", `["a"]`, "{}", "true", "1e999",
		"\u202eevil", "👩‍👩‍👧‍👦", "a\u0301", "á", " lead and trail ", "tab\tnewline\n", "\x7f", "<script>", "\ufeff", "\ufffd", strings.Repeat("x", 100_000),
	} {
		rec := key(fmt.Sprintf("hostile%06d", i))
		rec.Label, rec.Owner = text, apikey.Owner{Client: text, ClientName: text}
		rec.Schemes, rec.Scopes = []string{text, "b"}, []string{"", text}
		mustCreate(t, s, rec)
		sameKey(t, mustLoad(t, s, rec.ID), rec)
		page, err := s.Keys().List(t.Context(), apikey.Query{Owner: apikey.Owner{Client: text}, Limit: 10})
		if err != nil || len(page) != 1 {
			t.Errorf("List of client %.40q = %d records, %v, want one", text, len(page), err)
		}
	}
}

// testConcurrentUse: calls of all kinds at once disturb each other in nothing.
func testConcurrentUse(t *testing.T, open Opener) {
	s := fresh(t, open)
	owner := someUser(t, s, "busy")
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			for j := range 10 {
				rec := full(fmt.Sprintf("%06dx%06d", i, j), owner.ID)
				rec.Revoked, rec.LastUsed = time.Time{}, time.Time{}
				mustDo(t, s.Keys().Create(t.Context(), rec))
				got, err := s.Keys().Load(t.Context(), rec.ID)
				mustDo(t, err)
				sameKey(t, got, rec)
				mustDo(t, s.Keys().Touch(t.Context(), rec.ID, rec.Created))
				mustDo(t, s.Keys().Revoke(t.Context(), rec.ID, rec.Created))
				_, err = s.Keys().List(t.Context(), apikey.Query{Owner: rec.Owner, Limit: 5})
				mustDo(t, err)
				_, err = s.Users().Ensure(t.Context(), owner.Issuer, owner.Subject, user.Profile{Name: rec.ID})
				mustDo(t, err)
				rec.LastUsed, rec.Revoked = rec.Created, rec.Created
				got, err = s.Keys().Load(t.Context(), rec.ID)
				mustDo(t, err)
				sameKey(t, got, rec)
			}
		})
	}
	wait.Wait()
	page, err := s.Keys().List(t.Context(), apikey.Query{Limit: 1000})
	if err != nil || len(page) != 160 {
		t.Errorf("List() = %d records, %v, want 160", len(page), err)
	}
}

// mustDo reports err; unlike Fatal it may be called from any goroutine.
func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
