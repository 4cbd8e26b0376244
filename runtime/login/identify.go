package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/idtoken"
	"github.com/gatewright/gatewright/runtime/jwks"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// errUnavailable means that a provider, not the person, is at fault for the
// moment.
var errUnavailable = errors.New("the provider does not answer")

// identify exchanges a code, once, and finds out who has signed in.
func (p *peer) identify(ctx context.Context, link *link, a attempt, code string) (identity, error) {
	// A person who closes the tab does not end a call half way.
	call, cancel := p.bounded(context.WithoutCancel(ctx))
	defer cancel()
	began := p.login.now()
	token, err := p.oauth(link).Exchange(call, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return identity{}, fmt.Errorf("exchanging the code: %w", tokenError(err))
	}
	if err := checkToken(token); err != nil {
		return identity{}, err
	}
	var found identity
	if p.OpenID() {
		found, err = p.identifyOpenID(call, link, a, token)
	} else {
		found, err = p.identifyPlain(call, token)
	}
	if err != nil {
		return identity{}, err
	}
	found.Provider = p.Name
	found.login.Began = began
	found.Scopes = held(p.login.schemesOf(p.Name), p.login.cfg.Bindings, found.Claims, granted(token, link.oauth.Scopes))
	if p.login.cfg.Sessions.Kind() == session.Server {
		if found.login.Tokens, err = json.Marshal(keep(token, p.login.now())); err != nil {
			return identity{}, err
		}
	}
	return found, nil
}

// identifyOpenID believes the ID token, and what UserInfo adds to it.
func (p *peer) identifyOpenID(ctx context.Context, link *link, a attempt, token *oauth2.Token) (identity, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return identity{}, errors.New("the token response has no ID token")
	}
	expect := idtoken.Expect{Nonce: a.Nonce, AccessToken: token.AccessToken}
	if a.Fresh {
		expect.Since = time.UnixMicro(a.Began)
	}
	claims, err := link.validator.ID(ctx, raw, expect)
	if errors.Is(err, jwks.ErrUnavailable) {
		return identity{}, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	if err != nil {
		return identity{}, err
	}
	all := claims.All
	if link.metadata.UserInfoEndpoint != "" && !p.NoUserInfo {
		more, err := p.userInfo(ctx, link.metadata.UserInfoEndpoint, token, claims.Subject)
		if err != nil {
			return identity{}, err
		}
		all = merged(all, more)
	}
	return identity{
		SignIn:  user.SignIn{Issuer: claims.Issuer, Subject: claims.Subject, Profile: profile(all), Claims: all},
		session: claims.SessionID,
		login:   session.Login{AuthTime: claims.AuthTime},
	}, nil
}

// userInfo asks who the access token speaks of (OpenID Connect Core, section
// 5.3). Another subject than the ID token's is somebody else's answer.
func (p *peer) userInfo(ctx context.Context, endpoint string, token *oauth2.Token, subject string) (map[string]any, error) {
	var claims map[string]any
	if err := fetch.JSON(ctx, p.client, endpoint, bearer(token), &claims); err != nil {
		return nil, fmt.Errorf("asking UserInfo: %w", answerError(err))
	}
	if sub, _ := claims["sub"].(string); sub == "" || sub != subject {
		return nil, errors.New("UserInfo speaks of another subject than the ID token")
	}
	return claims, nil
}

// answerError tells a provider that refuses from one that is silent.
func answerError(err error) error {
	var answer *fetch.StatusError
	if errors.As(err, &answer) && answer.Status >= 400 && answer.Status < 500 && answer.Status != http.StatusTooManyRequests && answer.Status != http.StatusRequestTimeout {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return fmt.Errorf("%w: %w", errUnavailable, err)
}

// bearer sends a token as RFC 6750, section 2.1, has it.
func bearer(token *oauth2.Token) http.Header {
	return http.Header{"Authorization": {"Bearer " + token.AccessToken}}
}

// protocol are the claims that UserInfo does not speak of.
var protocol = []string{"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "auth_time", "sid", "at_hash", "c_hash", "acr", "amr", "jti"}

// merged is claims with those of UserInfo over them.
func merged(claims, more map[string]any) map[string]any {
	all := make(map[string]any, len(claims)+len(more))
	for name, v := range claims {
		all[name] = v
	}
	for name, v := range more {
		all[name] = v
	}
	for _, name := range protocol {
		delete(all, name)
		if v, ok := claims[name]; ok {
			all[name] = v
		}
	}
	return all
}

// profile is how a person is shown. An address that the provider has not
// verified is left out.
func profile(claims map[string]any) user.Profile {
	var p user.Profile
	for _, name := range []string{"name", "preferred_username", "nickname"} {
		if p.Name == "" {
			p.Name = shown(claims[name])
		}
	}
	// Some say it as a text. Whatever is no plain yes is a no.
	switch verified, said := claims["email_verified"]; {
	case !said, verified == true, verified == "true":
		p.Email = shown(claims["email"])
	}
	return p
}

// shown is a text fit to show, or "".
func shown(v any) string {
	text, _ := v.(string)
	text = strings.TrimSpace(text)
	if len(text) > 1024 || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return ""
	}
	return text
}

// checkToken checks what the token endpoint answered.
func checkToken(token *oauth2.Token) error {
	switch {
	case token.AccessToken == "":
		return errors.New("the token response has no access token")
	case !strings.EqualFold(token.Type(), "Bearer"):
		return errors.New("the access token is of another type than Bearer")
	}
	return nil
}

// granted are the scopes that the token response names, or else those that were
// asked for (RFC 6749, section 5.1). GitHub joins them by commas.
func granted(token *oauth2.Token, asked []string) []string {
	named, ok := token.Extra("scope").(string)
	if !ok {
		return asked
	}
	return strings.FieldsFunc(named, func(r rune) bool { return r == ' ' || r == ',' })
}

// tokenError is what went wrong at the token endpoint, without its answer,
// which may hold anything. A fault of the provider wraps errUnavailable, a
// refusal errRefused, or errClient.
func tokenError(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%w: %w", errUnavailable, err)
	}
	status := 0
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	cause := fmt.Errorf("the token endpoint answers %d with the error %s", status, printable(answer.ErrorCode))
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return fmt.Errorf("%w: %w", errUnavailable, cause)
	case answer.ErrorCode == "":
		return cause // no word of OAuth's: it may be of something in between
	case answer.ErrorCode == "invalid_client", answer.ErrorCode == "unauthorized_client":
		return fmt.Errorf("%w: %w", errClient, cause)
	}
	return fmt.Errorf("%w: %w", errRefused, cause)
}

var (
	// errRefused means that the provider would not give a token.
	errRefused = errors.New("the provider refuses")
	// errClient means that it does not take us for who we are: nothing is
	// said of the person, or of what was sent for them.
	errClient = errors.New("the provider refuses this client: are client_id, client_secret and client_auth right?")
)
