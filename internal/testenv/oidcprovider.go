package testenv

import (
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const oidcProviderVersion = "9.13.3"

//go:embed services/op.mjs
var oidcProviderScript []byte

// OIDCProviderConfig says how oidc-provider runs. Zero members have the
// defaults named.
type OIDCProviderConfig struct {
	CA             *CA    // its certificate's, and trusted for back-channel logout. Default: a new one
	Host           string // in the issuer. Default: localhost
	RedirectURIs   []string
	PostLogoutURIs []string // where it may send the browser after a logout
	// BackchannelLogoutURI is told of each logout, if set.
	BackchannelLogoutURI string
	Algorithm            string        // of ID tokens: RS256 (the default), PS256, ES256 or EdDSA
	AccessTTL, IDTTL     time.Duration // whole seconds. Default: 5 minutes
	// Resources are the servers that access tokens can be asked for (RFC
	// 8707): the tokens are JWTs (RFC 9068), signed as ID tokens are. Those
	// for one of OpaqueResources tell only who asks the provider about them.
	Resources, OpaqueResources []string
	// ResourceScopes are the scopes there. Default: posts:read and posts:write.
	ResourceScopes []string
	// MTLS has the provider ask for client certificates, and binds the tokens
	// of mtls-service to that client's.
	MTLS bool
}

// OIDCProvider starts the npm package oidc-provider, a certified OpenID
// provider. Its clients are web-app (client_secret_basic, the secret
// web-app-secret), web-post (client_secret_post, web-post-secret) and spa, a
// public one; PKCE is required of all. Whoever signs in has the name typed as
// sub; any password is taken. Scope groups tells the claim groups at UserInfo:
// alice has admin and staff, bob has staff, everyone else none. Scope
// offline_access gives a refresh token if the request has prompt=consent; a
// refresh token is used once. Logout may be asked for, and is told to
// BackchannelLogoutURI.
//
// The programs service and other-service (the secrets are service-secret and
// other-service-secret) get tokens for themselves by the client credentials
// grant; with MTLS so does mtls-service, which has no secret and names itself
// by a certificate of CA for mtls-service.example. A token request with a proof
// of DPoP gives a token that is bound to the proof's key. The client api
// (api-secret) may introspect everybody's tokens, other clients their own. Who
// got an opaque token may revoke it; a JWT cannot be revoked or introspected.
func OIDCProvider(t testing.TB, cfg OIDCProviderConfig) *Service {
	t.Helper()
	modules := oidcProviderModules(t)
	ca := cfg.CA
	if ca == nil {
		ca = NewCA(t)
	}
	host := cfg.Host
	if host == "" {
		host = "localhost"
	}
	scopes := cfg.ResourceScopes
	if scopes == nil {
		scopes = []string{"posts:read", "posts:write"}
	}
	clientCA := ""
	if cfg.MTLS {
		clientCA = ca.File
	}
	return serve(t, plan{
		name: "oidc-provider", ca: ca, host: host,
		command: func(s *Service, port int, cert, key string) func() *exec.Cmd {
			script := filepath.Join(s.dir, "op.mjs")
			if err := os.WriteFile(script, oidcProviderScript, 0o600); err != nil {
				t.Fatal(err)
			}
			// Modules are looked for beside the script.
			link := filepath.Join(s.dir, "node_modules")
			if err := os.Symlink(filepath.Join(modules, "node_modules"), link); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
			return func() *exec.Cmd {
				cmd := exec.Command("node", script)
				cmd.Env = append(os.Environ(),
					"ISSUER="+s.Issuer, "PORT="+strconv.Itoa(port), "TLS_CERT="+cert, "TLS_KEY="+key,
					"NODE_EXTRA_CA_CERTS="+ca.File,
					"REDIRECT_URIS="+strings.Join(cfg.RedirectURIs, " "),
					"POST_LOGOUT_URIS="+strings.Join(cfg.PostLogoutURIs, " "),
					"BACKCHANNEL_LOGOUT_URI="+cfg.BackchannelLogoutURI,
					"ALGORITHM="+cfg.Algorithm, "ACCESS_TTL="+seconds(cfg.AccessTTL), "ID_TTL="+seconds(cfg.IDTTL),
					"RESOURCES="+strings.Join(cfg.Resources, " "),
					"OPAQUE_RESOURCES="+strings.Join(cfg.OpaqueResources, " "),
					"RESOURCE_SCOPES="+strings.Join(scopes, " "),
					"CLIENT_CA="+clientCA,
				)
				return cmd
			}
		},
		signIn: func(user string) (string, string) { return user, "any" },
	})
}

// seconds is d in whole seconds, empty for none.
func seconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.Itoa(int(d / time.Second))
}

func oidcProviderModules(t testing.TB) string {
	t.Helper()
	need(t, "oidc-provider", "node", "npm")
	return install(t, "oidc-provider-"+oidcProviderVersion, buildOIDCProvider)
}

func buildOIDCProvider(dir string) error {
	part := filepath.Join(dir, "part")
	if err := os.Mkdir(part, 0o755); err != nil {
		return err
	}
	err := runIn(dir, nil, "npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", part, "oidc-provider@"+oidcProviderVersion)
	if err != nil {
		return err
	}
	if !exists(filepath.Join(part, "node_modules", "oidc-provider", "package.json")) {
		return errors.New("npm installed no oidc-provider")
	}
	return nil
}
