package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// show shows the page.
func (a *Account) show(w http.ResponseWriter, r *http.Request, _ string) {
	c, ok := a.enter(w, r)
	if !ok {
		return
	}
	a.render(w, r, http.StatusOK, c, outcome{done: doneOf(r.URL.RawQuery)})
}

// enter returns whose page it is, or sends them to sign in.
func (a *Account) enter(w http.ResponseWriter, r *http.Request) (caller, bool) {
	c, err := a.caller(r)
	switch {
	case err == nil:
		return c, true
	case !errors.Is(err, session.ErrNone):
		a.unavailable(w, r, err)
	case r.Method != http.MethodPost && r.Header.Get("Sec-Fetch-Site") == "cross-site":
		// The session's Strict cookie is not sent with a link of another
		// site. Asked for by a page of our own it is, if there is one.
		page.Write(w, r, http.StatusOK, page.Page{Title: "One moment…", Refresh: a.cfg.Prefix + "/account", Look: a.cfg.Look})
	default:
		problem.CloseIfBody(w, r)
		http.Redirect(w, r, a.signIn(url.Values{}), http.StatusSeeOther)
	}
	return caller{}, false
}

// The forms of the page, by what they have in the field action.
const (
	actCreate  = "create"
	actRotate  = "rotate"
	actRelabel = "relabel"
	actRevoke  = "revoke"
	actEnd     = "end" // a session
)

// fields are those that each form has.
var fields = map[string][]string{
	actCreate:  {"once", "label", "scope", "environment", "expires"},
	actRotate:  {"once", "key", "overlap"},
	actRelabel: {"key", "label"},
	actRevoke:  {"key"},
	actEnd:     {"session"},
}

// submit does what a form of the page asks for.
func (a *Account) submit(w http.ResponseWriter, r *http.Request, _ string) {
	c, ok := a.enter(w, r)
	if !ok {
		return
	}
	if !a.proven(r, c) {
		a.tell(w, r, http.StatusForbidden, "This did not come from your account page", "Nothing was changed. Please use the forms of the page itself.")
		return
	}
	f, err := form(w, r)
	if err != nil {
		a.tell(w, r, err.Status, "This form cannot be read", "Nothing was changed.")
		return
	}
	action := f.Get("action")
	if action == actEnd {
		a.end(w, r, c, f.Get("session"))
		return
	}
	if a.cfg.Keys == nil {
		a.tell(w, r, http.StatusBadRequest, "This form cannot be read", "This site has no API keys.")
		return
	}
	if !c.recent {
		audit.Log(ofUser(r, c), a.cfg.Logger, "request refused", slog.String("path", r.URL.Path), slog.String("code", codeNotRecent))
		a.render(w, r, http.StatusForbidden, c, outcome{fault: "Nothing was changed: for that you have to sign in again first."})
		return
	}
	switch action {
	case actCreate:
		a.submitCreate(w, r, c, f)
	case actRotate:
		a.submitRotate(w, r, c, f)
	case actRelabel:
		if _, err := a.relabel(r, c, f.Get("key"), strings.TrimSpace(f.Get("label"))); err != nil {
			a.failed(w, r, c, outcome{at: f.Get("key"), label: f.Get("label")}, err)
			return
		}
		a.back(w, r, doneRelabelled)
	case actRevoke:
		if err := a.revoke(r, c, f.Get("key")); err != nil {
			a.failed(w, r, c, outcome{}, err)
			return
		}
		a.back(w, r, doneRevoked)
	}
}

// submitCreate makes a key and shows it.
func (a *Account) submitCreate(w http.ResponseWriter, r *http.Request, c caller, f url.Values) {
	if !a.once(w, r, c, f.Get("once")) {
		return
	}
	filled := outcome{label: f.Get("label"), scopes: f["scope"], environment: f.Get("environment"), expires: f.Get("expires"), creating: true}
	expires, err := expiry("", f.Get("expires"), a.now())
	if err != nil {
		a.failed(w, r, c, filled, refusal(fmt.Errorf("%w: %w", apikey.ErrRequest, err)))
		return
	}
	// Blanks at an end are nobody's intention.
	m, err := a.create(r, c, wish{label: strings.TrimSpace(filled.label), scopes: filled.scopes, environment: apikey.Environment(filled.environment), expires: expires})
	if err != nil {
		a.failed(w, r, c, filled, err)
		return
	}
	a.renderMade(w, r, m)
}

// submitRotate makes a key that takes the place of another, and shows it.
func (a *Account) submitRotate(w http.ResponseWriter, r *http.Request, c caller, f url.Values) {
	if !a.once(w, r, c, f.Get("once")) {
		return
	}
	overlap, ok := parseSpan(f.Get("overlap"))
	if !ok {
		a.failed(w, r, c, outcome{}, refusal(fmt.Errorf("%w: the overlap is no time", apikey.ErrRequest)))
		return
	}
	m, err := a.rotate(r, c, f.Get("key"), overlap)
	if err != nil {
		a.failed(w, r, c, outcome{}, err)
		return
	}
	a.renderMade(w, r, m)
}

// onceLength is the length of what is random in a form that makes a key.
const onceLength = 22

func newOnce() string { return secret.ID(onceLength) }

