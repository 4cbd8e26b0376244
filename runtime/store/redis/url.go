package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// form is what a URL looks like. Errors show it instead of the URL, any part of
// which may be a piece of a password that was not escaped.
const form = "it is redis://HOST:PORT/DATABASE, or rediss://USER:PASSWORD@HOST:PORT/DATABASE over TLS, with what is special in a password escaped as in a URL (@ is %40, / is %2F)"

// prefixes leave out braces, which stand in keys behind the prefix: no key
// belongs to two of them.
var prefixes = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// parse reads a URL. Options of the library are not taken: some of them switch
// off checks.
func parse(raw string) (*goredis.Options, string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, "", errors.New("the URL cannot be read: " + form)
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" || u.Opaque != "" || u.Hostname() == "" || strings.Contains(raw, "#") {
		return nil, "", errors.New("the URL is not of the form that is taken: " + form)
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	options := &goredis.Options{
		Addr: net.JoinHostPort(u.Hostname(), port),

		MaxRetries:            -1, // none
		DialerRetries:         1,
		DialTimeout:           networkTime,
		ReadTimeout:           networkTime,
		WriteTimeout:          networkTime,
		PoolTimeout:           networkTime,
		ContextTimeoutEnabled: true,
		ConnMaxIdleTime:       5 * time.Minute, // before what lies between forgets it
		PipelinePoolSize:      -1,              // there are no pipelines

		// Nothing is sent but what is asked, so that a user of Redis with
		// few rights will do.
		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if u.User != nil {
		password, _ := u.User.Password()
		if password == "" {
			return nil, "", errors.New("the URL has a user without a password: " + form)
		}
		options.Username, options.Password = u.User.Username(), password
	}
	if path := strings.TrimPrefix(u.Path, "/"); path != "" {
		if options.DB, err = strconv.Atoi(path); err != nil || options.DB < 0 {
			return nil, "", errors.New("the database in the URL is not a number: " + form)
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, "", errors.New("the options of the URL cannot be read: " + form)
	}
	for name, values := range query {
		if name != "prefix" && name != "ca" || len(values) != 1 {
			return nil, "", errors.New("the URL may have the options prefix and ca, each once: " + form)
		}
	}
	if u.Scheme == "rediss" {
		if options.TLSConfig, err = tlsConfig(u.Hostname(), query.Get("ca")); err != nil {
			return nil, "", err
		}
	} else if query.Has("ca") {
		return nil, "", errors.New("the URL has the option ca but is not rediss://: there is no TLS without the second s")
	}
	prefix := "gatewright:"
	if query.Has("prefix") {
		if prefix = query.Get("prefix"); !prefixes.MatchString(prefix) {
			return nil, "", errors.New("the option prefix of the URL takes 1 to 64 letters, digits and . _ : -")
		}
	}
	return options, prefix, nil
}

// tlsConfig verifies the certificate of host, by the authorities in the PEM
// file ca if there is one.
func tlsConfig(host, ca string) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if ca == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("the option ca of the URL: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the option ca of the URL: %s has no certificate in PEM", ca)
	}
	return cfg, nil
}

// loopback tells whether addr is of this host.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
