package dpop_test

import (
	"context"
	"crypto"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/dpop"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// check checks proofs for GET /posts at noon, for a token bound to ed.
func check(t testing.TB, v *dpop.Verifier, proofs ...string) error {
	t.Helper()
	return v.Check(t.Context(), request("GET", "/posts", proofs...), token, thumbprint(ed()), false)
}

// refused tells whether err is ErrInvalid and says want, or nil for "". It
// never holds what is secret.
func refused(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err == nil:
	case want == "" || err == nil || !errors.Is(err, dpop.ErrInvalid) || errors.Is(err, dpop.ErrNonce) || !strings.Contains(err.Error(), want):
		t.Errorf("%s: Check() = %v, want %q", name, err, want)
	case strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "eyJ") || strings.Contains(err.Error(), "hush"):
		t.Errorf("%s: Check() = %v, which quotes what was sent", name, err)
	}
}

// TestExamples: the values of RFC 9449, section 4.2, 6.1 and 7.1.
func TestExamples(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik" +
		"VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVd" +
		"CRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2" +
		"R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwi" +
		"aHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wc" +
		"m90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycj" +
		"JaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhr" +
		"tNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxh" +
		"AJpLjA"
	const token, jkt = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	v := verifier(t, func(c *dpop.Config) {
		c.PublicURL = "https://resource.example.org"
		c.Now = func() time.Time { return time.Unix(1562262618, 0) }
	})
	r := request("GET", "/protectedresource", proof)
	if err := v.Check(t.Context(), r, token, jkt, false); err != nil {
		t.Errorf("Check() = %v", err)
	}
	refused(t, "again", v.Check(t.Context(), r, token, jkt, false), "used before")
	refused(t, "another token", v.Check(t.Context(), r, token+"x", jkt, false), "ath is of another")
	refused(t, "another thumbprint", v.Check(t.Context(), r, token, thumbprint(ed()), false), "another key than the token")
}

func TestAlgorithms(t *testing.T) {
	keys := map[string]func() crypto.Signer{"RS": rsa2048, "PS": rsa2048, "ES256": p256, "ES384": p384, "ES512": p521, "EdDSA": ed}
	key := func(alg string) crypto.Signer {
		if k, ok := keys[alg]; ok {
			return k()
		}
		return keys[alg[:2]]()
	}
	prove := func(k crypto.Signer, alg string) string {
		return sign(k, alg, header(k, alg).json(), claims().json())
	}
	for _, alg := range all {
		for _, allowed := range all {
			v := verifier(t, func(c *dpop.Config) { c.Algorithms = []string{allowed} })
			k := key(alg)
			err := v.Check(t.Context(), request("GET", "/posts", prove(k, alg)), token, thumbprint(k), false)
			want := "signed with " + alg
			if alg == allowed {
				want = ""
			}
			refused(t, alg+" where "+allowed+" is allowed", err, want)
		}
		k, other := key(alg), newEd()
		if alg == "EdDSA" {
			other = p256()
		}
		v := verifier(t, nil)
		bad := sign(k, alg, header(other, alg).json(), claims().json())
		refused(t, alg+" with a key of another kind", v.Check(t.Context(), request("GET", "/posts", bad), token, thumbprint(other), false), "not for the algorithm")
	}
	if got := verifier(t, func(c *dpop.Config) { c.Algorithms = nil }).Algorithms(); strings.Join(got, " ") != "ES256 ES384 EdDSA PS256 RS256" {
		t.Errorf("Algorithms() = %q", got)
	}
}

