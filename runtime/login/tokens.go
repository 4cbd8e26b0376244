package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/idtoken"
	"github.com/gatewright/gatewright/runtime/jwks"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/session"
)

const (
	// tokenLeeway is how long before its end a token counts as over, so that
	// it does not end on its way.
	tokenLeeway = 20 * time.Second
	// refreshTime is how long the lock of a refresh is held at most: longer
	// than its calls may take.
	refreshTime = 3 * callTime
)

// tokens are a provider's tokens as a session keeps them, sealed.
type tokens struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitzero"`
	Type    string `json:"type"`
	ID      string `json:"id,omitzero"`
	Expires int64  `json:"expires,omitzero"` // milliseconds since 1970; 0: unknown
}

// keep is what a session keeps of a token that came at now.
func keep(t *oauth2.Token, now time.Time) tokens {
	kept := tokens{Access: t.AccessToken, Refresh: t.RefreshToken, Type: t.Type()}
	kept.ID, _ = t.Extra("id_token").(string)
	if t.ExpiresIn > 0 {
		kept.Expires = now.Add(time.Duration(t.ExpiresIn) * time.Second).UnixMilli()
	}
	return kept
}

func (t tokens) token() *oauth2.Token {
	token := &oauth2.Token{AccessToken: t.Access, RefreshToken: t.Refresh, TokenType: t.Type}
	if t.Expires != 0 {
		token.Expiry = time.UnixMilli(t.Expires)
	}
	return token
}

// fresh tells whether the access token can be used at now.
func (t tokens) fresh(now time.Time) bool {
	return t.Expires == 0 || now.Add(tokenLeeway).Before(time.UnixMilli(t.Expires))
}

var (
	// ErrNoToken means that no token of a provider stands behind the call: it
	// was let in by something else than a session, or by a sealed one.
	ErrNoToken = errors.New("login: no provider's token stands behind this call")
	// ErrEnded means that the provider takes the session's refresh token no
	// more, or that there is none and the access token is over. The session
	// has ended; a handler that returns the error has 401 answered.
	ErrEnded = errors.New("login: the provider has ended the session")
)

// TokenSource returns the token of the provider that who signed in at, for
// calls that a handler makes on their behalf. ctx is the handler's. A token that
// is over is refreshed; however many ask at once, on whatever replica, the
// refresh token is used once (RFC 9700, section 4.14.2).
//
// Token's errors are [ErrNoToken], [ErrEnded], or, where the provider or the
// store is silent, one that a handler may return to have 503 answered.
func TokenSource(ctx context.Context, who gate.Principal) oauth2.TokenSource {
	l, _ := ctx.Value(loginKey{}).(*Login)
	return tokenSource{ctx, l, who.Session()}
}

type tokenSource struct {
	ctx     context.Context
	login   *Login
	session string
}

// Token implements oauth2.TokenSource.
func (s tokenSource) Token() (*oauth2.Token, error) {
	id, ok := session.ParseID(s.session)
	if !ok || s.login == nil || s.login.cfg.Sessions.Kind() != session.Server {
		return nil, ErrNoToken
	}
	kept, _, err := s.login.loadTokens(s.ctx, id)
	if err != nil {
		return nil, err
	}
	if kept.fresh(s.login.now()) {
		return kept.token(), nil
	}
	// Those of this process wait for one of them; it does not end with the
	// call that happened to begin it.
	ctx := context.WithoutCancel(s.ctx)
	done := s.login.refresh.DoChan(s.session, func() (any, error) {
		ctx, cancel := context.WithTimeout(ctx, refreshTime)
		defer cancel()
		return s.login.renew(ctx, id)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*oauth2.Token), nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// loadTokens loads what a session keeps.
func (l *Login) loadTokens(ctx context.Context, id session.ID) (tokens, session.Session, error) {
	plain, sess, err := l.cfg.Sessions.LoadTokens(ctx, id)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return tokens{}, session.Session{}, ended()
	case err != nil:
		return tokens{}, session.Session{}, unavailable(err)
	case len(plain) == 0:
		return tokens{}, session.Session{}, ErrNoToken
	}
	var kept tokens
	if err := json.Unmarshal(plain, &kept); err != nil {
		return tokens{}, session.Session{}, unavailable(errors.New("login: the tokens of the session cannot be read"))
	}
	return kept, sess, nil
}

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
			err = unavailable(err)
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
	token, err := link.oauth.TokenSource(call, old).Token()
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
		return tokens{}, unavailable(err)
	}
	return next, nil
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
		claims, err := link.validator.ID(ctx, raw, idtoken.Expect{
			AccessToken: token.AccessToken, Refresh: &idtoken.Claims{Issuer: sess.Issuer, Subject: sess.Subject},
		})
		if err != nil {
			return nil, err
		}
		_ = claims
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
			if !contains(link.oauth.Scopes, scope) || contains(now, scope) {
				scopes[s.Name] = append(scopes[s.Name], scope)
			}
		}
	}
	return scopes, nil
}

func contains(scopes []string, scope string) bool {
	for _, s := range scopes {
		if s == scope {
			return true
		}
	}
	return false
}

// end ends a session that its provider no longer stands behind.
func (l *Login) end(ctx context.Context, sess session.Session, cause error) error {
	audit.Log(ctx, l.cfg.Logger, "session ended", attrs("session", sess.ID.String(), "user", sess.User.ID, "provider", sess.Provider, "cause", "refresh failed: "+cause.Error())...)
	if err := l.cfg.Sessions.EndOne(ctx, sess.User.ID, sess.ID); err != nil && !errors.Is(err, session.ErrNotFound) {
		return unavailable(err)
	}
	return ended()
}

// ended is ErrEnded with the answer that it makes: who called has to sign in.
func ended() error {
	return &problem.Error{
		Status: http.StatusUnauthorized, Code: "session_ended", Title: "The session has ended.",
		Header: http.Header{"Www-Authenticate": {"Cookie"}}, Cause: ErrEnded,
	}
}

// unavailable is a cause with the answer that it makes.
func unavailable(cause error) error {
	return &problem.Error{
		Status: http.StatusServiceUnavailable, Code: "provider_unavailable", Title: "The identity provider does not answer at the moment.",
		Header: http.Header{"Retry-After": {"5"}}, Cause: fmt.Errorf("login: %w", cause),
	}
}
