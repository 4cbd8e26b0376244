package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/metrics"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// timed is stores whose calls are timed.
type timed struct{ Stores }

func (t timed) Keys() apikey.Store               { return timedKeys{t.Stores.Keys()} }
func (t timed) Users() user.Store                { return timedUsers{t.Stores.Users()} }
func (t timed) Sessions() session.Store          { return timedSessions{t.Stores.Sessions()} }
func (t timed) Revocations() session.Revocations { return timedRevocations{t.Stores.Revocations()} }
func (t timed) Marks() session.Marks             { return timedMarks{t.Stores.Marks()} }
func (t timed) Locks() session.Locks             { return timedLocks{t.Stores.Locks()} }

// Limits is nil where the stores share none.
func (t timed) Limits() limit.Shared {
	shared := t.Stores.Limits()
	if shared == nil {
		return nil
	}
	return timedLimits{shared}
}

// answers are errors by which a store answers a question; a caller who does not
// wait for it is no failure of it either.
var answers = []error{
	apikey.ErrNotFound, apikey.ErrExists, apikey.ErrDead, user.ErrNotFound, session.ErrNotFound, session.ErrExists, context.Canceled,
}

// note notes a call that began at begun.
func note(ctx context.Context, of, call string, begun time.Time, err error) {
	metrics.Store(ctx, of, call, hasFailed(err), time.Since(begun))
}

// hasFailed tells whether an error means that the store could not answer.
func hasFailed(err error) bool {
	return err != nil && !slices.ContainsFunc(answers, func(answer error) bool { return errors.Is(err, answer) })
}

type timedKeys struct{ apikey.Store }

func (t timedKeys) Create(ctx context.Context, rec apikey.Record) (err error) {
	defer func(begun time.Time) { note(ctx, "keys", "create", begun, err) }(time.Now())
	return t.Store.Create(ctx, rec)
}

func (t timedKeys) Load(ctx context.Context, id string) (res apikey.Record, err error) {
	defer func(begun time.Time) { note(ctx, "keys", "load", begun, err) }(time.Now())
	return t.Store.Load(ctx, id)
}

func (t timedKeys) List(ctx context.Context, q apikey.Query) (res []apikey.Record, err error) {
	defer func(begun time.Time) { note(ctx, "keys", "list", begun, err) }(time.Now())
	return t.Store.List(ctx, q)
}

func (t timedKeys) Revoke(ctx context.Context, id string, at time.Time) (err error) {
	defer func(begun time.Time) { note(ctx, "keys", "revoke", begun, err) }(time.Now())
	return t.Store.Revoke(ctx, id, at)
}

func (t timedKeys) Rotate(ctx context.Context, old string, until time.Time, rec apikey.Record) (err error) {
	defer func(begun time.Time) { note(ctx, "keys", "rotate", begun, err) }(time.Now())
	return t.Store.Rotate(ctx, old, until, rec)
}

func (t timedKeys) Relabel(ctx context.Context, id, label string) (err error) {
	defer func(begun time.Time) { note(ctx, "keys", "relabel", begun, err) }(time.Now())
	return t.Store.Relabel(ctx, id, label)
}

func (t timedKeys) Touch(ctx context.Context, id string, at time.Time) (err error) {
	defer func(begun time.Time) { note(ctx, "keys", "touch", begun, err) }(time.Now())
	return t.Store.Touch(ctx, id, at)
}

type timedUsers struct{ user.Store }

func (t timedUsers) Ensure(ctx context.Context, issuer, subject string, p user.Profile) (res user.Record, err error) {
	defer func(begun time.Time) { note(ctx, "users", "ensure", begun, err) }(time.Now())
	return t.Store.Ensure(ctx, issuer, subject, p)
}

func (t timedUsers) Load(ctx context.Context, id string) (res user.Record, err error) {
	defer func(begun time.Time) { note(ctx, "users", "load", begun, err) }(time.Now())
	return t.Store.Load(ctx, id)
}

func (t timedUsers) SetDisabled(ctx context.Context, id string, disabled bool) (err error) {
	defer func(begun time.Time) { note(ctx, "users", "set_disabled", begun, err) }(time.Now())
	return t.Store.SetDisabled(ctx, id, disabled)
}

