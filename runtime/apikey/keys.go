// Package apikey makes and verifies the API keys of a server.
//
// A key carries an id, by which its record is found, and a secret of 256
// random bits. It is shown once, when it is made; the store has its hash. A
// record says whose the key is, which of the document's schemes it serves, what
// its holder may do and until when.
package apikey

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/cache"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/user"
)

// A Config says what keys a server takes.
type Config struct {
	Store Store
	Users user.Store
	// Prefix begins every key: a lower-case letter and at most 15 more
	// lower-case letters and digits. Empty: gw.
	Prefix string
	// Environment is the one whose keys are made and taken: Live or Test.
	Environment Environment
	// Schemes are the names of the document's schemes that take keys.
	Schemes []string
	// Scopes are the scopes a key may have, by scheme. A scheme that is not
	// named takes any; nil: all do.
	Scopes map[string][]string
	Limits limit.Limits
	// Shared counts failures for all replicas; nil: each counts its own.
	Shared limit.Shared
	// Cache is how long a key that was good is good without the store being
	// asked again, and so how long a replica that hears no word of it takes
	// one that another revoked. 0: the store is asked each time.
	Cache  time.Duration
	Logger *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now
}

// Keys makes, verifies and revokes API keys. Its methods may be called concurrently.
type Keys struct {
	cfg   Config
	limit *limit.Limiter
	// touched holds back the notes of last use: one token a minute and key.
	touched *limit.Buckets[string]
	// nobody is compared with where there is no record, so that an unknown
	// id takes the work of a known one. No key has this hash.
	nobody [32]byte
	hash   func([]byte) [32]byte
	same   func(a, b [32]byte) bool
	good   *cache.Cache[string, known] // by id; of keys that were good
	seed   maphash.Seed
	making [64]sync.Mutex // by owner, see maker
}

// A known key is its record and that of its owner, who is nobody for a client.
type known struct {
	rec   Record
	owner user.Record
}

// knownKeys is how many keys are remembered for certain.
const knownKeys = 16384

