package gatetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/user"
)

// A list collects the probes of one operation.
type list struct {
	b      *bench
	op     Operation
	sample Request // none where op has none that reaches it
	probes []probe
}

// probes returns every request that op is asked with.
func (b *bench) probes(op Operation) []probe {
	l := &list{b: b, op: op}
	if b.reaches(op, op.Sample) {
		l.sample = op.Sample
	}
	l.add("no_credential")
	l.elsewhere()
	if op.Public {
		l.public()
	}
	for _, s := range schemesOf(b.api.Schemes, op) {
		for _, place := range s.Places {
			l.scheme(s, place)
		}
	}
	for _, needs := range op.Alternatives {
		if len(needs) > 0 {
			l.alternative(needs)
		}
	}
	l.head()
	l.wrong()
	l.otherMethod()
	return l.probes
}

// add adds a request with papers, and works out what has to come of it.
// Cookies come with a proof of origin.
func (l *list) add(name string, papers ...sent) {
	l.addFrom("same-origin", name, papers...)
}

// addFrom is add with a Sec-Fetch-Site header, "" for none.
func (l *list) addFrom(site, name string, papers ...sent) {
	l.probes = append(l.probes, probe{
		name: l.unique(name), op: l.op, method: l.op.Method, papers: papers, site: site, sample: l.sample,
		want: judge(l.b.api.Schemes, l.op, papers, l.op.Method, site),
	})
}

// unique makes name the name of one subtest, and of no other of the operation.
func (l *list) unique(name string) string {
	name = strings.ReplaceAll(name, "/", "_") // in scopes that are URLs
	taken := func(n string) bool {
		return slices.ContainsFunc(l.probes, func(p probe) bool { return p.name == n })
	}
	free := name
	for i := 2; taken(free); i++ {
		free = fmt.Sprintf("%s_%d", name, i)
	}
	return free
}

// named writes what is tried and on which scheme, where there are several.
func (l *list) named(what string, s Scheme, place gate.Place) string {
	if s.Verifier == "apikey" {
		what += "_key"
	}
	if len(schemesOf(l.b.api.Schemes, l.op)) > 1 {
		what += "_" + s.Name
	}
	if len(s.Places) > 1 {
		what += "_in_" + string(place.In)
	}
	return what
}

// scheme adds the requests that present one credential, or one twice.
func (l *list) scheme(s Scheme, place gate.Place) {
	ann := l.b.ring.people.ann
	scopes := l.scopesOf(s.Name)
	one := func(kind string) sent { return sent{place, l.b.paper(kind, scopes, ann, s.Name)} }

	kinds := []string{unknown, expired, broken, valid}
	switch {
	case s.Verifier == "apikey":
		kinds = append(kinds, revoked, disabled)
	case takesTokens(s):
		kinds = append(kinds, otherAudience, idToken, disabled)
		if s.Verifier == "introspection" {
			kinds = append(kinds, revoked)
		}
		if place == gate.Authorization("dpop") {
			kinds = append(kinds, noProof)
		} else {
			kinds = append(kinds, asBearer)
		}
	case s.Verifier == "certificate":
		kinds = append(kinds, revoked, forServers)
	case isSession(s) && place.In == gate.InCookie:
		kinds = append(kinds, ended, idle, tampered, unfinished, disabled)
	}
	if place.In != gate.InCertificate {
		kinds = append(kinds, malformed)
		l.add(l.named("twice", s, place), one(valid), one(valid))
		l.add(l.named("valid_and_unknown", s, place), one(valid), one(unknown))
	}
	for _, kind := range kinds {
		l.add(l.named(kind, s, place), one(kind))
	}
	for _, other := range l.b.api.Schemes {
		if other.Name != s.Name {
			stray := l.b.paper(valid, scopes, ann, other.Name)
			l.add(l.named("credential_of_"+other.Name, s, place), sent{place, stray})
		}
	}
	// What would let in elsewhere does not make up for what is wrong here.
	for _, needs := range l.op.Alternatives {
		whole, ok := l.b.arrange(needs, 0, ann)
		if ok && len(needs) > 0 && !slices.ContainsFunc(whole.papers, func(w sent) bool { return slot(w.place) == slot(place) }) {
			l.add(l.named("unknown", s, place)+"_beside_"+names(needs), append(whole.papers, one(unknown))...)
		}
	}
}

