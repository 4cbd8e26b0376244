package tlsconf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Leaf makes a key and a certificate for the hosts, which must be localhost, a
// name below it or a loopback address. It lasts 90 days, or as long as the
// authority where that is less, and is written nowhere.
func (a *Authority) Leaf(hosts ...string) (tls.Certificate, error) {
	template, err := a.leafTemplate(hosts, time.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tlsconf: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tlsconf: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tlsconf: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// WriteLeaf makes a certificate as [Authority.Leaf] does and writes it and its
// key as PEM, the key for the owner's eyes only. Files that are there are
// replaced.
func (a *Authority) WriteLeaf(certFile, keyFile string, hosts ...string) error {
	pair, err := a.Leaf(hosts...)
	if err != nil {
		return err
	}
	if err := writeKey(keyFile, pair.PrivateKey.(crypto.Signer)); err != nil {
		return err
	}
	return writeCert(certFile, pair.Certificate[0])
}

// IsLoopback tells whether host names this machine and nothing else: localhost,
// a name below it (RFC 6761, section 6.3), or a loopback address without
// brackets.
func IsLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback() && addr.Zone() == ""
	}
	name := strings.ToLower(host)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") && isHostName(name)
}

// isHostName accepts labels of letters, digits and hyphens: no wildcard, no
// empty label, nothing that a certificate would read in another way.
func isHostName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(name) <= 253
}

func (a *Authority) leafTemplate(hosts []string, now time.Time) (*x509.Certificate, error) {
	if len(hosts) == 0 {
		return nil, errors.New("tlsconf: a certificate needs at least one host")
	}
	t := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{Organization: []string{"Gatewright development"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(leafFor - backdate),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if t.NotAfter.After(a.cert.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	var errs []error
	for _, host := range hosts {
		switch ip := net.ParseIP(host); {
		case !IsLoopback(host):
			errs = append(errs, fmt.Errorf("tlsconf: the development authority vouches for localhost and loopback addresses only, not for %q", host))
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		default:
			t.DNSNames = append(t.DNSNames, strings.ToLower(host))
		}
	}
	return t, errors.Join(errs...)
}

// replaceFile writes a file and puts it in place at once, so that nobody reads
// half of it or finds it with a looser mode.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("tlsconf: %w", err)
	}
	defer os.Remove(f.Name()) // fails, as it should, once the file has its name
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("tlsconf: %w", err)
	}
	return nil
}

// checkPrivateDir refuses a directory in which others could put a key.
func checkPrivateDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("tlsconf: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("tlsconf: %s is open to group or others (mode %04o): run chmod 700 %s", dir, mode, dir)
	}
	return nil
}
