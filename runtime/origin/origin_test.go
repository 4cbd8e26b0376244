package origin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/origin"
)

func TestProven(t *testing.T) {
	const own = "https://blog.example"
	for _, c := range []struct {
		name   string
		header http.Header
		want   bool
	}{
		{"nothing", nil, false},
		{"same origin", http.Header{"Sec-Fetch-Site": {"same-origin"}}, true},
		{"the person", http.Header{"Sec-Fetch-Site": {"none"}}, true},
		{"same site", http.Header{"Sec-Fetch-Site": {"same-site"}}, false},
		{"cross site", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {own}}, false},
		{"own Origin", http.Header{"Origin": {own}}, true},
		{"other Origin", http.Header{"Origin": {"https://evil.example"}}, false},
		{"null", http.Header{"Origin": {"null"}}, false},
		{"two", http.Header{"Origin": {own, own}}, false},
	} {
		r := httptest.NewRequest("POST", "/auth/logout", nil)
		r.Header = c.header
		if got := origin.Proven(r, own); got != c.want {
			t.Errorf("%s: Proven = %v, want %v", c.name, got, c.want)
		}
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header["Origin"] = []string{""}
	if origin.Proven(r, "") {
		t.Error("an empty Origin proves an empty origin")
	}
}

func TestCORS(t *testing.T) {
	const app = "https://app.example"
	listed := origin.CORSConfig{Origins: []string{app, "https://b.example:8443"}}
	credentials := origin.CORSConfig{Origins: []string{app}, Credentials: true}
	star := origin.CORSConfig{Origins: []string{"*"}}
	for _, c := range []struct {
		name      string
		cfg       origin.CORSConfig
		method    string
		header    http.Header
		reached   bool
		allow     string // Access-Control-Allow-Origin
		withCreds bool
	}{
		{"not configured", origin.CORSConfig{Credentials: true}, "GET", http.Header{"Origin": {app}}, true, "", false},
		{"not configured, preflight", origin.CORSConfig{}, "OPTIONS", http.Header{"Origin": {app}, "Access-Control-Request-Method": {"PUT"}}, true, "", false},
		{"no Origin", listed, "GET", nil, true, "", false},
		{"listed", listed, "GET", http.Header{"Origin": {app}}, true, app, false},
		{"listed, with a port", listed, "POST", http.Header{"Origin": {"https://b.example:8443"}}, true, "https://b.example:8443", false},
		{"listed, credentials", credentials, "GET", http.Header{"Origin": {app}}, true, app, true},
		{"another", credentials, "GET", http.Header{"Origin": {"https://evil.example"}}, true, "", false},
		{"another port", credentials, "GET", http.Header{"Origin": {app + ":8443"}}, true, "", false},
		{"another scheme", credentials, "GET", http.Header{"Origin": {"http://app.example"}}, true, "", false},
		{"begins like one", credentials, "GET", http.Header{"Origin": {app + ".evil.example"}}, true, "", false},
		{"ends like one", credentials, "GET", http.Header{"Origin": {"https://evil-app.example"}}, true, "", false},
		{"another case", credentials, "GET", http.Header{"Origin": {"https://APP.example"}}, true, "", false},
		{"null", credentials, "GET", http.Header{"Origin": {"null"}}, true, "", false},
		{"two", credentials, "GET", http.Header{"Origin": {app, "https://evil.example"}}, true, "", false},
		{"preflight", listed, "OPTIONS", http.Header{"Origin": {app}, "Access-Control-Request-Method": {"DELETE"}, "Access-Control-Request-Headers": {"x-api-key"}}, false, app, false},
		{"preflight, credentials", credentials, "OPTIONS", http.Header{"Origin": {app}, "Access-Control-Request-Method": {"PUT"}}, false, app, true},
		{"preflight of another", credentials, "OPTIONS", http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"PUT"}}, false, "", false},
		{"preflight for an odd method", credentials, "OPTIONS", http.Header{"Origin": {app}, "Access-Control-Request-Method": {"TRACE"}}, false, "", false},
		{"OPTIONS that is none", listed, "OPTIONS", http.Header{"Origin": {app}}, true, app, false},
		{"all", star, "GET", http.Header{"Origin": {"https://any.example"}}, true, "*", false},
		{"all, with credentials", origin.CORSConfig{Origins: []string{"*"}, Credentials: true}, "GET", http.Header{"Origin": {"https://any.example"}}, true, "*", false},
		{"no wildcards", origin.CORSConfig{Origins: []string{"https://*.example"}}, "GET", http.Header{"Origin": {app}}, true, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			reached := false
			h := origin.CORS(c.cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached = true
				w.WriteHeader(http.StatusUnauthorized)
			}))
			r := httptest.NewRequest(c.method, "/posts", nil)
			r.Header = c.header
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got := w.Header()
			if reached != c.reached || got.Get("Access-Control-Allow-Origin") != c.allow {
				t.Errorf("reached = %v, Access-Control-Allow-Origin = %q, want %v, %q", reached, got.Get("Access-Control-Allow-Origin"), c.reached, c.allow)
			}
			if creds := got.Get("Access-Control-Allow-Credentials"); (creds == "true") != c.withCreds {
				t.Errorf("Access-Control-Allow-Credentials = %q, want it %v", creds, c.withCreds)
			}
			if !reached && w.Code != http.StatusNoContent {
				t.Errorf("preflight: %d, want 204", w.Code)
			}
			for name := range got {
				if len(c.cfg.Origins) == 0 && (strings.HasPrefix(name, "Access-Control-") || name == "Vary") {
					t.Errorf("%s is set, and nothing is configured", name)
				}
			}
			if len(c.cfg.Origins) > 0 && !strings.Contains(got.Get("Vary"), "Origin") {
				t.Errorf("Vary = %q, want Origin in it", got.Get("Vary"))
			}
		})
	}
}
