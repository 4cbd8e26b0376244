package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const helloDoc = `openapi: 3.1.0
info: {title: Hello, version: "1"}
paths:
  /hello:
    get:
      operationId: hello
      security: []
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: 'parts/greeting.yaml#/Greeting'}}}}
  /mine: {get: {operationId: mine, security: [{key: []}], responses: {'200': {description: ok}}}}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-API-Key}
`

const helloPart = `Greeting:
  type: object
  required: [say]
  properties:
    say: {type: string}
`

const helloService = `package main

import (
	"context"

	"example.com/hello/internal/api"
)

type service struct{ api.Unimplemented }

func (service) Hello(context.Context, api.HelloRequest) (api.HelloResponse, error) {
	return api.Hello200{Body: api.Greeting{Say: "one"}}, nil
}
`

// A helloBench is a project with a handler, served by dev.
type helloBench struct {
	*session
	home, dir, base string
	client          *http.Client
}

// newHello makes the project with init. Its document lies outside the
// project's folder, in two parts.
func newHello(t *testing.T) *helloBench {
	t.Helper()
	home := t.TempDir()
	b := &helloBench{home: home, dir: filepath.Join(home, "hello")}
	b.write(t, "../api.yaml", helloDoc)
	b.write(t, "../parts/greeting.yaml", helloPart)
	b.init(t, "hello")
	b.write(t, "service.go", helloService)
	return b
}

// init makes the project for api.yaml.
func (b *helloBench) init(t *testing.T, name string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "init", "api.yaml", name)
	cmd.Dir = b.home
	cmd.Env = append(os.Environ(), append(goEnv(t), "GWTEST_RUN=1", "HOME="+b.home)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
}

func (b *helloBench) serve(t *testing.T) {
	t.Helper()
	port := freePort(t)
	b.session = startDev(t, b.home, "-port", port, b.dir)
	b.base = "https://localhost:" + port
	b.client = devClient(t, b.home)
}

// devClient trusts the development authority of home, and asks anew each time
// who listens.
func devClient(t *testing.T, home string) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(home, ".config", "gatewright", "ca", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

func (b *helloBench) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// get returns the status and body of a call with the key, if any.
func (b *helloBench) get(t *testing.T, path, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("X-API-Key", key)
	}
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.text())
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// served waits until a change is served, and returns what dev said meanwhile.
func (b *helloBench) served(t *testing.T) string {
	t.Helper()
	told := b.await(t, "served")
	if strings.HasSuffix(told, "not served") {
		t.Fatalf("the change is not served:\n%s", told)
	}
	return told
}

func (b *helloBench) says(t *testing.T, want string) {
	t.Helper()
	if status, body := b.get(t, "/hello", ""); status != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("GET /hello = %d %s, want %s", status, body, want)
	}
}

var keyInOutput = regexp.MustCompile(`gw_test_[0-9A-Za-z_]+`)

// step runs one part of a test whose later parts build on it.
func step(t *testing.T, name string, part func(*testing.T)) {
	t.Helper()
	if !t.Run(name, part) {
		t.FailNow()
	}
}

