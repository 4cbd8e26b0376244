package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/provider"
)

// FuzzReadYAML shows that no file panics the reader, that a mistake has a
// place, and that what is read without one is within the rules.
func FuzzReadYAML(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(full))
	f.Add([]byte("public_url: https://localhost\nproviders: {a: &a {issuer: https://id.example, client_id: x, client_auth: none}, b: *a}\nschemes: {\"\": {}}\n"))
	f.Add([]byte("providers: {a-b: {params: {a: b}}, a_b: {}}\nschemes: {x: {scopes_map: {a: &l [b], c: *l}}}\n"))
	f.Add([]byte("a: &a [*a]\nlog: *a\n"))
	f.Add([]byte("secret_file: &s [x, *t]\n"))
	f.Add([]byte("---\n---\n"))
	f.Add([]byte("limits: {body_bytes: 0x10, header_time: 1_0s}\n"))
	f.Add([]byte("\xff\xfea\x00:\x00"))
	f.Add([]byte("? [a]\n: !!binary x\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := &draft{file: filepath.Join("dir", "server.yaml"), places: map[string]string{}}
		d.readYAML(content)
		d.assemble()
		d.fill()
		d.TLS.Cert = nil // no file is read
		host := d.checkPublicURL()
		d.checkListen()
		d.checkTLS(host)
		d.checkProviders()
		d.checkSchemes()
		d.checkSessions()
		d.checkCORS()
		d.checkAdmin()
		d.checkLimits()
		d.checkTexts()
		for _, m := range d.mistakes {
			if m.Place == "" || m.Message == "" {
				t.Errorf("mistake %+v lacks its place or message", m)
			}
		}
		if len(d.mistakes) > 0 {
			if err := (&Error{Mistakes: d.mistakes}); err.Error() == "" || !errors.As(error(err), new(*Error)) {
				t.Error("the mistakes make no error")
			}
			return
		}
		for _, p := range d.Providers {
			if p.Issuer != "" && !strings.HasPrefix(p.Issuer, "https://") || p.Issuer == "" && p.UserURL == "" || !p.ClientSecret.IsZero() || p.ClientAuth != "none" && p.ClientID != "" {
				t.Errorf("readYAML accepts %q with provider %+v", content, p)
			}
		}
		for name, b := range d.Schemes {
			for _, meant := range b.Providers {
				if !slices.ContainsFunc(d.Providers, func(p provider.Config) bool { return p.Name == meant }) {
					t.Errorf("readYAML accepts %q with scheme %q of no provider", content, name)
				}
			}
		}
		if d.Sessions.Idle > d.Sessions.Absolute || slices.Contains(d.CORS.Origins, "*") && d.CORS.Credentials {
			t.Errorf("readYAML accepts %q as %+v", content, d.Config)
		}
		if !strings.HasPrefix(d.PublicURL, "https://") || d.Limits.BodyBytes <= 0 || d.Limits.HeaderTime <= 0 || len(d.Secrets) > 0 {
			t.Errorf("readYAML accepts %q as %+v", content, d.Config)
		}
	})
}
