package sqlite_test

import (
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

// BenchmarkVerify verifies a key against the file each
// time: nothing is cached.
func BenchmarkVerify(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "server.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	owner, err := s.Users().Ensure(b.Context(), user.Local, "ada", user.Profile{})
	if err != nil {
		b.Fatal(err)
	}
	keys, err := apikey.New(apikey.Config{Store: s.Keys(), Users: s.Users(), Environment: apikey.Live, Schemes: []string{"apiKey"}})
	if err != nil {
		b.Fatal(err)
	}
	place := gate.Place{In: gate.InHeader, Name: "X-Api-Key"}
	scheme := keys.Scheme("apiKey", place)
	for name, owner := range map[string]apikey.Owner{"client": {Client: "robot"}, "user": {User: owner.ID}} {
		key, _, err := keys.Create(b.Context(), apikey.CreateRequest{Owner: owner, Label: "a key"})
		if err != nil {
			b.Fatal(err)
		}
		c := gate.Credential{Place: place, Value: key.Reveal()}
		r := httptest.NewRequest("GET", "/", nil)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := scheme.Verify(r.Context(), r, c); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+" parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := scheme.Verify(r.Context(), r, c); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
