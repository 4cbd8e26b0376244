package provider

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A Mistake is one thing that is wrong with a Config.
type Mistake struct {
	Provider string // its Name
	Setting  string // as a configuration file has it, such as client_id
	Message  string
	Hint     string // a way out; may be empty
}

// Error gives all of it in a line. No secret is quoted.
func (m *Mistake) Error() string {
	text := fmt.Sprintf("provider: %s: %s %s", m.Provider, m.Setting, m.Message)
	if m.Hint != "" {
		text += " (" + m.Hint + ")"
	}
	return text
}

var (
	name  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`) // a segment of the callback's path
	guid  = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	scope = regexp.MustCompile(`^[!#-\[\]-~]+$`) // RFC 6749, section 3.3

	clientAuths = []string{"client_secret_basic", "client_secret_post", "none"}
	// algorithms are asymmetric: with another the client secret, or nothing
	// at all, would sign ID tokens.
	algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	// reserved parameters of the authorization request carry what the
	// answer is checked against, or how it comes back.
	reserved = []string{
		"client_id", "client_secret", "code_challenge", "code_challenge_method", "id_token_hint", "max_age", "nonce",
		"redirect_uri", "request", "request_uri", "response_mode", "response_type", "scope", "state",
	}
)

// check names everything that is wrong with c, whose defaults are filled in.
func (c Config) check() error {
	var errs []error
	wrong := func(setting, message, hint string) {
		errs = append(errs, &Mistake{c.Name, setting, message, hint})
	}
	if !name.MatchString(c.Name) {
		wrong("name", fmt.Sprintf("is %q", c.Name), "up to 64 lower-case letters, digits, - and _ are fine, a letter or digit first")
	}
	if _, ok := presets[c.Preset]; c.Preset != "" && !ok {
		wrong("preset", fmt.Sprintf("is %q, which is none", c.Preset), "there are "+strings.Join(slices.Sorted(maps.Keys(presets)), ", "))
		return errors.Join(errs...) // what it should have filled in is no further mistake
	}
	c.checkClient(wrong)
	if c.Preset == "entra" {
		c.checkEntra(wrong)
	} else {
		c.checkIssuer(wrong)
	}
	if c.OpenID() {
		c.checkOpenID(wrong)
	} else if c.Preset == "" || c.Preset == "github" {
		c.checkOAuth(wrong)
	}
	for _, s := range c.Scopes {
		if !scope.MatchString(s) {
			wrong("scopes", fmt.Sprintf("has %q, which is no scope", s), "write each as an entry of its own, without blanks and quotes")
		}
	}
	for _, p := range slices.Sorted(maps.Keys(c.Params)) {
		if p == "" || slices.Contains(reserved, p) {
			wrong("params", fmt.Sprintf("has %q, which is the protocol's own", p), "")
		}
	}
	return errors.Join(errs...)
}

// A report notes a mistake.
type report func(setting, message, hint string)

func (c Config) checkClient(wrong report) {
	// An issuer without a client is one whose access tokens are taken.
	tokensOnly := c.ClientID == "" && c.OpenID() && c.ClientSecret.IsZero()
	if c.ClientID == "" && !tokensOnly {
		wrong("client_id", "is missing", "the provider names it where the application is registered")
	}
	switch {
	case !slices.Contains(clientAuths, c.ClientAuth):
		wrong("client_auth", fmt.Sprintf("is %q", c.ClientAuth), "it is one of "+strings.Join(clientAuths, ", "))
	case c.ClientAuth == "none" && !c.ClientSecret.IsZero():
		wrong("client_secret", "is set, and client_auth: none does not send it", "leave one of them out")
	case c.ClientAuth != "none" && c.ClientSecret.IsZero() && !tokensOnly:
		wrong("client_secret", "is missing", "a client that is registered as public has client_auth: none instead")
	}
}

// checkIssuer looks at the issuer of any provider but Microsoft's.
func (c Config) checkIssuer(wrong report) {
	switch {
	case c.Issuer == "":
		if c.Preset != "" && c.Preset != "github" {
			wrong("issuer", "is missing", presets[c.Preset].hint)
		}
	case c.Preset == "github":
		wrong("issuer", "is set, and GitHub has no OpenID Connect for people", "leave it out")
	case !isIssuer(c.Issuer):
		wrong("issuer", fmt.Sprintf("%q is no issuer", c.Issuer), "it is an https URL without query and fragment, exactly as the provider's metadata has it")
	case strings.ContainsAny(c.Issuer, "{}"):
		wrong("issuer", fmt.Sprintf("%q has a gap in it", c.Issuer), "only preset: entra can fill it in")
	}
	if len(c.Tenants) > 0 {
		wrong("tenants", "are set", "they are for preset: entra alone")
	}
}

func (c Config) checkEntra(wrong report) {
	if c.Issuer == "" {
		wrong("tenants", "are missing", "name the ids of the tenants whose people may sign in, or one tenant's issuer")
		return
	}
	for i, t := range c.Tenants {
		switch {
		case !guid.MatchString(t):
			wrong("tenants", fmt.Sprintf("has %q, which is no tenant's id", t), "an id is a GUID, found on the overview page of the tenant")
		case slices.Contains(c.Tenants[:i], t):
			wrong("tenants", fmt.Sprintf("has %q twice", t), "")
		}
	}
	u, ok := httpsURL(strings.ReplaceAll(c.Issuer, anyTenant, personal))
	tenant := ""
	if ok {
		tenant, ok = strings.CutSuffix(strings.TrimPrefix(u.Path, "/"), "/v2.0")
	}
	switch several := strings.Contains(c.Issuer, anyTenant); {
	case !ok || !guid.MatchString(tenant) || u.RawQuery != "":
		wrong("issuer", fmt.Sprintf("%q is no tenant's issuer", c.Issuer), "it is https://login.microsoftonline.com/ID/v2.0 with the tenant's id; for several tenants leave it out and set tenants")
	case several && len(c.Tenants) == 0:
		wrong("tenants", "are missing", "without them people of every tenant there is could sign in")
	case !several && len(c.Tenants) > 0:
		wrong("tenants", "are set, and the issuer names one tenant", "leave one of them out")
	}
}

func (c Config) checkOpenID(wrong report) {
	if _, ok := httpsURL(c.MetadataURL); !ok && isIssuer(c.Issuer) {
		wrong("metadata_url", fmt.Sprintf("%q is no https URL", c.MetadataURL), "")
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(algorithms, a) {
			wrong("algorithms", fmt.Sprintf("has %q", a), "there are "+strings.Join(algorithms, ", "))
		}
	}
	for _, s := range []struct{ setting, value string }{
		{"authorization_url", c.AuthorizationURL}, {"token_url", c.TokenURL},
		{"user_url", c.UserURL}, {"emails_url", c.EmailsURL}, {"identity", c.Identity},
	} {
		if s.value != "" && c.Preset != "github" {
			wrong(s.setting, "is set, and there is an issuer, whose metadata says it", "leave one of them out")
		}
	}
}

func (c Config) checkOAuth(wrong report) {
	if c.UserURL == "" {
		wrong("user_url", "is missing", "without OpenID Connect it is what tells who signed in; with it, set issuer instead")
	}
	for _, s := range []struct{ setting, value string }{
		{"authorization_url", c.AuthorizationURL}, {"token_url", c.TokenURL},
		{"user_url", c.UserURL}, {"emails_url", c.EmailsURL},
	} {
		if _, ok := httpsURL(s.value); s.value != "" && !ok {
			wrong(s.setting, fmt.Sprintf("%q is no https URL", s.value), "")
		}
	}
	if c.Identity != "" && !isIssuer(c.Identity) {
		wrong("identity", fmt.Sprintf("%q is no https URL without query and fragment", c.Identity), "")
	}
	if c.MetadataURL != "" {
		wrong("metadata_url", "is set, and there is no issuer", "set issuer for OpenID Connect")
	}
}

// httpsURL returns raw as a URL where it is absolute, https and without user
// and fragment.
func httpsURL(raw string) (*url.URL, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Contains(raw, "#") {
		return nil, false
	}
	return u, !strings.ContainsAny(raw, " \\")
}

// isIssuer tells whether raw can be an issuer (OpenID Connect Core, section 2).
func isIssuer(raw string) bool {
	_, ok := httpsURL(raw)
	return ok && !strings.Contains(raw, "?")
}
