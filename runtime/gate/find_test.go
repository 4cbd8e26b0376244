package gate_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

var (
	inKey    = gate.Place{In: gate.InHeader, Name: "X-Api-Key"}
	inQuery  = gate.Place{In: gate.InQuery, Name: "api key"}
	inCookie = gate.Place{In: gate.InCookie, Name: "__Host-s"}
	inCert   = gate.Place{In: gate.InCertificate}
	bearer   = gate.Authorization("Bearer")
	basic    = gate.Authorization("basic")
	anyWord  = gate.Authorization("")
)

// request has header lines "Name: value" and the query given. Its body fails
// the test when it is read.
func request(t *testing.T, query string, lines ...string) *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	r.URL.RawQuery = query
	r.Body = unreadable{t}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		r.Header.Add(name, value)
	}
	return r
}

type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("unreadable")
}

func (unreadable) Close() error { return nil }

func TestPlaceFind(t *testing.T) {
	dup, bad := gate.ErrDuplicate, gate.ErrInvalid
	for _, c := range []struct {
		name  string
		place gate.Place
		query string
		lines []string
		found bool
		value string
		err   error
	}{
		{"header", inKey, "", []string{"X-API-Key: k"}, true, "k", nil},
		{"header, canonical by itself", gate.Place{In: gate.InHeader, Name: "x-api-key"}, "", []string{"X-API-Key: k"}, true, "k", nil},
		{"header of another name", inKey, "", []string{"X-Key: k"}, false, "", nil},
		{"header in the query", inKey, "X-Api-Key=k", nil, false, "", nil},
		{"two header lines", inKey, "", []string{"X-API-Key: k", "X-API-Key: k"}, true, "", dup},
		{"comma list", inKey, "", []string{"X-API-Key: k, k"}, true, "", dup},
		{"empty header", inKey, "", []string{"X-API-Key: "}, true, "", bad},
		{"header of blanks", inKey, "", []string{"X-API-Key:  \t "}, true, "", bad},

		{"parameter", inQuery, "x=1&api+key=a%20b&y", nil, true, "a b", nil},
		{"parameter, escaped name", inQuery, "%61pi%20key=k", nil, true, "k", nil},
		{"parameter of another case", inQuery, "Api+Key=k", nil, false, "", nil},
		{"parameter twice", inQuery, "api+key=k&api%20key=k", nil, true, "", dup},
		{"parameter twice, once empty", inQuery, "api+key&api+key=k", nil, true, "", dup},
		{"empty parameter", inQuery, "api+key=", nil, true, "", bad},
		{"parameter without value", inQuery, "api+key", nil, true, "", bad},
		{"parameter that cannot be unescaped", inQuery, "api+key=%zz", nil, true, "", bad},
		{"parameter with a semicolon", inQuery, "api+key=k;x=1", nil, true, "", bad},
		{"another that cannot be unescaped", inQuery, "%zz=1&api+key=k", nil, true, "k", nil},
		{"parameter in a header", inQuery, "", []string{"Api-Key: k"}, false, "", nil},
		{"no query", gate.Place{In: gate.InQuery}, "", nil, false, "", nil},

		{"cookie", inCookie, "", []string{"Cookie: x=1; __Host-s=v; y"}, true, "v", nil},
		{"cookie of another case", inCookie, "", []string{"Cookie: __host-s=v"}, false, "", nil},
		{"cookie with an equals sign", inCookie, "", []string{"Cookie: __Host-s=v=="}, true, "v==", nil},
		{"cookie that net/http drops", inCookie, "", []string{"Cookie: __Host-s=v\x01"}, true, "v\x01", nil},
		{"empty cookie", inCookie, "", []string{"Cookie: __Host-s="}, true, "", nil},
		{"cookie twice", inCookie, "", []string{"Cookie: __Host-s=v; __Host-s=v"}, true, "", dup},
		{"cookie in two lines", inCookie, "", []string{"Cookie: __Host-s=v", "Cookie: __Host-s=w"}, true, "", dup},

		{"bearer", bearer, "", []string{"Authorization: Bearer t"}, true, "t", nil},
		{"bearer of another case, blanks", bearer, "", []string{"Authorization: bEARER  \t t "}, true, "t", nil},
		{"other word", bearer, "", []string{"Authorization: Basic t"}, false, "", nil},
		{"word that only begins so", bearer, "", []string{"Authorization: Bearerx t"}, false, "", nil},
		{"bearer without a token", bearer, "", []string{"Authorization: Bearer"}, true, "", bad},
		{"two lines of Authorization", bearer, "", []string{"Authorization: Basic x", "Authorization: Bearer t"}, true, "", dup},
		{"two lines of other words", bearer, "", []string{"Authorization: Basic x", "Authorization: Basic t"}, true, "", dup},
		{"comma list of tokens", bearer, "", []string{"Authorization: Bearer t, Bearer t"}, true, "", dup},
		{"comma list of Basic", basic, "", []string{"Authorization: Basic eA==,Basic eA=="}, true, "", dup},
		{"parameters", gate.Authorization("Digest"), "", []string{`Authorization: Digest a="b", c="d"`}, true, `a="b", c="d"`, nil},
		{"any word", anyWord, "", []string{"Authorization: Token k"}, true, "k", nil},
		{"no word", anyWord, "", []string{"Authorization: k"}, true, "k", nil},
		{"nothing", anyWord, "", []string{"Authorization: "}, true, "", bad},
		{"no Authorization", anyWord, "", nil, false, "", nil},
		{"any word, comma list", anyWord, "", []string{"Authorization: Token k, Token l"}, true, "", dup},
		{"Proxy-Authorization", bearer, "", []string{"Proxy-Authorization: Bearer t"}, false, "", nil},

		{"no certificate", inCert, "", nil, false, "", nil},
		{"a place that is none", gate.Place{In: "body", Name: "k"}, "k=1", []string{"K: 1"}, false, "", nil},
		{"the zero place", gate.Place{}, "=1", nil, false, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cred, found, err := c.place.Find(request(t, c.query, c.lines...))
			if found != c.found || cred.Value != c.value || !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Errorf("Find(%q, %q) = %q, %v, %v, want %q, %v, %v", c.query, c.lines, cred.Value, found, err, c.value, c.found, c.err)
			}
			if found && cred.Place != c.place {
				t.Errorf("place %v, want %v", cred.Place, c.place)
			}
			if err != nil && strings.Contains(err.Error(), "k;") {
				t.Errorf("error %q holds the credential", err)
			}
		})
	}
	t.Run("certificate", func(t *testing.T) {
		r := request(t, "")
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte("x")}}}
		cred, found, err := inCert.Find(r)
		if want := "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"; cred.Value != want || !found || err != nil {
			t.Errorf("Find = %v, %v, %v, want %s", cred, found, err, want)
		}
	})
}

