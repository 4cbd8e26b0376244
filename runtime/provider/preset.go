package provider

import (
	"cmp"
	"slices"
	"strings"
)

// presets are what is known of providers. A member that is empty is the same
// as everywhere else. hint says what an issuer looks like that is each
// customer's own.
var presets = map[string]struct {
	Config
	hint string
}{
	"google": {Config: Config{Title: "Google", Issuer: "https://accounts.google.com"}},
	"entra":  {Config: Config{Title: "Microsoft"}},
	"gitlab": {Config: Config{Title: "GitLab", Issuer: "https://gitlab.com"}},
	"keycloak": {
		Config: Config{Title: "Keycloak"},
		hint:   "for Keycloak it is https://HOST/realms/REALM",
	},
	"auth0": {
		// A regular web application is registered with client_secret_post
		// there, unless told.
		Config: Config{Title: "Auth0", ClientAuth: "client_secret_post"},
		hint:   "for Auth0 it is https://TENANT.REGION.auth0.com/ with the slash",
	},
	"okta": {
		Config: Config{Title: "Okta"},
		hint:   "for Okta it is https://TENANT.okta.com or https://TENANT.okta.com/oauth2/default",
	},
	"dex": {
		// Groups are what roles are made of, and are told only when asked for.
		Config: Config{Title: "Dex", Scopes: []string{"openid", "profile", "email", "groups"}},
		hint:   "for Dex it is the issuer of its own configuration, such as https://HOST/dex",
	},
	"github": {Config: Config{
		Title:            "GitHub",
		ClientAuth:       "client_secret_post",
		Scopes:           []string{"read:user", "user:email"},
		AuthorizationURL: "https://github.com/login/oauth/authorize",
		TokenURL:         "https://github.com/login/oauth/access_token",
		UserURL:          "https://api.github.com/user",
		EmailsURL:        "https://api.github.com/user/emails",
		UserName:         "name login", // many have set no name
		ResponseIssuer:   "https://github.com/login/oauth",
		Identity:         "https://github.com",
	}},
}

// DefaultScopes are asked for at login where nothing else is said: who the
// person is, and no refresh token.
var DefaultScopes = []string{"openid", "profile", "email"}

// Complete returns c with everything filled in that its preset or a default
// says. Its error joins one *[Mistake] for everything that is wrong; the Config
// is then not to be used. What is complete stays as it is.
func (c Config) Complete() (Config, error) {
	c.fillPreset()
	switch {
	case c.OpenID():
		c.fillOpenID()
	case c.Preset == "" || c.Preset == "github":
		c.fillOAuth()
	}
	c.Title = cmp.Or(c.Title, c.Name)
	c.ClientAuth = cmp.Or(c.ClientAuth, "client_secret_basic")
	return c, c.check()
}

func (c *Config) fillPreset() {
	p := presets[c.Preset]
	c.Title = cmp.Or(c.Title, p.Title)
	c.Issuer = cmp.Or(c.Issuer, p.Issuer)
	c.ClientAuth = cmp.Or(c.ClientAuth, p.ClientAuth)
	c.UserName = cmp.Or(c.UserName, p.UserName)
	if c.Scopes == nil {
		c.Scopes = slices.Clone(p.Scopes)
	}
	// All of the endpoints or none: an installation of one's own must not
	// have its tokens sent to the public one.
	if c.AuthorizationURL == "" && c.TokenURL == "" && c.UserURL == "" && c.EmailsURL == "" {
		c.AuthorizationURL, c.TokenURL, c.UserURL, c.EmailsURL = p.AuthorizationURL, p.TokenURL, p.UserURL, p.EmailsURL
		c.ResponseIssuer = cmp.Or(c.ResponseIssuer, p.ResponseIssuer)
		c.Identity = cmp.Or(c.Identity, p.Identity)
	}
	switch c.Preset {
	case "auth0":
		if c.Issuer != "" && !strings.HasSuffix(c.Issuer, "/") {
			c.Issuer += "/" // every issuer there ends in one
		}
	case "entra":
		c.fillEntra()
	}
}

// The places of Microsoft Entra that stand in the issuer for a tenant: the
// one in the metadata of all of them, and those under which that metadata lies.
const (
	anyTenant     = "{tenantid}"
	workAndSchool = "organizations"
	everybody     = "common" // personal accounts too
	personal      = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// fillEntra makes the issuer: of a single tenant its own, of several the one
// with a gap in it. Their metadata then lies at a place for all tenants.
func (c *Config) fillEntra() {
	c.Tenants = slices.Clone(c.Tenants)
	for i, t := range c.Tenants {
		c.Tenants[i] = strings.ToLower(t)
	}
	if c.Issuer == "" && len(c.Tenants) > 0 {
		c.Issuer = "https://login.microsoftonline.com/" + anyTenant + "/v2.0"
	}
	if !strings.Contains(c.Issuer, anyTenant) {
		return
	}
	if len(c.Tenants) == 1 && guid.MatchString(c.Tenants[0]) {
		c.Issuer = strings.ReplaceAll(c.Issuer, anyTenant, c.Tenants[0])
		c.Tenants = nil
		return
	}
	place := workAndSchool
	if slices.Contains(c.Tenants, personal) {
		place = everybody
	}
	c.MetadataURL = cmp.Or(c.MetadataURL, metadataURL(strings.ReplaceAll(c.Issuer, anyTenant, place)))
}

func metadataURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

func (c *Config) fillOpenID() {
	c.MetadataURL = cmp.Or(c.MetadataURL, metadataURL(c.Issuer))
	switch {
	case c.Scopes == nil:
		c.Scopes = slices.Clone(DefaultScopes)
	case !slices.Contains(c.Scopes, "openid"): // without it there is no ID token
		c.Scopes = append([]string{"openid"}, c.Scopes...)
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"RS256"}
	}
}

func (c *Config) fillOAuth() {
	c.UserID = cmp.Or(c.UserID, "id")
	c.UserName = cmp.Or(c.UserName, "name")
	c.UserEmail = cmp.Or(c.UserEmail, "email")
	if u, ok := httpsURL(c.UserURL); ok {
		c.Identity = cmp.Or(c.Identity, "https://"+u.Host)
	}
}
