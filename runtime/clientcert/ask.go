package clientcert

import (
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Ask returns base with certificates of clients asked for in handshakes for one
// of hosts, and in no others: browsers make people choose one where they are
// asked. They are not judged in the handshake, so that a bad one keeps nobody
// from what needs none. A client that names no host, because it knows the
// address alone, is asked where the address it came to is one of hosts.
func Ask(base *tls.Config, hosts []string) *tls.Config {
	if len(hosts) == 0 {
		return base
	}
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = strings.ToLower(h)
	}
	plain, asking := base.Clone(), base.Clone()
	asking.ClientAuth = tls.RequestClientCert
	// The keys of tickets are those of the outer configuration for both: a
	// session that began at another host, where no certificate was asked for,
	// would be taken up here without one, and the other way round.
	asking.SessionTicketsDisabled = true
	outer := base.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(names, hostOf(hello)) {
			return asking, nil
		}
		return plain, nil
	}
	return outer
}

// hostOf is the host that a client wants, in lower case.
func hostOf(hello *tls.ClientHelloInfo) string {
	if hello.ServerName != "" {
		return strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	}
	if hello.Conn == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String())
	if err != nil {
		return ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	return addr.Unmap().WithZone("").String()
}
