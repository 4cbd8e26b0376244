package login

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/idtoken"
	"github.com/gatewright/gatewright/runtime/jwks"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/session"
)

// renew refreshes the tokens of a session under the lock that all replicas
// share. Whoever comes second finds what the first has got.
func (l *Login) renew(ctx context.Context, id session.ID) (*oauth2.Token, error) {
	var token *oauth2.Token
	err := session.WithLock(ctx, l.cfg.Locks, session.KeyOf("refresh", id.String()), refreshTime, func(ctx context.Context) error {
		kept, sess, err := l.loadTokens(ctx, id)
		if err != nil {
			return err
		}
		if !kept.fresh(l.now()) {
			if kept, err = l.refreshOnce(ctx, kept, sess); err != nil {
				return err
			}
		}
		token = kept.token()
		return nil
	})
	if err != nil {
		var said *problem.Error
		if !errors.As(err, &said) && !errors.Is(err, ErrNoToken) {
			err = storeSilent(err)
		}
		return nil, err
	}
	return token, nil
}

// refreshOnce uses the refresh token. One that the provider refuses, and an
// answer that speaks of somebody else, end the session.
func (l *Login) refreshOnce(ctx context.Context, kept tokens, sess session.Session) (tokens, error) {
	p := l.peer(sess.Provider)
	if p == nil {
		return tokens{}, l.end(ctx, sess, errors.New("its provider is no longer configured"))
	}
	if kept.Refresh == "" {
		return tokens{}, l.end(ctx, sess, errors.New("its access token is over, and there is no refresh token (ask for the scope offline_access)"))
	}
	link, err := p.ready(ctx)
	if err != nil {
		return tokens{}, unavailable(err)
	}
	call, cancel := p.bounded(ctx)
	defer cancel()
	old := kept.token()
	old.Expiry = time.Unix(1, 0) // over, whatever the library's own leeway
	at := p.oauth(link)
	if link.refreshURL != "" {
		at.Endpoint.TokenURL = link.refreshURL
	}
	token, err := at.TokenSource(call, old).Token()
	if err != nil {
		if err = tokenError(err); errors.Is(err, errRefused) {
			return tokens{}, l.end(ctx, sess, err)
		}
		return tokens{}, unavailable(err)
	}
	if err := checkToken(token); err != nil {
		return tokens{}, l.end(ctx, sess, err)
	}
	next := keep(token, l.now())
	if next.ID == "" {
		next.ID = kept.ID
	}
	scopes, err := p.recheck(call, link, token, sess)
	switch {
	case errors.Is(err, jwks.ErrUnavailable):
		// The old refresh token may be spent: the new one is kept all the same.
		l.logger().WarnContext(ctx, "the ID token of a refresh could not be checked", "provider", p.Name, "cause", err.Error())
		next.ID = kept.ID
	case err != nil:
		return tokens{}, l.end(ctx, sess, err)
	}
	packed, err := json.Marshal(next)
	if err != nil {
		return tokens{}, err
	}
	err = l.save(ctx, sess.ID, packed, scopes)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return tokens{}, ended()
	case err != nil:
		return tokens{}, storeSilent(err)
	}
	if left := without(sess.User.Scopes, flat(sess.Scopes), flat(scopes)); scopes != nil && len(left) < len(sess.User.Scopes) {
		if err := l.cfg.Users.SetScopes(ctx, sess.User.ID, left); err != nil {
			l.logger().WarnContext(ctx, "the scopes that a provider took away are not noted at the person: their keys keep them until the next login", "user", sess.User.ID, "error", err)
		}
	}
	return next, nil
}

// without returns the scopes of held but for those that before has and after
// lacks. It gives none back: a later login may have taken away more.
func without(held, before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(held), func(scope string) bool {
		return slices.Contains(before, scope) && !slices.Contains(after, scope)
	})
}

// save stores new tokens, and tries more than once: the old ones are spent.
func (l *Login) save(ctx context.Context, id session.ID, packed []byte, scopes map[string][]string) error {
	var err error
	for _, wait := range []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond, time.Second} {
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(wait):
		}
		if err = l.cfg.Sessions.SaveTokens(ctx, id, packed, scopes); err == nil || errors.Is(err, session.ErrNotFound) {
			return err
		}
	}
	return err
}

// recheck checks the ID token of a refresh, if there is one: it must speak of
// the same person (OpenID Connect Core, section 12.2). It returns the scopes
// that the session holds from now on; nil: the same.
func (p *peer) recheck(ctx context.Context, link *link, token *oauth2.Token, sess session.Session) (map[string][]string, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw != "" && link.validator != nil {
		if _, err := link.validator.ID(ctx, raw, idtoken.Expect{
			AccessToken: token.AccessToken, Refresh: &idtoken.Claims{Issuer: sess.Issuer, Subject: sess.Subject},
		}); err != nil {
			return nil, err
		}
	}
	named, ok := token.Extra("scope").(string)
	if !ok || named == "" {
		return nil, nil
	}
	// Scopes that the provider took away are held no longer; those that a
	// claim tells, or that the application granted, are as at the login.
	now := granted(token, nil)
	scopes := make(map[string][]string, len(sess.Scopes))
	for _, s := range p.login.schemesOf(p.Name) {
		if p.login.cfg.Bindings[s.Name].ScopesClaim != "" {
			scopes[s.Name] = sess.Scopes[s.Name]
			continue
		}
		for _, scope := range sess.Scopes[s.Name] {
			if !slices.Contains(link.oauth.Scopes, scope) || slices.Contains(now, scope) || slices.Contains(p.login.cfg.Bindings[s.Name].ScopesEveryone, scope) {
				scopes[s.Name] = append(scopes[s.Name], scope)
			}
		}
	}
	return scopes, nil
}

// end ends a session that its provider no longer stands behind.
func (l *Login) end(ctx context.Context, sess session.Session, cause error) error {
	audit.Log(ctx, l.cfg.Logger, "session ended", attrs("session", sess.ID.String(), "user", sess.User.ID, "provider", sess.Provider, "cause", "refresh failed: "+cause.Error())...)
	if err := l.cfg.Sessions.EndOne(ctx, sess.User.ID, sess.ID); err != nil && !errors.Is(err, session.ErrNotFound) {
		return storeSilent(err)
	}
	return ended()
}
