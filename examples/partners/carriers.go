package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
)

// signatureLife is how far the Date of a signed request may be from now.
const signatureLife = 2 * time.Minute

// carriers verify requests that carriers sign with a secret of their own:
//
//	Authorization: Hmac NAME:SIGNATURE
//
// SIGNATURE is the HMAC-SHA256, in base64url, of method, path and query, Date and
// Content-Digest, with a line end after each. The body is signed by its digest
// (RFC 9530), which the server compares when it reads the body.
type carriers struct {
	secrets map[string]secret.Value // by name

	mu   sync.Mutex
	seen map[string]time.Time // signatures that were taken, until when they would be good
}

// readCarriers reads dir/carrier-NAME.secret for each carrier.
func readCarriers(dir string) (*carriers, error) {
	c := &carriers{secrets: make(map[string]secret.Value), seen: make(map[string]time.Time)}
	files, err := filepath.Glob(filepath.Join(dir, "carrier-*.secret"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		value, err := secret.File(file)
		if err != nil {
			return nil, err
		}
		if len(value.Reveal()) < 32 {
			return nil, fmt.Errorf("%s: a secret of less than 32 bytes can be guessed", file)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "carrier-"), ".secret")
		c.secrets[name] = value
	}
	return c, nil
}

// VerifyRequest implements custom.RequestVerifier.
func (c *carriers) VerifyRequest(_ context.Context, r *http.Request, cred gate.Credential) (gate.Identity, error) {
	name, text, _ := strings.Cut(cred.Value, ":")
	sent, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return gate.Identity{}, fmt.Errorf("%w: the signature is not base64url", gate.ErrInvalid)
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil || time.Since(date).Abs() > signatureLife {
		return gate.Identity{}, fmt.Errorf("%w: Date is missing or too far from now", gate.ErrInvalid)
	}
	if r.ContentLength != 0 && r.Header.Get("Content-Digest") == "" {
		return gate.Identity{}, fmt.Errorf("%w: the body has no Content-Digest", gate.ErrInvalid)
	}
	key, known := c.secrets[name]
	// The same work for a name that is not known: nobody is to find out which are.
	if !hmac.Equal(sent, sign(key, r)) || !known {
		return gate.Identity{}, fmt.Errorf("%w: no carrier signed this", gate.ErrInvalid)
	}
	if !c.first(string(sent), date.Add(signatureLife)) {
		return gate.Identity{}, fmt.Errorf("%w: it was sent before", gate.ErrInvalid)
	}
	return gate.Identity{Client: &gate.Client{ID: "carrier:" + name, Name: name}}, nil
}

// sign is the signature of r.
func sign(key secret.Value, r *http.Request) []byte {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	for _, part := range []string{r.Method, r.URL.RequestURI(), r.Header.Get("Date"), r.Header.Get("Content-Digest")} {
		mac.Write([]byte(part + "\n"))
	}
	return mac.Sum(nil)
}

// first tells whether a good signature is there for the first time. Only who
// has a secret fills this memory, and it is empty again after minutes.
func (c *carriers) first(signature string, until time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for s, end := range c.seen {
		if now.After(end) {
			delete(c.seen, s)
		}
	}
	if _, seen := c.seen[signature]; seen {
		return false
	}
	c.seen[signature] = until
	return true
}
