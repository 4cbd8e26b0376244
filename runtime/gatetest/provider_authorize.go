package gatetest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A grant is one sign-in of a person, and all that was issued for it.
type grant struct {
	user        User
	redirectURI string
	nonce       string
	challenge   string
	scopes      []string
	sid         string
	authTime    time.Time
	ended       bool // by logout, reuse or revocation
}

// issued is a code or a token.
type issued struct {
	grant   *grant
	scopes  []string
	expires time.Time // zero: never
	used    bool
}

// codeFor is how long a code lives.
const codeFor = time.Minute

// discovery answers the metadata.
func (p *Provider) discovery(_ ProviderRequest, m *Mischief) reply {
	metadata := map[string]any{
		"issuer":                 p.Issuer,
		"authorization_endpoint": p.Issuer + "/authorize",
		"token_endpoint":         p.Issuer + "/token",
		"userinfo_endpoint":      p.Issuer + "/userinfo",
		"jwks_uri":               p.Issuer + "/jwks",
		"introspection_endpoint": p.Issuer + "/introspect",
		"introspection_endpoint_auth_methods_supported":  []string{p.cfg.ClientAuth},
		"end_session_endpoint":                           p.Issuer + "/logout",
		"scopes_supported":                               standardScopes,
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{p.cfg.Algorithm},
		"token_endpoint_auth_methods_supported":          []string{p.cfg.ClientAuth},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"claims_supported":                               []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "name", "email", "email_verified"},
	}
	if m.Metadata != nil {
		m.Metadata(metadata)
	}
	return p.jsonReply(http.StatusOK, metadata)
}

// authorize signs in whom [Provider.SignInAs] said and sends the browser back
// with a code. A request that may not be answered to its redirect_uri is
// answered with 400 (RFC 6749, section 4.1.2.1).
func (p *Provider) authorize(r ProviderRequest, m *Mischief) reply {
	q := r.params()
	redirectURI := q.Get("redirect_uri")
	to, err := url.Parse(redirectURI)
	p.mu.Lock()
	registered := p.reg.RedirectURIs
	p.mu.Unlock()
	switch {
	case len(q["client_id"]) != 1 || q.Get("client_id") != p.ClientID:
		return textReply(http.StatusBadRequest, "gatetest: this client is not known")
	case len(q["redirect_uri"]) != 1 || err != nil || !to.IsAbs() || to.Fragment != "":
		return textReply(http.StatusBadRequest, "gatetest: redirect_uri is not one absolute URI without fragment")
	case registered != nil && !slices.Contains(registered, redirectURI):
		return textReply(http.StatusBadRequest, "gatetest: this redirect_uri is not registered")
	}
	scopes := strings.Fields(q.Get("scope"))
	params := url.Values{}
	if state := q.Get("state"); state != "" {
		params.Set("state", state)
	}
	if slices.Contains(scopes, "openid") {
		params.Set("iss", p.Issuer) // RFC 9207; providers of plain OAuth 2.0 rarely know it
	}
	user, found := p.person(q.Get("login_hint"))
	if name, why := refuseAuthorization(q); name != "" {
		params.Set("error", name)
		params.Set("error_description", why)
	} else if !found {
		params.Set("error", "access_denied")
		params.Set("error_description", "nobody signs in")
	} else {
		params.Set("code", p.issueCode(&grant{
			user:        user,
			redirectURI: redirectURI,
			nonce:       q.Get("nonce"),
			challenge:   q.Get("code_challenge"),
			scopes:      granted(user, scopes),
			sid:         rand.Text(),
			authTime:    p.now().Add(m.Clock),
		}))
	}
	if m.Callback != nil {
		m.Callback(params)
	}
	if to.RawQuery != "" {
		to.RawQuery += "&"
	}
	to.RawQuery += params.Encode()
	return redirectReply(to.String())
}

// refuseAuthorization tells what is wrong with an authorization request, in
// the words of RFC 6749.
func refuseAuthorization(q url.Values) (name, why string) {
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(q.Get("code_challenge"))
	switch {
	case twice(q) != "":
		return "invalid_request", "parameter given twice: " + twice(q)
	case q.Get("response_type") != "code":
		return "unsupported_response_type", "response_type must be code"
	case q.Get("response_mode") != "" && q.Get("response_mode") != "query":
		return "invalid_request", "response_mode must be query"
	case q.Has("request"):
		return "request_not_supported", "request objects are not taken"
	case q.Has("request_uri"):
		return "request_uri_not_supported", "request objects are not taken"
	case q.Get("code_challenge_method") != "S256" || err != nil || len(challenge) != 32:
		return "invalid_request", "PKCE with S256 is needed"
	}
	return "", ""
}

// granted are those of the scopes asked for that the person may have.
func granted(u User, asked []string) []string {
	var scopes []string
	for _, s := range asked {
		if u.Scopes == nil || slices.Contains(standardScopes, s) || slices.Contains(u.Scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

func (p *Provider) issueCode(g *grant) string {
	code := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions = append(p.sessions, g)
	p.codes[code] = &issued{grant: g, scopes: g.scopes, expires: p.now().Add(codeFor)}
	return code
}

// Sessions returns the provider's own names for the sessions of a person (the
// claim sid), the oldest first, without those that have ended.
func (p *Provider) Sessions(subject string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var sids []string
	for _, g := range p.sessions {
		if g.user.Subject == subject && !g.ended {
			sids = append(sids, g.sid)
		}
	}
	return sids
}

// Revoke ends all sessions of a person at the provider, without telling the
// application: access tokens are no longer taken, and a refresh is answered
// invalid_grant.
func (p *Provider) Revoke(subject string) { p.end(subject, "") }

// end ends the sessions with that sid, or where it is empty all of the person.
func (p *Provider) end(subject, sid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.sessions {
		if sid != "" && g.sid == sid || sid == "" && g.user.Subject == subject {
			g.ended = true
		}
	}
}
