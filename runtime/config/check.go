package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// check fills in defaults and notes what does not go together or must not be.
func (d *draft) check() {
	d.fill()
	host := d.checkPublicURL()
	d.checkListen()
	d.checkTLS(host)
	d.checkPlain()
	d.checkRanges("tls.behind_proxy", d.TLS.BehindProxy)
	d.checkRanges("proxy_protocol", d.ProxyProtocol)
	d.checkSecrets()
	d.checkProviders()
	d.checkAuthorities()
	d.checkSchemes()
	d.checkClients()
	d.checkClientCerts(host)
	d.checkSessions()
	d.checkLook()
	d.checkCORS()
	d.checkAdmin()
	d.checkLimits()
	d.checkTexts()
}

// fill sets what was left out. In development the environment is test
// whatever was said.
func (d *draft) fill() {
	if len(d.TLS.BehindProxy) > 0 {
		fill(&d.Listen, "127.0.0.1:8080")
		fill(&d.TLS.ProxyHeader, "x-forwarded")
	}
	fill(&d.Listen, "127.0.0.1:8443")
	fill(&d.Environment, "live")
	fill(&d.Keys.Prefix, "gw")
	fill(&d.Cache, time.Second)
	d.fillSessions()
	fill(&d.Limits.HeaderBytes, 64<<10)
	fill(&d.Limits.BodyBytes, 32<<20)
	fill(&d.Limits.HeaderTime, 10*time.Second)
	fill(&d.Limits.BodyTime, 60*time.Second)
	fill(&d.Limits.AnswerTime, 2*time.Minute)
	fill(&d.Limits.IdleTime, 2*time.Minute)
	fill(&d.Limits.Connections, 4096)
	fill(&d.Limits.ConnectionsPerAddress, 256)
	fill(&d.Limits.Requests, 1024)
	fill(&d.Limits.RequestsPerAddress, 256)
	fill(&d.Limits.Streams, 100)
	if d.Dev || d.TLS.Dev {
		fill(&d.Shutdown.Delay, -1)
	}
	fill(&d.Shutdown.Delay, time.Second)
	fill(&d.Shutdown.Grace, 20*time.Second)
	fill(&d.Log.Level, "info")
	fill(&d.Log.Format, "text")
	if d.Dev {
		d.Environment = "test"
	}
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// missing notes that a setting was left out. One that was written and could
// not be read has its mistake already.
func (d *draft) missing(setting, hint string) {
	if !d.faulty(setting) {
		d.wrong(setting, "is missing", hint)
	}
}

// faulty tells whether a mistake about any of the settings is known.
func (d *draft) faulty(names ...string) bool {
	return slices.ContainsFunc(d.mistakes, func(m Mistake) bool { return slices.Contains(names, m.Setting) })
}

// checkPublicURL brings the URL into the form of an origin and returns its
// host, "" where the URL is wrong.
func (d *draft) checkPublicURL() (host string) {
	const example = "https://blog.example"
	if d.PublicURL == "" {
		d.missing("public_url", "it is the origin under which clients reach the server, such as "+example)
		return ""
	}
	u, err := url.Parse(d.PublicURL)
	if err != nil {
		d.wrong("public_url", "is not a URL", "write it as "+example) // the parser's own text would quote a password
		return ""
	}
	if u.Scheme == "" {
		d.wrong("public_url", "does not begin with https://", "write it as "+example)
		return ""
	}
	before := len(d.mistakes)
	if u.Scheme != "https" {
		d.wrong("public_url", "is not https", "there is no service over plain HTTP, in development neither")
	}
	if u.User != nil {
		d.wrong("public_url", "holds a user name", "write the scheme, the host and perhaps a port")
	}
	if u.Path != "" && u.Path != "/" || u.Opaque != "" {
		d.wrong("public_url", "has a path", "write the scheme, the host and perhaps a port; paths come from the document")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(d.PublicURL, "#") {
		d.wrong("public_url", "has a query or a fragment", "write the scheme, the host and perhaps a port")
	}
	host = strings.ToLower(u.Hostname())
	if !isHost(host) {
		d.wrong("public_url", fmt.Sprintf("%q is not a host name or an address", host), "names in other scripts are written as in the DNS, xn--…")
	}
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); strings.HasSuffix(u.Host, ":") || port != "" && (err != nil || n == 0 || port[0] == '0') {
		d.wrong("public_url", "has a port that is not a number from 1 to 65535", "")
	}
	if len(d.mistakes) > before {
		return ""
	}
	d.PublicURL = "https://" + hostPort(host, port)
	return host
}

// hostPort writes host and port as browsers do.
func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || port == "443" {
		return host
	}
	return host + ":" + port
}

