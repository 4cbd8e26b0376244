package login

import (
	"errors"
	"net/http"
	"time"

	"github.com/gatewright/gatewright/runtime/jwks"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/session"
)

// logoutMemory is how long a logout token is remembered beyond its end: as long
// as clocks may differ.
const logoutMemory = 2 * time.Minute

// backChannel ends the sessions that a provider names (OpenID Connect
// Back-Channel Logout 1.0, section 2.5). Its answers are those of section 2.8.
func (l *Login) backChannel(w http.ResponseWriter, r *http.Request) {
	p := l.peer(r.PathValue("name"))
	if p == nil || !p.OpenID() {
		problem.Write(w, r, problem.New(http.StatusNotFound, "not_found", "There is nothing at this path."))
		return
	}
	f, ok := form(w, r)
	raw := f.Get("logout_token")
	if !ok || raw == "" {
		l.badLogout(w, r, p, errors.New("the request is no form with one logout_token"))
		return
	}
	link, err := p.ready(r.Context())
	if err != nil {
		problem.Write(w, r, unavailable(err))
		return
	}
	token, err := link.validator.Logout(r.Context(), raw)
	if errors.Is(err, jwks.ErrUnavailable) {
		problem.Write(w, r, unavailable(err))
		return
	}
	if err != nil {
		l.badLogout(w, r, p, err)
		return
	}
	// A lock that is not given back is what remembers the token. If the
	// sessions cannot be ended now, it is, and the provider may ask again.
	key, holder := session.KeyOf("logout token", token.Issuer, token.JTI), random()
	until := token.Expires.Add(logoutMemory)
	taken, err := l.cfg.Locks.Lock(r.Context(), key, holder, until)
	if err != nil {
		problem.Write(w, r, storeSilent(err))
		return
	}
	if !taken {
		l.badLogout(w, r, p, errors.New("the logout token was used before"))
		return
	}
	if err := l.cfg.Sessions.EndByProvider(r.Context(), token.Issuer, token.Subject, token.SessionID); err != nil {
		if unlock := l.cfg.Locks.Unlock(r.Context(), key, holder); unlock != nil {
			err = errors.Join(err, unlock)
		}
		problem.Write(w, r, storeSilent(err))
		return
	}
	l.note(r, "back-channel logout", "provider", p.Name, "subject", token.Subject, "provider_session", token.SessionID)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// badLogout answers 400 as section 2.8 has it. The cause is for our log alone.
func (l *Login) badLogout(w http.ResponseWriter, r *http.Request, p *peer, cause error) {
	l.note(r, "back-channel logout refused", "provider", p.Name, "cause", cause.Error())
	writeJSON(w, r, http.StatusBadRequest, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{"invalid_request", "The logout token is not valid."})
}
