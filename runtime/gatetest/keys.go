package gatetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// unlimited holds nobody back: all requests of the tests come from one address,
// and most of them fail.
var unlimited = limit.Limits{AddressBurst: 1 << 30, AddressEvery: time.Nanosecond, KeyBurst: 1 << 30, KeyEvery: time.Nanosecond}

// people are those that papers speak of.
type people struct{ ann, bob, disabled user.Record }

// keyring makes real keys on a store of its own.
type keyring struct {
	stores store.Stores
	people people
	keys   *apikey.Keys // what the handler verifies with
	past   *apikey.Keys // makes keys as it was a day ago
	lost   *apikey.Keys // makes keys that no store knows
	minted map[string]string
	porter *porter // makes sessions; nil where no scheme takes any
	// issuer makes access tokens, registry certificates; nil as porter.
	issuer   *mint
	registry *registry
}

// newKeyring opens a store in dir, and makes keys and sessions for those of
// schemes that take them.
func newKeyring(dir string, schemes []Scheme) (*keyring, error) {
	var keyed []string
	for _, s := range schemes {
		if s.Verifier == "apikey" {
			keyed = append(keyed, s.Name)
		}
	}
	ctx := context.Background()
	stores, err := sqlite.Open(ctx, filepath.Join(dir, "gatetest.db"))
	if err != nil {
		return nil, fmt.Errorf("gatetest: %w", err)
	}
	k := &keyring{stores: stores, minted: make(map[string]string)}
	vouches := user.Local
	var mintErr, registryErr error
	if k.issuer, mintErr = newMint(dir, schemes); k.issuer != nil && mintErr == nil {
		vouches = k.issuer.server.URL // one person is the same, however they come
		mintErr = k.issuer.open(dir, stores, schemes)
	}
	k.registry, registryErr = newRegistry(dir, schemes)
	cfg := apikey.Config{
		Store:       mayFail{stores.Keys()},
		Users:       stores.Users(),
		Environment: apikey.Test,
		Schemes:     keyed,
		Limits:      unlimited,
	}
	past, lost := cfg, cfg
	past.Now = func() time.Time { return time.Now().Add(-24 * time.Hour) }
	lost.Store = forgets{stores.Keys()}
	var errs [7]error
	k.keys, errs[0] = apikey.New(cfg)
	k.past, errs[1] = apikey.New(past)
	k.lost, errs[2] = apikey.New(lost)
	k.people.ann, errs[3] = stores.Users().Ensure(ctx, vouches, "ann", user.Profile{Name: "Ann"})
	k.people.bob, errs[4] = stores.Users().Ensure(ctx, vouches, "bob", user.Profile{Name: "Bob"})
	k.people.disabled, errs[5] = stores.Users().Ensure(ctx, vouches, "eve", user.Profile{Name: "Eve"})
	k.porter, errs[6] = newPorter(stores, schemes)
	if err := errors.Join(append(errs[:], mintErr, registryErr)...); err != nil {
		k.close()
		return nil, fmt.Errorf("gatetest: %w", err)
	}
	return k, nil
}

// close closes the store.
func (k *keyring) close() {
	if k.issuer != nil && k.issuer.server != nil {
		k.issuer.server.Close()
	}
	_ = k.stores.Close() // a temporary file
}

// mint returns a key in the state that kind names, made now or before.
func (k *keyring) mint(kind string, schemes, scopes []string, owner user.Record) (string, error) {
	name := fmt.Sprintf("%q %q %q %q", kind, schemes, scopes, owner.ID)
	if key, there := k.minted[name]; there {
		return key, nil
	}
	key, err := k.make(kind, schemes, scopes, owner)
	if err != nil {
		return "", fmt.Errorf("gatetest: %w", err)
	}
	k.minted[name] = key
	return key, nil
}

func (k *keyring) make(kind string, schemes, scopes []string, owner user.Record) (string, error) {
	ctx := context.Background()
	req := apikey.CreateRequest{Owner: apikey.Owner{User: owner.ID}, Label: "gatetest", Schemes: schemes, Scopes: scopes}
	keys := k.keys
	switch kind {
	case unknown:
		keys = k.lost
	case expired:
		keys = k.past
		req.Expires = time.Now().Add(-time.Hour)
	}
	if kind == disabled {
		// Nobody disabled can be given a key.
		if err := k.stores.Users().SetDisabled(ctx, owner.ID, false); err != nil {
			return "", err
		}
	}
	key, rec, err := keys.Create(ctx, req)
	if err != nil {
		return "", err
	}
	switch kind {
	case revoked:
		err = k.keys.Revoke(ctx, rec.ID)
	case disabled:
		err = k.stores.Users().SetDisabled(ctx, owner.ID, true)
	}
	if err != nil {
		return "", err
	}
	return key.Reveal(), nil
}

// down is the key of a context in which the store does not answer.
type down struct{}

var errDown = errors.New("gatetest: the backend is down")

// mayFail is a store that loads nothing where the context says so.
type mayFail struct{ apikey.Store }

func (s mayFail) Load(ctx context.Context, id string) (apikey.Record, error) {
	if ctx.Value(down{}) != nil {
		return apikey.Record{}, errDown
	}
	return s.Store.Load(ctx, id)
}

// forgets is a store that keeps nothing it is given.
type forgets struct{ apikey.Store }

func (forgets) Create(context.Context, apikey.Record) error { return nil }

// authenticator returns the real verifier of a scheme.
func (k *keyring) authenticator(s Scheme) gate.Authenticator {
	switch {
	case isSession(s) && takesTokens(s):
		return k.issuer.authenticator(s, k.porter.authenticator(s))
	case isSession(s):
		return k.porter.authenticator(s)
	case takesTokens(s):
		return k.issuer.authenticator(s, nil)
	case s.Verifier == "certificate":
		return k.registry.certificates.Scheme()
	}
	return k.keys.Scheme(s.Name, s.Places...)
}
