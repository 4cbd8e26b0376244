package apikey_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
)

// ownScopes has the keys know some scopes.
func ownScopes(c *apikey.Config) {
	c.Scopes = map[string][]string{"apiKey": {"posts:write", "posts:edit"}, "basic": {"posts:write"}, "other": {}}
}

// hold has the fixture's user hold scopes.
func (f *fixture) hold(t *testing.T, scopes ...string) apikey.Owner {
	t.Helper()
	u := f.user(t)
	if err := f.stores.Users().SetScopes(t.Context(), u.ID, scopes); err != nil {
		t.Fatal(err)
	}
	return apikey.Owner{User: u.ID}
}

// TestBound: a key of its owner's making has no scope that they lack, when it
// is made and ever after.
func TestBound(t *testing.T) {
	f := setup(t, ownScopes)
	owner := f.hold(t, "posts:write", "admin")
	for _, c := range []struct {
		scopes []string
		want   string // "": it is made
	}{
		{nil, ""},
		{[]string{"posts:write"}, ""},
		{[]string{"posts:edit"}, `"posts:edit" is above what its owner holds: posts:write`},
		{[]string{"admin"}, `scope "admin" is unknown`}, // held, and the document does not know it
	} {
		_, rec, err := f.keys.Create(t.Context(), apikey.CreateRequest{Owner: owner, Label: "l", Scopes: c.scopes, Bound: true})
		switch {
		case c.want == "" && (err != nil || !rec.Bound):
			t.Errorf("Create(%q) = %+v, %v, want a bound key", c.scopes, rec, err)
		case c.want != "" && (!errors.Is(err, apikey.ErrRequest) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("Create(%q) = %v, want %s", c.scopes, err, c.want)
		}
	}
	if _, _, err := f.keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{Client: "c"}, Label: "l", Bound: true}); !errors.Is(err, apikey.ErrRequest) {
		t.Errorf("Create() of a bound key of a client = %v, want ErrRequest", err)
	}

	bound, _, err := f.keys.Create(t.Context(), apikey.CreateRequest{Owner: owner, Label: "l", Scopes: []string{"posts:write"}, Bound: true})
	if err != nil {
		t.Fatal(err)
	}
	free, _, err := f.keys.Create(t.Context(), apikey.CreateRequest{Owner: owner, Label: "l", Scopes: []string{"posts:edit"}})
	if err != nil {
		t.Fatalf("an operator's key is not bound by what its user holds: %v", err)
	}
	holds := func(key, when string, want ...string) {
		t.Helper()
		id, err := f.verify(home, key)
		if err != nil || !slices.Equal(id.Scopes, gate.Scopes(want)) {
			t.Errorf("%s the key holds %q, %v, want %q", when, id.Scopes, err, want)
		}
	}
	holds(bound.Reveal(), "at first", "posts:write")
	f.hold(t, "posts:edit")
	holds(bound.Reveal(), "when its owner lost the scope")
	holds(free.Reveal(), "not bound,", "posts:edit")
	f.hold(t, "posts:edit", "posts:write")
	holds(bound.Reveal(), "when its owner has the scope again", "posts:write")
}

func TestGrantable(t *testing.T) {
	f := setup(t, ownScopes)
	f.hold(t, "posts:write", "admin", "posts:edit")
	rec := f.user(t)
	if got := f.keys.Grantable(rec); !slices.Equal(got, []string{"posts:edit", "posts:write"}) {
		t.Errorf("Grantable() = %q, want what is held and known", got)
	}
}

