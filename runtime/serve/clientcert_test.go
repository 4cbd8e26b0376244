package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/gatewright/gatewright/runtime/clientcert"
	"github.com/gatewright/gatewright/runtime/config"
)

// TestClientCertHosts: certificates are asked for at the hosts configured, which
// the server answers for, and a connection made for another host is not used for
// one of them.
func TestClientCertHosts(t *testing.T) {
	shown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, clientcert.Of(r) != nil)
	})
	s := start(t, shown, func(c *config.Config) {
		c.ClientCerts.Hosts = []string{"Api.Blog.Example"}
		second, key, _ := certificateFor(t, "api.blog.example")
		c.TLS.Cert, c.TLS.Key = append(c.TLS.Cert, second), append(c.TLS.Key, key)
	})
	certFile, keyFile, _ := certificate(t)
	own, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, connect, host string
		status              int
		body                string
	}{
		{"a host that asks", "api.blog.example", "api.blog.example", 200, "true"},
		{"with its port", "api.blog.example", "api.blog.example:443", 200, "true"},
		{"in capitals", "API.Blog.example", "API.blog.example", 200, "true"},
		{"the public URL's", "blog.example", "blog.example", 200, "false"},
		{"one on the other's connection", "blog.example", "api.blog.example", 421, ""},
		{"and the other way", "api.blog.example", "blog.example", 200, "true"},
		{"an unknown one", "blog.example", "evil.example", 421, ""},
		{"another port", "api.blog.example", "api.blog.example:8443", 421, ""},
	} {
		client := &http.Client{Timeout: patience, Transport: &http.Transport{
			DisableKeepAlives: true,
			// Whether the certificate stands for the host is told at the start.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: c.connect, Certificates: []tls.Certificate{own}},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", s.address)
			},
		}}
		req, err := http.NewRequest("GET", "https://"+c.connect+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		res, body := answer(t)(client.Do(req))
		if res.StatusCode != c.status || c.body != "" && body != c.body {
			t.Errorf("%s: %d %q, want %d %q", c.name, res.StatusCode, body, c.status, c.body)
		}
	}
}

// TestClientCertProxies: the header counts from configured proxies alone.
func TestClientCertProxies(t *testing.T) {
	shown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, clientcert.Of(r) != nil, r.Header.Get("Client-Cert") != "")
	})
	for proxies, want := range map[string]string{"127.0.0.0/8": "400", "192.0.2.0/24": "false false"} {
		s := start(t, shown, func(c *config.Config) { c.ClientCerts.Proxies = []string{proxies} })
		req, err := http.NewRequest("GET", "https://blog.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Client-Cert", ":AAAA:") // which is no certificate
		res, body := answer(t)(s.client.Do(req))
		if got := fmt.Sprint(res.StatusCode); got != want && body != want {
			t.Errorf("proxies %s: %d %s, want %s", proxies, res.StatusCode, body, want)
		}
	}
}
