package apikey

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/user"
)

// basicUser is the user name that goes with a key as the password of Basic.
const basicUser = "apikey"

// maxCredential bounds, in bytes, what is looked at: no key in Basic is longer.
const maxCredential = 256

// verify says who c speaks of under the scheme. Whatever is wrong with a key,
// the answer is gate.ErrInvalid, with the cause for the log alone, or a
// *gate.LimitError; any other error means that it could not be found out.
func (k *Keys) verify(ctx context.Context, r *http.Request, scheme string, c gate.Credential) (gate.Identity, error) {
	key, err := k.read(c)
	var refused *refusal
	if errors.As(err, &refused) && refused.uncounted {
		return gate.Identity{}, invalid("", refused)
	}
	from := limit.Address(r)
	if err := k.limit.Before(from, key.id); err != nil {
		return gate.Identity{}, err
	}
	var found known
	if err == nil {
		found, err = k.find(ctx, key)
	}
	var who gate.Identity
	if err == nil {
		who, err = found.identity(scheme)
	}
	switch {
	case errors.As(err, &refused) && refused.uncounted:
		return gate.Identity{}, invalid(key.id, refused)
	case errors.As(err, &refused):
		return gate.Identity{}, k.limit.Failed(ctx, from, key.id, invalid(key.id, refused))
	case err != nil:
		return gate.Identity{}, err
	}
	k.limit.Succeeded(from, key.id)
	k.touch(ctx, found.rec)
	return who, nil
}

// A refusal is a reason for which a key is no good.
type refusal struct {
	reason string
	// uncounted is true of what may be meant for another scheme that claims
	// the same credential: a token under Bearer, another user name under
	// Basic, a good key that does not serve this scheme. A limit on it
	// would shut out those whom the other scheme lets in.
	uncounted bool
}

func (e *refusal) Error() string { return e.reason }

// invalid wraps gate.ErrInvalid with what the log may know. It never holds
// more of a key than its id.
func invalid(id string, cause error) error {
	if id == "" {
		return fmt.Errorf("%w: %w", gate.ErrInvalid, cause)
	}
	return fmt.Errorf("%w: key %s: %w", gate.ErrInvalid, id, cause)
}

// read takes the key out of a credential. Its error is a *refusal.
func (k *Keys) read(c gate.Credential) (parsed, error) {
	switch c.Place {
	case gate.Authorization("basic"):
		text, err := password(c.Value)
		if err != nil {
			return parsed{}, err
		}
		return parse(k.cfg.Prefix, text)
	case gate.Authorization("bearer"), gate.Authorization(""):
		key, err := parse(k.cfg.Prefix, c.Value)
		if err != nil {
			return parsed{}, &refusal{reason: err.Error(), uncounted: true}
		}
		return key, nil
	}
	return parse(k.cfg.Prefix, c.Value)
}

// find returns the record of a key that is good here and now. Only those are
// remembered: whatever is wrong with a key, the store is asked.
func (k *Keys) find(ctx context.Context, key parsed) (known, error) {
	if key.env != k.cfg.Environment {
		return known{}, &refusal{reason: "it is for " + string(key.env) + ", not " + string(k.cfg.Environment)}
	}
	sum := k.hash([]byte(key.text))
	found, ok := k.good.Get(key.id)
	if !ok {
		found.rec.Hash = k.nobody // so that each key is compared as often
	}
	if k.same(sum, found.rec.Hash) && ok && found.rec.Alive(k.cfg.Now()) {
		return found, nil
	}
	begun := k.good.Begin(key.id)
	rec, err := k.match(ctx, key, sum)
	if err != nil {
		return known{}, err
	}
	switch {
	case !rec.Revoked.IsZero():
		return known{}, &refusal{reason: "revoked " + rec.Revoked.Format(time.RFC3339)}
	case !rec.Alive(k.cfg.Now()):
		return known{}, &refusal{reason: "expired " + rec.Expires.Format(time.RFC3339)}
	}
	owner, err := k.owner(ctx, rec)
	if err != nil {
		return known{}, err
	}
	found = known{rec, owner}
	k.good.Put(begun, rec.ID, found)
	return found, nil
}