// TestRefuses has a case for each check that nothing else refuses.
func TestRefuses(t *testing.T) {
	good := prove(nil, nil)
	parts := strings.Split(good, ".")
	raw := func(header, payload string) string { return sign(ed(), "EdDSA", header, payload) }
	head, say := header(ed(), "EdDSA").json(), claims().json()
	key := jwk(ed())
	for name, c := range map[string]struct {
		proofs []string
		want   string
	}{
		"good":                  {[]string{good}, ""},
		"typ in capitals":       {[]string{prove(object{"typ": "DPoP+JWT"}, nil)}, ""},
		"other members":         {[]string{prove(object{"kid": "a", "x5u": "https://evil.example/"}, object{"x": []int{1}})}, ""},
		"jwk said for what":     {[]string{prove(object{"jwk": key.with(object{"use": "sig", "alg": "EdDSA", "kid": "a", "key_ops": []string{"verify"}})}, nil)}, ""},
		"jti of 255 bytes":      {[]string{prove(nil, object{"jti": strings.Repeat("x", 255)})}, ""},
		"exp and nbf":           {[]string{prove(nil, object{"exp": noon.Unix() + 1, "nbf": noon.Unix()})}, ""},
		"of the greatest size":  {[]string{padded(t, 8<<10)}, ""},
		"larger than that":      {[]string{padded(t, 8<<10+2)}, "at most 8192"},
		"none":                  {nil, "there is no header"},
		"two lines":             {[]string{good, prove(nil, nil)}, "several headers"},
		"one twice":             {[]string{good, good}, "several headers"},
		"empty":                 {[]string{""}, "compact"},
		"a comma list":          {[]string{good + "," + good}, "compact"},
		"a comma behind":        {[]string{good + ","}, "base64url"},
		"a blank behind":        {[]string{good + " "}, "base64url"},
		"padding":               {[]string{good + "="}, "base64url"},
		"a line end inside":     {[]string{parts[0] + ".\n" + parts[1] + "." + parts[2]}, "compact"},
		"four parts":            {[]string{good + "." + parts[2]}, "compact"},
		"no payload":            {[]string{parts[0] + ".." + parts[2]}, "part 2"},
		"no signature":          {[]string{parts[0] + "." + parts[1] + "."}, "part 3"},
		"typ of a token":        {[]string{prove(object{"typ": "at+jwt"}, nil)}, "typ is not"},
		"typ with application/": {[]string{prove(object{"typ": "application/dpop+jwt"}, nil)}, "typ is not"},
		"no typ":                {[]string{prove(object{"typ": nil}, nil)}, "typ is not"},
		"crit":                  {[]string{prove(object{"crit": []string{"exp"}}, nil)}, "extension"},
		"b64":                   {[]string{prove(object{"b64": true}, nil)}, "extension"},
		"alg none":              {[]string{b64([]byte(header(ed(), "none").json())) + "." + parts[1] + "." + parts[2]}, "unknown algorithm"},
		"alg HS256":             {[]string{prove(object{"alg": "HS256"}, nil)}, "unknown algorithm"},
		"no alg":                {[]string{prove(object{"alg": nil}, nil)}, "unknown algorithm"},
		"alg twice":             {[]string{raw(strings.Replace(head, "{", `{"alg":"ES256",`, 1), say)}, "twice"},
		"header no JSON":        {[]string{raw("hush", say)}, "no JSON object"},
		"more behind header":    {[]string{raw(head+"{}", say)}, "no JSON object"},
		"no jwk":                {[]string{prove(object{"jwk": nil}, nil)}, "no jwk"},
		"jwk null":              {[]string{raw(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":null}`, say)}, "no JSON Web Key"},
		"jwk a text":            {[]string{prove(object{"jwk": key.json()}, nil)}, "no JSON Web Key"},
		"jwk in capitals":       {[]string{prove(object{"jwk": nil, "JWK": key}, nil)}, "no jwk"},
		"jwk twice":             {[]string{raw(strings.Replace(head, "{", `{"jwk":`+key.json()+`,`, 1), say)}, "twice"},
		"jwk's x twice":         {[]string{raw(strings.Replace(head, `"jwk":{`, `"jwk":{"x":"`+key["x"].(string)+`",`, 1), say)}, "twice"},
		"jwk's use another":     {[]string{prove(object{"jwk": key.with(object{"use": "enc"})}, nil)}, "not for signatures"},
		"jwk's key_ops other":   {[]string{prove(object{"jwk": key.with(object{"key_ops": []string{"sign"}})}, nil)}, "not for verifying"},
		"jwk's alg another":     {[]string{prove(object{"jwk": key.with(object{"alg": "ES256"})}, nil)}, "not for the algorithm"},
		"jwk of X25519":         {[]string{prove(object{"jwk": key.with(object{"crv": "X25519"})}, nil)}, "of no use"},
		"jwk cut short":         {[]string{prove(object{"jwk": key.with(object{"x": b64(make([]byte, 31))})}, nil)}, "of no use"},
		"jwk symmetric":         {[]string{prove(object{"jwk": object{"kty": "oct", "k": "aHVzaA"}}, nil)}, "private member"},
		"signed by another":     {[]string{sign(edOther(), "EdDSA", head, say)}, "signature is wrong"},
		"another's payload":     {[]string{parts[0] + "." + b64([]byte(say)) + "." + parts[2]}, "signature is wrong"},
		"bound to another key":  {[]string{sign(edOther(), "EdDSA", header(edOther(), "EdDSA").json(), say)}, "another key than the token"},

		"payload no JSON":       {[]string{raw(head, "hush")}, "no JSON object"},
		"payload a list":        {[]string{raw(head, "["+say+"]")}, "no JSON object"},
		"a claim twice":         {[]string{raw(head, strings.Replace(say, "{", `{"htm":"POST",`, 1))}, "twice"},
		"a claim twice, deep":   {[]string{raw(head, strings.Replace(say, "{", `{"x":{"a":1,"a":2},`, 1))}, "twice"},
		"a claim in other case": {[]string{prove(nil, object{"Nonce": "hush"})}, "another case"},
		"no jti":                {[]string{prove(nil, object{"jti": nil})}, "jti is missing"},
		"jti empty":             {[]string{prove(nil, object{"jti": ""})}, "jti is empty"},
		"jti a number":          {[]string{prove(nil, object{"jti": 1})}, "jti is empty or not a text"},
		"jti of 256 bytes":      {[]string{prove(nil, object{"jti": strings.Repeat("x", 256)})}, "jti is over 255"},
		"no htm":                {[]string{prove(nil, object{"htm": nil})}, "htm is missing"},
		"htm another":           {[]string{prove(nil, object{"htm": "POST"})}, "another method"},
		"htm in lower case":     {[]string{prove(nil, object{"htm": "get"})}, "another method"},
		"htm a list":            {[]string{prove(nil, object{"htm": []string{"GET"}})}, "htm is empty or not a text"},
		"no htu":                {[]string{prove(nil, object{"htu": nil})}, "htu is missing"},
		"no ath":                {[]string{prove(nil, object{"ath": nil})}, "ath is missing"},
		"ath of another":        {[]string{prove(nil, object{"ath": ath("another")})}, "ath is of another"},
		"ath padded":            {[]string{prove(nil, object{"ath": ath(token) + "="})}, "ath is of another"},
		"ath the token":         {[]string{prove(nil, object{"ath": token})}, "ath is of another"},
		"no iat":                {[]string{prove(nil, object{"iat": nil})}, "iat is missing"},
		"iat null":              {[]string{raw(head, strings.Replace(say, "{", `{"iat":null,`, 1))}, "twice"},
		"iat a text":            {[]string{prove(nil, object{"iat": noon.Format(time.RFC3339)})}, "iat is not a number"},
		"iat in milliseconds":   {[]string{prove(nil, object{"iat": noon.UnixMilli()})}, "iat is not a number"},
		"exp null":              {[]string{raw(head, strings.Replace(say, "{", `{"exp":null,`, 1))}, "exp is not a number"},
		"nonce empty":           {[]string{prove(nil, object{"nonce": ""})}, "nonce is empty"},
		"nonce null":            {[]string{raw(head, strings.Replace(say, "{", `{"nonce":null,`, 1))}, "nonce is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, name, check(t, verifier(t, nil), c.proofs...), c.want)
		})
	}
}

// padded is a good proof of so many bytes.
func padded(t *testing.T, size int) string {
	t.Helper()
	for n := size / 2; n < size; n++ {
		if p := prove(nil, object{"x": strings.Repeat("x", n)}); len(p) == size {
			return p
		}
	}
	t.Fatalf("no proof of %d bytes", size)
	return ""
}

// TestPrivateKeys: a key with a private member is no public key, whatever else
// it is (RFC 9449, section 4.3, 7).
func TestPrivateKeys(t *testing.T) {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		proof := prove(object{"jwk": jwk(ed()).with(object{name: "aHVzaA"})}, nil)
		refused(t, name, check(t, verifier(t, nil), proof), "private member")
		proof = strings.Replace(header(ed(), "EdDSA").json(), `"jwk":{`, `"jwk":{"`+name+`":null,`, 1)
		refused(t, name+" null", check(t, verifier(t, nil), sign(ed(), "EdDSA", proof, claims().json())), "private member")
	}
}

// TestRSAKeys: proofs that are signed well, with keys that are of no use.
func TestRSAKeys(t *testing.T) {
	big33 := new(big.Int).SetBit(big.NewInt(1), 32, 1)
	f4 := big.NewInt(65537)
	for name, c := range map[string]struct {
		key  anyRSA
		want string
	}{
		"2048 bits":              {newRSA(2048, f4), ""},
		"2047 bits":              {newRSA(2047, f4), "RSA with 2047 bits"},
		"1024 bits":              {newRSA(1024, f4), "RSA with 1024 bits"},
		"4096 bits":              {newRSA(4096, f4), ""},
		"4097 bits":              {newRSA(4097, f4), "cannot be read"},
		"exponent 3":             {newRSA(2048, big.NewInt(3)), ""},
		"exponent 1":             {newRSA(2048, big.NewInt(1)), "cannot be read"},
		"exponent of 33 bits":    {newRSA(2048, big33), "more than 32 bits"},
		"exponent of 2040 bits":  {newRSA(2048, new(big.Int).SetBit(big.NewInt(1), 2039, 1)), "more than 32 bits"},
		"exponent that is even":  {anyRSA{newRSA(2048, f4).n, big.NewInt(65536), f4}, "even one"},
		"modulus that is absent": {anyRSA{new(big.Int), f4, f4}, "cannot be read"},
	} {
		key := object{"kty": "RSA", "n": b64(c.key.n.Bytes()), "e": b64(c.key.e.Bytes())}
		input := b64([]byte(object{"typ": "dpop+jwt", "alg": "RS256", "jwk": key}.json())) + "." + b64([]byte(claims().json()))
		proof := input + "." + b64(c.key.sign(input))
		err := verifier(t, nil).Check(t.Context(), request("GET", "/posts", proof), token, printOf(key), false)
		refused(t, name, err, c.want)
	}
}

func TestOffTheCurve(t *testing.T) {
	key := jwk(p256()).with(object{"y": jwk(p256())["x"]})
	proof := sign(p256(), "ES256", header(p256(), "ES256").with(object{"jwk": key}).json(), claims().json())
	err := verifier(t, nil).Check(t.Context(), request("GET", "/posts", proof), token, printOf(key), false)
	refused(t, "off the curve", err, "cannot be read")
}

func TestURI(t *testing.T) {
	for _, c := range []struct {
		target, htu string
		ok          bool
	}{
		{"/posts", "https://blog.example/posts", true},
		{"/posts?q=1&access=2", "https://blog.example/posts", true},
		{"/posts", "https://blog.example/posts?q=1#f", true},
		{"/posts", "HTTPS://Blog.EXAMPLE/posts", true},
		{"/posts", "https://blog.example:443/posts", true},
		{"/posts", "https://blog.example:/posts", true},
		{"/", "https://blog.example", true},
		{"/", "https://blog.example/", true},
		{"/", "https://blog.example?q", true},
		{"/a%2fb", "https://blog.example/a%2Fb", true},
		{"/%7eada", "https://blog.example/~ada", true},
		{"/~ada", "https://blog.example/%7Eada", true},
		{"/%61", "https://blog.example/a", true},
		{"/%C3%A9", "https://blog.example/é", true},
		{"/%c3%a9", "https://blog.example/%C3%A9", true},
		{"/%25", "https://blog.example/%25", true},
		{"/a%20b", "https://blog.example/a%20b", true},
		{"/posts", "https://blog.example/./posts", true},
		{"/posts", "https://blog.example/a/../posts", true},
		{"/posts", "https://blog.example/a/%2E%2e/posts", true},
		{"/posts", "https://blog.example/../../posts", true},
		{"/posts/", "https://blog.example/posts/.", true},
		{"/posts/", "https://blog.example/posts/x/..", true},
		{"/a//b", "https://blog.example/a//b", true},
		{"/...", "https://blog.example/...", true},
		{"https://blog.example/posts", "https://blog.example/posts", true}, // in absolute form

		{"/posts", "https://blog.example/Posts", false},
		{"/posts", "https://blog.example/posts/", false},
		{"/posts/", "https://blog.example/posts", false},
		{"/posts", "https://blog.example/posts/..", false},
		{"/posts", "https://blog.example/", false},
		{"/posts", "https://blog.example", false},
		{"/posts", "http://blog.example/posts", false},
		{"/posts", "https://blog.example:8443/posts", false},
		{"/posts", "https://example.com/posts", false}, // the Host of the request
		{"/posts", "https://blog.example.evil.example/posts", false},
		{"/posts", "https://blog.example./posts", false},
		{"/posts", "https://ada@blog.example/posts", false},
		{"/posts", "https://ada:@blog.example/posts", false},
		{"/posts", "//blog.example/posts", false},
		{"/posts", "/posts", false},
		{"/posts", "posts", false},
		{"/posts", "https:blog.example/posts", false},
		{"/posts", "https:///posts", false},
		{"/posts", " https://blog.example/posts", false},
		{"/posts", "https://blog.example\\posts", false},
		{"/posts", "https://blog.example/posts%", false},
		{"/posts", "https://blog.example/posts%00", false},
		{"/a/b", "https://blog.example/a%2Fb", false},
		{"/a%2Fb", "https://blog.example/a/b", false},
		{"/a%252Fb", "https://blog.example/a%2Fb", false},
		{"/a//b", "https://blog.example/a/b", false},
		{"/a%3Fb", "https://blog.example/a?b", false},
		// The router takes dots for text: this is no request for /posts, and
		// clients that take them out cannot send it.
		{"/a/../posts", "https://blog.example/posts", false},
		{"/a/../posts", "https://blog.example/a/../posts", false},
		{"/a/.%2E/posts", "https://blog.example/posts", false},
		{"/./posts", "https://blog.example/./posts", false},
		{"/posts/..", "https://blog.example/", false},
		{"//evil.example/posts", "https://blog.example/posts", false},
		{"//evil.example/posts", "https://evil.example/posts", false},
	} {
		v := verifier(t, nil)
		r := request("GET", "/", prove(nil, object{"htu": c.htu}))
		var err error
		if r.URL, err = url.ParseRequestURI(c.target); err != nil { // as net/http does
			t.Fatal(err)
		}
		if err := v.Check(t.Context(), r, token, thumbprint(ed()), false); (err == nil) != c.ok || err != nil && !errors.Is(err, dpop.ErrInvalid) {
			t.Errorf("Check(%s for %s) = %v, want ok %v", c.htu, c.target, err, c.ok)
		} else if dots := strings.Contains(c.target, "/."); !c.ok && dots != strings.Contains(err.Error(), "dot segments") {
			t.Errorf("Check(%s for %s) = %v, want it to speak of dot segments: %v", c.htu, c.target, err, dots)
		}
	}
}

// TestPublicURLForms: what an operator wrote in capitals or with the default
// port is the same origin.
func TestPublicURLForms(t *testing.T) {
	for _, public := range []string{"https://Blog.example", "https://blog.example:443"} {
		refused(t, public, check(t, verifier(t, func(c *dpop.Config) { c.PublicURL = public }), prove(nil, nil)), "")
	}
	v := verifier(t, func(c *dpop.Config) { c.PublicURL = "https://blog.example:8443" })
	refused(t, "another port", check(t, v, prove(nil, nil)), "htu is another")
	refused(t, "that port", check(t, v, prove(nil, object{"htu": "https://blog.example:8443/posts"})), "")
}

func TestMethods(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"} {
		for _, htm := range []string{method, "GET", "HEAD", "POST"} {
			proof := prove(nil, object{"htm": htm})
			err := verifier(t, nil).Check(t.Context(), request(method, "/posts", proof), token, thumbprint(ed()), false)
			if (err == nil) != (htm == method) {
				t.Errorf("Check(htm %s for %s) = %v", htm, method, err)
			}
		}
	}
	r := request("GET", "/posts", prove(nil, object{"htu": publicURL + "/*"}))
	r.URL.Path, r.URL.RawPath = "*", ""
	refused(t, "no path", verifier(t, nil).Check(t.Context(), r, token, thumbprint(ed()), false), "no path")
}

