//go:build unix

package testenv

import (
	"os"
	"syscall"
	"testing"
)

// Pause has the server answer nothing, while its connections stay, until
// Resume.
func (s *RedisServer) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *RedisServer) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *RedisServer) signal(t testing.TB, what os.Signal) {
	t.Helper()
	if s.cmd == nil {
		t.Fatal("testenv: the server does not run")
	}
	if err := s.cmd.Process.Signal(what); err != nil {
		t.Fatal(err)
	}
}
