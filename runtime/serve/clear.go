package serve

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/origin"
	"github.com/gatewright/gatewright/runtime/problem"
)

// A refuser answers requests that came in the clear. It serves nothing: pages
// are redirected to the public URL, everything else is refused, so that a client
// that is set up badly fails at once and does not send its credentials in the
// clear for good.
type refuser struct {
	publicURL string
	app       App
	logger    *slog.Logger
}

// ServeHTTP refuses a request or redirects it.
func (c *refuser) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Strict-Transport-Security") // RFC 6797, section 7.2
	if c.app.Exposed != nil {
		for _, id := range c.app.Exposed(r) {
			audit.Log(r.Context(), c.logger, "api key exposed", slog.String("key", id), slog.String("address", r.RemoteAddr),
				slog.String("cause", "it was sent without TLS: whoever has it has to renew it"))
		}
	}
	if !c.isPage(r) {
		problem.Write(w, r, problem.New(http.StatusForbidden, "transport_insecure",
			"The request came without TLS and was not answered. What it held, others may have read: renew a key that was in it, and use "+c.publicURL+"."))
		return
	}
	http.Redirect(w, r, c.publicURL+target(r), http.StatusPermanentRedirect)
}

// isPage tells whether r asks for a page, as a browser does where somebody has
// typed an address: not for an operation, and without credentials.
func (c *refuser) isPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header["Authorization"] != nil {
		return false
	}
	api, ok := c.app.API.(interface{ Answers(path string) bool })
	return ok && strings.HasPrefix(r.URL.Path, "/") && !api.Answers(r.URL.EscapedPath())
}

// target is the path and query of r as they came. A second slash would make a
// host of what follows where a browser reads the answer.
func target(r *http.Request) string {
	at := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
	if r.URL.RawQuery != "" {
		at += "?" + r.URL.RawQuery
	}
	return at
}

// behindProxy has next serve what came to a trusted proxy over TLS, with the
// client's address in the place of the proxy's, and clear answer the rest.
func behindProxy(f origin.Forwarder, clear, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remote, secure := f.Client(r)
		passed := new(http.Request)
		*passed = *r
		passed.RemoteAddr = remote
		if !secure {
			clear.ServeHTTP(w, passed)
			return
		}
		next.ServeHTTP(w, passed)
	})
}

// newPlainServer makes the server of the listener of plain HTTP.
func newPlainServer(base context.Context, cfg config.Config, logger *slog.Logger, clear, health http.Handler) *http.Server {
	g := newGuard(cfg, logger, clear)
	g.hsts, g.health = false, health
	g.local = append(g.local, hosts(cfg)...) // its port is another one
	return &http.Server{
		Handler:                      g,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            cfg.Limits.HeaderTime,
		ReadTimeout:                  cfg.Limits.HeaderTime,
		WriteTimeout:                 10 * time.Second,
		IdleTimeout:                  10 * time.Second,
		MaxHeaderBytes:               int(cfg.Limits.HeaderBytes),
		ErrorLog:                     errorLog(logger),
		BaseContext:                  func(net.Listener) context.Context { return base },
	}
}
