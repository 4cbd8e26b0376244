package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/problem"
)

// retryUnavailable is when to ask again after a 503.
const retryUnavailable = 5 * time.Second

// titles are what a refused client is told.
var titles = map[string]string{
	CodeLimited:     "There were too many failed attempts.",
	CodeDuplicate:   "A credential was given more than once.",
	CodeInvalid:     "A credential is not valid.",
	CodeUnavailable: "The credential cannot be verified at the moment.",
	CodeUnverified:  "This operation is not in service.",
	CodeOrigin:      "The request does not show that it comes from this site.",
	CodeIdentities:  "The credentials belong to different callers.",
	CodeScope:       "The credential does not permit this operation.",
	CodeMissing:     "A credential is required.",
}

// Admit decides whether r may reach op. Where ok is false it has answered with
// a problem, without reading the body. Otherwise who was let in is returned:
// nil for nobody, of a public operation or by an empty requirement. An answer
// to somebody must not be stored, which Admit has then set on w. An operation
// that the gate was not made for is answered 500.
func (g *Gate) Admit(w http.ResponseWriter, r *http.Request, op *Operation) (who *Principal, ok bool) {
	p := g.plans[op]
	if p == nil {
		problem.Write(w, r, errors.New("gate: the operation is none of those that the gate was made for"))
		return nil, false
	}
	if p.policy.public {
		decided(w, op, "")
		return nil, true
	}
	if p.closed != "" {
		refuse(w, r, op, Decision{Status: http.StatusServiceUnavailable, Code: CodeUnverified}, http.Header{}, []slog.Attr{slog.String("cause", p.closed)})
		return nil, false
	}
	checks := g.check(r, p)
	states := make(map[string]State, len(checks))
	for _, c := range checks {
		states[c.Name] = c.State
	}
	d := Decide(p.policy, states)
	if !d.Allowed {
		h := http.Header{}
		challenge(h, d, checks)
		refuse(w, r, op, d, h, tried(checks, d.Lacking))
		return nil, false
	}
	if d.Principal != nil {
		w.Header().Set("Cache-Control", "no-store")
	}
	decided(w, op, "")
	return d.Principal, true
}

// An Observer is an http.ResponseWriter that is told of each decision, before the
// answer: reason is the code of a refusal, "" where the caller was let in.
type Observer interface {
	Decided(op *Operation, reason string)
}

func decided(w http.ResponseWriter, op *Operation, reason string) {
	if o, ok := w.(Observer); ok {
		o.Decided(op, reason)
	}
}

// A check is what was found out about one scheme.
type check struct {
	*claim
	State
	err error // why it is not Valid; for the log
}

// check finds and verifies the credential of each scheme, once.
func (g *Gate) check(r *http.Request, p *plan) []check {
	// Whoever parses a form by mistake finds none: nothing reads the body
	// before the caller is known.
	ctx := r.Context()
	if len(p.schemes) > 1 {
		ctx = context.WithValue(ctx, onceKey{}, make(map[any]error))
	}
	blind := r.WithContext(ctx)
	blind.Body = http.NoBody
	blind.GetBody = nil
	checks := make([]check, len(p.schemes))
	for i, c := range p.schemes {
		state, err := c.examine(blind)
		state.OriginMissing = state.Outcome == Valid && originMissing(r, state.Place, g.origin)
		checks[i] = check{c, state, err}
	}
	return checks
}

