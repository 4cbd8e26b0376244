package devidp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/secret"
)

// callTime is how long the application may take to hear of a logout.
const callTime = 5 * time.Second

// ended tells the application that a session has ended, without being waited
// for.
func (p *Provider) ended(g grant) {
	if p.cfg.BackChannelURI == "" {
		return
	}
	p.calls.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		if err := p.tell(ctx, g); err != nil {
			p.cfg.Logger.Warn("development identity provider: the application did not take a back-channel logout", "user", g.name, "error", err)
		}
	})
}

// tell sends a logout token (OpenID Connect Back-Channel Logout 1.0, sections
// 2.4 and 2.5).
func (p *Provider) tell(ctx context.Context, g grant) error {
	text, err := p.logoutToken(g)
	if err != nil {
		return err
	}
	form := url.Values{"logout_token": {text}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.BackChannelURI, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := p.cfg.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}

func (p *Provider) logoutToken(g grant) (string, error) {
	now := p.cfg.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": p.issuer, "aud": g.clientID, "sub": g.subject, "sid": g.sid,
		"iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": secret.ID(24),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
	})
	if err != nil {
		return "", err
	}
	key := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.store.key.key, KeyID: p.store.key.id}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("logout+jwt"))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
