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
	"time"

	"github.com/gatewright/gatewright/runtime/clientcert"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/origin"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// Run serves h over TLS (HTTP/2 and HTTP/1.1) until ctx is done. Then it takes
// no new connections, lets running requests finish within cfg.Shutdown.Grace
// and returns nil; where some are still running after that, they are cut off
// and the error says so. The context of a request is not ended by ctx.
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
// that h has an operation for is an error, as far as h says so by a method
// Answers(path string) bool, for paths as url.URL.EscapedPath gives them.
//
// Where cfg.Admin names an address, plain HTTP is served there to this machine:
// /healthz answers 200 while the program runs, /readyz a line for each check,
// and 503 if one fails or the server is stopping.
func Run(ctx context.Context, cfg config.Config, h http.Handler, checks ...Check) error {
	if h == nil {
		return errors.New("serve: there is no handler")
	}
	cfg, err := config.Check(cfg)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	logger := cmp.Or(cfg.Logger, newLogger(cfg.Log, os.Stderr))
	certificate, authority, err := tlsConfig(cfg, logger)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	certificate = clientcert.Ask(certificate, cfg.ClientCerts.Hosts)
	if cfg.Files != nil {
		if h, err = newFiles(cfg.Files, h); err != nil {
			return err
		}
	}
	h = origin.CORS(origin.CORSConfig{Origins: cfg.CORS.Origins, Credentials: cfg.CORS.Credentials}, h)
	h = clientcert.FromProxies(cfg.ClientCerts.Prefixes(), h)
	admin, err := newAdmin(checks)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	var adminListener net.Listener
	if cfg.Admin.Listen != "" {
		if adminListener, err = listenAdmin(ctx, cfg.Admin.Listen); err != nil {
			_ = listener.Close()
			return err
		}
	}

	slog.SetDefault(logger)
	attrs := []any{slog.String("public_url", cfg.PublicURL)}
	if authority == "" {
		attrs = append(attrs, slog.String("tls", "files"))
	} else {
		attrs = append(attrs, slog.String("tls", "development"), slog.String("authority", authority))
	}
	logger.Info("listening on https://"+listener.Addr().String(), attrs...)
	if adminListener != nil {
		logger.Info("admin listener on http://" + adminListener.Addr().String())
	}
	if cfg.Listening != nil {
		cfg.Listening(listener.Addr())
	}
	// A request that runs when the server stops is not to end with ctx.
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	failed := make(chan error, 2)
	server := newServer(base, cfg, logger, certificate, h)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	if adminListener != nil {
		adminServer := admin.server(base, logger)
		defer adminServer.Close() // last: that the server stops is to be seen there
		go func() { failed <- adminServer.Serve(adminListener) }()
	}

	select {
	case err := <-failed:
		_ = server.Close()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	admin.stopping.Store(true)
	logger.Info("stopping", slog.Duration("grace", cfg.Shutdown.Grace))
	grace, cancel := context.WithTimeout(base, cfg.Shutdown.Grace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // connections that fail to close are gone all the same
		return fmt.Errorf("serve: requests were still running %s after the stop and were cut off: %w", cfg.Shutdown.Grace, err)
	}
	logger.Info("stopped")
	return nil
}

// newServer makes the server of the API.
func newServer(base context.Context, cfg config.Config, logger *slog.Logger, certificate *tls.Config, h http.Handler) *http.Server {
	return &http.Server{
		Handler:   newGuard(cfg, logger, h),
		TLSConfig: certificate,
		// OPTIONS * goes the way of all requests.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            cfg.Limits.HeaderTime,
		ReadTimeout:                  cfg.Limits.HeaderTime + cfg.Limits.BodyTime, // net/http counts both from the first byte
		WriteTimeout:                 cfg.Limits.AnswerTime,
		IdleTimeout:                  cfg.Limits.IdleTime,
		MaxHeaderBytes:               int(cfg.Limits.HeaderBytes),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 100,
			SendPingTimeout:      30 * time.Second, // finds connections that went silent inside a frame
			PingTimeout:          15 * time.Second,
			WriteByteTimeout:     30 * time.Second,
		},
		ErrorLog:    errorLog(logger),
		BaseContext: func(net.Listener) context.Context { return base },
	}
}

// tlsConfig loads or makes the certificates. authority is the file of the
// development authority that signed them, "" where there is none.
func tlsConfig(cfg config.Config, logger *slog.Logger) (c *tls.Config, authority string, err error) {
	if !cfg.TLS.Dev {
		files, err := tlsconf.Files(cfg.TLS.Pairs(), hosts(cfg), func() *slog.Logger { return logger })
		if err != nil {
			return nil, "", err
		}
		return files.Config(), "", nil
	}
	a, err := tlsconf.OpenAuthority("")
	if err != nil {
		return nil, "", err
	}
	c, err = a.TLSConfig(append(localNames(), hosts(cfg)...)...)
	return c, a.CertFile(), err
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

func listen(ctx context.Context, cfg config.Config) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // the rest is said here
		}
		return nil, fmt.Errorf("serve: cannot listen on %s: %w (another address is set by listen or GATEWRIGHT_LISTEN)", cfg.Listen, err)
	}
	// localhost is what the machine's resolver makes of it.
	if address, ok := listener.Addr().(*net.TCPAddr); (cfg.Dev || cfg.TLS.Dev) && (!ok || !address.IP.IsLoopback()) {
		_ = listener.Close()
		return nil, fmt.Errorf("serve: %s is not a loopback address, and development is on", listener.Addr())
	}
	return listener, nil
}
