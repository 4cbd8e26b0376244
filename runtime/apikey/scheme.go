package apikey

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/gatewright/gatewright/runtime/gate"
)

// Scheme returns the authenticator of the document's scheme with that name,
// whose key lies in one of places: a header, a query parameter, a cookie, or
// Authorization under a scheme word. Under Basic the user name is apikey and
// the password the key. For a name that is not among [Config.Schemes], and for
// places that hold no key, it is one that refuses everybody and says why.
func (k *Keys) Scheme(name string, places ...gate.Place) gate.Authenticator {
	if !slices.Contains(k.cfg.Schemes, name) {
		return gate.Refuse(fmt.Sprintf("apikey: scheme %q is not among those that take keys: %s", name, list(k.cfg.Schemes)))
	}
	if len(places) == 0 {
		return gate.Refuse(fmt.Sprintf("apikey: scheme %q names no place for a key", name))
	}
	for _, p := range places {
		if p.In != gate.InHeader && p.In != gate.InQuery && p.In != gate.InCookie && p.In != gate.InAuthorization {
			return gate.Refuse(fmt.Sprintf("apikey: scheme %q: no key lies in a %s", name, p.In))
		}
	}
	return &scheme{keys: k, name: name, places: slices.Clone(places)}
}

// A scheme verifies keys for one of the document's schemes.
type scheme struct {
	keys   *Keys
	name   string
	places []gate.Place
}

func (s *scheme) Find(r *http.Request) (gate.Credential, bool, error) {
	return gate.FindIn(r, s.places...)
}

func (s *scheme) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	return s.keys.verify(ctx, r, s.name, c)
}

// Challenge asks for a key in the first place: a scheme has one challenge.
func (s *scheme) Challenge(cause error) string { return s.places[0].Challenge(cause) }
