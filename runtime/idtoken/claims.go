package idtoken

import "github.com/gatewright/gatewright/runtime/claims"

// known are the claims that something is decided by, here or by a caller.
var known = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "nonce", "at_hash", "c_hash",
	"auth_time", "acr", "amr", "sid", "events", "tid",
}

// parse reads a payload.
func parse(payload []byte) (claims.Set, error) { return claims.Parse(payload, known...) }
