package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gatewright/gatewright/runtime/store"
)

const (
	// pingEvery is how often a connection that only listens is asked
	// whether it is still there; silence is how long it may say nothing.
	pingEvery = 4 * time.Second
	silence   = 10 * time.Second
	// listenAgain is how long after its end a connection is made anew.
	listenAgain = 250 * time.Millisecond
)

// channel is where changes are told, each in the script that makes it: the kind
// and, behind a space, the ID.
func (s *Store) channel() string { return s.prefix + "changes" }

// Watch listens on a connection of its own, and makes a new one when that ends
// or has been silent for ten seconds.
func (s *Store) Watch(ctx context.Context, changed func(store.Change)) {
	told := false // that it cannot listen
	for ctx.Err() == nil {
		err := s.listen(ctx, func(c store.Change) {
			told = false
			changed(c)
		})
		if ctx.Err() != nil {
			return
		}
		if !told {
			told = true
			slog.WarnContext(ctx, "redis: changes by other replicas are not heard until it answers again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// listen tells of changes until the connection ends.
func (s *Store) listen(ctx context.Context, changed func(store.Change)) error {
	sub := s.client.Subscribe(ctx, s.channel())
	var pings sync.WaitGroup
	defer pings.Wait()
	end := sync.OnceFunc(func() { _ = sub.Close() })
	defer end()
	defer context.AfterFunc(ctx, end)() // a read does not notice that ctx has ended

	ended := make(chan struct{})
	defer close(ended)
	pings.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(pingEvery):
			}
			if sub.Ping(ctx) != nil {
				return // nor is anything read, soon
			}
		}
	})
	for {
		message, err := sub.ReceiveTimeout(ctx, silence)
		if err != nil {
			return fmt.Errorf("redis: %w", err)
		}
		switch m := message.(type) {
		case *goredis.Subscription:
			if m.Kind != "subscribe" {
				return errors.New("redis: it has ended the subscription")
			}
			changed(store.Change{})
		case *goredis.Message:
			changed(change(m.Payload))
		}
	}
}

// change reads what was told. What a newer program tells may be anything.
func change(payload string) store.Change {
	kind, id, _ := strings.Cut(payload, " ")
	switch c := (store.Change{Kind: store.Kind(kind), ID: id}); c.Kind {
	case store.Session, store.Revocation:
		return c
	default:
		return store.Change{}
	}
}
