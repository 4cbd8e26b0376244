package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/store/redis"
)

// BenchmarkStore does what requests, logins and refreshes wait for, with a
// server on the same host that holds ten thousand sessions.
func BenchmarkStore(b *testing.B) {
	server := testenv.Redis(b)
	s, err := redis.Open(b.Context(), server.URL())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	until := time.Now().Add(time.Hour)
	var recs []session.Record
	for i := range 10_000 {
		rec := someSession(fmt.Sprint("usr_", i%5000))
		rec.Subject, rec.Tokens = fmt.Sprint(i%5000), make([]byte, 4000)
		if err := s.Sessions().Create(b.Context(), rec); err != nil {
			b.Fatal(err)
		}
		recs = append(recs, rec)
	}
	var keys []session.Key
	for i := range 4 {
		keys = append(keys, session.KeyOf(fmt.Sprint(i)))
	}
	for name, call := range map[string]func(i int) error{
		"load":    func(i int) error { _, err := s.Sessions().Load(b.Context(), recs[i%len(recs)].ID); return err },
		"list":    func(i int) error { _, err := s.Sessions().List(b.Context(), recs[i%len(recs)].User, 10); return err },
		"touch":   func(i int) error { return s.Sessions().Touch(b.Context(), recs[i%len(recs)].ID, time.Now(), until) },
		"revoked": func(int) error { _, err := s.Revocations().Revoked(b.Context(), keys...); return err },
		"mark": func(int) error {
			_, err := s.Marks().Mark(b.Context(), session.KeyOf(fmt.Sprint(time.Now())), until)
			return err
		},
		"lock": func(i int) error {
			_, err := s.Locks().Lock(b.Context(), keys[0], "ann", until)
			return err
		},
		"take": func(i int) error {
			_, err := s.Limits().Take(b.Context(), limit.Bucket{Name: "a", Burst: 20, Every: time.Second}, limit.Bucket{Name: fmt.Sprint(i), Burst: 20, Every: time.Second})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				if err := call(i); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
		b.Run(name+" parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if err := call(i); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
