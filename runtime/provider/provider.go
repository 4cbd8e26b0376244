// Package provider says what is configured of the identity providers that
// people sign in at, and who answers for which of the document's schemes. It
// is plain data: package login acts on it.
package provider

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/secret"
)

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
	MetadataURL string
	// ClientID is what this server is registered as. Empty: nobody signs in
	// here, and only the access tokens of Issuer are taken.
	ClientID     string
	ClientSecret secret.Value
	// NoSignIn keeps people from signing in here though there is a client: it
	// is for access tokens alone, for asking the issuer about them.
	NoSignIn bool
	// ClientAuth is how the client names itself at the token endpoint:
	// client_secret_basic (the default), client_secret_post or none.
	ClientAuth string
	Scopes     []string // asked for at login beside those of the document
	// Algorithms are those that ID and access tokens may be signed with, asymmetric
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

// SignsIn tells whether people can sign in at the provider.
func (c Config) SignsIn() bool { return c.ClientID != "" && !c.NoSignIn }

// A Binding says who answers for one of the document's schemes.
type Binding struct {
	Providers []string // names of a Config each; empty where it is obvious
	// Audience are the values of which an access token has to have one in
	// aud: what this server is called at the issuer (RFC 9068, section 4).
	// Empty: the server's public URL, and no tokens at all for a scheme that
	// a session from a login meets.
	Audience []string
	// Introspect has the issuer asked about every token (RFC 7662), also
	// about those that say themselves what they are good for.
	Introspect bool
	// AnyAudience takes tokens of which the issuer, asked about them, does not
	// say whom they are for. One that it says is for another is refused.
	AnyAudience bool
	// UntypedTokens takes JWTs too whose header does not say that they are
	// access tokens (typ at+jwt; RFC 9068, section 2.1), and which lack what
	// that RFC asks for. Many providers issue no others. Of tokens that the
	// issuer is asked about it takes those too of which it does not say what
	// kind they are (token_type; RFC 7662, section 2.2).
	UntypedTokens bool
	// BoundOnly takes only tokens that are bound to a key of the client, by
	// DPoP (RFC 9449) or by its certificate (RFC 8705). Those that are
	// bound are never taken without it.
	BoundOnly bool
	// DPoPNonce has every proof of DPoP carry a nonce of this server (RFC
	// 9449, section 9).
	DPoPNonce bool
	// ScopesClaim is the claim, of the ID token, of UserInfo or of an access
	// token, that says which scopes its bearer holds: a text (joined by
	// blanks or "; ") or a list of texts. Dots lead into objects:
	// realm_access.roles. Empty: the scopes of the token response count, and
	// of an access token scope, or else scp.
	ScopesClaim string
	// ScopesEveryone are scopes that whoever signs in holds beside those of
	// the claim or the token response. They are not added to an access token's.
	ScopesEveryone []string
	// ScopesMap turns values of the claim into scopes of the document. A
	// value that it lacks grants nothing. Nil: the values are the scopes.
	ScopesMap map[string][]string
}

// Unknown returns an error for each of bindings that is of none of schemes, the
// names of a document's.
func Unknown(bindings map[string]Binding, schemes ...string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(bindings)) {
		if !slices.Contains(schemes, name) {
			errs = append(errs, fmt.Errorf("provider: schemes: %q is no scheme of the document; those are %s", name, strings.Join(schemes, ", ")))
		}
	}
	return errors.Join(errs...)
}
