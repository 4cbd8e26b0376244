package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/config"
)

// healthTime bounds a question about a server's health.
const healthTime = 5 * time.Second

// HealthCheck asks the server that runs with cfg on this machine whether it is
// ready: on its admin listener, else at /readyz of everybody's. The error says
// what is wrong; nil means that it is ready.
func HealthCheck(ctx context.Context, cfg config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	at, err := healthURL(cfg)
	if err != nil {
		return err
	}
	// It is this machine that is asked, and nothing is told: whose certificate
	// is shown does not matter.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("serve: the server does not answer: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<10))
	if err != nil {
		return fmt.Errorf("serve: the server does not answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("serve: the server is not ready (%s): %s", res.Status, strings.TrimSpace(string(text)))
	}
	return nil
}

// healthURL is where the server is asked.
func healthURL(cfg config.Config) (string, error) {
	scheme, address := "http", cfg.Admin.Listen
	if address == "" {
		if !cfg.PublicHealth {
			return "", errors.New("serve: -healthcheck has nobody to ask: set admin.listen or public_health")
		}
		address = cfg.Listen
		if len(cfg.TLS.BehindProxy) == 0 {
			scheme = "https"
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" || config.IsActivated(address) {
		return "", fmt.Errorf("serve: -healthcheck cannot tell the port of %s: set admin.listen to one", address)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return scheme + "://" + net.JoinHostPort(cmp.Or(host, "localhost"), port) + "/readyz", nil
}
