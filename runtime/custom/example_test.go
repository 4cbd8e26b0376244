package custom_test

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/custom"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
)

// serve is a server with one operation, for which a scheme is needed that a
// verifies. A generated server does the same for each of its operations.
func serve(a gate.Authenticator, place gate.Place) http.Handler {
	op := &gate.Operation{ID: "ping", Pattern: "/ping", Policy: gate.Require(gate.Need{Scheme: "partner"})}
	g, err := gate.New(gate.Config{
		Schemes:        []gate.Scheme{{Name: "partner", Places: []gate.Place{place}}},
		Authenticators: map[string]gate.Authenticator{"partner": a},
		Operations:     []*gate.Operation{op},
		PublicOrigin:   "https://api.example",
	})
	if err != nil {
		panic(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, ok := g.Admit(w, r, op); ok {
			client, _ := who.Client()
			fmt.Fprint(w, "pong to ", client.ID)
		}
	})
}

// send prints what the server answers to r: who was let in, or what is asked for.
func send(h http.Handler, r *http.Request) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		fmt.Println(w.Code, w.Body)
		return
	}
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
}

// rounds of PBKDF2 with SHA-256: what a guess costs who has stolen the hashes.
const rounds = 600_000

// A device is how the password of one is kept: a salt of its own, and what
// PBKDF2 makes of both.
type device struct{ salt, hash []byte }

// devices are the passwords, by name.
type devices map[string]device

func (d devices) VerifyPassword(_ context.Context, name, password string) (gate.Identity, error) {
	kept, known := d[name]
	if !known {
		// The same work, so that nobody finds out which names there are.
		kept = device{make([]byte, 16), make([]byte, sha256.Size)}
	}
	hash, err := pbkdf2.Key(sha256.New, password, kept.salt, rounds, sha256.Size)
	if err != nil {
		return gate.Identity{}, err // not known: 503
	}
	if subtle.ConstantTimeCompare(hash, kept.hash) == 0 || !known {
		return gate.Identity{}, fmt.Errorf("%w: no such name and password", gate.ErrInvalid)
	}
	return gate.Identity{Client: &gate.Client{ID: "device:" + name, Name: name}}, nil
}

func ExampleBasic() {
	salt, _ := hex.DecodeString("5f0c1b2a99d7e4c3a8b6f1e2d3c4b5a6") // random, one each
	hash, _ := pbkdf2.Key(sha256.New, "correct horse", salt, rounds, sha256.Size)
	basic, err := custom.Basic(devices{"gate-3": {salt, hash}}, limit.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := serve(basic, gate.Authorization("basic"))
	for _, password := range []string{"correct horse", "wrong horse"} {
		r := httptest.NewRequest("GET", "/ping", nil)
		r.SetBasicAuth("gate-3", password)
		send(h, r)
	}
	// Output:
	// 200 pong to device:gate-3
	// 401 Basic realm="api", charset="UTF-8"
}

// tickets are tokens of the application's own, each 256 random bits. Only the
// SHA-256 of one is kept: who reads the table opens nothing with it, and how
// long a look into it takes tells nothing that leads to a token.
type tickets map[[sha256.Size]byte]string

func (t tickets) VerifyToken(_ context.Context, token string) (gate.Identity, error) {
	partner, known := t[sha256.Sum256([]byte(token))]
	if !known {
		return gate.Identity{}, fmt.Errorf("%w: there is no such ticket", gate.ErrInvalid)
	}
	return gate.Identity{Client: &gate.Client{ID: "partner:" + partner}, Scopes: gate.Scopes{"stock:read"}}, nil
}

func ExampleToken() {
	const ticket = "nQ3vX0rT8mB5kZ1yL7cJ4wH9sD2fG6pA" // random; a partner keeps it
	place := gate.Place{In: gate.InHeader, Name: "X-Ticket"}
	token, err := custom.Token(tickets{sha256.Sum256([]byte(ticket)): "acme"}, place)
	if err != nil {
		fmt.Println(err)
		return
	}
	h := serve(token, place)
	for _, sent := range []string{ticket, "another"} {
		r := httptest.NewRequest("GET", "/ping", nil)
		r.Header.Set("X-Ticket", sent)
		send(h, r)
	}
	// Output:
	// 200 pong to partner:acme
	// 401 ApiKey in="header", name="X-Ticket"
}

// window is how far the Date of a signed request may be from now.
const window = 2 * time.Minute

// signers verify requests that say Authorization: Hmac NAME:SIGNATURE.
type signers struct {
	keys map[string][]byte // at least 32 random bytes each, by name
	now  func() time.Time
}

func (s signers) VerifyRequest(_ context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	name, text, _ := strings.Cut(c.Value, ":")
	sent, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return gate.Identity{}, fmt.Errorf("%w: the signature is not base64url", gate.ErrInvalid)
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil || s.now().Sub(date).Abs() > window {
		return gate.Identity{}, fmt.Errorf("%w: Date is missing or too far from now", gate.ErrInvalid)
	}
	if r.ContentLength != 0 && r.Header.Get("Content-Digest") == "" {
		return gate.Identity{}, fmt.Errorf("%w: the body has no Content-Digest", gate.ErrInvalid)
	}
	key, known := s.keys[name]
	if !hmac.Equal(sent, signature(key, r)) || !known { // anybody signs with no key
		return gate.Identity{}, fmt.Errorf("%w: no partner signed this", gate.ErrInvalid)
	}
	return gate.Identity{Client: &gate.Client{ID: "partner:" + name}}, nil
}

// signature is the HMAC-SHA256 of what counts of r, with a line end after each.
func signature(key []byte, r *http.Request) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{r.Method, r.URL.RequestURI(), r.Header.Get("Date"), r.Header.Get("Content-Digest")} {
		mac.Write([]byte(part + "\n"))
	}
	return mac.Sum(nil)
}

func ExampleRequest() {
	key := []byte("32 random bytes, made for this partner")
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	verifier := signers{map[string][]byte{"swift": key}, func() time.Time { return noon }}
	request, err := custom.Request(verifier, gate.Authorization("hmac"))
	if err != nil {
		fmt.Println(err)
		return
	}
	h := serve(request, gate.Authorization("hmac"))
	signed := func(at time.Time) *http.Request {
		const body = `{"item":"bolt-8","count":5}`
		sum := sha256.Sum256([]byte(body))
		r := httptest.NewRequest("POST", "/ping?x=1", strings.NewReader(body))
		r.Header.Set("Date", at.Format(http.TimeFormat))
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		r.Header.Set("Authorization", "Hmac swift:"+base64.RawURLEncoding.EncodeToString(signature(key, r)))
		return r
	}
	send(h, signed(noon))
	send(h, signed(noon.Add(-time.Hour)))
	changed := signed(noon)
	changed.URL.RawQuery = "x=2"
	send(h, changed)
	unsigned := signed(noon)
	unsigned.Header.Del("Content-Digest")
	unsigned.Body = io.NopCloser(strings.NewReader("another body"))
	send(h, unsigned)
	// Output:
	// 200 pong to partner:swift
	// 401 Hmac
	// 401 Hmac
	// 401 Hmac
}
