package dpop

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/claims"
	"github.com/gatewright/gatewright/runtime/jwks"
)

// maxProof is the largest proof looked at, in bytes. One with an RSA key of 4096
// bits comes to about two thousand.
const maxProof = 8 << 10

// A proof is what one says, its signature verified.
type proof struct {
	key           jwks.Public
	jti, htm, htu string
	ath, nonce    string
	iat, exp, nbf time.Time // the last two zero where it does not say
}

// read reads the proof in the lines of the header DPoP and verifies that it is
// signed with the key it names (RFC 9449, section 4.3, 1 to 7).
func (v *Verifier) read(lines []string) (proof, error) {
	switch {
	case len(lines) == 0:
		return proof{}, errors.New("there is no header DPoP")
	case len(lines) > 1:
		return proof{}, errors.New("there are several headers DPoP")
	case len(lines[0]) > maxProof:
		return proof{}, fmt.Errorf("it has %d bytes, at most %d are read", len(lines[0]), maxProof)
	}
	text := lines[0]
	h, err := jwks.ParseHeader(text) // takes no comma either
	if err != nil {
		return proof{}, err
	}
	if !strings.EqualFold(h.Type, "dpop+jwt") {
		return proof{}, errors.New("typ is not dpop+jwt")
	}
	if err := h.CheckAlgorithm(v.cfg.Algorithms); err != nil {
		return proof{}, err
	}
	key, err := publicKey(text)
	if err != nil {
		return proof{}, err
	}
	payload, err := key.VerifySignature(text, h)
	if err != nil {
		return proof{}, err
	}
	return parse(key, payload)
}

// publicKey is the key in the header of a proof, whose form ParseHeader has checked.
func publicKey(text string) (jwks.Public, error) {
	part, _, _ := strings.Cut(text, ".")
	header, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return jwks.Public{}, errors.New("the header is not base64url")
	}
	var h struct {
		Key jsontext.Value `json:"jwk"`
	}
	if err := json.Unmarshal(header, &h); err != nil || h.Key == nil {
		return jwks.Public{}, errors.New("the header has no jwk")
	}
	return jwks.ParsePublic(h.Key)
}

// parse reads the claims of a proof.
func parse(key jwks.Public, payload []byte) (p proof, err error) {
	c, err := claims.Parse(payload, "jti", "htm", "htu", "iat", "ath", "nonce", "exp", "nbf")
	if err != nil {
		return proof{}, err
	}
	p.key = key
	if p.jti, err = c.ID("jti"); err != nil {
		return proof{}, err
	}
	for _, text := range []struct {
		name string
		into *string
	}{{"htm", &p.htm}, {"htu", &p.htu}, {"ath", &p.ath}, {"nonce", &p.nonce}} {
		if *text.into, err = c.Text(text.name); err != nil {
			return proof{}, err
		}
	}
	for _, at := range []struct {
		name string
		into *time.Time
	}{{"iat", &p.iat}, {"exp", &p.exp}, {"nbf", &p.nbf}} {
		if *at.into, err = c.Time(at.name); err != nil {
			return proof{}, err
		}
	}
	for _, name := range []string{"jti", "htm", "htu", "iat", "ath"} {
		if !c.Has(name) {
			return proof{}, fmt.Errorf("%s is missing", name)
		}
	}
	return p, nil
}

// normal brings an https URI into the one form in which it can be compared (RFC
// 3986, section 6.2.2 and 6.2.3), without query and fragment (RFC 9449, section
// 4.3).
func normal(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || !strings.EqualFold(u.Scheme, "https") || u.Host == "" || u.User != nil || u.Opaque != "" {
		return "", errors.New("htu is not an https URI without a user name")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return "https://" + strings.TrimSuffix(host, ":") + unescapeUnreserved(path), nil
}

// withoutDots takes the segments "." and ".." out of a URI that normal gave
// (RFC 3986, section 5.2.4). Empty segments stay: they tell paths apart.
func withoutDots(uri string) string {
	segments := strings.Split(uri, "/")
	const fixed = 3 // https:, an empty one, the host
	out := segments[:fixed:fixed]
	for i, s := range segments[fixed:] {
		if s != "." && s != ".." {
			out = append(out, s)
			continue
		}
		if s == ".." && len(out) > fixed {
			out = out[:len(out)-1]
		}
		if fixed+i == len(segments)-1 {
			out = append(out, "") // what ends in a dot segment is a folder
		}
	}
	return strings.Join(out, "/")
}

// unescapeUnreserved writes percent-encodings in capitals, and the characters
// that need none (RFC 3986, section 2.3) as themselves.
func unescapeUnreserved(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			out.WriteByte(path[i])
			continue
		}
		c, err := url.PathUnescape(path[i : i+3])
		switch {
		case err == nil && isUnreserved(c[0]):
			out.WriteByte(c[0])
		default:
			out.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return out.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
