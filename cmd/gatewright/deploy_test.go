package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/secret"
)

// keyed is a document whose one scheme is met by API keys, so that its server
// starts as soon as it has a store.
const keyed = `openapi: 3.1.0
info: {title: Notes, version: "1"}
components: {securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}}
security: [{key: []}]
paths:
  /notes: {get: {operationId: listNotes, responses: {"200": {description: all}}}}
`

// TestDeployment: what init writes to deploy a project with does what it says.
func TestDeployment(t *testing.T) {
	doc := filepath.Join(t.TempDir(), "notes.yaml")
	if err := os.WriteFile(doc, []byte(keyed), 0o644); err != nil {
		t.Fatal(err)
	}
	p := initProject(t, doc, "-module", "example.com/Some.Notes")
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	program := ""
	t.Run("Dockerfile", func(t *testing.T) { program = testDockerfile(t, p, read("Dockerfile"), read(".dockerignore")) })
	if program == "" {
		t.FailNow()
	}
	t.Run("Kubernetes", func(t *testing.T) { testKubernetes(t, program, read("deploy/kubernetes.yaml")) })
	t.Run("systemd", func(t *testing.T) { testUnit(t, program, read("deploy/some-notes.service")) })
}

// TestDeploymentIsKept: a project that has a Dockerfile keeps it.
func TestDeploymentIsKept(t *testing.T) {
	work := t.TempDir()
	dir := filepath.Join(work, "server")
	for name, text := range map[string]string{filepath.Join(work, "notes.yaml"): keyed, filepath.Join(dir, "Dockerfile"): "FROM mine\n"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "init", "notes.yaml", "server")
	cmd.Dir, cmd.Env = work, append(append(os.Environ(), goEnv(t)...), "GWTEST_RUN=1", "HOME="+work)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "Dockerfile")); err != nil || string(b) != "FROM mine\n" {
		t.Errorf("the Dockerfile is %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "deploy", "kubernetes.yaml")); err != nil {
		t.Error(err)
	}
}

// testDockerfile looks at the stages, runs the command that builds, and returns
// the program it makes.
func testDockerfile(t *testing.T, p *project, text, ignored string) (program string) {
	type stage struct {
		from, name string
		lines      map[string][]string // instruction -> its arguments
	}
	var stages []stage
	for line := range strings.Lines(text) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case instruction == "" || instruction[0] == '#':
		case instruction == "FROM":
			words := strings.Fields(rest)
			s := stage{from: words[0], lines: map[string][]string{}}
			if len(words) == 3 && words[1] == "AS" {
				s.name = words[2]
			}
			stages = append(stages, s)
		case len(stages) == 0:
			t.Fatalf("%s before FROM", instruction)
		default:
			last := stages[len(stages)-1]
			last.lines[instruction] = append(last.lines[instruction], rest)
		}
	}
	if len(stages) != 2 || stages[0].name != "build" || !regexp.MustCompile(`^golang:1\.\d+$`).MatchString(stages[0].from) || stages[1].from != "scratch" {
		t.Fatalf("the stages are %+v", stages)
	}
	final := stages[1].lines
	if got := final["USER"]; len(got) != 1 || !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(got[0]) {
		t.Errorf("USER is %q, want numbers that are not root's", got)
	}
	if len(final["RUN"]) > 0 {
		t.Errorf("the image runs %q, and has no shell", final["RUN"])
	}
	runs := stages[0].lines["RUN"]
	build := runs[len(runs)-1]
	const output = "-o /server ."
	if !strings.HasSuffix(build, output) || !slices.Contains(final["COPY"], "--from=build /server /server") || !slices.Equal(final["ENTRYPOINT"], []string{`["/server"]`}) {
		t.Fatalf("what is built by %q is not what %q starts, of %q", build, final["ENTRYPOINT"], final["COPY"])
	}
	if !slices.ContainsFunc(final["COPY"], func(c string) bool { return strings.Contains(c, "ca-certificates.crt") }) {
		t.Error("the image has no authorities")
	}
	for _, want := range []string{"**/*.secret", "**/*.pem", "**/*.db"} {
		if !strings.Contains(ignored, want+"\n") {
			t.Errorf(".dockerignore lacks %s: it could get into a layer", want)
		}
	}
	program = filepath.Join(filepath.Dir(p.dir), "deployed")
	p.run(t, "sh", "-c", strings.TrimSuffix(build, output)+"-o "+program+" .")
	if runtime.GOOS == "linux" {
		file, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Error("the program is linked dynamically: it does not run in an image without libraries")
		}
	}
	// Its check answers by the exit code.
	check := final["HEALTHCHECK"]
	if len(check) != 1 || !strings.Contains(check[0], `"/server", "-config", "/etc/server/server.yaml", "-healthcheck"`) {
		t.Errorf("HEALTHCHECK is %q", check)
	}
	return program
}

