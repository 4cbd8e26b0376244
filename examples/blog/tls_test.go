package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// TestTLS has the program meet clients with old and weak TLS, wrong names and no
// TLS at all, as scanners of TLS do.
func TestTLS(t *testing.T) {
	s := newSite(t, build(t), gatetest.NewProvider(t), "store: sqlite:keys.db\n", nil)
	trusted := s.ca.Transport().TLSClientConfig.RootCAs
	shake := func(edit func(*tls.Config)) (tls.ConnectionState, error) {
		c := &tls.Config{RootCAs: trusted, ServerName: "localhost", MinVersion: tls.VersionTLS10}
		edit(c)
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", s.addr, c)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer conn.Close()
		return conn.ConnectionState(), nil
	}
	for _, c := range []struct {
		version uint16
		want    string // of the error; "": it is spoken
	}{
		{tls.VersionTLS10, "protocol version not supported"},
		{tls.VersionTLS11, "protocol version not supported"},
		{tls.VersionTLS12, ""},
		{tls.VersionTLS13, ""},
	} {
		state, err := shake(func(cfg *tls.Config) { cfg.MinVersion, cfg.MaxVersion = c.version, c.version })
		if c.want == "" && (err != nil || state.Version != c.version) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", tls.VersionName(c.version), err, c.want)
		}
	}
	spoken := 0
	for _, suite := range tls.CipherSuites() {
		state, err := shake(func(cfg *tls.Config) { cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, []uint16{suite.ID} })
		if err == nil && state.CipherSuite == suite.ID {
			spoken++
		}
	}
	if spoken == 0 {
		t.Error("no suite of TLS 1.2 is spoken: this tests nothing")
	}
	weak := tls.InsecureCipherSuites()
	for _, suite := range weak {
		if _, err := shake(func(cfg *tls.Config) { cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, []uint16{suite.ID} }); err == nil {
			t.Errorf("the weak suite %s is spoken", suite.Name)
		}
	}
	t.Logf("%d suites of TLS 1.2 are spoken, %d weak ones are not", spoken, len(weak))
	for name, want := range map[string]string{"other.example": "unrecognized name", "localhost.example": "unrecognized name", "x.localhost": "unrecognized name", "LOCALHOST": ""} {
		_, err := shake(func(cfg *tls.Config) { cfg.ServerName, cfg.InsecureSkipVerify = name, true })
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("the name %s: %v, want %q", name, err, want)
		}
	}
	if _, err := shake(func(cfg *tls.Config) { cfg.ServerName, cfg.InsecureSkipVerify = "", true }); err != nil {
		t.Errorf("no name: %v", err)
	}
	for _, c := range []struct {
		offered []string
		want    string
		taken   bool
	}{
		{[]string{"h2", "http/1.1"}, "h2", true}, {[]string{"http/1.1"}, "http/1.1", true}, {nil, "", true},
		{[]string{"spdy/3"}, "", false}, {[]string{"acme-tls/1"}, "", false},
	} {
		state, err := shake(func(cfg *tls.Config) { cfg.NextProtos = c.offered })
		if (err == nil) != c.taken || state.NegotiatedProtocol != c.want {
			t.Errorf("ALPN %q: %q, %v, want %q, taken %v", c.offered, state.NegotiatedProtocol, err, c.want, c.taken)
		}
	}
	// What is no TLS, or no TLS of this century.
	for name, hello := range map[string]string{
		"HTTP":  "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"SSLv2": "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + strings.Repeat("\x01", 37),
		"SSLv3": "\x16\x03\x00\x00\x2d\x01\x00\x00\x29\x03\x00" + strings.Repeat("\x01", 32) + "\x00\x00\x02\x00\x2f\x01\x00",
		"noise": strings.Repeat("\x00\xff", 200),
	} {
		conn, err := net.DialTimeout("tcp", s.addr, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, hello); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && (name != "HTTP" || res.StatusCode != 400) {
			t.Errorf("%s is answered %s", name, res.Status)
		}
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%s keeps its connection", name)
		}
		_ = conn.Close()
	}
	s.stop(t)
}
