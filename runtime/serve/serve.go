// Package serve runs a handler as an HTTPS server: with limits on what a
// request may take, with safe headers on every answer, and with a stop that
// lets running requests finish.
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

	"github.com/gatewright/gatewright/runtime/config"
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
func Run(ctx context.Context, cfg config.Config, h http.Handler) error {
	if h == nil {
		return errors.New("serve: there is no handler")
	}
	cfg, err := config.Check(cfg)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	logger := cmp.Or(cfg.Logger, newLogger(cfg.Log, os.Stderr))
	certificate, authority, err := tlsConfig(cfg)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	listener, err := listen(ctx, cfg)
	if err != nil {
		return err
	}

	slog.SetDefault(logger)
	attrs := []any{slog.String("public_url", cfg.PublicURL)}
	if authority == "" {
		attrs = append(attrs, slog.String("tls", "files"))
	} else {
		attrs = append(attrs, slog.String("tls", "development"), slog.String("authority", authority))
	}
	logger.Info("listening on https://"+listener.Addr().String(), attrs...)
	if cfg.Listening != nil {
		cfg.Listening(listener.Addr())
	}
	return serve(ctx, cfg, logger, certificate, listener, h)
}

// serve runs the server on the listener, which it closes.
func serve(ctx context.Context, cfg config.Config, logger *slog.Logger, certificate *tls.Config, listener net.Listener, h http.Handler) error {
	// A request that runs when the server stops is not to end with ctx.
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
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
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()

	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
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

// tlsConfig loads or makes the certificate. authority is the file of the
// development authority that signed it, "" where there is none.
func tlsConfig(cfg config.Config) (c *tls.Config, authority string, err error) {
	if !cfg.TLS.Dev {
		c, err = tlsconf.Files(cfg.TLS.Cert, cfg.TLS.Key)
		return c, "", err
	}
	a, err := tlsconf.OpenAuthority("")
	if err != nil {
		return nil, "", err
	}
	c, err = a.TLSConfig(append(localNames(), hostname(cfg.PublicURL))...)
	return c, a.CertFile(), err
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