// A manifest is what a test reads of Kubernetes' objects.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Selector any
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
				TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
				SecurityContext               struct {
					RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
					RunAsUser      int                   `yaml:"runAsUser"`
					SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
				} `yaml:"securityContext"`
				Containers []struct {
					Ports []struct {
						Name          string
						ContainerPort int `yaml:"containerPort"`
					}
					Env []struct {
						Name, Value string
						ValueFrom   map[string]map[string]string `yaml:"valueFrom"`
					}
					StartupProbe    *probe `yaml:"startupProbe"`
					LivenessProbe   *probe `yaml:"livenessProbe"`
					ReadinessProbe  *probe `yaml:"readinessProbe"`
					Resources       struct{ Requests, Limits map[string]string }
					SecurityContext struct {
						AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
						ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
						Capabilities             struct{ Drop []string }
					} `yaml:"securityContext"`
					VolumeMounts []struct{ Name, MountPath string } `yaml:"volumeMounts"`
				}
			}
		}
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// testKubernetes looks at the manifest, and runs the program with its settings and
// its variables, and asks it as the probes do.
func testKubernetes(t *testing.T, program, text string) {
	objects := map[string]manifest{}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		objects[m.Kind] = m
	}
	for _, kind := range []string{"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"} {
		if objects[kind].Metadata.Name != "some-notes" {
			t.Errorf("%s is called %q", kind, objects[kind].Metadata.Name)
		}
	}
	pod := objects["Deployment"].Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("there are %d containers", len(pod.Containers))
	}
	c := pod.Containers[0]
	no := func(b *bool) bool { return b != nil && !*b }
	if !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" ||
		!no(pod.AutomountServiceAccountToken) || !no(c.SecurityContext.AllowPrivilegeEscalation) || !c.SecurityContext.ReadOnlyRootFilesystem ||
		!slices.Equal(c.SecurityContext.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the pod may do more than it needs: %+v, %+v", pod.SecurityContext, c.SecurityContext)
	}
	if c.Resources.Requests["memory"] == "" || c.Resources.Requests["cpu"] == "" || c.Resources.Limits["memory"] == "" {
		t.Errorf("resources are %+v", c.Resources)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	settings := objects["ConfigMap"].Data["server.yaml"]
	if !strings.Contains(settings, ":"+strconv.Itoa(c.Ports[0].ContainerPort)+"\n") {
		t.Errorf("the container's port is %d, and the settings are\n%s", c.Ports[0].ContainerPort, settings)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.yaml"), []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"secret": secret.Random(32).Reveal(), "store": "sqlite:" + filepath.Join(dir, "notes.db")}
	env := []string{"PATH=" + os.Getenv("PATH"), "GATEWRIGHT_LISTEN=" + address}
	for _, v := range c.Env {
		switch key := v.ValueFrom["secretKeyRef"]["key"]; {
		case v.Name == "GOMEMLIMIT":
		case key != "" && secrets[key] == "":
			t.Errorf("%s comes from %s, which nobody makes", v.Name, key)
		case key != "":
			env = append(env, v.Name+"="+secrets[key])
		default:
			env = append(env, v.Name+"="+v.Value)
		}
	}
	cmd := exec.Command(program, "-config", filepath.Join(dir, "server.yaml"))
	cmd.Dir, cmd.Env = dir, env
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() error {
		_ = cmd.Process.Signal(os.Interrupt)
		return <-ended
	}
	for name, p := range map[string]*probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if p == nil || p.HTTPGet.Port != c.Ports[0].Name {
			t.Fatalf("there is no %s probe of the port", name)
		}
		status := 0
		for begun := time.Now(); status != 200 && time.Since(begun) < time.Minute; time.Sleep(20 * time.Millisecond) {
			if res, err := http.Get("http://" + address + p.HTTPGet.Path); err == nil {
				status = res.StatusCode
				_ = res.Body.Close()
			}
		}
		if status != 200 {
			_ = stop()
			t.Fatalf("the %s probe is answered %d\n%s", name, status, &log)
		}
	}
	begun := time.Now()
	if err := stop(); err != nil {
		t.Errorf("the server ends with %v\n%s", err, &log)
	}
	if took := time.Since(begun); took < 5*time.Second || took > time.Duration(pod.TerminationGracePeriodSeconds)*time.Second {
		t.Errorf("it takes %v to stop, want its delay of 5 s and at most the %d s that a pod has", took, pod.TerminationGracePeriodSeconds)
	}
}

// testUnit has systemd judge the unit.
func testUnit(t *testing.T, program, text string) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		testenv.Skip(t, "there is no systemd-analyze on this machine")
	}
	unit := filepath.Join(t.TempDir(), "some-notes.service")
	installed := strings.ReplaceAll(text, "/usr/local/bin/some-notes", program)
	if installed == text {
		t.Fatal("the unit starts another program")
	}
	if err := os.WriteFile(unit, []byte(installed), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// Tenths: up to 2.0 is called ok.
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", unit).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
	for _, want := range []string{"LoadCredential=server.secret:", "GATEWRIGHT_SECRET_FILE=%d/server.secret", "DynamicUser=yes", "Type=notify", "ExecReload=/bin/kill -HUP $MAINPID"} {
		if !strings.Contains(text, want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
}
