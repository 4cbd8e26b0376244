package clientcert_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"encoding/binary"
	"fmt"
	"github.com/gatewright/gatewright/runtime/clientcert"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/origin"
	"net"
	"runtime"
	"strconv"
)

var (
	now = time.Now()
	key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) // of all certificates
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// An authority signs certificates and lists of those it revoked.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(name string, change func(*x509.Certificate), by *authority) *authority {
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(t)
	}
	parent, signer := t, a.key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, parent, &a.key.PublicKey, signer))))
	return a
}

func serial() *big.Int { return must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))) }

// issue makes a certificate of a client called billing, with changes.
func (a *authority) issue(change func(*x509.Certificate)) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "billing"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	var public any = &key.PublicKey
	if change != nil {
		change(t)
		if t.PublicKey != nil {
			public = t.PublicKey
		}
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, a.cert, public, a.key))))
}

// revoke makes a list of revoked certificates.
func (a *authority) revoke(next time.Time, certs ...*x509.Certificate) []byte {
	l := &x509.RevocationList{Number: serial(), ThisUpdate: next.Add(-48 * time.Hour), NextUpdate: next}
	for _, c := range certs {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: now})
	}
	return must(x509.CreateRevocationList(rand.Reader, l, a.cert, a.key))
}

// list makes a list of one certificate, with extensions of it and of its entry.
func (a *authority) list(all, entry []pkix.Extension) []byte {
	return must(x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: serial(), ThisUpdate: now, NextUpdate: now.Add(time.Hour), ExtraExtensions: all,
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: serial(), RevocationTime: now, ExtraExtensions: entry}},
	}, a.cert, a.key))
}

// critical is an extension that has to be understood.
func critical(id string) []pkix.Extension {
	oid := must(x509.ParseOID(id))
	var e pkix.Extension
	for _, part := range strings.Split(oid.String(), ".") {
		e.Id = append(e.Id, must(strconv.Atoi(part)))
	}
	e.Critical, e.Value = true, []byte{5, 0}
	return []pkix.Extension{e}
}

func certPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func crlPEM(ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
	}
	return out
}

func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// showing is a request whose client showed a chain.
func showing(chain ...*x509.Certificate) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: chain}
	return r
}

func verify(t testing.TB, c *clientcert.Certificates, chain ...*x509.Certificate) (gate.Identity, error) {
	t.Helper()
	r := showing(chain...)
	a := c.Scheme()
	cred, found, err := a.Find(r)
	if !found || err != nil {
		t.Fatalf("Find() = %v, %v", found, err)
	}
	return a.Verify(t.Context(), r, cred)
}

