// Package tlsconf makes TLS configurations: from certificate files, and for
// development from an authority of its own that can vouch for nothing but
// this machine.
package tlsconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/watch"
)

// maxFile is the largest certificate or key file read, in bytes.
const maxFile = 1 << 20

// A Pair is a certificate chain, the server's own certificate first, and its
// private key, both PEM files.
type Pair struct{ Cert, Key string }

// Certificates are those of a server, read again when their files change. Their
// methods may be called concurrently.
type Certificates struct {
	files *watch.Files[[]*tls.Certificate]
}

// Files reads the certificates of a server. It makes the checks of [Load], and
// for each of hosts there has to be one. Changed files are checked in the same
// way, all of them, before any counts; where one does not hold, those that were
// read before do, and the log says why. A nil logger is slog.Default() at the
// time of use.
func Files(pairs []Pair, hosts []string, logger func() *slog.Logger) (*Certificates, error) {
	var paths []string
	for _, p := range pairs {
		paths = append(paths, p.Cert, p.Key)
	}
	files, err := watch.Open("certificates", paths, func(now time.Time) ([]*tls.Certificate, error) {
		return loadAll(pairs, hosts, now)
	}, logger, nil)
	if err != nil {
		return nil, err
	}
	return &Certificates{files}, nil
}

// Reload looks at once whether the files have changed; without it that takes a
// second at most.
func (c *Certificates) Reload(ctx context.Context) { c.files.Reload(ctx) }

// Config is the configuration of a server with the certificates: TLS 1.2 and 1.3
// with the ciphers that Go chooses, HTTP/2 and HTTP/1.1 by ALPN. A client that
// names a host for which there is none is refused (unrecognized_name, RFC 6066,
// section 3); one that names none is shown the first.
func (c *Certificates) Config() *tls.Config {
	return serverConfig(func(ctx context.Context) []*tls.Certificate {
		all, _ := c.files.Current(ctx)
		return all
	})
}

// Check makes the checks of [Files].
func Check(pairs []Pair, hosts ...string) error {
	_, err := loadAll(pairs, hosts, time.Now())
	return err
}

// loadAll reads all pairs. Its error tells all that is wrong.
func loadAll(pairs []Pair, hosts []string, now time.Time) ([]*tls.Certificate, error) {
	if len(pairs) == 0 {
		return nil, errors.New("tlsconf: there is no certificate")
	}
	all := make([]*tls.Certificate, len(pairs))
	var errs []error
	for i, p := range pairs {
		pair, err := load(p.Cert, p.Key, now)
		errs = append(errs, err)
		all[i] = &pair
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, host := range hosts {
		switch err := all[0].Leaf.VerifyHostname(host); {
		case slices.ContainsFunc(all, standsFor(host)):
		case len(all) > 1:
			errs = append(errs, fmt.Errorf("tlsconf: none of the certificates is for %s", host))
		default:
			errs = append(errs, fmt.Errorf("tlsconf: %s is not for %s: %s", pairs[0].Cert, host, strings.TrimPrefix(err.Error(), "x509: ")))
		}
	}
	return all, errors.Join(errs...)
}

// standsFor tells of certificates whether they are for a host.
func standsFor(host string) func(*tls.Certificate) bool {
	return func(c *tls.Certificate) bool { return c.Leaf.VerifyHostname(host) == nil }
}

// Load reads a certificate chain, the server's own first, and its private key,
// both PEM files. It reports all of these at once: a file that cannot be read,
// a key file that group or others may read, write or execute (not checked on
// Windows, which has no such mode), a certificate that does not belong to the
// key, is not yet or no longer valid, or is not meant for servers. The host
// names of the certificate are for the caller to check, with
// Leaf.VerifyHostname. No error of it quotes the key.
func Load(certFile, keyFile string) (tls.Certificate, error) {
	return load(certFile, keyFile, time.Now())
}

func load(certFile, keyFile string, now time.Time) (tls.Certificate, error) {
	chain, certErr := readFile(certFile, false)
	key, keyErr := readFile(keyFile, true)
	if err := errors.Join(certErr, keyErr); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tlsconf: %s with key %s: %w", certFile, keyFile, err)
	}
	if err := checkLeaf(certFile, pair.Leaf, now); err != nil {
		return tls.Certificate{}, err
	}
	return pair, nil
}

// serverConfig is what every server of this package has in common. certificates
// returns those that count now, one at least.
func serverConfig(certificates func(context.Context) []*tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			ctx := hello.Context()
			if ctx == nil { // made by hand
				ctx = context.Background()
			}
			return choose(certificates(ctx), hello), nil
		},
	}
}

// choose returns the first certificate that stands for the host a client wants,
// of those that it can check if there are any; nil where none stands for it, which
// crypto/tls answers with unrecognized_name.
func choose(all []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	var found *tls.Certificate
	for _, c := range all {
		if hello.ServerName != "" && !standsFor(hello.ServerName)(c) {
			continue
		}
		if hello.SupportsCertificate(c) == nil {
			return c
		}
		if found == nil {
			found = c
		}
	}
	return found
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
