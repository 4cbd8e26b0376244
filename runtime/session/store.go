package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// An ID names a session where it is stored: the SHA-256 of what the browser
// holds. It opens nothing and may be logged and listed.
type ID [sha256.Size]byte

// String gives the id in base64url without padding, 43 characters.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseID reads what String gives; false for anything else.
func ParseID(text string) (ID, bool) {
	var id ID
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(id) {
		return ID{}, false
	}
	copy(id[:], b)
	return id, id.String() == text
}

// A Record is one session as it is stored. Times are UTC in whole milliseconds.
type Record struct {
	ID       ID
	User     string // id of a user record
	Provider string // the configured name of the provider
	Issuer   string
	Subject  string
	// ProviderSession is the provider's own name for the session (the claim
	// sid), "" where it gives none.
	ProviderSession string
	// Scopes are those that the person holds, by the document's scheme.
	Scopes   map[string][]string
	AuthTime time.Time // when the person last proved who they are; zero where unknown
	Created  time.Time
	Used     time.Time // a minute exact
	Idle     time.Time // ends then unless it is used before
	Expires  time.Time // ends then, used or not
	Agent    string    // User-Agent of the browser that signed in, at most 200 bytes
	Tokens   []byte    // the provider's tokens, sealed; nil for none
}

var (
	// ErrNotFound means that there is no such session.
	ErrNotFound = errors.New("session: not found")
	// ErrExists means that a session with that id is there already.
	ErrExists = errors.New("session: id exists")
)

// A Match picks sessions: those for which every member that is not empty is
// equal. The zero Match is refused.
type Match struct {
	ID              ID
	User            string
	Issuer, Subject string
	ProviderSession string
	Except          ID // picks all but this one; alone it picks nothing
}

// A Store keeps sessions of the server kind. It is given digests and never
// sees what a browser holds. It does not judge times: a session that has ended
// is returned until it is swept. Its methods may be called concurrently. Every
// error that is not named here means that the store could not answer.
type Store interface {
	// Create adds a record. It returns ErrExists, and changes nothing,
	// where the id is taken. The record must have a user, who must exist
	// where the same store keeps users.
	Create(ctx context.Context, rec Record) error
	// Load returns the record with exactly that id, or ErrNotFound.
	Load(ctx context.Context, id ID) (Record, error)
	// Touch notes that a session was used at used and ends at idle unless it
	// is used again. Times earlier than those noted, and an unknown id,
	// change nothing and are no error.
	Touch(ctx context.Context, id ID, used, idle time.Time) error
	// SaveTokens replaces the sealed tokens and, unless nil, the scopes. It
	// returns ErrNotFound for an unknown id.
	SaveTokens(ctx context.Context, id ID, tokens []byte, scopes map[string][]string) error
	// Delete removes what m picks and returns how many sessions that were.
	// None is no error.
	Delete(ctx context.Context, m Match) (int, error)
	// List returns the sessions of a user, the newest first, at most limit.
	List(ctx context.Context, user string, limit int) ([]Record, error)
}

// A Key names what is revoked, marked or locked.
type Key [sha256.Size]byte

// KeyOf makes a key of its parts. Different parts give different keys: each
// is hashed with its length.
func KeyOf(parts ...string) Key {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return Key(h.Sum(nil))
}

// Revocations end sessions that no store holds, and those still to come from a
// login that began before. Methods may be called concurrently.
type Revocations interface {
	// Revoke ends all sessions that carry key and were made at before or
	// earlier. It is remembered until until. Of two the later time counts,
	// of both members.
	Revoke(ctx context.Context, key Key, before, until time.Time) error
	// Revoked returns the latest before of all keys; zero where none is revoked.
	Revoked(ctx context.Context, keys ...Key) (time.Time, error)
}

// Marks remember what may be used once. Methods may be called concurrently.
type Marks interface {
	// Mark tells whether key is marked for the first time; of several calls
	// at once, on any replica, one is told so. It is remembered until until.
	Mark(ctx context.Context, key Key, until time.Time) (first bool, err error)
}

// Locks are shared by all replicas. Methods may be called concurrently.
type Locks interface {
	// Lock takes the lock for holder until until, or tells that somebody
	// else holds it. A lock whose time has passed is nobody's. The holder
	// may take its lock again, to hold it longer.
	Lock(ctx context.Context, key Key, holder string, until time.Time) (taken bool, err error)
	// Unlock gives the lock back. It changes nothing where holder does not
	// hold it, and is no error.
	Unlock(ctx context.Context, key Key, holder string) error
}
