package devidp

import (
	"context"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// SetUserinfoFromScopes does nothing: SetUserinfoFromRequest does.
func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest fills in the claims of an ID token.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, req op.IDTokenRequest, scopes []string) error {
	g, err := grantOf(req)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info.AppendClaims("sid", g.sid)
	return s.claims(info, g.subject, scopes)
}

// SetUserinfoFromToken answers at the UserInfo endpoint.
func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, id, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.live(id)
	if err != nil {
		return err
	}
	if t.grant == nil {
		return oidc.ErrAccessDenied().WithDescription("nobody signed in for this access token")
	}
	return s.claims(info, t.subject, t.scopes)
}

// SetIntrospectionFromToken answers at the introspection endpoint.
func (s *storage) SetIntrospectionFromToken(ctx context.Context, info *oidc.IntrospectionResponse, id, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.live(id)
	if err != nil {
		return err
	}
	info.Subject, info.ClientID, info.Scope = t.subject, t.client, t.scopes
	info.IssuedAt, info.Expiration = oidc.FromTime(t.issued), oidc.FromTime(t.expires)
	info.TokenType, info.JWTID = oidc.BearerToken, id
	info.Issuer = op.IssuerFromContext(ctx)
	if s.cfg.Audience != "" {
		info.Audience = oidc.Audience{s.cfg.Audience}
	}
	info.Claims = map[string]any{"scopes": append([]string{}, t.may...)}
	return nil
}

// live returns an access token that is good. The lock is held.
func (s *storage) live(id string) (token, error) {
	s.sweep(s.cfg.Now())
	t, ok := s.access[id]
	if !ok || t.grant == nil && !s.knows(t) {
		return token{}, oidc.ErrInvalidRequest().WithDescription("the access token is unknown or over")
	}
	return t, nil
}

// claims tells what scopes let be told of a user. The lock is held.
func (s *storage) claims(info *oidc.UserInfo, subject string, scopes []string) error {
	u, ok := s.user(subject)
	if !ok {
		return oidc.ErrInvalidGrant().WithDescription("the user is gone")
	}
	info.Subject = subject
	info.AppendClaims("scopes", append([]string{}, u.Scopes...)) // a list also where it is empty
	if slices.Contains(scopes, oidc.ScopeProfile) {
		info.Name, info.PreferredUsername = u.Name, u.Name
	}
	if slices.Contains(scopes, oidc.ScopeEmail) && u.Email != "" {
		info.Email, info.EmailVerified = u.Email, true
	}
	return nil
}

// GetPrivateClaimsFromScopes is for access tokens that are JWTs: none are.
func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}
