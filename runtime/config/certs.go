package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/origin"
)

// checkClientCerts checks whose certificates are to be taken, and from where.
func (d *draft) checkClientCerts(publicHost string) {
	c := &d.ClientCerts
	for name, path := range map[string]string{"ca": c.CA, "crl": c.CRL} {
		if path == "" {
			continue
		}
		if _, err := os.ReadFile(path); err != nil {
			d.wrong("client_certs."+name, err.Error(), "")
		}
	}
	if c.CA == "" && !d.faulty("client_certs.ca") {
		for _, unused := range []struct {
			name string
			set  bool
		}{{"crl", c.CRL != ""}, {"scopes", len(c.Scopes) > 0}, {"subject", c.Subject != ""}} {
			if unused.set {
				d.wrong("client_certs."+unused.name, "is set, and client_certs.ca is not", "name the file of the authorities that certificates come from")
			}
		}
	}
	for i, host := range c.Hosts {
		c.Hosts[i] = strings.ToLower(host)
		if !isHost(c.Hosts[i]) {
			d.wrong("client_certs.hosts", fmt.Sprintf("%q is no host name", host), "write names as in the DNS, without scheme and port")
		}
	}
	if c.CA != "" {
		fill(&c.Subject, "cn")
		if len(c.Hosts) == 0 && publicHost != "" {
			c.Hosts = []string{publicHost}
		}
	}
	d.checkRanges("client_certs.proxies", c.Proxies)
}

// checkRanges checks the addresses of trusted proxies. A range that is
// everything would have every client say what only they can know.
func (d *draft) checkRanges(setting string, texts []string) {
	const hint = "write it as 10.1.2.0/24, or 10.1.2.3/32 for one address"
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			d.wrong(setting, fmt.Sprintf("%q is no range of addresses", text), hint)
		case p.Masked() != p:
			d.wrong(setting, fmt.Sprintf("%q has bits behind its length", text), "that range is "+p.Masked().String())
		case p.Addr().Is4In6():
			d.wrong(setting, fmt.Sprintf("%q is IPv4 in the form of IPv6", text), hint)
		case p.Addr().Is4() && p.Bits() < 8, p.Addr().Is6() && p.Bits() < 16:
			d.wrong(setting, fmt.Sprintf("%q is nearly everything", text), hint)
		}
	}
}

// Forwarder knows the proxies that tell clients' certificates.
func (c ClientCerts) Forwarder() origin.Forwarder {
	return origin.Forwarder{Proxies: prefixes(c.Proxies)}
}

// Balancers knows the balancers that speak the PROXY protocol.
func (c Config) Balancers() origin.Forwarder {
	return origin.Forwarder{Proxies: prefixes(c.ProxyProtocol)}
}

// prefixes are ranges that have been checked.
func prefixes(texts []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// checkClients checks the ids of programs: each name stands for one.
func (d *draft) checkClients() {
	taken := make(map[string]string)
	for _, id := range slices.Sorted(maps.Keys(d.Clients)) {
		for _, name := range d.Clients[id] {
			if !d.isClientName(name) {
				d.wrong("clients", fmt.Sprintf("%q is no name of a program", name), "write PROVIDER/CLIENT_ID with the name of a provider here, cn:NAME, dns:NAME, email:ADDRESS, or a URI such as spiffe://HOST/PATH")
			}
			if other, there := taken[name]; there {
				d.wrong("clients", fmt.Sprintf("%q stands for %q and for %q", name, other, id), "keep one of the two")
			}
			taken[name] = id
		}
	}
}

// isClientName tells whether name is one that a token or a certificate gives.
func (d *draft) isClientName(name string) bool {
	for _, prefix := range []string{"cn:", "dns:", "email:"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest != ""
		}
	}
	if u, err := url.Parse(name); err == nil && u.Scheme != "" && u.Host != "" {
		return true
	}
	of, client, ok := strings.Cut(name, "/")
	if !ok || client == "" {
		return false
	}
	for _, p := range d.Providers {
		if p.Name == of {
			return true
		}
	}
	return false
}
