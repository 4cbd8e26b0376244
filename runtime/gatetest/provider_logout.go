package gatetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// logoutEvent marks a logout token (Back-Channel Logout 1.0, section 2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Logout ends the session sid of a person at the provider, all of the person's
// where sid is empty, and posts a logout token to the registered
// BackChannelURI. It returns the status of the answer. With an empty subject
// the token names the session alone.
func (p *Provider) Logout(ctx context.Context, subject, sid string) (status int, err error) {
	p.end(subject, sid)
	return p.notify(ctx, p.LogoutToken(subject, sid))
}

// LogoutToken makes a logout token and sends it nowhere. Members that are empty
// are left out of it.
func (p *Provider) LogoutToken(subject, sid string) string {
	p.mu.Lock()
	m := p.mischief
	p.mu.Unlock()
	now := p.now().Add(m.Clock)
	claims := map[string]any{
		"iss":    p.Issuer,
		"aud":    p.ClientID,
		"iat":    now.Unix(),
		"exp":    now.Add(2 * time.Minute).Unix(),
		"jti":    rand.Text(),
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
	if subject != "" {
		claims["sub"] = subject
	}
	if sid != "" {
		claims["sid"] = sid
	}
	token, err := p.sign(claims, "logout+jwt", m.LogoutToken)
	if err != nil {
		p.fail(err)
	}
	return token
}

// notify posts a logout token to the application.
func (p *Provider) notify(ctx context.Context, token string) (status int, err error) {
	p.mu.Lock()
	uri, client := p.reg.BackChannelURI, cmp.Or(p.reg.Client, p.client)
	p.mu.Unlock()
	if uri == "" {
		return 0, errors.New("gatetest: no BackChannelURI is registered")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	form := url.Values{"logout_token": {token}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, fmt.Errorf("gatetest: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	direct := *client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := direct.Do(r)
	if err != nil {
		return 0, fmt.Errorf("gatetest: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	return resp.StatusCode, nil
}

// LogoutNotices returns how the application answered the logout tokens that
// /logout sent, the oldest first: the status, 0 where there was no answer.
func (p *Provider) LogoutNotices() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.notices)
}

// logout answers a logout that the application began (RP-Initiated Logout
// 1.0). It ends the session that the ID token names, tells the application by
// the back channel, and sends the browser on.
func (p *Provider) logout(r ProviderRequest, m *Mischief) reply {
	q := r.params()
	hint, next := q.Get("id_token_hint"), q.Get("post_logout_redirect_uri")
	to, err := url.Parse(next)
	p.mu.Lock()
	registered, channel := p.reg.PostLogoutURIs, p.reg.BackChannelURI
	p.mu.Unlock()
	switch {
	case twice(q) != "":
		return textReply(http.StatusBadRequest, "gatetest: parameter given twice: "+twice(q))
	case q.Has("client_id") && q.Get("client_id") != p.ClientID:
		return textReply(http.StatusBadRequest, "gatetest: this client is not known")
	case next != "" && (err != nil || !to.IsAbs() || registered != nil && !slices.Contains(registered, next)):
		return textReply(http.StatusBadRequest, "gatetest: this post_logout_redirect_uri is not registered")
	case next != "" && hint == "" && !q.Has("client_id"):
		return textReply(http.StatusBadRequest, "gatetest: nothing says which client's post_logout_redirect_uri this is")
	}
	if hint != "" {
		subject, sid, err := p.openHint(hint)
		if err != nil {
			return textReply(http.StatusBadRequest, err.Error())
		}
		p.end(subject, sid)
		if channel != "" {
			status, _ := p.notify(context.Background(), p.LogoutToken(subject, sid)) // bounded; 0 says that it went wrong
			p.mu.Lock()
			p.notices = append(p.notices, status)
			p.mu.Unlock()
		}
	}
	if next == "" {
		return textReply(http.StatusOK, "gatetest: signed out")
	}
	params := url.Values{}
	if state := q.Get("state"); state != "" {
		params.Set("state", state)
	}
	if m.LogoutCallback != nil {
		m.LogoutCallback(params)
	}
	if to.RawQuery != "" && len(params) > 0 {
		to.RawQuery += "&"
	}
	to.RawQuery += params.Encode()
	return redirectReply(to.String())
}

// openHint reads an ID token of ours, however old (RP-Initiated Logout 1.0,
// section 2).
func (p *Provider) openHint(token string) (subject, sid string, err error) {
	p.mu.Lock()
	keys := slices.Concat(p.keys, p.past)
	p.mu.Unlock()
	var algorithms []jose.SignatureAlgorithm
	for _, k := range keys {
		algorithms = append(algorithms, jose.SignatureAlgorithm(k.algorithm))
	}
	parsed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return "", "", fmt.Errorf("gatetest: id_token_hint: %w", err)
	}
	for _, k := range keys {
		payload, err := parsed.Verify(k.key.Public())
		if err != nil {
			continue
		}
		var claims struct {
			Issuer   string `json:"iss"`
			Audience string `json:"aud"`
			Subject  string `json:"sub"`
			Session  string `json:"sid"`
		}
		if err := json.Unmarshal(payload, &claims); err != nil {
			return "", "", fmt.Errorf("gatetest: id_token_hint: %w", err)
		}
		if claims.Issuer != p.Issuer || claims.Audience != p.ClientID {
			return "", "", errors.New("gatetest: id_token_hint: another issuer's or another client's")
		}
		return claims.Subject, claims.Session, nil
	}
	return "", "", errors.New("gatetest: id_token_hint: not signed by this provider")
}
