package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
)

var discard = log.New(io.Discard, "", 0)

func open(t *testing.T) *Authority {
	t.Helper()
	a, err := OpenAuthority(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthorityIsKept(t *testing.T) {
	a := open(t)
	b, err := OpenAuthority(a.dir)
	if err != nil {
		t.Fatal(err)
	}
	if !a.cert.Equal(b.cert) {
		t.Error("OpenAuthority made a second authority where one was")
	}
	for name, want := range map[string]os.FileMode{"": 0o700, keyName: 0o600} {
		info, err := os.Stat(filepath.Join(a.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %q = %04o, want %04o", name, got, want)
		}
	}
	if !a.cert.MaxPathLenZero || a.cert.MaxPathLen != 0 {
		t.Error("the authority may sign further authorities")
	}
}

func TestAuthorityDefaultDir(t *testing.T) {
	base := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", base)
	t.Setenv("HOME", base)
	want, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	a, err := OpenAuthority("")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.CertFile(), filepath.Join(want, "gatewright", "ca", "ca.pem"); got != want {
		t.Errorf("CertFile() = %q, want %q", got, want)
	}
}

func TestAuthorityRenewed(t *testing.T) {
	for name, test := range map[string]struct {
		left time.Duration
		kept bool
	}{
		"59 days left": {59 * 24 * time.Hour, false},
		"61 days left": {61 * 24 * time.Hour, true},
		"expired":      {-24 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o700))
			old, err := createAuthority(dir, time.Now().Add(test.left-authorityFor))
			if err != nil {
				t.Fatal(err)
			}
			now, err := OpenAuthority(dir)
			if err != nil {
				t.Fatal(err)
			}
			if kept := now.cert.Equal(old.cert); kept != test.kept {
				t.Errorf("kept = %v, want %v", kept, test.kept)
			}
		})
	}
}

func TestAuthorityCreatedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	opened := make([]*Authority, 16)
	var group sync.WaitGroup
	for i := range opened {
		group.Go(func() {
			a, err := OpenAuthority(dir)
			if err != nil {
				t.Error(err)
				return
			}
			opened[i] = a
		})
	}
	group.Wait()
	for _, a := range opened {
		if a == nil || !a.cert.Equal(opened[0].cert) {
			t.Fatal("openings at once gave different authorities")
		}
	}
}

func TestOpenAuthorityRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(t *testing.T, a *Authority)
		want  string
	}{
		"folder open to others": {func(t *testing.T, a *Authority) { must(t, os.Chmod(a.dir, 0o755)) }, "chmod 700"},
		"key open to others":    {func(t *testing.T, a *Authority) { must(t, os.Chmod(filepath.Join(a.dir, keyName), 0o644)) }, "chmod 600"},
		"key open to others, certificate missing": {func(t *testing.T, a *Authority) {
			must(t, os.Chmod(filepath.Join(a.dir, keyName), 0o644))
			must(t, os.Remove(a.CertFile()))
		}, "chmod 600"},
		"not PEM": {func(t *testing.T, a *Authority) { must(t, os.WriteFile(a.CertFile(), []byte("x"), 0o644)) }, "remove the folder"},
		"a leaf": {func(t *testing.T, a *Authority) {
			must(t, a.WriteLeaf(a.CertFile(), filepath.Join(a.dir, keyName), "localhost"))
		}, "no certificate authority"},
		"without constraints": {func(t *testing.T, a *Authority) {
			plant(t, a.dir, func(c *x509.Certificate) { c.PermittedDNSDomains, c.PermittedIPRanges = nil, nil })
		}, "not limited"},
		"any address": {func(t *testing.T, a *Authority) {
			plant(t, a.dir, func(c *x509.Certificate) { c.PermittedIPRanges = nil })
		}, "not limited"},
		"one more domain": {func(t *testing.T, a *Authority) {
			plant(t, a.dir, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"localhost", "com"} })
		}, "not limited"},
		"all addresses": {func(t *testing.T, a *Authority) {
			plant(t, a.dir, func(c *x509.Certificate) {
				c.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(0, 32)}}
			})
		}, "not limited"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := open(t)
			test.spoil(t, a)
			if _, err := OpenAuthority(a.dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("OpenAuthority = %v, want an error with %q", err, test.want)
			}
		})
	}
}

// plant puts an authority with an edited certificate into dir.
func plant(t *testing.T, dir string, edit func(*x509.Certificate)) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := authorityTemplate(time.Now())
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	must(t, writeKey(filepath.Join(dir, keyName), key))
	must(t, writeCert(filepath.Join(dir, certName), der))
}

func TestLeafVerifies(t *testing.T) {
	a, other := open(t), open(t)
	pair, err := a.Leaf("localhost", "Blog.Localhost", "127.0.0.1", "::1")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "blog.localhost", "127.0.0.1", "::1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: a.Pool()}); err != nil {
			t.Errorf("Verify(%q) = %v", host, err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: other.Pool()}); err == nil {
			t.Errorf("Verify(%q) succeeds under another authority", host)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "other.localhost", Roots: a.Pool()}); err == nil {
		t.Error("Verify succeeds for a host that the leaf does not name")
	}
	if days := time.Until(pair.Leaf.NotAfter) / (24 * time.Hour); days > 90 {
		t.Errorf("the leaf lasts %d days, want at most 90", days)
	}
}

