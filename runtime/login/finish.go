package login

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// handoffTime is how long a browser has from the callback to finish.
const handoffTime = time.Minute

// maxCookie is the most that browsers keep of one cookie, name and value
// together, in bytes (RFC 6265bis, section 6.1).
const maxCookie = 4096

// A handoff carries a session that is not in the browser yet from the callback
// to finish, in a cookie of its own: what is sealed, a dot, and the ticket,
// which is a secret already and which the seal is for.
type handoff struct {
	ReturnTo string `json:"r"`
	Made     int64  `json:"t"` // milliseconds since 1970
	User     string `json:"u"`
	Provider string `json:"p"`
	Fresh    bool   `json:"f,omitzero"`
	Began    int64  `json:"b"` // as in its attempt
	ticket   string
}

// overtaken tells whether the browser has got a session of the same person, at
// the same provider, since the login began: in another tab. That session stays.
// To end it would have the requests that other tabs send with it just now
// answered by one that signs the browser out, whatever session it has by then.
func (h handoff) overtaken(s session.Session) bool {
	return !h.Fresh && s.User.ID == h.User && s.Provider == h.Provider && s.Created.After(time.UnixMicro(h.Began))
}

func handoffCookie(slot int) string { return "__Host-handoff-" + strconv.Itoa(slot) }

// handOver gives the browser the handoff of an attempt.
func (l *Login) handOver(w http.ResponseWriter, a attempt, userID string, ticket secret.Value) error {
	plain, err := json.Marshal(handoff{ReturnTo: a.ReturnTo, Made: l.now().UnixMilli(), User: userID, Provider: a.Provider, Fresh: a.Fresh, Began: a.Began})
	if err != nil {
		return err
	}
	name := handoffCookie(a.slot)
	value := l.handoffs.Seal(plain, name, ticket.Reveal()) + "." + ticket.Reveal()
	if len(name)+1+len(value) > maxCookie {
		return fmt.Errorf("login: the cookie of the new session would have %d bytes, and browsers keep %d: let scopes_map grant fewer scopes, or set sessions: {kind: server}", len(name)+1+len(value), maxCookie)
	}
	setCookie(w, name, value, handoffTime)
	return nil
}

// finish puts the session of a handoff into the browser. It is asked for by a
// page of our own, so that the cookie of an earlier session comes along and
// that session ends. Who has no handoff, but a session, moves on: another tab
// was quicker.
func (l *Login) finish(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		// A link of another site brings no Strict cookie: a session would be
		// overlooked, and live on beside the new one.
		q, _ := query(r.URL.RawQuery)
		l.hop(w, r, q.Get("attempt"))
		return
	}
	h, name, ok := l.handedOver(r)
	if ok {
		first, err := l.cfg.Marks.Mark(r.Context(), session.KeyOf("handoff", h.ticket), l.now().Add(handoffTime+aheadTime))
		if err != nil {
			l.silent(w, r, err, l.again("", h.ReturnTo))
			return
		}
		ok = first
		if !first {
			l.note(r, "login handoff replayed")
		}
	}
	if name != "" {
		clearCookie(w, name)
	}
	if ok {
		if now, err := l.cfg.Sessions.Current(r); err == nil && h.overtaken(now) {
			http.Redirect(w, r, h.ReturnTo, http.StatusSeeOther)
			return
		}
		err := l.cfg.Sessions.Finish(w, r, secret.New(h.ticket))
		if err == nil {
			http.Redirect(w, r, h.ReturnTo, http.StatusSeeOther)
			return
		}
		if !errors.Is(err, session.ErrNone) {
			l.silent(w, r, err, l.again("", h.ReturnTo))
			return
		}
	}
	returnTo := "/"
	if h.ReturnTo != "" {
		returnTo = h.ReturnTo
	}
	_, err := l.cfg.Sessions.Current(r)
	switch {
	case err == nil:
		http.Redirect(w, r, returnTo, http.StatusSeeOther)
	case errors.Is(err, session.ErrNone):
		l.tell(w, r, http.StatusOK, "Please sign in again", "This login took too long, or was finished or overtaken in another tab.", l.again("", returnTo))
	default:
		l.silent(w, r, err, l.again("", returnTo))
	}
}

// handedOver returns the handoff that a request brings, and the name of its
// cookie. ok is false where there is none of ours within its time.
func (l *Login) handedOver(r *http.Request) (h handoff, name string, ok bool) {
	q, ok := query(r.URL.RawQuery)
	slot, err := strconv.Atoi(q.Get("attempt"))
	if !ok || err != nil || slot < 0 || slot >= slots {
		return handoff{}, "", false
	}
	name = handoffCookie(slot)
	c, err := r.Cookie(name)
	if err != nil {
		return handoff{}, "", false
	}
	sealed, ticket, _ := strings.Cut(c.Value, ".")
	plain, err := l.handoffs.Open(sealed, name, ticket)
	if err == nil {
		err = json.Unmarshal(plain, &h)
	}
	h.ticket = ticket
	if err != nil {
		l.note(r, "login handoff cookie not ours")
		return handoff{}, name, false
	}
	age := l.now().Sub(time.UnixMilli(h.Made))
	return h, name, age >= -aheadTime && age <= handoffTime
}
