// Package session keeps who signed in.
//
// There are two kinds. Of the server kind the browser holds 256 random bits and
// a store the session under their hash; it can be listed, and ended for the
// next request. Of the sealed kind the browser holds the session itself,
// encrypted: no store of sessions is needed, only one of what was revoked, and
// there are no tokens of the provider and no list.
//
// A session begins with [Sessions.Begin], at the end of a login, and reaches
// the browser with [Sessions.Finish]. [Sessions.Scheme] verifies it for a
// scheme of the document.
package session

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gatewright/gatewright/runtime/cache"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/user"
)

// A Kind says where sessions are kept.
type Kind string

const (
	Server Kind = "server" // in a store; the browser holds a secret that finds it
	Sealed Kind = "sealed" // in the cookie, encrypted
)

// DefaultCookie is the name of the session cookie where the document names none.
const DefaultCookie = "__Host-Http-session"

// least is the shortest a session may live. Use is noted once a minute, so that
// with a shorter limit a session in use would end.
const least = 2 * time.Minute

// A Config says how sessions are kept.
type Config struct {
	Kind Kind // Default: Server
	// Cookie is the name of the session cookie. Default: DefaultCookie.
	// Whatever its name, it is Secure and HttpOnly, with SameSite=Strict,
	// Path=/ and no Domain.
	Cookie string
	// Idle ends a session that is not used for so long; use is noted once a
	// minute. Default: 30 minutes.
	Idle time.Duration
	// Absolute ends a session so long after its login. Default: 12 hours.
	Absolute time.Duration
	Store    Store // of the server kind
	// Revocations are asked for each request with a sealed session. Of the
	// server kind they are asked when a login finishes; without them a login
	// under way is not ended by what ends all sessions of a person.
	Revocations Revocations
	Users       user.Store
	Ring        *secret.Ring
	// Cache is how long a session that was good is good without the store
	// being asked again, and so how long a replica that hears no word of it
	// takes one that another ended. 0: the store is asked each time.
	Cache  time.Duration
	Logger *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now
}

var (
	// ErrNone means that there is no session (any more). The error that
	// wraps it says for the log what there was.
	ErrNone = errors.New("session: none")
	// ErrSealed means that sessions of the sealed kind cannot do what was asked.
	ErrSealed = errors.New("session: sealed sessions cannot be listed or ended by their id, and hold no tokens of the provider: sessions of kind server can and do")
	// ErrTooLarge means that a sealed session has no room in a cookie.
	ErrTooLarge = fmt.Errorf("session: the cookie would be larger than %d bytes, which browsers drop: ask for fewer scopes, let scopes_map name fewer, or keep sessions of kind server", maxCookie)
)

// A Session is who signed in, and until when that counts.
type Session struct {
	ID       ID
	User     user.Record
	Provider string // the configured name of the provider
	Issuer   string
	Subject  string
	// ProviderSession is the provider's own name for the session, "" where
	// it gives none.
	ProviderSession string
	Scopes          map[string][]string // by the document's scheme
	AuthTime        time.Time           // when the person last proved who they are; zero where unknown
	Created         time.Time
	Used            time.Time
	Idle            time.Time // ends then unless it is used before
	Expires         time.Time // ends then, used or not
	Agent           string    // User-Agent of the browser that signed in; "" of a sealed one
}

// Sessions keeps the sessions of a server. Its methods may be called concurrently.
type Sessions struct {
	cfg                    Config
	place                  gate.Place
	session, ticket, token *secret.Sealer
	good                   *cache.Cache[ID, Session] // those that were good
}

// knownSessions is how many sessions are remembered for certain.
const knownSessions = 16384

// New returns the sessions that cfg describes. Its error names everything wrong with cfg.
func New(cfg Config) (*Sessions, error) {
	cfg.Kind = cmp.Or(cfg.Kind, Server)
	cfg.Cookie = cmp.Or(cfg.Cookie, DefaultCookie)
	cfg.Idle = cmp.Or(cfg.Idle, 30*time.Minute)
	cfg.Absolute = cmp.Or(cfg.Absolute, 12*time.Hour)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Sessions{
		cfg:     cfg,
		place:   gate.Place{In: gate.InCookie, Name: cfg.Cookie},
		session: cfg.Ring.Sealer("session"),
		ticket:  cfg.Ring.Sealer("session ticket"),
		token:   cfg.Ring.Sealer("session tokens"),
		good:    cache.New[ID, Session](cfg.Cache, knownSessions, cfg.Now),
	}, nil
}

func (cfg Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("session: "+format, args...)) }
	switch {
	case cfg.Kind != Server && cfg.Kind != Sealed:
		wrong("kind is %q, not server or sealed", cfg.Kind)
	case cfg.Kind == Server && cfg.Store == nil:
		wrong("store is missing")
	case cfg.Kind == Sealed && cfg.Revocations == nil:
		wrong("revocations are missing: without them a sealed session could not be ended")
	}
	if cfg.Users == nil {
		wrong("user store is missing")
	}
	if cfg.Ring == nil {
		wrong("ring is missing")
	}
	if err := (&http.Cookie{Name: cfg.Cookie, Value: "x"}).Valid(); err != nil {
		wrong("cookie name %q: %w", cfg.Cookie, err)
	}
	if cfg.Cache < 0 {
		wrong("the cache's time is below zero")
	}
	if cfg.Idle < least {
		wrong("idle limit %v is less than %v", cfg.Idle, least)
	}
	if cfg.Absolute < cfg.Idle {
		wrong("absolute limit %v is less than the idle limit %v", cfg.Absolute, cfg.Idle)
	}
	return errors.Join(errs...)
}

// Forget has the store be asked anew for a session.
func (s *Sessions) Forget(id ID) { s.good.Forget(id) }

// ForgetAll has the store be asked anew for all sessions and their users.
func (s *Sessions) ForgetAll() { s.good.ForgetAll() }

// Kind tells which kind of sessions these are.
func (s *Sessions) Kind() Kind { return s.cfg.Kind }

// now is the time as stores keep it.
func (s *Sessions) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// session is the session of a record, whose user is who.
func (rec Record) session(who user.Record) Session {
	return Session{
		ID:              rec.ID,
		User:            who,
		Provider:        rec.Provider,
		Issuer:          rec.Issuer,
		Subject:         rec.Subject,
		ProviderSession: rec.ProviderSession,
		Scopes:          rec.Scopes,
		AuthTime:        rec.AuthTime,
		Created:         rec.Created,
		Used:            rec.Used,
		Idle:            rec.Idle,
		Expires:         rec.Expires,
		Agent:           rec.Agent,
	}
}

// clone shares nothing with s that its holder could change.
func (s Session) clone() Session {
	s.Scopes = cloneScopes(s.Scopes)
	return s
}

func cloneScopes(m map[string][]string) map[string][]string {
	m = maps.Clone(m)
	for name, scopes := range m {
		m[name] = slices.Clone(scopes)
	}
	return m
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// logger is the default of log/slog as it is by now: servers set theirs late.
func (s *Sessions) logger() *slog.Logger { return cmp.Or(s.cfg.Logger, slog.Default()) }
