package devidp

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/gatewright/gatewright/runtime/secret"
)

const (
	requestLife = 30 * time.Minute // until a user is picked and the code is used
	grantLife   = 24 * time.Hour
	maxRequests = 1000 // sign-ins that somebody began
)

// A storage is what the provider remembers, behind one lock.
type storage struct {
	cfg     Config
	key     signingKey
	onEnded func(grant) // told of each session that ends before its time

	mu       sync.Mutex
	users    []User
	programs []Program
	requests map[string]*request // by id
	codes    map[string]string   // code -> id of its request
	grants   map[string]*grant   // by sid
	access   map[string]token    // by id
	refresh  map[string]*token   // by the token itself
}

// A token is an access or refresh token.
type token struct {
	grant   *grant // nil of an access token without a login
	subject string // of access tokens, as are those up to expires
	client  string
	scopes  []string // also of refresh tokens
	may     []string // what the subject may do, whatever was asked for
	issued  time.Time
	expires time.Time
	used    bool // a refresh token that has been traded for another
}

var (
	_ op.Storage                        = (*storage)(nil)
	_ op.CanSetUserinfoFromRequest      = (*storage)(nil)
	_ op.CanTerminateSessionFromRequest = (*storage)(nil)
)

func newStorage(cfg Config, onEnded func(grant)) (*storage, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return &storage{
		cfg: cfg, key: signingKey{id: secret.ID(16), key: key}, onEnded: onEnded, users: slices.Clone(cfg.Users), programs: slices.Clone(cfg.Programs),
		requests: make(map[string]*request), codes: make(map[string]string), grants: make(map[string]*grant),
		access: make(map[string]token), refresh: make(map[string]*token),
	}, nil
}

func (s *storage) setUsers(users []User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = slices.Clone(users)
}

func (s *storage) setPrograms(programs []Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.programs = slices.Clone(programs)
}

func (s *storage) listUsers() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.users)
}

// user returns the user with that subject. The lock is held.
func (s *storage) user(subject string) (User, bool) {
	for _, u := range s.users {
		if u.subject() == subject {
			return u, true
		}
	}
	return User{}, false
}

// sweep forgets what is over. The lock is held.
func (s *storage) sweep(now time.Time) {
	for id, r := range s.requests {
		if now.Sub(r.made) > requestLife {
			s.forget(id)
		}
	}
	for sid, g := range s.grants {
		if g.ended || now.Sub(g.authTime) > grantLife {
			g.ended = true
			delete(s.grants, sid)
		}
	}
	for id, t := range s.access {
		if t.grant != nil && t.grant.ended || now.After(t.expires) {
			delete(s.access, id)
		}
	}
	for text, t := range s.refresh {
		if t.grant.ended {
			delete(s.refresh, text)
		}
	}
}

// forget removes a request and its code. The lock is held.
func (s *storage) forget(id string) {
	if r, ok := s.requests[id]; ok {
		delete(s.codes, r.code)
		delete(s.requests, id)
	}
}

// CreateAuthRequest keeps an authorization request until a user is picked.
func (s *storage) CreateAuthRequest(_ context.Context, asked *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if slices.Contains(asked.Prompt, oidc.PromptNone) {
		return nil, oidc.ErrLoginRequired() // nobody stays signed in here
	}
	if asked.CodeChallenge == "" || asked.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("PKCE with S256 is required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	s.sweep(now)
	if len(s.requests) >= maxRequests {
		return nil, oidc.ErrServerError().WithDescription("too many sign-ins at once")
	}
	r := &request{
		id: secret.ID(32), asked: *asked, made: now, scopes: asked.Scopes,
		challenge: oidc.CodeChallenge{Challenge: asked.CodeChallenge, Method: asked.CodeChallengeMethod},
	}
	s.requests[r.id] = r
	clone := *r
	return &clone, nil
}

var errOver = errors.New("this sign-in is over or was never begun: start it again at the application")

// pick answers a request for a user.
func (s *storage) pick(id, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	s.sweep(now)
	r, ok := s.requests[id]
	if !ok || r.grant != nil {
		return errOver
	}
	i := slices.IndexFunc(s.users, func(u User) bool { return u.Name == name })
	if i < 0 {
		return fmt.Errorf("there is no user %q any more: start again at the application", name)
	}
	u := s.users[i]
	r.grant = &grant{sid: secret.ID(24), subject: u.subject(), name: u.Name, clientID: r.asked.ClientID, authTime: now}
	r.scopes = granted(r.asked.Scopes, u)
	s.grants[r.grant.sid] = r.grant
	return nil
}

// granted are those of the scopes asked for that u has, and the protocol's own.
func granted(asked []string, u User) []string {
	var out []string
	for _, scope := range asked {
		if slices.Contains(op.DefaultSupportedScopes, scope) || slices.Contains(u.Scopes, scope) {
			out = append(out, scope)
		}
	}
	return out
}

// pending tells whether a user can be picked for the request.
func (s *storage) pending(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.cfg.Now())
	r, ok := s.requests[id]
	return ok && r.grant == nil
}

// AuthRequestByID returns a request that has no code yet.
func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.requests[id]
	if !ok || r.code != "" {
		return nil, errOver
	}
	clone := *r
	return &clone, nil
}

// SaveAuthCode notes the one code of a request.
func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.requests[id]
	if !ok || r.code != "" {
		return errOver
	}
	r.code = code
	s.codes[code] = id
	return nil
}

