package store

import (
	"context"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
)

// Follow has keys, sessions and whoever else remembers people forget at once
// what other replicas change, until the function it returns is called, which
// waits for it. keys and sessions may be nil. Where word is lost, or the kind of
// store has none, they forget by themselves when the time of their caches is
// over.
func Follow(stores Stores, keys *apikey.Keys, sessions *session.Sessions, people ...interface{ ForgetAll() }) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		stores.Watch(ctx, func(c Change) {
			if keys != nil {
				forgetKeys(keys, c)
			}
			if sessions != nil {
				forgetSessions(sessions, c)
			}
			if c.Kind == Anything || c.Kind == User {
				for _, p := range people {
					p.ForgetAll()
				}
			}
		})
	}()
	return func() { cancel(); <-done }
}

func forgetKeys(keys *apikey.Keys, c Change) {
	switch {
	case c.Kind == Key && c.ID != "":
		keys.Forget(c.ID)
	case c.Kind == Anything, c.Kind == Key, c.Kind == User:
		keys.ForgetAll() // a person may have many keys
	}
}

func forgetSessions(sessions *session.Sessions, c Change) {
	if id, ok := session.ParseID(c.ID); c.Kind == Session && ok {
		sessions.Forget(id)
		return
	}
	switch c.Kind {
	case Anything, Session, User, Revocation:
		sessions.ForgetAll()
	}
}
