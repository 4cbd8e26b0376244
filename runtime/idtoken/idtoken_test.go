package idtoken_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/idtoken"
	"github.com/gatewright/gatewright/runtime/jwks"
)

func TestNewRefuses(t *testing.T) {
	const entra = "https://login.microsoftonline.com/{tenantid}/v2.0"
	const id = "9188040d-6c67-4c5b-b112-36a304b66dad"
	for name, c := range map[string]struct {
		change func(*idtoken.Config)
		want   []string
	}{
		"nothing wrong":        {func(*idtoken.Config) {}, nil},
		"a tenant":             {func(c *idtoken.Config) { c.Issuer, c.Tenants = entra, []string{id} }, nil},
		"least skew":           {func(c *idtoken.Config) { c.Skew = 1 }, nil},
		"greatest skew":        {func(c *idtoken.Config) { c.Skew = time.Minute }, nil},
		"no issuer":            {func(c *idtoken.Config) { c.Issuer = "" }, []string{`issuer ""`}},
		"http issuer":          {func(c *idtoken.Config) { c.Issuer = "http://id.example" }, []string{"not an https URL"}},
		"unreadable issuer":    {func(c *idtoken.Config) { c.Issuer = "https://id.example\x00" }, []string{"not an https URL"}},
		"issuer without host":  {func(c *idtoken.Config) { c.Issuer = "https:///realm" }, []string{"not an https URL"}},
		"issuer with user":     {func(c *idtoken.Config) { c.Issuer = "https://u@id.example" }, []string{"not an https URL"}},
		"issuer with query":    {func(c *idtoken.Config) { c.Issuer = "https://id.example?a=b" }, []string{"not an https URL"}},
		"issuer with fragment": {func(c *idtoken.Config) { c.Issuer = "https://id.example#a" }, []string{"not an https URL"}},
		"template alone":       {func(c *idtoken.Config) { c.Issuer = entra }, []string{"needs a list of tenants"}},
		"tenants alone":        {func(c *idtoken.Config) { c.Tenants = []string{id} }, []string{"no other has one"}},
		"tenant of a name":     {func(c *idtoken.Config) { c.Issuer, c.Tenants = entra, []string{id, "common"} }, []string{`"common"`}},
		"tenant and more":      {func(c *idtoken.Config) { c.Issuer, c.Tenants = entra, []string{id + "0"} }, []string{"not a UUID"}},
		"tenant in a path":     {func(c *idtoken.Config) { c.Issuer, c.Tenants = entra, []string{"/" + id} }, []string{"not a UUID"}},
		"no client":            {func(c *idtoken.Config) { c.ClientID = "" }, []string{"client id"}},
		"no algorithm":         {func(c *idtoken.Config) { c.Algorithms = nil }, []string{"no algorithm"}},
		"none":                 {func(c *idtoken.Config) { c.Algorithms = []string{"RS256", "none"} }, []string{`"none"`}},
		"symmetric":            {func(c *idtoken.Config) { c.Algorithms = []string{"HS256"} }, []string{`"HS256"`}},
		"no keys":              {func(c *idtoken.Config) { c.Keys = nil }, []string{"keys are missing"}},
		"negative skew":        {func(c *idtoken.Config) { c.Skew = -1 }, []string{"skew"}},
		"great skew":           {func(c *idtoken.Config) { c.Skew = time.Minute + 1 }, []string{"skew"}},
		"everything":           {func(c *idtoken.Config) { *c = idtoken.Config{Skew: -1} }, []string{"issuer", "client id", "algorithm", "keys", "skew"}},
	} {
		cfg := config()
		c.change(&cfg)
		v, err := idtoken.New(cfg)
		if (err == nil) != (c.want == nil) || (v == nil) != (err != nil) {
			t.Errorf("%s: New() = %v, want %q", name, err, c.want)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: New() = %v, want %q in it", name, err, w)
			}
		}
	}
}