func TestVerify(t *testing.T) {
	ca, other := newAuthority("ours", nil, nil), newAuthority("other", nil, nil)
	middle := newAuthority("middle", nil, ca)
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	revoked := ca.issue(nil)
	revokedMiddle := newAuthority("revoked middle", nil, ca)
	dir := t.TempDir()
	c, err := clientcert.New(clientcert.Config{
		CA:     write(t, dir, "ca.pem", certPEM(ca.cert, middle.cert)),
		CRL:    write(t, dir, "crl.pem", crlPEM(ca.revoke(now.Add(time.Hour), revoked, revokedMiddle.cert), middle.revoke(now.Add(time.Hour)))),
		Scopes: map[string][]string{"cn:billing": {"invoices:read"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	self := &authority{cert: &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "billing"}}, key: key}
	many := slices.Repeat([]*x509.Certificate{other.cert}, 10)
	for name, test := range map[string]struct {
		chain []*x509.Certificate
		want  string // in the error; "" for none
	}{
		"good":                   {[]*x509.Certificate{ca.issue(nil)}, ""},
		"by an intermediate":     {[]*x509.Certificate{middle.issue(nil), middle.cert}, ""},
		"with a stranger beside": {[]*x509.Certificate{ca.issue(nil), other.cert}, ""},
		"another authority":      {[]*x509.Certificate{other.issue(nil)}, "none of the authorities"},
		"another, shown along":   {[]*x509.Certificate{other.issue(nil), other.cert}, "none of the authorities"},
		"self-signed":            {[]*x509.Certificate{self.issue(nil)}, "none of the authorities"},
		"expired":                {[]*x509.Certificate{ca.issue(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) })}, "expired"},
		"not yet good":           {[]*x509.Certificate{ca.issue(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })}, "not good yet"},
		"for servers":            {[]*x509.Certificate{ca.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, "not for clients"},
		"revoked":                {[]*x509.Certificate{revoked}, "was revoked"},
		"by a revoked one":       {[]*x509.Certificate{revokedMiddle.issue(nil), revokedMiddle.cert}, "no list of"}, // nobody can tell
		"small key":              {[]*x509.Certificate{ca.issue(func(c *x509.Certificate) { c.PublicKey = &small.PublicKey })}, "too weak"},
		"a long chain":           {append([]*x509.Certificate{ca.issue(nil)}, many...), "at most 5"},
		"no common name":         {[]*x509.Certificate{ca.issue(func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"x"}} })}, "0 names"},
		"two common names": {[]*x509.Certificate{ca.issue(func(c *x509.Certificate) {
			c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "a"}, {Type: []int{2, 5, 4, 3}, Value: "billing"}}}
		})}, "2 names"},
		"a name that does not print": {[]*x509.Certificate{ca.issue(func(c *x509.Certificate) { c.Subject.CommonName = "a\nb" })}, "does not print"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // verified, and remembered
				who, err := verify(t, c, test.chain...)
				switch {
				case test.want == "" && (err != nil || who.Client == nil || who.Client.ID != "cn:billing" || who.Client.Name != "billing" || !who.Scopes.Has("invoices:read")):
					t.Errorf("Verify() = %+v, %v, want billing", who, err)
				case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || who.Client != nil):
					t.Errorf("Verify() = %+v, %v, want %q", who, err, test.want)
				case test.want == "no list of" && errors.Is(err, gate.ErrInvalid), test.want != "" && test.want != "no list of" && !errors.Is(err, gate.ErrInvalid):
					t.Errorf("Verify() = %v, which says too much or too little", err)
				}
			}
		})
	}
	if _, found, _ := c.Scheme().Find(httptest.NewRequest("GET", "/", nil)); found {
		t.Error("a certificate is found where there is no connection")
	}
	if got := c.Scheme().Challenge(nil); got != "Mutual" {
		t.Errorf("Challenge() = %s", got)
	}
}

func TestSubjects(t *testing.T) {
	ca := newAuthority("ours", nil, nil)
	path := write(t, t.TempDir(), "ca.pem", certPEM(ca.cert))
	uris := func(texts ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, text := range texts {
				c.URIs = append(c.URIs, must(url.Parse(text)))
			}
		}
	}
	for _, c := range []struct {
		subject string
		change  func(*x509.Certificate)
		id      string // "": refused
	}{
		{"cn", nil, "cn:billing"},
		{"dns", func(c *x509.Certificate) { c.DNSNames = []string{"Billing.Example"} }, "dns:billing.example"},
		{"dns", func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example"} }, ""},
		{"dns", nil, ""},
		{"email", func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b.example"} }, "email:a@b.example"},
		{"email", nil, ""},
		{"uri", uris("spiffe://example.org/billing"), "spiffe://example.org/billing"},
		{"uri", uris("spiffe://example.org/billing", "spiffe://example.org/other"), ""},
		{"uri", uris("urn:x:y"), ""},
		{"uri", nil, ""},
	} {
		certs := must(clientcert.New(clientcert.Config{CA: path, Subject: c.subject}))
		who, err := verify(t, certs, ca.issue(c.change))
		if (err == nil) != (c.id != "") || err == nil && who.Client.ID != c.id || err != nil && !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("%s: Verify() = %+v, %v, want %q", c.subject, who.Client, err, c.id)
		}
	}
	alias := must(clientcert.New(clientcert.Config{CA: path, Clients: map[string][]string{"acme": {"cn:billing"}}, Scopes: map[string][]string{"acme": {"a"}, "cn:billing": {"b"}}}))
	if who, err := verify(t, alias, ca.issue(nil)); err != nil || who.Client.ID != "acme" || !who.Scopes.Has("a") || who.Scopes.Has("b") {
		t.Errorf("with an id of ours: Verify() = %+v, %v", who, err)
	}
}

