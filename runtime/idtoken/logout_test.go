package idtoken_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/idtoken"
)

const event = "http://schemas.openid.net/event/backchannel-logout"

// goodLogout is a logout token as it should be.
func goodLogout() set {
	return set{
		"iss": issuer, "aud": client, "iat": at(-5), "exp": at(115), "jti": "bWJq", "sub": "subject-of-ada", "sid": "s1",
		"events": set{event: set{}},
	}
}

func TestLogout(t *testing.T) {
	v := validator(t, nil)
	got, err := v.Logout(t.Context(), signed(edKey, ed, payload(goodLogout(), nil)))
	want := idtoken.Logout{
		Issuer: issuer, Subject: "subject-of-ada", SessionID: "s1", JTI: "bWJq",
		IssuedAt: now.Add(-5 * time.Second), Expires: now.Add((115 + 60) * time.Second),
	}
	if err != nil || got != want {
		t.Errorf("Logout() = %+v, %v, want %+v", got, err, want)
	}
	got, err = v.Logout(t.Context(), signed(edKey, ed, payload(goodLogout(), set{"sub": absent})))
	if err != nil || got.Subject != "" || got.SessionID != "s1" {
		t.Errorf("Logout() = %+v, %v, want a sid alone", got, err)
	}
	got, err = v.Logout(t.Context(), signed(edKey, ed, payload(goodLogout(), set{"sid": absent})))
	if err != nil || got.Subject != "subject-of-ada" || got.SessionID != "" {
		t.Errorf("Logout() = %+v, %v, want a sub alone", got, err)
	}
}

// TestLogoutExpires: a token is taken until exp, but for five minutes at most,
// and told to be remembered until it is no longer.
func TestLogoutExpires(t *testing.T) {
	clock := now
	v := validator(t, func(c *idtoken.Config) { c.Now = func() time.Time { return clock } })
	for name, c := range map[string]struct {
		exp  any
		want time.Duration // from when it was issued
	}{
		"two minutes":        {at(120), 3 * time.Minute},
		"just five":          {at(300), 6 * time.Minute},
		"an hour":            {at(3600), 6 * time.Minute},
		"never":              {absent, 6 * time.Minute},
		"at once, with skew": {at(0), time.Minute},
	} {
		token := signed(edKey, ed, payload(goodLogout(), set{"iat": at(0), "exp": c.exp}))
		clock = now.Add(c.want - 1)
		got, err := v.Logout(t.Context(), token)
		if err != nil || got.Expires.Sub(now) != c.want {
			t.Errorf("%s: Logout() just before the end = %s, %v, want %s", name, got.Expires.Sub(now), err, c.want)
		}
		clock = now.Add(c.want)
		if _, err := v.Logout(t.Context(), token); err == nil || !strings.Contains(err.Error(), " ago: is this machine's clock right?") {
			t.Errorf("%s: Logout() at the end = %v, want it refused for its age", name, err)
		}
	}
}

