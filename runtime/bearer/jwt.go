package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/jwks"
)

// known are the claims that something is decided by.
var known = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "cid", "appid", "scope", "scp", "cnf",
	"auth_time", "tid", "idtyp", "gty", "nonce", "at_hash", "c_hash", "events", "typ", "token_use", "token_type", "active",
}

// isOurJWT tells whether text says that it is a JWT of an issuer whose tokens
// are taken. Nothing of it is verified by that.
func (s *scheme) isOurJWT(text string) bool {
	iss, ok := peekIssuer(text)
	return ok && s.issuerOf(iss) != nil
}

// peekIssuer reads iss of a JWT whose signature nobody has looked at.
func peekIssuer(text string) (string, bool) {
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 {
		return "", false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return "", false
	}
	return c.Issuer, true
}

// issuerOf returns the issuer that iss names, or nil.
func (s *scheme) issuerOf(iss string) *issuer {
	for _, i := range s.issuers {
		if _, ok := i.issued(iss); ok {
			return i
		}
	}
	return nil
}

// verifyJWT verifies a JWT access token (RFC 9068, section 4). Who issued it is
// read first, and a stranger's is refused without asking anybody.
func (s *scheme) verifyJWT(ctx context.Context, text string) (remembered, error) {
	invalid := func(err error) (remembered, error) {
		return remembered{}, fmt.Errorf("%w: %w", gate.ErrInvalid, err)
	}
	h, err := jwks.ParseHeader(text)
	if err != nil {
		return invalid(err)
	}
	typed, err := s.checkType(h.Type)
	if err != nil {
		return invalid(err)
	}
	iss, ok := peekIssuer(text)
	if !ok {
		return invalid(errors.New("bearer: the payload is no JSON object with an issuer, or has a member twice"))
	}
	i := s.issuerOf(iss)
	if i == nil {
		return invalid(fmt.Errorf("bearer: issued by %.200q, which is no provider of this scheme: are issuer and provider set right, to the letter?", iss))
	}
	if err := h.CheckAlgorithm(i.Algorithms); err != nil {
		return invalid(fmt.Errorf("%w (algorithms of provider %s)", err, i.Name))
	}
	keys, err := i.keys(ctx)
	if err != nil {
		return remembered{}, err
	}
	// Keys that came while the signature was looked at have another version:
	// such a token is looked at again when it comes next.
	version := keys.Version()
	payload, err := keys.VerifySignature(ctx, text)
	if errors.Is(err, jwks.ErrUnavailable) {
		return remembered{}, fmt.Errorf("bearer: provider %s: %w", i.Name, err)
	}
	if err != nil {
		return invalid(err)
	}
	c, err := claims.Parse(payload, known...)
	if err != nil {
		return invalid(err)
	}
	t, err := s.readJWT(i, c, typed)
	if err != nil {
		return invalid(fmt.Errorf("bearer: %w", err))
	}
	return remembered{token: t, issuer: i, keys: keys, version: version}, nil
}

// checkType tells whether a header's typ is that of an access token (RFC 9068,
// section 2.1 and 4), and whether it says so at all.
func (s *scheme) checkType(typ string) (typed bool, err error) {
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "at+jwt":
		return true, nil
	case "", "jwt":
		if s.binding.UntypedTokens {
			return false, nil
		}
		return false, errors.New("bearer: the header does not say that it is an access token (typ at+jwt): where the issuer makes no others, set untyped_tokens: true for the scheme")
	}
	return false, errors.New("bearer: the header's typ is of another kind of token")
}

// readJWT checks the claims of a JWT that i signed.
func (s *scheme) readJWT(i *issuer, c claims.Set, typed bool) (token, error) {
	iss, err := c.Text("iss")
	if err != nil {
		return token{}, err
	}
	// It was read before it was verified, and perhaps otherwise.
	tid, ok := i.issued(iss)
	if !ok {
		return token{}, errors.New("iss is not the issuer")
	}
	if said, err := c.Text("tid"); err != nil || tid != "" && said != tid {
		return token{}, errors.New("tid is not the tenant that iss names")
	}
	if !typed {
		if err := s.checkUntyped(c); err != nil {
			return token{}, err
		}
	}
	if typed {
		for _, name := range []string{"exp", "iat", "jti", "client_id"} { // RFC 9068, section 2.2
			if !c.Has(name) {
				return token{}, fmt.Errorf("%s is missing", name)
			}
		}
	}
	if _, err := c.ID("jti"); err != nil {
		return token{}, err
	}
	t, err := s.read(i, c)
	if err != nil {
		return token{}, err
	}
	if t.expires.IsZero() {
		return token{}, errors.New("exp is missing")
	}
	if t.subject == "" {
		return token{}, errors.New("sub is missing")
	}
	if t.issuer = iss; t.name == "" {
		return token{}, errors.New("it names no client (client_id, azp, cid or appid)")
	}
	if !c.Has("aud") {
		return token{}, errors.New("aud is missing")
	}
	return t, nil
}

// tells are claims that access tokens have and ID tokens do not: Okta has cid,
// Entra appid and appidacr or azpacr, Auth0 gty.
var tells = []string{"scope", "scp", "client_id", "cid", "appid", "appidacr", "azpacr", "gty"}

