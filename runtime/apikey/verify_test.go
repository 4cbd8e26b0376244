package apikey_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

var header = gate.Place{In: gate.InHeader, Name: "X-Api-Key"}

// A fixture is a store, keys on it, and a clock that stands still.
type fixture struct {
	keys   *apikey.Keys
	stores store.Stores
	dir    string
	now    time.Time
	log    *strings.Builder
}

// setup makes a fixture; change, unless nil, changes the settings of the keys.
func setup(t *testing.T, change func(*apikey.Config)) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), log: &strings.Builder{}}
	stores, err := sqlite.Open(t.Context(), filepath.Join(f.dir, "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stores.Close() })
	f.stores = stores
	cfg := apikey.Config{
		Store:       stores.Keys(),
		Users:       stores.Users(),
		Environment: apikey.Live,
		Schemes:     []string{"apiKey", "basic", "other"},
		Now:         func() time.Time { return f.now },
		Logger:      slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	if f.keys, err = apikey.New(cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

// user makes a user.
func (f *fixture) user(t *testing.T) user.Record {
	t.Helper()
	rec, err := f.stores.Users().Ensure(t.Context(), user.Local, "ada", user.Profile{Name: "Ada", Email: "ada@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// create makes a key; without an owner, a client's.
func (f *fixture) create(t *testing.T, req apikey.CreateRequest) (string, apikey.Record) {
	t.Helper()
	if req.Owner == (apikey.Owner{}) {
		req.Owner = apikey.Owner{Client: "robot", ClientName: "The robot"}
	}
	req.Label = "a key"
	key, rec, err := f.keys.Create(t.Context(), req)
	if err != nil {
		t.Fatalf("Create(%+v) = %v", req, err)
	}
	return key.Reveal(), rec
}

// verify presents key in a header, from an address.
func (f *fixture) verify(from, key string) (gate.Identity, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = from
	return f.keys.Scheme("apiKey", header).Verify(r.Context(), r, gate.Credential{Place: header, Value: key})
}

const home, away = "192.0.2.1:1000", "198.51.100.1:1000"

func TestVerifyUser(t *testing.T) {
	f := setup(t, nil)
	ada := f.user(t)
	key, rec := f.create(t, apikey.CreateRequest{Owner: apikey.Owner{User: ada.ID}, Scopes: []string{"posts:write"}})
	who, err := f.verify(home, key)
	if err != nil {
		t.Fatalf("Verify() = %v", err)
	}
	if want := ada.User(); who.User == nil || *who.User != want || who.Client != nil {
		t.Errorf("Verify() = user %+v, client %+v, want %+v and none", who.User, who.Client, want)
	}
	if !slices.Equal(who.Scopes, []string{"posts:write"}) || who.Record != rec.ID || !who.AuthTime.IsZero() {
		t.Errorf("Verify() = %+v", who)
	}
}

func TestVerifyClient(t *testing.T) {
	f := setup(t, nil)
	key, rec := f.create(t, apikey.CreateRequest{})
	who, err := f.verify(home, key)
	if err != nil {
		t.Fatalf("Verify() = %v", err)
	}
	if who.User != nil || who.Client == nil || *who.Client != (gate.Client{ID: "robot", Name: "The robot"}) || len(who.Scopes) != 0 || who.Record != rec.ID {
		t.Errorf("Verify() = %+v, want the client alone", who)
	}
}

// TestVerifyRefuses: each cause by itself is enough, and all have one answer.
func TestVerifyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		req   apikey.CreateRequest
		spoil func(t *testing.T, f *fixture, key string, rec apikey.Record) string // returns what is presented
		cause string
	}{
		"malformed":      {spoil: func(_ *testing.T, _ *fixture, key string, _ apikey.Record) string { return key + "0" }, cause: "not a key"},
		"empty":          {spoil: func(*testing.T, *fixture, string, apikey.Record) string { return "" }, cause: "not a key"},
		"wrong checksum": {spoil: func(_ *testing.T, _ *fixture, key string, _ apikey.Record) string { return swapLast(key) }, cause: "not a key"},
		"other prefix": {spoil: func(*testing.T, *fixture, string, apikey.Record) string {
			_, k := apikey.NewKey("xx", apikey.Live)
			return k
		}, cause: "not a key"},
		"other server": {spoil: func(*testing.T, *fixture, string, apikey.Record) string {
			_, k := apikey.NewKey("gw", apikey.Live)
			return k
		}, cause: "unknown id"},
		"test key": {spoil: func(*testing.T, *fixture, string, apikey.Record) string {
			_, k := apikey.NewKey("gw", apikey.Test)
			return k
		}, cause: "for test"},
		"live turns test": {spoil: func(_ *testing.T, _ *fixture, key string, _ apikey.Record) string {
			return apikey.Seal(strings.Replace(key[:65], "live", "test", 1))
		}, cause: "for test"},
		"wrong secret": {spoil: func(_ *testing.T, _ *fixture, key string, _ apikey.Record) string { return wrongSecret(key) }, cause: "wrong secret"},
		"revoked": {spoil: func(t *testing.T, f *fixture, key string, rec apikey.Record) string {
			must(t, f.keys.Revoke(t.Context(), rec.ID))
			return key
		}, cause: "revoked"},
		"expired": {
			req:   apikey.CreateRequest{Expires: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)},
			spoil: func(_ *testing.T, f *fixture, key string, rec apikey.Record) string { f.now = rec.Expires; return key },
			cause: "expired",
		},
		"other scheme": {req: apikey.CreateRequest{Schemes: []string{"basic", "other"}}, spoil: nothing, cause: "does not serve"},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, nil)
			key, rec := f.create(t, c.req)
			if name != "other scheme" {
				if _, err := f.verify(home, key); err != nil {
					t.Fatalf("Verify() before = %v, want nil", err)
				}
			}
			refused(t, f, c.spoil(t, f, key, rec), key, c.cause)
		})
	}
}

// TestVerifyOwner: a user's keys stop with the user, at once, and come back.
func TestVerifyOwner(t *testing.T) {
	f := setup(t, nil)
	ada := f.user(t)
	key, _ := f.create(t, apikey.CreateRequest{Owner: apikey.Owner{User: ada.ID}})
	must(t, f.stores.Users().SetDisabled(t.Context(), ada.ID, true))
	refused(t, f, key, key, "disabled")
	must(t, f.stores.Users().SetDisabled(t.Context(), ada.ID, false))
	if _, err := f.verify(home, key); err != nil {
		t.Errorf("Verify() of a user who is enabled again = %v", err)
	}
}

func TestVerifyOwnerGone(t *testing.T) {
	f := setup(t, func(c *apikey.Config) { c.Users = users{c.Users} })
	key, _ := f.create(t, apikey.CreateRequest{Owner: apikey.Owner{User: f.user(t).ID}})
	gone = true
	defer func() { gone = false }()
	refused(t, f, key, key, "owner is unknown")
}

// gone makes users know nobody.
var gone bool

type users struct{ user.Store }

func (u users) Load(ctx context.Context, id string) (user.Record, error) {
	if gone {
		return user.Record{}, user.ErrNotFound
	}
	return u.Store.Load(ctx, id)
}

func TestExpiryIsExact(t *testing.T) {
	f := setup(t, nil)
	key, rec := f.create(t, apikey.CreateRequest{Expires: f.now.Add(time.Hour)})
	f.now = rec.Expires.Add(-time.Nanosecond)
	if _, err := f.verify(home, key); err != nil {
		t.Errorf("Verify() just before the expiry = %v", err)
	}
}

func TestSchemesOfAKey(t *testing.T) {
	f := setup(t, nil)
	all, _ := f.create(t, apikey.CreateRequest{})
	one, _ := f.create(t, apikey.CreateRequest{Schemes: []string{"other"}})
	for _, c := range []struct {
		scheme, key string
		ok          bool
	}{{"apiKey", all, true}, {"other", all, true}, {"apiKey", one, false}, {"other", one, true}} {
		r := httptest.NewRequest("GET", "/", nil)
		_, err := f.keys.Scheme(c.scheme, header).Verify(r.Context(), r, gate.Credential{Place: header, Value: c.key})
		if (err == nil) != c.ok {
			t.Errorf("Verify() under %s = %v, want ok %v", c.scheme, err, c.ok)
		}
	}
}

// TestStoreFailure: a store that cannot answer, or answers something else than
// was asked, is neither a yes nor a no, and nobody's failure.
func TestStoreFailure(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, change := range map[string]func(*faulty){
		"key store":      func(s *faulty) { s.keyErr = broken },
		"user store":     func(s *faulty) { s.userErr = broken },
		"other key":      func(s *faulty) { s.key = func(r *apikey.Record) { r.ID = "0123456789abc" } },
		"no id":          func(s *faulty) { s.key = func(r *apikey.Record) { r.ID = "" } },
		"other user":     func(s *faulty) { s.user = func(r *user.Record) { r.ID = user.NewID() } },
		"no owner":       func(s *faulty) { s.key = func(r *apikey.Record) { r.Owner = apikey.Owner{} } },
		"two owners":     func(s *faulty) { s.key = func(r *apikey.Record) { r.Owner.Client = "robot" } },
		"context is off": func(s *faulty) { s.keyErr = context.DeadlineExceeded },
	} {
		t.Run(name, func(t *testing.T) {
			s := &faulty{}
			f := setup(t, func(c *apikey.Config) {
				s.keys, s.users = c.Store, c.Users
				c.Store, c.Users = faultyKeys{c.Store, s}, faultyUsers{c.Users, s}
				c.Limits = limit.Limits{AddressBurst: 1, KeyBurst: 1}
			})
			key, _ := f.create(t, apikey.CreateRequest{Owner: apikey.Owner{User: f.user(t).ID}})
			change(s)
			for range 3 {
				who, err := f.verify(home, key)
				var limit *gate.LimitError
				if err == nil || errors.Is(err, gate.ErrInvalid) || errors.Is(err, gate.ErrAbsent) || errors.As(err, &limit) {
					t.Errorf("Verify() = %+v, %v, want an error of its own", who, err)
				}
				if who.User != nil || who.Client != nil || who.Scopes != nil {
					t.Errorf("Verify() = %+v beside an error", who)
				}
			}
		})
	}
}

// faulty says what goes wrong on the way from the real stores.
type faulty struct {
	keys            apikey.Store
	users           user.Store
	keyErr, userErr error
	key             func(*apikey.Record)
	user            func(*user.Record)
}

type faultyKeys struct {
	apikey.Store
	*faulty
}

func (s faultyKeys) Load(ctx context.Context, id string) (apikey.Record, error) {
	rec, err := s.keys.Load(ctx, id)
	if s.key != nil {
		s.key(&rec)
	}
	return rec, errors.Join(err, s.keyErr)
}

type faultyUsers struct {
	user.Store
	*faulty
}

func (s faultyUsers) Load(ctx context.Context, id string) (user.Record, error) {
	rec, err := s.users.Load(ctx, id)
	if s.user != nil {
		s.user(&rec)
	}
	return rec, errors.Join(err, s.userErr)
}

// TestSameWorkForUnknownID: an unknown id takes one look-up and one hash, as a
// wrong secret does.
func TestSameWorkForUnknownID(t *testing.T) {
	loads := 0
	f := setup(t, func(c *apikey.Config) { c.Store = counting{c.Store, &loads} })
	key, _ := f.create(t, apikey.CreateRequest{})
	_, unknown := apikey.NewKey("gw", apikey.Live)
	hashes := apikey.CountHashes(f.keys)
	for name, k := range map[string]string{"good": key, "wrong secret": wrongSecret(key), "unknown id": unknown} {
		loads, *hashes = 0, 0
		_, _ = f.verify(home, k)
		if loads != 1 || *hashes != 1 {
			t.Errorf("%s: %d look-ups and %d hashes, want 1 and 1", name, loads, *hashes)
		}
	}
	loads = 0
	_, _ = f.verify(home, key+"0")
	if loads != 0 {
		t.Errorf("a malformed key is looked up")
	}
}

type counting struct {
	apikey.Store
	loads *int
}

func (c counting) Load(ctx context.Context, id string) (apikey.Record, error) {
	*c.loads++
	return c.Store.Load(ctx, id)
}

func TestBasic(t *testing.T) {
	f := setup(t, nil)
	key, _ := f.create(t, apikey.CreateRequest{})
	enc := base64.StdEncoding.EncodeToString
	place := gate.Authorization("Basic")
	for name, c := range map[string]struct {
		value string
		ok    bool
	}{
		"apikey and key":    {enc([]byte("apikey:" + key)), true},
		"other user":        {enc([]byte("ada:" + key)), false},
		"upper case user":   {enc([]byte("APIKEY:" + key)), false},
		"no user":           {enc([]byte(":" + key)), false},
		"no colon":          {enc([]byte("apikey" + key)), false},
		"key as user":       {enc([]byte(key + ":")), false},
		"colon behind":      {enc([]byte("apikey:" + key + ":")), false},
		"not base64":        {"apikey:" + key, false},
		"the key itself":    {key, false},
		"base64url":         {base64.URLEncoding.EncodeToString([]byte("apikey:\xff\xff\xff")), false},
		"without padding":   {strings.TrimRight(enc([]byte("apikey:"+key)), "="), len("apikey:"+key)%3 == 0},
		"newline inside":    {enc([]byte("apikey:" + key))[:8] + "\n" + enc([]byte("apikey:" + key))[8:], false},
		"padding behind":    {enc([]byte("apikey:"+key)) + "=", false},
		"blank behind":      {enc([]byte("apikey:"+key)) + " ", false},
		"empty":             {"", false},
		"long":              {enc([]byte("apikey:" + strings.Repeat("a", 1<<20))), false},
		"twice in a prefix": {enc([]byte("apikey:apikey:" + key)), false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		_, err := f.keys.Scheme("basic", place).Verify(r.Context(), r, gate.Credential{Place: place, Value: c.value})
		if (err == nil) != c.ok {
			t.Errorf("%s: Verify() = %v, want ok %v", name, err, c.ok)
		}
		var limit *gate.LimitError
		if err != nil && !errors.Is(err, gate.ErrInvalid) && !errors.As(err, &limit) {
			t.Errorf("%s: Verify() = %v, want ErrInvalid", name, err)
		}
		f.now = f.now.Add(time.Second) // one failure a second is taken as such
	}
}

// TestLastUsed: the first use is noted, then one a minute, whatever becomes of the caller.
func TestLastUsed(t *testing.T) {
	touches := 0
	f := setup(t, func(c *apikey.Config) { c.Store = touching{c.Store, &touches, nil} })
	key, rec := f.create(t, apikey.CreateRequest{})
	start := f.now
	for _, c := range []struct {
		after   time.Duration
		touches int
		want    time.Duration
	}{{0, 1, 0}, {59 * time.Second, 1, 0}, {60 * time.Second, 2, 60 * time.Second}, {61 * time.Second, 2, 60 * time.Second}, {time.Hour, 3, time.Hour}} {
		f.now = start.Add(c.after)
		if _, err := f.verify(home, key); err != nil {
			t.Fatalf("Verify() = %v", err)
		}
		got, err := f.keys.Load(t.Context(), rec.ID)
		must(t, err)
		if touches != c.touches || !got.LastUsed.Equal(start.Add(c.want)) {
			t.Errorf("after %v: %d notes, last used %v, want %d and %v", c.after, touches, got.LastUsed, c.touches, start.Add(c.want))
		}
	}
	must(t, f.keys.Revoke(t.Context(), rec.ID))
	f.now = f.now.Add(time.Hour)
	if _, err := f.verify(home, key); err == nil || touches != 3 {
		t.Errorf("Verify() of a revoked key = %v, %d notes, want a refusal that is not noted", err, touches)
	}
}

// TestLastUsedFails: a note that cannot be made, or takes its time, is logged
// and keeps nobody out.
func TestLastUsedFails(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New("disk is full") },
		"stall": func(ctx context.Context) error {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) > 100*time.Millisecond {
				return errors.New("the call has longer than 100 ms")
			}
			<-ctx.Done()
			return ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			touches := 0
			f := setup(t, func(c *apikey.Config) { c.Store = touching{c.Store, &touches, fail} })
			key, rec := f.create(t, apikey.CreateRequest{})
			for range 3 {
				if _, err := f.verify(home, key); err != nil {
					t.Errorf("Verify() = %v", err)
				}
			}
			if touches != 1 {
				t.Errorf("%d notes were tried, want 1", touches)
			}
			if log := f.log.String(); !strings.Contains(log, "last use not noted") || !strings.Contains(log, rec.ID) || strings.Contains(log, "longer") {
				t.Errorf("the log has %q", log)
			}
		})
	}
}