func TestLogoutRefuses(t *testing.T) {
	v := validator(t, nil)
	for name, c := range map[string]struct {
		header string
		change set
		want   string
	}{
		"good":                    {ed, nil, ""},
		"typ of its own":          {`{"alg":"EdDSA","typ":"logout+jwt"}`, nil, ""},
		"typ of its own, in full": {`{"alg":"EdDSA","typ":"application/Logout+JWT"}`, nil, ""},
		"no typ":                  {`{"alg":"EdDSA"}`, nil, ""},
		"an access token":         {`{"alg":"EdDSA","typ":"at+jwt"}`, nil, "another kind of token"},
		"none":                    {`{"alg":"none"}`, nil, "unknown algorithm"},
		"iss other":               {ed, set{"iss": "https://evil.example"}, "issued by"},
		"iss missing":             {ed, set{"iss": absent}, "issued by"},
		"aud other":               {ed, set{"aud": "other"}, "aud is not this client"},
		"aud second":              {ed, set{"aud": []string{client, "other"}}, "aud is not this client"},
		"aud missing":             {ed, set{"aud": absent}, "aud is not this client"},
		"azp other":               {ed, set{"azp": "other"}, "azp is not this client"},
		"iat missing":             {ed, set{"iat": absent}, "iat is missing"},
		"iat missing, no exp":     {ed, set{"iat": absent, "exp": absent}, "iat is missing"},
		"iat ahead":               {ed, set{"iat": at(61)}, "issued 1m1s in the future"},
		"iat long ago":            {ed, set{"iat": at(-3580)}, "issued 59m40s ago"},
		"exp past":                {ed, set{"exp": at(-60)}, "expired 1m0s ago"},
		"exp a text":              {ed, set{"exp": "x"}, "exp is not a number"},
		"exp null":                {ed, set{"exp": nil}, "exp is not a number"},
		"nbf ahead":               {ed, set{"nbf": at(61)}, "good only in 1m1s"},
		"nbf ahead, no exp":       {ed, set{"nbf": at(61), "exp": absent}, "good only in 1m1s"},
		"nonce":                   {ed, set{"nonce": nonce}, "nonce is there"},
		"nonce null":              {ed, set{"nonce": nil}, "nonce is there"},
		"nonce empty":             {ed, set{"nonce": ""}, "nonce is there"},
		"Nonce":                   {ed, set{"Nonce": nonce}, "the claim nonce comes in another case"},
		"jti missing":             {ed, set{"jti": absent}, "jti is missing"},
		"jti empty":               {ed, set{"jti": ""}, "jti is empty"},
		"jti a number":            {ed, set{"jti": 5}, "jti is empty or not a text"},
		"jti long":                {ed, set{"jti": strings.Repeat("x", 256)}, "jti is over 255 bytes"},
		"nobody":                  {ed, set{"sub": absent, "sid": absent}, "nobody to sign out"},
		"sub empty":               {ed, set{"sub": ""}, "sub is empty"},
		"sub a number":            {ed, set{"sub": 5}, "sub is empty or not a text"},
		"sub long":                {ed, set{"sub": strings.Repeat("x", 256)}, "sub is over 255 bytes"},
		"sid empty":               {ed, set{"sid": ""}, "sid is empty"},
		"sid null":                {ed, set{"sid": nil}, "sid is empty or not a text"},
		"events missing":          {ed, set{"events": absent}, "events is missing"},
		"events null":             {ed, set{"events": nil}, "signed out"},
		"events empty":            {ed, set{"events": set{}}, "signed out"},
		"events a text":           {ed, set{"events": event}, "not an object"},
		"events a list":           {ed, set{"events": []string{event}}, "not an object"},
		"another event":           {ed, set{"events": set{"http://schemas.openid.net/event/foo": set{}}}, "signed out"},
		"event in other case":     {ed, set{"events": set{strings.ToUpper(event): set{}}}, "signed out"},
		"two events":              {ed, set{"events": set{event: set{}, "other": set{}}}, "signed out"},
		"event not an object":     {ed, set{"events": set{event: true}}, "signed out"},
		"event null":              {ed, set{"events": set{event: nil}}, "signed out"},
		"event a list":            {ed, set{"events": set{event: []any{}}}, "signed out"},
		"event with members":      {ed, set{"events": set{event: set{"reason": "x"}}}, ""},
		"an ID token":             {ed, set{"events": absent, "nonce": nonce}, "events is missing"},
		"missing source":          {ed, set{"_claim_names": set{"a": "b"}}, "go-oidc does not take it"},
	} {
		got, err := v.Logout(t.Context(), signed(edKey, c.header, payload(goodLogout(), c.change)))
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, idtoken.ErrInvalid) || !strings.Contains(err.Error(), c.want) || got != idtoken.Logout{}) {
			t.Errorf("%s: Logout() = %+v, %v, want %q", name, got, err, c.want)
		}
		quiet(t, name, err)
	}
	if _, err := v.Logout(t.Context(), signed(other, ed, payload(goodLogout(), nil))); !errors.Is(err, idtoken.ErrInvalid) {
		t.Errorf("Logout() with another key = %v, want ErrInvalid", err)
	}
}

// TestOneForTheOther: no ID token passes for a logout token, nor the other way round.
func TestOneForTheOther(t *testing.T) {
	v := validator(t, nil)
	if _, err := v.Logout(t.Context(), signed(edKey, ed, payload(good(), set{"jti": "x"}))); err == nil {
		t.Error("Logout(ID token) = nil, want an error")
	}
	refresh := idtoken.Expect{Refresh: &idtoken.Claims{Issuer: issuer, Subject: "subject-of-ada"}}
	if _, err := v.ID(t.Context(), signed(edKey, ed, payload(goodLogout(), nil)), refresh); err == nil {
		t.Error("ID(logout token) = nil, want an error")
	}
}
