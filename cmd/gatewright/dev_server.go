package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	lastGrace   = 15 * time.Second // for requests that still run when dev ends
	changeGrace = 3 * time.Second  // and when another server is to take over
	readyTime   = 30 * time.Second // until a server answers
)

// build compiles the project and returns the program's path.
func (d *developer) build(ctx context.Context, dir, name string) (string, error) {
	binary := filepath.Join(d.state, name)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = d.stderr, d.stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build in %s: %w", dir, err)
	}
	return binary, nil
}

// A child is a server that was started. Its zero value has ended long ago.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	err   error         // of its end; to be read then
}

// why tells how it ended.
func (s *child) why() error {
	if s.err == nil {
		return errors.New("it stopped of itself")
	}
	return s.err
}

// end asks the server to end and waits; after grace it is killed. A server
// that had ended before is no mistake.
func (s *child) end(grace time.Duration) {
	if s.ended == nil {
		return
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = s.cmd.Process.Kill() // Windows has no interrupt to send
	}
	select {
	case <-s.ended:
	case <-time.After(grace):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// start runs a version and returns when it answers. The error says that it
// ended instead.
func (d *developer) start(ctx context.Context, v *version) (*child, error) {
	if err := os.WriteFile(d.configFile(), []byte(v.config), 0o600); err != nil {
		return nil, err
	}
	s := &child{cmd: exec.Command(v.binary, "-config", d.configFile()), ended: make(chan struct{})}
	s.cmd.Dir = v.dir
	s.cmd.Env = append(environ(), "GATEWRIGHT_DEV=true")
	s.cmd.Stdout, s.cmd.Stderr = d.stdout, d.stderr
	s.cmd.WaitDelay = time.Second // for what it has started and left behind
	endWithParent(s.cmd)
	// Linux binds that to the thread that starts the server, so it is kept.
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
			close(s.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port))
	late := time.After(readyTime)
	for {
		select {
		case <-ctx.Done():
			s.end(lastGrace)
			return nil, ctx.Err()
		case <-s.ended:
			return nil, fmt.Errorf("the server ended, its own words are above: %w", s.why())
		case <-late:
			fmt.Fprintf(d.stderr, "the server does not answer on port %d after %s\n", d.port, readyTime)
			return s, nil
		case <-time.After(50 * time.Millisecond):
		}
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = conn.Close()
			return s, nil
		}
	}
}

// environ is the environment without this program's own settings, which are
// for the server that the author runs and not for this one.
func environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "GATEWRIGHT_") {
			env = append(env, e)
		}
	}
	return env
}
