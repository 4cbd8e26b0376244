// Package gate decides who may call an operation.
//
// A document's security requirement becomes a [Policy], its security schemes
// become [Authenticator] values. For each request a [Gate] collects the
// credentials that are present, has each verified at most once, and lets
// [Decide] say what follows. The zero value of everything here lets nobody in.
package gate

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A User is a person.
type User struct {
	ID      string // ours, opaque, never empty, one per (Issuer, Subject), however the caller came
	Issuer  string // who vouches for Subject: the provider's issuer identifier
	Subject string
	Name    string
	Email   string
}

// A Client is a program that acts for itself: the owner of a service key, the
// client of a token that speaks of no person, the subject of a certificate.
type Client struct {
	// ID is never empty and never that of another program, whoever vouches
	// for it: the name that a service key was made for; of a token
	// PROVIDER/CLIENT_ID; of a certificate cn:NAME, dns:NAME, email:ADDRESS or
	// the URI. A configuration may give a program one id for all of these.
	ID   string
	Name string // what it is called where it is known; for display
}

// Scopes is a set of scopes.
type Scopes []string

// Has tells whether scope is held.
func (s Scopes) Has(scope string) bool { return slices.Contains(s, scope) }

// An Identity is who a verified credential speaks of.
type Identity struct {
	User     *User   // nil: no person
	Client   *Client // nil: no program
	Scopes   Scopes
	AuthTime time.Time // when the person last proved who they are; zero where unknown
	// Session is the id of the session that was presented, "" for other
	// credentials. It opens nothing.
	Session string
	// Record is the id of the key record that was presented, "" for other
	// credentials. One record never meets two schemes of one alternative.
	Record string
}

// An Authenticator verifies the credentials of one scheme. Its methods may be
// called concurrently.
type Authenticator interface {
	// Find tells whether a credential for the scheme is present, in one of
	// the places of its [Scheme]; [FindIn] does so. It looks only at headers
	// and the URL: the request it gets has no body. An error means that the
	// credential is there more than once (400), or, where it wraps
	// ErrInvalid, that it is there and cannot be read (401).
	Find(r *http.Request) (Credential, bool, error)
	// Verify says who c speaks of: a user, a client or both. ErrInvalid: 401.
	// ErrAbsent: as if c had not been sent. A *LimitError: 429. Any other
	// error: 503, since it is not known whether c is good; so are a panic and
	// an Identity of nobody. The errors may be wrapped; their text is logged
	// and must not hold the credential. The request has no body here either.
	Verify(ctx context.Context, r *http.Request, c Credential) (Identity, error)
	// Challenge returns the scheme's value for WWW-Authenticate, or several,
	// parted by line ends, where it takes several kinds of credential. cause is
	// nil where nothing was presented, ErrInvalid, an *InsufficientScope, or,
	// for access tokens in Authorization, ErrDuplicate.
	Challenge(cause error) string
}

// A Credential is something found in one place of a request.
type Credential struct {
	Place Place
	Value string
}

var (
	// ErrInvalid means that a credential was examined and is no good.
	ErrInvalid = errors.New("gate: credential is invalid")
	// ErrAbsent means that a credential counts as not sent (an ended session).
	ErrAbsent = errors.New("gate: credential is absent")
	// ErrDuplicate means that a credential is there more than once.
	ErrDuplicate = errors.New("gate: credential is there more than once")
)

// An InvalidError is ErrInvalid with more for the client to go on with: another
// challenge than its scheme's usual one, and header lines such as a nonce.
type InvalidError struct {
	Challenge string      // for WWW-Authenticate, as Authenticator.Challenge returns it; "": that
	Header    http.Header // more lines for the answer
	Cause     error       // for the log
}

func (e *InvalidError) Error() string {
	if e.Cause == nil {
		return ErrInvalid.Error()
	}
	return ErrInvalid.Error() + ": " + e.Cause.Error()
}

// Is tells that e is an ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Unwrap returns the cause.
func (e *InvalidError) Unwrap() error { return e.Cause }

// A LimitError means that a caller failed too often and has to wait.
type LimitError struct{ RetryAfter time.Duration }

