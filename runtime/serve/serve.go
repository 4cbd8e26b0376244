// Package serve runs a handler as an HTTPS server: with limits on what a
// request may take, with safe headers on every answer, and with a stop that
// lets running requests finish. Beside the handler it serves public files, and
// on a listener of their own what those ask who run the server.
package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/gatewright/gatewright/runtime/clientcert"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/origin"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// An App is what a server serves.
type App struct {
	Handler http.Handler
	// API is the part of Handler that answers the document's operations. It tells
	// by a method Answers(path string) bool, for paths as url.URL.EscapedPath
	// gives them, which those are: they are refused where they are asked for
	// without TLS, and not redirected. Without it all paths are.
	API http.Handler
	// Checks are what /readyz says.
	Checks []Check
	// MaxBody is the largest body, in bytes, that an operation says it takes. Where
	// the configuration takes less, the log has a warning.
	MaxBody int64
	// Reload takes over what a running server can of a configuration that was
	// read again: its secrets. May be nil.
	Reload func(config.Config) error
	// Exposed returns the ids of the good API keys in a request that came
	// without TLS. Nil: there are none.
	Exposed func(*http.Request) []string
}

// Run serves app over TLS (HTTP/2 and HTTP/1.1) until ctx is done. Then it says on
// /readyz that it is stopping and asks clients to go elsewhere, for
// cfg.Shutdown.Delay, takes no new connections, lets running requests finish
// within cfg.Shutdown.Grace and returns nil; where some are still running after
// that, they are cut off and the error says so. The context of a request is not
// ended by ctx.
//
// SIGHUP has a configuration of [config.Load] read again, see [App.Reload]. Where
// systemd started the process, it is told when the server is ready, reads its
// configuration again, and stops.
//
// cfg is checked as by [config.Check]. From when the server listens on, the
// logger of cfg is the default of log/slog.
//
// Every answer has the headers of a server of data: it must not be stored,
// framed, or run as a page (handlers set others on pages), and
// Strict-Transport-Security for a year, except in development and where the
// public URL is on loopback, since there it would bind every other server of
// the machine. A request for another host than the public URL's is refused
// with 421 and code host_unknown (RFC 9110, section 15.5.20); in development
// its host, localhost, 127.0.0.1 and ::1 are fine with any port. A panic is answered
// with 500, or ends the connection if the answer has begun.
//
// Pages of the origins in cfg.CORS may read the answers. Files of cfg.Files
// are served to everybody at their paths, index.html also at /; those whose
// name begins with a dot are left out, but for .well-known. A file at a path
// that app.Handler has an operation for is an error, as far as it says so by a
// method Answers(path string) bool, for paths as url.URL.EscapedPath gives them.
//
// What comes without TLS is not served: a page is redirected to the public URL
// (308), an operation refused with 403 and code transport_insecure, and a good
// API key that was in it is named in an audit line by its id. That is so on the
// listener of cfg.Plain, and where proxies of cfg.TLS.BehindProxy end TLS, for
// all that is not from one of them or did not come to it over TLS.
//
// Where cfg.Admin names an address, plain HTTP is served there to this machine:
// /healthz answers 200 while the program runs, /readyz a line for each check,
// and 503 if one fails or the server is stopping, /metrics what package metrics
// counts, for Prometheus. With cfg.PublicHealth the first two are answered to
// everybody too, on every listener and for every host, in one word.
func Run(ctx context.Context, cfg config.Config, app App) error {
	h := app.Handler
	if h == nil {
		return errors.New("serve: there is no handler")
	}
	cfg, err := config.Check(cfg)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	level := new(slog.LevelVar)
	logger := cmp.Or(cfg.Logger, newLogger(cfg.Log, level, os.Stderr))
	keys, err := tlsConfig(cfg, logger)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	certificate := keys.config
	if cfg.Files != nil {
		if h, err = newFiles(cfg.Files, h); err != nil {
			return err
		}
	}
	clear := &refuser{publicURL: cfg.PublicURL, app: app, logger: logger}
	h = newCrowd(cfg.Limits.Requests, cfg.Limits.RequestsPerAddress).bounded(shared(cfg), h)
	h = origin.CORS(origin.CORSConfig{Origins: cfg.CORS.Origins, Credentials: cfg.CORS.Credentials}, h)
	if certificate == nil {
		h = behindProxy(cfg.TLS.Forwarder(), clear, h)
	}
	h = clientcert.FromProxies(cfg.ClientCerts.Forwarder().Trusts, h)
	admin, err := newAdmin(app.Checks)
	if err != nil {
		return err
	}
	if cfg.Admin.Listen != "" {
		if admin.metrics, err = newMetrics(); err != nil {
			return err
		}
	}
	if api, ok := app.Handler.(interface{ Answers(path string) bool }); ok && cfg.PublicHealth {
		for _, path := range healthPaths {
			if api.Answers(path) {
				return fmt.Errorf("serve: public_health would hide what is at %s: leave it out, and have the platform ask -healthcheck", path)
			}
		}
	}
	on, err := listenAll(ctx, cfg, logger)
	if err != nil {
		return err
	}

	slog.SetDefault(logger)
	scheme := "https"
	if certificate == nil {
		scheme = "http"
	}
	logger.Info("listening on "+scheme+"://"+on.main.Addr().String(), append([]any{slog.String("public_url", cfg.PublicURL)}, keys.source...)...)
	if on.plain != nil {
		logger.Info("plain HTTP is redirected or refused on http://" + on.plain.Addr().String())
	}
	if app.MaxBody > cfg.Limits.BodyBytes {
		logger.Warn("limits.body_bytes is below the max_body of an operation, and wins", slog.Int64("body_bytes", cfg.Limits.BodyBytes), slog.Int64("max_body", app.MaxBody))
	}
	if on.admin != nil {
		logger.Info("admin listener on http://" + on.admin.Addr().String())
	}
	if cfg.Listening != nil {
		cfg.Listening(on.main.Addr())
	}
	// A request that runs when the server stops is not to end with ctx.
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	failed := make(chan error, 3)
	guard := newGuard(cfg, logger, h)
	guard.measured = cfg.Admin.Listen != ""
	if cfg.PublicHealth {
		guard.health = http.HandlerFunc(admin.public)
	}
	server := newServer(base, cfg, logger, certificate, guard)
	var open connections
	server.ConnState = open.note
	go func() { failed <- serveOn(server, on.main) }()
	var plain *http.Server
	if on.plain != nil {
		plain = newPlainServer(base, cfg, logger, clear, guard.health)
		defer plain.Close()
		go func() { failed <- plain.Serve(on.plain) }()
	}
	if on.admin != nil {
		adminServer := admin.server(base, logger)
		defer adminServer.Close() // last: that the server stops is to be seen there
		go func() { failed <- adminServer.Serve(on.admin) }()
	}

	hangUp := make(chan os.Signal, 1)
	if cfg.CanReload() {
		signal.Notify(hangUp, syscall.SIGHUP)
		defer signal.Stop(hangUp)
	}
	notify(logger, daemon.SdNotifyReady)
	for running := true; running; {
		select {
		case err := <-failed:
			_ = server.Close()
			return fmt.Errorf("serve: %w", err)
		case <-hangUp:
			notify(logger, reloading())
			reload(ctx, cfg, app, keys, level, logger)
			notify(logger, daemon.SdNotifyReady)
		case <-ctx.Done():
			running = false
		}
	}
	notify(logger, daemon.SdNotifyStopping)
	admin.stopping.Store(true)
	guard.leaving.Store(true)
	logger.Info("stopping", slog.Duration("delay", max(0, cfg.Shutdown.Delay)), slog.Duration("grace", cfg.Shutdown.Grace))
	select {
	case <-time.After(cfg.Shutdown.Delay):
	case err := <-failed:
		_ = server.Close()
		return fmt.Errorf("serve: %w", err)
	}
	grace, cancel := context.WithTimeout(base, cfg.Shutdown.Grace)
	defer cancel()
	_ = on.main.Close()
	<-failed // it accepts no more: all connections are known
	open.drain(grace)
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // connections that fail to close are gone all the same
		return fmt.Errorf("serve: requests were still running %s after the stop and were cut off: %w", cfg.Shutdown.Grace, err)
	}
	logger.Info("stopped")
	return nil
}

