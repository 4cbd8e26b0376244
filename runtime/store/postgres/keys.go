package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store"
)

type keys struct{ s *Store }

const selectKey = `SELECT id, environment, hash, user_id, client_id, client_name, label, schemes, scopes,
	bound, created, expires, last_used, revoked, replaced_by FROM gatewright_keys`

// loadKey gives a row for an id that there is none with too, of nobody and with
// no id, so that to refuse it takes the work of refusing another: what is
// sent, read and decoded.
const loadKey = `SELECT coalesce(k.id, ''), coalesce(k.environment, 'live'), coalesce(k.hash, decode(repeat('00', 32), 'hex')),
	CASE WHEN k.id IS NULL THEN 'usr_00000000000000000000' ELSE k.user_id END, k.client_id, coalesce(k.client_name, ''), coalesce(k.label, 'nobody'),
	coalesce(k.schemes, '{}'), coalesce(k.scopes, '{nothing:read}'), coalesce(k.bound, false), coalesce(k.created, 1), coalesce(k.expires, 1),
	coalesce(k.last_used, 0), coalesce(k.revoked, 0), coalesce(k.replaced_by, '')
FROM (SELECT 1) AS one LEFT JOIN gatewright_keys AS k ON k.id = $1`

// errOther means that the answer is to another question: a connection, or a
// pooler, has mixed them up.
var errOther = errors.New("postgres: the record is another than was asked for")

func (k keys) Create(ctx context.Context, rec apikey.Record) error {
	ctx, cancel, err := within(ctx)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer cancel()
	return k.create(ctx, k.s.pool, rec)
}

func (k keys) create(ctx context.Context, in execer, rec apikey.Record) error {
	n, err := exec(ctx, in, `INSERT INTO gatewright_keys (id, environment, hash, user_id, client_id, client_name,
	label, schemes, scopes, bound, created, expires, last_used, revoked, replaced_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (id) DO NOTHING`,
		rec.ID, string(rec.Environment), rec.Hash[:], orNull(rec.Owner.User), orNull(rec.Owner.Client), rec.Owner.ClientName,
		rec.Label, orEmpty(rec.Schemes), orEmpty(rec.Scopes), rec.Bound,
		millis(rec.Created), millis(rec.Expires), millis(rec.LastUsed), millis(rec.Revoked), rec.ReplacedBy)
	if err == nil && n == 0 {
		return apikey.ErrExists
	}
	return err
}

func (k keys) Load(ctx context.Context, id string) (apikey.Record, error) {
	if !isText(id) {
		return apikey.Record{}, apikey.ErrNotFound
	}
	rec, err := one(ctx, k.s, scanKey, loadKey, id)
	if err == nil && rec.ID == "" {
		return apikey.Record{}, apikey.ErrNotFound
	}
	if err == nil && rec.ID != id {
		return apikey.Record{}, errOther
	}
	return rec, err
}

func (k keys) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	if !isText(q.Owner.User, q.Owner.Client) {
		return nil, nil // nobody's
	}
	query, args := selectKey+" WHERE id > $1", []any{q.After}
	and := func(column, value string) {
		if value != "" {
			args = append(args, value)
			query += " AND " + column + " = $" + strconv.Itoa(len(args))
		}
	}
	and("user_id", q.Owner.User)
	and("client_id", q.Owner.Client)
	args = append(args, max(q.Limit, 0))
	return many(ctx, k.s, scanKey, query+" ORDER BY id LIMIT $"+strconv.Itoa(len(args)), args...)
}

func (k keys) Revoke(ctx context.Context, id string, at time.Time) error {
	return k.set(ctx, id, "revoked = CASE revoked WHEN 0 THEN $2 ELSE revoked END", millis(at))
}

func (k keys) Relabel(ctx context.Context, id, label string) error {
	return k.set(ctx, id, "label = $2", label)
}

// set changes a key, and tells it.
func (k keys) set(ctx context.Context, id, change string, value any) error {
	if !isText(id) {
		return apikey.ErrNotFound
	}
	n, err := k.s.exec(ctx, telling("UPDATE gatewright_keys SET "+change+" WHERE id = $3 RETURNING id"),
		payload(store.Change{Kind: store.Key, ID: id}), value, id)
	if err == nil && n == 0 {
		return apikey.ErrNotFound
	}
	return err
}

// Rotate is one transaction. Of several for one key the first holds its row,
// and the others find it changed.
func (k keys) Rotate(ctx context.Context, old string, until time.Time, rec apikey.Record) error {
	if !isText(old) {
		return apikey.ErrNotFound
	}
	ctx, cancel, err := within(ctx)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer cancel()
	tx, err := k.s.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // after Commit it does nothing
	n, err := exec(ctx, tx, telling(`UPDATE gatewright_keys
SET replaced_by = $2, expires = CASE WHEN expires BETWEEN 1 AND $3 THEN expires ELSE $3 END
WHERE id = $4 AND revoked = 0 AND replaced_by = '' AND (expires = 0 OR expires > $5) RETURNING id`),
		payload(store.Change{Kind: store.Key, ID: old}), rec.ID, millis(until), old, millis(rec.Created))
	if err != nil {
		return err
	}
	if n == 0 {
		if err := tx.QueryRow(ctx, "SELECT 1 FROM gatewright_keys WHERE id = $1", old).Scan(new(int)); err != nil {
			return notFound(err, apikey.ErrNotFound)
		}
		return apikey.ErrDead
	}
	if err := k.create(ctx, tx, rec); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return nil
}

func (k keys) Touch(ctx context.Context, id string, at time.Time) error {
	if !isText(id) {
		return nil
	}
	_, err := k.s.exec(ctx, "UPDATE gatewright_keys SET last_used = $1 WHERE id = $2 AND last_used < $1", millis(at), id)
	return err
}

func scanKey(r row) (apikey.Record, error) {
	var rec apikey.Record
	var hash []byte
	var owner, client *string
	var created, expires, lastUsed, revoked int64
	if err := r.Scan(&rec.ID, &rec.Environment, &hash, &owner, &client, &rec.Owner.ClientName, &rec.Label, &rec.Schemes, &rec.Scopes,
		&rec.Bound, &created, &expires, &lastUsed, &revoked, &rec.ReplacedBy); err != nil {
		return apikey.Record{}, notFound(err, apikey.ErrNotFound)
	}
	if copy(rec.Hash[:], hash) != len(rec.Hash) {
		return apikey.Record{}, fmt.Errorf("postgres: hash of key %s has %d bytes", rec.ID, len(hash))
	}
	if owner != nil {
		rec.Owner.User = *owner
	}
	if client != nil {
		rec.Owner.Client = *client
	}
	rec.Created, rec.Expires = fromMillis(created), fromMillis(expires)
	rec.LastUsed, rec.Revoked = fromMillis(lastUsed), fromMillis(revoked)
	return rec, nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// orEmpty is names as an array that is never NULL.
func orEmpty(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}
