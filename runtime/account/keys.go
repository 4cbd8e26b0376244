package account

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/secret"
)

const (
	day            = 24 * time.Hour
	defaultLife    = 90 * day // of a key
	maxLife        = 366 * day
	defaultOverlap = 24 * time.Hour // of a key and the one that takes its place
)

// A wish is a key that a person asks for.
type wish struct {
	label       string
	scopes      []string
	environment apikey.Environment // "": the server's own
	expires     time.Time          // zero: after the default time
}

// A made key is shown this once.
type made struct {
	key      secret.Value
	rec      apikey.Record
	old      apikey.Record // the key whose place it takes; zero for none
	oldUntil time.Time     // how long that one is good
}

// create makes a key of c's own.
func (a *Account) create(r *http.Request, c caller, w wish) (made, error) {
	now := a.now()
	if w.expires.IsZero() {
		w.expires = now.Add(defaultLife)
	}
	var errs []error
	for _, scope := range w.scopes {
		if grantable := a.grantable(c); !slices.Contains(grantable, scope) {
			errs = append(errs, fmt.Errorf("scope %q is not among those that you can give: %s", scope, cmp.Or(strings.Join(grantable, ", "), "none")))
		}
	}
	if w.expires.After(now.Add(maxLife)) {
		errs = append(errs, fmt.Errorf("expiry %s is more than %d days away", w.expires.UTC().Format(time.RFC3339), int(maxLife/day)))
	}
	if err := errors.Join(errs...); err != nil {
		return made{}, refusal(fmt.Errorf("%w: %w", apikey.ErrRequest, err))
	}
	key, rec, err := a.cfg.Keys.Create(of(r, c), apikey.CreateRequest{
		Owner: apikey.Owner{User: c.User.ID}, Label: w.label, Environment: w.environment, Scopes: w.scopes, Bound: true, Expires: w.expires,
	})
	if err != nil {
		return made{}, refusal(err)
	}
	return made{key: key, rec: rec}, nil
}

// grantable are the scopes that c can give to a key: those of this very login
// that the person holds still and that the document knows.
func (a *Account) grantable(c caller) []string {
	return slices.DeleteFunc(a.cfg.Keys.Grantable(c.User), func(scope string) bool { return !slices.Contains(c.held, scope) })
}

// own loads a key of c's. That of somebody else is unknown here.
func (a *Account) own(r *http.Request, c caller, id string) (apikey.Record, error) {
	if !isID(id) {
		return apikey.Record{}, refusal(apikey.ErrNotFound)
	}
	rec, err := a.cfg.Keys.Load(r.Context(), id)
	switch {
	case err != nil:
		return apikey.Record{}, refusal(err)
	case rec.ID != id:
		return apikey.Record{}, silent(fmt.Errorf("the store gave the record of another key for %s", id))
	case rec.Owner.User == "" || rec.Owner.User != c.User.ID:
		return apikey.Record{}, refusal(apikey.ErrNotFound)
	}
	return rec, nil
}

// rotate makes a key that takes the place of one of c's, which is good for
// overlap more.
func (a *Account) rotate(r *http.Request, c caller, id string, overlap time.Duration) (made, error) {
	old, err := a.own(r, c, id)
	if err != nil {
		return made{}, err
	}
	if !old.Bound {
		// It may do more, or for longer, than the person could have asked for.
		return made{}, problem.New(http.StatusForbidden, "key_not_own", "The operators of this site made this key; they can rotate it.")
	}
	for _, scope := range old.Scopes {
		if slices.Contains(c.User.Scopes, scope) && !slices.Contains(c.held, scope) {
			return made{}, &problem.Error{
				Status: http.StatusForbidden, Code: "insufficient_scope", Title: "The key may do more than this login.",
				Detail: fmt.Sprintf("This login does not hold the scope %q, which the key has.", scope),
			}
		}
	}
	key, rec, err := a.cfg.Keys.Rotate(of(r, c), id, overlap)
	if err != nil {
		return made{}, refusal(err)
	}
	until := rec.Created.Add(overlap)
	if !old.Expires.IsZero() && old.Expires.Before(until) {
		until = old.Expires
	}
	return made{key: key, rec: rec, old: old, oldUntil: until}, nil
}

// relabel changes what c calls a key.
func (a *Account) relabel(r *http.Request, c caller, id, label string) (apikey.Record, error) {
	rec, err := a.own(r, c, id)
	if err != nil {
		return apikey.Record{}, err
	}
	if err := a.cfg.Keys.Relabel(ofUser(r, c), id, label); err != nil {
		return apikey.Record{}, refusal(err)
	}
	rec.Label = label
	return rec, nil
}

// revoke revokes a key of c's.
func (a *Account) revoke(r *http.Request, c caller, id string) error {
	if _, err := a.own(r, c, id); err != nil {
		return err
	}
	if err := a.cfg.Keys.Revoke(ofUser(r, c), id); err != nil {
		return refusal(err)
	}
	return nil
}

// refusal is the answer to what went wrong with keys.
func refusal(err error) *problem.Error {
	switch {
	case errors.Is(err, apikey.ErrRequest):
		e := problem.New(http.StatusUnprocessableEntity, "key_invalid", "The key cannot be made or changed as asked.")
		// The text is meant for who asked; several faults stand in lines.
		_, text, ok := strings.Cut(err.Error(), apikey.ErrRequest.Error()+": ")
		if ok {
			e.Detail = strings.ReplaceAll(text, "\n", "; ")
		}
		return e
	case errors.Is(err, apikey.ErrNotFound):
		return problem.New(http.StatusNotFound, "no_key", "There is no such key.")
	case errors.Is(err, apikey.ErrDead):
		return problem.New(http.StatusConflict, "key_dead", "The key was revoked, has expired, or was rotated already.")
	}
	return silent(err)
}

// The states of a key.
const (
	active  = "active"
	expired = "expired"
	revoked = "revoked"
	rotated = "rotated" // good for a while more, beside the one that takes its place
)

// stateOf tells the state of a key at now.
func stateOf(rec apikey.Record, now time.Time) string {
	switch {
	case !rec.Revoked.IsZero():
		return revoked
	case !rec.Alive(now):
		return expired
	case rec.ReplacedBy != "":
		return rotated
	}
	return active
}

// parseSpan reads a whole number of minutes, hours or days, such as 30m, 24h or
// 90d; also 0.
func parseSpan(text string) (time.Duration, bool) {
	if text == "0" {
		return 0, true
	}
	number := strings.TrimRight(text, "mhd")
	unit, ok := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": day}[text[len(number):]]
	if !ok || number == "" || len(number) > 5 || strings.Trim(number, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(number)
	return time.Duration(n) * unit, err == nil
}
