package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/user"
)

// pendingLife is how long a login may take from Begin to Finish.
const pendingLife = time.Minute

// dropTime bounds what is tried for tidiness.
const dropTime = time.Second

// maxAgent is how much is kept of a User-Agent, in bytes.
const maxAgent = 200

// A Login is what a provider has shown: who signed in, and how.
type Login struct {
	User            user.Record
	Provider        string // the configured name of the provider
	Issuer, Subject string
	ProviderSession string              // the claim sid; "" where there is none
	Scopes          map[string][]string // held, by the document's scheme
	AuthTime        time.Time           // zero where unknown
	Agent           string              // User-Agent of the browser
	Tokens          []byte              // the provider's tokens; of the server kind only
	// Began is a time before the provider said that the person is signed in;
	// zero: the time of Begin. What ends their sessions later than that ends
	// this one, however long the provider took to tell the rest.
	Began time.Time
}

// Begin makes a session that is in no browser yet. The ticket is for the one
// browser that signed in, and for [Sessions.Finish]; it is no session by
// itself, and void after a minute. The error wraps ErrTooLarge where a sealed
// session has no room in a cookie.
func (s *Sessions) Begin(ctx context.Context, n Login) (ticket secret.Value, err error) {
	if err := s.checkLogin(n); err != nil {
		return secret.Value{}, err
	}
	now := s.now()
	created := now
	if began := storable(n.Began); !began.IsZero() && began.Before(now) {
		created = began
	}
	rec := Record{
		User: n.User.ID, Provider: n.Provider, Issuer: n.Issuer, Subject: n.Subject, ProviderSession: n.ProviderSession,
		Scopes: n.Scopes, AuthTime: storable(n.AuthTime), Created: created, Used: now.Truncate(time.Minute),
		Idle: created.Add(pendingLife), Expires: created.Add(pendingLife), Agent: agent(n.Agent),
	}
	if s.cfg.Kind == Sealed {
		return s.beginSealed(rec)
	}
	ticket = newSecret()
	rec.ID = pendingID(ticket.Reveal())
	rec.Tokens = s.sealTokens(rec.ID, n.Tokens)
	if err := s.cfg.Store.Create(ctx, rec); err != nil {
		return secret.Value{}, fmt.Errorf("session: beginning: %w", err)
	}
	return ticket, nil
}

func (s *Sessions) beginSealed(rec Record) (secret.Value, error) {
	p := newPayload(secret.Random(16).Reveal(), rec)
	// What Finish will seal has these members and is as long: better no
	// login than one that fails at its last step.
	text, err := s.seal(s.ticket, p)
	if err != nil {
		return secret.Value{}, err
	}
	return secret.New(text), nil
}

func (s *Sessions) checkLogin(n Login) error {
	switch {
	case n.User.ID == "" || n.Provider == "" || n.Issuer == "" || n.Subject == "":
		return errors.New("session: a login needs a user, a provider, an issuer and a subject")
	case n.User.Disabled:
		return errors.New("session: the user is disabled")
	case s.cfg.Kind == Sealed && n.Tokens != nil:
		return ErrSealed
	}
	return nil
}

