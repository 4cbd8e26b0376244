// Package clientcert verifies client certificates (mutualTLS): that they come
// from a configured authority, have not been revoked, and whom they name. They
// are asked for in the handshake and judged in the gate, so that only
// operations that need one refuse a bad one.
package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A Config says whose certificates are taken, and what they may do.
type Config struct {
	CA      string              // PEM file of the authorities
	CRL     string              // PEM or DER file of what they revoked; "": nothing
	Subject string              // cn, uri, dns or email: what names the bearer
	Scopes  map[string][]string // what clients may do, by their id
	// Clients are the ids of programs, as config.Config.Clients has them.
	Clients map[string][]string
	Logger  *slog.Logger     // nil: slog.Default() at the time of use
	Now     func() time.Time // nil: time.Now
}

// Certificates verify client certificates. Their methods may be called
// concurrently. They read their files again when those have changed; one that
// cannot be read leaves what was read before in force, and is logged.
type Certificates struct{ cfg Config }

// New reads the files of cfg. Its error names everything that is wrong.
func New(cfg Config) (*Certificates, error) { return nil, errors.New("clientcert: not there yet") }

// Scheme returns the authenticator of a mutualTLS scheme.
func (c *Certificates) Scheme(name string) gate.Authenticator { return gate.Refuse("not there yet") }

// Of returns the certificate that the client of r showed it has the key of, to
// this server or to a proxy that FromProxies trusts; nil for none. Nothing else
// is checked of it.
func Of(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// FromProxies has next see the certificate in the header Client-Cert (RFC 9440),
// with the chain in Client-Cert-Chain, as that of the client's own connection,
// where the request comes from one of proxies. From everybody else, and where it
// cannot be read, there is none; the headers never reach next.
func FromProxies(proxies []netip.Prefix, next http.Handler) http.Handler { return next }

// Ask returns base with certificates of clients asked for, none of them looked
// at, in handshakes for one of hosts.
func Ask(base *tls.Config, hosts []string) *tls.Config { return base }
