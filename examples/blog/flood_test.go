package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/gatetest"
)

// mostMemory is what the blog may take up while it is flooded, in MiB. It has the
// program itself in it, and SQLite.
const mostMemory = 200

// TestFlood has one attacker after the other take what they can get from an
// address of their own, while somebody elsewhere reads and writes posts: each of
// those requests is answered, and the memory of the blog stays bounded.
func TestFlood(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "only Linux has more than one loopback address without being asked, and /proc")
	}
	idp := gatetest.NewProvider(t)
	s := newSite(t, build(t), idp, "store: sqlite:keys.db\n", nil)
	key := s.key(t)
	f := &flood{t: t, site: s, key: key, bomb: bomb(t)}
	f.quiet("before")
	for i, attack := range []struct {
		name string
		run  func(context.Context, *net.Dialer)
	}{
		{"slow headers", f.slowHeaders},
		{"slow bodies", f.slowBodies},
		{"bodies without end", f.endlessBodies},
		{"connections", f.connections},
		{"rapid reset", f.rapidReset},
		{"pings and settings", f.pings},
		{"headers without end", f.continuations},
		{"100,000 header lines", f.manyHeaders},
		{"long addresses", f.longURLs},
		{"gzip bombs", f.bombs},
		{"wrong keys", f.wrongKeys},
		{"answers that nobody reads", f.unread},
	} {
		t.Run(attack.name, func(t *testing.T) {
			f.t = t
			f.under(attack.run, &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}})
		})
	}
	f.t = t
	f.quiet("after")
	s.stop(t)
}

// A flood is a site under attack.
type flood struct {
	t    *testing.T
	site *site
	key  string
	bomb []byte

	attacked atomic.Int64 // requests or connections of the attacker
}

// quiet has the good client alone for a moment.
func (f *flood) quiet(when string) {
	f.under(func(ctx context.Context, _ *net.Dialer) { <-ctx.Done() }, nil)
	f.t.Logf("%s the attacks", when)
}

// under runs an attack from many places at once, and the good client meanwhile.
func (f *flood) under(attack func(context.Context, *net.Dialer), dialer *net.Dialer) {
	f.t.Helper()
	lasts := time.Duration(times(3, 30)) * time.Second
	ctx, cancel := context.WithTimeout(f.t.Context(), lasts)
	defer cancel()
	f.attacked.Store(0)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				attack(ctx, dialer)
			}
		})
	}
	transport := f.site.ca.Transport()
	transport.ForceAttemptHTTP2 = true
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	var times []time.Duration
	var most int
	for n := 0; ctx.Err() == nil; n++ {
		method, path, body := "GET", "/posts?limit=5", ""
		if n%5 == 0 {
			method, path, body = "POST", "/posts", `{"title":"Under attack","text":"still here"}`
		}
		if n%7 == 0 {
			transport.CloseIdleConnections() // newcomers get in too
		}
		begun := time.Now()
		if err := f.good(client, method, path, body); err != nil {
			f.t.Errorf("the good client: %v", err)
			break
		}
		times = append(times, time.Since(begun))
		most = max(most, f.memory())
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	all.Wait()
	slices.Sort(times)
	if len(times) == 0 {
		f.t.Fatal("the good client asked nothing")
	}
	f.t.Logf("%d good requests, median %v, slowest %v; %d of the attacker; %d MiB at most",
		len(times), times[len(times)/2].Round(time.Millisecond/10), times[len(times)-1].Round(time.Millisecond), f.attacked.Load(), most)
	if most > mostMemory {
		f.t.Errorf("the blog takes %d MiB, want at most %d", most, mostMemory)
	}
	if dialer != nil && f.attacked.Load() == 0 {
		f.t.Error("the attacker got nothing sent: this tests nothing")
	}
}

func (f *flood) good(client *http.Client, method, path, body string) error {
	r, err := http.NewRequest(method, f.site.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "apikey "+f.key)
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %d %s, %w", method, path, res.StatusCode, text, err)
	}
	return nil
}

// memory is what the blog takes up, in MiB.
func (f *flood) memory() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.site.cmd.Process.Pid))
	if err != nil {
		f.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		f.t.Fatal(err)
	}
	return n >> 10
}

// dial opens a connection for a protocol, as far as it gets one.
func (f *flood) dial(ctx context.Context, d *net.Dialer, protocol string) (net.Conn, bool) {
	config := f.site.ca.Transport().TLSClientConfig.Clone()
	config.NextProtos = []string{protocol}
	config.ServerName = "localhost"
	conn, err := (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, "tcp", f.site.addr)
	if err != nil {
		return nil, false
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn, true
}

// many opens connections and keeps them, each with its own use.
func (f *flood) many(ctx context.Context, d *net.Dialer, n int, use func(net.Conn)) {
	var all sync.WaitGroup
	for range n {
		conn, ok := f.dial(ctx, d, "http/1.1")
		if !ok {
			continue
		}
		f.attacked.Add(1)
		all.Go(func() {
			defer conn.Close()
			use(conn)
		})
	}
	all.Wait()
}

// drip writes text a few bytes a time until that fails.
func drip(ctx context.Context, conn net.Conn, text string) {
	for ctx.Err() == nil {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (f *flood) slowHeaders(ctx context.Context, d *net.Dialer) {
	f.many(ctx, d, 60, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "GET /posts HTTP/1.1\r\nHost: localhost\r\n")
		drip(ctx, conn, "X-A: b\r\n")
	})
}

func (f *flood) slowBodies(ctx context.Context, d *net.Dialer) {
	f.many(ctx, d, 60, func(conn net.Conn) {
		_, _ = io.WriteString(conn, f.post("Content-Length: 1000000")+"\r\n"+`{"title":"`)
		drip(ctx, conn, "a")
	})
}

func (f *flood) endlessBodies(ctx context.Context, d *net.Dialer) {
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("a", 64<<10))
	f.many(ctx, d, 10, func(conn net.Conn) {
		_, _ = io.WriteString(conn, f.post("Transfer-Encoding: chunked")+"\r\n")
		for ctx.Err() == nil {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
		}
	})
}

