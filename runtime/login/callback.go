package login

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// maxCode is the longest authorization code that is passed on, in bytes.
const maxCode = 4096

// callback is where the provider sends a person back to, with a code
// (OpenID Connect Core, section 3.1.2.5). The session's cookie is not sent
// here, since the navigation comes from another site: who comes without a login
// under way is sent on to finish, where it is.
func (l *Login) callback(w http.ResponseWriter, r *http.Request) {
	p := l.peer(r.PathValue("name"))
	if p == nil {
		problem.Write(w, r, problem.New(http.StatusNotFound, "not_found", "There is nothing at this path."))
		return
	}
	q, ok := query(r.URL.RawQuery)
	if !ok {
		l.refused(w, r, p, "/", errors.New("a parameter of the response is there twice or cannot be read"))
		return
	}
	for _, name := range l.attempts.foreign(r) {
		l.note(r, "login attempt cookie not ours", "cookie", name)
		clearCookie(w, name)
	}
	a, ok := l.attempts.find(r, q.Get("state"))
	if !ok || a.Provider != p.Name {
		l.note(r, "login response without its attempt", "provider", p.Name)
		l.hop(w, r, "")
		return
	}
	first, err := l.cfg.Marks.Mark(r.Context(), session.KeyOf("login", a.State), l.now().Add(attemptTime+aheadTime))
	if err != nil {
		// The attempt stays as it is: asked again, it goes on.
		l.silent(w, r, err, l.again(p.Name, a.ReturnTo))
		return
	}
	clearCookie(w, attemptCookie(a.slot))
	if !first {
		l.note(r, "login response replayed", "provider", p.Name)
		l.hop(w, r, "")
		return
	}
	link, err := p.ready(r.Context())
	if err != nil {
		l.unavailable(w, r, p, a, err)
		return
	}
	if err := link.checkIssuer(p, q); err != nil {
		l.refused(w, r, p, a.ReturnTo, err)
		return
	}
	if q.Has("error") {
		l.declined(w, r, p, a, q.Get("error"))
		return
	}
	code := q.Get("code")
	if code == "" || len(code) > maxCode {
		l.refused(w, r, p, a.ReturnTo, errors.New("the response has no code, or one too long"))
		return
	}
	found, err := p.identify(r.Context(), link, a, code)
	switch {
	case errors.Is(err, errUnavailable):
		l.unavailable(w, r, p, a, err)
	case err != nil:
		l.refused(w, r, p, a.ReturnTo, err)
	default:
		l.admit(w, r, p, a, found)
	}
}

// checkIssuer checks who answers before the code goes anywhere (RFC 9207,
// section 2.4): a code that another provider was made to send must not reach
// this one.
func (link *link) checkIssuer(p *peer, q url.Values) error {
	switch {
	case !q.Has("iss") && link.metadata.PromisesIssuer:
		return errors.New("the response does not say which issuer it is from, and the provider promises that")
	case q.Has("iss") && p.OpenID() && !p.isIssuer(q.Get("iss")):
		return errors.New("the response is from another issuer")
	case q.Has("iss") && !p.OpenID() && p.ResponseIssuer != "" && q.Get("iss") != p.ResponseIssuer:
		return errors.New("the response is from another issuer")
	}
	return nil
}

// isIssuer tells whether iss is the configured one; of a templated one, with
// one of the tenants that may sign in.
func (p *peer) isIssuer(iss string) bool {
	if iss == p.Issuer {
		return true
	}
	for _, tenant := range p.Tenants {
		if strings.Replace(p.Issuer, "{tenantid}", tenant, 1) == iss {
			return true
		}
	}
	return false
}

// An identity is who the provider says that has signed in.
type identity struct {
	user.SignIn
	session string // the provider's own name for the session
	login   session.Login
}

// admit lets the application have its say, makes the user's record and a
// session, and has the browser move on to finish with it.
func (l *Login) admit(w http.ResponseWriter, r *http.Request, p *peer, a attempt, found identity) {
	ctx := r.Context()
	in := found.SignIn
	if l.cfg.SignIn != nil {
		if err := l.cfg.SignIn(ctx, &in); err != nil {
			l.barred(w, r, p, in, err)
			return
		}
		// Who it is is not the application's to change.
		in.Issuer, in.Subject, in.Provider = found.Issuer, found.Subject, found.Provider
	}
	rec, err := l.cfg.Users.Ensure(ctx, in.Issuer, in.Subject, in.Profile)
	if err != nil {
		l.silent(w, r, err, l.again(p.Name, a.ReturnTo))
		return
	}
	if rec.Disabled {
		l.barred(w, r, p, in, errors.New("the user is disabled"))
		return
	}
	if scopes := flat(in.Scopes); !slices.Equal(scopes, rec.Scopes) {
		if err := l.cfg.Users.SetScopes(ctx, rec.ID, scopes); err != nil {
			l.silent(w, r, err, l.again(p.Name, a.ReturnTo))
			return
		}
		rec.Scopes = scopes
	}
	start := found.login
	start.User, start.Provider, start.Issuer, start.Subject, start.Scopes = rec, p.Name, in.Issuer, in.Subject, in.Scopes
	start.ProviderSession = found.session
	start.Agent = r.UserAgent()
	ticket, err := l.cfg.Sessions.Begin(ctx, start)
	if errors.Is(err, session.ErrTooLarge) {
		l.tooLarge(w, r, err)
		return
	}
	if err != nil {
		l.silent(w, r, err, l.again(p.Name, a.ReturnTo))
		return
	}
	if err := l.handOver(w, a, rec.ID, ticket); err != nil {
		l.tooLarge(w, r, err)
		return
	}
	audit.Log(ctx, l.cfg.Logger, "login", attrs("provider", p.Name, "user", rec.ID, "issuer", in.Issuer)...)
	l.hop(w, r, strconv.Itoa(a.slot))
}