// checkUntyped refuses an ID token, and whatever else an issuer signs, where
// the header does not tell.
func (s *scheme) checkUntyped(c claims.Set) error {
	for _, name := range []string{"nonce", "at_hash", "c_hash", "events"} {
		if c.Has(name) {
			return fmt.Errorf("it has %s, as ID tokens and logout tokens do", name)
		}
	}
	for name, want := range map[string]string{"typ": "bearer", "token_use": "access"} {
		said, err := c.Text(name)
		if err != nil {
			return err
		}
		if said != "" && !strings.EqualFold(said, want) {
			return fmt.Errorf("%s says that it is no access token", name)
		}
	}
	if !slices.ContainsFunc(tells, c.Has) {
		return errors.New("it has neither scopes nor a client, so that it cannot be told from an ID token")
	}
	aud, err := c.Audience()
	if err != nil {
		return err
	}
	for _, p := range s.tokens.cfg.Providers {
		if p.ClientID != "" && slices.Contains(aud, p.ClientID) && !slices.Contains(s.binding.Audience, p.ClientID) {
			return errors.New("aud is the client that people sign in with, as ID tokens have it")
		}
	}
	return nil
}

// read checks what JWTs and answers about tokens say alike, as far as it is
// there, and returns it. Who issued it the caller knows.
func (s *scheme) read(i *issuer, c claims.Set) (t token, err error) {
	now := s.tokens.cfg.Now()
	if t.expires, err = c.Time("exp"); err != nil {
		return t, err
	}
	if ago := now.Sub(t.expires); c.Has("exp") && ago >= skew {
		return t, fmt.Errorf("expired %s ago", ago.Round(time.Second))
	}
	for _, name := range []string{"nbf", "iat"} {
		from, err := c.Time(name)
		if err != nil {
			return t, err
		}
		if ahead := from.Sub(now); ahead > skew {
			return t, fmt.Errorf("good only in %s (%s): is this machine's clock right?", ahead.Round(time.Second), name)
		}
	}
	if t.authTime, err = c.Time("auth_time"); err != nil {
		return t, err
	}
	if c.Has("aud") {
		aud, err := c.Audience()
		if err != nil {
			return t, err
		}
		if !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(s.audience, a) }) {
			return t, fmt.Errorf("aud names none of %q: is it meant for another server, or is the scheme's audience to be set?", s.audience)
		}
	}
	if t.subject, err = c.ID("sub"); err != nil {
		return t, err
	}
	if t.bound, err = readBinding(c); err != nil {
		return t, err
	}
	if err := t.readClient(i, c); err != nil {
		return t, err
	}
	t.scopes, err = s.scopes(c)
	return t, err
}

// readClient finds out to which client a token was issued, and whether that acts
// for itself: its sub is its own then (RFC 9068, section 2.2), or it says so in
// a provider's way.
func (t *token) readClient(i *issuer, c claims.Set) error {
	for _, name := range []string{"client_id", "azp", "cid", "appid"} {
		id, err := c.ID(name)
		if err != nil {
			return err
		}
		if t.name == "" {
			t.name = id
		}
	}
	if t.name == "" {
		return nil
	}
	t.client = i.Name + "/" + t.name
	if i.Preset == "okta" || c.Has("cid") {
		return t.readOkta(c)
	}
	var said [2]string
	for n, name := range []string{"gty", "idtyp"} {
		var err error
		if said[n], err = c.Text(name); err != nil {
			return err
		}
	}
	t.forClient = t.subject == "" || t.subject == t.name || said[0] == "client-credentials" || said[1] == "app"
	return nil
}

// readOkta reads whom a token of Okta speaks of. Its sub is the name that a person
// signs in with, which may be somebody else's later, and which some may choose;
// the id, sub of its ID tokens, is uid. Programs' tokens have none.
func (t *token) readOkta(c claims.Set) error {
	id, err := c.ID("uid")
	switch {
	case err != nil:
		return err
	case id != "":
		t.subject = id
	case t.subject == "" || t.subject == t.name:
		t.forClient = true
	default:
		return errors.New("it is a person's, and has no uid: Okta's sub is a name that may be another person's later")
	}
	return nil
}

// maxScopes is how many scopes a token may have.
const maxScopes = 1000

// scopes are those that a token has, by the configured claim, by scope (RFC
// 8693, section 4.2), or by scp.
func (s *scheme) scopes(c claims.Set) (gate.Scopes, error) {
	var scopes []string
	switch {
	case s.binding.ScopesClaim != "":
		scopes = claims.Texts(c.All(), s.binding.ScopesClaim)
	case c.Has("scope"):
		text, ok := c.All()["scope"].(string)
		if !ok {
			return nil, errors.New("scope is not a text")
		}
		scopes = strings.Fields(text)
	default:
		scopes = claims.Texts(c.All(), "scp")
	}
	if len(scopes) > maxScopes {
		return nil, fmt.Errorf("it has %d scopes, at most %d are read", len(scopes), maxScopes)
	}
	if s.binding.ScopesClaim != "" {
		scopes = claims.Mapped(scopes, s.binding.ScopesMap)
	}
	return scopes, nil
}
