package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/user"
)

// A request is what is known of one request: its session is loaded once.
type request struct {
	mu sync.Mutex
	w  http.ResponseWriter // nil before there is one and after the request
	// found tells that sess and err are the outcome for value; settled,
	// that they are it whatever the cookie says, since this very request
	// began or ended the session.
	found, settled bool
	value          string
	sess           Session
	err            error
}

type requestKey struct{ of *Sessions }

// Handler attaches to each request what is found out about its session, so that
// it is loaded once, and lets the methods of s set and clear the cookie. They do
// so when the session is first asked for, which is before an operation's
// handler runs; a handler that calls Current where nothing has asked before
// calls it before it writes. Without Handler nothing is set or cleared but by
// Finish and End.
func (s *Sessions) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &request{w: w}
		// The answer is not touched once it is out, whoever still asks.
		defer q.leave()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{s}, q)))
	})
}

func (q *request) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.w = nil
}

// settle notes what is so from now on, whatever the request's cookie says.
func (s *Sessions) settle(ctx context.Context, sess Session, err error) {
	if q, ok := ctx.Value(requestKey{s}).(*request); ok {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.settled, q.sess, q.err = true, sess, err
	}
}

// Current returns the session of r's browser. The error wraps ErrNone where
// there is none, which includes two cookies of the name; any other means that
// it could not be found out.
func (s *Sessions) Current(r *http.Request) (Session, error) {
	c, found, err := s.place.Find(r)
	sess, err := s.resolve(r.Context(), r, c.Value, found && err == nil)
	return sess.clone(), err
}

// resolve returns the session that value, a cookie's, stands for. Where it
// stands for none, the log is told and the cookie cleared, unless the browser
// has just got another; where that could not be found out, nothing is cleared.
// The session is shared.
func (s *Sessions) resolve(ctx context.Context, r *http.Request, value string, there bool) (Session, error) {
	q, ok := ctx.Value(requestKey{s}).(*request)
	if !ok {
		q = &request{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.settled, there && q.found && q.value == value:
		return q.sess, q.err
	case !there:
		return Session{}, ErrNone
	}
	sess, err := s.look(ctx, q.w, value)
	var gone *ended
	if errors.As(err, &gone) {
		gone.log(ctx, s.cfg.Logger, slog.String("address", r.RemoteAddr))
		if q.w != nil && !s.replaced(ctx, gone.rec.ID) {
			s.clear(q.w)
		}
	}
	q.found, q.value, q.sess, q.err = true, value, sess, err
	return sess, err
}

// look finds the session behind a cookie's value, and renews it. w may be nil.
func (s *Sessions) look(ctx context.Context, w http.ResponseWriter, value string) (Session, error) {
	if s.cfg.Kind == Sealed {
		return s.lookSealed(ctx, w, value)
	}
	return s.lookServer(ctx, value)
}

const (
	eventEnded   = "session ended"
	eventForeign = "session cookie not ours"
)

// An ended says that and why a cookie or ticket stands for no session. It wraps ErrNone.
type ended struct {
	event  string
	reason string
	rec    Record // zero where it is not known
}

func (e *ended) Error() string { return fmt.Sprintf("%v: %s: %s", ErrNone, e.event, e.reason) }
func (e *ended) Unwrap() error { return ErrNone }

func (e *ended) log(ctx context.Context, logger *slog.Logger, attrs ...slog.Attr) {
	attrs = append(attrs, slog.String("reason", e.reason))
	if e.rec.ID != (ID{}) {
		attrs = append(attrs, slog.String("session", e.rec.ID.String()), slog.String("user", e.rec.User))
	}
	audit.Log(ctx, logger, e.event, attrs...)
}

// note logs that a session was ended.
func (s *Sessions) note(ctx context.Context, reason string, rec Record, attrs ...slog.Attr) {
	(&ended{event: eventEnded, reason: reason, rec: rec}).log(ctx, s.cfg.Logger, attrs...)
}

func foreign(reason string) error { return &ended{event: eventForeign, reason: reason} }
func over(reason string, rec Record) error {
	return &ended{event: eventEnded, reason: reason, rec: rec}
}

// within tells whether rec has not come to its end. It also bounds sessions
// that were made under a longer limit: what revokes them is not remembered
// longer than today's.
func (s *Sessions) within(rec Record, now time.Time) error {
	switch {
	case !now.Before(rec.Expires), !now.Before(rec.Created.Add(s.cfg.Absolute)):
		return over("its time is over", rec)
	case !now.Before(rec.Idle):
		return over("not used for too long", rec)
	}
	return nil
}

// person makes the session of rec, which is within its time. A person who is
// gone or disabled has none: it is ended, lest it live again.
func (s *Sessions) person(ctx context.Context, rec Record) (Session, error) {
	who, err := s.cfg.Users.Load(ctx, rec.User)
	gone := errors.Is(err, user.ErrNotFound)
	switch {
	case err != nil && !gone:
		return Session{}, fmt.Errorf("session: loading the user: %w", err)
	case !gone && who.ID != rec.User:
		return Session{}, fmt.Errorf("session: the store gave the record of another user for %s", rec.User)
	case !gone && !who.Disabled:
		return rec.session(who), nil
	}
	if _, err := s.remove(ctx, rec); err != nil {
		s.logger().WarnContext(ctx, "session of a disabled user not ended; it lets nobody in while they are disabled", "session", rec.ID.String(), "error", err)
	}
	if gone {
		return Session{}, over("its user is unknown", rec)
	}
	return Session{}, over("its user is disabled", rec)
}
