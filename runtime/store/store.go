// Package store opens what a server keeps its records in. Which stores there
// are is what main.go passes: a server links no other.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// Shared is what replicas of a server share and what may be lost without loss
// of anybody's account: people sign in again. Its methods may be called
// concurrently; none may be called after Close.
type Shared interface {
	Sessions() session.Store
	Revocations() session.Revocations
	Marks() session.Marks
	Locks() session.Locks
	// Limits counts failed attempts for all replicas; nil where this kind of
	// store does not: each replica then counts its own.
	Limits() limit.Shared
	// Watch calls changed, from one goroutine, for what any program has
	// changed that others may remember, its own changes among them, until
	// ctx is done, and then returns. Word that is lost is lost: it calls
	// changed with the zero Change when it has begun to listen and whenever
	// it had to begin anew. A kind of store that cannot tell returns at once.
	Watch(ctx context.Context, changed func(Change))
	// Sweep removes what has ended by now, used or not, and need not be
	// remembered any longer: sessions, revocations, marks and locks, and
	// keys that have been dead for apikey.KeptDead. It removes a bounded number
	// in one call, the rest in the next: call it every minute or so. It may
	// run on several replicas at once.
	Sweep(ctx context.Context, now time.Time) error
	// Check tells whether the store can answer now.
	Check(ctx context.Context) error
	Close() error
}

// Stores keep all of a server's records.
type Stores interface {
	Shared
	Keys() apikey.Store
	Users() user.Store
}

// A Change is what was changed in a store. The zero Change: anything.
type Change struct {
	Kind Kind
	ID   string // as the package of the record prints it; "": any of the kind
}

// A Kind is what a change is of.
type Kind string

const (
	Anything   Kind = ""
	Key        Kind = "key"        // revoked, rotated or relabelled
	User       Kind = "user"       // disabled, enabled, or with other scopes
	Session    Kind = "session"    // ended, or its tokens or scopes replaced
	Revocation Kind = "revocation" // what ends sealed sessions; it has no ID
)

// A Driver opens stores of one kind.
type Driver interface {
	// Schemes are what stands before the colon of its URLs, in lower case.
	Schemes() []string
	// Open opens what url names, and brings its tables up to date. It
	// refuses tables that a newer program has made. Its errors do not quote
	// a password of url. What it returns is a Stores where this kind keeps
	// keys and users too.
	Open(ctx context.Context, url string) (Shared, error)
}

// An Inspector is a Driver that can look without changing anything.
type Inspector interface {
	// Inspect tells how far the tables of what url names have come. An error
	// means that they cannot be used. It quotes no password.
	Inspect(ctx context.Context, url string) (Schema, error)
}

// A Schema is how far tables have come.
type Schema struct {
	Version int // 0: there are none yet
	Known   int // what this program brings them to; 0 where there are no tables
}

// Inspect looks at what a URL names with the one of drivers that has its scheme.
func Inspect(ctx context.Context, url string, drivers ...Driver) (Schema, error) {
	scheme, _, _ := strings.Cut(url, ":")
	for _, d := range drivers {
		if i, ok := d.(Inspector); ok && slices.Contains(d.Schemes(), scheme) {
			return i.Inspect(ctx, url)
		}
	}
	return Schema{}, fmt.Errorf("store: nothing here knows stores of the kind %s", scheme)
}

// A Config says where records are kept.
type Config struct {
	URL string // of everything, but for what Sessions takes
	// Sessions is the URL of the sessions, revocations, marks, locks and
	// limits; "": they are kept with everything else.
	Sessions string
}

// known are the drivers of this project, by scheme: package and variable.
var known = map[string][2]string{
	"sqlite":     {"github.com/gatewright/gatewright/runtime/store/sqlite", "sqlite.Driver"},
	"postgres":   {"github.com/gatewright/gatewright/runtime/store/postgres", "postgres.Driver"},
	"postgresql": {"github.com/gatewright/gatewright/runtime/store/postgres", "postgres.Driver"},
	"redis":      {"github.com/gatewright/gatewright/runtime/store/redis", "redis.Driver"},
	"rediss":     {"github.com/gatewright/gatewright/runtime/store/redis", "redis.Driver"},
}

// Open opens what cfg names with those of drivers that have its schemes. Its
// calls are timed in the metrics.
func Open(ctx context.Context, cfg Config, drivers ...Driver) (Stores, error) {
	shared, err := open(ctx, "store", cfg.URL, drivers)
	if err != nil {
		return nil, err
	}
	main, ok := shared.(Stores)
	if !ok {
		scheme, _, _ := strings.Cut(cfg.URL, ":")
		return nil, errors.Join(fmt.Errorf("store: %s keeps no keys and no users: set store to sqlite:FILE or postgres://HOST/DATABASE, and sessions_store to the URL of %s", scheme, scheme), shared.Close())
	}
	if cfg.Sessions == "" {
		return timed{main}, nil
	}
	sessions, err := open(ctx, "sessions_store", cfg.Sessions, drivers)
	if err != nil {
		return nil, errors.Join(err, main.Close())
	}
	if _, ok := sessions.(Stores); ok {
		// Its sessions are of its own users, and there are none.
		return nil, errors.Join(errors.New("store: sessions_store names a store of keys and users too, which keeps sessions of its own users alone: name redis://HOST there, or leave it out"), sessions.Close(), main.Close())
	}
	return timed{&split{Stores: main, sessions: sessions}}, nil
}

// open opens the URL of a setting.
func open(ctx context.Context, setting, url string, drivers []Driver) (Shared, error) {
	scheme, _, ok := strings.Cut(url, ":")
	if !ok || scheme == "" {
		return nil, fmt.Errorf("store: the URL of %s begins with no scheme; a file beside the program is sqlite:server.db", setting)
	}
	var found Driver
	var names []string
	for _, d := range drivers {
		if d == nil {
			return nil, errors.New("store: a driver is nil")
		}
		names = append(names, d.Schemes()...)
		if !slices.Contains(d.Schemes(), scheme) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("store: two drivers for %s", scheme)
		}
		found = d
	}
	if found == nil {
		return nil, lacking(scheme, names)
	}
	shared, err := found.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return shared, nil
}

// lacking says what main.go has to pass for a scheme.
func lacking(scheme string, names []string) error {
	have := "main.go passes none"
	if len(names) > 0 {
		have = "main.go passes those for " + strings.Join(names, ", ")
	}
	driver, ok := known[scheme]
	if !ok {
		return fmt.Errorf("store: no driver for %q: %s", scheme, have)
	}
	return fmt.Errorf("store: no driver for %q: %s: import %q there and pass %s to Run", scheme, have, driver[0], driver[1])
}