// TestMaxOwn: a person makes a bounded number of keys; dead ones do not count.
func TestMaxOwn(t *testing.T) {
	f := setup(t, ownScopes)
	owner := f.hold(t)
	req := apikey.CreateRequest{Owner: owner, Label: "l", Bound: true, Expires: f.now.Add(time.Hour)}
	var last apikey.Record
	for i := range apikey.MaxOwn {
		_, rec, err := f.keys.Create(t.Context(), req)
		if err != nil {
			t.Fatalf("key %d: %v", i+1, err)
		}
		last = rec
	}
	if _, _, err := f.keys.Create(t.Context(), req); !errors.Is(err, apikey.ErrRequest) || !strings.Contains(err.Error(), "50 keys already") {
		t.Errorf("one key too many = %v, want ErrRequest", err)
	}
	if err := f.keys.Revoke(t.Context(), last.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.keys.Create(t.Context(), req); err != nil {
		t.Errorf("a key in the place of a revoked one = %v", err)
	}
}

// TestEnvironments: keys of both kinds can be made, and one is taken. The
// client is told nothing of why.
func TestEnvironments(t *testing.T) {
	f := setup(t, nil)
	for env, taken := range map[apikey.Environment]bool{"": true, apikey.Live: true, apikey.Test: false} {
		key, rec := f.create(t, apikey.CreateRequest{Environment: env})
		_, err := f.verify(home, key)
		if (err == nil) != taken {
			t.Errorf("a key for %q = %v, want it taken: %v", env, err, taken)
		}
		if !taken && (!errors.Is(err, gate.ErrInvalid) || !strings.Contains(err.Error(), "it is for test, not live")) {
			t.Errorf("a key for %q = %v, want the reason for the log", env, err)
		}
		if rec.Environment != apikey.Live && env != apikey.Test || !strings.HasPrefix(key, "gw_"+string(rec.Environment)+"_") {
			t.Errorf("a key for %q is %.8s… of %q", env, key, rec.Environment)
		}
	}
	if _, _, err := f.keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{Client: "c"}, Label: "l", Environment: "staging"}); !errors.Is(err, apikey.ErrRequest) {
		t.Errorf("Create() for staging = %v, want ErrRequest", err)
	}
}

// TestRotate: the new key is as the old one was; both are good for the overlap.
func TestRotate(t *testing.T) {
	f := setup(t, ownScopes)
	owner := f.hold(t, "posts:write")
	old, rec, err := f.keys.Create(t.Context(), apikey.CreateRequest{
		Owner: owner, Label: "CI", Schemes: []string{"apiKey"}, Scopes: []string{"posts:write"}, Bound: true, Expires: f.now.Add(10 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Hour)
	fresh, made, err := f.keys.Rotate(t.Context(), rec.ID, 30*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if made.ID == rec.ID || made.Label != "CI" || made.Owner != owner || !made.Bound || !slices.Equal(made.Schemes, rec.Schemes) ||
		!slices.Equal(made.Scopes, rec.Scopes) || made.Environment != rec.Environment || !made.Created.Equal(f.now) || !made.Expires.Equal(f.now.Add(10*time.Hour)) {
		t.Errorf("Rotate() = %+v, want one as %+v was", made, rec)
	}
	for _, key := range []string{old.Reveal(), fresh.Reveal()} {
		if _, err := f.verify(home, key); err != nil {
			t.Errorf("within the overlap: %v", err)
		}
	}
	if _, _, err := f.keys.Rotate(t.Context(), rec.ID, 0); !errors.Is(err, apikey.ErrDead) {
		t.Errorf("a second Rotate() = %v, want ErrDead", err)
	}
	f.now = f.now.Add(30 * time.Minute)
	if _, err := f.verify(home, old.Reveal()); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("the old key after the overlap = %v, want ErrInvalid", err)
	}
	if _, err := f.verify(home, fresh.Reveal()); err != nil {
		t.Errorf("the new key after the overlap = %v", err)
	}
	for _, overlap := range []time.Duration{-1, apikey.MaxOverlap + 1} {
		if _, _, err := f.keys.Rotate(t.Context(), made.ID, overlap); !errors.Is(err, apikey.ErrRequest) {
			t.Errorf("Rotate() with an overlap of %v = %v, want ErrRequest", overlap, err)
		}
	}
	if _, _, err := f.keys.Rotate(t.Context(), "0000000000000", 0); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Rotate() of no key = %v, want ErrNotFound", err)
	}
	for _, event := range []string{"api key created", "api key rotated"} {
		if n := strings.Count(f.log.String(), event); n != 1 {
			t.Errorf("the log has %d lines %q, want 1", n, event)
		}
	}
	if strings.Contains(f.log.String(), fresh.Reveal()[20:]) {
		t.Error("the log holds the key")
	}
}

func TestRelabelKey(t *testing.T) {
	f := setup(t, nil)
	_, rec := f.create(t, apikey.CreateRequest{})
	if err := f.keys.Relabel(t.Context(), rec.ID, "laptop"); err != nil {
		t.Fatal(err)
	}
	if got, err := f.keys.Load(t.Context(), rec.ID); err != nil || got.Label != "laptop" {
		t.Errorf("Load() = %q, %v", got.Label, err)
	}
	for _, label := range []string{"", " x", "a\nb", strings.Repeat("x", 101)} {
		if err := f.keys.Relabel(t.Context(), rec.ID, label); !errors.Is(err, apikey.ErrRequest) {
			t.Errorf("Relabel(%.10q) = %v, want ErrRequest", label, err)
		}
	}
	if err := f.keys.Relabel(t.Context(), "0000000000000", "x"); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Relabel() of no key = %v, want ErrNotFound", err)
	}
}

