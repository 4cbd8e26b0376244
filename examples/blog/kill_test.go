package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

// times is how often something is tried: more often with LONG=1.
func times(short, long int) int {
	if os.Getenv("LONG") == "1" {
		return long
	}
	return short
}

// TestKilled kills the blog in the middle of making and rotating keys, again
// and again. Whatever moment that is, no key is half there: one that somebody
// got works and is listed, and what is listed is whole.
func TestKilled(t *testing.T) {
	program := build(t)
	t.Run("PostgreSQL", func(t *testing.T) {
		testKilled(t, program, testenv.Postgres(t).URL(), times(20, 200))
	})
	t.Run("SQLite", func(t *testing.T) {
		testKilled(t, program, "sqlite:"+filepath.Join(t.TempDir(), "keys.db"), times(5, 50))
	})
}

// perUser is how many rounds one person takes part in: the records of dead keys
// are kept, and there may be a thousand.
const perUser = 20

func testKilled(t *testing.T, program, at string, rounds int) {
	idp := gatetest.NewProvider(t)
	s := newSite(t, program, idp, "store_file: store.url\n", map[string]string{"store.url": at})
	stores, err := store.Open(t.Context(), store.Config{URL: at}, sqlite.Driver, postgres.Driver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stores.Close() })
	var k *killed
	var sum tally
	for round := range rounds {
		if round%perUser == 0 {
			if k != nil {
				sum.add(k.tally)
			}
			name := fmt.Sprintf("author-%d", round/perUser)
			idp.AddUser(gatetest.User{Subject: name, Name: name, Claims: map[string]any{"groups": []string{"authors"}}})
			idp.SignInAs(name)
			k = &killed{t: t, site: s, stores: stores, guest: s.guest(t), keys: map[string]string{}}
			k.guest.signIn(t)
			_, body := k.guest.must(t, 200, "GET", "/auth/session", "")
			k.read(body, &k.who)
			k.mustCreate("first")
		}
		k.round(round)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	sum.add(k.tally)
	t.Logf("killed %d times: of keys made %d were got, %d are there without an answer, %d are not; of rotations %d, %d and %d; %d were refused since another had been quicker",
		rounds, sum.created.got, sum.created.there, sum.created.none, sum.rotated.got, sum.rotated.there, sum.rotated.none, sum.late)
	if sum.created.got == 0 || sum.rotated.got == 0 {
		t.Error("no key was made, or none rotated: this tests nothing")
	}
	if there := sum.created.none + sum.created.there + sum.rotated.none + sum.rotated.there; there < rounds {
		t.Errorf("%d requests were under way in %d rounds: the blog was not killed in the middle of them", there, rounds)
	}
}

// A tally is what came of requests: they were answered; or they were not, and
// are done or are not.
type tally struct {
	created, rotated struct{ got, there, none int }
	late             int
}

func (s *tally) add(o tally) {
	s.created.got, s.created.there, s.created.none = s.created.got+o.created.got, s.created.there+o.created.there, s.created.none+o.created.none
	s.rotated.got, s.rotated.there, s.rotated.none = s.rotated.got+o.rotated.got, s.rotated.there+o.rotated.there, s.rotated.none+o.rotated.none
	s.late += o.late
}

