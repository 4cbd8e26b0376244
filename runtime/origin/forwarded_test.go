package origin_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/origin"
)

const (
	proxy  = "10.0.0.1:4000"
	nobody = "192.0.2.9:4000" // no proxy
)

func forwarder(standard bool) origin.Forwarder {
	return origin.Forwarder{Standard: standard, Proxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48"),
	}}
}

func TestForwarded(t *testing.T) {
	many := strings.Repeat("198.51.100.1, ", 50)
	for _, c := range []struct {
		name, from string
		header     []string // name: value
		client     string
		secure     bool
	}{
		{"a proxy that says all", proxy, []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https"}, "198.51.100.7:0", true},
		{"with a port", proxy, []string{"X-Forwarded-For: 198.51.100.7:81", "X-Forwarded-Proto: HTTPS"}, "198.51.100.7:81", true},
		{"IPv6", proxy, []string{"X-Forwarded-For: 2001:db8::7", "X-Forwarded-Proto: https"}, "[2001:db8::7]:0", true},
		{"IPv6 in brackets", proxy, []string{"X-Forwarded-For: [2001:db8::7]", "X-Forwarded-Proto: https"}, "[2001:db8::7]:0", true},
		{"IPv6 with a port", proxy, []string{"X-Forwarded-For: [2001:db8::7]:81", "X-Forwarded-Proto: https"}, "[2001:db8::7]:81", true},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:4000", []string{"X-Forwarded-For: ::ffff:198.51.100.7", "X-Forwarded-Proto: https"}, "198.51.100.7:0", true},
		{"a proxy with IPv6", "[2001:db8:1::1]:4000", []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https"}, "198.51.100.7:0", true},
		{"two proxies", proxy, []string{"X-Forwarded-For: 198.51.100.7, 10.0.0.2", "X-Forwarded-Proto: https"}, "198.51.100.7:0", true},
		{"two headers", proxy, []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-For: 10.0.0.2", "X-Forwarded-Proto: https"}, "198.51.100.7:0", true},
		{"what the client wrote before", proxy, []string{"X-Forwarded-For: 203.0.113.1, 198.51.100.7", "X-Forwarded-Proto: https"}, "198.51.100.7:0", true},
		{"a proxy's address that the client wrote", proxy, []string{"X-Forwarded-For: 10.9.9.9, 198.51.100.7, 10.0.0.2", "X-Forwarded-Proto: https"}, "198.51.100.7:0", true},
		{"proxies alone", proxy, []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2", "X-Forwarded-Proto: https"}, "10.0.0.3:0", true},
		{"more than there are proxies", proxy, []string{"X-Forwarded-For: " + many + "198.51.100.7", "X-Forwarded-Proto: https"}, "198.51.100.7:0", true},
		{"no address", proxy, []string{"X-Forwarded-For: unknown", "X-Forwarded-Proto: https"}, proxy, true},
		{"no address behind a proxy", proxy, []string{"X-Forwarded-For: 203.0.113.1, unknown, 10.0.0.2", "X-Forwarded-Proto: https"}, "10.0.0.2:0", true},
		{"an empty member", proxy, []string{"X-Forwarded-For: 203.0.113.1,", "X-Forwarded-Proto: https"}, proxy, true},
		{"half a bracket", proxy, []string{"X-Forwarded-For: [2001:db8::7", "X-Forwarded-Proto: https"}, proxy, true},
		{"no client named", proxy, []string{"X-Forwarded-Proto: https"}, proxy, true},
		{"in the clear", proxy, []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: http"}, "198.51.100.7:0", false},
		{"nothing of TLS", proxy, []string{"X-Forwarded-For: 198.51.100.7"}, "198.51.100.7:0", false},
		{"two words of TLS", proxy, []string{"X-Forwarded-Proto: https, http"}, proxy, false},
		{"the other way", proxy, []string{"X-Forwarded-Proto: http", "X-Forwarded-Proto: https"}, proxy, false},
		{"twice the same", proxy, []string{"X-Forwarded-Proto: https,https"}, proxy, true},
		{"an empty word", proxy, []string{"X-Forwarded-Proto: "}, proxy, false},
		{"another protocol", proxy, []string{"X-Forwarded-Proto: wss"}, proxy, false},
		{"the header that does not count", proxy, []string{"Forwarded: for=198.51.100.7;proto=https"}, proxy, false},
		{"against the one that does", proxy, []string{"Forwarded: for=203.0.113.1;proto=https", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: http"}, "198.51.100.7:0", false},
		{"other words for it", proxy, []string{"X-Forwarded-Ssl: on", "Front-End-Https: on", "X-Forwarded-Scheme: https", "X-Url-Scheme: https"}, proxy, false},
		{"nobody", nobody, []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https"}, nobody, false},
		{"a socket", "@", []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https"}, "@", false},
	} {
		t.Run(c.name, func(t *testing.T) { client(t, forwarder(false), c.from, c.header, c.client, c.secure) })
	}
}

func TestForwardedStandard(t *testing.T) {
	many := strings.Repeat("for=203.0.113.1, ", 50)
	for _, c := range []struct {
		name, from string
		header     []string
		client     string
		secure     bool
	}{
		{"a proxy that says all", proxy, []string{"Forwarded: for=198.51.100.7;proto=https;by=10.0.0.1;host=blog.example"}, "198.51.100.7:0", true},
		{"quoted", proxy, []string{`Forwarded: For="[2001:db8::7]:81"; Proto="https"`}, "[2001:db8::7]:81", true},
		{"escaped", proxy, []string{`Forwarded: for="198.51.100\.7";proto="h\ttps"`}, "198.51.100.7:0", true},
		{"a comma in quotes", proxy, []string{`Forwarded: host="a,b;proto=http";for=198.51.100.7;proto=https`}, "198.51.100.7:0", true},
		{"two proxies, the inner one in the clear", proxy, []string{"Forwarded: for=198.51.100.7;proto=https, for=10.0.0.2;proto=http"}, "198.51.100.7:0", true},
		{"two proxies, the client in the clear", proxy, []string{"Forwarded: for=198.51.100.7;proto=http", "Forwarded: for=10.0.0.2;proto=https"}, "198.51.100.7:0", false},
		{"what the client wrote before", proxy, []string{"Forwarded: for=203.0.113.1;proto=https, for=198.51.100.7;proto=http"}, "198.51.100.7:0", false},
		{"the client says nothing of TLS", proxy, []string{"Forwarded: for=198.51.100.7, for=10.0.0.2;proto=https"}, "198.51.100.7:0", false},
		{"obfuscated", proxy, []string{"Forwarded: for=203.0.113.1;proto=http, for=_secret;proto=https"}, proxy, true},
		{"unknown", proxy, []string{"Forwarded: for=unknown;proto=https"}, proxy, true},
		{"no client named", proxy, []string{"Forwarded: proto=https"}, proxy, true},
		{"in the clear", proxy, []string{"Forwarded: for=198.51.100.7;proto=http"}, "198.51.100.7:0", false},
		{"a word twice", proxy, []string{"Forwarded: for=198.51.100.7;proto=http;proto=https"}, proxy, false},
		{"a quote that does not end", proxy, []string{`Forwarded: for="198.51.100.7;proto=https`}, proxy, false},
		{"the client's quote", proxy, []string{`Forwarded: for="`, `Forwarded: for=198.51.100.7;proto=https`}, proxy, false},
		{"an escape at the end", proxy, []string{`Forwarded: for="\`}, proxy, false},
		{"no word", proxy, []string{"Forwarded: https"}, proxy, false},
		{"something after a quote", proxy, []string{`Forwarded: for="198.51.100.7"x;proto=https`}, proxy, false},
		{"an empty element", proxy, []string{"Forwarded: , for=198.51.100.7;proto=https"}, proxy, false},
		{"more than there are proxies", proxy, []string{"Forwarded: " + many + "for=198.51.100.7;proto=https"}, "198.51.100.7:0", true},
		{"the headers that do not count", proxy, []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https"}, proxy, false},
		{"nobody", nobody, []string{"Forwarded: for=198.51.100.7;proto=https"}, nobody, false},
	} {
		t.Run(c.name, func(t *testing.T) { client(t, forwarder(true), c.from, c.header, c.client, c.secure) })
	}
}

func client(t *testing.T, f origin.Forwarder, from string, header []string, want string, secure bool) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = from
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	if got, tls := f.Client(r); got != want || tls != secure {
		t.Errorf("Client() = %s, %v, want %s, %v", got, tls, want, secure)
	}
}

// FuzzForwarded: whatever a client wrote before what the proxy adds, it is the
// proxy's word that counts.
func FuzzForwarded(f *testing.F) {
	f.Add("for=1.2.3.4;proto=https", "for=1.2.3.4", true)
	f.Add(`for="`, "unknown", false)
	f.Add("10.0.0.2", "https", false)
	f.Fuzz(func(t *testing.T, wrote, proto string, standard bool) {
		r := &http.Request{RemoteAddr: proxy, Header: http.Header{}}
		fw := forwarder(standard)
		if standard {
			r.Header["Forwarded"] = []string{wrote, "for=198.51.100.7;proto=http"}
		} else {
			r.Header["X-Forwarded-For"] = []string{wrote, "198.51.100.7"}
			r.Header["X-Forwarded-Proto"] = []string{proto, "http"}
		}
		got, secure := fw.Client(r)
		if secure || got != "198.51.100.7:0" && (!standard || got != proxy) {
			t.Errorf("Client() = %s, %v", got, secure)
		}
	})
}
