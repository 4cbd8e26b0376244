package gate_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
)

func need(scheme string, scopes ...string) gate.Need {
	return gate.Need{Scheme: scheme, Scopes: scopes}
}

func header(name string) gate.Place { return gate.Place{In: gate.InHeader, Name: name} }

// verified is a good credential of a user in a place of its own.
func verified(place, user string, scopes ...string) gate.State {
	return gate.State{Outcome: gate.Valid, Place: header(place), Identity: gate.Identity{User: &gate.User{ID: user}, Scopes: scopes}}
}

func verifiedClient(place, client string, scopes ...string) gate.State {
	return gate.State{Outcome: gate.Valid, Place: header(place), Identity: gate.Identity{Client: &gate.Client{ID: client}, Scopes: scopes}}
}

func state(o gate.Outcome, place string) gate.State {
	return gate.State{Outcome: o, Place: header(place)}
}

func withRecord(s gate.State, id string) gate.State {
	s.Identity.Record = id
	return s
}

func withoutOrigin(s gate.State) gate.State {
	s.OriginMissing = true
	return s
}

// Each case fails when the rule it names is taken out of Decide.
func TestDecide(t *testing.T) {
	a, b := gate.Require(need("a")), gate.Require(need("b"))
	both := gate.Require(need("a"), need("b"))
	type states = map[string]gate.State
	for _, c := range []struct {
		name   string
		policy gate.Policy
		states states
		status int // 200: let in
		code   string
	}{
		{"the zero policy lets nobody in", gate.Policy{}, states{"a": verified("A", "u")}, 401, gate.CodeMissing},
		{"nor does it with nothing presented", gate.Policy{}, nil, 401, gate.CodeMissing},
		{"requiring nothing lets nobody in", gate.Require(), nil, 401, gate.CodeMissing},
		{"public lets in", gate.Public(), nil, 200, ""},
		{"public looks at nothing", gate.Public(), states{"a": state(gate.Invalid, "A")}, 200, ""},
		{"nothing presented", a, nil, 401, gate.CodeMissing},
		{"a good credential", a, states{"a": verified("A", "u")}, 200, ""},
		{"a place the operation does not name", a, states{"a": verified("A", "u"), "b": state(gate.Invalid, "B")}, 200, ""},
		{"a good credential of a scheme it does not name", a, states{"b": verified("B", "u")}, 401, gate.CodeMissing},

		{"429 before 400", a.Or(b), states{"a": state(gate.Duplicate, "A"), "b": state(gate.Limited, "B")}, 429, gate.CodeLimited},
		{"429 where another would let in", a.Or(b), states{"a": verified("A", "u"), "b": state(gate.Limited, "B")}, 429, gate.CodeLimited},
		{"400 before 401", a.Or(b), states{"a": state(gate.Invalid, "A"), "b": state(gate.Duplicate, "B")}, 400, gate.CodeDuplicate},
		{"400 where another would let in", a.Or(b), states{"a": verified("A", "u"), "b": state(gate.Duplicate, "B")}, 400, gate.CodeDuplicate},
		{"401 before 503", a.Or(b), states{"a": state(gate.Unavailable, "A"), "b": state(gate.Invalid, "B")}, 401, gate.CodeInvalid},
		{"401 where another would let in", a.Or(b), states{"a": verified("A", "u"), "b": state(gate.Invalid, "B")}, 401, gate.CodeInvalid},
		{"401 where nobody would be let in", a.Or(gate.Anonymous()), states{"a": state(gate.Invalid, "A")}, 401, gate.CodeInvalid},
		{"503 where another would let in", a.Or(b), states{"a": verified("A", "u"), "b": state(gate.Unavailable, "B")}, 503, gate.CodeUnavailable},
		{"503 where nobody would be let in", a.Or(gate.Anonymous()), states{"a": state(gate.Unavailable, "A")}, 503, gate.CodeUnavailable},
		{"503 before 403", a.Or(b), states{"a": withoutOrigin(verified("A", "u")), "b": state(gate.Unavailable, "B")}, 503, gate.CodeUnavailable},

		{"shared: one success suffices against a refusal", a.Or(b), states{"a": state(gate.Invalid, "A"), "b": verified("A", "u")}, 200, ""},
		{"shared: all refuse", a.Or(b), states{"a": state(gate.Invalid, "A"), "b": state(gate.Invalid, "A")}, 401, gate.CodeInvalid},
		{"shared: refused by the only one to whom it is present", a.Or(b), states{"a": state(gate.Absent, "A"), "b": state(gate.Invalid, "A")}, 401, gate.CodeInvalid},
		{"shared: one refuses, the other is silent", a.Or(b), states{"a": state(gate.Invalid, "A"), "b": state(gate.Unavailable, "A")}, 503, gate.CodeUnavailable},
		{"shared: one success suffices against silence", a.Or(b), states{"a": state(gate.Unavailable, "A"), "b": verified("A", "u")}, 200, ""},
		{"shared: success and silence are never 401", both.Or(a), states{"a": state(gate.Unavailable, "A"), "b": verified("A", "u")}, 503, gate.CodeUnavailable},
		{"shared: success and silence are never 403", gate.Require(need("a", "s")).Or(b), states{"a": verified("A", "u"), "b": state(gate.Unavailable, "A")}, 503, gate.CodeUnavailable},
		{"the zero place is shared with none", a.Or(b), states{"a": {Outcome: gate.Invalid}, "b": {Outcome: gate.Valid, Identity: gate.Identity{User: &gate.User{ID: "u"}}}}, 401, gate.CodeInvalid},

		{"nobody, with nothing presented", a.Or(gate.Anonymous()), nil, 200, ""},
		{"nobody, but something presented", both.Or(gate.Anonymous()), states{"a": verified("A", "u")}, 401, gate.CodeMissing},
		{"an ended session counts as nothing", a.Or(gate.Anonymous()), states{"a": state(gate.Absent, "A")}, 200, ""},

		{"all names of an entry", both, states{"a": verified("A", "u"), "b": verified("B", "u")}, 200, ""},
		{"one name of an entry is missing", both, states{"a": verified("A", "u")}, 401, gate.CodeMissing},
		{"two users", both, states{"a": verified("A", "u"), "b": verified("B", "v")}, 403, gate.CodeIdentities},
		{"two users in another entry than the one that lets in", both.Or(a), states{"a": verified("A", "u"), "b": verified("B", "v")}, 200, ""},
		{"two clients", both, states{"a": verifiedClient("A", "c"), "b": verifiedClient("B", "d")}, 403, gate.CodeIdentities},
		{"a user and a client", both, states{"a": verified("A", "u"), "b": verifiedClient("B", "c")}, 200, ""},
		{"one record in two places", both, states{"a": withRecord(verified("A", "u"), "r"), "b": withRecord(verified("B", "u"), "r")}, 401, gate.CodeMissing},
		{"two records", both, states{"a": withRecord(verified("A", "u"), "r"), "b": withRecord(verified("B", "u"), "q")}, 200, ""},
		{"one record for one of two entries", both.Or(a), states{"a": withRecord(verified("A", "u"), "r"), "b": withRecord(verified("B", "u"), "r")}, 200, ""},

		{"scopes held", gate.Require(need("a", "s", "t")), states{"a": verified("A", "u", "t", "s")}, 200, ""},
		{"one scope lacking", gate.Require(need("a", "s", "t")), states{"a": verified("A", "u", "s")}, 403, gate.CodeScope},
		{"the scope of another's credential does not count", gate.Require(need("a", "s"), need("b")), states{"a": verified("A", "u"), "b": verified("B", "u", "s")}, 403, gate.CodeScope},
		{"origin missing", a, states{"a": withoutOrigin(verified("A", "u"))}, 403, gate.CodeOrigin},
		{"origin missing and scopes lacking", gate.Require(need("a", "s")), states{"a": withoutOrigin(verified("A", "u"))}, 403, gate.CodeScope},
		{"origin before two users", both.Or(a), states{"a": withoutOrigin(verified("A", "u")), "b": verified("B", "v")}, 403, gate.CodeOrigin},
		{"two users before scopes", gate.Require(need("a", "s")).Or(both), states{"a": verified("A", "u"), "b": verified("B", "v")}, 403, gate.CodeIdentities},
		{"origin missing is something presented", gate.Anonymous().Or(a), states{"a": withoutOrigin(verified("A", "u"))}, 403, gate.CodeOrigin},
		{"another way in than that without origin", a.Or(b), states{"a": withoutOrigin(verified("A", "u")), "b": verified("B", "v")}, 200, ""},
		{"an outcome that is none", a.Or(gate.Anonymous()), states{"a": state(99, "A")}, 401, gate.CodeMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := gate.Decide(c.policy, c.states)
			status := d.Status
			if d.Allowed {
				status = 200
			}
			if status != c.status || d.Code != c.code {
				t.Errorf("Decide = %d %q, want %d %q", status, d.Code, c.status, c.code)
			}
		})
	}
}

