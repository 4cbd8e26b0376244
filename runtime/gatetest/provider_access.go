package gatetest

import (
	"cmp"
	"crypto/rand"
	"maps"
	"net/http"
	"strings"
)

// An AccessToken is what a token says that [Provider.AccessToken] issues.
type AccessToken struct {
	// Subject is the person that the token speaks of; "" for none: the client
	// acts for itself then.
	Subject  string
	Client   string         // to whom it was issued. Default: phone
	Audience []string       // the servers that it is for
	Scopes   []string       // what it permits
	Claims   map[string]any // further claims, such as cnf; they win over those above
	// Opaque tokens say nothing; the provider is asked about them.
	Opaque bool
}

// AccessToken issues an access token without a login, as to an application on a
// phone or, without a subject, to a program: a JWT (RFC 9068), or one that
// /introspect tells about (RFC 7662), to the client that [Provider.Config] names.
// It expires as those of logins do. [Provider.RevokeAccessToken] takes it back.
func (p *Provider) AccessToken(t AccessToken) string {
	client := cmp.Or(t.Client, "phone")
	now := p.now()
	claims := map[string]any{
		"iss":       p.Issuer,
		"sub":       cmp.Or(t.Subject, client),
		"client_id": client,
		"aud":       t.Audience,
		"scope":     strings.Join(t.Scopes, " "),
		"iat":       now.Unix(),
		"exp":       now.Add(p.cfg.ExpiresIn).Unix(),
		"jti":       rand.Text(),
	}
	maps.Copy(claims, t.Claims)
	token := rand.Text()
	if !t.Opaque {
		var err error
		if token, err = p.sign(claims, "at+jwt", Forgery{}); err != nil {
			p.fail(err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.granted[token] = claims
	return token
}

// RevokeAccessToken has /introspect tell of a token that it is not active. A JWT
// goes on for whoever does not ask.
func (p *Provider) RevokeAccessToken(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.granted, token)
}

// introspect answers /introspect: what is known of a token, to the client alone.
func (p *Provider) introspect(r ProviderRequest, _ *Mischief) reply {
	if problem := p.authenticate(r); problem != "" {
		a := p.jsonReply(http.StatusUnauthorized, map[string]any{"error": problem})
		a.header.Set("WWW-Authenticate", `Basic realm="gatetest"`)
		return a
	}
	p.mu.Lock()
	claims, there := p.granted[r.Form.Get("token")]
	p.mu.Unlock()
	expires, known := claims["exp"].(int64)
	if !there || known && p.now().Unix() >= expires {
		return p.jsonReply(http.StatusOK, map[string]any{"active": false})
	}
	said := maps.Clone(claims)
	said["active"], said["token_type"] = true, "Bearer"
	if bound, _ := said["cnf"].(map[string]any); bound["jkt"] != nil {
		said["token_type"] = "DPoP"
	}
	return p.jsonReply(http.StatusOK, said)
}