// storable is t as stores keep it: UTC in whole milliseconds, or zero.
func storable(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// agent is what is kept of a User-Agent: no control characters, and not much.
func agent(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 4*maxAgent)], ""))
	for len(text) > maxAgent {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// Finish puts the session of ticket into the browser, with a full life, and
// ends the one that r's cookie holds. Nothing may have been written to w. The
// error wraps ErrNone where the ticket stands for no session (any more); any
// other means that the login could not be finished. In both cases the session
// of r's cookie goes on.
//
// Of the server kind a ticket is finished once. A sealed one may be finished
// again within its minute, which gives the same session under the same id: what
// ends one ends all, and whoever holds a ticket could as well have copied the
// cookie. To count it would take a store of what the cookie is there to spare.
func (s *Sessions) Finish(w http.ResponseWriter, r *http.Request, ticket secret.Value) error {
	ctx := r.Context()
	finish := s.finishServer
	if s.cfg.Kind == Sealed {
		finish = s.finishSealed
	}
	sess, value, err := finish(ctx, ticket.Reveal())
	if err != nil {
		return err
	}
	if err := s.endPresented(r, "another login in the browser", sess.ID); err != nil {
		s.drop(ctx, sess.ID)
		return err
	}
	s.set(w, value)
	s.settle(ctx, sess, nil)
	audit.Log(ctx, s.cfg.Logger, "session begun", slog.String("session", sess.ID.String()), slog.String("user", sess.User.ID),
		slog.String("provider", sess.Provider), slog.String("address", r.RemoteAddr))
	return nil
}

// finishServer takes the session of ticket out of the store and puts it back
// under the hash of a new secret. Who removes the first is the one who finishes
// it: the store counts what it removes, so of several calls one gets on. If the
// rest fails the person signs in again; the other order could leave two
// sessions of one login.
func (s *Sessions) finishServer(ctx context.Context, ticket string) (Session, string, error) {
	if !isSecret(ticket) {
		return Session{}, "", foreign("the ticket has not the form of one")
	}
	rec, err := s.load(ctx, pendingID(ticket))
	if errors.Is(err, ErrNotFound) {
		return Session{}, "", over("the ticket is unknown, or used, or its session ended", Record{})
	}
	if err != nil {
		return Session{}, "", err
	}
	if err := s.within(rec, s.now()); err != nil {
		return Session{}, "", err
	}
	sess, err := s.person(ctx, rec)
	if err != nil {
		return Session{}, "", err
	}
	tokens, err := s.openTokens(rec)
	if err != nil {
		return Session{}, "", err
	}
	n, err := s.cfg.Store.Delete(ctx, Match{ID: rec.ID})
	if err != nil {
		return Session{}, "", fmt.Errorf("session: finishing: %w", err)
	}
	if n != 1 {
		return Session{}, "", over("the ticket was used, or its session ended, just now", rec)
	}
	value := newSecret().Reveal()
	rec = s.begun(rec, idOf(value))
	rec.Tokens = s.sealTokens(rec.ID, tokens)
	if err := s.cfg.Store.Create(ctx, rec); err != nil {
		return Session{}, "", fmt.Errorf("session: finishing: %w", err)
	}
	// What ends the sessions of a person is first revoked, then removed. So
	// whether it came before this question or comes after, it ends this one.
	if err := s.revoked(ctx, rec); err != nil {
		s.drop(ctx, rec.ID)
		return Session{}, "", err
	}
	return rec.session(sess.User), value, nil
}

// drop removes a session that reaches no browser. That it is tried is enough:
// nobody knows its secret. A sealed one is stored nowhere.
func (s *Sessions) drop(ctx context.Context, id ID) {
	if s.cfg.Kind == Sealed {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
	defer cancel()
	if _, err := s.cfg.Store.Delete(ctx, Match{ID: id}); err != nil {
		s.logger().WarnContext(ctx, "session: one that reached no browser is not removed", "session", id.String(), "error", err)
	}
}

// finishSealed makes a session of a ticket.
func (s *Sessions) finishSealed(ctx context.Context, ticket string) (Session, string, error) {
	p, err := s.unseal(s.ticket, ticket)
	if err != nil {
		return Session{}, "", err
	}
	rec := p.record()
	if err := s.within(rec, s.now()); err != nil {
		return Session{}, "", err
	}
	if err := s.revoked(ctx, rec); err != nil {
		return Session{}, "", err
	}
	sess, err := s.person(ctx, rec)
	if err != nil {
		return Session{}, "", err
	}
	rec = s.begun(rec, rec.ID)
	value, err := s.seal(s.session, newPayload(p.Secret, rec))
	return rec.session(sess.User), value, err
}

// begun is rec with a full life and that id. It is as old as its login:
// what revoked sessions since then revokes it too.
func (s *Sessions) begun(rec Record, id ID) Record {
	now := s.now()
	rec.ID, rec.Used = id, now.Truncate(time.Minute)
	rec.Expires = rec.Created.Add(s.cfg.Absolute)
	rec.Idle = earliest(now.Add(s.cfg.Idle), rec.Expires)
	return rec
}
