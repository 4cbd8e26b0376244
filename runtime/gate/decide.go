package gate

import (
	"net/http"
	"slices"
	"time"
)

// An Outcome is what became of the credential of one scheme.
type Outcome uint8

const (
	Absent      Outcome = iota // nothing presented
	Valid                      // verified
	Invalid                    // examined, and no good
	Unavailable                // could not be examined
	Duplicate                  // there more than once
	Limited                    // not examined, since the caller failed too often
)

func (o Outcome) String() string {
	switch o {
	case Absent:
		return "absent"
	case Valid:
		return "valid"
	case Invalid:
		return "invalid"
	case Unavailable:
		return "unavailable"
	case Duplicate:
		return "duplicate"
	case Limited:
		return "limited"
	}
	return "unknown"
}

// A State is what is known of one scheme's credential. Its zero value is a
// credential that was not presented.
type State struct {
	Outcome Outcome
	// Place is where the credential lies. Schemes with the same Place speak
	// of the same credential; the zero Place is shared with none.
	Place    Place
	Identity Identity // where Valid
	// OriginMissing: the credential is good, and nothing shows that the
	// request comes from a page of ours.
	OriginMissing bool
	RetryAfter    time.Duration // where Limited
}

// A Decision says what follows from the states of a policy's schemes. Its zero
// value lets nobody in.
type Decision struct {
	Allowed   bool
	Principal *Principal // who was let in; nil: nobody
	// Status and Code are the answer where Allowed is false.
	Status     int
	Code       string
	RetryAfter time.Duration // of a 429
	// Lacking are, for insufficient_scope, the needs whose scopes are not
	// held, in the first alternative that fails for that alone.
	Lacking []Need
}

// The codes of a [Decision] and of the problems a [Gate] answers with.
const (
	CodeLimited     = "too_many_failures"
	CodeDuplicate   = "credential_duplicate"
	CodeInvalid     = "credential_invalid"
	CodeUnavailable = "verifier_unavailable"
	CodeUnverified  = "scheme_unverified"
	CodeOrigin      = "origin_missing"
	CodeIdentities  = "identities_differ"
	CodeScope       = "insufficient_scope"
	CodeMissing     = "credential_missing"
)

// Decide says whether p lets a request in. states has the state of each scheme
// by name; a missing one is Absent, and those that p does not name do not
// count. Decide is a pure function. The first that holds is the answer,
// whatever the order of p:
//
//  1. 429 a credential is Limited
//  2. 400 a credential is Duplicate
//  3. 401 a credential is Invalid; where several schemes claim it, for all of them
//  4. 503 a credential is Unavailable, and Valid for none that claims it
//  5. let in by the first alternative whose needs are all met
//  6. let in as nobody, where an alternative is empty and nothing was presented
//  7. 503 a credential is Unavailable for a scheme, though Valid for another
//  8. 403 in some alternative only proof of origin is missing
//  9. 403 in some alternative the credentials are of two users, or two clients
//  10. 403 in some alternative scopes are lacking
//  11. 401
//
// One key record meets only one scheme of an alternative.
func Decide(p Policy, states map[string]State) Decision {
	if p.public {
		return Decision{Allowed: true}
	}
	if d, done := refuseAny(p, states); done {
		return d
	}
	for _, a := range p.alternatives {
		if m := a.measure(states); m.verified && m.agreed && m.scoped && m.proven {
			return Decision{Allowed: true, Principal: a.principal(states)}
		}
	}
	if p.anonymous() && !p.any(states, func(s State) bool { return s.Outcome != Absent }) {
		return Decision{Allowed: true}
	}
	// What could not be examined might have let the caller in.
	if p.any(states, func(s State) bool { return s.Outcome == Unavailable }) {
		return Decision{Status: http.StatusServiceUnavailable, Code: CodeUnavailable}
	}
	for _, a := range p.alternatives {
		if m := a.measure(states); m.verified && m.agreed && m.scoped {
			return Decision{Status: http.StatusForbidden, Code: CodeOrigin}
		}
	}
	for _, a := range p.alternatives {
		if m := a.measure(states); m.verified && !m.agreed {
			return Decision{Status: http.StatusForbidden, Code: CodeIdentities}
		}
	}
	for _, a := range p.alternatives {
		if m := a.measure(states); m.verified && m.agreed {
			return Decision{Status: http.StatusForbidden, Code: CodeScope, Lacking: a.lacking(states)}
		}
	}
	return Decision{Status: http.StatusUnauthorized, Code: CodeMissing}
}

