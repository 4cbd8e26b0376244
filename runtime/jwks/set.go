// Package jwks verifies signatures with the keys that a provider publishes. It
// fetches them when they are needed, seldom, and one fetch at a time, whatever
// tokens strangers send.
package jwks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/fetch"
)

// ErrUnavailable means that the keys cannot be had, so that nothing is known
// of the token.
var ErrUnavailable = errors.New("jwks: the provider's keys cannot be had")

// A Config says where keys are published and what they may be used for.
type Config struct {
	URL    string
	Client *http.Client // as fetch.New makes it; one without a time limit is refused
	// Algorithms are those that tokens may be signed with, asymmetric ones
	// alone. They are never taken from the provider.
	Algorithms []string
	// Interval is the least time between two fetches for tokens that no key
	// held verifies, and after a fetch that failed. Default 10 s.
	Interval time.Duration
	// MaxAge is the time for which keys are held. Where no others can be
	// had by then, they still count for MaxStale, and others are asked for
	// once an Interval. Defaults 24 h and 7 days.
	MaxAge   time.Duration
	MaxStale time.Duration
	MaxKeys  int              // of a set; one with more is refused as a whole. Default 100
	Logger   *slog.Logger     // nil: slog.Default()
	Now      func() time.Time // nil: time.Now
}

// A Set is a key set somewhere else. Its methods may be called concurrently.
type Set struct {
	cfg  Config
	host string

	mu     sync.Mutex
	held   *keys     // nil before the first fetch that succeeded
	flight *flight   // nil while nothing is fetched
	began  time.Time // when the last fetch began
	failed error     // how it ended; nil for well
	asked  time.Time // when the last fetch for an unknown key began
	// version counts the sets that were held, as far as they differ.
	version atomic.Uint64
}

// A flight is a fetch that goes on. Its other members are set before done is closed.
type flight struct {
	done chan struct{}
	keys *keys
	err  error
}

// New returns the set that cfg describes. It fetches nothing yet. Its error
// names everything wrong with cfg.
func New(cfg Config) (*Set, error) {
	cfg.Interval = cmp.Or(cfg.Interval, 10*time.Second)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 24*time.Hour)
	cfg.MaxStale = cmp.Or(cfg.MaxStale, 7*24*time.Hour)
	cfg.MaxKeys = cmp.Or(cfg.MaxKeys, 100)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var errs []error
	u, err := url.Parse(cfg.URL)
	if err != nil {
		errs = append(errs, errors.New("jwks: the URL cannot be read"))
	} else if err := fetch.CheckURL(u); err != nil {
		errs = append(errs, fmt.Errorf("jwks: %w", err))
	}
	if cfg.Client == nil || cfg.Client.Timeout <= 0 {
		errs = append(errs, errors.New("jwks: the client is missing or has no time limit"))
	}
	if err := CheckAlgorithms(cfg.Algorithms); err != nil {
		errs = append(errs, fmt.Errorf("jwks: %w", err))
	}
	if cfg.Interval < 0 || cfg.MaxAge < 0 || cfg.MaxStale < 0 || cfg.MaxKeys < 0 {
		errs = append(errs, errors.New("jwks: a limit is negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Set{cfg: cfg, host: u.Host}, nil
}

// VerifySignature returns the payload of a signed token in compact form where
// one of the set's keys signed it: one with the token's kid, or any if the
// token names none. The header has been checked then as ParseHeader does, and
// its algorithm. Where no key that is held will do, the set is fetched again,
// but at most once an Interval, since anybody can send such tokens. The error
// wraps ErrUnavailable where keys cannot be had; any other means that the
// token is not good. No error quotes the token.
func (s *Set) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	h, err := ParseHeader(token)
	if err != nil {
		return nil, err
	}
	if err := h.CheckAlgorithm(s.cfg.Algorithms); err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(h.Algorithm)})
	if err != nil {
		return nil, errors.New("jwks: the token's header cannot be read")
	}
	held, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := held.verify(jws, h)
	if err == nil {
		return payload, nil
	}
	newer, unavailable := s.newer(ctx, held)
	if unavailable != nil {
		return nil, unavailable
	}
	if newer == held {
		return nil, err
	}
	return newer.verify(jws, h)
}

// Ready fetches the keys unless they are held, and tells whether there are
// any. The error wraps ErrUnavailable.
func (s *Set) Ready(ctx context.Context) error {
	_, err := s.load(ctx)
	return err
}

