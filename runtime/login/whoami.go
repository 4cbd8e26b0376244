package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/session"
)

// shownSession is a session as its own browser is told of it.
type shownSession struct {
	ID       string     `json:"id"`
	User     *shownUser `json:"user,omitzero"`
	Provider string     `json:"provider"`
	Scopes   []string   `json:"scopes"`
	AuthTime time.Time  `json:"auth_time,omitzero"`
	Created  time.Time  `json:"created"`
	Used     time.Time  `json:"used,omitzero"`
	Expires  time.Time  `json:"expires"`
	Agent    string     `json:"agent,omitzero"`
	Current  bool       `json:"current,omitzero"`
}

type shownUser struct {
	ID      string `json:"id"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Name    string `json:"name"`
	Email   string `json:"email"`
}

func show(s session.Session) shownSession {
	scopes := []string{}
	for _, of := range s.Scopes {
		for _, scope := range of {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	slices.Sort(scopes)
	if s.Used.Before(s.Created) {
		s.Used = s.Created // use is noted to the minute
	}
	return shownSession{
		ID: s.ID.String(), Provider: s.Provider, Scopes: scopes,
		AuthTime: s.AuthTime, Created: s.Created, Used: s.Used, Expires: s.Expires, Agent: s.Agent,
	}
}

// current returns the session of the browser, or answers 401 or 503.
func (l *Login) current(w http.ResponseWriter, r *http.Request) (session.Session, bool) {
	s, err := l.cfg.Sessions.Current(r)
	switch {
	case err == nil:
		return s, true
	case errors.Is(err, session.ErrNone):
		problem.Write(w, r, &problem.Error{
			Status: http.StatusUnauthorized, Code: "credential_missing", Title: "A credential is required.",
			Header: http.Header{"Www-Authenticate": {"Cookie"}},
		})
	default:
		problem.Write(w, r, storeSilent(err))
	}
	return session.Session{}, false
}

// showSession tells who one is.
func (l *Login) showSession(w http.ResponseWriter, r *http.Request) {
	s, ok := l.current(w, r)
	if !ok {
		return
	}
	out := show(s)
	out.User = &shownUser{ID: s.User.ID, Issuer: s.User.Issuer, Subject: s.User.Subject, Name: s.User.Name, Email: s.User.Email}
	writeJSON(w, r, http.StatusOK, out)
}

// listSessions lists all sessions of the person.
func (l *Login) listSessions(w http.ResponseWriter, r *http.Request) {
	s, ok := l.current(w, r)
	if !ok || !l.listable(w, r) {
		return
	}
	all, err := l.cfg.Sessions.List(r.Context(), s.User.ID)
	if err != nil {
		problem.Write(w, r, storeSilent(err))
		return
	}
	out := struct {
		Sessions []shownSession `json:"sessions"`
	}{[]shownSession{}}
	for _, each := range all {
		one := show(each)
		one.Current = each.ID == s.ID
		out.Sessions = append(out.Sessions, one)
	}
	writeJSON(w, r, http.StatusOK, out)
}

// endSession ends one session of the person.
func (l *Login) endSession(w http.ResponseWriter, r *http.Request) {
	if !l.proven(w, r) {
		return
	}
	s, ok := l.current(w, r)
	if !ok || !l.listable(w, r) {
		return
	}
	id, ok := session.ParseID(r.PathValue("name"))
	err := session.ErrNotFound
	// Who hangs up has it done all the same.
	by := audit.With(context.WithoutCancel(r.Context()), slog.String("by", s.ID.String()))
	if ok && id == s.ID {
		_, err = l.cfg.Sessions.End(w, r.WithContext(by))
	} else if ok {
		err = l.cfg.Sessions.EndOne(audit.With(by, slog.String("address", r.RemoteAddr)), s.User.ID, id)
	}
	switch {
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrNone):
		problem.Write(w, r, problem.New(http.StatusNotFound, "no_session", "There is no such session."))
	case err != nil:
		problem.Write(w, r, storeSilent(err))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// listable answers 501 where sessions are sealed into cookies and nobody has a
// list of them.
func (l *Login) listable(w http.ResponseWriter, r *http.Request) bool {
	if l.cfg.Sessions.Kind() == session.Server {
		return true
	}
	problem.Write(w, r, problem.New(http.StatusNotImplemented, "sessions_sealed", "This server keeps no list of sessions. A logout with everywhere=1 ends all of them."))
	return false
}
