package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/provider"
)

// A setting is one value of the configuration: its name in the file, what it
// means, and the field it goes to. The field's type says how it is written.
type setting struct {
	name  string // dots lead into nested settings: tls.cert
	env   string // its variable, where that does not follow from the name
	help  string
	path  bool     // a path, or several
	none  bool     // an empty list is fine
	zero  bool     // 0 is fine, and goes into the field as -1: zero is the default
	oneOf []string // where only these texts are allowed
	into  func(*draft) any
}

// settings are all that this version knows, in the order of the help.
var settings = []setting{
	{name: "public_url", help: "origin under which clients reach the server, https://HOST[:PORT]", into: func(d *draft) any { return &d.PublicURL }},
	{name: "listen", help: "address to listen on, HOST:PORT, or systemd:NAME for a socket of systemd (127.0.0.1:8443, behind a proxy 127.0.0.1:8080)", into: func(d *draft) any { return &d.Listen }},
	{name: "tls.cert", help: "PEM file of the certificate chain, or a list of them", path: true, into: func(d *draft) any { return &d.TLS.Cert }},
	{name: "tls.key", help: "PEM file of the private key, or a list in the same order", path: true, into: func(d *draft) any { return &d.TLS.Key }},
	{name: "tls.behind_proxy", help: "CIDRs of proxies that end TLS: plain HTTP is served to them, where they say it came over TLS", into: func(d *draft) any { return &d.TLS.BehindProxy }},
	{name: "tls.proxy_header", help: "what they say it in: x-forwarded or forwarded (x-forwarded)", oneOf: []string{"x-forwarded", "forwarded"}, into: func(d *draft) any { return &d.TLS.ProxyHeader }},
	{name: "tls.dev", help: "true: a certificate for development, loopback only", into: func(d *draft) any { return &d.TLS.Dev }},
	{name: "plain.listen", help: "address of plain HTTP, which redirects pages and refuses the rest, HOST:PORT (none)", into: func(d *draft) any { return &d.Plain.Listen }},
	{name: "proxy_protocol", help: "CIDRs of balancers that name the client by the PROXY protocol (none)", into: func(d *draft) any { return &d.ProxyProtocol }},
	{name: "secret_file", help: "file of at least 32 random bytes, or a list of them, the current one first", path: true, into: func(d *draft) any { return &d.secretFiles }},
	{name: "store", help: "where keys, users and sessions are kept, such as sqlite:blog.db or postgres://HOST/DATABASE", into: func(d *draft) any { return &d.Store }},
	{name: "store_file", help: "file that holds the URL of store, for one with a password", path: true, into: func(d *draft) any { return &d.storeFile }},
	{name: "sessions_store", help: "where sessions and limits are kept instead, such as redis://127.0.0.1:6379/0", into: func(d *draft) any { return &d.SessionsStore }},
	{name: "sessions_store_file", help: "file that holds the URL of sessions_store, for one with a password", path: true, into: func(d *draft) any { return &d.sessionsStoreFile }},
	{name: "cache", help: "how long a good key or session is not asked for again, or 0 (1s)", zero: true, into: func(d *draft) any { return &d.Cache }},
	{name: "environment", help: "which API keys are taken: live or test (live)", oneOf: []string{"live", "test"}, into: func(d *draft) any { return &d.Environment }},
	{name: "keys.prefix", help: "how API keys begin (gw)", into: func(d *draft) any { return &d.Keys.Prefix }},
	{name: "clients", help: "one id for a program however it comes: {billing: [main/billing-app, \"cn:billing\"]}", into: func(d *draft) any { return &d.Clients }},
	{name: "client_certs.ca", help: "PEM file of the authorities for certificates of clients", path: true, into: func(d *draft) any { return &d.ClientCerts.CA }},
	{name: "client_certs.crl", help: "file of the certificates that they revoked", path: true, into: func(d *draft) any { return &d.ClientCerts.CRL }},
	{name: "client_certs.subject", help: "what a certificate names its bearer by: cn, uri, dns or email (cn)", oneOf: []string{"cn", "uri", "dns", "email"}, into: func(d *draft) any { return &d.ClientCerts.Subject }},
	{name: "client_certs.scopes", help: "what clients with certificates may do: {\"cn:billing\": [invoices:read]}", into: func(d *draft) any { return &d.ClientCerts.Scopes }},
	{name: "client_certs.hosts", help: "host names for which certificates are asked for (that of public_url)", into: func(d *draft) any { return &d.ClientCerts.Hosts }},
	{name: "client_certs.proxies", help: "CIDRs of proxies that tell certificates in Client-Cert (none)", into: func(d *draft) any { return &d.ClientCerts.Proxies }},
	{name: "sessions.kind", help: "where sessions are kept: server or sealed, in the cookie (server)", oneOf: []string{"server", "sealed"}, into: func(d *draft) any { return &d.Sessions.Kind }},
	{name: "sessions.idle", help: "a session ends when not used for so long (30m)", into: func(d *draft) any { return &d.Sessions.Idle }},
	{name: "sessions.absolute", help: "a session ends after so long (12h)", into: func(d *draft) any { return &d.Sessions.Absolute }},
	{name: "sessions.recent", help: "how long after a sign-in one may change one's keys (15m)", into: func(d *draft) any { return &d.Sessions.Recent }},
	{name: "cors.origins", help: "whose pages may read answers: exact origins, or * alone (none)", none: true, into: func(d *draft) any { return &d.CORS.Origins }},
	{name: "cors.credentials", help: "true: they may read what is answered to cookies too (false)", into: func(d *draft) any { return &d.CORS.Credentials }},
	{name: "docs", help: "true: the API's reference at /docs, for everybody (false)", into: func(d *draft) any { return &d.Docs }},
	{name: "look.name", help: "name of the application on its own pages (the document's title)", into: func(d *draft) any { return &d.Look.Name }},
	{name: "look.logo", help: "file of its logo: SVG, PNG, JPEG or WebP", path: true, into: func(d *draft) any { return &d.Look.Logo }},
	{name: "look.accent", help: "colour of buttons and links, #rrggbb", into: func(d *draft) any { return &d.Look.Accent }},
	{name: "admin.listen", help: "loopback address of /healthz, /readyz and /metrics, HOST:PORT (none)", into: func(d *draft) any { return &d.Admin.Listen }},
	{name: "public_health", help: "true: /healthz and /readyz for everybody, where the platform asks them (false)", into: func(d *draft) any { return &d.PublicHealth }},
	{name: "limits.header_bytes", help: "largest request header (64KiB)", into: func(d *draft) any { return &d.Limits.HeaderBytes }},
	{name: "limits.body_bytes", help: "largest request body, whatever the operation allows (32MiB)", into: func(d *draft) any { return &d.Limits.BodyBytes }},
	{name: "limits.header_time", help: "longest wait for a header (10s)", into: func(d *draft) any { return &d.Limits.HeaderTime }},
	{name: "limits.body_time", help: "longest wait for a body (60s)", into: func(d *draft) any { return &d.Limits.BodyTime }},
	{name: "limits.answer_time", help: "longest time for an answer (2m)", into: func(d *draft) any { return &d.Limits.AnswerTime }},
	{name: "limits.idle_time", help: "longest wait for the next request (2m)", into: func(d *draft) any { return &d.Limits.IdleTime }},
	{name: "limits.connections", help: "connections at once (4096)", into: func(d *draft) any { return &d.Limits.Connections }},
	{name: "limits.connections_per_address", help: "of one address, which for IPv6 is a /64 (256)", into: func(d *draft) any { return &d.Limits.ConnectionsPerAddress }},
	{name: "limits.requests", help: "requests at once; further ones are answered 503 (1024)", into: func(d *draft) any { return &d.Limits.Requests }},
	{name: "limits.requests_per_address", help: "of one address; further ones are answered 429 (256)", into: func(d *draft) any { return &d.Limits.RequestsPerAddress }},
	{name: "limits.streams", help: "requests at once on one connection of HTTP/2 (100)", into: func(d *draft) any { return &d.Limits.Streams }},
	{name: "shutdown.delay", help: "how long before that it says it is not ready, and still answers, or 0 (1s)", zero: true, into: func(d *draft) any { return &d.Shutdown.Delay }},
	{name: "shutdown.grace", help: "how long running requests may take to finish (20s)", into: func(d *draft) any { return &d.Shutdown.Grace }},
	{name: "log.level", help: "debug, info, warn or error (info)", oneOf: []string{"debug", "info", "warn", "error"}, into: func(d *draft) any { return &d.Log.Level }},
	{name: "log.format", help: "text or json (text)", oneOf: []string{"text", "json"}, into: func(d *draft) any { return &d.Log.Format }},
}

