package secret

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrSealed means that a text was not sealed with a key of the ring, for that
// purpose and in that context. It does not tell which of these it was.
var ErrSealed = errors.New("secret: not sealed by us for this")

// A Ring holds the keys that seal what leaves the server and comes back. They
// are derived from root secrets: the first root seals, all of them open, so
// that a new one is put in front and the old one taken away once nothing that
// it sealed counts any more. Its methods may be called concurrently.
type Ring struct {
	mu      sync.Mutex
	roots   []Value
	sealers []*Sealer // made so far
}

// NewRing makes a ring of roots. It returns an error where there is none, and
// what [CheckKey] says of each.
func NewRing(roots ...Value) (*Ring, error) {
	r := &Ring{}
	if err := r.Replace(roots...); err != nil {
		return nil, err
	}
	return r, nil
}

// Replace has other roots take the place of those before, in all sealers at
// once. With an error, that of [NewRing], those before stay.
func (r *Ring) Replace(roots ...Value) error {
	if len(roots) == 0 {
		return errors.New("secret: a ring needs a root secret")
	}
	var errs []error
	for i, root := range roots {
		if err := CheckKey(root); err != nil {
			errs = append(errs, fmt.Errorf("root %d of %d: %w", i+1, len(roots), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roots = slices.Clone(roots)
	for _, s := range r.sealers {
		s.keys.Store(r.derive(s.purpose))
	}
	return nil
}

const (
	// derived names what keys are derived for, so that a root that serves
	// another program too gives it other keys.
	derived = "gatewright seal v1: "
	// keyIDSize is in bytes. An id finds a key and is no secret; that two
	// keys of a ring share one is no harm: each is tried.
	keyIDSize = 4
)

// A Sealer seals and opens for one purpose. Its methods may be called concurrently.
type Sealer struct {
	purpose string
	keys    atomic.Pointer[[]sealingKey] // the first seals
}

type sealingKey struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// Sealer returns the sealer for purpose. What it seals no other purpose opens:
// its keys are its own.
func (r *Ring) Sealer(purpose string) *Sealer {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &Sealer{purpose: purpose}
	s.keys.Store(r.derive(purpose))
	r.sealers = append(r.sealers, s)
	return s
}

// derive makes the keys for purpose, one of each root.
func (r *Ring) derive(purpose string) *[]sealingKey {
	var keys []sealingKey
	for _, root := range r.roots {
		b, err := hkdf.Key(sha256.New, []byte(root.Reveal()), nil, derived+purpose, keyIDSize+chacha20poly1305.KeySize)
		if err != nil {
			panic("secret: " + err.Error()) // only where far more bytes are asked for
		}
		aead, err := chacha20poly1305.NewX(b[keyIDSize:])
		if err != nil {
			panic("secret: " + err.Error()) // only for a key of another length
		}
		keys = append(keys, sealingKey{[keyIDSize]byte(b[:keyIDSize]), aead})
	}
	return &keys
}

// Overhead is how many bytes longer than the plaintext a sealed text is,
// before base64url makes four of three.
const Overhead = keyIDSize + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// Seal encrypts plaintext so that only [Sealer.Open] with the same context
// reads it, and nobody changes it unseen. The text is base64url without
// padding: key id, nonce, XChaCha20-Poly1305. The nonce is random; of 192 bits
// no two are the same however many are sealed.
func (s *Sealer) Seal(plaintext []byte, context ...string) string {
	key := (*s.keys.Load())[0]
	out := make([]byte, keyIDSize+chacha20poly1305.NonceSizeX, len(plaintext)+Overhead)
	copy(out, key.id[:])
	nonce := out[keyIDSize:]
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(key.aead.Seal(out, nonce, plaintext, s.associated(context)))
}

// Open returns what [Sealer.Seal] was given, or ErrSealed for a text that was
// not sealed so: by another key, for another purpose, in another context, or
// changed in a single bit of its spelling.
func (s *Sealer) Open(text string, context ...string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder passes over newlines. One sealed text has one spelling.
	if err != nil || len(sealed) < Overhead || len(text) != base64.RawURLEncoding.EncodedLen(len(sealed)) {
		return nil, ErrSealed
	}
	id, nonce, sealed := sealed[:keyIDSize], sealed[keyIDSize:keyIDSize+chacha20poly1305.NonceSizeX], sealed[keyIDSize+chacha20poly1305.NonceSizeX:]
	ad := s.associated(context)
	for _, key := range *s.keys.Load() {
		if string(key.id[:]) != string(id) {
			continue
		}
		if plaintext, err := key.aead.Open(nil, nonce, sealed, ad); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrSealed
}

// associated is what is sealed along without being sent: purpose and context,
// each with its length, so that no two lists give the same bytes.
func (s *Sealer) associated(context []string) []byte {
	ad := binary.BigEndian.AppendUint64(nil, uint64(len(s.purpose)))
	ad = append(ad, s.purpose...)
	for _, c := range context {
		ad = binary.BigEndian.AppendUint64(ad, uint64(len(c)))
		ad = append(ad, c...)
	}
	return ad
}
