// Package login signs people in at identity providers: by OpenID Connect, and
// by plain OAuth 2.0 where a provider has nothing else. It is a confidential
// client of the authorization code flow with PKCE (RFC 9700, section 2.1.1);
// what a person holds afterwards is a session of package session. Tokens of
// the provider never reach the browser, but for the ID token that names the
// session at the provider's logout (RFC 10017, section 6.1).
//
// The pages and endpoints lie under one prefix, /auth:
//
//	GET    /auth/login               to the provider, or a page to choose one
//	GET    /auth/callback/NAME       back from it
//	GET    /auth/finish              from our own page, so that the session is Strict
//	POST   /auth/logout              ends the session here, then at the provider
//	GET    /auth/logout              where the provider sends people afterwards
//	POST   /auth/backchannel-logout/NAME
//	GET    /auth/session             who one is
//	GET    /auth/sessions            all sessions of the person
//	DELETE /auth/sessions/{id}
package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/gatewright/gatewright/runtime/discovery"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// A Config is what people sign in with, and at whom.
type Config struct {
	// PublicURL is the origin under which browsers reach the server. The
	// redirect URI of a provider is PublicURL + Prefix + /callback/ + its name.
	PublicURL string
	Prefix    string // of the paths. Default /auth
	Providers []provider.Config
	// Bindings say who answers for a scheme, by its name, where that is not
	// obvious, and which claim says what a person may do.
	Bindings map[string]provider.Binding
	Schemes  []Scheme
	Sessions *session.Sessions
	Users    user.Store
	Marks    session.Marks
	Locks    session.Locks
	Ring     *secret.Ring
	SignIn   user.Hook        // the application's say in each login; may be nil
	Look     page.Look        // of the pages; its zero value is fine
	Logger   *slog.Logger     // nil: slog.Default() at the time of use
	Now      func() time.Time // nil: time.Now
}

// A Scheme is one of the document's security schemes that a login meets.
type Scheme struct {
	Name   string
	Places []gate.Place
	// OpenIDURL is set for openIdConnect, the endpoints for oauth2 with an
	// authorization code, as the document has them. A cookie has none.
	OpenIDURL        string
	AuthorizationURL string
	TokenURL         string
	RefreshURL       string
	// Scopes are the document's own for the scheme: asked for at login
	// unless a claim says what a person holds.
	Scopes []string
}

// A Login signs people in. Its methods may be called concurrently.
type Login struct {
	cfg      Config
	prefix   string
	peers    []*peer // in the order of Config.Providers
	served   map[string][]string
	unserved map[string]string   // scheme -> why no provider answers for it
	exact    map[string]endpoint // by the path below the prefix
	below    map[string]endpoint // by the first of its two segments
	attempts attempts
	handoffs *secret.Sealer
	refresh  singleflight.Group
}

