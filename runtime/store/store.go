// Package store opens what a server keeps its records in. Which stores there
// are is what main.go passes: a server links no other.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// Stores are the stores behind one URL. Their methods may be called
// concurrently; none may be called after Close.
type Stores interface {
	Keys() apikey.Store
	Users() user.Store
	Sessions() session.Store
	Revocations() session.Revocations
	Marks() session.Marks
	Locks() session.Locks
	// Sweep removes sessions that have ended by now, used or not, and the
	// revocations, marks and locks that need not be remembered any longer.
	// It removes a bounded number in one call, the rest in the next: call it
	// every minute or so. It may run on several replicas at once.
	Sweep(ctx context.Context, now time.Time) error
	// Check tells whether the store can answer now.
	Check(ctx context.Context) error
	Close() error
}

// A Driver opens stores of one kind.
type Driver interface {
	// Scheme is what stands before the colon of its URLs, in lower case.
	Scheme() string
	// Open opens what url names, and brings its tables up to date. It
	// refuses tables that a newer program has made. Its errors do not quote
	// a password of url.
	Open(ctx context.Context, url string) (Stores, error)
}

// known are the drivers of this project, by scheme: package and variable.
var known = map[string][2]string{
	"sqlite": {"github.com/gatewright/gatewright/runtime/store/sqlite", "sqlite.Driver"},
}

// Open opens url with the one of drivers that has its scheme.
func Open(ctx context.Context, url string, drivers ...Driver) (Stores, error) {
	scheme, _, ok := strings.Cut(url, ":")
	if !ok || scheme == "" {
		return nil, errors.New("store: the URL begins with no scheme; a file beside the program is sqlite:server.db")
	}
	var found Driver
	var names []string
	for _, d := range drivers {
		if d == nil {
			return nil, errors.New("store: a driver is nil")
		}
		names = append(names, d.Scheme())
		if d.Scheme() != scheme {
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
	stores, err := found.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return stores, nil
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