// TestLastUsedOfACallerWhoHangsUp: a use is noted though nobody waits for the answer.
func TestLastUsedOfACallerWhoHangsUp(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	touches := 0
	f := setup(t, func(c *apikey.Config) {
		c.Store = touching{c.Store, &touches, func(ctx context.Context) error { hangUp(); return ctx.Err() }}
	})
	key, _ := f.create(t, apikey.CreateRequest{})
	r := httptest.NewRequest("GET", "/", nil)
	if _, err := f.keys.Scheme("apiKey", header).Verify(ctx, r, gate.Credential{Place: header, Value: key}); err != nil {
		t.Errorf("Verify() = %v", err)
	}
	if touches != 1 || strings.Contains(f.log.String(), "not noted") {
		t.Errorf("%d notes, log %q, want one note that went well", touches, f.log)
	}
}

// TestLastUsedElsewhere: what another process noted need not be noted again.
func TestLastUsedElsewhere(t *testing.T) {
	touches := 0
	f := setup(t, func(c *apikey.Config) { c.Store = touching{c.Store, &touches, nil} })
	key, rec := f.create(t, apikey.CreateRequest{})
	must(t, f.stores.Keys().Touch(t.Context(), rec.ID, f.now.Add(-59*time.Second)))
	if _, err := f.verify(home, key); err != nil || touches != 0 {
		t.Errorf("Verify() = %v, %d notes, want none", err, touches)
	}
}

