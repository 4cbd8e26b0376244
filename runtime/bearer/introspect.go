package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/singleflight"

	"github.com/gatewright/gatewright/runtime/cache"
	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/gate"
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
	// maxAsking is how many questions may be on their way to one issuer:
	// tokens that nobody issued are not to become a flood there.
	maxAsking = 64
)

// An introspection asks one issuer about tokens (RFC 7662).
type introspection struct {
	flights  *singleflight.Group
	places   chan struct{}
	mu       *sync.Mutex
	inactive *cache.Generations[digest, time.Time] // until when
	now      func() time.Time
}

func newIntrospection(now func() time.Time) introspection {
	inactive := cache.NewGenerations[digest, time.Time](inactiveTokens)
	return introspection{new(singleflight.Group), make(chan struct{}, maxAsking), new(sync.Mutex), &inactive, now}
}

// ask asks the issuer about a token and remembers what it says for a short
// time. Of all who have the same token one asks, and none waits for longer than
// their own context.
func (s *scheme) ask(ctx context.Context, d digest, text string) (token, error) {
	if len(s.issuers) != 1 {
		return token{}, fmt.Errorf("%w: bearer: it is no JWT of an issuer of this scheme", gate.ErrInvalid)
	}
	i := s.issuers[0]
	if err := i.canAsk(); err != nil {
		return token{}, fmt.Errorf("%w: bearer: it is no JWT of the issuer, and %w", gate.ErrInvalid, err)
	}
	if i.asking.isInactive(d) {
		return token{}, fmt.Errorf("%w: bearer: the issuer said just now that it is not active", gate.ErrInvalid)
	}
	flight := i.asking.flights.DoChan(string(d[:]), func() (any, error) {
		// Others wait for it too: it does not end with who began it.
		return s.askNow(context.WithoutCancel(ctx), i, d, text)
	})
	select {
	case r := <-flight:
		if r.Err != nil {
			return token{}, r.Err
		}
		return r.Val.(token), nil
	case <-ctx.Done():
		return token{}, fmt.Errorf("bearer: provider %s: %w", i.Name, ctx.Err())
	}
}

// askNow asks, if not too many questions are on their way.
func (s *scheme) askNow(ctx context.Context, i *issuer, d digest, text string) (t token, err error) {
	defer func() {
		if cause := recover(); cause != nil { // no server's handler stands above
			err = fmt.Errorf("bearer: provider %s: panic: %v", i.Name, cause)
		}
	}()
	select {
	case i.asking.places <- struct{}{}:
		defer func() { <-i.asking.places }()
	default:
		return token{}, fmt.Errorf("bearer: provider %s: %d questions about tokens are on their way already", i.Name, maxAsking)
	}
	c, err := i.introspect(ctx, text)
	if err != nil {
		return token{}, err
	}
	if t, err = s.readAnswer(i, c); err != nil {
		if errors.Is(err, gate.ErrInvalid) {
			i.asking.setInactive(d)
		}
		return token{}, err
	}
	s.tokens.remember(d, remembered{token: t, until: s.tokens.cfg.Now().Add(activeTime)})
	return t, nil
}

// introspect sends the question.
func (i *issuer) introspect(ctx context.Context, text string) (claims.Set, error) {
	l, err := i.ready(ctx)
	if err != nil {
		return claims.Set{}, err
	}
	if l.metadata.IntrospectionEndpoint == "" {
		return claims.Set{}, fmt.Errorf("bearer: provider %s names no introspection_endpoint: it cannot be asked about tokens", i.Name)
	}
	form := url.Values{"token": {text}, "token_type_hint": {"access_token"}}
	h := http.Header{}
	if i.ClientAuth == "client_secret_post" {
		form.Set("client_id", i.ClientID)
		form.Set("client_secret", i.ClientSecret.Reveal())
	} else {
		// Both are form-urlencoded first (RFC 6749, section 2.3.1).
		pair := url.QueryEscape(i.ClientID) + ":" + url.QueryEscape(i.ClientSecret.Reveal())
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	var answer jsontext.Value
	if err := fetch.PostForm(ctx, i.client, l.metadata.IntrospectionEndpoint, h, form, &answer); err != nil {
		if status, ok := errors.AsType[*fetch.StatusError](err); ok && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden || status.Status == http.StatusBadRequest) {
			err = fmt.Errorf("it does not take this server's client_id and secret, or does not let it ask: %w", err)
		}
		return claims.Set{}, fmt.Errorf("bearer: asking provider %s about a token: %w", i.Name, err)
	}
	c, err := claims.Parse(answer, known...)
	if err != nil {
		return claims.Set{}, fmt.Errorf("bearer: what provider %s says of a token: %w", i.Name, err)
	}
	return c, nil
}

// readAnswer checks what the issuer says of a token (RFC 7662, section 2.2).
// The error wraps gate.ErrInvalid where that is, that it is not good here.
func (s *scheme) readAnswer(i *issuer, c claims.Set) (token, error) {
	active, isBool := c.All()["active"].(bool)
	if !isBool {
		return token{}, fmt.Errorf("bearer: provider %s does not say whether the token is active", i.Name)
	}
	if !active {
		return token{}, fmt.Errorf("%w: bearer: provider %s says that it is not active", gate.ErrInvalid, i.Name)
	}
	t, err := s.readActive(i, c)
	if err != nil {
		return token{}, fmt.Errorf("%w: bearer: %w", gate.ErrInvalid, err)
	}
	return t, nil
}

func (s *scheme) readActive(i *issuer, c claims.Set) (token, error) {
	iss, err := c.Text("iss")
	if err != nil {
		return token{}, err
	}
	if _, ok := i.issued(iss); c.Has("iss") && !ok {
		return token{}, errors.New("the issuer says that another issued it")
	}
	if iss == "" {
		iss = i.Issuer
	}
	if !c.Has("aud") && !s.binding.AnyAudience {
		return token{}, errors.New("the issuer does not say whom it is for (aud): where all tokens that this server may ask about are for it, set any_audience: true for the scheme")
	}
	if use, err := c.Text("token_use"); err != nil || use != "" && !strings.EqualFold(use, "access") && !strings.EqualFold(use, "access_token") {
		return token{}, errors.New("the issuer says that it is no access token")
	}
	kind, err := c.Text("token_type")
	if err != nil {
		return token{}, err
	}
	t, err := s.read(i, c)
	if err != nil {
		return token{}, err
	}
	switch strings.ToLower(kind) {
	case "":
	case "bearer", "access_token":
		if t.bound.jkt != "" {
			return token{}, errors.New("the issuer says that it is bound to a key, and that it is none that is (token_type)")
		}
	case "dpop":
		if t.bound.jkt == "" {
			return token{}, errors.New("the issuer says that it is bound to a key, and not to which (cnf)")
		}
	default:
		return token{}, errors.New("the issuer says that it is of another kind (token_type)")
	}
	if t.issuer = iss; t.subject == "" && t.name == "" {
		return token{}, errors.New("the issuer says neither whom it speaks of nor to whom it was issued (sub, client_id)")
	}
	return t, nil
}

func (q *introspection) isInactive(d digest) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	until, ok := q.inactive.Get(d)
	return ok && q.now().Before(until)
}

func (q *introspection) setInactive(d digest) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inactive.Put(d, q.now().Add(inactiveTime))
}
