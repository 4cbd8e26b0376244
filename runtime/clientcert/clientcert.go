// Package clientcert verifies client certificates (mutualTLS): that they come
// from a configured authority, have not been revoked, and whom they name. They
// are asked for in the handshake and judged in the gate, so that only
// operations that need one refuse a bad one.
package clientcert

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/cache"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/watch"
	"golang.org/x/sync/singleflight"
)

// A Config says whose certificates are taken, and what they may do.
type Config struct {
	CA      string              // PEM file of the authorities
	CRL     string              // PEM or DER file of what they revoked; "": nothing
	Subject string              // cn, uri, dns or email: what names the bearer. Default cn
	Scopes  map[string][]string // what clients may do, by their id
	// Clients are the ids of programs, as config.Config.Clients has them.
	Clients map[string][]string
	Logger  *slog.Logger     // nil: slog.Default() at the time of use
	Now     func() time.Time // nil: time.Now
}

const (
	// rememberedTime is how long a chain that is good is not looked at again,
	// unless the files change.
	rememberedTime  = time.Minute
	rememberedCerts = 4096
	// refusedTime is how long one that is not is refused without another look:
	// chains can be made that nobody signed and that take long to refuse.
	// refusedCerts are remembered apart from good ones, which strangers cannot
	// push out so.
	refusedTime  = 5 * time.Second
	refusedCerts = 1024
	// maxChain is how many certificates a client may send, its own among them.
	// The ways through those above it grow with their factorial.
	maxChain = 5
	minRSA   = 2048 // bits
)

// Certificates verify client certificates. Their methods may be called
// concurrently. They read their files again when those have changed, which is
// found out within a second; one that cannot be read leaves what was read
// before in force, and is logged.
type Certificates struct {
	cfg     Config
	clients map[string]string // what a certificate names -> id
	files   *watch.Files[*trust]

	looks singleflight.Group // at chains

	mu        sync.Mutex
	good, bad cache.Generations[sum, remembered]
}

// A sum names a chain.
type sum [sha256.Size]byte

// A remembered chain is good, or refused because of err, until a time, as far as
// the files are the same.
type remembered struct {
	version uint64
	until   time.Time
	err     error
}