// serveOn serves TLS, or plain HTTP where the server has no certificate.
func serveOn(server *http.Server, l net.Listener) error {
	if server.TLSConfig == nil {
		return server.Serve(l)
	}
	return server.ServeTLS(l, "", "")
}

// newServer makes the server of the API.
func newServer(base context.Context, cfg config.Config, logger *slog.Logger, certificate *tls.Config, h http.Handler) *http.Server {
	return &http.Server{
		Handler:   h,
		TLSConfig: certificate,
		// OPTIONS * goes the way of all requests.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            cfg.Limits.HeaderTime,
		ReadTimeout:                  cfg.Limits.HeaderTime + cfg.Limits.BodyTime, // net/http counts both from the first byte
		WriteTimeout:                 cfg.Limits.AnswerTime,
		IdleTimeout:                  cfg.Limits.IdleTime,
		MaxHeaderBytes:               int(cfg.Limits.HeaderBytes),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: cfg.Limits.Streams,
			SendPingTimeout:      30 * time.Second, // finds connections that went silent inside a frame
			PingTimeout:          15 * time.Second,
			WriteByteTimeout:     30 * time.Second,
		},
		ErrorLog:    errorLog(logger),
		BaseContext: func(net.Listener) context.Context { return base },
	}
}

// A keyring is where a server's certificates are from.
type keyring struct {
	config *tls.Config           // nil: a proxy has them
	files  *tlsconf.Certificates // nil: they are not from files
	source []any                 // what the log says of it
}

// tlsConfig loads or makes the certificates.
func tlsConfig(cfg config.Config, logger *slog.Logger) (k keyring, err error) {
	switch {
	case len(cfg.TLS.BehindProxy) > 0:
		k.source = []any{slog.String("tls", "behind a proxy"), slog.Any("proxies", cfg.TLS.BehindProxy)}
		return k, nil
	case cfg.TLS.Dev:
		a, err := tlsconf.OpenAuthority("")
		if err != nil {
			return k, err
		}
		if k.config, err = a.TLSConfig(append(localNames(), hosts(cfg)...)...); err != nil {
			return k, err
		}
		k.source = []any{slog.String("tls", "development"), slog.String("authority", a.CertFile())}
	default:
		if k.files, err = tlsconf.Files(cfg.TLS.Pairs(), hosts(cfg), func() *slog.Logger { return logger }); err != nil {
			return k, err
		}
		k.config, k.source = k.files.Config(), []any{slog.String("tls", "files")}
	}
	k.config = clientcert.Ask(k.config, cfg.ClientCerts.Hosts)
	return k, nil
}

// hosts are the names that the server answers for.
func hosts(cfg config.Config) []string {
	return append([]string{hostname(cfg.PublicURL)}, cfg.ClientCerts.Hosts...)
}

// hostname is the host of an origin, without its port.
func hostname(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return "" // config.Check has parsed it before
	}
	return u.Hostname()
}
