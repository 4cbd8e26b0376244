//go:build unix

package testenv_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/internal/testenv"
)

// redisSays is the last line of the replies to commands.
func redisSays(t *testing.T, s *testenv.RedisServer, commands ...string) (string, error) {
	t.Helper()
	return redisSaysWithin(t, 5*time.Second, s, commands...)
}

func redisSaysWithin(t *testing.T, within time.Duration, s *testenv.RedisServer, commands ...string) (string, error) {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", u.Host, within)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	in, reply := bufio.NewReader(conn), ""
	if password, ok := u.User.Password(); ok {
		commands = append([]string{"AUTH " + password}, commands...)
	}
	for _, c := range commands {
		if _, err := conn.Write([]byte(c + "\r\n")); err != nil {
			return "", err
		}
		if reply, err = in.ReadString('\n'); err != nil {
			return "", err
		}
		if strings.HasPrefix(reply, "$") && !strings.HasPrefix(reply, "$-") {
			if reply, err = in.ReadString('\n'); err != nil {
				return "", err
			}
		}
	}
	return strings.TrimRight(reply, "\r\n"), nil
}

func TestRedis(t *testing.T) {
	const text = "a-text-that-is-long-enough-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for name, c := range map[string]struct {
		args  []string
		keeps bool
	}{
		"in memory":       {},
		"kept":            {[]string{"--appendonly", "yes", "--appendfsync", "always"}, true},
		"with a password": {[]string{"--requirepass", "hunter2"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := testenv.Redis(t, c.args...)
			if got, err := redisSays(t, s, "SET k "+text, "GET k"); err != nil || got != text {
				t.Errorf("GET = %q, %v, want %q", got, err, text)
			}
			if !bytes.Contains(s.Dump(t), []byte(text)) {
				t.Error("the dump does not have what was written")
			}
			want := "$-1"
			if c.keeps {
				want = text
			}
			at := s.URL()
			s.Restart(t)
			if got, err := redisSays(t, s, "GET k"); err != nil || got != want {
				t.Errorf("GET after Restart = %q, %v, want %q", got, err, want)
			}
			_, _ = redisSays(t, s, "SET k "+text)
			s.Kill()
			s.Start(t)
			if got, err := redisSays(t, s, "GET k"); err != nil || got != want || s.URL() != at {
				t.Errorf("GET at %s after Kill and Start = %q, %v, want %q at %s", s.URL(), got, err, want, at)
			}
			s.Pause(t)
			if got, err := redisSaysWithin(t, 200*time.Millisecond, s, "PING"); err == nil {
				t.Errorf("PING after Pause = %q, want no answer", got)
			}
			s.Resume(t)
			if got, err := redisSays(t, s, "PING"); err != nil || got != "+PONG" {
				t.Errorf("PING after Resume = %q, %v", got, err)
			}
			s.Stop()
			if got, err := redisSays(t, s, "PING"); err == nil {
				t.Errorf("PING after Stop = %q, want no answer", got)
			}
			s.Stop() // again changes nothing
		})
	}
}

// A server with a certificate speaks TLS alone.
func TestRedisTLS(t *testing.T) {
	ca := testenv.NewCA(t)
	cert, key := ca.Files(t, "localhost")
	s := testenv.Redis(t, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca.File)
	u, err := url.Parse(s.URL())
	if err != nil || u.Scheme != "rediss" {
		t.Fatalf("URL() = %q, %v, want rediss", s.URL(), err)
	}
	pem, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", u.Host, &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if got, err := redisSays(t, s, "PING"); err == nil && got == "+PONG" {
		t.Error("the server answers without TLS too")
	}
}
