package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/gatewright/gatewright/internal/testenv"
)

// TestReleased installs the command from a released module, as users do: the
// project it makes names the version and has no replace. The release is this
// checkout, packed for a module proxy of files.
func TestReleased(t *testing.T) {
	work := t.TempDir()
	version := module.Version{Path: modulePath, Version: fmt.Sprintf("v0.1.0-test.%d", time.Now().UnixNano())}
	proxy := filepath.Join(work, "proxy")
	at := filepath.Join(proxy, "github.com", "gatewright", "gatewright", "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(testenv.Root(), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := zip.CreateFromDir(&packed, version, testenv.Root()); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"list":                    []byte(version.Version + "\n"),
		version.Version + ".info": fmt.Appendf(nil, `{"Version":%q,"Time":"2026-01-01T00:00:00Z"}`, version.Version),
		version.Version + ".mod":  mod,
		version.Version + ".zip":  packed.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(at, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	cache := goValue(t, "GOMODCACHE")
	t.Cleanup(func() { // what the go command took over from the proxy
		unpacked := filepath.Join(cache, modulePath+"@"+version.Version)
		_ = exec.Command("chmod", "-R", "u+w", unpacked).Run()
		_ = os.RemoveAll(unpacked)
		found, _ := filepath.Glob(filepath.Join(cache, "cache", "download", modulePath, "@v", version.Version+".*"))
		for _, path := range found {
			_ = os.Remove(path)
		}
	})
	p := &project{dir: work, env: append(os.Environ(), append(goEnv(t), "HOME="+work, "GOBIN="+filepath.Join(work, "bin"),
		"GOPROXY=file://"+filepath.ToSlash(proxy)+","+goValue(t, "GOPROXY"), "GONOSUMDB="+modulePath)...)}
	p.run(t, "go", "install", modulePath+"/cmd/gatewright@"+version.Version)

	doc := filepath.Join(testenv.Root(), "examples", "blog", "openapi.yaml")
	p.run(t, filepath.Join(work, "bin", "gatewright"), "init", doc, "server")
	p.dir = filepath.Join(work, "server")
	text, err := os.ReadFile(filepath.Join(p.dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), modulePath+" "+version.Version) || strings.Contains(string(text), "replace") {
		t.Errorf("go.mod of a project from a release:\n%s", text)
	}
	p.run(t, "go", "build", "./...")
	p.run(t, "go", "vet", "./...")
	p.run(t, "go", "test", "./...")
	p.run(t, "go", "tool", "gatewright", "generate", "-check")
}

func goValue(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