// examine finds and verifies the credential of one scheme. An authenticator
// that panics has not verified anything.
func (c *claim) examine(r *http.Request) (state State, err error) {
	defer func() {
		if v := recover(); v != nil {
			state, err = State{Outcome: Unavailable, Place: state.Place}, panicked(r.Context(), c.Name, v)
		}
	}()
	cred, found, err := c.find(r)
	if !found && err == nil {
		return State{}, nil
	}
	place, known := c.place(cred.Place)
	if known {
		state.Place = place
	}
	switch {
	case errors.Is(err, ErrInvalid):
		state.Outcome = Invalid
		return state, err
	case err != nil:
		state.Outcome = Duplicate
		return state, err
	case !known:
		// Where it lies decides who shares it and whether it needs proof of origin.
		state.Outcome = Unavailable
		return state, fmt.Errorf("gate: the authenticator found a credential in %q %q, which is no place of its scheme", cred.Place.In, cred.Place.Name)
	}
	cred.Place = place
	id, err := c.auth.Verify(r.Context(), r, cred)
	return conclude(state, id, err)
}

// find finds the scheme's credential. What lies in Authorization under a word
// of another scheme is that scheme's.
func (c *claim) find(r *http.Request) (cred Credential, found bool, err error) {
	if _, refused := Refused(c.auth); refused {
		cred, found, err = FindIn(r, c.Places...)
	} else {
		cred, found, err = c.auth.Find(r)
	}
	word, _ := splitAuthorization(r.Header.Get("Authorization"))
	if place, _ := c.place(cred.Place); place == Authorization("") && slices.Contains(c.taken, word) {
		return Credential{}, false, nil
	}
	return cred, found, err
}

// place is the place that an authenticator names, or the only one there is
// where it names none.
func (c *claim) place(named Place) (Place, bool) {
	if named == (Place{}) && len(c.Places) == 1 {
		return c.Places[0], true
	}
	return named, slices.Contains(c.Places, named)
}

// conclude is the state that follows from what Verify returned.
func conclude(state State, id Identity, err error) (State, error) {
	var limit *LimitError
	switch {
	case errors.As(err, &limit):
		state.Outcome, state.RetryAfter = Limited, limit.RetryAfter
	case errors.Is(err, ErrInvalid):
		state.Outcome = Invalid
	case errors.Is(err, ErrAbsent):
		return State{}, err
	case err != nil:
		state.Outcome = Unavailable
	case id.User == nil && id.Client == nil, id.User != nil && id.User.ID == "", id.Client != nil && id.Client.ID == "":
		state.Outcome = Unavailable
		err = errors.New("gate: the authenticator let in nobody, or somebody without an id")
	default:
		state.Outcome, state.Identity = Valid, id
	}
	return state, err
}

// panicked logs where an authenticator panicked. What it panicked with may
// hold a credential, unless the runtime made it.
func panicked(ctx context.Context, scheme string, v any) error {
	slog.ErrorContext(ctx, "authenticator panicked", "scheme", scheme, "stack", string(debug.Stack()))
	if re, ok := v.(runtime.Error); ok {
		return fmt.Errorf("gate: the authenticator panicked: %w", re)
	}
	return fmt.Errorf("gate: the authenticator panicked with a %T", v)
}

// tried says for the log what came of each scheme and, of one key or session,
// which it was.
func tried(checks []check, lacking []Need) []slog.Attr {
	var outcomes []any
	var ids []slog.Attr // each once: schemes may speak of one caller
	for _, c := range checks {
		text := c.Outcome.String()
		if c.OriginMissing {
			text += " without proof of origin"
		}
		if c.err != nil {
			text += ": " + c.err.Error()
		}
		for _, n := range lacking {
			if n.Scheme == c.Name {
				text += fmt.Sprintf(", lacks the scopes %q", n.missing(c.Identity))
			}
		}
		outcomes = append(outcomes, slog.String(c.Name, text))
		for _, id := range c.Identity.attrs() {
			if !slices.ContainsFunc(ids, id.Equal) {
				ids = append(ids, id)
			}
		}
	}
	return append(ids, slog.Group("tried", outcomes...))
}

