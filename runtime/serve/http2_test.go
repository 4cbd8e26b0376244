package serve

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// frame writes an HTTP/2 frame (RFC 9113, section 4.1).
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// field writes a header field as a literal without indexing (RFC 7541, section
// 6.2.2); name and value have less than 127 bytes.
func field(name, value string) []byte {
	b := append([]byte{0, byte(len(name))}, name...)
	return append(append(b, byte(len(value))), value...)
}

// request writes the opening of a connection and a GET with that many fields
// of its own, as a client does that keeps to no limit of the server.
func request(fields int) []byte {
	const (
		headers, settings, continuation = 0x1, 0x4, 0x9
		endStream, endHeaders           = 0x1, 0x4
	)
	var out bytes.Buffer
	out.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out.Write(frame(settings, 0, 0, nil))
	first := append(field(":method", "GET"), field(":scheme", "https")...)
	first = append(first, append(field(":path", "/"), field(":authority", "blog.example")...)...)
	out.Write(frame(headers, endStream, 1, first))
	var block []byte
	for i := range fields {
		block = append(block, field(fmt.Sprintf("x-%d", i), "1")...)
		if len(block) > 16000 {
			out.Write(frame(continuation, 0, 1, block))
			block = nil
		}
	}
	out.Write(frame(continuation, endHeaders, 1, block))
	return out.Bytes()
}

func TestHeaderWithoutEndOverHTTP2(t *testing.T) {
	called := make(chan struct{}, 10)
	s := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- struct{}{} }), nil)
	dial := func() *tls.Conn {
		conn, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.pool, ServerName: "blog.example", NextProtos: []string{"h2"}})
		check(t, err)
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		return conn
	}

	// Ten fields show that request writes what the server understands.
	conn := dial()
	_, err := conn.Write(request(10))
	check(t, err)
	select {
	case <-called:
	case <-time.After(patience):
		t.Fatal("the handler is not called for a small header")
	}

	conn = dial()
	go conn.Write(request(100_000)) // the server stops reading on the way
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Errorf("the connection is still open after %s", patience)
	}
	if len(called) > 0 {
		t.Error("the handler was called for 100000 fields")
	}
}
