// Package user keeps the people behind the callers: one record, with an id of
// our own, for each pair of issuer and subject.
package user

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
)

// Local is the issuer of users that the command makes; no provider vouches for them.
const Local = "urn:gatewright:local"

// ErrNotFound means that there is no such user.
var ErrNotFound = errors.New("user: not found")

// A Record is one person. (Issuer, Subject) is who it is: it is compared byte
// by byte and never changes. Name and Email are for display and never decide
// anything.
type Record struct {
	ID      string // usr_ and 20 characters of base62; never used again
	Issuer  string
	Subject string
	Name    string
	Email   string
	// Scopes are those that the person held at the last login, by whatever
	// scheme, in order. They bound what keys of their own making may do.
	Scopes   []string
	Disabled bool      // nothing this person holds lets anyone in
	Created  time.Time // UTC, whole milliseconds
}

// User returns the record as a handler sees it.
func (r Record) User() gate.User {
	return gate.User{ID: r.ID, Issuer: r.Issuer, Subject: r.Subject, Name: r.Name, Email: r.Email}
}

// A Profile is what an issuer says of a person, for display.
type Profile struct{ Name, Email string }

// A SignIn is a person who has just proved who they are at a provider, before
// a record is made or a session begun.
type SignIn struct {
	Provider string // the configured name of the provider
	Issuer   string
	Subject  string
	Profile  Profile
	// Scopes are those that the person will hold, by the document's scheme.
	Scopes map[string][]string
	// Claims are those of the ID token, and of UserInfo over them; for plain
	// OAuth 2.0 the members of the user that the provider answered with.
	Claims map[string]any
}

// A Hook is an application's say in a login. It may change Profile and Scopes
// of s. An error keeps the person out: a problem.Error is shown as it says,
// of any other the person reads only that they may not sign in. It is called
// at every login; an error of its own backend keeps everybody out.
type Hook func(ctx context.Context, s *SignIn) error

// A Store keeps user records. Its methods may be called concurrently. Every
// error that is not named here means that the store could not answer.
type Store interface {
	// Ensure returns the record of (issuer, subject), and makes an enabled
	// one with a new id where there is none, at most one however many
	// calls run at once. Members of p that are not empty replace those of
	// an existing record. It returns an error for what [Check] refuses.
	Ensure(ctx context.Context, issuer, subject string, p Profile) (Record, error)
	// Load returns the record with that id, or ErrNotFound.
	Load(ctx context.Context, id string) (Record, error)
	// SetDisabled disables or enables a person; it holds for the next
	// Load. It returns ErrNotFound for an unknown id.
	SetDisabled(ctx context.Context, id string, disabled bool) error
	// SetScopes replaces the scopes of a person; it holds for the next Load.
	// It returns ErrNotFound for an unknown id.
	SetScopes(ctx context.Context, id string, scopes []string) error
	// List returns at most limit records with an id greater than after,
	// in the byte order of the ids. It is empty at the end.
	List(ctx context.Context, after string, limit int) ([]Record, error)
}

const (
	idPrefix = "usr_"
	idLength = 20 // characters of base62 after the prefix: 119 bits
)

// NewID returns an id for a new record.
func NewID() string { return idPrefix + secret.ID(idLength) }

// IsID tells whether text has the form of an id.
func IsID(text string) bool {
	rest, ok := strings.CutPrefix(text, idPrefix)
	return ok && len(rest) == idLength && secret.IsBase62(rest)
}

// Check tells what is wrong with what a record would be made of: an issuer or
// subject that is missing or longer than 2048 or 255 bytes (OpenID Connect
// Core, section 2), a name or email longer than 1024 bytes, or anywhere a byte
// that is not text in UTF-8, or NUL. Stores call it first.
func Check(issuer, subject string, p Profile) error {
	return errors.Join(
		checkText("issuer", issuer, 1, 2048),
		checkText("subject", subject, 1, 255),
		checkText("name", p.Name, 0, 1024),
		checkText("email", p.Email, 0, 1024),
	)
}

func checkText(what, text string, least, most int) error {
	switch {
	case len(text) < least:
		return fmt.Errorf("user: %s is empty", what)
	case len(text) > most:
		return fmt.Errorf("user: %s is longer than %d bytes", what, most)
	case !utf8.ValidString(text), strings.ContainsRune(text, 0):
		return fmt.Errorf("user: %s is not text in UTF-8", what)
	}
	return nil
}