// isHost accepts an address without a zone, and a name of the DNS.
func isHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == "" && addr.String() == host
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	// A number at the end is an address to browsers, if a strange one.
	last := labels[len(labels)-1]
	return len(host) <= 253 && strings.Trim(last, "0123456789") != ""
}

func (d *draft) checkListen() {
	host, ok := d.checkAddress("listen", d.Listen, "write it as 127.0.0.1:8443, or :8443 for every address")
	if !ok || IsActivated(d.Listen) {
		return
	}
	// A name is looked up, and who answers is not us: of names localhost alone will do.
	if isLoopbackHost(host) {
		return
	}
	if d.Dev {
		d.wrong("listen", d.Listen+" can be reached from other machines, and the development switch is on", "listen on 127.0.0.1, or do not set "+envDev)
	}
	if d.TLS.Dev {
		d.wrong("listen", d.Listen+" can be reached from other machines, and the certificate is one for development", "listen on 127.0.0.1, or set tls.cert and tls.key")
	}
}

// IsActivated tells whether a listener's address is that of a socket which
// systemd opens for the process.
func IsActivated(address string) bool {
	return address == "systemd" || strings.HasPrefix(address, "systemd:")
}

// checkAddress checks the address of a listener and returns its host.
func (d *draft) checkAddress(setting, address, hint string) (host string, ok bool) {
	if IsActivated(address) {
		return "", true
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		d.wrong(setting, fmt.Sprintf("%q is not an address with a port", address), hint)
		return "", false
	}
	if !isPort(port) {
		d.wrong(setting, fmt.Sprintf("port %q is not a number from 0 to 65535", port), hint)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHost(strings.ToLower(host)) {
		d.wrong(setting, fmt.Sprintf("%q is not an address or a host name", host), hint)
	}
	return host, true
}

// checkPlain checks the listener of plain HTTP.
func (d *draft) checkPlain() {
	if d.Plain.Listen == "" {
		return
	}
	host, ok := d.checkAddress("plain.listen", d.Plain.Listen, "write it as :80")
	switch {
	case !ok:
	case len(d.TLS.BehindProxy) > 0:
		d.wrong("plain.listen", "is set, and a proxy has TLS", "what comes to the proxy in the clear is redirected or refused at listen")
	case IsActivated(d.Plain.Listen):
	case (d.Dev || d.TLS.Dev) && !isLoopbackHost(host):
		d.wrong("plain.listen", d.Plain.Listen+" can be reached from other machines, in development", "listen on 127.0.0.1")
	}
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// checkTLS checks the certificate; host is the one of the public URL, "" where
// that is wrong.
func (d *draft) checkTLS(host string) {
	t := d.TLS
	if t.ProxyHeader != "" && len(t.BehindProxy) == 0 && !d.faulty("tls.behind_proxy") {
		d.wrong("tls.proxy_header", "is set, and tls.behind_proxy is not", "name the addresses of the proxies")
	}
	switch files := len(t.Cert)+len(t.Key) > 0; {
	case t.Dev && files:
		d.wrong("tls.dev", "and a certificate are both set", "keep tls.dev, or tls.cert and tls.key")
	case len(t.BehindProxy) > 0 && (t.Dev || files):
		d.wrong("tls.behind_proxy", "and a certificate are both set", "keep tls.behind_proxy where a proxy ends TLS and passes plain HTTP on; leave it out where this server ends TLS")
	case len(t.BehindProxy) > 0:
	case t.Dev:
		if host != "" && !tlsconf.IsLoopback(host) {
			d.wrong("public_url", fmt.Sprintf("there is no development certificate for %s", host), "use https://localhost:8443, or set tls.cert and tls.key")
		}
	case d.faulty("tls", "tls.cert", "tls.key", "tls.dev", "tls.behind_proxy"):
		// What was meant is not known.
	case len(t.Cert)+len(t.Key) == 0:
		d.wrong("tls", "is missing", "name a certificate, tls: {cert: cert.pem, key: key.pem}, the proxies that end TLS, tls: {behind_proxy: [10.0.0.0/8]}, or for development tls: {dev: true}")
	case len(t.Cert) == 0:
		d.wrong("tls.cert", "is missing", "tls.key is set: name the certificate that belongs to it")
	case len(t.Key) == 0:
		d.wrong("tls.key", "is missing", "tls.cert is set: name the key that belongs to it")
	case len(t.Cert) != len(t.Key):
		d.wrong("tls", fmt.Sprintf("has %d certificates and %d keys", len(t.Cert), len(t.Key)), "name the key of each certificate, in the same order")
	default:
		d.checkCertificates(host)
	}
}

// checkCertificates has the certificates read.
func (d *draft) checkCertificates(host string) {
	var hosts []string
	for _, h := range append([]string{host}, d.ClientCerts.Hosts...) {
		if h = strings.ToLower(h); isHost(h) && !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	err := tlsconf.Check(d.TLS.Pairs(), hosts...)
	if err == nil {
		return
	}
	if place, ok := d.places["tls.cert"]; ok {
		d.places["tls"] = place
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		text := strings.TrimPrefix(line, "tlsconf: ")
		hint := ""
		if strings.Contains(text, "is for") || strings.Contains(text, "is not for") {
			hint = "there has to be one for the host of public_url, and for each of client_certs.hosts"
		}
		d.wrong("tls", text, hint)
	}
}

// makeSecret is the hint for a secret that is not there yet. The first command
// needs nothing that a Unix system may lack.
func makeSecret(file string) string {
	return "head -c 32 /dev/urandom | base64 > " + file + "; chmod 600 " + file + " (or openssl rand -base64 32) makes a secret"
}

func (d *draft) checkSecrets() {
	if len(d.Secrets)+len(d.secretFiles) == 0 {
		d.missing("secret_file", makeSecret("server.secret")+"; or set "+envSecret)
	}
	for i, s := range d.Secrets {
		err := secret.CheckKey(s)
		if err == nil {
			continue
		}
		setting, message := "secret", strings.TrimPrefix(err.Error(), "secret: ")
		if i < len(d.origins) {
			setting, message = "secret_file", d.origins[i]+": "+message
		}
		d.wrong(setting, message, "")
	}
}

// checkLimits refuses what only a configuration made by hand can hold.
func (d *draft) checkLimits() {
	l := d.Limits
	for _, c := range []struct {
		name  string
		value int64
	}{
		{"limits.header_bytes", l.HeaderBytes}, {"limits.body_bytes", l.BodyBytes}, {"limits.header_time", int64(l.HeaderTime)},
		{"limits.body_time", int64(l.BodyTime)}, {"limits.answer_time", int64(l.AnswerTime)}, {"limits.idle_time", int64(l.IdleTime)},
		{"limits.connections", int64(l.Connections)}, {"limits.connections_per_address", int64(l.ConnectionsPerAddress)},
		{"limits.requests", int64(l.Requests)}, {"limits.requests_per_address", int64(l.RequestsPerAddress)},
		{"limits.streams", int64(l.Streams)}, {"shutdown.grace", int64(d.Shutdown.Grace)},
	} {
		if c.value < 0 {
			d.wrong(c.name, "is below zero", "")
		}
	}
	if l.HeaderBytes > 1<<20 {
		d.wrong("limits.header_bytes", "is above 1MiB", "large values belong into a body")
	}
}

// checkTexts checks what is one of a few texts, or of a certain form.
func (d *draft) checkTexts() {
	for _, c := range []struct{ name, text string }{
		{"environment", d.Environment}, {"sessions.kind", d.Sessions.Kind}, {"log.level", d.Log.Level}, {"log.format", d.Log.Format},
	} {
		s, _ := find(c.name)
		if err := s.assign(&draft{}, c.text, ""); err != nil {
			d.wrong(c.name, err.Error(), "")
		}
	}
	p := d.Keys.Prefix
	if len(p) > 16 || p[0] < 'a' || p[0] > 'z' || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		d.wrong("keys.prefix", fmt.Sprintf("%q is not a lower-case letter and at most 15 more letters and digits", p), "")
	}
	for _, c := range []struct{ name, url, example string }{
		{"store", d.Store, "sqlite:blog.db"}, {"sessions_store", d.SessionsStore, "redis://127.0.0.1:6379/0"},
	} {
		if c.url != "" && !strings.Contains(c.url, ":") {
			d.wrong(c.name, "names no kind of store", "write it as "+c.example)
		}
	}
	if d.Cache > time.Minute {
		d.wrong("cache", "is above a minute", "a key that is revoked is taken as long as that where word of it is lost")
	}
}

// checkLook has the pages say what is wrong with each part of their look.
func (d *draft) checkLook() {
	for _, c := range []struct {
		setting string
		part    Look
	}{
		{"look.name", Look{Name: d.Look.Name}}, {"look.logo", Look{Logo: d.Look.Logo}}, {"look.accent", Look{Accent: d.Look.Accent}},
	} {
		if _, err := page.NewLook(c.part.Name, c.part.Logo, c.part.Accent); err != nil {
			d.wrong(c.setting, strings.TrimPrefix(err.Error(), "page: "), "")
		}
	}
}
