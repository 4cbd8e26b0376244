package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/discovery"
	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/idtoken"
	"github.com/gatewright/gatewright/runtime/jwks"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

// callTime bounds each call to a provider, its answer included.
const callTime = 10 * time.Second

// A peer is one configured provider.
type peer struct {
	provider.Config
	login  *Login
	client *http.Client
	// refreshURL is of plain OAuth 2.0, where the document names one.
	refreshURL string
	taken      map[string]string // setting -> the scheme of the document that it came from
	look       *discovery.Looker[link]
	secret     atomic.Pointer[secret.Value] // of the client, as it is now
}

// oauth is what codes and refresh tokens are exchanged with.
func (p *peer) oauth(l *link) *oauth2.Config {
	at := l.oauth
	at.ClientSecret = p.secret.Load().Reveal()
	return &at
}

// A link is all that is needed to send people to a provider and to believe
// what it says of them.
type link struct {
	oauth      oauth2.Config
	refreshURL string             // where the document sends a refresh, if not to the token endpoint
	validator  *idtoken.Validator // nil for plain OAuth 2.0
	metadata   discovery.Metadata
	keys       *jwks.Set // nil for plain OAuth 2.0
}

func (l *Login) newPeer(cfg provider.Config) (*peer, error) {
	cfg, err := cfg.Complete()
	if err != nil {
		return nil, fmt.Errorf("login: provider %s: %w", cfg.Name, err)
	}
	client, err := fetch.New(fetch.Config{CA: cfg.CA, Timeout: callTime})
	if err != nil {
		return nil, fmt.Errorf("login: provider %s: %w", cfg.Name, err)
	}
	client.Transport = strict{client.Transport}
	p := &peer{Config: cfg, login: l, client: client, taken: make(map[string]string)}
	p.secret.Store(&cfg.ClientSecret)
	p.look = discovery.NewLooker(l.now, p.lookUp)
	return p, nil
}

// answersFor tells whether it is plain that the provider is the one that a
// document means by the endpoints of s: they are at the issuer's host, or those
// configured, or none are configured.
func (p *peer) answersFor(s Scheme) bool {
	if p.OpenID() {
		endpoint, err := url.Parse(s.AuthorizationURL)
		issuer, ierr := url.Parse(p.Issuer)
		return err == nil && ierr == nil && endpoint.Host != "" && endpoint.Host == issuer.Host
	}
	return p.AuthorizationURL == "" || p.AuthorizationURL == s.AuthorizationURL
}

// complete takes from the document what the configuration of plain OAuth 2.0
// leaves out. Two schemes that say different things are an error.
func (p *peer) complete(s Scheme) error {
	if p.OpenID() || s.AuthorizationURL == "" {
		return nil
	}
	var errs []error
	take := func(into *string, name, value string) {
		if from, taken := p.taken[name]; taken && value != "" && *into != value {
			errs = append(errs, fmt.Errorf("login: provider %s: schemes %q and %q of the document have different URLs for %s: set it in the server's configuration, or bind them to two providers", p.Name, from, s.Name, name))
		}
		if *into == "" && value != "" {
			*into = value
			p.taken[name] = s.Name
		}
	}
	take(&p.AuthorizationURL, "authorization_url", s.AuthorizationURL)
	take(&p.TokenURL, "token_url", s.TokenURL)
	if _, ok := p.taken["token_url"]; ok {
		// Of another installation than the document's it would be foreign.
		take(&p.refreshURL, "refresh_url", s.RefreshURL)
	}
	return errors.Join(errs...)
}

// checkEndpoints tells what a provider without metadata lacks.
func (p *peer) checkEndpoints() error {
	if p.OpenID() {
		return nil
	}
	var errs []error
	for name, value := range map[string]string{"authorization_url": p.AuthorizationURL, "token_url": p.TokenURL, "user_url": p.UserURL, "refreshUrl of the document": p.refreshURL} {
		if value == "" && name == "refreshUrl of the document" {
			continue
		}
		if u, err := url.Parse(value); err != nil || u.Scheme != "https" || u.Host == "" {
			errs = append(errs, fmt.Errorf("login: provider %s: %s is %q, and has to be an https URL, here or in the document", p.Name, name, value))
		}
	}
	return errors.Join(errs...)
}