func (e *LimitError) Error() string { return "gate: too many failed attempts" }

// An InsufficientScope is given to Challenge where a credential was good and
// lacks scopes (RFC 6750, section 3.1).
type InsufficientScope struct {
	Scopes []string
	Place  Place // where the credential lies
}

func (e *InsufficientScope) Error() string { return "gate: insufficient scope" }

// A Policy says who may call an operation. Its zero value lets nobody in.
type Policy struct {
	public       bool
	alternatives []Requirement
}

// A Requirement is one alternative: it is met when all its needs are.
type Requirement struct{ needs []Need }

// A Need is one scheme and the scopes that its credential must hold.
type Need struct {
	Scheme string
	Scopes []string
}

// Public lets in everybody, and looks at no credential.
func Public() Policy { return Policy{public: true} }

// Require lets in who meets all needs. Without any it lets nobody in: the
// empty requirement of a document is [Policy.OrAnonymous].
func Require(needs ...Need) Policy {
	if len(needs) == 0 {
		return Policy{}
	}
	return Policy{alternatives: []Requirement{{needs: slices.Clone(needs)}}}
}

// Anonymous lets in who presents no credential at all. Used with Or.
func Anonymous() Policy { return Policy{alternatives: []Requirement{{}}} }

// Or lets in whom p or q lets in. Public on either side keeps its meaning
// only alone: Or of a public policy panics, since the document cannot say it.
func (p Policy) Or(q Policy) Policy {
	if p.public || q.public {
		panic("gate: Or of a public policy")
	}
	return Policy{alternatives: slices.Concat(p.alternatives, q.alternatives)}
}

// IsPublic tells whether the policy was written as Public.
func (p Policy) IsPublic() bool { return p.public }

// Alternatives returns the requirements in the document's order.
func (p Policy) Alternatives() []Requirement { return slices.Clone(p.alternatives) }

// String says who may call, as comments of generated code do:
// "login(posts:write) or apiKey and certificate", "public", "nobody".
func (p Policy) String() string {
	if p.public {
		return "public"
	}
	if len(p.alternatives) == 0 {
		return "nobody"
	}
	var all []string
	for _, a := range p.alternatives {
		var names []string
		for _, n := range a.needs {
			name := n.Scheme
			if len(n.Scopes) > 0 {
				name += "(" + strings.Join(n.Scopes, ", ") + ")"
			}
			names = append(names, name)
		}
		if len(names) == 0 {
			names = []string{"anyone"}
		}
		all = append(all, strings.Join(names, " and "))
	}
	return strings.Join(all, " or ")
}

// Needs returns the requirement's needs; none means anonymous.
func (r Requirement) Needs() []Need { return slices.Clone(r.needs) }

// An Operation is one method on one path with its policy.
type Operation struct {
	ID      string
	Pattern string // method, blank, path template: "GET /v1/posts/{post}"
	Policy  Policy
}

// A Principal is who was let in. Its zero value is nobody.
type Principal struct {
	user     *User
	client   *Client
	scopes   Scopes
	authTime time.Time
	via      []string
	session  string
}

// User returns the person; false: no person stands behind the call.
func (p Principal) User() (User, bool) {
	if p.user == nil {
		return User{}, false
	}
	return *p.user, true
}

// Client returns the program; false: none was named.
func (p Principal) Client() (Client, bool) {
	if p.client == nil {
		return Client{}, false
	}
	return *p.client, true
}

// Scopes returns what the caller holds. Where a person stands behind the call
// these are the scopes of the person's credentials alone; a client beside them
// adds none.
func (p Principal) Scopes() Scopes { return slices.Clone(p.scopes) }

// AuthTime returns when the person last proved who they are; zero where
// unknown. Of several credentials of the person the oldest counts.
func (p Principal) AuthTime() time.Time { return p.authTime }

// Session returns the id of the session that let the caller in, "" where none
// did. It opens nothing: it is what lists of sessions show.
func (p Principal) Session() string { return p.session }

// Via returns the names of the document's schemes that let the caller in, in
// the document's order.
func (p Principal) Via() []string { return slices.Clone(p.via) }
