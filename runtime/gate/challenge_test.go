package gate_test

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

func TestPlaceChallenge(t *testing.T) {
	lacks := &gate.InsufficientScope{Scopes: []string{"posts:write", "x"}}
	for _, c := range []struct {
		name  string
		place gate.Place
		cause error
		want  string
	}{
		{"header", gate.Place{In: gate.InHeader, Name: "X-API-Key"}, nil, `ApiKey in="header", name="X-API-Key"`},
		{"query", inQuery, gate.ErrInvalid, `ApiKey in="query", name="api key"`},
		{"query, to be quoted", gate.Place{In: gate.InQuery, Name: "a\"\\\r\nb"}, nil, `ApiKey in="query", name="a\"\\  b"`},
		{"cookie", inCookie, nil, "Cookie"},
		{"certificate", inCert, nil, "Mutual"},
		{"basic", basic, gate.ErrInvalid, `Basic realm="api", charset="UTF-8"`},
		{"bearer, nothing presented", bearer, nil, `Bearer realm="api"`},
		{"bearer, invalid", bearer, fmt.Errorf("wrapped: %w", gate.ErrInvalid), `Bearer realm="api", error="invalid_token"`},
		{"bearer, scopes", bearer, lacks, `Bearer realm="api", error="insufficient_scope", scope="posts:write x"`},
		{"bearer, no scopes", bearer, &gate.InsufficientScope{}, `Bearer realm="api", error="insufficient_scope"`},
		{"bearer, a scope that is none", bearer, &gate.InsufficientScope{Scopes: []string{"a", `b"`}}, `Bearer realm="api", error="insufficient_scope"`},
		{"bearer, a scope of two words", bearer, &gate.InsufficientScope{Scopes: []string{"a b"}}, `Bearer realm="api", error="insufficient_scope"`},
		{"bearer, twice", bearer, fmt.Errorf("wrapped: %w", gate.ErrDuplicate), `Bearer realm="api", error="invalid_request"`},
		{"bearer, an invalid that says more", bearer, &gate.InvalidError{Challenge: "x"}, `Bearer realm="api", error="invalid_token"`},
		{"dpop, nothing presented", gate.Authorization("DPoP"), nil, `DPoP realm="api"`},
		{"dpop, invalid", gate.Authorization("DPoP"), gate.ErrInvalid, `DPoP realm="api", error="invalid_token"`},
		{"dpop, scopes", gate.Authorization("DPoP"), lacks, `DPoP realm="api", error="insufficient_scope", scope="posts:write x"`},
		{"bearer, some other error", bearer, errors.New("x"), `Bearer realm="api"`},
		{"apikey", gate.Authorization("ApiKey"), nil, "ApiKey"},
		{"any word", anyWord, nil, `ApiKey in="header", name="Authorization"`},
		{"registered word", gate.Authorization("HOBA"), nil, "Hoba"},
		{"a word that is none", gate.Authorization("a,b"), nil, ""},
		{"the zero place", gate.Place{}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.place.Challenge(c.cause); got != c.want {
				t.Errorf("Challenge(%v) = %s, want %s", c.cause, got, c.want)
			}
		})
	}
}

// FuzzChallenge checks that no name and no scope gets out of its quotes.
func FuzzChallenge(f *testing.F) {
	f.Add(`a"b\c`, "s t")
	f.Add("a\r\nSet-Cookie: x=1", `s" error="x`)
	f.Fuzz(func(t *testing.T, name, scope string) {
		got := gate.Place{In: gate.InQuery, Name: name}.Challenge(nil)
		inside, ok := strings.CutPrefix(got, `ApiKey in="query", name="`)
		inside, end := strings.CutSuffix(inside, `"`)
		if !ok || !end || !quotable(inside) {
			t.Errorf("Challenge of %q = %q, which does not hold together", name, got)
		}
		got = bearer.Challenge(&gate.InsufficientScope{Scopes: []string{scope}})
		rest, ok := strings.CutPrefix(got, `Bearer realm="api", error="insufficient_scope"`)
		if !ok || rest != "" && rest != `, scope="`+scope+`"` || rest != "" && !quotable(scope) {
			t.Errorf("Challenge of scope %q = %q", scope, got)
		}
		if got != textproto.TrimString(got) {
			t.Errorf("Challenge of scope %q = %q, which has blanks at an end", scope, got)
		}
	})
}

// quotable tells whether s can stand in a quoted-string (RFC 9110, section 5.6.4).
func quotable(s string) bool {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"', s[i] < ' ', s[i] == 0x7f:
			return false
		case s[i] == '\\':
			i++
			if i == len(s) {
				return false
			}
		}
	}
	return true
}
