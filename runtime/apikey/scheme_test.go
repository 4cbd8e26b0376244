package apikey_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
)

// TestSchemePlaces asks a gate with each kind of place: without a key, with a
// good one, a wrong one, one given twice, and one where it does not belong.
func TestSchemePlaces(t *testing.T) {
	query := gate.Place{In: gate.InQuery, Name: "api_key"}
	cookie := gate.Place{In: gate.InCookie, Name: "key"}
	basic := func(key string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("apikey:"+key))
	}
	type put func(r *http.Request, key string)
	add := func(name, before string) put {
		return func(r *http.Request, key string) { r.Header.Add(name, before+key) }
	}
	addQuery := func(r *http.Request, key string) { r.URL.RawQuery += "&api_key=" + key }
	for name, c := range map[string]struct {
		place     gate.Place
		put       put
		elsewhere put
		challenge string
	}{
		"header": {header, add("X-Api-Key", ""), addQuery, `ApiKey in="header", name="X-Api-Key"`},
		"query":  {query, addQuery, add("X-Api-Key", ""), `ApiKey in="query", name="api_key"`},
		"cookie": {cookie, add("Cookie", "key="), addQuery, `Cookie`},
		"word":   {gate.Authorization("ApiKey"), add("Authorization", "apikey "), add("Authorization", "Bearer "), `ApiKey`},
		"bearer": {gate.Authorization("bearer"), add("Authorization", "Bearer "), add("Authorization", ""), `Bearer realm="api"`},
		"basic":  {gate.Authorization("basic"), func(r *http.Request, key string) { r.Header.Add("Authorization", basic(key)) }, add("X-Api-Key", ""), `Basic realm="api", charset="UTF-8"`},
		"whole":  {gate.Authorization(""), add("Authorization", ""), addQuery, `ApiKey in="header", name="Authorization"`},
		"any":    {gate.Authorization(""), add("Authorization", "Whatever "), addQuery, `ApiKey in="header", name="Authorization"`},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, nil)
			key, _ := f.create(t, apikey.CreateRequest{})
			op := &gate.Operation{ID: "op", Pattern: "GET /", Policy: gate.Require(gate.Need{Scheme: "apiKey"})}
			g, err := gate.New(gate.Config{
				Schemes:        []gate.Scheme{{Name: "apiKey", Places: []gate.Place{c.place}}},
				Authenticators: map[string]gate.Authenticator{"apiKey": f.keys.Scheme("apiKey", c.place)},
				Operations:     []*gate.Operation{op},
				PublicOrigin:   "https://blog.example",
			})
			if err != nil {
				t.Fatal(err)
			}
			for what, a := range map[string]struct {
				put  func(r *http.Request)
				want int
			}{
				"nothing":   {func(*http.Request) {}, 401},
				"good":      {func(r *http.Request) { c.put(r, key) }, 200},
				"wrong":     {func(r *http.Request) { c.put(r, wrongSecret(key)) }, 401},
				"malformed": {func(r *http.Request) { c.put(r, key+"0") }, 401},
				"twice":     {func(r *http.Request) { c.put(r, key); c.put(r, key) }, 400},
				"elsewhere": {func(r *http.Request) { c.elsewhere(r, key) }, 401},
			} {
				r := httptest.NewRequest("GET", "/", nil)
				a.put(r)
				w := httptest.NewRecorder()
				who, ok := g.Admit(w, r, op)
				if ok != (a.want == 200) || !ok && w.Code != a.want {
					t.Errorf("%s: Admit() = %v, status %d, want %d", what, ok, w.Code, a.want)
				}
				if ok {
					if client, found := who.Client(); !found || client.ID != "robot" {
						t.Errorf("%s: the client is %+v, want robot", what, client)
					}
				}
				if got := w.Header().Get("WWW-Authenticate"); a.want == 401 && !strings.HasPrefix(got, c.challenge) {
					t.Errorf("%s: WWW-Authenticate %q, want %q", what, got, c.challenge)
				}
				if strings.Contains(w.Body.String(), key[22:]) {
					t.Errorf("%s: the answer shows the key", what)
				}
			}
		})
	}
}

