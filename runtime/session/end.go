package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatewright/gatewright/runtime/audit"
)

// End ends the session of r's browser, clears its cookie, and returns the
// session as it was. Nothing may have been written to w. The error wraps
// ErrNone where there is none, and the cookie is cleared. Any other means that
// the session may go on: the cookie stays, so that it can be tried again.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) (Session, error) {
	ctx := r.Context()
	sess, err := s.Current(r)
	if err != nil && !errors.Is(err, ErrNone) {
		return Session{}, err
	}
	if err == nil {
		if _, err := s.remove(ctx, Record{ID: sess.ID, Expires: sess.Expires}); err != nil {
			return Session{}, err
		}
		s.note(ctx, "signed out", Record{ID: sess.ID, User: sess.User.ID}, slog.String("address", r.RemoteAddr))
	} else if err := s.endPresented(r, "signed out", ID{}); err != nil {
		return Session{}, err
	}
	s.clear(w)
	s.settle(ctx, Session{}, ErrNone)
	return sess, err
}

// endPresented ends the session of every cookie that r presents, but not keep.
func (s *Sessions) endPresented(r *http.Request, reason string, keep ID) error {
	ctx := r.Context()
	for _, value := range s.presented(r) {
		rec := Record{ID: idOf(value)}
		switch {
		case s.cfg.Kind == Sealed:
			p, err := s.unseal(s.session, value)
			if err != nil || s.within(p.record(), s.now()) != nil {
				continue // it lets nobody in
			}
			rec = p.record()
		case !isSecret(value):
			continue
		}
		if rec.ID == keep {
			continue
		}
		n, err := s.remove(ctx, rec)
		if err != nil {
			return err
		}
		if n > 0 {
			s.note(ctx, reason, rec, slog.String("address", r.RemoteAddr))
			if keep != (ID{}) {
				s.markReplaced(ctx, rec.ID)
			}
		}
	}
	return nil
}

// replacedTime is how long a browser may take to put one cookie in the place
// of another.
const replacedTime = time.Minute

// markReplaced remembers that the browser is getting another session than id.
// Requests of its other tabs are on their way with the old cookie, and an
// answer that cleared it would clear the new one instead.
func (s *Sessions) markReplaced(ctx context.Context, id ID) {
	if s.cfg.Revocations == nil {
		return
	}
	now := s.now()
	// That it fails is no reason to refuse the login.
	_ = s.cfg.Revocations.Revoke(ctx, keyOfReplaced(id), now, now.Add(replacedTime))
}

// replaced tells whether id was replaced in its browser just now.
func (s *Sessions) replaced(ctx context.Context, id ID) bool {
	if s.cfg.Revocations == nil || id == (ID{}) {
		return false
	}
	at, err := s.cfg.Revocations.Revoked(ctx, keyOfReplaced(id))
	return err == nil && s.now().Before(at.Add(replacedTime))
}

// remove ends the session of rec, by its id: of the server kind it is removed,
// a sealed one revoked until its time is over. It returns how many ended.
func (s *Sessions) remove(ctx context.Context, rec Record) (int, error) {
	defer s.Forget(rec.ID)
	if s.cfg.Kind == Server {
		n, err := s.cfg.Store.Delete(ctx, Match{ID: rec.ID})
		if err != nil {
			return 0, fmt.Errorf("session: ending: %w", err)
		}
		return n, nil
	}
	// No session to come has this id, so that all times before its end are
	// meant, whatever clock made it.
	if err := s.cfg.Revocations.Revoke(ctx, keyOfSession(rec.ID), rec.Expires, rec.Expires); err != nil {
		return 0, fmt.Errorf("session: ending: %w", err)
	}
	return 1, nil
}

// EndAll ends all sessions of a user, in every browser, and logins under way.
func (s *Sessions) EndAll(ctx context.Context, userID string) error {
	if userID == "" {
		return errors.New("session: no user is named")
	}
	return s.endMany(ctx, "everywhere", keyOfUser(userID), Match{User: userID}, slog.String("user", userID))
}

// EndByProvider ends the sessions that a provider says are over, and logins
// under way: those of its session providerSession or, where that is empty,
// those of the person subject.
func (s *Sessions) EndByProvider(ctx context.Context, issuer, subject, providerSession string) error {
	attrs := []slog.Attr{slog.String("issuer", issuer), slog.String("subject", subject), slog.String("provider_session", providerSession)}
	switch {
	case issuer == "" || subject == "" && providerSession == "":
		return errors.New("session: no session of a provider is named")
	case providerSession != "":
		return s.endMany(ctx, "the provider says so", keyOfProvider(issuer, providerSession), Match{Issuer: issuer, ProviderSession: providerSession}, attrs...)
	}
	return s.endMany(ctx, "the provider says so", keyOfSubject(issuer, subject), Match{Issuer: issuer, Subject: subject}, attrs...)
}

