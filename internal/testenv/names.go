package testenv

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
)

// Names has this process find the hosts at 127.0.0.1 until the test ends, as a
// browser finds them by its host-resolver rules. Other names below .example
// do not exist meanwhile, and no question leaves this process. The test must
// not be parallel to others that look up names.
func Names(t testing.TB, hosts ...string) {
	t.Helper()
	known := make(map[string]bool)
	for _, h := range hosts {
		known[strings.ToLower(h)] = true
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go answerName(there, known)
			return here, nil
		},
	}
	t.Cleanup(func() { net.DefaultResolver = before })
}

// answerName answers one question of DNS, framed as over TCP (RFC 1035,
// section 4.2.2), since a pipe is no packet connection.
func answerName(conn net.Conn, known map[string]bool) {
	defer func() { _ = conn.Close() }()
	const header = 12
	buf := make([]byte, 1024)
	n, err := conn.Read(buf)
	if err != nil || n < 2+header {
		return
	}
	msg := buf[2:n]
	var labels []string
	end := header
	for end < len(msg) && msg[end] != 0 {
		next := end + 1 + int(msg[end])
		if next > len(msg) {
			return
		}
		labels = append(labels, string(msg[end+1:next]))
		end = next
	}
	end += 5 // the root, type and class
	if end > len(msg) {
		return
	}
	found := known[strings.ToLower(strings.Join(labels, "."))]
	isA := binary.BigEndian.Uint16(msg[end-4:]) == 1

	out := append([]byte{0, 0}, msg[:end]...)
	reply := out[2:]
	flags, answers := uint16(0x8580), uint16(0) // an authoritative answer
	if !found {
		flags |= 3 // there is no such name
	} else if isA {
		answers = 1
	}
	binary.BigEndian.PutUint16(reply[2:], flags)
	binary.BigEndian.PutUint16(reply[4:], 1)
	binary.BigEndian.PutUint16(reply[6:], answers)
	binary.BigEndian.PutUint32(reply[8:], 0) // no further sections
	if answers == 1 {
		// The name by reference, type A, class IN, a minute, four bytes.
		out = append(out, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	binary.BigEndian.PutUint16(out, uint16(len(out)-2))
	_, _ = conn.Write(out)
}
