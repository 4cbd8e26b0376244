package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// tokens changes what the token endpoint answers; nil takes a member away.
func tokens(changes map[string]any) gatetest.Mischief {
	return gatetest.Mischief{Token: func(members map[string]any) {
		maps.Copy(members, changes)
		for name, v := range changes {
			if v == nil {
				delete(members, name)
			}
		}
	}}
}

// amid puts members in front of those of a JSON object.
func amid(members string) gatetest.Fault {
	return gatetest.Fault{Body: func(b []byte) []byte { return append([]byte("{"+members+","), b[1:]...) }}
}

// large is more than any answer may have.
const large = 2 << 20

// TestAdversaryTokenEndpoint: whatever it answers, the code is sent once, and to
// nobody else.
func TestAdversaryTokenEndpoint(t *testing.T) {
	const html, js = "text/html; charset=utf-8", "application/json"
	at := func(f gatetest.Fault) gatetest.Mischief { return spoilt("/token", f) }
	page := "<html><script>alert('" + canary + "')</script>"
	runAll(t, []trial{
		// It fails.
		{name: "500", mischief: at(gatetest.Fault{Status: 500}), must: unavailable, cause: "500"},
		{name: "503 with a page", mischief: at(says(503, html, page)), must: unavailable, cause: "503"},
		{name: "429", mischief: at(says(429, js, `{}`)), must: unavailable, cause: "429"},
		{name: "no answer", mischief: at(gatetest.Fault{Drop: true}), must: unavailable},
		{name: "huge", mischief: at(gatetest.Fault{Pad: large}), must: unavailable, cause: "too large"},
		{name: "small and then huge", mischief: at(gatetest.Fault{Pad: 64 * large, Gzip: true}), must: unavailable, cause: "compressed"},
		{name: "307 to itself", mischief: at(gatetest.Fault{Location: "/token"}), must: unavailable, cause: "redirects"},
		{name: "302 to somewhere", mischief: at(gatetest.Fault{Location: "/elsewhere", Status: 302}), must: unavailable, cause: "redirects"},
		// It refuses (RFC 6749, section 5.2).
		{name: "invalid_grant", mischief: at(says(400, js, `{"error":"invalid_grant","error_description":"`+canary+`"}`)), must: reject, cause: "invalid_grant"},
		{name: "invalid_client", mischief: at(says(401, js, `{"error":"invalid_client"}`)), must: reject, cause: "invalid_client"},
		{name: "400 with a page", mischief: at(says(400, html, page)), must: reject, cause: "400"},
		{name: "an error that is a script", mischief: at(says(400, js, `{"error":"<script>alert('`+canary+`')</script>","error_description":"<script>","error_uri":"javascript:alert(1)"}`)), must: reject, cause: "400"},
		{name: "an error with 200", mischief: tokens(map[string]any{"error": "invalid_grant", "access_token": nil, "id_token": nil}), must: reject},
		// What it answers is not what it must be (section 5.1).
		{name: "a page with 200", mischief: at(says(200, html, page)), must: unavailable},
		{name: "a word", mischief: at(says(200, js, "token")), must: unavailable, cause: "JSON"},
		{name: "nothing", mischief: at(says(200, js, "")), must: unavailable, cause: "JSON"},
		{name: "a list", mischief: at(says(200, js, "[]")), must: unavailable},
		{name: "cut", mischief: at(gatetest.Fault{Body: func(b []byte) []byte { return b[:len(b)-2] }}), must: unavailable, cause: "JSON"},
		{name: "more behind it", mischief: at(gatetest.Fault{Body: func(b []byte) []byte { return append(b, "{}"...) }}), must: unavailable, cause: "JSON"},
		{name: "JSON that says it is a page", mischief: at(gatetest.Fault{Type: html}), must: unavailable, cause: "JSON"},
		{name: "JSON that does not say what it is", mischief: at(gatetest.Fault{Type: "application/octet-stream"}), must: unavailable, cause: "JSON"},
		{name: "a form", mischief: at(says(200, "application/x-www-form-urlencoded", "access_token=x&token_type=bearer&id_token=x")), must: unavailable, cause: "JSON"},
		{name: "a text that is a form", mischief: at(says(200, "text/plain", "access_token=x&token_type=bearer&id_token=x")), must: unavailable, cause: "JSON"},
		{name: "id_token is there twice", mischief: at(amid(`"id_token":"x"`)), must: unavailable, cause: "twice"},
		{name: "access_token is there twice", mischief: at(amid(`"access_token":"x"`)), must: unavailable, cause: "twice"},
		{name: "twice, and says it is a page", mischief: at(gatetest.Fault{Type: html, Body: amid(`"id_token":"x"`).Body}), must: unavailable, cause: "JSON"},
		{name: "Id_token beside id_token", mischief: tokens(map[string]any{"Id_token": "mallory"}), must: accept},
		{name: "token_type is in lower case", mischief: tokens(map[string]any{"token_type": "bearer"}), must: accept},
		{name: "token_type is mac", mischief: tokens(map[string]any{"token_type": "mac"}), must: reject, cause: "Bearer"},
		{name: "token_type is DPoP", mischief: tokens(map[string]any{"token_type": "DPoP"}), must: reject, cause: "Bearer"},
		{name: "token_type is N_A", mischief: tokens(map[string]any{"token_type": "N_A"}), must: reject, cause: "Bearer"},
		{name: "token_type is a script", mischief: tokens(map[string]any{"token_type": script}), must: reject, cause: "Bearer"},
		{name: "access_token is absent", mischief: tokens(map[string]any{"access_token": nil}), must: unavailable, cause: "access_token"},
		{name: "access_token is empty", mischief: tokens(map[string]any{"access_token": ""}), must: unavailable, cause: "access_token"},
		{name: "access_token is a number", mischief: tokens(map[string]any{"access_token": 4711}), must: unavailable},
		{name: "id_token is absent", mischief: tokens(map[string]any{"id_token": nil}), must: reject, cause: "no ID token"},
		{name: "id_token is a number", mischief: tokens(map[string]any{"id_token": 4711}), must: reject, cause: "no ID token"},
		{name: "id_token is a list", mischief: tokens(map[string]any{"id_token": []any{"x"}}), must: reject, cause: "no ID token"},
	})
}

