package apikey_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gatewright/gatewright/runtime/apikey"
)

// TestExposed: a good key is found wherever clients put one, and told by its id.
func TestExposed(t *testing.T) {
	f := setup(t, nil)
	key, rec := f.create(t, apikey.CreateRequest{})
	other, second := f.create(t, apikey.CreateRequest{})
	wrong := key[:len(key)-10] + "0000000000"
	ask := func(from, target string, header ...string) []string {
		r := httptest.NewRequest("GET", target, nil)
		r.RemoteAddr = from
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		return f.keys.Exposed(r)
	}
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, c := range []struct {
		name, target string
		header       []string
		want         []string
	}{
		{"nothing", "/", nil, nil},
		{"apikey", "/", []string{"Authorization", "apikey " + key}, []string{rec.ID}},
		{"Bearer, two blanks", "/", []string{"Authorization", "Bearer  " + key}, []string{rec.ID}},
		{"Basic", "/", []string{"Authorization", basic("apikey", key)}, []string{rec.ID}},
		{"Basic of another user", "/", []string{"Authorization", basic("ada", key)}, nil},
		{"a header", "/", []string{"X-Any-Key", key}, []string{rec.ID}},
		{"a cookie", "/", []string{"Cookie", "a=b; key=" + key}, []string{rec.ID}},
		{"the query", "/?a=b&key=" + key, nil, []string{rec.ID}},
		{"twice the same", "/?key=" + key, []string{"Authorization", "apikey " + key}, []string{rec.ID}},
		{"two keys", "/?key=" + other, []string{"Authorization", "apikey " + key}, []string{rec.ID, second.ID}},
		{"no secret", "/?key=" + rec.ID, nil, nil},
		{"a wrong secret", "/?key=" + wrong, nil, nil},
		{"a key of nobody", "/?key=gw_live_0123456789abc_" + key[len("gw_live_0123456789abc_"):], nil, nil},
	} {
		if got := ask(home, c.target, c.header...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	many := "/?a=b"
	for range 6 {
		another, _ := f.create(t, apikey.CreateRequest{})
		many += "&key=" + another
	}
	if got := ask(home, many); len(got) != 4 {
		t.Errorf("of six keys %d were looked at, want 4", len(got))
	}
	if err := f.keys.Revoke(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	if got := ask(home, "/?key="+other); got != nil {
		t.Errorf("a revoked key: %v", got)
	}
}

// TestExposedLimits: nobody learns here which keys are good by guessing more
// often than elsewhere.
func TestExposedLimits(t *testing.T) {
	f := setup(t, func(c *apikey.Config) { c.Limits.AddressBurst = 2 })
	key, rec := f.create(t, apikey.CreateRequest{})
	gone, second := f.create(t, apikey.CreateRequest{})
	if err := f.keys.Revoke(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	exposed := func(from, key string) []string {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header = from, http.Header{"Authorization": {"apikey " + key}}
		return f.keys.Exposed(r)
	}
	for range 3 {
		exposed(away, gone)
	}
	if got := exposed(away, key); got != nil {
		t.Errorf("after too many failures: %v, want none", got)
	}
	if got := exposed(home, key); !slices.Equal(got, []string{rec.ID}) {
		t.Errorf("elsewhere: %v", got)
	}
}