func TestTimes(t *testing.T) {
	for name, c := range map[string]struct {
		claims object
		life   time.Duration
		want   string
	}{
		"ten seconds ahead":         {object{"iat": noon.Unix() + 10}, 0, ""},
		"eleven seconds ahead":      {object{"iat": noon.Unix() + 11}, 0, "11s in the future"},
		"a minute and ten ago":      {object{"iat": noon.Unix() - 70}, 0, ""},
		"a minute and eleven ago":   {object{"iat": noon.Unix() - 71}, 0, "made 1m11s ago"},
		"in parts of a second":      {object{"iat": float64(noon.Unix()) + 0.5}, 0, ""},
		"of 1970":                   {object{"iat": 0}, 0, "ago"},
		"longer life":               {object{"iat": noon.Unix() - 310}, 5 * time.Minute, ""},
		"longer life, and over":     {object{"iat": noon.Unix() - 311}, 5 * time.Minute, "ago"},
		"expired nine seconds ago":  {object{"exp": noon.Unix() - 9}, 0, ""},
		"expired ten seconds ago":   {object{"exp": noon.Unix() - 10}, 0, "expired"},
		"expired in 1970":           {object{"exp": 0}, 0, "expired"},
		"good in ten seconds":       {object{"nbf": noon.Unix() + 10}, 0, ""},
		"good in eleven seconds":    {object{"nbf": noon.Unix() + 11}, 0, "not good yet"},
		"exp that is no time":       {object{"exp": "soon"}, 0, "exp is not a number"},
		"nbf that is no time":       {object{"nbf": -1}, 0, "nbf is not a number"},
		"iat that is no time":       {object{"iat": 1e300}, 0, "iat is not a number"},
		"nbf of long ago":           {object{"nbf": 0}, 0, ""},
		"exp far in the future":     {object{"exp": 253402300799}, 0, ""},
		"exp over the year 9999":    {object{"exp": 253402300800}, 0, "exp is not a number"},
		"iat negative":              {object{"iat": -1}, 0, "iat is not a number"},
		"iat ahead, exp behind iat": {object{"iat": noon.Unix() + 5, "exp": noon.Unix() - 11}, 0, "expired"},
	} {
		v := verifier(t, func(cfg *dpop.Config) { cfg.Life = c.life })
		refused(t, name, check(t, v, prove(nil, c.claims)), c.want)
	}
}

