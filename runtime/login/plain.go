package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/user"
)

// identifyPlain asks a provider without OpenID Connect whose access token it
// has given. There is no ID token: that the code was for us is what PKCE and
// the client's own secret show.
func (p *peer) identifyPlain(ctx context.Context, token *oauth2.Token) (identity, error) {
	header := bearer(token)
	var members map[string]jsontext.Value
	if err := fetch.JSON(ctx, p.client, p.UserURL, header, &members); err != nil {
		return identity{}, fmt.Errorf("asking for the user: %w", answerError(err))
	}
	subject, err := stableID(members[p.UserID])
	if err != nil {
		return identity{}, fmt.Errorf("the user's member %s: %w", p.UserID, err)
	}
	claims := make(map[string]any, len(members))
	for name, raw := range members {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return identity{}, fmt.Errorf("the user's member %s: %w", printable(name), err)
		}
		claims[name] = v
	}
	prof := user.Profile{Email: shown(claims[p.UserEmail])}
	for name := range strings.FieldsSeq(p.UserName) {
		if prof.Name == "" {
			prof.Name = shown(claims[name])
		}
	}
	if p.EmailsURL != "" {
		// Of what the user object says nobody knows whether it was verified.
		if prof.Email, err = p.verifiedEmail(ctx, header); err != nil {
			return identity{}, err
		}
	}
	return identity{SignIn: user.SignIn{Issuer: p.Identity, Subject: subject, Profile: prof, Claims: claims}}, nil
}

// stableID reads an id: a text, or a whole number taken digit by digit, since
// as a floating number two large ones could become one.
func stableID(raw jsontext.Value) (string, error) {
	switch raw.Kind() {
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil || text == "" || len(text) > 255 {
			return "", errors.New("it is empty, too long or no text")
		}
		return text, nil
	case '0':
		digits := string(raw)
		for i := range len(digits) {
			if digits[i] < '0' || digits[i] > '9' {
				return "", errors.New("it is a number, and not a whole one")
			}
		}
		if digits == "0" || len(digits) > 30 {
			return "", errors.New("it is no number to know anybody by")
		}
		return digits, nil
	}
	return "", errors.New("it is neither a text nor a number")
}

// verifiedEmail is the user's own choice of their verified addresses, "" where
// there is none.
func (p *peer) verifiedEmail(ctx context.Context, header http.Header) (string, error) {
	var emails []struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	if err := fetch.JSON(ctx, p.client, p.EmailsURL, header, &emails); err != nil {
		return "", fmt.Errorf("asking for the user's addresses: %w", answerError(err))
	}
	for _, e := range emails {
		if e.Primary && e.Verified {
			return shown(e.Email), nil
		}
	}
	return "", nil
}
