package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/emit"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/runtime/secret"
)

func initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init DOC [DIR]",
		Short: "Make a Go project from an OpenAPI document that builds, runs and passes its tests at once",
		Long: `Makes a project in DIR (this folder if left out): go.mod if there is none,
gatewright.yaml, server.yaml, main.go, service.go, generate.go, .gitignore, and
the generated code; and to deploy it with, unless they are there, a Dockerfile, a
unit for systemd and a manifest for Kubernetes. A document that lies elsewhere
and is one file is copied into DIR. Nothing that exists is overwritten.`,
		Args: between("a document and a folder", 1, 2),
	}
	in := initializer{}
	cmd.Flags().StringVar(&in.undeclared, "undeclared", "error", "operations without any security statement: error or public")
	cmd.Flags().StringVar(&in.remoteRefs, "remote-refs", "error", "$refs to https addresses: error or fetch")
	cmd.Flags().StringVar(&in.module, "module", "", "module path of a new go.mod (default example.com/ and the folder's name)")
	format := formatFlag(cmd, findingFormats)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkFormat(*format, findingFormats); err != nil {
			return err
		}
		if in.undeclared != "error" && in.undeclared != "public" {
			return usage("-undeclared is error or public, not %q", in.undeclared)
		}
		if in.remoteRefs != "error" && in.remoteRefs != "fetch" {
			return usage("-remote-refs is error or fetch, not %q", in.remoteRefs)
		}
		in.format, in.stdout, in.stderr = *format, cmd.OutOrStdout(), cmd.ErrOrStderr()
		in.doc, in.dir = args[0], "."
		if len(args) == 2 {
			in.dir = args[1]
		}
		project, err := in.make(cmd.Context())
		if err != nil {
			return err
		}
		in.next(project)
		return nil
	}
	return cmd
}

// An initializer makes one project.
type initializer struct {
	doc, dir           string
	undeclared, module string
	remoteRefs         string
	format             string
	stdout, stderr     io.Writer
}

// make writes the project, all or nothing.
func (in *initializer) make(ctx context.Context) (emit.Project, error) {
	var none emit.Project
	if exists(filepath.Join(in.dir, generator.SettingsFile)) {
		return none, fmt.Errorf("%s is a project already; gatewright generate brings it up to date", in.dir)
	}
	settings := generator.Settings{Document: in.doc, Package: "api", Output: "internal/api", Undeclared: in.undeclared, RemoteRefs: in.remoteRefs}
	res, err := generator.Generate(ctx, generator.Config{Settings: settings})
	if err := tell(in.stderr, in.format, res, err); err != nil {
		return none, err
	}

	files := make(map[string][]byte)
	for path, text := range res.Files {
		files[path] = text
	}
	project := emit.Project{
		Package: settings.Package, Output: settings.Output,
		UndeclaredPublic: in.undeclared == "public", FetchRemoteRefs: in.remoteRefs == "fetch", API: res.API, GoVersion: goVersion(),
	}
	if project.Document, err = in.place(res.Sources, files); err != nil {
		return none, err
	}
	if err := in.goModule(&project, files); err != nil {
		return none, err
	}
	own, err := project.Files()
	if err != nil {
		return none, err
	}
	for _, path := range project.Deployment() {
		if exists(filepath.Join(in.dir, path)) {
			delete(own, path) // how it is deployed is settled
		}
	}
	for path, text := range own {
		if _, taken := files[path]; taken || path == project.Document {
			return none, fmt.Errorf("nothing was written: the document is called %s, as a file of the project is; give it another name", path)
		}
		files[path] = text
	}
	if project.Document == secretFile || project.Document == "go.sum" {
		return none, fmt.Errorf("nothing was written: the document is called %s, as a file of the project is; give it another name", project.Document)
	}
	return project, in.write(ctx, res, project, files)
}

// place decides how the project names its document: where it lies if that is
// inside the project, else a copy. A document of several files stays where it
// is, since its parts find each other by their places.
func (in *initializer) place(sources []string, files map[string][]byte) (string, error) {
	dir, err := filepath.Abs(in.dir)
	if err != nil {
		return "", err
	}
	doc, err := filepath.Abs(in.doc)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(dir, doc)
	if err != nil {
		return doc, nil // another drive: named as it is
	}
	if filepath.IsLocal(rel) || len(sources) > 1 {
		return filepath.ToSlash(rel), nil
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		return "", err
	}
	files[filepath.Base(doc)] = text
	return filepath.Base(doc), nil
}

