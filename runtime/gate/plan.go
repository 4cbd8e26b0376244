package gate

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A Config is what a [Gate] guards, and with what.
type Config struct {
	// Schemes are the document's security schemes. Each has a place.
	Schemes []Scheme
	// Authenticators verify their credentials, by the scheme's name.
	Authenticators map[string]Authenticator
	// Operations are those that the gate will be asked for. Their policies
	// are read once.
	Operations []*Operation
	// PublicOrigin is the origin under which browsers reach the server, such
	// as https://blog.example. Where it is empty it is https:// and the Host
	// of the request, which the server in front of the gate has to check.
	PublicOrigin string
}

// A Gate lets requests in or refuses them. Its methods may be called concurrently.
type Gate struct {
	origin string
	plans  map[*Operation]*plan
}

// A plan is what to do for one operation.
type plan struct {
	policy  Policy
	schemes []*claim // those that the policy names, in its order
	closed  string   // not empty: every way in names a scheme without a verifier
}

// A claim is one scheme in one operation.
type claim struct {
	Scheme
	auth Authenticator
	// taken are the words of Authorization that other schemes of the
	// operation claim: not for this scheme, where it claims any.
	taken []string
}

// New returns the gate that cfg describes. Its error names everything that is
// wrong: a scheme that is there twice or lies nowhere, one without an
// authenticator, an authenticator for no scheme, a policy that names an
// unknown scheme, a public origin that is none.
func New(cfg Config) (*Gate, error) {
	g := &Gate{origin: cfg.PublicOrigin, plans: make(map[*Operation]*plan)}
	errs := checkSchemes(cfg)
	schemes := make(map[string]Scheme)
	for _, s := range cfg.Schemes {
		schemes[s.Name] = s
	}
	for i, op := range cfg.Operations {
		if op == nil {
			errs = append(errs, fmt.Errorf("gate: operation %d is nil", i))
			continue
		}
		p := &plan{policy: op.Policy}
		for _, name := range op.Policy.schemes() {
			s, known := schemes[name]
			if !known {
				errs = append(errs, fmt.Errorf("gate: operation %q needs scheme %q, which is unknown", op.ID, name))
			}
			p.schemes = append(p.schemes, &claim{Scheme: s, auth: cfg.Authenticators[name]})
		}
		p.shareOut()
		p.shut()
		g.plans[op] = p
	}
	if cfg.PublicOrigin != "" {
		errs = append(errs, checkOrigin(cfg.PublicOrigin))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return g, nil
}

func checkSchemes(cfg Config) []error {
	var errs []error
	known := make(map[string]bool)
	for _, s := range cfg.Schemes {
		if known[s.Name] {
			errs = append(errs, fmt.Errorf("gate: scheme %q is there twice", s.Name))
		}
		known[s.Name] = true
		if len(s.Places) == 0 {
			errs = append(errs, fmt.Errorf("gate: scheme %q has no place", s.Name))
		}
		for _, p := range s.Places {
			if err := p.Check(); err != nil {
				errs = append(errs, fmt.Errorf("gate: scheme %q: %w", s.Name, err))
			}
			if p.In == InAuthorization && p.Name != "" && slices.Contains(s.Places, Authorization("")) {
				errs = append(errs, fmt.Errorf("gate: scheme %q claims Authorization under any word and under %q", s.Name, p.Name))
			}
		}
		if isNil(cfg.Authenticators[s.Name]) {
			errs = append(errs, fmt.Errorf("gate: scheme %q has no authenticator; %s", s.Name, usersOf(s.Name, cfg.Operations)))
		}
	}
	var unknown []string
	for name := range cfg.Authenticators {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		errs = append(errs, fmt.Errorf("gate: there is an authenticator for scheme %q, which is unknown", name))
	}
	return errs
}

// isNil tells whether a is nil, or a nil pointer or function in the interface,
// which would panic at the first request.
func isNil(a Authenticator) bool {
	if a == nil {
		return true
	}
	switch v := reflect.ValueOf(a); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return v.IsNil()
	}
	return false
}

// usersOf names the operations that need the scheme.
func usersOf(scheme string, ops []*Operation) string {
	var ids []string
	for _, op := range ops {
		if op != nil && slices.Contains(op.Policy.schemes(), scheme) {
			ids = append(ids, op.ID)
		}
	}
	if len(ids) == 0 {
		return "no operation needs it"
	}
	return "needed by " + strings.Join(ids, ", ")
}

// schemes returns the names of the schemes of p, each once, in its order.
func (p Policy) schemes() []string {
	var names []string
	for _, a := range p.alternatives {
		for _, n := range a.needs {
			if !slices.Contains(names, n.Scheme) {
				names = append(names, n.Scheme)
			}
		}
	}
	return names
}

// shareOut notes for each scheme which words of Authorization the others claim.
// Its own do not matter: a scheme that claims any word names none beside.
func (p *plan) shareOut() {
	for _, c := range p.schemes {
		for _, other := range p.schemes {
			for _, place := range other.Places {
				if place.In == InAuthorization && place.Name != "" {
					c.taken = append(c.taken, place.Name)
				}
			}
		}
	}
}

// shut notes whether every alternative names a scheme without a verifier.
func (p *plan) shut() {
	var why []string
	for _, a := range p.policy.alternatives {
		i := slices.IndexFunc(a.needs, func(n Need) bool {
			_, refused := Refused(p.claimOf(n.Scheme).auth)
			return refused
		})
		if i < 0 {
			return
		}
		name := a.needs[i].Scheme
		reason, _ := Refused(p.claimOf(name).auth)
		why = append(why, name+": "+reason)
	}
	p.closed = strings.Join(slices.Compact(why), "; ")
}

// claimOf returns the claim of a scheme that the policy names.
func (p *plan) claimOf(scheme string) *claim {
	i := slices.IndexFunc(p.schemes, func(c *claim) bool { return c.Name == scheme })
	if i < 0 {
		return &claim{} // unknown: New fails
	}
	return p.schemes[i]
}
