package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatewright/gatewright/runtime/problem"
)

// A Check tells whether something that the server needs is there: the store,
// an identity provider. [Run] answers /readyz of the admin listener by them.
type Check struct {
	Name string // one word, such as store
	// Func returns nil where all is well. Its error is shown to whoever asks
	// the admin listener, and so holds no secret. It is given two seconds,
	// and is not called again before it has returned.
	Func func(context.Context) error
}

// checkTime is what one check may take.
const checkTime = 2 * time.Second

// An admin answers those who run the server.
type admin struct {
	checks   []*probe
	stopping atomic.Bool
	metrics  http.Handler

	mu    sync.Mutex
	asked time.Time // when the checks were asked last for everybody
	well  bool      // what they said
}

// A probe is a check that runs once at a time.
type probe struct {
	Check
	busy chan struct{} // holds one while Func runs
}

func newAdmin(checks []Check) (*admin, error) {
	a := &admin{metrics: http.NotFoundHandler()}
	for i, c := range checks {
		if c.Name == "" || c.Func == nil {
			return nil, fmt.Errorf("serve: check %d has no name or no function", i)
		}
		a.checks = append(a.checks, &probe{c, make(chan struct{}, 1)})
	}
	return a, nil
}

// handler answers /healthz, /readyz and /metrics. Only for names of this machine:
// a page whose name is made to point here (DNS rebinding) learns nothing.
func (a *admin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { say(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", a.metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		if !isLocal(r.Host) {
			problem.Write(w, r, problem.New(http.StatusMisdirectedRequest, "host_unknown", "This server does not answer for the host of the request."))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isHealth tells whether r asks for what public_health shows to everybody.
func isHealth(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && slices.Contains(healthPaths, r.URL.Path)
}

var healthPaths = []string{"/healthz", "/readyz"}

// public answers /healthz and /readyz in a word: what the server needs, and what
// is wrong with it, is nobody's business.
func (a *admin) public(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" || a.isReady(r.Context()) {
		say(w, http.StatusOK, "ok\n")
		return
	}
	say(w, http.StatusServiceUnavailable, "not ready\n")
}

// isReady tells whether all checks are well. They are asked once a second at
// most, however many ask.
func (a *admin) isReady(ctx context.Context) bool {
	if a.stopping.Load() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.asked) > time.Second {
		// Whoever asked may hang up: others wait for the answer.
		a.well = !slices.ContainsFunc(a.ask(context.WithoutCancel(ctx)), func(err error) bool { return err != nil })
		a.asked = time.Now()
	}
	return a.well
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// isLocal tells whether a Host header names this machine by a loopback name.
func isLocal(host string) bool {
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	addr, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// ready says of each check how it went: 200 where all are well, else 503. A
// server that is stopping is not ready, whatever they say.
func (a *admin) ready(w http.ResponseWriter, r *http.Request) {
	if a.stopping.Load() {
		say(w, http.StatusServiceUnavailable, "server: stopping\n")
		return
	}
	if len(a.checks) == 0 {
		say(w, http.StatusOK, "ok\n")
		return
	}
	found := a.ask(r.Context())
	status, text := http.StatusOK, ""
	for i, c := range a.checks {
		line := "ok"
		if found[i] != nil {
			status, line = http.StatusServiceUnavailable, oneLine(found[i].Error())
		}
		text += c.Name + ": " + line + "\n"
	}
	say(w, status, text)
}

// ask runs all checks at once.
func (a *admin) ask(ctx context.Context) []error {
	found := make([]error, len(a.checks))
	var all sync.WaitGroup
	for i, c := range a.checks {
		all.Go(func() { found[i] = c.run(ctx) })
	}
	all.Wait()
	return found
}

// run asks the check, for checkTime at most. One that does not keep to its
// context is left alone, and counts as failed until it returns.
func (c *probe) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	late := errors.New("no answer within " + checkTime.String())
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		cancel()
		return late
	}
	done := make(chan error, 1)
	go func() {
		defer cancel()
		defer func() { <-c.busy }()
		defer func() {
			if cause := recover(); cause != nil {
				slog.ErrorContext(ctx, "check panicked", slog.String("check", c.Name), slog.Any("cause", cause))
				done <- errors.New("panicked, see the log")
			}
		}()
		done <- c.Func(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return late
	}
}

// oneLine keeps what an error says from looking like further lines.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ReplaceAll(text, "\n", "; "))
}

// server makes the server for the admin listener.
func (a *admin) server(ctx context.Context, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second, // checks included
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          errorLog(logger),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}
