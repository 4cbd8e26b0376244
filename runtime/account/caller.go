package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/origin"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/session"
)

// A caller is who asks: the person of a browser's session.
type caller struct {
	session.Session
	held   []string // the scopes of the session, by whatever scheme
	recent bool     // the login is recent enough to change keys
}

// plain is a context without what is attached to it.
type plain struct{ context.Context }

func (plain) Value(any) any { return nil }

// caller returns who asks. The error wraps session.ErrNone where there is no
// session; any other means that it could not be found out.
//
// It is who they are in the store now: what is remembered of a session would let
// somebody make keys who was disabled a moment ago, or with scopes that they
// hold no longer.
func (a *Account) caller(r *http.Request) (caller, error) {
	s, err := a.cfg.Sessions.Current(r) // which renews or clears the cookie
	if err != nil {
		return caller{}, err
	}
	a.cfg.Sessions.Forget(s.ID)
	if s, err = a.cfg.Sessions.Current(r.WithContext(plain{r.Context()})); err != nil {
		return caller{}, err
	}
	c := caller{Session: s, recent: a.isRecent(s)}
	for _, scopes := range s.Scopes {
		c.held = append(c.held, scopes...)
	}
	slices.Sort(c.held)
	c.held = slices.Compact(c.held)
	return c, nil
}

// clockSkew is how far the clock of a provider may be ahead of ours.
const clockSkew = time.Minute

// isRecent tells whether the person has shown not long ago who they are. Where
// the provider does not say when that was, the login counts.
func (a *Account) isRecent(s session.Session) bool {
	since := a.now().Sub(provedAt(s))
	return since >= -clockSkew && since <= a.cfg.Recent
}

// provedAt is when the person of s last showed who they are.
func provedAt(s session.Session) time.Time {
	if s.AuthTime.IsZero() {
		return s.Created
	}
	return s.AuthTime
}

// signIn is where one signs in, and comes back to the page.
func (a *Account) signIn(q url.Values) string {
	q.Set("return_to", a.cfg.Prefix+"/account")
	return a.cfg.Prefix + "/login?" + q.Encode()
}

// signInAgain is where c shows anew who they are. Of a provider that does not
// say when that was nothing can be asked but another login.
func (a *Account) signInAgain(c caller) string {
	q := url.Values{"provider": {c.Provider}}
	if !c.AuthTime.IsZero() {
		q.Set("fresh", "1")
	}
	return a.signIn(q)
}

// codeNotRecent is the code of a refusal for want of a recent login.
const codeNotRecent = "login_not_recent"

// admit returns who asks for their keys, or answers why they may not: 401, 503,
// and 403 where the request does not come from a page of ours or the login is
// not recent.
func (a *Account) admit(w http.ResponseWriter, r *http.Request) (caller, bool) {
	c, err := a.caller(r)
	switch {
	case errors.Is(err, session.ErrNone):
		problem.Write(w, r, &problem.Error{
			Status: http.StatusUnauthorized, Code: "credential_missing", Title: "A credential is required.",
			Header: http.Header{"Www-Authenticate": {"Cookie"}},
			Attrs:  []slog.Attr{slog.Bool("audit", true), slog.String("address", r.RemoteAddr)},
		})
		return caller{}, false
	case err != nil:
		problem.Write(w, r, silent(err))
		return caller{}, false
	case r.Method != http.MethodGet && r.Method != http.MethodHead && !a.proven(r, c):
		problem.Write(w, r, problem.New(http.StatusForbidden, "origin_missing", "The request does not show that it comes from this site."))
		return caller{}, false
	case !c.recent:
		to := a.signInAgain(c)
		problem.Write(w, r, &problem.Error{
			Status: http.StatusForbidden, Code: codeNotRecent, Title: "This needs a recent login.",
			Detail: "Sign in again at " + to + " and repeat the request.",
			Header: http.Header{"Link": {"<" + to + `>; rel="related"; title="Sign in again"`}},
			Attrs: []slog.Attr{
				slog.Bool("audit", true), slog.String("address", r.RemoteAddr), slog.String("session", c.ID.String()), slog.String("user", c.User.ID),
			},
		})
		return caller{}, false
	}
	return c, true
}

// proven tells whether r comes from a page of ours, and notes where it does not.
func (a *Account) proven(r *http.Request, c caller) bool {
	if origin.Proven(r, a.cfg.PublicURL) {
		return true
	}
	audit.Log(of(r, c), a.cfg.Logger, "request of another site refused", slog.String("user", c.User.ID), slog.String("path", r.URL.Path))
	return false
}

// of returns the context of what c does with r: its lines in the audit log say
// from where and in which session. Who hangs up has it done all the same.
func of(r *http.Request, c caller) context.Context {
	return audit.With(context.WithoutCancel(r.Context()), slog.String("address", r.RemoteAddr), slog.String("session", c.ID.String()))
}

// ofUser is of for events that do not name the user themselves.
func ofUser(r *http.Request, c caller) context.Context {
	return audit.With(of(r, c), slog.String("user", c.User.ID))
}

// silent is the answer where a store does not answer.
func silent(cause error) *problem.Error {
	return &problem.Error{
		Status: http.StatusServiceUnavailable, Code: "store_unavailable", Title: "The server cannot look this up at the moment.",
		Header: http.Header{"Retry-After": {"5"}}, Cause: fmt.Errorf("account: %w", cause),
	}
}
