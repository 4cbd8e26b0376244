//go:build unix

package serve

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
)

// TestSockets: a socket of systemd is taken by its name, the only one without.
func TestSockets(t *testing.T) {
	open := func(name string) *os.File {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		check(t, err)
		defer f.Close()
		// Its name is what FileDescriptorName= says.
		return os.NewFile(duplicate(t, f), name)
	}
	for _, c := range []struct {
		passed []string
		take   string
		ok     bool
	}{
		{nil, "systemd", false},
		{[]string{"blog.socket"}, "systemd", true},
		{[]string{"blog.socket"}, "blog", false},
		{[]string{"blog", "plain"}, "plain", true},
		{[]string{"blog", "plain"}, "systemd", false},
	} {
		s := &sockets{}
		for _, name := range c.passed {
			s.files = append(s.files, open(name))
		}
		l, err := s.take("listen", c.take)
		if (err == nil) != c.ok {
			t.Errorf("of %q, %q: %v, want it taken %v", c.passed, c.take, err, c.ok)
		}
		if err == nil {
			_ = l.Close()
			if _, err := s.take("plain.listen", c.take); err == nil {
				t.Errorf("of %q, %q is taken twice", c.passed, c.take)
			}
		} else if !strings.Contains(err.Error(), "FileDescriptorName=") {
			t.Errorf("%v tells no way out", err)
		}
		var log bytes.Buffer
		s.close(slog.New(slog.NewTextHandler(&log, nil)))
		if left := strings.Count(log.String(), "no listener is set"); c.ok && left != len(c.passed)-1 {
			t.Errorf("of %q the log tells of %d sockets left", c.passed, left)
		}
	}
}
