package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/apikey"
)

type keys struct{ s *Store }

const selectKey = `SELECT id, environment, hash, user_id, client_id, client_name, label, schemes, scopes,
	bound, created, expires, last_used, revoked, replaced_by FROM gatewright_keys`

// loadKey gives a row for an id that there is none with too, of nobody and with
// no id, so that to refuse it takes the work of refusing another: what is read
// and decoded.
const loadKey = `SELECT coalesce(k.id, ''), coalesce(k.environment, 'live'), coalesce(k.hash, zeroblob(32)),
	CASE WHEN k.id IS NULL THEN 'usr_00000000000000000000' ELSE k.user_id END, k.client_id, coalesce(k.client_name, ''), coalesce(k.label, 'nobody'),
	coalesce(k.schemes, '[]'), coalesce(k.scopes, '["nothing:read"]'), coalesce(k.bound, 0), coalesce(k.created, 1), coalesce(k.expires, 1),
	coalesce(k.last_used, 0), coalesce(k.revoked, 0), coalesce(k.replaced_by, '')
FROM (SELECT 1) LEFT JOIN gatewright_keys AS k ON k.id = ?1`

func (k keys) Create(ctx context.Context, rec apikey.Record) error {
	return k.create(ctx, k.s.write, rec)
}

// An execer is a database or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (k keys) create(ctx context.Context, in execer, rec apikey.Record) error {
	schemes, err := array(rec.Schemes)
	if err != nil {
		return err
	}
	scopes, err := array(rec.Scopes)
	if err != nil {
		return err
	}
	n, err := exec(ctx, in, `INSERT INTO gatewright_keys (id, environment, hash, user_id, client_id, client_name,
	label, schemes, scopes, bound, created, expires, last_used, revoked, replaced_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING`,
		rec.ID, string(rec.Environment), rec.Hash[:], orNull(rec.Owner.User), orNull(rec.Owner.Client), rec.Owner.ClientName,
		rec.Label, schemes, scopes, rec.Bound, millis(rec.Created), millis(rec.Expires), millis(rec.LastUsed), millis(rec.Revoked), rec.ReplacedBy)
	if err != nil {
		return err
	}
	if n == 0 {
		return apikey.ErrExists
	}
	return nil
}

func (k keys) Load(ctx context.Context, id string) (apikey.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	rec, err := scanKey(k.s.loadKey.QueryRowContext(ctx, id))
	if err == nil && rec.ID == "" {
		return apikey.Record{}, apikey.ErrNotFound
	}
	return rec, err
}

func (k keys) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	where, args := []string{"id > ?"}, []any{q.After}
	if q.Owner.User != "" {
		where, args = append(where, "user_id = ?"), append(args, q.Owner.User)
	}
	if q.Owner.Client != "" {
		where, args = append(where, "client_id = ?"), append(args, q.Owner.Client)
	}
	query := selectKey + " WHERE " + strings.Join(where, " AND ") + " ORDER BY id LIMIT ?"
	rows, err := k.s.read.QueryContext(ctx, query, append(args, max(q.Limit, 0))...)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return collect(rows, scanKey)
}

func (k keys) Revoke(ctx context.Context, id string, at time.Time) error {
	n, err := k.s.exec(ctx, "UPDATE gatewright_keys SET revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END WHERE id = ?", millis(at), id)
	if err != nil {
		return err
	}
	if n == 0 {
		return apikey.ErrNotFound
	}
	return nil
}

// Rotate is one transaction on the connection that writes.
func (k keys) Rotate(ctx context.Context, old string, until time.Time, rec apikey.Record) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	tx, err := k.s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	n, err := exec(ctx, tx, `UPDATE gatewright_keys SET replaced_by = ?1, expires = CASE WHEN expires BETWEEN 1 AND ?2 THEN expires ELSE ?2 END
WHERE id = ?3 AND revoked = 0 AND replaced_by = '' AND (expires = 0 OR expires > ?4)`,
		rec.ID, millis(until), old, millis(rec.Created))
	if err != nil {
		return err
	}
	if n == 0 {
		switch err := tx.QueryRowContext(ctx, "SELECT 1 FROM gatewright_keys WHERE id = ?", old).Scan(new(int)); {
		case errors.Is(err, sql.ErrNoRows):
			return apikey.ErrNotFound
		case err != nil:
			return fmt.Errorf("sqlite: %w", err)
		}
		return apikey.ErrDead
	}
	if err := k.create(ctx, tx, rec); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return nil
}

func (k keys) Relabel(ctx context.Context, id, label string) error {
	n, err := k.s.exec(ctx, "UPDATE gatewright_keys SET label = ? WHERE id = ?", label, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return apikey.ErrNotFound
	}
	return nil
}

func (k keys) Touch(ctx context.Context, id string, at time.Time) error {
	_, err := k.s.exec(ctx, "UPDATE gatewright_keys SET last_used = ?1 WHERE id = ?2 AND last_used < ?1", millis(at), id)
	return err
}

func scanKey(r row) (apikey.Record, error) {
	var rec apikey.Record
	var hash, schemes, scopes []byte
	var owner, client sql.NullString
	var created, expires, lastUsed, revoked int64
	err := r.Scan(&rec.ID, &rec.Environment, &hash, &owner, &client, &rec.Owner.ClientName, &rec.Label, &schemes, &scopes,
		&rec.Bound, &created, &expires, &lastUsed, &revoked, &rec.ReplacedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	if err != nil {
		return apikey.Record{}, fmt.Errorf("sqlite: %w", err)
	}
	if copy(rec.Hash[:], hash) != len(rec.Hash) {
		return apikey.Record{}, fmt.Errorf("sqlite: hash of key %s has %d bytes", rec.ID, len(hash))
	}
	// An array that cannot be read must not come out empty: no schemes
	// means all of them.
	if err := errors.Join(json.Unmarshal(schemes, &rec.Schemes), json.Unmarshal(scopes, &rec.Scopes)); err != nil {
		return apikey.Record{}, fmt.Errorf("sqlite: names of key %s: %w", rec.ID, err)
	}
	rec.Owner.User, rec.Owner.Client = owner.String, client.String
	rec.Created, rec.Expires = fromMillis(created), fromMillis(expires)
	rec.LastUsed, rec.Revoked = fromMillis(lastUsed), fromMillis(revoked)
	return rec, nil
}

// array is names as a JSON array. It refuses what is not UTF-8, which JSON
// cannot hold.
func array(names []string) (string, error) {
	b, err := json.Marshal(names, jsontext.AllowInvalidUTF8(false))
	if err != nil {
		return "", fmt.Errorf("sqlite: %w", err)
	}
	return string(b), nil
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
