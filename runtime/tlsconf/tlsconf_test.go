package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned writes a certificate for example.com and its key below a new
// folder; edit may change it first.
func selfSigned(t *testing.T, edit func(*x509.Certificate)) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "example.com"},
		DNSNames:     []string{"example.com"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := writeCert(certFile, der); err != nil {
		t.Fatal(err)
	}
	if err := writeKey(keyFile, key); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(*x509.Certificate)
		spoil func(t *testing.T, certFile, keyFile string)
		want  string
	}{
		{name: "expired", edit: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, want: "expired at"},
		{name: "not yet valid", edit: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, want: "not valid before"},
		{name: "for clients", edit: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, want: "not meant for servers"},
		{name: "certificate missing", spoil: func(t *testing.T, c, k string) { must(t, os.Remove(c)) }, want: "no such file"},
		{name: "key missing", spoil: func(t *testing.T, c, k string) { must(t, os.Remove(k)) }, want: "no such file"},
		{name: "key open to others", spoil: func(t *testing.T, c, k string) { must(t, os.Chmod(k, 0o604)) }, want: "chmod 600"},
		{name: "key open to group", spoil: func(t *testing.T, c, k string) { must(t, os.Chmod(k, 0o640)) }, want: "chmod 600"},
		{name: "certificate is a folder", spoil: func(t *testing.T, c, k string) { must(t, os.Remove(c)); must(t, os.Mkdir(c, 0o700)) }, want: "not a regular file"},
		{name: "certificate is not PEM", spoil: func(t *testing.T, c, k string) { must(t, os.WriteFile(c, []byte("hello"), 0o600)) }, want: "failed to find any PEM data"},
		{name: "certificate too large", spoil: func(t *testing.T, c, k string) { must(t, os.Truncate(c, maxFile+1)) }, want: "larger than"},
		{name: "another key", spoil: func(t *testing.T, c, k string) {
			_, other := selfSigned(t, nil)
			must(t, os.Rename(other, k))
		}, want: "does not match"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			certFile, keyFile := selfSigned(t, test.edit)
			if test.spoil != nil {
				test.spoil(t, certFile, keyFile)
			}
			for of, f := range map[string]func() error{
				"Load":  func() error { _, err := Load(certFile, keyFile); return err },
				"Files": func() error { _, err := Files([]Pair{{certFile, keyFile}}, nil, nil); return err },
				"Check": func() error { return Check([]Pair{{certFile, keyFile}}) },
			} {
				if err := f(); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s = %v, want an error with %q", of, err, test.want)
				}
			}
		})
	}
}

func TestLoadReportsBothFiles(t *testing.T) {
	_, err := Load("missing-cert.pem", "missing-key.pem")
	for _, want := range []string{"missing-cert.pem", "missing-key.pem"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load = %v, want an error that names %s", err, want)
		}
	}
}

func TestFilesServes(t *testing.T) {
	certFile, keyFile := selfSigned(t, nil)
	files, err := Files([]Pair{{certFile, keyFile}}, []string{"example.com"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := files.Config()
	pair, err := Load(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	address := listen(t, config)

	for version, name := range map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"} {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Errorf("TLS %s: %v", name, err)
			continue
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
			t.Errorf("TLS %s: protocol %q, want h2", name, got)
		}
		conn.Close()
	}
	for version, name := range map[uint16]string{tls.VersionTLS10: "1.0", tls.VersionTLS11: "1.1"} {
		_, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: version, MaxVersion: version})
		if err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
			t.Errorf("TLS %s: %v, want the version refused", name, err)
		}
	}
}

// listen accepts TLS connections until the test ends.
func listen(t *testing.T, config *tls.Config) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	server.Config.ErrorLog = discard
	server.Listener.Close()
	server.Listener = tls.NewListener(listener, config)
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
