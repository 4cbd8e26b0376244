package session

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/user"
)

// A payload is a session as it lies in a sealed cookie. Names are short: the
// cookie travels with every request. Times are Unix milliseconds.
type payload struct {
	Secret          string              `json:"k"` // random; its hash is the session's id
	User            string              `json:"u"`
	Provider        string              `json:"p"`
	Issuer          string              `json:"i"`
	Subject         string              `json:"s"`
	ProviderSession string              `json:"ps,omitzero"`
	Scopes          map[string][]string `json:"sc,omitempty"`
	AuthTime        int64               `json:"a,omitzero"`
	Created         int64               `json:"c"`
	Used            int64               `json:"us"`
	Idle            int64               `json:"id"`
	Expires         int64               `json:"e"`
}

func newPayload(key string, rec Record) payload {
	return payload{
		Secret: key, User: rec.User, Provider: rec.Provider, Issuer: rec.Issuer, Subject: rec.Subject,
		ProviderSession: rec.ProviderSession, Scopes: rec.Scopes, AuthTime: millis(rec.AuthTime),
		Created: millis(rec.Created), Used: millis(rec.Used), Idle: millis(rec.Idle), Expires: millis(rec.Expires),
	}
}

func (p payload) record() Record {
	return Record{
		ID: sha256.Sum256([]byte(p.Secret)), User: p.User, Provider: p.Provider, Issuer: p.Issuer, Subject: p.Subject,
		ProviderSession: p.ProviderSession, Scopes: p.Scopes, AuthTime: fromMillis(p.AuthTime),
		Created: fromMillis(p.Created), Used: fromMillis(p.Used), Idle: fromMillis(p.Idle), Expires: fromMillis(p.Expires),
	}
}

// millis is t in Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// seal encrypts p for the cookie of these sessions: with another name, or as
// what another sealer is for, it is not opened.
func (s *Sessions) seal(with *secret.Sealer, p payload) (string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("session: %w", err)
	}
	text := with.Seal(b, s.cfg.Cookie)
	if !s.fits(text) {
		return "", ErrTooLarge
	}
	return text, nil
}

// unseal opens what seal gives. Its error is an *ended. What is too long to be
// ours is not looked at.
func (s *Sessions) unseal(with *secret.Sealer, text string) (payload, error) {
	if !s.fits(text) {
		return payload{}, foreign("it is larger than any of ours")
	}
	b, err := with.Open(text, s.cfg.Cookie)
	if err != nil {
		return payload{}, foreign("it was not sealed by us for this")
	}
	var p payload
	if err := json.Unmarshal(b, &p); err != nil {
		return payload{}, over("another version of the program sealed it", Record{})
	}
	return p, nil
}

// lookSealed opens the session in value, asks whether it was revoked, and puts
// a fresh one into the browser from time to time.
func (s *Sessions) lookSealed(ctx context.Context, w http.ResponseWriter, value string) (Session, error) {
	p, err := s.unseal(s.session, value)
	if err != nil {
		return Session{}, err
	}
	rec, now := p.record(), s.now()
	if err := s.within(rec, now); err != nil {
		return Session{}, err
	}
	sess := rec.session(user.Record{})
	if known, ok := s.good.Get(rec.ID); ok && known.User.ID == rec.User {
		sess.User = known.User
	} else {
		begun := s.good.Begin(rec.ID)
		if err := s.revoked(ctx, rec); err != nil {
			return Session{}, err
		}
		if sess, err = s.person(ctx, rec); err != nil {
			return Session{}, err
		}
		s.good.Put(begun, rec.ID, sess)
	}
	if w != nil && now.Sub(rec.Used) >= max(s.cfg.Idle/10, time.Minute) {
		rec.Used, rec.Idle = now, earliest(now.Add(s.cfg.Idle), rec.Expires)
		fresh, err := s.seal(s.session, newPayload(p.Secret, rec))
		if err != nil {
			// The one that the browser has is good until it ends.
			s.logger().WarnContext(ctx, "session: cookie not renewed", "session", rec.ID.String(), "error", err)
			return sess, nil
		}
		s.set(w, fresh)
		sess.Used, sess.Idle = rec.Used, rec.Idle
	}
	return sess, nil
}
