package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/tlsconf"
	"github.com/gatewright/gatewright/runtime/user"
)

// devPort is where development serves if nothing else does.
const devPort = 8443

func devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev [DIR or DOC]",
		Short: "Generate, build and serve on https://localhost:8443 with a test key",
		Long: `Generates and builds the project in DIR (this folder if left out), or a project
made for the document DOC, and serves it on https://localhost:8443 with a
certificate of this machine's development authority, a SQLite store and a fresh
test key. Operations that nobody has written yet answer 501, those whose
scheme has no verifier 503.

-trust adds the development authority to the system's trusted ones, -untrust
takes it out again.`,
		Args: between("a folder or a document", 0, 1),
	}
	trust := cmd.Flags().Bool("trust", false, "let this system trust the development authority, and end")
	untrust := cmd.Flags().Bool("untrust", false, "take that trust back, and end")
	port := cmd.Flags().Int("port", devPort, "port to serve on")
	undeclared := undeclaredFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ca, err := authority()
		if err != nil {
			return err
		}
		switch {
		case *trust && *untrust:
			return usage("dev takes one of -trust and -untrust")
		case *trust:
			done, err := ca.Trust(cmd.Context())
			return tellDone(cmd.OutOrStdout(), done, err)
		case *untrust:
			done, err := ca.Untrust(cmd.Context())
			return tellDone(cmd.OutOrStdout(), done, err)
		}
		if *port < 1 || *port > 65535 {
			return usage("-port is from 1 to 65535, not %d", *port)
		}
		path := "."
		if len(args) == 1 {
			path = args[0]
		}
		d := developer{ca: ca, port: *port, portChosen: cmd.Flags().Changed("port"),
			stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr()}
		return d.run(cmd.Context(), path, *undeclared)
	}
	return cmd
}

// tellDone prints what was changed on this system.
func tellDone(w io.Writer, done []string, err error) error {
	for _, step := range done {
		fmt.Fprintln(w, step)
	}
	return err
}

// authority opens this machine's development certificate authority.
func authority() (*tlsconf.Authority, error) {
	dir, err := tlsconf.DefaultDir()
	if err != nil {
		return nil, err
	}
	return tlsconf.OpenAuthority(dir)
}

// A developer runs one project for its author.
type developer struct {
	ca             *tlsconf.Authority
	port           int
	portChosen     bool
	stdout, stderr io.Writer

	dir   string // the project
	state string // what development keeps for it: store, secret, binary
}

func (d *developer) run(ctx context.Context, path, undeclared string) error {
	if err := d.project(ctx, path, undeclared); err != nil {
		return err
	}
	settingsPath := filepath.Join(d.dir, generator.SettingsFile)
	if err := generate(ctx, settingsPath, false, "text", d.stderr, d.stderr); err != nil {
		return err
	}
	settings, dir, err := settingsFile(settingsPath)
	if err != nil {
		return err
	}
	res, err := generator.Analyze(ctx, generator.Config{Dir: dir, Settings: settings})
	if err != nil {
		return err
	}
	binary, err := d.build(ctx)
	if err != nil {
		return err
	}
	port, err := d.listenPort()
	if err != nil {
		return err
	}
	file, err := d.configure(port)
	if err != nil {
		return err
	}
	key, err := d.testKey(ctx, res.API, file, port)
	if err != nil {
		return err
	}
	return d.serve(ctx, binary, file, port, func() { d.introduce(res.API, port, key) })
}

