// Package model is the generator's picture of an API: its operations, who may
// call them, and what they take and answer. It is plain data. analyze fills
// it from a document, types adds the Go types, emit prints it.
package model

import (
	"slices"
	"strconv"
)

// A Position is a place in a document. Line and Column count from 1; the zero
// Position is no place.
type Position struct {
	File         string
	Line, Column int
}

// String gives file:line:col, or the file alone where the line is not known.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// An API is one document as the generator understands it.
type API struct {
	Title       string
	Version     string
	Description string
	Source      string // base name of the document's file
	BasePath    string // "" or "/v1": already part of every Operation.Path
	Schemes     []Scheme
	Operations  []Operation // in the document's order
}

// Scheme returns the scheme of that name, or nil.
func (a *API) Scheme(name string) *Scheme {
	for i := range a.Schemes {
		if a.Schemes[i].Name == name {
			return &a.Schemes[i]
		}
	}
	return nil
}

// KeySchemes returns the schemes that API keys of this server are taken for.
func (a *API) KeySchemes() []*Scheme {
	var keys []*Scheme
	for i := range a.Schemes {
		if a.Schemes[i].Verifier == VerifyAPIKey {
			keys = append(keys, &a.Schemes[i])
		}
	}
	return keys
}

// LoginSchemes returns the schemes that a session from a login is taken for.
func (a *API) LoginSchemes() []*Scheme {
	var logins []*Scheme
	for i := range a.Schemes {
		if a.Schemes[i].Verifier == VerifySession {
			logins = append(logins, &a.Schemes[i])
		}
	}
	return logins
}

// TokenSchemes returns the schemes that access tokens are taken for.
func (a *API) TokenSchemes() []*Scheme {
	var tokens []*Scheme
	for i := range a.Schemes {
		if a.Schemes[i].TakesTokens() {
			tokens = append(tokens, &a.Schemes[i])
		}
	}
	return tokens
}

// CertificateSchemes returns the schemes that client certificates are taken for.
func (a *API) CertificateSchemes() []*Scheme {
	var certificates []*Scheme
	for i := range a.Schemes {
		if a.Schemes[i].Verifier == VerifyCertificate {
			certificates = append(certificates, &a.Schemes[i])
		}
	}
	return certificates
}

// SessionCookie returns the name of the cookie that sessions lie in, "" where
// no scheme takes one.
func (a *API) SessionCookie() string {
	for _, s := range a.LoginSchemes() {
		for _, p := range s.Places {
			if p.In == "cookie" {
				return p.Name
			}
		}
	}
	return ""
}

