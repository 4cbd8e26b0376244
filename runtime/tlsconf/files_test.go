package tlsconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A site has a certificate that its files are changed to have.
type site struct {
	Pair
	*Certificates
	address string
	log     bytes.Buffer
	pool    *x509.CertPool
}

// newSite serves the certificates of names, each for that name alone.
func newSite(t *testing.T, names ...string) *site {
	t.Helper()
	s := &site{pool: x509.NewCertPool()}
	var pairs []Pair
	for i, name := range names {
		p := s.issue(t, int64(i+1), name)
		pairs = append(pairs, p)
	}
	s.Pair = pairs[0]
	logger := slog.New(slog.NewTextHandler(&s.log, nil))
	var err error
	s.Certificates, err = Files(pairs, names, func() *slog.Logger { return logger })
	must(t, err)
	s.address = listen(t, s.Config())
	return s
}

// issue writes a certificate with a serial number that all of the site's clients
// trust.
func (s *site) issue(t *testing.T, serial int64, names ...string) Pair {
	t.Helper()
	certFile, keyFile := selfSigned(t, func(c *x509.Certificate) {
		c.SerialNumber, c.DNSNames = big.NewInt(serial), names
	})
	pair, err := Load(certFile, keyFile)
	must(t, err)
	s.pool.AddCert(pair.Leaf)
	return Pair{certFile, keyFile}
}

// serial shakes hands and returns the number of the certificate shown.
func (s *site) serial(name string) (int64, error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{RootCAs: s.pool, ServerName: name}}
	if name == "" {
		dialer.Config.ServerName = "127.0.0.1" // is not sent
		dialer.Config.InsecureSkipVerify = true
	}
	conn, err := dialer.Dial("tcp", s.address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// put has the files of one pair say what those of another do.
func put(t *testing.T, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	must(t, err)
	part := filepath.Join(filepath.Dir(to), "part")
	must(t, os.WriteFile(part, b, 0o600))
	must(t, os.Rename(part, to))
}

func TestSeveralHosts(t *testing.T) {
	s := newSite(t, "a.example", "b.example")
	for name, want := range map[string]int64{"a.example": 1, "b.example": 2, "B.example": 2, "": 1} {
		if got, err := s.serial(name); err != nil || got != want {
			t.Errorf("%q: certificate %d, %v, want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"c.example", "x.a.example", "example"} {
		if _, err := s.serial(name); err == nil || !strings.HasSuffix(err.Error(), "tls: unrecognized name") {
			t.Errorf("%q: %v, want unrecognized_name", name, err)
		}
	}
}

// TestFilesChanged: a pair is taken when it fits together, and only then.
func TestFilesChanged(t *testing.T) {
	s := newSite(t, "a.example")
	next := s.issue(t, 7, "a.example")
	other := s.issue(t, 8, "b.example")
	shows := func(want int64, when string) {
		t.Helper()
		if got, err := s.serial("a.example"); err != nil || got != want {
			t.Errorf("%s: certificate %d, %v, want %d\n%s", when, got, err, want, &s.log)
		}
	}
	says := func(want string) {
		t.Helper()
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log is %q, want %q in it", &s.log, want)
		}
		s.log.Reset()
	}
	put(t, s.Cert, next.Cert)
	s.Reload(t.Context())
	shows(1, "certificate without its key")
	says("does not match")

	put(t, s.Key, next.Key)
	must(t, os.Chmod(s.Key, 0o640))
	s.Reload(t.Context())
	shows(1, "key open to the group")
	says("chmod 600")

	must(t, os.Chmod(s.Key, 0o600))
	s.Reload(t.Context())
	shows(7, "both")
	says("in force")

	put(t, s.Cert, other.Cert)
	put(t, s.Key, other.Key)
	s.Reload(t.Context())
	shows(7, "of another host")
	says("is not for a.example")

	must(t, os.Remove(s.Cert))
	s.Reload(t.Context())
	shows(7, "gone")
	says("no such file")
	if strings.Contains(s.log.String(), "PRIVATE KEY") {
		t.Error("the log quotes a key")
	}
}

// TestFilesSeen: nobody has to say that files have changed.
func TestFilesSeen(t *testing.T) {
	s := newSite(t, "a.example")
	next := s.issue(t, 7, "a.example")
	put(t, s.Cert, next.Cert)
	put(t, s.Key, next.Key)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got, err := s.serial("a.example")
		must(t, err)
		if got == 7 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not shown after 30 s")
		}
	}
}

// TestFilesUnderLoad changes the certificate a hundred times while clients come
// all the time: none meets anything but the one before or the one after.
func TestFilesUnderLoad(t *testing.T) {
	s := newSite(t, "a.example")
	const changes = 100
	pairs := make([]Pair, changes)
	for i := range pairs {
		pairs[i] = s.issue(t, int64(i+2), "a.example")
	}
	var shown, hands atomic.Int64
	shown.Store(1)
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				least := shown.Load()
				if got, err := s.serial("a.example"); err != nil || got < least {
					t.Errorf("certificate %d, %v, want at least %d", got, err, least)
					return
				}
				hands.Add(1)
			}
		})
	}
	for i, p := range pairs {
		before := hands.Load()
		put(t, s.Cert, p.Cert)
		s.Reload(t.Context()) // half of a change
		put(t, s.Key, p.Key)
		s.Reload(t.Context())
		shown.Store(int64(i + 2))
		for hands.Load() < before+4 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	close(done)
	clients.Wait()
	if got, err := s.serial("a.example"); err != nil || got != changes+1 {
		t.Errorf("certificate %d, %v in the end, want %d", got, err, changes+1)
	}
	t.Logf("%d handshakes over %d changes", hands.Load(), changes)
}