// TestDevFollows changes a project while dev serves it.
func TestDevFollows(t *testing.T) {
	b := newHello(t)
	b.serve(t)
	defer b.stop(t)
	b.says(t, `"one"`)
	key := keyInOutput.FindString(b.text())

	step(t, "a Go file", func(t *testing.T) {
		b.write(t, "service.go", strings.Replace(helloService, "one", "two", 1))
		b.await(t, "service.go changed: building")
		b.served(t)
		b.says(t, `"two"`)
	})
	step(t, "the document", func(t *testing.T) {
		b.write(t, "../api.yaml", strings.Replace(helloDoc, "  /mine:", "  /more: {get: {operationId: more, security: [], responses: {'200': {description: ok}}}}\n  /mine:", 1))
		b.await(t, "api.yaml changed: building")
		if told := b.served(t); !strings.Contains(told, "lacks a new operation") {
			t.Errorf("dev does not tell the method that is lacking:\n%s", told)
		}
		if status, body := b.get(t, "/more", ""); status != http.StatusNotImplemented {
			t.Errorf("GET /more = %d %s, want 501", status, body)
		}
	})
	step(t, "a part of the document", func(t *testing.T) {
		b.write(t, "../parts/greeting.yaml", strings.Replace(helloPart, "{type: string}", "{type: string, maxLength: 2}", 1))
		b.await(t, "greeting.yaml changed: building")
		b.served(t)
	})
	step(t, "a new folder", func(t *testing.T) {
		b.write(t, "words/word.go", "package words\n\n// Word is said.\nconst Word = \"three\"\n")
		b.await(t, "word.go changed: building")
		b.served(t)
		with := strings.Replace(helloService, `"one"`, "words.Word", 1)
		b.write(t, "service.go", strings.Replace(with, "\n\t\"example.com/hello/internal/api\"", "\n\t\"example.com/hello/internal/api\"\n\t\"example.com/hello/words\"", 1))
		b.await(t, "service.go changed: building")
		b.served(t)
		b.says(t, `"three"`)
		b.write(t, "words/word.go", "package words\n\n// Word is said.\nconst Word = \"four\"\n")
		b.served(t)
		b.says(t, `"four"`)
	})
	step(t, "the key is the same", func(t *testing.T) {
		if status, body := b.get(t, "/mine", key); status != http.StatusNotImplemented {
			t.Errorf("GET /mine with the first key = %d %s, want 501", status, body)
		}
		if more := keyInOutput.FindString(b.text()[strings.Index(b.text(), "Ctrl-C ends it"):]); more != "" {
			t.Error("another key was printed")
		}
	})
	step(t, "a scope that the key lacks", func(t *testing.T) {
		b.write(t, "../api.yaml", strings.Replace(helloDoc, "{key: []}", "{key: [mine:read]}", 1))
		b.served(t)
		b.await(t, "a new test key")
		again := keyInOutput.FindString(b.await(t, "\n  gw_test_") + b.text()[b.read:])
		if status, body := b.get(t, "/mine", again); status != http.StatusNotImplemented {
			t.Errorf("GET /mine with the new key = %d %s, want 501", status, body)
		}
		if status, _ := b.get(t, "/mine", key); status != http.StatusUnauthorized {
			t.Errorf("GET /mine with the old key = %d, want 401", status)
		}
	})
	step(t, "nothing else", func(t *testing.T) {
		// What follows is noticed only if what comes before it was passed over.
		b.write(t, ".git/hook.go", "package git")
		b.write(t, "node_modules/thing/thing.go", "package thing")
		b.write(t, "notes.txt", "nothing")
		b.write(t, "service_test.go", "package main")
		b.write(t, "words/word.go", "package words\n\n// Word is said.\nconst Word = \"five\"\n")
		told := b.served(t)
		if strings.Count(told, "changed: building") != 1 || !strings.Contains(told, "words/word.go changed") {
			t.Errorf("dev says\n%s", told)
		}
	})
}

// TestDevMistake wants the old server to go on after a mistake in the document
// and in a Go file, what is wrong to be printed, and what is put right to be
// served.
func TestDevMistake(t *testing.T) {
	b := newHello(t)
	b.serve(t)
	defer b.stop(t)

	step(t, "in the document", func(t *testing.T) {
		b.write(t, "../api.yaml", strings.Replace(helloDoc, "[{key: []}]", "[{keys: []}]", 1))
		told := b.await(t, "not served: the old server goes on")
		if !regexp.MustCompile(`api\.yaml:\d+:\d+: .*"keys"`).MatchString(told) {
			t.Errorf("dev does not print the diagnostic:\n%s", told)
		}
		b.says(t, `"one"`)
	})
	step(t, "in a part of the document", func(t *testing.T) {
		b.write(t, "../api.yaml", strings.Replace(helloDoc, "parts/greeting.yaml", "parts/other.yaml", 1))
		b.await(t, "not served: the old server goes on")
		b.write(t, "../parts/other.yaml", strings.ReplaceAll(helloPart, "say", "said")) // it was not there
		b.await(t, "other.yaml changed: building")
		told := b.await(t, "not served: the old server goes on") // the handler does not fit any more
		if !strings.Contains(told, "unknown field Say") {
			t.Errorf("dev does not print the compiler's words:\n%s", told)
		}
		b.says(t, `"one"`)
	})
	step(t, "in the settings", func(t *testing.T) {
		b.write(t, "gatewright.yaml", "document: ../api.yaml\nunknown: true\n")
		if told := b.await(t, "not served: the old server goes on"); !strings.Contains(told, `unknown setting "unknown"`) {
			t.Errorf("dev does not print the mistake:\n%s", told)
		}
		b.write(t, "gatewright.yaml", "document: ../api.yaml\n")
		b.await(t, "not served: the old server goes on") // as it was
	})
	step(t, "put right", func(t *testing.T) {
		b.write(t, "service.go", strings.NewReplacer("Say:", "Said:", "one", "right").Replace(helloService))
		b.served(t)
		if status, body := b.get(t, "/hello", ""); status != http.StatusOK || !strings.Contains(body, `"said":"right"`) {
			t.Errorf("GET /hello = %d %s", status, body)
		}
	})
	step(t, "in a Go file", func(t *testing.T) {
		b.write(t, "service.go", "package main\n\nfunc nonsense( {\n")
		told := b.await(t, "not served: the old server goes on")
		if !regexp.MustCompile(`service\.go:3:\d+`).MatchString(told) {
			t.Errorf("dev does not print the compiler's words:\n%s", told)
		}
		b.says(t, `"right"`)
	})
	step(t, "at start", func(t *testing.T) {
		bad := strings.NewReplacer("Say:", "Said:").Replace(helloService) + "\nfunc init() { panic(\"does not start\") }\n"
		b.write(t, "service.go", bad)
		if told := b.await(t, "not served: the old server was started again"); !strings.Contains(told, "does not start") {
			t.Errorf("dev does not print the server's words:\n%s", told)
		}
		b.says(t, `"right"`)
	})
	step(t, "recovery", func(t *testing.T) {
		b.write(t, "service.go", strings.NewReplacer("Say:", "Said:", "one", "again").Replace(helloService))
		b.served(t)
		b.says(t, `"again"`)
	})
	step(t, "a server that ends", func(t *testing.T) {
		ends := strings.NewReplacer("Say:", "Said:", "{\n\treturn", "{\n\tos.Exit(3)\n\treturn", `"context"`, "\"context\"\n\t\"os\"").Replace(helloService)
		b.write(t, "service.go", ends)
		b.served(t)
		if res, err := b.client.Get(b.base + "/hello"); err == nil {
			res.Body.Close()
			t.Errorf("GET /hello = %s of a server that ended", res.Status)
		}
		b.await(t, "the server ended")
		b.write(t, "service.go", strings.NewReplacer("Say:", "Said:", "one", "back").Replace(helloService))
		b.served(t)
		b.says(t, `"back"`)
	})
}