func TestID(t *testing.T) {
	v := validator(t, nil)
	token := signed(edKey, ed, payload(good(), set{"sid": "s1", "auth_time": at(-60), "azp": client, "aud": []string{client}, "nbf": at(-5)}))
	got, err := v.ID(t.Context(), token, idtoken.Expect{Nonce: nonce})
	if err != nil {
		t.Fatalf("ID() = %v", err)
	}
	if got.Issuer != issuer || got.Subject != "subject-of-ada" || got.SessionID != "s1" ||
		!got.AuthTime.Equal(now.Add(-time.Minute)) || !got.IssuedAt.Equal(now.Add(-5*time.Second)) || !got.Expires.Equal(now.Add(5*time.Minute)) ||
		got.AuthTime.Location() != time.UTC {
		t.Errorf("ID() = %+v", got)
	}
	if got.All["email"] != "ada@mail.example" || fmt.Sprint(got.All["groups"]) != "[staff]" || got.All["employee"] != 4711.0 || len(got.All) != 13 {
		t.Errorf("ID() has claims %v", got.All)
	}
	got, err = v.ID(t.Context(), signed(edKey, ed, payload(good(), nil)), idtoken.Expect{Nonce: nonce})
	if err != nil || !got.AuthTime.IsZero() || got.SessionID != "" {
		t.Errorf("ID() = %+v, %v, want no sid and no auth_time", got, err)
	}
}

