package testenv_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
)

const callback = "https://app.example/auth/callback/main"

// metadata is what a service says of itself.
type metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
	JWKS          string `json:"jwks_uri"`
	EndSession    string `json:"end_session_endpoint"`
}

func getJSON(t *testing.T, client *http.Client, url string, into any) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	readJSON(t, res, into)
}

func readJSON(t *testing.T, res *http.Response, into any) {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 {
		t.Fatalf("%s answers %s: %s", res.Request.URL, res.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}

// keyIDs names the keys that the service signs with.
func keyIDs(t *testing.T, s *testenv.Service, meta metadata) string {
	t.Helper()
	var set struct {
		Keys []struct{ Kid string } `json:"keys"`
	}
	getJSON(t, s.Client(), meta.JWKS, &set)
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.Kid)
	}
	if len(ids) == 0 {
		t.Fatal("the service has no keys")
	}
	return strings.Join(ids, " ")
}

// tokens asks the token endpoint as web-app.
func tokens(t *testing.T, s *testenv.Service, meta metadata, form url.Values) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, meta.Token, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("web-app", "web-app-secret")
	return s.Client().Do(req)
}

// testService signs in, refreshes, restarts and stops.
func testService(t *testing.T, s *testenv.Service, user string) {
	if !strings.HasPrefix(s.Issuer, "https://id.example:") {
		t.Errorf("Issuer = %q, want a host of id.example", s.Issuer)
	}
	var meta metadata
	discovery := s.Issuer + "/.well-known/openid-configuration"
	getJSON(t, s.Client(), discovery, &meta)
	if meta.Issuer != s.Issuer {
		t.Errorf("issuer of the metadata = %q, want %q", meta.Issuer, s.Issuer)
	}
	for _, endpoint := range []string{meta.Authorization, meta.Token, meta.UserInfo, meta.JWKS} {
		if !strings.HasPrefix(endpoint, s.Issuer) {
			t.Errorf("endpoint %q is not at the issuer", endpoint)
		}
	}
	strange := testenv.NewCA(t)
	if res, err := (&http.Client{Transport: strange.Transport()}).Get(strings.Replace(discovery, "id.example", "127.0.0.1", 1)); err == nil {
		_ = res.Body.Close()
		t.Error("the service's certificate is from another authority too")
	}

	const verifier = "a-verifier-of-forty-three-characters-or-more"
	back := s.Person(t).SignIn(t, meta.Authorization+"?"+url.Values{
		"response_type": {"code"}, "client_id": {"web-app"}, "redirect_uri": {callback}, "state": {"st"}, "nonce": {"no"},
		"scope": {"openid profile email groups offline_access"}, "prompt": {"consent"},
		"code_challenge_method": {"S256"}, "code_challenge": {"y5UF_tmp_ICTDGza-Ou2vUvx2cu7DBN-Xwf_z0RDfTw"},
	}.Encode(), user)
	if got := back.Scheme + "://" + back.Host + back.Path; got != callback || back.Query().Get("state") != "st" || back.Query().Get("code") == "" {
		t.Fatalf("SignIn = %s, want the callback with a code", back)
	}
	var got struct {
		ID      string `json:"id_token"`
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	res, err := tokens(t, s, meta, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	readJSON(t, res, &got)
	if got.ID == "" || got.Refresh == "" {
		t.Fatalf("tokens = %+v, want an ID token and a refresh token", got)
	}
	req, err := http.NewRequest(http.MethodGet, meta.UserInfo, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+got.Access)
	if res, err = s.Client().Do(req); err != nil {
		t.Fatal(err)
	}
	var info struct{ Groups []string }
	readJSON(t, res, &info)
	if strings.Join(info.Groups, " ") != "admin staff" {
		t.Errorf("groups of UserInfo = %q, want admin and staff", info.Groups)
	}
	first := got.Refresh
	if res, err = tokens(t, s, meta, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}}); err != nil {
		t.Fatal(err)
	}
	readJSON(t, res, &got)
	if got.Refresh == first || got.Refresh == "" {
		t.Error("the refresh token is not rotated")
	}

	before := keyIDs(t, s, meta)
	s.Restart(t)
	if after := keyIDs(t, s, meta); after == before {
		t.Errorf("keys after a restart are the same: %s", after)
	}
	s.Stop()
	if res, err := s.Client().Get(discovery); err == nil {
		_ = res.Body.Close()
		t.Error("the service answers after it was stopped")
	}
	s.Stop() // again changes nothing
}

func TestDex(t *testing.T) {
	testService(t, testenv.Dex(t, testenv.DexConfig{Host: "id.example", RedirectURIs: []string{callback}}), "alice")
}

func TestOIDCProvider(t *testing.T) {
	testService(t, testenv.OIDCProvider(t, testenv.OIDCProviderConfig{Host: "id.example", RedirectURIs: []string{callback}}), "alice")
}

