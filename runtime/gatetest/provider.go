package gatetest

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// A Provider is an identity provider for tests: OpenID Connect with the code
// flow, PKCE, refresh tokens, UserInfo and logout, on loopback over TLS. It
// signs people in without a page and is honest, unless [Provider.Misbehave]
// says otherwise. Never use one in a server. Its methods may be called
// concurrently.
//
//	idp := gatetest.NewProvider(t)
//	idp.AddUser(gatetest.User{Subject: "ann", Name: "Ann", Scopes: []string{"posts:write"}})
//	cfg.Providers = []provider.Config{idp.Config("main")}
//
// Below its issuer it answers /.well-known/openid-configuration, /authorize,
// /token, /userinfo, /jwks, /introspect and /logout, and for providers that speak plain
// OAuth 2.0 /user and /user/emails.
type Provider struct {
	Issuer       string // https://localhost: and a port
	CAFile       string // PEM file of the authority behind its certificate
	ClientID     string
	ClientSecret string

	t      testing.TB
	cfg    ProviderConfig
	client *http.Client
	stop   chan struct{} // closed at the end of the test

	mu            sync.Mutex
	users         []User
	signIn        string // subject of whom to sign in; "" for the first user
	reg           Registration
	mischief      Mischief
	keys          []signingKey          // the published ones; the last signs
	past          []signingKey          // no longer published
	foreign       map[string]signingKey // never published, by algorithm; made when needed
	sessions      []*grant
	codes         map[string]*issued
	access        map[string]*issued
	refresh       map[string]*issued
	granted       map[string]map[string]any // claims of tokens that AccessToken issued
	requests      []ProviderRequest
	refreshReuses int
	lastIDToken   string
	notices       []int
}

// A ProviderConfig says how a [Provider] differs from the usual one. Its zero
// value is the usual one.
type ProviderConfig struct {
	ClientID     string // default: web-app
	ClientSecret string // default: a random one
	// ClientAuth is how the client has to name itself at the token endpoint,
	// no other way is taken: client_secret_basic (the default),
	// client_secret_post or none.
	ClientAuth string
	// Algorithm signs tokens: RS256 (the default), another of RS, PS or ES,
	// or EdDSA.
	Algorithm string
	// ExpiresIn is how long access tokens live. Default an hour.
	ExpiresIn time.Duration
	// NoRefresh has no refresh tokens issued.
	NoRefresh bool
	// Now is the provider's clock. Default time.Now.
	Now func() time.Time
}

// A User is a person who can sign in at a [Provider].
type User struct {
	Subject string
	Name    string // the claim name, for the scope profile
	Email   string // the claim email, for the scope email
	// Scopes are those that the person may be granted beside openid,
	// profile, email, address, phone and offline_access. Nil: all that are
	// asked for.
	Scopes []string
	// Claims are further claims of the ID token and of UserInfo.
	Claims map[string]any
}

// A Registration is what the provider knows of the application that signs
// people in.
type Registration struct {
	// RedirectURIs are where codes may be sent. Nil: anywhere.
	RedirectURIs []string
	// PostLogoutURIs are where browsers may be sent after a logout. Nil:
	// anywhere.
	PostLogoutURIs []string
	// BackChannelURI is where logout tokens are posted; empty for none.
	BackChannelURI string
	// Client posts them. Default: [Provider.Client], which trusts no server
	// but the provider itself.
	Client *http.Client
}

// standardScopes may be granted to anybody.
var standardScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// NewProvider starts a provider, which stops when the test ends. More than one
// configuration is a mistake. Until a user is added it signs in one named ann.
func NewProvider(t testing.TB, cfg ...ProviderConfig) *Provider {
	t.Helper()
	p := &Provider{
		t:       t,
		stop:    make(chan struct{}),
		codes:   make(map[string]*issued),
		foreign: make(map[string]signingKey),
		access:  make(map[string]*issued),
		refresh: make(map[string]*issued),
		granted: make(map[string]map[string]any),
	}
	switch len(cfg) {
	case 0:
	case 1:
		p.cfg = cfg[0]
	default:
		t.Fatalf("gatetest: NewProvider takes one configuration, got %d", len(cfg))
	}
	c := &p.cfg
	c.ClientAuth = cmp.Or(c.ClientAuth, "client_secret_basic")
	c.Algorithm = cmp.Or(c.Algorithm, "RS256")
	c.ExpiresIn = cmp.Or(c.ExpiresIn, time.Hour)
	if c.Now == nil {
		c.Now = time.Now
	}
	p.ClientID = cmp.Or(c.ClientID, "web-app")
	if c.ClientAuth != "none" {
		p.ClientSecret = cmp.Or(c.ClientSecret, rand.Text())
	}
	if !slices.Contains([]string{"client_secret_basic", "client_secret_post", "none"}, c.ClientAuth) {
		t.Fatalf("gatetest: client authentication %q is not known", c.ClientAuth)
	}
	key, err := takeKey(c.Algorithm)
	if err != nil {
		t.Fatal(err)
	}
	p.keys = []signingKey{key}
	if err := p.listen(t); err != nil {
		t.Fatal(err)
	}
	return p
}

