package samples_test

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/samples"
	"github.com/gatewright/gatewright/internal/testenv"
)

// A checker is a process that says of each source whether it parses, so that
// not every input needs a process of its own.
type checker struct {
	in  io.Writer
	out *bufio.Reader
}

const pythonChecker = `
import ast, json, sys
known = {"get", "exit", "request", "quote", "print", "type", "encode", "startswith"}
for line in sys.stdin:
    try:
        names = {getattr(n.func, "attr", None) or getattr(n.func, "id", None) for n in ast.walk(ast.parse(json.loads(line))) if isinstance(n, ast.Call)}
        print("" if names <= known else "calls %s" % (names - known), flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
`

// Nothing is run: an async function is made, which is where await may stand.
const javaScriptChecker = `
const make = Object.getPrototypeOf(async function () {}).constructor;
require("readline").createInterface({input: process.stdin}).on("line", (line) => {
  try { new make(JSON.parse(line)); console.log(""); } catch (error) { console.log(error.name + ": " + error.message.replace(/\s/g, " ")); }
});
`

func startChecker(t testing.TB, name string, args ...string) *checker {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		testenv.Skip(t, "needs the program "+name)
	}
	cmd := exec.Command(name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &checker{in, bufio.NewReader(out)}
}

// check returns what is wrong with a source.
func (c *checker) check(source string) string {
	text, err := json.Marshal(source)
	if err != nil {
		return err.Error()
	}
	if _, err := fmt.Fprintf(c.in, "%s\n", text); err != nil {
		return err.Error()
	}
	answer, err := c.out.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(answer, "\n")
}

// goFault tells what in a Go program cannot be one of ours.
func goFault(source string) error {
	f, err := parser.ParseFile(token.NewFileSet(), "main.go", source, parser.ParseComments)
	if err != nil {
		return err
	}
	if len(f.Comments) > 0 || len(f.Decls) < 2 || len(f.Decls) > 3 {
		return fmt.Errorf("%d comments, %d declarations", len(f.Comments), len(f.Decls))
	}
	for _, d := range f.Decls[1:] {
		if fn, ok := d.(*ast.FuncDecl); !ok || fn.Name.Name != "main" && fn.Name.Name != "fail" {
			return fmt.Errorf("declares something else")
		}
	}
	return nil
}

// curlArguments runs a shell sample with no program within reach but a
// function in the place of curl, and returns its arguments and its input.
func curlArguments(t *testing.T, source string, env []string) (args []string, input string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("/bin/bash", "--noprofile", "--norc", "-c", "curl() { printf '%s\\0' \"$@\" >&3; while IFS= read -r l; do printf '%s\\n' \"$l\" >&4; done; }\n"+
		"sed() { while IFS= read -r l || [ -n \"$l\" ]; do printf '%s' \"$l\"; done; }\n"+source)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + dir}, env...)
	cmd.Stdin = strings.NewReader("")
	var files []*os.File
	for _, name := range []string{"args", "input"} {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	cmd.ExtraFiles = files
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("bash: %v %s\n%s", err, out, source)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("the shell made %v, %v\n%s", left, err, source)
	}
	argText, err1 := os.ReadFile(files[0].Name())
	inputText, err2 := os.ReadFile(files[1].Name())
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return strings.Split(strings.TrimSuffix(string(argText), "\x00"), "\x00"), string(inputText)
}

// FuzzSamples puts any text where a document's stands: names, examples, a
// title. Each program parses, calls nothing that it should not, and the shell
// hands curl what was meant.
func FuzzSamples(f *testing.F) {
	for i, s := range hostile {
		f.Add(s, `{"a":`+string(mustJSON(s))+`}`, hostile[(i+1)%len(hostile)])
	}
	python := startChecker(f, "python3", "-c", pythonChecker)
	node := startChecker(f, "node", "-e", javaScriptChecker)
	f.Fuzz(func(t *testing.T, name, body, example string) {
		if len(name)+len(body)+len(example) > 4<<10 || strings.ContainsAny(name+example, "\x00") {
			return
		}
		api := &model.API{
			Title: name,
			Schemes: []model.Scheme{
				{Name: name, Type: "apiKey", Verifier: model.VerifyCustom, Places: []model.Place{{In: "header", Name: "X-Key"}}},
				{Name: name + "2", Type: "apiKey", Verifier: model.VerifyAPIKey, Places: []model.Place{{In: "query", Name: name}}},
			},
			Operations: []model.Operation{{
				ID: name, Method: "POST", Path: "/a/{p}",
				Policy: model.Policy{Alternatives: []model.Alternative{{{Scheme: name, Scopes: []string{name}}, {Scheme: name + "2"}}}},
				Params: []model.Param{
					{Name: "p", In: "path", Required: true, Example: string(mustJSON(example))},
					{Name: name, In: "query", Required: true, Example: string(mustJSON(example)), Explode: true},
					{Name: "X-Y", In: "header", Required: true, Example: string(mustJSON(example))},
				},
				Body: &model.Body{Contents: []model.Content{{MediaType: "application/json", Kind: model.JSON, Example: body}}},
			}},
		}
		set := samples.New(api, "https://things.example").Of(&api.Operations[0])
		if set.Why != "" {
			api.Operations[0].Params = api.Operations[0].Params[:2] // most texts are no header
			set = samples.New(api, "https://things.example").Of(&api.Operations[0])
		}
		if problem := python.check(set.Samples[1].Source); problem != "" {
			t.Errorf("Python: %s\n%s", problem, set.Samples[1].Source)
		}
		if problem := node.check(set.Samples[2].Source); problem != "" {
			t.Errorf("JavaScript: %s\n%s", problem, set.Samples[2].Source)
		}
		if err := goFault(set.Samples[3].Source); err != nil {
			t.Errorf("Go: %v\n%s", err, set.Samples[3].Source)
		}
		if set.Why != "" {
			return
		}
		var env []string
		for _, v := range set.Variables {
			if v.Secret {
				env = append(env, v.Name+"=seCret")
			}
		}
		args, input := curlArguments(t, set.Samples[0].Source, env)
		if joined := strings.Join(args, " "); strings.Contains(joined, "seCret") {
			t.Errorf("curl's arguments hold a key: %q", args)
		}
		if strings.Count(input, "seCret") != 2 || strings.Count(input, "\n") != 2 || args[0] != "--silent" || args[len(args)-1] != "-" {
			t.Errorf("curl has %q and reads %q", args, input)
		}
		for i, a := range args {
			if a == "--data-raw" {
				var got, want any
				if json.Unmarshal([]byte(body), &want) == nil {
					if err := json.Unmarshal([]byte(args[i+1]), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("curl sends %q for %q", args[i+1], body)
					}
				}
			}
		}
	})
}

func mustJSON(s string) []byte {
	text, err := json.Marshal(strings.ToValidUTF8(s, "\ufffd"))
	if err != nil {
		panic(err)
	}
	return text
}