// connections that say nothing at all.
func (f *flood) connections(ctx context.Context, d *net.Dialer) {
	for ctx.Err() == nil {
		conn, err := d.DialContext(ctx, "tcp", f.site.addr)
		if err != nil {
			return
		}
		f.attacked.Add(1)
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		time.Sleep(time.Millisecond)
	}
}

// post is the head of a request for a post, of somebody who may write one.
func (f *flood) post(lines ...string) string {
	return "POST /posts HTTP/1.1\r\nHost: " + strings.TrimPrefix(f.site.url, "https://") + "\r\nAuthorization: apikey " + f.key +
		"\r\nContent-Type: application/json\r\n" + strings.Join(append(lines, ""), "\r\n")
}

// Frames of HTTP/2 (RFC 9113, section 6).
const (
	frameHeaders, frameReset, frameSettings, framePing, frameContinuation = 1, 3, 4, 6, 9
	endStream, endHeaders                                                 = 1, 4
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// fields are those of GET /posts (RFC 7541, appendix A and section 6.2).
func (f *flood) fields() []byte {
	host := strings.TrimPrefix(f.site.url, "https://")
	b := []byte{0x82, 0x87, 0x04, 6}
	b = append(b, "/posts"...)
	b = append(b, 0x01, byte(len(host)))
	return append(b, host...)
}

// http2 writes what next gives on a connection of HTTP/2, until that fails.
func (f *flood) http2(ctx context.Context, d *net.Dialer, next func(stream uint32) []byte) {
	conn, ok := f.dial(ctx, d, "h2")
	if !ok {
		return
	}
	defer conn.Close()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	if _, err := conn.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, 0, nil)...)); err != nil {
		return
	}
	for stream := uint32(1); ctx.Err() == nil && stream < 1<<30; stream += 2 {
		if _, err := conn.Write(next(stream)); err != nil {
			return
		}
		f.attacked.Add(1)
	}
}

// rapidReset takes each request back as soon as it is sent (CVE-2023-44487).
func (f *flood) rapidReset(ctx context.Context, d *net.Dialer) {
	fields := f.fields()
	f.http2(ctx, d, func(stream uint32) []byte {
		return append(frame(frameHeaders, endStream|endHeaders, stream, fields), frame(frameReset, 0, stream, []byte{0, 0, 0, 8})...)
	})
}

// pings ask for answers that nobody reads (CVE-2019-9512, 9515).
func (f *flood) pings(ctx context.Context, d *net.Dialer) {
	f.http2(ctx, d, func(uint32) []byte {
		return append(frame(framePing, 0, 0, make([]byte, 8)), frame(frameSettings, 0, 0, nil)...)
	})
}

// continuations never end a header (CVE-2023-45288).
func (f *flood) continuations(ctx context.Context, d *net.Dialer) {
	fields := f.fields()
	field := bytes.Repeat([]byte{0x00, 1, 'a', 1, 'b'}, 3000)
	f.http2(ctx, d, func(stream uint32) []byte {
		if stream == 1 {
			return frame(frameHeaders, endStream, 1, fields)
		}
		return frame(frameContinuation, 0, 1, field)
	})
}

func (f *flood) manyHeaders(ctx context.Context, d *net.Dialer) {
	f.whole(ctx, d, "GET /posts HTTP/1.1\r\nHost: localhost\r\n"+strings.Repeat("X-A: b\r\n", 100_000)+"\r\n", 431)
}

func (f *flood) longURLs(ctx context.Context, d *net.Dialer) {
	f.whole(ctx, d, "GET /posts?tag="+strings.Repeat("a", 1<<20)+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431)
}

func (f *flood) bombs(ctx context.Context, d *net.Dialer) {
	f.whole(ctx, d, f.post("Content-Encoding: gzip", fmt.Sprint("Content-Length: ", len(f.bomb)))+"\r\n"+string(f.bomb), 415)
}

func (f *flood) wrongKeys(ctx context.Context, d *net.Dialer) {
	wrong := strings.Replace(f.post("Content-Length: 2")+"\r\n{}", f.key, f.key[:len(f.key)-1]+"!", 1)
	f.whole(ctx, d, wrong, 401, 429)
}

// whole sends a request on a connection of its own; an answer has to have one of
// the statuses.
func (f *flood) whole(ctx context.Context, d *net.Dialer, request string, statuses ...int) {
	conn, ok := f.dial(ctx, d, "http/1.1")
	if !ok {
		return
	}
	defer conn.Close()
	f.attacked.Add(1)
	go func() { _, _ = io.WriteString(conn, request) }()
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil {
		return // cut off before the answer was through
	}
	if status, err := strconv.Atoi(string(head[9:])); err != nil || !slices.Contains(statuses, status) {
		f.t.Errorf("answered %q, want one of %d", head, statuses)
	}
}

// unread asks again and again on one connection, and reads nothing.
func (f *flood) unread(ctx context.Context, d *net.Dialer) {
	request := strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: "+strings.TrimPrefix(f.site.url, "https://")+"\r\n\r\n", 100)
	f.many(ctx, d, 20, func(conn net.Conn) { drip(ctx, conn, request) })
}

// bomb is 32 MiB of JSON, in a thousandth of that.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, `{"title":"`+strings.Repeat("a", 32<<20)+`"}`)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