func TestNonce(t *testing.T) {
	now := noon
	keys := ring()
	change := func(c *dpop.Config) { c.Now, c.Ring = func() time.Time { return now }, keys }
	v, replica := verifier(t, change), verifier(t, change)
	nonce := v.Nonce()
	if nonce == v.Nonce() {
		t.Error("Nonce() gives one twice")
	}
	// RFC 9449, section 8.1: characters from ! to ~ but for " and \.
	if nonce == "" || strings.ContainsFunc(nonce, func(r rune) bool { return r < '!' || r > '~' || r == '"' || r == '\\' }) {
		t.Errorf("Nonce() = %q, which is none", nonce)
	}
	foreign := verifier(t, nil).Nonce()
	otherUse := keys.Sealer("session").Seal([]byte("12345678"))
	tooLong := keys.Sealer("dpop nonce").Seal([]byte("123456789"))
	for name, c := range map[string]struct {
		nonce    string // "" for none
		required bool
		after    time.Duration
		ok       bool
	}{
		"none, none wanted":    {"", false, 0, true},
		"none, one wanted":     {"", true, 0, false},
		"ours":                 {nonce, true, 0, true},
		"ours, none wanted":    {nonce, false, 0, true},
		"ours, just in time":   {nonce, true, 5*time.Minute - time.Second, true},
		"old":                  {nonce, true, 5 * time.Minute, false},
		"old, none wanted":     {nonce, false, 5 * time.Minute, false},
		"of a clock ahead":     {nonce, true, -10 * time.Second, true},
		"of the future":        {nonce, true, -11 * time.Second, false},
		"another's":            {foreign, false, 0, false},
		"sealed for other use": {otherUse, false, 0, false},
		"of another length":    {tooLong, false, 0, false},
		"changed":              {"A" + nonce[1:], false, 0, nonce[0] == 'A'},
		"cut":                  {nonce[:len(nonce)-1], false, 0, false},
		"any text":             {"hush", false, 0, false},
	} {
		now = noon.Add(c.after)
		more := object{"iat": now.Unix()}
		if c.nonce != "" {
			more["nonce"] = c.nonce
		}
		proof := prove(nil, more)
		for _, v := range []*dpop.Verifier{v, replica} {
			err := v.Check(t.Context(), request("GET", "/posts", proof), token, thumbprint(ed()), c.required)
			if c.ok && err != nil || !c.ok && (!errors.Is(err, dpop.ErrNonce) || errors.Is(err, dpop.ErrInvalid) || strings.Contains(err.Error(), "hush")) {
				t.Errorf("%s: Check() = %v, want ok %v", name, err, c.ok)
			}
		}
	}
}

