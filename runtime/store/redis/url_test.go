package redis_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/redis"
)

// TestOpenRefuses: a URL that cannot be meant so is refused, and no word of it,
// any of which may be of a password, is in the error.
func TestOpenRefuses(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(ca, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"":                                                      "redis://HOST",
		"redis:":                                                "redis://HOST",
		"redis:localhost:6379":                                  "redis://HOST",
		"redis://":                                              "redis://HOST",
		"redis:///0":                                            "redis://HOST",
		"redis://:6379":                                         "redis://HOST",
		"http://127.0.0.1:1":                                    "redis://HOST",
		"redis://:hunter2%zz@127.0.0.1:1":                       "redis://HOST",
		"redis://:hunter2/x@127.0.0.1:1":                        "redis://HOST",
		"redis://:hunter2#x@127.0.0.1:1":                        "redis://HOST",
		"redis://:hunter2@127.0.0.1:1#x":                        "redis://HOST",
		"redis://:1?hunter2@127.0.0.1":                          "redis://HOST",
		"redis://:hunter2?x@127.0.0.1:1":                        "redis://HOST",
		"redis://:hunter2@127.0.0.1:x":                          "redis://HOST",
		"redis://hunter2@127.0.0.1:1":                           "without a password",
		"redis://hunter2:@127.0.0.1:1":                          "without a password",
		"redis://@127.0.0.1:1":                                  "without a password",
		"redis://127.0.0.1:1/hunter2":                           "not a number",
		"redis://127.0.0.1:1/-1":                                "not a number",
		"redis://127.0.0.1:1/0/1":                               "not a number",
		"redis://127.0.0.1:1?db=hunter2":                        "options prefix and ca",
		"rediss://127.0.0.1:1?skip_verify=true":                 "options prefix and ca",
		"redis://127.0.0.1:1?max_retries=5":                     "options prefix and ca",
		"redis://127.0.0.1:1?prefix=a:&prefix=b":                "options prefix and ca",
		"redis://127.0.0.1:1?prefix=%zz":                        "cannot be read",
		"redis://127.0.0.1:1?a;b":                               "cannot be read",
		"redis://127.0.0.1:1?prefix=":                           "1 to 64",
		"redis://127.0.0.1:1?prefix={a}":                        "1 to 64",
		"redis://127.0.0.1:1?prefix=a%20b":                      "1 to 64",
		"redis://127.0.0.1:1?prefix=a*":                         "1 to 64",
		"redis://127.0.0.1:1?prefix=a%0a":                       "1 to 64",
		"redis://127.0.0.1:1?prefix=" + strings.Repeat("a", 65): "1 to 64",
		"redis://127.0.0.1:1?ca=" + ca:                          "no TLS without",
		"rediss://127.0.0.1:1?ca=" + ca + "x":                   "no such file",
		"rediss://127.0.0.1:1?ca=" + ca:                         "no certificate in PEM",
		"redis://ann:hunter2@127.0.0.1:1":                       "127.0.0.1:1: ",
		"redis://ann:hunter2@none.invalid":                      "none.invalid:6379: ",
	} {
		s, err := redis.Open(t.Context(), url)
		if err == nil {
			s.Close()
			t.Errorf("Open(%q) = nil, want an error", url)
			continue
		}
		if !strings.HasPrefix(err.Error(), "redis: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, want %q in it", url, err, want)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) = %v, which shows the password", url, err)
		}
	}
}

// TestPassword: a wrong one is refused, at opening and when it is changed, and
// stands neither in errors nor in the log.
func TestPassword(t *testing.T) {
	log := logged(t)
	server := testenv.Redis(t, "--requirepass", "hunter2")
	client := raw(t, server)
	s := open(t, server.URL())
	rec, key := fill(t, s)
	wrong := strings.Replace(server.URL(), "hunter2", "hunter3", 1)
	refused(t, wrong, "WRONGPASS")
	refused(t, strings.Replace(server.URL(), ":hunter2@", "", 1), "NOAUTH")
	refused(t, as(t, server, "nobody", "hunter2"), "WRONGPASS")
	texts := []string{log()}
	if _, err := redis.Open(t.Context(), wrong); err != nil {
		texts = append(texts, err.Error())
	}
	mustDo(t, client, "CONFIG", "SET", "requirepass", "hunter4")
	mustDo(t, client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	for name, call := range calls(s, rec, key) {
		err := call(t.Context())
		if err == nil {
			t.Errorf("%s with an old password = nil, want an error", name)
			continue
		}
		texts = append(texts, err.Error())
	}
	if all := strings.Join(append(texts, log()), "\n"); strings.Contains(all, "hunter") {
		t.Errorf("a password is in %q", all)
	}
}

// TestTLS: the certificate must be that of the host, from an authority that is
// trusted.
func TestTLS(t *testing.T) {
	ca, other := testenv.NewCA(t), testenv.NewCA(t)
	cert, key := ca.Files(t, "localhost")
	server := testenv.Redis(t, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca.File, "--requirepass", "hunter2")
	s := open(t, server.URL()+"?ca="+ca.File+"&prefix=tls:")
	fill(t, s)
	watched(t, s)
	refused(t, server.URL(), "certificate")
	refused(t, server.URL()+"?ca="+other.File, "certificate")
	refused(t, strings.Replace(server.URL(), "localhost", "127.0.0.1", 1)+"?ca="+ca.File, "certificate")
	refused(t, strings.Replace(server.URL(), "rediss", "redis", 1))
	refused(t, strings.Replace(testenv.Redis(t).URL(), "redis", "rediss", 1)+"?ca="+ca.File)
}

// TestPlainText: that sessions go over a network in the open is told, and that
// they go to this host is not.
func TestPlainText(t *testing.T) {
	server := testenv.Redis(t, "--appendonly", "yes")
	log := logged(t)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		open(t, strings.Replace(server.URL(), "localhost", host, 1))
	}
	if text := log(); text != "" {
		t.Errorf("logged %q, want nothing", text)
	}
	testenv.Names(t, "redis.example")
	open(t, strings.Replace(server.URL(), "localhost", "redis.example", 1))
	if text := log(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "without TLS") || !strings.Contains(text, "redis.example") {
		t.Errorf("logged %q, want one line that there is no TLS", text)
	}
}

// TestOpensNoStores: keys and users are kept elsewhere, and what to write is
// told.
func TestOpensNoStores(t *testing.T) {
	server := testenv.Redis(t, "--requirepass", "hunter2")
	_, err := store.Open(t.Context(), store.Config{URL: server.URL()}, redis.Driver)
	if err == nil || !strings.Contains(err.Error(), "sessions_store") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Open() = %v, want an error that names sessions_store", err)
	}
}
