// Package fetch makes the HTTP client for calls to identity providers: https
// alone, no redirects, and a limit on time and size for every call. What a
// provider answers is somebody else's text, and its address may be taken over.
package fetch

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// A Config says whom the client trusts and how long it waits.
type Config struct {
	// CA is a PEM file of the authorities that servers' certificates may
	// come from. Empty: the system's.
	CA string
	// Timeout bounds a whole call, from the connection to the last byte of
	// the answer. Default 10 s.
	Timeout time.Duration
	// MaxBytes is the largest answer read. Default 1 MiB.
	MaxBytes int64
}

// New returns a client that
//
//   - sends to https URLs without a user name alone, and checks that before
//     it connects; TLS is 1.2 or later;
//   - follows no redirect: an answer that asks for one is an error that names
//     no more of the target than its host;
//   - asks for no compression and takes none, so that a small answer cannot
//     grow large;
//   - gives an error from the body's Read where an answer is too large;
//   - keeps no cookies.
//
// The environment's HTTPS_PROXY and NO_PROXY hold. The error names everything
// wrong with cfg.
func New(cfg Config) (*http.Client, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 1<<20)
	var errs []error
	if cfg.Timeout < 0 {
		errs = append(errs, fmt.Errorf("fetch: timeout %s is negative", cfg.Timeout))
	}
	if cfg.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("fetch: a limit of %d bytes is negative", cfg.MaxBytes))
	}
	var roots *x509.CertPool // nil: the system's
	if cfg.CA != "" {
		pool, err := authorities(cfg.CA)
		roots, errs = pool, append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	base := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
	}
	return &http.Client{
		Transport: &transport{base: base, max: cfg.MaxBytes},
		Timeout:   cfg.Timeout,
	}, nil
}

// authorities reads the certificates of a PEM file. All of them must be
// readable: one passed over in silence is a puzzle later.
func authorities(path string) (*x509.CertPool, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("fetch: authorities: %w", err)
	}
	pool, found := x509.NewCertPool(), false
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("fetch: authorities: %s holds more than certificates", path)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("fetch: authorities: %s: %w", path, err)
		}
		pool.AddCert(cert)
		found = true
	}
	if !found {
		return nil, fmt.Errorf("fetch: authorities: no certificate in %s", path)
	}
	return pool, nil
}