func TestDecidePrincipal(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	at := func(s gate.State, when time.Time) gate.State {
		s.Identity.AuthTime = when
		return s
	}
	three := gate.Require(need("z"), need("a"), need("m"))
	for _, c := range []struct {
		name         string
		policy       gate.Policy
		states       map[string]gate.State
		user, client string
		scopes       gate.Scopes
		authTime     time.Time
		via          []string
	}{
		{"the first entry of several", gate.Require(need("b")).Or(gate.Require(need("a"))),
			map[string]gate.State{"a": verified("A", "u", "s"), "b": verified("B", "v", "t")},
			"v", "", gate.Scopes{"t"}, time.Time{}, []string{"b"}},
		{"nobody stands last wherever it is", gate.Anonymous().Or(gate.Require(need("a"))),
			map[string]gate.State{"a": verified("A", "u")}, "u", "", nil, time.Time{}, []string{"a"}},
		{"a client adds no scopes to a person's, the oldest time counts", three,
			map[string]gate.State{"z": at(verified("Z", "u", "s", "t"), late), "a": verifiedClient("A", "c", "admin"), "m": at(verified("M", "u", "t", "x"), early)},
			"u", "c", gate.Scopes{"s", "t", "x"}, early, []string{"z", "a", "m"}},
		{"an unknown time does not count", three,
			map[string]gate.State{"z": verified("Z", "u"), "a": at(verifiedClient("A", "c"), early), "m": at(verified("M", "u"), late)},
			"u", "c", nil, late, []string{"z", "a", "m"}},
		{"an unknown time after a known one", three,
			map[string]gate.State{"z": at(verified("Z", "u"), late), "a": verifiedClient("A", "c"), "m": verified("M", "u")},
			"u", "c", nil, late, []string{"z", "a", "m"}},
		{"a client alone has its own", gate.Require(need("a")),
			map[string]gate.State{"a": verifiedClient("A", "c", "s")}, "", "c", gate.Scopes{"s"}, time.Time{}, []string{"a"}},
		{"one scheme twice", gate.Require(need("a"), need("a", "s")),
			map[string]gate.State{"a": withRecord(verified("A", "u", "s"), "r")}, "u", "", gate.Scopes{"s"}, time.Time{}, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := gate.Decide(c.policy, c.states)
			if !d.Allowed || d.Principal == nil {
				t.Fatalf("Decide = %+v, want somebody let in", d)
			}
			p := *d.Principal
			user, hasUser := p.User()
			client, hasClient := p.Client()
			if user.ID != c.user || client.ID != c.client || hasUser != (c.user != "") || hasClient != (c.client != "") {
				t.Errorf("user %q, client %q, want %q, %q", user.ID, client.ID, c.user, c.client)
			}
			if !reflect.DeepEqual(p.Scopes(), c.scopes) || !p.AuthTime().Equal(c.authTime) || !reflect.DeepEqual(p.Via(), c.via) {
				t.Errorf("scopes %v at %v via %v, want %v at %v via %v", p.Scopes(), p.AuthTime(), p.Via(), c.scopes, c.authTime, c.via)
			}
		})
	}
}

