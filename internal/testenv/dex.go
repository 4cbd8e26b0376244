package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Dex's release tags are not versions of a Go module, and its go.mod replaces
// its API module, so that go install refuses it. It is built in a module made
// for that. These two are release 2.45.1.
const (
	dexVersion    = "v0.0.0-20260303133905-11d2eeb52b42"
	dexAPIVersion = "v2.4.0"
)

// DexConfig says how Dex runs. Zero members have the defaults named.
type DexConfig struct {
	CA           *CA           // its certificate's. Default: a new one
	Host         string        // in the issuer. Default: localhost
	RedirectURIs []string      // of both clients
	TTL          time.Duration // of ID tokens and access tokens. Default: 5 minutes
	// Mock adds a second way to sign in, without a form. Dex then shows a
	// page to choose one.
	Mock bool
}

// Dex starts Dex, a federating OpenID provider. Its clients are web-app, with
// the secret web-app-secret, and spa, a public one. alice@example.test (groups
// admin and staff) and bob@example.test (staff) sign in with the password
// "password". Scope offline_access gives a refresh token, which is rotated.
// There is no logout.
func Dex(t testing.TB, cfg DexConfig) *Service {
	t.Helper()
	bin := dexBinary(t)
	if cfg.TTL == 0 {
		cfg.TTL = 5 * time.Minute
	}
	return serve(t, plan{
		name: "Dex", ca: cfg.CA, host: cfg.Host, path: "/dex",
		command: func(s *Service, port int, cert, key string) func() *exec.Cmd {
			file := filepath.Join(s.dir, "config.yaml")
			if err := os.WriteFile(file, []byte(cfg.yaml(s, cert, key)), 0o600); err != nil {
				t.Fatal(err)
			}
			return func() *exec.Cmd { return exec.Command(bin, "serve", file) }
		},
		signIn: func(user string) (string, string) {
			if !strings.Contains(user, "@") {
				user += "@example.test"
			}
			return user, "password"
		},
	})
}

func dexBinary(t testing.TB) string {
	t.Helper()
	need(t, "Dex", "go")
	return install(t, "dex-"+dexVersion, buildDex)
}

func buildDex(dir string) error {
	env := []string{"GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0"}
	for _, args := range [][]string{
		{"mod", "init", "dexbuild"},
		{
			"mod", "edit", "-tool", "github.com/dexidp/dex/cmd/dex",
			"-require", "github.com/dexidp/dex@" + dexVersion,
			"-replace", "github.com/dexidp/dex/api/v2=github.com/dexidp/dex/api/v2@" + dexAPIVersion,
		},
		{"build", "-mod=mod", "-trimpath", "-ldflags=-s -w", "-o", "part", "github.com/dexidp/dex/cmd/dex"},
	} {
		if err := runIn(dir, env, "go", args...); err != nil {
			return err
		}
	}
	return nil
}

// dexPassword is the bcrypt hash of "password".
const dexPassword = "$2a$10$Kedr8Kc3HVHZVoCSkn6APOvZAwfdUzDIPUKPZESDs8kmXh9ibLx9G"

func (cfg DexConfig) yaml(s *Service, cert, key string) string {
	uris := make([]string, len(cfg.RedirectURIs))
	for i, u := range cfg.RedirectURIs {
		uris[i] = fmt.Sprintf("%q", u)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `issuer: %q
storage: {type: memory}
web: {https: %q, tlsCert: %q, tlsKey: %q}
oauth2: {skipApprovalScreen: true, responseTypes: [code]}
expiry: {idTokens: %q, authRequests: 10m}
enablePasswordDB: true
staticClients:
  - {id: web-app, name: Web app, secret: web-app-secret, redirectURIs: [%[6]s]}
  - {id: spa, name: SPA, public: true, redirectURIs: [%[6]s]}
staticPasswords:
`, s.Issuer, s.addr, cert, key, cfg.TTL.String(), strings.Join(uris, ", "))
	for _, user := range []struct{ name, groups string }{{"alice", "admin, staff"}, {"bob", "staff"}} {
		fmt.Fprintf(&b, "  - {email: %[1]s@example.test, username: %[1]s, userID: 0d6f9b0e-%[1]s, groups: [%[2]s], hash: %[3]q}\n", user.name, user.groups, dexPassword)
	}
	if cfg.Mock {
		b.WriteString("connectors:\n  - {type: mockCallback, id: mock, name: Mock}\n")
	}
	return b.String()
}