func TestNewRefuses(t *testing.T) {
	ca, other := newAuthority("ours", nil, nil), newAuthority("other", nil, nil)
	old := newAuthority("old", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, nil)
	leaf := ca.issue(nil)
	dir := t.TempDir()
	good := write(t, dir, "good.pem", certPEM(ca.cert))
	der := must(x509.MarshalPKCS8PrivateKey(key))
	for name, c := range map[string]struct {
		cfg  clientcert.Config
		want string
	}{
		"no file":              {clientcert.Config{}, "client_certs.ca"},
		"a file that is not":   {clientcert.Config{CA: filepath.Join(dir, "none")}, "none"},
		"not PEM":              {clientcert.Config{CA: write(t, dir, "x", []byte("x"))}, "no certificate in PEM"},
		"a key beside":         {clientcert.Config{CA: write(t, dir, "k", append(certPEM(ca.cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...))}, "take it out"},
		"no authority":         {clientcert.Config{CA: write(t, dir, "l", certPEM(leaf))}, "no authority's"},
		"one that is none":     {clientcert.Config{CA: write(t, dir, "cl", certPEM(ca.cert, leaf))}, "no authority's"},
		"expired":              {clientcert.Config{CA: write(t, dir, "o", certPEM(old.cert))}, "expired"},
		"unknown subject":      {clientcert.Config{CA: good, Subject: "serial"}, "not one of"},
		"list of another":      {clientcert.Config{CA: good, CRL: write(t, dir, "oc", other.revoke(now.Add(time.Hour)))}, "none of the authorities"},
		"list that is none":    {clientcert.Config{CA: good, CRL: write(t, dir, "xc", []byte("x"))}, "cannot be read"},
		"two lists of one":     {clientcert.Config{CA: good, CRL: write(t, dir, "tc", crlPEM(ca.revoke(now.Add(time.Hour)), ca.revoke(now.Add(time.Hour))))}, "two lists"},
		"a list that is not":   {clientcert.Config{CA: good, CRL: filepath.Join(dir, "none")}, "none"},
		"a list of changes":    {clientcert.Config{CA: good, CRL: write(t, dir, "dc", ca.list(critical("2.5.29.27"), nil))}, "2.5.29.27"},
		"a part of a list":     {clientcert.Config{CA: good, CRL: write(t, dir, "pc", ca.list(critical("2.5.29.28"), nil))}, "complete list"},
		"others' certificates": {clientcert.Config{CA: good, CRL: write(t, dir, "ic", ca.list(nil, critical("2.5.29.29")))}, "2.5.29.29"},
		"a broken certificate": {clientcert.Config{CA: write(t, dir, "b", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))}, "cannot be read"},
	} {
		if _, err := clientcert.New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: New() = %v, want %q", name, err, c.want)
		}
	}
	if _, err := clientcert.New(clientcert.Config{CA: good, CRL: write(t, dir, "d", ca.revoke(now.Add(time.Hour)))}); err != nil {
		t.Errorf("a list in DER: New() = %v", err)
	}
}

// TestListOutOfDate: a list that should have been replaced tells nothing.
func TestListOutOfDate(t *testing.T) {
	ca := newAuthority("ours", nil, nil)
	dir := t.TempDir()
	clock := now
	c := must(clientcert.New(clientcert.Config{
		CA: write(t, dir, "ca", certPEM(ca.cert)), CRL: write(t, dir, "crl", ca.revoke(now.Add(10*time.Second))),
		Now: func() time.Time { return clock }, Logger: slog.New(slog.DiscardHandler),
	}))
	cert := ca.issue(nil)
	if _, err := verify(t, c, cert); err != nil {
		t.Fatal(err)
	}
	clock = now.Add(10 * time.Second) // remembered for no longer than the list
	if _, err := verify(t, c, cert); err == nil || errors.Is(err, gate.ErrInvalid) || !strings.Contains(err.Error(), "out of date") {
		t.Errorf("Verify() = %v, want that it cannot be told", err)
	}
}

