package serve

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/config"
)

func TestLargeHeadersAreRefused(t *testing.T) {
	var called atomic.Int32
	s := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }), nil)
	big := http.Header{"X-Big": {strings.Repeat("a", 1<<20)}}
	many := http.Header{}
	for i := range 100_000 {
		many.Set(fmt.Sprintf("X-%d", i), "1")
	}
	same := http.Header{"X-Same": make([]string, 100_000)}
	for name, header := range map[string]http.Header{"one of 1 MiB": big, "100000 names": many, "100000 of one name": same} {
		t.Run(name+", HTTP/1.1", func(t *testing.T) {
			conn := s.raw(t)
			go func() { // the server stops reading on the way
				var head bytes.Buffer
				head.WriteString("GET / HTTP/1.1\r\nHost: blog.example\r\n")
				_ = header.Write(&head)
				head.WriteString("\r\n")
				_, _ = conn.Write(head.Bytes())
			}()
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Logf("the connection was cut: %v", err) // the answer may be lost with what was still being sent
				return
			}
			defer r.Body.Close()
			if r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%d, want 431", r.StatusCode)
			}
		})
		t.Run(name+", HTTP/2", func(t *testing.T) {
			request, err := http.NewRequest("GET", "https://blog.example/", nil)
			check(t, err)
			request.Header = header
			r, err := s.newClient(true).Do(request)
			if err != nil {
				return // refused by the connection's settings
			}
			defer r.Body.Close()
			if r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%d, want 431", r.StatusCode)
			}
		})
	}
	if n := called.Load(); n > 0 {
		t.Errorf("the handler was called %d times", n)
	}
	r, _ := s.get(t, "/")
	if r.StatusCode != 200 || called.Load() != 1 {
		t.Errorf("a small request afterwards: %d", r.StatusCode)
	}
}

func TestHeaderLimitIsConfigured(t *testing.T) {
	s := start(t, http.HandlerFunc(hello), func(c *config.Config) { c.Limits.HeaderBytes = 8 << 10 })
	for size, want := range map[int]int{4 << 10: 200, 16 << 10: 431} {
		conn := s.raw(t)
		_, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: blog.example\r\nX: %s\r\n\r\n", strings.Repeat("a", size))
		check(t, err)
		if r, _ := answer(t)(http.ReadResponse(bufio.NewReader(conn), nil)); r.StatusCode != want {
			t.Errorf("a header of %d bytes: %d, want %d", size, r.StatusCode, want)
		}
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	const short, long = 100 * time.Millisecond, time.Hour
	for name, test := range map[string]struct {
		limits config.Limits
		sent   string
		body   bool // the handler is called, and fails to read the body
	}{
		"nothing":       {config.Limits{HeaderTime: short, BodyTime: long, IdleTime: long}, "", false},
		"half a header": {config.Limits{HeaderTime: short, BodyTime: long, IdleTime: long}, "GET / HTTP/1.1\r\nHost: blog.ex", false},
		// The time for a body is counted on top of that for the header,
		// which has to be enough to send one.
		"half a body":  {config.Limits{HeaderTime: 3 * time.Second, BodyTime: short, IdleTime: long}, "POST / HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 100\r\n\r\nabc", true},
		"then nothing": {config.Limits{HeaderTime: long, BodyTime: long, IdleTime: short}, "GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := make(chan error, 1)
			s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				read <- err
			}), func(c *config.Config) { c.Limits = test.limits })
			conn := s.raw(t)
			// Where this fails the connection is cut off already.
			_, _ = io.WriteString(conn, test.sent)
			// The deadline of raw ends this where the server keeps the connection.
			if _, err := io.ReadAll(conn); isTimeout(err) {
				t.Errorf("the connection is still open after %s", patience)
			}
			if test.body {
				if err := <-read; err == nil {
					t.Error("the handler read half a body for a whole one")
				}
			}
		})
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func TestSlowAnswersAreCutOff(t *testing.T) {
	written := make(chan error, 1)
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				written <- err
				return
			}
		}
	}), func(c *config.Config) { c.Limits.AnswerTime = 100 * time.Millisecond })
	conn := s.raw(t)
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
	check(t, err)
	select { // the client never reads
	case <-written:
	case <-time.After(patience):
		t.Error("the handler still writes to a client that does not read")
	}
}

func TestGracefulStop(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		t.Run(fmt.Sprintf("HTTP/2 %v", http2), func(t *testing.T) {
			arrived, release := make(chan struct{}), make(chan struct{})
			s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				<-release
				if err := r.Context().Err(); err != nil {
					t.Errorf("the request's context ended with the server's: %v", err)
				}
				hello(w, r)
			}), nil)
			type result struct {
				body string
				err  error
			}
			got := make(chan result, 1)
			go func() {
				r, err := s.newClient(http2).Get("https://blog.example/")
				if err != nil {
					got <- result{err: err}
					return
				}
				defer r.Body.Close()
				body, err := io.ReadAll(r.Body)
				got <- result{string(body), err}
			}()
			<-arrived
			s.stop()
			awaitRefusal(t, s.address)
			select {
			case err := <-s.done:
				t.Errorf("Run = %v before the request finished", err)
			default:
			}
			close(release)
			if r := <-got; r.err != nil || r.body != "hello" {
				t.Errorf("the running request = %q, %v, want hello", r.body, r.err)
			}
			if err := s.wait(t); err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		})
	}
}

// awaitRefusal waits until nobody accepts connections at the address.
func awaitRefusal(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Error("the server still takes connections")
}

func TestGraceEnds(t *testing.T) {
	arrived, ended := make(chan struct{}), make(chan struct{})
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(ended)
	}), func(c *config.Config) { c.Shutdown.Grace = 50 * time.Millisecond })
	go func() {
		if r, err := s.client.Get("https://blog.example/"); err == nil {
			r.Body.Close()
		}
	}()
	<-arrived
	s.stop()
	if err := s.wait(t); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("Run = %v, want an error that tells of requests cut off", err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the context of the request that was cut off does not end")
	}
}
