package gatetest

import (
	"context"
	"errors"
	"fmt"
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

	otherAudience = "for_another_audience" // of access tokens, as those below
	idToken       = "id_token"
	asBearer      = "bound_and_sent_as_bearer"
	noProof       = "without_proof"
	forServers    = "for_servers" // of certificates
)

// paper returns a paper of the kind for schemes, the first of which says who
// makes it; more than one only for keys. Papers are made once and used again.
func (b *bench) paper(kind string, scopes []string, who user.Record, schemes ...string) *paper {
	name := fmt.Sprintf("%q %q %q %q", kind, scopes, who.ID, schemes)
	if p := b.papers[name]; p != nil {
		return p
	}
	p, err := b.makePaper(kind, scopes, who, schemes)
	if err != nil {
		b.errs = append(b.errs, err)
		p = &paper{text: "unmade", serves: schemes}
	}
	b.papers[name] = p
	return p
}

func (b *bench) makePaper(kind string, scopes []string, who user.Record, schemes []string) (*paper, error) {
	p := &paper{scopes: scopes}
	if kind == valid || kind == broken {
		p.serves = schemes
		p.silent = kind == broken
	}
	if kind == malformed {
		p.text = "%"
		return p, nil
	}
	fake := b.fakes[schemes[0]]
	switch s := b.scheme(schemes[0]); {
	case takesTokens(s):
		return b.makeToken(p, kind, scopes, who, s)
	case s.Verifier == "certificate":
		var err error
		p.silent = kind == broken
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
		if isSession(b.scheme(schemes[0])) {
			p.isSession = true
			if p.serves != nil {
				p.serves = b.ring.porter.serves(schemes[0])
			}
			p.text, err = b.ring.porter.session(kind, schemes[0], scopes, who)
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
func (b *bench) makeToken(p *paper, kind string, scopes []string, who user.Record, s Scheme) (*paper, error) {
	if kind == disabled {
		who = b.ring.people.disabled
		if err := b.ring.stores.Users().SetDisabled(context.Background(), who.ID, true); err != nil {
			return nil, err
		}
	}
	p.user = who.ID
	p.unproven = kind == noProof
	var err, boundErr error
	p.text, err = b.ring.issuer.token(kind, s.Name, scopes, who, kind == asBearer)
	p.bound, boundErr = b.ring.issuer.token(kind, s.Name, scopes, who, true)
	return p, errors.Join(err, boundErr)
}
