package gatetest

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

// A porter makes real sessions, on the store that the keys lie in.
type porter struct {
	users    user.Store
	sessions *session.Sessions // what the handler verifies with
	dayAgo   *session.Sessions // makes sessions as it was a day ago
	hourAgo  *session.Sessions // and an hour ago
	any      []string          // the schemes that a login at any provider meets
	made     map[string]string
}

// isSession tells whether a session meets s. It lies in a cookie; other places of
// such a scheme are for access tokens.
func isSession(s Scheme) bool { return s.Verifier == "session" }

// isAny tells whether s does not say where to sign in: a session of any
// provider meets it. Each other scheme has in these tests a provider that is
// called as it is.
func isAny(s Scheme) bool { return isSession(s) && len(s.Places) == 1 }

// newPorter returns what makes sessions for those of schemes that take them;
// nil where there are none.
func newPorter(stores store.Stores, schemes []Scheme) (*porter, error) {
	schemes = slices.DeleteFunc(slices.Clone(schemes), func(s Scheme) bool { return !isSession(s) })
	if len(schemes) == 0 {
		return nil, nil
	}
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		return nil, err
	}
	cfg := session.Config{
		Cookie:      cookieOf(schemes),
		Idle:        30 * time.Minute,
		Absolute:    12 * time.Hour,
		Store:       sessionsMayFail{stores.Sessions()},
		Revocations: stores.Revocations(),
		Users:       stores.Users(),
		Ring:        ring,
	}
	p := &porter{users: cfg.Users, made: make(map[string]string)}
	for _, s := range schemes {
		if isAny(s) {
			p.any = append(p.any, s.Name)
		}
	}
	day, hour := cfg, cfg
	day.Now = func() time.Time { return time.Now().Add(-24 * time.Hour) }
	hour.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	var errs [3]error
	p.sessions, errs[0] = session.New(cfg)
	p.dayAgo, errs[1] = session.New(day)
	p.hourAgo, errs[2] = session.New(hour)
	return p, errors.Join(errs[:]...)
}

// cookieOf is the name of the cookie that the sessions of schemes lie in.
func cookieOf(schemes []Scheme) string {
	for _, s := range schemes {
		for _, place := range s.Places {
			if isSession(s) && place.In == gate.InCookie {
				return place.Name
			}
		}
	}
	return ""
}

// serves returns the schemes that a session from the provider of scheme meets.
func (p *porter) serves(scheme string) []string {
	if slices.Contains(p.any, scheme) {
		return p.any
	}
	return append([]string{scheme}, p.any...)
}

// maker returns that of schemes at whose provider one signs in to meet all of
// them, if anywhere.
func (p *porter) maker(schemes []string) string {
	for _, s := range schemes {
		if !slices.Contains(p.any, s) {
			return s
		}
	}
	return schemes[0]
}

// session returns the value of a cookie in the state that kind names, made now
// or before. The scopes are held for each scheme that it serves.
func (p *porter) session(kind, scheme string, scopes []string, who user.Record) (string, error) {
	name := fmt.Sprintf("%q %q %q %q", kind, scheme, scopes, who.ID)
	if value, there := p.made[name]; there {
		return value, nil
	}
	value, err := p.make(kind, scheme, scopes, who)
	if err != nil {
		return "", fmt.Errorf("gatetest: %w", err)
	}
	p.made[name] = value
	return value, nil
}

func (p *porter) make(kind, scheme string, scopes []string, who user.Record) (string, error) {
	if kind == unknown {
		return secret.Random(32).Reveal(), nil
	}
	ctx := context.Background()
	if kind == disabled {
		// Nobody disabled can sign in.
		if err := p.users.SetDisabled(ctx, who.ID, false); err != nil {
			return "", err
		}
		who.Disabled = false
	}
	sessions := p.sessions
	switch kind {
	case expired:
		sessions = p.dayAgo
	case idle:
		sessions = p.hourAgo
	}
	held := make(map[string][]string)
	for _, name := range p.serves(scheme) {
		held[name] = scopes
	}
	ticket, err := sessions.Begin(ctx, session.Login{
		User: who, Provider: scheme, Issuer: "https://id.gatetest.example", Subject: who.ID, Scopes: held, AuthTime: time.Now(),
	})
	if err != nil || kind == unfinished {
		return ticket.Reveal(), err
	}
	r := httptest.NewRequest("GET", "https://gatetest.example/auth/finish", nil)
	w := httptest.NewRecorder()
	if err := sessions.Finish(w, r, ticket); err != nil {
		return "", err
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		return "", fmt.Errorf("a login sets %d cookies, want one", len(cookies))
	}
	value := cookies[0].Value
	switch kind {
	case tampered:
		first := "A"
		if strings.HasPrefix(value, first) {
			first = "B"
		}
		value = first + value[1:]
	case ended:
		r := httptest.NewRequest("POST", "https://gatetest.example/auth/logout", nil)
		r.AddCookie(cookies[0])
		_, err = sessions.End(httptest.NewRecorder(), r)
	case disabled:
		err = p.users.SetDisabled(ctx, who.ID, true)
	}
	return value, err
}

// authenticator returns the real verifier of a scheme.
func (p *porter) authenticator(s Scheme) gate.Authenticator {
	if isAny(s) {
		return p.sessions.Scheme(s.Name, nil, s.Places...)
	}
	return p.sessions.Scheme(s.Name, []string{s.Name}, s.Places...)
}

// sessionsMayFail is a store that loads nothing where the context says so.
type sessionsMayFail struct{ session.Store }

func (s sessionsMayFail) Load(ctx context.Context, id session.ID) (session.Record, error) {
	if ctx.Value(down{}) != nil {
		return session.Record{}, errDown
	}
	return s.Store.Load(ctx, id)
}