// once tells whether the form that once stands in is sent for the first time,
// and answers where it is not: a page that shows a new key would make another
// when it is loaded again.
func (a *Account) once(w http.ResponseWriter, r *http.Request, c caller, once string) bool {
	if len(once) != onceLength || !secret.IsBase62(once) {
		a.tell(w, r, http.StatusBadRequest, "This form cannot be read", "Nothing was changed.")
		return false
	}
	first, err := a.cfg.Marks.Mark(r.Context(), session.KeyOf("account form", c.ID.String(), once), c.Expires)
	if err != nil {
		a.unavailable(w, r, err)
		return false
	}
	if !first {
		a.render(w, r, http.StatusConflict, c, outcome{fault: "This form was sent before. The key was made then and shown only once; it cannot be shown again. If you have no copy of it, revoke it and make another."})
	}
	return first
}

// end ends one of c's sessions.
func (a *Account) end(w http.ResponseWriter, r *http.Request, c caller, text string) {
	id, ok := session.ParseID(text)
	if !ok {
		a.tell(w, r, http.StatusBadRequest, "This form cannot be read", "Nothing was changed.")
		return
	}
	if a.cfg.Sessions.Kind() == session.Sealed {
		a.tell(w, r, http.StatusNotImplemented, "Not possible here", "This site keeps no list of sessions. You can sign out everywhere.")
		return
	}
	var err error
	by := audit.With(context.WithoutCancel(r.Context()), slog.String("by", c.ID.String()))
	if id == c.ID {
		_, err = a.cfg.Sessions.End(w, r.WithContext(by))
	} else {
		err = a.cfg.Sessions.EndOne(audit.With(by, slog.String("address", r.RemoteAddr)), c.User.ID, id)
	}
	// One that is gone already is what was asked for.
	if err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrNone) {
		a.unavailable(w, r, err)
		return
	}
	if id == c.ID {
		http.Redirect(w, r, a.cfg.Prefix+"/logout", http.StatusSeeOther)
		return
	}
	a.back(w, r, doneEnded)
}

// What was done, as the page's address says it. The page has a text for each:
// an address can be written by anybody.
const (
	doneRelabelled = "renamed"
	doneRevoked    = "revoked"
	doneEnded      = "session-ended"
)

var doneTexts = map[string]string{
	doneRelabelled: "The key has its new name.",
	doneRevoked:    "The key is revoked. Whatever still uses it is refused.",
	doneEnded:      "The session has ended.",
}

// doneOf is the text of what a query says was done, "" for anything else.
func doneOf(rawQuery string) string {
	code, ok := strings.CutPrefix(rawQuery, "done=")
	if !ok {
		return ""
	}
	return doneTexts[code]
}

// back leads back to the page, which says what was done.
func (a *Account) back(w http.ResponseWriter, r *http.Request, done string) {
	http.Redirect(w, r, a.cfg.Prefix+"/account?done="+done, http.StatusSeeOther)
}

// failed shows the page with what was filled in, and what is wrong with it.
func (a *Account) failed(w http.ResponseWriter, r *http.Request, c caller, o outcome, err error) {
	var said *problem.Error
	if !errors.As(err, &said) || said.Status >= http.StatusInternalServerError {
		a.unavailable(w, r, err)
		return
	}
	switch said.Code {
	case "key_invalid":
		o.fault = "Nothing was changed: " + said.Detail + "."
	case "insufficient_scope":
		o.fault = "Nothing was changed. " + said.Title + " Sign in again to have all of your permissions."
	default:
		o.fault = "Nothing was changed. " + said.Title
	}
	a.render(w, r, said.Status, c, o)
}

// tell answers with a page that says what is wrong.
func (a *Account) tell(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	problem.CloseIfBody(w, r)
	page.Write(w, r, status, page.Page{Title: title, Text: text, Links: []page.Link{{Label: "Your account", Path: a.cfg.Prefix + "/account"}}, Look: a.cfg.Look})
}

// unavailable answers where a store does not.
func (a *Account) unavailable(w http.ResponseWriter, r *http.Request, cause error) {
	a.logger().ErrorContext(r.Context(), "account page not possible", "cause", cause.Error())
	w.Header().Set("Retry-After", "5")
	problem.CloseIfBody(w, r)
	page.Write(w, r, http.StatusServiceUnavailable, page.Page{
		Title: "This is not possible at the moment", Text: "Please try again in a little while.",
		Links: []page.Link{{Label: "Try again", Path: a.cfg.Prefix + "/account"}}, Look: a.cfg.Look,
	})
}

// form reads the body of a request as a form of the page: with the fields that
// its action has, each once; only scope may be there several times.
func form(w http.ResponseWriter, r *http.Request) (url.Values, *problem.Error) {
	unreadable := problem.New(http.StatusBadRequest, "form_invalid", "The form cannot be read.")
	types := r.Header.Values("Content-Type")
	if len(types) != 1 {
		return nil, unreadable
	}
	if t, _, err := mime.ParseMediaType(types[0]); err != nil || t != "application/x-www-form-urlencoded" {
		return nil, problem.New(http.StatusUnsupportedMediaType, "unsupported_media_type", "This is no form.")
	}
	body, err := readAll(w, r)
	if err != nil {
		if said, ok := errors.AsType[*problem.Error](err); ok {
			return nil, said
		}
		return nil, unreadable
	}
	f, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, unreadable
	}
	allowed, ok := fields[f.Get("action")]
	if !ok {
		return nil, unreadable
	}
	for name, values := range f {
		if name != "action" && !slices.Contains(allowed, name) || name != "scope" && len(values) != 1 {
			return nil, unreadable
		}
	}
	return f, nil
}
