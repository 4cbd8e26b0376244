package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/devidp"
	"github.com/gatewright/gatewright/runtime/tlsconf"
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
scheme has no verifier 503. Where the document has a login, people sign in at
an identity provider for development: a page of users to pick from, those of
dev: users: in gatewright.yaml or else two, one with all scopes and one with
none.

A change of the document, of gatewright.yaml or of a Go file is built and
served in place of the old server, which goes on serving where there is a
mistake.

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

	doc        string // the document alone that a project is made for; else empty
	undeclared string // what that project says of operations without a statement
	dir        string // the project
	state      string // what development keeps for it: store, secret, binaries

	turn     int // of the version that serves: 0 or 1
	key      testKey
	provider *devidp.Provider // nil where nobody has to sign in
	running  sync.WaitGroup   // the provider
}

func (d *developer) run(ctx context.Context, path, undeclared string) error {
	if err := d.find(path, undeclared); err != nil {
		return err
	}
	held, err := d.listen()
	if err != nil {
		return err
	}
	defer held.Close()
	d.port = held.Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithCancel(ctx)
	defer d.running.Wait()
	defer cancel()

	watched, err := newWatcher(d.tree(), d.stderr)
	if err != nil {
		return err
	}
	defer watched.close()
	v, err := d.prepare(ctx, watched)
	if err != nil {
		return err
	}
	_ = held.Close() // the server takes the port from here
	s, err := d.start(ctx, v)
	if ctx.Err() != nil {
		return nil // asked to
	}
	if err != nil {
		return err
	}
	d.turn = v.turn
	d.introduce(v.api)
	return d.follow(ctx, watched, v, s)
}

// listen takes the port to serve on: another one where the usual one is taken,
// the one asked for or none. It is held until there is a server.
func (d *developer) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)))
	if err != nil && !d.portChosen {
		fmt.Fprintf(d.stderr, "port %d is taken (%v); serving on another\n", d.port, err)
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}

// follow serves what the author changes until ctx is done. s runs v.
func (d *developer) follow(ctx context.Context, watched *watcher, v *version, s *child) error {
	for {
		select {
		case <-ctx.Done():
			s.end(lastGrace)
			return nil
		case <-s.ended:
			select {
			case <-ctx.Done(): // a terminal's Ctrl-C reaches the server too
				return nil
			case <-time.After(200 * time.Millisecond):
			}
			fmt.Fprintf(d.stderr, "the server ended, its own words are above: %v; the next change starts it again\n", s.why())
			s = &child{} // ends no more
		case <-watched.dirty:
			changed := watched.changed()
			if len(changed) == 0 {
				continue // written by us, or written again as it was
			}
			v, s = d.change(ctx, watched, changed, v, s)
		}
	}
}

// change builds what was changed and serves it in place of s, which runs v. It
// returns what serves afterwards.
func (d *developer) change(ctx context.Context, watched *watcher, changed []string, v *version, s *child) (*version, *child) {
	began := time.Now()
	fmt.Fprintf(d.stdout, "%s changed: building\n", strings.Join(changed, ", "))
	next, err := d.prepare(ctx, watched)
	if ctx.Err() != nil {
		return v, s
	}
	if err != nil {
		fmt.Fprintf(d.stderr, "%v\nnot served: %s\n", err, goesOn(s))
		return v, s
	}
	s.end(changeGrace)
	now, err := d.start(ctx, next)
	if err == nil {
		fmt.Fprintf(d.stdout, "served after %.1fs: %s\n", time.Since(began).Seconds(), d.url())
		d.tellKey()
		d.turn = next.turn
		return next, now
	}
	if ctx.Err() != nil {
		return v, &child{}
	}
	fmt.Fprintf(d.stderr, "%v\n", err)
	if now, err = d.start(ctx, v); err != nil {
		fmt.Fprintf(d.stderr, "%v\nnothing serves; the next change is tried\n", err)
		return v, &child{}
	}
	fmt.Fprintf(d.stderr, "not served: the old server was started again\n")
	return v, now
}

func goesOn(s *child) string {
	if s.ended == nil {
		return "nothing serves"
	}
	return "the old server goes on"
}

func (d *developer) url() string { return fmt.Sprintf("https://localhost:%d", d.port) }

// introduceUnverified says which schemes nothing of ours verifies.
func (d *developer) introduceUnverified(api *model.API) {
	var custom, undecided []string
	for _, s := range api.Schemes {
		switch s.Verifier {
		case model.VerifyCustom:
			custom = append(custom, printable(s.Name))
		case model.VerifyUndecided:
			undecided = append(undecided, printable(s.Name))
		}
	}
	if len(custom) > 0 {
		fmt.Fprintf(d.stdout, "\nThe application verifies these itself, and until it does they are answered with 503: %s\n", strings.Join(custom, ", "))
	}
	if len(undecided) > 0 {
		fmt.Fprintf(d.stdout, "\nNobody has said what these take, so they are answered with 503: %s (x-gatewright: {kind: jwt}, introspection, apikey or custom)\n", strings.Join(undecided, ", "))
	}
}

// introduce prints who may call what, and a line to try it with.
func (d *developer) introduce(api *model.API) {
	fmt.Fprintf(d.stdout, "\n%s on %s\n\n", printable(api.Title), d.url())
	_ = explain(d.stdout, "text", api, api.Operations, false)
	if d.key.text != "" {
		fmt.Fprintf(d.stdout, "\nA test key, good until the next start on this port:\n  %s\n", d.key.text)
		d.key.told = true
	}
	d.introduceUsers(api)
	d.introduceCertificate(api)
	d.introduceUnverified(api)
	fmt.Fprintf(d.stdout, "\nThe reference, with a console: %s/docs\n", d.url())
	if line := curlLine(api, d.url(), d.ca.CertFile(), d.key.text, "gatewright token"+d.tokenArgs()); line != "" {
		fmt.Fprintf(d.stdout, "\nTry it:\n  %s\n", line)
	}
	fmt.Fprintf(d.stdout, "\nChanges of the document, of gatewright.yaml and of Go files are built and served.\nCtrl-C ends it.\n\n")
}
