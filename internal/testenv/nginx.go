package testenv

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// streamModule is where Debian puts what has nginx pass connections on as they
// are.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// nginx lies beside the PATH of those who are not root.
var nginx = func() string {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}()

// Nginx starts an nginx of the test's own, on loopback, until the test ends.
// configure is given as many free ports as asked for, and returns the blocks
// http and stream of the configuration. Where the test fails, what nginx logged
// is shown.
func Nginx(t testing.TB, ports int, configure func(ports []int) string) (on []int) {
	t.Helper()
	if nginx == "" {
		need(t, "this test", "nginx")
	}
	if _, err := os.Stat(streamModule); err != nil {
		Skip(t, "this test needs the stream module of nginx, which is not installed; make tools does that where it can")
	}
	var log tail
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("nginx logged:\n%s", log.String())
		}
	})
	for attempt := 1; ; attempt++ {
		on = nil
		for range ports {
			on = append(on, freePort(t))
		}
		err := startNginx(t, &log, on, configure(on))
		if err == nil {
			return on
		}
		if attempt == 3 || !strings.Contains(log.String(), "in use") {
			t.Fatalf("testenv: %v", err)
		}
		log.reset()
	}
}

func startNginx(t testing.TB, log *tail, ports []int, blocks string) error {
	dir := t.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	conf := fmt.Sprintf("load_module %s;\ndaemon off; master_process off; pid nginx.pid; error_log stderr warn;\nevents {}\n%s\n", streamModule, blocks)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(nginx, "-p", dir, "-c", file, "-e", "stderr")
	cmd.Stdout, cmd.Stderr = log, log
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting nginx: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(stopFor):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for _, port := range ports {
		for begun := time.Now(); ; {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
			if err == nil {
				_ = conn.Close()
				break
			}
			select {
			case <-ended:
				return fmt.Errorf("nginx ended at its start: %s", log.String())
			case <-time.After(10 * time.Millisecond):
			}
			if time.Since(begun) > readyFor {
				return fmt.Errorf("nginx does not answer after %v: %w", readyFor, err)
			}
		}
	}
	return nil
}
