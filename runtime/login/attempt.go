package login

import (
	"crypto/subtle"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/secret"
)

const (
	// attemptTime is how long a person may take at the provider.
	attemptTime = 10 * time.Minute
	// aheadTime is how far the clock of another replica may be ahead.
	aheadTime = time.Minute
	// slots is how many logins one browser may have under way. Each has a
	// cookie of its own, and there are no more names than this: however many
	// tabs begin at once, the request header stays small.
	slots = 5
	// maxReturnTo keeps the cookies of all slots together below 8 kB, which
	// is as much as some proxies take.
	maxReturnTo = 512
)

// An attempt is one login under way, as its cookie keeps it.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Provider string `json:"p"`
	ReturnTo string `json:"r"`
	Fresh    bool   `json:"f,omitzero"`
	Began    int64  `json:"t"` // microseconds since 1970: two may begin within a millisecond
	slot     int
}

// random returns 256 random bits in base64url, 43 characters: a state, a
// nonce, and a verifier as RFC 7636, section 4.1, wants one.
func random() string { return secret.Random(32).Reveal() }

// attempts keeps the logins under way in cookies of the browser.
type attempts struct {
	sealer *secret.Sealer
	now    func() time.Time
	next   atomic.Uint32 // spreads logins that begin at once over the slots
}

func attemptCookie(slot int) string { return "__Host-login-" + strconv.Itoa(slot) }

// begin gives a new attempt a slot, and its cookie to the browser: an empty
// slot, or that of the oldest attempt, or one whose session waits for finish. A
// slot never has both: that is what keeps the request header small.
func (as *attempts) begin(w http.ResponseWriter, r *http.Request, a attempt) error {
	var free, waiting []int
	oldest := -1
	var since int64
	for slot := range slots {
		old, ok := as.open(r, slot)
		_, err := r.Cookie(handoffCookie(slot))
		switch {
		case err == nil:
			waiting = append(waiting, slot)
		case !ok:
			free = append(free, slot)
		case oldest < 0 || old.Began < since:
			oldest, since = slot, old.Began
		}
	}
	// Tabs that begin at once all see the same slots free.
	turn := int(as.next.Add(1))
	switch {
	case len(free) > 0:
		a.slot = free[turn%len(free)]
	case oldest >= 0:
		a.slot = oldest
	default:
		a.slot = waiting[turn%len(waiting)]
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return err
	}
	name := attemptCookie(a.slot)
	setCookie(w, name, as.sealer.Seal(plain, name), attemptTime)
	// Also where the request has none: one may have come since it was sent.
	clearCookie(w, handoffCookie(a.slot))
	return nil
}

// open returns the attempt in a slot; false where there is none that we made
// within its time.
func (as *attempts) open(r *http.Request, slot int) (attempt, bool) {
	name := attemptCookie(slot)
	c, err := r.Cookie(name)
	if err != nil {
		return attempt{}, false
	}
	plain, err := as.sealer.Open(c.Value, name)
	if err != nil {
		return attempt{}, false
	}
	a := attempt{slot: slot}
	if err := json.Unmarshal(plain, &a); err != nil {
		return attempt{}, false
	}
	age := as.now().Sub(time.UnixMicro(a.Began))
	return a, age >= -aheadTime && age <= attemptTime
}

// find returns the attempt that state belongs to.
func (as *attempts) find(r *http.Request, state string) (attempt, bool) {
	for slot := range slots {
		if a, ok := as.open(r, slot); ok && subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) == 1 {
			return a, true
		}
	}
	return attempt{}, false
}

// foreign returns the names of the cookies of r that carry the name of an
// attempt and hold none: cut, changed, or from under another key.
func (as *attempts) foreign(r *http.Request) []string {
	var names []string
	for slot := range slots {
		name := attemptCookie(slot)
		c, err := r.Cookie(name)
		if err != nil {
			continue
		}
		if _, err := as.sealer.Open(c.Value, name); err != nil {
			names = append(names, name)
		}
	}
	return names
}

// setCookie gives the browser a cookie for a navigation that comes from the
// provider: Lax, since Strict ones are not sent with that.
func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func clearCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