// TestReload: changed files are in force within a second, and broken ones leave
// what was.
func TestReload(t *testing.T) {
	ca, next := newAuthority("ours", nil, nil), newAuthority("next", nil, nil)
	dir := t.TempDir()
	caFile, crlFile := write(t, dir, "ca", certPEM(ca.cert)), write(t, dir, "crl", ca.revoke(now.Add(time.Hour)))
	clock := now
	var logged bytes.Buffer
	c := must(clientcert.New(clientcert.Config{
		CA: caFile, CRL: crlFile, Now: func() time.Time { return clock }, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	}))
	cert, later := ca.issue(nil), next.issue(nil)
	expect := func(what string, cert *x509.Certificate, ok bool) {
		t.Helper()
		clock = clock.Add(time.Second)
		for range 2 {
			if _, err := verify(t, c, cert); (err == nil) != ok {
				t.Errorf("%s: Verify() = %v, want ok %v", what, err, ok)
			}
		}
	}
	replace := func(path string, data []byte) { // as Kubernetes and careful programs do
		t.Helper()
		part := write(t, dir, "part", data)
		if err := os.Rename(part, path); err != nil {
			t.Fatal(err)
		}
	}
	expect("at first", cert, true)
	replace(crlFile, ca.revoke(now.Add(time.Hour), cert))
	expect("revoked", cert, false)
	replace(crlFile, ca.revoke(now.Add(time.Hour)))
	expect("not revoked any more", cert, true)
	replace(caFile, []byte("broken"))
	logged.Reset()
	expect("a broken file", cert, true)
	if n := strings.Count(logged.String(), "not taken"); n != 1 {
		t.Errorf("a broken file is logged %d times, want once: %s", n, &logged)
	}
	replace(caFile, certPEM(next.cert))
	expect("a list of another authority than there is", cert, true)
	replace(crlFile, next.revoke(now.Add(time.Hour)))
	expect("another authority", cert, false)
	expect("its certificate", later, true)
	if err := os.Remove(crlFile); err != nil {
		t.Fatal(err)
	}
	expect("a file that is gone", later, true)
}

// TestRefusedOnce: a chain that is refused is not looked at again for some
// seconds, however long that takes, and longer only where the files are the same.
func TestRefusedOnce(t *testing.T) {
	ca, stranger := newAuthority("ours", nil, nil), newAuthority("stranger", nil, nil)
	dir := t.TempDir()
	caFile := write(t, dir, "ca", certPEM(ca.cert))
	clock := now
	c := must(clientcert.New(clientcert.Config{CA: caFile, Now: func() time.Time { return clock }, Logger: slog.New(slog.DiscardHandler)}))
	expect := func(ahead time.Duration, ok bool, chain ...*x509.Certificate) {
		t.Helper()
		clock = now.Add(ahead)
		if _, err := verify(t, c, chain...); (err == nil) != ok || err != nil && !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("after %v: Verify() = %v, want ok %v", ahead, err, ok)
		}
	}
	// That it was not looked at shows in one that has become good meanwhile.
	soon := ca.issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(time.Second), now.Add(10*time.Second) })
	expect(0, false, soon)
	expect(2*time.Second, false, soon)
	expect(5*time.Second, true, soon)
	expect(9*time.Second, true, soon)
	expect(10*time.Second+time.Millisecond, false, soon)
	expect(9*time.Second, false, soon) // this too is remembered, though it was good before

	chain := costly(stranger, 5)
	expect(20*time.Second, false, chain...)
	if err := os.Rename(write(t, dir, "part", certPEM(ca.cert, stranger.cert)), caFile); err != nil {
		t.Fatal(err)
	}
	expect(21*time.Second, true, chain...) // at once with its authority's file
	expect(22*time.Second, false, costly(stranger, 6)...)
}