// TestDefaults: without a clock it is time.Now, and what New was given may
// change afterwards.
func TestDefaults(t *testing.T) {
	algs := []string{"EdDSA"}
	v := validator(t, func(c *idtoken.Config) { c.Now, c.Algorithms = nil, algs })
	algs[0] = "RS256"
	change := set{"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
	if _, err := v.ID(t.Context(), signed(edKey, ed, payload(good(), change)), idtoken.Expect{Nonce: nonce}); err != nil {
		t.Errorf("ID() = %v", err)
	}
}

// idCases are changes to a good ID token and what comes of them: want is in
// the cause, "" for none.
var idCases = map[string]struct {
	change set
	want   string
}{
	"good": {nil, ""},

	"iss other":              {set{"iss": "https://evil.example"}, `issued by "https://evil.example", not by "https://id.example/realm"`},
	"iss with a slash":       {set{"iss": issuer + "/"}, "issued by"},
	"iss in other case":      {set{"iss": strings.ToUpper(issuer)}, "issued by"},
	"iss missing":            {set{"iss": absent}, `issued by ""`},
	"iss empty":              {set{"iss": ""}, "iss is empty or not a text"},
	"iss null":               {set{"iss": nil}, "iss is empty or not a text"},
	"iss a list":             {set{"iss": []string{issuer}}, "iss is empty or not a text"},
	"iss in a name's case":   {set{"iss": absent, "Iss": issuer}, "the claim iss comes in another case"},
	"iss long":               {set{"iss": strings.Repeat("x", 300)}, `"` + strings.Repeat("x", 200) + `", not`},
	"aud a list of ours":     {set{"aud": []string{client}}, ""},
	"aud other":              {set{"aud": "other"}, "aud is not this client"},
	"aud other list":         {set{"aud": []string{"other"}}, "aud is not this client"},
	"aud second":             {set{"aud": []string{client, "other"}}, "aud is not this client and nobody else"},
	"aud second in front":    {set{"aud": []string{"other", client}}, "aud is not this client"},
	"aud second, azp ours":   {set{"aud": []string{client, "other"}, "azp": client}, "aud is not this client"},
	"aud ours twice":         {set{"aud": []string{client, client}}, "aud is not this client"},
	"aud missing":            {set{"aud": absent}, "aud is not this client"},
	"aud empty":              {set{"aud": ""}, "aud is empty or not a text"},
	"aud null":               {set{"aud": nil}, "aud is empty or not a text"},
	"aud empty list":         {set{"aud": []string{}}, "aud is not this client"},
	"aud list of others":     {set{"aud": []any{client, 5}}, "aud is not a list of texts"},
	"aud list with null":     {set{"aud": []any{client, nil}}, "aud is not a list of texts"},
	"aud an object":          {set{"aud": set{client: client}}, "aud is empty or not a text"},
	"aud in other case":      {set{"aud": "Web-App"}, "aud is not this client"},
	"azp ours":               {set{"azp": client}, ""},
	"azp other":              {set{"azp": "other"}, "azp is not this client"},
	"azp empty":              {set{"azp": ""}, "azp is empty"},
	"azp null":               {set{"azp": nil}, "azp is empty or not a text"},
	"exp to come":            {set{"exp": at(1)}, ""},
	"exp within the skew":    {set{"exp": at(-59)}, ""},
	"exp at the skew":        {set{"exp": at(-60)}, "expired 1m0s ago"},
	"exp an hour ago":        {set{"exp": at(-3580)}, "expired 59m40s ago: is this machine's clock right?"},
	"exp missing":            {set{"exp": absent}, "exp is missing"},
	"exp null":               {set{"exp": nil}, "exp is not a number"},
	"exp a text":             {set{"exp": fmt.Sprint(at(300))}, "exp is not a number"},
	"exp zero":               {set{"exp": 0}, "expired"},
	"exp negative":           {set{"exp": -1}, "exp is not a number"},
	"exp at the last second": {set{"exp": 253402300799}, ""},
	"exp in milliseconds":    {set{"exp": 253402300800}, "exp is not a number of seconds from 1970 to 9999"},
	"exp a fraction":         {set{"exp": float64(at(300)) + 0.5}, ""},
	"exp true":               {set{"exp": true}, "exp is not a number"},
	"iat within the skew":    {set{"iat": at(60)}, ""},
	"iat past the skew":      {set{"iat": at(61)}, "issued 1m1s in the future"},
	"iat an hour ahead":      {set{"iat": at(3580), "exp": at(7000)}, "issued 59m40s in the future: is this machine's clock right?"},
	"iat ten minutes ago":    {set{"iat": at(-659)}, ""},
	"iat longer ago":         {set{"iat": at(-660)}, "issued 11m0s ago: is this machine's clock right?"},
	"iat missing":            {set{"iat": absent}, "iat is missing"},
	"iat null":               {set{"iat": nil}, "iat is not a number"},
	"iat a text":             {set{"iat": "now"}, "iat is not a number"},
	"nbf within the skew":    {set{"nbf": at(60)}, ""},
	"nbf past the skew":      {set{"nbf": at(61)}, "good only in 1m1s (nbf): is this machine's clock right?"},
	"nbf a text":             {set{"nbf": "0"}, "nbf is not a number"},
	"nbf null":               {set{"nbf": nil}, "nbf is not a number"},
	"sub of 255":             {set{"sub": strings.Repeat("x", 255)}, ""},
	"sub of 256":             {set{"sub": strings.Repeat("x", 256)}, "sub is over 255 bytes"},
	"sub of 256 bytes":       {set{"sub": strings.Repeat("é", 128)}, "sub is over 255 bytes"},
	"sub missing":            {set{"sub": absent}, "sub is missing"},
	"sub empty":              {set{"sub": ""}, "sub is empty"},
	"sub null":               {set{"sub": nil}, "sub is empty or not a text"},
	"sub a number":           {set{"sub": 5}, "sub is empty or not a text"},
	"sub with NUL":           {set{"sub": "a\x00b"}, "control characters"},
	"sub with a newline":     {set{"sub": "a\nb"}, "control characters"},
	"sub in two cases":       {set{"Sub": "eve"}, "the claim sub comes in another case"},
	"nonce other":            {set{"nonce": "other"}, "nonce is not that of this login"},
	"nonce longer":           {set{"nonce": nonce + "x"}, "nonce is not that of this login"},
	"nonce missing":          {set{"nonce": absent}, "nonce is missing"},
	"nonce empty":            {set{"nonce": ""}, "nonce is empty"},
	"nonce null":             {set{"nonce": nil}, "nonce is empty or not a text"},
	"nonce a list":           {set{"nonce": []string{nonce}}, "nonce is empty or not a text"},
	"sid of 255":             {set{"sid": strings.Repeat("x", 255)}, ""},
	"sid of 256":             {set{"sid": strings.Repeat("x", 256)}, "sid is over 255 bytes"},
	"sid a number":           {set{"sid": 5}, "sid is empty or not a text"},
	"auth_time now":          {set{"auth_time": at(0)}, ""},
	"auth_time ahead":        {set{"auth_time": at(60)}, ""},
	"auth_time far ahead":    {set{"auth_time": at(61)}, "auth_time is 1m1s in the future: is"},
	"auth_time a text":       {set{"auth_time": "yesterday"}, "auth_time is not a number"},
	"auth_time a fraction":   {set{"auth_time": float64(at(-60)) + 0.5}, "auth_time is not a whole number"},
	"a logout token":         {set{"events": set{"http://schemas.openid.net/event/backchannel-logout": set{}}}, "as logout tokens do"},
	"events null":            {set{"events": nil}, "as logout tokens do"},
	"source that is missing": {set{"_claim_names": set{"email": "src1"}}, "go-oidc does not take it"},
	"claims of others":       {set{"Email": "x", "EXPIRES": 1, "issuer": "x", "a.b": nil}, ""},
}

func TestIDRefuses(t *testing.T) {
	v := validator(t, nil)
	for name, c := range idCases {
		got, err := v.ID(t.Context(), signed(edKey, ed, payload(good(), c.change)), idtoken.Expect{Nonce: nonce})
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, idtoken.ErrInvalid) || !strings.Contains(err.Error(), c.want) || got.Subject != "" || got.All != nil) {
			t.Errorf("%s: ID() = %+v, %v, want %q", name, got, err, c.want)
		}
		quiet(t, name, err)
	}
	// Every claim that counts in two more ways to write it.
	for _, claim := range strings.Fields("iss sub aud exp iat nbf jti azp nonce at_hash c_hash auth_time acr amr sid events tid") {
		for _, other := range []string{strings.ToUpper(claim), strings.ReplaceAll(claim, "s", "ſ")} {
			if other == claim {
				continue
			}
			_, err := v.ID(t.Context(), signed(edKey, ed, payload(good(), set{other: "x"})), idtoken.Expect{Nonce: nonce})
			if err == nil || !strings.Contains(err.Error(), "the claim "+claim+" comes in another case") {
				t.Errorf("ID(token with the claim %s) = %v, want it refused for its case", other, err)
			}
		}
	}
}

