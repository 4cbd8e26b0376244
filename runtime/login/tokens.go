package login

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/gate"
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
		return tokens{}, session.Session{}, storeSilent(err)
	case len(plain) == 0:
		return tokens{}, session.Session{}, ErrNoToken
	}
	var kept tokens
	if err := json.Unmarshal(plain, &kept); err != nil {
		return tokens{}, session.Session{}, storeSilent(errors.New("the tokens of the session cannot be read"))
	}
	return kept, sess, nil
}

// ended is ErrEnded with the answer that it makes: who called has to sign in.
func ended() error {
	return &problem.Error{
		Status: http.StatusUnauthorized, Code: "session_ended", Title: "The session has ended.",
		Header: http.Header{"Www-Authenticate": {"Cookie"}}, Cause: ErrEnded,
	}
}
