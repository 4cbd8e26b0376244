package config

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/provider"
)

// fillSessions sets the limits that were left out. One that was given does not
// contradict the default of the other.
func (d *draft) fillSessions() {
	fill(&d.Sessions.Kind, "server")
	fill(&d.Sessions.Absolute, 12*time.Hour)
	fill(&d.Sessions.Recent, min(15*time.Minute, max(d.Sessions.Absolute, 1)))
	fill(&d.Sessions.Idle, min(30*time.Minute, max(d.Sessions.Absolute, 1)))
}

func (d *draft) checkSessions() {
	s := d.Sessions
	switch {
	case s.Idle < 0:
		d.wrong("sessions.idle", "is below zero", "")
	case s.Recent < 0:
		d.wrong("sessions.recent", "is below zero", "")
	case s.Absolute < 0:
		d.wrong("sessions.absolute", "is below zero", "")
	case s.Idle > s.Absolute && !d.faulty("sessions.idle", "sessions.absolute"):
		d.wrong("sessions.idle", "is longer than sessions.absolute", "a session ends after sessions.absolute in any case")
	}
}

// checkProviders completes the providers by what is known of them, and notes
// what is wrong.
func (d *draft) checkProviders() {
	d.Providers = slices.Clone(d.Providers) // the caller's stay as they are
	slices.SortStableFunc(d.Providers, func(a, b provider.Config) int { return strings.Compare(a.Name, b.Name) })
	for i, p := range d.Providers {
		name := entryName("providers", p.Name)
		if d.faulty(name) {
			continue // there is nothing to look at
		}
		if i > 0 && d.Providers[i-1].Name == p.Name {
			d.wrong(name, "is there twice", "keep one of the two")
		}
		if d.holdsUser(name, p) {
			continue // what follows would quote a password
		}
		// Which protocol it speaks depends on these.
		unclear := d.faulty(name+".issuer", name+".preset", name+".tenants")
		complete, err := p.Complete()
		for _, m := range mistakesOf(err) {
			d.wrongProvider(name, p, m, unclear)
		}
		if err == nil {
			d.Providers[i] = complete
		}
		if !p.ClientSecret.IsZero() && isSample(p.ClientSecret.Reveal()) {
			d.wrong(name+".client_secret", "is a sample value", "the provider shows the secret where the client is registered")
		}
	}
}

// holdsUser notes URLs with a user name or a password in them.
func (d *draft) holdsUser(name string, p provider.Config) (found bool) {
	for _, c := range []struct{ setting, url string }{
		{"issuer", p.Issuer}, {"authorization_url", p.AuthorizationURL}, {"token_url", p.TokenURL},
		{"user_url", p.UserURL}, {"emails_url", p.EmailsURL}, {"identity", p.Identity},
	} {
		u, err := url.Parse(c.url)
		switch {
		case err != nil: // the parser's own text would quote it
			d.wrong(name+"."+c.setting, "is not a URL", "write it as https://HOST/…")
		case u.User != nil:
			d.wrong(name+"."+c.setting, "holds a user name", "client_id and client_secret_file say who this server is")
		default:
			continue
		}
		found = true
	}
	return found
}

// mistakesOf are the mistakes that err joins.
func mistakesOf(err error) (all []*provider.Mistake) {
	if m, ok := err.(*provider.Mistake); ok {
		return []*provider.Mistake{m}
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			all = append(all, mistakesOf(e)...)
		}
		return all
	}
	if err != nil {
		all = append(all, &provider.Mistake{Message: err.Error()})
	}
	return all
}

// wrongProvider notes what is wrong with a provider, unless it follows from
// a setting that could not be read. unclear: one of those that tell what kind
// of a provider it is.
func (d *draft) wrongProvider(name string, p provider.Config, m *provider.Mistake, unclear bool) {
	setting, message, hint := name+"."+m.Setting, m.Message, m.Hint
	switch {
	case m.Setting == "":
		setting = name
	case m.Setting == "name":
		setting, message = name, fmt.Sprintf("%q is no name for a provider", p.Name)
	case m.Setting == "client_secret" && p.ClientSecret.IsZero():
		setting += "_file"
		hint = "name the file that holds it, or set " + entryEnv("providers", p.Name) + "_CLIENT_SECRET; " + hint
	case m.Setting == "issuer" && strings.HasPrefix(p.Issuer, "http:"):
		message, hint = "is not https", "over plain HTTP whoever stands in between could sign in as anybody; there is no switch for it, in development neither"
	}
	if unclear && !slices.Contains([]string{"name", "client_id", "client_secret", "scopes", "params"}, m.Setting) ||
		strings.HasSuffix(message, " missing") && d.faulty(setting) {
		return
	}
	d.wrong(setting, message, hint)
}