// A stranger is another host, behind a certificate that the app trusts.
func stranger(t *testing.T, idp *gatetest.Provider) (where string, asked *atomic.Int64) {
	t.Helper()
	authority, err := tlsconf.OpenAuthority(filepath.Dir(idp.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if s.TLS, err = authority.TLSConfig("localhost"); err != nil {
		t.Fatal(err)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	where = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	if res, err := idp.Client().Get(where); err != nil { // it can be reached
		t.Fatal(err)
	} else {
		res.Body.Close()
	}
	asked.Store(0)
	return where, asked
}

// TestAdversaryRedirect: no secret goes where an answer points to.
func TestAdversaryRedirect(t *testing.T) {
	for _, path := range []string{"/token", "/userinfo", "/jwks"} {
		for _, status := range []int{302, 307, 308} {
			t.Run(strings.TrimPrefix(path, "/")+" "+http.StatusText(status), func(t *testing.T) {
				s := newStage(t, play{})
				where, asked := stranger(t, s.idp)
				s.run(t, trial{mischief: spoilt(path, gatetest.Fault{Location: where + path, Status: status}), must: unavailable, cause: "redirects"})
				if asked.Load() != 0 {
					t.Errorf("the other host was asked %d times", asked.Load())
				}
			})
		}
	}
}

// TestAdversaryUserInfo: UserInfo speaks of whom the ID token speaks of, or
// nobody is signed in (Core, section 5.3.2).
func TestAdversaryUserInfo(t *testing.T) {
	info := func(change func(c map[string]any)) gatetest.Mischief { return gatetest.Mischief{UserInfo: change} }
	sub := func(v any) gatetest.Mischief { return info(func(c map[string]any) { c["sub"] = v }) }
	at := func(f gatetest.Fault) gatetest.Mischief { return spoilt("/userinfo", f) }
	const js = "application/json"
	runAll(t, []trial{
		{name: "sub is another", mischief: sub("mallory"), must: reject, cause: "another subject"},
		{name: "sub is absent", mischief: info(func(c map[string]any) { delete(c, "sub") }), must: reject, cause: "another subject"},
		{name: "sub is empty", mischief: sub(""), must: reject, cause: "another subject"},
		{name: "sub is null", mischief: sub(nil), must: reject, cause: "another subject"},
		{name: "sub is a list", mischief: sub([]any{"ann"}), must: reject, cause: "another subject"},
		{name: "sub is in upper case", mischief: sub("ANN"), must: reject, cause: "another subject"},
		{name: "Sub instead of sub", mischief: info(func(c map[string]any) { c["Sub"] = c["sub"]; delete(c, "sub") }), must: reject, cause: "another subject"},
		{name: "sub is there twice", mischief: at(amid(`"sub":"mallory"`)), must: unavailable, cause: "twice"},
		{name: "500", mischief: at(gatetest.Fault{Status: 500}), must: unavailable, cause: "500"},
		{name: "401", mischief: at(says(401, js, `{"error":"`+canary+`"}`)), must: reject, cause: "401"},
		{name: "429", mischief: at(says(429, js, `{"error":"`+canary+`"}`)), must: unavailable, cause: "429"},
		{name: "a page", mischief: at(says(200, "text/html", script)), must: unavailable, cause: "JSON"},
		{name: "a word", mischief: at(says(200, js, "ann")), must: unavailable, cause: "JSON"},
		{name: "a list", mischief: at(says(200, js, "[]")), must: unavailable},
		{name: "null", mischief: at(says(200, js, "null")), must: reject, cause: "another subject"},
		{name: "huge", mischief: at(gatetest.Fault{Pad: large}), must: unavailable, cause: "too large"},
		{name: "signed, which is not asked for", mischief: gatetest.Mischief{SignedUserInfo: true}, must: unavailable, cause: "JSON"},
		{name: "no answer", mischief: at(gatetest.Fault{Drop: true}), must: unavailable},
		{name: "iss and nonce of its own", mischief: info(func(c map[string]any) { c["iss"], c["nonce"], c["auth_time"] = "https://evil.example", "x", 1 }), must: accept},
		{name: "a name that is a script", mischief: info(func(c map[string]any) { c["name"] = script }), must: accept},
	})
}

// keySet changes the published keys one by one.
func keySet(change func(k map[string]any)) gatetest.Mischief {
	return gatetest.Mischief{KeySet: func(set map[string]any) {
		for _, k := range set["keys"].([]any) {
			change(k.(map[string]any))
		}
	}}
}

// TestAdversaryKeys: without a key that may be used nobody is signed in. Each
// has a stage of its own, since keys are remembered, and so is that there were
// none.
func TestAdversaryKeys(t *testing.T) {
	at := func(f gatetest.Fault) gatetest.Mischief { return spoilt("/jwks", f) }
	const js = "application/json"
	many := gatetest.Mischief{KeySet: func(set map[string]any) {
		keys := set["keys"].([]any)
		for range 200 {
			keys = append(keys, keys[0])
		}
		set["keys"] = keys
	}}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		trial
		before func(idp *gatetest.Provider)
	}{
		{trial: trial{name: "500", mischief: at(gatetest.Fault{Status: 500}), must: unavailable, cause: "500"}},
		{trial: trial{name: "no answer", mischief: at(gatetest.Fault{Drop: true}), must: unavailable}},
		{trial: trial{name: "a page", mischief: at(says(200, "text/html", script)), must: unavailable, cause: "JSON"}},
		{trial: trial{name: "not JSON", mischief: at(says(200, js, canary)), must: unavailable, cause: "JSON"}},
		{trial: trial{name: "no set", mischief: at(says(200, js, `{}`)), must: unavailable, cause: "no key set"}},
		{trial: trial{name: "keys are there twice", mischief: at(amid(`"keys":[]`)), must: unavailable, cause: "twice"}},
		{trial: trial{name: "huge", mischief: at(gatetest.Fault{Pad: large}), must: unavailable, cause: "too large"}},
		{trial: trial{name: "small and then huge", mischief: at(gatetest.Fault{Pad: 64 * large, Gzip: true}), must: unavailable, cause: "compressed"}},
		{trial: trial{name: "hundreds of keys", mischief: many, must: unavailable, cause: "keys"}},
		{trial: trial{name: "an empty set", mischief: at(says(200, js, `{"keys":[]}`)), must: reject, cause: "key"}},
		{trial: trial{name: "a key to encrypt with", mischief: keySet(func(k map[string]any) { k["use"] = "enc" }), must: reject, cause: "key"}},
		{trial: trial{name: "a key for other operations", mischief: keySet(func(k map[string]any) { delete(k, "use"); k["key_ops"] = []any{"encrypt"} }), must: reject, cause: "key"}},
		{trial: trial{name: "a key for another algorithm", mischief: keySet(func(k map[string]any) { k["alg"] = "RS512" }), must: reject, cause: "key"}},
		{trial: trial{name: "a key of 1024 bits", must: reject, cause: "key"}, before: func(idp *gatetest.Provider) { idp.UseKey("RS256", weak) }},
		{trial: trial{name: "ES256 where RS256 is configured", must: reject, cause: "signed with ES256"}, before: func(idp *gatetest.Provider) { idp.UseKey("ES256", other) }},
		{trial: trial{name: "a key that has no use and no algorithm", mischief: keySet(func(k map[string]any) { delete(k, "use"); delete(k, "alg") }), must: accept}},
		{trial: trial{name: "kid is absent, and there are several keys", mischief: header("kid", nil), must: accept}, before: func(idp *gatetest.Provider) { idp.RotateKeys() }},
		{trial: trial{name: "kid is absent, of several keys none", mischief: forged(gatetest.Forgery{Foreign: true, Header: func(h map[string]any) { delete(h, "kid") }}), must: reject, cause: "signature"},
			before: func(idp *gatetest.Provider) { idp.RotateKeys() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, play{before: c.before})
			s.run(t, c.trial)
			if c.before != nil {
				return
			}
			// The keys are asked for again in a while, and then all is well.
			s.offset.Store(int64(11 * time.Second))
			s.run(t, trial{must: accept})
		})
	}
}

// TestAdversarySlow: a provider that takes its time has ten seconds of ours.
func TestAdversarySlow(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]gatetest.Mischief{
		"the token endpoint does not begin": spoilt("/token", gatetest.Fault{Delay: 2 * time.Minute}),
		"the keys never end":                spoilt("/jwks", gatetest.Fault{Trickle: 200 * time.Millisecond}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, play{})
			began := time.Now()
			s.run(t, trial{mischief: m, must: unavailable})
			if took := time.Since(began); took < 5*time.Second || took > 25*time.Second {
				t.Errorf("it took %s, want about ten seconds", took)
			}
		})
	}
}
