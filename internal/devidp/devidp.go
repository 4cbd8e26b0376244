// Package devidp is the identity provider of development: OpenID Connect over
// TLS on this machine, with a page of users to pick from and no password. It
// is part of the command and never of a server.
package devidp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/gatewright/gatewright/runtime/secret"
)

// A User is somebody to pick at sign-in.
type User struct {
	Name   string   // who it is, and what people read: 1 to 60 printable bytes, unique
	Email  string   // may be empty
	Scopes []string // what this user may do
}

// A Config says whom the provider knows, and the one application that it
// signs people in to.
type Config struct {
	// Listen is a loopback address, host:port. Port 0 is a free one.
	Listen string
	// TLS holds a certificate for localhost, such as
	// tlsconf.Authority.TLSConfig makes.
	TLS *tls.Config

	Title        string // what the application is called. Default: ClientID
	Users        []User
	ClientID     string
	ClientSecret secret.Value
	// RedirectURIs and PostLogoutURIs are where the application may have a
	// browser sent, exact to the letter.
	RedirectURIs   []string
	PostLogoutURIs []string
	// Programs get access tokens for themselves, with the one secret of all of
	// them.
	Programs      []Program
	ProgramSecret secret.Value
	// Audience is the server that access tokens are for, those of logins too:
	// they are JWTs then (RFC 9068). Empty: they are opaque, and programs get none.
	Audience string
	// BackChannelURI is told when a session ends here (OpenID Connect
	// Back-Channel Logout). Empty: nobody is.
	BackChannelURI string
	// Client makes those calls. Nil: http.DefaultClient.
	Client *http.Client

	Logger *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now
}

// A Provider is a running identity provider. Its methods may be called
// concurrently. What it knows of logins is in memory and ends with it.
type Provider struct {
	cfg      Config
	issuer   string
	listener net.Listener
	store    *storage
	handler  http.Handler
	calls    sync.WaitGroup // to the back channel
}

// New listens on cfg.Listen and makes a provider with a signing key of its
// own. It answers nobody before [Provider.Serve]. Its error names everything
// wrong with cfg.
func New(cfg Config) (*Provider, error) {
	if err := check(cfg); err != nil {
		return nil, err
	}
	if cfg.Title == "" {
		cfg.Title = cfg.ClientID
	}
	if cfg.Client == nil {
		cfg.Client = http.DefaultClient
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("devidp: %w", err)
	}
	p := &Provider{
		cfg:      cfg,
		issuer:   "https://localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port),
		listener: listener,
	}
	if p.store, err = newStorage(cfg, p.ended); err == nil {
		err = p.mount()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("devidp: %w", err), listener.Close())
	}
	return p, nil
}

func check(cfg Config) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("devidp: "+format, args...)) }
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		wrong("listen: %w", err)
	} else if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		wrong("listen: %q is not a loopback address: whoever reaches this provider is whoever they like", host)
	}
	if cfg.TLS == nil || len(cfg.TLS.Certificates) == 0 && cfg.TLS.GetCertificate == nil {
		wrong("TLS has no certificate")
	}
	if cfg.ClientID == "" {
		wrong("client id is missing")
	}
	if cfg.ClientSecret.IsZero() {
		wrong("client secret is missing")
	}
	if len(cfg.Programs) > 0 && (cfg.ProgramSecret.IsZero() || cfg.Audience == "") {
		wrong("programs have no secret or no audience")
	}
	if len(cfg.RedirectURIs) == 0 {
		wrong("redirect URIs are missing")
	}
	for _, uri := range slices.Concat(cfg.RedirectURIs, cfg.PostLogoutURIs, []string{cfg.BackChannelURI}) {
		if u, err := url.Parse(uri); uri != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "") {
			wrong("%q is not an https URI", uri)
		}
	}
	return errors.Join(append(errs, checkUsers(cfg.Users), checkPrograms(cfg.Programs, cfg.ClientID))...)
}