// goModule takes the module path of the project's go.mod, or plans a new one.
func (in *initializer) goModule(project *emit.Project, files map[string][]byte) error {
	path := filepath.Join(in.dir, "go.mod")
	text, err := os.ReadFile(path)
	if err == nil {
		project.Module = modfile.ModulePath(text)
		if project.Module == "" {
			return fmt.Errorf("%s names no module", path)
		}
		project.Binary = binaryName(project.Module)
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	project.Module = in.module
	if project.Module == "" {
		abs, err := filepath.Abs(in.dir)
		if err != nil {
			return err
		}
		project.Module = "example.com/" + folderName(filepath.Base(abs))
	}
	if err := module.CheckImportPath(project.Module); err != nil {
		return usage("-module: %w", err)
	}
	project.Binary = binaryName(project.Module)
	mod, sum, err := goMod()
	if err != nil {
		return err
	}
	project.GoMod = mod
	if sum != nil {
		files["go.sum"] = sum
	}
	return nil
}

var notFolder = regexp.MustCompile(`[^a-z0-9]+`)

// folderName makes a folder's name fit for an import path.
func folderName(base string) string {
	name := strings.Trim(notFolder.ReplaceAllString(strings.ToLower(base), "-"), "-")
	if name == "" {
		return "server"
	}
	return name
}

func binaryName(modulePath string) string {
	return modulePath[strings.LastIndex(modulePath, "/")+1:]
}

// write checks that what is generated compiles, then brings everything into
// place. A new project is built in a folder beside its own and moved there.
func (in *initializer) write(ctx context.Context, res *generator.Result, project emit.Project, files map[string][]byte) error {
	var there []string
	for path := range files {
		if exists(filepath.Join(in.dir, path)) {
			there = append(there, path)
		}
	}
	if len(there) > 0 {
		slices.Sort(there)
		return fmt.Errorf("nothing was written: %s has %s already; move it away, or take another folder", in.dir, strings.Join(there, ", "))
	}
	if project.GoMod == nil {
		if err := res.TypeCheck(ctx, in.dir); err != nil {
			return fmt.Errorf("%w\nif the module is not required yet: go get -tool %s/cmd/gatewright", err, modulePath)
		}
		if err := generator.WriteAll(in.dir, files); err != nil {
			return err
		}
		return writeSecret(in.dir)
	}
	abs, err := filepath.Abs(in.dir)
	if err != nil {
		return err
	}
	parent := filepath.Dir(abs)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(parent, ".gatewright-init-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	if err := os.Chmod(stage, 0o755); err != nil {
		return err
	}
	if err := generator.WriteAll(stage, files); err != nil {
		return err
	}
	if len(project.GoMod.Requires) == 0 {
		if err := tidy(ctx, stage); err != nil {
			return err
		}
	}
	if err := res.TypeCheck(ctx, stage); err != nil {
		return err
	}
	if !exists(abs) {
		if err := writeSecret(stage); err != nil {
			return err
		}
		return os.Rename(stage, abs) // all or nothing, whenever it is interrupted
	}
	// What tidy wrote belongs to the project.
	for _, path := range []string{"go.mod", "go.sum"} {
		if text, err := os.ReadFile(filepath.Join(stage, path)); err == nil {
			files[path] = text
		}
	}
	if err := generator.WriteAll(in.dir, files); err != nil {
		return err
	}
	return writeSecret(in.dir)
}

// tidy lets the go command fill go.mod and go.sum for a released version.
func tidy(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "mod", "tidy")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod tidy in the new project: %w\n%s", err, out)
	}
	return nil
}

// secretFile is the secret that server.yaml names.
const secretFile = "server.secret"

// writeSecret makes it, unless its owner did.
func writeSecret(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, secretFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, secret.Random(32).Reveal())
	return errors.Join(err, f.Close())
}

// next says what can be done now.
func (in *initializer) next(project emit.Project) {
	fmt.Fprintf(in.stdout, "Made %s from %s, operations: %d.\n\n", in.dir, shown(in.doc), len(project.API.Operations))
	if in.dir != "." {
		fmt.Fprintf(in.stdout, "  cd %s\n", in.dir)
	}
	logins, unverified := loginNames(project.API), unverifiedSchemes(project.API)
	serves := "serves on https://localhost:8443"
	switch {
	case len(unverified) > 0:
		serves = "serves, once every scheme has a verifier"
	case len(logins) > 0:
		serves = "serves, once people can sign in"
	}
	tw := tabwriter.NewWriter(in.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintf(tw, "  go test ./...\tasks every operation with every credential state\n")
	fmt.Fprintf(tw, "  go tool gatewright dev\tserves here for trying it out, with a test key where keys are taken\n")
	fmt.Fprintf(tw, "  go run . -config server.yaml\t%s\n", serves)
	fmt.Fprintf(tw, "  go tool gatewright explain %s\twho may call what\n", quote(project.Document))
	_ = tw.Flush()
	if len(logins) > 0 {
		fmt.Fprintf(in.stdout, "\nPeople sign in for %s: the server will not start until server.yaml says at which provider,\n"+
			"under providers. There this server is registered with the redirect URI\n  https://localhost:8443%s/callback/main\n"+
			"Until then dev brings a provider of its own, with users to pick from.\n",
			strings.Join(logins, ", "), model.AuthPrefix)
	}
	if len(unverified) > 0 {
		fmt.Fprintf(in.stdout, "\nNothing here verifies %s yet: the server will not start until main.go passes a gate.Authenticator\n"+
			"for each to %s.RunWith. Until then dev answers 503 where nothing else lets the caller in.\n",
			strings.Join(unverified, ", "), project.Package)
	}
	if project.GoMod != nil && project.GoMod.Replace != "" {
		fmt.Fprintf(in.stdout, "\ngo.mod points at the checkout in %s: replace that line before the project leaves this machine.\n", project.GoMod.Replace)
	}
	if !filepath.IsLocal(project.Document) {
		fmt.Fprintf(in.stdout, "\nThe document stays at %s, since it is made of several files: copy them into the\n"+
			"project and name it in gatewright.yaml before the project leaves this machine.\n", project.Document)
	}
	fmt.Fprintf(in.stdout, "\nservice.go is yours: write the operations there, and run go generate when the document changes.\n")
}

// unverifiedSchemes returns the schemes that the runtime brings no verifier
// for and that an operation names.
func unverifiedSchemes(api *model.API) []string {
	var names []string
	for _, name := range schemesOf(api.Operations) {
		if v := api.Scheme(name).Verifier; v != model.VerifyAPIKey && v != model.VerifySession {
			names = append(names, printable(name))
		}
	}
	return names
}

// loginNames returns the schemes that a login meets and an operation names.
func loginNames(api *model.API) []string {
	var names []string
	for _, name := range schemesOf(api.Operations) {
		if api.Scheme(name).Verifier == model.VerifySession {
			names = append(names, printable(name))
		}
	}
	return names
}