// TestNonceLast: who presents no good proof is not given a nonce to try with.
func TestNonceLast(t *testing.T) {
	err := verifier(t, nil).Check(t.Context(), request("GET", "/posts", prove(nil, object{"ath": ath("x")})), token, thumbprint(ed()), true)
	refused(t, "another token, no nonce", err, "ath is of another")
}

func TestMarks(t *testing.T) {
	m := &memory{}
	now := noon
	v := verifier(t, func(c *dpop.Config) { c.Marks, c.Now = m, func() time.Time { return now } })
	bad := []string{
		prove(nil, object{"htm": "POST"}), prove(nil, object{"ath": ath("x")}), prove(nil, object{"iat": 0}), prove(nil, object{"htu": publicURL}),
		prove(nil, object{"nonce": "x"}), sign(edOther(), "EdDSA", header(ed(), "EdDSA").json(), claims().json()),
		sign(edOther(), "EdDSA", header(edOther(), "EdDSA").json(), claims().json()),
	}
	for _, proof := range bad {
		if err := check(t, v, proof); err == nil || len(m.marks) > 0 {
			t.Errorf("Check() = %v and %d marks, want an error and none", err, len(m.marks))
		}
	}
	// A mark outlives the proof, also on a replica whose clock is ten seconds behind.
	for ahead, want := range map[time.Duration]time.Time{0: noon.Add(80 * time.Second), 10 * time.Second: noon.Add(90 * time.Second), -70 * time.Second: noon.Add(10 * time.Second)} {
		m.marks = nil
		refused(t, "good", check(t, v, prove(nil, object{"iat": noon.Add(ahead).Unix()})), "")
		for _, until := range m.marks {
			if !until.Equal(want) {
				t.Errorf("made %v ahead: marked until %v, want %v", ahead, until, want)
			}
		}
		if len(m.marks) != 1 {
			t.Errorf("a proof left %d marks, want 1", len(m.marks))
		}
	}
	// One id for each of these: they are not the same proof.
	same := object{"jti": "one"}
	refused(t, "first", check(t, v, prove(nil, same)), "")
	refused(t, "again, signed anew", check(t, v, prove(nil, same.with(object{"iat": noon.Unix() - 1}))), "used before")
	head := v.Check(t.Context(), request("HEAD", "/posts", prove(nil, same.with(object{"htm": "HEAD"}))), token, thumbprint(ed()), false)
	refused(t, "another method", head, "")
	uri := v.Check(t.Context(), request("GET", "/other", prove(nil, same.with(object{"htu": publicURL + "/other"}))), token, thumbprint(ed()), false)
	refused(t, "another URI", uri, "")
	k := edOther()
	key := v.Check(t.Context(), request("GET", "/posts", sign(k, "EdDSA", header(k, "EdDSA").json(), claims().with(same).json())), token, thumbprint(k), false)
	refused(t, "another key", key, "")
}

