package testenv

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A RedisServer runs on loopback until the test ends. Where the test fails,
// what it logged is shown. Its methods must not be called concurrently.
type RedisServer struct {
	bin      string
	args     []string // beside those for the port and the folder
	dir      string
	port     int
	tls      bool
	password string

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
	log   tail
}

// Redis starts a Redis server (or Valkey, where that is installed) of the
// test's own, in memory alone. args are further arguments of redis-server, such
// as "--appendonly", "yes" to have it find its records again after Stop or
// Kill; with "--tls-cert-file" it speaks only TLS; with "--requirepass" its URL
// has the password.
func Redis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	bin := "valkey-server"
	if _, err := exec.LookPath(bin); err != nil {
		bin = "redis-server"
		need(t, "this test", bin)
	}
	s := &RedisServer{bin: bin, args: args, dir: t.TempDir(), tls: slices.Contains(args, "--tls-cert-file")}
	if i := slices.Index(args, "--requirepass"); i >= 0 {
		s.password = args[i+1]
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("%s logged:\n%s", s.bin, s.log.String())
		}
	})
	for attempt := 1; ; attempt++ {
		s.port = freePort(t)
		err := s.start()
		if err == nil {
			return s
		}
		if attempt == 3 || !s.log.inUse() {
			t.Fatalf("testenv: %v", err)
		}
		s.log.reset()
	}
}

// URL is redis://localhost:PORT/0, with the password if there is one, and
// rediss:// where the server speaks TLS.
func (s *RedisServer) URL() string {
	u := url.URL{Scheme: "redis", Host: net.JoinHostPort("localhost", strconv.Itoa(s.port)), Path: "/0"}
	if s.tls {
		u.Scheme = "rediss"
	}
	if s.password != "" {
		u.User = url.UserPassword("", s.password)
	}
	return u.String()
}

// Stop ends the server. One that has ended stays so.
func (s *RedisServer) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server without giving it a chance to save anything.
func (s *RedisServer) Kill() { s.end(os.Kill) }

// Start starts a server that has ended, at the same port. It has forgotten
// everything, unless its arguments have it keep its records.
func (s *RedisServer) Start(t testing.TB) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		s.log.reset()
		err := s.start()
		if err == nil {
			return
		}
		if attempt == 3 || !s.log.inUse() {
			t.Fatalf("testenv: %v", err)
		}
		time.Sleep(time.Second)
	}
}

// Restart is Stop and Start.
func (s *RedisServer) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	s.Start(t)
}

// Dump returns all records as Redis saves them. Text in it is not compressed,
// so that it can be searched.
func (s *RedisServer) Dump(t testing.TB) []byte {
	t.Helper()
	if reply, err := s.ask(time.Minute, "SAVE"); err != nil || reply != "+OK" {
		t.Fatalf("testenv: SAVE = %q, %v", reply, err)
	}
	file := filepath.Join(s.dir, "dump.rdb")
	dump, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil { // or Start would find it
		t.Fatal(err)
	}
	return dump
}

// start runs the server and waits until it answers.
func (s *RedisServer) start() error {
	port := strconv.Itoa(s.port)
	args := []string{"--port", port}
	if s.tls {
		args = []string{"--port", "0", "--tls-port", port, "--tls-auth-clients", "no"}
	}
	args = append(args, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--rdbcompression", "no", "--daemonize", "no")
	cmd := exec.Command(s.bin, append(args, s.args...)...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", s.bin, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.cmd, s.ended = cmd, ended
	for begun := time.Now(); ; {
		reply, err := s.ask(time.Second, "PING")
		if err == nil && reply == "+PONG" {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended at its start: %s", s.bin, s.log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Since(begun) > readyFor {
			s.Kill()
			return fmt.Errorf("%s does not answer after %v: %q, %w", s.bin, readyFor, reply, err)
		}
	}
}

// ask sends one command and returns the first line of the reply. It uses no
// client: what is tested is not what tests it.
func (s *RedisServer) ask(within time.Duration, command string) (string, error) {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	conn, err := net.DialTimeout("tcp", addr, within)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	if s.tls {
		// Which certificate it has is for the test to check.
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	in := bufio.NewReader(conn)
	if s.password != "" {
		if reply, err := line(conn, in, "AUTH "+s.password); err != nil || reply != "+OK" {
			return reply, errors.Join(errors.New("the password is not taken"), err)
		}
	}
	return line(conn, in, command)
}

func line(out net.Conn, in *bufio.Reader, command string) (string, error) {
	if _, err := out.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	reply, err := in.ReadString('\n')
	return strings.TrimRight(reply, "\r\n"), err
}

func (s *RedisServer) end(how os.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(how)
	select {
	case <-s.ended:
	case <-time.After(stopFor):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}
