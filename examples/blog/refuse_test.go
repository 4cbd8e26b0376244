package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gatetest"
	"github.com/gatewright/gatewright/runtime/secret"
)

// TestRefusesToStart has the program meet everything that it must not start with:
// it ends at once, says why, and has listened to nobody.
func TestRefusesToStart(t *testing.T) {
	program := build(t)
	idp := gatetest.NewProvider(t)
	s := newSite(t, program, idp, "store: sqlite:keys.db\n", nil)
	s.stop(t)
	good, err := os.ReadFile(filepath.Join(s.dir, "server.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cert, key := s.certFiles(t)
	otherCert, otherKey := s.ca.Files(t, "other.example")
	oldCert, oldKey := s.ca.Expired(t, "localhost")
	loose := filepath.Join(s.dir, "loose.pem")
	content, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(loose, content, 0o644); err != nil {
		t.Fatal(err)
	}
	// An issuer whose metadata are another's.
	liar := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer": %q, "authorization_endpoint": %[1]q, "token_endpoint": %[1]q, "jwks_uri": %[1]q}`, idp.Issuer)
	}))
	liar.TLS = &tls.Config{Certificates: []tls.Certificate{s.ca.Certificate(t, "localhost")}}
	liar.StartTLS()
	defer liar.Close()
	_, port, _ := net.SplitHostPort(liar.Listener.Addr().String())
	replace := func(pairs ...string) func(*testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			text := string(good)
			for i := 0; i < len(pairs); i += 2 {
				if !strings.Contains(text, pairs[i]) {
					t.Fatalf("the settings have no %q", pairs[i])
				}
				text = strings.Replace(text, pairs[i], pairs[i+1], 1)
			}
			return text
		}
	}
	add := func(lines string) func(*testing.T) string {
		return func(*testing.T) string { return string(good) + lines }
	}
	write := func(name, text string) string {
		s.write(t, name, text)
		return name
	}
	for _, c := range []struct {
		name     string
		settings func(*testing.T) string
		env      string
		want     []string
	}{
		{"a scheme that nobody verifies", replace("  service: {provider: main}\n", ""), "", []string{"service"}},
		{"a scheme that the document does not have", replace("  service: {provider: main}\n", "  service: {provider: main}\n  servise: {provider: main}\n"), "", []string{"servise"}},
		{"no store", replace("store: sqlite:keys.db\n", ""), "", []string{"store"}},
		{"no secret", replace("secret_file: server.secret\n", ""), "", []string{"secret_file: is missing", "/dev/urandom"}},
		{"a secret of 31 bytes", replace("secret_file: server.secret", "secret_file: "+write("short.secret", strings.Repeat("ab", 16)[:31]+"\n")), "", []string{"short.secret"}},
		{"a sample of a secret", replace("secret_file: server.secret", "secret_file: "+write("sample.secret", strings.Repeat("changeme", 8)+"\n")), "", []string{"sample.secret"}},
		{"a public URL without TLS", replace("public_url: https", "public_url: http"), "", []string{"public_url: is not https"}},
		{"an issuer without TLS", replace(`issuer: "https`, `issuer: "http`), "", []string{"issuer", "https"}},
		{"metadata of another issuer", replace(`issuer: "`+idp.Issuer+`"`, `issuer: "https://localhost:`+port+`"`, `ca: "`+idp.CAFile+`"`, `ca: "`+s.ca.File+`"`), "", []string{"issuer", idp.Issuer}},
		{"no secret of the client", replace(", client_secret_file: client.secret", ""), "", []string{"client_secret"}},
		{"a certificate that is not there", replace(cert, cert+".gone"), "", []string{".gone"}},
		{"a certificate of another key", replace(key, otherKey), "", []string{"does not match"}},
		{"a certificate of another host", replace(cert, otherCert, key, otherKey), "", []string{"is not for localhost"}},
		{"an expired certificate", replace(cert, oldCert, key, oldKey), "", []string{"expired at"}},
		{"a key that others can read", replace(key, loose), "", []string{"chmod 600"}},
		{"a secret that others can read", func(t *testing.T) string {
			if err := os.Chmod(filepath.Join(s.dir, write("open.secret", secret.Random(32).Reveal()+"\n")), 0o644); err != nil {
				t.Fatal(err)
			}
			return replace("secret_file: server.secret", "secret_file: open.secret")(t)
		}, "", []string{"open.secret", "chmod 600"}},
		{"every origin with credentials", add(`cors: {origins: ["*"], credentials: true}` + "\n"), "", []string{"cors"}},
		{"proxies that are everything", add(`client_certs: {proxies: ["0.0.0.0/0"]}` + "\n"), "", []string{"client_certs.proxies", "nearly everything"}},
		{"proxies that end TLS and are everything", replace(fmt.Sprintf("tls: {cert: %q, key: %q}", cert, key), `tls: {behind_proxy: ["::/0"]}`), "", []string{"tls.behind_proxy", "nearly everything"}},
		{"balancers that are everything", add(`proxy_protocol: ["0.0.0.0/0"]` + "\n"), "", []string{"proxy_protocol", "nearly everything"}},
		{"a store that a newer program made", replace("store: sqlite:keys.db", "store: sqlite:"+newer(t, s)), "", []string{"newer"}},
		{"sealed sessions with tokens", add("sessions: {kind: sealed}\n"), "", []string{"sealed", "offline_access"}},
		{"the development switch on every address", replace("listen: "+s.addr, "listen: 0.0.0.0:0"), "GATEWRIGHT_DEV=true", []string{"listen", "development switch"}},
		{"a setting that there is not", add("lisen: x\n"), "", []string{"lisen", "did you mean listen?"}},
		{"an address in use", replace("listen: "+s.addr, "listen: "+liar.Listener.Addr().String()), "", []string{"listen", "in use"}},
		{"several that only the document and providers tell of", replace("  service: {provider: main}\n", "  servise: {provider: main}\n", `issuer: "`+idp.Issuer+`"`, `issuer: "https://localhost:`+port+`"`, `ca: "`+idp.CAFile+`"`, `ca: "`+s.ca.File+`"`), "",
			[]string{"servise", "createPost", idp.Issuer}},
		{"a store and a scheme", replace("store: sqlite:keys.db", "store: sqlite:newer.db", "  service: {provider: main}\n", "  service: {provider: main}\n  servise: {provider: main}\n"), "", []string{"servise", "newer"}},
		{"many at once", replace("public_url: https", "public_url: http", "secret_file: server.secret\n", "", cert, cert+".gone", "  service: {provider: main}\n", "  service: {provider: mian}\n", "log: {level: debug}", `cors: {origins: ["*"], credentials: true}`), "",
			[]string{"public_url: is not https", "secret_file: is missing", ".gone", "mian", "cors"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.write(t, "server.yaml", c.settings(t))
			ctx, cancel := context.WithTimeout(t.Context(), waitFor)
			defer cancel()
			cmd := exec.CommandContext(ctx, program)
			cmd.Dir, cmd.Env = s.dir, []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), c.env}
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || ctx.Err() != nil {
				t.Fatalf("the program ends with %v, want that it refuses:\n%s", err, out)
			}
			if bytes.Contains(out, []byte("listening on")) {
				t.Errorf("it listens first:\n%s", out)
			}
			for _, want := range c.want {
				if !bytes.Contains(out, []byte(want)) {
					t.Errorf("it does not tell of %q:\n%s", want, out)
				}
			}
			if bytes.Contains(out, []byte("PRIVATE KEY")) || bytes.Contains(out, []byte(s.secret.Reveal())) || bytes.Contains(out, []byte(idp.ClientSecret)) {
				t.Errorf("it tells a secret:\n%s", out)
			}
		})
	}
}

// newer is a store whose schema has a version yet to come.
func newer(t *testing.T, s *site) string {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "newer.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b, err := os.ReadFile(filepath.Join(s.dir, "keys.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "newer.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE gatewright_schema_version SET version = 999"); err != nil {
		t.Fatal(err)
	}
	return "newer.db"
}
