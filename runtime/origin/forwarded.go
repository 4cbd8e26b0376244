package origin

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A Forwarder reads what proxies that end TLS say of a request. It counts from
// those addresses alone; a client can put anything into a header.
type Forwarder struct {
	// Proxies are the addresses that are believed.
	Proxies []netip.Prefix
	// Standard has the header Forwarded (RFC 7239) read, and not X-Forwarded-For
	// and X-Forwarded-Proto. Never both: a proxy that sets one passes on the
	// other as a client wrote it.
	Standard bool
}

// Trusts tells whether what comes from an address, as http.Request.RemoteAddr
// has it, is believed.
func (f Forwarder) Trusts(remote string) bool {
	if len(f.Proxies) == 0 {
		return false // mostly, and without a look
	}
	at, err := netip.ParseAddrPort(remote)
	return err == nil && f.trusts(at.Addr())
}

func (f Forwarder) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(f.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Client returns the address of the client, in the form of
// http.Request.RemoteAddr, and whether the client's own connection had TLS.
//
// The address is the last of those named that is no proxy's; where the proxies
// name none, that of the proxy itself. TLS it had where the proxies say so: of
// several values of X-Forwarded-Proto each has to be https, since it cannot be
// told which proxy wrote which; of Forwarded it is the proto of the element that
// names the client.
func (f Forwarder) Client(r *http.Request) (remote string, secure bool) {
	if !f.Trusts(r.RemoteAddr) {
		return r.RemoteAddr, false
	}
	if f.Standard {
		return f.standard(r)
	}
	remote = r.RemoteAddr
	hops := split(r.Header["X-Forwarded-For"])
	for i := len(hops) - 1; i >= 0; i-- {
		at, ok := address(hops[i])
		if !ok {
			break
		}
		remote = at.String()
		if !f.trusts(at.Addr()) {
			break
		}
	}
	protos := split(r.Header["X-Forwarded-Proto"])
	secure = len(protos) > 0 && !slices.ContainsFunc(protos, func(p string) bool { return !strings.EqualFold(p, "https") })
	return remote, secure
}

// standard reads Forwarded, from the nearest proxy on.
func (f Forwarder) standard(r *http.Request) (remote string, secure bool) {
	remote = r.RemoteAddr
	elements, ok := elements(r.Header["Forwarded"])
	if !ok {
		return remote, false
	}
	for i := len(elements) - 1; i >= 0; i-- {
		e := elements[i]
		secure = strings.EqualFold(e["proto"], "https")
		at, ok := address(e["for"])
		if !ok {
			break
		}
		remote = at.String()
		if !f.trusts(at.Addr()) {
			break
		}
	}
	return remote, secure
}

// split returns the members of lists parted by commas. There are no more than fit
// into a header.
func split(lines []string) []string {
	var all []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			all = append(all, strings.Trim(part, " \t"))
		}
	}
	return all
}

// address reads an address with or without a port, of IPv6 in brackets if with
// one. Others are what RFC 7239, section 6, calls unknown or obfuscated.
func address(text string) (netip.AddrPort, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()), true
	}
	bare := text
	if inside, ok := strings.CutPrefix(text, "["); ok {
		if bare, ok = strings.CutSuffix(inside, "]"); !ok {
			return netip.AddrPort{}, false
		}
	}
	a, err := netip.ParseAddr(bare)
	return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), err == nil
}

// elements reads the header Forwarded (RFC 7239, section 4): for each element
// its parameters, names in lower case. One that is not of that form, or says a
// thing twice, is read not at all: what stands in it could be taken for what it
// is not.
func elements(lines []string) (all []map[string]string, ok bool) {
	text := strings.Join(lines, ",")
	element := map[string]string{}
	for {
		text = strings.TrimLeft(text, " \t")
		name, rest, found := strings.Cut(text, "=")
		if !found || !isToken(name) {
			return nil, false
		}
		name = strings.ToLower(name)
		value, rest, ok := value(rest)
		if _, twice := element[name]; !ok || twice {
			return nil, false
		}
		element[name] = value
		rest = strings.TrimLeft(rest, " \t")
		switch {
		case rest == "":
			return append(all, element), true
		case rest[0] == ',':
			all, element = append(all, element), map[string]string{}
		case rest[0] != ';':
			return nil, false
		}
		text = rest[1:]
	}
}

// value reads a token or a quoted string (RFC 9110, section 5.6.4).
func value(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ";, \t")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], isToken(text[:end])
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// isToken tells whether text is a token (RFC 9110, section 5.6.2).
func isToken(text string) bool {
	return text != "" && strings.Trim(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
