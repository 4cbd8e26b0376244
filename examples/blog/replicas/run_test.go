package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
)

// TestRun runs the one command, asks the blog that it brings up, and looks for
// what it leaves.
func TestRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "looks for processes in /proc")
	}
	for _, c := range []struct {
		name string
		end  syscall.Signal
		left bool // folders: who is killed removes none
	}{{"Ctrl-C", syscall.SIGINT, false}, {"killed", syscall.SIGKILL, true}} {
		t.Run(c.name, func(t *testing.T) { testRun(t, c.end, c.left) })
	}
}

func testRun(t *testing.T, end syscall.Signal, left bool) {
	// PostgreSQL runs as another user here, who may not enter t.TempDir.
	temp, err := os.MkdirTemp("", "gatewright-run-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	if err := os.Chmod(temp, 0o711); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command("go", "run", "github.com/gatewright/gatewright/examples/blog/replicas", "-listen", "127.0.0.1:0")
	if end == syscall.SIGKILL {
		cmd = exec.Command(os.Args[0]) // go run would be killed in its place
		cmd.Env = []string{"REPLICAS_TEST_PROGRAM=" + program}
	}
	cmd.Dir = filepath.Join(testenv.Root(), "docs") // any folder of the module
	cmd.Env = append(append(cmd.Env, os.Environ()...), "TMPDIR="+temp, "XDG_CONFIG_HOME="+home, "GATEWRIGHT_LISTEN=nonsense", "GOTMPDIR="+home)
	out, log := &tail{}, &tail{}
	cmd.Stdout, cmd.Stderr = out, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	for begun := time.Now(); !strings.Contains(out.String(), "Ctrl-C ends everything."); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s\n%s", err, out, log)
		default:
		}
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("it does not start\n%s\n%s", out, log)
		}
	}

	text := out.String()
	url, key := find(t, `The blog is on (https://localhost:\d+)`, text), find(t, `export BLOG_KEY=(gw_test_\S+)`, text)
	pem, err := os.ReadFile(filepath.Join(home, "gatewright", "ca", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	for range 2 * count {
		for _, c := range []struct {
			key  string
			want int
		}{{key, http.StatusCreated}, {"wrong", http.StatusUnauthorized}} {
			req := request(t, http.MethodPost, url+"/posts", `{"title": "Hello", "text": "World"}`)
			req.Header.Set("Authorization", "apikey "+c.key)
			req.Header.Set("Content-Type", "application/json")
			if got, err := status(client, req); err != nil || got != c.want {
				t.Errorf("POST /posts = %d, %v, want %d", got, err, c.want)
			}
		}
	}
	for _, name := range []string{"[1]", "[2]", "[3]"} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` .*request refused`).MatchString(log.String()) {
			t.Errorf("the log has no refusal by %s:\n%s", name, log)
		}
	}
	running := processes(t, temp)
	if len(running) < count+2 {
		t.Errorf("processes found are %q, want three of the blog, PostgreSQL and Redis", running)
	}
	for _, p := range running {
		if args := strings.Join(p, " "); strings.Contains(args, "postgres://") || strings.Contains(args, "redis://") || strings.Contains(args, key) {
			t.Errorf("a secret stands in the arguments %q", args)
		}
	}

	if err := syscall.Kill(-cmd.Process.Pid, end); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended: // go run, when interrupted, is never content
		if end == syscall.SIGINT && !strings.HasSuffix(out.String(), "\nStopped.\n") {
			t.Errorf("it ended with\n%s\n%s", out, log)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not end\n%s", log)
	}
	for begun := time.Now(); len(processes(t, temp)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("it left %q", processes(t, temp))
		}
	}
	if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 && !left {
		t.Errorf("it left %v, %v", entries, err)
	}
}

func find(t *testing.T, pattern, text string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("there is no %s in\n%s", pattern, text)
	}
	return found[1]
}

// processes are the arguments of those whose arguments or environment name a
// folder, this one apart.
func processes(t *testing.T, dir string) [][]string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found [][]string
	for _, d := range dirs {
		args, _ := os.ReadFile(filepath.Join(d, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(d, "environ")) // that of another user cannot be read
		if len(args) > 0 && (bytes.Contains(args, []byte(dir)) || bytes.Contains(env, []byte(dir))) {
			found = append(found, strings.Split(string(bytes.TrimRight(args, "\x00")), "\x00"))
		}
	}
	return found
}
