package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/config"
)

// from is a dialer of another address of this machine.
func from(t *testing.T, address string) *net.Dialer {
	t.Helper()
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "only Linux has more than one loopback address without being asked")
	}
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: patience}
}

// TestConnectionLimits: an address with too many connections is turned away, and
// no other; a place is free again when a connection ends.
func TestConnectionLimits(t *testing.T) {
	s := start(t, http.HandlerFunc(hello), func(c *config.Config) {
		c.Limits.Connections, c.Limits.ConnectionsPerAddress = 5, 3
	})
	open := func(address string) (*tls.Conn, error) {
		conn, err := tls.DialWithDialer(from(t, address), "tcp", s.address, &tls.Config{RootCAs: s.pool, ServerName: "blog.example"})
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return conn, err
	}
	var conns []*tls.Conn
	for i, c := range []struct {
		address string
		want    bool
	}{
		{"127.0.0.2", true}, {"127.0.0.2", true}, {"127.0.0.2", true}, {"127.0.0.2", false}, {"127.0.0.2", false},
		{"127.0.0.3", true}, {"127.0.0.4", true}, {"127.0.0.5", false},
	} {
		conn, err := open(c.address)
		if (err == nil) != c.want {
			t.Errorf("connection %d, from %s: %v, want taken %v", i, c.address, err, c.want)
		}
		conns = append(conns, conn)
	}
	s.log.await(t, "limits.connections_per_address")
	if n := strings.Count(s.log.String(), "turned away"); n != 1 {
		t.Errorf("%d lines say so, want one in a minute", n)
	}
	_ = conns[0].Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := open("127.0.0.2"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the place of a connection that ended is not free: %v", err)
		}
	}
}

// TestConnectionsOfProxies: those who stand for many clients have no limit of
// one address.
func TestConnectionsOfProxies(t *testing.T) {
	s := startApp(t, func(c *config.Config) {
		c.Limits.ConnectionsPerAddress = 1
		c.TLS = config.TLS{BehindProxy: []string{"127.0.0.0/8"}}
	}, nil)
	for range 3 {
		conn, err := net.Dial("tcp", s.address)
		check(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET /v1/x HTTP/1.1\r\nHost: blog.example\r\n\r\n")
		check(t, err)
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatalf("a connection of a proxy is closed: %v", err)
		}
	}
}

// TestRequestsOfProxies: a proxy that names no client has no limit of one address.
func TestRequestsOfProxies(t *testing.T) {
	var inside atomic.Int32
	hold := make(chan struct{})
	s := startWith(t, App{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside.Add(1)
		<-hold
	})}, func(c *config.Config) {
		c.Limits.RequestsPerAddress = 1
		c.TLS = config.TLS{BehindProxy: []string{"127.0.0.0/8"}}
	})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { direct(t, s.address, "GET", "/", "blog.example", "X-Forwarded-Proto: https") })
	}
	for deadline := time.Now().Add(patience); inside.Load() < 3 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if n := inside.Load(); n != 3 {
		t.Errorf("%d requests are served at once, want 3", n)
	}
	close(hold)
	all.Wait()
}

// TestRequestLimits: too many requests at once are answered before their body is
// read, those of one address before those of everybody.
func TestRequestLimits(t *testing.T) {
	var inside atomic.Int32
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		defer inside.Add(-1)
		<-hold
	})
	s := start(t, slow, func(c *config.Config) { c.Limits.Requests, c.Limits.RequestsPerAddress = 5, 3 })
	client := func(address string) *http.Client {
		return &http.Client{Timeout: patience, Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: s.pool, ServerName: "blog.example"},
			ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return from(t, address).DialContext(ctx, "tcp", s.address)
			},
		}}
	}
	clients := map[string]*http.Client{}
	for _, address := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		clients[address] = client(address)
		defer clients[address].CloseIdleConnections()
	}
	var held sync.WaitGroup
	enter := func(address string) {
		held.Go(func() {
			if res, err := clients[address].Get("https://blog.example/"); err == nil {
				_ = res.Body.Close()
			}
		})
	}
	full := func(n int32) {
		t.Helper()
		for deadline := time.Now().Add(patience); inside.Load() != n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d requests are held, want %d", inside.Load(), n)
			}
		}
	}
	refused := func(address string, status int, code string) {
		t.Helper()
		body := &endless{}
		res, text := answer(t)(clients[address].Post("https://blog.example/", "text/plain", body))
		if res.StatusCode != status || !strings.Contains(text, code) || res.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %s, want %d %s", address, res.StatusCode, text, status, code)
		}
		if n := body.read.Load(); n > 1<<20 {
			t.Errorf("%s: %d bytes of the body were sent", address, n)
		}
	}
	for range 3 {
		enter("127.0.0.2")
	}
	full(3)
	refused("127.0.0.2", 429, "too_many_at_once")
	enter("127.0.0.3")
	enter("127.0.0.3")
	full(5)
	refused("127.0.0.4", 503, "server_busy")
	release()
	held.Wait()
	full(0)
	if res, _ := answer(t)(clients["127.0.0.4"].Get("https://blog.example/")); res.StatusCode != 200 {
		t.Errorf("afterwards: %d", res.StatusCode)
	}
}

// An endless body ends only when its reader does, and comes slowly enough.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, make([]byte, 1024))
	if e.read.Add(int64(n)) > 16<<20 {
		return 0, fmt.Errorf("nobody stopped it")
	}
	time.Sleep(time.Millisecond)
	return n, nil
}
