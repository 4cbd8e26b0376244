package idtoken

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/claims"
)

// logoutAge is for how long after it was issued a logout token is taken, even
// where exp is later. The specification (Back-Channel Logout 1.0, section 2.4)
// advises two minutes at most; some providers give an hour, and those written
// to its drafts no exp at all. This bounds for how long a captured token could
// be sent again, and so for how long its jti has to be remembered.
const logoutAge = 5 * time.Minute

// logoutEvent is the member that events of a logout token must have.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// A Logout is what a logout token says. Subject, SessionID or both are set.
type Logout struct {
	Issuer    string
	Subject   string
	SessionID string // sid: ends this session alone, if set
	JTI       string
	IssuedAt  time.Time
	// Expires is when the token will no longer be taken, the skew included.
	// Until then the caller must remember JTI, and refuse it.
	Expires time.Time
}

// Logout validates a logout token, as section 2.6 of Back-Channel Logout 1.0
// has it, except that the caller sees to the JTI. The error wraps ErrInvalid
// where the token is not good, or jwks.ErrUnavailable where that cannot be told.
func (v *Validator) Logout(ctx context.Context, raw string) (Logout, error) {
	now := v.cfg.Now()
	base := v.base(now)
	base.SkipExpiryCheck = true // exp may be absent
	var out Logout
	err := v.verify(ctx, raw, base, func(c claims.Set, _ string) (err error) {
		out, err = v.logout(c, now)
		return err
	}, "jwt", "logout+jwt")
	if err != nil {
		return Logout{}, err
	}
	return out, nil
}

func (v *Validator) logout(c claims.Set, now time.Time) (out Logout, err error) {
	if out.Issuer, err = v.checkParties(c); err != nil {
		return out, err
	}
	if out.IssuedAt, err = v.checkIssued(c, now, logoutAge); err != nil {
		return out, err
	}
	out.Expires = out.IssuedAt.Add(logoutAge)
	if c.Has("exp") {
		exp, err := v.checkExpiry(c, now)
		if err != nil {
			return out, err
		}
		if exp.Before(out.Expires) {
			out.Expires = exp
		}
	} else if err := v.checkNotBefore(c, now); err != nil {
		return out, err
	}
	out.Expires = out.Expires.Add(v.cfg.Skew)
	if err := checkEvents(c); err != nil {
		return out, err
	}
	if c.Has("nonce") {
		// It would be an ID token.
		return out, errors.New("nonce is there, which a logout token must not have")
	}
	if out.JTI, err = c.ID("jti"); err != nil {
		return out, err
	}
	if out.JTI == "" {
		return out, errors.New("jti is missing")
	}
	if out.Subject, err = c.ID("sub"); err != nil {
		return out, err
	}
	if out.SessionID, err = c.ID("sid"); err != nil {
		return out, err
	}
	if out.Subject == "" && out.SessionID == "" {
		return out, errors.New("sub and sid are missing: it says nobody to sign out")
	}
	return out, nil
}

// checkEvents checks that events says that somebody signed out, and nothing else.
func checkEvents(c claims.Set) error {
	var events map[string]jsontext.Value
	if json.Unmarshal(c.Raw("events"), &events) != nil {
		return errors.New("events is missing or not an object")
	}
	if len(events) != 1 || events[logoutEvent].Kind() != '{' {
		return errors.New("events is not that somebody signed out, with an object, alone")
	}
	return nil
}