// hop answers with a page of our own that moves on to finish. A redirect would
// not do: what follows it would still come from the provider's site, and the
// session's Strict cookie would not be sent (RFC 6265bis, section 5.2).
func (l *Login) hop(w http.ResponseWriter, r *http.Request, slot string) {
	q := url.Values{}
	if slot != "" {
		q.Set("attempt", slot)
	}
	l.page(w, r, http.StatusOK, page.Page{Title: "Signing in…", Refresh: l.path("finish", q)})
}

// declined answers where the provider sends an error instead of a code. What
// it says in words is not shown: anybody can write such a link.
func (l *Login) declined(w http.ResponseWriter, r *http.Request, p *peer, a attempt, code string) {
	l.failed(r, p, "the provider answers "+printable(code))
	switch code {
	case "access_denied":
		l.tell(w, r, http.StatusForbidden, "You are not signed in", "The login at "+p.Title+" was cancelled or not permitted.", l.again(p.Name, a.ReturnTo))
	case "temporarily_unavailable", "server_error":
		l.tell(w, r, http.StatusServiceUnavailable, "Signing in is not possible at the moment", p.Title+" has a problem of its own. Please try again in a little while.", l.again(p.Name, a.ReturnTo))
	default:
		l.tell(w, r, http.StatusForbidden, "You are not signed in", p.Title+" refused the login.", l.again(p.Name, a.ReturnTo))
	}
}

// refused answers where what comes from the provider does not hold.
func (l *Login) refused(w http.ResponseWriter, r *http.Request, p *peer, returnTo string, cause error) {
	l.failed(r, p, cause.Error())
	l.tell(w, r, http.StatusForbidden, "You are not signed in", "What "+p.Title+" answered could not be verified.", l.again(p.Name, returnTo))
}

// barred answers where the application keeps a person out.
func (l *Login) barred(w http.ResponseWriter, r *http.Request, p *peer, in user.SignIn, cause error) {
	l.failed(r, p, "kept out: "+cause.Error(), "issuer", in.Issuer)
	var said *problem.Error
	if errors.As(cause, &said) && said != nil && said.Status >= 400 && said.Status <= 599 {
		title := said.Title
		if title == "" {
			title = "You may not sign in"
		}
		l.tell(w, r, said.Status, title, said.Detail, l.again("", ""))
		return
	}
	l.tell(w, r, http.StatusForbidden, "You may not sign in", "Your account at "+p.Title+" has no access to this site.", l.again("", ""))
}

// unavailable answers where the provider does not.
func (l *Login) unavailable(w http.ResponseWriter, r *http.Request, p *peer, a attempt, cause error) {
	l.failed(r, p, cause.Error())
	l.tell(w, r, http.StatusServiceUnavailable, "Signing in is not possible at the moment", p.Title+" does not answer. Please try again in a little while.", l.again(p.Name, a.ReturnTo))
}

// tooLarge answers where a cookie has no room for a session. Which settings make
// it smaller is for the log: the person can do nothing.
func (l *Login) tooLarge(w http.ResponseWriter, r *http.Request, cause error) {
	l.logger().ErrorContext(r.Context(), "login not possible", "cause", cause.Error())
	l.tell(w, r, http.StatusInternalServerError, "Signing in is not possible", "This site is not set up for an account with as many permissions as yours. Its operator can read the reason in the server's log.")
}

// silent answers where our own store does not.
func (l *Login) silent(w http.ResponseWriter, r *http.Request, cause error, link page.Link) {
	l.logger().ErrorContext(r.Context(), "login not possible", "cause", cause.Error())
	l.tell(w, r, http.StatusServiceUnavailable, "Signing in is not possible at the moment", "Please try again in a little while.", link)
}

// failed notes a login that came to nothing.
func (l *Login) failed(r *http.Request, p *peer, cause string, more ...string) {
	l.note(r, "login failed", append([]string{"provider", p.Name, "cause", cause}, more...)...)
}
