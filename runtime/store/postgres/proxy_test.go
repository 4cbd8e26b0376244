package postgres_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A proxy stands between a store and its server.
type proxy struct {
	l      net.Listener
	server string

	mu       sync.Mutex
	dead     chan struct{} // closed: what is connected now hears nothing any more
	from, to []byte        // of the same length: what the server says is changed so
	conns    []net.Conn
}

// through returns a proxy to the server of a URL, and the URL through it.
func through(t *testing.T, at string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, server: u.Host, dead: make(chan struct{})}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		wait.Wait()
	})
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	dead := p.dead
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	go p.copy(server, client, dead, false)
	p.copy(client, server, dead, true)
}

func (p *proxy) copy(to, from net.Conn, dead chan struct{}, answers bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-dead: // neither data nor an end comes through
			if err == nil {
				_, _ = io.Copy(io.Discard, from)
			}
			return
		default:
		}
		if err != nil {
			_ = to.Close()
			return
		}
		out := buf[:n]
		if p.mu.Lock(); answers && p.from != nil {
			out = bytes.ReplaceAll(out, p.from, p.to)
		}
		p.mu.Unlock()
		if _, err := to.Write(out); err != nil {
			_ = from.Close()
			return
		}
	}
}

// cut loses the network under all connections. New ones hear something again
// after heal.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.dead)
}

func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = make(chan struct{})
}

// swap has the server say to instead of from.
func (p *proxy) swap(from, to []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.to = from, to
}