// project finds the project's folder, or makes one for a document alone.
func (d *developer) project(ctx context.Context, path, undeclared string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(abs); err != nil {
		return usage("dev takes a folder with a %s or an OpenAPI document: %w", generator.SettingsFile, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(abs))
	name := folderName(strings.TrimSuffix(filepath.Base(abs), filepath.Ext(abs)))
	d.state = filepath.Join(cache, "gatewright", "dev", name+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(d.state, 0o700); err != nil {
		return err
	}
	if isDir(abs) {
		d.dir = abs
		if undeclared != "" {
			return usage("-undeclared goes with a document; a project says it in %s", generator.SettingsFile)
		}
		return nil
	}
	// What stands in a project made earlier is derived from the document
	// alone, so it is made anew rather than brought up to date.
	d.dir = filepath.Join(d.state, name)
	if err := os.RemoveAll(d.dir); err != nil {
		return err
	}
	if undeclared == "" {
		undeclared = "error"
	}
	in := initializer{doc: abs, dir: d.dir, undeclared: undeclared, format: "text", stdout: io.Discard, stderr: d.stderr}
	_, err = in.make(ctx)
	return err
}

func (d *developer) build(ctx context.Context) (string, error) {
	binary := filepath.Join(d.state, "server")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	cmd.Dir = d.dir
	cmd.Stdout, cmd.Stderr = d.stderr, d.stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build in %s: %w", d.dir, err)
	}
	return binary, nil
}

// listenPort returns the port to serve on: another one where the usual one is
// taken, the one asked for or none.
func (d *developer) listenPort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)))
	if err != nil && d.portChosen {
		return 0, err
	}
	if err != nil {
		fmt.Fprintf(d.stderr, "port %d is taken (%v); serving on another\n", d.port, err)
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return 0, err
		}
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// configure writes the configuration that development serves with, and the
// secret beside it.
func (d *developer) configure(port int) (string, error) {
	secretFile := filepath.Join(d.state, "server.secret")
	if !exists(secretFile) {
		if err := os.WriteFile(secretFile, []byte(secret.Random(32).Reveal()+"\n"), 0o600); err != nil {
			return "", err
		}
	}
	text := fmt.Sprintf("public_url: https://localhost:%d\nlisten: 127.0.0.1:%d\ntls: {dev: true}\n"+
		"secret_file: server.secret\nstore: sqlite:dev.db\nenvironment: test\n", port, port)
	// A run beside this one has a file of its own, and shares the rest.
	file := filepath.Join(d.state, fmt.Sprintf("dev-%d.yaml", port))
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// testKey makes a key that may do everything the document knows, and revokes
// the one of the last run on the same port: a run beside this one keeps its
// own. It is empty where no scheme takes keys.
func (d *developer) testKey(ctx context.Context, api *model.API, file string, port int) (string, error) {
	keyLabel := fmt.Sprintf("made by gatewright dev on port %d", port)
	schemes, scopes := keySchemes(api)
	if len(schemes) == 0 {
		return "", nil
	}
	cfg, err := config.Load([]string{"-config", file}, func(string) string { return "" })
	if err != nil {
		return "", err
	}
	ring, err := openKeyring(ctx, api, cfg, slog.New(slog.DiscardHandler)) // the key is shown below
	if err != nil {
		return "", err
	}
	defer ring.stores.Close()
	rec, err := ring.users.Ensure(ctx, user.Local, "developer", user.Profile{Name: "developer"})
	if err != nil {
		return "", err
	}
	owner := apikey.Owner{User: rec.ID}
	old, err := ring.keys.List(ctx, apikey.Query{Owner: owner, Limit: 1000})
	if err != nil {
		return "", err
	}
	for _, rec := range old {
		if rec.Label == keyLabel && rec.Revoked.IsZero() {
			if err := ring.keys.Revoke(ctx, rec.ID); err != nil {
				return "", err
			}
		}
	}
	key, _, err := ring.keys.Create(ctx, apikey.CreateRequest{
		Owner: owner, Label: keyLabel, Scopes: union(scopes), Expires: time.Now().Add(30 * 24 * time.Hour),
	})
	if err != nil {
		return "", err
	}
	return key.Reveal(), nil
}

// serve runs the server until ctx is done, and calls ready when it answers.
func (d *developer) serve(ctx context.Context, binary, file string, port int, ready func()) error {
	cmd := exec.CommandContext(ctx, binary, "-config", file)
	cmd.Dir = d.dir
	cmd.Env = append(environ(), "GATEWRIGHT_DEV=true")
	cmd.Stdout, cmd.Stderr = d.stdout, d.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second // for requests that are still running
	endWithParent(cmd)
	// Linux binds that to the thread that starts the server, so it is kept.
	ended := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for {
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				return nil // asked to
			}
			if err == nil {
				err = errors.New("it stopped of itself")
			}
			return fmt.Errorf("the server ended, its own words are above: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
		if ready == nil {
			continue
		}
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = conn.Close()
			ready()
			ready = nil
		}
	}
}

// environ is the environment without this program's own settings, which are
// for the server that the author runs and not for this one.
func environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "GATEWRIGHT_") {
			env = append(env, e)
		}
	}
	return env
}

// introduce prints who may call what, and a line to try it with.
func (d *developer) introduce(api *model.API, port int, key string) {
	base := fmt.Sprintf("https://localhost:%d", port)
	fmt.Fprintf(d.stdout, "\n%s on %s\n\n", printable(api.Title), base)
	_ = explain(d.stdout, "text", api, api.Operations, false)
	if key != "" {
		fmt.Fprintf(d.stdout, "\nA test key, good until the next start on this port:\n  %s\n", key)
	}
	if line := curlLine(api, base, d.ca.CertFile(), key); line != "" {
		fmt.Fprintf(d.stdout, "\nTry it:\n  %s\n", line)
	}
	fmt.Fprintf(d.stdout, "\nCtrl-C ends it.\n\n")
}
