package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A Program is the source of one, ready to run in a folder of its own.
type Program struct {
	Dir  string
	args []string
}

// Prepare writes the source of a program in one of the languages of code
// samples (Shell, Python, JavaScript, Go) into a folder of its own, and builds
// it where it has to be built, with nothing but the standard library. Python is
// one that has the library requests. Where the language is missing, the test
// ends with Skip.
func Prepare(t testing.TB, lang, source string) *Program {
	t.Helper()
	p := &Program{Dir: t.TempDir()}
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	switch lang {
	case "Shell":
		need(t, "a shell sample", "sh", "curl")
		write("sample.sh")
		p.args = []string{"sh", "sample.sh"}
	case "Python":
		write("sample.py")
		p.args = []string{Python(t), "sample.py"}
	case "JavaScript":
		need(t, "a JavaScript sample", "node")
		write("sample.mjs")
		p.args = []string{"node", "sample.mjs"}
	case "Go":
		write("main.go")
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", "sample", "main.go")
		cmd.Dir = p.Dir
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOTOOLCHAIN=local", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s\n%s", err, out, source)
		}
		p.args = []string{filepath.Join(p.Dir, "sample")}
	default:
		t.Fatalf("testenv: language %q", lang)
	}
	return p
}

// Python returns a Python that has requests: the first on the path, or
// Debian's, for which its package is.
func Python(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import requests").Run() == nil {
			return name
		}
	}
	Skip(t, "a Python sample needs python3 with the library requests, which is not installed; make tools does that where it can")
	return ""
}

// Command is the program, about to run with no more than env and the way to
// other programs in its environment.
func (p *Program) Command(env ...string) *exec.Cmd {
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Dir = p.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.Dir}, env...)
	return cmd
}

// Trusting are the variables by which programs in all four languages trust the
// authority in a file and nobody else.
func Trusting(caFile string) []string {
	return []string{"CURL_CA_BUNDLE=" + caFile, "REQUESTS_CA_BUNDLE=" + caFile, "NODE_EXTRA_CA_CERTS=" + caFile, "SSL_CERT_FILE=" + caFile}
}