// quiet fails where a cause quotes what is private.
func quiet(t *testing.T, name string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, private := range []string{nonce, "subject-of", "mail.example", "4711", "eyJ"} {
		if strings.Contains(err.Error(), private) {
			t.Errorf("%s: the cause quotes %q: %v", name, private, err)
		}
	}
}

// TestPayload: payloads that are not as JSON should be, though signed well.
func TestPayload(t *testing.T) {
	v := validator(t, nil)
	ok := payload(good(), nil)
	for name, c := range map[string]struct{ payload, want string }{
		"good":               {ok, ""},
		"blanks":             {" " + ok + "\n", ""},
		"empty object":       {`{}`, `issued by ""`},
		"null":               {`null`, "no JSON object"},
		"a list":             {`[` + ok + `]`, "no JSON object"},
		"a text":             {`"secret"`, "no JSON object"},
		"not JSON":           {`secret`, "no JSON object"},
		"cut off":            {ok[:len(ok)-1], "no JSON object"},
		"more behind":        {ok + `{}`, "no JSON object"},
		"not UTF-8":          {strings.Replace(ok, "subject", "s\xffbject", 1), "no JSON object"},
		"lone surrogate":     {strings.Replace(ok, "subject", `s\ud800bject`, 1), "no JSON object"},
		"sub twice":          {strings.Replace(ok, "{", `{"sub":"eve",`, 1), "a member twice"},
		"sub twice, escaped": {strings.Replace(ok, "{", `{"\u0073ub":"eve",`, 1), "a member twice"},
		"Sub escaped":        {strings.Replace(ok, "{", `{"\u0053ub":"eve",`, 1), "another case"},
		"twice further down": {strings.Replace(ok, "{", `{"x":{"y":[{"a":1,"a":2}]},`, 1), "a member twice"},
		"escaped once":       {strings.Replace(ok, `"sub"`, `"\u0073ub"`, 1), ""},
		"deep":               {strings.Replace(ok, "{", `{"x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`,`, 1), "no JSON object"},
		"great number":       {strings.Replace(ok, "4711", "1e400", 1), "out of range"},
		"great exp":          {strings.Replace(ok, fmt.Sprint(at(300)), "1e400", 1), "out of range"},
		"large exp":          {strings.Replace(ok, fmt.Sprint(at(300)), "1e300", 1), "exp is not a number"},
		"exp with exponent":  {strings.Replace(ok, fmt.Sprint(at(300)), fmt.Sprintf("%de0", at(300)), 1), ""},
		"iat -0":             {strings.Replace(ok, fmt.Sprint(at(-5)), "-0", 1), "issued"},
		"exp in hexadecimal": {strings.Replace(ok, fmt.Sprint(at(300)), "0x7fffffff", 1), "no JSON object"},
	} {
		_, err := v.ID(t.Context(), signed(edKey, ed, c.payload), idtoken.Expect{Nonce: nonce})
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, idtoken.ErrInvalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: ID() = %v, want %q", name, err, c.want)
		}
		quiet(t, name, err)
	}
}

func TestHeader(t *testing.T) {
	v := validator(t, func(c *idtoken.Config) { c.Algorithms = []string{"EdDSA"} })
	ok := payload(good(), nil)
	der := must(x509.MarshalPKIXPublicKey(&rsaKey.PublicKey))
	hs := func(header string, key []byte) string {
		input := b64([]byte(header)) + "." + b64([]byte(ok))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return input + "." + b64(mac.Sum(nil))
	}
	jwk := must(json.Marshal(jose.JSONWebKey{Key: other.Public()}))
	for name, c := range map[string]struct{ token, want string }{
		"typ JWT":               {signed(edKey, ed, ok), ""},
		"no typ":                {signed(edKey, `{"alg":"EdDSA"}`, ok), ""},
		"typ in other case":     {signed(edKey, `{"alg":"EdDSA","typ":"jwt"}`, ok), ""},
		"typ in full":           {signed(edKey, `{"alg":"EdDSA","typ":"application/JWT"}`, ok), ""},
		"access token":          {signed(edKey, `{"alg":"EdDSA","typ":"at+jwt"}`, ok), "another kind of token"},
		"access token in full":  {signed(edKey, `{"alg":"EdDSA","typ":"Application/AT+JWT"}`, ok), "another kind of token"},
		"logout token":          {signed(edKey, `{"alg":"EdDSA","typ":"logout+jwt"}`, ok), "another kind of token"},
		"proof":                 {signed(edKey, `{"alg":"EdDSA","typ":"dpop+jwt"}`, ok), "another kind of token"},
		"security event":        {signed(edKey, `{"alg":"EdDSA","typ":"secevent+jwt"}`, ok), "another kind of token"},
		"typ a prefix alone":    {signed(edKey, `{"alg":"EdDSA","typ":"application/"}`, ok), "another kind of token"},
		"typ no text":           {signed(edKey, `{"alg":"EdDSA","typ":5}`, ok), "header"},
		"crit":                  {signed(edKey, `{"alg":"EdDSA","crit":["exp"]}`, ok), "extension"},
		"b64":                   {signed(edKey, `{"alg":"EdDSA","b64":true}`, ok), "extension"},
		"alg twice":             {signed(edKey, `{"alg":"EdDSA","alg":"none"}`, ok), "twice"},
		"not configured":        {signedBy(t, "RS256", ok), "signed with RS256, allowed: EdDSA"},
		"none":                  {b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(ok)) + ".", "empty"},
		"none, with a sign":     {b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(ok)) + ".e30", "unknown algorithm"},
		"None":                  {signed(edKey, `{"alg":"None"}`, ok), "unknown algorithm"},
		"HMAC":                  {hs(`{"alg":"HS256"}`, []byte("secret")), "unknown algorithm"},
		"HMAC of public key":    {hs(`{"alg":"HS256"}`, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "unknown algorithm"},
		"HMAC called EdDSA":     {hs(ed, edKey[32:]), "jose"},
		"another key":           {signed(other, ed, ok), "jose"},
		"another key, embedded": {signed(other, `{"alg":"EdDSA","jwk":`+string(jwk)+`}`, ok), "jose"},
		"unreadable key":        {signed(edKey, `{"alg":"EdDSA","jwk":{}}`, ok), "go-oidc cannot read it"},
		"another payload":       {swap(signed(edKey, ed, ok), 1, payload(good(), set{"sub": "eve"})), "jose"},
		"another header":        {swap(signed(edKey, ed, ok), 0, `{"alg":"EdDSA","kid":"b"}`), "jose"},
		"empty":                 {"", "compact"},
		"JSON":                  {`{"payload":"","signatures":[]}`, "compact"},
		"blank in front":        {" " + signed(edKey, ed, ok), "base64url"},
		"newline behind":        {signed(edKey, ed, ok) + "\n", "compact"},
		"huge":                  {signed(edKey, ed, payload(good(), set{"x": strings.Repeat("x", 64<<10)})), "at most 65536"},
		"large":                 {signed(edKey, ed, payload(good(), set{"x": strings.Repeat("x", 40<<10)})), ""},
	} {
		_, err := v.ID(t.Context(), c.token, idtoken.Expect{Nonce: nonce})
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, idtoken.ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: ID() = %v, want %q", name, err, c.want)
		}
		quiet(t, name, err)
	}
}

// swap puts another part into a token.
func swap(token string, part int, text string) string {
	parts := strings.Split(token, ".")
	parts[part] = b64([]byte(text))
	return strings.Join(parts, ".")
}

func TestAccessToken(t *testing.T) {
	v := validator(t, nil)
	const access = "SlAV32hkKG"
	sum256, sum384, sum512 := sha256.Sum256([]byte(access)), sha512.Sum384([]byte(access)), sha512.Sum512([]byte(access))
	hashes := map[string]string{"RS256": b64(sum256[:16]), "ES384": b64(sum384[:24]), "EdDSA": b64(sum512[:32])}
	check := func(what, alg, access string, change set, want string) {
		t.Helper()
		_, err := v.ID(t.Context(), signedBy(t, alg, payload(good(), change)), idtoken.Expect{Nonce: nonce, AccessToken: access})
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, idtoken.ErrInvalid) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: ID() = %v, want %q", what, err, want)
		}
	}
	for alg := range hashes {
		check("no at_hash", alg, access, nil, "")
		for of, hash := range hashes {
			want := ""
			if of != alg {
				want = "at_hash is not of the access token"
			}
			check(alg+" with the hash of "+of, alg, access, set{"at_hash": hash}, want)
		}
		check("another token", alg, "other", set{"at_hash": hashes[alg]}, "at_hash is not of")
		check("no token", alg, "", set{"at_hash": hashes[alg]}, "at_hash is not of")
		check("padded", alg, access, set{"at_hash": hashes[alg] + "=="}, "at_hash is not of")
		check("empty", alg, access, set{"at_hash": ""}, "at_hash is empty")
		check("null", alg, access, set{"at_hash": nil}, "at_hash is empty")
		check("a number", alg, access, set{"at_hash": 5}, "at_hash is empty or not a text")
	}
	// The whole hash, and its right half.
	check("whole", "RS256", access, set{"at_hash": b64(sum256[:])}, "at_hash is not of")
	check("right half", "RS256", access, set{"at_hash": b64(sum256[16:])}, "at_hash is not of")
}

func TestExpect(t *testing.T) {
	v := validator(t, nil)
	ada := &idtoken.Claims{Issuer: issuer, Subject: "subject-of-ada"}
	for name, c := range map[string]struct {
		change set
		expect idtoken.Expect
		want   string
	}{
		"nothing expected":             {nil, idtoken.Expect{}, "no nonce is expected"},
		"nothing expected, no nonce":   {set{"nonce": absent}, idtoken.Expect{}, "no nonce is expected"},
		"signed in anew":               {set{"auth_time": at(-10)}, idtoken.Expect{Nonce: nonce, Since: now.Add(-10 * time.Second)}, ""},
		"anew, within the skew":        {set{"auth_time": at(-70)}, idtoken.Expect{Nonce: nonce, Since: now.Add(-10 * time.Second)}, ""},
		"anew, past the skew":          {set{"auth_time": at(-71)}, idtoken.Expect{Nonce: nonce, Since: now.Add(-10 * time.Second)}, "auth_time is before"},
		"anew, without auth_time":      {nil, idtoken.Expect{Nonce: nonce, Since: now}, "auth_time is missing"},
		"long ago, not asked for":      {set{"auth_time": 1}, idtoken.Expect{Nonce: nonce}, ""},
		"refresh":                      {set{"nonce": absent}, idtoken.Expect{Refresh: ada}, ""},
		"refresh, nonce known":         {set{"nonce": absent}, idtoken.Expect{Refresh: ada, Nonce: nonce}, ""},
		"refresh, same nonce":          {nil, idtoken.Expect{Refresh: ada, Nonce: nonce}, ""},
		"refresh, nonce not known":     {nil, idtoken.Expect{Refresh: ada}, ""},
		"refresh, other nonce":         {set{"nonce": "other"}, idtoken.Expect{Refresh: ada, Nonce: nonce}, "nonce is not that of this login"},
		"refresh, nonce a number":      {set{"nonce": 5}, idtoken.Expect{Refresh: ada}, "nonce is empty or not a text"},
		"refresh, another subject":     {set{"sub": "subject-of-eve"}, idtoken.Expect{Refresh: ada}, "another issuer or subject"},
		"refresh, of another issuer":   {nil, idtoken.Expect{Refresh: &idtoken.Claims{Issuer: issuer + "2", Subject: "subject-of-ada"}}, "another issuer or subject"},
		"refresh, of nobody":           {nil, idtoken.Expect{Refresh: &idtoken.Claims{}}, "another issuer or subject"},
		"refresh, another aud":         {set{"aud": "other"}, idtoken.Expect{Refresh: ada}, "aud is not this client"},
		"refresh, another access":      {set{"at_hash": atHashRS256("a")}, idtoken.Expect{Refresh: ada, AccessToken: "b"}, "at_hash is not of"},
		"refresh, expired":             {set{"exp": at(-60)}, idtoken.Expect{Refresh: ada}, "expired"},
		"refresh, but a logout token ": {set{"events": set{}}, idtoken.Expect{Refresh: ada}, "logout"},
	} {
		_, err := v.ID(t.Context(), signed(edKey, ed, payload(good(), c.change)), c.expect)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, idtoken.ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: ID() = %v, want %q", name, err, c.want)
		}
		quiet(t, name, err)
	}
}

func TestTenants(t *testing.T) {
	const ours, others = "9188040d-6c67-4c5b-b112-36a304b66dad", "11111111-2222-3333-4444-555555555555"
	at := func(tid string) string { return "https://login.microsoftonline.com/" + tid + "/v2.0" }
	tenants := []string{strings.ToUpper(ours)}
	v := validator(t, func(c *idtoken.Config) { c.Issuer, c.Tenants = at("{tenantid}"), tenants })
	tenants[0] = others // the validator keeps its own
	for name, c := range map[string]struct {
		change set
		want   string
	}{
		"ours":                 {set{"iss": at(ours), "tid": ours}, ""},
		"no tid":               {set{"iss": at(ours)}, "tenant (tid) is not one of"},
		"tid null":             {set{"iss": at(ours), "tid": nil}, "tid is empty or not a text"},
		"tid a list":           {set{"iss": at(ours), "tid": []string{ours}}, "tid is empty or not a text"},
		"another tenant":       {set{"iss": at(others), "tid": others}, "tenant (tid) is not one of"},
		"iss of another":       {set{"iss": at(others), "tid": ours}, "issued by"},
		"tid in capitals":      {set{"iss": at(strings.ToUpper(ours)), "tid": strings.ToUpper(ours)}, "tenant (tid) is not one of"},
		"iss in capitals":      {set{"iss": at(strings.ToUpper(ours)), "tid": ours}, "issued by"},
		"the template itself":  {set{"iss": at("{tenantid}"), "tid": "{tenantid}"}, "tenant (tid) is not one of"},
		"template, tid ours":   {set{"iss": at("{tenantid}"), "tid": ours}, "issued by"},
		"another host":         {set{"iss": "https://evil.example/" + ours + "/v2.0", "tid": ours}, "issued by"},
		"tid in another case":  {set{"iss": at(ours), "Tid": ours}, "the claim tid comes in another case"},
		"expired all the same": {set{"iss": at(ours), "tid": ours, "exp": 1}, "expired"},
	} {
		got, err := v.ID(t.Context(), signed(edKey, ed, payload(good(), c.change)), idtoken.Expect{Nonce: nonce})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got.Issuer != at(ours) {
			t.Errorf("%s: ID() = %q, %v, want %q", name, got.Issuer, err, c.want)
		}
	}
}

// TestSkew: a skew that is configured holds for every time.
func TestSkew(t *testing.T) {
	v := validator(t, func(c *idtoken.Config) { c.Skew = 10 * time.Second })
	for name, c := range map[string]struct {
		change set
		ok     bool
	}{
		"exp":            {set{"exp": at(-9)}, true},
		"exp past":       {set{"exp": at(-10)}, false},
		"iat":            {set{"iat": at(10)}, true},
		"iat past":       {set{"iat": at(11)}, false},
		"nbf":            {set{"nbf": at(10)}, true},
		"nbf past":       {set{"nbf": at(11)}, false},
		"auth_time":      {set{"auth_time": at(10)}, true},
		"auth_time past": {set{"auth_time": at(11)}, false},
	} {
		_, err := v.ID(t.Context(), signed(edKey, ed, payload(good(), c.change)), idtoken.Expect{Nonce: nonce})
		if (err == nil) != c.ok {
			t.Errorf("%s: ID() = %v, want accepted: %v", name, err, c.ok)
		}
	}
}

// TestUnavailable: keys that cannot be had are not the token's fault.
func TestUnavailable(t *testing.T) {
	down := fmt.Errorf("%w: down", jwks.ErrUnavailable)
	v := validator(t, func(c *idtoken.Config) { c.Keys = keySet{down} })
	_, err := v.ID(t.Context(), signed(edKey, ed, payload(good(), nil)), idtoken.Expect{Nonce: nonce})
	if !errors.Is(err, jwks.ErrUnavailable) || errors.Is(err, idtoken.ErrInvalid) {
		t.Errorf("ID() = %v, want ErrUnavailable alone", err)
	}
	_, err = v.Logout(t.Context(), signed(edKey, ed, payload(goodLogout(), nil)))
	if !errors.Is(err, jwks.ErrUnavailable) || errors.Is(err, idtoken.ErrInvalid) {
		t.Errorf("Logout() = %v, want ErrUnavailable alone", err)
	}
	v = validator(t, func(c *idtoken.Config) { c.Keys = keySet{errors.New("bad")} })
	_, err = v.ID(t.Context(), signed(edKey, ed, payload(good(), nil)), idtoken.Expect{Nonce: nonce})
	if !errors.Is(err, idtoken.ErrInvalid) {
		t.Errorf("ID() = %v, want ErrInvalid", err)
	}
}

// TestPublishedKeys: with keys that a server publishes, as it is used.
func TestPublishedKeys(t *testing.T) {
	down := false
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		json.MarshalWrite(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: edKey.Public(), KeyID: "a", Use: "sig"}}})
	}))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := must(jwks.New(jwks.Config{URL: srv.URL, Client: must(fetch.New(fetch.Config{CA: ca})), Algorithms: []string{"EdDSA"}, Now: func() time.Time { return now }}))
	v := validator(t, func(c *idtoken.Config) { c.Keys = keys })
	ok := payload(good(), nil)
	if _, err := v.ID(context.Background(), signed(edKey, ed, ok), idtoken.Expect{Nonce: nonce}); err != nil {
		t.Errorf("ID() = %v", err)
	}
	_, err := v.ID(t.Context(), signed(other, ed, ok), idtoken.Expect{Nonce: nonce})
	if !errors.Is(err, idtoken.ErrInvalid) || !strings.Contains(err.Error(), "signature is wrong") {
		t.Errorf("ID() = %v, want the signature wrong", err)
	}
	down = true
	now = now.Add(10 * time.Second)
	defer func() { now = now.Add(-10 * time.Second) }()
	if _, err = v.ID(t.Context(), signed(other, ed, ok), idtoken.Expect{Nonce: nonce}); !errors.Is(err, jwks.ErrUnavailable) {
		t.Errorf("ID() = %v, want ErrUnavailable", err)
	}
}