// refuseAny refuses for a credential that is there and cannot count, whether
// or not another would let the caller in.
func refuseAny(p Policy, states map[string]State) (Decision, bool) {
	var wait time.Duration
	limited := false
	for _, a := range p.alternatives {
		for _, n := range a.needs {
			if s := states[n.Scheme]; s.Outcome == Limited {
				limited, wait = true, max(wait, s.RetryAfter)
			}
		}
	}
	switch {
	case limited:
		return Decision{Status: http.StatusTooManyRequests, Code: CodeLimited, RetryAfter: wait}, true
	case p.any(states, func(s State) bool { return s.Outcome == Duplicate }):
		return Decision{Status: http.StatusBadRequest, Code: CodeDuplicate}, true
	case p.any(states, func(s State) bool { return s.Outcome == Invalid && !p.claimed(states, s.Place, Valid, Unavailable) }):
		return Decision{Status: http.StatusUnauthorized, Code: CodeInvalid}, true
	case p.any(states, func(s State) bool { return s.Outcome == Unavailable && !p.claimed(states, s.Place, Valid) }):
		return Decision{Status: http.StatusServiceUnavailable, Code: CodeUnavailable}, true
	}
	return Decision{}, false
}

// any tells whether f holds for the state of a scheme that p names.
func (p Policy) any(states map[string]State, f func(State) bool) bool {
	for _, a := range p.alternatives {
		for _, n := range a.needs {
			if f(states[n.Scheme]) {
				return true
			}
		}
	}
	return false
}

// claimed tells whether for some scheme of p the credential in place has one
// of outcomes.
func (p Policy) claimed(states map[string]State, place Place, outcomes ...Outcome) bool {
	return place != Place{} && p.any(states, func(s State) bool {
		return s.Place == place && slices.Contains(outcomes, s.Outcome)
	})
}

// anonymous tells whether one of the alternatives is empty.
func (p Policy) anonymous() bool {
	return slices.ContainsFunc(p.alternatives, func(a Requirement) bool { return len(a.needs) == 0 })
}

// A measure says how far an alternative is met. The other members mean
// something only where verified is true.
type measure struct {
	verified bool // each need has a credential of its own that is good
	agreed   bool // they speak of at most one user and one client
	scoped   bool // each holds the scopes of its need
	proven   bool // none lacks proof of origin
}

// measure measures a. Nothing is met by the empty alternative.
func (a Requirement) measure(states map[string]State) measure {
	m := measure{verified: len(a.needs) > 0, agreed: true, scoped: true, proven: true}
	for i, n := range a.needs {
		s := states[n.Scheme]
		if s.Outcome != Valid {
			return measure{}
		}
		m.scoped = m.scoped && n.heldBy(s.Identity)
		m.proven = m.proven && !s.OriginMissing
		for _, before := range a.needs[:i] {
			t := states[before.Scheme]
			if before.Scheme != n.Scheme && s.Identity.Record != "" && s.Identity.Record == t.Identity.Record {
				return measure{}
			}
			m.agreed = m.agreed && agree(s.Identity, t.Identity)
		}
	}
	return m
}

// agree tells whether x and y can be of one caller: a user and a client can.
func agree(x, y Identity) bool {
	return (x.User == nil || y.User == nil || x.User.ID == y.User.ID) &&
		(x.Client == nil || y.Client == nil || x.Client.ID == y.Client.ID)
}

func (n Need) heldBy(id Identity) bool { return len(n.missing(id)) == 0 }

// missing returns the scopes of n that id does not hold.
func (n Need) missing(id Identity) []string {
	var scopes []string
	for _, scope := range n.Scopes {
		if !id.Scopes.Has(scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// lacking returns the needs whose scopes are not held.
func (a Requirement) lacking(states map[string]State) []Need {
	return slices.DeleteFunc(slices.Clone(a.needs), func(n Need) bool { return n.heldBy(states[n.Scheme].Identity) })
}

// principal puts together who stands behind the credentials of a, which agree.
func (a Requirement) principal(states map[string]State) *Principal {
	p := &Principal{}
	var ofUser, ofClient Scopes
	for _, n := range a.needs {
		id := states[n.Scheme].Identity
		if !slices.Contains(p.via, n.Scheme) {
			p.via = append(p.via, n.Scheme)
		}
		if p.client == nil {
			p.client = id.Client
		}
		if p.session == "" {
			p.session = id.Session
		}
		if id.User == nil {
			ofClient = ofClient.with(id.Scopes)
			continue
		}
		if p.user == nil {
			p.user = id.User
		}
		ofUser = ofUser.with(id.Scopes)
		if !id.AuthTime.IsZero() && (p.authTime.IsZero() || id.AuthTime.Before(p.authTime)) {
			p.authTime = id.AuthTime
		}
	}
	p.scopes = ofClient
	if p.user != nil {
		p.scopes = ofUser
	}
	return p
}

// with returns s and those of more that it has not.
func (s Scopes) with(more Scopes) Scopes {
	for _, scope := range more {
		if !s.Has(scope) {
			s = append(s, scope)
		}
	}
	return s
}
