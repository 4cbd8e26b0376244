package gate_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

var schemeNames = [3]string{"a", "b", "c"}

// A kind is a state of one scheme, as Decide and as the evaluator are told it.
type kind struct {
	name  string
	state gate.State
	shown shown
}

func valid(name string, sh shown) kind {
	sh.said = good
	s := gate.State{Outcome: gate.Valid, OriginMissing: sh.noProof, Identity: gate.Identity{Record: sh.record}}
	if sh.user != "" {
		s.Identity.User = &gate.User{ID: sh.user}
	}
	if sh.client != "" {
		s.Identity.Client = &gate.Client{ID: sh.client}
	}
	if sh.scope {
		s.Identity.Scopes = gate.Scopes{"s"}
	}
	return kind{name, s, sh}
}

var (
	kindAbsent = kind{name: "absent"}
	kindDown   = kind{"down", gate.State{Outcome: gate.Unavailable}, shown{said: silent}}
	kindBad    = kind{"invalid", gate.State{Outcome: gate.Invalid}, shown{said: bad}}
	kindGood   = valid("valid", shown{user: "u1", scope: true})
	kindUnder  = valid("underscoped", shown{user: "u1"})

	basicKinds = []kind{kindAbsent, kindGood, kindBad, kindUnder, kindDown}
	allKinds   = append(slices.Clone(basicKinds),
		kind{"duplicate", gate.State{Outcome: gate.Duplicate}, shown{said: twice}},
		kind{"limited", gate.State{Outcome: gate.Limited}, shown{said: limited}},
		valid("origin missing", shown{user: "u1", scope: true, noProof: true}),
		valid("origin missing, underscoped", shown{user: "u1", noProof: true}),
		valid("user 2", shown{user: "u2", scope: true}),
		valid("user 2, underscoped, origin missing", shown{user: "u2", noProof: true}),
		valid("client 1", shown{client: "c1", scope: true}),
		valid("client 2, underscoped", shown{client: "c2"}),
		valid("user 1 by client 1", shown{user: "u1", client: "c1", scope: true}),
		valid("record 1", shown{user: "u1", record: "r1", scope: true}),
		valid("record 1, underscoped", shown{user: "u1", record: "r1"}),
		valid("record 2 of client 1", shown{client: "c1", record: "r2", scope: true}),
	)
)

// sharings say which of three schemes claim the same credential.
var sharings = [][3]int{{1, 2, 3}, {1, 1, 2}, {1, 2, 1}, {1, 2, 2}, {1, 1, 1}}

// A scene is one state of all three schemes.
type scene struct {
	kinds  [3]kind
	places [3]int
	states map[string]gate.State
	shows  [3]shown
}

func (s *scene) String() string {
	return fmt.Sprintf("places %v, a %s, b %s, c %s", s.places, s.kinds[0].name, s.kinds[1].name, s.kinds[2].name)
}

// scenes are all combinations of kinds and sharings.
func scenes(kinds []kind) []*scene {
	var all []*scene
	for _, places := range sharings {
		for i := range len(kinds) * len(kinds) * len(kinds) {
			s := &scene{places: places, states: make(map[string]gate.State)}
			s.kinds = [3]kind{kinds[i%len(kinds)], kinds[i/len(kinds)%len(kinds)], kinds[i/len(kinds)/len(kinds)]}
			for j, k := range s.kinds {
				s.shows[j] = k.shown
				if k.state.Outcome == gate.Absent {
					continue // missing in states, or there and absent: the same
				}
				s.shows[j].credential = places[j]
				k.state.Place = gate.Place{In: gate.InHeader, Name: fmt.Sprintf("X-%d", places[j])}
				s.states[schemeNames[j]] = k.state
			}
			all = append(all, s)
		}
	}
	return all
}

// A rule is one policy in both notations.
type rule struct {
	policy  gate.Policy
	entries []asked
}

func newRule(entries ...asked) rule {
	var p gate.Policy
	for _, e := range entries {
		var needs []gate.Need
		for i := range e {
			switch {
			case e[i].scope:
				needs = append(needs, gate.Need{Scheme: schemeNames[i], Scopes: []string{"s"}})
			case e[i].named:
				needs = append(needs, gate.Need{Scheme: schemeNames[i]})
			}
		}
		if len(needs) == 0 {
			p = p.Or(gate.Anonymous())
		} else {
			p = p.Or(gate.Require(needs...))
		}
	}
	return rule{p, entries}
}

