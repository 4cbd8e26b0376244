// Package provider says what is configured of the identity providers that
// people sign in at, and who answers for which of the document's schemes. It
// is plain data: package login acts on it.
package provider

import "github.com/gatewright/gatewright/runtime/secret"

// A Config is one identity provider: one that speaks OpenID Connect, known by
// its Issuer, or one that speaks plain OAuth 2.0, known by its endpoints.
type Config struct {
	Name string // what the configuration calls it: lower-case letters, digits, - and _
	// Preset fills in what is known of a provider: google, entra, gitlab,
	// keycloak, auth0, okta, dex or github. What is set here wins.
	Preset string
	Title  string // what people read on the page to choose one. Default: Name
	// Issuer is the issuer identifier of OpenID Connect, https and exact to
	// the letter. Empty for plain OAuth 2.0.
	Issuer string
	// MetadataURL is where the metadata of Issuer lies. Default: below
	// Issuer, as OpenID Connect Discovery has it.
	MetadataURL  string
	ClientID     string
	ClientSecret secret.Value
	// ClientAuth is how the client names itself at the token endpoint:
	// client_secret_basic (the default), client_secret_post or none.
	ClientAuth string
	Scopes     []string // asked for at login beside those of the document
	// Algorithms are those that ID tokens may be signed with, asymmetric
	// ones alone. Default RS256. Never taken from the provider's metadata.
	Algorithms []string
	CA         string   // PEM file of the authorities its certificate may come from; empty: the system's
	Tenants    []string // of Entra's multi-tenant issuer: the tenant ids (GUIDs) whose people may sign in
	// NoUserInfo has the UserInfo endpoint not asked, where the ID token
	// says all there is to know.
	NoUserInfo bool
	// Params are added to the authorization request, such as Google's
	// access_type: offline. The protocol's own parameters are refused.
	Params map[string]string

	// For plain OAuth 2.0. Endpoints left out come from the document.
	AuthorizationURL string
	TokenURL         string
	UserURL          string // answers with the user as a JSON object
	EmailsURL        string // answers with a list of {email, primary, verified}; may be empty
	// Members of the user's JSON object.
	UserID    string // a stable id, text or whole number. Default id
	UserName  string // Default name. Of several, parted by blanks, the first that holds a text counts
	UserEmail string // Default email
	// ResponseIssuer is what the iss parameter of an authorization response
	// has to be where there is one (RFC 9207). Empty: not known.
	ResponseIssuer string
	// Identity is the issuer under which the users of a provider without
	// OpenID Connect are kept, a URL. Default: the origin of UserURL.
	Identity string
}

// OpenID tells whether the provider speaks OpenID Connect.
func (c Config) OpenID() bool { return c.Issuer != "" }

// A Binding says who answers for one of the document's schemes.
type Binding struct {
	Provider string // the name of a Config; empty where it is obvious
	// ScopesClaim is the claim, of the ID token or of UserInfo, that says
	// which scopes a person holds: a text (joined by blanks or "; ") or a
	// list of texts. Dots lead into objects: realm_access.roles. Empty: the
	// scopes of the token response count.
	ScopesClaim string
	// ScopesEveryone are scopes that whoever signs in holds beside those of
	// the claim or the token response.
	ScopesEveryone []string
	// ScopesMap turns values of the claim into scopes of the document. A
	// value that it lacks grants nothing. Nil: the values are the scopes.
	ScopesMap map[string][]string
}
