package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/singleflight"

	"github.com/gatewright/gatewright/runtime/cache"
	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
)

const (
	// activeTime is how long an issuer's word that a token is good holds: a
	// token that it withdrew is refused by then.
	activeTime = 30 * time.Second
	// inactiveTime is how long its word that one is not holds.
	inactiveTime = 5 * time.Second
	// inactiveTokens are remembered apart from good ones, which strangers
	// cannot push out so.
	inactiveTokens = 4096
	// maxAsking is how many questions may be on their way to one issuer about
	// tokens that were good when they came last, and as many about others, each
	// with those that wait in turn: tokens that nobody issued are not to become a
	// flood there, nor to take the place of callers who are known.
	maxAsking  = 32
	maxWaiting = 1024
	placeTime  = time.Second
	// maxAnswer is the largest answer about a token, in bytes.
	maxAnswer = 64 << 10
)

// An introspection asks one issuer about tokens (RFC 7662).
type introspection struct {
	now     func() time.Time
	flights *singleflight.Group
	// known and strange are the turns of questions about tokens that were good
	// when they came last, and about others.
	known, strange limit.Turns
	// tries counts tokens that the issuer says are no good, by address.
	tries *limit.Limiter

	mu       *sync.Mutex
	inactive *cache.Generations[digest, verdict]
}

// A verdict is why a token is no good, for some seconds.
type verdict struct {
	err   error
	until time.Time
}

func newIntrospection(limits limit.Limits, logger func() *slog.Logger, now func() time.Time) introspection {
	inactive := cache.NewGenerations[digest, verdict](inactiveTokens)
	return introspection{
		now: now, flights: new(singleflight.Group),
		known:   limit.NewTurns(maxAsking, maxWaiting, placeTime),
		strange: limit.NewTurns(maxAsking, maxWaiting, placeTime),
		tries:   limit.New(limits, nil, logger, now),
		mu:      new(sync.Mutex), inactive: &inactive,
	}
}

// ask asks the issuer about a token and remembers what it says for a short
// time. Of all who have the same token one asks, and none waits for longer than
// their own context. An address whose tokens the issuer does not know again and
// again has to wait, but for those that were good before: who asks is this server,
// whoever made the token up.
func (s *scheme) ask(ctx context.Context, from netip.Addr, d digest, text string) (token, error) {
	if len(s.issuers) != 1 {
		return token{}, fmt.Errorf("%w: bearer: it is no JWT of an issuer of this scheme", gate.ErrInvalid)
	}
	i := s.issuers[0]
	if err := i.canAsk(); err != nil {
		return token{}, fmt.Errorf("%w: bearer: it is no JWT of the issuer, and %w", gate.ErrInvalid, err)
	}
	if err := s.checkKind(text); err != nil {
		return token{}, fmt.Errorf("%w: bearer: %w", gate.ErrInvalid, err)
	}
	// Whoever cannot be asked about tokens issues none that are no JWTs.
	if l := i.look.Held(); s.Kind == Any && l != nil && l.metadata.IntrospectionEndpoint == "" {
		return token{}, fmt.Errorf("%w: bearer: it is no JWT of the issuer, and provider %s names no introspection_endpoint", gate.ErrInvalid, i.Name)
	}
	if err := i.asking.refused(d); err != nil {
		return token{}, err
	}
	known := s.tokens.knows(d)
	if !known {
		if waits := i.asking.tries.Before(from, ""); waits != nil {
			return token{}, waits
		}
	}
	flight := i.asking.flights.DoChan(string(d[:]), func() (any, error) {
		// Others wait for it too: it does not end with who began it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
		defer cancel()
		return s.askNow(ctx, i, d, text)
	})
	select {
	case r := <-flight:
		switch {
		case !known && errors.Is(r.Err, gate.ErrInvalid):
			return token{}, i.asking.tries.Failed(ctx, from, "", r.Err)
		case r.Err != nil:
			return token{}, r.Err
		}
		return r.Val.(token), nil
	case <-ctx.Done():
		return token{}, fmt.Errorf("bearer: provider %s: %w", i.Name, ctx.Err())
	}
}

