// Package tlsconf makes TLS configurations: from certificate files, and for
// development from an authority of its own that can vouch for nothing but
// this machine.
package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"
)

// maxFile is the largest certificate or key file read, in bytes.
const maxFile = 1 << 20

// Files makes a server's configuration from a certificate chain and its
// private key, both PEM files: TLS 1.2 and 1.3 with the ciphers that Go
// chooses, HTTP/2 and HTTP/1.1 by ALPN. It makes the checks of [Load].
func Files(certFile, keyFile string) (*tls.Config, error) {
	pair, err := Load(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return serverConfig(pair), nil
}

// Load reads a certificate chain, the server's own first, and its private key,
// both PEM files. It reports all of these at once: a file that cannot be read,
// a key file that group or others may read, write or execute (not checked on
// Windows, which has no such mode), a certificate that does not belong to the
// key, is not yet or no longer valid, or is not meant for servers. The host
// names of the certificate are for the caller to check, with
// Leaf.VerifyHostname. No error of it quotes the key.
func Load(certFile, keyFile string) (tls.Certificate, error) {
	chain, certErr := readFile(certFile, false)
	key, keyErr := readFile(keyFile, true)
	if err := errors.Join(certErr, keyErr); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tlsconf: %s with key %s: %w", certFile, keyFile, err)
	}
	if err := checkLeaf(certFile, pair.Leaf, time.Now()); err != nil {
		return tls.Certificate{}, err
	}
	return pair, nil
}

// serverConfig is what every server of this package has in common.
func serverConfig(pair tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &pair, nil
		},
	}
}

// readFile returns the content of a regular file. A private one must be closed
// to group and others.
func readFile(path string, private bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tlsconf: %w", err)
	}
	defer f.Close()
	// The open file is asked, not the path, which may be another file by now.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("tlsconf: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("tlsconf: %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); private && mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("tlsconf: key file %s is open to group or others (mode %04o): run chmod 600 %s", path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("tlsconf: %w", err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("tlsconf: %s is larger than %d bytes", path, maxFile)
	}
	return b, nil
}

// checkLeaf tells all that keeps cert from serving at now.
func checkLeaf(path string, cert *x509.Certificate, now time.Time) error {
	var errs []error
	if now.Before(cert.NotBefore) {
		errs = append(errs, fmt.Errorf("tlsconf: certificate %s is not valid before %s", path, cert.NotBefore.UTC().Format(time.RFC3339)))
	}
	if now.After(cert.NotAfter) {
		errs = append(errs, fmt.Errorf("tlsconf: certificate %s expired at %s", path, cert.NotAfter.UTC().Format(time.RFC3339)))
	}
	restricted := len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) > 0
	if restricted && !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) &&
		!slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) {
		errs = append(errs, fmt.Errorf("tlsconf: certificate %s is not meant for servers (its extended key usage lacks serverAuth)", path))
	}
	return errors.Join(errs...)
}
