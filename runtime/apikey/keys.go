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
	"log/slog"
	"slices"
	"time"

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
	Limits Limits
	Logger *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now
}

// Keys makes, verifies and revokes API keys. Its methods may be called concurrently.
type Keys struct {
	cfg   Config
	limit *limiter
	// touched holds back the notes of last use: one token a minute and key.
	touched *buckets[string]
	// nobody is compared with where there is no record, so that an unknown
	// id takes the work of a known one. No key has this hash.
	nobody [32]byte
	hash   func([]byte) [32]byte
}

// New returns the keys that cfg describes. Its error names everything wrong with cfg.
func New(cfg Config) (*Keys, error) {
	cfg.Prefix = cmp.Or(cfg.Prefix, "gw")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	errs := []error{checkPrefix(cfg.Prefix), cfg.Limits.check()}
	if cfg.Store == nil {
		errs = append(errs, errors.New("apikey: store is missing"))
	}
	if cfg.Users == nil {
		errs = append(errs, errors.New("apikey: user store is missing"))
	}
	if cfg.Environment != Live && cfg.Environment != Test {
		errs = append(errs, fmt.Errorf("apikey: environment is %q, not live or test", cfg.Environment))
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
		limit:   newLimiter(cfg.Limits, cfg.Now),
		touched: newBuckets[string](1, time.Minute, 65536, cfg.Now),
		hash:    sha256.Sum256,
	}
	_, _ = rand.Read(k.nobody[:]) // never fails: crypto/rand ends the program instead
	return k, nil
}

// now is the time as stores keep it.
func (k *Keys) now() time.Time { return k.cfg.Now().UTC().Truncate(time.Millisecond) }

// ErrRequest means that a key cannot be made as asked. The error that wraps it
// names everything that is wrong and may be shown to who asked.
var ErrRequest = errors.New("apikey: cannot be made")

// A CreateRequest says what key to make. The members are those of [Record].
type CreateRequest struct {
	Owner   Owner
	Label   string // 1 to 100 printable characters
	Schemes []string
	Scopes  []string
	Expires time.Time
}

// Create makes a key. The key itself is returned this once and kept nowhere.
// The error wraps ErrRequest where req is at fault.
func (k *Keys) Create(ctx context.Context, req CreateRequest) (secret.Value, Record, error) {
	now := k.now()
	if err := k.check(req, now); err != nil {
		return secret.Value{}, Record{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if req.Owner.User != "" {
		owner, err := k.cfg.Users.Load(ctx, req.Owner.User)
		if errors.Is(err, user.ErrNotFound) || err == nil && owner.Disabled {
			return secret.Value{}, Record{}, fmt.Errorf("%w: the owner is unknown or disabled", ErrRequest)
		}
		if err != nil {
			return secret.Value{}, Record{}, fmt.Errorf("apikey: loading the owner: %w", err)
		}
	}
	id, key := newKey(k.cfg.Prefix, k.cfg.Environment)
	rec := Record{
		ID:          id,
		Environment: k.cfg.Environment,
		Hash:        sha256.Sum256([]byte(key.Reveal())),
		Owner:       req.Owner,
		Label:       req.Label,
		Schemes:     slices.Clone(req.Schemes),
		Scopes:      slices.Clone(req.Scopes),
		Created:     now,
		Expires:     storable(req.Expires),
	}
	if err := k.cfg.Store.Create(ctx, rec); err != nil {
		return secret.Value{}, Record{}, fmt.Errorf("apikey: creating a key: %w", err)
	}
	k.logger().InfoContext(ctx, "api key created", "key", id, "user", req.Owner.User, "client", req.Owner.Client)
	return key, rec, nil
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

// Load returns the record with that id, revoked and expired ones too. The
// error wraps ErrNotFound where there is none.
func (k *Keys) Load(ctx context.Context, id string) (Record, error) {
	rec, err := k.cfg.Store.Load(ctx, id)
	if err != nil {
		return Record{}, fmt.Errorf("apikey: loading a key: %w", err)
	}
	return rec, nil
}

// Revoke revokes a key; it is refused from the next request on. Revoking it
// again changes nothing. The error wraps ErrNotFound for an unknown id.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	if err := k.cfg.Store.Revoke(ctx, id, k.now()); err != nil {
		return fmt.Errorf("apikey: revoking a key: %w", err)
	}
	k.logger().InfoContext(ctx, "api key revoked", "key", id)
	return nil
}

// logger is the default of log/slog as it is by now: servers set theirs late.
func (k *Keys) logger() *slog.Logger { return cmp.Or(k.cfg.Logger, slog.Default()) }
