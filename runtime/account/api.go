package account

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/problem"
)

// shownKey is a key as its owner is told of it.
type shownKey struct {
	ID          string             `json:"id"`
	Label       string             `json:"label"`
	PrefixHint  string             `json:"prefix_hint"` // how it begins, as far as that is no secret
	Environment apikey.Environment `json:"environment"`
	Schemes     []string           `json:"schemes,omitempty"` // where it serves not all that take keys
	Scopes      []string           `json:"scopes"`
	State       string             `json:"state"`
	Created     time.Time          `json:"created"`
	Expires     time.Time          `json:"expires,omitzero"`
	LastUsed    time.Time          `json:"last_used,omitzero"`
	Revoked     time.Time          `json:"revoked,omitzero"`
	ReplacedBy  string             `json:"replaced_by,omitzero"`
}

func (a *Account) shown(rec apikey.Record) shownKey {
	return shownKey{
		ID: rec.ID, Label: rec.Label, PrefixHint: a.cfg.Keys.Hint(rec), Environment: rec.Environment,
		Schemes: rec.Schemes, Scopes: append([]string{}, rec.Scopes...), State: stateOf(rec, a.now()),
		Created: rec.Created, Expires: rec.Expires, LastUsed: rec.LastUsed, Revoked: rec.Revoked, ReplacedBy: rec.ReplacedBy,
	}
}

// shownNew is a key that has just been made; Key is shown this once.
type shownNew struct {
	Key      string      `json:"key"`
	Record   shownKey    `json:"record"`
	Replaces *replacedBy `json:"replaces,omitzero"`
}

// replacedBy is the key whose place another has taken, and until when it is good.
type replacedBy struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
}

// listKeys lists the person's keys, the newest first.
func (a *Account) listKeys(w http.ResponseWriter, r *http.Request, _ string) {
	c, ok := a.admit(w, r)
	if !ok {
		return
	}
	recs, err := a.cfg.Keys.ListOf(r.Context(), apikey.Owner{User: c.User.ID})
	if err != nil {
		problem.Write(w, r, silent(err))
		return
	}
	out := struct {
		Keys []shownKey `json:"keys"`
	}{[]shownKey{}}
	for _, rec := range recs {
		out.Keys = append(out.Keys, a.shown(rec))
	}
	writeJSON(w, r, http.StatusOK, out)
}

// showKey shows one of them.
func (a *Account) showKey(w http.ResponseWriter, r *http.Request, id string) {
	c, ok := a.admit(w, r)
	if !ok {
		return
	}
	rec, err := a.own(r, c, id)
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, a.shown(rec))
}

// createKey makes a key.
func (a *Account) createKey(w http.ResponseWriter, r *http.Request, _ string) {
	c, ok := a.admit(w, r)
	if !ok {
		return
	}
	var in struct {
		Label       string             `json:"label"`
		Scopes      []string           `json:"scopes"`
		Environment apikey.Environment `json:"environment"`
		Expires     string             `json:"expires"`
		ExpiresIn   string             `json:"expires_in"`
	}
	if err := readJSON(w, r, &in, "label, scopes, environment, and expires or expires_in", false); err != nil {
		problem.Write(w, r, err)
		return
	}
	expires, err := expiry(in.Expires, in.ExpiresIn, a.now())
	if err != nil {
		problem.Write(w, r, refusal(fmt.Errorf("%w: %w", apikey.ErrRequest, err)))
		return
	}
	m, err := a.create(r, c, wish{label: in.Label, scopes: in.Scopes, environment: in.Environment, expires: expires})
	a.answerMade(w, r, m, err)
}

// expiry reads when a key is to expire: at a time, or after one. Zero where
// neither is said.
func expiry(at, in string, now time.Time) (time.Time, error) {
	switch {
	case at != "" && in != "":
		return time.Time{}, errors.New("expires and expires_in are both there")
	case in != "":
		span, ok := parseSpan(in)
		if !ok {
			return time.Time{}, fmt.Errorf("expires_in %q is not like 90d, 24h or 30m", in)
		}
		return now.Add(span), nil
	case at != "":
		t, err := time.Parse(time.RFC3339, at)
		if err != nil || t.IsZero() {
			return time.Time{}, fmt.Errorf("expires %q is no time like %s", at, now.Add(defaultLife).UTC().Format(time.RFC3339))
		}
		return t, nil
	}
	return time.Time{}, nil
}