// ready returns the link to the provider: see discovery.Looker.Ready.
func (p *peer) ready(ctx context.Context) (*link, error) {
	link, err := p.look.Ready(ctx)
	if err != nil {
		return nil, fmt.Errorf("login: provider %s: %w", p.Name, err)
	}
	return link, nil
}

// lookUp makes a link anew.
func (p *peer) lookUp(ctx context.Context) (*link, error) {
	link := &link{refreshURL: p.refreshURL, oauth: oauth2.Config{
		ClientID:    p.ClientID,
		RedirectURL: p.login.callbackURL(p.Name),
		Scopes:      p.scopes(),
		Endpoint:    oauth2.Endpoint{AuthURL: p.AuthorizationURL, TokenURL: p.TokenURL, AuthStyle: p.authStyle()},
	}}
	if !p.OpenID() {
		return link, nil
	}
	m, err := discovery.Ask(ctx, p.client, p.MetadataURL, p.Issuer, "authorization_endpoint", "token_endpoint", "jwks_uri")
	if err != nil {
		return nil, err
	}
	p.advise(ctx, m)
	keys, err := p.keys(m.JWKSURI)
	if err != nil {
		return nil, err
	}
	link.metadata, link.keys = m, keys
	link.oauth.Endpoint.AuthURL, link.oauth.Endpoint.TokenURL = m.AuthorizationEndpoint, m.TokenEndpoint
	link.validator, err = idtoken.New(idtoken.Config{
		Issuer: p.Issuer, Tenants: p.Tenants, ClientID: p.ClientID, Algorithms: p.Algorithms, Keys: keys, Now: p.login.cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	return link, nil
}

// keys returns the provider's key set; the same one as before where it lies at
// the same place, since it remembers when it was fetched.
func (p *peer) keys(uri string) (*jwks.Set, error) {
	if old := p.look.Held(); old != nil && old.metadata.JWKSURI == uri {
		return old.keys, nil
	}
	return jwks.New(jwks.Config{URL: uri, Client: p.client, Algorithms: p.Algorithms, Now: p.login.cfg.Now, Logger: p.login.cfg.Logger})
}

// authStyle is how the client names itself; it is never found out by trying,
// since a code that was sent twice is a code that leaked (RFC 6749, section
// 4.1.2).
func (p *peer) authStyle() oauth2.AuthStyle {
	if p.ClientAuth == "client_secret_basic" {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// scopes are those asked for: the configured ones, and the document's for each
// scheme whose scopes no claim tells.
func (p *peer) scopes() []string {
	scopes := slices.Clone(p.Scopes)
	if p.OpenID() && !slices.Contains(scopes, "openid") {
		scopes = append([]string{"openid"}, scopes...)
	}
	for _, s := range p.login.schemesOf(p.Name) {
		if p.login.cfg.Bindings[s.Name].ScopesClaim != "" || s.OpenIDURL == "" && s.AuthorizationURL == "" {
			continue
		}
		for _, scope := range s.Scopes {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}

// advise logs what the provider says of itself that will not do.
func (p *peer) advise(ctx context.Context, m discovery.Metadata) {
	if len(m.AuthMethods) > 0 && !slices.Contains(m.AuthMethods, p.ClientAuth) {
		p.login.logger().WarnContext(ctx, "provider does not offer the client authentication that is configured; set client_auth",
			"provider", p.Name, "client_auth", p.ClientAuth, "offered", strings.Join(m.AuthMethods, " "))
	}
	if len(m.Algorithms) > 0 && !slices.ContainsFunc(m.Algorithms, func(a string) bool { return slices.Contains(p.Algorithms, a) }) {
		p.login.logger().WarnContext(ctx, "provider signs ID tokens with none of the configured algorithms; set algorithms",
			"provider", p.Name, "algorithms", strings.Join(p.Algorithms, " "), "offered", strings.Join(m.Algorithms, " "))
	}
}

// bounded returns ctx with a time limit and the client that calls go through.
func (p *peer) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	return context.WithValue(ctx, oauth2.HTTPClient, p.client), cancel
}