// match returns the record of key, whose hash is sum. For an unknown id it does
// the work of a known one: it compares with the hash of nobody.
func (k *Keys) match(ctx context.Context, key parsed, sum [32]byte) (Record, error) {
	rec, err := k.cfg.Store.Load(ctx, key.id)
	known := err == nil
	if errors.Is(err, ErrNotFound) {
		rec = Record{ID: key.id, Hash: k.nobody}
	} else if err != nil {
		return Record{}, fmt.Errorf("apikey: loading key %s: %w", key.id, err)
	}
	if rec.ID != key.id {
		return Record{}, fmt.Errorf("apikey: the store gave the record of another key for %s", key.id)
	}
	same := k.same(sum, rec.Hash)
	switch {
	case !known:
		return Record{}, &refusal{reason: "unknown id"}
	case !same:
		return Record{}, &refusal{reason: "wrong secret"}
	}
	return rec, nil
}

// same compares two hashes in a time that does not depend on them.
func same(a, b [32]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// owner loads the owner of rec; the zero record for a client.
func (k *Keys) owner(ctx context.Context, rec Record) (user.Record, error) {
	switch {
	case (rec.Owner.User == "") == (rec.Owner.Client == ""):
		return user.Record{}, fmt.Errorf("apikey: the record of key %s has not one owner", rec.ID)
	case rec.Owner.Client != "":
		return user.Record{}, nil
	}
	owner, err := k.cfg.Users.Load(ctx, rec.Owner.User)
	switch {
	case errors.Is(err, user.ErrNotFound):
		return user.Record{}, &refusal{reason: "its owner is unknown"}
	case err != nil:
		return user.Record{}, fmt.Errorf("apikey: loading the owner of key %s: %w", rec.ID, err)
	case owner.ID != rec.Owner.User:
		return user.Record{}, fmt.Errorf("apikey: the store gave the record of another user for the owner of key %s", rec.ID)
	case owner.Disabled:
		return user.Record{}, &refusal{reason: "its owner is disabled"}
	}
	return owner, nil
}

// identity is who a key speaks of under a scheme.
func (f known) identity(scheme string) (gate.Identity, error) {
	if len(f.rec.Schemes) > 0 && !slices.Contains(f.rec.Schemes, scheme) {
		return gate.Identity{}, &refusal{reason: "it does not serve scheme " + scheme, uncounted: true}
	}
	who := gate.Identity{Scopes: slices.Clone(f.rec.Scopes), Record: f.rec.ID}
	if f.rec.Bound {
		who.Scopes = slices.DeleteFunc(who.Scopes, func(scope string) bool { return !slices.Contains(f.owner.Scopes, scope) })
	}
	if f.rec.Owner.Client != "" {
		who.Client = &gate.Client{ID: f.rec.Owner.Client, Name: f.rec.Owner.ClientName}
		return who, nil
	}
	person := f.owner.User()
	who.User = &person
	return who, nil
}

// touchTime is how long a request waits at most for the note of last use,
// which it does once a minute.
const touchTime = 100 * time.Millisecond

// touch notes that a key was used, if the last note is a minute old. A note
// that fails is lost: the caller's key is good all the same.
func (k *Keys) touch(ctx context.Context, rec Record) {
	now := k.now()
	if now.Sub(rec.LastUsed) < time.Minute || k.touched.Take(rec.ID) > 0 {
		return
	}
	// A caller who hangs up is noted too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), touchTime)
	defer cancel()
	if err := k.cfg.Store.Touch(ctx, rec.ID, now); err != nil {
		k.logger().WarnContext(ctx, "api key: last use not noted", "key", rec.ID, "error", err)
	}
}

// password takes the key out of the credentials of Basic (RFC 7617, section 2).
func password(credentials string) (string, error) {
	if len(credentials) > maxCredential {
		return "", &refusal{reason: "the credentials of Basic are too long for a key", uncounted: true}
	}
	b, err := base64.StdEncoding.Strict().DecodeString(credentials)
	// The decoder passes over newlines. One key has one spelling.
	if err != nil || base64.StdEncoding.EncodeToString(b) != credentials {
		return "", &refusal{reason: "the credentials of Basic are not base64"}
	}
	name, key, ok := strings.Cut(string(b), ":")
	if !ok || name != basicUser {
		return "", &refusal{reason: "the user name of Basic is not " + basicUser, uncounted: true}
	}
	return key, nil
}
