// Package bearer verifies access tokens: JWTs of configured issuers (RFC 9068,
// RFC 8725) and tokens that an issuer is asked about (RFC 7662). Tokens that are
// bound to a key of their client by DPoP (RFC 9449), or to its certificate (RFC
// 8705), are taken with it alone. It also serves the metadata by which a client
// finds the authorization server (RFC 9728).
package bearer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
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
	// Cache is how long it is remembered that a person is not disabled.
	// Zero: not at all.
	Cache  time.Duration
	Logger *slog.Logger     // nil: slog.Default() at the time of use
	Now    func() time.Time // nil: time.Now
}

// Tokens verify access tokens. Their methods may be called concurrently.
type Tokens struct {
	cfg Config
}

// New returns what verifies the tokens of cfg. It asks no issuer anything:
// [Tokens.Open] does. Its error names everything that is wrong with cfg. A
// scheme for which no provider answers is no error: its authenticator refuses,
// which a server that starts finds by gate.Unverified.
func New(cfg Config) (*Tokens, error) { return nil, errors.New("bearer: not there yet") }

// Scheme returns the authenticator of the document's scheme with that name;
// gate.Refuse where no provider answers for it.
func (t *Tokens) Scheme(name string) gate.Authenticator { return gate.Refuse("not there yet") }

// Beside returns the authenticator of a scheme that a session meets too: tokens
// in Authorization are verified here, and what lies in the cookie by sessions.
// Where both came, the header counts. Without an audience for the scheme it is
// sessions alone.
func (t *Tokens) Beside(name string, sessions gate.Authenticator) gate.Authenticator { return sessions }

// Open looks up every issuer once, side by side, for a few seconds at most. One
// that does not answer is logged, and asked again when a token comes. It is an
// error where one answers with metadata that do not match.
func (t *Tokens) Open(ctx context.Context) error { return nil }

// Check tells which issuers do not answer, for a readiness probe.
func (t *Tokens) Check(ctx context.Context) error { return nil }

// Handler answers at /.well-known/oauth-protected-resource, and below it for
// the paths of the API, with the metadata of the resource (RFC 9728), and has
// next answer at all other paths.
func (t *Tokens) Handler(next http.Handler) http.Handler { return next }

// Forget forgets what is remembered of a person, by the id of their record;
// ForgetAll of everybody. Verified signatures are still remembered.
func (t *Tokens) Forget(user string) {}

// ForgetAll forgets what is remembered of all people.
func (t *Tokens) ForgetAll() {}
