package gate

import (
	"errors"
	"strings"
)

// realm names what is protected, for the schemes that must name it.
const realm = `realm="api"`

// Challenge returns the value for WWW-Authenticate that asks for a credential
// in p (RFC 9110, section 11.6.1):
//
//	ApiKey in="header", name="X-API-Key"
//	Cookie
//	Mutual
//	Basic realm="api", charset="UTF-8"
//	Bearer realm="api", error="invalid_token"
//
// For an access token cause is spelled out as RFC 6750, section 3, has it. Other
// scheme words stand alone.
func (p Place) Challenge(cause error) string {
	switch p.In {
	case InHeader, InQuery:
		return "ApiKey in=" + quote(string(p.In)) + ", name=" + quote(p.Name)
	case InCookie:
		return "Cookie"
	case InCertificate:
		return "Mutual"
	case InAuthorization:
		return challengeWord(p.Name, cause)
	}
	return ""
}

func challengeWord(word string, cause error) string {
	switch word {
	case "":
		return `ApiKey in="header", name="Authorization"`
	case "apikey":
		return "ApiKey"
	case "basic":
		return "Basic " + realm + `, charset="UTF-8"` // RFC 7617, section 2.1
	case "bearer":
		return "Bearer " + realm + bearerError(cause)
	case "dpop":
		return "DPoP " + realm + bearerError(cause) // RFC 9449, section 7.1
	}
	if !isToken(word) {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// bearerError is what RFC 6750, section 3.1, adds to a challenge. A request
// that presented nothing is told nothing.
func bearerError(cause error) string {
	var lacks *InsufficientScope
	switch {
	case errors.As(cause, &lacks):
		return `, error="insufficient_scope"` + scopeParam(lacks.Scopes)
	case errors.Is(cause, ErrInvalid):
		return `, error="invalid_token"`
	case errors.Is(cause, ErrDuplicate):
		return `, error="invalid_request"`
	}
	return ""
}

// scopeParam names the scopes that are needed. Where one of them cannot be
// said in the syntax of RFC 6749, section 3.3, none is.
func scopeParam(scopes []string) string {
	for _, s := range scopes {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return ""
		}
	}
	if len(scopes) == 0 {
		return ""
	}
	return ", scope=" + quote(strings.Join(scopes, " "))
}

// quote returns s as a quoted-string (RFC 9110, section 5.6.4). Control
// characters, which cannot be quoted, become blanks.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			b.WriteByte(' ')
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
