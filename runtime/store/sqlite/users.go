package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

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
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return scanUser(u.s.write.QueryRowContext(ctx, `INSERT INTO gatewright_users (id, issuer, subject, name, email, disabled, created)
VALUES (?, ?, ?, ?, ?, 0, ?)
ON CONFLICT (issuer, subject) DO UPDATE SET
	name  = CASE excluded.name  WHEN '' THEN name  ELSE excluded.name  END,
	email = CASE excluded.email WHEN '' THEN email ELSE excluded.email END
RETURNING id, issuer, subject, name, email, scopes, disabled, created`,
		user.NewID(), issuer, subject, p.Name, p.Email, time.Now().UnixMilli()))
}

func (u users) Load(ctx context.Context, id string) (user.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return scanUser(u.s.loadUser.QueryRowContext(ctx, id))
}

func (u users) SetDisabled(ctx context.Context, id string, disabled bool) error {
	n, err := u.s.exec(ctx, "UPDATE gatewright_users SET disabled = ? WHERE id = ?", disabled, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return user.ErrNotFound
	}
	return nil
}

func (u users) SetScopes(ctx context.Context, id string, scopes []string) error {
	text, err := array(scopes)
	if err != nil {
		return err
	}
	n, err := u.s.exec(ctx, "UPDATE gatewright_users SET scopes = ? WHERE id = ?", text, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return user.ErrNotFound
	}
	return nil
}

func (u users) List(ctx context.Context, after string, limit int) ([]user.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	rows, err := u.s.read.QueryContext(ctx, selectUser+" WHERE id > ? ORDER BY id LIMIT ?", after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return collect(rows, scanUser)
}

// A row is one result, of *sql.Row or *sql.Rows.
type row interface{ Scan(into ...any) error }

// collect reads all of rows, and closes them.
func collect[T any](rows *sql.Rows, scan func(row) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return all, nil
}

func scanUser(r row) (user.Record, error) {
	var rec user.Record
	var scopes []byte
	var created int64
	err := r.Scan(&rec.ID, &rec.Issuer, &rec.Subject, &rec.Name, &rec.Email, &scopes, &rec.Disabled, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return user.Record{}, user.ErrNotFound
	}
	if err != nil {
		return user.Record{}, fmt.Errorf("sqlite: %w", err)
	}
	if err := json.Unmarshal(scopes, &rec.Scopes); err != nil {
		return user.Record{}, fmt.Errorf("sqlite: scopes of user %s: %w", rec.ID, err)
	}
	rec.Created = fromMillis(created)
	return rec, nil
}