// AuthRequestByCode returns the code's request, this once, whatever becomes of
// the exchange.
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.cfg.Now())
	id, ok := s.codes[code]
	if !ok {
		return nil, errors.New("unknown or used code")
	}
	clone := *s.requests[id]
	s.forget(id)
	return &clone, nil
}

// DeleteAuthRequest forgets a request.
func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(id)
	return nil
}

// grantOf returns what stands behind a token request.
func grantOf(req any) (*grant, error) {
	switch r := req.(type) {
	case *request:
		if r.grant != nil {
			return r.grant, nil
		}
	case *refresh:
		return r.grant, nil
	}
	return nil, oidc.ErrUnsupportedGrantType()
}

// CreateAccessToken makes an access token alone.
func (s *storage) CreateAccessToken(_ context.Context, req op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newAccess(req)
}

// newAccess makes an access token. The lock is held.
func (s *storage) newAccess(req op.TokenRequest) (string, time.Time, error) {
	g, err := grantOf(req)
	if err != nil {
		return "", time.Time{}, err
	}
	u, known := s.user(g.subject)
	if !known || g.ended {
		return "", time.Time{}, oidc.ErrInvalidGrant().WithDescription("the session has ended")
	}
	now := s.cfg.Now()
	t := token{grant: g, subject: g.subject, client: g.clientID, scopes: req.GetScopes(), may: u.Scopes, issued: now, expires: now.Add(tokenLife)}
	id := secret.ID(24)
	s.access[id] = t
	return id, t.expires, nil
}

// CreateAccessAndRefreshTokens makes both. The refresh token that was used, if
// any, is good no more.
func (s *storage) CreateAccessAndRefreshTokens(_ context.Context, req op.TokenRequest, current string) (string, string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(err error) (string, string, time.Time, error) { return "", "", time.Time{}, err }
	g, err := grantOf(req)
	if err != nil {
		return fail(err)
	}
	scopes := req.GetScopes()
	if current != "" {
		old, ok := s.refresh[current]
		if !ok || old.used {
			return fail(oidc.ErrInvalidGrant().WithDescription("the refresh token has been used"))
		}
		old.used, scopes = true, old.scopes // a narrower access token does not narrow the next one
	}
	id, expires, err := s.newAccess(req)
	if err != nil {
		return fail(err)
	}
	text := secret.Random(32).Reveal()
	s.refresh[text] = &token{grant: g, scopes: scopes}
	return id, text, expires, nil
}

// TokenRequestByRefreshToken finds a refresh token. One that comes a second
// time has leaked, or its holder lost count: the session ends (RFC 9700,
// section 4.14.2).
func (s *storage) TokenRequestByRefreshToken(_ context.Context, text string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.cfg.Now())
	t, ok := s.refresh[text]
	if !ok {
		return nil, op.ErrInvalidRefreshToken
	}
	if t.used {
		s.end(t.grant)
		return nil, errors.New("the refresh token came a second time, so the session has ended")
	}
	u, ok := s.user(t.grant.subject)
	if !ok {
		s.end(t.grant)
		return nil, errors.New("the user is gone")
	}
	return &refresh{grant: t.grant, scopes: granted(t.scopes, u)}, nil
}

// end ends a session. The lock is held.
func (s *storage) end(g *grant) {
	if g.ended {
		return
	}
	g.ended = true
	delete(s.grants, g.sid)
	s.onEnded(*g)
}

// endSession ends the session with that id, if there is one.
func (s *storage) endSession(sid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.grants[sid]; ok {
		s.end(g)
	}
}

// sessions are those that have not ended, the oldest first.
func (s *storage) sessions() []grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.cfg.Now())
	var out []grant
	for _, g := range s.grants {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b grant) int {
		if c := a.authTime.Compare(b.authTime); c != 0 {
			return c
		}
		return strings.Compare(a.sid, b.sid)
	})
	return out
}

// TerminateSessionFromRequest ends the session that the application's ID
// token names, and returns where the browser goes next.
func (s *storage) TerminateSessionFromRequest(_ context.Context, req *op.EndSessionRequest) (string, error) {
	if req.IDTokenHintClaims != nil {
		s.endSession(req.IDTokenHintClaims.SessionID)
	}
	return req.RedirectURI, nil
}

// TerminateSession ends all of a user's sessions. Package op asks for
// TerminateSessionFromRequest instead.
func (s *storage) TerminateSession(_ context.Context, subject, _ string) error {
	for _, g := range s.sessions() {
		if g.subject == subject {
			s.endSession(g.sid)
		}
	}
	return nil
}

// GetRefreshTokenInfo tells whose a refresh token is.
func (s *storage) GetRefreshTokenInfo(_ context.Context, _, text string) (string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.refresh[text]
	if !ok {
		return "", "", op.ErrInvalidRefreshToken
	}
	return t.grant.subject, text, nil
}

// RevokeToken takes an access token by its id or a refresh token by itself.
// With a refresh token goes the session (RFC 7009, section 2.1).
func (s *storage) RevokeToken(_ context.Context, text, _, _ string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.refresh[text]; ok {
		s.end(t.grant)
	}
	delete(s.access, text)
	return nil
}

// Health is always good.
func (s *storage) Health(context.Context) error { return nil }