// listen starts the server under an authority of its own.
func (p *Provider) listen(t testing.TB) error {
	dir := filepath.Join(t.TempDir(), "ca")
	authority, err := tlsconf.OpenAuthority(dir)
	if err != nil {
		return err
	}
	tlsConfig, err := authority.TLSConfig("localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	server := httptest.NewUnstartedServer(p)
	server.TLS = tlsConfig
	// Clients that rightly do not trust the certificate are no news.
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	p.CAFile = authority.CertFile()
	p.Issuer = "https://localhost" + server.Listener.Addr().String()[strings.LastIndexByte(server.Listener.Addr().String(), ':'):]
	p.client, err = clientTrusting(p.CAFile)
	t.Cleanup(func() {
		close(p.stop) // ends what waits, so that Close need not wait for it
		p.client.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
		p.returnKeys()
	})
	return err
}

// clientTrusting returns a client that trusts the authorities in a file and no
// others.
func clientTrusting(caFile string) (*http.Client, error) {
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
		Timeout:   30 * time.Second,
	}, nil
}

// Client returns an HTTP client that trusts the provider's certificate and no
// others. It follows redirects.
func (p *Provider) Client() *http.Client { return p.client }

// Config is what an application that signs people in here has to be told, under
// the name that the configuration is to call the provider.
func (p *Provider) Config(name string) provider.Config {
	return provider.Config{
		Name:         name,
		Issuer:       p.Issuer,
		ClientID:     p.ClientID,
		ClientSecret: secret.New(p.ClientSecret),
		ClientAuth:   p.cfg.ClientAuth,
		Scopes:       []string{"openid", "profile", "email"},
		Algorithms:   []string{p.cfg.Algorithm},
		CA:           p.CAFile,
	}
}

// OAuthConfig is as [Provider.Config] for an application that does not know
// OpenID Connect. It uses the user's endpoints /user and /user/emails.
func (p *Provider) OAuthConfig(name string) provider.Config {
	return provider.Config{
		Name:             name,
		ClientID:         p.ClientID,
		ClientSecret:     secret.New(p.ClientSecret),
		ClientAuth:       p.cfg.ClientAuth,
		CA:               p.CAFile,
		AuthorizationURL: p.Issuer + "/authorize",
		TokenURL:         p.Issuer + "/token",
		UserURL:          p.Issuer + "/user",
		EmailsURL:        p.Issuer + "/user/emails",
	}
}

// Register tells the provider about the application; what it was told before
// is forgotten.
func (p *Provider) Register(r Registration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reg = r
}

// RegisterServer registers a generated server, by its public URL and the name
// that its configuration calls the provider, with /auth as prefix. The client
// posts logout tokens and has to trust the server's certificate.
func (p *Provider) RegisterServer(publicURL, name string, client *http.Client) {
	auth := strings.TrimSuffix(publicURL, "/") + "/auth/"
	p.Register(Registration{
		RedirectURIs:   []string{auth + "callback/" + name},
		PostLogoutURIs: []string{auth + "logout"},
		BackChannelURI: auth + "backchannel-logout/" + name,
		Client:         client,
	})
}

// AddUser adds a person, or replaces the one with that subject.
func (p *Provider) AddUser(u User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.users {
		if p.users[i].Subject == u.Subject {
			p.users[i] = u
			return
		}
	}
	p.users = append(p.users, u)
}

// SignInAs says whom /authorize signs in from now on, by subject: a user that
// was added, or nobody, and then it answers access_denied. A request with a
// login_hint that is the subject of a user signs that one in all the same.
func (p *Provider) SignInAs(subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signIn = subject
}

// SetClientSecret gives the client another secret: the one before is none any
// more.
func (p *Provider) SetClientSecret(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ClientSecret = text
}

// isSecret tells whether text is the client's secret.
func (p *Provider) isSecret(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return subtle.ConstantTimeCompare([]byte(text), []byte(p.ClientSecret)) == 1
}

// person returns who signs in, given the login_hint of the request.
func (p *Provider) person(hint string) (User, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	users := p.users
	if len(users) == 0 {
		users = []User{{Subject: "ann", Name: "Ann", Email: "ann@example.com"}}
	}
	for _, subject := range []string{hint, p.signIn} {
		if i := slices.IndexFunc(users, func(u User) bool { return u.Subject == subject }); i >= 0 {
			return users[i], true
		}
	}
	return users[0], p.signIn == ""
}
