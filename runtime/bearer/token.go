package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/jwks"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/user"
	"net/http"
)

// maxToken is the largest token looked at, in bytes.
const maxToken = 64 << 10

// A token is what is known of one that its issuer vouches for.
type token struct {
	issuer  string // as iss has it
	subject string
	client  string // the client it was issued to: PROVIDER/CLIENT_ID; "" for unknown
	name    string // that client's own name
	// forClient is true where the client acts for itself, and no person
	// stands behind it.
	forClient bool
	scopes    gate.Scopes
	authTime  time.Time
	expires   time.Time
	bound     binding
}

// A digest names a token and the scheme that took it.
type digest [sha256.Size + 1]byte

// A remembered token is taken without another look at its signature.
type remembered struct {
	token   token
	until   time.Time
	issuer  *issuer
	keys    *jwks.Set // of the issuer; nil where it was asked about the token
	version uint64    // of the keys when it was verified
}

// holds tells whether what was remembered at some time is still so: its time is
// not over, and the issuer's keys are those that it was verified with.
func (r remembered) holds(now time.Time) bool {
	if !now.Before(r.until) {
		return false
	}
	return r.keys == nil || r.issuer.look.Held().keys == r.keys && r.keys.Version() == r.version
}

// verify returns what is known of a token that is good now.
func (s *scheme) verify(ctx context.Context, r *http.Request, text string) (token, error) {
	if len(text) > maxToken {
		return token{}, fmt.Errorf("%w: bearer: a token of %d bytes, at most %d are read", gate.ErrInvalid, len(text), maxToken)
	}
	d := s.digest(text)
	if v, ok := s.tokens.recall(d); ok {
		return v, nil
	}
	if err := checkForm(text); err != nil {
		return token{}, fmt.Errorf("%w: %w", gate.ErrInvalid, err)
	}
	if s.Kind == Opaque || s.Kind == Any && !s.isOurJWT(text) {
		return s.ask(ctx, limit.Address(r), d, text)
	}
	v, err := s.verifyJWT(ctx, text)
	if err != nil {
		return token{}, err
	}
	s.tokens.remember(d, v)
	return v.token, nil
}

// digest names text and the scheme. Most tokens are hashed without a copy of
// them on the heap.
func (s *scheme) digest(text string) (d digest) {
	var sum [sha256.Size]byte
	var short [2048]byte
	if len(text) <= len(short) {
		sum = sha256.Sum256(short[:copy(short[:], text)])
	} else {
		sum = sha256.Sum256([]byte(text))
	}
	copy(d[:], sum[:])
	d[sha256.Size] = s.serial
	return d
}

// recall returns what is remembered of a token.
func (t *Tokens) recall(d digest) (token, bool) {
	t.mu.Lock()
	r, ok := t.verified.Get(d)
	t.mu.Unlock()
	if !ok || !r.holds(t.cfg.Now()) {
		return token{}, false
	}
	return r.token, true
}

// maxText is how much text a token that is remembered may have, in bytes.
// Greater ones, as with a list of all of somebody's groups, are verified anew.
const maxText = 4 << 10

// size is how much text there is in t.
func (t token) size() int {
	n := len(t.issuer) + len(t.subject) + len(t.client) + len(t.name)
	for _, scope := range t.scopes {
		n += len(scope)
	}
	return n
}

// remember keeps a verified token for the shorter of its life and five minutes.
func (t *Tokens) remember(d digest, r remembered) {
	if r.token.size() > maxText {
		return
	}
	now := t.cfg.Now()
	if most := now.Add(maxRemembered); r.until.IsZero() || r.until.After(most) {
		r.until = most
	}
	if end := r.token.expires.Add(skew); !r.token.expires.IsZero() && r.until.After(end) {
		r.until = end
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verified.Put(d, r)
}

// checkForm tells whether text can be a token: b64token of RFC 6750, section 2.1.
func checkForm(text string) error {
	end := len(text)
	for end > 0 && text[end-1] == '=' {
		end--
	}
	for i := range end {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return errors.New("bearer: what came is no token, or more than one")
		}
	}
	if end == 0 {
		return errors.New("bearer: the token is empty")
	}
	return nil
}

// identify is who a token speaks of, once all of it is good.
func (t *Tokens) identify(ctx context.Context, v token) (gate.Identity, error) {
	if v.forClient {
		id := v.client
		if alias, ok := t.clients[v.client]; ok {
			id = alias
		}
		return gate.Identity{Client: &gate.Client{ID: id, Name: v.name}, Scopes: v.scopes}, nil
	}
	rec, err := t.record(ctx, person{v.issuer, v.subject})
	if err != nil {
		return gate.Identity{}, fmt.Errorf("bearer: the record of the person: %w", err)
	}
	if rec.Disabled {
		return gate.Identity{}, fmt.Errorf("%w: user %s is disabled", gate.ErrInvalid, rec.ID)
	}
	u := rec.User()
	return gate.Identity{User: &u, Scopes: v.scopes, AuthTime: v.authTime}, nil
}

// record returns the record of a person, which is made where there is none. That
// a person is not disabled is remembered for a short time, and the id for ever,
// since it never changes: to look it up again is to read, not to write.
func (t *Tokens) record(ctx context.Context, who person) (user.Record, error) {
	if rec, ok := t.people.Get(who); ok {
		return rec, nil
	}
	begun := t.people.Begin(who)
	t.mu.Lock()
	id, known := t.ids.Get(who)
	t.mu.Unlock()
	var rec user.Record
	err := user.ErrNotFound
	if known {
		rec, err = t.cfg.Users.Load(ctx, id)
	}
	if errors.Is(err, user.ErrNotFound) {
		rec, err = t.cfg.Users.Ensure(ctx, who.issuer, who.subject, user.Profile{})
	}
	if err != nil {
		return user.Record{}, err
	}
	t.mu.Lock()
	t.ids.Put(who, rec.ID)
	t.mu.Unlock()
	if !rec.Disabled {
		t.people.Put(begun, who, rec)
	}
	return rec, nil
}