// isSample finds what documentation puts where a client's secret belongs.
func isSample(text string) bool {
	lower := strings.ToLower(text)
	if slices.Contains([]string{"secret", "client_secret", "client-secret", "clientsecret", "password", "todo", "none"}, lower) {
		return true
	}
	if strings.HasPrefix(lower, "<") && strings.HasSuffix(lower, ">") || strings.HasPrefix(lower, "${") || strings.Trim(lower, "x.*") == "" {
		return true
	}
	return slices.ContainsFunc([]string{
		"changeme", "change-me", "change_me", "replaceme", "replace-me", "replace_me", "placeholder",
		"your-client", "your_client", "yourclient", "your-secret", "your_secret", "yoursecret",
	}, func(s string) bool { return strings.Contains(lower, s) })
}

// checkAuthorities reads the files of the providers' authorities.
func (d *draft) checkAuthorities() {
	for _, p := range d.Providers {
		if p.CA == "" {
			continue
		}
		setting := entryName("providers", p.Name) + ".ca"
		content, err := os.ReadFile(p.CA)
		switch {
		case err != nil:
			d.wrong(setting, err.Error(), "")
		case !x509.NewCertPool().AppendCertsFromPEM(content):
			d.wrong(setting, p.CA+" holds no certificate in PEM", "")
		}
	}
}

// checkSchemes checks who is to answer for the document's schemes.
func (d *draft) checkSchemes() {
	var names []string
	for _, p := range d.Providers {
		names = append(names, p.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(d.Schemes)) {
		name, b := entryName("schemes", key), d.Schemes[key]
		for _, meant := range b.Providers {
			if slices.Contains(names, meant) {
				continue
			}
			hint := "there is none in providers"
			if len(names) > 0 {
				hint = "there are " + strings.Join(names, ", ")
			}
			if near := nearest(meant, names); near != "" {
				hint = "did you mean " + near + "?"
			}
			d.wrong(name+".provider", fmt.Sprintf("there is no provider %q", meant), hint)
		}
		if b.ScopesMap != nil && b.ScopesClaim == "" && !d.faulty(name+".scopes_claim") {
			d.wrong(name+".scopes_map", "is set, and scopes_claim is not", "name the claim whose values are mapped")
		}
	}
}

// checkCORS refuses origins that no browser sends, and what would open all to
// everyone.
func (d *draft) checkCORS() {
	for _, o := range d.CORS.Origins {
		switch {
		case o == "*" && len(d.CORS.Origins) > 1:
			d.wrong("cors.origins", "* stands beside others", "* is every origin: keep it alone, or leave it out")
		case o == "*" && d.CORS.Credentials:
			d.wrong("cors.origins", "* is every origin, and cors.credentials is true", "list the origins whose pages may act for the person")
		case o == "*":
		case !isOrigin(o):
			d.wrong("cors.origins", fmt.Sprintf("%q is no origin as browsers write it", o), "write it as https://app.example or https://app.example:8443: lower case, no path, no slash at the end, no wildcard; http is for loopback only")
		}
	}
}

// isOrigin tells whether text is an origin as browsers write it (RFC 6454,
// section 6.2), of pages that came over TLS or from this machine.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme+"://"+u.Host != text || !isHost(u.Hostname()) {
		return false
	}
	port := u.Port()
	if strings.HasSuffix(u.Host, ":") || strings.HasPrefix(port, "0") || port != "" && !isPort(port) {
		return false
	}
	switch u.Scheme {
	case "https":
		return port != "443"
	case "http":
		return port != "80" && isLoopbackHost(u.Hostname())
	}
	return false
}

// isLoopbackHost tells whether host is localhost or an address of loopback.
func isLoopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// checkAdmin keeps the admin listener on this machine: it speaks plain HTTP
// and asks nobody who they are.
func (d *draft) checkAdmin() {
	const hint = "write it as 127.0.0.1:9443"
	if d.Admin.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(d.Admin.Listen)
	switch {
	case err != nil:
		d.wrong("admin.listen", fmt.Sprintf("%q is not an address with a port", d.Admin.Listen), hint)
	case !isPort(port):
		d.wrong("admin.listen", fmt.Sprintf("port %q is not a number from 0 to 65535", port), hint)
	case !isLoopbackHost(host):
		d.wrong("admin.listen", d.Admin.Listen+" can be reached from other machines, and whoever asks there is not asked who they are", hint+"; what is to be asked from elsewhere goes through a proxy of your own")
	}
}