// providerSettings are those of one identity provider.
func providerSettings(p *providerDraft) []setting {
	return []setting{
		{name: "preset", help: "google, entra, gitlab, keycloak, auth0, okta, dex or github: fills in what is known", into: at(&p.Preset)},
		{name: "title", help: "what people read where they choose a provider (NAME)", into: at(&p.Title)},
		{name: "issuer", help: "issuer of OpenID Connect, an https URL to the letter", into: at(&p.Issuer)},
		{name: "client_id", help: "what this server is registered as; without it nobody signs in here", into: at(&p.ClientID)},
		{name: "client_secret_file", help: "file of the client's secret", path: true, into: at(&p.secretFile)},
		{name: "client_auth", help: "client_secret_basic, client_secret_post or none (client_secret_basic)", into: at(&p.ClientAuth)},
		{name: "no_sign_in", help: "true: nobody signs in here, only access tokens are taken (false)", into: at(&p.NoSignIn)},
		{name: "metadata_url", help: "where the issuer's metadata lie, if not where OpenID Connect has them", into: at(&p.MetadataURL)},
		{name: "scopes", help: "asked for at login, beside those of the document", into: at(&p.Scopes)},
		{name: "algorithms", help: "that ID and access tokens may be signed with (RS256)", into: at(&p.Algorithms)},
		{name: "ca", help: "PEM file of the authorities for its certificate (those of the system)", path: true, into: at(&p.CA)},
		{name: "tenants", help: "ids of the Entra tenants whose people may sign in", into: at(&p.Tenants)},
		{name: "no_userinfo", help: "true: the ID token says all there is to know (false)", into: at(&p.NoUserInfo)},
		{name: "params", help: "added to the authorization request: {access_type: offline}", into: at(&p.Params)},
		{name: "authorization_url", help: "without OpenID Connect: where people sign in (from the document)", into: at(&p.AuthorizationURL)},
		{name: "token_url", help: "where codes are exchanged (from the document)", into: at(&p.TokenURL)},
		{name: "user_url", help: "what tells who signed in, as JSON", into: at(&p.UserURL)},
		{name: "emails_url", help: "what lists their mail addresses", into: at(&p.EmailsURL)},
		{name: "user_id", help: "member of that JSON that never changes (id)", into: at(&p.UserID)},
		{name: "user_name", help: "member that holds the name (name)", into: at(&p.UserName)},
		{name: "user_email", help: "member that holds the mail address (email)", into: at(&p.UserEmail)},
		{name: "identity", help: "URL under which these people are kept (origin of user_url)", into: at(&p.Identity)},
	}
}