type touching struct {
	apikey.Store
	touches *int
	fail    func(context.Context) error
}

func (s touching) Touch(ctx context.Context, id string, at time.Time) error {
	*s.touches++
	if s.fail != nil {
		return s.fail(ctx)
	}
	return s.Store.Touch(ctx, id, at)
}

// TestSecretIsNowhere: the store's files, the log and the errors have no part
// of a secret, however the key was used.
func TestSecretIsNowhere(t *testing.T) {
	f := setup(t, nil)
	key, rec := f.create(t, apikey.CreateRequest{})
	var said strings.Builder
	tell := func(err error) {
		if err != nil {
			said.WriteString(err.Error())
		}
	}
	for _, k := range []string{key, wrongSecret(key), swapLast(key), key + "0", apikey.Seal(strings.Replace(key[:65], "live", "test", 1)), "Bearer " + key} {
		_, err := f.verify(home, k)
		tell(err)
	}
	must(t, f.keys.Revoke(t.Context(), rec.ID))
	_, err := f.verify(home, key)
	tell(err)
	said.WriteString(f.log.String())

	looked := 0
	must(t, filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		said.Write(b)
		looked++
		return err
	}))
	if looked < 3 || !strings.Contains(said.String(), rec.ID) {
		t.Fatalf("%d files were looked at and they lack the id %s: the test sees nothing", looked, rec.ID)
	}
	part := key[22:65]
	for i := 0; i+8 <= len(part); i++ {
		if strings.Contains(said.String(), part[i:i+8]) {
			t.Errorf("%q of the secret is in the store, the log or an error", part[i:i+8])
		}
	}
}

