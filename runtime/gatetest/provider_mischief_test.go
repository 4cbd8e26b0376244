package gatetest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// Every mischief here is one that x/oauth2, go-oidc or the test's own party
// notices. The first words of the error tell that it was noticed for its own
// sake.
func TestProviderMisbehaves(t *testing.T) {
	idp := gatetest.NewProvider(t)
	id := func(f gatetest.Forgery) gatetest.Mischief { return gatetest.Mischief{IDToken: f} }
	claims := func(change func(c map[string]any)) gatetest.Mischief { return id(gatetest.Forgery{Claims: change}) }
	fault := func(f gatetest.Fault) gatetest.Mischief {
		return gatetest.Mischief{Faults: map[string]gatetest.Fault{"/token": f}}
	}
	for _, c := range []struct {
		name string
		m    gatetest.Mischief
		want string // in the error
	}{
		{"nothing", gatetest.Mischief{}, ""},
		{"wrong iss", claims(func(c map[string]any) { c["iss"] = "https://x.example" }), "issued by a different provider"},
		{"wrong aud", claims(func(c map[string]any) { c["aud"] = "x" }), "expected audience"},
		{"wrong nonce", claims(func(c map[string]any) { c["nonce"] = "x" }), "nonce: x"},
		{"wrong at_hash", claims(func(c map[string]any) { c["at_hash"] = "x" }), "access token hash"},
		{"expired", gatetest.Mischief{Clock: -2 * time.Hour}, "token is expired"},
		{"raw claims", id(gatetest.Forgery{RawClaims: func(b []byte) []byte { return b[1:] }}), "unmarshal"},
		{"none", id(gatetest.Forgery{Algorithm: "none"}), "unexpected signature algorithm"},
		{"HS256 by the public key", id(gatetest.Forgery{Algorithm: "HS256"}), "unexpected signature algorithm"},
		{"HS256 by the secret", id(gatetest.Forgery{Algorithm: "HS256", Secret: []byte(strings.Repeat(idp.ClientSecret, 2))}), "unexpected signature algorithm"},
		{"another algorithm in the header", id(gatetest.Forgery{Header: func(h map[string]any) { h["alg"] = "RS384" }}), "unexpected signature algorithm"},
		{"unknown kid", id(gatetest.Forgery{Header: func(h map[string]any) { h["kid"] = "x" }}), "failed to verify signature"},
		{"foreign key", id(gatetest.Forgery{Foreign: true}), "failed to verify signature"},
		{"corrupt", id(gatetest.Forgery{Corrupt: true}), "failed to verify signature"},
		{"whole", id(gatetest.Forgery{Whole: func(string) string { return "x" }}), "malformed jwt"},
		{"callback", gatetest.Mischief{Callback: func(q url.Values) { q.Set("state", "x") }}, "callback: "},
		{"no token", gatetest.Mischief{Token: func(m map[string]any) { delete(m, "access_token") }}, "missing access_token"},
		{"redirect", fault(gatetest.Fault{Location: idp.Issuer + "/elsewhere"}), "404"},
		{"status", fault(gatetest.Fault{Status: 500}), "500"},
		{"page", fault(gatetest.Fault{Type: "text/html", Body: func([]byte) []byte { return []byte("<p>") }}), "cannot parse json"},
		{"drop", fault(gatetest.Fault{Drop: true}), "EOF"},
		{"slow", fault(gatetest.Fault{Delay: time.Minute}), "context deadline exceeded"},
		{"trickle", fault(gatetest.Fault{Trickle: time.Second}), "context deadline exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, idp)
			if c.want == "context deadline exceeded" {
				var cancel context.CancelFunc
				p.ctx, cancel = context.WithTimeout(p.ctx, 200*time.Millisecond)
				defer cancel()
			}
			idp.Misbehave(c.m)
			defer idp.Misbehave(gatetest.Mischief{})
			_, _, err := p.signIn()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("signIn() = %v, want %q", err, c.want)
			}
		})
	}
	if n := idp.Requests("/elsewhere"); n != 1 {
		t.Errorf("%d requests elsewhere, want the one that followed the redirect", n)
	}
}