// schemeSettings are those of one scheme of the document.
func schemeSettings(b *provider.Binding) []setting {
	return []setting{
		{name: "provider", help: "name of the provider whose logins and tokens count, or a list", into: at(&b.Providers)},
		{name: "audience", help: "what access tokens for this server have in aud, or a list (public_url, where no login meets the scheme)", into: at(&b.Audience)},
		{name: "introspect", help: "true: the issuer is asked about every access token (false)", into: at(&b.Introspect)},
		{name: "any_audience", help: "true: tokens of which the issuer, asked, does not say whom they are for are taken too (false)", into: at(&b.AnyAudience)},
		{name: "untyped_tokens", help: "true: tokens that neither their header nor the issuer, asked, calls access tokens are taken too (false)", into: at(&b.UntypedTokens)},
		{name: "bound_only", help: "true: only access tokens bound to a key (DPoP) or a certificate are taken (false)", into: at(&b.BoundOnly)},
		{name: "dpop_nonce", help: "true: proofs of DPoP carry a nonce of this server (false)", into: at(&b.DPoPNonce)},
		{name: "scopes_claim", help: "claim that says which scopes a person holds, such as groups", into: at(&b.ScopesClaim)},
		{name: "scopes_everyone", help: "scopes that whoever signs in holds too", into: at(&b.ScopesEveryone)},
		{name: "scopes_map", help: "scopes for each value of it: {editors: [posts:write]}", into: at(&b.ScopesMap)},
	}
}

// at is the place of a setting that lies outside the draft.
func at(into any) func(*draft) any { return func(*draft) any { return into } }

// later are settings of the design that this version does not have. Passed
// over, they would be promises that the server does not keep.
var later = []string{"tls.acme"}

// Variables that are no setting of the file.
const (
	envConfig = "GATEWRIGHT_CONFIG"
	envDev    = "GATEWRIGHT_DEV"
	envSecret = "GATEWRIGHT_SECRET"
)

// Variable is the name of a setting, such as tls.cert, in the environment.
func Variable(name string) string {
	return "GATEWRIGHT_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

// variable is the setting's name in the environment.
func (s setting) variable() string {
	if s.env != "" {
		return s.env
	}
	return Variable(s.name)
}

func find(name string) (setting, bool) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, false
	}
	return settings[i], true
}

// children are the names directly below a group; "" is the file itself.
func children(group string) []string {
	var names []string
	for _, s := range settings {
		name := s.name
		if group != "" {
			var ok bool
			if name, ok = strings.CutPrefix(name, group+"."); !ok {
				continue
			}
		}
		name, _, _ = strings.Cut(name, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if group == "" {
		for _, f := range families {
			names = append(names, f.name)
		}
	}
	return names
}

// assign reads text into the setting's field. base is what relative paths are
// relative to.
func (s setting) assign(d *draft, text, base string) error {
	if text == "" {
		return errors.New("is empty: write a value or leave it out")
	}
	if len(s.oneOf) > 0 && !slices.Contains(s.oneOf, text) {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(s.oneOf, ", "))
	}
	if s.path {
		text = below(base, text)
	}
	if s.name == "store" || s.name == "sessions_store" {
		text = storeBelow(base, text)
	}
	switch into := s.into(d).(type) {
	case *string:
		*into = text
	case *[]string:
		*into = append(*into, text)
	case *bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*into = text == "true"
	case *int64:
		size, err := parseSize(text)
		if err != nil {
			return err
		}
		*into = size
	case *int:
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is no number above zero", text)
		}
		*into = int(n)
	case *time.Duration:
		if s.zero && strings.Trim(text, "0") == "" {
			*into = -1
			return nil
		}
		span, err := ParseDuration(text)
		if err != nil {
			return err
		}
		*into = span
	default:
		panic("config: setting " + s.name + " has a field of no known type")
	}
	return nil
}
