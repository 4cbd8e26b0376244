package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// balance starts a balancer over the targets and returns its address.
func balance(t *testing.T, targets ...*target) (*balancer, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newBalancer(l, &sharedWriter{w: io.Discard}, targets...)
	ended := make(chan struct{})
	go func() { b.serve(); close(ended) }()
	t.Cleanup(func() { b.close(); <-ended })
	return b, l.Addr().String()
}

// backend is a target that answers each connection with handle.
func backend(t *testing.T, handle func(*net.TCPConn)) *target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); handle(conn.(*net.TCPConn)) }()
		}
	}()
	tg := &target{name: "test"}
	addr := l.Addr().String()
	tg.addr.Store(&addr)
	return tg
}

// says is a backend that says text and ends.
func says(t *testing.T, text string) *target {
	return backend(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, text) })
}

func connect(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func hear(t *testing.T, addr string) string {
	t.Helper()
	text, err := io.ReadAll(connect(t, addr))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBalancerTurns(t *testing.T) {
	gone := &target{name: "gone"} // has never run
	refuses := says(t, "x")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close() // nobody listens there any more
	refuses.addr.Store(&addr)
	_, at := balance(t, says(t, "a"), gone, says(t, "b"), refuses)
	var heard []string
	for range 12 {
		heard = append(heard, hear(t, at))
	}
	all := strings.Join(heard, "")
	if a, b := strings.Count(all, "a"), strings.Count(all, "b"); a+b != 12 || a < 3 || b < 3 {
		t.Errorf("12 connections went to %s, want each to a or b", all)
	}

	// One that is back is asked again.
	back, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	go func() {
		for {
			conn, err := back.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "c")
			_ = conn.Close()
		}
	}()
	for end := time.Now().Add(10 * time.Second); hear(t, at) != "c"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a replica that is back gets no connection")
		}
	}
}

// A replica that could not be reached just now is asked last, and is asked
// where nobody else is there.
func TestBalancerDown(t *testing.T) {
	a, b := says(t, "a"), says(t, "b")
	b.down.Store(time.Now().Add(time.Minute).UnixNano())
	_, at := balance(t, a, b)
	for range 4 {
		if got := hear(t, at); got != "a" {
			t.Errorf("a connection went to %q, want a", got)
		}
	}
	a.addr.Store(nil)
	if got := hear(t, at); got != "b" {
		t.Errorf("with nobody else there a connection went to %q, want b", got)
	}
}

// Of a client that breaks its connection the replica hears.
func TestBalancerBroken(t *testing.T) {
	heard := make(chan struct{})
	_, at := balance(t, backend(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte("x"))
		_, _ = io.Copy(io.Discard, c)
		close(heard)
	}))
	conn := connect(t, at)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetLinger(0)
	_ = conn.Close()
	select {
	case <-heard:
	case <-time.After(10 * time.Second):
		t.Error("the replica's connection stays open")
	}
}

func TestBalancerNobodyThere(t *testing.T) {
	_, at := balance(t, &target{name: "gone"})
	if got := hear(t, at); got != "" {
		t.Errorf("without a replica one hears %q", got)
	}
}

// Each side may end what it says and still hear the other.
func TestBalancerHalfClose(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 100_000)
	_, at := balance(t, backend(t, func(c *net.TCPConn) {
		heard, _ := io.ReadAll(c) // to the end, before the first word of the answer
		_, _ = c.Write(heard)
	}), backend(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte("first"))
		_ = c.CloseWrite()
		heard, _ := io.ReadAll(c)
		if !bytes.Equal(heard, text) {
			t.Errorf("after the end of its own words the replica heard %d bytes, want %d", len(heard), len(text))
		}
	}))
	for range 2 {
		conn := connect(t, at)
		first := make([]byte, 5)
		go func() { _, _ = conn.Write(text); _ = conn.CloseWrite() }()
		if _, err := io.ReadFull(conn, first); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(conn)
		got := append(first, rest...)
		if err != nil || string(got) != "first" && !bytes.Equal(got, text) {
			t.Errorf("heard %d bytes, %v", len(got), err)
		}
	}
}

// A balancer carries so many connections at once, and then the next.
func TestBalancerBounded(t *testing.T) {
	var open atomic.Int32
	b, at := balance(t, backend(t, func(c *net.TCPConn) {
		open.Add(1)
		defer open.Add(-1)
		_, _ = io.Copy(io.Discard, c)
	}))
	var conns []*net.TCPConn
	for range mostOpen + 5 {
		conns = append(conns, connect(t, at))
	}
	wait := func(want int32) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); open.Load() != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d connections are open, want %d", open.Load(), want)
			}
		}
	}
	wait(mostOpen)
	time.Sleep(100 * time.Millisecond)
	wait(mostOpen)
	for _, c := range conns[:10] {
		_ = c.Close()
	}
	wait(mostOpen - 5)

	// Its end closes all that are open, and takes no more.
	done := make(chan struct{})
	go func() { b.close(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	wait(0)
	if conn, err := net.Dial("tcp", at); err == nil {
		_ = conn.Close()
		t.Error("it listens after its end")
	}
}