// New returns the logins that cfg describes. It asks no provider anything:
// [Login.Open] does. Its error names everything that is wrong with cfg. A
// scheme for which no provider answers is no error: its authenticator refuses,
// which a server that starts finds by gate.Unverified.
func New(cfg Config) (*Login, error) {
	cfg.Prefix = cmp.Or(cfg.Prefix, "/auth")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Login{cfg: cfg, prefix: cfg.Prefix, served: make(map[string][]string), unserved: make(map[string]string)}
	errs := []error{checkURL(cfg.PublicURL)}
	for what, missing := range map[string]bool{
		"sessions": cfg.Sessions == nil, "user store": cfg.Users == nil, "marks": cfg.Marks == nil, "locks": cfg.Locks == nil, "key ring": cfg.Ring == nil,
	} {
		if missing {
			errs = append(errs, fmt.Errorf("login: %s missing", what))
		}
	}
	for _, p := range cfg.Providers {
		if complete, err := p.Complete(); err == nil && !complete.SignsIn() {
			continue // it is for access tokens alone
		}
		peer, err := l.newPeer(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if l.peer(p.Name) != nil {
			errs = append(errs, fmt.Errorf("login: provider %s is there twice", p.Name))
			continue
		}
		l.peers = append(l.peers, peer)
	}
	errs = append(errs, l.bind()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	l.route()
	l.attempts.sealer = cfg.Ring.Sealer("login attempt")
	l.attempts.now = cfg.Now
	l.handoffs = cfg.Ring.Sealer("login handoff")
	return l, nil
}

func checkURL(public string) error {
	u, err := url.Parse(public)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("login: the public URL is not like https://blog.example")
	}
	return nil
}

// openTime bounds the first look at all providers.
const openTime = 6 * time.Second

// Open looks up every provider once, side by side, for a few seconds at most.
// One that does not answer is logged, and looked up again when it is needed. It
// is an error where one answers with metadata that do not match: another
// issuer, an endpoint that is not https.
func (l *Login) Open(ctx context.Context) error {
	l.warnOfScopes(ctx)
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	errs := make([]error, len(l.peers))
	var wait sync.WaitGroup
	for i, p := range l.peers {
		wait.Go(func() {
			_, err := p.ready(ctx)
			if errors.Is(err, discovery.ErrMismatch) {
				errs[i] = err
			} else if err != nil {
				l.logger().WarnContext(ctx, "provider does not answer; it is asked again when somebody signs in", "provider", p.Name, "cause", err.Error())
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// warnOfScopes logs scopes that scopes_map grants and the document does not know:
// the application may, or they are misspelt.
func (l *Login) warnOfScopes(ctx context.Context) {
	for _, s := range l.cfg.Schemes {
		for value, scopes := range l.cfg.Bindings[s.Name].ScopesMap {
			for _, scope := range scopes {
				if !slices.Contains(s.Scopes, scope) {
					l.logger().WarnContext(ctx, "scopes_map grants a scope that the document does not know", "scheme", s.Name, "value", value, "scope", scope, "known", strings.Join(s.Scopes, " "))
				}
			}
		}
	}
}

// Check tells which providers do not answer, for a readiness probe. It asks
// those again that did not answer before.
func (l *Login) Check(ctx context.Context) error {
	errs := make([]error, len(l.peers))
	var wait sync.WaitGroup
	for i, p := range l.peers {
		wait.Go(func() { _, errs[i] = p.ready(ctx) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Reload takes the secrets of providers as they are now, from the next question
// to each on.
func (l *Login) Reload(providers []provider.Config) {
	for _, cfg := range providers {
		if p := l.peer(cfg.Name); p != nil {
			p.secret.Store(&cfg.ClientSecret)
		}
	}
}

// peer returns the provider of that name, or nil.
func (l *Login) peer(name string) *peer {
	i := slices.IndexFunc(l.peers, func(p *peer) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return l.peers[i]
}

func (l *Login) logger() *slog.Logger {
	if l.cfg.Logger != nil {
		return l.cfg.Logger
	}
	return slog.Default()
}

func (l *Login) now() time.Time { return l.cfg.Now() }

// path is a path below the prefix, with a query perhaps.
func (l *Login) path(name string, query url.Values) string {
	if len(query) == 0 {
		return l.prefix + "/" + name
	}
	return l.prefix + "/" + name + "?" + query.Encode()
}

// callbackURL is the redirect URI registered at the provider.
func (l *Login) callbackURL(name string) string {
	return l.cfg.PublicURL + l.prefix + "/callback/" + name
}

// bind finds out which providers answer for each scheme.
func (l *Login) bind() []error {
	var errs []error
	for _, s := range l.cfg.Schemes {
		names, err := l.bound(s)
		if err != nil {
			l.unserved[s.Name] = err.Error()
			continue
		}
		l.served[s.Name] = names
		for _, name := range names {
			errs = append(errs, l.peer(name).complete(s))
		}
	}
	for _, p := range l.peers {
		errs = append(errs, p.checkEndpoints())
		if l.cfg.Sessions != nil && l.cfg.Sessions.Kind() == session.Sealed && slices.Contains(p.Scopes, "offline_access") {
			errs = append(errs, fmt.Errorf("login: provider %s: offline_access asks for a refresh token, and sealed sessions keep no tokens: take it out, or set sessions: {kind: server}", p.Name))
		}
	}
	return errs
}

// wanted is what a provider needs beside its client to answer for s.
func (s Scheme) wanted() string {
	switch {
	case s.OpenIDURL != "":
		return "issuer: " + strings.TrimSuffix(s.OpenIDURL, "/.well-known/openid-configuration")
	case s.AuthorizationURL != "":
		return "user_url: https://… (where the user is found; or an issuer and a binding)"
	}
	return "issuer: https://…"
}

// bound returns the names of the providers that answer for s. A cookie is
// answered by all of them.
func (l *Login) bound(s Scheme) ([]string, error) {
	hint := fmt.Sprintf("schemes: {%q: {provider: NAME}} in the server's configuration", s.Name)
	if names := l.cfg.Bindings[s.Name].Providers; len(names) > 0 {
		return l.named(names)
	}
	var all []string
	for _, p := range l.peers {
		all = append(all, p.Name)
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("no identity provider is configured: set providers: {main: {%s, client_id: …, client_secret_file: …}} in the server's configuration", s.wanted())
	case s.OpenIDURL == "" && s.AuthorizationURL == "":
		return all, nil
	case s.OpenIDURL == "":
		var meant []string
		for _, p := range l.peers {
			if p.answersFor(s) {
				meant = append(meant, p.Name)
			}
		}
		if len(meant) != 1 {
			return nil, fmt.Errorf("the document sends people to %s, and it is not plain which of the providers that is: set %s", s.AuthorizationURL, hint)
		}
		return meant, nil
	}
	issuer := strings.TrimSuffix(s.OpenIDURL, "/.well-known/openid-configuration")
	var same []string
	for _, p := range l.peers {
		if strings.TrimSuffix(p.Issuer, "/") == strings.TrimSuffix(issuer, "/") {
			same = append(same, p.Name)
		}
	}
	if len(same) == 0 {
		return nil, fmt.Errorf("the document names the issuer %s, and no provider has it: set its issuer, or say who answers instead with %s", issuer, hint)
	}
	return same, nil
}

// named checks the names of providers that a binding has, and returns those at
// which people sign in.
func (l *Login) named(names []string) ([]string, error) {
	var meant []string
	for _, name := range names {
		switch {
		case l.peer(name) != nil:
			meant = append(meant, name)
		case !slices.ContainsFunc(l.cfg.Providers, func(p provider.Config) bool { return p.Name == name }):
			return nil, fmt.Errorf("there is no provider %q", name)
		}
	}
	if len(meant) == 0 {
		return nil, fmt.Errorf("nobody can sign in at the provider %s: set its client_id and client_secret_file, and no_sign_in to false", strings.Join(names, ", "))
	}
	return meant, nil
}

// Scheme returns the authenticator of the document's scheme with that name:
// a session from a login at a provider that answers for it. Where none does, it
// is gate.Refuse.
func (l *Login) Scheme(name string) gate.Authenticator {
	i := slices.IndexFunc(l.cfg.Schemes, func(s Scheme) bool { return s.Name == name })
	if i < 0 {
		return gate.Refuse("it is no scheme that a login meets")
	}
	if why, ok := l.unserved[name]; ok {
		return gate.Refuse(why)
	}
	return l.cfg.Sessions.Scheme(name, l.served[name], l.cfg.Schemes[i].Places...)
}

// schemesOf are the schemes that a session of the provider meets.
func (l *Login) schemesOf(name string) []Scheme {
	var schemes []Scheme
	for _, s := range l.cfg.Schemes {
		if slices.Contains(l.served[s.Name], name) {
			schemes = append(schemes, s)
		}
	}
	return schemes
}

// A loginKey is the key of the Login in the context of its requests.
type loginKey struct{}

// Handler answers at the paths of the login, and has api answer at all others, with
// the session of the request at hand. A top-level navigation of a browser that
// api answers with 401 for want of a session is sent to the login; nothing else
// ever is. Other requests of browsers are not asked for Basic where a session
// would do.
func (l *Login) Handler(api http.Handler) http.Handler {
	next := l.cfg.Sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e, name := l.endpoint(r.URL.EscapedPath()); e != nil {
			r.SetPathValue("name", name)
			e.answer(w, r)
			return
		}
		if fromBrowser(r) {
			rw := &redirector{ResponseWriter: w}
			if navigates(r) {
				q := url.Values{}
				// What is too long to come back to is no reason not to sign in.
				if to := r.URL.RequestURI(); l.comesBack(to) {
					q.Set("return_to", to)
				}
				rw.to, rw.helps = l.path("login", q), func() bool { return l.helps(r) }
			}
			w = rw
		}
		api.ServeHTTP(w, r)
	}))
	return handler{l, api, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), loginKey{}, l)))
	})}
}

// helps tells whether a login can help who was refused. With a session, and one
// provider to get another at, it cannot: something else is missing, and a
// provider that signs people in without a word would send them round for ever.
func (l *Login) helps(r *http.Request) bool {
	_, err := l.cfg.Sessions.Current(r)
	return err != nil || len(l.peers) > 1
}

// A handler is what Handler returns.
type handler struct {
	login *Login
	api   http.Handler
	http.Handler
}

// Answers tells whether the API or the login answers at path.
func (h handler) Answers(path string) bool {
	if e, _ := h.login.endpoint(path); e != nil {
		return true
	}
	a, ok := h.api.(interface{ Answers(path string) bool })
	return ok && a.Answers(path)
}

// Patterns lists the routes of the API, where it does.
func (h handler) Patterns() []string {
	if p, ok := h.api.(interface{ Patterns() []string }); ok {
		return p.Patterns()
	}
	return nil
}
