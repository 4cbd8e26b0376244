package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// connectTime bounds the making of a connection.
	connectTime = 3 * time.Second
	// pingTime bounds the question whether a connection that was idle lives.
	pingTime = time.Second
	// maxConns is how many connections there are at most, unless the URL says.
	maxConns = 16
)

// keepAlive has the kernel find within 14 s that the other side is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 3 * time.Second, Count: 3}

// limits are what the server ends by itself, should this program be gone and
// its connection not. A lock is waited for shorter than a call takes at most,
// so that the error says that it was the lock.
var limits = map[string]time.Duration{
	"statement_timeout":                   callTime,
	"lock_timeout":                        lockTime,
	"idle_in_transaction_session_timeout": 2 * callTime,
}

// parse reads a URL. What it leaves out is what PostgreSQL's own programs take
// it to be, except that no server but one on this host is spoken to in clear
// text or unproven, and no standby, which answers with what was true before.
func parse(ctx context.Context, raw string) (*pgxpool.Config, error) {
	text, password, has, err := split(raw)
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, err
	}
	if host, weak := unproven(cfg); weak {
		if has["sslmode"] || has["ssl"] {
			slog.WarnContext(ctx, "postgres: whoever is on the way to the server can read and change what it says: set sslmode=verify-full", "host", host)
		} else if cfg, err = pgxpool.ParseConfig(with(text, "sslmode=verify-full")); err != nil {
			return nil, err
		}
	}
	if password != "" {
		cfg.ConnConfig.Password = password
	}
	if !has["connect_timeout"] {
		cfg.ConnConfig.ConnectTimeout = connectTime
	}
	if !has["pool_max_conns"] {
		cfg.MaxConns = maxConns
	}
	if !has["pool_ping_timeout"] {
		cfg.PingTimeout = pingTime
	}
	if !has["target_session_attrs"] {
		cfg.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	cfg.ConnConfig.DialFunc = (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext
	params := cfg.ConnConfig.RuntimeParams
	for name, limit := range limits {
		if _, ok := params[name]; !ok {
			params[name] = strconv.FormatInt(limit.Milliseconds(), 10)
		}
	}
	if params["application_name"] == "" {
		params["application_name"] = "gatewright"
	}
	return cfg, nil
}

// split takes the password out of a URL, so that no error about the rest can
// quote it, and tells which parameters the rest has.
func split(raw string) (text, password string, has map[string]bool, err error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return "", "", nil, errors.New("the URL begins neither with postgres:// nor with postgresql://")
	}
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		// Read otherwise, a piece of a password would be taken for a host.
		if strings.ContainsRune(rest[at+1:], '@') || strings.ContainsRune(rest[:at], '/') {
			return "", "", nil, errors.New("the URL has an @ out of place: in a password, write %40 for @, %2F for / and %25 for %")
		}
		user, secret, _ := strings.Cut(rest[:at], ":")
		if password, err = url.PathUnescape(secret); err != nil {
			return "", "", nil, errors.New("the password in the URL has a % that is followed by no two digits: write %25 for %")
		}
		rest = user + rest[at:]
	}
	before, query, _ := strings.Cut(rest, "?")
	text, has = scheme+"://"+before, make(map[string]bool)
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		name, err := url.PathUnescape(key)
		if err != nil || !ok {
			return "", "", nil, errors.New("what follows ? in the URL is not of the form name=value&name=value")
		}
		switch name {
		case "password":
			if password, err = url.PathUnescape(value); err != nil {
				return "", "", nil, errors.New("the password in the URL has a % that is followed by no two digits: write %25 for %")
			}
			continue
		case "sslpassword":
			return "", "", nil, errors.New("sslpassword is not taken: have the file of sslkey readable by this program alone")
		}
		has[name] = true
		text = with(text, pair)
	}
	if strings.ContainsRune(password, 0) {
		return "", "", nil, errors.New("the password in the URL has a NUL byte")
	}
	return text, password, has, nil
}

func with(text, pair string) string {
	if strings.Contains(text, "?") {
		return text + "&" + pair
	}
	return text + "?" + pair
}

// unproven returns a server on another host that the configuration would speak
// to without proof that it is the one.
func unproven(cfg *pgxpool.Config) (host string, weak bool) {
	c := cfg.ConnConfig
	for _, f := range append(c.Fallbacks, &pgconn.FallbackConfig{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}) {
		if !here(f.Host, f.Port) && (f.TLSConfig == nil || f.TLSConfig.InsecureSkipVerify) {
			return f.Host, true
		}
	}
	return "", false
}

// here tells whether a host is this one: a name or address of loopback, or a
// socket in the file system.
func here(host string, port uint16) bool {
	if network, _ := pgconn.NetworkAddress(host, port); network == "unix" {
		return true
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// explain adds to an error of a new connection what can be done.
func explain(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch {
	case strings.Contains(pg.Message, "unsupported startup parameter"): // PgBouncer, by code 08P01
		return fmt.Errorf("%w: have the pooler ignore it (ignore_startup_parameters = statement_timeout, lock_timeout, idle_in_transaction_session_timeout) and set it by ALTER ROLE", err)
	case pg.Code == "3F000": // no schema to create in
		return fmt.Errorf("%w: search_path names no schema that exists", err)
	}
	return err
}