// TestStrangersPushOutNobody: chains that were refused take no place of good ones.
func TestStrangersPushOutNobody(t *testing.T) {
	ca, stranger := newAuthority("ours", nil, nil), newAuthority("stranger", nil, nil)
	clock := now
	c := must(clientcert.New(clientcert.Config{CA: write(t, t.TempDir(), "ca", certPEM(ca.cert)), Now: func() time.Time { return clock }}))
	good, bad := ca.issue(nil), stranger.issue(nil)
	if _, err := verify(t, c, good); err != nil {
		t.Fatal(err)
	}
	// Each chain is another by what stands above it, which costs no signature.
	above := newAuthority("above", nil, nil).cert
	for n := range 3 * 4096 {
		other := *above
		other.Raw = binary.BigEndian.AppendUint32(nil, uint32(n))
		_, _ = verify(t, c, bad, &other)
	}
	clock = now.Add(30 * time.Second)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := verify(t, c, good)
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; err != nil || n > 40 {
		t.Errorf("Verify() of a good chain after many refused ones = %v with %d allocations: it was looked at again", err, n)
	}
	clock = good.NotAfter.Add(time.Second) // remembered for a minute, and not beyond its time
	if _, err := verify(t, c, good); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("Verify() of one that has expired = %v, want ErrInvalid", err)
	}
	runtime.KeepAlive(c)
}

// costly is a chain that nobody signed and that takes long to refuse: each of its
// authorities may stand above each.
func costly(by *authority, length int) []*x509.Certificate {
	chain := []*x509.Certificate{by.issue(nil)}
	for len(chain) < length {
		again := *by.cert
		again.SerialNumber, again.DNSNames = serial(), []string{fmt.Sprintf("%d.test", len(chain))}
		chain = append(chain, must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &again, by.cert, &by.key.PublicKey, by.key)))))
	}
	return chain
}

// TestNoResumption: a session that began at a host where no certificate is asked
// for is not taken up where one is, nor the other way round; it would keep the
// client from being asked.
func TestNoResumption(t *testing.T) {
	ca, server := newAuthority("ours", nil, nil), newAuthority("server", nil, nil)
	leaf := server.issue(func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost", "other.test"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	cfg := clientcert.Ask(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}, []string{"localhost"})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		pool := x509.NewCertPool()
		pool.AddCert(server.cert)
		sessions := oneSession{}
		connect := func(host string) (resumed, shown bool) {
			t.Helper()
			one, other := net.Pipe()
			defer one.Close()
			served := make(chan tls.ConnectionState, 1)
			go func() {
				defer other.Close()
				s := tls.Server(other, cfg)
				if err := s.Handshake(); err != nil {
					t.Errorf("the server's handshake: %v", err)
				}
				_, _ = s.Write([]byte("x")) // with it come the tickets of TLS 1.3
				served <- s.ConnectionState()
			}()
			cl := tls.Client(one, &tls.Config{
				RootCAs: pool, ServerName: host, ClientSessionCache: &sessions, MaxVersion: version, MinVersion: version,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair(ca.issue(nil)), nil },
			})
			if _, err := io.ReadFull(cl, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			state := <-served
			return state.DidResume, len(state.PeerCertificates) > 0
		}
		for _, step := range []struct {
			host           string
			resumed, shown bool
		}{
			{"other.test", false, false},
			{"other.test", true, false},
			{"localhost", false, true},
			{"localhost", false, true},
			{"other.test", true, false}, // with the ticket from before
		} {
			if resumed, shown := connect(step.host); resumed != step.resumed || shown != step.shown {
				t.Errorf("TLS %x at %s: resumed %v, a certificate shown %v, want %v, %v", version, step.host, resumed, shown, step.resumed, step.shown)
			}
		}
	}
}

// A oneSession hands out the session that it was given last, whatever the host.
type oneSession struct{ last *tls.ClientSessionState }

func (s *oneSession) Get(string) (*tls.ClientSessionState, bool) { return s.last, s.last != nil }

func (s *oneSession) Put(_ string, last *tls.ClientSessionState) {
	if last != nil {
		s.last = last
	}
}

