package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzReadYAML shows that no file panics the reader, that a mistake has a
// place, and that what is read without one is within the rules.
func FuzzReadYAML(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(full))
	f.Add([]byte("a: &a [*a]\nlog: *a\n"))
	f.Add([]byte("secret_file: &s [x, *t]\n"))
	f.Add([]byte("---\n---\n"))
	f.Add([]byte("limits: {body_bytes: 0x10, header_time: 1_0s}\n"))
	f.Add([]byte("\xff\xfea\x00:\x00"))
	f.Add([]byte("? [a]\n: !!binary x\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := &draft{file: filepath.Join("dir", "server.yaml"), places: map[string]string{}}
		d.readYAML(content)
		d.fill()
		d.TLS.Cert = "" // no file is read
		host := d.checkPublicURL()
		d.checkListen()
		d.checkTLS(host)
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
		if !strings.HasPrefix(d.PublicURL, "https://") || d.Limits.BodyBytes <= 0 || d.Limits.HeaderTime <= 0 || len(d.Secrets) > 0 {
			t.Errorf("readYAML accepts %q as %+v", content, d.Config)
		}
	})
}
