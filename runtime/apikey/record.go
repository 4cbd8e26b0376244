package apikey

import (
	"context"
	"errors"
	"time"
)

// A Record is a key as it is stored: what it is for, never the key itself.
// Times are UTC in whole milliseconds.
type Record struct {
	ID          string // the third part of the key, 13 characters of base62
	Environment Environment
	Hash        [32]byte // SHA-256 of the whole key as its holder sends it
	Owner       Owner
	Label       string   // what its owner calls it
	Schemes     []string // the document's schemes it serves; empty: all that take keys
	Scopes      []string // what its holder may do
	// Bound tells that the key was made by its owner: of Scopes it has those
	// that the owner holds too, now and not only when it was made.
	Bound      bool
	Created    time.Time // never zero
	Expires    time.Time // from then on it is refused; zero: never
	LastUsed   time.Time // a minute exact; zero: never used
	Revoked    time.Time // zero: not revoked
	ReplacedBy string    // id of the key that it was rotated to; "": none
}

// KeptDead is how long the record of a key is kept after it was revoked or
// expired, whichever is first.
const KeptDead = 90 * 24 * time.Hour

// An Owner is who a key speaks for: a user or a client, never both. Its zero
// value is nobody.
type Owner struct {
	User       string // id of a user record
	Client     string // id of a program that acts for itself
	ClientName string // for display
}

// A Query picks records: those of Owner (by User or Client; the zero Owner: of
// everybody) whose id is greater than After, at most Limit.
type Query struct {
	Owner Owner
	After string
	Limit int
}

var (
	// ErrNotFound means that there is no such key.
	ErrNotFound = errors.New("apikey: not found")
	// ErrExists means that a key with that id is there already.
	ErrExists = errors.New("apikey: id exists")
	// ErrDead means that a key was revoked, has expired or was rotated before.
	ErrDead = errors.New("apikey: key is revoked, expired or rotated already")
)

// A Store keeps key records. It is given hashes and never sees a key. Its
// methods may be called concurrently. Every error that is not named here means
// that the store could not answer.
type Store interface {
	// Create adds a record. It returns ErrExists, and changes nothing,
	// where the id is taken. The owner must exist if it is a user.
	Create(ctx context.Context, rec Record) error
	// Load returns the record with exactly that id, or ErrNotFound. It
	// returns revoked and expired records too.
	Load(ctx context.Context, id string) (Record, error)
	// List returns what q picks, in the byte order of the ids. It is empty
	// at the end.
	List(ctx context.Context, q Query) ([]Record, error)
	// Revoke revokes a key as of at; it holds for the next Load. A key that
	// is revoked keeps its first time. It returns ErrNotFound for an
	// unknown id.
	Revoke(ctx context.Context, id string, at time.Time) error
	// Rotate adds rec, and notes it as ReplacedBy of the key old, which
	// expires at until unless it does so before: both or neither. It returns
	// ErrNotFound for an unknown id, ErrDead where old was revoked, rotated
	// before, or has expired at rec.Created, and ErrExists where the id of
	// rec is taken; nothing has changed then. Of several calls at once for
	// one key, on any replica, one succeeds.
	Rotate(ctx context.Context, old string, until time.Time, rec Record) error
	// Relabel changes what the owner calls a key. It returns ErrNotFound for
	// an unknown id.
	Relabel(ctx context.Context, id, label string) error
	// Touch notes that a key was used at at. An earlier time than the one
	// noted, and an unknown id, change nothing and are no error.
	Touch(ctx context.Context, id string, at time.Time) error
}
