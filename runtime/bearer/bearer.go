// Package bearer verifies access tokens: JWTs of configured issuers (RFC 9068,
// RFC 8725) and tokens that an issuer is asked about (RFC 7662). Tokens that are
// bound to a key of their client by DPoP (RFC 9449), or to its certificate (RFC
// 8705), are taken with it alone. It also serves the metadata by which a client
// finds the authorization server (RFC 9728).
package bearer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/cache"
	"github.com/gatewright/gatewright/runtime/discovery"
	"github.com/gatewright/gatewright/runtime/dpop"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// A Kind says what the tokens of a scheme are.
type Kind string

const (
	Any    Kind = "token"         // JWTs are verified here, other tokens asked about
	JWT    Kind = "jwt"           // JWTs alone
	Opaque Kind = "introspection" // every token is asked about
)

// A Scheme is one of the document's security schemes that access tokens meet.
type Scheme struct {
	Name string
	Kind Kind
	// Places are where its credentials lie. Those in Authorization under
	// bearer and dpop are for tokens; a cookie is its sessions'.
	Places []gate.Place
	// Login is true where a session from a login meets the scheme too. It takes
	// tokens once its binding names an audience.
	Login bool
	// OpenIDURL and TokenURL are what the document says of the issuer; empty
	// where it says nothing.
	OpenIDURL string
	TokenURL  string
	Scopes    []string // the document's own for the scheme
}

// A Config says whose tokens are taken, and for what.
type Config struct {
	// PublicURL is the origin under which clients reach the server. It is the
	// resource identifier (RFC 9728) and the audience where none is named.
	PublicURL string
	Title     string // of the API, for its metadata
	Providers []provider.Config
	// Bindings say who answers for a scheme, by its name.
	Bindings map[string]provider.Binding
	Schemes  []Scheme
	// Users has the record of each person that a token speaks of.
	Users user.Store
	// Marks remember proofs of DPoP, so that none counts twice.
	Marks session.Marks
	Ring  *secret.Ring // for nonces of DPoP
	// Clients are the ids of programs, as config.Config.Clients has them.
	Clients map[string][]string
	// Limits bound how often one address may come with a token that an issuer,
	// asked about it, does not know. Its fields for keys are not used.
	Limits limit.Limits
	// Cache is how long it is remembered that a person is not disabled.
	// Zero: not at all.
	Cache  time.Duration
	Logger *slog.Logger     // nil: slog.Default() at the time of use
	Now    func() time.Time // nil: time.Now
}

const (
	// maxRemembered is how long a verified token is taken without another
	// look at its signature.
	maxRemembered = 5 * time.Minute
	// rememberedTokens is how many tokens are remembered for certain; each
	// takes some 300 bytes.
	rememberedTokens = 16384
	rememberedPeople = 16384
	// skew is how far clocks may be apart.
	skew = time.Minute
)

// Tokens verify access tokens. Their methods may be called concurrently.
type Tokens struct {
	cfg     Config
	issuers []*issuer // those that a scheme is bound to
	schemes []*scheme // in the order of Config.Schemes
	proofs  *dpop.Verifier
	clients map[string]string // what a token names -> id
	people  *cache.Cache[person, user.Record]

	mu       sync.Mutex
	verified cache.Generations[digest, remembered]
	ids      cache.Generations[person, string] // of the records
}

// A person is who a token speaks of, as its issuer has it.
type person struct{ issuer, subject string }

