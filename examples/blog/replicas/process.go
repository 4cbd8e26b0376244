package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// stopFor is how long a process may take to end before it is killed.
const stopFor = 10 * time.Second

// A process is a program that runs beside this one and ends with it.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	err   error         // of its end; to be read then
}

// launch starts cmd, which apart has been called with.
func launch(cmd *exec.Cmd) (*process, error) {
	cmd.WaitDelay = time.Second // for what it has started and left behind
	p := &process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Linux binds the end of cmd to the thread that starts it, so it is kept.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// end asks the process to end and waits until it has; what takes too long is
// killed. One that has ended before is no mistake.
func (p *process) end(sig os.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = p.cmd.Process.Kill() // Windows has no signals to send
	}
	select {
	case <-p.ended:
	case <-time.After(stopFor):
		p.kill()
	}
}

// kill ends the process at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// environ is the environment without settings of the blog's: those are made
// here.
func environ(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "GATEWRIGHT_") && !strings.HasPrefix(e, "BLOG_POSTS=") {
			env = append(env, e)
		}
	}
	return append(env, more...)
}

// lines writes whole lines to out, which several may share, each with a prefix.
type lines struct {
	prefix string
	out    *sharedWriter
	line   func(string) // is told of each; may be nil

	rest []byte
}

// A sharedWriter lets several write to one writer.
type sharedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sharedWriter) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format, args...)
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		l.out.printf("%s%s\n", l.prefix, line)
		if l.line != nil {
			l.line(string(line))
		}
		l.rest = append(l.rest[:0], rest...)
	}
}
