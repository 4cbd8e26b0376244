package types_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/types"
	"github.com/gatewright/gatewright/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files anew")

// generated loads, analyses and generates, and fails the test on any error.
func generated(t testing.TB, path string) (*model.API, []byte, []model.Diagnostic) {
	t.Helper()
	doc, diags := load.Load(context.Background(), load.Config{Path: path})
	if doc == nil || model.HasErrors(diags) {
		t.Fatalf("Load(%q): %v", path, diags)
	}
	api, diags := analyze.Analyze(doc, analyze.Config{})
	if model.HasErrors(diags) {
		t.Fatalf("Analyze(%q): %v", path, diags)
	}
	source, diags, err := types.Generate(doc, api, types.Config{Package: "api", Source: filepath.Base(path)})
	if err != nil {
		t.Fatalf("Generate(%q): %v", path, err)
	}
	return api, source, diags
}

// TestRoundTrip compiles the generated file with a test of its own, which
// reads and writes values, and runs that.
func TestRoundTrip(t *testing.T) {
	_, source, diags := generated(t, filepath.Join("testdata", "roundtrip", "openapi.yaml"))
	if len(diags) != 0 {
		t.Errorf("Generate warned: %v", diags)
	}
	golden := filepath.Join("testdata", "roundtrip", "models.gen.go")
	if *update {
		if err := os.WriteFile(golden, source, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || string(want) != string(source) {
		t.Errorf("%s is not what is generated (%v); look at the difference after go test -update", golden, err)
	}

	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(filepath.Join("testdata", "roundtrip", "roundtrip_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"go.mod": []byte("module roundtrip\n\ngo 1.26\n\nrequire github.com/gatewright/gatewright v0.0.0\n\n" +
			"replace github.com/gatewright/gatewright => " + root + "\n"),
		"go.sum":            sums,
		"models.gen.go":     source,
		"roundtrip_test.go": own,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-mod=mod", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go test of the generated code: %v\n%s", err, out)
	}
}

func TestOperationTypes(t *testing.T) {
	api, _, _ := generated(t, filepath.Join("testdata", "roundtrip", "openapi.yaml"))
	op := api.Operations[0]
	got := map[string]model.GoType{}
	for _, p := range op.Params {
		got["param "+p.Name] = p.Schema.Go
	}
	got["body"] = op.Body.Contents[0].Schema.Go
	for _, r := range op.Responses {
		for _, h := range r.Headers {
			got[r.Status+" "+h.Name] = h.Schema.Go
		}
		for _, c := range r.Contents {
			if c.Schema != nil {
				got[r.Status+" "+c.MediaType] = c.Schema.Go
			}
		}
	}
	want := map[string]model.GoType{
		"param id":             {Name: "int64"},
		"param day":            {Path: "github.com/gatewright/gatewright/runtime/codec", Name: "Date"},
		"param order":          {Name: "PutThingOrder"},
		"param ids":            {Slices: 1, Name: "string", Nillable: true},
		"body":                 {Name: "Thing"},
		"200 Last-Seen":        {Path: "time", Name: "Time"},
		"200 application/json": {Slices: 1, Name: "Thing", Nillable: true},
		"200 text/plain":       {Name: "string"},
		"200 image/png":        {},
		"404 application/json": {Name: "PutThing404Body"},
		"409 application/json": {Name: "PutThing409Body", Nillable: true},
		"500 application/json": {Path: "github.com/go-json-experiment/json/jsontext", Name: "Value", Nillable: true},
	}
	for place, w := range want {
		if g, ok := got[place]; !ok || g != w {
			t.Errorf("type of %s = %+v, want %+v", place, g, w)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	path := filepath.Join(testenv.Specs(b), "discord.json")
	doc, _ := load.Load(b.Context(), load.Config{Path: path})
	api, _ := analyze.Analyze(doc, analyze.Config{Undeclared: "public"})
	for b.Loop() {
		if _, _, err := types.Generate(doc, api, types.Config{Package: "api", Source: "discord.json"}); err != nil {
			b.Fatal(err)
		}
	}
}