// New returns what verifies the tokens of cfg. It asks no issuer anything:
// [Tokens.Open] does. Its error names everything that is wrong with cfg. A
// scheme for which no provider answers is no error: its authenticator refuses,
// which a server that starts finds by gate.Unverified.
func New(cfg Config) (*Tokens, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t := &Tokens{
		cfg: cfg, clients: make(map[string]string),
		people:   cache.New[person, user.Record](cfg.Cache, rememberedPeople, cfg.Now),
		verified: cache.NewGenerations[digest, remembered](rememberedTokens),
		ids:      cache.NewGenerations[person, string](rememberedPeople),
	}
	var errs []error
	if cfg.Users == nil {
		errs = append(errs, errors.New("bearer: the user store is missing"))
	}
	if err := cfg.Limits.Check(); err != nil {
		errs = append(errs, fmt.Errorf("bearer: %w", err))
	}
	proofs, err := dpop.New(dpop.Config{PublicURL: cfg.PublicURL, Marks: cfg.Marks, Ring: cfg.Ring, Now: cfg.Now})
	if err != nil {
		errs = append(errs, fmt.Errorf("bearer: %w", err))
	}
	t.proofs = proofs
	for id, names := range cfg.Clients {
		for _, name := range names {
			t.clients[name] = id
		}
	}
	for _, s := range cfg.Schemes {
		sch, err := t.newScheme(s)
		errs = append(errs, err)
		t.schemes = append(t.schemes, sch)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

// scheme returns the scheme of that name, or nil.
func (t *Tokens) scheme(name string) *scheme {
	i := slices.IndexFunc(t.schemes, func(s *scheme) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return t.schemes[i]
}

// Scheme returns the authenticator of the document's scheme with that name;
// gate.Refuse where no provider answers for it.
func (t *Tokens) Scheme(name string) gate.Authenticator {
	s := t.scheme(name)
	switch {
	case s == nil:
		return gate.Refuse("it is no scheme that access tokens meet")
	case s.refused != "":
		return gate.Refuse(s.refused)
	}
	return s
}

// Beside returns the authenticator of a scheme that a session meets too: tokens
// in Authorization are verified here, and what lies in the cookie by sessions.
// Where both came, the header counts. Without an audience for the scheme it is
// sessions alone; one that cannot take tokens though it has an audience refuses.
func (t *Tokens) Beside(name string, sessions gate.Authenticator) gate.Authenticator {
	if len(t.cfg.Bindings[name].Audience) == 0 {
		return sessions
	}
	tokens := t.Scheme(name)
	if why, refused := gate.Refused(tokens); refused {
		return gate.Refuse("its audience is set, and " + why)
	}
	if _, refused := gate.Refused(sessions); refused {
		return tokens // nobody signs in; tokens are taken all the same
	}
	return both{t.scheme(name), sessions}
}

// openTime bounds the first look at all issuers.
const openTime = 6 * time.Second

// Open looks up every issuer once, side by side, for a few seconds at most. One
// that does not answer is logged, and asked again when a token comes. It is an
// error where one answers with metadata that do not match.
func (t *Tokens) Open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	return t.each(func(i *issuer) error {
		_, err := i.ready(ctx)
		if err == nil || errors.Is(err, discovery.ErrMismatch) {
			return err
		}
		t.logger().WarnContext(ctx, "issuer of access tokens does not answer; it is asked again when a token comes", "provider", i.Name, "cause", err.Error())
		return nil
	})
}

// Check tells which issuers do not answer, for a readiness probe.
func (t *Tokens) Check(ctx context.Context) error {
	return t.each(func(i *issuer) error { _, err := i.ready(ctx); return err })
}

// each calls f for all issuers side by side.
func (t *Tokens) each(f func(*issuer) error) error {
	errs := make([]error, len(t.issuers))
	var wait sync.WaitGroup
	for n, i := range t.issuers {
		wait.Go(func() { errs[n] = f(i) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// ForgetAll forgets what is remembered of people, so that one who was disabled
// is refused at once. Verified signatures are still remembered.
func (t *Tokens) ForgetAll() { t.people.ForgetAll() }

// Reload takes the secrets of providers as they are now, from the next question
// to each on.
func (t *Tokens) Reload(providers []provider.Config) {
	for _, cfg := range providers {
		if n := slices.IndexFunc(t.issuers, func(i *issuer) bool { return i.Name == cfg.Name }); n >= 0 {
			t.issuers[n].secret.Store(&cfg.ClientSecret)
		}
	}
}

func (t *Tokens) logger() *slog.Logger {
	if t.cfg.Logger != nil {
		return t.cfg.Logger
	}
	return slog.Default()
}