// entriesOf are all entries over three schemes: each unnamed, named, or named
// with a scope. Without mixed, all names of an entry have a scope or none has.
func entriesOf(mixed bool) []asked {
	var all []asked
	for i := range 27 {
		var e asked
		plain, scoped := false, false
		for j, digit := range []int{i % 3, i / 3 % 3, i / 9} {
			e[j].named, e[j].scope = digit > 0, digit == 2
			plain, scoped = plain || digit == 1, scoped || digit == 2
		}
		if mixed || !plain || !scoped {
			all = append(all, e)
		}
	}
	return all
}

// rulesOf are all lists of up to n different entries, in every order.
func rulesOf(entries []asked, n int) []rule {
	lists := [][]asked{nil}
	rules := []rule{newRule()}
	for range n {
		var longer [][]asked
		for _, l := range lists {
			for _, e := range entries {
				if !slices.Contains(l, e) {
					m := append(slices.Clone(l), e)
					longer = append(longer, m)
					rules = append(rules, newRule(m...))
				}
			}
		}
		lists = longer
	}
	return rules
}

// TestTruthTable compares Decide with the evaluator over every policy of up to
// three alternatives over three schemes, every sharing of credentials and
// every state of the three.
func TestTruthTable(t *testing.T) {
	compare(t, rulesOf(entriesOf(true), 3), scenes(basicKinds), 41)
}

// TestTruthTableRare does so with more states and fewer policies.
func TestTruthTableRare(t *testing.T) {
	compare(t, rulesOf(entriesOf(false), 2), scenes(allKinds), 37)
}

// compare runs all rules × scenes. With -short or the race detector it runs
// every thin-th of them.
func compare(t *testing.T, rules []rule, scenes []*scene, thin int) {
	step := 1
	if testing.Short() || raceEnabled {
		step = thin
	}
	var cases, failures atomic.Int64
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			n := int64(0)
			for i := w; i < len(rules); i += workers {
				for j := i % step; j < len(scenes) && failures.Load() < 10; j += step {
					n++
					if diff := differ(rules[i], scenes[j]); diff != "" {
						failures.Add(1)
						t.Errorf("%v, %v: %s", rules[i].entries, scenes[j], diff)
					}
				}
			}
			cases.Add(n)
		})
	}
	wg.Wait()
	t.Logf("%d policies, %d states, %d cases of %d", len(rules), len(scenes), cases.Load(), len(rules)*len(scenes))
}

// differ says where Decide departs from the evaluator.
func differ(ru rule, sc *scene) string {
	s := situation{entries: ru.entries, shows: sc.shows}
	want := evaluate(&s)
	got := gate.Decide(ru.policy, sc.states)
	status := got.Status
	if got.Allowed {
		status = 200
	}
	if status != want.status || got.Code != want.code || got.Allowed && got.Status != 0 {
		return fmt.Sprintf("Decide = %d %q, want %d %q", status, got.Code, want.status, want.code)
	}
	if (got.Principal != nil) != (want.status == 200 && want.entry >= 0) {
		return fmt.Sprintf("Decide lets in %v, want entry %d", got.Principal, want.entry)
	}
	if (len(got.Lacking) > 0) != (want.code == "insufficient_scope") {
		return fmt.Sprintf("Decide finds scopes lacking for %v, code %s", got.Lacking, want.code)
	}
	if got.Principal == nil {
		return ""
	}
	return differPrincipal(*got.Principal, &s, ru.entries[want.entry])
}

func differPrincipal(p gate.Principal, s *situation, e asked) string {
	via := p.Via()
	n := 0
	for i := range e {
		if e[i].named {
			if n >= len(via) || via[n] != schemeNames[i] {
				return fmt.Sprintf("via %v, want %v", via, e)
			}
			n++
		}
	}
	user, _ := p.User()
	client, _ := p.Client()
	if want := first(s.users(e)); user.ID != want {
		return fmt.Sprintf("user %q, want %q", user.ID, want)
	}
	if want := first(s.clients(e)); client.ID != want {
		return fmt.Sprintf("client %q, want %q", client.ID, want)
	}
	if want := s.holdsScope(e); n != len(via) || p.Scopes().Has("s") != want {
		return fmt.Sprintf("via %v, scopes %v, want scope %v", via, p.Scopes(), want)
	}
	return ""
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