// alternative adds the requests that meet one alternative, and those that
// nearly do.
func (l *list) alternative(needs []Need) {
	ann, bob := l.b.ring.people.ann, l.b.ring.people.bob
	name := names(needs)
	whole, ok := l.b.arrange(needs, 0, ann)
	if !ok {
		l.unmeetable(needs)
		return
	}
	l.add("complete_"+name, whole.papers...)
	for round := 1; round < l.b.places(needs); round++ {
		if other, ok := l.b.arrange(needs, round, ann); ok {
			l.add("complete_"+name+"_other_place", other.papers...)
			l.origin(name, other.papers)
		}
	}
	l.origin(name, whole.papers)
	for n := range needs {
		at := whole.of[n]
		meant := whole.papers[at].paper
		for _, scope := range needs[n].Scopes {
			short := slices.Clone(whole.papers)
			lesser := slices.DeleteFunc(slices.Clone(meant.scopes), func(s string) bool { return s == scope })
			short[at].paper = l.b.paper(valid, lesser, ann, meant.serves[0])
			l.add(name+"_without_"+scope, short...)
		}
		if len(whole.papers) == 1 {
			continue
		}
		l.add(needs[n].Scheme+"_alone_of_"+name, whole.papers[at])
		if len(whole.papers) > 2 {
			l.add(name+"_without_"+needs[n].Scheme, slices.Delete(slices.Clone(whole.papers), at, at+1)...)
		}
		mixed := slices.Clone(whole.papers)
		mixed[at].paper = l.b.paper(valid, meant.scopes, bob, meant.serves[0])
		l.add(name+"_of_another_in_"+needs[n].Scheme, mixed...)
	}
	l.oneKeyForAll(needs, whole.papers)
}

// origin adds requests without a proof of origin, and from another site.
func (l *list) origin(name string, papers []sent) {
	byBrowser := func(s sent) bool {
		return s.place.In == gate.InCookie || s.place.In == gate.InCertificate || s.place == gate.Authorization("basic")
	}
	if slices.ContainsFunc(papers, byBrowser) && !proven(gate.Place{In: gate.InCookie}, l.op.Method, "") {
		l.addFrom("", name+"_without_origin", papers...)
		l.addFrom("cross-site", name+"_from_another_site", papers...)
	}
}

// oneKeyForAll presents one key that serves all schemes of an alternative, as
// each of them.
func (l *list) oneKeyForAll(needs []Need, whole []sent) {
	var schemes, scopes []string
	for _, n := range needs {
		if l.b.scheme(n.Scheme).Verifier != "apikey" {
			return
		}
		schemes = append(schemes, n.Scheme)
		scopes = append(scopes, n.Scopes...)
	}
	if len(needs) < 2 {
		return
	}
	slices.Sort(scopes)
	key := l.b.paper(valid, slices.Compact(scopes), l.b.ring.people.ann, schemes...)
	same := slices.Clone(whole)
	for i := range same {
		same[i].paper = key
	}
	l.add("one_key_for_"+names(needs), same...)
}

// unmeetable adds what comes nearest to an alternative that no request can
// meet, since two of its credentials have one place.
func (l *list) unmeetable(needs []Need) {
	var all []sent
	for _, n := range needs {
		s := sent{usable(l.b.scheme(n.Scheme))[0], l.b.paper(valid, n.Scopes, l.b.ring.people.ann, n.Scheme)}
		l.add(n.Scheme+"_of_unmeetable_"+names(needs), s)
		all = append(all, s)
	}
	l.add("unmeetable_"+names(needs), all...)
	l.oneKeyForAll(needs, all[:1])
}

// elsewhere presents good credentials where the operation does not look.
func (l *list) elsewhere() {
	named := schemesOf(l.b.api.Schemes, l.op)
	schemes := named
	if l.op.Public {
		schemes = l.b.api.Schemes
	}
	for _, s := range schemes {
		p := l.b.paper(valid, l.scopesOf(s.Name), l.b.ring.people.ann, s.Name)
		var papers []sent
		for _, place := range l.places() {
			if place.In != gate.InCertificate && len(claimants(named, place)) == 0 &&
				!slices.ContainsFunc(papers, func(t sent) bool { return slot(t.place) == slot(place) }) {
				papers = append(papers, sent{place, p})
			}
		}
		l.add(l.named("elsewhere", s, gate.Place{}), papers...)
	}
}

// places are all places of the document and three that it does not name.
func (l *list) places() []gate.Place {
	places := []gate.Place{
		{In: gate.InHeader, Name: "X-Gatetest"},
		{In: gate.InQuery, Name: "gatetest"},
		{In: gate.InCookie, Name: "gatetest"},
	}
	for _, s := range l.b.api.Schemes {
		places = append(places, s.Places...)
	}
	return places
}

// public adds garbage in every place of the document.
func (l *list) public() {
	garbage := &paper{text: "garbage"}
	l.add("garbage", sent{gate.Authorization("garbage"), garbage})
	for _, s := range l.b.api.Schemes {
		for _, place := range s.Places {
			l.add("garbage_for_"+s.Name, sent{place, garbage}, sent{place, garbage})
		}
	}
}

