package login_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/oauth2"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

// A hub is what GitHub looks like to a client: a numeric id, addresses apart
// from the user, scopes joined by commas, and a token endpoint that answers as
// a form unless it is asked for JSON.
func hub(t *testing.T, user, emails string, status int) (*httptest.Server, provider.Config) {
	t.Helper()
	var challenge string
	mux := http.NewServeMux()
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("GET /login/oauth/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		challenge = q.Get("code_challenge")
		to := q.Get("redirect_uri") + "?" + url.Values{"code": {"the-code"}, "state": {q.Get("state")}}.Encode()
		http.Redirect(w, r, to, http.StatusFound)
	})
	mux.HandleFunc("POST /login/oauth/access_token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_secret") != "hub-secret" || r.FormValue("code") != "the-code" ||
			oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != challenge {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		if r.Header.Get("Accept") != "application/json" {
			io.WriteString(w, "access_token=gho_x&scope=read%3Auser%2Cuser%3Aemail&token_type=bearer")
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		io.WriteString(w, `{"access_token":"gho_x","scope":"read:user,user:email","token_type":"bearer"}`)
	})
	api := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			if r.Header.Get("Authorization") != "Bearer gho_x" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	mux.HandleFunc("GET /user", api(user))
	mux.HandleFunc("GET /user/emails", api(emails))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return srv, provider.Config{
		Name: "github", Preset: "github", ClientID: "hub-client", ClientSecret: secret.New("hub-secret"), CA: ca,
		AuthorizationURL: srv.URL + "/login/oauth/authorize", TokenURL: srv.URL + "/login/oauth/access_token",
		UserURL: srv.URL + "/user", EmailsURL: srv.URL + "/user/emails", Identity: "https://github.com",
	}
}

func TestGitHub(t *testing.T) {
	const verified = `[{"email":"old@example.com","primary":false,"verified":true},{"email":"cat@example.com","primary":true,"verified":true}]`
	for name, c := range map[string]struct {
		user, emails string
		status       int
		subject      string // "": nobody is signed in
		shown, email string
	}{
		"usual":          {`{"login":"octocat","id":583231,"name":"The Octocat","email":"public@example.com"}`, verified, 200, "583231", "The Octocat", "cat@example.com"},
		"no name":        {`{"login":"octocat","id":9007199254740993,"name":null}`, verified, 200, "9007199254740993", "octocat", "cat@example.com"},
		"not verified":   {`{"login":"octocat","id":1}`, `[{"email":"boss@example.com","primary":true,"verified":false}]`, 200, "1", "octocat", ""},
		"no id":          {`{"login":"octocat"}`, verified, 200, "", "", ""},
		"id twice":       {`{"id":1,"id":2}`, verified, 200, "", "", ""},
		"id in capitals": {`{"ID":1}`, verified, 200, "", "", ""},
		"a fraction":     {`{"id":1.5}`, verified, 200, "", "", ""},
		"not answering":  {`{"id":1}`, verified, 500, "", "", ""},
		"not JSON":       {`hello`, verified, 200, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv, cfg := hub(t, c.user, c.emails, c.status)
			a := newApp(t, option{}, cfg)
			b := newBrowser(t, a)
			b.client.Transport = also{srv, b.client.Transport}
			v := b.signIn()
			if c.subject == "" {
				if v.status != 403 && v.status != 503 || b.signedIn() {
					t.Errorf("it ends with %d, signed in: %v", v.status, b.signedIn())
				}
				return
			}
			rec, err := a.stores.Users().Load(t.Context(), v.body)
			if err != nil || rec.Issuer != "https://github.com" || rec.Subject != c.subject || rec.Name != c.shown || rec.Email != c.email {
				t.Errorf("the user is %+v, %v (%d %s)", rec, err, v.status, v.body)
			}
		})
	}
}

// also sends what is for a server through its own client.
type also struct {
	srv  *httptest.Server
	next http.RoundTripper
}

func (a also) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == a.srv.Listener.Addr().String() {
		return a.srv.Client().Transport.RoundTrip(r)
	}
	return a.next.RoundTrip(r)
}

// TestEntra: the issuer with a gap is matched on the tenant, and of the tenants
// only those that are listed.
func TestEntra(t *testing.T) {
	const mine, second, foreign = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222", "33333333-3333-3333-3333-333333333333"
	for name, c := range map[string]struct {
		tid, iss string
		in       bool
	}{
		"first tenant":       {mine, mine, true},
		"second tenant":      {second, second, true},
		"another tenant":     {foreign, foreign, false},
		"tid of one of ours": {mine, foreign, false},
		"iss of one of ours": {foreign, mine, false},
		"no tid":             {"", mine, false},
		"the gap itself":     {"{tenantid}", "{tenantid}", false},
	} {
		t.Run(name, func(t *testing.T) {
			idp := gatetest.NewProvider(t)
			cfg := idp.Config("entra")
			cfg.Preset, cfg.Tenants = "entra", []string{mine, second}
			cfg.Issuer = idp.Issuer + "/{tenantid}/v2.0"
			cfg.MetadataURL = idp.Issuer + "/.well-known/openid-configuration"
			idp.Misbehave(gatetest.Mischief{
				Metadata: func(m map[string]any) {
					m["issuer"] = cfg.Issuer
					delete(m, "authorization_response_iss_parameter_supported")
				},
				Callback: func(q url.Values) { q.Del("iss") },
				IDToken: gatetest.Forgery{Claims: func(claims map[string]any) {
					claims["iss"] = idp.Issuer + "/" + c.iss + "/v2.0"
					if c.tid != "" {
						claims["tid"] = c.tid
					}
				}},
			})
			a := newApp(t, option{}, cfg)
			b := newBrowser(t, a, idp)
			v := b.signIn()
			if b.signedIn() != c.in {
				t.Errorf("signed in: %v, want %v (%d)", b.signedIn(), c.in, v.status)
			}
			if c.in {
				rec, err := a.stores.Users().Load(t.Context(), v.body)
				if err != nil || rec.Issuer != idp.Issuer+"/"+c.iss+"/v2.0" {
					t.Errorf("the user is %+v, %v", rec, err)
				}
			}
		})
	}
}
