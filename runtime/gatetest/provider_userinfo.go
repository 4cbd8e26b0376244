package gatetest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// personClaims are the claims of a person that the scopes ask for, and all
// that the test gave.
func personClaims(u User, scopes []string) map[string]any {
	claims := map[string]any{}
	if u.Name != "" && slices.Contains(scopes, "profile") {
		claims["name"] = u.Name
	}
	if u.Email != "" && slices.Contains(scopes, "email") {
		claims["email"], claims["email_verified"] = u.Email, true
	}
	maps.Copy(claims, u.Claims)
	claims["sub"] = u.Subject
	return claims
}

// bearer returns what the request's access token was issued for. The token
// comes in the header or in a form, not both (RFC 6750, section 2).
func (p *Provider) bearer(r ProviderRequest) (*issued, bool) {
	var tokens []string
	for _, h := range r.Header["Authorization"] {
		scheme, token, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, false
		}
		tokens = append(tokens, token)
	}
	tokens = append(tokens, r.Form["access_token"]...)
	if len(tokens) != 1 {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.access[tokens[0]]
	return t, t != nil && !t.grant.ended && p.now().Before(t.expires)
}

func (p *Provider) badToken() reply {
	a := p.jsonReply(http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
	a.header.Set("WWW-Authenticate", `Bearer realm="gatetest", error="invalid_token"`)
	return a
}

// userInfo answers with the claims of the person (Core, section 5.3).
func (p *Provider) userInfo(r ProviderRequest, m *Mischief) reply {
	token, ok := p.bearer(r)
	if !ok || !slices.Contains(token.scopes, "openid") {
		return p.badToken()
	}
	claims := personClaims(token.grant.user, token.scopes)
	if m.UserInfo != nil {
		m.UserInfo(claims)
	}
	if !m.SignedUserInfo {
		return p.jsonReply(http.StatusOK, claims)
	}
	claims["iss"], claims["aud"] = p.Issuer, p.ClientID // Core, section 5.3.2
	signed, err := p.sign(claims, "JWT", Forgery{})
	if err != nil {
		return p.fail(err)
	}
	a := textReply(http.StatusOK, signed)
	a.header.Set("Content-Type", "application/jwt")
	return a
}

// oauthUser answers as the user's endpoint of a provider without OpenID
// Connect does: id is a number where the subject is one.
func (p *Provider) oauthUser(r ProviderRequest, m *Mischief) reply {
	token, ok := p.bearer(r)
	if !ok {
		return p.badToken()
	}
	u := token.grant.user
	members := map[string]any{"id": u.Subject, "name": u.Name, "email": nil}
	if n, err := strconv.ParseInt(u.Subject, 10, 64); err == nil {
		members["id"] = n
	}
	maps.Copy(members, u.Claims)
	if m.UserInfo != nil {
		m.UserInfo(members)
	}
	return p.jsonReply(http.StatusOK, members)
}

// oauthEmails lists the addresses of the user.
func (p *Provider) oauthEmails(r ProviderRequest, _ *Mischief) reply {
	token, ok := p.bearer(r)
	if !ok {
		return p.badToken()
	}
	list := []any{}
	if email := token.grant.user.Email; email != "" {
		list = append(list,
			map[string]any{"email": "unverified." + email, "primary": false, "verified": false},
			map[string]any{"email": email, "primary": true, "verified": true})
	}
	return p.jsonReply(http.StatusOK, list)
}