// lying gives records of others in lists.
type lying struct{ apikey.Store }

func (l lying) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	q.Owner = apikey.Owner{}
	return l.Store.List(ctx, q)
}

func TestListOf(t *testing.T) {
	f := setup(t, nil)
	owner := apikey.Owner{User: f.user(t).ID}
	for range 3 {
		f.create(t, apikey.CreateRequest{Owner: owner})
		f.now = f.now.Add(time.Second)
	}
	f.create(t, apikey.CreateRequest{})
	recs, err := f.keys.ListOf(t.Context(), owner)
	if err != nil || len(recs) != 3 || recs[0].Created.Before(recs[1].Created) || recs[1].Created.Before(recs[2].Created) {
		t.Errorf("ListOf() = %+v, %v, want three, the newest first", recs, err)
	}
	for _, nobody := range []apikey.Owner{{}, {User: "u", Client: "c"}} {
		if _, err := f.keys.ListOf(t.Context(), nobody); err == nil {
			t.Errorf("ListOf(%+v) = nil, want an error", nobody)
		}
	}
	f2 := setup(t, func(c *apikey.Config) { c.Store = lying{f.stores.Keys()} })
	if recs, err := f2.keys.ListOf(t.Context(), owner); err == nil {
		t.Errorf("ListOf() of a store that lists others' keys = %d records, want an error", len(recs))
	}
}

// TestMaxOwnAtOnce: of many requests at once none passes the limit, and every
// key there is is listed.
func TestMaxOwnAtOnce(t *testing.T) {
	f := setup(t, ownScopes)
	owner := f.hold(t)
	var made atomic.Int32
	var all sync.WaitGroup
	for range 3 * apikey.MaxOwn {
		all.Go(func() {
			_, _, err := f.keys.Create(t.Context(), apikey.CreateRequest{Owner: owner, Label: "l", Bound: true, Expires: f.now.Add(time.Hour)})
			if err == nil {
				made.Add(1)
			} else if !errors.Is(err, apikey.ErrRequest) {
				t.Errorf("Create() = %v", err)
			}
		})
	}
	all.Wait()
	recs, err := f.keys.ListOf(t.Context(), owner)
	if made.Load() != apikey.MaxOwn || len(recs) != apikey.MaxOwn || err != nil {
		t.Errorf("%d keys were made and %d are listed (%v), want %d", made.Load(), len(recs), err, apikey.MaxOwn)
	}
}

// TestEveryKeyIsListed: dead keys hide none that is alive, and take room.
func TestEveryKeyIsListed(t *testing.T) {
	f := setup(t, ownScopes)
	owner := f.hold(t)
	alive := 0
	for i := range 2500 {
		rec := apikey.Record{ID: secret.ID(13), Environment: apikey.Live, Owner: owner, Label: "l", Created: f.now, Revoked: f.now}
		if i%100 == 0 {
			rec.Revoked, alive = time.Time{}, alive+1
		}
		if err := f.stores.Keys().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	recs, err := f.keys.ListOf(t.Context(), owner)
	for _, rec := range recs {
		if rec.Alive(f.now) {
			alive--
		}
	}
	if len(recs) != 2500 || alive != 0 || err != nil {
		t.Errorf("ListOf() = %d records, %d alive ones missing, %v", len(recs), alive, err)
	}
	if _, _, err := f.keys.Create(t.Context(), apikey.CreateRequest{Owner: owner, Label: "l", Bound: true}); !errors.Is(err, apikey.ErrRequest) || !strings.Contains(err.Error(), "90 days") {
		t.Errorf("Create() beside so many dead keys = %v, want ErrRequest and when there is room", err)
	}
}
