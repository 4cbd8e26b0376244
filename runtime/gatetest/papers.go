package gatetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/user"
)

// Kinds of papers.
const (
	valid      = "valid"
	malformed  = "malformed"
	unknown    = "unknown"
	expired    = "expired"
	revoked    = "revoked"
	disabled   = "disabled_user"
	broken     = "backend_down"
	tampered   = "tampered"   // of sessions, as all that follow
	ended      = "ended"      // by its owner
	idle       = "idle"       // not used for too long
	unfinished = "unfinished" // the ticket of a login that no browser has finished

	ofClient      = "of_a_client" // of access tokens, as those below: nobody stands behind it
	otherAudience = "for_another_audience"
	idToken       = "id_token"
	asBearer      = "bound_and_sent_as_bearer"
	noProof       = "without_proof"
	strangeProof  = "with_proof_of_another_request"
	forServers    = "for_servers" // of certificates
)

// A sort is what a paper is. A scheme has one, or two where a session and an
// access token meet it.
type sort int

const (
	aCredential sort = iota // a key, a certificate or what a fake issues
	aSession
	aToken
)

// sortIn returns the sort of what is good for s in one of its places.
func sortIn(s Scheme, place gate.Place) sort {
	switch {
	case isSession(s) && place.In == gate.InCookie:
		return aSession
	case takesTokens(s):
		return aToken
	}
	return aCredential
}

// sortsOf returns the sorts that meet s, and for each a place for it.
func sortsOf(s Scheme) (sorts []sort, places []gate.Place) {
	for _, place := range s.Places {
		if one := sortIn(s, place); !slices.Contains(sorts, one) {
			sorts, places = append(sorts, one), append(places, place)
		}
	}
	return sorts, places
}

// paper returns a paper of the sort and kind for schemes, the first of which says
// who makes it; more than one for keys, tokens and sessions alone. Papers are made
// once and used again.
func (b *bench) paper(what sort, kind string, scopes []string, who user.Record, schemes ...string) *paper {
	name := fmt.Sprintf("%d %q %q %q %q", what, kind, scopes, who.ID, schemes)
	if p := b.papers[name]; p != nil {
		return p
	}
	p, err := b.makePaper(what, kind, scopes, who, schemes)
	if err != nil {
		b.errs = append(b.errs, err)
		p = &paper{text: "unmade", serves: schemes}
	}
	b.papers[name] = p
	return p
}

func (b *bench) makePaper(what sort, kind string, scopes []string, who user.Record, schemes []string) (*paper, error) {
	p := &paper{sort: what, scopes: scopes}
	if kind == valid || kind == broken || kind == ofClient {
		p.serves = schemes
		p.silent = kind == broken
	}
	if kind == malformed {
		p.text = "%"
		return p, nil
	}
	fake := b.fakes[schemes[0]]
	switch {
	case what == aToken:
		return b.makeToken(p, kind, scopes, who, schemes)
	case b.scheme(schemes[0]).Verifier == "certificate":
		var err error
		p.cert, p.client, err = b.ring.registry.certificate(kind, scopes, who)
		return p, err
	}
	if fake == nil {
		if kind == disabled {
			who = b.ring.people.disabled
		}
		if kind == broken {
			kind = valid // of the store, the request's context says that it is down
		}
		p.user = who.ID
		var err error
		if what == aSession {
			maker := b.ring.porter.maker(schemes)
			if p.serves != nil {
				p.serves = b.ring.porter.serves(maker)
			}
			p.text, err = b.ring.porter.session(kind, maker, scopes, who)
			return p, err
		}
		p.isKey = true
		p.text, err = b.ring.mint(kind, schemes, scopes, who)
		return p, err
	}
	p.user = who.ID
	u := who.User()
	p.text = fake.Issue(gate.Identity{User: &u, Scopes: scopes})
	switch kind {
	case unknown:
		p.text = strings.ToLower(p.text)
	case expired:
		fake.Spoil(p.text, gate.ErrInvalid)
	case broken:
		fake.Spoil(p.text, errDown)
	}
	return p, nil
}

// makeToken makes an access token, as it is sent under Bearer and under DPoP.
func (b *bench) makeToken(p *paper, kind string, scopes []string, who user.Record, schemes []string) (*paper, error) {
	subject := who.Subject
	switch p.user = who.ID; kind {
	case ofClient:
		subject, p.user, p.client = robot, "", "mint/"+robot
	case disabled:
		subject, p.user = b.ring.people.disabled.Subject, b.ring.people.disabled.ID
		if err := b.ring.stores.Users().SetDisabled(context.Background(), p.user, true); err != nil {
			return nil, err
		}
	}
	p.proof = kind
	var err, boundErr error
	p.text, err = b.ring.issuer.token(kind, schemes, scopes, subject, kind == asBearer)
	p.bound, boundErr = b.ring.issuer.token(kind, schemes, scopes, subject, true)
	return p, errors.Join(err, boundErr)
}