// TestMarksDown: where it cannot be told whether a proof was used, it is not
// good, and not bad either.
func TestMarksDown(t *testing.T) {
	down := errors.New("the store does not answer")
	m := &memory{err: down}
	v := verifier(t, func(c *dpop.Config) { c.Marks = m })
	proof := prove(nil, nil)
	for range 2 {
		if err := check(t, v, proof); !errors.Is(err, down) || errors.Is(err, dpop.ErrInvalid) || errors.Is(err, dpop.ErrNonce) {
			t.Errorf("Check() = %v, want the store's error alone", err)
		}
	}
	m.err = nil
	refused(t, "when it answers", check(t, v, proof), "")
}

// TestMarksContext: the store is asked with the request's context.
func TestMarksContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := verifier(t, func(c *dpop.Config) { c.Marks = obedient{} })
	if err := v.Check(ctx, request("GET", "/posts", prove(nil, nil)), token, thumbprint(ed()), false); !errors.Is(err, context.Canceled) {
		t.Errorf("Check() = %v, want the context's error", err)
	}
}

type obedient struct{}

func (obedient) Mark(ctx context.Context, _ session.Key, _ time.Time) (bool, error) {
	return ctx.Err() == nil, ctx.Err()
}

func TestNewErrors(t *testing.T) {
	good := dpop.Config{PublicURL: publicURL, Marks: &memory{}, Ring: ring()}
	if _, err := dpop.New(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*dpop.Config)
		want   string
	}{
		"no algorithm":       {func(c *dpop.Config) { c.Algorithms = []string{} }, "no algorithm"},
		"none":               {func(c *dpop.Config) { c.Algorithms = []string{"ES256", "none"} }, `"none" is not one of`},
		"symmetric":          {func(c *dpop.Config) { c.Algorithms = []string{"HS256"} }, `"HS256" is not one of`},
		"negative life":      {func(c *dpop.Config) { c.Life = -1 }, "life is negative"},
		"no marks":           {func(c *dpop.Config) { c.Marks = nil }, "marks are missing"},
		"no ring":            {func(c *dpop.Config) { c.Ring = nil }, "key ring is missing"},
		"no public URL":      {func(c *dpop.Config) { c.PublicURL = "" }, "public URL"},
		"http":               {func(c *dpop.Config) { c.PublicURL = "http://blog.example" }, "public URL"},
		"with a path":        {func(c *dpop.Config) { c.PublicURL = publicURL + "/x" }, "public URL"},
		"with a slash":       {func(c *dpop.Config) { c.PublicURL = publicURL + "/" }, "public URL"},
		"with a query":       {func(c *dpop.Config) { c.PublicURL = publicURL + "?q" }, "public URL"},
		"an empty query":     {func(c *dpop.Config) { c.PublicURL = publicURL + "?" }, "public URL"},
		"an empty fragment":  {func(c *dpop.Config) { c.PublicURL = publicURL + "#" }, "public URL"},
		"with a user":        {func(c *dpop.Config) { c.PublicURL = "https://ada@blog.example" }, "public URL"},
		"without a host":     {func(c *dpop.Config) { c.PublicURL = "https://" }, "public URL"},
		"unreadable":         {func(c *dpop.Config) { c.PublicURL = "https://[" }, "public URL"},
		"everything at once": {func(c *dpop.Config) { *c = dpop.Config{PublicURL: "x", Life: -1} }, "life"},
		"everything, 2":      {func(c *dpop.Config) { *c = dpop.Config{PublicURL: "x", Life: -1} }, "marks"},
		"a nil *secret.Ring": {func(c *dpop.Config) { c.Ring = (*secret.Ring)(nil) }, "key ring is missing"},
	} {
		cfg := good
		c.change(&cfg)
		if v, err := dpop.New(cfg); err == nil || v != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: New() = %v, %v, want %q", name, v, err, c.want)
		}
	}
	algs := []string{"ES256"}
	v := verifier(t, func(c *dpop.Config) { c.Algorithms = algs })
	algs[0] = "none"
	v.Algorithms()[0] = "none"
	if got := v.Algorithms(); got[0] != "ES256" {
		t.Errorf("Algorithms() = %q: it is another's to change", got)
	}
}

// TestHeaderName: the header is found whatever its case on the wire.
func TestHeaderName(t *testing.T) {
	r := request("GET", "/posts")
	r.Header = http.Header{}
	r.Header.Set("dpop", prove(nil, nil))
	refused(t, "lower case", verifier(t, nil).Check(t.Context(), r, token, thumbprint(ed()), false), "")
}