// endMany ends the sessions that carry key, which are those that m picks. It
// revokes first: finishServer relies on it.
func (s *Sessions) endMany(ctx context.Context, reason string, key Key, m Match, attrs ...slog.Attr) error {
	defer s.ForgetAll()
	attrs = append(attrs, slog.String("reason", reason))
	if s.cfg.Revocations != nil {
		now := s.now()
		if err := s.cfg.Revocations.Revoke(ctx, key, now, now.Add(s.cfg.Absolute)); err != nil {
			return fmt.Errorf("session: ending: %w", err)
		}
	}
	if s.cfg.Kind == Server {
		n, err := s.cfg.Store.Delete(ctx, m)
		if err != nil {
			return fmt.Errorf("session: ending: %w", err)
		}
		attrs = append(attrs, slog.Int("sessions", n))
	}
	audit.Log(ctx, s.cfg.Logger, "sessions ended", attrs...)
	return nil
}

// EndOne ends one session of a user, as [Sessions.List] names it. The error
// wraps ErrNotFound where that user has no such session, and ErrSealed for
// sealed ones: whose session an id is only its cookie says.
func (s *Sessions) EndOne(ctx context.Context, userID string, id ID) error {
	if s.cfg.Kind == Sealed {
		return ErrSealed
	}
	if userID == "" || id == (ID{}) {
		return ErrNotFound
	}
	defer s.Forget(id)
	n, err := s.cfg.Store.Delete(ctx, Match{ID: id, User: userID})
	if err != nil {
		return fmt.Errorf("session: ending: %w", err)
	}
	if n == 0 {
		return ErrNotFound
	}
	s.note(ctx, "ended by its user", Record{ID: id, User: userID})
	return nil
}

// maxListed is how many sessions of a person are looked at for a list.
const maxListed = 200

// List returns the sessions of a user that let them in, the newest first. The
// error wraps ErrSealed for sealed ones, which nothing here keeps.
func (s *Sessions) List(ctx context.Context, userID string) ([]Session, error) {
	if s.cfg.Kind == Sealed {
		return nil, ErrSealed
	}
	who, err := s.cfg.Users.Load(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("session: loading the user: %w", err)
	}
	recs, err := s.cfg.Store.List(ctx, userID, maxListed)
	if err != nil {
		return nil, fmt.Errorf("session: listing: %w", err)
	}
	now := s.now()
	var all []Session
	for _, rec := range recs {
		if !rec.pending() && rec.User == who.ID && s.within(rec, now) == nil {
			all = append(all, rec.session(who))
		}
	}
	return all, nil
}

// pending tells whether rec is a login that is not finished. No session lives
// as short as that: New sees to it.
func (rec Record) pending() bool { return rec.Expires.Sub(rec.Created) <= pendingLife }

func keyOfSession(id ID) Key                  { return KeyOf("session", id.String()) }
func keyOfReplaced(id ID) Key                 { return KeyOf("replaced", id.String()) }
func keyOfUser(id string) Key                 { return KeyOf("user", id) }
func keyOfSubject(issuer, subject string) Key { return KeyOf("subject", issuer, subject) }
func keyOfProvider(issuer, providerSession string) Key {
	return KeyOf("provider", issuer, providerSession)
}

// revoked tells, with an *ended, whether anything that rec carries was revoked
// since it was made.
func (s *Sessions) revoked(ctx context.Context, rec Record) error {
	if s.cfg.Revocations == nil {
		return nil
	}
	keys := []Key{keyOfSession(rec.ID), keyOfUser(rec.User), keyOfSubject(rec.Issuer, rec.Subject)}
	if rec.ProviderSession != "" {
		keys = append(keys, keyOfProvider(rec.Issuer, rec.ProviderSession))
	}
	before, err := s.cfg.Revocations.Revoked(ctx, keys...)
	if err != nil {
		return fmt.Errorf("session: asking for revocations: %w", err)
	}
	if !before.IsZero() && !rec.Created.After(before) {
		return over("ended before "+before.Format(time.RFC3339), rec)
	}
	return nil
}
