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
	switch {
	case len(s.Places) < 2:
	case place.In == gate.InAuthorization:
		what += "_under_" + place.Name
	default:
		what += "_in_" + string(place.In)
	}
	return what
}

// scheme adds the requests that present one credential, or one twice.
func (l *list) scheme(s Scheme, place gate.Place) {
	ann := l.b.ring.people.ann
	scopes := l.scopesOf(s.Name)
	what := sortIn(s, place)
	one := func(kind string) sent { return sent{place, l.b.paper(what, kind, scopes, ann, s.Name)} }

	kinds := []string{unknown, expired, broken, valid}
	switch {
	case s.Verifier == "apikey":
		kinds = append(kinds, revoked, disabled)
	case what == aToken:
		kinds = append(kinds, ofClient, otherAudience, idToken, disabled)
		if s.Verifier == "introspection" {
			kinds = append(kinds, revoked)
		}
		if place == gate.Authorization("dpop") {
			kinds = append(kinds, noProof, strangeProof)
		} else {
			kinds = append(kinds, asBearer)
		}
	case s.Verifier == "certificate":
		kinds = append(kinds, revoked, forServers)
	case what == aSession:
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
		sorts, _ := sortsOf(other)
		for _, stray := range sorts {
			if other.Name != s.Name || stray != what {
				l.add(l.named(map[sort]string{aCredential: "credential", aSession: "session", aToken: "token"}[stray]+"_of_"+other.Name, s, place),
					sent{place, l.b.paper(stray, valid, scopes, ann, other.Name)})
			}
		}
	}
	// What would let in elsewhere does not make up for what is wrong here.
	for _, needs := range l.op.Alternatives {
		for round := range l.b.places(needs) {
			whole, ok := l.b.arrange(needs, round, ann)
			if ok && !slices.ContainsFunc(whole.papers, func(w sent) bool { return slot(w.place) == slot(place) }) {
				l.add(l.named("unknown", s, place)+"_beside_"+names(needs), append(whole.papers, one(unknown))...)
				break
			}
		}
	}
	// Where a session and a token came, the token counts, whoever it speaks of
	// and whatever it lacks.
	for _, p := range s.Places {
		if what == aToken && sortIn(s, p) == aSession {
			session := sent{p, l.b.paper(aSession, valid, scopes, l.b.ring.people.bob, s.Name)}
			l.add(l.named("token_and_session", s, place), one(valid), session)
			l.add(l.named("lesser_token_and_session", s, place), sent{place, l.b.paper(aToken, valid, nil, ann, s.Name)}, session)
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
	l.complete(name, whole.papers)
	for round := 1; round < l.b.places(needs); round++ {
		if other, ok := l.b.arrange(needs, round, ann); ok {
			l.complete(name+"_other_place", other.papers)
			l.origin(name, other.papers)
		}
	}
	l.origin(name, whole.papers)
	for n := range needs {
		at := whole.of[n]
		meant, makers := whole.papers[at].paper, whole.makers[at]
		for _, scope := range needs[n].Scopes {
			short := slices.Clone(whole.papers)
			lesser := slices.DeleteFunc(slices.Clone(meant.scopes), func(s string) bool { return s == scope })
			short[at].paper = l.b.paper(meant.sort, valid, lesser, ann, makers...)
			l.add(name+"_without_"+scope, short...)
		}
		if meant.sort == aToken && whole.first(n) {
			robots := slices.Clone(whole.papers)
			robots[at].paper = l.b.paper(aToken, ofClient, meant.scopes, ann, makers...)
			l.add(name+"_with_token_of_a_client", robots...)
		}
		if len(whole.papers) == 1 {
			continue
		}
		l.add(needs[n].Scheme+"_alone_of_"+name, whole.papers[at])
		if len(whole.papers) > 2 {
			l.add(name+"_without_"+needs[n].Scheme, slices.Delete(slices.Clone(whole.papers), at, at+1)...)
		}
		mixed := slices.Clone(whole.papers)
		mixed[at].paper = l.b.paper(meant.sort, valid, meant.scopes, bob, makers...)
		l.add(name+"_of_another_in_"+needs[n].Scheme, mixed...)
	}
	l.oneKeyForAll(needs, whole.papers)
}

// complete adds a request with all that an alternative needs. The name says so
// only where that is enough: sessions of two providers are never there at once.
func (l *list) complete(name string, papers []sent) {
	word := "complete_"
	if !judge(l.b.api.Schemes, l.op, papers, l.op.Method, "same-origin").in {
		word = "never_enough_"
	}
	l.add(word+name, papers...)
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
	key := l.b.paper(aCredential, valid, slices.Compact(scopes), l.b.ring.people.ann, schemes...)
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
		place := l.b.scheme(n.Scheme).Places[0]
		s := sent{place, l.b.paper(sortIn(l.b.scheme(n.Scheme), place), valid, n.Scopes, l.b.ring.people.ann, n.Scheme)}
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
		sorts, good := sortsOf(s)
		for i, what := range sorts {
			p := l.b.paper(what, valid, l.scopesOf(s.Name), l.b.ring.people.ann, s.Name)
			var papers []sent
			for _, place := range l.places() {
				if place.In != gate.InCertificate && len(claimants(named, place)) == 0 &&
					!slices.ContainsFunc(papers, func(t sent) bool { return slot(t.place) == slot(place) }) {
					papers = append(papers, sent{place, p})
				}
			}
			l.add(l.named("elsewhere", s, good[i]), papers...)
		}
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
		most = max(most, len(b.scheme(n.Scheme).Places))
	}
	return most
}

// A hand is what meets an alternative.
type hand struct {
	papers []sent
	makers [][]string // for each paper the schemes that it is for
	of     []int      // for each need the paper that is meant for it
}

// first tells whether need n is the first that its paper is meant for.
func (h hand) first(n int) bool { return slices.Index(h.of, h.of[n]) == n }

// arrange makes papers with just the right scopes for each need and lays them
// into places of their own, beginning with each scheme's place number round; false
// where they cannot all be sent in one request, or there is nothing to send. One
// token meets all needs for tokens of a place, and one session all that look into
// the cookie.
func (b *bench) arrange(needs []Need, round int, who user.Record) (hand, bool) {
	var laid []gate.Place // for each need
	var lay func() bool
	lay = func() bool {
		n := len(laid)
		if n == len(needs) {
			return b.seen(needs, laid)
		}
		s := b.scheme(needs[n].Scheme)
		for i := range s.Places {
			place := s.Places[(round+i)%len(s.Places)]
			if !b.free(place, s, needs[:n], laid) {
				continue
			}
			laid = append(laid, place)
			if lay() {
				return true
			}
			laid = laid[:n]
		}
		return false
	}
	if len(needs) == 0 || !lay() {
		return hand{}, false
	}
	var h hand
	var distinct []gate.Place
	for _, place := range laid {
		at := slices.Index(distinct, place)
		if at < 0 {
			at = len(distinct)
			distinct = append(distinct, place)
		}
		h.of = append(h.of, at)
	}
	for at, place := range distinct {
		var makers, scopes []string
		for n := range needs {
			if h.of[n] == at {
				makers = append(makers, needs[n].Scheme)
				scopes = append(scopes, needs[n].Scopes...)
			}
		}
		slices.Sort(scopes)
		h.makers = append(h.makers, makers)
		h.papers = append(h.papers, sent{place, b.paper(sortIn(b.scheme(makers[0]), place), valid, slices.Compact(scopes), who, makers...)})
	}
	return h, true
}

// free tells whether a credential for s can lie in place, where those for needs
// lie in laid: not in a slot that is taken, unless one credential is both.
func (b *bench) free(place gate.Place, s Scheme, needs []Need, laid []gate.Place) bool {
	for i, other := range laid {
		what := sortIn(s, place)
		same := other == place && what != aCredential && what == sortIn(b.scheme(needs[i].Scheme), other)
		if slot(other) == slot(place) && !same {
			return false
		}
	}
	return true
}

// seen tells whether each of needs is looked for where its credential lies: a
// token that is there for another counts before the session that is meant.
func (b *bench) seen(needs []Need, laid []gate.Place) bool {
	for n, place := range laid {
		s := b.scheme(needs[n].Scheme)
		if sortIn(s, place) == aSession && slices.ContainsFunc(laid, func(p gate.Place) bool { return p != place && slices.Contains(s.Places, p) }) {
			return false
		}
	}
	return true
}

// names joins the schemes of an alternative: login+apiKey.
func names(needs []Need) string {
	var all []string
	for _, n := range needs {
		all = append(all, n.Scheme)
	}
	return strings.Join(all, "+")
}
