package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// mostOpen is how many connections a balancer carries at once; more wait
	// to be accepted.
	mostOpen = 1024
	// dialTime bounds the attempt to reach one replica.
	dialTime = 2 * time.Second
	// downFor is how long a replica that could not be reached is asked last.
	downFor = time.Second
)

// A balancer passes connections on to replicas as they are, in turn. TLS is
// the replicas' own: nothing is read here, and no header is added. Its methods
// may be called concurrently.
type balancer struct {
	listener net.Listener
	targets  []*target
	log      *sharedWriter
	slots    chan struct{} // holds one for each connection
	next     atomic.Uint32
	running  sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

// A target is a replica, as far as connections go to it.
type target struct {
	name string
	addr atomic.Pointer[string] // nil: it does not run
	down atomic.Int64           // until when it is asked last, Unix nanoseconds
}

func newBalancer(listener net.Listener, log *sharedWriter, targets ...*target) *balancer {
	return &balancer{listener: listener, targets: targets, log: log, slots: make(chan struct{}, mostOpen), open: map[net.Conn]struct{}{}}
}

// serve passes connections on until close.
func (b *balancer) serve() {
	for {
		b.slots <- struct{}{}
		client, err := b.listener.Accept()
		if err != nil {
			<-b.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			b.log.printf("balancer: %v\n", err)
			time.Sleep(50 * time.Millisecond) // too many open files, say
			continue
		}
		if !b.track(client) {
			<-b.slots
			return
		}
		go func() {
			defer b.running.Done()
			defer func() { <-b.slots }()
			b.carry(client)
		}()
	}
}

// carry connects a client with a replica until both have ended.
func (b *balancer) carry(client net.Conn) {
	defer b.untrack(client)
	replica, to := b.dial()
	if replica == nil {
		b.log.printf("balancer: %s: no replica can be reached\n", client.RemoteAddr())
		return
	}
	if !b.track(replica) {
		return
	}
	defer b.running.Done()
	defer b.untrack(replica)
	b.log.printf("balancer: %s goes to %s\n", client.RemoteAddr(), to.name)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(replica, client)
	}()
	pass(client, replica)
	<-done
}

// pass copies what from says to to. When from has said all, to is told so, and
// may go on speaking; where either fails, both end.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok && err == nil {
		err = half.CloseWrite()
	}
	if err != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

// dial connects to the next replica whose turn it is; those that refuse are
// passed over, and those that refused just now are asked last.
func (b *balancer) dial() (net.Conn, *target) {
	first := int(b.next.Add(1))
	for _, last := range []bool{false, true} {
		now := time.Now()
		for i := range b.targets {
			t := b.targets[(first+i)%len(b.targets)]
			if (t.down.Load() > now.UnixNano()) != last {
				continue
			}
			if conn := t.dial(); conn != nil {
				return conn, t
			}
		}
	}
	return nil, nil
}

func (t *target) dial() net.Conn {
	if addr := t.addr.Load(); addr != nil {
		ctx, cancel := context.WithTimeout(context.Background(), dialTime)
		defer cancel()
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", *addr); err == nil {
			t.down.Store(0)
			return conn
		}
	}
	t.down.Store(time.Now().Add(downFor).UnixNano())
	return nil
}

// track counts a connection, which untrack and Done of running end, or closes
// it where the balancer is closed.
func (b *balancer) track(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		_ = c.Close()
		return false
	}
	b.open[c] = struct{}{}
	b.running.Add(1)
	return true
}

func (b *balancer) untrack(c net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, c)
	_ = c.Close()
}

// refuse takes no more connections. Those that are open go on.
func (b *balancer) refuse() { _ = b.listener.Close() }

// close ends all connections and waits for that.
func (b *balancer) close() {
	b.refuse()
	b.mu.Lock()
	b.closed = true
	for c := range b.open {
		_ = c.Close()
	}
	b.mu.Unlock()
	b.running.Wait()
}
