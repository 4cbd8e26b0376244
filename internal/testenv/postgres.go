package testenv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A PostgresServer runs on loopback until the test ends. Where the test fails,
// what it logged is shown. Its methods must not be called concurrently.
type PostgresServer struct {
	bin      string // folder of the programs
	dir      string
	uid, gid int // of the user it runs as; 0: as this process
	port     int
	tls      bool
	settings []string

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
	log   tail
}

// Postgres starts a PostgreSQL server of the test's own. Its one role, app,
// owns the database app and may make others. What was committed is there after
// Stop or Kill, though not after this host has crashed. settings are further
// ones of the server, each as name=value.
func Postgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	return postgres(t, settings)
}

// PostgresTLS is Postgres with a certificate of ca for host, localhost and
// 127.0.0.1. The server also takes connections in clear text.
func PostgresTLS(t testing.TB, ca *CA, host string, settings ...string) *PostgresServer {
	t.Helper()
	cert, key := ca.Files(t, host, "localhost", "127.0.0.1")
	return postgres(t, settings, cert, key)
}

func postgres(t testing.TB, settings []string, tls ...string) *PostgresServer {
	t.Helper()
	s := &PostgresServer{bin: postgresPrograms(t), tls: len(tls) > 0, settings: settings}
	// t.TempDir lies in a folder that other users may not enter.
	dir, err := os.MkdirTemp("", "gatewright-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("PostgreSQL logged:\n%s", s.log.String())
		}
	})
	s.find(t)
	for i, name := range []string{"cert.pem", "key.pem"}[:len(tls)] {
		b, err := os.ReadFile(tls[i])
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, name, b)
	}
	s.write(t, "password", []byte("postgres"))
	if err := s.chown(dir); err != nil {
		t.Fatal(err)
	}
	s.run(t, "", "initdb", "-D", s.data(), "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "--auth=scram-sha-256", "--pwfile="+filepath.Join(dir, "password"))
	s.run(t, "CREATE ROLE app LOGIN CREATEDB PASSWORD 'app';\nCREATE DATABASE app OWNER app;\n", "postgres", "--single", "-D", s.data(), "postgres")
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

// postgresPrograms finds the folder of the programs: Debian has none of those
// of the server on the PATH.
func postgresPrograms(t testing.TB) string {
	t.Helper()
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	best, version := "", -1
	for _, dir := range dirs {
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && n > version && exists(filepath.Join(dir, "initdb")) {
			best, version = dir, n
		}
	}
	if best != "" {
		return best
	}
	need(t, "this test", "initdb")
	path, err := exec.LookPath("initdb")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(path)
}

// find finds whom to run as: PostgreSQL refuses root.
func (s *PostgresServer) find(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		Skip(t, "PostgreSQL does not run as root, and there is no user postgres or nobody")
	}
	s.uid, _ = strconv.Atoi(u.Uid)
	s.gid, _ = strconv.Atoi(u.Gid)
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

func (s *PostgresServer) write(t testing.TB, name string, b []byte) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.chown(path); err != nil {
		t.Fatal(err)
	}
}

func (s *PostgresServer) chown(path string) error {
	if s.uid == 0 {
		return nil
	}
	return os.Chown(path, s.uid, s.gid)
}

// command is a program as the user the server runs as.
func (s *PostgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + s.dir, "LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	endWithParent(cmd)
	if s.uid != 0 {
		runAs(cmd, s.uid, s.gid)
	}
	return cmd
}

func (s *PostgresServer) run(t testing.TB, input, name string, args ...string) {
	t.Helper()
	cmd := s.command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("testenv: %s: %v\n%s", name, err, bytes.TrimSpace(out))
	}
}

// URL is postgres://app:app@127.0.0.1:PORT/app?sslmode=disable, or with
// localhost and without sslmode where the server has a certificate.
func (s *PostgresServer) URL() string { return s.Database("app") }

// Database is the URL of another database of the server.
func (s *PostgresServer) Database(name string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("app", "app"), Path: "/" + name}
	if port := strconv.Itoa(s.port); s.tls {
		u.Host = net.JoinHostPort("localhost", port)
	} else {
		u.Host, u.RawQuery = net.JoinHostPort("127.0.0.1", port), "sslmode=disable"
	}
	return u.String()
}

// Admin is the URL of the superuser.
func (s *PostgresServer) Admin() string {
	return strings.Replace(s.Database("postgres"), "app:app@", "postgres:postgres@", 1)
}

// Stop ends the server and all connections to it. One that has ended stays so.
func (s *PostgresServer) Stop() { s.end(os.Interrupt) }

// Kill ends the server without giving it a chance to write anything.
func (s *PostgresServer) Kill() { s.end(os.Kill) }

// Start starts a server that has ended, at the same port and with its data.
func (s *PostgresServer) Start(t testing.TB) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		s.log.reset()
		err := s.start()
		if err == nil {
			return
		}
		// After Kill, processes of the old server may still be about to end.
		if time.Since(begun) > readyFor || !s.log.inUse() && !strings.Contains(s.log.String(), "shared memory") {
			t.Fatalf("testenv: %v", err)
		}
	}
}

// Restart is Stop and Start.
func (s *PostgresServer) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	s.Start(t)
}

// start runs the server and waits until it takes connections.
func (s *PostgresServer) start() error {
	settings := append([]string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(s.port), "unix_socket_directories=", "max_connections=200",
		"fsync=off", "full_page_writes=off", // a crash of this host loses what it likes
	}, s.settings...)
	if s.tls {
		settings = append(settings, "ssl=on", "ssl_cert_file="+filepath.Join(s.dir, "cert.pem"), "ssl_key_file="+filepath.Join(s.dir, "key.pem"))
	}
	args := []string{"-D", s.data()}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := s.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	// Processes of a server that was killed may hold these open a little longer.
	cmd.WaitDelay = stopFor
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.cmd, s.ended = cmd, ended
	for begun := time.Now(); ; {
		err := s.ready()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("PostgreSQL ended at its start: %s", s.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(begun) > readyFor {
			s.Kill()
			return fmt.Errorf("PostgreSQL does not answer after %v: %w", readyFor, err)
		}
	}
}

// ready tells whether the server asks for a password. It uses no client: what
// is tested is not what tests it.
func (s *PostgresServer) ready() error {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	hello := []byte("\x00\x00\x00\x00\x00\x03\x00\x00user\x00app\x00database\x00app\x00\x00")
	binary.BigEndian.PutUint32(hello, uint32(len(hello)))
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	var kind [1]byte
	if _, err := io.ReadFull(conn, kind[:]); err != nil {
		return err
	}
	if kind[0] != 'R' {
		return errors.New("it takes no connections yet")
	}
	return nil
}

func (s *PostgresServer) end(how os.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(how)
	select {
	case <-s.ended:
	case <-time.After(2 * stopFor):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}
