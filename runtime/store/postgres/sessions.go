package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
)

type sessions struct{ s *Store }

const selectSession = `SELECT id, user_id, provider, issuer, subject, provider_session, scopes,
	auth_time, created, used, idle, expires, agent, tokens FROM gatewright_sessions`

func (x sessions) Create(ctx context.Context, rec session.Record) error {
	scopes, err := object(rec.Scopes)
	if err != nil {
		return err
	}
	n, err := x.s.exec(ctx, `INSERT INTO gatewright_sessions (id, user_id, provider, issuer, subject, provider_session, scopes,
	auth_time, created, used, idle, expires, agent, tokens)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO NOTHING`,
		rec.ID[:], rec.User, rec.Provider, rec.Issuer, rec.Subject, rec.ProviderSession, scopes,
		millis(rec.AuthTime), millis(rec.Created), millis(rec.Used), millis(rec.Idle), millis(rec.Expires), rec.Agent, bytesOrNull(rec.Tokens))
	if err == nil && n == 0 {
		return session.ErrExists
	}
	return err
}

func (x sessions) Load(ctx context.Context, id session.ID) (session.Record, error) {
	rec, err := one(ctx, x.s, scanSession, selectSession+" WHERE id = $1", id[:])
	if err == nil && rec.ID != id {
		return session.Record{}, errOther
	}
	return rec, err
}

func (x sessions) Touch(ctx context.Context, id session.ID, used, idle time.Time) error {
	_, err := x.s.exec(ctx, `UPDATE gatewright_sessions SET used = greatest(used, $1), idle = greatest(idle, $2)
WHERE id = $3 AND (used < $1 OR idle < $2)`, millis(used), millis(idle), id[:])
	return err
}

func (x sessions) SaveTokens(ctx context.Context, id session.ID, tokens []byte, scopes map[string][]string) error {
	var newScopes *string // NULL: those that are there stay
	if scopes != nil {
		text, err := object(scopes)
		if err != nil {
			return err
		}
		newScopes = &text
	}
	n, err := x.s.exec(ctx, telling("UPDATE gatewright_sessions SET tokens = $2, scopes = coalesce($3::jsonb, scopes) WHERE id = $4 RETURNING id"),
		payload(store.Change{Kind: store.Session, ID: id.String()}), bytesOrNull(tokens), newScopes, id[:])
	if err == nil && n == 0 {
		return session.ErrNotFound
	}
	return err
}

// Delete locks rows in the order of their ids, so that two calls that pick the
// same ones do not wait for each other.
func (x sessions) Delete(ctx context.Context, m session.Match) (int, error) {
	change := store.Change{Kind: store.Session}
	if m.ID != (session.ID{}) {
		change.ID = m.ID.String()
	}
	where, args := "", []any{payload(change)}
	and := func(column, is string, arg any) {
		args = append(args, arg)
		if where != "" {
			where += " AND "
		}
		where += column + is + "$" + strconv.Itoa(len(args))
	}
	if m.ID != (session.ID{}) {
		and("id", " = ", m.ID[:])
	}
	if m.User != "" {
		and("user_id", " = ", m.User)
	}
	if m.Issuer != "" {
		and("issuer", " = ", m.Issuer)
	}
	if m.Subject != "" {
		and("subject", " = ", m.Subject)
	}
	if m.ProviderSession != "" {
		and("provider_session <> '' AND provider_session", " = ", m.ProviderSession) // as the index says
	}
	if where == "" {
		return 0, errors.New("postgres: a match that picks no session in particular is refused: it would end all of them")
	}
	if !isText(m.User, m.Issuer, m.Subject, m.ProviderSession) {
		return 0, nil // no session has that
	}
	if m.Except != (session.ID{}) {
		and("id", " <> ", m.Except[:])
	}
	n, err := x.s.exec(ctx, telling(`DELETE FROM gatewright_sessions
WHERE id = ANY (ARRAY (SELECT id FROM gatewright_sessions WHERE `+where+` ORDER BY id FOR UPDATE)) RETURNING id`), args...)
	return int(n), err
}

func (x sessions) List(ctx context.Context, user string, limit int) ([]session.Record, error) {
	if !isText(user) {
		return nil, nil // nobody's
	}
	return many(ctx, x.s, scanSession, selectSession+" WHERE user_id = $1 ORDER BY created DESC, id DESC LIMIT $2", user, max(limit, 0))
}

func scanSession(r row) (session.Record, error) {
	var rec session.Record
	var id, scopes []byte
	var authTime, created, used, idle, expires int64
	if err := r.Scan(&id, &rec.User, &rec.Provider, &rec.Issuer, &rec.Subject, &rec.ProviderSession, &scopes,
		&authTime, &created, &used, &idle, &expires, &rec.Agent, &rec.Tokens); err != nil {
		return session.Record{}, notFound(err, session.ErrNotFound)
	}
	if copy(rec.ID[:], id) != len(rec.ID) {
		return session.Record{}, fmt.Errorf("postgres: the id of a session has %d bytes", len(id))
	}
	if err := json.Unmarshal(scopes, &rec.Scopes); err != nil {
		return session.Record{}, fmt.Errorf("postgres: scopes of session %s: %w", rec.ID, err)
	}
	rec.AuthTime, rec.Created = fromMillis(authTime), fromMillis(created)
	rec.Used, rec.Idle, rec.Expires = fromMillis(used), fromMillis(idle), fromMillis(expires)
	return rec, nil
}

// object is scopes by scheme as a JSON object. It refuses what is not UTF-8,
// which JSON cannot hold.
func object(scopes map[string][]string) (string, error) {
	b, err := json.Marshal(scopes, json.Deterministic(true), jsontext.AllowInvalidUTF8(false))
	if err != nil {
		return "", fmt.Errorf("postgres: %w", err)
	}
	return string(b), nil
}

// bytesOrNull is b as it is stored: an empty one is none.
func bytesOrNull(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