// rotateKey makes a key that takes the place of another.
func (a *Account) rotateKey(w http.ResponseWriter, r *http.Request, id string) {
	c, ok := a.admit(w, r)
	if !ok {
		return
	}
	var in struct {
		Overlap string `json:"overlap"`
	}
	if err := readJSON(w, r, &in, "overlap", true); err != nil {
		problem.Write(w, r, err)
		return
	}
	overlap := defaultOverlap
	if in.Overlap != "" {
		if overlap, ok = parseSpan(in.Overlap); !ok {
			problem.Write(w, r, refusal(fmt.Errorf("%w: overlap %q is not like 24h, 30m or 7d", apikey.ErrRequest, in.Overlap)))
			return
		}
	}
	m, err := a.rotate(r, c, id, overlap)
	a.answerMade(w, r, m, err)
}

// answerMade answers with a new key, or with what kept it from being made.
func (a *Account) answerMade(w http.ResponseWriter, r *http.Request, m made, err error) {
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	out := shownNew{Key: m.key.Reveal(), Record: a.shown(m.rec)}
	if m.old.ID != "" {
		out.Replaces = &replacedBy{m.old.ID, m.oldUntil}
	}
	w.Header().Set("Location", a.cfg.Prefix+"/keys/"+m.rec.ID)
	writeJSON(w, r, http.StatusCreated, out)
}

// relabelKey changes what the person calls a key.
func (a *Account) relabelKey(w http.ResponseWriter, r *http.Request, id string) {
	c, ok := a.admit(w, r)
	if !ok {
		return
	}
	var in struct {
		Label string `json:"label"`
	}
	if err := readJSON(w, r, &in, "label", false); err != nil {
		problem.Write(w, r, err)
		return
	}
	rec, err := a.relabel(r, c, id, in.Label)
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, a.shown(rec))
}

// revokeKey revokes a key.
func (a *Account) revokeKey(w http.ResponseWriter, r *http.Request, id string) {
	c, ok := a.admit(w, r)
	if !ok {
		return
	}
	if err := a.revoke(r, c, id); err != nil {
		problem.Write(w, r, err)
		return
	}
	problem.CloseIfBody(w, r)
	w.WriteHeader(http.StatusNoContent)
}

// maxBody is the largest body that is read, in bytes.
const maxBody = 64 << 10

// readJSON reads the body into v, which has exactly the members that there may
// be, as members names them. Names are compared to the letter, and none may be
// there twice. An empty body leaves v as it is where that is allowed.
func readJSON(w http.ResponseWriter, r *http.Request, v any, members string, empty bool) error {
	types := r.Header.Values("Content-Type")
	none := r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0
	if none && empty && len(types) == 0 {
		return nil
	}
	media, params := "", map[string]string(nil)
	if len(types) == 1 {
		media, params, _ = mime.ParseMediaType(types[0])
	}
	charset := params["charset"]
	delete(params, "charset")
	if media != "application/json" || len(params) > 0 || charset != "" && !strings.EqualFold(charset, "utf-8") || r.Header.Get("Content-Encoding") != "" {
		e := problem.New(http.StatusUnsupportedMediaType, "unsupported_media_type", "The request's content type is not supported.")
		e.Header = http.Header{"Accept": {"application/json"}}
		return e
	}
	body, err := readAll(w, r)
	if err != nil {
		return err
	}
	if len(body) == 0 && empty {
		return nil
	}
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true)); err != nil {
		return &problem.Error{
			Status: http.StatusBadRequest, Code: "body_unreadable", Title: "The request's body cannot be read.",
			Detail: "It is a JSON object with " + members + ", each at most once, and nothing else.",
		}
	}
	return nil
}

// readAll reads a body of at most maxBody bytes.
func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, is := errors.AsType[*http.MaxBytesError](err); is {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, &problem.Error{Status: http.StatusBadRequest, Code: "body_unreadable", Title: "The request's body cannot be read.", Cause: err}
	}
	r.Body = http.NoBody // read to its end
	return body, nil
}

func tooLarge() *problem.Error {
	e := problem.New(http.StatusRequestEntityTooLarge, "body_too_large", "The request's body is too large.")
	e.Detail = fmt.Sprintf("At most %d bytes are taken.", maxBody)
	return e
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	problem.CloseIfBody(w, r)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(b, '\n')) // a client that has gone is nobody to tell
	}
}