// New reads the files of cfg. Its error names everything that is wrong.
func New(cfg Config) (*Certificates, error) {
	cfg.Subject = cmp.Or(cfg.Subject, "cn")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Certificates{
		cfg: cfg, clients: make(map[string]string),
		good: cache.NewGenerations[sum, remembered](rememberedCerts), bad: cache.NewGenerations[sum, remembered](refusedCerts),
	}
	for id, names := range cfg.Clients {
		for _, name := range names {
			c.clients[name] = id
		}
	}
	var errs []error
	if subjects[cfg.Subject] == nil {
		errs = append(errs, fmt.Errorf("clientcert: subject %q is not one of cn, dns, email, uri", cfg.Subject))
	}
	var err error
	c.files, err = watch.Open("client certificates", []string{cfg.CA, cfg.CRL}, func(now time.Time) (*trust, error) {
		return readTrust(cfg.CA, cfg.CRL, now)
	}, c.logger, cfg.Now)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// Of returns the certificate that the client of r showed it has the key of, to
// this server or to a proxy that FromProxies trusts; nil for none. Nothing else
// is checked of it.
func Of(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// Scheme returns the authenticator of a mutualTLS scheme.
func (c *Certificates) Scheme() gate.Authenticator { return scheme{c} }

type scheme struct{ *Certificates }

var place = gate.Place{In: gate.InCertificate}

// Find implements gate.Authenticator.
func (s scheme) Find(r *http.Request) (gate.Credential, bool, error) { return place.Find(r) }

// Challenge implements gate.Authenticator.
func (s scheme) Challenge(cause error) string { return place.Challenge(cause) }

// Verify implements gate.Authenticator.
func (s scheme) Verify(ctx context.Context, r *http.Request, _ gate.Credential) (gate.Identity, error) {
	cert := Of(r)
	if cert == nil {
		return gate.Identity{}, gate.ErrAbsent
	}
	if err := s.verify(ctx, r.TLS.PeerCertificates); err != nil {
		return gate.Identity{}, err
	}
	name, text, err := subjects[s.cfg.Subject](cert)
	if err != nil {
		return gate.Identity{}, fmt.Errorf("%w: clientcert: %w", gate.ErrInvalid, err)
	}
	id := cmp.Or(s.clients[name], name)
	return gate.Identity{Client: &gate.Client{ID: id, Name: text}, Scopes: s.cfg.Scopes[id]}, nil
}

// verify verifies a chain, the client's own certificate first, or knows what
// came of it before.
func (c *Certificates) verify(ctx context.Context, chain []*x509.Certificate) error {
	if len(chain) > maxChain {
		return fmt.Errorf("%w: clientcert: %d certificates came, at most %d are read", gate.ErrInvalid, len(chain), maxChain)
	}
	h := sha256.New()
	for _, cert := range chain {
		_, _ = fmt.Fprintf(h, "%d:", len(cert.Raw)) // a hash takes everything
		_, _ = h.Write(cert.Raw)
	}
	d := sum(h.Sum(nil))
	trust, version := c.files.Current(ctx)
	now := c.cfg.Now()
	if r, ok := c.recall(d); ok && r.version == version && now.Before(r.until) {
		return r.err
	}
	// Of all who show it at once one looks.
	_, err, _ := c.looks.Do(fmt.Sprintf("%d:%s", version, d[:]), func() (any, error) {
		return nil, c.look(trust, version, d, chain, now)
	})
	return err
}

// recall returns what is remembered of a chain.
func (c *Certificates) recall(d sum) (remembered, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.good.Get(d); ok {
		return r, true
	}
	return c.bad.Get(d)
}

// look verifies a chain and remembers what came of it.
func (c *Certificates) look(t *trust, version uint64, d sum, chain []*x509.Certificate, now time.Time) error {
	until, err := t.verify(chain, now)
	if err != nil && !errors.Is(err, gate.ErrInvalid) {
		return err // it cannot be told, and may be in a moment
	}
	most := now.Add(rememberedTime)
	if err != nil {
		most, until = now.Add(refusedTime), time.Time{}
	}
	if until.IsZero() || until.After(most) {
		until = most
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.good.Delete(d) // it would be found there first
		c.bad.Put(d, remembered{version, until, err})
	} else {
		c.good.Put(d, remembered{version, until, nil})
	}
	return err
}

// verify returns until when at least the chain is good. The error wraps
// gate.ErrInvalid where it is not; any other means that it cannot be told.
func (t *trust) verify(chain []*x509.Certificate, now time.Time) (until time.Time, err error) {
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	paths, err := chain[0].Verify(x509.VerifyOptions{
		Roots: t.roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return until, fmt.Errorf("%w: clientcert: %w", gate.ErrInvalid, explain(err))
	}
	// One good way to an authority is enough.
	var errs []error
	for _, path := range paths {
		until, err := t.check(path, now)
		if err == nil {
			return until, nil
		}
		errs = append(errs, err)
	}
	for _, err := range errs {
		if !errors.Is(err, gate.ErrInvalid) {
			return until, err
		}
	}
	return until, errs[0]
}

// explain says why a certificate is refused, without quoting it.
func explain(err error) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch invalid.Reason {
		case x509.Expired:
			return errors.New("the certificate has expired, or is not good yet")
		case x509.IncompatibleUsage:
			return errors.New("the certificate is not for clients (extended key usage)")
		}
		return errors.New("the certificate or one above it does not hold")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errors.New("the certificate comes from none of the authorities of client_certs.ca")
	}
	return errors.New("the certificate does not hold")
}

// check checks what x509 leaves open of a path to an authority: strength and
// revocation.
func (t *trust) check(path []*x509.Certificate, now time.Time) (until time.Time, err error) {
	until = path[0].NotAfter
	for i, cert := range path {
		if !strong(cert) {
			return until, fmt.Errorf("%w: clientcert: a key of the chain is too weak", gate.ErrInvalid)
		}
		if cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
		if t.lists == nil || i == len(path)-1 {
			continue // nobody revokes the authority itself but the operator
		}
		list := t.lists[string(path[i+1].RawSubject)+string(path[i+1].SubjectKeyId)]
		if list == nil {
			return until, fmt.Errorf("clientcert: client_certs.crl has no list of %q: its certificates cannot be told from revoked ones", path[i+1].Subject.CommonName)
		}
		if !list.next.IsZero() && !now.Before(list.next) {
			return until, fmt.Errorf("clientcert: the list of %q in client_certs.crl is out of date since %s: fetch its next one", path[i+1].Subject.CommonName, list.next.Format(time.RFC3339))
		}
		if list.revoked[cert.SerialNumber.String()] {
			return until, fmt.Errorf("%w: clientcert: the certificate or one above it was revoked", gate.ErrInvalid)
		}
		if !list.next.IsZero() && list.next.Before(until) {
			until = list.next
		}
	}
	return until, nil
}

// strong tells whether the key of a certificate, and what it was signed with,
// can be relied on.
func strong(cert *x509.Certificate) bool {
	switch cert.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.DSAWithSHA256, x509.ECDSAWithSHA1, x509.UnknownSignatureAlgorithm:
		return false
	}
	switch k := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize >= 256
	case ed25519.PublicKey:
		return true
	}
	return false
}

// subjects are the ways in which a certificate names its bearer: each returns
// an id that no other way gives, and the name itself. A certificate that names
// several names nobody.
var subjects = map[string]func(*x509.Certificate) (id, name string, err error){
	"cn": func(c *x509.Certificate) (string, string, error) {
		// One Subject may have several common names; Go keeps the last.
		var names []string
		for _, n := range c.Subject.Names {
			if n.Type.String() == "2.5.4.3" {
				text, _ := n.Value.(string)
				names = append(names, text)
			}
		}
		return only("cn:", "common name", names)
	},
	"dns": func(c *x509.Certificate) (string, string, error) {
		names := slices.Clone(c.DNSNames)
		for i, n := range names {
			names[i] = strings.ToLower(n)
		}
		return only("dns:", "DNS name", names)
	},
	"email": func(c *x509.Certificate) (string, string, error) {
		return only("email:", "mail address", c.EmailAddresses)
	},
	"uri": func(c *x509.Certificate) (string, string, error) {
		var names []string
		for _, u := range c.URIs {
			if u.Scheme == "" || u.Host == "" {
				return "", "", errors.New("the certificate's URI has no scheme or no host")
			}
			names = append(names, u.String())
		}
		return only("", "URI", names)
	},
}

func only(prefix, what string, names []string) (id, name string, err error) {
	if len(names) != 1 {
		return "", "", fmt.Errorf("the certificate has %d names of the kind %s, and is known by one alone", len(names), what)
	}
	if names[0] == "" || len(names[0]) > 1024 || strings.ContainsFunc(names[0], func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return "", "", fmt.Errorf("the certificate's %s is empty, long or does not print", what)
	}
	return prefix + names[0], names[0], nil
}

func (c *Certificates) logger() *slog.Logger {
	if c.cfg.Logger != nil {
		return c.cfg.Logger
	}
	return slog.Default()
}
