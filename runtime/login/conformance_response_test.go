package login_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// sends changes what the browser brings back from the provider.
func sends(change func(q url.Values)) gatetest.Mischief { return gatetest.Mischief{Callback: change} }

// fails has the provider send an error instead of a code.
func fails(name, words string) gatetest.Mischief {
	return sends(func(q url.Values) {
		q.Del("code")
		q.Set("error", name)
		q.Set("error_description", words)
		q.Set("error_uri", "https://evil.example/"+canary)
	})
}

// TestAdversaryResponse: a response that does not belong to a login of this
// browser, is not from its provider, or can be read in two ways, brings no code
// to the token endpoint; and what it says in words is not repeated.
func TestAdversaryResponse(t *testing.T) {
	set := func(name, value string) gatetest.Mischief { return sends(func(q url.Values) { q.Set(name, value) }) }
	add := func(name, value string) gatetest.Mischief { return sends(func(q url.Values) { q.Add(name, value) }) }
	again := func(name string) gatetest.Mischief { return sends(func(q url.Values) { q.Add(name, q.Get(name)) }) }
	del := func(name string) gatetest.Mischief { return sends(func(q url.Values) { q.Del(name) }) }
	const stranger, double = "login response without its attempt", "is there twice"
	runAll(t, []trial{
		// RFC 6749, section 10.12.
		{name: "state is wrong", mischief: set("state", strings.Repeat("x", 43)), must: startAgain, unsent: true, cause: stranger},
		{name: "state is absent", mischief: del("state"), must: startAgain, unsent: true, cause: stranger},
		{name: "state is empty", mischief: set("state", ""), must: startAgain, unsent: true, cause: stranger},
		{name: "state is cut", mischief: sends(func(q url.Values) { q.Set("state", q.Get("state")[:42]) }), must: startAgain, unsent: true, cause: stranger},
		{name: "state is a script", mischief: set("state", script), must: startAgain, unsent: true, cause: stranger},
		{name: "state is there twice", mischief: add("state", "x"), must: reject, unsent: true, cause: double},
		{name: "state is there twice, the same", mischief: again("state"), must: reject, unsent: true, cause: double},
		// RFC 9207, section 2.4.
		{name: "iss is another", mischief: set("iss", "https://evil.example"), must: reject, unsent: true, cause: "another issuer"},
		{name: "iss has a slash more", mischief: sends(func(q url.Values) { q.Set("iss", q.Get("iss")+"/") }), must: reject, unsent: true, cause: "another issuer"},
		{name: "iss is empty", mischief: set("iss", ""), must: reject, unsent: true, cause: "another issuer"},
		{name: "iss is absent though promised", mischief: del("iss"), must: reject, unsent: true, cause: "does not say which issuer"},
		{name: "iss is there twice", mischief: add("iss", "https://evil.example"), must: reject, unsent: true, cause: double},
		{name: "iss is another's beside an error", mischief: sends(func(q url.Values) {
			q.Del("code")
			q.Set("error", "access_denied")
			q.Set("iss", "https://evil.example")
		}), must: reject, unsent: true, cause: "another issuer"},
		// RFC 6749, section 4.1.2.
		{name: "code is absent", mischief: del("code"), must: reject, unsent: true, cause: "no code"},
		{name: "code is empty", mischief: set("code", ""), must: reject, unsent: true, cause: "no code"},
		{name: "code is there twice", mischief: add("code", "x"), must: reject, unsent: true, cause: double},
		{name: "code is there twice, the same", mischief: again("code"), must: reject, unsent: true, cause: double},
		{name: "code is huge", mischief: set("code", strings.Repeat("x", 5000)), must: reject, unsent: true, cause: "no code, or one too long"},
		{name: "code was never given", mischief: set("code", "never-given-by-anybody"), must: reject, cause: "invalid_grant"},
		{name: "code is a script", mischief: set("code", script), must: reject, cause: "invalid_grant"},
		{name: "a parameter that cannot be read", mischief: add("x;y", "%"), must: accept}, // encoded, it can
		{name: "parameters that nobody knows", mischief: sends(func(q url.Values) { q.Set("session_state", script) }), must: accept},
		// RFC 6749, section 4.1.2.1.
		{name: "error is access_denied", mischief: fails("access_denied", canary), must: reject, unsent: true, cause: "access_denied"},
		{name: "error is one that nobody knows", mischief: fails("no_"+canary, canary), must: reject, unsent: true, cause: "no_" + canary},
		{name: "error is empty", mischief: fails("", canary), must: reject, unsent: true, cause: "answers"},
		{name: "error beside a code", mischief: set("error", "access_denied"), must: reject, unsent: true, cause: "access_denied"},
		{name: "error is there twice", mischief: sends(func(q url.Values) { q["error"] = []string{"a", "b"} }), must: reject, unsent: true, cause: double},
		{name: "error is server_error", mischief: fails("server_error", canary), must: unavailable, unsent: true, cause: "server_error"},
		{name: "error is temporarily_unavailable", mischief: fails("temporarily_unavailable", canary), must: unavailable, unsent: true, cause: "temporarily_unavailable"},
		{name: "error is a script", mischief: fails(script, ""), must: reject, unsent: true, cause: "answers"},
		{name: "error_description is a script", mischief: fails("access_denied", script), must: reject, unsent: true, cause: "access_denied"},
		{name: "error has a line break", mischief: fails("x\nlevel=INFO msg=login audit=true", ""), must: reject, unsent: true, cause: "answers"},
		{name: "error is huge", mischief: fails(strings.Repeat("x", 4000), script), must: reject, unsent: true, cause: "answers"},
	})
	t.Run("iss is absent and not promised", func(t *testing.T) {
		s := newStage(t, play{before: func(idp *gatetest.Provider) {
			idp.Misbehave(gatetest.Mischief{Metadata: func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") }})
		}})
		s.run(t, trial{mischief: del("iss"), must: accept})
		s.run(t, trial{mischief: set("iss", "https://evil.example"), must: reject, unsent: true, cause: "another issuer"})
	})
}

// TestAdversaryCodeAgain: however a login ended, its response brings the code
// to the token endpoint once, even with the cookies it came with.
func TestAdversaryCodeAgain(t *testing.T) {
	both(t, func(t *testing.T, o option) {
		s := newStage(t, play{option: o})
		for _, c := range []trial{
			{name: "accepted", must: accept},
			{name: "rejected", mischief: with("nonce", nil), must: reject},
			{name: "unavailable", mischief: spoilt("/token", gatetest.Fault{Status: 500}), must: unavailable},
			{name: "dropped", mischief: spoilt("/token", gatetest.Fault{Drop: true}), must: unavailable},
		} {
			t.Run(c.name, func(t *testing.T) {
				s.log.reset()
				b, thief := newBrowser(t, s.app, s.idp), newBrowser(t, s.app, s.idp)
				begun := b.step("/auth/login?return_to=/me", "none")
				saved := make(map[string]string)
				for slot := range 5 {
					if value := b.cookie(attempt(slot)); value != "" {
						saved[attempt(slot)] = value
					}
				}
				callback := b.step(begun.header.Get("Location"), "cross-site").header.Get("Location")
				s.misbehave(c.mischief)
				defer s.misbehave(gatetest.Mischief{})
				before := s.idp.Requests("/token")
				b.follow(callback, "cross-site", 10)
				for _, again := range []*browser{b, thief} {
					for name, value := range saved {
						again.setCookie(name, value)
					}
					v := again.follow(callback, "cross-site", 10)
					if v.status != 200 || again.signedIn() != (c.must == accept && again == b) {
						t.Errorf("the response again ends at %s with %d, signed in: %v", v.url, v.status, again.signedIn())
					}
					s.checkSecrets(t, visit{}, again)
				}
				s.log.wants(t, "audit=true", "login response replayed")
				if n := s.idp.Requests("/token") - before; n != 1 {
					t.Errorf("the token endpoint was asked %d times", n)
				}
			})
		}
	})
}
