package gatetest

import (
	"crypto/x509"
	"net/http"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A paper is a credential as this package knows it: made here, so that what a
// verifier has to say of it is known beforehand.
type paper struct {
	sort   sort
	text   string
	serves []string // the schemes whose verifiers take it; none: it is no good
	silent bool     // those verifiers cannot tell
	user   string
	client string
	scopes []string
	isKey  bool // under the word Basic it is the password of apikey
	// bound is the same as an access token that is bound to a key, which is
	// sent under DPoP, with a proof as the kind proof wants it; "": there is none.
	bound string
	proof string
	cert  *x509.Certificate // of a certificate; text is nothing then
}

// A sent is a paper in a place of a request.
type sent struct {
	place gate.Place
	paper *paper
}

// An outcome is what has to happen to a request.
type outcome struct {
	in     bool
	status int    // of a refusal
	code   string // of a refusal
	// Who is let in; all empty for nobody.
	via, user, client string // via joins the schemes' names: login+apiKey
}

var (
	letIn            = outcome{in: true}
	missing          = outcome{status: 401, code: "credential_missing"}
	invalid          = outcome{status: 401, code: "credential_invalid"}
	duplicate        = outcome{status: 400, code: "credential_duplicate"}
	unavailable      = outcome{status: 503, code: "verifier_unavailable"}
	originMissing    = outcome{status: 403, code: "origin_missing"}
	identitiesDiffer = outcome{status: 403, code: "identities_differ"}
	scopeMissing     = outcome{status: 403, code: "insufficient_scope"}
	methodUnknown    = outcome{status: 405, code: "method_not_allowed"}
)

// A verdict is what one scheme's verifier says of a paper.
type verdict int

const (
	good verdict = iota
	bad
	absent // an ended session: as if nothing had been sent
	silent
)

// judge says what the document wants of a request for op with papers. site is
// its Sec-Fetch-Site header, "" for none.
//
// It is written from the words of the specification, to be read beside them,
// and must not call package gate for anything but names.
func judge(schemes []Scheme, op Operation, papers []sent, method, site string) outcome {
	if op.Public {
		return letIn
	}
	claimants := lookers(schemes, op, papers)

	// What lies in a place that the operation does not name is not looked at.
	papers = slices.DeleteFunc(slices.Clone(papers), func(s sent) bool { return len(claimants(s)) == 0 })
	for i, s := range papers {
		for _, other := range papers[:i] {
			if slot(s.place) == slot(other.place) {
				return duplicate
			}
		}
	}
	// A credential is invalid only if all schemes that claim it refuse it.
	present := 0
	anySilent := false
	for _, s := range papers {
		var said [4]int
		for _, scheme := range claimants(s) {
			said[say(scheme, s)]++
		}
		if said[bad] > 0 && said[good] == 0 && said[silent] == 0 {
			return invalid
		}
		if said[silent] > 0 {
			anySilent = true
		}
		if said[good]+said[bad]+said[silent] > 0 {
			present++
		}
	}
	if anySilent {
		return unavailable
	}
	var short []outcome // what each alternative is short of, if anything
	for _, needs := range op.Alternatives {
		if len(needs) == 0 {
			if present == 0 {
				short = append(short, letIn)
			}
			continue
		}
		short = append(short, judgeAlternative(schemes, needs, papers, claimants, method, site))
	}
	if i := slices.IndexFunc(short, func(o outcome) bool { return o.in }); i >= 0 {
		return short[i]
	}
	for _, o := range []outcome{originMissing, identitiesDiffer, scopeMissing} {
		if slices.Contains(short, o) {
			return o
		}
	}
	return missing
}

// lookers returns what tells the schemes that look at a paper. Where a scheme
// takes a token or a cookie and both came, the token counts.
func lookers(schemes []Scheme, op Operation, papers []sent) func(sent) []Scheme {
	return func(s sent) []Scheme {
		return slices.DeleteFunc(claimants(schemesOf(schemes, op), s.place), func(c Scheme) bool {
			return s.place.In == gate.InCookie && slices.ContainsFunc(papers, func(other sent) bool {
				return other.place.In != gate.InCookie && slices.Contains(c.Places, other.place)
			})
		})
	}
}

// clears tells whether the answer to papers has to clear the session's cookie:
// what lies there was looked at, and is no session or one that has ended. One
// of another provider goes on.
func clears(schemes []Scheme, op Operation, papers []sent) bool {
	look := lookers(schemes, op, papers)
	var there []sent
	for _, s := range papers {
		if s.place.In == gate.InCookie && slices.ContainsFunc(look(s), isSession) {
			there = append(there, s)
		}
	}
	// Of two cookies nobody knows which is meant.
	return !op.Public && len(there) == 1 && !(there[0].paper.sort == aSession && len(there[0].paper.serves) > 0)
}

// judgeAlternative says what papers are short of for one alternative, letIn if
// nothing.
func judgeAlternative(schemes []Scheme, needs []Need, papers []sent, claimants func(sent) []Scheme, method, site string) outcome {
	var used []*paper
	var users, clients []string
	origin, scopes := true, true
	for _, n := range needs {
		at := slices.IndexFunc(papers, func(s sent) bool {
			return slices.ContainsFunc(claimants(s), func(c Scheme) bool { return c.Name == n.Scheme && say(c, s) == good })
		})
		// One key never meets two schemes; one session may.
		if at < 0 || papers[at].paper.isKey && slices.Contains(used, papers[at].paper) {
			return missing
		}
		p := papers[at].paper
		used = append(used, p)
		if p.user != "" && !slices.Contains(users, p.user) {
			users = append(users, p.user)
		}
		if p.client != "" && !slices.Contains(clients, p.client) {
			clients = append(clients, p.client)
		}
		origin = origin && proven(papers[at].place, method, site)
		for _, scope := range n.Scopes {
			scopes = scopes && slices.Contains(p.scopes, scope)
		}
	}
	differ := len(users) > 1 || len(clients) > 1
	switch {
	case !origin && !differ && scopes:
		return originMissing
	case !origin:
		return missing
	case differ:
		return identitiesDiffer
	case !scopes:
		return scopeMissing
	}
	return outcome{in: true, via: names(needs), user: strings.Join(users, ""), client: strings.Join(clients, "")}
}

// say gives a scheme's verdict on a paper that lies in its place.
func say(scheme Scheme, s sent) verdict {
	// A session is none where tokens lie, nor a token where sessions do.
	serves := slices.Contains(s.paper.serves, scheme.Name) && s.paper.sort == sortIn(scheme, s.place)
	switch {
	case serves && s.paper.silent:
		return silent
	case serves:
		return good
	case sortIn(scheme, s.place) == aSession:
		return absent
	}
	return bad
}

// schemesOf returns the schemes that op names.
func schemesOf(schemes []Scheme, op Operation) []Scheme {
	var named []Scheme
	for _, s := range schemes {
		for _, needs := range op.Alternatives {
			if slices.ContainsFunc(needs, func(n Need) bool { return n.Scheme == s.Name }) {
				named = append(named, s)
				break
			}
		}
	}
	return named
}

// claimants returns the schemes, out of those of an operation, that look at
// place. The empty scheme word claims what no other scheme claims.
func claimants(schemes []Scheme, place gate.Place) []Scheme {
	named := func(p gate.Place) []Scheme {
		var found []Scheme
		for _, s := range schemes {
			if slices.Contains(s.Places, p) {
				found = append(found, s)
			}
		}
		return found
	}
	found := named(place)
	if len(found) == 0 && place.In == gate.InAuthorization {
		return named(gate.Authorization(""))
	}
	return found
}

// slot names what can hold one thing only: all words of Authorization share
// one header.
func slot(p gate.Place) string {
	if p.In == gate.InAuthorization {
		return "authorization"
	}
	return string(p.In) + " " + p.Name
}

// proven tells whether a credential in place counts for a request from site:
// cookies need a proof of origin where the method is unsafe; Basic and
// certificates, which browsers send by themselves, count unless another site is
// named.
func proven(place gate.Place, method, site string) bool {
	if method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions {
		return true
	}
	switch {
	case place.In == gate.InCookie:
		return site == "same-origin"
	case place.In == gate.InCertificate, place == gate.Authorization("basic"):
		return site != "cross-site"
	}
	return true
}