func TestLeafEndsWithAuthority(t *testing.T) {
	dir := t.TempDir()
	a, err := createAuthority(dir, time.Now().Add(61*24*time.Hour-authorityFor))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.Leaf("localhost")
	if err != nil {
		t.Fatal(err)
	}
	if pair.Leaf.NotAfter.After(a.cert.NotAfter) {
		t.Errorf("the leaf ends at %v, after its authority at %v", pair.Leaf.NotAfter, a.cert.NotAfter)
	}
}

func TestLeafRefuses(t *testing.T) {
	a := open(t)
	for _, host := range []string{
		"", "example.com", "localhost.example.com", "notlocalhost", "*.localhost", ".localhost", "a..localhost",
		"a\x00.localhost", "localhost.", "10.0.0.1", "0.0.0.0", "::", "::2", "[::1]", "128.0.0.1", "localhost:8443",
	} {
		if _, err := a.Leaf("localhost", host); err == nil {
			t.Errorf("Leaf(%q) made a certificate, want an error", host)
		}
	}
	if _, err := a.Leaf(); err == nil {
		t.Error("Leaf() made a certificate without hosts, want an error")
	}
}

// The constraints must hold against one who has the authority's key and does
// not ask Leaf.
func TestAuthorityCannotVouchForOthers(t *testing.T) {
	a := open(t)
	tests := map[string]struct {
		host string
		edit func(*x509.Certificate)
	}{
		"name":            {"example.com", func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} }},
		"name and ours":   {"example.com", func(c *x509.Certificate) { c.DNSNames = []string{"localhost", "example.com"} }},
		"wildcard":        {"example.com", func(c *x509.Certificate) { c.DNSNames = []string{"*.com"} }},
		"suffix":          {"evillocalhost", func(c *x509.Certificate) { c.DNSNames = []string{"evillocalhost"} }},
		"private address": {"10.0.0.1", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("10.0.0.1")} }},
		"public address":  {"2001:db8::1", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1")} }},
		"client": {"", func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}},
		"mail in disguise": {"", func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			leaf, _ := forge(t, a.cert, a.key, test.edit)
			usages := []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
			if name == "client" {
				usages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			}
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: test.host, Roots: a.Pool(), KeyUsages: usages}); err == nil {
				t.Errorf("a forged certificate for %q verifies", test.host)
			}
		})
	}
	t.Run("authority below", func(t *testing.T) {
		below, key := forge(t, a.cert, a.key, func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		})
		leaf, _ := forge(t, below, key, func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} })
		between := x509.NewCertPool()
		between.AddCert(below)
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: a.Pool(), Intermediates: between}); err == nil {
			t.Error("a certificate of an authority below verifies")
		}
	})
	t.Run("openssl agrees", func(t *testing.T) {
		if _, err := exec.LookPath("openssl"); err != nil {
			testenv.Skip(t, "there is no openssl on this machine")
		}
		forged, _ := forge(t, a.cert, a.key, func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} })
		good, err := a.Leaf("localhost")
		must(t, err)
		for name, der := range map[string][]byte{"forged": forged.Raw, "good": good.Leaf.Raw} {
			path := filepath.Join(t.TempDir(), "leaf.pem")
			must(t, writeCert(path, der))
			output, err := exec.Command("openssl", "verify", "-CAfile", a.CertFile(), path).CombinedOutput()
			if ok := err == nil; ok != (name == "good") {
				t.Errorf("openssl verify of the %s certificate: %v\n%s", name, err, output)
			}
		}
	})
}

// forge signs a certificate with the parent's key, whatever it says.
func forge(t *testing.T, parent *x509.Certificate, parentKey any, edit func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert, key
}

func TestWriteLeafServes(t *testing.T) {
	a := open(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(keyFile, nil, 0o644)) // a loose mode must not survive
	must(t, a.WriteLeaf(certFile, keyFile, "localhost", "127.0.0.1"))
	files, err := Files([]Pair{{certFile, keyFile}}, []string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	askWithCurl(t, a, listen(t, files.Config()))
}

func TestTLSConfigServes(t *testing.T) {
	a := open(t)
	config, err := a.TLSConfig("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	askWithCurl(t, a, listen(t, config))
}

// askWithCurl shows that a program which is not ours accepts the certificate
// once it is told of the authority, and not before.
func askWithCurl(t *testing.T, a *Authority, address string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		testenv.Skip(t, "there is no curl on this machine")
	}
	output, err := exec.Command("curl", "--silent", "--show-error", "--http1.1", "--noproxy", "*", "--cacert", a.CertFile(), "https://"+address+"/").CombinedOutput()
	if err != nil || string(output) != "hello" {
		t.Errorf("curl --cacert: %v\n%s", err, output)
	}
	if output, err := exec.Command("curl", "--silent", "--http1.1", "--noproxy", "*", "https://"+address+"/").CombinedOutput(); err == nil {
		t.Errorf("curl without --cacert was answered %q", output)
	}
}