// askNow asks, and remembers the answer. What it says holds from before it was
// asked for: what changed at the issuer since is found out in time.
func (s *scheme) askNow(ctx context.Context, i *issuer, d digest, text string) (t token, err error) {
	defer func() {
		if cause := recover(); cause != nil { // no server's handler stands above
			err = fmt.Errorf("bearer: provider %s: panic: %v", i.Name, cause)
		}
	}()
	if v, ok := s.tokens.recall(d); ok { // another question has just ended
		return v, nil
	}
	turns := i.asking.strange
	if s.tokens.knows(d) {
		turns = i.asking.known
	}
	end, err := turns.Take(ctx)
	if err != nil {
		return token{}, fmt.Errorf("bearer: asking provider %s about a token: %w", i.Name, err)
	}
	defer end()
	begun := s.tokens.cfg.Now()
	c, err := i.introspect(ctx, text)
	if err != nil {
		return token{}, err
	}
	t, err = s.readAnswer(i, c)
	if errors.Is(err, gate.ErrInvalid) {
		i.asking.refuse(d, verdict{err, begun.Add(inactiveTime)})
		s.tokens.forget(d)
	}
	if err != nil {
		return token{}, err
	}
	until := begun.Add(activeTime)
	if !t.expires.IsZero() && t.expires.Before(until) {
		until = t.expires
	}
	s.tokens.remember(d, remembered{token: t, until: until})
	return t, nil
}

// knows tells whether a token was good when it came last, though that has to be
// looked at again.
func (t *Tokens) knows(d digest) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.verified.Get(d)
	return ok
}

// forget forgets a token that is good no more.
func (t *Tokens) forget(d digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verified.Delete(d)
}

// introspect sends the question (RFC 7662, section 2.1).
func (i *issuer) introspect(ctx context.Context, text string) (claims.Set, error) {
	l, err := i.ready(ctx)
	if err != nil {
		return claims.Set{}, err
	}
	if l.metadata.IntrospectionEndpoint == "" {
		return claims.Set{}, fmt.Errorf("bearer: provider %s names no introspection_endpoint: it cannot be asked about tokens", i.Name)
	}
	form := url.Values{"token": {text}, "token_type_hint": {"access_token"}}
	// To ask twice changes nothing: a question that met a connection as the
	// issuer closed it is asked again. An empty list is not sent.
	h := http.Header{"Idempotency-Key": {}}
	if i.ClientAuth == "client_secret_post" {
		form.Set("client_id", i.ClientID)
		form.Set("client_secret", i.secret.Load().Reveal())
	} else {
		// Both are form-urlencoded first (RFC 6749, section 2.3.1).
		pair := url.QueryEscape(i.ClientID) + ":" + url.QueryEscape(i.secret.Load().Reveal())
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	var answer jsontext.Value
	if err := fetch.PostForm(ctx, i.client, l.metadata.IntrospectionEndpoint, h, form, &answer); err != nil {
		return claims.Set{}, fmt.Errorf("bearer: asking provider %s about a token: %s%w", i.Name, i.explain(err), err)
	}
	if len(answer) > maxAnswer {
		return claims.Set{}, fmt.Errorf("bearer: provider %s says %d bytes of a token, at most %d are read", i.Name, len(answer), maxAnswer)
	}
	c, err := claims.Parse(answer, known...)
	if err != nil {
		return claims.Set{}, fmt.Errorf("bearer: what provider %s says of a token: %w", i.Name, err)
	}
	return c, nil
}

// explain says what to do about a status that is this server's mistake, and
// says nothing of the token (RFC 7662, section 2.3).
func (i *issuer) explain(err error) string {
	status, ok := errors.AsType[*fetch.StatusError](err)
	switch {
	case !ok:
		return ""
	case status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden:
		return "it does not take this server's client_id and secret (client_auth is " + i.ClientAuth + "), or does not let it ask: "
	case status.Status == http.StatusBadRequest:
		return "it refuses the question: client_auth (" + i.ClientAuth + ") may be another there, and some issuers cannot be asked about JWTs: "
	}
	return ""
}

// refused is why a token was refused some seconds ago, or nil.
func (q *introspection) refused(d digest) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if v, ok := q.inactive.Get(d); ok && q.now().Before(v.until) {
		return v.err
	}
	return nil
}

func (q *introspection) refuse(d digest, v verdict) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inactive.Put(d, v)
}