// A killed is a person whose keys are made while the blog is killed.
type killed struct {
	t      *testing.T
	site   *site
	stores store.Stores
	guest  *guest
	who    struct {
		ID   string `json:"id"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}

	mu   sync.Mutex
	keys map[string]string // those that the person got and that are not revoked, by id
	tally
}

// A listed key is one as the endpoints show it.
type listed struct {
	ID         string    `json:"id"`
	Label      string    `json:"label"`
	Scopes     []string  `json:"scopes"`
	State      string    `json:"state"`
	Expires    time.Time `json:"expires"`
	ReplacedBy string    `json:"replaced_by"`
}

func (k *killed) read(text string, into any) {
	k.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		k.t.Fatalf("%v: %s", err, text)
	}
}

// send asks for a new key, and keeps it. It is false where no whole answer
// came.
func (k *killed) send(path, body string) (listed, int, bool) {
	status, _, text, err := k.guest.ask(k.t.Context(), http.MethodPost, path, body)
	if err != nil {
		return listed{}, 0, false
	}
	var made struct {
		Key    string `json:"key"`
		Record listed `json:"record"`
	}
	if status == http.StatusConflict {
		return listed{}, status, true
	}
	if err := json.Unmarshal([]byte(text), &made); err != nil || status != http.StatusCreated {
		k.t.Errorf("POST %s = %d %s", path, status, text)
		return listed{}, status, true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[made.Record.ID] = made.Key
	return made.Record, status, true
}

func (k *killed) create(label string) (listed, bool) {
	rec, _, ok := k.send("/auth/keys", fmt.Sprintf(`{"label":%q,"scopes":["posts:write"],"expires_in":"30d"}`, label))
	return rec, ok
}

func (k *killed) mustCreate(label string) {
	k.t.Helper()
	if _, ok := k.create(label); !ok {
		k.t.Fatal("the blog makes no key")
	}
}

// attempts are requests that nobody answered: labels of keys, and ids of those
// that were to be rotated.
type attempts struct {
	mu      sync.Mutex
	creates []string
	rotates []string
}

// most is how many requests each of the callers makes in one round.
const most = 8

// round has keys made and rotated at once, kills the blog meanwhile, starts it
// again and looks at what there is.
func (k *killed) round(n int) {
	before := k.list()
	var open attempts
	var callers sync.WaitGroup
	for i := range 2 {
		callers.Go(func() {
			for j := range most {
				label := fmt.Sprintf("round %d caller %d key %d", n, i, j)
				if _, ok := k.create(label); !ok {
					open.mu.Lock()
					open.creates = append(open.creates, label)
					open.mu.Unlock()
					return
				}
				k.mu.Lock()
				k.created.got++
				k.mu.Unlock()
			}
		})
	}
	// All of these begin with the same key, which only one can rotate.
	for range 3 {
		callers.Go(func() {
			id := before[0].ID
			for range most {
				rec, status, ok := k.send("/auth/keys/"+id+"/rotate", "")
				switch {
				case !ok:
					open.mu.Lock()
					open.rotates = append(open.rotates, id)
					open.mu.Unlock()
					return
				case status == http.StatusConflict:
					k.mu.Lock()
					k.late++
					k.mu.Unlock()
					if now, ok := k.successor(id); ok {
						id = now
						continue
					}
					return
				}
				k.mu.Lock()
				k.rotated.got++
				k.mu.Unlock()
				id = rec.ID
			}
		})
	}
	// Once the first is answered, the others are in the middle.
	done := func() int { k.mu.Lock(); defer k.mu.Unlock(); return k.created.got + k.rotated.got }
	for begun, first := time.Now(), done(); done() == first && time.Since(begun) < time.Second; time.Sleep(time.Millisecond) {
	}
	time.Sleep(time.Duration(rand.Int64N(int64(80 * time.Millisecond))))
	k.site.kill()
	callers.Wait()
	k.guest.client.CloseIdleConnections()
	k.site.start(k.t)
	k.check(n, &open)
	k.tidy(n)
}

// successor is what a key was rotated to.
func (k *killed) successor(id string) (string, bool) {
	status, _, text, err := k.guest.ask(k.t.Context(), http.MethodGet, "/auth/keys/"+id, "")
	var rec listed
	if err != nil || status != 200 || json.Unmarshal([]byte(text), &rec) != nil {
		return "", false
	}
	return rec.ReplacedBy, rec.ReplacedBy != ""
}

// list is what the person is shown, the newest first, without the dead.
func (k *killed) list() []listed {
	k.t.Helper()
	return slices.DeleteFunc(k.all(), func(l listed) bool { return l.State != "active" })
}

func (k *killed) all() []listed {
	k.t.Helper()
	_, text := k.guest.must(k.t, 200, "GET", "/auth/keys", "")
	var out struct {
		Keys []listed `json:"keys"`
	}
	k.read(text, &out)
	return out.Keys
}

// check looks at what there is after the blog was killed.
func (k *killed) check(round int, open *attempts) {
	// The session has survived, and it is the same person's.
	was := k.who
	_, text := k.guest.must(k.t, 200, "GET", "/auth/session", "")
	if k.read(text, &k.who); k.who != was {
		k.t.Errorf("the session is %+v, was %+v", k.who, was)
	}

	shown := map[string]listed{}
	byLabel := map[string][]listed{}
	for _, l := range k.all() {
		shown[l.ID] = l
		byLabel[l.Label] = append(byLabel[l.Label], l)
	}
	k.checkRecords(shown)

	// Whoever was given a key can use it, rotated or not, and it is listed.
	for id, key := range k.keys {
		l, ok := shown[id]
		if !ok {
			k.t.Errorf("key %s was given to its owner and is not listed", id)
		}
		if l.State != "active" && l.State != "rotated" {
			k.t.Errorf("key %s is %s", id, l.State)
		}
		if status := k.use(key); status != http.StatusNotFound {
			k.t.Errorf("with key %s GET of no post = %d, want 404", id, status)
		}
	}

	// All keys of a label are the one that was made first and what it was
	// rotated to, one after the other: a rotation that is half there leaves
	// two that nothing takes the place of, or one that something takes the
	// place of which is not there.
	for label, keys := range byLabel {
		last, next := 0, map[string]string{}
		for _, l := range keys {
			if l.ReplacedBy == "" {
				last++
				continue
			}
			to, ok := shown[l.ReplacedBy]
			if !ok || to.Label != label {
				k.t.Errorf("key %s was rotated to %s, which is not listed or called %q, not %q", l.ID, l.ReplacedBy, to.Label, label)
			}
			if by, twice := next[l.ReplacedBy]; twice {
				k.t.Errorf("key %s takes the place of both %s and %s", l.ReplacedBy, by, l.ID)
			}
			next[l.ReplacedBy] = l.ID
		}
		if last != 1 {
			k.t.Errorf("%q: %d keys whose place none takes, want 1: %+v", label, last, keys)
		}
	}

	// What nobody was told of is done or is not.
	for _, label := range open.creates {
		if len(byLabel[label]) > 0 {
			k.created.there++
		} else {
			k.created.none++
		}
	}
	for _, id := range open.rotates {
		// The same rotation may have been another's.
		if _, given := k.keys[shown[id].ReplacedBy]; shown[id].ReplacedBy != "" && !given {
			k.rotated.there++
		} else {
			k.rotated.none++
		}
	}
}

// checkRecords compares what the person is shown with the records themselves.
func (k *killed) checkRecords(shown map[string]listed) {
	recs, err := k.stores.Keys().List(k.t.Context(), apikey.Query{Limit: 100_000})
	if err != nil {
		k.t.Fatal(err)
	}
	mine := 0
	for _, rec := range recs {
		if rec.Owner.User == "" || rec.Owner.Client != "" || !rec.Bound || rec.Environment != apikey.Test || rec.Label == "" ||
			rec.Hash == [32]byte{} || rec.Created.IsZero() || rec.Expires.IsZero() || !slices.Equal(rec.Scopes, []string{"posts:write"}) {
			k.t.Errorf("the record of a key is not whole: %+v", rec)
		}
		if rec.Owner.User != k.who.User.ID {
			continue
		}
		mine++
		l, ok := shown[rec.ID]
		if !ok {
			k.t.Errorf("key %s is there and not listed", rec.ID)
		}
		if l.ReplacedBy != rec.ReplacedBy || !l.Expires.Equal(rec.Expires) || !slices.Equal(l.Scopes, rec.Scopes) {
			k.t.Errorf("key %s is listed as %+v, its record is %+v", rec.ID, l, rec)
		}
		// A rotated key has its time cut to the overlap, one that is not
		// has all of it.
		if day := 24 * time.Hour; (rec.Expires.Sub(rec.Created) < 2*day) != (rec.ReplacedBy != "") {
			k.t.Errorf("key %s expires %s after it was made, and its successor is %q", rec.ID, rec.Expires.Sub(rec.Created), rec.ReplacedBy)
		}
	}
	if mine != len(shown) {
		k.t.Errorf("%d keys are there, %d are listed", mine, len(shown))
	}
}

// use is the status of an attempt to read a post that is not there: 404 for a
// key that is good.
func (k *killed) use(key string) int {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), waitFor)
	defer cancel()
	status, _, _, err := k.guest.ask(ctx, http.MethodGet, "/posts/aaaaaaaa", "", "Authorization", "apikey "+key)
	if err != nil {
		k.t.Fatal(err)
	}
	return status
}

// tidy revokes all keys but one, lest there be too many.
func (k *killed) tidy(round int) {
	all := k.all()
	kept := slices.IndexFunc(all, func(l listed) bool { _, given := k.keys[l.ID]; return given && l.State == "active" })
	if kept < 0 {
		k.mustCreate(fmt.Sprintf("round %d afterwards", round))
	}
	for i, l := range all {
		if i == kept || l.State == "revoked" {
			continue
		}
		k.guest.must(k.t, 204, "DELETE", "/auth/keys/"+l.ID, "")
		key, given := k.keys[l.ID]
		delete(k.keys, l.ID)
		if given && i%8 == 0 {
			if status := k.use(key); status != http.StatusUnauthorized {
				k.t.Errorf("with the revoked key %s GET = %d, want 401", l.ID, status)
			}
		}
	}
}