// A logout at oidc-provider is told to the application over TLS.
func TestOIDCProviderLogout(t *testing.T) {
	ca := testenv.NewCA(t)
	told := make(chan string, 1)
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case told <- r.PostFormValue("logout_token"):
		default:
		}
	}))
	app.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "localhost")}}
	app.StartTLS()
	defer app.Close()
	_, port, _ := net.SplitHostPort(app.Listener.Addr().String())

	s := testenv.OIDCProvider(t, testenv.OIDCProviderConfig{
		CA: ca, RedirectURIs: []string{callback}, PostLogoutURIs: []string{"https://app.example/auth/logout"},
		BackchannelLogoutURI: "https://localhost:" + port + "/logout", Algorithm: "ES256",
	})
	var meta metadata
	getJSON(t, s.Client(), s.Issuer+"/.well-known/openid-configuration", &meta)
	alice := s.Person(t)
	back := alice.SignIn(t, meta.Authorization+"?"+url.Values{
		"response_type": {"code"}, "client_id": {"web-app"}, "redirect_uri": {callback}, "scope": {"openid"},
		"code_challenge_method": {"S256"}, "code_challenge": {"y5UF_tmp_ICTDGza-Ou2vUvx2cu7DBN-Xwf_z0RDfTw"},
	}.Encode(), "alice")
	if back.Query().Get("code") == "" {
		t.Fatalf("SignIn = %s", back)
	}
	out := alice.SignIn(t, meta.EndSession+"?"+url.Values{
		"client_id": {"web-app"}, "post_logout_redirect_uri": {"https://app.example/auth/logout"}, "state": {"st"},
	}.Encode(), "")
	if out.String() != "https://app.example/auth/logout?state=st" {
		t.Errorf("logout leads to %s", out)
	}
	select {
	case token := <-told:
		if strings.Count(token, ".") != 2 {
			t.Errorf("logout token = %q", token)
		}
	case <-time.After(10 * time.Second):
		t.Error("the application was told of no logout")
	}
}

// TestInstall makes what the other tests use. make tools runs it alone, since
// to build Dex can take longer than go test lets a test run.
func TestInstall(t *testing.T) {
	t.Run("dex", func(t *testing.T) { testenv.DexBinary(t) })
	t.Run("oidc-provider", func(t *testing.T) { testenv.OIDCProviderModules(t) })
}

// From nothing, oidc-provider is installed and runs. Of several that want it at
// once one installs it.
func TestInstallFromNothing(t *testing.T) {
	if testing.Short() {
		testenv.Skip(t, "installs oidc-provider anew, which takes a network")
	}
	t.Setenv("GWTEST_CACHE", filepath.Join(t.TempDir(), "cache"))
	var builds atomic.Int32
	build := func(dir string) error {
		builds.Add(1)
		return testenv.BuildOIDCProvider(dir)
	}
	testenv.Need(t, "oidc-provider", "node", "npm")
	done := make(chan error, 3)
	for range cap(done) {
		go func() {
			_, err := testenv.Installed(testenv.OIDCProviderName, build)
			done <- err
		}()
	}
	var errs []error
	for range cap(done) {
		errs = append(errs, <-done)
	}
	if err := errors.Join(errs...); err != nil {
		testenv.Skip(t, "npm installs nothing here: "+err.Error())
	}
	if n := builds.Load(); n != 1 {
		t.Errorf("it was installed %d times", n)
	}
	testenv.OIDCProvider(t, testenv.OIDCProviderConfig{RedirectURIs: []string{callback}})
}

func TestInstalled(t *testing.T) {
	t.Setenv("GWTEST_CACHE", t.TempDir())
	broken := errors.New("no network")
	if path, err := testenv.Installed("part", func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("Installed = %q, %v, want what the build says", path, err)
	}
	// A build that failed leaves nothing in the way of the next.
	builds := 0
	build := func(dir string) error {
		builds++
		return os.WriteFile(filepath.Join(dir, "part"), []byte("x"), 0o600)
	}
	for range 2 {
		path, err := testenv.Installed("part", build)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != "x" {
			t.Errorf("the part is %q, %v", text, err)
		}
	}
	if builds != 1 {
		t.Errorf("the part was built %d times", builds)
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("GWTEST_CACHE"), "build-*")); len(left) != 0 {
		t.Errorf("builds left %q", left)
	}
}

func TestNames(t *testing.T) {
	testenv.Names(t, "app.example", "ID.example")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, host := range []string{"app.example", "id.example", "APP.example"} {
		if got, err := net.DefaultResolver.LookupHost(ctx, host); err != nil || len(got) != 1 || got[0] != "127.0.0.1" {
			t.Errorf("LookupHost(%q) = %q, %v, want 127.0.0.1", host, got, err)
		}
	}
	if got, err := net.DefaultResolver.LookupHost(ctx, "evil.example"); err == nil {
		t.Errorf("LookupHost of another name = %q", got)
	}

	// What dials with the defaults finds them too.
	ca := testenv.NewCA(t)
	app := httptest.NewUnstartedServer(http.NotFoundHandler())
	app.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "app.example")}}
	app.StartTLS()
	defer app.Close()
	_, port, _ := net.SplitHostPort(app.Listener.Addr().String())
	res, err := (&http.Client{Transport: ca.Transport()}).Get("https://app.example:" + port)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}