// attrs are who i speaks of, for the log; nothing in it opens anything.
func (i Identity) attrs() []slog.Attr {
	var attrs []slog.Attr
	if i.Record != "" {
		attrs = append(attrs, slog.String("key", i.Record))
	}
	if i.Session != "" {
		attrs = append(attrs, slog.String("session", i.Session))
	}
	if i.User != nil {
		attrs = append(attrs, slog.String("user", i.User.ID))
	}
	if i.Client != nil {
		attrs = append(attrs, slog.String("client", i.Client.ID))
	}
	return attrs
}

// challenge writes the lines of WWW-Authenticate that a refusal needs, each
// once: for a 401 those of all schemes that something verifies, for lacking
// scopes those of the access tokens that lack them, for a credential that is
// there twice those of access tokens (RFC 6750, section 3.1: invalid_request).
func challenge(h http.Header, d Decision, checks []check) {
	for _, c := range checks {
		line := ""
		i := slices.IndexFunc(d.Lacking, func(n Need) bool { return n.Scheme == c.Name })
		_, refused := Refused(c.auth)
		token := c.Place == Authorization("bearer") || c.Place == Authorization("dpop")
		switch {
		case d.Status == http.StatusUnauthorized && !refused && c.Outcome == Invalid:
			line = c.invalid(h)
		case d.Status == http.StatusUnauthorized && !refused:
			line = c.challenge(nil)
		case d.Status == http.StatusBadRequest && !refused && c.Outcome == Duplicate && token:
			line = c.challenge(ErrDuplicate)
		case i >= 0 && token:
			line = c.challenge(&InsufficientScope{Scopes: d.Lacking[i].Scopes, Place: c.Place})
		}
		for one := range strings.SplitSeq(line, "\n") {
			if one != "" && !slices.Contains(h["Www-Authenticate"], one) {
				h["Www-Authenticate"] = append(h["Www-Authenticate"], one)
			}
		}
	}
}

// invalid is the challenge of a scheme whose credential is no good. What its
// authenticator has to say beside that goes into h.
func (c check) invalid(h http.Header) string {
	more, ok := errors.AsType[*InvalidError](c.err)
	if !ok {
		return c.challenge(ErrInvalid)
	}
	for name, values := range more.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	if more.Challenge != "" {
		return more.Challenge
	}
	return c.challenge(ErrInvalid)
}

// challenge is the authenticator's, or that of the scheme's first place where
// it has none: every 401 carries a challenge (RFC 9110, section 15.5.2).
func (c *claim) challenge(cause error) (line string) {
	defer func() {
		if v := recover(); v != nil {
			_ = panicked(context.Background(), c.Name, v)
			line = c.Places[0].Challenge(cause)
		}
	}()
	if line = c.auth.Challenge(cause); line != "" {
		return line
	}
	return c.Places[0].Challenge(cause)
}

// refuse answers with d. The log gets one line of it, with audit=true.
func refuse(w http.ResponseWriter, r *http.Request, op *Operation, d Decision, h http.Header, found []slog.Attr) {
	decided(w, op, d.Code)
	switch d.Status {
	case http.StatusTooManyRequests:
		h.Set("Retry-After", seconds(d.RetryAfter))
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", seconds(retryUnavailable))
	}
	problem.Write(w, r, &problem.Error{Status: d.Status, Code: d.Code, Title: titles[d.Code], Detail: detail(d.Lacking), Header: h, Attrs: append([]slog.Attr{
		slog.Bool("audit", true),
		slog.String("operation", op.ID),
		slog.String("requirement", op.Policy.String()),
		slog.String("address", r.RemoteAddr),
	}, found...)})
}

// detail names the scopes that lacking asks for, which are no secret: they
// stand in the document.
func detail(lacking []Need) string {
	var scopes Scopes
	for _, n := range lacking {
		scopes = scopes.with(n.Scopes)
	}
	switch len(scopes) {
	case 0:
		return ""
	case 1:
		return "It needs the scope " + scopes[0] + "."
	}
	return "It needs the scopes " + strings.Join(scopes, ", ") + "."
}

// seconds writes d in whole seconds, rounded up, at least one.
func seconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}
