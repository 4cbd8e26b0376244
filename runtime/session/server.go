package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/gatewright/gatewright/runtime/secret"
)

// secretSize is what a browser holds of a session of the server kind: 256 bits.
const secretSize = 32

// newSecret makes what a browser is to hold, 43 characters.
func newSecret() secret.Value { return secret.Random(secretSize) }

// isSecret tells whether text has the form of what newSecret makes. It has the
// size and the spelling of an id.
func isSecret(text string) bool {
	_, ok := ParseID(text)
	return ok
}

// idOf names a session by what the browser holds.
func idOf(text string) ID { return sha256.Sum256([]byte(text)) }

// pendingID names a session that is in no browser yet by its ticket. It is
// hashed otherwise than a cookie is, so that a ticket put into the cookie
// finds nothing.
func pendingID(ticket string) ID { return ID(KeyOf("session ticket", ticket)) }

// lookServer finds the session that value is the secret of, and notes its use.
func (s *Sessions) lookServer(ctx context.Context, value string) (Session, error) {
	if !isSecret(value) {
		return Session{}, foreign("it has not the form of one")
	}
	id, now := idOf(value), s.now()
	sess, known := s.good.Get(id)
	// One whose time is over is judged by what the store has: another
	// replica may have noted its use.
	if !known || s.within(Record{Created: sess.Created, Idle: sess.Idle, Expires: sess.Expires}, now) != nil {
		begun := s.good.Begin(id)
		rec, err := s.load(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return Session{}, over("unknown, or ended before", Record{ID: id})
		}
		if err != nil {
			return Session{}, err
		}
		if err := s.within(rec, now); err != nil {
			return Session{}, err
		}
		if sess, err = s.person(ctx, rec); err != nil {
			return Session{}, err
		}
		s.good.Put(begun, id, sess)
	}
	s.touch(ctx, &sess, now)
	return sess, nil
}

// load returns the record with exactly that id.
func (s *Sessions) load(ctx context.Context, id ID) (Record, error) {
	rec, err := s.cfg.Store.Load(ctx, id)
	if err != nil {
		return Record{}, fmt.Errorf("session: loading: %w", err)
	}
	if rec.ID != id {
		return Record{}, errors.New("session: the store gave the record of another session")
	}
	return rec, nil
}

// touchTime is how long a request waits at most for the note of use, which
// happens once a minute.
const touchTime = 250 * time.Millisecond

// touch notes that a session is used, once a minute. A note that fails is made
// by the next request.
func (s *Sessions) touch(ctx context.Context, sess *Session, now time.Time) {
	used := now.Truncate(time.Minute)
	if !used.After(sess.Used) {
		return
	}
	idle := earliest(now.Add(s.cfg.Idle), sess.Expires)
	// A caller who hangs up is noted too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), touchTime)
	defer cancel()
	if err := s.cfg.Store.Touch(ctx, sess.ID, used, idle); err != nil {
		s.logger().WarnContext(ctx, "session: use not noted", "session", sess.ID.String(), "error", err)
		return
	}
	sess.Used, sess.Idle = used, idle
	s.Forget(sess.ID)
}