// head adds HEAD where only GET is declared: it has GET's policy.
func (l *list) head() {
	declared := func(o Operation) bool { return o.Method == http.MethodHead && shape(o.Path) == shape(l.op.Path) }
	if l.op.Method != http.MethodGet || slices.ContainsFunc(l.b.api.Operations, declared) {
		return
	}
	for _, p := range slices.Clone(l.probes) {
		p.name, p.method = "HEAD_"+p.name, http.MethodHead
		l.probes = append(l.probes, p)
	}
}

// wrong adds a request that is not valid, by somebody who is let in.
func (l *list) wrong() {
	q, ok := l.sample.incomplete()
	if !ok {
		q, ok = l.op.Wrong, l.b.reaches(l.op, l.op.Wrong)
	}
	i := slices.IndexFunc(l.probes, func(p probe) bool { return p.want.in && p.method == l.op.Method })
	if !ok || i < 0 {
		return
	}
	p := l.probes[i]
	p.name, p.sample, p.wrong = "not_valid", q, true
	l.probes = append(l.probes, p)
}

// otherMethod adds a method that the path lacks.
func (l *list) otherMethod() {
	for _, m := range []string{"PUT", "DELETE", "PATCH", "POST", "GET", "TRACE"} {
		if !slices.Contains(l.b.allow(l.op), m) {
			l.probes = append(l.probes, probe{name: "method_" + m, op: l.op, method: m, want: methodUnknown, sample: l.sample})
			return
		}
	}
}

// scopesOf returns all scopes that the document wants of a scheme, so that one
// credential serves many operations; or where those are more than a key can
// have, all that the operation wants.
func (l *list) scopesOf(scheme string) []string {
	of := func(ops ...Operation) []string {
		var scopes []string
		for _, op := range ops {
			for _, n := range slices.Concat(op.Alternatives...) {
				if n.Scheme == scheme {
					scopes = append(scopes, n.Scopes...)
				}
			}
		}
		slices.Sort(scopes)
		return slices.Compact(scopes)
	}
	if all := of(l.b.api.Operations...); len(all) <= 100 {
		return all
	}
	return of(l.op)
}

// scheme returns the scheme of that name.
func (b *bench) scheme(name string) Scheme {
	i := slices.IndexFunc(b.api.Schemes, func(s Scheme) bool { return s.Name == name })
	return b.api.Schemes[i]
}

// places returns how many places the scheme with the most of them has.
func (b *bench) places(needs []Need) int {
	most := 0
	for _, n := range needs {
		most = max(most, len(usable(b.scheme(n.Scheme))))
	}
	return most
}

// A hand is what meets an alternative.
type hand struct {
	papers []sent
	of     []int // for each need the paper that is meant for it
}

// arrange makes a paper with just the right scopes for each need and lays
// them into places of their own, beginning with each scheme's place number
// round; false where they cannot all be sent in one request. All needs for a
// session are met by one.
func (b *bench) arrange(needs []Need, round int, who user.Record) (hand, bool) {
	var h hand
	var slots []string
	var lay func(n int) bool
	lay = func(n int) bool {
		if n == len(needs) {
			return true
		}
		s := b.scheme(needs[n].Scheme)
		same := slices.IndexFunc(needs[:n], func(before Need) bool { return isSession(s) && isSession(b.scheme(before.Scheme)) })
		if same >= 0 {
			h.of = append(h.of, h.of[same])
			if lay(n + 1) {
				return true
			}
			h.of = h.of[:n]
			return false
		}
		scopes := needs[n].Scopes
		maker := s.Name
		if isSession(s) {
			maker, scopes = b.oneSession(needs)
		}
		places := usable(s)
		for i := range places {
			place := places[(round+i)%len(places)]
			if slices.Contains(slots, slot(place)) {
				continue
			}
			slots = append(slots, slot(place))
			h.papers = append(h.papers, sent{place, b.paper(valid, scopes, who, maker)})
			h.of = append(h.of, len(h.papers)-1)
			if lay(n + 1) {
				return true
			}
			slots, h.papers, h.of = slots[:len(slots)-1], h.papers[:len(h.papers)-1], h.of[:n]
		}
		return false
	}
	ok := lay(0)
	return h, ok
}

// oneSession says for which scheme a session is made that meets all needs for
// one, if any does, and with which scopes.
func (b *bench) oneSession(needs []Need) (maker string, scopes []string) {
	for _, n := range needs {
		if s := b.scheme(n.Scheme); isSession(s) {
			scopes = append(scopes, n.Scopes...)
			if maker == "" || isAny(b.scheme(maker)) {
				maker = s.Name
			}
		}
	}
	slices.Sort(scopes)
	return maker, slices.Compact(scopes)
}

// names joins the schemes of an alternative: login+apiKey.
func names(needs []Need) string {
	var all []string
	for _, n := range needs {
		all = append(all, n.Scheme)
	}
	return strings.Join(all, "+")
}
