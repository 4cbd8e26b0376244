package gatetest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// idTokenFor is how long an ID token lasts.
const idTokenFor = time.Hour

// token answers the token endpoint.
func (p *Provider) token(r ProviderRequest, m *Mischief) reply {
	var members map[string]any
	status := http.StatusOK
	problem := p.authenticate(r)
	if problem == "" {
		switch r.Form.Get("grant_type") {
		case "authorization_code":
			members, problem = p.redeem(r, m)
		case "refresh_token":
			members, problem = p.renew(r, m)
		default:
			problem = "unsupported_grant_type"
		}
	}
	if problem != "" {
		status = http.StatusBadRequest
		members = map[string]any{"error": problem}
	}
	if m.Token != nil {
		m.Token(members)
	}
	if problem == "invalid_client" {
		status = http.StatusUnauthorized
	}
	a := p.jsonReply(status, members)
	a.header.Set("Pragma", "no-cache") // RFC 6749, section 5.1
	if status == http.StatusUnauthorized {
		a.header.Set("WWW-Authenticate", `Basic realm="gatetest"`)
	}
	return a
}

// authenticate tells what is wrong with how the client names itself: it must
// be the one configured way, and no other beside it (RFC 6749, section 2.3).
func (p *Provider) authenticate(r ProviderRequest) (problem string) {
	if r.Form == nil || twice(r.Form) != "" {
		return "invalid_request"
	}
	method, id, given := "none", r.Form.Get("client_id"), ""
	if r.Form.Has("client_secret") {
		method, given = "client_secret_post", r.Form.Get("client_secret")
	}
	if len(r.Header["Authorization"]) > 0 {
		if method != "none" {
			return "invalid_request"
		}
		user, password, ok := (&http.Request{Header: r.Header}).BasicAuth()
		if !ok {
			return "invalid_client"
		}
		// Both are form-encoded first (RFC 6749, section 2.3.1).
		name, errName := url.QueryUnescape(user)
		word, errWord := url.QueryUnescape(password)
		if errName != nil || errWord != nil || id != "" && id != name {
			return "invalid_client"
		}
		method, id, given = "client_secret_basic", name, word
	}
	if method != p.cfg.ClientAuth || id != p.ClientID || !p.isSecret(given) {
		return "invalid_client"
	}
	return ""
}

// redeem exchanges a code, which can be done once (RFC 6749, section 4.1.2).
func (p *Provider) redeem(r ProviderRequest, m *Mischief) (members map[string]any, problem string) {
	p.mu.Lock()
	code := p.codes[r.Form.Get("code")]
	switch {
	case code == nil:
		problem = "invalid_grant"
	case code.used:
		code.grant.ended = true // what was issued for it may be in wrong hands
		problem = "invalid_grant"
	case code.grant.ended, p.now().After(code.expires):
		problem = "invalid_grant"
	case r.Form.Get("redirect_uri") != code.grant.redirectURI:
		problem = "invalid_grant"
	case !verifies(r.Form.Get("code_verifier"), code.grant.challenge):
		problem = "invalid_grant"
	}
	if code != nil {
		code.used = true // whoever guesses has one guess
	}
	p.mu.Unlock()
	if problem != "" {
		return nil, problem
	}
	return p.issue(code.grant, code.scopes, code.grant.nonce, m)
}

// verifies checks a PKCE verifier by S256 (RFC 7636, sections 4.1 and 4.6).
func verifies(verifier, challenge string) bool {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	if len(verifier) < 43 || len(verifier) > 128 || strings.Trim(verifier, unreserved) != "" {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// renew exchanges a refresh token for new tokens. A refresh token that is used
// again ends its whole family (RFC 9700, section 4.14.2).
func (p *Provider) renew(r ProviderRequest, m *Mischief) (members map[string]any, problem string) {
	p.mu.Lock()
	old := p.refresh[r.Form.Get("refresh_token")]
	var scopes []string
	switch {
	case old == nil:
		problem = "invalid_grant"
	case old.used:
		p.refreshReuses++
		old.grant.ended = true
		problem = "invalid_grant"
	case old.grant.ended:
		problem = "invalid_grant"
	default:
		scopes = old.scopes
		if r.Form.Has("scope") {
			scopes = strings.Fields(r.Form.Get("scope"))
		}
		for _, s := range scopes {
			if !slices.Contains(old.scopes, s) {
				problem = "invalid_scope"
			}
		}
		old.used = problem == ""
	}
	p.mu.Unlock()
	if problem != "" {
		return nil, problem
	}
	return p.issue(old.grant, scopes, "", m) // a refreshed ID token has no nonce (Core, section 12.2)
}

// issue makes the tokens of a grant.
func (p *Provider) issue(g *grant, scopes []string, nonce string, m *Mischief) (members map[string]any, problem string) {
	access := rand.Text()
	members = map[string]any{
		"access_token": access,
		"token_type":   "Bearer",
		"expires_in":   int64(p.cfg.ExpiresIn / time.Second),
		"scope":        strings.Join(scopes, " "),
	}
	p.mu.Lock()
	p.access[access] = &issued{grant: g, scopes: scopes, expires: p.now().Add(p.cfg.ExpiresIn)}
	if !p.cfg.NoRefresh {
		refresh := rand.Text()
		p.refresh[refresh] = &issued{grant: g, scopes: g.scopes}
		members["refresh_token"] = refresh
	}
	p.mu.Unlock()
	if !slices.Contains(scopes, "openid") {
		return members, ""
	}
	if m.RotateFirst {
		p.RotateKeys()
		p.DropKeys()
	}
	token, err := p.sign(p.idClaims(g, scopes, nonce, access, m), "JWT", m.IDToken)
	if err != nil {
		p.fail(err)
		return nil, "server_error"
	}
	p.mu.Lock()
	p.lastIDToken = token
	p.mu.Unlock()
	members["id_token"] = token
	return members, ""
}

// idClaims are the claims of an ID token (Core, sections 2 and 3.1.3.6).
func (p *Provider) idClaims(g *grant, scopes []string, nonce, access string, m *Mischief) map[string]any {
	now := p.now().Add(m.Clock)
	claims := personClaims(g.user, scopes)
	maps.Copy(claims, map[string]any{
		"iss":       p.Issuer,
		"aud":       p.ClientID,
		"iat":       now.Unix(),
		"exp":       now.Add(idTokenFor).Unix(),
		"auth_time": g.authTime.Unix(),
		"sid":       g.sid,
		"at_hash":   halfHash(p.current().algorithm, access),
	})
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return claims
}

// halfHash is the left half of the hash that belongs to a signature algorithm
// (Core, section 3.1.3.6).
func halfHash(algorithm, text string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(algorithm, "384"):
		h := sha512.Sum384([]byte(text))
		sum = h[:]
	case strings.HasSuffix(algorithm, "512"), algorithm == "EdDSA": // of Ed25519
		h := sha512.Sum512([]byte(text))
		sum = h[:]
	default:
		h := sha256.Sum256([]byte(text))
		sum = h[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// CodeReuses returns how many requests came with a code that an earlier one
// had come with, however that one was answered.
func (p *Provider) CodeReuses() int {
	reuses := 0
	seen := make(map[string]bool)
	for _, r := range p.Asked("/token") {
		if code := r.Form.Get("code"); code != "" {
			if seen[code] {
				reuses++
			}
			seen[code] = true
		}
	}
	return reuses
}

// RefreshReuses returns how many requests came with a refresh token that had
// been used.
func (p *Provider) RefreshReuses() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refreshReuses
}

// LastIDToken returns the ID token issued last, "" for none.
func (p *Provider) LastIDToken() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastIDToken
}