// Version tells the key sets that were held apart: it grows whenever another
// one takes the place of what was held. What was verified with one version need
// not be good with the next.
func (s *Set) Version() uint64 {
	return s.version.Load()
}

// staleTime is how long somebody waits for newer keys where old ones still count
// and the provider answered last time.
const staleTime = time.Second

// load returns the keys held, fetched first where there are none or they are old.
func (s *Set) load(ctx context.Context) (*keys, error) {
	s.mu.Lock()
	held, now := s.held, s.cfg.Now()
	if held != nil && now.Sub(held.at) < s.cfg.MaxAge {
		s.mu.Unlock()
		return held, nil
	}
	failed := s.failed != nil
	f := s.fly(ctx, now)
	s.mu.Unlock()
	if held == nil || now.Sub(held.at) >= s.cfg.MaxAge+s.cfg.MaxStale {
		return f.wait(ctx)
	}
	if failed {
		return held, nil // there is little hope
	}
	patience, end := context.WithTimeout(ctx, staleTime)
	defer end()
	fetched, err := f.wait(patience)
	if err != nil && ctx.Err() == nil {
		return held, nil
	}
	return fetched, err
}

// newer returns keys fetched after those of old, or old where it is too soon
// for that.
func (s *Set) newer(ctx context.Context, old *keys) (*keys, error) {
	s.mu.Lock()
	if s.held != old {
		defer s.mu.Unlock()
		return s.held, nil
	}
	now := s.cfg.Now()
	if s.flight == nil {
		if s.failed == nil && now.Sub(s.asked) < s.cfg.Interval {
			defer s.mu.Unlock()
			return old, nil
		}
		s.asked = now
	}
	f := s.fly(ctx, now)
	s.mu.Unlock()
	return f.wait(ctx)
}

// fly returns the fetch that goes on, or begins one, or where the last one
// failed just now, returns that. The caller holds the lock.
func (s *Set) fly(ctx context.Context, now time.Time) *flight {
	if s.flight != nil {
		return s.flight
	}
	f := &flight{done: make(chan struct{})}
	if s.failed != nil && now.Sub(s.began) < s.cfg.Interval {
		f.err = s.failed
		close(f.done)
		return f
	}
	s.flight, s.began = f, now
	// Others wait for it too, so it does not end with the request that began it.
	go s.fetch(context.WithoutCancel(ctx), f)
	return f
}

func (s *Set) fetch(ctx context.Context, f *flight) {
	f.keys, f.err = s.get(ctx)
	if f.err != nil {
		s.logger().WarnContext(ctx, "keys of a provider cannot be fetched", "host", s.host, "error", f.err)
	} else {
		s.logger().InfoContext(ctx, "keys of a provider fetched", "host", s.host, "keys", len(f.keys.list), "of no use", f.keys.skipped)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed = f.err; f.err == nil {
		if s.held == nil || s.held.digest != f.keys.digest {
			s.version.Add(1)
		}
		s.held = f.keys
	}
	s.flight = nil
	close(f.done)
}

// get asks the provider. A panic would end the program, as no server's
// handler stands above: what a provider writes shall not.
func (s *Set) get(ctx context.Context) (set *keys, err error) {
	defer func() {
		if p := recover(); p != nil {
			set, err = nil, fmt.Errorf("jwks: panic: %v", p)
		}
	}()
	at := s.cfg.Now()
	var answer struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := fetch.JSON(ctx, s.cfg.Client, s.cfg.URL, nil, &answer); err != nil {
		return nil, err
	}
	if answer.Keys == nil {
		return nil, errors.New("jwks: the answer is no key set")
	}
	if len(answer.Keys) > s.cfg.MaxKeys {
		return nil, fmt.Errorf("jwks: a set of %d keys, at most %d are taken", len(answer.Keys), s.cfg.MaxKeys)
	}
	return parse(answer.Keys, at), nil
}

// wait returns what the flight brought, unless the caller leaves before.
func (f *flight) wait(ctx context.Context) (*keys, error) {
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	if f.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, f.err)
	}
	return f.keys, nil
}

// logger is the default of log/slog as it is by now: servers set theirs late.
func (s *Set) logger() *slog.Logger { return cmp.Or(s.cfg.Logger, slog.Default()) }
