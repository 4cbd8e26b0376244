package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store"
)

// testRotate: both records change, or none.
func testRotate(t *testing.T, open Opener) {
	s := fresh(t, open)
	now := instant()
	make := func(id string, change func(*apikey.Record)) apikey.Record {
		rec := key(id)
		change(&rec)
		mustCreate(t, s, rec)
		return rec
	}
	for name, c := range map[string]struct {
		old     apikey.Record
		until   time.Time
		expires time.Time // zero: it is refused
		want    error
	}{
		"never expires":          {make("old0000000001", func(*apikey.Record) {}), now.Add(time.Hour), now.Add(time.Hour), nil},
		"expires later":          {make("old0000000002", func(r *apikey.Record) { r.Expires = now.Add(2 * time.Hour) }), now.Add(time.Hour), now.Add(time.Hour), nil},
		"expires before":         {make("old0000000003", func(r *apikey.Record) { r.Expires = now.Add(time.Minute) }), now.Add(time.Hour), now.Add(time.Minute), nil},
		"without overlap":        {make("old0000000004", func(*apikey.Record) {}), now, now, nil},
		"revoked":                {make("old0000000005", func(r *apikey.Record) { r.Revoked = now.Add(-time.Minute) }), now.Add(time.Hour), time.Time{}, apikey.ErrDead},
		"expired":                {make("old0000000006", func(r *apikey.Record) { r.Expires = now }), now.Add(time.Hour), time.Time{}, apikey.ErrDead},
		"rotated before":         {make("old0000000007", func(r *apikey.Record) { r.ReplacedBy = "somethingelse" }), now.Add(time.Hour), time.Time{}, apikey.ErrDead},
		"unknown":                {key("old0000000008"), now.Add(time.Hour), time.Time{}, apikey.ErrNotFound},
		"to an id that is taken": {make("old0000000009", func(*apikey.Record) {}), now.Add(time.Hour), time.Time{}, apikey.ErrExists},
	} {
		rec := key("new" + c.old.ID[3:])
		rec.Created, rec.Label = now, "rotated"
		if errors.Is(c.want, apikey.ErrExists) {
			mustCreate(t, s, key(rec.ID))
		}
		if err := s.Keys().Rotate(t.Context(), c.old.ID, c.until, rec); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: Rotate() = %v, want %v", name, err, c.want)
			continue
		}
		old, after := c.old, rec
		if c.want == nil {
			old.ReplacedBy, old.Expires = rec.ID, c.expires
			sameKey(t, mustLoad(t, s, after.ID), after)
		} else if got, err := s.Keys().Load(t.Context(), rec.ID); err == nil && got.Label == "rotated" {
			t.Errorf("%s: Rotate() was refused and made a key all the same", name)
		}
		if !errors.Is(c.want, apikey.ErrNotFound) {
			sameKey(t, mustLoad(t, s, old.ID), old)
		}
	}
	one, two := make("old1000000001", func(*apikey.Record) {}), make("old1000000002", func(*apikey.Record) {})
	mustDo(t, s.Keys().Rotate(t.Context(), one.ID, later(), key("new1000000001")))
	if err := s.Keys().Rotate(t.Context(), one.ID, later(), key("new1000000002")); !errors.Is(err, apikey.ErrDead) {
		t.Errorf("a second Rotate() = %v, want ErrDead", err)
	}
	sameKey(t, mustLoad(t, s, two.ID), two)
}

// testRotateRace: of many calls for one key one succeeds, and it made a key.
func testRotateRace(t *testing.T, open Opener) {
	one, two := pair(t, open)
	mustCreate(t, one, key("0123456789abc"))
	var made atomic.Int32
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			s := []store.Stores{one, two}[i%2]
			switch err := s.Keys().Rotate(t.Context(), "0123456789abc", later(), key(fmt.Sprintf("rotated%06d", i))); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, apikey.ErrDead):
				t.Errorf("Rotate() = %v", err)
			}
		})
	}
	wait.Wait()
	recs, err := one.Keys().List(t.Context(), apikey.Query{Limit: 100})
	if made.Load() != 1 || len(recs) != 2 || err != nil {
		t.Errorf("%d of 20 calls rotated the key and there are %d keys (%v), want 1 and 2", made.Load(), len(recs), err)
	}
}

func testRelabel(t *testing.T, open Opener) {
	s := fresh(t, open)
	owner := someUser(t, s, "owner")
	rec, other := full("0123456789abc", owner.ID), key("0123456789abd")
	mustCreate(t, s, rec)
	mustCreate(t, s, other)
	for _, label := range []string{"CI", strings.Repeat("é", 100), "'; DROP TABLE gatewright_keys; --"} {
		mustDo(t, s.Keys().Relabel(t.Context(), rec.ID, label))
		rec.Label = label
		sameKey(t, mustLoad(t, s, rec.ID), rec)
	}
	sameKey(t, mustLoad(t, s, other.ID), other)
}

// testSweepKeys: keys that died long ago go, all others stay.
func testSweepKeys(t *testing.T, open Opener) {
	s := fresh(t, open)
	now := instant()
	long, short := now.Add(-apikey.KeptDead), now.Add(-apikey.KeptDead+time.Minute)
	kept := map[string]bool{}
	for i, c := range []struct {
		revoked, expires time.Time
		kept             bool
	}{
		{time.Time{}, time.Time{}, true},
		{short, time.Time{}, true},
		{time.Time{}, short, true},
		{short, short, true},
		{time.Time{}, now.Add(time.Hour), true},
		{long, time.Time{}, false},
		{time.Time{}, long, false},
		{short, long, false},
		{long, now.Add(time.Hour), false},
	} {
		rec := key(fmt.Sprintf("swept%08d", i))
		rec.Revoked, rec.Expires = c.revoked, c.expires
		mustCreate(t, s, rec)
		kept[rec.ID] = c.kept
	}
	mustDo(t, s.Sweep(t.Context(), now))
	for id, want := range kept {
		if _, err := s.Keys().Load(t.Context(), id); (err == nil) != want || err != nil && !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("Load(%q) after Sweep = %v, want it kept: %v", id, err, want)
		}
	}
}
