package tlsconf

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Trust puts the authority's certificate into the trust store of the system,
// so that curl, Safari, Edge and others accept its leaves: the system's store
// on Linux (Debian's and Fedora's way), the user's own on macOS and Windows.
// Firefox, and Chromium on Linux, keep stores of their own that this leaves
// alone. It returns what was done, a sentence each. An error is a *TrustError
// with the commands to run by hand; what was done before it is returned too.
func (a *Authority) Trust(ctx context.Context) ([]string, error) {
	steps, err := systemStore().trust(a)
	if err != nil {
		return nil, err
	}
	return perform(ctx, steps)
}

// Untrust takes the authority's certificate out again, as [Authority.Trust]
// put it in. Where it is not in the store nothing is done.
func (a *Authority) Untrust(ctx context.Context) ([]string, error) {
	steps, err := systemStore().untrust(a)
	if err != nil {
		return nil, err
	}
	return perform(ctx, steps)
}

// A TrustError means that the system's trust store could not be changed, for
// want of rights, of a tool, or of knowledge of this system.
type TrustError struct {
	Commands []string // what to type in a shell instead; none where this system is not known
	Cause    error
}

// Error gives the cause, and the commands on lines of their own.
func (e *TrustError) Error() string {
	text := "tlsconf: cannot change the system's trust store: " + e.Cause.Error()
	if len(e.Commands) > 0 {
		text += "\nrun by hand:\n\t" + strings.Join(e.Commands, "\n\t")
	}
	return text
}

// Unwrap returns the cause.
func (e *TrustError) Unwrap() error { return e.Cause }

// A trustStore knows how one system keeps what it trusts.
type trustStore struct {
	goos    string
	anchors []anchorDir // Linux: the first that exists is used
}

// An anchorDir is a directory of certificates from which a tool makes the
// system's bundle.
type anchorDir struct {
	dir, file    string
	added, taken []string // commands after a file was added, or taken away
}

func systemStore() trustStore {
	return trustStore{goos: runtime.GOOS, anchors: []anchorDir{
		{
			dir:   "/usr/local/share/ca-certificates",
			file:  "gatewright-development-ca.crt",
			added: []string{"update-ca-certificates"},
			taken: []string{"update-ca-certificates", "--fresh"}, // without it links to the file stay behind
		},
		{
			dir:   "/etc/pki/ca-trust/source/anchors",
			file:  "gatewright-development-ca.pem",
			added: []string{"update-ca-trust"},
			taken: []string{"update-ca-trust"},
		},
	}}
}

// A step is one change, with the sentence that reports it and the command by
// which a person would make it.
type step struct {
	did, hand string
	do        func(ctx context.Context) error
}

// perform makes the steps in order, up to the first that fails.
func perform(ctx context.Context, steps []step) ([]string, error) {
	var did []string
	for i, s := range steps {
		if err := s.do(ctx); err != nil {
			var commands []string
			for _, left := range steps[i:] {
				commands = append(commands, left.hand)
			}
			return did, &TrustError{Commands: commands, Cause: err}
		}
		did = append(did, s.did)
	}
	return did, nil
}

func (s trustStore) trust(a *Authority) ([]step, error) {
	cert := a.CertFile()
	switch s.goos {
	case "linux":
		anchor, err := s.anchor()
		if err != nil {
			return nil, err
		}
		target := filepath.Join(anchor.dir, anchor.file)
		copied := step{
			did:  "copied " + cert + " to " + target,
			hand: "sudo cp " + quoteArg(cert) + " " + quoteArg(target),
			do:   func(context.Context) error { return writeCert(target, a.cert.Raw) },
		}
		return []step{copied, command("sudo ", anchor.added...)}, nil
	case "darwin":
		return []step{command("", "security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", cert)}, nil
	case "windows":
		return []step{command("", "certutil", "-user", "-addstore", "Root", cert)}, nil
	}
	return nil, s.unknown()
}

func (s trustStore) untrust(a *Authority) ([]step, error) {
	switch s.goos {
	case "linux":
		anchor, err := s.anchor()
		if err != nil {
			return nil, err
		}
		target := filepath.Join(anchor.dir, anchor.file)
		if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		removed := step{
			did:  "removed " + target,
			hand: "sudo rm " + quoteArg(target),
			do:   func(context.Context) error { return os.Remove(target) },
		}
		return []step{removed, command("sudo ", anchor.taken...)}, nil
	case "darwin":
		return []step{
			command("", "security", "remove-trusted-cert", a.CertFile()),
			command("", "security", "delete-certificate", "-Z", fmt.Sprintf("%X", sha1.Sum(a.cert.Raw))), // -Z takes SHA-1: a name, not a proof
		}, nil
	case "windows":
		return []step{command("", "certutil", "-user", "-delstore", "Root", fmt.Sprintf("%x", a.cert.SerialNumber))}, nil
	}
	return nil, s.unknown()
}

func (s trustStore) anchor() (anchorDir, error) {
	for _, a := range s.anchors {
		if info, err := os.Stat(a.dir); err == nil && info.IsDir() {
			return a, nil
		}
	}
	return anchorDir{}, s.unknown()
}

func (s trustStore) unknown() error {
	return &TrustError{Cause: fmt.Errorf("how this %s system keeps it is not known; name the certificate file to each program instead, as in curl --cacert", s.goos)}
}

// command is a step that runs a program; by is what a person writes before it.
func command(by string, args ...string) step {
	var line []string
	for _, arg := range args {
		line = append(line, quoteArg(arg))
	}
	text := strings.Join(line, " ")
	return step{
		did:  "ran " + text,
		hand: by + text,
		do: func(ctx context.Context) error {
			output, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", text, err, strings.TrimSpace(string(output)))
			}
			return nil
		},
	}
}

// quoteArg writes an argument so that a shell reads it as one.
func quoteArg(arg string) string {
	if strings.ContainsAny(arg, " \t\n\"'\\$&|;<>()*?[]#~`!") {
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return arg
}
