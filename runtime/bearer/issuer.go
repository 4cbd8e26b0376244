package bearer

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

	"github.com/gatewright/gatewright/runtime/discovery"
	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/jwks"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

const (
	// callTime bounds each call to an issuer, its answer included.
	callTime = 10 * time.Second
	// keysAge is how old an issuer's keys get before they are fetched again:
	// a key that it withdrew and that signs nothing new is found out by then.
	keysAge = 10 * time.Minute
	// keysStale is for how long more they count while it does not answer.
	keysStale = 24 * time.Hour
	// tenant stands in the issuer of Entra's multi-tenant applications for
	// the tenant's id.
	tenant = "{tenantid}"
)

// An issuer is a provider whose access tokens are taken.
type issuer struct {
	provider.Config
	tokens *Tokens
	client *http.Client
	look   *discovery.Looker[link]
	asking introspection
	asked  bool                         // about every token of a scheme
	secret atomic.Pointer[secret.Value] // of the client, as it is now
}

// A link is what is known of an issuer.
type link struct {
	metadata discovery.Metadata
	keys     *jwks.Set // nil where it publishes none
}

// issuer returns the provider of that name as an issuer, made at the first call.
func (t *Tokens) issuer(name string) (*issuer, error) {
	if i := slices.IndexFunc(t.issuers, func(i *issuer) bool { return i.Name == name }); i >= 0 {
		return t.issuers[i], nil
	}
	n := slices.IndexFunc(t.cfg.Providers, func(p provider.Config) bool { return p.Name == name })
	if n < 0 {
		return nil, fmt.Errorf("there is no provider %q", name)
	}
	cfg, err := t.cfg.Providers[n].Complete()
	if err != nil {
		return nil, err
	}
	if !cfg.OpenID() {
		return nil, fmt.Errorf("the provider %s has no issuer, whose tokens could be told from others: set its issuer", name)
	}
	client, err := fetch.New(fetch.Config{CA: cfg.CA, Timeout: callTime})
	if err != nil {
		return nil, err
	}
	i := &issuer{Config: cfg, tokens: t, client: client, asking: newIntrospection(t.cfg.Limits, t.logger, t.cfg.Now)}
	i.secret.Store(&cfg.ClientSecret)
	i.look = discovery.NewLooker(t.cfg.Now, i.lookUp)
	t.issuers = append(t.issuers, i)
	return i, nil
}

// lookUp asks the issuer what it says of itself.
func (i *issuer) lookUp(ctx context.Context) (*link, error) {
	var required []string
	if i.asked {
		required = []string{"introspection_endpoint"}
	}
	m, err := discovery.Ask(ctx, i.client, i.MetadataURL, i.Issuer, required...)
	if err != nil {
		return nil, err
	}
	l := &link{metadata: m}
	if m.JWKSURI == "" {
		return l, nil
	}
	// The same set as before where it lies at the same place: it remembers
	// when it was fetched.
	if old := i.look.Held(); old != nil && old.metadata.JWKSURI == m.JWKSURI {
		l.keys = old.keys
		return l, nil
	}
	l.keys, err = jwks.New(jwks.Config{
		URL: m.JWKSURI, Client: i.client, Algorithms: i.Algorithms, MaxAge: keysAge, MaxStale: keysStale,
		Now: i.tokens.cfg.Now, Logger: i.tokens.cfg.Logger,
	})
	return l, err
}

// ready returns what is known of the issuer: see discovery.Looker.Ready.
func (i *issuer) ready(ctx context.Context) (*link, error) {
	l, err := i.look.Ready(ctx)
	if err != nil {
		return nil, fmt.Errorf("bearer: provider %s: %w", i.Name, err)
	}
	return l, nil
}

// keys returns the issuer's key set.
func (i *issuer) keys(ctx context.Context) (*jwks.Set, error) {
	l, err := i.ready(ctx)
	if err != nil {
		return nil, err
	}
	if l.keys == nil {
		return nil, fmt.Errorf("bearer: provider %s publishes no keys (jwks_uri): its JWTs cannot be verified; set introspect: true for the scheme", i.Name)
	}
	return l.keys, nil
}

// issued tells whether iss names this issuer, and for one with tenants, which
// of them.
func (i *issuer) issued(iss string) (tid string, ok bool) {
	for _, id := range i.Tenants {
		if strings.ReplaceAll(i.Issuer, tenant, id) == iss {
			return id, true
		}
	}
	return "", len(i.Tenants) == 0 && iss == i.Issuer
}

// canAsk tells why the issuer cannot be asked about tokens; nil: it can.
func (i *issuer) canAsk() error {
	if i.ClientID == "" || i.ClientAuth == "none" {
		return fmt.Errorf("the provider %s can be asked about tokens by a client with a secret alone: set its client_id and client_secret_file (no_sign_in: true where nobody signs in there)", i.Name)
	}
	return nil
}

// bound returns the issuers that answer for s. Who that is is never guessed.
func (t *Tokens) bound(s Scheme) ([]*issuer, error) {
	names := t.cfg.Bindings[s.Name].Providers
	if len(names) == 0 {
		found, err := t.obvious(s)
		if err != nil {
			return nil, err
		}
		names = found
	}
	var all []*issuer
	var errs []error
	for _, name := range names {
		i, err := t.issuer(name)
		errs = append(errs, err)
		all = append(all, i)
	}
	return all, errors.Join(errs...)
}

// obvious names the providers that a document means by what it says of s: those
// of its issuer, or the one at the host of its token endpoint, or the only one
// there is.
func (t *Tokens) obvious(s Scheme) ([]string, error) {
	hint := fmt.Sprintf("schemes: {%q: {provider: NAME}} in the server's configuration", s.Name)
	var all, same, above []string
	issuer := strings.TrimSuffix(s.OpenIDURL, "/.well-known/openid-configuration")
	for _, p := range t.cfg.Providers {
		p, err := p.Complete()
		if err != nil || !p.OpenID() {
			continue
		}
		all = append(all, p.Name)
		base := strings.TrimSuffix(p.Issuer, "/")
		switch {
		case s.OpenIDURL != "":
			if base == strings.TrimSuffix(issuer, "/") {
				same = append(same, p.Name)
			}
		case s.TokenURL != "" && hostOf(base) == hostOf(s.TokenURL):
			same = append(same, p.Name)
			if strings.HasPrefix(s.TokenURL, base+"/") {
				above = append(above, p.Name)
			}
		}
	}
	if s.OpenIDURL == "" && len(same) > 1 {
		// A host may have many issuers, as Keycloak has one a realm, and
		// the tokens of one are nothing to another.
		if len(above) != 1 {
			return nil, fmt.Errorf("it is not plain which of the providers %s issues tokens at %s: set %s", strings.Join(same, ", "), s.TokenURL, hint)
		}
		same = above
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("no issuer of access tokens is configured: set providers: {main: {issuer: https://…}} in the server's configuration")
	case len(same) > 0:
		return same, nil
	case s.OpenIDURL != "":
		return nil, fmt.Errorf("the document names the issuer %s, and no provider has it: set its issuer, or say who answers instead with %s", issuer, hint)
	case hostOf(s.TokenURL) != "":
		return nil, fmt.Errorf("the document has tokens issued at %s, and no provider's issuer is there: say who answers with %s", s.TokenURL, hint)
	case len(all) > 1:
		return nil, fmt.Errorf("it is not plain which of the providers %s issues its tokens: set %s", strings.Join(all, ", "), hint)
	}
	return all, nil
}

// hostOf is the host of a URL; "" where it has none.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
