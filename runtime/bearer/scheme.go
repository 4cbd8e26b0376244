package bearer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/provider"
)

var (
	underBearer = gate.Authorization("bearer")
	underDPoP   = gate.Authorization("dpop")
)

// A scheme verifies the tokens of one of the document's schemes.
type scheme struct {
	Scheme
	tokens   *Tokens
	binding  provider.Binding
	audience []string
	issuers  []*issuer
	refused  string // not empty: why it takes no tokens
	serial   byte   // tells it from the others where tokens are remembered
	named    string // what its challenges name: where the metadata lie
}

// newScheme makes a scheme. What its configuration lacks has it refuse; what
// contradicts itself is an error.
func (t *Tokens) newScheme(s Scheme) (*scheme, error) {
	sch := &scheme{
		Scheme: s, tokens: t, binding: t.cfg.Bindings[s.Name], serial: byte(len(t.schemes)),
		named: fmt.Sprintf(`, resource_metadata="%s%s"`, t.cfg.PublicURL, MetadataPath),
	}
	sch.Kind = cmp.Or(s.Kind, Any)
	if sch.binding.Introspect {
		sch.Kind = Opaque
	}
	sch.Places = slices.DeleteFunc(slices.Clone(s.Places), func(p gate.Place) bool { return p != underBearer && p != underDPoP })
	switch {
	case len(t.schemes) > 255:
		return sch, errors.New("bearer: more than 256 schemes")
	case len(sch.Places) == 0:
		return sch, fmt.Errorf("bearer: scheme %q has no place for an access token", s.Name)
	case !slices.Contains([]Kind{Any, JWT, Opaque}, sch.Kind):
		return sch, fmt.Errorf("bearer: scheme %q is of the unknown kind %q", s.Name, sch.Kind)
	}
	sch.audience = slices.Clone(sch.binding.Audience)
	if len(sch.audience) == 0 {
		if s.Login {
			sch.refused = "it has no audience"
			return sch, nil
		}
		sch.audience = []string{t.cfg.PublicURL}
	}
	issuers, err := t.bound(s)
	if err == nil {
		err = askable(sch.Kind, issuers)
	}
	if err != nil {
		sch.refused = err.Error()
		return sch, nil
	}
	sch.issuers = issuers
	if sch.Kind == Opaque {
		issuers[0].asked = true
	}
	return sch, nil
}

// askable tells why the issuers cannot be asked about tokens as the kind needs.
func askable(kind Kind, issuers []*issuer) error {
	if kind != Opaque {
		return nil
	}
	if len(issuers) > 1 {
		// An issuer is not shown the tokens of another.
		return errors.New("of several providers it cannot be told whom to ask about a token: bind it to one")
	}
	return issuers[0].canAsk()
}

// Find implements gate.Authenticator.
func (s *scheme) Find(r *http.Request) (gate.Credential, bool, error) {
	return gate.FindIn(r, s.Places...)
}

// Verify implements gate.Authenticator.
func (s *scheme) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	v, err := s.verify(ctx, r, c.Value)
	if err == nil {
		err = s.checkBinding(ctx, r, c, v)
	}
	var who gate.Identity
	if err == nil {
		who, err = s.tokens.identify(ctx, v)
	}
	return who, s.told(c.Place, err)
}

// told has an error of a token under DPoP say so to the client, which has to
// know whether to make another proof (RFC 9449, section 7.1 and 9).
func (s *scheme) told(place gate.Place, err error) error {
	if place != underDPoP || !errors.Is(err, gate.ErrInvalid) {
		return err
	}
	if _, more := errors.AsType[*gate.InvalidError](err); more {
		return err
	}
	return &gate.InvalidError{Challenge: s.challenge(underDPoP, gate.ErrInvalid), Cause: err}
}

// Challenge implements gate.Authenticator.
func (s *scheme) Challenge(cause error) string {
	place := s.Places[0]
	if s.binding.BoundOnly && slices.Contains(s.Places, underDPoP) {
		place = underDPoP
	}
	if lacks, ok := errors.AsType[*gate.InsufficientScope](cause); ok && slices.Contains(s.Places, lacks.Place) {
		place = lacks.Place
	}
	return s.challenge(place, cause)
}

func (s *scheme) challenge(place gate.Place, cause error) string {
	if place == underDPoP {
		return place.Challenge(cause) + s.algorithms() + s.named
	}
	return place.Challenge(cause) + s.named
}

// algorithms tells clients what proofs may be signed with (RFC 9449, section 7.1).
func (s *scheme) algorithms() string {
	return `, algs="` + strings.Join(s.tokens.proofs.Algorithms(), " ") + `"`
}

// both takes a token in Authorization, or a session.
type both struct {
	tokens   *scheme
	sessions gate.Authenticator
}

// Find implements gate.Authenticator: where a token and a session came, the
// token counts.
func (b both) Find(r *http.Request) (gate.Credential, bool, error) {
	if c, found, err := b.tokens.Find(r); found || err != nil {
		return c, found, err
	}
	return b.sessions.Find(r)
}

// Verify implements gate.Authenticator.
func (b both) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	if c.Place.In != gate.InAuthorization {
		return b.sessions.Verify(ctx, r, c)
	}
	who, err := b.tokens.Verify(ctx, r, c)
	if more, ok := errors.AsType[*gate.InvalidError](err); ok && more.Challenge != "" {
		with := *more
		with.Challenge += "\n" + b.sessions.Challenge(nil)
		return who, &with
	}
	return who, err
}

// Challenge implements gate.Authenticator: whoever has no browser learns where
// tokens come from, and for who has one a session is asked for.
func (b both) Challenge(cause error) string {
	if cause != nil && !errors.Is(cause, gate.ErrInvalid) {
		return b.tokens.Challenge(cause) // sessions have nothing to say of it
	}
	return b.tokens.Challenge(cause) + "\n" + b.sessions.Challenge(cause)
}
