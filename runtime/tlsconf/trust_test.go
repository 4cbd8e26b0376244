package tlsconf

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
)

// debian is a store in folders of the test, kept by the real tool.
func debian(t *testing.T) (store trustStore, bundle string) {
	t.Helper()
	if _, err := exec.LookPath("update-ca-certificates"); err != nil {
		testenv.Skip(t, "there is no update-ca-certificates on this machine")
	}
	base := t.TempDir()
	for _, dir := range []string{"local", "etc", "certs", "hooks"} {
		must(t, os.Mkdir(filepath.Join(base, dir), 0o755))
	}
	// Without any other certificate the tool writes no bundle at all.
	other, _ := selfSigned(t, nil)
	must(t, os.Rename(other, filepath.Join(base, "local", "other.crt")))
	must(t, os.WriteFile(filepath.Join(base, "conf"), []byte("# none\n"), 0o644))
	tool := []string{
		"update-ca-certificates", "--certsconf", filepath.Join(base, "conf"), "--certsdir", filepath.Join(base, "certs"),
		"--localcertsdir", filepath.Join(base, "local"), "--etccertsdir", filepath.Join(base, "etc"), "--hooksdir", filepath.Join(base, "hooks"),
	}
	return trustStore{goos: "linux", anchors: []anchorDir{
		{dir: filepath.Join(base, "absent")},
		{dir: filepath.Join(base, "local"), file: "gatewright-development-ca.crt", added: tool, taken: append([]string{tool[0], "--fresh"}, tool[1:]...)},
	}}, filepath.Join(base, "etc", "ca-certificates.crt")
}

func TestTrustWithRealTool(t *testing.T) {
	a := open(t)
	store, bundle := debian(t)
	ours := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})

	steps, err := store.trust(a)
	must(t, err)
	did, err := perform(t.Context(), steps)
	must(t, err)
	if len(did) != 2 || !strings.HasPrefix(did[0], "copied ") || !strings.HasPrefix(did[1], "ran update-ca-certificates") {
		t.Errorf("trust did %q", did)
	}
	if content, err := os.ReadFile(bundle); err != nil || !bytes.Contains(content, ours) {
		t.Errorf("the bundle lacks the authority (%v)", err)
	}

	steps, err = store.untrust(a)
	must(t, err)
	did, err = perform(t.Context(), steps)
	must(t, err)
	if len(did) != 2 || !strings.HasPrefix(did[0], "removed ") {
		t.Errorf("untrust did %q", did)
	}
	if content, err := os.ReadFile(bundle); err == nil && bytes.Contains(content, ours) {
		t.Error("the bundle still has the authority")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(bundle), "gatewright*")); len(left) > 0 {
		t.Errorf("untrust left %q", left)
	}

	steps, err = store.untrust(a)
	if err != nil || len(steps) != 0 {
		t.Errorf("untrust of what is not trusted = %d steps, %v, want none", len(steps), err)
	}
}

func TestTrustSaysWhatToDoByHand(t *testing.T) {
	a := open(t)
	base := t.TempDir()
	target := filepath.Join(base, "ours.crt")
	tests := map[string]struct {
		store trustStore
		did   int
		want  []string
	}{
		"no tool": {
			trustStore{goos: "linux", anchors: []anchorDir{{dir: base, file: "ours.crt", added: []string{"no-such-tool-of-ours"}}}},
			1, []string{"sudo no-such-tool-of-ours"},
		},
		"tool fails": {
			trustStore{goos: "linux", anchors: []anchorDir{{dir: base, file: "ours.crt", added: []string{"false"}}}},
			1, []string{"sudo false"},
		},
		"no rights": {
			// A file name in a folder that is missing fails for root too.
			trustStore{goos: "linux", anchors: []anchorDir{{dir: base, file: "absent/ours.crt", added: []string{"true"}}}},
			0, []string{"sudo cp " + a.CertFile() + " " + filepath.Join(base, "absent/ours.crt"), "sudo true"},
		},
		"unknown Linux": {trustStore{goos: "linux"}, 0, nil},
		"unknown":       {trustStore{goos: "plan9"}, 0, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			defer os.Remove(target)
			var did []string
			steps, err := test.store.trust(a)
			if err == nil {
				did, err = perform(t.Context(), steps)
			}
			var trust *TrustError
			if !errors.As(err, &trust) {
				t.Fatalf("trust = %v, want a *TrustError", err)
			}
			if len(did) != test.did {
				t.Errorf("did %q, want %d steps", did, test.did)
			}
			if strings.Join(trust.Commands, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("Commands = %q, want %q", trust.Commands, test.want)
			}
			for _, command := range test.want {
				if !strings.Contains(err.Error(), command) {
					t.Errorf("%q does not name %q", err, command)
				}
			}
		})
	}
}

func TestTrustCommands(t *testing.T) {
	a := open(t)
	for goos, want := range map[string][]string{
		"darwin":  {"security add-trusted-cert -r trustRoot -p ssl ", "security remove-trusted-cert "},
		"windows": {"certutil -user -addstore Root ", "certutil -user -delstore Root "},
	} {
		store := trustStore{goos: goos}
		for i, of := range []func(*Authority) ([]step, error){store.trust, store.untrust} {
			steps, err := of(a)
			if err != nil || len(steps) == 0 || !strings.HasPrefix(steps[0].hand, want[i]) {
				t.Errorf("%s: %+v, %v, want %q first", goos, steps, err, want[i])
			}
		}
	}
}

func TestQuoteArg(t *testing.T) {
	for in, want := range map[string]string{
		"/usr/bin":       "/usr/bin",
		"/home/a b":      "'/home/a b'",
		"it's":           `'it'\''s'`,
		"$(reboot)":      "'$(reboot)'",
		"a;b":            "'a;b'",
		"C:\\Users\\One": `'C:\Users\One'`,
	} {
		if got := quoteArg(in); got != want {
			t.Errorf("quoteArg(%q) = %s, want %s", in, got, want)
		}
	}
}

// TestTrustThisMachine changes the trust store of the machine it runs on, and
// changes it back.
func TestTrustThisMachine(t *testing.T) {
	if os.Getenv("GWTEST_TRUST") != "1" || runtime.GOOS != "linux" {
		t.Log("nothing was tried: GWTEST_TRUST=1 lets this test change the trust store of a Linux machine")
		return
	}
	a := open(t)
	config, err := a.TLSConfig("localhost", "127.0.0.1")
	must(t, err)
	url := "https://" + listen(t, config) + "/"
	curl := func() error {
		return exec.Command("curl", "--silent", "--http1.1", "--noproxy", "*", url).Run()
	}
	if curl() == nil {
		t.Fatal("curl trusts the authority before Trust")
	}
	t.Cleanup(func() {
		did, err := a.Untrust(context.Background())
		t.Logf("Untrust: %q", did)
		if err != nil {
			t.Error(err)
		}
		if curl() == nil {
			t.Error("curl trusts the authority after Untrust")
		}
	})
	did, err := a.Trust(t.Context())
	t.Logf("Trust: %q", did)
	must(t, err)
	if err := curl(); err != nil {
		t.Errorf("curl does not trust the authority after Trust: %v", err)
	}
}