// serve runs a server that asks for certificates at localhost, and tells whom it
// sees. It returns what calls it by a name.
func serve(t *testing.T, c *clientcert.Certificates, proxies []netip.Prefix) func(host string, cert *tls.Certificate, change func(*http.Request)) (int, string, bool) {
	t.Helper()
	server := newAuthority("server", nil, nil)
	leaf := server.issue(func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost", "other.test"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	op := &gate.Operation{ID: "op", Pattern: "GET /", Policy: gate.Require(gate.Need{Scheme: "cert"})}
	g := must(gate.New(gate.Config{
		Schemes: []gate.Scheme{{Name: "cert", Places: []gate.Place{{In: gate.InCertificate}}}}, Operations: []*gate.Operation{op},
		Authenticators: map[string]gate.Authenticator{"cert": c.Scheme()}, PublicOrigin: "https://localhost",
	}))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /public", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "public "+r.Header.Get("Client-Cert")+r.Header.Get("Client-Cert-Chain"))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if who, ok := g.Admit(w, r, op); ok {
			client, _ := who.Client()
			_, _ = io.WriteString(w, client.ID)
		}
	})
	s := httptest.NewUnstartedServer(clientcert.FromProxies(origin.Forwarder{Proxies: proxies}.Trusts, mux))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = clientcert.Ask(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}, NextProtos: []string{"h2", "http/1.1"}}, []string{"LocalHost"})
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.cert)
	return func(host string, cert *tls.Certificate, change func(*http.Request)) (int, string, bool) {
		t.Helper()
		asked := false
		tr := &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: pool, ServerName: host,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				if cert == nil {
					return &tls.Certificate{}, nil
				}
				return cert, nil
			},
		}}
		req := must(http.NewRequest("GET", s.URL+"/", nil))
		if change != nil {
			change(req)
		}
		res, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body := must(io.ReadAll(res.Body))
		return res.StatusCode, string(body), asked
	}
}

func pair(c *x509.Certificate) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

// TestConnections: certificates are asked for at the hosts named, and a bad one
// keeps nobody from what needs none.
func TestConnections(t *testing.T) {
	ca, other := newAuthority("ours", nil, nil), newAuthority("other", nil, nil)
	c := must(clientcert.New(clientcert.Config{CA: write(t, t.TempDir(), "ca", certPEM(ca.cert))}))
	ask := serve(t, c, nil)
	public := func(r *http.Request) { r.URL.Path = "/public" }
	for name, test := range map[string]struct {
		host   string
		cert   *tls.Certificate
		change func(*http.Request)
		status int
		body   string
		asked  bool
	}{
		"good":                          {"localhost", pair(ca.issue(nil)), nil, 200, "cn:billing", true},
		"none":                          {"localhost", nil, nil, 401, "", true},
		"another authority's":           {"localhost", pair(other.issue(nil)), nil, 401, "", true},
		"another authority's, public":   {"localhost", pair(other.issue(nil)), public, 200, "public ", true},
		"a host that does not ask":      {"other.test", pair(ca.issue(nil)), nil, 401, "", false},
		"the header from anybody":       {"localhost", nil, client(ca.issue(nil)), 401, "", true},
		"the header from anybody, gone": {"localhost", nil, func(r *http.Request) { client(ca.issue(nil))(r); public(r) }, 200, "public ", true},
	} {
		status, body, asked := ask(test.host, test.cert, test.change)
		if status != test.status || test.body != "" && body != test.body || asked != test.asked {
			t.Errorf("%s: %d %q, asked for a certificate: %v, want %d %q, %v", name, status, body, asked, test.status, test.body, test.asked)
		}
	}
}

// client is a request as a proxy sends it (RFC 9440).
func client(certs ...*x509.Certificate) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(certs[0].Raw)+":")
		var chain []string
		for _, c := range certs[1:] {
			chain = append(chain, ":"+base64.StdEncoding.EncodeToString(c.Raw)+":")
		}
		if chain != nil {
			r.Header.Set("Client-Cert-Chain", strings.Join(chain, ", "))
		}
	}
}