func checkUsers(users []User) error {
	var errs []error
	if len(users) == 0 {
		errs = append(errs, errors.New("devidp: there are no users"))
	}
	seen := make(map[string]bool)
	for _, u := range users {
		if err := checkName(u.Name); err != nil {
			errs = append(errs, err)
		}
		if seen[u.Name] {
			errs = append(errs, fmt.Errorf("devidp: there are two users %q", u.Name))
		}
		seen[u.Name] = true
	}
	return errors.Join(errs...)
}

// checkPrograms tells which programs could not be told from one another or from
// the application, which people sign in to.
func checkPrograms(programs []Program, application string) error {
	var errs []error
	seen := map[string]bool{application: true}
	for _, p := range programs {
		if p.ID == "" || seen[p.ID] {
			errs = append(errs, fmt.Errorf("devidp: a program's id is missing or taken: %q", p.ID))
		}
		seen[p.ID] = true
	}
	return errors.Join(errs...)
}

// checkName tells why name cannot be a user's: empty, longer than 60 bytes,
// or with something in it that does not print.
func checkName(name string) error {
	if name == "" || len(name) > 60 || !utf8.ValidString(name) || strings.TrimSpace(name) != name ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("devidp: %q is no name of a user: 1 to 60 printable bytes", name)
	}
	return nil
}

// subject is the user's sub: the name, in characters that every application
// takes. It stays the same over restarts.
func (u User) subject() string { return url.QueryEscape(u.Name) }

// Issuer is the provider's issuer identifier, https://localhost and its port.
func (p *Provider) Issuer() string { return p.issuer }

// Port is the port that the provider listens on.
func (p *Provider) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// SetUsers changes who can be picked. Sessions of a user who is gone end at
// the next question about them; what others may do changes at the next login
// or refresh.
func (p *Provider) SetUsers(users []User) error {
	if err := checkUsers(users); err != nil {
		return err
	}
	p.store.setUsers(users)
	return nil
}

// SetKnown changes who can be picked, as SetUsers does, and which programs there
// are. Introspection knows nothing of the tokens of programs that are gone.
func (p *Provider) SetKnown(users []User, programs []Program) error {
	if err := errors.Join(checkUsers(users), checkPrograms(programs, p.cfg.ClientID)); err != nil {
		return err
	}
	p.store.setUsers(users)
	p.store.setPrograms(programs)
	return nil
}

// Close ends a provider that is not to be served.
func (p *Provider) Close() error { return p.listener.Close() }

// Serve answers until ctx is done, and closes the provider.
func (p *Provider) Serve(ctx context.Context) error {
	server := &http.Server{
		Handler:           p.handler,
		TLSConfig:         p.cfg.TLS.Clone(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		MaxHeaderBytes:    64 << 10,
		// A browser that does not trust the certificate is no news.
		ErrorLog: slog.NewLogLogger(p.cfg.Logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(p.listener, "", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("devidp: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	<-ended        // it may have had to begin first; the listener is closed then
	p.calls.Wait() // bounded by callTime
	return nil
}

// mount puts the protocol's endpoints and our pages together.
func (p *Provider) mount() error {
	config := &op.Config{
		DefaultLogoutRedirectURI:          signedOutPath,
		CodeMethodS256:                    true,
		AuthMethodPost:                    true,
		GrantTypeRefreshToken:             true,
		BackChannelLogoutSupported:        p.cfg.BackChannelURI != "",
		BackChannelLogoutSessionSupported: p.cfg.BackChannelURI != "",
		SupportedClaims:                   []string{"sub", "aud", "exp", "iat", "iss", "auth_time", "nonce", "at_hash", "sid", "name", "preferred_username", "email", "scopes"},
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the program instead
	crypto := sealer{Crypto: op.NewAES256GCMCrypto(key, ""), p: p}
	protocol, err := op.NewProvider(config, p.store, op.StaticIssuer(p.issuer), op.WithCORSOptions(nil), op.WithCrypto(crypto))
	if err != nil {
		return err
	}
	p.handler = http.MaxBytesHandler(p.minting(p.pages(protocol), protocol), 64<<10)
	return nil
}