// TestOthersCredentialsAreNotCounted: a scheme that shares its place with
// another refuses what is meant for that one, and holds it against nobody: the
// other may find it good, also from an address that is limited here.
func TestOthersCredentialsAreNotCounted(t *testing.T) {
	basic, bearer, whole := gate.Authorization("basic"), gate.Authorization("bearer"), gate.Authorization("")
	for name, c := range map[string]gate.Credential{
		"a token":           {Place: bearer, Value: "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"},
		"a token, any word": {Place: whole, Value: "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"},
		"another user name": {Place: basic, Value: base64.StdEncoding.EncodeToString([]byte("ada:hunter2"))},
		"a long password":   {Place: basic, Value: base64.StdEncoding.EncodeToString([]byte("ada:" + strings.Repeat("a", 1000)))},
	} {
		f := setup(t, func(c *apikey.Config) { c.Limits = limit.Limits{AddressBurst: 1, KeyBurst: 1} })
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = home
		for _, when := range []string{"at first", "again", "from a limited address"} {
			if when == "from a limited address" {
				_, _ = f.verify(home, "nonsense")
			}
			_, err := f.keys.Scheme("apiKey", c.Place).Verify(r.Context(), r, c)
			if !errors.Is(err, gate.ErrInvalid) {
				t.Errorf("%s %s: Verify() = %v, want ErrInvalid", name, when, err)
			}
		}
	}
}

// TestKeyOfAnotherSchemeIsNotCounted: nor is a good key, which may be meant
// for the scheme beside this one.
func TestKeyOfAnotherSchemeIsNotCounted(t *testing.T) {
	f := setup(t, func(c *apikey.Config) { c.Limits = limit.Limits{AddressBurst: 1, KeyBurst: 1} })
	key, _ := f.create(t, apikey.CreateRequest{Schemes: []string{"other"}})
	for range 5 {
		if _, err := f.verify(home, key); !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("Verify() = %v, want ErrInvalid", err)
		}
	}
}

// TestSchemesShareHeader: where two schemes have their keys in one header, a key
// of either is let in any number of times, and neither the key nor its address
// comes closer to a limit.
func TestSchemesShareHeader(t *testing.T) {
	for _, schemes := range [][]string{{"apiKey"}, {"other"}, nil} {
		f := setup(t, func(c *apikey.Config) { c.Limits = limit.Limits{AddressBurst: 1, KeyBurst: 1} })
		key, _ := f.create(t, apikey.CreateRequest{Schemes: schemes})
		op := &gate.Operation{ID: "op", Pattern: "GET /", Policy: gate.Require(gate.Need{Scheme: "apiKey"}).Or(gate.Require(gate.Need{Scheme: "other"}))}
		g, err := gate.New(gate.Config{
			Schemes:        []gate.Scheme{{Name: "apiKey", Places: []gate.Place{header}}, {Name: "other", Places: []gate.Place{header}}},
			Authenticators: map[string]gate.Authenticator{"apiKey": f.keys.Scheme("apiKey", header), "other": f.keys.Scheme("other", header)},
			Operations:     []*gate.Operation{op},
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(key string) int {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = home
			r.Header.Set("X-Api-Key", key)
			w := httptest.NewRecorder()
			g.Admit(w, r, op)
			return w.Code
		}
		for i := range 5 {
			if status := ask(key); status != 200 {
				t.Fatalf("key of %q: request %d = %d, want 200", schemes, i, status)
			}
		}
		if _, err := f.verify(home, wrongSecret(key)); !errors.Is(err, gate.ErrInvalid) {
			t.Errorf("key of %q: the first failure = %v, want ErrInvalid", schemes, err)
		}
	}
}

// TestSchemeRefuses: what cannot be verified is refused, and says why.
func TestSchemeRefuses(t *testing.T) {
	f := setup(t, nil)
	for name, c := range map[string]struct {
		authenticator gate.Authenticator
		want          string
	}{
		"unknown name":  {f.keys.Scheme("login", header), "apiKey, basic, other"},
		"no place":      {f.keys.Scheme("apiKey"), "no place"},
		"certificate":   {f.keys.Scheme("apiKey", gate.Place{In: gate.InCertificate}), "certificate"},
		"zero place":    {f.keys.Scheme("apiKey", gate.Place{}), "no key lies"},
		"one of two":    {f.keys.Scheme("apiKey", header, gate.Place{In: gate.InCertificate}), "certificate"},
		"nothing wrong": {f.keys.Scheme("apiKey", header), ""},
	} {
		why, refused := gate.Refused(c.authenticator)
		if refused != (c.want != "") || !strings.Contains(why, c.want) {
			t.Errorf("%s: Refused() = %q, %v, want %q", name, why, refused, c.want)
		}
	}
}
