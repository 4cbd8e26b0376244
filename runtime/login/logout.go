package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/session"
)

// logout ends the session of the browser, or with everywhere=1 all sessions of
// the person, and then sends the browser to the provider to end the one there
// (OpenID Connect RP-Initiated Logout 1.0). A script that asks for JSON is told
// where to go.
func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	if !l.proven(w, r) {
		return
	}
	everywhere := false
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		f, ok := form(w, r)
		if e := f.Get("everywhere"); !ok || e != "" && e != "1" {
			problem.Write(w, r, problem.New(http.StatusBadRequest, "form_invalid", "The form cannot be read."))
			return
		}
		everywhere = f.Get("everywhere") == "1"
	}
	// A person who closes the tab wants to be signed out all the same.
	ending := r.WithContext(context.WithoutCancel(r.Context()))
	current, err := l.cfg.Sessions.Current(ending)
	if err != nil && !errors.Is(err, session.ErrNone) {
		problem.Write(w, r, storeSilent(err))
		return
	}
	found := err == nil
	hint := ""
	if found {
		hint = l.idToken(ending, current) // before the session goes
		if everywhere {
			if err := l.cfg.Sessions.EndAll(ending.Context(), current.User.ID); err != nil {
				problem.Write(w, r, storeSilent(err))
				return
			}
		}
	}
	// Also where there is none that counts: of two cookies of the name, which
	// somebody may have planted one of, none does, and both may let in alone.
	if _, err = l.cfg.Sessions.End(w, ending); err != nil && !errors.Is(err, session.ErrNone) {
		problem.Write(w, r, storeSilent(err))
		return
	}
	to := l.path("logout", nil)
	if found {
		l.note(r, "logout", "user", current.User.ID, "session", current.ID.String(), "everywhere", map[bool]string{true: "true"}[everywhere])
		// Only now: the provider may be slow to say where that is.
		if away := l.endSessionURL(r, current, hint); away != "" {
			to = away
		}
	}
	switch {
	case strings.Contains(r.Header.Get("Accept"), "application/json"):
		writeJSON(w, r, http.StatusOK, struct {
			Location string `json:"location"`
		}{to})
	case strings.HasPrefix(to, "https://"):
		// A redirect of a form may only lead where the page's policy lets
		// forms go; that of the application is not ours to know.
		l.page(w, r, http.StatusOK, page.Page{Title: "Signing out…", Away: to})
	default:
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// idToken is the ID token of a session, which names it at the provider; "" where
// none is kept.
func (l *Login) idToken(r *http.Request, s session.Session) string {
	if l.cfg.Sessions.Kind() != session.Server {
		return ""
	}
	kept, _, err := l.loadTokens(r.Context(), s.ID)
	if err != nil {
		return ""
	}
	return kept.ID
}

// endSessionURL is where the provider's own session ends, "" where it offers
// nothing of that kind or does not answer now.
func (l *Login) endSessionURL(r *http.Request, s session.Session, hint string) string {
	p := l.peer(s.Provider)
	if p == nil || !p.OpenID() {
		return ""
	}
	link, err := p.ready(r.Context())
	if err != nil || link.metadata.EndSessionEndpoint == "" {
		return ""
	}
	u, err := url.Parse(link.metadata.EndSessionEndpoint)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.ClientID)
	q.Set("post_logout_redirect_uri", l.cfg.PublicURL+l.path("logout", nil))
	q.Set("state", random())
	if hint != "" {
		q.Set("id_token_hint", hint)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// signedOut is where the provider sends people after its logout. It changes
// nothing, whatever the parameters: anybody can write a link to it.
func (l *Login) signedOut(w http.ResponseWriter, r *http.Request) {
	_, err := l.cfg.Sessions.Current(r)
	switch {
	case err == nil:
		l.page(w, r, http.StatusOK, page.Page{
			Title: "Sign out?", Text: "You are signed in.",
			Buttons: []page.Button{
				{Label: "Sign out", Action: l.path("logout", nil)},
				{Label: "Sign out everywhere", Action: l.path("logout", nil), Fields: []page.Field{{Name: "everywhere", Value: "1"}}},
			},
			Links: []page.Link{{Label: "Stay signed in", Path: "/", Quiet: true}},
		})
	case !errors.Is(err, session.ErrNone):
		l.silent(w, r, err, page.Link{Label: "Try again", Path: l.path("logout", nil)})
	case r.Header.Get("Sec-Fetch-Site") == "cross-site":
		// The session's Strict cookie is not sent with a link of another
		// site. Asked for by a page of our own it is, if there is one: nobody
		// may be told that they are signed out who are not.
		q, _ := query(r.URL.RawQuery)
		l.page(w, r, http.StatusOK, page.Page{Title: "One moment…", Refresh: l.path("logout", q)})
	default:
		l.page(w, r, http.StatusOK, page.Page{
			Title: "You are signed out",
			Links: []page.Link{{Label: "Front page", Path: "/"}, l.again("", "")},
		})
	}
}
