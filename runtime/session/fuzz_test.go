package session_test

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// FuzzOpenCookie presents anything as a session cookie: it is absent, or the
// one good cookie there is.
func FuzzOpenCookie(f *testing.F) {
	server, sealed := setup(f, session.Server, nil), setup(f, session.Sealed, nil)
	good := map[*fixture]string{server: server.signIn(f, login(), ""), sealed: sealed.signIn(f, login(), "")}
	for fix, value := range good {
		f.Add(value)
		f.Add(value[1:])
		f.Add(fix.begin(f, login()).Reveal())
	}
	f.Add(sealed.cfg.Ring.Sealer("session").Seal([]byte(`{"k":1}`), session.DefaultCookie))
	f.Fuzz(func(t *testing.T, value string) {
		for fix, one := range good {
			a := fix.Scheme("login", nil, cookie)
			c := gate.Credential{Place: cookie, Value: value}
			id, err := a.Verify(t.Context(), browser("GET", ""), c)
			if err == nil && (value != one || id.User == nil) || err != nil && (!errors.Is(err, gate.ErrAbsent) || id.User != nil) {
				t.Errorf("%s: Verify(%q) = %+v, %v", fix.Kind(), value, id, err)
			}
		}
	})
}

// FuzzOpenPayload has what was sealed by us hold anything.
func FuzzOpenPayload(f *testing.F) {
	s := setup(f, session.Sealed, nil)
	for _, purpose := range []string{"session", "session ticket"} {
		value := s.signIn(f, login(), "")
		if purpose != "session" {
			value = s.begin(f, login()).Reveal()
		}
		plain, err := s.cfg.Ring.Sealer(purpose).Open(value, session.DefaultCookie)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	f.Add([]byte(`{"k":"x","u":"usr_anna","c":-9223372036854775808,"id":9223372036854775807,"e":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		r := browser("GET", s.cfg.Ring.Sealer("session").Seal(plain, session.DefaultCookie))
		if sess, err := s.Current(r); err == nil && sess.User.ID != anna.ID && sess.User.ID != bert.ID || err != nil && !errors.Is(err, session.ErrNone) {
			t.Errorf("Current(%q) = %+v, %v", plain, sess, err)
		}
		ticket := secret.New(s.cfg.Ring.Sealer("session ticket").Seal(plain, session.DefaultCookie))
		_ = s.Finish(httptest.NewRecorder(), browser("GET", ""), ticket)
	})
}

// FuzzOpenTicket presents anything as a ticket.
func FuzzOpenTicket(f *testing.F) {
	server, sealed := setup(f, session.Server, nil), setup(f, session.Sealed, nil)
	f.Add(server.signIn(f, login(), ""))
	f.Add(sealed.signIn(f, login(), ""))
	f.Add(secret.Random(32).Reveal())
	f.Fuzz(func(t *testing.T, text string) {
		for _, fix := range []*fixture{server, sealed} {
			w, err := fix.finish(secret.New(text), "")
			if !errors.Is(err, session.ErrNone) || len(w.Header()) > 0 {
				t.Errorf("%s: Finish(%q) = %v and sets %v", fix.Kind(), text, err, w.Header())
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, kind := range kinds {
		f := setup(b, kind, nil)
		value := f.signIn(b, login(), "")
		a := f.Scheme("login", nil, cookie)
		r := browser("GET", value)
		b.Run(string(kind), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, _, _ := a.Find(r)
				if _, err := a.Verify(b.Context(), r, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