// TestDevDocumentFollows wants the project that is made for a document to be
// made anew when the document changes.
func TestDevDocumentFollows(t *testing.T) {
	home := t.TempDir()
	b := &helloBench{home: home, dir: filepath.Join(home, "x")}
	b.write(t, "../api.yaml", helloDoc)
	b.write(t, "../parts/greeting.yaml", helloPart)
	port := freePort(t)
	b.session, b.base = startDev(t, home, "-port", port, "api.yaml"), "https://localhost:"+port
	b.client = devClient(t, home)
	defer b.stop(t)
	if status, _ := b.get(t, "/hello", ""); status != http.StatusNotImplemented {
		t.Errorf("GET /hello = %d, want 501", status)
	}
	b.write(t, "../api.yaml", strings.ReplaceAll(helloDoc, "hello", "welcome"))
	b.await(t, "api.yaml changed: building")
	b.served(t)
	if status, _ := b.get(t, "/welcome", ""); status != http.StatusNotImplemented {
		t.Errorf("GET /welcome = %d, want 501", status)
	}
	if status, _ := b.get(t, "/hello", ""); status != http.StatusNotFound {
		t.Errorf("GET /hello = %d, want 404", status)
	}
	b.write(t, "../parts/greeting.yaml", "Greeting: [\n")
	b.await(t, "not served: the old server goes on")
	if status, _ := b.get(t, "/welcome", ""); status != http.StatusNotImplemented {
		t.Errorf("GET /welcome after a mistake = %d, want 501", status)
	}
}

// TestDevPort wants another port where the default is taken, and an error
// where the one that was asked for is.
func TestDevPort(t *testing.T) {
	b := newHello(t)
	l, err := net.Listen("tcp", "127.0.0.1:8443")
	if err == nil {
		defer l.Close() // else someone has it, which does as well
	}
	s := startDev(t, b.home, b.dir)
	found := regexp.MustCompile(`Hello on (https://localhost:(\d+))`).FindStringSubmatch(s.text())
	if found == nil || found[2] == "8443" || !strings.Contains(s.text(), "port 8443 is taken") {
		t.Fatalf("dev does not say that it takes another port:\n%s", s.text())
	}
	b.session, b.base, b.client = s, found[1], devClient(t, b.home)
	b.says(t, `"one"`)
	s.stop(t)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one that serves all the same does not end
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "dev", "-port", "8443", b.dir)
	cmd.Env = append(os.Environ(), "GWTEST_RUN=1", "HOME="+b.home, "XDG_CONFIG_HOME="+filepath.Join(b.home, ".config"), "XDG_CACHE_HOME="+filepath.Join(b.home, ".cache"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "address already in use") {
		t.Errorf("dev on a port that is taken = %v\n%s", err, out)
	}
}
