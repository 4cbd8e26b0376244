package postgres

import (
	"context"
	"time"

	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

type users struct{ s *Store }

const selectUser = "SELECT id, issuer, subject, name, email, scopes, disabled, created FROM gatewright_users"

// Ensure is one statement, so that of several at once one makes the record and
// the others find it.
func (u users) Ensure(ctx context.Context, issuer, subject string, p user.Profile) (user.Record, error) {
	if err := user.Check(issuer, subject, p); err != nil {
		return user.Record{}, err
	}
	rec, err := one(ctx, u.s, scanUser, `INSERT INTO gatewright_users AS old (id, issuer, subject, name, email, disabled, created)
VALUES ($1, $2, $3, $4, $5, false, $6)
ON CONFLICT (issuer, subject) DO UPDATE SET
	name  = CASE excluded.name  WHEN '' THEN old.name  ELSE excluded.name  END,
	email = CASE excluded.email WHEN '' THEN old.email ELSE excluded.email END
RETURNING id, issuer, subject, name, email, scopes, disabled, created`,
		user.NewID(), issuer, subject, p.Name, p.Email, time.Now().UnixMilli())
	if err == nil && (rec.Issuer != issuer || rec.Subject != subject) {
		return user.Record{}, errOther
	}
	return rec, err
}

func (u users) Load(ctx context.Context, id string) (user.Record, error) {
	if !isText(id) {
		return user.Record{}, user.ErrNotFound
	}
	rec, err := one(ctx, u.s, scanUser, selectUser+" WHERE id = $1", id)
	if err == nil && rec.ID != id {
		return user.Record{}, errOther
	}
	return rec, err
}

func (u users) SetDisabled(ctx context.Context, id string, disabled bool) error {
	return u.set(ctx, id, "disabled", disabled)
}

func (u users) SetScopes(ctx context.Context, id string, scopes []string) error {
	return u.set(ctx, id, "scopes", orEmpty(scopes))
}

// set changes a column, and tells it.
func (u users) set(ctx context.Context, id, column string, value any) error {
	if !isText(id) {
		return user.ErrNotFound
	}
	n, err := u.s.exec(ctx, telling("UPDATE gatewright_users SET "+column+" = $2 WHERE id = $3 RETURNING id"),
		payload(store.Change{Kind: store.User, ID: id}), value, id)
	if err == nil && n == 0 {
		return user.ErrNotFound
	}
	return err
}

func (u users) List(ctx context.Context, after string, limit int) ([]user.Record, error) {
	return many(ctx, u.s, scanUser, selectUser+" WHERE id > $1 ORDER BY id LIMIT $2", after, max(limit, 0))
}

func scanUser(r row) (user.Record, error) {
	var rec user.Record
	var created int64
	if err := r.Scan(&rec.ID, &rec.Issuer, &rec.Subject, &rec.Name, &rec.Email, &rec.Scopes, &rec.Disabled, &created); err != nil {
		return user.Record{}, notFound(err, user.ErrNotFound)
	}
	rec.Created = fromMillis(created)
	return rec, nil
}
