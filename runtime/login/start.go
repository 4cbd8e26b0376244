package login

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/origin"
	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/problem"
)

// start sends a person to the provider, or shows the page to choose one.
func (l *Login) start(w http.ResponseWriter, r *http.Request) {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		problem.Write(w, r, problem.New(http.StatusBadRequest, "not_a_page", "A login is a page to go to, not one to fetch."))
		return
	}
	q, ok := query(r.URL.RawQuery)
	if !ok {
		l.tell(w, r, http.StatusBadRequest, "This link is broken", "A parameter is there twice or cannot be read.", l.again("", ""))
		return
	}
	returnTo, ok := l.returnTo(q.Get("return_to"))
	if !ok {
		l.tell(w, r, http.StatusBadRequest, "This link is broken", "It leads to a place that is not part of this site.", l.again("", ""))
		return
	}
	fresh := q.Get("fresh")
	if fresh != "" && fresh != "1" {
		l.tell(w, r, http.StatusBadRequest, "This link is broken", "It asks for a login of an unknown kind.", l.again("", ""))
		return
	}
	p := l.chosen(q.Get("provider"))
	if p == nil {
		l.choose(w, r, q, returnTo)
		return
	}
	if fresh == "1" && !p.OpenID() {
		l.tell(w, r, http.StatusBadRequest, "Not possible", p.Title+" cannot show that somebody has just signed in anew.", l.again("", returnTo))
		return
	}
	link, err := p.ready(r.Context())
	if err != nil {
		l.logger().WarnContext(r.Context(), "login not begun: provider is silent", "provider", p.Name, "cause", err.Error())
		l.tell(w, r, http.StatusServiceUnavailable, "Signing in is not possible at the moment", p.Title+" does not answer. Please try again in a little while.",
			page.Link{Label: "Try again", Path: l.again(p.Name, returnTo).Path})
		return
	}
	a := attempt{State: random(), Nonce: random(), Verifier: random(), Provider: p.Name, ReturnTo: returnTo, Fresh: fresh == "1", Began: l.now().UnixMicro()}
	for _, name := range l.attempts.foreign(r) {
		l.note(r, "login attempt cookie not ours", "cookie", name)
	}
	if err := l.attempts.begin(w, r, a); err != nil {
		problem.Write(w, r, err)
		return
	}
	http.Redirect(w, r, link.oauth.AuthCodeURL(a.State, p.params(a)...), http.StatusSeeOther)
}

// maxAge is a year in seconds.
const maxAge = "31536000"

// params are what an authorization request has beside what OAuth 2.0 asks for.
func (p *peer) params(a attempt) []oauth2.AuthCodeOption {
	var options []oauth2.AuthCodeOption
	for name, value := range p.Params {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	// Whatever the provider says of PKCE: one that does not know it passes
	// over the parameters.
	options = append(options, oauth2.S256ChallengeOption(a.Verifier))
	if p.OpenID() {
		options = append(options, oidc.Nonce(a.Nonce))
	}
	switch {
	case a.Fresh:
		options = append(options, oauth2.SetAuthURLParam("max_age", "0"))
	case p.OpenID() && p.Params["max_age"] == "":
		// A provider says when the person signed in only where it is asked
		// (OpenID Connect Core, section 2); nobody has to anew for this.
		options = append(options, oauth2.SetAuthURLParam("max_age", maxAge))
	}
	return options
}

// returnTo checks where a person is sent after the login: a path of our own,
// and none that would begin another login. Nothing is the front page.
func (l *Login) returnTo(raw string) (string, bool) {
	if raw == "" {
		return "/", true
	}
	to, ok := origin.ReturnTo(raw)
	if !ok || len(to) > maxReturnTo {
		return "", false
	}
	u, err := url.Parse(to)
	if err != nil {
		return "", false
	}
	for _, own := range []string{"login", "callback/", "finish", "logout"} {
		if strings.HasPrefix(u.Path, l.prefix+"/"+own) {
			return "/", true
		}
	}
	return to, true
}

// comesBack tells whether a person can be sent to raw after a login.
func (l *Login) comesBack(raw string) bool {
	_, ok := l.returnTo(raw)
	return ok
}

// chosen is the provider of that name, or the only one; nil where a person has
// to choose.
func (l *Login) chosen(name string) *peer {
	if name == "" && len(l.peers) == 1 {
		return l.peers[0]
	}
	return l.peer(name)
}

// choose shows the providers to choose from.
func (l *Login) choose(w http.ResponseWriter, r *http.Request, q url.Values, returnTo string) {
	if len(l.peers) == 0 {
		l.tell(w, r, http.StatusServiceUnavailable, "Signing in is not possible", "No identity provider is configured on this server.")
		return
	}
	status, text := http.StatusOK, ""
	if q.Get("provider") != "" {
		status, text = http.StatusNotFound, "This site does not know the provider that the link names."
	}
	p := page.Page{Title: "Sign in", Text: text}
	for _, peer := range l.peers {
		next := url.Values{"provider": {peer.Name}}
		if returnTo != "/" {
			next.Set("return_to", returnTo)
		}
		if q.Get("fresh") == "1" {
			if !peer.OpenID() {
				continue
			}
			next.Set("fresh", "1")
		}
		p.Links = append(p.Links, page.Link{Label: "Sign in with " + peer.Title, Path: l.path("login", next)})
	}
	l.page(w, r, status, p)
}