func (t timedUsers) SetScopes(ctx context.Context, id string, scopes []string) (err error) {
	defer func(begun time.Time) { note(ctx, "users", "set_scopes", begun, err) }(time.Now())
	return t.Store.SetScopes(ctx, id, scopes)
}

func (t timedUsers) List(ctx context.Context, after string, limit int) (res []user.Record, err error) {
	defer func(begun time.Time) { note(ctx, "users", "list", begun, err) }(time.Now())
	return t.Store.List(ctx, after, limit)
}

type timedSessions struct{ session.Store }

func (t timedSessions) Create(ctx context.Context, rec session.Record) (err error) {
	defer func(begun time.Time) { note(ctx, "sessions", "create", begun, err) }(time.Now())
	return t.Store.Create(ctx, rec)
}

func (t timedSessions) Load(ctx context.Context, id session.ID) (res session.Record, err error) {
	defer func(begun time.Time) { note(ctx, "sessions", "load", begun, err) }(time.Now())
	return t.Store.Load(ctx, id)
}

func (t timedSessions) Touch(ctx context.Context, id session.ID, used, idle time.Time) (err error) {
	defer func(begun time.Time) { note(ctx, "sessions", "touch", begun, err) }(time.Now())
	return t.Store.Touch(ctx, id, used, idle)
}

func (t timedSessions) SaveTokens(ctx context.Context, id session.ID, tokens []byte, scopes map[string][]string) (err error) {
	defer func(begun time.Time) { note(ctx, "sessions", "save_tokens", begun, err) }(time.Now())
	return t.Store.SaveTokens(ctx, id, tokens, scopes)
}

func (t timedSessions) Delete(ctx context.Context, m session.Match) (res int, err error) {
	defer func(begun time.Time) { note(ctx, "sessions", "delete", begun, err) }(time.Now())
	return t.Store.Delete(ctx, m)
}

func (t timedSessions) List(ctx context.Context, user string, limit int) (res []session.Record, err error) {
	defer func(begun time.Time) { note(ctx, "sessions", "list", begun, err) }(time.Now())
	return t.Store.List(ctx, user, limit)
}

type timedRevocations struct{ session.Revocations }

func (t timedRevocations) Revoke(ctx context.Context, key session.Key, before, until time.Time) (err error) {
	defer func(begun time.Time) { note(ctx, "revocations", "revoke", begun, err) }(time.Now())
	return t.Revocations.Revoke(ctx, key, before, until)
}

func (t timedRevocations) Revoked(ctx context.Context, keys ...session.Key) (res time.Time, err error) {
	defer func(begun time.Time) { note(ctx, "revocations", "revoked", begun, err) }(time.Now())
	return t.Revocations.Revoked(ctx, keys...)
}

type timedMarks struct{ session.Marks }

func (t timedMarks) Mark(ctx context.Context, key session.Key, until time.Time) (res bool, err error) {
	defer func(begun time.Time) { note(ctx, "marks", "mark", begun, err) }(time.Now())
	return t.Marks.Mark(ctx, key, until)
}

type timedLocks struct{ session.Locks }

func (t timedLocks) Lock(ctx context.Context, key session.Key, holder string, until time.Time) (res bool, err error) {
	defer func(begun time.Time) { note(ctx, "locks", "lock", begun, err) }(time.Now())
	return t.Locks.Lock(ctx, key, holder, until)
}

func (t timedLocks) Unlock(ctx context.Context, key session.Key, holder string) (err error) {
	defer func(begun time.Time) { note(ctx, "locks", "unlock", begun, err) }(time.Now())
	return t.Locks.Unlock(ctx, key, holder)
}

type timedLimits struct{ limit.Shared }

func (t timedLimits) Take(ctx context.Context, buckets ...limit.Bucket) (res []time.Duration, err error) {
	defer func(begun time.Time) { note(ctx, "limits", "take", begun, err) }(time.Now())
	return t.Shared.Take(ctx, buckets...)
}
