package serve

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections knows what those of a server are doing. http.Server.Shutdown does
// not wait for a request of HTTP/1.1 that arrives while it runs: it reads it and
// hangs up.
type connections struct {
	mu  sync.Mutex
	all map[net.Conn]connection
}

type connection struct {
	state http.ConnState
	since time.Time
}

// note implements the hook http.Server.ConnState.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.all, conn)
		return
	}
	if c.all == nil {
		c.all = make(map[net.Conn]connection)
	}
	c.all[conn] = connection{state, time.Now()}
}

// newTime is how long a connection without a request is waited for.
const newTime = 5 * time.Second

// quiet tells whether no connection has a request, or may have one on its way.
func (c *connections) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.all {
		if conn.state == http.StateActive || conn.state == http.StateNew && time.Since(conn.since) < newTime {
			return false
		}
	}
	return true
}

// drain waits until all connections are quiet, or ctx is done.
func (c *connections) drain(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !c.quiet() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
