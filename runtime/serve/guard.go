package serve

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/metrics"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// A guard stands before the handler: headers, host, size of the body, panics.
type guard struct {
	handler  http.Handler
	logger   *slog.Logger
	hosts    []string // what browsers may send for the public URL
	asking   []string // hosts for which certificates of clients are asked for
	local    []string // in development: more hosts, with any port
	hsts     bool
	maxBytes int64
	measured bool         // there are metrics
	health   http.Handler // nil: it is not for everybody
	leaving  atomic.Bool  // clients are to take their next request elsewhere
}

func newGuard(cfg config.Config, logger *slog.Logger, h http.Handler) *guard {
	g := &guard{
		handler:  h,
		logger:   logger,
		hosts:    []string{strings.TrimPrefix(cfg.PublicURL, "https://")},
		hsts:     !cfg.Dev && !tlsconf.IsLoopback(hostname(cfg.PublicURL)),
		maxBytes: cfg.Limits.BodyBytes,
		asking:   cfg.ClientCerts.Hosts,
	}
	for _, host := range cfg.ClientCerts.Hosts {
		g.hosts = append(g.hosts, withPort(host, cfg.PublicURL)...)
	}
	// The public URL has its port unless that is 443, and 443 may be said.
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Port() == "" {
		g.hosts = append(g.hosts, u.Host+":443")
	}
	if cfg.Dev || cfg.TLS.Dev {
		g.local = append(localNames(), hostname(cfg.PublicURL))
	}
	return g
}

// ServeHTTP lets the handler answer, or refuses in its place.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.setHeader(w.Header())
	// Whoever asks for health knows no name of the server, and perhaps no TLS.
	if g.health != nil && isHealth(r) {
		g.health.ServeHTTP(w, r)
		return
	}
	if g.leaving.Load() {
		w.Header().Set("Connection", "close") // HTTP/2 sends GOAWAY for it
	}
	if !g.knows(r.Host) {
		problem.Write(w, r, problem.New(http.StatusMisdirectedRequest, "host_unknown", "This server does not answer for the host of the request."))
		return
	}
	if g.astray(r) {
		// Browsers then open a connection of its own for it (RFC 9110,
		// section 15.5.20).
		problem.Write(w, r, problem.New(http.StatusMisdirectedRequest, "connection_misdirected", "The connection was made for another host, where no certificate is asked for."))
		return
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w, r.Body, g.maxBytes)
	}
	t := &tracker{ResponseWriter: w}
	if g.measured {
		t.measured = r.Context()
		metrics.Begin(r.Context())
		defer func(begun time.Time) {
			metrics.End(r.Context(), t.operation, r.Method, cmp.Or(t.status, http.StatusOK), time.Since(begun))
		}(time.Now())
	}
	defer g.recover(t, r)
	g.handler.ServeHTTP(t, r)
}

// astray tells whether a request for a host that asks for certificates came on a
// connection that was made for another, as HTTP/2 lets browsers do.
func (g *guard) astray(r *http.Request) bool {
	if len(g.asking) == 0 || r.TLS == nil || r.TLS.ServerName == "" {
		return false
	}
	asks := func(host string) bool { return slices.Contains(g.asking, strings.ToLower(host)) }
	name := r.Host
	if n, _, err := net.SplitHostPort(r.Host); err == nil {
		name = n
	}
	return asks(name) && !asks(strings.TrimSuffix(r.TLS.ServerName, "."))
}

// withPort is host as the Host header has it, at the port of an origin.
func withPort(host, origin string) []string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u, err := url.Parse(origin)
	if err != nil || u.Port() == "" {
		return []string{host, host + ":443"}
	}
	return []string{host + ":" + u.Port()}
}

// localNames are the names of this machine that development serves.
func localNames() []string { return []string{"localhost", "127.0.0.1", "::1"} }

// setHeader sets what every answer has unless the handler says otherwise.
func (g *guard) setHeader(h http.Header) {
	if g.hsts {
		h.Set("Strict-Transport-Security", "max-age=31536000") // a year
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
}

// knows tells whether host, the Host header or what HTTP/2 has in its place,
// is one that this server answers for. A page of another name that has its DNS
// point here (DNS rebinding) is none.
func (g *guard) knows(host string) bool {
	host = strings.ToLower(host)
	if slices.Contains(g.hosts, host) {
		return true
	}
	name := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	return slices.Contains(g.local, name)
}

// recover ends a panic of the handler. http.ErrAbortHandler is its way to end
// the connection without a word, and goes on to net/http.
func (g *guard) recover(t *tracker, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	err := fmt.Errorf("serve: the handler panicked: %v\n%s", cause, debug.Stack())
	if t.begun {
		// The client must not take half an answer for a whole one.
		g.logger.ErrorContext(r.Context(), "answer cut off", slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()), slog.String("cause", err.Error()))
		panic(http.ErrAbortHandler)
	}
	// What the handler meant to say, a cookie perhaps, is not for this answer.
	// Pages of other origins may still read that it failed.
	maps.DeleteFunc(t.Header(), func(name string, _ []string) bool {
		return name != "Vary" && !strings.HasPrefix(name, "Access-Control-")
	})
	g.setHeader(t.Header())
	problem.Write(t, r, err)
}

// A tracker knows whether the answer has begun, and what it is to.
type tracker struct {
	http.ResponseWriter
	begun     bool
	status    int             // 0: none was said
	operation string          // "": none was asked for
	measured  context.Context // nil: nothing is
}

// Decided implements gate.Observer.
func (t *tracker) Decided(op *gate.Operation, reason string) {
	t.operation = op.ID
	if t.measured != nil {
		metrics.Decision(t.measured, op.ID, reason)
	}
}

// WriteHeader implements http.ResponseWriter.
func (t *tracker) WriteHeader(status int) {
	// The answer itself is still to come after 100 to 199, but for 101.
	if status >= 200 || status == http.StatusSwitchingProtocols {
		t.begun = true
		t.status = cmp.Or(t.status, status)
	}
	t.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (t *tracker) Write(b []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (t *tracker) Flush() { _ = t.FlushError() }

// FlushError is what http.ResponseController calls.
func (t *tracker) FlushError() error {
	t.begun = true
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// Unwrap gives http.ResponseController the rest.
func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }
