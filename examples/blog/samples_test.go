package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/tlsconf"
	"github.com/gatewright/gatewright/runtime/user"
)

// TestSamples runs each code sample of the document as its reader would: with
// the variable set it does what the operation says, without it says so and
// sends nothing.
func TestSamples(t *testing.T) {
	b := start(t)
	dir, err := tlsconf.DefaultDir()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := tlsconf.OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := b.key(t, "alice", "posts:write", "comments:write")
	alice, err := b.users.Ensure(t.Context(), user.Local, "alice", user.Profile{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := openPosts(t.Context(), filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "blog.db")) // where start has it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	// What the document's example of an id names.
	existing := post{ID: "k3v9x2mqp7ab", Title: "There", Text: "It is", Author: alice.ID, AuthorName: "alice", Published: time.Now()}
	watched, connections := watch(t, b.url)

	seen := 0
	for _, op := range documented(t) {
		if len(op.samples) != 4 {
			t.Errorf("%s has %d samples, want 4", op.id, len(op.samples))
		}
		for _, s := range op.samples {
			seen++
			t.Run(op.id+"/"+s.Label, func(t *testing.T) {
				if err := kept.save(t.Context(), existing); err != nil {
					t.Fatal(err)
				}
				program := testenv.Prepare(t, s.Lang, s.Source)
				env := append(testenv.Trusting(ca.CertFile()), "BLOG_URL="+b.url)
				out, err := program.Command(append(env, "BLOG_API_KEY="+key)...).CombinedOutput()
				if err != nil {
					t.Fatalf("with a key: %v\n%s", err, out)
				}
				if op.answers != "" && !strings.Contains(string(out), op.answers) {
					t.Errorf("prints %s, want %q in it", out, op.answers)
				}
				if strings.Contains(string(out), key) {
					t.Errorf("prints the key: %s", out)
				}
				if op.public {
					if strings.Contains(s.Source, "BLOG_API_KEY") {
						t.Error("asks for a key that nobody needs")
					}
					return
				}
				before := connections.Load()
				cmd := program.Command(append(testenv.Trusting(ca.CertFile()), "BLOG_URL="+watched)...)
				out, err = cmd.CombinedOutput()
				if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "BLOG_API_KEY is not set.") {
					t.Errorf("without a key: %v\n%s", err, out)
				}
				if n := connections.Load() - before; n != 0 {
					t.Errorf("without a key it connects %d times", n)
				}
			})
		}
	}
	if seen < 28 {
		t.Errorf("%d samples, want four of each of seven operations", seen)
	}

	// The count of connections counts.
	before := connections.Load()
	for _, op := range documented(t) {
		if op.id == "createPost" {
			cmd := testenv.Prepare(t, op.samples[0].Lang, op.samples[0].Source).Command(append(testenv.Trusting(ca.CertFile()), "BLOG_URL="+watched, "BLOG_API_KEY="+key)...)
			_ = cmd.Run() // the blog has another name
		}
	}
	if connections.Load() == before {
		t.Error("a sample with a key is not seen to connect")
	}
}

// A documentedOp is an operation as the served document shows it.
type documentedOp struct {
	id      string
	public  bool // a caller without any credential is let in
	answers string
	samples []struct{ Lang, Label, Source string }
}

// documented reads the document that the server shows.
func documented(t *testing.T) []documentedOp {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("internal", "api", "openapi.gen.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID       string                                 `json:"operationId"`
			Security []map[string][]string                  `json:"security"`
			Samples  []struct{ Lang, Label, Source string } `json:"x-codeSamples"`
		} `json:"paths"`
	}
	// Beside its operations a path has parameters, which are a list.
	var raw struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	for _, item := range raw.Paths {
		delete(item, "parameters")
	}
	if text, err = json.Marshal(raw); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	var ops []documentedOp
	for _, item := range doc.Paths {
		for _, op := range item {
			d := documentedOp{id: op.ID, samples: op.Samples, public: op.Security != nil && len(op.Security) == 0}
			for _, needs := range op.Security {
				d.public = d.public || len(needs) == 0
			}
			d.answers = map[string]string{"createPost": `"author":"alice"`, "replacePost": `"author":"alice"`, "createComment": `"author":"alice"`, "getPost": `"text":"It is"`}[op.ID]
			ops = append(ops, d)
		}
	}
	return ops
}

// watch counts connections on their way to a server.
func watch(t *testing.T, url string) (string, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int64
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", strings.TrimPrefix(url, "https://"))
				if err != nil {
					return
				}
				defer out.Close()
				go func() { _, _ = io.Copy(out, in) }()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "https://localhost:" + port, &n
}