func TestVerifyConcurrently(t *testing.T) {
	f := setup(t, nil)
	key, rec := f.create(t, apikey.CreateRequest{})
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			for range 20 {
				if _, err := f.verify(home, key); err != nil {
					t.Errorf("Verify() = %v", err)
				}
				if _, err := f.verify(away, wrongSecret(key)); err == nil {
					t.Error("Verify() of a wrong secret = nil")
				}
			}
			if i == 0 {
				must(t, f.keys.Revoke(t.Context(), "0123456789abc"), apikey.ErrNotFound)
			}
		})
	}
	wait.Wait()
	must(t, f.keys.Revoke(t.Context(), rec.ID))
	f.now = f.now.Add(time.Hour) // the id was attacked, and its failures are limited
	if _, err := f.verify(home, key); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify() right after Revoke() = %v, want ErrInvalid", err)
	}
}

// refused checks that presented is no good, for that cause, and that the error
// does not show key.
func refused(t *testing.T, f *fixture, presented, key, cause string) {
	t.Helper()
	who, err := f.verify(home, presented)
	if !errors.Is(err, gate.ErrInvalid) {
		t.Fatalf("Verify() = %+v, %v, want ErrInvalid", who, err)
	}
	if !strings.Contains(err.Error(), cause) || strings.Contains(err.Error(), key[22:]) {
		t.Errorf("Verify() = %v, want %q in it and not the key", err, cause)
	}
	if who.User != nil || who.Client != nil || who.Scopes != nil || who.Record != "" {
		t.Errorf("Verify() = %+v beside an error", who)
	}
}

// wrongSecret is key with another secret and the checksum that goes with it.
func wrongSecret(key string) string {
	return apikey.Seal(key[:22] + "0" + key[22:64])
}

// swapLast is key with another checksum.
func swapLast(key string) string {
	return key[:70] + string(secret.Base62[(strings.IndexByte(secret.Base62, key[70])+1)%62])
}

func nothing(_ *testing.T, _ *fixture, key string, _ apikey.Record) string { return key }

// must fails the test for an error, but for the one named.
func must(t *testing.T, err error, but ...error) {
	t.Helper()
	for _, b := range but {
		if errors.Is(err, b) {
			return
		}
	}
	if err != nil {
		t.Error(err)
	}
}
