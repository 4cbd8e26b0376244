package devidp

import (
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/gatewright/gatewright/runtime/secret"
)

// accessType is the type in the header of access tokens (RFC 9068, section 2.1).
const accessType = "at+jwt"

// maxMinted bounds the tokens without a login that are told about.
const maxMinted = 10000

// A sealer makes JWTs (RFC 9068) of the access tokens of logins where there is an
// audience for them. Package op writes the type JWT into those that it signs, so
// it takes them for opaque ones, and has what it would encrypt made into a token
// here: the token's id and its subject.
type sealer struct {
	op.Crypto
	p *Provider
}

func (c sealer) Encrypt(text string) (string, error) {
	id, _, _ := strings.Cut(text, ":")
	t, ok := c.p.store.accessToken(id)
	if !ok || c.p.cfg.Audience == "" {
		return c.Crypto.Encrypt(text) // a code, or a token that nobody reads
	}
	return c.p.sign(id, t)
}

// Decrypt takes what Encrypt returned, and access tokens of programs. An ID token
// has no id that an access token goes by.
func (c sealer) Decrypt(text string) (string, error) {
	if strings.Count(text, ".") != 2 {
		return c.Crypto.Decrypt(text)
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "", err
	}
	payload, err := signed.Verify(&c.p.store.key.key.PublicKey)
	if err != nil {
		return "", err
	}
	var claims struct {
		ID      string `json:"jti"`
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", err
	}
	return claims.ID + ":" + claims.Subject, nil
}

// sign makes the JWT of an access token.
func (p *Provider) sign(id string, t token) (string, error) {
	opts := (&jose.SignerOptions{}).WithType(accessType).WithHeader("kid", p.store.key.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: p.store.key.key}, opts)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(map[string]any{
		"iss": p.issuer, "sub": t.subject, "client_id": t.client, "aud": p.cfg.Audience,
		"iat": t.issued.Unix(), "exp": t.expires.Unix(), "jti": id,
		"scope": strings.Join(t.scopes, " "), "scopes": append([]string{}, t.may...),
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// accessToken returns the access token with that id, if it is good.
func (s *storage) accessToken(id string) (token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.live(id)
	return t, err == nil
}

// mint keeps an access token without a login.
func (s *storage) mint(t token) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.cfg.Now())
	minted := 0
	for _, old := range s.access {
		if old.grant == nil {
			minted++
		}
	}
	for old, held := range s.access {
		if minted < maxMinted {
			break
		}
		if held.grant == nil {
			delete(s.access, old)
			minted--
		}
	}
	id = secret.ID(24)
	s.access[id] = t
	return id
}

// knows tells whether whom a minted token speaks of is known still. The lock is
// held.
func (s *storage) knows(t token) bool {
	if t.subject == t.client {
		_, ok := s.program(t.subject)
		return ok
	}
	_, ok := s.user(t.subject)
	return ok
}

// program returns the program with that id. The lock is held.
func (s *storage) program(id string) (Program, bool) {
	i := slices.IndexFunc(s.programs, func(p Program) bool { return p.ID == id })
	if i < 0 {
		return Program{}, false
	}
	return s.programs[i], true
}