// ScopesOf returns the scopes of a scheme, sorted: those it declares and those
// that operations name.
func (a *API) ScopesOf(s *Scheme) []string {
	scopes := slices.Clone(s.Scopes)
	for _, op := range a.Operations {
		for _, n := range slices.Concat(op.Policy.Alternatives...) {
			if n.Scheme == s.Name {
				scopes = append(scopes, n.Scopes...)
			}
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// A Scheme is one entry of components.securitySchemes.
type Scheme struct {
	Name        string
	GoName      string // exported Go identifier, unique among the schemes
	Description string
	Type        string  // apiKey, http, oauth2, openIdConnect, mutualTLS
	HTTPScheme  string  // for http: the word in lower case (basic, bearer, digest, …)
	Format      string  // for http bearer: bearerFormat as written
	Places      []Place // where its credential lies; never empty
	Verifier    Verifier
	OpenIDURL   string // for openIdConnect, as written
	Flows       []Flow // for oauth2, sorted by name
	Scopes      []string
	// AnyScope is true where the document cannot list the scopes (openIdConnect,
	// apiKey, http, mutualTLS): any scope or role an operation names is taken.
	AnyScope bool
	Pos      Position
}

// TakesTokens tells whether access tokens are taken for the scheme: alone, or
// beside the session of a login that says where it is.
func (s *Scheme) TakesTokens() bool {
	switch s.Verifier {
	case VerifyToken, VerifyJWT, VerifyIntrospect:
		return true
	case VerifySession:
		return s.Type == "oauth2" || s.Type == "openIdConnect"
	}
	return false
}

// AuthPrefix is what the paths begin with at which people sign in and out.
const AuthPrefix = "/auth"

// MetadataPath is where clients find out where tokens come from (RFC 9728).
const MetadataPath = "/.well-known/oauth-protected-resource"

// A Verifier says what checks a scheme's credential.
type Verifier string

const (
	VerifyAPIKey      Verifier = "apikey"        // an API key of this server
	VerifySession     Verifier = "session"       // a session from a login (or, with an audience, an access token)
	VerifyToken       Verifier = "token"         // an access token, JWT or opaque
	VerifyJWT         Verifier = "jwt"           // a JWT access token
	VerifyIntrospect  Verifier = "introspection" // an opaque access token, asked about at its issuer (RFC 7662)
	VerifyCertificate Verifier = "certificate"   // a client certificate under the configured authority
	VerifyCustom      Verifier = "custom"        // the application's own gate.Authenticator
	VerifyUndecided   Verifier = "undecided"     // http bearer with no word about its kind
)

// A Place is where a credential lies in a request.
type Place struct {
	In   string // header, query, cookie, authorization, certificate
	Name string // header, query parameter or cookie; for authorization the scheme word in lower case, "" for whatever no other scheme claims
}

// Flow returns the flow of that name, or nil.
func (s *Scheme) Flow(name string) *Flow {
	for i := range s.Flows {
		if s.Flows[i].Name == name {
			return &s.Flows[i]
		}
	}
	return nil
}

// A Flow is one OAuth 2.0 flow. Its URLs are as written: one that is relative
// names no provider, and the server's configuration has to.
type Flow struct {
	Name             string // authorizationCode, clientCredentials, deviceAuthorization, implicit, password
	AuthorizationURL string
	TokenURL         string
	RefreshURL       string
	DeviceURL        string
	Scopes           []string // sorted
}

// An Operation is one method on one path.
type Operation struct {
	ID          string // operationId, or method and path where the document has none
	GoName      string // exported, unique among operations and types
	Method      string // upper case
	Path        string // base path and template: /v1/posts/{post}
	Summary     string
	Description string
	Deprecated  bool
	Policy      Policy
	Params      []Param
	Body        *Body // nil: the operation takes none
	Responses   []Response
	Pos         Position
}

// A Policy says who may call. Its zero value lets nobody in.
type Policy struct {
	// Alternatives are the document's list: one of them must be met. An
	// alternative without needs lets in a caller who presents nothing.
	Alternatives []Alternative
	// Public is set by `security: []`, by a list of nothing but {}, or by
	// Undeclared.
	Public bool
	// Undeclared is set where the document says nothing and the settings
	// say `undeclared: public`.
	Undeclared bool
}

// An Alternative is met when all its needs are.
type Alternative []Need

// A Need is one scheme with the scopes that must be held.
type Need struct {
	Scheme string
	Scopes []string // in the document's order
}

// A Caller is what a handler is told of who calls.
type Caller int

const (
	CallerUnknown  Caller = iota // public: no principal
	CallerRequired               // gate.Principal
	CallerOptional               // *gate.Principal, nil for a caller who is nobody
)

// Caller tells how the policy shapes the handler's signature.
func (p Policy) Caller() Caller {
	if p.Public {
		return CallerUnknown
	}
	for _, a := range p.Alternatives {
		if len(a) == 0 {
			return CallerOptional
		}
	}
	return CallerRequired
}

// A Schema points at one schema of the document. types fills Go, bundle fills Def.
type Schema struct {
	Location string // file#/json/pointer of the schema, before any $ref it consists of is followed
	Hint     string // a Go name for it if it needs one: CreatePostBody
	Go       GoType
	Def      string // its name in the $defs of the validation bundle; "" where it is not validated
	Pos      Position
}

// A GoType is a Go type as generated code writes it.
type GoType struct {
	Slices int    // how many [] stand in front
	Path   string // import path of Name, "" for builtin types and the generated package
	Name   string // string, Time, Post
	// Nillable is true where nil is already a value of the type
	// (slices, maps, raw JSON), so that optional needs no pointer.
	Nillable bool
}

// A Param is a path, query, header or cookie parameter.
type Param struct {
	Name        string
	GoName      string // field of the request struct, unique there
	In          string // path, query, header, cookie
	Description string
	Required    bool
	Deprecated  bool
	Style       string // form, simple
	Explode     bool
	Shape       Shape
	Schema      Schema
	// Example is a value that the parameter is likely to take, as JSON; ""
	// where none is known.
	Example string
	Pos     Position
}

// A Shape tells how text becomes JSON before it is validated: which JSON types
// the schema accepts at this place, with what stands inside.
type Shape struct {
	Types []string // string, integer, number, boolean, array, object; empty: string
	Items *Shape   // for array
	Props []Prop   // for object
}

// A Prop is one member of an object's Shape.
type Prop struct {
	Name  string
	Shape Shape
}

// A Body is what an operation takes. Contents is never empty.
type Body struct {
	Description string
	Required    bool
	MaxBytes    int64 // 0: what the runtime takes by default
	Contents    []Content
	Pos         Position
}

// A ContentKind tells how a media type is read and written.
type ContentKind string

const (
	JSON   ContentKind = "json"   // application/json, */*+json
	Form   ContentKind = "form"   // application/x-www-form-urlencoded
	Text   ContentKind = "text"   // text/plain
	Binary ContentKind = "binary" // application/octet-stream, image/…: a stream, nothing to validate
	Opaque ContentKind = "opaque" // multipart, XML, other text: a stream the handler reads itself; not validated (a warning said so)
)

// A Content is one media type of a body or response.
type Content struct {
	MediaType string // as written, lower case, without parameters; may be a range such as image/*
	Kind      ContentKind
	Schema    *Schema // nil where the document has none
	Shape     Shape   // for Form
	Example   string  // of a request body: a value it is likely to take, as JSON; "" where none is known
	Pos       Position
}

// A Response is one entry of an operation's responses.
type Response struct {
	Status      string // "200", "4XX", "default"
	Description string
	Headers     []Header
	Contents    []Content // empty: no body
	Pos         Position
}

// A Header is a response header.
type Header struct {
	Name        string
	GoName      string
	Description string
	Required    bool
	Schema      Schema
}
