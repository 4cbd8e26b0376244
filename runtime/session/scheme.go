package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/gate"
)

// Scheme returns the authenticator of the document's scheme with that name.
// Sessions count from logins at one of providers; nil: at any. places are the
// session cookie and, for schemes that take tokens too, Authorization under
// Bearer and DPoP, where every token is refused: package bearer stands before
// this authenticator where tokens are taken. For other places it is one that
// refuses everybody and says why.
//
// An ended or unknown session is gate.ErrAbsent, and its cookie is cleared,
// unless a login has just put another in its place; one of another provider is
// absent too, and stays.
func (s *Sessions) Scheme(name string, providers []string, places ...gate.Place) gate.Authenticator {
	if len(places) == 0 {
		return gate.Refuse(fmt.Sprintf("session: scheme %q names no place", name))
	}
	if providers != nil && len(providers) == 0 {
		return gate.Refuse(fmt.Sprintf("session: scheme %q has no provider whose sessions count", name))
	}
	for _, p := range places {
		if p != s.place && p != gate.Authorization("bearer") && p != gate.Authorization("dpop") {
			return gate.Refuse(fmt.Sprintf("session: scheme %q: sessions lie in the cookie %q, not in %s %q", name, s.cfg.Cookie, p.In, p.Name))
		}
	}
	return &scheme{sessions: s, name: name, providers: slices.Clone(providers), places: slices.Clone(places)}
}

// A scheme verifies sessions for one of the document's schemes.
type scheme struct {
	sessions  *Sessions
	name      string
	providers []string // nil: any
	places    []gate.Place
}

func (s *scheme) Find(r *http.Request) (gate.Credential, bool, error) {
	return gate.FindIn(r, s.places...)
}

func (s *scheme) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	if c.Place != s.sessions.place {
		return gate.Identity{}, fmt.Errorf("%w: tokens are not taken here: no audience is configured", gate.ErrInvalid)
	}
	sess, err := s.sessions.resolve(ctx, r, c.Value, true)
	switch {
	case errors.Is(err, ErrNone):
		return gate.Identity{}, fmt.Errorf("%w: %w", gate.ErrAbsent, err)
	case err != nil:
		return gate.Identity{}, err
	case s.providers != nil && !slices.Contains(s.providers, sess.Provider):
		return gate.Identity{}, fmt.Errorf("%w: the session is of %s, not of %s", gate.ErrAbsent, sess.Provider, strings.Join(s.providers, ", "))
	}
	person := sess.User.User()
	return gate.Identity{
		User:     &person,
		Scopes:   slices.Clone(sess.Scopes[s.name]),
		AuthTime: sess.AuthTime,
		Session:  sess.ID.String(),
	}, nil
}

// Challenge asks for the cookie, whatever else the scheme could take: no token
// is taken yet.
func (s *scheme) Challenge(cause error) string { return s.sessions.place.Challenge(cause) }