func TestProviderMisbehavesElsewhere(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	token, _ := p.mustSignIn()
	userInfo := func() (string, string) {
		t.Helper()
		resp, err := p.oauth.Client(p.ctx, token).Get(idp.Issuer + "/userinfo")
		if err != nil {
			t.Fatal(err)
		}
		return resp.Header.Get("Content-Type"), read(t, resp)
	}
	idp.Misbehave(gatetest.Mischief{UserInfo: func(c map[string]any) { c["sub"] = "x" }})
	if _, body := userInfo(); !strings.Contains(body, `"sub":"x"`) {
		t.Errorf("UserInfo = %s, want the wrong sub", body)
	}
	idp.Misbehave(gatetest.Mischief{SignedUserInfo: true})
	if kind, body := userInfo(); kind != "application/jwt" || strings.Count(body, ".") != 2 {
		t.Errorf("UserInfo = %s, %s, want a signed JWT", kind, body)
	}
	idp.Misbehave(gatetest.Mischief{
		Metadata: func(m map[string]any) { m["issuer"] = "https://x.example" },
		KeySet: func(s map[string]any) {
			for _, k := range s["keys"].([]any) {
				delete(k.(map[string]any), "kid")
			}
		},
	})
	if body := read(t, get(t, idp, idp.Issuer+"/.well-known/openid-configuration")); !strings.Contains(body, `"issuer":"https://x.example"`) {
		t.Errorf("metadata = %s, want another issuer", body)
	}
	if body := read(t, get(t, idp, idp.Issuer+"/jwks")); strings.Contains(body, "kid") || !strings.Contains(body, `"use":"sig"`) {
		t.Errorf("keys = %s, want one without kid", body)
	}
	// What the test asks for stays small for who reads no more than that.
	idp.Misbehave(gatetest.Mischief{Faults: map[string]gatetest.Fault{"/jwks": {Pad: 3 << 20, Gzip: true}}})
	r, _ := http.NewRequestWithContext(t.Context(), "GET", idp.Issuer+"/jwks", nil)
	r.Header.Set("Accept-Encoding", "identity")
	resp, err := idp.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	packed := read(t, resp)
	unpacked, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(unpacked)
	if err != nil || len(packed) > 64<<10 || len(body) < 3<<20 || !bytes.HasPrefix(body, []byte("{")) {
		t.Errorf("%d bytes, unpacked %d, %v, want more than 3 MiB in less than 64 KiB", len(packed), len(body), err)
	}
}

func TestProviderRotatesFirst(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	p.mustSignIn()
	idp.Misbehave(gatetest.Mischief{RotateFirst: true})
	p.mustSignIn()
	p.mustSignIn()
	if n := idp.Requests("/jwks"); n != 3 {
		t.Errorf("%d requests for the keys, want one after each rotation and the first", n)
	}
}

func TestProviderUsesWeakKey(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	idp := gatetest.NewProvider(t)
	kid := idp.UseKey("RS256", weak)
	p := newParty(t, idp)
	p.mustSignIn() // go-oidc does not mind
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(idp.LastIDToken(), ".")[0])
	if want := `{"alg":"RS256","kid":"` + kid + `","typ":"JWT"}`; err != nil || string(header) != want {
		t.Errorf("header = %s, %v, want %s", header, err, want)
	}
	if keys := read(t, get(t, idp, idp.Issuer+"/jwks")); !strings.Contains(keys, base64.RawURLEncoding.EncodeToString(weak.N.Bytes())) {
		t.Error("the weak key is not published")
	}
}

// A hook that makes what cannot be sent fails the test, so that no client
// passes for having refused it.
func TestProviderFailsTheTest(t *testing.T) {
	for name, m := range map[string]gatetest.Mischief{
		"claims":    {IDToken: gatetest.Forgery{Claims: func(c map[string]any) { c["sub"] = func() {} }}},
		"algorithm": {IDToken: gatetest.Forgery{Algorithm: "ES256"}}, // by an RSA key
		"metadata":  {Metadata: func(m map[string]any) { m["issuer"] = make(chan int) }},
		"panic":     {Token: func(map[string]any) { panic("no") }},
	} {
		t.Run(name, func(t *testing.T) {
			tb := &failing{TB: t}
			idp := gatetest.NewProvider(tb)
			p := newParty(t, idp)
			idp.Misbehave(m)
			_, _, err := p.signIn()
			if name == "metadata" {
				err = errors.New(get(t, idp, idp.Issuer+"/.well-known/openid-configuration").Status)
			}
			if err == nil || tb.failures.Load() != 1 {
				t.Errorf("signIn() = %v, the test failed %d times, want an error and 1", err, tb.failures.Load())
			}
		})
	}
}

// failing is a test whose failures are counted.
type failing struct {
	testing.TB
	failures atomic.Int32
}

func (f *failing) Errorf(string, ...any) { f.failures.Add(1) }

func TestProviderRefreshForgery(t *testing.T) {
	idp := gatetest.NewProvider(t)
	p := newParty(t, idp)
	token, _ := p.mustSignIn()
	idp.Misbehave(gatetest.Mischief{IDToken: gatetest.Forgery{Claims: func(c map[string]any) { c["sub"] = "eve" }}})
	token, err := p.refresh(token.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := p.verify(token); err != nil || id.Subject != "eve" {
		t.Errorf("the refreshed ID token = %+v, %v, want one of eve", id, err)
	}
	idp.Misbehave(gatetest.Mischief{Faults: map[string]gatetest.Fault{"/token": {Status: 500}}})
	if _, err := p.refresh(token.RefreshToken); err == nil {
		t.Error("refresh of a provider that fails = nil")
	}
	idp.Misbehave(gatetest.Mischief{})
	// It had done what it was asked, all the same.
	if _, err := p.refresh(token.RefreshToken); errorCode(err) != "invalid_grant" {
		t.Errorf("the token again = %v, want invalid_grant", err)
	}
}
