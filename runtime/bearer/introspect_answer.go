package bearer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/gate"
)

// readAnswer checks what the issuer says of a token (RFC 7662, section 2.2).
// The error wraps gate.ErrInvalid where that is, that it is not good here.
func (s *scheme) readAnswer(i *issuer, c claims.Set) (token, error) {
	active, isBool := c.All()["active"].(bool)
	if !isBool {
		return token{}, fmt.Errorf("bearer: provider %s does not say whether the token is active", i.Name)
	}
	if !active {
		return token{}, fmt.Errorf("%w: bearer: provider %s says that it is not active, or not for this server to ask about", gate.ErrInvalid, i.Name)
	}
	t, err := s.readActive(i, c)
	if err != nil {
		return token{}, fmt.Errorf("%w: bearer: %w", gate.ErrInvalid, err)
	}
	return t, nil
}

func (s *scheme) readActive(i *issuer, c claims.Set) (token, error) {
	iss, err := c.Text("iss")
	if err != nil {
		return token{}, err
	}
	if iss == "" {
		iss = i.Issuer // whom it was that was asked
	}
	if _, ok := i.issued(iss); !ok {
		return token{}, errors.New("the issuer says that another issued it")
	}
	if !c.Has("aud") && !s.binding.AnyAudience {
		return token{}, errors.New("the issuer does not say whom it is for (aud): where all tokens that this server may ask about are for it, set any_audience: true for the scheme")
	}
	t, err := s.read(i, c)
	if err != nil {
		return token{}, err
	}
	if err := s.checkUse(c, t.bound); err != nil {
		return token{}, err
	}
	t.issuer = iss
	return t, checkPerson(c, t)
}

// checkUse checks that an answer is about an access token, and about one that
// is bound as it says. A refresh token is good at the issuer alone, and some say
// of it what they say of others, but for token_type.
func (s *scheme) checkUse(c claims.Set, b binding) error {
	for name, want := range uses {
		said, err := c.Text(name)
		if err != nil {
			return err
		}
		if said != "" && !want[strings.ToLower(said)] {
			return fmt.Errorf("the issuer says that it is no access token (%s)", name)
		}
	}
	for _, name := range []string{"at_hash", "c_hash", "events"} {
		if c.Has(name) {
			return fmt.Errorf("the issuer says that it has %s, as ID tokens and logout tokens do", name)
		}
	}
	kind, _ := c.Text("token_type")
	switch {
	case kind == "" && !c.Has("token_use") && !s.binding.UntypedTokens:
		return errors.New("the issuer does not say what kind of token it is (token_type): where it says active of access tokens alone, set untyped_tokens: true for the scheme")
	case strings.EqualFold(kind, "dpop") && b.jkt == "":
		return errors.New("the issuer says that it is bound to a key, and not to which (cnf)")
	case kind != "" && !strings.EqualFold(kind, "dpop") && b.jkt != "": // RFC 9449, section 6.2
		return errors.New("the issuer says that it is bound to a key, and that it is none that is (token_type)")
	}
	return nil
}

// uses are what an answer says of an access token, by the member and in lower
// case. Keycloak has typ, Ory Hydra and Dex have token_use.
var uses = map[string]map[string]bool{
	"token_type": {"bearer": true, "dpop": true, "access_token": true},
	"token_use":  {"access": true, "access_token": true},
	"typ":        {"bearer": true, "dpop": true, "at+jwt": true, "application/at+jwt": true, "jwt": true},
}

// checkPerson checks that it is plain whom a token speaks of: a person by sub,
// or else its client. Where sub is left out, nothing may tell of a person, who
// would be taken for the client.
func checkPerson(c claims.Set, t token) error {
	if t.subject == "" && t.name == "" {
		return errors.New("the issuer says neither whom it speaks of nor to whom it was issued (sub, client_id)")
	}
	if t.subject != "" {
		return nil
	}
	for _, name := range []string{"username", "preferred_username", "email", "auth_time", "sid"} {
		if c.Has(name) {
			return fmt.Errorf("the issuer says %s, which is of a person, and not who that is (sub)", name)
		}
	}
	return nil
}

// checkKind refuses what is plainly no access token of the issuer, without
// showing it to it: a JWT that another issued, an ID token, a proof. Nothing of
// the token is verified by that; the issuer is asked about what is left.
func (s *scheme) checkKind(text string) error {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil
	}
	var header, payload map[string]jsontext.Value
	if !unpack(parts[0], &header) || !unpack(parts[1], &payload) {
		return nil // no JWT
	}
	var typ, iss string
	_ = json.Unmarshal(header["typ"], &typ) // of another type: none that is known
	_ = json.Unmarshal(payload["iss"], &iss)
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "at+jwt", "jwt", "":
	default:
		return errors.New("the header's typ is of another kind of token")
	}
	if iss != "" && s.issuerOf(iss) == nil {
		return fmt.Errorf("issued by %.200q, which is no provider of this scheme: are issuer and provider set right, to the letter?", iss)
	}
	for _, name := range []string{"at_hash", "c_hash", "events"} {
		if payload[name] != nil {
			return fmt.Errorf("it has %s, as ID tokens and logout tokens do", name)
		}
	}
	return nil
}

// unpack reads a part of a JWT.
func unpack(part string, into *map[string]jsontext.Value) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, into) == nil && *into != nil
}
