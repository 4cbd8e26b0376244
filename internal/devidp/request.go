package devidp

import (
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// A request is one authorization request, on its way from the application to
// the page of users and back. The storage's lock guards it; what package op is
// handed is a copy.
type request struct {
	id        string
	asked     oidc.AuthRequest
	made      time.Time
	scopes    []string
	grant     *grant // of the user who was picked; nil before
	code      string // handed out for it; at most one
	challenge oidc.CodeChallenge
}

func (r *request) GetID() string                         { return r.id }
func (r *request) GetACR() string                        { return "" }
func (r *request) GetAMR() []string                      { return nil }
func (r *request) GetAudience() []string                 { return []string{r.asked.ClientID} }
func (r *request) GetClientID() string                   { return r.asked.ClientID }
func (r *request) GetCodeChallenge() *oidc.CodeChallenge { return &r.challenge }
func (r *request) GetNonce() string                      { return r.asked.Nonce }
func (r *request) GetRedirectURI() string                { return r.asked.RedirectURI }
func (r *request) GetResponseType() oidc.ResponseType    { return r.asked.ResponseType }
func (r *request) GetResponseMode() oidc.ResponseMode    { return r.asked.ResponseMode }
func (r *request) GetScopes() []string                   { return r.scopes }
func (r *request) GetState() string                      { return r.asked.State }
func (r *request) Done() bool                            { return r.grant != nil }

func (r *request) GetAuthTime() time.Time {
	if r.grant == nil {
		return time.Time{}
	}
	return r.grant.authTime
}

func (r *request) GetSubject() string {
	if r.grant == nil {
		return ""
	}
	return r.grant.subject
}

// A grant is what began when a user was picked: a session at this provider.
// It does not change, but for ended, which the storage's lock guards.
type grant struct {
	sid      string
	subject  string
	name     string
	clientID string
	authTime time.Time
	ended    bool
}

// A refresh is one use of a refresh token.
type refresh struct {
	grant  *grant
	scopes []string
}

func (r *refresh) GetAMR() []string            { return nil }
func (r *refresh) GetAudience() []string       { return []string{r.grant.clientID} }
func (r *refresh) GetAuthTime() time.Time      { return r.grant.authTime }
func (r *refresh) GetClientID() string         { return r.grant.clientID }
func (r *refresh) GetScopes() []string         { return r.scopes }
func (r *refresh) GetSubject() string          { return r.grant.subject }
func (r *refresh) SetCurrentScopes(s []string) { r.scopes = s }