func TestFromProxies(t *testing.T) {
	ca, other := newAuthority("ours", nil, nil), newAuthority("other", nil, nil)
	middle := newAuthority("middle", nil, ca)
	c := must(clientcert.New(clientcert.Config{CA: write(t, t.TempDir(), "ca", certPEM(ca.cert))}))
	ask := serve(t, c, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	set := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	one := ":" + base64.StdEncoding.EncodeToString(ca.issue(nil).Raw) + ":"
	for name, test := range map[string]struct {
		cert   *tls.Certificate // of the proxy itself
		change func(*http.Request)
		status int
		body   string
	}{
		"good":                    {nil, client(ca.issue(nil)), 200, "cn:billing"},
		"with a chain":            {nil, client(middle.issue(nil), middle.cert), 200, "cn:billing"},
		"the chain left out":      {nil, client(middle.issue(nil)), 401, ""},
		"another authority's":     {nil, client(other.issue(nil)), 401, ""},
		"none":                    {nil, nil, 401, ""},
		"the proxy's own":         {pair(ca.issue(nil)), nil, 401, ""},
		"beside the proxy's own":  {pair(other.issue(nil)), client(ca.issue(nil)), 200, "cn:billing"},
		"twice":                   {nil, set("Client-Cert", one, one), 400, ""},
		"a list":                  {nil, set("Client-Cert", one+", "+one), 400, ""},
		"not a byte sequence":     {nil, set("Client-Cert", `"x"`), 400, ""},
		"PEM":                     {nil, set("Client-Cert", "-----BEGIN CERTIFICATE-----"), 400, ""},
		"no certificate":          {nil, set("Client-Cert", ":AAAA:"), 400, ""},
		"empty":                   {nil, set("Client-Cert", ""), 400, ""},
		"a chain alone":           {nil, set("Client-Cert-Chain", one), 400, ""},
		"a chain of nothing good": {nil, func(r *http.Request) { set("Client-Cert", one)(r); set("Client-Cert-Chain", "x")(r) }, 400, ""},
		"a long chain": {nil, func(r *http.Request) {
			set("Client-Cert", one)(r)
			set("Client-Cert-Chain", strings.TrimSuffix(strings.Repeat(one+", ", 10), ", "))(r)
		}, 400, ""},
	} {
		status, body, _ := ask("localhost", test.cert, test.change)
		if status != test.status || test.body != "" && body != test.body {
			t.Errorf("%s: %d %q, want %d %q", name, status, body, test.status, test.body)
		}
	}
	if status, body, _ := serve(t, c, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})("localhost", nil, client(ca.issue(nil))); status != 401 {
		t.Errorf("from somebody who is no proxy: %d %q, want 401", status, body)
	}
}

// FuzzHeader: whatever a proxy's header says, a request either has certificates
// that x509 reads or is refused.
func FuzzHeader(f *testing.F) {
	ca := newAuthority("ours", nil, nil)
	one := ":" + base64.StdEncoding.EncodeToString(ca.cert.Raw) + ":"
	f.Add(one, one+", "+one)
	f.Add(one, "")
	f.Add(":AAAA:", `("x")`)
	f.Fuzz(func(t *testing.T, leaf, chain string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Client-Cert"] = []string{leaf}
		if chain != "" {
			r.Header["Client-Cert-Chain"] = []string{chain}
		}
		w := httptest.NewRecorder()
		reached := false
		clientcert.FromProxies(origin.Forwarder{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}.Trusts, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			reached = true
			if cert := clientcert.Of(r); cert == nil || len(cert.Raw) == 0 {
				t.Errorf("Client-Cert %q reached the handler without a certificate", leaf)
			}
		})).ServeHTTP(w, r)
		if !reached && w.Code != http.StatusBadRequest {
			t.Errorf("Client-Cert %q = %d, want 400", leaf, w.Code)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	ca := newAuthority("ours", nil, nil)
	c := must(clientcert.New(clientcert.Config{CA: write(b, b.TempDir(), "ca", certPEM(ca.cert))}))
	r := showing(ca.issue(nil))
	a := c.Scheme()
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			if _, err := a.Verify(context.Background(), r, gate.Credential{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			r := showing(ca.issue(nil))
			b.StartTimer()
			if _, err := a.Verify(context.Background(), r, gate.Credential{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