func TestFindIn(t *testing.T) {
	places := []gate.Place{inCookie, bearer, inKey}
	for _, c := range []struct {
		name  string
		lines []string
		found bool
		value string
		err   error
	}{
		{"none", nil, false, "", nil},
		{"cookie", []string{"Cookie: __Host-s=c"}, true, "c", nil},
		{"bearer", []string{"Authorization: Bearer t"}, true, "t", nil},
		{"the header counts", []string{"Cookie: __Host-s=c", "Authorization: Bearer t"}, true, "t", nil},
		{"the cookie beside a header is not looked at", []string{"Cookie: __Host-s=c; __Host-s=d", "Authorization: Bearer t"}, true, "t", nil},
		{"an empty header counts", []string{"Cookie: __Host-s=c", "Authorization: Bearer"}, true, "", gate.ErrInvalid},
		{"two headers", []string{"X-API-Key: k", "Authorization: Bearer t"}, true, "t", gate.ErrDuplicate},
		{"cookie twice", []string{"Cookie: __Host-s=c; __Host-s=d"}, true, "", gate.ErrDuplicate},
	} {
		t.Run(c.name, func(t *testing.T) {
			cred, found, err := gate.FindIn(request(t, "", c.lines...), places...)
			if found != c.found || cred.Value != c.value || !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Errorf("FindIn(%q) = %q, %v, %v, want %q, %v, %v", c.lines, cred.Value, found, err, c.value, c.found, c.err)
			}
		})
	}
	other := gate.Place{In: gate.InCookie, Name: "o"}
	if _, _, err := gate.FindIn(request(t, "", "Cookie: __Host-s=c; o=d"), inCookie, other); !errors.Is(err, gate.ErrDuplicate) {
		t.Errorf("FindIn two cookies = %v, want %v", err, gate.ErrDuplicate)
	}
}

// FuzzPlaceFind checks that whatever is sent, a value is found once or not at
// all, and that nothing found is empty unless it is a cookie.
func FuzzPlaceFind(f *testing.F) {
	f.Add("Bearer t", "a=1&k=%zz&k", "k=1; k=2")
	f.Add("k", "k=1;k=2", "k")
	f.Add("  Basic \t x,y", "%6b=%2", "k=\"v\"; =; ;k")
	f.Fuzz(func(t *testing.T, header, query, cookie string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		r.Header.Set("K", header)
		r.Header.Set("Cookie", cookie)
		r.URL.RawQuery = query
		for _, p := range []gate.Place{
			{In: gate.InHeader, Name: "K"}, {In: gate.InQuery, Name: "k"}, {In: gate.InCookie, Name: "k"}, bearer, basic, anyWord,
		} {
			c, found, err := p.Find(r)
			switch {
			case !found && (c != gate.Credential{} || err != nil):
				t.Errorf("%v: Find = %v, %v though not found", p, c, err)
			case found && c.Place != p:
				t.Errorf("%v: Find = place %v", p, c.Place)
			case err != nil && c.Value != "":
				t.Errorf("%v: Find = %v with error %v", p, c, err)
			case found && err == nil && c.Value == "" && p.In != gate.InCookie:
				t.Errorf("%v: Find = an empty value", p)
			case err != nil && !errors.Is(err, gate.ErrDuplicate) && !errors.Is(err, gate.ErrInvalid):
				t.Errorf("%v: Find = %v", p, err)
			}
		}
		// What the standard library reads as given twice is given twice.
		if len(r.URL.Query()["k"]) > 1 {
			if _, _, err := (gate.Place{In: gate.InQuery, Name: "k"}).Find(r); !errors.Is(err, gate.ErrDuplicate) {
				t.Errorf("query %q: Find = %v, want %v", query, err, gate.ErrDuplicate)
			}
		}
		if len(r.CookiesNamed("k")) > 1 {
			if _, _, err := (gate.Place{In: gate.InCookie, Name: "k"}).Find(r); !errors.Is(err, gate.ErrDuplicate) {
				t.Errorf("cookie %q: Find = %v, want %v", cookie, err, gate.ErrDuplicate)
			}
		}
	})
}

// peer is a connection with a client certificate.
var peer = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte("x")}}}