func TestDecideDetails(t *testing.T) {
	limited := func(d time.Duration) gate.State { return gate.State{Outcome: gate.Limited, RetryAfter: d} }
	d := gate.Decide(gate.Require(need("a")).Or(gate.Require(need("b"))),
		map[string]gate.State{"a": limited(time.Second), "b": limited(time.Minute)})
	if d.RetryAfter != time.Minute {
		t.Errorf("RetryAfter = %v, want the longest, %v", d.RetryAfter, time.Minute)
	}
	d = gate.Decide(gate.Require(need("a"), need("b", "s"), need("c", "t")),
		map[string]gate.State{"a": verified("A", "u"), "b": verified("B", "u", "s"), "c": verified("C", "u", "s")})
	if want := []gate.Need{need("c", "t")}; !reflect.DeepEqual(d.Lacking, want) {
		t.Errorf("Lacking = %v, want %v", d.Lacking, want)
	}
}

// A Decision that nobody made lets nobody in.
func TestZeroIsClosed(t *testing.T) {
	var d gate.Decision
	var p gate.Principal
	_, user := p.User()
	_, client := p.Client()
	if d.Allowed || user || client || len(p.Scopes()) > 0 || (gate.Policy{}).IsPublic() {
		t.Error("a zero value lets somebody in")
	}
}

func TestOrOfPublicPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Or of a public policy did not panic")
		}
	}()
	gate.Require(need("a")).Or(gate.Public())
}
