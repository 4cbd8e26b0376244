package tlsconf

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

const (
	authorityFor = 2 * 365 * 24 * time.Hour // how long a new authority lasts
	renewBefore  = 60 * 24 * time.Hour      // what must be left of it when it is opened
	leafFor      = 90 * 24 * time.Hour      // the longest that a leaf lasts
	backdate     = time.Hour                // for clocks of virtual machines that lag behind

	certName = "ca.pem"
	keyName  = "ca-key.pem"
	lockName = "lock"
)

// An Authority is a certificate authority for development. Name constraints
// (RFC 5280, section 4.2.1.10) bind it to localhost, names below it and the
// loopback addresses, so that whoever steals its key can pretend to be this
// machine to this machine and nothing else. It signs no further authority.
// Its methods may be called concurrently.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	dir  string
}

// DefaultDir is where the authority of this user lies: gatewright/ca below
// [os.UserConfigDir].
func DefaultDir() (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("tlsconf: %w", err)
	}
	return filepath.Join(base, "gatewright", "ca"), nil
}

// OpenAuthority loads the authority in dir, [DefaultDir] if empty. Where there
// is none, or the one there has less than 60 days left, it makes a new one
// that lasts two years; processes that do so at once get the same one. A
// directory or key open to group or others is an error, and so is a file that
// cannot be read: nothing is replaced that somebody may have put there.
func OpenAuthority(dir string) (*Authority, error) {
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("tlsconf: %w", err)
	}
	if err := checkPrivateDir(dir); err != nil {
		return nil, err
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, lockName)).Lock()
	if err != nil {
		return nil, fmt.Errorf("tlsconf: lock the development authority: %w", err)
	}
	defer unlock()

	a, err := loadAuthority(dir)
	switch {
	case err == nil && time.Until(a.cert.NotAfter) >= renewBefore:
		return a, nil
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return createAuthority(dir, time.Now())
	default:
		return nil, err
	}
}

// CertFile is the path of the authority's certificate as PEM, for programs
// that take one, as in curl --cacert.
func (a *Authority) CertFile() string { return filepath.Join(a.dir, certName) }

// Pool holds the authority's certificate and nothing else, for clients.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// TLSConfig makes a server's configuration, as [Files] does, with a fresh
// certificate of [Authority.Leaf].
func (a *Authority) TLSConfig(hosts ...string) (*tls.Config, error) {
	pair, err := a.Leaf(hosts...)
	if err != nil {
		return nil, err
	}
	all := []*tls.Certificate{&pair}
	return serverConfig(func(context.Context) []*tls.Certificate { return all }), nil
}

// loadAuthority reads what createAuthority wrote. The error is fs.ErrNotExist
// where the key or the certificate is missing and nothing is wrong with the
// other.
func loadAuthority(dir string) (*Authority, error) {
	chain, certErr := readFile(filepath.Join(dir, certName), false)
	key, keyErr := readFile(filepath.Join(dir, keyName), true)
	for _, err := range []error{certErr, keyErr} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("tlsconf: development authority in %s: %w (remove the folder to have a new one made)", dir, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("tlsconf: %s is no certificate authority (remove the folder to have one made)", filepath.Join(dir, certName))
	}
	// An authority without constraints, put here by another program and
	// then trusted by the system, could vouch for any host.
	if !isConstrained(pair.Leaf) {
		return nil, fmt.Errorf("tlsconf: the authority %s is not limited to localhost (remove the folder to have one made)", filepath.Join(dir, certName))
	}
	return &Authority{cert: pair.Leaf, key: signer, dir: dir}, nil
}

// createAuthority makes an authority that begins at now and writes it to dir.
func createAuthority(dir string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("tlsconf: %w", err)
	}
	template := authorityTemplate(now)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("tlsconf: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("tlsconf: %w", err)
	}
	// The certificate goes first out and last in, so that a crash on the way
	// leaves one file missing and never two that do not match.
	if err := os.Remove(filepath.Join(dir, certName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tlsconf: %w", err)
	}
	if err := writeKey(filepath.Join(dir, keyName), key); err != nil {
		return nil, err
	}
	if err := writeCert(filepath.Join(dir, certName), der); err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key, dir: dir}, nil
}

// authorityTemplate is an authority that may vouch for this machine only.
// Kinds of names that have no constraint are free, so mail addresses and URIs
// are bound too; a server is all that its leaves may be.
func authorityTemplate(now time.Time) *x509.Certificate {
	serial := newSerial()
	return &x509.Certificate{
		SerialNumber: serial,
		// The number tells authorities apart in the list of a trust store.
		Subject: pkix.Name{
			Organization: []string{"Gatewright development"},
			CommonName:   "Gatewright development CA " + hex.EncodeToString(serial.Bytes()[:4]),
		},
		NotBefore:                   now.Add(-backdate),
		NotAfter:                    now.Add(authorityFor),
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLenZero:              true,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{"localhost"}, // and all names below it
		PermittedIPRanges:           loopbackRanges(),
		PermittedEmailAddresses:     []string{"localhost"},
		PermittedURIDomains:         []string{"localhost"},
	}
}

// isConstrained tells whether cert permits no host but this machine.
func isConstrained(cert *x509.Certificate) bool {
	if len(cert.PermittedDNSDomains) != 1 || cert.PermittedDNSDomains[0] != "localhost" || len(cert.PermittedIPRanges) == 0 {
		return false
	}
	for _, r := range cert.PermittedIPRanges {
		ones, _ := r.Mask.Size()
		if !r.IP.IsLoopback() || ones < 8 {
			return false
		}
	}
	return true
}

func loopbackRanges() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
}

// newSerial returns a positive number of 128 random bits (RFC 5280, section
// 4.1.2.2, wants it unique and at most 20 octets).
func newSerial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

func writeKey(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("tlsconf: %w", err)
	}
	return replaceFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func writeCert(path string, der []byte) error {
	return replaceFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}
