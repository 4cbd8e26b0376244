package gate

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ambient are the scheme words under which browsers send credentials by
// themselves once they have them.
var ambient = []string{"basic", "digest", "negotiate", "ntlm"}

// originMissing tells whether a credential from p, good as it is, does not
// count because a page of another site may have sent it. origin is our own,
// empty where it was not configured.
//
// A cookie counts for an unsafe method only with proof. Certificates and what
// browsers send in Authorization by themselves do not count where a header
// says another site, whatever the method: programs send no such header. All
// other credentials are put into a request by who knows them.
func originMissing(r *http.Request, p Place, origin string) bool {
	if origin == "" {
		origin = hostOrigin(r.Host)
	}
	switch {
	case p.In == InCookie:
		return !isSafe(r.Method) && !ProvesOrigin(r.Header, origin)
	case p.In == InCertificate, p.In == InAuthorization && slices.Contains(ambient, p.Name):
		return deniesOrigin(r.Header, origin)
	}
	return false
}

// hostOrigin is the origin that a browser gives to the pages of host, a Host
// header: it has no scheme, and everything here is served over TLS. Browsers
// let no page choose the Host of a request, and the credentials that they send
// by themselves are those of that very host.
func hostOrigin(host string) string {
	if host == "" {
		return ""
	}
	return "https://" + strings.TrimSuffix(strings.ToLower(host), ":443")
}

// isSafe tells whether a method changes nothing (RFC 9110, section 9.2.1).
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// ProvesOrigin tells whether h shows that a page of origin, or the person
// themselves, made the request. Browsers let no page set these headers.
// Sec-Fetch-Site decides where it is present; older browsers send only Origin.
// An empty origin is proved by Sec-Fetch-Site alone.
func ProvesOrigin(h http.Header, origin string) bool {
	if sites := h["Sec-Fetch-Site"]; len(sites) > 0 {
		return len(sites) == 1 && (sites[0] == "same-origin" || sites[0] == "none")
	}
	origins := h["Origin"]
	return origin != "" && len(origins) == 1 && origins[0] == origin
}

// deniesOrigin tells whether h has a header that says something else than
// what ProvesOrigin takes for proof.
func deniesOrigin(h http.Header, origin string) bool {
	for _, site := range h["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	for _, o := range h["Origin"] {
		if origin == "" || o != origin {
			return true
		}
	}
	return false
}

// checkOrigin tells whether s is an origin as browsers write it (RFC 6454,
// section 6.2).
func checkOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.Scheme+"://"+u.Host != s {
		return fmt.Errorf("gate: public origin %q is not like https://host or https://host:port", s)
	}
	if s != strings.ToLower(s) || u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return fmt.Errorf("gate: public origin %q is not as browsers write it: in lower case, without the default port", s)
	}
	return nil
}