// New returns the keys that cfg describes. Its error names everything wrong with cfg.
func New(cfg Config) (*Keys, error) {
	cfg.Prefix = cmp.Or(cfg.Prefix, "gw")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	errs := []error{checkPrefix(cfg.Prefix), cfg.Limits.Check()}
	if cfg.Store == nil {
		errs = append(errs, errors.New("apikey: store is missing"))
	}
	if cfg.Users == nil {
		errs = append(errs, errors.New("apikey: user store is missing"))
	}
	if cfg.Environment != Live && cfg.Environment != Test {
		errs = append(errs, fmt.Errorf("apikey: environment is %q, not live or test", cfg.Environment))
	}
	if cfg.Cache < 0 {
		errs = append(errs, errors.New("apikey: the cache's time is below zero"))
	}
	for name := range cfg.Scopes {
		if !slices.Contains(cfg.Schemes, name) {
			errs = append(errs, fmt.Errorf("apikey: scopes are given for %q, which is none of the schemes", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	k := &Keys{
		cfg:     cfg,
		good:    cache.New[string, known](cfg.Cache, knownKeys, cfg.Now),
		touched: limit.NewBuckets[string](1, time.Minute, 65536, cfg.Now),
		hash:    sha256.Sum256,
		same:    same,
	}
	k.limit = limit.New(cfg.Limits, cfg.Shared, k.logger, cfg.Now)
	_, _ = rand.Read(k.nobody[:]) // never fails: crypto/rand ends the program instead
	return k, nil
}

// now is the time as stores keep it.
func (k *Keys) now() time.Time { return k.cfg.Now().UTC().Truncate(time.Millisecond) }

// ErrRequest means that a key cannot be made or changed as asked. The error
// that wraps it names everything that is wrong and may be shown to who asked.
var ErrRequest = errors.New("apikey: not as asked")

// A CreateRequest says what key to make. The members are those of [Record].
type CreateRequest struct {
	Owner       Owner
	Label       string      // 1 to 100 printable characters
	Environment Environment // "": the server's own
	Schemes     []string
	Scopes      []string
	// Bound is set where the owner asks: a user, who gets no scope but
	// those they hold, and [MaxOwn] keys at most.
	Bound   bool
	Expires time.Time
}

// MaxOwn is how many keys that are neither revoked nor expired a user may have
// made.
const MaxOwn = 50

// Create makes a key. The key itself is returned this once and kept nowhere.
// The error wraps ErrRequest where req is at fault.
func (k *Keys) Create(ctx context.Context, req CreateRequest) (secret.Value, Record, error) {
	now := k.now()
	req.Environment = cmp.Or(req.Environment, k.cfg.Environment)
	if err := k.check(req, now); err != nil {
		return secret.Value{}, Record{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if req.Bound {
		making := k.maker(req.Owner)
		making.Lock()
		defer making.Unlock()
	}
	if req.Owner.User != "" {
		if err := k.mayOwn(ctx, req, now); err != nil {
			return secret.Value{}, Record{}, err
		}
	}
	id, key := newKey(k.cfg.Prefix, req.Environment)
	rec := Record{
		ID:          id,
		Environment: req.Environment,
		Hash:        sha256.Sum256([]byte(key.Reveal())),
		Owner:       req.Owner,
		Label:       req.Label,
		Schemes:     slices.Clone(req.Schemes),
		Scopes:      slices.Clone(req.Scopes),
		Bound:       req.Bound,
		Created:     now,
		Expires:     storable(req.Expires),
	}
	if err := k.cfg.Store.Create(ctx, rec); err != nil {
		return secret.Value{}, Record{}, fmt.Errorf("apikey: creating a key: %w", err)
	}
	k.note(ctx, "api key created", rec)
	return key, rec, nil
}

// mayOwn tells whether the user may have the key that req asks for.
func (k *Keys) mayOwn(ctx context.Context, req CreateRequest, now time.Time) error {
	owner, err := k.cfg.Users.Load(ctx, req.Owner.User)
	if errors.Is(err, user.ErrNotFound) || err == nil && owner.Disabled {
		return fmt.Errorf("%w: the owner is unknown or disabled", ErrRequest)
	}
	if err != nil {
		return fmt.Errorf("apikey: loading the owner: %w", err)
	}
	if !req.Bound {
		return nil
	}
	for _, scope := range req.Scopes {
		if !slices.Contains(owner.Scopes, scope) {
			return fmt.Errorf("%w: scope %q is above what its owner holds: %s", ErrRequest, scope, list(k.Grantable(owner)))
		}
	}
	return k.room(ctx, req.Owner, now, MaxOwn)
}

// room tells whether an owner may have one more key, of at most most that are
// alive. Dead ones count as well, to a thousand: they take room until they are
// swept. It is asked under the lock of the owner, so that of many requests at
// once none passes the limit; replicas together may, by one key each.
func (k *Keys) room(ctx context.Context, owner Owner, now time.Time, most int) error {
	recs, err := k.ListOf(ctx, owner)
	if err != nil {
		return err
	}
	alive := 0
	for _, rec := range recs {
		if rec.Alive(now) {
			alive++
		}
	}
	switch {
	case alive >= most:
		return fmt.Errorf("%w: there are %d keys already; revoke those that are not used", ErrRequest, alive)
	case len(recs) >= maxKept:
		return fmt.Errorf("%w: %d keys were made in the last months; there is room again when those that are dead are forgotten, after %d days", ErrRequest, len(recs), int(KeptDead.Hours())/24)
	}
	return nil
}

// maker is the lock under which keys are made for an owner.
func (k *Keys) maker(owner Owner) *sync.Mutex {
	return &k.making[maphash.Comparable(k.seed, owner.User)%uint64(len(k.making))]
}

// Grantable returns the scopes that a user may give to a key: those that the
// user holds and the document declares for keys.
func (k *Keys) Grantable(owner user.Record) []string {
	var scopes []string
	for _, scope := range owner.Scopes {
		if k.checkScope(scope, nil) == nil && !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	slices.Sort(scopes)
	return scopes
}

// Environment is the one whose keys are taken.
func (k *Keys) Environment() Environment { return k.cfg.Environment }

// Alive tells whether a key is neither revoked nor expired at now.
func (rec Record) Alive(now time.Time) bool {
	return rec.Revoked.IsZero() && (rec.Expires.IsZero() || now.Before(rec.Expires))
}

// MaxOverlap is how long a key may be good after it was rotated.
const MaxOverlap = 30 * 24 * time.Hour

// Rotate makes a key that takes the place of another: with its owner, label,
// schemes, scopes and environment, and as long a life from now on. The old one
// is good for overlap more, unless its time is over before. Either both
// happens or nothing does. The error wraps ErrNotFound for an unknown id,
// ErrDead for a key that was revoked, has expired or was rotated before, and
// ErrRequest where overlap is none.
func (k *Keys) Rotate(ctx context.Context, id string, overlap time.Duration) (secret.Value, Record, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return secret.Value{}, Record{}, fmt.Errorf("%w: the overlap is not between 0 and %d days", ErrRequest, int(MaxOverlap.Hours())/24)
	}
	now := k.now()
	old, err := k.Load(ctx, id)
	if err != nil {
		return secret.Value{}, Record{}, err
	}
	if old.ID != id {
		return secret.Value{}, Record{}, fmt.Errorf("apikey: the store gave the record of another key for %s", id)
	}
	if old.Bound {
		making := k.maker(old.Owner)
		making.Lock()
		defer making.Unlock()
		// Each rotation leaves a key behind that is good for a while.
		if err := k.room(ctx, old.Owner, now, 2*MaxOwn); err != nil {
			return secret.Value{}, Record{}, err
		}
	}
	fresh, key := newKey(k.cfg.Prefix, old.Environment)
	rec := old
	rec.ID, rec.Hash, rec.ReplacedBy = fresh, sha256.Sum256([]byte(key.Reveal())), ""
	rec.Created, rec.LastUsed, rec.Revoked = now, time.Time{}, time.Time{}
	if !old.Expires.IsZero() {
		rec.Expires = now.Add(old.Expires.Sub(old.Created))
	}
	if err := k.cfg.Store.Rotate(ctx, id, now.Add(overlap), rec); err != nil {
		return secret.Value{}, Record{}, fmt.Errorf("apikey: rotating a key: %w", err)
	}
	k.Forget(id)
	k.note(ctx, "api key rotated", old, slog.String("replaced_by", fresh), slog.Duration("overlap", overlap))
	return key, rec, nil
}

// Relabel changes what the owner calls a key. The error wraps ErrNotFound for
// an unknown id, and ErrRequest where label is no label.
func (k *Keys) Relabel(ctx context.Context, id, label string) error {
	if err := checkName("label", label); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := k.cfg.Store.Relabel(ctx, id, label); err != nil {
		return fmt.Errorf("apikey: relabelling a key: %w", err)
	}
	k.note(ctx, "api key relabelled", Record{ID: id, Label: label})
	return nil
}

// note writes an event of a key to the audit log.
func (k *Keys) note(ctx context.Context, event string, rec Record, attrs ...slog.Attr) {
	all := []slog.Attr{slog.String("key", rec.ID)}
	for _, a := range []slog.Attr{
		slog.String("user", rec.Owner.User), slog.String("client", rec.Owner.Client), slog.String("label", rec.Label),
		slog.String("environment", string(rec.Environment)), slog.String("scopes", strings.Join(rec.Scopes, " ")),
	} {
		if a.Value.String() != "" {
			all = append(all, a)
		}
	}
	audit.Log(ctx, k.cfg.Logger, event, append(all, attrs...)...)
}

// storable is t as stores keep it: UTC in whole milliseconds, or zero.
func storable(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// pageLimit is how many records List returns where the query names no limit.
const pageLimit = 100

// List returns the records that q picks; without a limit, a hundred.
func (k *Keys) List(ctx context.Context, q Query) ([]Record, error) {
	if q.Limit <= 0 {
		q.Limit = pageLimit
	}
	recs, err := k.cfg.Store.List(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("apikey: listing keys: %w", err)
	}
	return recs, nil
}

const (
	// maxKept is how many keys a user has at most, dead ones among them.
	maxKept = 1000
	// maxListed is how many keys of one owner are looked at before something
	// is wrong: more than anybody can have made.
	maxListed = 100 * maxKept
)

// ListOf returns all keys of an owner, the newest first.
func (k *Keys) ListOf(ctx context.Context, owner Owner) ([]Record, error) {
	if (owner.User == "") == (owner.Client == "") {
		return nil, errors.New("apikey: listing keys: the owner is either a user or a client")
	}
	var recs []Record
	for after := ""; ; after = recs[len(recs)-1].ID {
		page, err := k.List(ctx, Query{Owner: Owner{User: owner.User, Client: owner.Client}, After: after, Limit: maxKept})
		if err != nil {
			return nil, err
		}
		recs = append(recs, page...)
		if len(page) < maxKept {
			break
		}
		if len(recs) >= maxListed {
			return nil, fmt.Errorf("apikey: listing keys: there are more than %d of one owner", maxListed)
		}
	}
	for _, rec := range recs {
		if rec.Owner.User != owner.User || rec.Owner.Client != owner.Client {
			return nil, fmt.Errorf("apikey: the store gave key %s, which is another owner's", rec.ID)
		}
	}
	slices.SortFunc(recs, func(a, b Record) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID)) })
	return recs, nil
}

// Load returns the record with that id, revoked and expired ones too. The
// error wraps ErrNotFound where there is none.
func (k *Keys) Load(ctx context.Context, id string) (Record, error) {
	rec, err := k.cfg.Store.Load(ctx, id)
	if err != nil {
		return Record{}, fmt.Errorf("apikey: loading a key: %w", err)
	}
	return rec, nil
}

// Revoke revokes a key; it is refused from the next request on, and on other
// replicas within the time of their caches. Revoking it again changes nothing.
// The error wraps ErrNotFound for an unknown id.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	if err := k.cfg.Store.Revoke(ctx, id, k.now()); err != nil {
		return fmt.Errorf("apikey: revoking a key: %w", err)
	}
	k.Forget(id)
	k.note(ctx, "api key revoked", Record{ID: id})
	return nil
}

// Forget has the store be asked anew for a key.
func (k *Keys) Forget(id string) { k.good.Forget(id) }

// ForgetAll has the store be asked anew for all keys and their owners.
func (k *Keys) ForgetAll() { k.good.ForgetAll() }

// logger is the default of log/slog as it is by now: servers set theirs late.
func (k *Keys) logger() *slog.Logger { return cmp.Or(k.cfg.Logger, slog.Default()) }
