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

	"github.com/gatewright/gatewright/runtime/session"
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
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING`,
		rec.ID[:], rec.User, rec.Provider, rec.Issuer, rec.Subject, rec.ProviderSession, scopes,
		millis(rec.AuthTime), millis(rec.Created), millis(rec.Used), millis(rec.Idle), millis(rec.Expires), rec.Agent, blobOrNull(rec.Tokens))
	if err != nil {
		return err
	}
	if n == 0 {
		return session.ErrExists
	}
	return nil
}

func (x sessions) Load(ctx context.Context, id session.ID) (session.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return scanSession(x.s.loadSession.QueryRowContext(ctx, id[:]))
}

func (x sessions) Touch(ctx context.Context, id session.ID, used, idle time.Time) error {
	_, err := x.s.exec(ctx, `UPDATE gatewright_sessions SET used = max(used, ?1), idle = max(idle, ?2)
WHERE id = ?3 AND (used < ?1 OR idle < ?2)`, millis(used), millis(idle), id[:])
	return err
}

func (x sessions) SaveTokens(ctx context.Context, id session.ID, tokens []byte, scopes map[string][]string) error {
	var newScopes any // NULL: those that are there stay
	if scopes != nil {
		text, err := object(scopes)
		if err != nil {
			return err
		}
		newScopes = text
	}
	n, err := x.s.exec(ctx, "UPDATE gatewright_sessions SET tokens = ?, scopes = coalesce(?, scopes) WHERE id = ?",
		blobOrNull(tokens), newScopes, id[:])
	if err != nil {
		return err
	}
	if n == 0 {
		return session.ErrNotFound
	}
	return nil
}

func (x sessions) Delete(ctx context.Context, m session.Match) (int, error) {
	var where []string
	var args []any
	and := func(condition string, arg any) {
		where, args = append(where, condition), append(args, arg)
	}
	if m.ID != (session.ID{}) {
		and("id = ?", m.ID[:])
	}
	if m.User != "" {
		and("user_id = ?", m.User)
	}
	if m.Issuer != "" {
		and("issuer = ?", m.Issuer)
	}
	if m.Subject != "" {
		and("subject = ?", m.Subject)
	}
	if m.ProviderSession != "" {
		and("provider_session = ?", m.ProviderSession)
	}
	if len(where) == 0 {
		return 0, errors.New("sqlite: a match that picks no session in particular is refused: it would end all of them")
	}
	if m.Except != (session.ID{}) {
		and("id <> ?", m.Except[:])
	}
	n, err := x.s.exec(ctx, "DELETE FROM gatewright_sessions WHERE "+strings.Join(where, " AND "), args...)
	return int(n), err
}

func (x sessions) List(ctx context.Context, user string, limit int) ([]session.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	rows, err := x.s.read.QueryContext(ctx, selectSession+" WHERE user_id = ? ORDER BY created DESC, id DESC LIMIT ?", user, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return collect(rows, scanSession)
}

func scanSession(r row) (session.Record, error) {
	var rec session.Record
	var id, scopes []byte
	var authTime, created, used, idle, expires int64
	err := r.Scan(&id, &rec.User, &rec.Provider, &rec.Issuer, &rec.Subject, &rec.ProviderSession, &scopes,
		&authTime, &created, &used, &idle, &expires, &rec.Agent, &rec.Tokens)
	if errors.Is(err, sql.ErrNoRows) {
		return session.Record{}, session.ErrNotFound
	}
	if err != nil {
		return session.Record{}, fmt.Errorf("sqlite: %w", err)
	}
	if copy(rec.ID[:], id) != len(rec.ID) {
		return session.Record{}, fmt.Errorf("sqlite: the id of a session has %d bytes", len(id))
	}
	if err := json.Unmarshal(scopes, &rec.Scopes); err != nil {
		return session.Record{}, fmt.Errorf("sqlite: scopes of session %s: %w", rec.ID, err)
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
		return "", fmt.Errorf("sqlite: %w", err)
	}
	return string(b), nil
}

// blobOrNull is b as it is stored: an empty one is none.
func blobOrNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
